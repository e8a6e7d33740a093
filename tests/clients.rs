//! Clients that others wrote log in, over STARTTLS and direct TLS, and exchange messages.

mod common;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use common::{Raw, Server};

/// Where the clients' libraries are installed, by `.ci/setup tests`.
fn cache() -> PathBuf {
    match std::env::var_os("RONDEL_CACHE") {
        Some(cache) => cache.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/rondel"),
    }
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an echoing client and waits until it is online.
fn start(mut command: Command, server: &Server, mode: &str) -> Ended {
    let address: SocketAddr = if mode == "direct" { server.direct_tls } else { server.address };
    command.args(["juliet@localhost", "secret", "localhost", &address.port().to_string(), mode]);
    command.arg(server.certificate()).env("NODE_EXTRA_CA_CERTS", server.certificate());
    let mut child = Ended(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let first = lines.next().expect("the client ended").unwrap();
    assert_eq!(first, "READY");
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("client: {line}")));
    child
}

fn converse(command: impl Fn() -> Command) {
    for mode in ["starttls", "direct"] {
        let server = Server::start(&[]);
        server.add_user("romeo");
        server.add_user("juliet");
        let _client = start(command(), &server, mode);
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        for n in 0..20 {
            romeo.say(&format!("<message to='juliet@localhost' type='chat'><body>line {n} &lt;ü></body></message>"));
            let heard = romeo.hear("</message>");
            assert!(heard.contains(&format!("echo: line {n} &lt;ü")), "{heard}");
            assert!(heard.contains("from='juliet@localhost/") || heard.contains("from=\"juliet@localhost/"), "{heard}");
        }
    }
}

#[test]
fn slixmpp() {
    converse(|| {
        let mut command = Command::new(cache().join("clients/bin/python"));
        command.arg(script("echo_slixmpp.py"));
        command
    });
}

#[test]
fn xmpp_js() {
    converse(|| {
        let mut command = Command::new("node");
        command.arg(script("echo_xmppjs.mjs")).env("CLIENT_MODULES", cache().join("clients-js"));
        command
    });
}

#[test]
fn go_sendxmpp() {
    for mode in ["starttls", "direct"] {
        let server = Server::start(&[]);
        server.add_user("romeo");
        server.add_user("juliet");
        let address = if mode == "direct" { server.direct_tls } else { server.address };
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        let mut command = Command::new("go-sendxmpp");
        command.args(["-u", "juliet@localhost", "-p", "secret", "-j", &format!("localhost:{}", address.port())]);
        command.env("SSL_CERT_FILE", server.certificate()).env("HOME", server.directory.path());
        if mode == "direct" {
            command.arg("-t");
        }
        let mut child = command.arg("romeo@localhost").stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"wherefore art thou\n").unwrap();
        let heard = romeo.hear("</message>");
        assert!(heard.contains("wherefore art thou"), "{heard}");
        assert!(child.wait().unwrap().success());
    }
}
