//! What those who run the server have done: one entry for everything that changes something.
//!
//! Key: a [`TimedId`]. Value: [`Deed`].

use crate::codec::Versioned;
use crate::reply::Page;
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PageRequest, TimedId, WriteRequest};
use serde::{Deserialize, Serialize};

const FAMILY: Family = Family::Audit;

/// Something that was done, or tried.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Deed {
    /// By whom, in words or as a bare JID.
    pub by: String,
    /// What, as the protocol for administrators calls it, such as `remove-user`.
    pub what: String,
    /// To whom, and how: names and values.
    pub said: Vec<(String, String)>,
    /// Why it has failed, if it has.
    pub failed: Option<String>,
}

impl Versioned for Deed {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "audit";
}

/// Adds an entry, `at_micros` microseconds after 1970.
pub fn append(deed: &Deed, at_micros: u64) -> WriteRequest {
    WriteRequest::new(Owner::nobody()).put(FAMILY, TimedId::new(at_micros).key(), deed.encode())
}

/// Reads the log from an id on, oldest first. The page decodes with [`decode_page`], and [`PageRequest::next`]
/// continues it.
pub fn list(from: TimedId, entries_max: usize) -> PageRequest {
    let from = from.key().to_vec();
    PageRequest { family: FAMILY, from, to: None, reverse: false, entries_max, bytes_max: PAGE_BYTES_MAX }
}

/// The entries in a page of [`list`]. One that cannot be decoded does not hide the others.
pub fn decode_page(page: &Page) -> Vec<Result<(TimedId, Deed), DecodeError>> {
    page.entries.iter().map(|(key, value)| decode(key, value)).collect()
}

fn decode(key: &[u8], value: &[u8]) -> Result<(TimedId, Deed), DecodeError> {
    let damaged = || DecodeError::damaged(Deed::FAMILY, key, "the key is no id");
    Ok((TimedId::of_key(key).ok_or_else(damaged)?, Deed::decode(key, value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Outcome, Store};
    use proptest::prelude::*;

    fn deed() -> Deed {
        Deed {
            by: "me".into(),
            what: "ban".into(),
            said: vec![("jid".into(), "a@x".into())],
            failed: Some("no".into()),
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            decode(&key, &value).ok();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        let expected = b"\x01\x02me\x03ban\x01\x03jid\x03a@x\x01\x02no";
        assert_eq!(deed().encode(), expected);
    }

    #[test]
    fn what_was_done_is_found_in_its_order() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        for at_micros in [3, 1, 2, 2] {
            let deed = Deed { what: at_micros.to_string(), ..deed() };
            assert_eq!(store.write_blocking(append(&deed, at_micros)), Outcome::Written);
        }
        let list = |from| -> Vec<_> {
            let page = store.page(list(from, 10)).unwrap();
            decode_page(&page).into_iter().map(Result::unwrap).collect()
        };
        let all = list(TimedId::first(0));
        assert_eq!(all.iter().map(|(_, deed)| &*deed.what).collect::<Vec<_>>(), ["1", "2", "2", "3"]);
        assert_eq!(list(all[1].0.next()), all[2..]);
    }
}
