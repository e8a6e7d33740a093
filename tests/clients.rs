//! Clients that others wrote log in, over STARTTLS and direct TLS, with the certificate verified, and exchange
//! messages. tokio-xmpp has a file of its own.

mod common;

#[path = "clients/conversation.rs"]
mod conversation;
#[path = "clients/profanity.rs"]
mod profanity;
#[path = "clients/program.rs"]
mod program;
#[path = "clients/row.rs"]
#[allow(dead_code)]
mod row;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::Server;
use common::follower::{Follower, subscribe};
use conversation::{Mode, converse, romeo, server, strangers_certificate, trust};
use profanity::Profanity;
use program::Program;
use row::cache;

#[test]
fn slixmpp_over_starttls() {
    converse(Mode::Starttls, |address| slixmpp(address, "starttls"));
}

#[test]
fn slixmpp_over_direct_tls() {
    converse(Mode::Direct, |address| slixmpp(address, "direct"));
}

fn slixmpp(address: SocketAddr, mode: &str) -> Command {
    let mut command = Command::new(cache().join("clients/bin/python"));
    command.arg(script("echo_slixmpp.py")).args(["juliet@localhost", "secret", "localhost"]);
    command.args([&address.port().to_string(), mode]);
    command
}

/// A client that publishes what people publish, and hears of what its contact publishes.
#[test]
fn slixmpp_publishes_and_hears() {
    const MOOD: &str = "http://jabber.org/protocol/mood";
    let server = Server::start(&["--shards", "2"]);
    server.add_user("romeo");
    server.add_user("juliet");
    let mut romeo = Follower::online(&server, "romeo", "orchard", &[MOOD]);
    // Both have agreed before: each of them sees the other's presence.
    let mut balcony = Follower::online(&server, "juliet", "balcony", &[]);
    subscribe(&mut romeo, &mut balcony);
    subscribe(&mut balcony, &mut romeo);
    let mut command = Command::new(cache().join("clients/bin/python"));
    command.arg(script("pep_slixmpp.py")).args(["juliet@localhost", "secret", "localhost"]);
    command.args([&server.address.port().to_string(), "romeo@localhost"]);
    let mut juliet = Program::start(trust(command.stdin(Stdio::null()), &server.certificate()));
    let event = romeo.event(MOOD);
    assert!(event.contains("<happy/>") && event.contains("at last"), "{event}");
    juliet.hear("PUBLISHED");
    let card = romeo.get(Some("juliet@localhost"), "<vCard xmlns='vcard-temp'/>");
    assert!(card.contains("<BINVAL>iVBORw0KGgppbWFnZQ==</BINVAL>"), "{card}");
    let mood = format!("<publish node='{MOOD}'><item id='m'><mood xmlns='{MOOD}'><calm/></mood></item></publish>");
    romeo.set(None, &format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{mood}</pubsub>"));
    juliet.hear("HEARD calm");
    juliet.end_well();
}

#[test]
fn xmpp_js_over_starttls() {
    converse(Mode::Starttls, |address| xmpp_js(address, "starttls"));
}

#[test]
fn xmpp_js_over_direct_tls() {
    converse(Mode::Direct, |address| xmpp_js(address, "direct"));
}

fn xmpp_js(address: SocketAddr, mode: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(script("echo_xmppjs.mjs")).args(["juliet@localhost", "secret", "localhost"]);
    command.args([&address.port().to_string(), mode]);
    command.env("CLIENT_MODULES", cache().join("clients-js"));
    command
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

#[test]
fn go_sendxmpp_sends_over_starttls() {
    go_sendxmpp_sends(Mode::Starttls);
}

#[test]
fn go_sendxmpp_sends_over_direct_tls() {
    go_sendxmpp_sends(Mode::Direct);
}

/// It takes a message from its standard input, sends it and leaves.
fn go_sendxmpp_sends(mode: Mode) {
    let server = server();
    let mut romeo = romeo(&server);
    let text = server.directory.path().join("text");
    let start = |message: &str, certificate: &Path| {
        fs::write(&text, message).unwrap();
        let mut command = go_sendxmpp(&server, mode);
        command.arg("romeo@localhost").stdin(File::open(&text).unwrap());
        Program::start(trust(&mut command, certificate))
    };
    let mut deceived = start("from nobody", &strangers_certificate(&server));
    deceived.hear("certificate signed by unknown authority");
    assert!(!deceived.end().success());

    start("wherefore ü thou?", &server.certificate()).end_well();
    let heard = romeo.hear("wherefore ü thou?");
    assert!(heard.contains("from='juliet@localhost/"), "{heard}");
    assert!(!heard.contains("from nobody"), "{heard}");
}

#[test]
fn go_sendxmpp_listens_over_starttls() {
    go_sendxmpp_listens(Mode::Starttls);
}

#[test]
fn go_sendxmpp_listens_over_direct_tls() {
    go_sendxmpp_listens(Mode::Direct);
}

/// It prints the messages that it gets, until it is ended.
fn go_sendxmpp_listens(mode: Mode) {
    let server = server();
    let mut romeo = romeo(&server);
    let mut command = go_sendxmpp(&server, mode);
    // Only what it shows of the stream tells when it is available: its own presence comes back.
    command.args(["--listen", "--debug"]).stdin(Stdio::null());
    let mut juliet = Program::start(trust(&mut command, &server.certificate()));
    juliet.hear("from='juliet@localhost/");
    for n in 0..5 {
        let body = format!("line {n}: 1 &lt; 2 ü");
        romeo.say(&format!("<message to='juliet@localhost' type='chat'><body>{body}</body></message>"));
        juliet.hear(&format!("romeo@localhost: line {n}: 1 < 2 ü"));
    }
}

fn go_sendxmpp(server: &Server, mode: Mode) -> Command {
    let mut command = Command::new("go-sendxmpp");
    let address = format!("localhost:{}", mode.address(server).port());
    command.args(["--username", "juliet@localhost", "--password", "secret", "--jserver", &address]);
    // Not somebody's own configuration.
    command.env("HOME", server.directory.path());
    if matches!(mode, Mode::Direct) {
        command.arg("--tls");
    }
    command
}

#[test]
fn profanity_over_starttls() {
    chat_in_a_terminal(Mode::Starttls);
}

#[test]
fn profanity_over_direct_tls() {
    chat_in_a_terminal(Mode::Direct);
}

fn chat_in_a_terminal(mode: Mode) {
    let server = server();
    let address = mode.address(&server);
    let deceived = Profanity::start(mode, address, &strangers_certificate(&server));
    deceived.see("'/tls allow' to accept this certificate");
    drop(deceived);

    let mut romeo = romeo(&server);
    let juliet = Profanity::start(mode, address, &server.certificate());
    juliet.see("logged in successfully");
    juliet.type_line("/msg romeo@localhost wherefore <art> thou, ü?");
    let heard = romeo.hear("wherefore &lt;art");
    assert!(heard.contains("from='juliet@localhost/balcony'"), "{heard}");
    romeo.hear("thou, ü?");
    romeo.say("<message to='juliet@localhost' type='chat'><body>call me &lt;love&gt;, ü</body></message>");
    juliet.see("call me <love>, ü");
    juliet.type_line("what man art thou?");
    romeo.hear("what man art thou?");
    juliet.quit();
}
