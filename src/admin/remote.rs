//! A client of the admin socket: the running server as a [`Backend`].

use std::io::{BufReader, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::backend::{Backend, By, Failure, FailureKind};
use super::protocol::{self, ANSWER_BYTES_MAX, Answer, Greeting, NoLine, Numbered, Outcome, VERSION};
use super::request::{Answers, Done, Request};

/// A server that takes longer is not going to answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A connection to a running server. Requests from several threads go one after the other; who wants several under way
/// opens several.
pub struct Remote {
    path: PathBuf,
    connection: Mutex<Connection>,
}

struct Connection {
    reader: BufReader<UnixStream>,
    next: u64,
}

/// Why a server cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers: no server runs.
    #[error("no server answers at {}", .0.display())]
    Nobody(PathBuf),
    /// Somebody might, but not to us.
    #[error("{}: {reason}", .path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Remote {
    /// Connects to the server behind an admin socket.
    pub fn connect(path: &Path) -> Result<Remote, ConnectError> {
        let refused = |reason: String| ConnectError::Refused { path: path.to_owned(), reason };
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => ConnectError::Nobody(path.to_owned()),
            ErrorKind::PermissionDenied => {
                refused("only the user that the server runs as, and root, may use it".into())
            }
            _ => refused(error.to_string()),
        })?;
        let limited = stream.set_read_timeout(Some(TIMEOUT)).and_then(|()| stream.set_write_timeout(Some(TIMEOUT)));
        limited.map_err(|error| refused(error.to_string()))?;
        let mut reader = BufReader::new(stream);
        let line: serde_json::Value =
            protocol::read(&mut reader, ANSWER_BYTES_MAX).map_err(|why| refused(describe(why)))?;
        match serde_json::from_value::<Greeting>(line.clone()) {
            Ok(greeting) if greeting.protocol == VERSION => {
                Ok(Remote { path: path.to_owned(), connection: Mutex::new(Connection { reader, next: 1 }) })
            }
            Ok(greeting) => Err(refused(format!(
                "the running server is Rondel {} and this is {}; use the rondel command of the same version",
                greeting.rondel,
                env!("CARGO_PKG_VERSION")
            ))),
            Err(_) => match serde_json::from_value::<Answer>(line) {
                Ok(Answer { outcome: Outcome::Failed(failure), .. }) => Err(refused(failure.text)),
                _ => Err(refused("whatever answers is not Rondel".into())),
            },
        }
    }

    fn answer(&self, connection: &mut Connection, id: u64) -> Result<Done, Failure> {
        let answer: Answer =
            protocol::read(&mut connection.reader, ANSWER_BYTES_MAX).map_err(|why| self.broken(&describe(why)))?;
        match answer.outcome {
            Outcome::Done(done) if answer.id == id => Ok(done),
            Outcome::Failed(failure) => Err(failure),
            Outcome::Done(_) => Err(self.broken("an answer to another question")),
        }
    }

    fn broken(&self, reason: &str) -> Failure {
        Failure::new(FailureKind::Failed, format!("the server at {}: {reason}", self.path.display()))
    }
}

fn describe(why: NoLine) -> String {
    match why {
        NoLine::End => "the connection was closed".into(),
        NoLine::TooLong => "an answer is too long".into(),
        NoLine::Malformed(error) => format!("an answer cannot be understood: {error}"),
        NoLine::Broken(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("no answer within {} s", TIMEOUT.as_secs()),
            ErrorKind::BrokenPipe => "the connection was closed".into(),
            _ => error.to_string(),
        },
    }
}

impl Backend for Remote {
    /// Who asks is seen by the server itself: whoever runs this process.
    fn ask(&self, _by: &By, request: Request, tell: &mut dyn FnMut(Done) -> bool) -> Result<Done, Failure> {
        let answers = request.answers();
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let id = connection.next;
        connection.next += 1;
        protocol::write(connection.reader.get_mut(), &Numbered { id, request })
            .map_err(|error| self.broken(&describe(NoLine::Broken(error))))?;
        loop {
            let done = self.answer(&mut connection, id)?;
            match answers {
                Answers::AtOnce => return Ok(done),
                Answers::AfterSomeTime if done == Done::Nothing => {}
                Answers::AfterPieces if matches!(done, Done::Text(_)) => {
                    if !tell(done) {
                        return Err(self.broken("nobody wants the rest"));
                    }
                }
                Answers::AfterSomeTime | Answers::AfterPieces => return Ok(done),
                Answers::UntilNobodyListens if tell(done) => {}
                Answers::UntilNobodyListens => return Ok(Done::Nothing),
            }
        }
    }
}
