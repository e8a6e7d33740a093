//! Clients that others wrote register, change the password and remove the account, each in its own way.

mod common;

#[path = "clients/conversation.rs"]
mod conversation;
#[path = "clients/profanity.rs"]
#[allow(dead_code)]
mod profanity;
#[path = "clients/program.rs"]
#[allow(dead_code)]
mod program;
#[path = "clients/row.rs"]
#[allow(dead_code)]
mod row;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::Server;
use common::people::is_right;
use common::strangers::open;
use conversation::trust;
use profanity::Profanity;
use program::Program;
use row::cache;

fn is_there(server: &Server, name: &str) -> bool {
    common::user(&server.data(), &["show", &format!("{name}@localhost")], "").status.success()
}

/// A script registers Tybalt, has him change the password, and removes him.
fn a_life(python: &str, script: &str) {
    let server = open(&[]);
    let mut command = Command::new(cache().join(python));
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script));
    command.args(["127.0.0.1", &server.address.port().to_string()]).stdin(Stdio::null());
    let mut client = Program::start(trust(&mut command, &server.certificate()));
    client.hear("REGISTERED");
    client.hear("CHANGED");
    client.hear("REMOVED");
    client.end_well();
    assert!(!is_there(&server, "tybalt"));
    let log = common::rondel().args(["registration", "log", "--data-dir"]).arg(server.data()).output().unwrap();
    assert!(String::from_utf8_lossy(&log.stdout).contains(" tybalt@localhost made by ibr"), "{log:?}");
}

#[test]
fn slixmpp_registers_changes_the_password_and_leaves() {
    a_life("clients/bin/python", "register_slixmpp.py");
}

#[test]
fn aioxmpp_registers_changes_the_password_and_leaves() {
    a_life("clients-aioxmpp/bin/python", "register_aioxmpp.py");
}

/// It has no way to register; what it is given it sends after it has logged in.
#[test]
fn go_sendxmpp_changes_the_password_and_leaves() {
    let server = open(&[]);
    server.add_user("tybalt");
    let file = server.directory.path().join("stanza");
    let send = |password: &str, stanza: &str| {
        fs::write(&file, stanza).unwrap();
        let mut command = Command::new("go-sendxmpp");
        let address = format!("localhost:{}", server.address.port());
        command.args(["--username", "tybalt@localhost", "--password", password, "--jserver", &address, "--raw"]);
        command.arg("tybalt@localhost").env("HOME", server.directory.path()).stdin(File::open(&file).unwrap());
        Program::start(trust(&mut command, &server.certificate()))
    };
    let iq = |query: &str| format!("<iq type='set' id='r'><query xmlns='jabber:iq:register'>{query}</query></iq>");
    send("secret", &iq("<username>tybalt</username><password>sw0rd</password>")).end();
    assert!(is_right(&server, "tybalt", "sw0rd") && !is_right(&server, "tybalt", "secret"));
    // It may be gone before it has taken its leave.
    send("sw0rd", &iq("<remove/>")).end();
    assert!(!is_there(&server, "tybalt"));
}

#[test]
fn profanity_registers_in_its_own_dialogue() {
    let server = open(&["--reserved-name", "admin"]);
    let profanity = Profanity::start_alone(&server.certificate());
    let register = |name: &str| {
        let port = server.address.port();
        profanity.type_line(&format!("/register {name} localhost port {port} tls force"));
        for word in ["Enter password:", "Confirm password:"] {
            profanity.see(word);
            profanity.type_line("r4pier");
        }
    };
    register("admin");
    profanity.see("This name is reserved.");
    register("tybalt");
    profanity.see("Registration successful.");
    profanity.quit();
    assert!(is_right(&server, "tybalt", "r4pier"));
}
