//! Backups: copies of the whole store in a directory of their own. What two of them have in common is there once, so
//! that the next one costs what has changed since.
//!
//! The directory is one of RocksDB's backup engine, which counts references, removes and restores. That one process at
//! a time does so, that the directory is one of backups, and that a restored store is whole or not there at all, is
//! seen to here; and files are [copied](copy) here, as the engine would have those who chat wait for it. What lives
//! here: whatever knows the layout of that directory. What may not: when backups are made, and who wants them.
//!
//! A backup is made of a [snapshot](snapshot::Snapshot) within the store's own directory, whose files are links to
//! those of the store. The store is asked for no more than that, and can be opened anew, or fail, meanwhile.

pub(crate) mod before;
mod copy;
mod listing;
mod making;
pub(crate) mod snapshot;

use crate::Store;
use crate::directory::{BACKUPS, Directory, STORE, is_unused};
use crate::open::OpenError;
use crate::reply::{Failure, one_line};
pub use copy::Copying;
use listing::Listing;
use rocksdb::Env;
use rocksdb::backup::{BackupEngine, BackupEngineInfo, BackupEngineOptions, RestoreOptions};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory within a store's in which a backup is restored before it becomes the store.
pub(crate) const RESTORING: &str = "RESTORE.rondel";

/// A backup.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backup {
    /// Its number; a later one has a higher one.
    pub id: u32,
    /// When it was made, in seconds since 1970.
    pub made_s: u64,
    /// Bytes that restoring it writes. What it shares with others is counted as its own.
    pub bytes: u64,
    /// Files that restoring it writes.
    pub files: u32,
}

/// What [`Backups::verify`] has read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Verified {
    /// Files.
    pub files: u32,
    /// Bytes in them.
    pub bytes: u64,
}

/// Why something could not be done with backups. Each is one line for the operator.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is no such directory, or it is empty.
    #[error("{}: there are no backups here; make one first, or give the right directory", .0.display())]
    Missing(PathBuf),
    /// The directory holds something else.
    #[error("{}: holds something else than backups; give an empty or new directory", .0.display())]
    NotBackups(PathBuf),
    /// Another process works on the backups.
    #[error("{path}: in use by {user}; try again when it is done", path = .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who.
        user: String,
    },
    /// There is no backup of this number.
    #[error("{path}: there is no backup {id}", path = .path.display())]
    Unknown {
        /// The directory.
        path: PathBuf,
        /// The number.
        id: u32,
    },
    /// A backup is not what was written.
    #[error("{path}: backup {id} is damaged: {text}", path = .path.display())]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// The number.
        id: u32,
        /// Which file, and what is wrong with it.
        text: String,
    },
    /// There is something where a backup is to be restored.
    #[error("{}: is not empty; a backup is restored into an empty or new directory", .0.display())]
    NotEmpty(PathBuf),
    /// There is no room for what is to be restored.
    #[error("{path}: has {free} bytes free; the backup has {needed}", path = .path.display())]
    NoRoom {
        /// The directory.
        path: PathBuf,
        /// Bytes that there are.
        free: u64,
        /// Bytes that there should be.
        needed: u64,
    },
    /// The store could not be read.
    #[error("the store cannot be backed up: {0}")]
    Store(#[from] Failure),
    /// Whatever the disk or the operating system reports.
    #[error("{path}: {text}", path = .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        text: String,
    },
}

impl BackupError {
    fn io(path: &Path, error: &io::Error) -> BackupError {
        BackupError::Io { path: path.into(), text: one_line(&error.to_string()) }
    }

    fn rocksdb(path: &Path, error: rocksdb::Error) -> BackupError {
        BackupError::Io { path: path.into(), text: one_line(&error.into_string()) }
    }

    fn claim(error: OpenError) -> BackupError {
        match error {
            OpenError::InUse { path, pid } => {
                let user = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                BackupError::InUse { path, user }
            }
            OpenError::Missing(path) => BackupError::Missing(path),
            OpenError::NotRondel(path) => BackupError::NotBackups(path),
            OpenError::Permission(path) => BackupError::Io { path, text: "permission denied".to_owned() },
            OpenError::Io { path, text } => BackupError::Io { path, text },
            other => BackupError::Io { path: PathBuf::new(), text: other.to_string() },
        }
    }
}

/// A directory of backups, which this process alone works on until this value is dropped.
pub struct Backups {
    // Closed before the lock is given up.
    engine: BackupEngine,
    directory: Directory,
}

impl Backups {
    /// Opens the directory, and makes it if it may.
    ///
    /// # Errors
    /// It is none of backups, is missing, or somebody else works on it.
    pub fn open(path: &Path, create: bool) -> Result<Backups, BackupError> {
        let directory = Directory::claim(path, create, BACKUPS).map_err(BackupError::claim)?;
        Ok(Backups { engine: engine(path)?, directory })
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The backups, the oldest first.
    pub fn list(&self) -> Vec<Backup> {
        let mut backups: Vec<Backup> = self.engine.get_backup_info().iter().map(Backup::of).collect();
        backups.sort_by_key(|backup| backup.id);
        backups
    }

    /// The numbers of what once was a backup, and cannot be restored any more because something of it is missing.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn damaged(&self) -> Result<Vec<u32>, BackupError> {
        let known: Vec<u32> = self.list().iter().map(|backup| backup.id).collect();
        let mut all = listing::all(self.path()).map_err(|error| BackupError::io(self.path(), &error))?;
        all.retain(|id| !known.contains(id));
        Ok(all)
    }

    /// Reads all of a backup and compares it with the checksums that were taken when it was made.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] names the first file that is not what it was.
    pub fn verify(&self, id: u32) -> Result<Verified, BackupError> {
        let listing = match Listing::read(self.path(), id) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.unknown(id)),
            Err(error) => return Err(self.is_damaged(id, error.to_string())),
        };
        let mut verified = Verified::default();
        for file in listing.files() {
            verified.bytes += file.verify(self.path()).map_err(|text| self.is_damaged(id, text))?;
            verified.files += 1;
        }
        Ok(verified)
    }

    /// Removes all but the newest ones, of which it keeps at least one. Answers which have gone.
    ///
    /// # Errors
    /// Some could not be removed.
    pub fn prune(&mut self, keep: usize) -> Result<Vec<Backup>, BackupError> {
        let before = self.list();
        let pruned = self.engine.purge_old_backups(keep.max(1));
        pruned.map_err(|error| BackupError::rocksdb(self.directory.path(), error))?;
        let after = self.list();
        Ok(before.into_iter().filter(|backup| !after.contains(backup)).collect())
    }

    /// Makes a store of a backup, in an empty or new directory. While it is written its checksums are looked at.
    ///
    /// # Errors
    /// Nothing but what can be restored over is in the directory then.
    pub fn restore(&mut self, id: u32, to: &Path) -> Result<Backup, BackupError> {
        let backup = self.list().into_iter().find(|backup| backup.id == id);
        let Some(backup) = backup else {
            // It may be one of those that are none any more.
            self.verify(id)?;
            return Err(self.unknown(id));
        };
        let fail = |error: io::Error| BackupError::io(to, &error);
        let store = Directory::claim(to, true, STORE).map_err(|error| match error {
            OpenError::NotRondel(path) => BackupError::NotEmpty(path),
            other => BackupError::claim(other),
        })?;
        let part = to.join(RESTORING);
        if part.exists() {
            // One that was not finished. Whatever there is has come from it.
            store.clear().map_err(fail)?;
        } else if !is_unused(to).map_err(fail)? {
            return Err(BackupError::NotEmpty(to.into()));
        }
        let room = rustix::fs::statvfs(to).map_err(|error| fail(error.into()))?;
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        if free < backup.bytes {
            return Err(BackupError::NoRoom { path: to.into(), free, needed: backup.bytes });
        }
        fs::create_dir(&part).map_err(fail)?;
        let options = RestoreOptions::default();
        if let Err(error) = self.engine.restore_from_backup(&part, &part, &options, id) {
            // What it has not come to yet it would still write. It ends with that.
            self.engine = engine(self.directory.path())?;
            return Err(match error.kind() {
                rocksdb::ErrorKind::Corruption => self.is_damaged(id, one_line(&error.into_string())),
                _ => BackupError::rocksdb(to, error),
            });
        }
        store.take_in(&part).map_err(fail)?;
        Ok(backup)
    }

    fn unknown(&self, id: u32) -> BackupError {
        BackupError::Unknown { path: self.path().into(), id }
    }

    fn is_damaged(&self, id: u32, text: String) -> BackupError {
        BackupError::Damaged { path: self.path().into(), id, text }
    }
}

fn engine(path: &Path) -> Result<BackupEngine, BackupError> {
    let fail = |error| BackupError::rocksdb(path, error);
    let options = BackupEngineOptions::new(path).map_err(fail)?;
    let env = Env::new().map_err(fail)?;
    BackupEngine::open(&options, &env).map_err(fail)
}

impl Backup {
    fn of(info: &BackupEngineInfo) -> Backup {
        let made_s = u64::try_from(info.timestamp).unwrap_or_default();
        Backup { id: info.backup_id, made_s, bytes: info.size, files: info.num_files }
    }
}

impl Store {
    /// Makes a backup of all that is stored at this moment. May take long; what is read and written meanwhile goes its
    /// usual way.
    ///
    /// # Errors
    /// There is no further backup then, and those that were there are as before.
    pub fn back_up(&self, backups: &mut Backups, copying: &Copying) -> Result<Backup, BackupError> {
        // What is in the log of archives only would be copied each time.
        self.flush_archives()?;
        let snapshot = self.shared.engine.snapshot()?;
        backups.add(&snapshot, copying)
    }
}

#[cfg(test)]
mod tests;
