//! Carrying out one read, from memory only or from wherever the data are.

use crate::archive::retention::{self, Retention};
use crate::archive::tails::{Tail, Tails, Wanted};
use crate::engine::column;
use crate::reply::{Failure, Outcome, Page};
use crate::{Family, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PageRequest, ReadRequest};
use rocksdb::{DB, DBRawIterator, ErrorKind, ReadOptions, ReadTier, Snapshot};

/// The most values that one request reads on the caller's thread; what needs more is left to a reader thread.
pub(crate) const INLINE_VALUES_MAX: usize = 128;
/// The most bytes that one request reads there.
pub(crate) const INLINE_BYTES_MAX: usize = 64 << 10;
/// How many removed entries a page on the caller's thread may step over before it is left to a reader thread.
const INLINE_SKIPPED_MAX: u64 = 256;

/// Where a read may look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reach {
    /// Memtables and block cache; never the disk.
    Memory,
    /// Everywhere.
    Disk,
}

/// Carries out `request`; `None` if it needs more than the reader may reach.
pub(crate) fn execute(mut reader: Reader<'_>, request: &ReadRequest) -> Option<Outcome> {
    match reader.outcome(request) {
        Ok(outcome) => Some(outcome),
        Err(Stop::BeyondReach) => None,
        Err(Stop::Failed(failure)) => Some(Outcome::Failed(failure)),
    }
}

/// One value, from wherever it is.
pub(crate) fn value(db: &DB, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    Ok(db.get_pinned_cf(column(db, family)?, key)?.map(|value| value.to_vec()))
}

/// Why a read was not carried out.
pub(crate) enum Stop {
    /// It needs the disk, or more time than a caller's thread has.
    BeyondReach,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

impl From<rocksdb::Error> for Stop {
    fn from(error: rocksdb::Error) -> Stop {
        if error.kind() == ErrorKind::Incomplete { Stop::BeyondReach } else { Stop::Failed(error.into()) }
    }
}

/// One read that is being carried out.
pub(crate) struct Reader<'d> {
    pub(crate) db: &'d DB,
    pub(crate) retention: &'d Retention,
    tails: &'d Tails,
    reach: Reach,
    /// The database as it was at one moment, which is what is read until it is another one.
    snapshot: Option<Snapshot<'d>>,
    /// What has been read so far, over all parts of the request.
    values: usize,
    bytes: usize,
}

impl<'d> Reader<'d> {
    pub(crate) fn new(db: &'d DB, retention: &'d Retention, tails: &'d Tails, reach: Reach) -> Reader<'d> {
        Reader { db, retention, tails, reach, snapshot: None, values: 0, bytes: 0 }
    }

    fn outcome(&mut self, request: &ReadRequest) -> Result<Outcome, Stop> {
        match request {
            ReadRequest::Get(family, key) => self.get(*family, key).map(Outcome::Value),
            ReadRequest::MultiGet(family, keys) => self.multi_get(*family, keys).map(Outcome::Values),
            ReadRequest::Page(request) => self.page(request).map(Outcome::Page),
            ReadRequest::Several(requests) => self.several(requests).map(Outcome::Several),
            ReadRequest::Archive(query) => {
                let found = query.execute(self);
                self.snapshot = None;
                found.map(|found| Outcome::Archive(Box::new(found)))
            }
            ReadRequest::ArchiveExcess(owner) => {
                self.require_disk()?;
                let excess = retention::excess(owner, self);
                self.snapshot = None;
                excess.map(|excess| Outcome::ArchiveExcess(excess.map(Box::new)))
            }
        }
    }

    /// A part that fails does not fail the others; one that is beyond reach does, since all parts come together.
    fn several(&mut self, requests: &[ReadRequest]) -> Result<Vec<Outcome>, Stop> {
        let each = requests.iter().map(|request| match self.outcome(request) {
            Err(Stop::Failed(failure)) => Ok(Outcome::Failed(failure)),
            outcome => outcome,
        });
        each.collect()
    }

    /// One value.
    pub(crate) fn get(&mut self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
        let value = self.db.get_pinned_cf_opt(column(self.db, family)?, key, &self.options())?;
        self.count(value.as_ref().map_or(0, |value| value.len()))?;
        Ok(value.map(|value| value.to_vec()))
    }

    /// The values of keys, in their order.
    pub(crate) fn multi_get(&mut self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Stop> {
        if self.reach == Reach::Memory {
            // One by one, so that the first miss ends it.
            return keys.iter().map(|key| self.get(family, key)).collect();
        }
        let values = self.db.batched_multi_get_cf_opt(column(self.db, family)?, keys, false, &self.options());
        values.into_iter().map(|value| Ok(value?.map(|value| value.to_vec()))).collect()
    }

    /// An iterator over the keys from `from` (inclusive) to `to` (exclusive), at its first one.
    pub(crate) fn range(
        &self,
        family: Family,
        from: Vec<u8>,
        to: Option<Vec<u8>>,
        reverse: bool,
    ) -> Result<DBRawIterator<'d>, Stop> {
        let mut iterator = self.unplaced(family, from, to)?;
        if reverse {
            iterator.seek_to_last();
        } else {
            iterator.seek_to_first();
        }
        Ok(iterator)
    }

    /// As [`Reader::range`], but without a place yet.
    pub(crate) fn unplaced(
        &self,
        family: Family,
        from: Vec<u8>,
        to: Option<Vec<u8>>,
    ) -> Result<DBRawIterator<'d>, Stop> {
        let mut options = self.options();
        options.set_iterate_lower_bound(from);
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        if self.reach == Reach::Memory {
            options.set_max_skippable_internal_keys(INLINE_SKIPPED_MAX);
        }
        Ok(self.db.raw_iterator_cf_opt(column(self.db, family)?, options))
    }

    /// Holds on to the database as it is now, so that all that is read from here on belongs together. Iterators over
    /// what was there before must have gone.
    pub(crate) fn pin(&mut self) {
        self.snapshot = Some(self.db.snapshot());
    }

    /// What the tail of an archive has. To be asked before the chunks are: it may become chunks at any time.
    pub(crate) fn tail(&self, wanted: &Wanted<'_>) -> Result<Tail, Stop> {
        self.tails.collect(wanted, self.reach == Reach::Disk).ok_or(Stop::BeyondReach)
    }

    /// Notes that a value has been read. A caller's thread has no time for many.
    pub(crate) fn count(&mut self, bytes: usize) -> Result<(), Stop> {
        self.values += 1;
        self.bytes += bytes;
        if self.reach == Reach::Memory && (self.values > INLINE_VALUES_MAX || self.bytes > INLINE_BYTES_MAX) {
            return Err(Stop::BeyondReach);
        }
        Ok(())
    }

    fn require_disk(&self) -> Result<(), Stop> {
        if self.reach == Reach::Disk { Ok(()) } else { Err(Stop::BeyondReach) }
    }

    fn page(&mut self, request: &PageRequest) -> Result<Page, Stop> {
        if request.to.as_ref().is_some_and(|to| *to <= request.from) {
            return Ok(Page { entries: Vec::new(), complete: true });
        }
        let mut iterator = self.range(request.family, request.from.clone(), request.to.clone(), request.reverse)?;
        self.fill(&mut iterator, request)
    }

    /// Collects entries until the page is full or the range ends.
    fn fill(&mut self, iterator: &mut DBRawIterator<'_>, request: &PageRequest) -> Result<Page, Stop> {
        let entries_max = request.entries_max.clamp(1, PAGE_ENTRIES_MAX);
        let bytes_max = request.bytes_max.min(PAGE_BYTES_MAX);
        let mut page = Page::default();
        let mut bytes = 0;
        while let Some((key, value)) = iterator.item() {
            let size = key.len() + value.len();
            if page.entries.len() == entries_max || (bytes + size > bytes_max && !page.entries.is_empty()) {
                return Ok(page);
            }
            bytes += size;
            self.count(size)?;
            page.entries.push((key.to_vec(), value.to_vec()));
            step(iterator, request.reverse);
        }
        // An iterator that stops for an error is merely not valid any more.
        iterator.status()?;
        page.complete = true;
        Ok(page)
    }

    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        if self.reach == Reach::Memory {
            options.set_read_tier(ReadTier::BlockCache);
        }
        if let Some(snapshot) = &self.snapshot {
            options.set_snapshot(snapshot);
        }
        options
    }
}

/// Moves on by one.
pub(crate) fn step(iterator: &mut DBRawIterator<'_>, reverse: bool) {
    if reverse { iterator.prev() } else { iterator.next() }
}
