//! Messages to be archived that a turn has brought together, in one buffer: none of them costs an allocation.

use super::entry::{OUTGOING, encode_to};
use super::{FAMILY, HASH_BYTES, ID_BYTES, INDEX, hash, index_rest};
use crate::{Family, Owner};
use std::ops::Range;

/// What counts for the queue beside a message's bytes: its second key, and the rest of both records.
const OVERHEAD_BYTES: usize = 128;

/// Messages to be archived, each as [`append`](super::append) would have it and like it in a request of its own: on
/// its own it is atomic, and all of it is written in the order in which it came.
#[derive(Debug, Default)]
pub struct Appends {
    /// Of each message: its key in `archive`, then the value.
    bytes: Vec<u8>,
    entries: Vec<Append>,
}

#[derive(Clone, Debug)]
struct Append {
    token: u64,
    /// Where its key is among others, roughly: the first letters of the owner's name.
    place: u64,
    key: Range<usize>,
    value_end: usize,
    hash: u64,
}

impl Appends {
    /// Adds a message to the archive of `owner`, with the token of its outcome. See [`append`](super::append) for the
    /// rest.
    pub fn push(
        &mut self,
        token: u64,
        owner: &Owner,
        id: u64,
        with: &str,
        outgoing: bool,
        stanza: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        owner.write_key(&mut self.bytes, &id.to_be_bytes());
        let key = start..self.bytes.len();
        encode_to(&mut self.bytes, if outgoing { OUTGOING } else { 0 }, with, stanza);
        let mut letters = [0; size_of::<u64>()];
        letters.iter_mut().zip(owner.local().bytes()).for_each(|(place, letter)| *place = letter);
        let place = u64::from_be_bytes(letters);
        self.entries.push(Append { token, place, key, value_end: self.bytes.len(), hash: hash(with) });
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tokens, in the order of the messages.
    pub fn tokens(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(|append| append.token)
    }

    /// Roughly the bytes that they take in memory and add to the log.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * OVERHEAD_BYTES
    }

    /// Puts them in the order of their keys, as far as that is cheap: a memtable's places for them are found in the
    /// processor's caches then.
    pub(crate) fn sort(&mut self) {
        self.entries.sort_by_key(|append| append.place);
    }

    /// Shows every record: those of messages, and then those of the index.
    pub(crate) fn each<E>(&self, mut put: impl FnMut(Family, &[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        for append in &self.entries {
            put(FAMILY, &self.bytes[append.key.clone()], &self.bytes[append.key.end..append.value_end])?;
        }
        let mut index = Vec::with_capacity(128 + HASH_BYTES);
        for append in &self.entries {
            let key = &self.bytes[append.key.clone()];
            let (owner, id) = key.split_at(key.len().saturating_sub(ID_BYTES));
            let id = id.first_chunk().map_or(0, |id| u64::from_be_bytes(*id));
            index.clear();
            index.extend_from_slice(owner);
            index.extend_from_slice(&index_rest(append.hash, id));
            put(INDEX, &index, &[])?;
        }
        Ok(())
    }
}
