//! Reading the chunks of one archive in the order of their ids, in either direction.

use super::chunk::{self, Pointer};
#[cfg(test)]
use super::seams;
use super::{CHUNKS, FAMILY, HASH_BYTES, ID_BYTES, INDEX, index_rest};
use crate::Owner;
use crate::read::{Reader, Stop};
use rocksdb::DBRawIterator;

/// The ids that are looked for: from the first (inclusive) to the last (exclusive; none: to the end).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: Option<u64>,
}

impl Span {
    pub(super) fn contains(&self, id: u64) -> bool {
        id >= self.from && self.to.is_none_or(|to| id < to)
    }
}

/// A chunk that has been read.
pub(super) struct Chunk {
    pub(super) first: u64,
    pub(super) last: u64,
    kind: Kind,
}

enum Kind {
    Single(Vec<u8>),
    /// The value, and where its messages begin.
    Several(Vec<u8>, usize),
}

impl Chunk {
    /// Its messages, in the order of their ids.
    pub(super) fn messages(&self) -> Vec<(u64, &[u8])> {
        match &self.kind {
            Kind::Single(value) => vec![(self.first, value)],
            Kind::Several(value, at) => chunk::messages(&value[*at..]).collect(),
        }
    }

    /// Reads the chunk with this key and value in `archive`. `None` if there is none: it is void and has been dropped.
    fn read(first: u64, value: &[u8], reader: &mut Reader<'_>) -> Result<Option<Chunk>, Stop> {
        let pointer = Pointer::of(value);
        let last = pointer.last(first);
        let kind = match pointer {
            Pointer::Single(value) => Kind::Single(value.to_vec()),
            Pointer::Here { messages, .. } => Kind::Several(value.to_vec(), value.len() - messages.len()),
            Pointer::Elsewhere { key, .. } => {
                #[cfg(test)]
                seams::pass(seams::Point::BeforeChunk);
                let Some(value) = reader.get(CHUNKS, key)? else { return Ok(None) };
                #[cfg(test)]
                seams::pass(seams::Point::AfterChunk);
                let at = chunk::split(&value).map_or(value.len(), |(.., messages)| value.len() - messages.len());
                Kind::Several(value, at)
            }
        };
        Ok(Some(Chunk { first, last, kind }))
    }
}

/// Goes through an owner's chunks.
pub(super) struct Walk<'d> {
    iterator: DBRawIterator<'d>,
    span: Span,
    reverse: bool,
    /// Where the index's keys lead to: the owner's key in `archive`.
    indexed: Option<Vec<u8>>,
    begun: bool,
}

impl<'d> Walk<'d> {
    /// All chunks that may have messages of the span; with a contact's hash those that have messages with it. The
    /// reader must be pinned until the end.
    pub(super) fn new(
        owner: &Owner,
        with: Option<u64>,
        span: Span,
        reverse: bool,
        reader: &mut Reader<'d>,
    ) -> Result<Walk<'d>, Stop> {
        let key = |id: u64| match with {
            None => owner.key(&id.to_be_bytes()),
            Some(hash) => owner.key(&index_rest(hash, id)),
        };
        let end = match (span.to, with.map(|hash| hash.checked_add(1))) {
            (Some(to), _) => key(to),
            (None, Some(Some(next))) => owner.key(&next.to_be_bytes()),
            (None, None | Some(None)) => owner.end(),
        };
        let family = if with.is_some() { INDEX } else { FAMILY };
        // The chunk that the span begins in may begin before it.
        let mut iterator = reader.unplaced(family, key(0), Some(end))?;
        if reverse {
            iterator.seek_to_last();
        } else {
            iterator.seek_for_prev(key(span.from));
            // Of chunks that were to be parts of another one the index may be there without them: that one is before.
            while with.is_some()
                && let Some((key, value)) = iterator.item()
                && let Some(first) = id_of(key).filter(|first| indexed_last(*first, value) >= span.from)
                && reader.get(FAMILY, &owner.key(&first.to_be_bytes()))?.is_none()
            {
                iterator.prev();
            }
            // Nothing before it. What ends an iteration for another reason is looked at by `next`.
            if !iterator.valid() && iterator.status().is_ok() {
                iterator.seek_to_first();
            }
        }
        Ok(Walk { iterator, span, reverse, indexed: with.map(|_| owner.key(b"")), begun: false })
    }

    /// The next chunk.
    pub(super) fn next(&mut self, reader: &mut Reader<'_>) -> Result<Option<Chunk>, Stop> {
        loop {
            if std::mem::replace(&mut self.begun, true) {
                crate::read::step(&mut self.iterator, self.reverse);
            }
            let Some((key, value)) = self.iterator.item() else {
                self.iterator.status()?;
                return Ok(None);
            };
            let Some(first) = id_of(key) else { continue };
            let last = match &self.indexed {
                None => Pointer::of(value).last(first),
                Some(_) => indexed_last(first, value),
            };
            if last < self.span.from {
                if self.reverse {
                    return Ok(None);
                }
                continue;
            }
            let chunk = match &self.indexed {
                None => Chunk::read(first, value, reader)?,
                Some(owner) => match reader.get(FAMILY, &[owner, &first.to_be_bytes()[..]].concat())? {
                    Some(value) => Chunk::read(first, &value, reader)?,
                    // The index may be ahead of the archive or behind it while compactions drop what is too old.
                    None => None,
                },
            };
            if let Some(chunk) = chunk {
                return Ok(Some(chunk));
            }
        }
    }
}

/// The last id that a chunk may have by the index. Of a chunk of one message the index has no value.
pub(super) fn indexed_last(first: u64, value: &[u8]) -> u64 {
    value.first_chunk().map_or(first, |last| u64::from_be_bytes(*last))
}

/// The chunk in which a message would be. The reader must be pinned.
pub(super) fn chunk_at(owner: &Owner, id: u64, reader: &mut Reader<'_>) -> Result<Option<Chunk>, Stop> {
    let span = Span { from: id, to: id.checked_add(1) };
    Walk::new(owner, None, span, false, reader)?.next(reader)
}

/// The id at the end of a key of either family.
pub(super) fn id_of(key: &[u8]) -> Option<u64> {
    debug_assert!(key.len() > ID_BYTES + HASH_BYTES / 2, "a key ends with its id");
    key.last_chunk().map(|id| u64::from_be_bytes(*id))
}
