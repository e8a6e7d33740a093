//! The open database: what may be swapped for a fresh one when its disk has failed, and closed under its readers.

use crate::archive::retention::{self, Retention};
use crate::archive::tails::{Sealed, Tails};
use crate::archive::{flush, log, query};
use crate::client::Batch;
use crate::group::Verdict;
use crate::read::{Reach, Reader, Stop, execute, value};
use crate::reply::{Failure, Outcome};
use crate::tuning::Tuning;
use crate::{FailureKind, Family, FamilySize, Memory, Operation, Options, Owner, ReadRequest, WriteRequest};
use rocksdb::{BottommostLevelCompaction, ColumnFamily, CompactOptions, DB, WriteBatch, WriteOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

/// From how many bytes on what comes together is a record of its own; less is copied together.
const RECORD_BYTES_OWN: usize = 16 << 10;
/// What a record takes in a batch beside its bytes, at the most.
const RECORD_OVERHEAD: usize = 64;

/// Levels of each family: RocksDB's default.
const LEVELS: usize = 7;

/// One RocksDB, or none once it is closed.
pub(crate) struct Engine {
    // Closing and reopening need the database to themselves; everybody else shares it.
    db: RwLock<Option<DB>>,
    closed: AtomicBool,
    tuning: Tuning,
    tails: Tails,
    path: PathBuf,
    /// Held by whoever has a snapshot.
    pub(crate) snapshots: Mutex<()>,
    /// For tests: the next write gets to the disk, but is said to have failed.
    #[cfg(test)]
    pub(crate) fails_once: AtomicBool,
    /// For tests: while it is held, the thread that makes chunks rests.
    #[cfg(test)]
    pub(crate) flusher: Mutex<()>,
}

impl Engine {
    /// Opens the database, creating it and its families where they are missing.
    pub(crate) fn open(options: &Options) -> Result<Engine, rocksdb::Error> {
        let tuning = Tuning::new(options);
        let db = DB::open_cf_descriptors(&tuning.database(), &options.path, tuning.families())?;
        let tails = Tails::new(options.archive_tail_bytes);
        Ok(Engine {
            db: RwLock::new(Some(db)),
            closed: AtomicBool::new(false),
            tuning,
            tails,
            path: options.path.clone(),
            snapshots: Mutex::default(),
            #[cfg(test)]
            fails_once: AtomicBool::new(false),
            #[cfg(test)]
            flusher: Mutex::default(),
        })
    }

    /// Fetches into memory what is to be known of the archives.
    pub(crate) fn load_archives(&self) -> Result<(), Failure> {
        self.with(|db| self.load(db))
    }

    /// What archives have given up, and what is in their log only.
    fn load(&self, db: &DB) -> Result<(), Failure> {
        self.retention().load(db)?;
        let tails = Tails::new(self.tuning.archive_tail_bytes());
        flush::recover(db, &self.tuning, &tails)?;
        self.tails.take_over(tails);
        Ok(())
    }

    /// The store's directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn retention(&self) -> &Retention {
        self.tuning.retention()
    }

    pub(crate) fn tails(&self) -> &Tails {
        &self.tails
    }

    /// Makes chunks of what has been sealed, if anything. The database is not opened anew meanwhile, so that nothing
    /// that is not logged gets lost with it, and that what is sealed is the same afterwards.
    pub(crate) fn flush_archives(&self) -> Result<(), Failure> {
        self.with(|db| {
            let Some(sealed) = self.tails.sealed() else { return Ok(()) };
            flush::flush(db, &self.tuning, &sealed)?;
            self.tails.released();
            Ok(())
        })
    }

    /// Reads from wherever the data are, waiting while the database is being reopened.
    pub(crate) fn read(&self, request: &ReadRequest) -> Outcome {
        let read = self.with(|db| Ok(execute(self.reader(db, Reach::Disk), request)));
        // Only a read that must not leave memory ends without an outcome.
        read.map_or_else(Outcome::Failed, |outcome| outcome.unwrap_or_else(|| Outcome::Failed(Failure::closed())))
    }

    /// Reads without ever waiting: `None` if memory does not hold the answer, or the database cannot be had just now.
    pub(crate) fn read_memory(&self, request: &ReadRequest) -> Option<Outcome> {
        self.try_with(|db| execute(self.reader(db, Reach::Memory), request)).flatten()
    }

    /// One value, from wherever it is; in `archive` a message, given by `owner 0x00 id`.
    pub(crate) fn value(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.with(|db| match (family, key.split_last_chunk()) {
            (Family::Archive, Some((owner, id))) => {
                let owner = owner.strip_suffix(&[0]).and_then(Owner::decode);
                let Some(owner) = owner else { return Ok(None) };
                let mut reader = self.reader(db, Reach::Disk);
                match query::find(&owner, u64::from_be_bytes(*id), &mut reader) {
                    Ok(value) => Ok(value),
                    Err(Stop::Failed(failure)) => Err(failure),
                    Err(Stop::BeyondReach) => Err(Failure::closed()),
                }
            }
            _ => value(db, family, key),
        })
    }

    fn reader<'d>(&'d self, db: &'d DB, reach: Reach) -> Reader<'d> {
        Reader::new(db, self.retention(), &self.tails, reach)
    }

    /// Compacts all of a family, so that what it holds is what it should hold.
    pub(crate) fn compact(&self, family: Family) -> Result<(), Failure> {
        self.with(|db| {
            let mut options = CompactOptions::default();
            // Otherwise what is at the bottom already would be left as it is.
            options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
            let chunks = (family == Family::Archive).then_some(Family::ArchiveChunks);
            for family in [family].into_iter().chain(chunks) {
                db.compact_range_cf_opt(column(db, family)?, None::<&[u8]>, None::<&[u8]>, &options);
            }
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

    /// Writes the group's admitted requests as one batch and syncs the log. Returns the batch's bytes. `verdicts` are
    /// those of all requests, in their order; what is appended to archives is taken out of the group.
    pub(crate) fn write(&self, group: &mut [Batch], verdicts: &[Verdict]) -> Result<usize, Failure> {
        self.with(|db| {
            let archived = self.archived(group, verdicts);
            let requests = group.iter().flat_map(|batch| &batch.requests).map(|(_, request)| request);
            let admitted = requests.zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Admit);
            let admitted = admitted.map(|(request, _)| request).filter(|request| !request.operations().is_empty());
            let mut admitted: Vec<_> =
                (0u32..).zip(admitted).map(|(number, request)| (place(request), number, request)).collect();
            admitted.sort_unstable_by_key(|(place, number, _)| (*place, *number));
            let bytes: usize = admitted.iter().map(|(.., request)| request.size_bytes()).sum();
            let logged: usize = archived.records.iter().map(|record| record.len() + RECORD_OVERHEAD).sum();
            let mut batch = WriteBatch::with_capacity_bytes(bytes + logged);
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
            let forgotten = columns.get(Family::ArchiveForgotten)?;
            let value = retention::forgotten_at(archived.time);
            archived.forgotten.iter().for_each(|owner| batch.put_cf(forgotten, owner, &value));
            if !archived.records.is_empty() {
                let (generation, first) = self.tails.next_record();
                let family = columns.get(log::family(generation))?;
                for (number, record) in (first..).zip(&archived.records) {
                    batch.put_cf(family, log::key(generation, number), record);
                }
                // Whatever comes of it: no number is used twice.
                self.tails.logged(archived.records.len() as u64);
            }
            let bytes = batch.size_in_bytes();
            let mut options = WriteOptions::default();
            options.set_sync(true);
            let sealed = if archived.forgotten.is_empty() { None } else { self.tails.sealed() };
            {
                // No chunk is written of an archive that is being forgotten.
                let _storing = sealed.as_ref().map(Sealed::storing);
                db.write_opt(batch, &options)?;
                #[cfg(test)]
                if self.fails_once.swap(false, Release) {
                    return Err(Failure::new(FailureKind::Io, "on purpose"));
                }
                for owner in &archived.forgotten {
                    self.retention().forget(owner, archived.time);
                }
                if let Some(sealed) = &sealed {
                    sealed.forgotten().extend(archived.forgotten);
                }
            }
            archived.records.into_iter().for_each(|record| self.tails.add(record));
            // Not before: what is given up must be so after a crash, too.
            floors.into_iter().for_each(|operation| self.retention().written(operation));
            Ok(bytes)
        })
    }

    /// What a group does to archives.
    fn archived(&self, group: &mut [Batch], verdicts: &[Verdict]) -> Archived {
        let mut archived = Archived { records: Vec::new(), forgotten: Vec::new(), time: 0 };
        // What comes of small parts.
        let mut record = Vec::new();
        let mut verdicts = verdicts.iter();
        for batch in group {
            for ((_, request), verdict) in batch.requests.iter().zip(verdicts.by_ref()) {
                if *verdict != Verdict::Admit {
                    continue;
                }
                if forgets_archive(request) {
                    let owner = request.owner().key(b"");
                    log::forget(&mut record, &owner);
                    archived.forgotten.push(owner.into());
                }
                record.extend_from_slice(request.appends().as_record());
            }
            if batch.appends.bytes() < RECORD_BYTES_OWN {
                record.extend_from_slice(batch.appends.as_record());
                continue;
            }
            if !record.is_empty() {
                archived.records.push(std::mem::take(&mut record));
            }
            archived.records.push(batch.appends.take_record());
        }
        if !record.is_empty() {
            archived.records.push(record);
        }
        if !archived.forgotten.is_empty() {
            archived.time = self.retention().time();
        }
        archived
    }

    /// Closes the database and opens it anew: the only way out of an error after which RocksDB refuses all writes. What
    /// has failed may be there all the same, so what memory knows of archives is fetched again.
    pub(crate) fn reopen(&self) -> Result<(), Failure> {
        let mut slot = self.exclusive();
        drop(slot.take());
        let db = DB::open_cf_descriptors(&self.tuning.database(), &self.path, self.tuning.families())?;
        self.load(&db)?;
        *slot = Some(db);
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
        use rocksdb::properties::{CUR_SIZE_ALL_MEM_TABLES, ESTIMATE_TABLE_READERS_MEM};
        let sums = self.try_with(|db| {
            [CUR_SIZE_ALL_MEM_TABLES, ESTIMATE_TABLE_READERS_MEM].map(|name| {
                let of = |family: &Family| db.property_int_value_cf(db.cf_handle(family.name())?, name).ok()?;
                Family::ALL.iter().filter_map(of).sum()
            })
        });
        let [memtables, table_readers] = sums.unwrap_or_default();
        let (block_cache, tails) = (self.tuning.block_cache_bytes_used(), self.tails.bytes() as u64);
        Memory { block_cache, memtables, tails, table_readers }
    }

    /// How much each family holds; nothing while the database is being opened anew.
    pub(crate) fn sizes(&self) -> Vec<FamilySize> {
        use rocksdb::properties::{ESTIMATE_NUM_KEYS, LIVE_SST_FILES_SIZE, PropName, num_files_at_level};
        let sizes = self.try_with(|db| {
            let of = |family: &Family| {
                let column = db.cf_handle(family.name())?;
                let property = |name: &PropName| db.property_int_value_cf(column, name).ok().flatten().unwrap_or(0);
                // What names each file would keep the database locked for as long as that takes.
                let at_level = |level| property(&num_files_at_level(level));
                Some(FamilySize {
                    name: family.name(),
                    bytes: property(LIVE_SST_FILES_SIZE),
                    files: (0..LEVELS).map(at_level).sum(),
                    keys: property(ESTIMATE_NUM_KEYS),
                })
            };
            Family::ALL.iter().filter_map(of).collect()
        });
        sizes.unwrap_or_default()
    }

    // A panic while the lock is held leaves the slot as it was or empty, both of which are states of their own.
    fn shared(&self) -> RwLockReadGuard<'_, Option<DB>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, Option<DB>> {
        self.db.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a group does to archives.
struct Archived {
    /// Records for the log.
    records: Vec<Vec<u8>>,
    /// Whose archives go, as `owner 0x00`, and when.
    forgotten: Vec<Box<[u8]>>,
    time: u64,
}

/// Whether a request removes all of its owner's archive.
fn forgets_archive(request: &WriteRequest) -> bool {
    let all = |from: &[u8], to: &[u8]| from == request.owner().key(b"") && to == request.owner().end();
    request.operations().iter().any(|operation| match operation {
        Operation::DeleteRange(Family::Archive, from, to) => all(from, to),
        _ => false,
    })
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
