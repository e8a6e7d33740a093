//! One row of a compliance suite (XEP-0479), run by people who use slixmpp.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::Server;
use crate::conversation::trust;
use crate::program::Program;

/// Runs the row of this name of a script beside, on a server of its own that insists on TLS.
pub fn slixmpp(script: &str, row: &str) {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--dev", "--shards", "2"]);
    ["romeo", "juliet", "nurse"].iter().for_each(|user| server.add_user(user));
    slixmpp_on(&server, script, row);
}

/// The same on a server that has these people. What they have said.
pub fn slixmpp_on(server: &Server, script: &str, row: &str) -> Vec<String> {
    finish(start(script, row, (server.address, server.direct_tls), &server.certificate()))
}

/// Has people begin with a row on a server that has these addresses, for STARTTLS and for TLS, and this certificate.
pub fn start(script: &str, row: &str, (starttls, direct): (SocketAddr, SocketAddr), certificate: &Path) -> Program {
    let mut command = Command::new(cache().join("clients/bin/python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script)).arg(row);
    command.args(["127.0.0.1", &starttls.port().to_string(), &direct.port().to_string()]);
    Program::start(trust(&mut command, certificate))
}

/// Waits until they are through. What they have said.
pub fn finish(mut people: Program) -> Vec<String> {
    people.hear("DONE");
    people.end_well();
    std::mem::take(&mut people.said)
}

/// Where the clients' libraries are installed, by `.ci/setup tests`.
pub fn cache() -> PathBuf {
    match std::env::var_os("RONDEL_CACHE") {
        Some(cache) => cache.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/rondel"),
    }
}
