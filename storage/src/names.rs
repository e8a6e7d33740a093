//! Names that strangers do not get: those of accounts that are gone, and those that are taken for the name of an
//! account that is there.
//!
//! Family `tombstones`. Key: the SHA-256 of `domain 0x00 local`, so that nothing in the store names an account that is
//! gone. Value: when it went, in seconds since 1970. Beside it, under the SHA-256 of `0x01 domain 0x00 local`: until
//! when the name is reserved for whoever is invited under it.
//!
//! Family `lookalikes`. Key: `domain 0x00 skeleton 0x00 local`, without a value: what the names of accounts look like.
//! What that is says the caller, who knows letters; a skeleton has no 0x00.

use crate::codec::{LoadError, Versioned};
use crate::reply::Outcome;
use crate::{Family, Owner, PageRequest, ReadRequest, WriteRequest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const TOMBSTONES: Family = Family::Tombstones;
const LOOKALIKES: Family = Family::Lookalikes;

/// Names that look alike and are asked for at once. One is enough to refuse another.
const ALIKE_MAX: usize = 8;

/// When an account went, as it is stored.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Tombstone {
    gone_s: u64,
}

impl Versioned for Tombstone {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "tombstones";
}

/// Until when a name is reserved, as it is stored.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Reservation {
    until_s: u64,
}

impl Versioned for Reservation {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "tombstones";
}

/// The account of the request's owner, whose name looks like this, is gone since then, in seconds since 1970.
pub fn bury(request: WriteRequest, skeleton: &str, gone_s: u64) -> WriteRequest {
    let key = tombstone_key(request.owner());
    hide(request, skeleton).put(TOMBSTONES, &key, Tombstone { gone_s }.encode())
}

/// The name of the request's owner is an account's, and looks like this.
pub fn show(request: WriteRequest, skeleton: &str) -> WriteRequest {
    let (tombstone, key) = (tombstone_key(request.owner()), lookalike_key(request.owner(), skeleton));
    request.delete(TOMBSTONES, &tombstone).put(LOOKALIKES, &key, Vec::new())
}

/// The name of the request's owner is no account's any more, or looks otherwise.
pub fn hide(request: WriteRequest, skeleton: &str) -> WriteRequest {
    let key = lookalike_key(request.owner(), skeleton);
    request.delete(LOOKALIKES, &key)
}

/// The same of many.
pub fn show_all(shown: impl Iterator<Item = (Owner, String)>) -> WriteRequest {
    shown.fold(WriteRequest::new(Owner::nobody()), |request, (owner, skeleton)| {
        request.put(LOOKALIKES, &lookalike_key(&owner, &skeleton), Vec::new())
    })
}

/// No name looks like any, as far as is known.
pub fn forget_all() -> WriteRequest {
    WriteRequest::new(Owner::nobody()).delete_range(LOOKALIKES, &[], &[u8::MAX])
}

/// The name of an owner is kept for whoever is invited under it, until then, in seconds since 1970.
pub fn reserve(request: WriteRequest, owner: &Owner, until_s: u64) -> WriteRequest {
    request.put(TOMBSTONES, &reservation_key(owner), Reservation { until_s }.encode())
}

/// It is not any more.
pub fn release(request: WriteRequest, owner: &Owner) -> WriteRequest {
    request.delete(TOMBSTONES, &reservation_key(owner))
}

/// What is known of a name that somebody wants; see [`decode`].
pub fn get(owner: &Owner, skeleton: &str) -> ReadRequest {
    let from = lookalike_prefix(owner, skeleton);
    let mut to = from.clone();
    if let Some(last) = to.last_mut() {
        *last = 1;
    }
    let bytes_max = crate::PAGE_BYTES_MAX;
    let alike =
        PageRequest { family: LOOKALIKES, from, to: Some(to), reverse: false, entries_max: ALIKE_MAX, bytes_max };
    let keys = vec![tombstone_key(owner), reservation_key(owner)];
    ReadRequest::Several(vec![ReadRequest::MultiGet(TOMBSTONES, keys), ReadRequest::Page(alike)])
}

/// What is known of a name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Known {
    /// Since when an account of this name is gone, in seconds since 1970.
    pub gone_s: Option<u64>,
    /// Until when it is reserved for whoever is invited under it, in seconds since 1970.
    pub reserved_until_s: Option<u64>,
    /// Whether an account of another name looks like it.
    pub has_lookalike: bool,
}

/// What is known of the name of `owner`, in the outcome of [`get`].
pub fn decode(owner: &Owner, outcome: Outcome) -> Result<Known, LoadError> {
    let outcomes = match outcome {
        Outcome::Several(outcomes) => outcomes,
        other => return Err(LoadError::unexpected(other)),
    };
    let Ok([tombstone, alike]) = <[Outcome; 2]>::try_from(outcomes) else {
        return Err(LoadError::unexpected(Outcome::Several(Vec::new())));
    };
    let [tombstone, reservation] = match tombstone {
        Outcome::Values(values) => <[Option<Vec<u8>>; 2]>::try_from(values).map_err(|_| LoadError::OtherRequest)?,
        other => return Err(LoadError::unexpected(other)),
    };
    let tombstone = tombstone.map(|bytes| Tombstone::decode(&tombstone_key(owner), &bytes)).transpose()?;
    let reservation = reservation.map(|bytes| Reservation::decode(&reservation_key(owner), &bytes)).transpose()?;
    let has_lookalike = match alike {
        Outcome::Page(page) => page.entries.iter().any(|(key, _)| !key.ends_with(&own_end(owner))),
        other => return Err(LoadError::unexpected(other)),
    };
    Ok(Known {
        gone_s: tombstone.map(|tombstone| tombstone.gone_s),
        reserved_until_s: reservation.map(|reservation| reservation.until_s),
        has_lookalike,
    })
}

fn own_end(owner: &Owner) -> Vec<u8> {
    [b"\0", owner.local().as_bytes()].concat()
}

fn tombstone_key(owner: &Owner) -> Vec<u8> {
    Sha256::digest(owner.encode(0)).to_vec()
}

fn reservation_key(owner: &Owner) -> Vec<u8> {
    Sha256::digest([b"\x01", &owner.encode(0)[..]].concat()).to_vec()
}

fn lookalike_prefix(owner: &Owner, skeleton: &str) -> Vec<u8> {
    [owner.domain().as_bytes(), b"\0", skeleton.as_bytes(), b"\0"].concat()
}

fn lookalike_key(owner: &Owner, skeleton: &str) -> Vec<u8> {
    [&lookalike_prefix(owner, skeleton)[..], owner.local().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Store};

    fn owner(name: &str) -> Owner {
        Owner::parse(name).unwrap()
    }

    #[test]
    fn a_name_is_taken_by_those_that_look_like_it_until_they_are_gone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        let write = |request| assert_eq!(store.write_blocking(request), Outcome::Written);
        let known = |name: &str, skeleton: &str| {
            decode(&owner(name), store.read_blocking(&get(&owner(name), skeleton))).unwrap()
        };
        write(show(WriteRequest::new(owner("bob@x")), "bob"));
        assert_eq!(known("bob@x", "bob"), Known::default());
        assert!(known("b0b@x", "bob").has_lookalike);
        assert!(!known("b0b@y", "bob").has_lookalike && !known("bobby@x", "bobby").has_lookalike);
        write(bury(WriteRequest::new(owner("bob@x")), "bob", 7));
        let gone = Known { gone_s: Some(7), ..Known::default() };
        assert_eq!(known("bob@x", "bob"), gone);
        assert_eq!(known("b0b@x", "bob"), Known::default());
        write(show(WriteRequest::new(owner("bob@x")), "bob"));
        assert_eq!(known("bob@x", "bob").gone_s, None);
        write(reserve(WriteRequest::new(owner("x")), &owner("eve@x"), 9));
        assert_eq!(known("eve@x", "eve").reserved_until_s, Some(9));
        write(release(WriteRequest::new(owner("x")), &owner("eve@x")));
        assert_eq!(known("eve@x", "eve"), Known::default());
        assert!(known("b0b@x", "bob").has_lookalike);
    }

    #[test]
    fn a_tombstone_does_not_say_whose_it_is() {
        let request = bury(WriteRequest::new(owner("juliet@example.org")), "juliet", 7);
        let puts = request.operations().iter().filter_map(|operation| match operation {
            crate::Operation::Put(_, key, value) => Some([&key[..], value].concat()),
            _ => None,
        });
        assert!(puts.clone().count() == 1 && puts.into_iter().all(|put| !put.windows(6).any(|part| part == b"juliet")));
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        assert_eq!(Tombstone { gone_s: 5 }.encode(), [1, 5]);
        assert_eq!(Reservation { until_s: 5 }.encode(), [1, 5]);
    }
}
