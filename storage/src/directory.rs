//! The data directory: made private, recognised, and locked against a second process.

use crate::open::OpenError;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file whose lock means that the store in a directory is in use, and whose content is the user's process id.
/// RocksDB has a lock of its own, but it neither names the process nor exists before the database does.
pub(crate) const STORE: &str = "LOCK.rondel";
/// The same of a directory of backups.
pub(crate) const BACKUPS: &str = "LOCK.backups";
/// What a freshly made file system has in it.
const LOST_AND_FOUND: &str = "lost+found";
/// RocksDB's pointer to its manifest: present in every database, absent everywhere else.
const ROCKSDB_MARK: &str = "CURRENT";
/// Written and removed again to see whether the directory takes files.
const PROBE_FILE: &str = "PROBE.rondel";
/// As much as a new log and manifest need at the least.
const PROBE_BYTES: usize = 256 << 10;

/// A directory that this process alone uses, until this value is dropped.
pub(crate) struct Directory {
    path: PathBuf,
    lock_file: &'static str,
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
    /// Makes the directory if allowed, makes sure that it is ours, and locks it, by the file that says what it is for.
    pub(crate) fn claim(path: &Path, create: bool, lock_file: &'static str) -> Result<Directory, OpenError> {
        match occupancy(path, lock_file).map_err(|error| OpenError::io(path, &error))? {
            Occupancy::Missing | Occupancy::Empty if !create => return Err(OpenError::Missing(path.into())),
            Occupancy::Foreign => return Err(OpenError::NotRondel(path.into())),
            // Accounts are in there: nobody but the server's user may look.
            Occupancy::Missing => {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
                made.map_err(|error| OpenError::io(path, &error))?;
            }
            Occupancy::Empty | Occupancy::Ours => {}
        }
        let lock = lock(path, lock_file)?;
        Ok(Directory { path: path.into(), lock_file, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes all that is in it.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            match entry.file_name() {
                name if name == self.lock_file || name == LOST_AND_FOUND => {}
                _ if entry.file_type()?.is_dir() => fs::remove_dir_all(entry.path())?,
                _ => fs::remove_file(entry.path())?,
            }
        }
        Ok(())
    }

    /// Moves a database here from a directory within, which goes. Until the last step there is none.
    pub(crate) fn take_in(&self, part: &Path) -> io::Result<()> {
        // All of them first: what is moved meanwhile may have others passed over.
        let entries: Vec<_> = fs::read_dir(part)?.collect::<io::Result<_>>()?;
        for entry in entries {
            if entry.file_name() != ROCKSDB_MARK {
                fs::rename(entry.path(), self.path.join(entry.file_name()))?;
            }
        }
        sync(&self.path)?;
        fs::rename(part.join(ROCKSDB_MARK), self.path.join(ROCKSDB_MARK))?;
        fs::remove_dir(part)?;
        sync(&self.path)
    }

    /// Whether the directory holds a database already.
    pub(crate) fn holds_database(&self) -> bool {
        self.path.join(ROCKSDB_MARK).exists()
    }
}

/// Puts on disk which files there are in a directory.
pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Whether there is nothing in a directory but what says whom it belongs to.
pub(crate) fn is_unused(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name != STORE && name != BACKUPS && name != LOST_AND_FOUND {
            return Ok(false);
        }
    }
    Ok(true)
}

enum Occupancy {
    Missing,
    Empty,
    Ours,
    Foreign,
}

fn occupancy(path: &Path, lock_file: &str) -> io::Result<Occupancy> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Occupancy::Missing),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Occupancy::Foreign),
        Err(error) => return Err(error),
    };
    let mut empty = true;
    for entry in entries {
        let name = entry?.file_name();
        if name == lock_file {
            return Ok(Occupancy::Ours);
        }
        // A freshly made file system of its own is an empty directory.
        empty &= name == LOST_AND_FOUND;
    }
    Ok(if empty { Occupancy::Empty } else { Occupancy::Foreign })
}

fn lock(path: &Path, lock_file: &str) -> Result<File, OpenError> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path.join(lock_file));
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
