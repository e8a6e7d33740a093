//! Accounts that are removed after a while, because their owners have left: what is due is found here.
//!
//! Key: `time owner`, the time in microseconds since 1970 as eight bytes, big endian. No value: what holds is what the
//! account itself says ([`Account::leaves_at_s`](crate::accounts::Account::leaves_at_s)).

use crate::registrations::split_key;
use crate::reply::Page;
use crate::{Family, Owner, PAGE_BYTES_MAX, PageRequest, WriteRequest};

const FAMILY: Family = Family::Departures;

const SECOND_MICROS: u64 = 1_000_000;

/// Notes that the account of the request's owner goes at this time, in seconds since 1970.
pub(crate) fn append(request: WriteRequest, at_s: u64) -> WriteRequest {
    request.put(FAMILY, &time(at_s), Vec::new())
}

/// Forgets that it was noted.
pub fn forget(request: WriteRequest, at_s: u64) -> WriteRequest {
    request.delete(FAMILY, &time(at_s))
}

/// Reads what is due by this time, in seconds since 1970. The page decodes with [`decode_page`].
pub fn due(now_s: u64, entries_max: usize) -> PageRequest {
    let to = Some(time(now_s.saturating_add(1)).to_vec());
    PageRequest { family: FAMILY, from: Vec::new(), to, reverse: false, entries_max, bytes_max: PAGE_BYTES_MAX }
}

/// When, in seconds since 1970, and whose account goes.
pub fn decode_page(page: &Page) -> Vec<(u64, Owner)> {
    let keys = page.entries.iter().filter_map(|(key, _)| split_key(key));
    keys.map(|(at_micros, owner)| (at_micros / SECOND_MICROS, owner)).collect()
}

fn time(at_s: u64) -> [u8; 8] {
    at_s.saturating_mul(SECOND_MICROS).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{self, Account};
    use crate::registrations::{Registration, Source};
    use crate::{Options, Outcome, Store};

    #[test]
    fn what_is_due_is_found_in_its_order() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        let registration = Registration { address: None, source: Source::Cli, client: None };
        for (name, at_s) in [("a@x", 30), ("b@x", 10), ("c@x", 20)] {
            let owner = Owner::parse(name).unwrap();
            let made = accounts::create(&owner, &Account::new(Vec::new(), 1), &registration, 1);
            assert_eq!(store.write_blocking(made), Outcome::Written);
            let stored = accounts::decode(&owner, store.read_blocking(&accounts::get(&owner))).unwrap().unwrap();
            assert_eq!(store.write_blocking(stored.leave(at_s)), Outcome::Written);
        }
        let due = |now_s| -> Vec<_> {
            let due = decode_page(&store.page(due(now_s, 10)).unwrap());
            due.into_iter().map(|(at_s, owner)| (at_s, owner.to_string())).collect()
        };
        assert_eq!(due(9), []);
        assert_eq!(due(20), [(10, "b@x".to_owned()), (20, "c@x".to_owned())]);
        let owner = Owner::parse("b@x").unwrap();
        assert_eq!(store.write_blocking(forget(WriteRequest::new(owner), 10)), Outcome::Written);
        assert_eq!(due(20), [(20, "c@x".to_owned())]);
    }
}
