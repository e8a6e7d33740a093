//! The running store, by its public interface alone: threads, queues, groups, failures, closing and opening again.

#[allow(dead_code)] // Each test needs a part of it.
mod common;

use common::{Held, Inbox, cold_value, get, open, open_cold, open_with, owner, put, read, stored, written};
use rondel_storage::accounts::{self, Account};
use rondel_storage::registrations::{self, Registration, Source};
use rondel_storage::{
    Answer, Busy, Client, Failure, FailureKind, Family, OpenError, Options, Outcome, Page, PageRequest, ReadRequest,
    Replies, Reply, Store, WriteRequest,
};
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Barrier};
use std::thread;
use tempfile::tempdir;

#[test]
fn writes_of_many_clients_are_answered_once_in_order_and_outlive_a_close() {
    writes_outlive(|store| store.close().unwrap());
}

#[test]
fn writes_of_many_clients_are_answered_once_in_order_and_outlive_a_drop() {
    writes_outlive(drop);
}

/// Clients that write in bursts, so that there are many groups and most of them are mixed.
fn writes_outlive(end: fn(Store)) {
    const CLIENTS: u64 = 6;
    const WRITES: u64 = 200;
    const BURST: usize = 20;
    // No two clients have a token in common, so that a reply that goes astray shows.
    let tokens = |client: u64| (client * WRITES..(client + 1) * WRITES).collect::<Vec<_>>();
    let name = |client: u64| format!("client{client}");
    // Each leaves a value of its own, and overwrites the one of the write before it.
    let write = |client, token: u64| {
        put(&name(client), &token.to_be_bytes()).put(Family::Registrations, &token.to_be_bytes(), vec![1])
    };
    let directory = tempdir().unwrap();
    let store = open(&directory);
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (client, inbox) = Inbox::client(&store);
            scope.spawn(move || {
                for burst in tokens(number).chunks(BURST) {
                    burst.iter().for_each(|&token| client.write(token, write(number, token)).unwrap());
                    let expected: Vec<_> = burst.iter().map(|&token| written(token)).collect();
                    assert_eq!(inbox.replies(BURST), expected);
                }
                drop(client);
                assert_eq!(inbox.rest(), []);
            });
        }
    });
    let metrics = store.metrics();
    assert_eq!((metrics.writes, metrics.refused, metrics.failed), (CLIENTS * WRITES, 0, 0));
    assert_eq!((metrics.write_queue, metrics.write_queue_bytes), (0, 0));
    end(store);

    let store = open(&directory);
    for client in 0..CLIENTS {
        let last = tokens(client).pop().unwrap();
        assert_eq!(stored(&store, &name(client)), Some(last.to_be_bytes().to_vec()));
        for token in tokens(client) {
            let key = Family::Registrations.key(&owner(&name(client)), &token.to_be_bytes());
            assert_eq!(store.get(Family::Registrations, key), Ok(Some(vec![1])), "{token}");
        }
    }
}

#[test]
fn what_waits_together_is_one_sync_and_one_delivery_per_client() {
    const WRITES: u64 = 250;
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let ((one, to_one), (other, to_other)) = (Inbox::client(&store), Inbox::client(&store));
    let held = Held::writer(&store);
    let before = store.metrics();
    for token in 0..WRITES {
        one.write(token, put(&format!("one{token}"), b"1")).unwrap();
        other.write(token + WRITES, put(&format!("other{token}"), b"2")).unwrap();
    }
    assert_eq!(store.metrics().write_queue, 2 * WRITES);
    held.release();
    assert_eq!(to_one.delivery(), (0..WRITES).map(written).collect::<Vec<_>>());
    assert_eq!(to_other.delivery(), (WRITES..2 * WRITES).map(written).collect::<Vec<_>>());
    let after = store.metrics();
    assert_eq!(after.writes - before.writes, 2 * WRITES);
    assert_eq!((after.syncs - before.syncs, after.batches - before.batches), (1, 1));
    assert_eq!(after.deliveries - before.deliveries, 2);
    assert_eq!((stored(&store, "one249"), stored(&store, "other0")), (Some(b"1".to_vec()), Some(b"2".to_vec())));
}

#[test]
fn a_lone_write_is_a_group_of_its_own() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    for round in 1..=3 {
        assert_eq!(store.write_blocking(put("juliet", &[round])), Outcome::Written);
        let metrics = store.metrics();
        assert_eq!((metrics.syncs, metrics.batches), (u64::from(round), u64::from(round)));
        assert_eq!(metrics.sync_micros_log2.iter().sum::<u64>(), metrics.syncs);
    }
}

#[test]
fn what_was_just_written_is_read_at_once() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (client, inbox) = Inbox::client(&store);
    client.write(1, put("juliet", b"capulet")).unwrap();
    assert_eq!(inbox.reply(), written(1));
    let now = |outcome| Ok(Answer::Now(outcome));
    let value = Some(b"capulet".to_vec());
    assert_eq!(client.read(2, get("juliet")), now(Outcome::Value(value.clone())));
    assert_eq!(client.read(3, get("romeo")), now(Outcome::Value(None)));
    let keys = ["romeo", "juliet"].map(|name| Family::Accounts.key(&owner(name), b"")).to_vec();
    let entry = (keys[1].clone(), b"capulet".to_vec());
    assert_eq!(client.read(4, ReadRequest::MultiGet(Family::Accounts, keys)), now(Outcome::Values(vec![None, value])));
    let page = Page { entries: vec![entry], complete: true };
    let request = PageRequest { bytes_max: 1000, ..accounts::list(Some("example.org"), 10) };
    assert_eq!(client.read(5, ReadRequest::Page(request)), now(Outcome::Page(page)));
    let metrics = store.metrics();
    assert_eq!((metrics.reads_inline, metrics.reads_queued), (4, 0));
    // What was answered at once is not answered a second time.
    drop(client);
    assert_eq!(inbox.rest(), []);
}

#[test]
fn what_only_the_disk_has_comes_later_and_is_in_memory_then() {
    let directory = tempdir().unwrap();
    let store = open_cold(&directory, &["benvolio", "juliet", "romeo"], |_| {});
    let (client, inbox) = Inbox::client(&store);
    let juliet = Outcome::Value(Some(cold_value("juliet")));
    assert_eq!(client.read(7, get("juliet")), Ok(Answer::Later));
    assert_eq!(inbox.reply(), Reply { token: 7, outcome: juliet.clone() });
    assert_eq!(client.read(8, get("juliet")), Ok(Answer::Now(juliet)));
    // Who is absent is absent, whether a block has to be read to know it or not: before, among and after the others.
    for (token, name) in (9..).zip(["abraham", "mercutio", "tybalt"]) {
        assert_eq!(read(&client, &inbox, token, get(name)), Outcome::Value(None), "{name}");
    }
    let keys: Vec<_> =
        ["romeo", "nurse", "benvolio"].iter().map(|name| Family::Accounts.key(&owner(name), b"")).collect();
    let values = vec![Some(cold_value("romeo")), None, Some(cold_value("benvolio"))];
    let request = ReadRequest::MultiGet(Family::Accounts, keys);
    assert_eq!(read(&client, &inbox, 20, request), Outcome::Values(values));
    drop(client);
    assert_eq!(inbox.rest(), []);
}

#[test]
fn a_range_is_read_page_by_page_in_both_directions() {
    let directory = tempdir().unwrap();
    let names = ["a", "b", "c", "d", "e"];
    let store = open_cold(&directory, &names, |_| {});
    let (client, inbox) = Inbox::client(&store);
    let mut keys: Vec<_> = names.iter().map(|name| Family::Accounts.key(&owner(name), b"")).collect();
    for reverse in [false, true] {
        let (mut found, mut pages) = (Vec::new(), 0);
        let mut next = Some(PageRequest { reverse, ..accounts::list(Some("example.org"), 2) });
        while let Some(request) = next {
            let outcome = read(&client, &inbox, pages, ReadRequest::Page(request.clone()));
            let Outcome::Page(page) = outcome else { panic!("{outcome:?}") };
            found.extend(page.entries.iter().map(|(key, _)| key.clone()));
            next = request.next(&page);
            pages += 1;
        }
        assert_eq!((&found, pages), (&keys, 3));
        keys.reverse();
    }
}

/// A request to create an account at a time, which tells it from other attempts.
fn create(name: &str, at: u64) -> WriteRequest {
    let account = Account::new(Vec::new(), at);
    let registration = Registration { address: None, source: Source::Cli, client: None };
    accounts::create(&owner(name), &account, &registration, at)
}

/// When the account was created, if there is one.
fn created(store: &Store, name: &str) -> Option<u64> {
    let outcome = store.read_blocking(&accounts::get(&owner(name)));
    accounts::decode(&owner(name), outcome).unwrap().map(|stored| stored.account().created)
}

/// The times of all registrations in the log.
fn registered(store: &Store) -> Vec<u64> {
    let page = store.page(registrations::list(0, false, 1000)).unwrap();
    registrations::decode_page(&page).into_iter().map(|entry| entry.unwrap().at_micros).collect()
}

#[test]
fn creating_an_account_that_exists_is_refused_and_changes_nothing() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    assert_eq!(store.write_blocking(create("juliet", 1)), Outcome::Written);
    let before = store.metrics();
    assert_eq!(store.write_blocking(create("juliet", 2)), Outcome::Refused(0));
    assert_eq!((created(&store, "juliet"), registered(&store)), (Some(1), vec![1]));
    let after = store.metrics();
    assert_eq!((after.refused - before.refused, after.writes - before.writes), (1, 0));
    // There was nothing to sync.
    assert_eq!((after.batches - before.batches, after.syncs - before.syncs), (1, 0));
    store.close().unwrap();
    let store = open(&directory);
    assert_eq!(store.write_blocking(create("juliet", 3)), Outcome::Refused(0));
    assert_eq!((created(&store, "juliet"), registered(&store)), (Some(1), vec![1]));
}

#[test]
fn a_refusal_names_the_first_precondition_that_does_not_hold() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    assert_eq!(store.write_blocking(put("juliet", b"1")), Outcome::Written);
    let base = || WriteRequest::new(owner("juliet")).require_present(Family::Accounts, b"");
    let request = base().require_equals(Family::Accounts, b"", b"2".to_vec()).put(Family::Accounts, b"", vec![3]);
    assert_eq!(store.write_blocking(request), Outcome::Refused(1));
    assert_eq!(stored(&store, "juliet"), Some(b"1".to_vec()));
    let request = base().require_equals(Family::Accounts, b"", b"1".to_vec()).put(Family::Accounts, b"", vec![3]);
    assert_eq!(store.write_blocking(request), Outcome::Written);
    assert_eq!(stored(&store, "juliet"), Some(vec![3]));
}

#[test]
fn of_concurrent_creations_of_an_account_exactly_one_wins() {
    const ROUNDS: u64 = 40;
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let start = Barrier::new(2);
    let attempt = |round: u64, at: u64| {
        start.wait();
        store.write_blocking(create(&format!("juliet{round}"), at))
    };
    let mut winners = Vec::new();
    for round in 0..ROUNDS {
        let (one, other) = (2 * round, 2 * round + 1);
        let outcomes = thread::scope(|scope| {
            let second = scope.spawn(|| attempt(round, other));
            (attempt(round, one), second.join().unwrap())
        });
        let winner = match outcomes {
            (Outcome::Written, Outcome::Refused(0)) => one,
            (Outcome::Refused(0), Outcome::Written) => other,
            neither => panic!("{neither:?}"),
        };
        assert_eq!(created(&store, &format!("juliet{round}")), Some(winner));
        winners.push(winner);
    }
    assert_eq!(registered(&store), winners);
}

#[test]
fn of_creations_of_an_account_in_one_group_the_first_wins() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let ((one, to_one), (other, to_other)) = (Inbox::client(&store), Inbox::client(&store));
    let held = Held::writer(&store);
    one.write(1, create("juliet", 1)).unwrap();
    other.write(2, create("juliet", 2)).unwrap();
    // Gone and made anew within the group.
    one.write(3, accounts::remove(&owner("juliet"))).unwrap();
    other.write(4, create("juliet", 4)).unwrap();
    one.write(5, create("juliet", 5)).unwrap();
    held.release();
    assert_eq!(to_one.delivery(), [written(1), written(3), Reply { token: 5, outcome: Outcome::Refused(0) }]);
    assert_eq!(to_other.delivery(), [Reply { token: 2, outcome: Outcome::Refused(0) }, written(4)]);
    // The log of registrations remembers the one that is gone.
    assert_eq!((created(&store, "juliet"), registered(&store)), (Some(4), vec![1, 4]));
}

#[test]
fn a_full_write_queue_is_busy_until_the_writer_goes_on() {
    let directory = tempdir().unwrap();
    let store = open_with(&directory, |options| options.write_queue = 3);
    let (client, inbox) = Inbox::client(&store);
    let held = Held::writer(&store);
    let write = |token: u64| client.write(token, put(&format!("u{token}"), b"x"));
    assert_eq!([write(1), write(2), write(3)], [Ok(()); 3]);
    let waiting = store.metrics();
    assert_eq!((waiting.write_queue, waiting.busy), (3, 0));
    assert_eq!([write(4), write(5)], [Err(Busy::Full); 2]);
    let metrics = store.metrics();
    assert_eq!((metrics.write_queue, metrics.busy), (3, 2));
    // What was not taken does not count.
    assert_eq!(metrics.write_queue_bytes, waiting.write_queue_bytes);
    held.release();
    assert_eq!(inbox.replies(3), [written(1), written(2), written(3)]);
    assert_eq!(write(6), Ok(()));
    assert_eq!(inbox.reply(), written(6));
    assert_eq!((stored(&store, "u4"), stored(&store, "u6")), (None, Some(b"x".to_vec())));
    // Nor is it answered later.
    drop(client);
    assert_eq!(inbox.rest(), []);
}

#[test]
fn the_write_queue_is_bounded_by_bytes_but_takes_any_request_when_empty() {
    let directory = tempdir().unwrap();
    let store = open_with(&directory, |options| options.write_queue_bytes = 10_000);
    let (client, inbox) = Inbox::client(&store);
    let held = Held::writer(&store);
    let (large, small) = (vec![1; 20_000], vec![2; 10]);
    assert_eq!(client.write(1, put("large", &large)), Ok(()));
    assert_eq!(client.write(2, put("small", &small)), Err(Busy::Full));
    held.release();
    assert_eq!(inbox.reply(), written(1));
    let held = Held::writer(&store);
    assert_eq!(client.write(3, put("small", &small)), Ok(()));
    assert_eq!(client.write(4, put("large", &small)), Ok(()));
    assert_eq!(client.write(5, put("large", &large)), Err(Busy::Full));
    held.release();
    assert_eq!(inbox.replies(2), [written(3), written(4)]);
    assert_eq!((stored(&store, "large"), stored(&store, "small")), (Some(small.clone()), Some(small)));
}

#[test]
fn a_caller_that_waits_gets_its_turn_when_the_queue_is_full() {
    let directory = tempdir().unwrap();
    let store = open_with(&directory, |options| options.write_queue = 1);
    let (client, inbox) = Inbox::client(&store);
    let held = Held::writer(&store);
    client.write(1, put("juliet", b"1")).unwrap();
    let alone = store.metrics().write_queue_bytes;
    let outcome = thread::scope(|scope| {
        let waiting = scope.spawn(|| store.write_blocking(put("juliet", b"2")));
        // Its bytes count before it has found a place: it is on its way.
        while !waiting.is_finished() && store.metrics().write_queue_bytes < 2 * alone {
            thread::yield_now();
        }
        held.release();
        waiting.join().unwrap()
    });
    assert_eq!(outcome, Outcome::Written);
    assert_eq!(inbox.reply(), written(1));
    assert_eq!(stored(&store, "juliet"), Some(b"2".to_vec()));
}

#[test]
fn a_full_read_queue_is_busy_until_a_reader_goes_on() {
    let directory = tempdir().unwrap();
    let names = ["a", "b", "c", "d", "e"];
    let store = open_cold(&directory, &names, |options| (options.reader_threads, options.read_queue) = (1, 2));
    let (client, inbox) = Inbox::client(&store);
    let held = Held::reader(&store, get("a"));
    assert_eq!(client.read(1, get("b")), Ok(Answer::Later));
    assert_eq!(client.read(2, get("c")), Ok(Answer::Later));
    assert_eq!(client.read(3, get("d")), Err(Busy::Full));
    // What memory has needs no queue.
    assert_eq!(client.read(4, get("a")), Ok(Answer::Now(Outcome::Value(Some(cold_value("a"))))));
    let metrics = store.metrics();
    assert_eq!((metrics.read_queue, metrics.reads_queued, metrics.reads_inline, metrics.busy), (2, 3, 1, 1));
    held.release();
    let value = |token, name| Reply { token, outcome: Outcome::Value(Some(cold_value(name))) };
    assert_eq!(inbox.replies(2), [value(1, "b"), value(2, "c")]);
    assert_eq!(read(&client, &inbox, 5, get("d")), Outcome::Value(Some(cold_value("d"))));
    drop(client);
    assert_eq!(inbox.rest(), []);
}

/// An embedder with a bug. It unwinds as a panic does, without the hook that would print to the test's output.
struct Panics(&'static str);

impl Replies for Panics {
    fn deliver(&self, _replies: Vec<Reply>) {
        resume_unwind(Box::new(self.0));
    }
}

fn assert_poisoned(store: &Store, text: &str, panics: u64) {
    let poisoned = store.poisoned().expect("a panic was seen");
    assert_eq!((poisoned.kind, &*poisoned.text), (FailureKind::Panicked, text));
    assert_eq!(store.metrics().panics, panics);
}

#[test]
fn a_panic_over_replies_of_the_writer_poisons_the_store_and_harms_nobody_else() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (client, inbox) = Inbox::client(&store);
    let (broken, worse) =
        (store.client(Arc::new(Panics("the first\nof two"))), store.client(Arc::new(Panics("second"))));
    assert_eq!((store.poisoned(), store.metrics().panics), (None, 0));
    let held = Held::writer(&store);
    broken.write(1, put("broken", b"1")).unwrap();
    client.write(2, put("client", b"2")).unwrap();
    held.release();
    assert_eq!(inbox.reply(), written(2));
    assert_poisoned(&store, "the first of two", 1);
    worse.write(3, put("worse", b"3")).unwrap();
    // In its turn after the other: the writer has gone on.
    assert_eq!(store.write_blocking(put("after", b"4")), Outcome::Written);
    assert_poisoned(&store, "the first of two", 2);
    store.close().unwrap();
    let store = open(&directory);
    // Their replies are lost, their writes are not.
    for (name, value) in [("broken", b"1"), ("client", b"2"), ("worse", b"3"), ("after", b"4")] {
        assert_eq!(stored(&store, name), Some(value.to_vec()));
    }
    assert_eq!(store.poisoned(), None);
}

#[test]
fn a_panic_over_replies_of_a_reader_poisons_the_store_and_harms_nobody_else() {
    let directory = tempdir().unwrap();
    let store = open_cold(&directory, &["a", "b", "c"], |options| options.reader_threads = 1);
    let (client, inbox) = Inbox::client(&store);
    let held = Held::reader(&store, get("a"));
    let broken = store.client(Arc::new(Panics("over a read")));
    assert_eq!(broken.read(1, get("b")), Ok(Answer::Later));
    assert_eq!(client.read(2, get("c")), Ok(Answer::Later));
    held.release();
    assert_eq!(inbox.reply(), Reply { token: 2, outcome: Outcome::Value(Some(cold_value("c"))) });
    assert_poisoned(&store, "over a read", 1);
    assert_eq!(store.write_blocking(put("after", b"4")), Outcome::Written);
    store.close().unwrap();
}

/// Closes the store in another thread and returns once it takes nothing any more.
fn start_closing(store: Store, client: &Client) -> thread::JoinHandle<Result<(), Failure>> {
    let closing = thread::spawn(move || store.close());
    while client.read(0, get("anybody")) != Err(Busy::Closed) {
        thread::yield_now();
    }
    closing
}

#[test]
fn closing_answers_what_was_queued_and_takes_nothing_more() {
    const WRITES: u64 = 100;
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (client, inbox) = Inbox::client(&store);
    let held = Held::writer(&store);
    for token in 0..WRITES {
        client.write(token, put("juliet", &token.to_be_bytes())).unwrap();
    }
    let closing = start_closing(store, &client);
    assert_eq!(client.write(WRITES, put("juliet", b"late")), Err(Busy::Closed));
    held.release();
    closing.join().unwrap().unwrap();
    assert_eq!(inbox.delivery(), (0..WRITES).map(written).collect::<Vec<_>>());
    assert_eq!(client.write(WRITES, put("juliet", b"late")), Err(Busy::Closed));
    assert_eq!(client.read(WRITES, get("juliet")), Err(Busy::Closed));
    // The client outlives the store, and the directory is free all the same.
    let store = open(&directory);
    assert_eq!(stored(&store, "juliet"), Some((WRITES - 1).to_be_bytes().to_vec()));
    // It is a client of the other store still.
    assert_eq!(client.write(WRITES, put("juliet", b"late")), Err(Busy::Closed));
    drop(client);
    assert_eq!(inbox.rest(), []);
}

/// What a client asked for and was told, by token.
#[derive(Default)]
struct Asked {
    writes: BTreeMap<u64, Outcome>,
    reads: BTreeMap<u64, Outcome>,
}

/// Asks until the store is closed, and then takes stock: what was taken was answered once, what was not is not.
fn ask_until_closed(client: Client, inbox: Inbox, name: &str) -> Asked {
    const READ: u64 = 1 << 32;
    let mut open = Vec::new();
    for token in 0.. {
        match client.write(token, put(&format!("{name}x{token}"), b"x")) {
            Ok(()) => open.push(token),
            Err(Busy::Full) => thread::yield_now(),
            Err(Busy::Closed) => break,
        }
        match client.read(token | READ, ReadRequest::Page(accounts::list(None, 1000))) {
            Ok(Answer::Later) => open.push(token | READ),
            Ok(Answer::Now(_)) | Err(Busy::Full) => {}
            Err(Busy::Closed) => break,
        }
    }
    drop(client);
    let mut asked = Asked::default();
    for Reply { token, outcome } in inbox.rest() {
        let of = if token & READ == 0 { &mut asked.writes } else { &mut asked.reads };
        assert_eq!(of.insert(token, outcome), None, "{token} is answered twice");
    }
    open.sort_unstable();
    assert!(open.iter().eq(asked.writes.keys().chain(asked.reads.keys())), "not all that was taken was answered");
    asked
}

#[test]
fn whatever_was_taken_is_answered_once_when_the_store_closes_under_load() {
    const CLIENTS: usize = 3;
    let is_closed =
        |outcome: &Outcome| matches!(outcome, Outcome::Failed(failure) if failure.kind == FailureKind::Closed);
    let directory = tempdir().unwrap();
    let store = open_with(&directory, |options| (options.write_queue, options.read_queue) = (16, 16));
    let names: Vec<_> = (0..CLIENTS).map(|number| format!("client{number}")).collect();
    let threads: Vec<_> = names
        .iter()
        .map(|name| {
            let (name, (client, inbox)) = (name.clone(), Inbox::client(&store));
            thread::spawn(move || ask_until_closed(client, inbox, &name))
        })
        .collect();
    // Once some groups are through, the others are under way.
    for _ in 0..10 {
        assert_eq!(store.write_blocking(put("juliet", b"x")), Outcome::Written);
    }
    store.close().unwrap();
    let all: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let store = open(&directory);
    for (name, asked) in names.iter().zip(all) {
        for (token, outcome) in asked.writes {
            assert!(outcome == Outcome::Written || is_closed(&outcome), "{token}: {outcome:?}");
            let found = stored(&store, &format!("{name}x{token}")).is_some();
            assert_eq!(found, outcome == Outcome::Written, "{token}: {outcome:?}");
        }
        for (token, outcome) in asked.reads {
            assert!(matches!(outcome, Outcome::Page(_)) || is_closed(&outcome), "{token}: {outcome:?}");
        }
    }
}

#[test]
fn a_directory_in_use_is_not_opened_a_second_time() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let refused = Store::open(&Options::new(directory.path())).err().unwrap();
    let (path, pid) = (directory.path().to_owned(), std::process::id());
    let text = format!("{}: in use by process {pid}; stop it first, or give another directory", path.display());
    assert_eq!(refused.to_string(), text);
    assert_eq!(refused, OpenError::InUse { path, pid: Some(pid) });
    // The attempt did the store no harm, and neither took its lock away.
    assert_eq!(store.write_blocking(put("juliet", b"1")), Outcome::Written);
    assert!(matches!(Store::open(&Options::new(directory.path())), Err(OpenError::InUse { .. })));
    store.close().unwrap();
    assert_eq!(stored(&open(&directory), "juliet"), Some(b"1".to_vec()));
}
