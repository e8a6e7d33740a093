//! Reading an archive: which messages, how many of them, and in which direction.
//!
//! Everything is bounded by the page that is asked for. The chunks that may have messages of it are read one by one:
//! all of them, or with a contact those that the index names. What the tail has comes in between by its id, which is
//! nearly always after all of them, and is newer than what a chunk has under the same id.

use super::entry::{Entry, split};
use super::hash;
use super::tails::Wanted;
use super::walk::{Chunk, Span, Walk, chunk_at};
use crate::read::{Reader, Stop};
use crate::{DecodeError, Owner, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, ReadRequest};

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

/// The span of a query over an archive that begins at `floor`; `None` if nothing can be in it.
fn span_of(query: &Query, floor: u64) -> Option<Span> {
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

/// One message, wherever it is.
pub(crate) fn find(owner: &Owner, id: u64, reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, Stop> {
    Lookup::of(owner).find(id, reader)
}

/// Looks up messages by their ids. Neighbours are often in one chunk.
struct Lookup<'q> {
    owner: &'q Owner,
    chunk: Option<Chunk>,
    /// Which generation was to become chunks next when the chunk was read.
    generation: u64,
}

impl<'q> Lookup<'q> {
    fn of(owner: &'q Owner) -> Lookup<'q> {
        Lookup { owner, chunk: None, generation: 0 }
    }

    fn find(&mut self, id: u64, reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, Stop> {
        let owner = self.owner.key(b"");
        let to = id.checked_add(1);
        let wanted =
            Wanted { owner: &owner, from: id, to, with: None, reverse: false, entries_max: 1, bytes_max: usize::MAX };
        // The tail first: what is in it may become a chunk at any time.
        let tail = reader.tail(&wanted)?;
        if let Some((_, value)) = tail.messages.into_iter().next() {
            reader.count(value.as_ref().map_or(0, Vec::len))?;
            return Ok(value);
        }
        // What the tail has no more may have changed the chunk.
        let is_valid = |chunk: &Chunk| tail.generation == self.generation && (chunk.first..=chunk.last).contains(&id);
        if !self.chunk.as_ref().is_some_and(is_valid) {
            reader.pin();
            self.chunk = chunk_at(self.owner, id, reader)?;
            self.generation = tail.generation;
        }
        let Some(chunk) = &self.chunk else { return Ok(None) };
        let found = chunk.messages().into_iter().find(|(found, _)| *found == id);
        Ok(found.map(|(_, value)| value.to_vec()))
    }
}

impl Query {
    pub(crate) fn execute(&self, reader: &mut Reader<'_>) -> Result<Found, Stop> {
        let floor = reader.retention.floor_now(&self.owner.key(b""));
        let mut lookup = Lookup::of(&self.owner);
        let named = self.after_id.iter().chain(&self.before_id).chain(&self.must_exist);
        for &id in named {
            if id < floor || lookup.find(id, reader)?.is_none() {
                return Ok(Found::UnknownId(id));
            }
        }
        let span = span_of(self, floor);
        let mut page = Filling { query: self, entries: Vec::new(), bytes: 0, damaged: None };
        let complete = match (&self.ids, span) {
            (Some(ids), span) => match self.pick(ids, floor, span, reader, &mut page)? {
                Picked::Unknown(id) => return Ok(Found::UnknownId(id)),
                Picked::All => true,
                Picked::Some => false,
            },
            (None, None) => true,
            (None, Some(span)) => self.scan(span, reader, &mut page)?,
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

    /// Reads the archive in order. Whether it came to the end.
    fn scan(&self, span: Span, reader: &mut Reader<'_>, page: &mut Filling<'_>) -> Result<bool, Stop> {
        let owner = self.owner.key(b"");
        let with = self.with.as_deref().map(|with| (hash(with), with));
        let wanted = Wanted {
            owner: &owner,
            from: span.from,
            to: span.to,
            with,
            reverse: self.reverse,
            entries_max: page.room(),
            bytes_max: page.bytes_max(),
        };
        // The tail first: what is in it may become a chunk at any time.
        let mut tail = reader.tail(&wanted)?.messages.into_iter().peekable();
        reader.pin();
        let mut chunks = Walk::new(&self.owner, with.map(|(hash, _)| hash), span, self.reverse, reader)?;
        let is_before = |one: u64, other: u64| if self.reverse { one > other } else { one < other };
        while let Some(chunk) = chunks.next(reader)? {
            let mut messages = chunk.messages();
            messages.retain(|(id, _)| span.contains(*id));
            if self.reverse {
                messages.reverse();
            }
            for (id, value) in messages {
                while let Some((newer, value)) = tail.next_if(|(newer, _)| is_before(*newer, id)) {
                    if offer_tail(newer, value, reader, page)? == Room::None {
                        return Ok(false);
                    }
                }
                // The tail's is offered when its turn comes.
                if tail.peek().is_some_and(|(newer, _)| *newer == id) {
                    continue;
                }
                // The bytes were counted as the chunk's.
                reader.count(0)?;
                if page.offer(id, value) == Room::None {
                    return Ok(false);
                }
            }
        }
        for (id, value) in tail {
            if offer_tail(id, value, reader, page)? == Room::None {
                return Ok(false);
            }
        }
        Ok(true)
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
        let mut lookup = Lookup::of(&self.owner);
        for id in ids {
            let value = if id < floor { None } else { lookup.find(id, reader)? };
            let Some(value) = value else { return Ok(Picked::Unknown(id)) };
            let wanted = matches!(picked, Picked::All) && span.is_some_and(|span| span.contains(id));
            if wanted && page.offer(id, value) == Room::None {
                picked = Picked::Some;
            }
        }
        Ok(picked)
    }
}

/// Offers what the tail has, if it is more than a note.
fn offer_tail(id: u64, value: Option<Vec<u8>>, reader: &mut Reader<'_>, page: &mut Filling<'_>) -> Result<Room, Stop> {
    let Some(value) = value else { return Ok(Room::Enough) };
    reader.count(value.len())?;
    Ok(page.offer(id, value))
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

    /// How many bytes may come.
    fn bytes_max(&self) -> usize {
        self.query.bytes_max.min(PAGE_BYTES_MAX)
    }

    /// Takes a message if it is with the right contact.
    fn offer(&mut self, id: u64, value: impl AsRef<[u8]> + Into<Vec<u8>>) -> Room {
        let bytes = value.as_ref().len();
        if let (Some(with), Ok((found, _))) = (&self.query.with, split(value.as_ref()))
            && **with != *found
        {
            return Room::Enough;
        }
        if self.room() == 0 || (self.bytes + bytes > self.bytes_max() && !self.entries.is_empty()) {
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
        span_of(&query, 10).map(|span| (span.from, span.to))
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
