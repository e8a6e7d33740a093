//! A store as it was at one moment: links to its files, in a directory within its own.

use crate::FailureKind;
use crate::engine::Engine;
use crate::reply::Failure;
use rocksdb::checkpoint::Checkpoint;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

/// The directory within the store's.
const NAME: &str = "SNAPSHOT.rondel";

/// A snapshot, until this value is dropped. There is one at a time.
pub(crate) struct Snapshot<'e> {
    path: PathBuf,
    _turn: MutexGuard<'e, ()>,
}

impl Engine {
    /// Makes a snapshot of what has been written so far.
    pub(crate) fn snapshot(&self) -> Result<Snapshot<'_>, Failure> {
        let turn = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path().join(NAME);
        remove(&path)?;
        let snapshot = Snapshot { path, _turn: turn };
        self.link(&snapshot.path)?;
        Ok(snapshot)
    }

    /// Links all files to another directory, which must not be there. What is in memory only is written to files first.
    pub(crate) fn link(&self, to: &Path) -> Result<(), Failure> {
        self.with(|db| Ok(Checkpoint::new(db)?.create_checkpoint(to)?))
    }
}

/// Removes what a crash has left behind.
pub(crate) fn remove_remains(store: &Path) -> Result<(), Failure> {
    remove(&store.join(NAME))?;
    // RocksDB makes a snapshot under this name, and renames it.
    remove(&store.join(format!("{NAME}.tmp")))
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::new(FailureKind::Io, format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

impl Snapshot<'_> {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if let Err(failure) = remove(&self.path) {
            tracing::warn!(target: "storage", %failure, "a snapshot is left behind");
        }
    }
}
