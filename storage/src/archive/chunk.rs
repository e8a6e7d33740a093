//! Chunks: the messages of one archive that became one in the same generation, up to some kilobytes of them.
//!
//! Family `archive`: key `owner 0x00 id`, the id of the chunk's first message; chunks of an owner do not overlap. The
//! value is one of three, told by its first byte:
//!
//! - 1: a chunk of one message, which begins with this byte itself (see [`entry`](super::entry)).
//! - 2: the chunk is elsewhere. The last id, the bytes of its messages (four bytes), its key in `archive_chunks`.
//! - 3: the chunk is here. The last id, the messages.
//!
//! Before all of them, with the key 0x00, is the highest id that any chunk has had. Behind all of them, with the key
//! 0xFF, are the keys in `archive_chunks` of chunks that others have replaced, until they are gone.
//!
//! Family `archive_chunks`: key: the time at which it was written, in microseconds since 1970, and a number (four
//! bytes). Value: version, the last id, the length of the owner's key (two bytes), the owner's key `owner 0x00`, the
//! messages. So a new chunk's key is always the last one, files never overlap, and compactions leave them as they are.
//!
//! A message: its id, its length (four bytes), its bytes. Numbers are big endian, those without a length eight bytes.

use super::ID_BYTES;

const ELSEWHERE: u8 = 2;
const HERE: u8 = 3;

/// The version of a value in `archive_chunks`.
const VERSION: u8 = 1;

const LENGTH_BYTES: usize = size_of::<u32>();
/// The bytes of a key in `archive_chunks`.
pub(super) const KEY_BYTES: usize = size_of::<u64>() + size_of::<u32>();

/// A key in `archive_chunks`.
pub(super) type ChunkKey = [u8; KEY_BYTES];

pub(super) fn key(time: u64, number: u32) -> ChunkKey {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&time.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The time at which a chunk was written, by its key.
pub(super) fn key_time(key: &[u8]) -> Option<u64> {
    key.first_chunk().map(|time| u64::from_be_bytes(*time))
}

/// Begins the value of a chunk that is elsewhere.
pub(super) fn begin(out: &mut Vec<u8>, owner: &[u8], last: u64) {
    out.push(VERSION);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&(owner.len() as u16).to_be_bytes());
    out.extend_from_slice(owner);
}

/// Begins the value of a chunk that is in `archive`.
pub(super) fn begin_here(out: &mut Vec<u8>, last: u64) {
    out.push(HERE);
    out.extend_from_slice(&last.to_be_bytes());
}

/// Adds a message to a chunk.
pub(super) fn push(out: &mut Vec<u8>, id: u64, value: &[u8]) {
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&(value.len() as u32).to_be_bytes());
    out.extend_from_slice(value);
}

/// What a message takes in a chunk.
pub(super) fn message_bytes(value: &[u8]) -> usize {
    ID_BYTES + LENGTH_BYTES + value.len()
}

/// The value in `archive` of a chunk that is elsewhere.
pub(super) fn elsewhere(last: u64, bytes: usize, key: &ChunkKey) -> [u8; 1 + ID_BYTES + LENGTH_BYTES + KEY_BYTES] {
    let mut value = [ELSEWHERE; 1 + ID_BYTES + LENGTH_BYTES + KEY_BYTES];
    value[1..9].copy_from_slice(&last.to_be_bytes());
    value[9..13].copy_from_slice(&(bytes as u32).to_be_bytes());
    value[13..].copy_from_slice(key);
    value
}

/// A value in `archive`.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Pointer<'v> {
    /// One message, whose id is the key's. It may not be readable.
    Single(&'v [u8]),
    Elsewhere {
        last: u64,
        bytes: u32,
        key: &'v [u8],
    },
    Here {
        last: u64,
        messages: &'v [u8],
    },
}

impl Pointer<'_> {
    pub(super) fn of(value: &[u8]) -> Pointer<'_> {
        let number = |at: usize| value.get(at..)?.first_chunk().map(|number| u64::from_be_bytes(*number));
        match (value.first(), number(1)) {
            (Some(&ELSEWHERE), Some(last)) => match value.get(9..).and_then(|rest| rest.split_first_chunk()) {
                Some((bytes, key)) => Pointer::Elsewhere { last, bytes: u32::from_be_bytes(*bytes), key },
                None => Pointer::Single(value),
            },
            (Some(&HERE), Some(last)) => Pointer::Here { last, messages: value.get(9..).unwrap_or(&[]) },
            // What cannot be read is shown as one message that cannot be read.
            _ => Pointer::Single(value),
        }
    }

    /// The id of the last message. `first` is the one in the key.
    pub(super) fn last(&self, first: u64) -> u64 {
        match self {
            Pointer::Single(_) => first,
            Pointer::Elsewhere { last, .. } | Pointer::Here { last, .. } => *last,
        }
    }

    /// The bytes of its messages.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Pointer::Single(value) | Pointer::Here { messages: value, .. } => value.len() as u64,
            Pointer::Elsewhere { bytes, .. } => u64::from(*bytes),
        }
    }
}

/// A value in `archive_chunks`: whose it is, the last id, and the messages.
pub(super) fn split(value: &[u8]) -> Option<(&[u8], u64, &[u8])> {
    let (&[VERSION], rest) = value.split_first_chunk()? else { return None };
    let (last, rest) = rest.split_first_chunk()?;
    let (owner_bytes, rest) = rest.split_first_chunk()?;
    let (owner, messages) = rest.split_at_checked(usize::from(u16::from_be_bytes(*owner_bytes)))?;
    Some((owner, u64::from_be_bytes(*last), messages))
}

/// The messages of a chunk, up to the first that is cut off.
pub(super) fn messages(bytes: &[u8]) -> Messages<'_> {
    Messages(bytes)
}

pub(super) struct Messages<'c>(&'c [u8]);

impl<'c> Iterator for Messages<'c> {
    type Item = (u64, &'c [u8]);

    fn next(&mut self) -> Option<(u64, &'c [u8])> {
        let (id, rest) = self.0.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.0 = rest;
        Some((u64::from_be_bytes(*id), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunks_come_back(owner: Vec<u8>, last: u64, all: Vec<(u64, Vec<u8>)>, time: u64, number: u32) {
            let owner = &owner[..owner.len().min(2000)];
            let (mut there, mut here) = (Vec::new(), Vec::new());
            begin(&mut there, owner, last);
            begin_here(&mut here, last);
            let mut size = 0;
            for (id, value) in &all {
                push(&mut there, *id, value);
                push(&mut here, *id, value);
                size += message_bytes(value);
            }
            let (found, found_last, bytes) = split(&there).unwrap();
            prop_assert_eq!((found, found_last, bytes.len()), (owner, last, size));
            prop_assert!(messages(bytes).eq(all.iter().map(|(id, value)| (*id, &value[..]))));
            prop_assert_eq!(Pointer::of(&here), Pointer::Here { last, messages: bytes });
            let key = key(time, number);
            prop_assert_eq!(key_time(&key), Some(time));
            let pointer = elsewhere(last, size, &key);
            let expected = Pointer::Elsewhere { last, bytes: size as u32, key: &key };
            prop_assert_eq!(Pointer::of(&pointer), expected);
        }

        #[test]
        fn no_bytes_panic(value: Vec<u8>, kind in 0u8..4) {
            let value = [&[kind], &value[..]].concat();
            Pointer::of(&value).last(1);
            split(&value).map(|(.., bytes)| messages(bytes).count());
            messages(&value).count();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        let (mut there, mut here) = (Vec::new(), Vec::new());
        begin(&mut there, b"o\0", 9);
        begin_here(&mut here, 9);
        push(&mut here, 9, b"m");
        assert_eq!(there, [&[1][..], &9u64.to_be_bytes(), &[0, 2, b'o', 0]].concat());
        assert_eq!(here, [&[3][..], &9u64.to_be_bytes(), &9u64.to_be_bytes(), &[0, 0, 0, 1, b'm']].concat());
        let pointer = elsewhere(9, 7, &key(5, 6));
        assert_eq!(
            pointer[..],
            [&[2][..], &9u64.to_be_bytes(), &[0, 0, 0, 7], &5u64.to_be_bytes(), &[0, 0, 0, 6]].concat()
        );
    }
}
