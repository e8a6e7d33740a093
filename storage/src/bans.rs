//! Addresses that are not let in.
//!
//! Key: the network as text, such as `192.0.2.0/24`. Value: [`Ban`].

use crate::codec::Versioned;
use crate::reply::Page;
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PageRequest, WriteRequest};
use serde::{Deserialize, Serialize};

const FAMILY: Family = Family::Bans;

/// Why, and for how long.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ban {
    /// Since when, in seconds since 1970.
    pub since_s: u64,
    /// Until when, in seconds since 1970; for good without.
    pub until_s: Option<u64>,
    /// Why, for operators.
    pub reason: String,
    /// Who has done it.
    pub by: String,
}

impl Versioned for Ban {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "bans";
}

impl Ban {
    /// Whether it holds at this time, in seconds since 1970.
    pub fn holds(&self, now_s: u64) -> bool {
        self.until_s.is_none_or(|until_s| now_s < until_s)
    }
}

/// Bans a network; what was said of it before is replaced.
pub fn put(network: &str, ban: &Ban) -> WriteRequest {
    WriteRequest::new(Owner::nobody()).put(FAMILY, network.as_bytes(), ban.encode())
}

/// Lets a network in again. Refused if it is not banned.
pub fn remove(network: &str) -> WriteRequest {
    WriteRequest::new(Owner::nobody()).require_present(FAMILY, network.as_bytes()).delete(FAMILY, network.as_bytes())
}

/// Reads all bans. The page decodes with [`decode_page`], and [`PageRequest::next`] continues it.
pub fn list(entries_max: usize) -> PageRequest {
    let (from, to) = (Vec::new(), None);
    PageRequest { family: FAMILY, from, to, reverse: false, entries_max, bytes_max: PAGE_BYTES_MAX }
}

/// The bans in a page of [`list`], by network. One that cannot be decoded does not hide the others.
pub fn decode_page(page: &Page) -> Vec<Result<(String, Ban), DecodeError>> {
    page.entries.iter().map(|(key, value)| decode(key, value)).collect()
}

fn decode(key: &[u8], value: &[u8]) -> Result<(String, Ban), DecodeError> {
    let network = std::str::from_utf8(key).map_err(|_| DecodeError::damaged(Ban::FAMILY, key, "the key is no text"))?;
    Ok((network.to_owned(), Ban::decode(key, value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Outcome, Store};
    use proptest::prelude::*;

    fn ban() -> Ban {
        Ban { since_s: 1, until_s: Some(5), reason: "bots".into(), by: "me".into() }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            decode(&key, &value).ok();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        assert_eq!(ban().encode(), [1, 1, 1, 5, 4, b'b', b'o', b't', b's', 2, b'm', b'e']);
        assert!(ban().holds(4) && !ban().holds(5));
    }

    #[test]
    fn a_network_is_banned_once_and_let_in_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        for reason in ["one", "other"] {
            let ban = Ban { reason: reason.into(), ..ban() };
            assert_eq!(store.write_blocking(put("192.0.2.0/24", &ban)), Outcome::Written);
        }
        let all = decode_page(&store.page(list(10)).unwrap());
        assert_eq!(all, [Ok(("192.0.2.0/24".into(), Ban { reason: "other".into(), ..ban() }))]);
        assert_eq!(store.write_blocking(remove("192.0.2.0/24")), Outcome::Written);
        assert!(matches!(store.write_blocking(remove("192.0.2.0/24")), Outcome::Refused(_)));
    }
}
