//! The data directory: made private, recognised, and locked against a second process.

use crate::open::OpenError;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file whose lock means "in use" and whose content is the user's process id. RocksDB has a lock of its own, but
/// it neither names the process nor exists before the database does.
const LOCK_FILE: &str = "LOCK.rondel";
/// RocksDB's pointer to its manifest: present in every database, absent everywhere else.
const ROCKSDB_MARK: &str = "CURRENT";
/// Written and removed again to see whether the directory takes files.
const PROBE_FILE: &str = "PROBE.rondel";
/// As much as a new log and manifest need at the least.
const PROBE_BYTES: usize = 256 << 10;

/// A data directory that this process alone uses, until this value is dropped.
pub(crate) struct Directory {
    path: PathBuf,
    // Held for its lock, which ends with it (also when the process is killed).
    _lock: File,
}

/// Whether a file can be created, filled and synced in `directory`: whether a full or failed disk works again.
pub(crate) fn takes_files(directory: &Path) -> bool {
    let path = directory.join(PROBE_FILE);
    let probe = || -> io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(&vec![0; PROBE_BYTES])?;
        file.sync_data()
    };
    let taken = probe();
    let removed = fs::remove_file(&path);
    taken.is_ok() && removed.is_ok()
}

impl Directory {
    /// Makes the directory if allowed, makes sure that it is ours, and locks it.
    pub(crate) fn claim(path: &Path, create: bool) -> Result<Directory, OpenError> {
        match occupancy(path).map_err(|error| OpenError::io(path, &error))? {
            Occupancy::Missing | Occupancy::Empty if !create => return Err(OpenError::Missing(path.into())),
            Occupancy::Foreign => return Err(OpenError::NotRondel(path.into())),
            // Accounts are in there: nobody but the server's user may look.
            Occupancy::Missing => {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
                made.map_err(|error| OpenError::io(path, &error))?;
            }
            Occupancy::Empty | Occupancy::Ours => {}
        }
        let lock = lock(path)?;
        Ok(Directory { path: path.into(), _lock: lock })
    }

    /// Whether the directory holds a database already.
    pub(crate) fn holds_database(&self) -> bool {
        self.path.join(ROCKSDB_MARK).exists()
    }
}

enum Occupancy {
    Missing,
    Empty,
    Ours,
    Foreign,
}

fn occupancy(path: &Path) -> io::Result<Occupancy> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Occupancy::Missing),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Occupancy::Foreign),
        Err(error) => return Err(error),
    };
    let mut empty = true;
    for entry in entries {
        let name = entry?.file_name();
        if name == LOCK_FILE {
            return Ok(Occupancy::Ours);
        }
        // A freshly made file system of its own is an empty directory.
        empty &= name == "lost+found";
    }
    Ok(if empty { Occupancy::Empty } else { Occupancy::Foreign })
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK_FILE));
    let mut file = opened.map_err(|error| OpenError::io(path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            return Err(OpenError::InUse { path: path.into(), pid: read.ok().and_then(|_| text.trim().parse().ok()) });
        }
        Err(TryLockError::Error(error)) => return Err(OpenError::io(path, &error)),
    }
    let pid = std::process::id();
    // The number is a help for the next one who wants the lock. On a full disk it may be missing.
    let noted = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{pid}"));
    if let Err(error) = noted {
        tracing::debug!(target: "storage", %error, "the lock file does not take the process id");
    }
    Ok(file)
}
