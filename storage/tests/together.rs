//! What is asked together: writes handed over in one call, and several reads as one.

#[allow(dead_code)] // Each test needs a part of it.
mod common;

use common::{Held, Inbox, cold_value, get, open, open_cold, open_with, owner, put, read, stored, written};
use rondel_storage::accounts;
use rondel_storage::offline;
use rondel_storage::preferences::{self, Preferences};
use rondel_storage::{
    Answer, Busy, FailureKind, Family, Outcome, PAGE_BYTES_MAX, PageRequest, QUIET, ReadRequest, Reply, WriteRequest,
};
use std::thread;
use tempfile::tempdir;

/// One write per name, with tokens from `first` on.
fn puts(first: u64, names: &[&str]) -> Vec<(u64, WriteRequest)> {
    (first..).zip(names.iter().map(|name| put(name, name.as_bytes()))).collect()
}

#[test]
fn writes_that_are_handed_over_together_are_answered_together_in_their_order() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (client, inbox) = Inbox::client(&store);
    assert_eq!(client.write_many(Vec::new()), Ok(()));
    let before = store.metrics();
    client.write_many(puts(1, &["a", "b", "c", "d"])).unwrap();
    assert_eq!(inbox.delivery(), [1, 2, 3, 4].map(written));
    let after = store.metrics();
    assert_eq!((after.writes - before.writes, after.syncs - before.syncs, after.deliveries), (4, 1, 1));
    assert_eq!((after.write_queue, after.write_queue_bytes), (0, 0));
    assert!(["a", "b", "c", "d"].iter().all(|name| stored(&store, name) == Some(name.as_bytes().to_vec())));
    drop(client);
    assert_eq!(inbox.rest(), []);
}

#[test]
fn one_that_is_refused_does_not_keep_the_others_from_being_written() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (client, inbox) = Inbox::client(&store);
    let absent = |name: &str| put(name, b"new").require_absent(Family::Accounts, b"");
    let requests = vec![(1, put("a", b"old")), (2, absent("a")), (3, absent("b"))];
    client.write_many(requests).unwrap();
    assert_eq!(inbox.delivery(), [written(1), Reply { token: 2, outcome: Outcome::Refused(0) }, written(3)]);
    assert_eq!((stored(&store, "a"), stored(&store, "b")), (Some(b"old".to_vec()), Some(b"new".to_vec())));
}

#[test]
fn who_wants_to_hear_of_failures_only_hears_of_nothing_else() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (client, inbox) = Inbox::client(&store);
    let absent = put("a", b"new").require_absent(Family::Accounts, b"");
    client.write_many(vec![(QUIET, put("a", b"old")), (QUIET, absent), (3, put("b", b"b"))]).unwrap();
    assert_eq!(inbox.delivery(), [Reply { token: QUIET, outcome: Outcome::Refused(0) }, written(3)]);
    client.write_many(vec![(QUIET, put("c", b"c"))]).unwrap();
    drop(client);
    assert_eq!(inbox.rest(), []);
    assert_eq!(stored(&store, "c"), Some(b"c".to_vec()));
}

#[test]
fn writes_of_several_calls_and_clients_are_one_group() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let ((one, to_one), (other, to_other)) = (Inbox::client(&store), Inbox::client(&store));
    let held = Held::writer(&store);
    let before = store.metrics();
    one.write_many(puts(1, &["a", "b"])).unwrap();
    other.write_many(puts(10, &["c"])).unwrap();
    one.write(3, put("d", b"d")).unwrap();
    assert_eq!(store.metrics().write_queue, 4);
    held.release();
    assert_eq!(to_one.delivery(), [1, 2, 3].map(written));
    assert_eq!(to_other.delivery(), [written(10)]);
    let after = store.metrics();
    assert_eq!((after.syncs - before.syncs, after.deliveries - before.deliveries), (1, 2));
}

#[test]
fn a_full_queue_takes_all_of_them_or_none() {
    let directory = tempdir().unwrap();
    let store = open_with(&directory, |options| options.write_queue = 5);
    let (client, inbox) = Inbox::client(&store);
    let held = Held::writer(&store);
    client.write_many(puts(1, &["a", "b", "c"])).unwrap();
    let waiting = store.metrics();
    assert_eq!(client.write_many(puts(4, &["d", "e", "f"])), Err(Busy::Full));
    let metrics = store.metrics();
    assert_eq!((metrics.write_queue, metrics.write_queue_bytes), (3, waiting.write_queue_bytes));
    assert_eq!(metrics.busy - waiting.busy, 3);
    client.write_many(puts(4, &["d", "e"])).unwrap();
    held.release();
    assert_eq!(inbox.replies(5), [1, 2, 3, 4, 5].map(written));
    assert_eq!(stored(&store, "f"), None);
    // More than the queue holds is taken when nothing waits; it could never be written otherwise.
    let held = Held::writer(&store);
    client.write_many(puts(6, &["a", "b", "c", "d", "e", "f"])).unwrap();
    assert_eq!(client.write(12, put("g", b"g")), Err(Busy::Full));
    held.release();
    assert_eq!(inbox.replies(6), [6, 7, 8, 9, 10, 11].map(written));
    drop(client);
    assert_eq!(inbox.rest(), []);
}

#[test]
fn what_waits_together_when_the_store_closes_is_answered() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (client, inbox) = Inbox::client(&store);
    let held = Held::writer(&store);
    client.write_many(puts(1, &["a", "b"])).unwrap();
    let closing = thread::spawn(move || store.close());
    while client.read(0, get("anybody")) != Err(Busy::Closed) {
        thread::yield_now();
    }
    assert_eq!(client.write_many(puts(3, &["c", "d"])), Err(Busy::Closed));
    held.release();
    closing.join().unwrap().unwrap();
    drop(client);
    assert_eq!(inbox.rest(), [1, 2].map(written));
    let store = open(&directory);
    assert_eq!((stored(&store, "b"), stored(&store, "c")), (Some(b"b".to_vec()), None));
}

/// What loading an account asks for.
fn load(name: &str) -> ReadRequest {
    let page = offline::page(&owner(name), None, 1000, PAGE_BYTES_MAX);
    ReadRequest::Several(vec![accounts::get(&owner(name)), ReadRequest::Page(page), preferences::get(&owner(name))])
}

#[test]
fn several_reads_are_answered_at_once_if_memory_has_all_of_them() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (client, inbox) = Inbox::client(&store);
    let request = put("juliet", b"x");
    let request = offline::append(request, 1, 2, None, 3, |out| out.extend_from_slice(b"<a/>"));
    store.write_blocking(preferences::put(request, &Preferences { roster_version: 7, ..Preferences::default() }));
    let Ok(Answer::Now(Outcome::Several(parts))) = client.read(1, load("juliet")) else { panic!("at once") };
    let [account, Outcome::Page(queue), preferences] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!(account, &Outcome::Value(Some(b"x".to_vec())));
    assert_eq!(offline::decode_page(queue.clone())[0].as_ref().unwrap().stanza(), b"<a/>");
    assert_eq!(preferences::decode(&owner("juliet"), preferences.clone()).unwrap().roster_version, 7);
    // Nobody of that name.
    let Ok(Answer::Now(Outcome::Several(parts))) = client.read(2, load("romeo")) else { panic!("at once") };
    assert_eq!(parts[0], Outcome::Value(None));
    // One within the other, and none at all.
    let nested = ReadRequest::Several(vec![ReadRequest::Several(Vec::new()), get("juliet")]);
    let value = Outcome::Value(Some(b"x".to_vec()));
    let wanted = Outcome::Several(vec![Outcome::Several(Vec::new()), value]);
    assert_eq!(client.read(3, nested), Ok(Answer::Now(wanted)));
    let metrics = store.metrics();
    assert_eq!((metrics.reads_inline, metrics.reads_queued), (3, 0));
    drop(client);
    assert_eq!(inbox.rest(), []);
}

#[test]
fn several_reads_are_left_to_one_reader_as_a_whole_if_one_needs_the_disk() {
    let directory = tempdir().unwrap();
    let store = open_cold(&directory, &["a", "b"], |_| {});
    let (client, inbox) = Inbox::client(&store);
    assert_eq!(read(&client, &inbox, 1, get("a")), Outcome::Value(Some(cold_value("a"))));
    let both = ReadRequest::Several(vec![get("a"), get("b")]);
    assert_eq!(client.read(2, both.clone()), Ok(Answer::Later));
    let values = ["a", "b"].map(|name| Outcome::Value(Some(cold_value(name)))).to_vec();
    assert_eq!(inbox.reply(), Reply { token: 2, outcome: Outcome::Several(values.clone()) });
    assert_eq!(client.read(3, both), Ok(Answer::Now(Outcome::Several(values))));
}

#[test]
fn what_is_too_much_for_a_callers_thread_is_left_to_a_reader_though_memory_has_it() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (client, inbox) = Inbox::client(&store);
    let names: Vec<_> = (0..300).map(|number| format!("user{number}")).collect();
    client.write_many((0..).zip(names.iter().map(|name| put(name, b"x"))).collect()).unwrap();
    inbox.replies(300);
    let list = |entries_max| ReadRequest::Page(accounts::list(None, entries_max));
    assert!(matches!(client.read(1, list(100)), Ok(Answer::Now(_))));
    assert_eq!(client.read(2, list(300)), Ok(Answer::Later));
    assert!(matches!(inbox.reply().outcome, Outcome::Page(page) if page.entries.len() == 300));
    // Parts that would do one by one.
    let parts = ReadRequest::Several(vec![list(100), list(100), list(100)]);
    assert_eq!(client.read(3, parts), Ok(Answer::Later));
    assert!(matches!(inbox.reply().outcome, Outcome::Several(parts) if parts.len() == 3));
    // What counts is what there is, not what would be taken.
    let few = PageRequest { to: Some(b"example.org\0user2".to_vec()), ..accounts::list(Some("example.org"), 10_000) };
    let Ok(Answer::Now(Outcome::Page(page))) = client.read(4, ReadRequest::Page(few)) else { panic!("at once") };
    assert_eq!((page.entries.len(), page.complete), (112, true));
}

#[test]
fn reads_of_a_closed_store_are_answered_as_such() {
    let directory = tempdir().unwrap();
    let store = open_cold(&directory, &["a", "b"], |options| options.reader_threads = 1);
    let (client, inbox) = Inbox::client(&store);
    let held = Held::reader(&store, get("a"));
    assert_eq!(client.read(1, ReadRequest::Several(vec![get("b"), get("b")])), Ok(Answer::Later));
    let closing = thread::spawn(move || store.close());
    // The reader has read this one already, so that it is in memory.
    while client.read(0, get("a")) != Err(Busy::Closed) {
        thread::yield_now();
    }
    held.release();
    closing.join().unwrap().unwrap();
    drop(client);
    let rest = inbox.rest();
    let [Reply { token: 1, outcome }] = &rest[..] else { panic!("{rest:?}") };
    // Whether the reader came to it before it was stopped or not.
    let closed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(failure) if failure.kind == FailureKind::Closed);
    assert!(closed(outcome) || matches!(outcome, Outcome::Several(parts) if parts.len() == 2), "{outcome:?}");
}
