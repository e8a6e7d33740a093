//! The open database: what may be swapped for a fresh one when its disk has failed, and closed under its readers.

use crate::group::Verdict;
use crate::reply::Failure;
use crate::tuning::Tuning;
use crate::{FailureKind, Family, Memory, Operation, Options, WriteRequest};
use rocksdb::{ColumnFamily, DB, WriteBatch, WriteOptions};
use std::path::PathBuf;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

/// One RocksDB, or none once it is closed.
pub(crate) struct Engine {
    // Closing and reopening need the database to themselves; everybody else shares it.
    db: RwLock<Option<DB>>,
    closed: AtomicBool,
    tuning: Tuning,
    path: PathBuf,
}

impl Engine {
    /// Opens the database, creating it and its families where they are missing.
    pub(crate) fn open(options: &Options) -> Result<Engine, rocksdb::Error> {
        let tuning = Tuning::new(options);
        let db = DB::open_cf_descriptors(&tuning.database(), &options.path, tuning.families())?;
        Ok(Engine { db: RwLock::new(Some(db)), closed: AtomicBool::new(false), tuning, path: options.path.clone() })
    }

    /// Lends the database, waiting while it is being reopened.
    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&DB) -> Result<R, Failure>) -> Result<R, Failure> {
        use_it(self.shared().as_ref().ok_or_else(|| self.absence())?)
    }

    fn absence(&self) -> Failure {
        if self.closed.load(Acquire) {
            return Failure::closed();
        }
        Failure::new(FailureKind::Io, "the database could not be opened anew after a failed write")
    }

    /// Lends the database without ever waiting: `None` while it is being reopened or is closed.
    pub(crate) fn try_with<R>(&self, use_it: impl FnOnce(&DB) -> R) -> Option<R> {
        let guard = match self.db.try_read() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        guard.as_ref().map(use_it)
    }

    /// Writes the admitted requests as one batch and syncs the log. Returns the batch's bytes.
    pub(crate) fn write<'g>(
        &self,
        members: impl Iterator<Item = (&'g WriteRequest, &'g Verdict)>,
    ) -> Result<usize, Failure> {
        self.with(|db| {
            let mut batch = WriteBatch::default();
            for (request, _) in members.filter(|(_, verdict)| **verdict == Verdict::Admit) {
                for operation in request.operations() {
                    match operation {
                        Operation::Put(family, key, value) => batch.put_cf(column(db, *family)?, key, value),
                        Operation::Delete(family, key) => batch.delete_cf(column(db, *family)?, key),
                        Operation::DeleteRange(family, from, to) => {
                            batch.delete_range_cf(column(db, *family)?, from, to);
                        }
                    }
                }
            }
            let bytes = batch.size_in_bytes();
            let mut options = WriteOptions::default();
            options.set_sync(true);
            db.write_opt(batch, &options)?;
            Ok(bytes)
        })
    }

    /// Closes the database and opens it anew: the only way out of an error after which RocksDB refuses all writes.
    pub(crate) fn reopen(&self) -> Result<(), Failure> {
        let mut slot = self.exclusive();
        drop(slot.take());
        *slot = Some(DB::open_cf_descriptors(&self.tuning.database(), &self.path, self.tuning.families())?);
        Ok(())
    }

    /// Syncs the log and closes the database, after all who use it just now are done.
    pub(crate) fn close(&self) -> Result<(), Failure> {
        self.closed.store(true, Release);
        let Some(db) = self.exclusive().take() else { return Ok(()) };
        let synced = db.flush_wal(true);
        drop(db);
        Ok(synced?)
    }

    pub(crate) fn memory(&self) -> Memory {
        let memtables = self.try_with(|db| {
            let of = |family: &Family| {
                let column = db.cf_handle(family.name())?;
                db.property_int_value_cf(column, rocksdb::properties::CUR_SIZE_ALL_MEM_TABLES).ok()?
            };
            Family::ALL.iter().filter_map(of).sum()
        });
        Memory { block_cache: self.tuning.block_cache_bytes_used(), memtables: memtables.unwrap_or(0) }
    }

    // A panic while the lock is held leaves the slot as it was or empty, both of which are states of their own.
    fn shared(&self) -> RwLockReadGuard<'_, Option<DB>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, Option<DB>> {
        self.db.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The family's handle. It exists in every database that [`Engine::open`] returns.
pub(crate) fn column(db: &DB, family: Family) -> Result<&ColumnFamily, Failure> {
    let missing = || Failure::new(FailureKind::Corrupt, format!("column family {} is missing", family.name()));
    db.cf_handle(family.name()).ok_or_else(missing)
}
