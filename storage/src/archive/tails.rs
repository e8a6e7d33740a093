//! The tails of all archives: the messages that are not in a chunk yet. Each of them is in the log as well.
//!
//! Messages arrive in rising order per owner, so that nothing has to be sorted: a message costs its place at the end of
//! its owner's list. The bytes stay in the records they came in. When a **generation** of tails has become large enough
//! it is sealed, and a thread makes chunks of it while the next one fills.

use super::entry;
use super::log::{self, Logged};
use crate::FailureKind;
use crate::reply::Failure;
use siphasher::sip::SipHasher13;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};
use std::time::{Duration, Instant};

/// How many messages are added before readers get their turn.
const ADDED_TOGETHER: usize = 256;

/// From how many times the size of a full generation on the writer waits for the one before to become chunks; and from
/// how many on it takes no more, because something keeps it from that.
const WAITING_AT: usize = 2;
const REFUSING_AT: usize = 4;
/// How long to wait for a generation to become chunks before looking again.
const WAITING: Duration = Duration::from_millis(200);

/// Where a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) id: u64,
    /// The hash of its contact.
    pub(super) with: u64,
    record: u32,
    at: u32,
    bytes: u32,
}

/// Keyed by the process, because strangers choose their names.
#[derive(Clone)]
struct Names(u64, u64);

impl Default for Names {
    fn default() -> Names {
        Names(RandomState::new().hash_one(1), RandomState::new().hash_one(2))
    }
}

impl BuildHasher for Names {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

/// Messages that become chunks together.
#[derive(Default)]
pub(crate) struct Generation {
    number: u64,
    /// How many records its log has.
    logged: u64,
    records: Vec<Arc<Vec<u8>>>,
    owners: HashMap<Box<[u8]>, Vec<Place>, Names>,
    bytes: usize,
    /// The highest id of earlier generations: what is not above it may have a place among chunks.
    pub(super) watermark: u64,
    newest: u64,
    since: Option<Instant>,
    latest: Option<Instant>,
}

impl Generation {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn logged(&self) -> u64 {
        self.logged
    }

    /// The highest id of all messages of this generation and those before it.
    pub(super) fn newest(&self) -> u64 {
        self.newest.max(self.watermark)
    }

    /// The owners, each as `owner 0x00`, with their messages in the order of their ids.
    pub(super) fn owners(&self) -> impl Iterator<Item = (&[u8], &[Place])> {
        self.owners.iter().map(|(owner, places)| (&owner[..], &places[..]))
    }

    /// The bytes of a message.
    pub(super) fn value(&self, place: &Place) -> &[u8] {
        let at = place.at as usize;
        // Invariant: a place is made from its record, and records stay.
        self.records
            .get(place.record as usize)
            .and_then(|record| record.get(at..at + place.bytes as usize))
            .unwrap_or(&[])
    }

    fn places(&self, owner: &[u8]) -> &[Place] {
        self.owners.get(owner).map_or(&[], |places| places)
    }

    fn add(&mut self, owner: &[u8], place: Place) {
        self.newest = self.newest.max(place.id);
        let places = match self.owners.get_mut(owner) {
            Some(places) => places,
            None => self.owners.entry(owner.into()).or_default(),
        };
        match places.last() {
            Some(last) if last.id >= place.id => match places.binary_search_by_key(&place.id, |place| place.id) {
                Ok(at) => places[at] = place,
                Err(at) => places.insert(at, place),
            },
            _ => places.push(place),
        }
    }

    fn next(&self) -> Generation {
        Generation {
            number: self.number + 1,
            watermark: self.newest(),
            owners: HashMap::with_hasher(self.owners.hasher().clone()),
            ..Generation::default()
        }
    }
}

/// A generation that takes no more.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(super) generation: Arc<Generation>,
    /// Owners whose archives have gone since. Whoever writes chunks holds it meanwhile.
    forgotten: Arc<Mutex<HashSet<Box<[u8]>>>>,
}

impl Sealed {
    pub(crate) fn forgotten(&self) -> MutexGuard<'_, HashSet<Box<[u8]>>> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if that would have to wait and may not.
    fn has_forgotten(&self, owner: &[u8], may_wait: bool) -> Option<bool> {
        let forgotten = if may_wait { self.forgotten() } else { self.forgotten.try_lock().ok()? };
        Some(forgotten.contains(owner))
    }
}

#[derive(Default)]
struct Inner {
    current: Generation,
    sealed: Option<Sealed>,
}

/// Messages that are wanted of one owner.
pub(crate) struct Wanted<'w> {
    /// `owner 0x00`.
    pub(super) owner: &'w [u8],
    /// Ids from this one (inclusive) to that one (exclusive).
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    /// The contact and its hash.
    pub(super) with: Option<(u64, &'w str)>,
    pub(super) reverse: bool,
    /// At the most so many messages and bytes, and one message more.
    pub(super) entries_max: usize,
    pub(super) bytes_max: usize,
}

/// A message of a tail. Without a value it is with somebody else, and only tells that what a chunk has under this id is
/// not valid any more.
pub(crate) type Tailed = (u64, Option<Vec<u8>>);

/// The tails that are not chunks yet.
pub(crate) struct Tails {
    inner: RwLock<Inner>,
    bytes_max: usize,
    /// Why the sealed generation could not become chunks, if the last attempt has failed.
    released: Mutex<Option<Failure>>,
    changed: Condvar,
}

impl Tails {
    pub(crate) fn new(bytes_max: usize) -> Tails {
        Tails { inner: RwLock::default(), bytes_max, released: Mutex::default(), changed: Condvar::new() }
    }

    /// Where the next record belongs: the generation, and the record's number.
    pub(crate) fn next_record(&self) -> (u64, u64) {
        let inner = self.read();
        (inner.current.number, inner.current.logged)
    }

    /// So many numbers of records have been used, whether or not anything came of them.
    pub(crate) fn logged(&self, records: u64) {
        self.write().current.logged += records;
    }

    /// Adds what has been written to the log. The record has its number already.
    pub(crate) fn add(&self, record: Vec<u8>) {
        let record = Arc::new(record);
        let number = {
            let current = &mut self.write().current;
            let now = Instant::now();
            current.since.get_or_insert(now);
            current.latest = Some(now);
            current.bytes += record.len();
            current.records.push(record.clone());
            (current.records.len() - 1) as u32
        };
        let mut entries = log::entries(&record).peekable();
        while entries.peek().is_some() {
            let current = &mut self.write().current;
            for entry in entries.by_ref().take(ADDED_TOGETHER) {
                match entry {
                    Logged::Append { owner, id, with, at, value, .. } => {
                        let place = Place { id, with, record: number, at: at as u32, bytes: value.len() as u32 };
                        current.add(owner, place);
                    }
                    Logged::Forget(owner) => drop(current.owners.remove(owner)),
                }
            }
        }
    }

    /// Begins with an empty generation. `watermark`: no chunk has a higher id.
    pub(crate) fn begin(&self, generation: u64, watermark: u64) {
        let mut inner = self.write();
        inner.current.number = generation;
        inner.current.watermark = watermark;
    }

    /// The highest id of all messages so far.
    pub(crate) fn newest(&self) -> u64 {
        self.read().current.newest()
    }

    /// Takes over a record that the log has at the start.
    pub(crate) fn replay(&self, number: u64, record: Vec<u8>) {
        self.add(record);
        let current = &mut self.write().current;
        current.logged = number + 1;
        // Some of it may have become chunks before the end.
        current.watermark = current.watermark.max(current.newest);
    }

    /// Whether the writer may add more. It waits if too much is there already and is about to become chunks.
    pub(crate) fn admit(&self) -> Result<(), Failure> {
        if self.read().current.bytes < WAITING_AT * self.bytes_max {
            return Ok(());
        }
        let mut released = self.lock();
        while self.is_flushing() && released.is_none() {
            released = self.changed.wait(released).unwrap_or_else(PoisonError::into_inner);
        }
        drop(released);
        match self.read().current.bytes < REFUSING_AT * self.bytes_max {
            true => Ok(()),
            false => Err(Failure::new(FailureKind::Busy, "archives cannot be written out")),
        }
    }

    /// Seals the generation if it has become large enough and the one before it is chunks already.
    pub(crate) fn seal_if_full(&self) -> bool {
        self.read().current.bytes >= self.bytes_max && self.seal().is_some()
    }

    /// Seals the generation if the one before it is chunks already. Returns its number, or `None` if that is not so.
    pub(crate) fn seal(&self) -> Option<u64> {
        let mut inner = self.write();
        if inner.sealed.is_some() {
            return None;
        }
        let next = inner.current.next();
        let sealed = Arc::new(std::mem::replace(&mut inner.current, next));
        let number = sealed.number;
        inner.sealed = Some(Sealed { generation: sealed, forgotten: Arc::default() });
        Some(number)
    }

    /// The generation that is to become chunks.
    pub(crate) fn sealed(&self) -> Option<Sealed> {
        self.read().sealed.clone()
    }

    fn is_flushing(&self) -> bool {
        self.read().sealed.is_some()
    }

    /// Whether the current generation should become chunks though it is not full: it is that old, or it takes that much
    /// memory and has not grown for that long.
    pub(crate) fn is_due(&self, age: Duration, quiet: Duration, bytes: usize) -> bool {
        let current = &self.read().current;
        let (Some(since), Some(latest)) = (current.since, current.latest) else { return false };
        since.elapsed() >= age || (current.bytes >= bytes && latest.elapsed() >= quiet)
    }

    /// The sealed generation has become chunks; or it has not.
    pub(crate) fn released(&self, outcome: Result<(), Failure>) {
        let mut released = self.lock();
        match outcome {
            Ok(()) => {
                *released = None;
                let sealed = self.write().sealed.take();
                drop(released);
                // What takes long is done without a lock.
                drop(sealed);
            }
            Err(failure) => {
                *released = Some(failure);
                drop(released);
            }
        }
        self.changed.notify_all();
    }

    /// Whether all messages of this generation and those before it have become chunks.
    pub(crate) fn is_flushed(&self, generation: u64) -> bool {
        let inner = self.read();
        match &inner.sealed {
            Some(sealed) => sealed.generation.number > generation,
            None => inner.current.number > generation || inner.current.records.is_empty(),
        }
    }

    /// Waits for the sealed generation to become chunks, but not for long. An error is why that has failed.
    pub(crate) fn wait(&self) -> Result<(), Failure> {
        let released = self.lock();
        let (released, _) = self.changed.wait_timeout(released, WAITING).unwrap_or_else(PoisonError::into_inner);
        released.clone().map_or(Ok(()), Err)
    }

    /// The bytes of all messages here.
    pub(crate) fn bytes(&self) -> usize {
        let inner = self.read();
        inner.current.bytes + inner.sealed.as_ref().map_or(0, |sealed| sealed.generation.bytes)
    }

    /// The messages that are wanted, in the order of reading. `None` if that would have to wait and may not.
    pub(crate) fn collect(&self, wanted: &Wanted<'_>, may_wait: bool) -> Option<Vec<Tailed>> {
        let inner = self.reading(may_wait)?;
        let sealed = match &inner.sealed {
            Some(sealed) if sealed.has_forgotten(wanted.owner, may_wait)? => None,
            sealed => sealed.as_ref().map(|sealed| &*sealed.generation),
        };
        let slice = |generation: &Generation| -> (usize, usize) {
            let places = generation.places(wanted.owner);
            let from = places.partition_point(|place| place.id < wanted.from);
            let to = wanted.to.map_or(places.len(), |to| places.partition_point(|place| place.id < to));
            (from, to.max(from))
        };
        let mut old = sealed.map_or((0, 0), slice);
        let mut new = slice(&inner.current);
        let (mut found, mut entries, mut bytes) = (Vec::new(), 0, 0);
        loop {
            // The end of each list that is read from.
            let end = |generation: &Generation, (from, to): (usize, usize)| {
                let at = if wanted.reverse { to.checked_sub(1) } else { Some(from) };
                let place = at.filter(|_| from < to).and_then(|at| generation.places(wanted.owner).get(at).copied());
                place.map(|place| (place, if wanted.reverse { u64::MAX - place.id } else { place.id }))
            };
            let shrink = |(from, to): (usize, usize)| if wanted.reverse { (from, to - 1) } else { (from + 1, to) };
            let (one, other) = (sealed.and_then(|sealed| end(sealed, old)), end(&inner.current, new));
            let (generation, place) = match (one, other, sealed) {
                (None, None, _) => break,
                (Some((place, one)), other, Some(sealed)) if other.is_none_or(|(_, other)| one < other) => {
                    old = shrink(old);
                    (sealed, place)
                }
                (one, Some((place, other)), _) => {
                    // The newer one of two with the same id.
                    if one.is_some_and(|(_, one)| one == other) {
                        old = shrink(old);
                    }
                    new = shrink(new);
                    (&inner.current, place)
                }
                (Some(_), None, None) => break,
                (Some(_), None, Some(_)) => break,
            };
            let value = generation.value(&place);
            let matches = wanted.with.is_none_or(|(hash, with)| {
                place.with == hash && entry::split(value).is_ok_and(|(found, _)| found == with)
            });
            if !matches {
                if place.id <= generation.watermark {
                    found.push((place.id, None));
                }
                continue;
            }
            entries += usize::from(entry::split(value).is_ok());
            bytes += value.len();
            found.push((place.id, Some(value.to_vec())));
            // The first message comes however large it is.
            if entries > wanted.entries_max || (bytes > wanted.bytes_max && entries > 1) {
                break;
            }
        }
        Some(found)
    }

    fn reading(&self, may_wait: bool) -> Option<RwLockReadGuard<'_, Inner>> {
        if may_wait {
            return Some(self.read());
        }
        match self.inner.try_read() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failure>> {
        self.released.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
