//! What tests of registration have strangers do, who have no account yet.

use std::net::{IpAddr, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use super::{HEADER, PATIENCE, Raw, Server};

/// Whoever may register does, with any password, and as often as it likes unless told otherwise.
pub const OPEN: &[&str] =
    &["--registration", "open", "--password-length", "1", "--password-strength", "0", "--name-length", "1"];

pub fn open(more: &[&str]) -> Server {
    Server::start(&[OPEN, more].concat())
}

/// A stream with its features, before login.
pub fn stranger(server: &Server) -> Raw {
    let mut raw = Raw::connect(server.address);
    raw.say(HEADER);
    raw.hear("</stream:features>");
    raw
}

/// The same from another address of this machine.
pub fn stranger_from(server: &Server, address: &str) -> Raw {
    stranger_between(address, server.address)
}

/// The same, of the server at an address.
pub fn stranger_between(address: &str, server: SocketAddr) -> Raw {
    let mut raw = between(address, server);
    raw.say(HEADER);
    raw.hear("</stream:features>");
    raw
}

/// Somebody from this address registers, logs in on a connection of its own, and becomes available.
pub fn newcomer(address: &str, server: SocketAddr, name: &str) -> Raw {
    let answer = register(&mut stranger_between(address, server), name, "secret");
    assert!(answer.contains("type='result'"), "{answer}");
    let mut raw = between(address, server);
    raw.log_in(name, "client");
    raw.say("<presence/>");
    raw.hear(&format!("from='{name}@localhost/client'"));
    raw
}

/// A connection from an address of this machine.
fn between(address: &str, server: SocketAddr) -> Raw {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::new(address.parse::<IpAddr>().unwrap(), 0)).unwrap();
    connect(&socket, &server).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Raw::over(stream)
}

pub fn query(content: &str) -> String {
    format!("<query xmlns='jabber:iq:register'>{content}</query>")
}

/// Asks to register; the answer.
pub fn register(raw: &mut Raw, name: &str, password: &str) -> String {
    raw.ask("set", None, &query(&format!("<username>{name}</username><password>{password}</password>")))
}

pub fn is_error(answer: &str, kind: &str, condition: &str) -> bool {
    answer.contains("type='error'")
        && answer.contains(&format!("<error type='{kind}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"))
}

#[track_caller]
pub fn refused(answer: &str, kind: &str, condition: &str) {
    assert!(is_error(answer, kind, condition), "{kind}/{condition} was expected: {answer}");
}
