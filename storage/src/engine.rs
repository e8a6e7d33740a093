//! The open database: what may be swapped for a fresh one when its disk has failed, and closed under its readers.

use crate::archive::Appends;
use crate::archive::retention::Retention;
use crate::group::Verdict;
use crate::read::{Reach, execute};
use crate::reply::{Failure, Outcome};
use crate::tuning::Tuning;
use crate::{FailureKind, Family, Memory, Operation, Options, ReadRequest, WriteRequest};
use rocksdb::{BottommostLevelCompaction, ColumnFamily, CompactOptions, DB, WriteBatch, WriteOptions};
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

    /// Fetches into memory what reads need to know of the archives.
    pub(crate) fn load_floors(&self) -> Result<(), Failure> {
        self.with(|db| self.retention().load(db))
    }

    fn retention(&self) -> &Retention {
        self.tuning.retention()
    }

    /// Reads from wherever the data are, waiting while the database is being reopened.
    pub(crate) fn read(&self, request: &ReadRequest) -> Outcome {
        let read = self.with(|db| Ok(execute(db, self.retention(), request, Reach::Disk)));
        // Only a read that must not leave memory ends without an outcome.
        read.map_or_else(Outcome::Failed, |outcome| outcome.unwrap_or_else(|| Outcome::Failed(Failure::closed())))
    }

    /// Reads without ever waiting: `None` if memory does not hold the answer, or the database cannot be had just now.
    pub(crate) fn read_memory(&self, request: &ReadRequest) -> Option<Outcome> {
        self.try_with(|db| execute(db, self.retention(), request, Reach::Memory)).flatten()
    }

    /// Compacts all of a family, so that what it holds is what it should hold.
    pub(crate) fn compact(&self, family: Family) -> Result<(), Failure> {
        self.with(|db| {
            let mut options = CompactOptions::default();
            // Otherwise what is at the bottom already would be left as it is.
            options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
            db.compact_range_cf_opt(column(db, family)?, None::<&[u8]>, None::<&[u8]>, &options);
            Ok(())
        })
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

    /// Writes the admitted requests, and what is to be archived, as one batch and syncs the log. Returns the batch's
    /// bytes.
    pub(crate) fn write<'g>(
        &self,
        members: impl Iterator<Item = (&'g WriteRequest, &'g Verdict)>,
        appends: impl Iterator<Item = &'g Appends> + Clone,
    ) -> Result<usize, Failure> {
        self.with(|db| {
            let admitted = members.filter(|(_, verdict)| **verdict == Verdict::Admit).map(|(request, _)| request);
            let mut admitted: Vec<_> =
                (0u32..).zip(admitted).map(|(number, request)| (place(request), number, request)).collect();
            admitted.sort_unstable_by_key(|(place, number, _)| (*place, *number));
            let bytes: usize = admitted.iter().map(|(.., request)| request.size_bytes()).sum();
            let bytes = bytes + appends.clone().map(Appends::size_bytes).sum::<usize>();
            let mut batch = WriteBatch::with_capacity_bytes(bytes);
            let mut columns = Columns::of(db);
            let mut floors = Vec::new();
            for (.., request) in admitted {
                for operation in request.operations() {
                    let family = operation.family();
                    let column = columns.get(family)?;
                    match operation {
                        Operation::Put(_, key, value) => batch.put_cf(column, key, value),
                        Operation::Delete(_, key) => batch.delete_cf(column, key),
                        Operation::DeleteRange(_, from, to) => batch.delete_range_cf(column, from, to),
                    }
                    if family == Family::ArchiveFloors {
                        floors.push(operation);
                    }
                }
            }
            for appends in appends {
                appends.each(|family, key, value| {
                    batch.put_cf(columns.get(family)?, key, value);
                    Ok::<_, Failure>(())
                })?;
            }
            let bytes = batch.size_in_bytes();
            let mut options = WriteOptions::default();
            options.set_sync(true);
            db.write_opt(batch, &options)?;
            // Not before: what is given up must be so after a crash, too.
            floors.into_iter().for_each(|operation| self.retention().written(operation));
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

/// Roughly where the keys of a request are among those of others: the beginning of its owner's name.
///
/// Going through a memtable in the order of its keys finds the way to each of them in the processor's caches, which
/// halves the time of the whole write. Requests of one owner have one place and keep their order; those of different
/// owners have no key in common.
fn place(request: &WriteRequest) -> u128 {
    let mut start = [0; size_of::<u128>()];
    for (byte, letter) in start.iter_mut().zip(request.owner().local().bytes()) {
        *byte = letter;
    }
    u128::from_be_bytes(start)
}

/// The families' handles, each looked up once.
struct Columns<'d> {
    db: &'d DB,
    found: [Option<&'d ColumnFamily>; Family::ALL.len()],
}

impl<'d> Columns<'d> {
    fn of(db: &'d DB) -> Columns<'d> {
        Columns { db, found: [None; Family::ALL.len()] }
    }

    fn get(&mut self, family: Family) -> Result<&'d ColumnFamily, Failure> {
        let slot = &mut self.found[family as usize];
        if slot.is_none() {
            *slot = Some(column(self.db, family)?);
        }
        slot.map_or_else(|| column(self.db, family), Ok)
    }
}

/// The family's handle. It exists in every database that [`Engine::open`] returns.
pub(crate) fn column(db: &DB, family: Family) -> Result<&ColumnFamily, Failure> {
    let missing = || Failure::new(FailureKind::Corrupt, format!("column family {} is missing", family.name()));
    db.cf_handle(family.name()).ok_or_else(missing)
}
