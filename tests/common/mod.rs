//! Starting the real binary for a test, and talking to it in raw XML.
//!
//! Every server has a directory, ports and users of its own, so that tests run in parallel. Nothing waits for a time to
//! pass: a server is ready when it says on which ports it listens, a client waits for what it expects to hear.

#![allow(dead_code)]

pub mod browser;
pub mod commands;
pub mod disk;
pub mod ejabberd;
pub mod follower;
pub mod letters;
pub mod name_server;
pub mod people;
pub mod prosody;
pub mod scram;
pub mod strangers;
pub mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Long enough for a slow machine; what takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn rondel() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rondel"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RONDEL_")) {
        command.env_remove(name);
    }
    command
}

/// A running server.
pub struct Server {
    pub child: Child,
    pub directory: tempfile::TempDir,
    /// STARTTLS, or plain text where allowed.
    pub address: SocketAddr,
    /// TLS from the first byte.
    pub direct_tls: SocketAddr,
    /// Below which others see its directory, if it sees another file system than they.
    pub root: Option<PathBuf>,
    log: mpsc::Receiver<String>,
    /// What was logged so far.
    pub logged: Vec<String>,
}

impl Server {
    /// A server for `localhost` with a development certificate that allows logins without TLS.
    pub fn start(flags: &[&str]) -> Server {
        Server::start_in(tempfile::tempdir().unwrap(), flags)
    }

    /// The same in a directory that has been used before.
    pub fn start_in(directory: tempfile::TempDir, flags: &[&str]) -> Server {
        let flags = [&["--dev", "--insecure-plaintext"], flags].concat();
        Server::start_with(directory, &flags)
    }

    /// The same with these flags alone, and ports of its own.
    pub fn start_with(directory: tempfile::TempDir, flags: &[&str]) -> Server {
        Server::start_by(rondel(), directory, flags)
    }

    /// The same by a command that runs the binary with what is appended.
    pub fn start_by(mut command: Command, directory: tempfile::TempDir, flags: &[&str]) -> Server {
        command.arg("serve").arg("--data-dir").arg(directory.path().join("data"));
        command.args(["--listen", "127.0.0.1:0", "--listen-direct-tls", "127.0.0.1:0", "--log-format", "json"]);
        // How full the disk of this machine is is nobody's news.
        command.args(["--alert-disk-free", "0"]);
        // Tests do in a second what people do in a day. A file of flags may have limits of its own.
        let is_said = |limit: &str| flags.iter().any(|flag| *flag == limit || flag.starts_with('@'));
        let limits = ["--limit-c2s", "--limit-stanzas", "--limit-strangers", "--limit-subscriptions"];
        for limit in limits.into_iter().filter(|limit| !is_said(limit)) {
            command.args([limit, "none"]);
        }
        command.args(flags);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut server =
            Server { child, directory, address: nowhere, direct_tls: nowhere, root: None, log, logged: Vec::new() };
        let plain = server.wait_for_log(|line| line.contains("\"listening\"") && line.contains("\"starttls\""));
        let direct = server.wait_for_log(|line| line.contains("\"listening\"") && line.contains("\"direct-tls\""));
        server.address = address_in(&plain);
        server.direct_tls = address_in(&direct);
        server
    }

    /// Waits for a line of the log that fits, among those already read too.
    pub fn wait_for_log(&mut self, fits: impl Fn(&str) -> bool) -> String {
        if let Some(line) = self.logged.iter().find(|line| fits(line)) {
            return line.clone();
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line) => {
                    self.logged.push(line.clone());
                    if fits(&line) {
                        return line;
                    }
                }
                Err(_) => panic!("the log never said it; it said:\n{}", self.logged.join("\n")),
            }
        }
    }

    pub fn data(&self) -> PathBuf {
        let data = self.directory.path().join("data");
        match &self.root {
            Some(root) => root.join(data.strip_prefix("/").unwrap()),
            None => data,
        }
    }

    /// What `rondel` prints that is asked something about this server, which must succeed.
    #[track_caller]
    pub fn rondel_says(&self, arguments: &[&str]) -> String {
        let output = rondel().args(arguments).arg("--data-dir").arg(self.data()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The development certificate, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.data().join("tls").join("localhost.crt")
    }

    /// Adds a user of `localhost` with the password `secret`.
    pub fn add_user(&self, name: &str) {
        let output = user(&self.data(), &["add", &format!("{name}@localhost"), "--password-stdin"], "secret\n");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// SIGKILL, then starts it again with these flags.
    pub fn kill_and_restart(mut self, flags: &[&str]) -> Server {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Server::start_in(std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap()), flags)
    }

    /// SIGTERM, then waits for the end.
    pub fn terminate(mut self) -> (ExitStatus, tempfile::TempDir) {
        self.signal("-TERM");
        let status = self.child.wait().unwrap();
        (status, std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.logged.extend(self.log.try_iter());
            eprintln!("the server's log:\n{}", self.logged.join("\n"));
        }
    }
}

/// `rondel user …` on a data directory.
pub fn user(data: &Path, arguments: &[&str], input: &str) -> std::process::Output {
    let mut command = rondel();
    command.arg("user").args(arguments).arg("--data-dir").arg(data);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub fn address_in(line: &str) -> SocketAddr {
    let start = line.find("127.0.0.1:").unwrap_or_else(|| panic!("no address in {line}"));
    let rest = &line[start..];
    let end = rest.find('"').unwrap_or(rest.len());
    rest[..end].parse().unwrap()
}

/// A client that speaks raw XML over whatever stream it is given.
pub struct Raw<S: Read + Write = TcpStream> {
    pub stream: S,
    heard: String,
}

pub const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                          xmlns:stream='http://etherx.jabber.org/streams'>";

/// The same to another domain.
pub fn header(domain: &str) -> String {
    HEADER.replace("to='localhost'", &format!("to='{domain}'"))
}

impl Raw<TcpStream> {
    pub fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Raw { stream, heard: String::new() }
    }

    /// Connected, logged in and bound without TLS, with the given resource; not yet available.
    pub fn login(server: &Server, user: &str, resource: &str) -> Raw {
        let mut raw = Raw::connect(server.address);
        raw.log_in(user, resource);
        raw
    }

    /// The same, available.
    pub fn online(server: &Server, user: &str, resource: &str) -> Raw {
        let mut raw = Raw::login(server, user, resource);
        raw.say("<presence/>");
        raw.hear(&format!("from='{user}@localhost/{resource}'"));
        raw
    }
}

impl<S: Read + Write> Raw<S> {
    pub fn over(stream: S) -> Raw<S> {
        Raw { stream, heard: String::new() }
    }

    pub fn say(&mut self, xml: &str) {
        self.stream.write_all(xml.as_bytes()).unwrap();
    }

    /// Reads until `text` has come, and returns everything up to and including it.
    pub fn hear(&mut self, text: &str) -> String {
        self.try_hear(text).unwrap_or_else(|| panic!("expected {text:?}, heard only {:?}", self.heard))
    }

    /// Like `hear`; `None` at the end of the stream.
    pub fn try_hear(&mut self, text: &str) -> Option<String> {
        loop {
            if let Some(at) = self.heard.find(text) {
                let rest = self.heard.split_off(at + text.len());
                return Some(std::mem::replace(&mut self.heard, rest));
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(read @ 1..) => self.heard.push_str(&String::from_utf8_lossy(&buffer[..read])),
                _ => return None,
            }
        }
    }

    /// So many bytes.
    pub fn hear_bytes(&mut self, length: usize) -> String {
        while self.heard.len() < length {
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(read @ 1..) => self.heard.push_str(&String::from_utf8_lossy(&buffer[..read])),
                _ => panic!("expected {length} bytes, heard only {:?}", self.heard),
            }
        }
        let rest = self.heard.split_off(length);
        std::mem::replace(&mut self.heard, rest)
    }

    /// What stands between two texts in what comes next.
    pub fn hear_between(&mut self, before: &str, after: &str) -> String {
        self.hear(before);
        let heard = self.hear(after);
        heard[..heard.len() - after.len()].to_owned()
    }

    /// Everything up to the end of the stream.
    pub fn hear_rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        format!("{}{}", self.heard, String::from_utf8_lossy(&rest))
    }

    pub fn log_in(&mut self, user: &str, resource: &str) {
        self.log_in_at("localhost", user, resource);
    }

    /// The same as a user of another domain.
    pub fn log_in_at(&mut self, domain: &str, user: &str, resource: &str) {
        self.authenticate(&header(domain), user);
        self.say(&header(domain));
        self.hear("</stream:features>");
        self.say(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource>\
             </bind></iq>"
        ));
        self.hear(&format!("<jid>{user}@{domain}/{resource}</jid>"));
        self.hear("</iq>");
    }

    /// From the first header to success.
    pub fn authenticate(&mut self, header: &str, user: &str) {
        self.say(header);
        self.hear("</stream:features>");
        let mut scram = scram::Scram::new(user, None);
        self.say(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{}</auth>",
            scram.first()
        ));
        let challenge = self.hear_between("xmpp-sasl'>", "</challenge>");
        let response = scram.last(&challenge, "secret");
        self.say(&format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{response}</response>"));
        assert!(self.hear("</success>").contains(scram.expected()), "the server does not know the password");
    }

    /// A question to the server and back: whatever was said before has been dealt with.
    pub fn round_trip(&mut self) -> String {
        self.say("<iq type='get' id='round-trip'><ping xmlns='urn:xmpp:ping'/></iq>");
        let mut heard = self.hear("id='round-trip'");
        heard.push_str(&self.hear(">"));
        heard
    }
}

/// The initial response of SASL PLAIN.
pub fn plain(user: &str, password: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"))
}
