//! Two people go on talking while 24 clients mean no good: every one of these is refused, with the right stream error
//! where there is one, and nobody else notices.
//!
//! Each hostile client has an address of its own, as it would have elsewhere; the honest ones share another.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use common::{HEADER, PATIENCE, Raw, Server, user};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// Limits as tight as they can be.
const FLAGS: [&str; 18] = [
    "--login-timeout",
    "2s",
    "--slow-reader-timeout",
    "1s",
    "--outbox-limit",
    "64KiB",
    "--max-stanza-size",
    "32KiB",
    "--connection-rate",
    "1/s:40",
    "--scram-iterations",
    "4096",
    "--shards",
    "2",
    "--log-level",
    "info,stream=debug",
    "--max-sessions-per-account",
    "2",
];

/// How often each kind is there.
const OF_EACH: u8 = 2;

/// A client's way to the server.
#[derive(Clone, Copy)]
struct Way {
    starttls: SocketAddr,
    direct_tls: SocketAddr,
    source: Ipv4Addr,
}

impl Way {
    fn connect(self, server: SocketAddr) -> TcpStream {
        let own = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&own, &SocketAddr::from((self.source, 0))).unwrap();
        connect(&own, &server).unwrap();
        let stream = TcpStream::from(own);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn raw(self) -> Raw {
        Raw::over(self.connect(self.starttls))
    }

    /// Connected, with a stream opened.
    fn opened(self) -> Raw {
        let mut raw = self.raw();
        raw.say(HEADER);
        raw.hear("</stream:features>");
        raw
    }
}

/// Everything up to the end, whatever kind of end it is.
fn rest_of(mut stream: &TcpStream) -> String {
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "the server never ended it");
    }
    String::from_utf8_lossy(&rest).into_owned()
}

/// Writes `opening` and then, piece by piece, what does not end, for as long as the server takes it; what it heard.
fn endless(stream: &TcpStream, opening: &str, piece: impl Fn(u64) -> String + Send + 'static) -> String {
    let (mut writing, opening) = (stream.try_clone().unwrap(), opening.to_owned());
    let writer = std::thread::spawn(move || {
        let pieces = std::iter::once(opening).chain((0..).map(piece));
        for piece in pieces {
            if writing.write_all(piece.as_bytes()).is_err() {
                return;
            }
        }
    });
    let heard = rest_of(stream);
    // The server may have closed it entirely by now.
    let _ = stream.shutdown(Shutdown::Both);
    writer.join().unwrap();
    heard
}

fn attributes(raw: &Raw) -> String {
    endless(&raw.stream, "<message ", |piece| {
        (piece * 1_000..(piece + 1) * 1_000).map(|name| format!("a{name}='x' ")).collect()
    })
}

fn nesting(raw: &Raw) -> String {
    endless(&raw.stream, "<message>", |_| "<a>".repeat(1_000))
}

fn huge(raw: &Raw) -> String {
    endless(&raw.stream, "<message><body>", |_| "x".repeat(10_000))
}

/// Anything but `<`, which would be the beginning of something.
fn noise(way: Way) -> String {
    let mut bytes = [0; 4_000];
    getrandom::fill(&mut bytes).unwrap();
    bytes.iter_mut().filter(|byte| **byte == b'<').for_each(|byte| *byte = b'>');
    let stream = way.connect(way.starttls);
    // The server need not take all of it.
    let _ = (&stream).write_all(&bytes);
    rest_of(&stream)
}

/// The first half of a ClientHello.
fn half_hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut hello = Vec::new();
    rustls::ClientConnection::new(Arc::new(config), name).unwrap().write_tls(&mut hello).unwrap();
    hello.truncate(hello.len() / 2);
    hello
}

fn half_handshake(way: Way) -> String {
    let mut stream = way.connect(way.direct_tls);
    stream.write_all(&half_hello()).unwrap();
    rest_of(&stream)
}

fn half_starttls(way: Way) -> String {
    let mut raw = way.opened();
    raw.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    raw.hear("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    raw.stream.write_all(&half_hello()).unwrap();
    rest_of(&raw.stream)
}

/// A byte a second, until the server has had enough.
fn trickle(way: Way) -> String {
    let mut stream = way.connect(way.starttls);
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut heard = Vec::new();
    for byte in HEADER.bytes() {
        // Too late for this one.
        let _ = stream.write_all(&[byte]);
        match stream.read_to_end(&mut heard) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    String::from_utf8(heard).unwrap()
}

/// Asks and asks, reads no answer, and notices only when the connection breaks.
fn deaf(raw: &Raw) -> String {
    let question = "<iq type='get' id='q' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    let questions = question.repeat(100);
    loop {
        if let Err(error) = (&raw.stream).write_all(questions.as_bytes()) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the server never ended it");
            return String::new();
        }
    }
}

/// Comes again and again until it is turned away without a word.
fn reconnect(way: Way) -> String {
    for _ in 0..10_000 {
        let mut raw = way.raw();
        // Whoever turned it away does not read this.
        let _ = raw.stream.write_all(HEADER.as_bytes());
        if raw.try_hear("</stream:features>").is_none() {
            return raw.hear_rest();
        }
    }
    panic!("it was never turned away");
}

/// A kind of hostile client, and what it has to hear, any of these.
struct Kind {
    name: &'static str,
    attack: Attack,
    hears: &'static [&'static str],
}

enum Attack {
    Stranger(fn(Way) -> String),
    /// Needs a session.
    Member(fn(&Raw) -> String),
}

const VIOLATION: &[&str] = &["<policy-violation"];

fn kinds() -> [Kind; 12] {
    let kind = |name, attack, hears| Kind { name, attack, hears };
    let stranger = Attack::Stranger;
    [
        kind("attributes before login", stranger(|way| attributes(&way.opened())), VIOLATION),
        kind("attributes in a session", Attack::Member(attributes), VIOLATION),
        kind("nesting before login", stranger(|way| nesting(&way.opened())), VIOLATION),
        kind("nesting in a session", Attack::Member(nesting), VIOLATION),
        kind("a huge stanza before login", stranger(|way| huge(&way.opened())), VIOLATION),
        kind("a huge stanza in a session", Attack::Member(huge), VIOLATION),
        kind("random bytes", stranger(noise), &["<not-well-formed", "<unsupported-encoding"]),
        kind("a byte a second", stranger(trickle), &["<connection-timeout"]),
        kind("half a handshake", stranger(half_handshake), &[]),
        kind("half a handshake behind STARTTLS", stranger(half_starttls), &[]),
        kind("who asks and does not read", Attack::Member(deaf), &[]),
        kind("who reconnects", stranger(reconnect), &[]),
    ]
}

/// One client at work.
struct Client {
    name: String,
    source: Ipv4Addr,
    hears: &'static [&'static str],
    thread: JoinHandle<String>,
}

fn account(number: u8) -> String {
    format!("hostile{number}")
}

/// Makes all clients ready, then lets all of them loose.
fn let_loose(server: &Server) -> Vec<Client> {
    let kinds = (0..OF_EACH).flat_map(|_| kinds()).zip(2u8..);
    let ready: Vec<_> = kinds
        .map(|(kind, number)| {
            let source = Ipv4Addr::new(127, 0, 0, number);
            let way = Way { starttls: server.address, direct_tls: server.direct_tls, source };
            let session = matches!(kind.attack, Attack::Member(_)).then(|| {
                let mut raw = way.raw();
                raw.log_in(&account(number), "r");
                raw
            });
            (kind, number, way, session)
        })
        .collect();
    let clients = ready.into_iter().map(|(kind, number, way, session)| {
        let thread = std::thread::spawn(move || match (kind.attack, session) {
            (Attack::Stranger(attack), _) => attack(way),
            (Attack::Member(attack), Some(session)) => attack(&session),
            (Attack::Member(_), None) => unreachable!("members were given sessions"),
        });
        Client { name: format!("{} ({number})", kind.name), source: way.source, hears: kind.hears, thread }
    });
    clients.collect()
}

/// A server where `romeo`, `juliet` and whoever means no good have accounts.
fn server() -> Server {
    let server = Server::start(&FLAGS);
    let names = (2..2 + OF_EACH * 12).map(account).chain(["romeo", "juliet", "nurse"].map(str::to_owned));
    let lines: String = names.map(|name| format!("{name}@localhost secret\n")).collect();
    let added = user(&server.data(), &["add", "--stdin"], &lines);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    server
}

/// Says something, and waits until the other has heard it.
fn tell(from: &mut Raw, to: &mut Raw, name: &str, text: &str) {
    from.say(&format!("<message to='{name}@localhost' type='chat'><body>{text}</body></message>"));
    let heard = to.hear("</message>");
    assert!(heard.contains(&format!("<body>{text}</body>")), "{heard}");
}

#[test]
fn hostile_clients_are_refused_and_honest_ones_go_on() {
    let mut server = server();
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let clients = let_loose(&server);
    assert_eq!(clients.len(), 24);
    let mut exchanges = 0;
    while clients.iter().any(|client| !client.thread.is_finished()) {
        tell(&mut romeo, &mut juliet, "juliet", &format!("to you, {exchanges}"));
        tell(&mut juliet, &mut romeo, "romeo", &format!("and to you, {exchanges}"));
        exchanges += 1;
    }
    let mut sources = Vec::new();
    for client in clients {
        // Its own panic says what was wrong.
        let heard = client.thread.join().unwrap_or_else(|_| panic!("{} has failed", client.name));
        let is_right = client.hears.is_empty() || client.hears.iter().any(|error| heard.contains(error));
        assert!(is_right, "{}: {heard}", client.name);
        // Half a handshake is no reason to go on in the clear; who is turned away hears nothing.
        assert!(!client.hears.is_empty() || heard.is_empty(), "{}: {heard}", client.name);
        sources.push((client.name, client.source));
    }
    for (name, source) in sources {
        let from = format!("\"{source}:");
        let ends = |reason: &str| format!("\"reason\":\"{reason}");
        if name.starts_with("half a handshake") {
            server.wait_for_log(|line| line.contains(&from) && line.contains(&ends("connection-timeout")));
        } else if name.starts_with("who asks") {
            server.wait_for_log(|line| {
                let reasons = [ends("peer does not read"), ends("resource-constraint")];
                line.contains(&from) && reasons.iter().any(|reason| line.contains(reason))
            });
        }
    }
    tell(&mut romeo, &mut juliet, "juliet", "still there");
    let mut nurse = Raw::online(&server, "nurse", "gallery");
    tell(&mut nurse, &mut juliet, "juliet", "good morrow");
}

/// What is said to somebody who does not read ends that session, not the speaker's.
#[test]
fn a_session_that_does_not_read_what_others_say_is_ended() {
    let mut server = server();
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let nurse = Raw::online(&server, "nurse", "gallery");
    let message =
        format!("<message to='nurse@localhost/gallery' type='chat'><body>{}</body></message>", "x".repeat(5_000));
    // A question right behind each message: it must be answered, also when the message has ended the session.
    let question = "<iq type='get' id='round-trip' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>";
    let refused = (0..100_000).any(|_| {
        romeo.say(&format!("{message}{question}"));
        romeo.hear("id='round-trip'").contains("<service-unavailable")
    });
    assert!(refused, "the session was never ended");
    let line = server.wait_for_log(|line| line.contains("session ends") && line.contains("nurse@localhost"));
    let reasons = ["resource-constraint: too much waits to be read", "peer does not read"];
    assert!(reasons.iter().any(|reason| line.contains(reason)), "{line}");
    tell(&mut romeo, &mut juliet, "juliet", "still there");
    drop(nurse);
}
