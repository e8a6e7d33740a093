//! What must hold when something goes wrong between two steps, or happens between them.

use super::seams::{self, Point};
use super::{Appends, CHUNKS, Entry, FAMILY, Found, INDEX, Query, chunk};
use crate::accounts::{self, Account};
use crate::engine::column;
use crate::registrations::{Registration, Source};
use crate::{Answer, Family, Options, Outcome, Owner, Replies, Reply, Store, WriteRequest};
use rocksdb::{DB, IteratorMode};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

const ROMEO: &str = "romeo@example.org";

fn owner(local: &str) -> Owner {
    Owner::new(local, "example.org").unwrap()
}

fn open(path: &Path) -> Arc<Store> {
    Arc::new(Store::open(&Options::new(path)).unwrap())
}

fn close(store: Arc<Store>) {
    Arc::into_inner(store).unwrap().close().unwrap();
}

fn append(store: &Store, of: &Owner, ids: impl Iterator<Item = u64>, with: &str, bytes: usize) {
    let mut messages = Appends::new();
    ids.for_each(|id| messages.push(id, of, id, with, false, |out| out.resize(out.len() + bytes, b'x')));
    assert_eq!(store.write_blocking(WriteRequest::new(of.clone()).append(messages)), Outcome::Written);
}

fn entries(store: &Store, query: Query) -> Vec<Entry> {
    match super::decode(store.read_blocking(&query.into())) {
        Ok(Found::Page(page)) => page.entries,
        other => panic!("{other:?}"),
    }
}

fn ids(store: &Store, query: Query) -> Vec<u64> {
    entries(store, query).iter().map(Entry::id).collect()
}

fn all(store: &Store, of: &Owner) -> Vec<u64> {
    ids(store, Query::new(of.clone()))
}

/// Takes a message out. What it leaves may be larger.
fn replace(store: &Store, of: &Owner, id: u64, bytes: usize) {
    let query = Query { ids: Some(vec![id]), ..Query::new(of.clone()) };
    let request =
        super::replace_with_tombstone(of, &entries(store, query)[0], |out| out.resize(out.len() + bytes, b't'));
    assert_eq!(store.write_blocking(request), Outcome::Written);
}

fn with_db<R>(store: &Store, use_it: impl FnOnce(&DB) -> R) -> R {
    store.shared.engine.with(|db| Ok(use_it(db))).unwrap()
}

/// A table file of a family.
fn file(store: &Store, directory: &Path, family: Family) -> PathBuf {
    let files = with_db(store, |db| db.live_files().unwrap());
    let file = files.iter().find(|file| file.column_family_name == family.name()).unwrap();
    directory.join(file.name.trim_start_matches('/'))
}

/// All chunks outside `archive`, by their keys.
fn chunks(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    with_db(store, |db| {
        let all = db.iterator_cf(column(db, CHUNKS).unwrap(), IteratorMode::Start).map(Result::unwrap);
        all.map(|(key, value)| (key.into_vec(), value.into_vec())).collect()
    })
}

/// The keys of the chunks that `archive` leads to, in their order.
fn pointed(store: &Store) -> Vec<Vec<u8>> {
    with_db(store, |db| {
        let all = db.iterator_cf(column(db, FAMILY).unwrap(), IteratorMode::Start).map(Result::unwrap);
        let key = |value: &[u8]| match chunk::Pointer::of(value) {
            chunk::Pointer::Elsewhere { key, .. } => Some(key.to_vec()),
            _ => None,
        };
        let mut keys: Vec<_> = all.filter_map(|(_, value)| key(&value)).collect();
        keys.sort();
        keys
    })
}

#[test]
fn a_file_that_a_crash_has_left_under_two_names_is_not_written_to() {
    for family in [CHUNKS, FAMILY, INDEX] {
        let directory = tempfile::tempdir().unwrap();
        let (store, me) = (open(directory.path()), owner("juliet"));
        append(&store, &me, 1..=300, ROMEO, 500);
        store.flush_archives().unwrap();
        let left = directory.path().join(format!("NEW.{}", family.name()));
        fs::hard_link(file(&store, directory.path(), family), &left).unwrap();
        append(&store, &me, 301..=310, ROMEO, 500);
        store.flush_archives().unwrap();
        fs::hard_link(file(&store, directory.path(), family), &left).unwrap();
        close(store);
        let store = open(directory.path());
        assert!(!left.exists());
        let with = Query { with: Some(ROMEO.into()), ..Query::new(me.clone()) };
        assert!(all(&store, &me).into_iter().eq(1..=310) && ids(&store, with).into_iter().eq(1..=310));
    }
}

#[test]
fn what_is_on_the_disk_though_its_write_failed_is_known_when_the_database_has_been_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::new(directory.path());
    options.archive_bytes_max_per_account = Some(1);
    let store = Store::open(&options).unwrap();
    let (me, other) = (owner("juliet"), owner("nurse"));
    let account = Account::new(Vec::new(), 1);
    let registration = Registration { address: None, source: Source::Cli, client: None };
    let create = || store.write_blocking(accounts::create(&me, &account, &registration, 1));
    let fails = |request: WriteRequest| {
        store.shared.engine.fails_once.store(true, SeqCst);
        let outcome = store.write_blocking(request);
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
        // The next write opens the database anew.
        assert_eq!(store.write_blocking(WriteRequest::new(other.clone()).put(INDEX, b"", vec![1])), Outcome::Written);
    };
    assert_eq!(create(), Outcome::Written);
    // Part of what goes is to become chunks, part of it is not yet.
    append(&store, &me, 1..=5, ROMEO, 50);
    append(&store, &other, 1..=5, ROMEO, 50);
    let turn = store.shared.engine.flusher.lock().unwrap();
    assert!(store.shared.engine.tails().seal().is_some());
    append(&store, &me, 6..=7, ROMEO, 50);
    fails(accounts::remove(&me));
    assert_eq!(create(), Outcome::Written);
    let check = || assert_eq!((all(&store, &me), all(&store, &other)), (vec![], vec![1, 2, 3, 4, 5]));
    check();
    store.shared.engine.flush_archives().unwrap();
    drop(turn);
    check();
    store.flush_archives().unwrap();
    check();
    let excess = super::decode_excess(store.read_blocking(&super::excess(&other))).unwrap().unwrap();
    fails(excess.cut());
    assert_eq!(all(&store, &other), [5]);
    // A message that was said to have failed is there, as after a restart.
    let mut messages = Appends::new();
    messages.push_entry(&me, 9, 0, ROMEO, 0, |_| {});
    fails(WriteRequest::new(me.clone()).append(messages));
    assert_eq!(all(&store, &me), [9]);
}

/// An archive with a chunk that becomes two when a message of it is replaced.
fn full_chunk(store: &Store, me: &Owner) {
    append(store, me, 1..=30, ROMEO, 1000);
    append(store, me, 31..=31, "rare@example.org", 1000);
    store.flush_archives().unwrap();
    assert_eq!(chunks(store).len(), 1);
}

#[test]
fn readers_miss_nothing_while_a_chunk_is_replaced_by_others() {
    let queries = [
        Query::new(owner("juliet")),
        Query { reverse: true, ..Query::new(owner("juliet")) },
        Query { with: Some(ROMEO.into()), end_us: Some(30), ..Query::new(owner("juliet")) },
    ];
    for query in queries {
        let directory = tempfile::tempdir().unwrap();
        let (store, me) = (open(directory.path()), owner("juliet"));
        full_chunk(&store, &me);
        let expected = ids(&store, query.clone());
        assert!(expected.len() >= 30);
        let split = || {
            let (store, me) = (store.clone(), me.clone());
            move || {
                replace(&store, &me, 3, 3000);
                store.flush_archives().unwrap();
            }
        };
        seams::meanwhile(Point::BeforeChunk, split());
        assert_eq!(ids(&store, query.clone()), expected);
        assert_eq!(ids(&store, query), expected);
        assert_eq!(chunks(&store).len(), 2);
        // Who asks for one message, as conditions do.
        seams::meanwhile(Point::BeforeChunk, split());
        let value = store.shared.engine.value(FAMILY, &FAMILY.key(&me, &2u64.to_be_bytes()));
        assert!(value.unwrap().is_some());
        assert_eq!(ids(&store, Query::new(me)).len(), 31);
    }
}

#[test]
fn a_chunk_that_was_read_serves_no_longer_than_it_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let (store, me) = (open(directory.path()), owner("juliet"));
    full_chunk(&store, &me);
    let (writing, of) = (store.clone(), me.clone());
    seams::meanwhile(Point::AfterChunk, move || {
        replace(&writing, &of, 6, 10);
        writing.flush_archives().unwrap();
    });
    let found = entries(&store, Query { ids: Some(vec![5, 6]), ..Query::new(me) });
    assert_eq!(found.iter().map(Entry::is_tombstone).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn an_attempt_to_store_chunks_may_end_anywhere() {
    for (end, reopens) in (0..=3).flat_map(|end| [(end, false), (end, true)]) {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, me) = (open(directory.path()), owner("juliet"));
        full_chunk(&store, &me);
        let check = |store: &Store| {
            assert!(all(store, &me).into_iter().eq(1..=31));
            for (with, expected) in [("rare@example.org", 31..=31), (ROMEO, 1..=30)] {
                for reverse in [false, true] {
                    let query = Query { with: Some(with.into()), reverse, ..Query::new(me.clone()) };
                    assert!(ids(store, query.clone()).into_iter().eq(expected.clone()), "{end} {with}");
                    let late = ids(store, Query { start_us: Some(30), ..query });
                    assert!(late.into_iter().eq(expected.clone().filter(|id| *id >= 30)), "{end} {with}");
                }
            }
        };
        replace(&store, &me, 3, 3000);
        let engine = &store.shared.engine;
        let turn = engine.flusher.lock().unwrap();
        assert!(engine.tails().seal().is_some());
        seams::end_at(end);
        assert!(engine.flush_archives().is_err(), "{end}");
        check(&store);
        drop(turn);
        if reopens {
            close(store);
            store = open(directory.path());
            check(&store);
        }
        let turn = store.shared.engine.flusher.lock().unwrap();
        store.shared.engine.flush_archives().unwrap();
        drop(turn);
        check(&store);
        store.flush_archives().unwrap();
        check(&store);
        // Nothing is left of the attempt, nor of the message that was taken out.
        let there: Vec<_> = chunks(&store).into_iter().map(|(key, _)| key).collect();
        assert_eq!(there, pointed(&store), "{end}");
    }
}

struct Nobody;

impl Replies for Nobody {
    fn deliver(&self, _replies: Vec<Reply>) {}
}

#[test]
fn neither_readers_nor_writers_wait_while_chunks_are_stored() {
    let directory = tempfile::tempdir().unwrap();
    let (store, me) = (open(directory.path()), owner("juliet"));
    append(&store, &me, 1..=5, ROMEO, 50);
    let tails = store.shared.engine.tails();
    let turn = store.shared.engine.flusher.lock().unwrap();
    assert!(tails.seal().is_some());
    let sealed = tails.sealed().unwrap();
    // As the thread that stores them.
    let storing = sealed.storing();
    assert_eq!(all(&store, &me).len(), 5);
    append(&store, &me, 6..=6, ROMEO, 50);
    let answer = store.client(Arc::new(Nobody)).read(1, Query::new(me.clone()).into()).unwrap();
    let Answer::Now(found) = answer else { panic!("it had to wait") };
    assert!(matches!(super::decode(found), Ok(Found::Page(page)) if page.entries.len() == 6));
    drop((storing, turn));
}

#[test]
fn a_chunk_that_cannot_be_read_keeps_nothing_else_from_being_stored() {
    for damage in ["changed", "missing", "none"] {
        let directory = tempfile::tempdir().unwrap();
        let (store, me, other) = (open(directory.path()), owner("juliet"), owner("romeo"));
        append(&store, &me, (10..=600).step_by(10), ROMEO, 1000);
        append(&store, &other, (10..=600).step_by(10), ROMEO, 1000);
        store.flush_archives().unwrap();
        let (key, _) = chunks(&store).swap_remove(0);
        match damage {
            "missing" => with_db(&store, |db| db.delete_cf(column(db, CHUNKS).unwrap(), &key).unwrap()),
            "none" => with_db(&store, |db| db.put_cf(column(db, CHUNKS).unwrap(), &key, b"?").unwrap()),
            _ => {}
        }
        append(&store, &me, [15, 700].into_iter(), ROMEO, 50);
        append(&store, &other, [15, 700].into_iter(), ROMEO, 50);
        // Its log is there at the next start, and that of another one.
        let turn = store.shared.engine.flusher.lock().unwrap();
        assert!(store.shared.engine.tails().seal().is_some());
        append(&store, &other, [710].into_iter(), ROMEO, 50);
        let file = file(&store, directory.path(), CHUNKS);
        drop(turn);
        close(store);
        if damage == "changed" {
            let mut bytes = fs::read(&file).unwrap();
            bytes[20] ^= 0xFF;
            fs::write(&file, bytes).unwrap();
        }
        let store = open(directory.path());
        store.flush_archives().unwrap();
        let one = |of: &Owner, id| ids(&store, Query { ids: Some(vec![id]), ..Query::new(of.clone()) });
        assert_eq!((one(&me, 15), one(&me, 600), one(&me, 700)), (vec![15], vec![600], vec![700]), "{damage}");
        assert_eq!(all(&store, &other).len(), 63);
        let there = matches!(super::decode(store.read_blocking(&super::get(&me, 20))), Ok(Found::Page(_)));
        assert!(!there, "{damage}");
        // Whoever can mend it finds it where it was.
        if damage == "none" {
            assert!(chunks(&store).iter().any(|(there, _)| *there == key));
        }
        assert!(
            with_db(&store, |db| db.get_cf(column(db, FAMILY).unwrap(), FAMILY.key(&me, &10u64.to_be_bytes())))
                .unwrap()
                .is_some()
        );
    }
}

#[test]
fn what_says_that_an_archive_went_goes_when_it_is_of_no_use() {
    let directory = tempfile::tempdir().unwrap();
    let (store, me) = (open(directory.path()), owner("juliet"));
    append(&store, &me, 1..=5, ROMEO, 50);
    let forgotten = Family::ArchiveForgotten;
    let note = |id: &str| with_db(&store, |db| db.get_cf(column(db, forgotten).unwrap(), id).unwrap());
    with_db(&store, |db| {
        db.put_cf(column(db, forgotten).unwrap(), "old", super::retention::forgotten_at(1)).unwrap();
        db.put_cf(column(db, forgotten).unwrap(), "new", super::retention::forgotten_at(u64::MAX)).unwrap();
    });
    store.shared.engine.retention().forget(b"old", 1);
    store.shared.engine.retention().forget(b"new", u64::MAX);
    store.flush_archives().unwrap();
    assert_eq!((note("old"), note("new").is_some()), (None, true));
}
