//! Reading an archive: which messages, how many of them, and in which direction.
//!
//! Everything is bounded by the page that is asked for. Without a contact the owner's range of `archive` is read; with
//! one, the contact's range of the index, and the messages in small groups.

use super::entry::{Entry, split};
use super::{FAMILY, HASH_BYTES, ID_BYTES, INDEX, hash, index_rest};
use crate::read::{Reader, Stop, step};
use crate::{DecodeError, Owner, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, ReadRequest};

/// How many messages are fetched at a time when their ids are known.
const FETCHED_TOGETHER: usize = 32;

/// Which messages of an archive are wanted (XEP-0313 §4.1, XEP-0059). Start from [`Query::new`].
///
/// All conditions must hold. Answered by [`Found`]; make a request of it with `into()`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    /// Whose archive.
    pub owner: Owner,
    /// Only messages to and from this bare address.
    pub with: Option<Box<str>>,
    /// Not before this time, in microseconds since 1970.
    pub start_us: Option<u64>,
    /// Not after this time, in microseconds since 1970.
    pub end_us: Option<u64>,
    /// Only what comes after this message, which must exist.
    pub after_id: Option<u64>,
    /// Only what comes before this message, which must exist.
    pub before_id: Option<u64>,
    /// Only these messages, all of which must exist.
    pub ids: Option<Vec<u64>>,
    /// Further messages that must exist: what a client has named, but does not narrow this page.
    pub must_exist: Vec<u64>,
    /// The most messages wanted; at most [`PAGE_ENTRIES_MAX`] come.
    pub entries_max: usize,
    /// The most bytes of messages wanted; at least one message comes, and at most [`PAGE_BYTES_MAX`].
    pub bytes_max: usize,
    /// The last messages that match rather than the first. It does not change the order within the page.
    pub reverse: bool,
}

impl Query {
    /// The whole archive of `owner`, from its beginning, as much as one page holds.
    pub fn new(owner: Owner) -> Query {
        Query {
            owner,
            with: None,
            start_us: None,
            end_us: None,
            after_id: None,
            before_id: None,
            ids: None,
            must_exist: Vec::new(),
            entries_max: PAGE_ENTRIES_MAX,
            bytes_max: PAGE_BYTES_MAX,
            reverse: false,
        }
    }

    /// The query for what comes after `page` (before it, with [`Query::reverse`]), or `None` if nothing does.
    pub fn next(&self, page: &Page) -> Option<Query> {
        if page.complete {
            return None;
        }
        let mut next = self.clone();
        if self.reverse {
            next.before_id = Some(page.entries.first()?.id());
        } else {
            next.after_id = Some(page.entries.last()?.id());
        }
        Some(next)
    }
}

impl From<Query> for ReadRequest {
    fn from(query: Query) -> ReadRequest {
        ReadRequest::Archive(Box::new(query))
    }
}

/// What came of a query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// The messages that match.
    Page(Page),
    /// The archive has no message of this id, which the query names (XEP-0313 §4.1.3: `item-not-found`).
    UnknownId(u64),
}

/// A part of an archive.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// The messages, always in the order of their ids.
    pub entries: Vec<Entry>,
    /// Whether no more messages match in the query's direction: after these, or before them with [`Query::reverse`].
    pub complete: bool,
    /// The first of the messages that cannot be read. They are left out, so that they do not hide the others.
    pub damaged: Option<DecodeError>,
}

/// The ids that a query is about: from the first (inclusive) to the last (exclusive; none: to the end).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Span {
    from: u64,
    to: Option<u64>,
}

impl Span {
    /// The span of a query over an archive that begins at `floor`; `None` if nothing can be in it.
    fn of(query: &Query, floor: u64) -> Option<Span> {
        let mut from = floor.max(query.start_us.unwrap_or(0));
        if let Some(after) = query.after_id {
            from = from.max(after.checked_add(1)?);
        }
        // No id comes after the last number there is.
        let mut to = query.end_us.and_then(|end| end.checked_add(1));
        if let Some(before) = query.before_id {
            to = Some(to.map_or(before, |to| to.min(before)));
        }
        to.is_none_or(|to| from < to).then_some(Span { from, to })
    }

    fn contains(&self, id: u64) -> bool {
        id >= self.from && self.to.is_none_or(|to| id < to)
    }
}

impl Query {
    pub(crate) fn execute(&self, reader: &mut Reader<'_>) -> Result<Found, Stop> {
        let floor = reader.retention.floor_now(&self.owner.key(b""));
        let named = self.after_id.iter().chain(&self.before_id).chain(&self.must_exist);
        for &id in named {
            if id < floor || reader.get(FAMILY, &self.key(id))?.is_none() {
                return Ok(Found::UnknownId(id));
            }
        }
        let span = Span::of(self, floor);
        let mut page = Filling { query: self, entries: Vec::new(), bytes: 0, damaged: None };
        let complete = match (&self.ids, span) {
            (Some(ids), span) => match self.pick(ids, floor, span, reader, &mut page)? {
                Picked::Unknown(id) => return Ok(Found::UnknownId(id)),
                Picked::All => true,
                Picked::Some => false,
            },
            (None, None) => true,
            (None, Some(span)) => match &self.with {
                None => self.scan(span, reader, &mut page)?,
                Some(with) => self.scan_index(hash(with), span, reader, &mut page)?,
            },
        };
        let Filling { mut entries, damaged, .. } = page;
        if self.reverse {
            entries.reverse();
        }
        Ok(Found::Page(Page { entries, complete, damaged }))
    }

    fn key(&self, id: u64) -> Vec<u8> {
        self.owner.key(&id.to_be_bytes())
    }

    /// Reads the archive itself. Whether it came to the end.
    fn scan(&self, span: Span, reader: &mut Reader<'_>, page: &mut Filling<'_>) -> Result<bool, Stop> {
        let end = span.to.map_or_else(|| self.owner.end(), |to| self.key(to));
        let mut iterator = reader.range(FAMILY, self.key(span.from), Some(end), self.reverse)?;
        while let Some((key, value)) = iterator.item() {
            reader.count(value.len())?;
            if let Some(id) = id_of(key)
                && page.offer(id, value) == Room::None
            {
                return Ok(false);
            }
            step(&mut iterator, self.reverse);
        }
        iterator.status()?;
        Ok(true)
    }

    /// Reads the index, and fetches the messages. Whether it came to the end.
    fn scan_index(&self, hash: u64, span: Span, reader: &mut Reader<'_>, page: &mut Filling<'_>) -> Result<bool, Stop> {
        let end = match (span.to, hash.checked_add(1)) {
            (Some(to), _) => self.owner.key(&index_rest(hash, to)),
            (None, Some(next)) => self.owner.key(&next.to_be_bytes()),
            (None, None) => self.owner.end(),
        };
        let from = self.owner.key(&index_rest(hash, span.from));
        let mut iterator = reader.range(INDEX, from, Some(end), self.reverse)?;
        let mut ids = Vec::new();
        loop {
            ids.clear();
            // One more than has room, to see whether there is more.
            let wanted = (page.room() + 1).min(FETCHED_TOGETHER);
            while ids.len() < wanted
                && let Some(key) = iterator.key()
            {
                ids.extend(id_of(key));
                step(&mut iterator, self.reverse);
            }
            if ids.is_empty() {
                iterator.status()?;
                return Ok(true);
            }
            for (&id, value) in ids.iter().zip(self.fetch(&ids, reader)?) {
                // The index may be ahead of the archive or behind it while a compaction drops what is too old.
                if let Some(value) = value
                    && page.offer(id, value) == Room::None
                {
                    return Ok(false);
                }
            }
        }
    }

    /// Fetches the messages with these ids, of which all have to exist, and keeps those that match.
    fn pick(
        &self,
        ids: &[u64],
        floor: u64,
        span: Option<Span>,
        reader: &mut Reader<'_>,
        page: &mut Filling<'_>,
    ) -> Result<Picked, Stop> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        if self.reverse {
            ids.reverse();
        }
        let mut picked = Picked::All;
        for ids in ids.chunks(FETCHED_TOGETHER) {
            for (&id, value) in ids.iter().zip(self.fetch(ids, reader)?) {
                let Some(value) = value.filter(|_| id >= floor) else { return Ok(Picked::Unknown(id)) };
                let wanted = matches!(picked, Picked::All) && span.is_some_and(|span| span.contains(id));
                if wanted && page.offer(id, value) == Room::None {
                    picked = Picked::Some;
                }
            }
        }
        Ok(picked)
    }

    fn fetch(&self, ids: &[u64], reader: &mut Reader<'_>) -> Result<Vec<Option<Vec<u8>>>, Stop> {
        let keys: Vec<_> = ids.iter().map(|&id| self.key(id)).collect();
        reader.multi_get(FAMILY, &keys)
    }
}

/// How far [`Query::pick`] came.
enum Picked {
    All,
    /// More match than the page has room for.
    Some,
    Unknown(u64),
}

/// A page that is being filled.
struct Filling<'q> {
    query: &'q Query,
    entries: Vec<Entry>,
    bytes: usize,
    damaged: Option<DecodeError>,
}

/// Whether there was room for what was offered.
#[derive(Eq, PartialEq)]
enum Room {
    Enough,
    None,
}

impl Filling<'_> {
    /// How many more messages may come.
    fn room(&self) -> usize {
        self.query.entries_max.clamp(1, PAGE_ENTRIES_MAX) - self.entries.len()
    }

    /// Takes a message if it is with the right contact.
    fn offer(&mut self, id: u64, value: impl AsRef<[u8]> + Into<Vec<u8>>) -> Room {
        let bytes = value.as_ref().len();
        if let (Some(with), Ok((found, _))) = (&self.query.with, split(value.as_ref()))
            && **with != *found
        {
            return Room::Enough;
        }
        let bytes_max = self.query.bytes_max.min(PAGE_BYTES_MAX);
        if self.room() == 0 || (self.bytes + bytes > bytes_max && !self.entries.is_empty()) {
            return Room::None;
        }
        match Entry::decode(id, || self.query.key(id), value.into()) {
            Ok(entry) => {
                self.bytes += bytes;
                self.entries.push(entry);
            }
            Err(error) => self.damaged = self.damaged.take().or(Some(error)),
        }
        Room::Enough
    }
}

/// The id at the end of a key of either family.
fn id_of(key: &[u8]) -> Option<u64> {
    debug_assert!(key.len() > ID_BYTES + HASH_BYTES / 2, "a key ends with its id");
    key.last_chunk().map(|id| u64::from_be_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The span of a query with these bounds, over an archive that begins at 10.
    fn span(
        start: Option<u64>,
        end: Option<u64>,
        after: Option<u64>,
        before: Option<u64>,
    ) -> Option<(u64, Option<u64>)> {
        let query = Query {
            start_us: start,
            end_us: end,
            after_id: after,
            before_id: before,
            ..Query::new(Owner::parse("juliet@example.org").unwrap())
        };
        Span::of(&query, 10).map(|span| (span.from, span.to))
    }

    #[test]
    fn the_narrowest_bounds_hold() {
        assert_eq!(span(None, None, None, None), Some((10, None)));
        assert_eq!(span(Some(5), Some(20), None, None), Some((10, Some(21))));
        assert_eq!(span(Some(15), None, Some(15), None), Some((16, None)));
        assert_eq!(span(Some(17), None, Some(15), Some(30)), Some((17, Some(30))));
        assert_eq!(span(None, Some(20), None, Some(21)), Some((10, Some(21))));
        assert_eq!(span(None, Some(20), None, Some(20)), Some((10, Some(20))));
        assert_eq!(span(None, Some(u64::MAX), None, None), Some((10, None)));
    }

    #[test]
    fn nothing_is_between_bounds_that_meet() {
        for nothing in [
            span(None, Some(9), None, None),
            span(Some(30), Some(29), None, None),
            span(None, None, Some(20), Some(21)),
            span(None, None, Some(20), Some(20)),
            span(None, None, Some(u64::MAX), None),
            span(None, None, None, Some(0)),
        ] {
            assert_eq!(nothing, None);
        }
        assert_eq!(span(Some(30), Some(30), None, None), Some((30, Some(31))));
    }
}
