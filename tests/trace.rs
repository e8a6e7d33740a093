//! `rondel trace`: an operator sees what is decided for the stanzas of an account, and nothing of what is in them.

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{PATIENCE, Raw, Server, rondel};

#[test]
fn decisions_of_an_account_are_shown_live() {
    let server = Server::start(&["--shards", "2"]);
    ["romeo", "juliet", "nurse"].iter().for_each(|user| server.add_user(user));
    let mut command = rondel();
    command.args(["trace", "--account", "Juliet@localhost", "--data-dir"]).arg(server.data());
    let mut trace = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(trace.stdout.take().unwrap());
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
    assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), "looking at juliet@localhost; interrupt to end");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    nurse.say("<message to='romeo@localhost' type='chat'><body>not hers</body></message>");
    romeo.hear("not hers");
    romeo.say("<message to='juliet@localhost' type='chat'><body>secret</body></message>");
    let expect = |parts: &[&str]| {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("nothing about {parts:?}"));
        assert!(parts.iter().all(|part| line.contains(part)) && !line.contains("secret"), "{line}");
    };
    let from_romeo = "message chat from romeo@localhost/orchard to juliet@localhost: ";
    expect(&[from_romeo, "accepted; archived for the sender (body)"]);
    expect(&[from_romeo, "nobody is there: waits (message); archived for the addressee (body)"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    expect(&["presence from juliet@localhost/balcony: ", "to 0 contacts"]);
    juliet.hear("secret");
    romeo.say("<message to='juliet@localhost/balcony' type='chat'><body>secret</body></message>");
    expect(&["accepted"]);
    expect(&["addressed to a resource that is connected: balcony; archived for the addressee (body)"]);
    juliet.say("<message to='nobody@elsewhere.example'/>");
    expect(&["to nobody@elsewhere.example: refused: not a domain of this server"]);
    expect(&["message error from nobody@elsewhere.example", "answered by the server: remote-server-not-found"]);
    juliet.say("<iq type='get' id='1' to='localhost'><query xmlns='jabber:iq:version'/></iq>");
    expect(&["iq result from localhost to juliet@localhost/balcony: answered by the server"]);
    juliet.say("<iq type='set' id='2'><unheard-of xmlns='urn:example:secret'/></iq>");
    expect(&["iq error from juliet@localhost to juliet@localhost/balcony", "service-unavailable"]);
    romeo.say("<presence type='subscribe' to='juliet@localhost'/>");
    expect(&["presence subscribe from romeo@localhost to juliet@localhost: goes to the contact: "]);
    expect(&["presence subscribe from romeo@localhost to juliet@localhost: shown to the available resources: "]);
    juliet.say("<iq type='set' id='3'><block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block></iq>");
    expect(&["iq result from juliet@localhost"]);
    romeo.say("<presence type='subscribe' to='juliet@localhost'/>");
    expect(&["presence subscribe from romeo@localhost to juliet@localhost: goes to the contact: "]);
    expect(&["presence subscribe from romeo@localhost to juliet@localhost: dropped: ", "blocks the sender"]);
    trace.kill().unwrap();
    trace.wait().unwrap();
    let output = rondel().args(["trace", "--account", "nonsense"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
