//! What archives give up, by age and by size: at once for whoever reads, later on the disk. And what is left of an
//! archive after a crash, and after its account.

#[allow(dead_code)] // Each test needs a part of it.
mod common;

use common::{Inbox, chunks, open, open_with, owner, range};
use rondel_storage::accounts::{self, Account};
use rondel_storage::archive::{self, Entry, Excess, Found, Query};
use rondel_storage::registrations::{Registration, Source};
use rondel_storage::{Family, Options, Outcome, Owner, Store, WriteRequest};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::tempdir;

const DAY: Duration = Duration::from_secs(86_400);
const WITH: &str = "romeo@example.org";

fn days_ago(days: u32) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now - DAY * days).as_micros() as u64
}

fn append(to: &Owner, id: u64, stanza: &[u8]) -> WriteRequest {
    let request = WriteRequest::new(to.clone());
    archive::append(request, id, WITH, false, stanza.len(), |out| out.extend_from_slice(stanza))
}

fn ids(store: &Store, query: Query) -> Vec<u64> {
    match archive::decode(store.read_blocking(&query.into())).unwrap() {
        Found::Page(page) => page.entries.iter().map(Entry::id).collect(),
        unknown => panic!("{unknown:?}"),
    }
}

/// The ids of all messages of an owner, asked for in every way there is.
fn found(store: &Store, of: &Owner) -> Vec<u64> {
    let query = Query::new(of.clone());
    let forward = ids(store, query.clone());
    assert_eq!(ids(store, Query { reverse: true, ..query.clone() }), forward);
    assert_eq!(ids(store, Query { with: Some(WITH.into()), ..query.clone() }), forward);
    let bounds = archive::decode_bounds(store.read_blocking(&archive::bounds(of))).unwrap();
    assert_eq!(bounds, forward.first().copied().zip(forward.last().copied()));
    forward
}

/// The ids of all messages of an owner that are stored, whether reads show them or not. All are with one contact, so
/// that the index has to name all of their chunks.
fn stored(store: &Store, of: &Owner) -> BTreeSet<u64> {
    store.flush_archives().unwrap();
    let (chunks, index) = chunks(store, of);
    let indexed: Vec<_> = index.into_values().flatten().collect();
    assert_eq!(chunks.keys().copied().collect::<Vec<_>>(), indexed);
    chunks.into_values().flatten().collect()
}

fn compact(store: &Store) {
    store.compact(Family::Archive).unwrap();
    store.compact(Family::ArchiveWith).unwrap();
}

#[test]
fn what_is_too_old_is_hidden_at_once_and_gone_after_a_compaction() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let me = owner("juliet");
    let all: Vec<_> = [40, 31, 29, 1].map(days_ago).to_vec();
    for id in &all {
        store.write_blocking(append(&me, *id, b"<message/>"));
    }
    compact(&store);
    // Without a retention everything stays.
    assert_eq!(found(&store, &me), all);
    assert_eq!(stored(&store, &me).len(), 4);
    store.close().unwrap();

    let store = open_with(&directory, |options| options.archive_retention = Some(30 * DAY));
    assert_eq!(found(&store, &me), all[2..]);
    assert_eq!(stored(&store, &me).len(), 4);
    // A client may not go on from what is hidden, either.
    for id in &all[..2] {
        let unknown = Ok(Found::UnknownId(*id));
        assert_eq!(archive::decode(store.read_blocking(&archive::get(&me, *id))), unknown);
        let after = Query { after_id: Some(*id), ..Query::new(me.clone()) };
        assert_eq!(archive::decode(store.read_blocking(&after.into())), unknown);
    }
    compact(&store);
    assert_eq!(stored(&store, &me).into_iter().collect::<Vec<_>>(), all[2..]);
    assert_eq!(found(&store, &me), all[2..]);
}

/// How many chunks there are outside `archive`.
fn chunks_there(store: &Store) -> usize {
    range(store, Family::ArchiveChunks, Vec::new(), None).len()
}

/// A store whose archives may take `LIMIT` bytes.
fn limited(path: &Path) -> Store {
    let mut options = Options::new(path);
    options.archive_bytes_max_per_account = Some(LIMIT);
    Store::open(&options).unwrap()
}

const LIMIT: u64 = 1 << 20;
const STANZA_BYTES: usize = 1000;

/// Writes messages that no compression makes smaller.
fn fill(store: &Store, of: &Owner, ids: impl Iterator<Item = u64>) {
    let (client, inbox) = Inbox::client(store);
    let mut random = 1u64;
    let mut byte = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 56) as u8
    };
    let requests: Vec<_> = ids.map(|id| (id, append(of, id, &[(); STANZA_BYTES].map(|()| byte())))).collect();
    let count = requests.len();
    client.write_many(requests).unwrap();
    assert!(inbox.replies(count).iter().all(|reply| reply.outcome == Outcome::Written));
}

fn excess(store: &Store, of: &Owner) -> Option<Excess> {
    archive::decode_excess(store.read_blocking(&archive::excess(of))).unwrap()
}

#[test]
fn what_is_too_much_is_cut_at_its_old_end() {
    let directory = tempdir().unwrap();
    let store = limited(directory.path());
    let (me, other, small) = (owner("juliet"), owner("juliet2"), owner("romeo"));
    let begin = days_ago(10);
    let all: Vec<_> = (0..3000).map(|number| begin + 1000 * number).collect();
    fill(&store, &me, all.iter().copied());
    fill(&store, &other, all.iter().copied().take(1500));
    fill(&store, &small, all.iter().copied().take(500));
    compact(&store);
    assert_eq!(excess(&store, &small), None);

    let cut = excess(&store, &me).unwrap();
    let expected = 3_000_000..3_400_000;
    assert!(expected.contains(&cut.bytes()), "{cut:?}");
    // Who lives next to it has a size of his own.
    let next = excess(&store, &other).unwrap();
    assert!((1_500_000..1_700_000).contains(&next.bytes()), "{next:?}");
    assert_eq!(store.write_blocking(cut.cut()), Outcome::Written);
    let left = found(&store, &me);
    let first = all.iter().position(|id| *id >= cut.floor()).unwrap();
    assert_eq!(left, all[first..]);
    // Less than the limit, but not by far.
    assert!((800..1000).contains(&left.len()), "{}", left.len());
    assert_eq!(excess(&store, &me), None);
    assert_eq!(found(&store, &other).len(), 1500);
    // Two who have found the same excess cut once.
    assert_eq!(store.write_blocking(cut.cut()), Outcome::Refused(0));

    // Nothing comes back with a restart, and compactions know of it.
    assert_eq!(stored(&store, &me).len(), 3000);
    store.close().unwrap();
    let store = open(&directory);
    assert_eq!(found(&store, &me), left);
    compact(&store);
    // A chunk goes when the last of its messages may.
    let there = stored(&store, &me);
    assert!(there.iter().rev().take(left.len()).rev().eq(&left) && there.len() < left.len() + 40, "{}", there.len());
    assert_eq!(stored(&store, &other).len(), 1500);
    assert_eq!(stored(&store, &small).len(), 500);
    // No limit any more.
    assert_eq!(excess(&store, &other), None);
}

#[test]
fn an_archive_is_cut_again_and_again_but_its_last_message_stays() {
    let directory = tempdir().unwrap();
    let store = limited(directory.path());
    let me = owner("juliet");
    let mut floor = 0;
    for round in 0..4u64 {
        fill(&store, &me, (0..1500).map(|number| days_ago(10) + 10_000_000 * round + number));
        store.compact(Family::Archive).unwrap();
        let cut = excess(&store, &me).unwrap();
        assert!(cut.floor() > floor);
        floor = cut.floor();
        assert_eq!(store.write_blocking(cut.cut()), Outcome::Written);
        assert!((700..1100).contains(&found(&store, &me).len()));
    }
    store.close().unwrap();

    let store = open_with(&directory, |options| options.archive_bytes_max_per_account = Some(1));
    let last = *found(&store, &me).last().unwrap();
    let cut = excess(&store, &me).unwrap();
    assert_eq!(store.write_blocking(cut.cut()), Outcome::Written);
    assert_eq!(found(&store, &me), [last]);
    assert_eq!(excess(&store, &me), None);
}

#[test]
fn an_archive_goes_with_its_account_and_so_does_its_floor() {
    let directory = tempdir().unwrap();
    let store = limited(directory.path());
    let (me, other) = (owner("juliet"), owner("juliet2"));
    let account = Account::new(Vec::new(), 1);
    let registration = Registration { address: None, source: Source::Cli, client: None };
    store.write_blocking(accounts::create(&me, &account, &registration, 1));
    fill(&store, &me, 1000..4000);
    fill(&store, &other, 1000..1010);
    compact(&store);
    let cut = excess(&store, &me).unwrap();
    store.write_blocking(cut.cut());
    assert_eq!(found(&store, &me).first(), Some(&cut.floor()));

    assert_eq!(store.write_blocking(accounts::remove(&me)), Outcome::Written);
    assert_eq!(found(&store, &me), []);
    assert!(stored(&store, &me).is_empty());
    assert_eq!(found(&store, &other), (1000..1010).collect::<Vec<_>>());
    // Whoever has the name next begins anew, be it with old messages that are imported.
    store.write_blocking(append(&me, 5, b"<message/>"));
    assert_eq!(found(&store, &me), [5]);
    assert!(chunks_there(&store) > 50);
    compact(&store);
    assert_eq!(found(&store, &me), [5]);
    // What is left are those of the other one.
    assert!(chunks_there(&store) < 2);
    store.close().unwrap();
    assert_eq!(found(&limited(directory.path()), &me), [5]);
}

/// What the test of a crash tells its child: the directory.
const CRASH: &str = "RONDEL_TEST_CRASH";

/// Writes without end and says what is on the disk. Run by the test below, killed by it.
#[test]
fn child_that_is_killed() {
    let Some(path) = std::env::var_os(CRASH) else { return };
    let mut options = Options::new(path);
    options.archive_tail_bytes = 256 << 10;
    let store = Store::open(&options).unwrap();
    let (client, inbox) = Inbox::client(&store);
    for turn in 0u64.. {
        let ids = 1 + 20 * turn..=20 * (turn + 1);
        let mut messages = archive::Appends::new();
        ids.for_each(|id| {
            messages.push(turn, &owner("juliet"), id, WITH, false, |out| out.extend_from_slice(&[b'x'; 500]))
        });
        client.write_turn(Vec::new(), messages).unwrap();
        assert!(inbox.replies(20).iter().all(|reply| reply.outcome == Outcome::Written));
        println!("written {}", 20 * (turn + 1));
    }
}

#[test]
fn after_a_kill_every_written_message_is_there_with_its_index() {
    let directory = tempdir().unwrap();
    let me = owner("juliet");
    for at_least in [500, 3000] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_is_killed", "--nocapture"])
            .env(CRASH, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut written = 0;
        let mut read = || {
            let line = lines.next()?.unwrap();
            Some(line.strip_prefix("written ").map_or(0, |number| number.parse::<u64>().unwrap()))
        };
        while written < at_least {
            written = written.max(read().expect("it writes on"));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        while let Some(number) = read() {
            written = written.max(number);
        }
        let store = open(&directory);
        let there = stored(&store, &me);
        assert!(there.len() as u64 >= written, "{} of {written}", there.len());
        assert!(there.iter().copied().eq(1..=there.len() as u64));
        assert_eq!(found(&store, &me).len(), there.len());
        store.close().unwrap();
    }
}
