//! A client of the admin socket: the running server as a [`Backend`].

use std::io::{BufReader, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::applicants::PendingPage;
use super::backend::{Backend, Failure, FailureKind, ListUsers, Status, UserDetails, UserPage};
use super::invites::{MadeInvite, NewInvite, OpenInvite};
use super::keys;
use super::log::{ListLog, LogPage};
use super::protocol::{self, ANSWER_BYTES_MAX, Answer, Done, Greeting, NoLine, Numbered, Outcome, Request, VERSION};
use crate::jid::Jid;
use crate::sasl::ScramKeys;
use crate::shard::Traced;

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

    fn ask(&self, request: Request) -> Result<Done, Failure> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let id = connection.next;
        connection.next += 1;
        protocol::write(connection.reader.get_mut(), &Numbered { id, request })
            .map_err(|error| self.broken(&describe(NoLine::Broken(error))))?;
        self.answer(&mut connection, id)
    }

    /// The next answer to the last request, of one that has several.
    fn next(&self) -> Result<Done, Failure> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let id = connection.next - 1;
        self.answer(&mut connection, id)
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

    fn ask_for<T>(&self, request: Request, expected: impl FnOnce(Done) -> Option<T>) -> Result<T, Failure> {
        let done = self.ask(request)?;
        expected(done).ok_or_else(|| Failure::new(FailureKind::Failed, "the server's answer makes no sense"))
    }

    fn tell(&self, request: Request) -> Result<(), Failure> {
        self.ask_for(request, |done| (done == Done::Nothing).then_some(()))
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
    fn status(&self) -> Result<Status, Failure> {
        self.ask_for(Request::Status, |done| match done {
            Done::Status(status) => Some(status),
            _ => None,
        })
    }

    fn add_user(&self, jid: &Jid<'_>, keys: Vec<ScramKeys>) -> Result<(), Failure> {
        self.tell(Request::AddUser { jid: jid.to_string(), keys: keys::write(&keys) })
    }

    fn set_keys(&self, jid: &Jid<'_>, keys: Vec<ScramKeys>) -> Result<(), Failure> {
        self.tell(Request::SetKeys { jid: jid.to_string(), keys: keys::write(&keys) })
    }

    fn remove_user(&self, jid: &Jid<'_>, made_s: Option<u64>) -> Result<(), Failure> {
        self.tell(Request::RemoveUser { jid: jid.to_string(), made_s })
    }

    fn disable_user(&self, jid: &Jid<'_>, reason: &str) -> Result<(), Failure> {
        self.tell(Request::DisableUser { jid: jid.to_string(), reason: reason.into() })
    }

    fn enable_user(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.tell(Request::EnableUser { jid: jid.to_string() })
    }

    fn list_users(&self, list: &ListUsers) -> Result<UserPage, Failure> {
        self.ask_for(Request::ListUsers(list.clone()), |done| match done {
            Done::Users(page) => Some(page),
            _ => None,
        })
    }

    fn show_user(&self, jid: &Jid<'_>) -> Result<UserDetails, Failure> {
        self.ask_for(Request::ShowUser { jid: jid.to_string() }, |done| match done {
            Done::User(user) => Some(user),
            _ => None,
        })
    }

    fn list_pending(&self, after: Option<&str>) -> Result<PendingPage, Failure> {
        self.ask_for(Request::ListPending { after: after.map(str::to_owned) }, |done| match done {
            Done::Pending(page) => Some(page),
            _ => None,
        })
    }

    fn approve(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.tell(Request::Approve { jid: jid.to_string() })
    }

    fn reject(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.tell(Request::Reject { jid: jid.to_string() })
    }

    fn create_invite(&self, new: &NewInvite) -> Result<MadeInvite, Failure> {
        self.ask_for(Request::CreateInvite(new.clone()), |done| match done {
            Done::Invite(made) => Some(made),
            _ => None,
        })
    }

    fn list_invites(&self) -> Result<Vec<OpenInvite>, Failure> {
        self.ask_for(Request::ListInvites, |done| match done {
            Done::Invites(invites) => Some(invites),
            _ => None,
        })
    }

    fn revoke_invite(&self, id: &str) -> Result<(), Failure> {
        self.tell(Request::RevokeInvite { invite: id.into() })
    }

    fn list_log(&self, list: &ListLog) -> Result<LogPage, Failure> {
        self.ask_for(Request::ListLog(list.clone()), |done| match done {
            Done::Log(page) => Some(page),
            _ => None,
        })
    }

    fn announce(&self, words: &str, domain: Option<&str>, everybody: bool) -> Result<(), Failure> {
        let domain = domain.map(str::to_owned);
        self.tell(Request::Announce { words: words.into(), domain, everybody })
    }

    fn trace(&self, jid: &Jid<'_>, tell: &mut dyn FnMut(Option<Traced>) -> bool) -> Result<(), Failure> {
        let mut done = self.ask(Request::Trace { jid: jid.to_string() })?;
        loop {
            let goes_on = match done {
                Done::Traced(traced) => tell(Some(traced)),
                _ => tell(None),
            };
            if !goes_on {
                return Ok(());
            }
            done = self.next()?;
        }
    }

    fn log_levels(&self) -> Result<String, Failure> {
        self.ask_for(Request::LogLevels, levels)
    }

    fn change_log_levels(&self, changes: &str) -> Result<String, Failure> {
        self.ask_for(Request::ChangeLogLevels { changes: changes.into() }, levels)
    }
}

fn levels(done: Done) -> Option<String> {
    match done {
        Done::Levels(levels) => Some(levels),
        _ => None,
    }
}
