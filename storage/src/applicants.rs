//! What people have said of themselves when they registered, and whether they wait for an administrator who lets them
//! in.
//!
//! Key: `owner 0x00`. Value: [`Applicant`]. Only accounts that have said anything, or wait, have one.

use crate::codec::{LoadError, Versioned};
use crate::reply::{Outcome, Page};
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PageRequest, ReadRequest, WriteRequest};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

const FAMILY: Family = Family::Applicants;

/// Somebody who has registered.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Applicant {
    /// When, in microseconds since 1970.
    pub at_micros: u64,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What was filled in, by the field's name.
    pub fields: Vec<(String, String)>,
    /// Whether nobody has let them in yet.
    pub waits: bool,
}

impl Versioned for Applicant {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "applicants";
}

/// Notes what the request's owner has said, in place of what was noted before.
pub fn put(request: WriteRequest, applicant: &Applicant) -> WriteRequest {
    request.put(FAMILY, b"", applicant.encode())
}

/// Reads what an account has said; see [`decode`].
pub fn get(owner: &Owner) -> ReadRequest {
    ReadRequest::Get(FAMILY, FAMILY.key(owner, b""))
}

/// What `owner` has said, in the outcome of [`get`].
pub fn decode(owner: &Owner, outcome: Outcome) -> Result<Option<Applicant>, LoadError> {
    match outcome {
        Outcome::Value(None) => Ok(None),
        Outcome::Value(Some(bytes)) => Ok(Some(Applicant::decode(&FAMILY.key(owner, b""), &bytes)?)),
        other => Err(LoadError::unexpected(other)),
    }
}

/// Reads what all have said, in the order of domain and name, from behind this one on. The page decodes with
/// [`decode_page`], and [`PageRequest::next`] continues it.
pub fn list(after: Option<&Owner>, entries_max: usize) -> PageRequest {
    let from = after.map_or_else(Vec::new, |owner| [&FAMILY.key(owner, b"")[..], &[0]].concat());
    PageRequest { family: FAMILY, from, to: None, reverse: false, entries_max, bytes_max: PAGE_BYTES_MAX }
}

/// What is in a page of [`list`]. What cannot be decoded does not hide the rest.
pub fn decode_page(page: &Page) -> Vec<Result<(Owner, Applicant), DecodeError>> {
    page.entries.iter().map(|(key, value)| decode_entry(key, value)).collect()
}

fn decode_entry(key: &[u8], value: &[u8]) -> Result<(Owner, Applicant), DecodeError> {
    match Owner::split_key(key) {
        Some((owner, [])) => Ok((owner, Applicant::decode(key, value)?)),
        _ => Err(DecodeError::damaged(Applicant::FAMILY, key, "the key is not an account's")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Store};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn applicants_come_back(
            at_micros: u64,
            address: Option<IpAddr>,
            fields in prop::collection::vec(any::<(String, String)>(), 0..4),
            waits: bool,
        ) {
            let owner = Owner::parse("juliet@example.org").unwrap();
            let applicant = Applicant { at_micros, address, fields, waits };
            let decoded = decode(&owner, Outcome::Value(Some(applicant.encode()))).unwrap();
            prop_assert_eq!(decoded, Some(applicant));
        }

        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            decode_entry(&key, &value).ok();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        let fields = vec![("a".into(), "b".into())];
        let applicant = Applicant { at_micros: 3, address: Some([192, 0, 2, 1].into()), fields, waits: true };
        assert_eq!(applicant.encode(), [1, 3, 1, 0, 192, 0, 2, 1, 1, 1, b'a', 1, b'b', 1]);
    }

    #[test]
    fn they_are_listed_page_by_page() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        for name in ["a@x", "b@x", "c@y"] {
            let request = put(WriteRequest::new(Owner::parse(name).unwrap()), &Applicant::default());
            assert_eq!(store.write_blocking(request), Outcome::Written);
        }
        let names = |after: Option<&str>, entries_max| -> Vec<String> {
            let after = after.map(|name| Owner::parse(name).unwrap());
            let page = store.page(list(after.as_ref(), entries_max)).unwrap();
            decode_page(&page).into_iter().map(|entry| entry.unwrap().0.to_string()).collect()
        };
        assert_eq!(names(None, 2), ["a@x", "b@x"]);
        assert_eq!(names(Some("b@x"), 2), ["c@y"]);
    }
}
