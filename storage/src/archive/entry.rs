//! One archived message, and how it is stored: no field costs an allocation of its own, in either direction.
//!
//! Version 1: version, flags, the length of the other side's address (two bytes, big endian), the address, the stanza.

use crate::DecodeError;
use std::fmt;

const VERSION: u8 = 1;
/// Version, flags, and the length of the address.
const HEADER_BYTES: usize = 4;

/// The owner has sent it.
pub(super) const OUTGOING: u8 = 1;
/// It stands for a message that was taken out.
pub(super) const TOMBSTONE: u8 = 2;

/// A message in an archive.
#[derive(Clone, Eq, PartialEq)]
pub struct Entry {
    id: u64,
    with_bytes: u16,
    // As it is stored.
    value: Vec<u8>,
}

impl Entry {
    /// Its id, which is also its time: microseconds since 1970.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The bare address of the other side.
    pub fn with(&self) -> &str {
        // Invariant: `split` has read the address before an entry was made of the value.
        std::str::from_utf8(&self.value[HEADER_BYTES..self.stanza_at()]).unwrap_or_default()
    }

    /// Whether the archive's owner has sent it.
    pub fn is_outgoing(&self) -> bool {
        self.flags() & OUTGOING != 0
    }

    /// Whether the message was taken out; the stanza is a placeholder then.
    pub fn is_tombstone(&self) -> bool {
        self.flags() & TOMBSTONE != 0
    }

    /// The stanza's bytes.
    pub fn stanza(&self) -> &[u8] {
        &self.value[self.stanza_at()..]
    }

    pub(super) fn flags(&self) -> u8 {
        self.value[1]
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }

    /// Reads a stored value. `key` is for the error.
    pub(super) fn decode(id: u64, key: impl FnOnce() -> Vec<u8>, value: Vec<u8>) -> Result<Entry, DecodeError> {
        match split(&value) {
            Ok((with, _)) => Ok(Entry { id, with_bytes: with.len() as u16, value }),
            Err(Damage::Version(version)) => Err(DecodeError::unknown_version(super::FAMILY.name(), &key(), version)),
            Err(Damage::Text(text)) => Err(DecodeError::damaged(super::FAMILY.name(), &key(), text)),
        }
    }

    fn stanza_at(&self) -> usize {
        HEADER_BYTES + usize::from(self.with_bytes)
    }
}

impl fmt::Debug for Entry {
    // What people write to each other stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("outgoing", &self.is_outgoing())
            .field("tombstone", &self.is_tombstone())
            .field("stanza_bytes", &self.stanza().len())
            .finish_non_exhaustive()
    }
}

/// The bytes that a value takes, if the stanza has so many.
pub(super) fn bytes(with: &str, stanza_bytes: usize) -> usize {
    HEADER_BYTES + with.len() + stanza_bytes
}

/// Appends the bytes to store. A longer address than RFC 7622 §3.1 allows would be cut off where its length has no
/// room.
pub(super) fn append(value: &mut Vec<u8>, flags: u8, with: &str, stanza: impl FnOnce(&mut Vec<u8>)) {
    let with = &with[..with.floor_char_boundary(usize::from(u16::MAX))];
    value.extend_from_slice(&[VERSION, flags]);
    value.extend_from_slice(&(with.len() as u16).to_be_bytes());
    value.extend_from_slice(with.as_bytes());
    stanza(value);
}

/// What is wrong with a value.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Damage {
    Version(u8),
    Text(&'static str),
}

/// The other side's address and the stanza in a stored value.
pub(super) fn split(value: &[u8]) -> Result<(&str, &[u8]), Damage> {
    let Some((&[version, _, high, low], rest)) = value.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Damage::Text("the value is shorter than its header"));
    };
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let with_bytes = usize::from(u16::from_be_bytes([high, low]));
    let Some((with, stanza)) = rest.split_at_checked(with_bytes) else {
        return Err(Damage::Text("the address is longer than the value"));
    };
    match std::str::from_utf8(with) {
        Ok(with) => Ok((with, stanza)),
        Err(_) => Err(Damage::Text("the address is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(flags: u8, with: &str, stanza: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut value = Vec::new();
        append(&mut value, flags, with, stanza);
        value
    }

    fn decode(value: Vec<u8>) -> Result<Entry, DecodeError> {
        Entry::decode(7, || b"example.org\0juliet\0".to_vec(), value)
    }

    proptest! {
        #[test]
        fn entries_come_back(flags in 0u8..4, with: String, stanza: Vec<u8>) {
            let value = encode(flags, &with, |out| out.extend_from_slice(&stanza));
            prop_assert_eq!(value.len(), bytes(&with, stanza.len()));
            let entry = decode(value).unwrap();
            prop_assert_eq!((entry.id(), entry.with(), entry.stanza()), (7, &with[..], &stanza[..]));
            prop_assert_eq!((entry.is_outgoing(), entry.is_tombstone()), (flags & 1 != 0, flags & 2 != 0));
        }

        #[test]
        fn no_bytes_panic(value: Vec<u8>) {
            if let Ok(entry) = decode(value) {
                let _ = (entry.with(), entry.stanza(), format!("{entry:?}"));
            }
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        let value = encode(OUTGOING, "a@b", |out| out.extend_from_slice(b"<x/>"));
        assert_eq!(value, [1, 1, 0, 3, b'a', b'@', b'b', b'<', b'x', b'/', b'>']);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for value in [&[][..], &[1, 0, 0], &[1, 0, 0, 2, b'a'], &[1, 0, 0, 1, 0xff]] {
            let error = decode(value.to_vec()).unwrap_err().to_string();
            assert!(error.starts_with("archive example.org\\u{0}juliet\\u{0}: the "), "{error}");
        }
        assert!(matches!(decode(vec![2, 0, 0, 0]), Err(DecodeError::UnknownVersion { version: 2, .. })));
    }

    #[test]
    fn an_address_without_end_is_cut_between_two_letters() {
        let endless = "ä".repeat(40_000);
        let value = encode(0, &endless, |out| out.push(b'!'));
        let entry = decode(value).unwrap();
        assert_eq!((entry.with().len(), entry.stanza()), (65_534, &b"!"[..]));
    }

    #[test]
    fn messages_are_not_shown() {
        let entry = decode(encode(0, "romeo@example.org", |out| out.extend_from_slice(b"secret"))).unwrap();
        let shown = format!("{entry:?}");
        assert!(shown.contains("stanza_bytes: 6") && !shown.contains("romeo") && !shown.contains("secret"), "{shown}");
    }
}
