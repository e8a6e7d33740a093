//! A small line protocol on top of the runtime, with all that the runtime offers: lines are sent on to the connection
//! of a name, wherever that lives.
//!
//! `home NAME` moves the connection to the shard of the name and answers `at SHARD`; `to NAME TEXT` delivers `TEXT` to
//! that connection, or panics there if it is `panic`; `secure` answers `proceed` and starts TLS; `hurry` sets a
//! deadline of 200 ms, which `home` takes back; `panic` panics; `quit` closes after `bye`.

#![allow(dead_code)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rondel_shards::rustls::{self, ServerConfig};
use rondel_shards::{
    Accepted, Application, Closed, ConnectionId, Io, Listener, Options, Origin, Refused, Runtime, TlsFacts, Verdict,
};

pub struct Lines {
    names: HashMap<String, ConnectionId>,
    connections: HashMap<ConnectionId, Option<String>>,
    tls: Arc<ServerConfig>,
}

pub struct Deliver {
    name: String,
    line: Vec<u8>,
}

impl Lines {
    pub fn new(tls: Arc<ServerConfig>) -> Self {
        Lines { names: HashMap::new(), connections: HashMap::new(), tls }
    }

    fn line(&mut self, io: &mut Io<Self>, connection: ConnectionId, line: &str) {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("home"), Some(name), None) => {
                io.pause(connection);
                io.move_to(connection, home(name, io.shards()), name.to_owned()).unwrap();
                self.connections.remove(&connection);
            }
            (Some("to"), Some(name), Some(text)) => {
                let message = Deliver { name: name.to_owned(), line: format!("{text}\n").into_bytes() };
                io.send(home(name, io.shards()), message, text.len());
            }
            (Some("secure"), None, None) => {
                io.outbox(connection).unwrap().extend_from_slice(b"proceed\n");
                io.start_tls(connection, &Arc::clone(&self.tls)).unwrap();
            }
            (Some("hurry"), None, None) => io.set_deadline(connection, Some(Duration::from_millis(200))),
            (Some("panic"), None, None) => panic!("asked to"),
            (Some("quit"), None, None) => {
                io.outbox(connection).unwrap().extend_from_slice(b"bye\n");
                io.close(connection);
                self.forget(connection);
            }
            _ => io.outbox(connection).unwrap().extend_from_slice(b"what?\n"),
        }
    }

    fn forget(&mut self, connection: ConnectionId) {
        if let Some(Some(name)) = self.connections.remove(&connection) {
            self.names.remove(&name);
        }
    }
}

pub fn home(name: &str, shards: usize) -> usize {
    name.bytes().map(usize::from).sum::<usize>() % shards
}

impl Application for Lines {
    type Message = Deliver;
    type Baggage = String;

    fn accepted(&mut self, io: &mut Io<Self>, connection: ConnectionId, _accepted: &Accepted) -> Verdict {
        self.connections.insert(connection, None);
        io.set_deadline(connection, Some(Duration::from_secs(20)));
        Verdict::Accept
    }

    fn arrived(&mut self, io: &mut Io<Self>, connection: ConnectionId, _from: usize, name: String) {
        self.names.insert(name.clone(), connection);
        self.connections.insert(connection, Some(name));
        let answer = format!("at {}\n", io.shard());
        io.outbox(connection).unwrap().extend_from_slice(answer.as_bytes());
        io.resume(connection);
        io.set_deadline(connection, None);
    }

    fn received(&mut self, io: &mut Io<Self>, connection: ConnectionId, bytes: &[u8]) -> usize {
        let mut used = 0;
        while let Some(end) = bytes[used..].iter().position(|&byte| byte == b'\n') {
            if !self.connections.contains_key(&connection) {
                break;
            }
            let line = String::from_utf8_lossy(&bytes[used..used + end]).into_owned();
            used += end + 1;
            self.line(io, connection, &line);
            if line == "secure" {
                break;
            }
        }
        used
    }

    fn secured(&mut self, io: &mut Io<Self>, connection: ConnectionId, facts: TlsFacts) {
        let exporter: String = facts.exporter.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
        let name = facts.server_name.unwrap_or_default();
        let line = format!("secure {} {name} {exporter}\n", facts.version);
        io.outbox(connection).unwrap().extend_from_slice(line.as_bytes());
    }

    fn closed(&mut self, _io: &mut Io<Self>, connection: ConnectionId, _why: Closed) {
        self.forget(connection);
    }

    fn concerns(&self, message: &Deliver) -> Option<ConnectionId> {
        self.names.get(&message.name).copied()
    }

    fn message(&mut self, io: &mut Io<Self>, _from: Origin, message: Deliver) {
        let Some(&connection) = self.names.get(&message.name) else {
            return;
        };
        assert!(message.line != b"panic\n", "asked to");
        match io.outbox(connection) {
            Ok(outbox) => outbox.extend_from_slice(&message.line),
            Err(Refused::Full) => {
                io.close(connection);
                self.forget(connection);
            }
            Err(Refused::Gone) => {}
        }
    }

    fn deadline(&mut self, io: &mut Io<Self>, connection: ConnectionId) {
        io.last_words(connection).unwrap().extend_from_slice(b"too slow\n");
        io.close(connection);
        self.forget(connection);
    }

    fn timer(&mut self, _io: &mut Io<Self>, _token: u64) {}

    fn shutting_down(&mut self, io: &mut Io<Self>) {
        for connection in self.connections.drain().map(|(connection, _)| connection) {
            if let Some(words) = io.last_words(connection) {
                words.extend_from_slice(b"going down\n");
            }
            io.close(connection);
        }
    }

    fn ended(self, _io: &mut Io<Self>) {}
}

/// A server on a free port.
pub struct Server {
    pub runtime: Option<Runtime<Lines>>,
    pub address: SocketAddr,
    pub certificate: rustls::pki_types::CertificateDer<'static>,
}

impl Server {
    pub fn start(change: impl FnOnce(&mut Options)) -> Server {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = key.cert.der().clone();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let mut tls =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], private).unwrap();
        Io::<Lines>::prepare_tls(&mut tls);
        let tls = Arc::new(tls);
        let mut options = Options {
            listeners: vec![Listener { address: "127.0.0.1:0".parse().unwrap() }],
            shards: 2,
            ..Options::default()
        };
        change(&mut options);
        let runtime = Runtime::start(options, move |_io| Lines::new(Arc::clone(&tls))).unwrap();
        let address = runtime.addresses()[0];
        Server { runtime: Some(runtime), address, certificate }
    }

    pub fn runtime(&self) -> &Runtime<Lines> {
        self.runtime.as_ref().unwrap()
    }

    pub fn stop(mut self, grace: Duration) {
        let runtime = self.runtime.take().unwrap();
        runtime.shut_down(grace);
        assert!(runtime.join(), "a shard did not end in order");
    }
}

/// A client that reads lines.
pub struct Client {
    pub stream: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(server: &Server) -> Client {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    pub fn at_home(server: &Server, name: &str) -> Client {
        let mut client = Client::connect(server);
        client.say(&format!("home {name}\n"));
        let shards = server.runtime().metrics().len();
        assert_eq!(client.hear(), format!("at {}", home(name, shards)));
        client
    }

    pub fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next line, empty at the end of the stream.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn hear_end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}
