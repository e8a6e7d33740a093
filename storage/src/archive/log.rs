//! The log of archives: what has been written to them and is not in a chunk yet.
//!
//! A **record** is one value of a log family, written in the same batch as everything else of its group: entries one
//! after the other, in the order in which they happened. The log of a **generation** is in one of two families, taking
//! turns, so that all of one goes at once when the generation's messages have become chunks. Key: generation, number
//! of the record within it, eight bytes each, big endian.
//!
//! An entry: kind, length of the owner's key (two bytes, big endian, as all numbers here), length of the value (four
//! bytes), the hash of the contact (eight bytes), the owner's key `owner 0x00`, the id (eight bytes), the value. An
//! entry that says that an owner's archive is forgotten ends with the owner's key.

use super::entry;
use crate::{Family, Owner};

/// A message for an archive.
const APPEND: u8 = 1;
/// All that an owner's archive has so far is gone.
const FORGET: u8 = 2;

const HEADER_BYTES: usize = 1 + 2 + 4 + 8;

/// The most bytes for which room is made in advance.
const ROOM_MAX: usize = 64 << 10;

/// Messages for archives, of any owners, that are handed over together: see
/// [`Client::write_turn`](crate::Client::write_turn). No message costs an allocation of its own.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Appends {
    // Entries of a record.
    bytes: Vec<u8>,
    tokens: Vec<u64>,
}

impl Appends {
    /// None yet.
    pub fn new() -> Appends {
        Appends::default()
    }

    /// None yet, with room for as much as has just come together, within reason: what grows is copied again and again.
    pub fn as_roomy_as(other: &Appends) -> Appends {
        let room = other.bytes.len().min(ROOM_MAX);
        Appends {
            bytes: Vec::with_capacity(room + room / 4),
            tokens: Vec::with_capacity(other.tokens.len().min(ROOM_MAX / 256)),
        }
    }

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
        self.push_entry(owner, id, flags(outgoing), with, 0, stanza);
        self.tokens.push(token);
    }

    /// The same without a token: the message is part of a request. The stanza has some `stanza_bytes`, the room that is
    /// made in advance.
    pub(super) fn push_entry(
        &mut self,
        owner: &Owner,
        id: u64,
        flags: u8,
        with: &str,
        stanza_bytes: usize,
        stanza: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        let owner_bytes = owner.key_bytes();
        self.bytes.reserve(HEADER_BYTES + owner_bytes + super::ID_BYTES + entry::bytes(with, stanza_bytes));
        self.bytes.push(APPEND);
        self.bytes.extend_from_slice(&(owner_bytes as u16).to_be_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&super::hash(with).to_be_bytes());
        owner.append_key(&mut self.bytes);
        self.bytes.extend_from_slice(&id.to_be_bytes());
        let value_at = self.bytes.len();
        entry::append(&mut self.bytes, flags, with, stanza);
        let value_bytes = (self.bytes.len() - value_at) as u32;
        self.bytes[start + 3..start + 7].copy_from_slice(&value_bytes.to_be_bytes());
    }

    /// How many messages with a token there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The tokens, in the order of the messages.
    pub fn tokens(&self) -> impl Iterator<Item = u64> {
        self.tokens.iter().copied()
    }

    /// The memory that they take.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&self.tokens[..])
    }

    pub(crate) fn entries(&self) -> Entries<'_> {
        entries(&self.bytes)
    }

    pub(crate) fn as_record(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the record out; the tokens stay.
    pub(crate) fn take_record(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub(crate) fn extend(&mut self, other: Appends) {
        if self.bytes.is_empty() {
            self.bytes = other.bytes;
        } else {
            self.bytes.extend_from_slice(&other.bytes);
        }
        self.tokens.extend(other.tokens);
    }
}

/// The flags of a message that is no tombstone.
pub(super) fn flags(outgoing: bool) -> u8 {
    if outgoing { entry::OUTGOING } else { 0 }
}

impl std::fmt::Debug for Appends {
    // What people write to each other stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appends").field("count", &self.entries().count()).field("bytes", &self.bytes.len()).finish()
    }
}

/// Notes in a record that the archive of an owner, given as `owner 0x00`, is gone.
pub(crate) fn forget(record: &mut Vec<u8>, owner: &[u8]) {
    record.push(FORGET);
    record.extend_from_slice(&(owner.len() as u16).to_be_bytes());
    record.extend_from_slice(&[0; 12]);
    record.extend_from_slice(owner);
}

/// One entry of a record.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Logged<'r> {
    Append {
        /// `owner 0x00 id`.
        key: &'r [u8],
        /// `owner 0x00`.
        owner: &'r [u8],
        id: u64,
        /// The contact's hash.
        with: u64,
        /// Where the value is in the record.
        at: usize,
        value: &'r [u8],
    },
    /// The owner, as `owner 0x00`.
    Forget(&'r [u8]),
}

/// The entries of a record. They end at the first one that cannot be read, which would be a bug: RocksDB has checked
/// the record.
pub(crate) fn entries(record: &[u8]) -> Entries<'_> {
    Entries { record, at: 0 }
}

pub(crate) struct Entries<'r> {
    record: &'r [u8],
    at: usize,
}

impl<'r> Iterator for Entries<'r> {
    type Item = Logged<'r>;

    fn next(&mut self) -> Option<Logged<'r>> {
        let rest = self.record.get(self.at..)?;
        let (header, rest) = rest.split_first_chunk::<HEADER_BYTES>()?;
        let [kind, o0, o1, v0, v1, v2, v3, hash @ ..] = *header;
        let owner_bytes = usize::from(u16::from_be_bytes([o0, o1]));
        let start = self.at + HEADER_BYTES;
        if kind == FORGET {
            self.at = start + owner_bytes;
            return Some(Logged::Forget(rest.get(..owner_bytes)?));
        }
        let value_bytes = u32::from_be_bytes([v0, v1, v2, v3]) as usize;
        let key = rest.get(..owner_bytes + super::ID_BYTES)?;
        let (owner, id) = key.split_last_chunk()?;
        let at = start + key.len();
        self.at = at + value_bytes;
        let value = self.record.get(at..self.at)?;
        let (id, with) = (u64::from_be_bytes(*id), u64::from_be_bytes(hash));
        (kind == APPEND).then_some(Logged::Append { key, owner, id, with, at, value })
    }
}

/// Where the log of a generation is.
pub(crate) fn family(generation: u64) -> Family {
    if generation.is_multiple_of(2) { Family::ArchiveLogEven } else { Family::ArchiveLogOdd }
}

/// The key of a record.
pub(crate) fn key(generation: u64, number: u64) -> [u8; 16] {
    (u128::from(generation) << 64 | u128::from(number)).to_be_bytes()
}

/// The generation and the number of the record with this key.
pub(crate) fn split_key(key: &[u8]) -> Option<(u64, u64)> {
    let key = u128::from_be_bytes(key.try_into().ok()?);
    Some(((key >> 64) as u64, key as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_come_back() {
        let (juliet, romeo) = (Owner::parse("juliet@example.org").unwrap(), Owner::parse("romeo@example.org").unwrap());
        let mut appends = Appends::new();
        appends.push(1, &juliet, 7, "romeo@example.org", true, |out| out.extend_from_slice(b"<a/>"));
        appends.push(2, &romeo, 8, "juliet@example.org", false, |out| out.extend_from_slice(b"<b/>"));
        let mut record = appends.clone().take_record();
        forget(&mut record, &juliet.key(b""));
        let found: Vec<_> = entries(&record).collect();
        let [Logged::Append { key, owner, id, with, at, value }, second, Logged::Forget(gone)] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!((*key, *owner), (&juliet.key(&7u64.to_be_bytes())[..], &juliet.key(b"")[..]));
        assert_eq!((*id, *with), (7, super::super::hash("romeo@example.org")));
        assert_eq!(&record[*at..*at + value.len()], *value);
        assert_eq!(entry::split(value).unwrap(), ("romeo@example.org", &b"<a/>"[..]));
        assert!(matches!(second, Logged::Append { id: 8, .. }));
        assert_eq!(*gone, juliet.key(b""));
        assert_eq!((appends.tokens().collect::<Vec<_>>(), appends.entries().count()), (vec![1, 2], 2));
        assert!(!format!("{appends:?}").contains("romeo"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(record: Vec<u8>) {
            entries(&record).for_each(drop);
        }

        #[test]
        fn keys_are_in_the_order_of_their_numbers(a: (u64, u64), b: (u64, u64)) {
            prop_assert_eq!(key(a.0, a.1).cmp(&key(b.0, b.1)), a.cmp(&b));
            prop_assert_eq!(split_key(&key(a.0, a.1)), Some(a));
        }
    }
}
