//! Marks that rules have set on accounts.
//!
//! Key: `owner 0x00 mark`. Value: [`Mark`]. A mark's name is ASCII letters, digits and `_`.

use crate::codec::Versioned;
use crate::reply::Page;
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PageRequest, WriteRequest};
use serde::{Deserialize, Serialize};

const FAMILY: Family = Family::Marks;

/// What is kept of a mark.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mark {
    /// When it was set last, in milliseconds since 1970.
    pub at_ms: u64,
}

impl Versioned for Mark {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "marks";
}

/// A mark of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Marked {
    /// The account.
    pub owner: Owner,
    /// The name of the mark.
    pub name: String,
    /// The mark.
    pub mark: Mark,
}

/// Marks an account. Refused if there is no such account.
pub fn set(owner: &Owner, name: &str, at_ms: u64) -> WriteRequest {
    of(owner).put(FAMILY, name.as_bytes(), Mark { at_ms }.encode())
}

/// Marks the account that a request makes.
pub fn of_new(request: WriteRequest, name: &str, at_ms: u64) -> WriteRequest {
    request.put(FAMILY, name.as_bytes(), Mark { at_ms }.encode())
}

/// Takes a mark away. Refused if there is no such account.
pub fn clear(owner: &Owner, name: &str) -> WriteRequest {
    of(owner).delete(FAMILY, name.as_bytes())
}

fn of(owner: &Owner) -> WriteRequest {
    WriteRequest::new(owner.clone()).require_present(Family::Accounts, b"")
}

/// Reads the marks of an account. The page decodes with [`decode_page`].
pub fn list(owner: &Owner) -> PageRequest {
    page(owner.key(b""), Some(owner.end()))
}

/// Reads the marks of all accounts. The page decodes with [`decode_page`], and [`PageRequest::next`] continues it.
pub fn all() -> PageRequest {
    page(Vec::new(), None)
}

fn page(from: Vec<u8>, to: Option<Vec<u8>>) -> PageRequest {
    PageRequest { family: FAMILY, from, to, reverse: false, entries_max: PAGE_ENTRIES_MAX, bytes_max: PAGE_BYTES_MAX }
}

/// The marks in a page. One that cannot be decoded does not hide the others.
pub fn decode_page(page: &Page) -> Vec<Result<Marked, DecodeError>> {
    page.entries.iter().map(|(key, value)| decode(key, value)).collect()
}

fn decode(key: &[u8], value: &[u8]) -> Result<Marked, DecodeError> {
    let damaged = || DecodeError::damaged(Mark::FAMILY, key, "the key is not an account and a mark");
    let (owner, name) = Owner::split_key(key).ok_or_else(damaged)?;
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty()).ok_or_else(damaged)?;
    Ok(Marked { owner, name: name.to_owned(), mark: Mark::decode(key, value)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Outcome, Store};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            decode(&key, &value).ok();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        assert_eq!(Mark { at_ms: 5 }.encode(), [1, 5]);
    }

    #[test]
    fn accounts_are_marked_and_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        let [juliet, romeo] = ["juliet@example.org", "romeo@example.org"].map(|text| Owner::parse(text).unwrap());
        assert!(matches!(store.write_blocking(set(&juliet, "spam", 1)), Outcome::Refused(_)));
        for owner in [&juliet, &romeo] {
            let request = WriteRequest::new(owner.clone()).put(Family::Accounts, b"", Vec::new());
            assert_eq!(store.write_blocking(request), Outcome::Written);
        }
        for (owner, name, at_ms) in [(&juliet, "spam", 7), (&juliet, "flood", 8), (&romeo, "spam", 9)] {
            assert_eq!(store.write_blocking(set(owner, name, at_ms)), Outcome::Written);
        }
        let read = |request| {
            let marks = decode_page(&store.page(request).unwrap()).into_iter().map(Result::unwrap);
            marks.map(|marked| (marked.owner, marked.name, marked.mark.at_ms)).collect::<Vec<_>>()
        };
        let of = |owner: &Owner, name: &str, at_ms| (owner.clone(), name.to_owned(), at_ms);
        assert_eq!(read(list(&juliet)), [of(&juliet, "flood", 8), of(&juliet, "spam", 7)]);
        assert_eq!(store.write_blocking(clear(&juliet, "flood")), Outcome::Written);
        assert_eq!(read(all()), [of(&juliet, "spam", 7), of(&romeo, "spam", 9)]);
    }
}
