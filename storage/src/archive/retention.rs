//! What an archive gives up: by age for all of them, by size for one that has grown too large.
//!
//! Nothing is searched for what has to go. Every owner has a **floor**, the id below which its archive has gone: the
//! time of the retention, or a floor of its own that was set when the archive was too large. Reads begin at the floor,
//! so what is below it is gone for everybody at once; compactions drop it from both families when they come to it,
//! and RocksDB sees to it that they come to every file now and then.
//!
//! Floors of their own are kept in the family `archive_floors` and all of them in memory, where compactions and reads
//! look them up. Only an archive that has reached the limit has one, so for each of these few dozen bytes the disk
//! holds an archive of the full size. Range deletes would do as well for `archive`, though they burden every read
//! nearby until they have been compacted; in the index, which is ordered by contact, there is no range to delete.
//!
//! What goes is a whole chunk, once its last message is below the floor; no chunk has more than a day of an archive.
//!
//! An archive that goes with its account has none of its chunks left in `archive` at once. For those in
//! `archive_chunks` the family `archive_forgotten` has the time at which that was: what was written there before is
//! void. Compactions drop it, and after a while the time is dropped as well.

use super::chunk::{self, Pointer};
use super::walk::{chunk_at, id_of, indexed_last};
use super::{CHUNKS, FAMILY, HASH_BYTES, ID_BYTES, INDEX};
use crate::codec::Versioned;
use crate::engine::column;
use crate::read::{Reader, Stop};
use crate::reply::Failure;
use crate::{Family, Operation, Options, Owner, WriteRequest};
use rocksdb::compaction_filter::{CompactionFilter, Decision};
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};
use rocksdb::{DB, IteratorMode};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FLOORS: Family = Family::ArchiveFloors;
const FORGOTTEN: Family = Family::ArchiveForgotten;

/// An archive that is too large is cut to this part of its limit, so that the next cut is a while away.
const KEPT: (u64, u64) = (7, 8);
/// The longest time for which no compaction comes to a file, and the shortest that is asked for.
const VISIT_MAX: Duration = Duration::from_secs(30 * 86_400);
const VISIT_MIN: Duration = Duration::from_secs(86_400);

/// After how many visits to every file nothing can be left of an archive that was forgotten.
const FORGOTTEN_VISITS: u64 = 4;

/// A floor as it is stored.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Floor(u64);

impl Versioned for Floor {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "archive_floors";
}

/// Since when an archive is forgotten, in microseconds since 1970, as it is stored.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Forgotten(u64);

impl Versioned for Forgotten {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "archive_forgotten";
}

/// An archive that takes more than it may, and where to cut it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Excess {
    owner: Owner,
    bytes: u64,
    floor: u64,
    // The stored floor that this one replaces.
    before: Option<Vec<u8>>,
}

impl Excess {
    /// The bytes of its messages.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The id from which on the archive may stay.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Gives up what is below the floor. [`Outcome::Refused`](crate::Outcome::Refused) means that somebody else has
    /// cut the archive meanwhile.
    pub fn cut(&self) -> WriteRequest {
        let request = WriteRequest::new(self.owner.clone());
        let request = match &self.before {
            Some(before) => request.require_equals(FLOORS, b"", before.clone()),
            None => request.require_absent(FLOORS, b""),
        };
        request.put(FLOORS, b"", Floor(self.floor).encode())
    }
}

/// The floors of all archives.
pub(crate) struct Retention {
    age: Option<Duration>,
    bytes_max: Option<u64>,
    /// By the owner's key. Written once per cut, for no longer than that takes.
    own: RwLock<HashMap<Box<[u8]>, u64>>,
    /// Until when what was written of an owner's archive is void.
    forgotten: RwLock<HashMap<Box<[u8]>, u64>>,
    /// The latest time that was given out.
    time: AtomicU64,
}

impl Retention {
    pub(crate) fn new(options: &Options) -> Retention {
        Retention {
            age: options.archive_retention,
            bytes_max: options.archive_bytes_max_per_account,
            own: RwLock::default(),
            forgotten: RwLock::default(),
            time: AtomicU64::new(0),
        }
    }

    /// The time, in microseconds since 1970, but later than any that was given out before.
    pub(crate) fn time(&self) -> u64 {
        let now = now_us();
        let before = self.time.fetch_update(SeqCst, SeqCst, |before| Some(now.max(before + 1)));
        now.max(before.unwrap_or(0) + 1)
    }

    /// The id below which every archive has gone.
    pub(super) fn floor_by_age(&self) -> u64 {
        let Some(age) = self.age else { return 0 };
        now_us().saturating_sub(u64::try_from(age.as_micros()).unwrap_or(u64::MAX))
    }

    /// The floor of an owner, given as `owner 0x00`, at this moment.
    pub(crate) fn floor_now(&self, owner: &[u8]) -> u64 {
        self.own_floor(owner).max(self.floor_by_age())
    }

    /// Takes over the stored floors. One that cannot be read hides nothing that another has hidden.
    pub(crate) fn load(&self, db: &DB) -> Result<(), Failure> {
        let mut floors = HashMap::new();
        for item in db.iterator_cf(column(db, FLOORS)?, IteratorMode::Start) {
            let (key, value) = item?;
            match Floor::decode(&key, &value) {
                Ok(Floor(floor)) => drop(floors.insert(key, floor)),
                Err(error) => tracing::error!(target: "storage", %error, "the floor of an archive cannot be read"),
            }
        }
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = floors;
        self.load_forgotten(db)
    }

    /// Takes over which archives have been forgotten, and drops what is of no use any more.
    fn load_forgotten(&self, db: &DB) -> Result<(), Failure> {
        let family = column(db, FORGOTTEN)?;
        let useless = self.useless_before();
        let mut forgotten = HashMap::new();
        for item in db.iterator_cf(family, IteratorMode::Start) {
            let (key, value) = item?;
            match Forgotten::decode(&key, &value) {
                Ok(Forgotten(since)) if since < useless => db.delete_cf(family, &key)?,
                Ok(Forgotten(since)) => drop(forgotten.insert(key, since)),
                Err(error) => tracing::error!(target: "storage", %error, "when an archive went cannot be read"),
            }
        }
        let last_chunk = db.iterator_cf(column(db, CHUNKS)?, IteratorMode::End).next().transpose()?;
        let last_chunk = last_chunk.and_then(|(key, _)| chunk::key_time(&key)).unwrap_or(0);
        self.time.fetch_max(forgotten.values().copied().max().unwrap_or(0).max(last_chunk), SeqCst);
        *self.forgotten.write().unwrap_or_else(PoisonError::into_inner) = forgotten;
        Ok(())
    }

    /// Of archives that went before this time nothing can be left.
    fn useless_before(&self) -> u64 {
        now_us().saturating_sub(FORGOTTEN_VISITS * self.visit_seconds() * 1_000_000)
    }

    /// Drops what is of no use any more. No archive may be forgotten meanwhile.
    pub(super) fn drop_useless(&self, db: &DB) -> Result<(), Failure> {
        let (family, useless) = (column(db, FORGOTTEN)?, self.useless_before());
        let forgotten = self.forgotten.read().unwrap_or_else(PoisonError::into_inner);
        let old: Vec<_> = forgotten.iter().filter(|(_, since)| **since < useless).map(|(key, _)| key.clone()).collect();
        drop(forgotten);
        for owner in old {
            db.delete_cf(family, &owner)?;
            self.forgotten.write().unwrap_or_else(PoisonError::into_inner).remove(&owner);
        }
        Ok(())
    }

    /// The archive of an owner, given as `owner 0x00`, has been forgotten at that time.
    pub(crate) fn forget(&self, owner: &[u8], time: u64) {
        self.forgotten.write().unwrap_or_else(PoisonError::into_inner).insert(owner.into(), time);
    }

    /// Follows what has been written, so that memory and disk agree.
    pub(crate) fn written(&self, operation: &Operation) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        match operation {
            Operation::Put(FLOORS, key, value) => {
                if let Ok(Floor(floor)) = Floor::decode(key, value) {
                    own.insert(key[..].into(), floor);
                }
            }
            Operation::Delete(FLOORS, key) => drop(own.remove(&key[..])),
            Operation::DeleteRange(FLOORS, from, to) => own.retain(|key, _| **key < **from || **key >= **to),
            _ => {}
        }
    }

    /// How often compactions have to come to every file, in seconds: a fraction of the retention, so that what is too
    /// old goes not much later.
    pub(crate) fn visit_seconds(&self) -> u64 {
        self.age.map_or(VISIT_MAX, |age| (age / 8).clamp(VISIT_MIN, VISIT_MAX)).as_secs()
    }

    fn own_floor(&self, owner: &[u8]) -> u64 {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        if own.is_empty() { 0 } else { own.get(owner).copied().unwrap_or(0) }
    }

    /// Whether what was written of this owner's archive at that time is void.
    fn is_void(&self, owner: &[u8], written: u64) -> bool {
        let forgotten = self.forgotten.read().unwrap_or_else(PoisonError::into_inner);
        !forgotten.is_empty() && forgotten.get(owner).is_some_and(|since| written < *since)
    }
}

fn now_us() -> u64 {
    // A clock before 1970 knows no age.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// What is to be written when an owner's archive, given as `owner 0x00`, is forgotten at that time.
pub(crate) fn forgotten_at(time: u64) -> Vec<u8> {
    Forgotten(time).encode()
}

/// Whether an archive is too large, and where to cut it then. Reads what `archive` says of the chunks, not the chunks.
pub(crate) fn excess(owner: &Owner, reader: &mut Reader<'_>) -> Result<Option<Excess>, Stop> {
    let Some(bytes_max) = reader.retention.bytes_max else { return Ok(None) };
    reader.pin();
    let old = reader.retention.floor_now(&owner.key(b""));
    // From the newest chunk on. A chunk that begins below the old floor is counted as a whole.
    let kept = bytes_max / KEPT.1 * KEPT.0;
    let (mut bytes, mut floor) = (0, None);
    let mut iterator = reader.range(FAMILY, owner.key(b""), Some(owner.end()), true)?;
    while let Some((key, value)) = iterator.item() {
        let (first, pointer) = (id_of(key).unwrap_or(0), Pointer::of(value));
        let last = pointer.last(first);
        if last < old {
            break;
        }
        bytes += pointer.bytes();
        if bytes > kept && floor.is_none() {
            // The last message stays, however small the limit.
            let (len, over) = (pointer.bytes(), bytes - kept);
            floor = Some((first, last, over.min(len), bytes == len));
        }
        crate::read::step(&mut iterator, true);
    }
    iterator.status()?;
    let Some((first, last, over, is_newest)) = floor.filter(|_| bytes > bytes_max) else { return Ok(None) };
    let floor = cut_within(owner, (first, last), over, is_newest, reader)?;
    let before = reader.get(FLOORS, &FLOORS.key(owner, b""))?;
    Ok((floor > old).then(|| Excess { owner: owner.clone(), bytes, floor, before }))
}

/// The first message of the chunk from `first` to `last` that may stay if so many bytes have to go.
fn cut_within(
    owner: &Owner,
    (first, last): (u64, u64),
    bytes: u64,
    is_newest: bool,
    reader: &mut Reader<'_>,
) -> Result<u64, Stop> {
    let Some(chunk) = chunk_at(owner, first, reader)? else { return Ok(last) };
    let mut gone = 0;
    for (id, value) in chunk.messages() {
        if gone >= bytes {
            return Ok(id);
        }
        gone += chunk::message_bytes(value) as u64;
    }
    Ok(if is_newest { last } else { last.saturating_add(1) })
}

/// Makes the filters of one family's compactions.
pub(crate) struct Expiry {
    retention: Arc<Retention>,
    family: Family,
    name: &'static CStr,
}

impl Expiry {
    /// For a family whose entries have floors.
    pub(crate) fn of(family: Family, retention: &Arc<Retention>) -> Option<Expiry> {
        let name = match family {
            FAMILY => c"archive",
            INDEX => c"archive_with",
            CHUNKS => c"archive_chunks",
            _ => return None,
        };
        Some(Expiry { retention: retention.clone(), family, name })
    }
}

impl CompactionFilterFactory for Expiry {
    type Filter = Filter;

    fn create(&mut self, _context: CompactionFilterContext) -> Filter {
        Filter {
            retention: self.retention.clone(),
            family: self.family,
            name: self.name,
            by_age: self.retention.floor_by_age(),
            owner: Vec::new(),
            floor: 0,
        }
    }

    fn name(&self) -> &CStr {
        self.name
    }
}

/// The filter of one compaction.
pub(crate) struct Filter {
    retention: Arc<Retention>,
    family: Family,
    name: &'static CStr,
    by_age: u64,
    /// The owner of the entry before, whose entries come one after the other, and its floor.
    owner: Vec<u8>,
    floor: u64,
}

impl CompactionFilter for Filter {
    fn filter(&mut self, _level: u32, key: &[u8], value: &[u8]) -> Decision {
        let Some((owner, last)) = self.whose(key, value) else { return Decision::Keep };
        if self.family == CHUNKS && chunk::key_time(key).is_some_and(|written| self.retention.is_void(owner, written)) {
            return Decision::Remove;
        }
        if owner != self.owner {
            self.owner.clear();
            self.owner.extend_from_slice(owner);
            self.floor = self.retention.own_floor(owner).max(self.by_age);
        }
        if last < self.floor { Decision::Remove } else { Decision::Keep }
    }

    fn name(&self) -> &CStr {
        self.name
    }
}

impl Filter {
    /// Whose an entry is, as `owner 0x00`, and the id of its last message.
    fn whose<'e>(&self, key: &'e [u8], value: &'e [u8]) -> Option<(&'e [u8], u64)> {
        let rest_bytes = match self.family {
            CHUNKS => return chunk::split(value).map(|(owner, last, _)| (owner, last)),
            INDEX => HASH_BYTES + ID_BYTES,
            _ => ID_BYTES,
        };
        let owner = &key[..key.len().checked_sub(rest_bytes)?];
        let first = u64::from_be_bytes(*key.last_chunk()?);
        let last = match self.family {
            INDEX => indexed_last(first, value),
            _ => Pointer::of(value).last(first),
        };
        Some((owner, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::index_rest;

    fn retention(age: Option<Duration>) -> Arc<Retention> {
        let mut options = Options::new("/");
        options.archive_retention = age;
        Arc::new(Retention::new(&options))
    }

    fn owner(local: &str) -> Owner {
        Owner::new(local, "example.org").unwrap()
    }

    fn set(retention: &Retention, local: &str, floor: u64) {
        let excess = Excess { owner: owner(local), bytes: 0, floor, before: None };
        excess.cut().operations().iter().for_each(|operation| retention.written(operation));
    }

    #[test]
    fn each_owner_has_the_higher_of_two_floors() {
        let floor = |retention: &Retention, local: &str| retention.floor_now(&owner(local).key(b""));
        let ageless = retention(None);
        set(&ageless, "juliet", 7);
        assert_eq!((floor(&ageless, "juliet"), floor(&ageless, "romeo")), (7, 0));
        set(&ageless, "juliet", 9);
        assert_eq!(floor(&ageless, "juliet"), 9);

        let day = retention(Some(Duration::from_secs(86_400)));
        set(&day, "juliet", 7);
        let by_age = floor(&day, "romeo");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
        assert!((now - 86_401_000_000..=now - 86_400_000_000).contains(&by_age), "{by_age}");
        assert!(floor(&day, "juliet") >= by_age);
        set(&day, "juliet", u64::MAX);
        assert_eq!(floor(&day, "juliet"), u64::MAX);
        // Longer than there has been time: nothing is too old.
        assert_eq!(floor(&retention(Some(Duration::MAX)), "juliet"), 0);
    }

    #[test]
    fn floors_go_with_their_owner_and_only_with_it() {
        let retention = retention(None);
        for local in ["a", "juliet", "romeo"] {
            set(&retention, local, 7);
        }
        let gone =
            |request: WriteRequest| request.operations().iter().for_each(|operation| retention.written(operation));
        let floor = |local| retention.floor_now(&owner(local).key(b""));
        gone(WriteRequest::new(owner("juliet")).delete_all(FLOORS));
        assert_eq!((floor("a"), floor("juliet"), floor("romeo")), (7, 0, 7));
        let range = Operation::DeleteRange(FLOORS, owner("romeo").key(b""), owner("romeo").end());
        retention.written(&range);
        assert_eq!((floor("a"), floor("romeo")), (7, 0));
        // Other families are no business of the floors.
        gone(WriteRequest::new(owner("a")).delete_all(Family::Accounts).delete_all(FAMILY));
        assert_eq!(floor("a"), 7);
    }

    #[test]
    fn compactions_drop_what_is_below_the_floor_of_its_owner() {
        let retention = retention(None);
        set(&retention, "juliet", 100);
        let dropped = |family: Family, key: &[u8]| {
            let mut factory = Expiry::of(family, &retention).unwrap();
            let mut filter =
                factory.create(CompactionFilterContext { is_full_compaction: false, is_manual_compaction: false });
            // Another owner before it.
            filter.filter(0, &owner("benvolio").key(&1u64.to_be_bytes()), b"");
            matches!(filter.filter(0, key, b""), Decision::Remove)
        };
        for (local, id, gone) in
            [("juliet", 99, true), ("juliet", 100, false), ("romeo", 99, false), ("juliet2", 1, false)]
        {
            let rest = index_rest(0, id);
            assert_eq!(dropped(FAMILY, &owner(local).key(&id.to_be_bytes())), gone, "{local} {id}");
            assert_eq!(dropped(INDEX, &owner(local).key(&rest)), gone, "{local} {id}");
        }
        // What is no key of the family stays.
        assert!(!dropped(FAMILY, b"short") && !dropped(INDEX, b"short and"));
        assert!(Expiry::of(Family::Accounts, &retention).is_none());
    }

    #[test]
    fn files_are_visited_in_a_fraction_of_the_retention() {
        let visit = |days: u64| retention(Some(Duration::from_secs(days * 86_400))).visit_seconds() / 86_400;
        assert_eq!([1u64, 8, 30, 80, 3650].map(visit), [1, 1, 3, 10, 30]);
        assert_eq!(retention(None).visit_seconds(), 30 * 86_400);
    }
}
