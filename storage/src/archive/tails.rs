//! The tails of all archives: the messages that are not in a chunk yet. Each of them is in the log as well.
//!
//! Messages arrive in rising order per owner, so that nothing has to be sorted: a message costs its place at the end of
//! its owner's list. The bytes stay in the records they came in. When a **generation** of tails has become large enough
//! it is sealed, and a thread makes chunks of it while the next one fills.

use super::entry;
use super::log::{self, Logged};
use crate::FailureKind;
use crate::read::{INLINE_BYTES_MAX, INLINE_VALUES_MAX};
use crate::reply::Failure;
use siphasher::sip::SipHasher13;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};
use std::time::{Duration, Instant};

/// How many messages are added before readers get their turn.
const ADDED_TOGETHER: usize = 256;
/// How many messages are looked at before the writer gets its turn.
const LOOKED_TOGETHER: usize = 4096;

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
    /// Whether its log was there before the database was opened.
    is_replayed: bool,
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
    /// Owners whose archives have gone since. Readers wait for it, so it is held for a look only.
    forgotten: Arc<Mutex<HashSet<Box<[u8]>>>>,
    /// Held by whoever stores chunks, and by whoever forgets an archive.
    storing: Arc<Mutex<()>>,
    /// Whether some of it may be stored already.
    is_attempted: Arc<AtomicBool>,
}

impl Sealed {
    fn new(generation: Generation) -> Sealed {
        let is_attempted = Arc::new(AtomicBool::new(generation.is_replayed));
        let generation = Arc::new(generation);
        Sealed { generation, forgotten: Arc::default(), storing: Arc::default(), is_attempted }
    }

    pub(crate) fn forgotten(&self) -> MutexGuard<'_, HashSet<Box<[u8]>>> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn storing(&self) -> MutexGuard<'_, ()> {
        self.storing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that it is about to be stored. Whether that may have been tried before.
    pub(super) fn begin_attempt(&self) -> bool {
        self.is_attempted.swap(true, AcqRel)
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

impl Inner {
    /// The number of the generation that becomes chunks next.
    fn oldest(&self) -> u64 {
        self.sealed.as_ref().map_or(self.current.number, |sealed| sealed.generation.number)
    }
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
pub(super) type Tailed = (u64, Option<Vec<u8>>);

/// What the tail of an archive has.
pub(crate) struct Tail {
    /// The number of the generation that was to become chunks next. All before it were chunks already.
    pub(super) generation: u64,
    /// In the order of reading.
    pub(super) messages: Vec<Tailed>,
}

/// A tail that is being read, part by part.
struct Gathering<'w> {
    wanted: &'w Wanted<'w>,
    /// What is left to look at: ids from this one (inclusive) to that one (exclusive).
    from: u64,
    to: Option<u64>,
    found: Vec<Tailed>,
    entries: usize,
    bytes: usize,
}

impl Gathering<'_> {
    /// Looks at so many messages, or until so many bytes have been found. Whether that was all.
    fn go_on(&mut self, inner: &Inner, sealed: Option<&Generation>, (looked_max, bytes_max): (usize, usize)) -> bool {
        let Wanted { owner, reverse, .. } = *self.wanted;
        let (mut new, mut old) = (self.rest(&inner.current, owner), &[][..]);
        if let Some(sealed) = sealed {
            old = self.rest(sealed, owner);
        }
        for _ in 0..=looked_max {
            let id = |places: &[Place]| if reverse { places.last() } else { places.first() }.map(|place| place.id);
            let id = match (id(new), id(old)) {
                (Some(one), Some(other)) => {
                    if reverse {
                        one.max(other)
                    } else {
                        one.min(other)
                    }
                }
                (one, other) => match one.or(other) {
                    Some(id) => id,
                    None => return true,
                },
            };
            let (newer, older) = (take(&mut new, id, reverse), take(&mut old, id, reverse));
            // The newer one of two with the same id.
            let is_all = match (newer, older, sealed) {
                (Some(place), ..) => self.offer(&inner.current, place),
                (None, Some(place), Some(sealed)) => self.offer(sealed, place),
                _ => true,
            };
            match id.checked_add(1) {
                _ if reverse => self.to = Some(id),
                Some(next) => self.from = next,
                None => return true,
            }
            if is_all || self.bytes > bytes_max {
                return is_all;
            }
        }
        false
    }

    fn rest<'g>(&self, generation: &'g Generation, owner: &[u8]) -> &'g [Place] {
        let places = generation.places(owner);
        let from = places.partition_point(|place| place.id < self.from);
        let to = self.to.map_or(places.len(), |to| places.partition_point(|place| place.id < to));
        &places[from..to.max(from)]
    }

    /// Takes a message if it is wanted. Whether no more are.
    fn offer(&mut self, generation: &Generation, place: &Place) -> bool {
        let value = generation.value(place);
        let matches = self
            .wanted
            .with
            .is_none_or(|(hash, with)| place.with == hash && entry::split(value).is_ok_and(|(found, _)| found == with));
        if !matches {
            if place.id <= generation.watermark {
                self.found.push((place.id, None));
            }
            return false;
        }
        self.entries += usize::from(entry::split(value).is_ok());
        self.bytes += value.len();
        self.found.push((place.id, Some(value.to_vec())));
        // The first message comes however large it is.
        self.entries > self.wanted.entries_max || (self.bytes > self.wanted.bytes_max && self.entries > 1)
    }
}

/// Takes the message with this id from the end that is read, if it is there.
fn take<'p>(places: &mut &'p [Place], id: u64, reverse: bool) -> Option<&'p Place> {
    let (place, rest) = if reverse { places.split_last()? } else { places.split_first()? };
    (place.id == id).then(|| {
        *places = rest;
        place
    })
}

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

    /// Becomes what others are.
    pub(crate) fn take_over(&self, other: Tails) {
        let other = other.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *self.write(), other);
        // What takes long is done without a lock.
        drop(before);
        *self.lock() = None;
        self.changed.notify_all();
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
        current.is_replayed = true;
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
        let sealed = std::mem::replace(&mut inner.current, next);
        let number = sealed.number;
        inner.sealed = Some(Sealed::new(sealed));
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

    /// The sealed generation has become chunks.
    pub(crate) fn released(&self) {
        let mut released = self.lock();
        *released = None;
        let sealed = self.write().sealed.take();
        drop(released);
        // What takes long is done without a lock.
        drop(sealed);
        self.changed.notify_all();
    }

    /// The sealed generation could not become chunks.
    pub(crate) fn failed(&self, failure: Failure) {
        *self.lock() = Some(failure);
        self.changed.notify_all();
    }

    /// Why the sealed generation could not become chunks, when that was tried last.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.lock().clone()
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

    /// The messages that are wanted. `None` if that would have to wait, or takes long, and may not.
    pub(crate) fn collect(&self, wanted: &Wanted<'_>, may_wait: bool) -> Option<Tail> {
        let Wanted { from, to, .. } = *wanted;
        let mut gathering = Gathering { wanted, from, to, found: Vec::new(), entries: 0, bytes: 0 };
        let mut generation = None;
        loop {
            let inner = self.reading(may_wait)?;
            // What becomes chunks between two parts is found there.
            let generation = *generation.get_or_insert_with(|| inner.oldest());
            let sealed = match &inner.sealed {
                Some(sealed) if sealed.has_forgotten(wanted.owner, may_wait)? => None,
                sealed => sealed.as_ref().map(|sealed| &*sealed.generation),
            };
            let part = if may_wait { (LOOKED_TOGETHER, usize::MAX) } else { (INLINE_VALUES_MAX, INLINE_BYTES_MAX) };
            if gathering.go_on(&inner, sealed, part) {
                return Some(Tail { generation, messages: gathering.found });
            }
            if !may_wait {
                return None;
            }
        }
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

#[cfg(test)]
mod tests {
    use super::super::Appends;
    use super::*;
    use crate::Owner;

    #[test]
    fn what_is_read_in_parts_is_whole() {
        let (tails, owner) = (Tails::new(1 << 20), Owner::parse("juliet@example.org").unwrap());
        let write = |ids: &mut dyn Iterator<Item = u64>, with: &str| {
            let mut messages = Appends::new();
            ids.for_each(|id| messages.push(1, &owner, id, with, false, |_| {}));
            tails.add(messages.take_record());
        };
        let end = 3 * LOOKED_TOGETHER as u64;
        write(&mut (0..end).step_by(2), "romeo@example.org");
        assert!(tails.seal().is_some());
        write(&mut (0..end).filter(|id| id % 3 > 0), "nurse@example.org");
        let key = owner.key(b"");
        let collect = |with: Option<&str>, reverse, may_wait| {
            let with = with.map(|with| (super::super::hash(with), with));
            let (entries_max, bytes_max) = (usize::MAX, usize::MAX);
            let wanted = Wanted { owner: &key, from: 1, to: Some(end - 1), with, reverse, entries_max, bytes_max };
            let mut messages = tails.collect(&wanted, may_wait)?.messages;
            if reverse {
                messages.reverse();
            }
            messages.retain(|(_, value)| value.is_some());
            Some(messages.into_iter().map(|(id, _)| id).collect::<Vec<_>>())
        };
        for reverse in [false, true] {
            let every = (1..end - 1).filter(|id| id % 2 == 0 || id % 3 > 0);
            assert!(collect(None, reverse, true).unwrap().into_iter().eq(every));
            // The newer one is with somebody else.
            let old = collect(Some("romeo@example.org"), reverse, true).unwrap();
            assert!(old.into_iter().eq((1..end - 1).filter(|id| id % 6 == 0)));
            // Who may not wait does not look at all of them.
            assert_eq!(collect(Some("tybalt@example.org"), reverse, false), None);
        }
        let (from, to, reverse, entries_max) = (1, Some(100), false, 200);
        let few = Wanted { owner: &key, from, to, with: None, reverse, entries_max, bytes_max: 1 << 20 };
        let found = tails.collect(&few, false).unwrap().messages;
        assert!(found.into_iter().map(|(id, _)| id).eq((1..100).filter(|id| id % 2 == 0 || id % 3 > 0)));
    }
}
