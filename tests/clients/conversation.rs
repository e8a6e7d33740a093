//! Juliet uses the client under test, Romeo speaks raw XML, and nobody gets in without TLS.

// Each test needs a part of it.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::tls::{self, TlsStream};
use crate::common::{Raw, Server};
use crate::program::Program;

/// How a client comes to TLS.
#[derive(Clone, Copy)]
pub enum Mode {
    /// It asks for it (RFC 6120 §5).
    Starttls,
    /// From the first byte (XEP-0368).
    Direct,
}

impl Mode {
    pub fn address(self, server: &Server) -> SocketAddr {
        match self {
            Mode::Starttls => server.address,
            Mode::Direct => server.direct_tls,
        }
    }
}

/// A server for two users that insists on TLS.
pub fn server() -> Server {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--dev"]);
    server.add_user("romeo");
    server.add_user("juliet");
    server
}

/// Romeo, available.
pub fn romeo(server: &Server) -> Raw<TlsStream> {
    let mut romeo = tls::direct(server, &rustls::version::TLS13);
    romeo.log_in("romeo", "orchard");
    romeo.say("<presence/>");
    romeo.hear("from='romeo@localhost/orchard'");
    romeo
}

/// Lets a client trust this certificate, in the ways that its library may know.
pub fn trust<'a>(command: &'a mut Command, certificate: &Path) -> &'a mut Command {
    command.env("SSL_CERT_FILE", certificate).env("NODE_EXTRA_CA_CERTS", certificate).env_remove("SSL_CERT_DIR")
}

/// A certificate for `localhost` that is not the server's.
pub fn strangers_certificate(server: &Server) -> PathBuf {
    let path = server.directory.path().join("stranger.crt");
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&path, stranger.cert.pem()).unwrap();
    path
}

/// Converses with a client that says READY once it is online, FAILED with a reason if it cannot be, answers every
/// message with "echo: " and its body, and leaves on "farewell". `client` makes the command that starts it.
pub fn converse(mode: Mode, client: impl Fn(SocketAddr) -> Command) {
    let server = server();
    let start = |certificate: &Path| {
        let mut command = client(mode.address(&server));
        Program::start(trust(command.stdin(Stdio::null()), certificate))
    };
    // Otherwise the rest would not show that the client looks at the certificate.
    let refusal = start(&strangers_certificate(&server)).hear("FAILED");
    assert!(refusal.contains("certificate"), "{refusal}");

    let mut juliet = start(&server.certificate());
    juliet.hear("READY");
    let mut romeo = romeo(&server);
    exchange(&mut romeo);
    romeo.say("<message to='juliet@localhost' type='chat'><body>farewell</body></message>");
    juliet.end_well();
}

/// Says several things at once; the answers come complete and in order.
fn exchange(romeo: &mut Raw<TlsStream>) {
    const LINES: usize = 20;
    let body = |n: usize| format!("line {n}: 1 &lt; 2 &amp; ü ☾</body>");
    for n in 0..LINES {
        romeo.say(&format!("<message to='juliet@localhost' type='chat'><body>{}</message>", body(n)));
    }
    for n in 0..LINES {
        let heard = romeo.hear("</message>");
        assert!(heard.contains(&format!(">echo: {}", body(n))), "{heard}");
        assert!(heard.contains("from='juliet@localhost/"), "{heard}");
    }
}
