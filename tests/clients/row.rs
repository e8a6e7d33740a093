//! One row of a compliance suite (XEP-0479), run by people who use slixmpp.

use std::path::PathBuf;
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
    let mut command = Command::new(cache().join("clients/bin/python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script)).arg(row);
    command.args(["127.0.0.1", &server.address.port().to_string(), &server.direct_tls.port().to_string()]);
    let mut people = Program::start(trust(&mut command, &server.certificate()));
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
