//! Carrying out one read, from memory only or from wherever the data are.

use crate::engine::column;
use crate::reply::{Failure, Outcome, Page};
use crate::{Family, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PageRequest, ReadRequest};
use rocksdb::{DB, DBRawIterator, ErrorKind, ReadOptions, ReadTier};

/// The most keys of a [`ReadRequest::MultiGet`] that are looked up on the caller's thread.
const INLINE_KEYS_MAX: usize = 64;
/// The largest page that is read on the caller's thread.
const INLINE_ENTRIES_MAX: usize = 64;
const INLINE_BYTES_MAX: usize = 64 << 10;
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

/// Carries out `request`; `None` if it needs more than `reach` allows.
pub(crate) fn execute(db: &DB, request: &ReadRequest, reach: Reach) -> Option<Outcome> {
    if reach == Reach::Memory && !fits_inline(request) {
        return None;
    }
    let outcome = match request {
        ReadRequest::Get(family, key) => get(db, *family, key, &options(reach)).map(Outcome::Value),
        ReadRequest::MultiGet(family, keys) => multi_get(db, *family, keys, reach).map(Outcome::Values),
        ReadRequest::Page(request) => page(db, request, reach).map(Outcome::Page),
    };
    match outcome {
        Ok(outcome) => Some(outcome),
        Err(Stop::NotInMemory) => None,
        Err(Stop::Failed(failure)) => Some(Outcome::Failed(failure)),
    }
}

/// One value, from wherever it is.
pub(crate) fn value(db: &DB, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    Ok(db.get_pinned_cf(column(db, family)?, key)?.map(|value| value.to_vec()))
}

enum Stop {
    NotInMemory,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

impl From<rocksdb::Error> for Stop {
    fn from(error: rocksdb::Error) -> Stop {
        if error.kind() == ErrorKind::Incomplete { Stop::NotInMemory } else { Stop::Failed(error.into()) }
    }
}

fn fits_inline(request: &ReadRequest) -> bool {
    match request {
        ReadRequest::Get(..) => true,
        ReadRequest::MultiGet(_, keys) => keys.len() <= INLINE_KEYS_MAX,
        ReadRequest::Page(page) => page.entries_max <= INLINE_ENTRIES_MAX && page.bytes_max <= INLINE_BYTES_MAX,
    }
}

fn options(reach: Reach) -> ReadOptions {
    let mut options = ReadOptions::default();
    if reach == Reach::Memory {
        options.set_read_tier(ReadTier::BlockCache);
    }
    options
}

fn get(db: &DB, family: Family, key: &[u8], options: &ReadOptions) -> Result<Option<Vec<u8>>, Stop> {
    Ok(db.get_pinned_cf_opt(column(db, family)?, key, options)?.map(|value| value.to_vec()))
}

fn multi_get(db: &DB, family: Family, keys: &[Vec<u8>], reach: Reach) -> Result<Vec<Option<Vec<u8>>>, Stop> {
    let options = options(reach);
    if reach == Reach::Memory {
        // One by one, so that the first miss ends it.
        return keys.iter().map(|key| get(db, family, key, &options)).collect();
    }
    let values = db.batched_multi_get_cf_opt(column(db, family)?, keys, false, &options);
    values.into_iter().map(|value| Ok(value?.map(|value| value.to_vec()))).collect()
}

fn page(db: &DB, request: &PageRequest, reach: Reach) -> Result<Page, Stop> {
    let mut options = options(reach);
    options.set_iterate_lower_bound(request.from.clone());
    if let Some(to) = &request.to {
        if *to <= request.from {
            return Ok(Page { entries: Vec::new(), complete: true });
        }
        options.set_iterate_upper_bound(to.clone());
    }
    if reach == Reach::Memory {
        options.set_max_skippable_internal_keys(INLINE_SKIPPED_MAX);
    }
    let mut iterator = db.raw_iterator_cf_opt(column(db, request.family)?, options);
    if request.reverse {
        iterator.seek_to_last()
    } else {
        iterator.seek_to_first()
    }
    Ok(fill(&mut iterator, request)?)
}

/// Collects entries until the page is full or the range ends.
fn fill(iterator: &mut DBRawIterator<'_>, request: &PageRequest) -> Result<Page, rocksdb::Error> {
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
        page.entries.push((key.to_vec(), value.to_vec()));
        if request.reverse { iterator.prev() } else { iterator.next() }
    }
    // An iterator that stops for an error is merely not valid any more.
    iterator.status()?;
    page.complete = true;
    Ok(page)
}
