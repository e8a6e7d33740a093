//! Servers with rules that stanzas have to pass, and people whose home is known. Only for tests that ask the server's
//! own code for homes: it is no part of what all tests have in common.

use std::path::PathBuf;

use rondel::home::home;

use crate::common::Server;

/// A script in a file, and a directory for it.
pub struct Script {
    pub directory: tempfile::TempDir,
}

impl Script {
    pub fn new(text: &str) -> Script {
        let script = Script { directory: tempfile::tempdir().unwrap() };
        script.write(text);
        script
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("rules.pfw")
    }

    /// The script is another one from now on.
    pub fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    /// A server with it.
    pub fn server(&self, flags: &[&str]) -> Server {
        let path = self.path();
        Server::start(&[&["--firewall", path.to_str().unwrap()], flags].concat())
    }
}

/// A name that begins so, of somebody at home on this shard of two.
pub fn at_home(name: &str, shard: usize) -> String {
    let mut names = (0..).map(|number| format!("{name}{number}"));
    names.find(|name| home(&format!("{name}@localhost"), 2) == shard).unwrap()
}
