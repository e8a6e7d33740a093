//! Accounts from the command line: what `rondel user` says is done is what the running server goes by.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::sync::mpsc;

use common::scram::Scram;
use common::{HEADER, PATIENCE, Raw, Server, plain, rondel, tls, user};
use rustls::version::TLS13;

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// Whether the server takes the password, of whoever proves to know it and of whoever shows it.
fn logs_in(server: &Server, name: &str, password: &str) -> bool {
    let mut proves = Raw::connect(server.address);
    let mut scram = challenged(&mut proves, name);
    let response = scram.0.last(&scram.1, password);
    proves.say(&format!("<response xmlns='{SASL}'>{response}</response>"));
    let proven = proves.hear("</").contains("<success");

    let mut shows = tls::direct(server, &TLS13);
    shows.say(HEADER);
    shows.hear("</stream:features>");
    shows.say(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{}</auth>", plain(name, password)));
    let shown = shows.hear("</").contains("<success");

    assert_eq!(proven, shown, "SCRAM-SHA-256 and PLAIN do not agree about {password:?}");
    shown
}

/// A login that waits with its proof, and what it was challenged with.
fn challenged(raw: &mut Raw, name: &str) -> (Scram, String) {
    raw.say(HEADER);
    raw.hear("</stream:features>");
    let scram = Scram::new(name, None);
    raw.say(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{}</auth>", scram.first()));
    (scram, raw.hear_between("xmpp-sasl'>", "</challenge>"))
}

fn change_password(server: &Server, name: &str, password: &str) {
    let account = format!("{name}@localhost");
    let output = user(&server.data(), &["password", &account, "--password-stdin"], &format!("{password}\n"));
    assert_eq!(done(&output), format!("changed the password of {account}\n"));
}

/// What a command has printed that did what it was asked to.
fn done(output: &Output) -> String {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_password_that_is_changed_counts_at_once_and_the_old_one_no_more() {
    let server = Server::start(&[]);
    server.add_user("juliet");
    server.add_user("romeo");
    assert!(logs_in(&server, "juliet", "secret") && !logs_in(&server, "juliet", "wherefore art thou"));
    change_password(&server, "juliet", "wherefore art thou");
    assert!(!logs_in(&server, "juliet", "secret") && logs_in(&server, "juliet", "wherefore art thou"));
    assert!(logs_in(&server, "romeo", "secret"), "nobody else's password changes");
}

#[test]
fn a_login_that_began_with_the_old_password_comes_to_nothing() {
    let server = Server::start(&[]);
    server.add_user("juliet");
    let mut early = Raw::connect(server.address);
    let (mut scram, challenge) = challenged(&mut early, "juliet");
    change_password(&server, "juliet", "wherefore art thou");
    early.say(&format!("<response xmlns='{SASL}'>{}</response>", scram.last(&challenge, "secret")));
    early.hear("</success>");
    early.say(HEADER);
    early.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    let rest = early.hear_rest();
    assert!(rest.contains("<not-authorized") && !rest.contains("<jid>"), "{rest}");
}

#[test]
fn a_password_that_is_made_up_is_printed_and_logs_in() {
    let server = Server::start(&[]);
    let made_up = |subcommand: &str, done_so: &str| {
        let printed = done(&user(&server.data(), &[subcommand, "juliet@localhost", "--generate"], ""));
        let password = printed.strip_prefix(&format!("{done_so} juliet@localhost\npassword "));
        password.unwrap_or_else(|| panic!("{printed}")).strip_suffix('\n').unwrap().to_owned()
    };
    let first = made_up("add", "added");
    assert!(logs_in(&server, "juliet", &first));
    let second = made_up("password", "changed the password of");
    assert!(logs_in(&server, "juliet", &second) && !logs_in(&server, "juliet", &first));
}

#[test]
fn an_account_that_is_not_there_has_no_password_to_change() {
    let server = Server::start(&[]);
    let complaint = |account: &str, code: i32| {
        let output = user(&server.data(), &["password", account, "--generate"], "");
        assert_eq!((output.status.code(), &*output.stdout), (Some(code), &b""[..]), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let line = complaint("nurse@localhost", 1);
    assert!(line.contains("nurse@localhost") && line.lines().count() == 1, "{line}");
    let line = complaint("not an account", 2);
    assert!(line.contains("juliet@example.org") && line.lines().count() == 1, "{line}");
    assert!(!logs_in(&server, "nurse", "secret"));
}

/// Whoever reads what was added may go away, as `head` does. Whoever hands in the lines may wait for more of them.
#[test]
fn adding_many_ends_once_nobody_reads_what_was_added() {
    let server = Server::start(&["--scram-iterations", "4096"]);
    add_many_unheard(&server.data());
    let unused = tempfile::tempdir().unwrap();
    add_many_unheard(&unused.path().join("data"));
}

fn add_many_unheard(data: &Path) {
    let mut command = rondel();
    command.args(["user", "add", "--stdin", "--scram-iterations", "4096", "--data-dir"]).arg(data);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"first@localhost secret\n").unwrap();
    let mut heard = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut heard).unwrap();
    assert_eq!(heard, "added first@localhost\n");
    // The reading end is closed; only now does the rest come, so that some of it is added with nobody there.
    let rest: String = (0..500).map(|number| format!("u{number}@localhost secret\n")).collect();
    // It may have ended before it has read them all.
    let _ = input.write_all(rest.as_bytes());
    let (code, said) = ended(child);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("rondel: standard output is closed") && said.lines().count() == 1, "{said}");
    drop(input);
    let listed = done(&user(data, &["list"], ""));
    assert!(listed.contains("first@localhost\n") && !listed.contains("u499@localhost\n"), "{listed}");
}

/// How a process ends, and what it said; a process that does not is killed.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut stderr = child.stderr.take().unwrap();
    let (sender, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        let _ = sender.send(text);
    });
    let said = said.recv_timeout(PATIENCE);
    if said.is_err() {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    (status.code(), said.expect("it did not end by itself"))
}
