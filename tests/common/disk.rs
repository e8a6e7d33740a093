//! Disks with faults, for a server to have its data on.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Server, rondel};

/// A small file system in memory, which only those see who are in its namespace.
pub struct SmallDisk {
    /// Keeps the namespace.
    keeper: Child,
    directory: PathBuf,
}

impl SmallDisk {
    /// Mounts one on a directory. None where nobody may do so.
    pub fn mount(directory: &Path, size: &str) -> Option<SmallDisk> {
        let mut command = Command::new("unshare");
        command.args([
            "-rm",
            "sh",
            "-c",
            "mount -t tmpfs -o size=$2 tmpfs \"$1\" && echo mounted && exec sleep 100000",
        ]);
        command.arg("sh").arg(directory).arg(size).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut keeper = command.spawn().ok()?;
        let mut said = [0; 7];
        let is_mounted = std::io::Read::read_exact(keeper.stdout.as_mut()?, &mut said).is_ok();
        let disk = SmallDisk { keeper, directory: directory.to_owned() };
        is_mounted.then_some(disk)
    }

    /// Where all others see what is on it.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.keeper.id()))
    }

    /// The server's binary, run by somebody who sees the disk.
    pub fn rondel(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-U", "-m", "--preserve-credentials", "-t", &self.keeper.id().to_string()]);
        command.arg(rondel().get_program());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RONDEL_")) {
            command.env_remove(name);
        }
        command
    }

    fn ballast(&self) -> PathBuf {
        let directory = self.directory.strip_prefix("/").unwrap();
        self.root().join(directory).join("ballast")
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let mut ballast = File::options().append(true).create(true).open(self.ballast()).unwrap();
        for size in [1 << 20, 4096, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Takes away what it was filled with.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A disk on which waiting for data to be written does what the test wants.
pub struct FaultyDisk {
    directory: tempfile::TempDir,
}

impl FaultyDisk {
    pub fn new() -> FaultyDisk {
        let directory = tempfile::tempdir().unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/faulty_disk.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(directory.path().join("disk.so")).args([source, "-ldl"]);
        assert!(compiler.status().unwrap().success());
        FaultyDisk { directory }
    }

    /// The server's binary, which has its data on it.
    pub fn rondel(&self) -> Command {
        let mut command = rondel();
        command.env("LD_PRELOAD", self.directory.path().join("disk.so"));
        command.env("FAULTY_DISK", self.directory.path().join("fault"));
        command
    }

    /// From now on writes `hold`, `fail`, find the disk `full`, or go well (an empty word).
    pub fn becomes(&self, word: &str) {
        let (new, fault) = (self.directory.path().join("new"), self.directory.path().join("fault"));
        std::fs::write(&new, word).unwrap();
        std::fs::rename(new, fault).unwrap();
    }
}

/// A server with these flags on a disk, run by that command; others see its directory below `root`.
pub fn server_on(command: Command, root: Option<PathBuf>, directory: tempfile::TempDir, flags: &[&str]) -> Server {
    let mut server = Server::start_by(command, directory, &[&["--dev", "--insecure-plaintext"], flags].concat());
    server.root = root;
    server
}
