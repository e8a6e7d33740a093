//! Block lists of others, as the store has them when the server starts.

use std::collections::HashMap;

use rondel_storage::listed::{self, Hash};
use rondel_storage::{Outcome, Store};

use super::unusable;
use crate::rtbl::{ListAddress, Listed};
use crate::shard::Lists;

/// Entries that are read at once.
const PAGE: usize = 10_000;

/// What is known of these lists. What is stored of others is nobody's any more, and goes.
pub fn load(store: &Store, addresses: &[ListAddress]) -> Result<Lists, String> {
    let mut known: HashMap<String, Vec<Hash>> = HashMap::new();
    let mut request = Some(listed::list(PAGE));
    while let Some(current) = request {
        let page = store.page(current.clone()).map_err(|failure| unusable(failure.into()))?;
        // One that cannot be read is read again from whoever publishes it.
        for (list, hash) in listed::decode_page(&page).into_iter().flatten() {
            known.entry(list).or_default().push(hash);
        }
        request = current.next(&page);
    }
    let mut lists = Lists::new();
    for address in addresses {
        let listed: Listed = known.remove(&address.name()).unwrap_or_default().into_iter().collect();
        lists.push((address.clone(), listed));
    }
    for list in known.into_keys() {
        if let Outcome::Failed(failure) = store.write_blocking(listed::clear(&list)) {
            tracing::warn!(target: "storage", "a block list cannot be forgotten: {failure}");
        }
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtbl::hash_of;
    use rondel_storage::Options;

    #[test]
    fn lists_are_read_and_those_that_nobody_follows_go() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path().join("store"))).unwrap();
        let [one, other] = ["one.example", "other.example"].map(|text| ListAddress::parse(text).unwrap());
        for address in [&one, &other] {
            let names = ["romeo@a", "spam.example"].map(hash_of);
            assert_eq!(store.write_blocking(listed::change(&address.name(), &names, &[])), Outcome::Written);
        }
        let lists = load(&store, std::slice::from_ref(&one)).unwrap();
        assert!(lists.len() == 1 && lists[0].1.contains(&hash_of("romeo@a")) && lists[0].1.len() == 2);
        let lists = load(&store, &[other, one]).unwrap();
        assert_eq!(lists.iter().map(|(_, listed)| listed.len()).collect::<Vec<_>>(), [0, 2]);
    }
}
