//! Blocklists: whom an account does not want to hear of (XEP-0191).
//!
//! Key: `owner 0x00 address`. Value: [`Block`]. An address is in normal form and has no byte 0x00.

use crate::codec::Versioned;
use crate::reply::Page;
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PageRequest, WriteRequest};
use serde::{Deserialize, Serialize};

const FAMILY: Family = Family::Blocks;

/// What is kept of a blocked address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Block {
    /// Since when it is blocked, in seconds since 1970.
    pub since: u64,
}

impl Versioned for Block {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "blocks";
}

/// Adds an address to the blocklist of the request's owner, `since` seconds after 1970.
pub fn add(request: WriteRequest, address: &str, since: u64) -> WriteRequest {
    request.put(FAMILY, address.as_bytes(), Block { since }.encode())
}

/// Takes an address off the blocklist of the request's owner.
pub fn remove(request: WriteRequest, address: &str) -> WriteRequest {
    request.delete(FAMILY, address.as_bytes())
}

/// Takes all addresses off the blocklist of the request's owner.
pub fn remove_all(request: WriteRequest) -> WriteRequest {
    request.delete_all(FAMILY)
}

/// Reads a blocklist in the order of the addresses. The page decodes with [`decode_page`], and [`PageRequest::next`]
/// continues it.
pub fn list(owner: &Owner) -> PageRequest {
    PageRequest {
        family: FAMILY,
        from: owner.key(b""),
        to: Some(owner.end()),
        reverse: false,
        entries_max: PAGE_ENTRIES_MAX,
        bytes_max: PAGE_BYTES_MAX,
    }
}

/// The addresses in a page of [`list`]. One that cannot be decoded does not hide the others.
pub fn decode_page(page: &Page) -> Vec<Result<(String, Block), DecodeError>> {
    page.entries.iter().map(|(key, value)| decode(key, value)).collect()
}

fn decode(key: &[u8], value: &[u8]) -> Result<(String, Block), DecodeError> {
    let damaged = || DecodeError::damaged(Block::FAMILY, key, "the key is not an account and an address");
    let (_, address) = Owner::split_key(key).ok_or_else(damaged)?;
    let address = std::str::from_utf8(address).ok().filter(|address| !address.is_empty()).ok_or_else(damaged)?;
    Ok((address.to_owned(), Block::decode(key, value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Outcome, ReadRequest, Store};
    use proptest::prelude::*;

    #[test]
    fn a_list_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(dir.path())).unwrap();
        let juliet = Owner::parse("juliet@example.org").unwrap();
        let other = Owner::parse("juliett@example.org").unwrap();
        let write = |request: WriteRequest| assert_eq!(store.write_blocking(request), Outcome::Written);
        let listed = |owner: &Owner| {
            let Outcome::Page(page) = store.read_blocking(&ReadRequest::Page(list(owner))) else { panic!("a page") };
            let blocks = decode_page(&page).into_iter().map(|block| block.unwrap());
            blocks.map(|(address, block)| (address, block.since)).collect::<Vec<_>>()
        };
        let request = add(WriteRequest::new(juliet.clone()), "romeo@montague.net", 7);
        write(add(request, "montague.net", 8));
        write(add(WriteRequest::new(other.clone()), "iago@shakespeare.lit", 9));
        assert_eq!(listed(&juliet), [("montague.net".into(), 8), ("romeo@montague.net".into(), 7)]);
        write(remove(WriteRequest::new(juliet.clone()), "montague.net"));
        assert_eq!(listed(&juliet), [("romeo@montague.net".into(), 7)]);
        write(remove_all(WriteRequest::new(juliet.clone())));
        assert_eq!(listed(&juliet), []);
        assert_eq!(listed(&other), [("iago@shakespeare.lit".into(), 9)]);
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        assert_eq!(Block { since: 300 }.encode(), [1, 0xac, 2]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            decode(&key, &value).ok();
        }
    }
}
