//! Messages that wait until their addressee comes online (XEP-0160), a queue per owner.
//!
//! Key: `owner 0x00 id`, the id eight bytes, big endian, issued in rising order by whoever owns the queue. Value:
//! version, flags, the time of arrival, the time of expiry if there is one (eight bytes each, big endian, seconds since
//! 1970), the stanza's bytes as they are.
//!
//! How long a queue may become is up to the caller, who knows its length.

use crate::reply::Page;
use crate::{DecodeError, Family, Owner, PageRequest, WriteRequest};
use std::fmt;

const FAMILY: Family = Family::Offline;

const VERSION: u8 = 1;
/// There is a time of expiry.
const EXPIRES: u8 = 1;
const TIME_BYTES: usize = size_of::<u64>();

/// A waiting message.
#[derive(Clone, Eq, PartialEq)]
pub struct Entry {
    id: u64,
    arrived: u64,
    expires: Option<u64>,
    // As it is stored: the stanza and what stands before it.
    value: Vec<u8>,
    stanza_at: usize,
}

impl Entry {
    /// Its place in the queue.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// When it came, in seconds since 1970.
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// From when on nobody wants it any more, in seconds since 1970.
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// The stanza's bytes.
    pub fn stanza(&self) -> &[u8] {
        &self.value[self.stanza_at..]
    }
}

impl fmt::Debug for Entry {
    // What people write to each other stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("arrived", &self.arrived)
            .field("expires", &self.expires)
            .field("stanza_bytes", &self.stanza().len())
            .finish_non_exhaustive()
    }
}

/// Adds a message to the queue of the request's owner. Times are in seconds since 1970; `stanza` writes the message's
/// bytes, some `stanza_bytes` of them: the room that is made in advance.
pub fn append(
    request: WriteRequest,
    id: u64,
    arrived: u64,
    expires: Option<u64>,
    stanza_bytes: usize,
    stanza: impl FnOnce(&mut Vec<u8>),
) -> WriteRequest {
    let mut value = Vec::with_capacity(2 + 2 * TIME_BYTES + stanza_bytes);
    value.extend_from_slice(&[VERSION, if expires.is_some() { EXPIRES } else { 0 }]);
    value.extend_from_slice(&arrived.to_be_bytes());
    if let Some(expires) = expires {
        value.extend_from_slice(&expires.to_be_bytes());
    }
    stanza(&mut value);
    request.put(FAMILY, &id.to_be_bytes(), value)
}

/// Reads the queue from its beginning, or what comes after the message `after`. The page decodes with
/// [`decode_page`], and [`PageRequest::next`] continues it.
pub fn page(owner: &Owner, after: Option<u64>, entries_max: usize, bytes_max: usize) -> PageRequest {
    let from = match after {
        None => owner.key(b""),
        // No id comes after the last number there is: its key, made longer, is behind it.
        Some(after) => after
            .checked_add(1)
            .map_or_else(|| owner.key(&[0xff; TIME_BYTES + 1]), |next| owner.key(&next.to_be_bytes())),
    };
    PageRequest { family: FAMILY, from, to: Some(owner.end()), reverse: false, entries_max, bytes_max }
}

/// The messages in a page of [`page`]. One that cannot be decoded does not hide the others.
pub fn decode_page(page: Page) -> Vec<Result<Entry, DecodeError>> {
    page.entries.into_iter().map(|(key, value)| decode(&key, value)).collect()
}

/// Takes messages out of the queue of the request's owner: those that have been delivered.
pub fn remove(request: WriteRequest, ids: &[u64]) -> WriteRequest {
    ids.iter().fold(request, |request, id| request.delete(FAMILY, &id.to_be_bytes()))
}

/// Takes everything up to the message `id` (inclusive) out of the queue of the request's owner.
///
/// It costs the same however much that is, but burdens reads of the family until it has been compacted: [`remove`] is
/// better for a few messages.
pub fn remove_all_up_to(request: WriteRequest, id: u64) -> WriteRequest {
    match id.checked_add(1) {
        Some(next) => request.delete_range(FAMILY, b"", &next.to_be_bytes()),
        None => request.delete_all(FAMILY),
    }
}

fn decode(key: &[u8], value: Vec<u8>) -> Result<Entry, DecodeError> {
    let damaged = |text: &str| DecodeError::damaged(FAMILY.name(), key, text);
    let id = match Owner::split_key(key) {
        Some((_, id)) => {
            id.try_into().map(u64::from_be_bytes).map_err(|_| damaged("the key does not end with an id"))?
        }
        None => return Err(damaged("the key is not an owner's")),
    };
    let Some((&[version, flags], rest)) = value.split_first_chunk() else {
        return Err(damaged("the value is shorter than its header"));
    };
    if version != VERSION {
        return Err(DecodeError::unknown_version(FAMILY.name(), key, version));
    }
    let mut rest = rest;
    let mut time = || {
        let (time, behind) = rest.split_first_chunk::<TIME_BYTES>()?;
        rest = behind;
        Some(u64::from_be_bytes(*time))
    };
    let cut_off = || damaged("the value is shorter than its times");
    let arrived = time().ok_or_else(cut_off)?;
    let expires = if flags & EXPIRES != 0 { Some(time().ok_or_else(cut_off)?) } else { None };
    let stanza_at = value.len() - rest.len();
    Ok(Entry { id, arrived, expires, value, stanza_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operation;
    use proptest::prelude::*;

    fn request() -> WriteRequest {
        WriteRequest::new(Owner::parse("juliet@example.org").unwrap())
    }

    fn one_put(request: &WriteRequest) -> (&[u8], &[u8]) {
        let [Operation::Put(Family::Offline, key, value)] = request.operations() else { panic!("one put") };
        (key, value)
    }

    proptest! {
        #[test]
        fn entries_come_back(id: u64, arrived: u64, expires: Option<u64>, stanza: Vec<u8>) {
            let request = append(request(), id, arrived, expires, stanza.len(), |out| out.extend_from_slice(&stanza));
            let (key, value) = one_put(&request);
            let entry = decode(key, value.to_vec()).unwrap();
            prop_assert_eq!((entry.id(), entry.arrived(), entry.expires()), (id, arrived, expires));
            prop_assert_eq!(entry.stanza(), &stanza[..]);
        }

        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            decode(&key, value.clone()).ok();
            decode(&Owner::parse("a@b").unwrap().key(&[0; 8]), value).ok();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        let request = append(request(), 1, 2, Some(3), 0, |out| out.extend_from_slice(b"<x/>"));
        let (key, value) = one_put(&request);
        assert_eq!(key, b"example.org\0juliet\0\0\0\0\0\0\0\0\x01");
        assert_eq!(value, [&[1, 1][..], &[0, 0, 0, 0, 0, 0, 0, 2], &[0, 0, 0, 0, 0, 0, 0, 3], b"<x/>"].concat());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let key = Owner::parse("a@b").unwrap().key(&[0; 8]);
        for value in [&[1][..], &[1, 0, 0], &[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9]] {
            assert!(matches!(decode(&key, value.to_vec()), Err(DecodeError::Damaged { .. })), "{value:?}");
        }
        assert!(matches!(decode(&key, vec![2, 0]), Err(DecodeError::UnknownVersion { version: 2, .. })));
        assert!(matches!(decode(b"b\0a\0short", vec![1, 0]), Err(DecodeError::Damaged { .. })));
    }

    #[test]
    fn messages_are_not_shown() {
        let request = append(request(), 1, 2, None, 0, |out| out.extend_from_slice(b"secret"));
        let (key, value) = one_put(&request);
        let shown = format!("{:?}", decode(key, value.to_vec()).unwrap());
        assert!(shown.contains("stanza_bytes: 6") && !shown.contains("secret"), "{shown}");
    }
}
