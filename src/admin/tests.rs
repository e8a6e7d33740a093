//! The admin socket and the accounts behind it, on a real store.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::jid::Jid;
use crate::sasl::{Hash, ScramKeys, derive};

struct Running {
    folder: tempfile::TempDir,
    server: Option<Server>,
}

impl Running {
    fn start() -> Running {
        let folder = tempfile::tempdir().unwrap();
        let offline = Offline::open(&folder.path().join("store"), true).unwrap();
        let listener = bind(&folder.path().join("admin.sock")).unwrap();
        let server = serve(listener, Arc::new(offline), 64).unwrap();
        Running { folder, server: Some(server) }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("admin.sock")
    }

    fn remote(&self) -> Remote {
        Remote::connect(&self.socket()).unwrap()
    }
}

fn jid(text: &str) -> Jid<'_> {
    Jid::parse(text).unwrap()
}

fn keys(password: &str) -> Vec<ScramKeys> {
    Hash::ALL.iter().map(|hash| derive(password, *hash, b"0123456789abcdef", 2)).collect()
}

fn kind<T: std::fmt::Debug>(result: Result<T, Failure>) -> FailureKind {
    result.unwrap_err().kind
}

fn tell(backend: &dyn Backend, request: Request) -> Result<(), Failure> {
    ask(backend, request)
}

fn show(backend: &dyn Backend, jid: &Jid<'_>) -> Result<UserDetails, Failure> {
    ask(backend, Request::ShowUser { jid: jid.to_string() })
}

fn status(backend: &dyn Backend) -> Result<Box<Status>, Failure> {
    ask(backend, Request::Status)
}

/// How many accounts there are.
fn list(backend: &dyn Backend, limit: usize) -> usize {
    ask::<UserPage>(backend, Request::ListUsers(ListUsers { limit, ..ListUsers::default() })).unwrap().users.len()
}

fn lives(backend: &dyn Backend) {
    let juliet = jid("juliet@example.org");
    tell(backend, Request::add_user(&juliet, &keys("one"))).unwrap();
    assert_eq!(kind(tell(backend, Request::add_user(&juliet, &keys("two")))), FailureKind::Exists);
    let details = show(backend, &juliet).unwrap();
    assert_eq!((details.jid.as_str(), details.source.as_str()), ("juliet@example.org", "by the command line"));
    let mechanisms: Vec<_> = details.keys.iter().map(|(name, iterations)| (name.as_str(), *iterations)).collect();
    assert_eq!(mechanisms, [("SCRAM-SHA-512", 2), ("SCRAM-SHA-256", 2), ("SCRAM-SHA-1", 2)]);
    assert_eq!(details.disabled, None);

    tell(backend, Request::DisableUser { jid: juliet.to_string(), reason: "spam".into(), for_s: None }).unwrap();
    assert_eq!(show(backend, &juliet).unwrap().disabled.unwrap().reason, "spam");
    tell(backend, Request::set_keys(&juliet, &keys("two")[..1])).unwrap();
    tell(backend, Request::EnableUser { jid: juliet.to_string() }).unwrap();
    let details = show(backend, &juliet).unwrap();
    assert_eq!((details.disabled, details.keys.len()), (None, 1));

    let nobody = jid("nobody@example.org");
    assert_eq!(kind(show(backend, &nobody)), FailureKind::NotFound);
    assert_eq!(
        kind(tell(backend, Request::RemoveUser { jid: nobody.to_string(), made_s: None })),
        FailureKind::NotFound
    );
    assert_eq!(kind(tell(backend, Request::EnableUser { jid: nobody.to_string() })), FailureKind::NotFound);
    assert_eq!(kind(tell(backend, Request::set_keys(&nobody, &keys("x")))), FailureKind::NotFound);
    assert_eq!(kind(ask::<String>(backend, Request::LogLevels)), FailureKind::Unavailable);

    for name in ["a@b.example", "b@a.example", "c@a.example", "d@a.example"] {
        tell(backend, Request::add_user(&jid(name), &keys("x"))).unwrap();
    }
    let list = |after: Option<&str>, domain: Option<&str>, limit| {
        let list = ListUsers { after: after.map(Into::into), domain: domain.map(Into::into), limit };
        let page: UserPage = ask(backend, Request::ListUsers(list)).unwrap();
        (page.users.into_iter().map(|user| user.jid).collect::<Vec<_>>().join(" "), page.more)
    };
    let all = "b@a.example c@a.example d@a.example a@b.example juliet@example.org";
    assert_eq!(list(None, None, 100), (all.into(), false));
    assert_eq!(list(None, None, 2), ("b@a.example c@a.example".into(), true));
    assert_eq!(list(Some("c@a.example"), None, 2), ("d@a.example a@b.example".into(), true));
    assert_eq!(list(Some("b@a.example"), Some("a.example"), 9), ("c@a.example d@a.example".into(), false));
    assert_eq!(list(Some("a@b.example"), Some("a.example"), 9), (String::new(), false));
    assert_eq!(list(None, Some("c.example"), 9), (String::new(), false));

    tell(backend, Request::RemoveUser { jid: juliet.to_string(), made_s: None }).unwrap();
    assert_eq!(kind(show(backend, &juliet)), FailureKind::NotFound);
}

#[test]
fn accounts_live_and_end_in_a_directory_that_is_not_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let missing = Offline::open(&store, false).err().unwrap();
    assert!(missing.contains("there is no Rondel data here") && missing.lines().count() == 1, "{missing}");
    lives(&Offline::open(&store, true).unwrap());
    let offline = Offline::open(&store, false).unwrap();
    assert_eq!(list(&offline, 9), 4);
    let used = Offline::open(&store, false).err().unwrap();
    assert!(used.contains("in use") && used.lines().count() == 1, "{used}");
}

#[test]
fn accounts_live_and_end_through_the_socket() {
    let running = Running::start();
    lives(&running.remote());
}

#[test]
fn many_clients_add_at_once_and_one_wins() {
    let running = Running::start();
    let wins: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|number| {
                let remote = running.remote();
                scope.spawn(move || {
                    let own = format!("user{number}@example.org");
                    tell(&remote, Request::add_user(&jid(&own), &keys("x"))).unwrap();
                    usize::from(tell(&remote, Request::add_user(&jid("wanted@example.org"), &keys("x"))).is_ok())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(wins, 1);
    assert_eq!(list(&running.remote(), 100), 17);
}

/// Speaks raw lines.
fn raw(socket: &Path) -> (UnixStream, BufReader<UnixStream>, String) {
    let stream = UnixStream::connect(socket).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut greeting = String::new();
    reader.read_line(&mut greeting).unwrap();
    (stream, reader, greeting)
}

#[test]
fn nonsense_is_answered_and_hurts_nobody() {
    let running = Running::start();
    let (mut stream, mut reader, greeting) = raw(&running.socket());
    assert!(greeting.contains("\"protocol\":3"), "{greeting}");
    let mut ask = |line: &str| {
        stream.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        answer
    };
    for (line, expected) in [
        ("\n", "\"invalid\""),
        ("[]\n", "\"invalid\""),
        ("{\"id\":1,\"do\":\"dance\"}\n", "unknown variant `dance`"),
        ("{\"id\":2,\"do\":\"show-user\",\"jid\":\"@\"}\n", "is not the address of an account"),
        ("{\"id\":3,\"do\":\"show-user\",\"jid\":\"a@b/c\"}\n", "is not the address of an account"),
        ("{\"id\":4,\"do\":\"add-user\",\"jid\":\"a@b\",\"keys\":[]}\n", "no keys"),
        ("{\"id\":5,\"do\":\"status\"}\n", "{\"id\":5,\"done\":{\"status\":{"),
    ] {
        let answer = ask(line);
        assert!(answer.contains(expected), "{line}{answer}");
    }
    let endless = "x".repeat(protocol::REQUEST_BYTES_MAX as usize + 1);
    assert!(ask(&endless).contains("a line of more than"));
    assert_eq!(status(&running.remote()).unwrap().pid, std::process::id());
}

#[test]
fn too_many_clients_are_told_so() {
    let running = Running::start();
    let many: Vec<_> = (0..64).map(|_| raw(&running.socket())).collect();
    match Remote::connect(&running.socket()) {
        Err(ConnectError::Refused { reason, .. }) => assert!(reason.contains("too many clients"), "{reason}"),
        other => panic!("{:?}", other.err()),
    }
    drop(many);
    // The threads of those who left need a moment to notice.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while Remote::connect(&running.socket()).is_err() {
        assert!(std::time::Instant::now() < until);
        std::thread::yield_now();
    }
}

#[test]
fn the_end_of_the_server_is_the_end_of_its_socket() {
    let mut running = Running::start();
    let remote = running.remote();
    running.server.take();
    assert!(!running.socket().exists());
    assert_eq!(kind(status(&remote)), FailureKind::Failed);
    assert!(matches!(Remote::connect(&running.socket()), Err(ConnectError::Nobody(_))));
    // The threads of clients have let go of the store.
    assert!(Offline::open(&running.folder.path().join("store"), false).is_ok());
}
