//! Who is on block lists that other services keep and this server follows.
//!
//! Key: `list 0x00 hash`, the list's name as it is followed, such as `blocklist.example/muc_bans_sha256`, and the
//! SHA-256 of a bare JID or a domain. Value: a version.

use crate::reply::Page;
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PageRequest, WriteRequest};

const FAMILY: Family = Family::Listed;

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// Whose hash it is says only who knows the name.
pub type Hash = [u8; HASH_BYTES];

/// What stands for each.
const VERSION: u8 = 1;

fn key(list: &str, hash: &Hash) -> Vec<u8> {
    [list.as_bytes(), &[0], hash].concat()
}

/// Puts some on a list, and takes others from it.
pub fn change(list: &str, added: &[Hash], removed: &[Hash]) -> WriteRequest {
    let request = WriteRequest::new(Owner::nobody());
    let request = removed.iter().fold(request, |request, hash| request.delete(FAMILY, &key(list, hash)));
    added.iter().fold(request, |request, hash| request.put(FAMILY, &key(list, hash), vec![VERSION]))
}

/// Takes everybody from a list.
pub fn clear(list: &str) -> WriteRequest {
    let (from, to) = ([list.as_bytes(), &[0]].concat(), [list.as_bytes(), &[1]].concat());
    WriteRequest::new(Owner::nobody()).delete_range(FAMILY, &from, &to)
}

/// Reads all lists. The page decodes with [`decode_page`], and [`PageRequest::next`] continues it.
pub fn list(entries_max: usize) -> PageRequest {
    let (from, to) = (Vec::new(), None);
    PageRequest { family: FAMILY, from, to, reverse: false, entries_max, bytes_max: PAGE_BYTES_MAX }
}

/// The entries in a page of [`list`], each with the name of its list. One that cannot be decoded does not hide the
/// others.
pub fn decode_page(page: &Page) -> Vec<Result<(String, Hash), DecodeError>> {
    page.entries.iter().map(|(key, _)| decode(key)).collect()
}

fn decode(key: &[u8]) -> Result<(String, Hash), DecodeError> {
    let damaged = || DecodeError::damaged(FAMILY.name(), key, "the key is not a list and a hash");
    let (list, hash) = key.split_last_chunk::<HASH_BYTES>().ok_or_else(damaged)?;
    let list = list.strip_suffix(&[0]).and_then(|list| std::str::from_utf8(list).ok()).ok_or_else(damaged)?;
    Ok((list.to_owned(), *hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Outcome, Store};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_panic(key: Vec<u8>) {
            decode(&key).ok();
        }

        #[test]
        fn entries_come_back(hash: Hash) {
            prop_assert_eq!(decode(&key("x.org/node", &hash)), Ok(("x.org/node".to_owned(), hash)));
        }
    }

    #[test]
    fn a_list_is_changed_in_one_step() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        let (one, other, third) = ([1; HASH_BYTES], [2; HASH_BYTES], [0; HASH_BYTES]);
        assert_eq!(store.write_blocking(change("a", &[one, other], &[])), Outcome::Written);
        assert_eq!(store.write_blocking(change("b", &[one], &[])), Outcome::Written);
        assert_eq!(store.write_blocking(change("a", &[third], &[one])), Outcome::Written);
        let all: Vec<_> = decode_page(&store.page(list(10)).unwrap()).into_iter().flatten().collect();
        assert_eq!(all, [("a".to_owned(), third), ("a".to_owned(), other), ("b".to_owned(), one)]);
        assert_eq!(store.write_blocking(clear("a")), Outcome::Written);
        assert_eq!(decode_page(&store.page(list(10)).unwrap()), [Ok(("b".to_owned(), one))]);
    }
}
