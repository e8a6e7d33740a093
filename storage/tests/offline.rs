//! The offline queue by the public interface.

#[allow(dead_code)] // Each test needs a part of it.
mod common;

use common::{open, owner};
use rondel_storage::accounts::{self, Account};
use rondel_storage::offline::{self, Entry};
use rondel_storage::preferences::{self, Preferences};
use rondel_storage::registrations::{Registration, Source};
use rondel_storage::{Outcome, Store, WriteRequest};
use tempfile::tempdir;

fn request(name: &str) -> WriteRequest {
    WriteRequest::new(owner(name))
}

fn fill(store: &Store, name: &str, ids: impl Iterator<Item = u64>) {
    let append = |request, id: u64| {
        let expires = id.is_multiple_of(2).then_some(1000 + id);
        offline::append(request, id, 100 + id, expires, 8, |out| out.extend_from_slice(&id.to_be_bytes()))
    };
    assert_eq!(store.write_blocking(ids.fold(request(name), append)), Outcome::Written);
}

fn read(store: &Store, name: &str, after: Option<u64>, entries_max: usize) -> (Vec<Entry>, bool) {
    let page = store.page(offline::page(&owner(name), after, entries_max, 1 << 20)).unwrap();
    let complete = page.complete;
    (offline::decode_page(page).into_iter().map(Result::unwrap).collect(), complete)
}

fn ids(store: &Store, name: &str) -> Vec<u64> {
    read(store, name, None, 1000).0.iter().map(Entry::id).collect()
}

#[test]
fn a_queue_is_read_in_its_order_page_by_page() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    fill(&store, "juliet", [3, 1, 2, 500, u64::MAX].into_iter());
    fill(&store, "juliet2", [4].into_iter());
    let (first, complete) = read(&store, "juliet", None, 2);
    assert!(!complete);
    assert_eq!(first.iter().map(Entry::id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((first[0].arrived(), first[0].expires(), first[0].stanza()), (101, None, &1u64.to_be_bytes()[..]));
    assert_eq!(first[1].expires(), Some(1002));
    let (second, complete) = read(&store, "juliet", Some(2), 10);
    assert_eq!(second.iter().map(Entry::id).collect::<Vec<_>>(), [3, 500, u64::MAX]);
    assert!(complete);
    assert_eq!(read(&store, "juliet", Some(u64::MAX), 10), (Vec::new(), true));
    assert_eq!(read(&store, "nobody", None, 10), (Vec::new(), true));
}

#[test]
fn what_has_been_delivered_is_taken_out() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    fill(&store, "juliet", 1..=6);
    fill(&store, "juliet2", 1..=2);
    store.write_blocking(offline::remove(request("juliet"), &[1, 4, 9]));
    assert_eq!(ids(&store, "juliet"), [2, 3, 5, 6]);
    store.write_blocking(offline::remove_all_up_to(request("juliet"), 5));
    assert_eq!(ids(&store, "juliet"), [6]);
    fill(&store, "juliet", [u64::MAX].into_iter());
    store.write_blocking(offline::remove_all_up_to(request("juliet"), u64::MAX));
    assert_eq!((ids(&store, "juliet"), ids(&store, "juliet2")), (vec![], vec![1, 2]));
}

#[test]
fn queue_and_preferences_outlive_a_restart_and_go_with_their_account() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let account = Account::new(Vec::new(), 1);
    let registration = Registration { address: None, source: Source::Cli, client: None };
    store.write_blocking(accounts::create(&owner("juliet"), &account, &registration, 1));
    let chosen = Preferences { roster_version: 3, ..Preferences::default() };
    for name in ["juliet", "romeo"] {
        fill(&store, name, 1..=3);
        store.write_blocking(preferences::put(request(name), &chosen));
    }
    store.close().unwrap();

    let store = open(&directory);
    let preferences = |name| preferences::decode(&owner(name), store.read_blocking(&preferences::get(&owner(name))));
    assert_eq!((ids(&store, "juliet"), preferences("juliet")), (vec![1, 2, 3], Ok(chosen.clone())));
    assert_eq!(store.write_blocking(accounts::remove(&owner("juliet"))), Outcome::Written);
    assert_eq!((ids(&store, "juliet"), preferences("juliet")), (vec![], Ok(Preferences::default())));
    assert_eq!((ids(&store, "romeo"), preferences("romeo")), (vec![1, 2, 3], Ok(chosen)));
}
