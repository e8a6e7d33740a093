//! Attempts to register that were refused: who came when, from where, and why nothing came of it. Operators read it
//! when abuse starts.
//!
//! Key: `time owner`, the time in microseconds since 1970 as eight bytes, big endian, and the account that somebody
//! wanted, or the domain alone where that is not known. Value: [`Attempt`].

use crate::codec::Versioned;
use crate::registrations::{forget_in, split_key};
use crate::reply::Page;
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PageRequest, WriteRequest};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

const FAMILY: Family = Family::Attempts;

/// An attempt that was refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attempt {
    /// The client's address.
    pub address: IpAddr,
    /// Which rule has refused it, in a word for programs, such as `taken`.
    pub reason: String,
}

impl Versioned for Attempt {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "attempts";
}

/// An entry of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// When, in microseconds since 1970.
    pub at_micros: u64,
    /// Which account was wanted, or on which domain.
    pub owner: Owner,
    /// From where, and why not.
    pub attempt: Attempt,
}

/// Adds an entry, `at_micros` microseconds after 1970.
pub fn append(owner: Owner, attempt: &Attempt, at_micros: u64) -> WriteRequest {
    WriteRequest::new(owner).put(FAMILY, &at_micros.to_be_bytes(), attempt.encode())
}

/// Reads the log from `since_micros` on, oldest first. The page decodes with [`decode_page`], and [`PageRequest::next`]
/// continues it.
pub fn list(since_micros: u64, entries_max: usize) -> PageRequest {
    let from = since_micros.to_be_bytes().to_vec();
    PageRequest { family: FAMILY, from, to: None, reverse: false, entries_max, bytes_max: PAGE_BYTES_MAX }
}

/// Forgets what is older than that.
pub fn forget_before(at_micros: u64) -> WriteRequest {
    forget_in(FAMILY, at_micros)
}

/// The entries in a page of [`list`]. One that cannot be decoded does not hide the others.
pub fn decode_page(page: &Page) -> Vec<Result<Entry, DecodeError>> {
    page.entries.iter().map(|(key, value)| decode(key, value)).collect()
}

fn decode(key: &[u8], value: &[u8]) -> Result<Entry, DecodeError> {
    let damaged = || DecodeError::damaged(Attempt::FAMILY, key, "the key is not a time and an owner");
    let (at_micros, owner) = split_key(key).ok_or_else(damaged)?;
    Ok(Entry { at_micros, owner, attempt: Attempt::decode(key, value)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Operation, Options, Outcome, Store};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_come_back(address: IpAddr, reason: String, at_micros: u64, is_of_domain: bool) {
            let attempt = Attempt { address, reason };
            let owner = Owner::parse(if is_of_domain { "example.org" } else { "juliet@example.org" }).unwrap();
            let request = append(owner.clone(), &attempt, at_micros);
            let [Operation::Put(Family::Attempts, key, value)] = request.operations() else { panic!("one put") };
            prop_assert_eq!(decode(key, value), Ok(Entry { at_micros, owner, attempt }));
        }

        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            decode(&key, &value).ok();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        let attempt = Attempt { address: IpAddr::from([192, 0, 2, 1]), reason: "taken".into() };
        assert_eq!(attempt.encode(), [1, 0, 192, 0, 2, 1, 5, b't', b'a', b'k', b'e', b'n']);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        let attempt = Attempt { address: IpAddr::from([192, 0, 2, 1]), reason: "taken".into() };
        for (name, at_micros) in [("a@x", 1_000), ("x", 2_000), ("c@x", 3_000)] {
            let request = append(Owner::parse(name).unwrap(), &attempt, at_micros);
            assert_eq!(store.write_blocking(request), Outcome::Written);
        }
        assert_eq!(store.write_blocking(forget_before(2_500)), Outcome::Written);
        let left = decode_page(&store.page(list(0, 10)).unwrap());
        let left: Vec<_> = left.into_iter().map(|entry| entry.unwrap().owner.to_string()).collect();
        assert_eq!(left, ["c@x"]);
    }
}
