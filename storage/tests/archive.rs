//! Archives by the public interface: what queries find, and what is replaced. What they give up is in `retention.rs`.

#[allow(dead_code)] // Each test needs a part of it.
mod common;

use common::{Held, Inbox, PATIENCE, chunks, open, open_with, owner, read, written};
use proptest::prelude::*;
use rondel_storage::archive::{self, Appends, Entry, Found, Page, Query};
use rondel_storage::{Answer as Taken, Busy, Family, Outcome, Owner, QUIET, Store, WriteRequest};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Instant;
use tempfile::tempdir;

const CONTACTS: [&str; 3] = ["romeo@example.org", "nurse@example.org", "example.net"];

/// The bytes before the stanza, the address aside.
const HEADER_BYTES: usize = 4;

fn append(to: &Owner, id: u64, with: &str, outgoing: bool, stanza: &[u8]) -> WriteRequest {
    let request = WriteRequest::new(to.clone());
    archive::append(request, id, with, outgoing, stanza.len(), |out| out.extend_from_slice(stanza))
}

/// Writes messages with these ids, the contacts taking turns.
fn fill(store: &Store, of: &Owner, ids: impl Iterator<Item = u64>) {
    let (client, inbox) = Inbox::client(store);
    let contact = |id: u64| CONTACTS[id as usize % CONTACTS.len()];
    let requests: Vec<_> = ids.map(|id| (id, append(of, id, contact(id), false, &id.to_be_bytes()))).collect();
    let expected: Vec<_> = requests.iter().map(|(token, _)| written(*token)).collect();
    client.write_many(requests).unwrap();
    assert_eq!(inbox.replies(expected.len()), expected);
}

fn ask(store: &Store, query: Query) -> Found {
    archive::decode(store.read_blocking(&query.into())).unwrap()
}

fn page(found: Found) -> Page {
    let Found::Page(page) = found else { panic!("{found:?}") };
    assert_eq!(page.damaged, None);
    page
}

fn ids(found: Found) -> Vec<u64> {
    page(found).entries.iter().map(Entry::id).collect()
}

/// A message, as it is told: address, direction, stanza.
type Message = (&'static str, bool, Vec<u8>);
type Model = BTreeMap<u64, Message>;
/// Messages and whether there are no more; or the id that is unknown.
type Answer = Result<(Vec<(u64, String, bool, Vec<u8>)>, bool), u64>;

fn told(found: Found) -> Answer {
    let page = match found {
        Found::Page(page) => page,
        Found::UnknownId(id) => return Err(id),
    };
    assert_eq!(page.damaged, None);
    let told = |entry: &Entry| (entry.id(), entry.with().to_owned(), entry.is_outgoing(), entry.stanza().to_vec());
    Ok((page.entries.iter().map(told).collect(), page.complete))
}

/// The reference: looks at every message.
fn expected(model: &Model, query: &Query) -> Answer {
    let named = query.after_id.iter().chain(&query.before_id).chain(&query.must_exist);
    if let Some(unknown) = named.copied().find(|id| !model.contains_key(id)) {
        return Err(unknown);
    }
    let unknown = query.ids.iter().flatten().copied().filter(|id| !model.contains_key(id));
    if let Some(unknown) = if query.reverse { unknown.max() } else { unknown.min() } {
        return Err(unknown);
    }
    let matches = |(id, (with, ..)): &(&u64, &Message)| {
        query.with.as_ref().is_none_or(|wanted| **wanted == **with)
            && query.start_us.is_none_or(|start| **id >= start)
            && query.end_us.is_none_or(|end| **id <= end)
            && query.after_id.is_none_or(|after| **id > after)
            && query.before_id.is_none_or(|before| **id < before)
            && query.ids.as_ref().is_none_or(|ids| ids.contains(id))
    };
    let mut all: Vec<_> = model.iter().filter(matches).collect();
    if query.reverse {
        all.reverse();
    }
    let (mut taken, mut bytes) = (0, 0);
    for (_, (with, _, stanza)) in &all {
        bytes += HEADER_BYTES + with.len() + stanza.len();
        if taken == query.entries_max.max(1) || (bytes > query.bytes_max && taken > 0) {
            break;
        }
        taken += 1;
    }
    let complete = taken == all.len();
    all.truncate(taken);
    all.sort_by_key(|(id, _)| **id);
    let told = |(id, (with, outgoing, stanza)): (&u64, &Message)| (*id, (*with).to_owned(), *outgoing, stanza.clone());
    Ok((all.into_iter().map(told).collect(), complete))
}

fn model() -> impl Strategy<Value = Model> {
    let message =
        (1u64..4, prop::sample::select(&CONTACTS[..]), any::<bool>(), prop::collection::vec(any::<u8>(), 0..30));
    prop::collection::vec(message, 0..60).prop_map(|messages| {
        let mut id = 1000;
        let mut place = |(gap, with, outgoing, stanza)| {
            id += gap;
            (id, (with, outgoing, stanza))
        };
        messages.into_iter().map(&mut place).collect()
    })
}

/// A number about where the messages are: some are ids, some are not.
fn near() -> impl Strategy<Value = u64> {
    prop_oneof![30 => 1000u64..1130, 1 => Just(0), 1 => Just(u64::MAX)]
}

prop_compose! {
    fn query()(
        with in prop::option::of(prop::sample::select(&["romeo@example.org", "example.net", "nobody@example.org"][..])),
        start_us in prop::option::of(near()),
        end_us in prop::option::of(near()),
        after_id in prop::option::weighted(0.3, near()),
        before_id in prop::option::weighted(0.3, near()),
        ids in prop::option::weighted(0.2, prop::collection::vec(near(), 0..3)),
        must_exist in prop::collection::vec(near(), 0..2),
        entries_max in 0usize..12,
        bytes_max in prop_oneof![Just(1 << 20), 0usize..300],
        reverse: bool,
    ) -> Query {
        let with = with.map(Box::from);
        let owner = owner("replaced");
        Query { owner, with, start_us, end_us, after_id, before_id, ids, must_exist, entries_max, bytes_max, reverse }
    }
}

/// Snaps most of the named ids to messages that exist, so that most queries find something.
fn snap(query: &mut Query, model: &Model, seed: u64) {
    let exact = |id: u64| if id % 16 == seed % 16 { id } else { model.range(id..).next().map_or(id, |(id, _)| *id) };
    query.after_id = query.after_id.map(exact);
    query.before_id = query.before_id.map(exact);
    query.must_exist = query.must_exist.iter().map(|id| exact(*id)).collect();
    query.ids = query.ids.as_ref().map(|ids| ids.iter().map(|id| exact(*id)).collect());
}

#[test]
fn queries_find_what_a_look_at_every_message_finds() {
    let directory = tempdir().unwrap();
    // Small buffers, so that what is read is partly in memory and partly in files.
    let store = open_with(&directory, |options| options.archive_tail_bytes = 64 << 10);
    let (client, inbox) = Inbox::client(&store);
    let number = AtomicU64::new(0);
    let queries = prop::collection::vec(query(), 8);
    proptest!(ProptestConfig::with_cases(200), |(model in model(), queries in queries, filler: [u8; 32], seed: u64)| {
        let number = number.fetch_add(1, SeqCst);
        let me = owner(&format!("user{number}"));
        // Others in between, whose messages must not be taken for this one's.
        let other = owner(&format!("user{number}a"));
        let mine = model.iter().map(|(id, (with, outgoing, stanza))| append(&me, *id, with, *outgoing, stanza));
        let theirs = model.keys().map(|id| append(&other, *id, CONTACTS[0], true, &filler.repeat(20)));
        let requests: Vec<_> = (0..).zip(mine.chain(theirs)).collect();
        let count = requests.len();
        client.write_many(requests).unwrap();
        prop_assert_eq!(inbox.replies(count).len(), count);
        if number % 40 == 20 {
            store.compact(Family::Archive).unwrap();
            store.compact(Family::ArchiveWith).unwrap();
        }
        for mut query in queries {
            query.owner = me.clone();
            snap(&mut query, &model, seed);
            let wanted = expected(&model, &query);
            let found = archive::decode(read(&client, &inbox, 1, query.clone().into())).unwrap();
            prop_assert_eq!(&told(found), &wanted, "{:?}", &query);
            prop_assert_eq!(&told(ask(&store, query.clone())), &wanted);
            if wanted.is_err() {
                continue;
            }
            // Page by page, everything comes once.
            let endless = Query { entries_max: 1000, bytes_max: 1 << 20, ..query.clone() };
            let Ok((all, true)) = expected(&model, &endless) else { panic!("all of it") };
            let (mut pages, mut next) = (Vec::new(), Some(query.clone()));
            while let Some(query) = next {
                let found = page(ask(&store, query.clone()));
                next = query.next(&found);
                pages.push(told(Found::Page(found)).unwrap().0);
            }
            if query.reverse {
                pages.reverse();
            }
            prop_assert_eq!(pages.concat(), all);
        }
    });
    assert!(store.metrics().reads_inline > 0);
}

/// Messages with ids in any order, some of them again; they become chunks after each wave, or the store is opened anew,
/// or they stay where they are.
fn waves() -> impl Strategy<Value = Vec<(Vec<(u64, Message)>, u8)>> {
    let message = (prop::sample::select(&CONTACTS[..]), any::<bool>(), prop::collection::vec(any::<u8>(), 0..400));
    let wave = prop::collection::vec((1000u64..1130, message), 1..30);
    prop::collection::vec((wave, 0u8..4), 1..6)
}

#[test]
fn messages_may_come_in_any_order_and_again() {
    let directory = tempdir().unwrap();
    let number = AtomicU64::new(0);
    let queries = prop::collection::vec(query(), 12);
    let place = RefCell::new(Some(open(&directory)));
    proptest!(ProptestConfig::with_cases(100), |(waves in waves(), queries in queries, seed: u64)| {
        let me = owner(&format!("user{}", number.fetch_add(1, SeqCst)));
        let mut model = Model::new();
        for (wave, then) in waves {
            let mut messages = Appends::new();
            for (token, (id, (with, outgoing, stanza))) in (1..).zip(&wave) {
                let token = if token == wave.len() as u64 { token } else { QUIET };
                messages.push(token, &me, *id, with, *outgoing, |out| out.extend_from_slice(stanza));
            }
            let store = place.take().unwrap();
            {
                let (client, inbox) = Inbox::client(&store);
                client.write_turn(Vec::new(), messages).unwrap();
                prop_assert_eq!(inbox.reply(), written(wave.len() as u64));
            }
            model.extend(wave);
            match then {
                0 => store.flush_archives().unwrap(),
                1 => store.compact(Family::Archive).unwrap(),
                _ => {}
            }
            if then == 3 {
                store.close().unwrap();
                place.replace(Some(open(&directory)));
            } else {
                place.replace(Some(store));
            }
        }
        let store = place.borrow();
        let store = store.as_ref().unwrap();
        for mut query in queries {
            query.owner = me.clone();
            snap(&mut query, &model, seed);
            prop_assert_eq!(&told(ask(store, query.clone())), &expected(&model, &query), "{:?}", &query);
        }
        // Chunks do not overlap, and the index names each of them for all its contacts.
        store.flush_archives().unwrap();
        let (chunks, index) = chunks(store, &me);
        prop_assert!(chunks.values().flatten().copied().eq(model.keys().copied()));
        let named: BTreeSet<_> = index.into_values().flatten().collect();
        prop_assert!(chunks.keys().all(|first| named.contains(first)));
    });
}

#[test]
fn messages_that_are_handed_over_together_are_written_together() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (client, inbox) = Inbox::client(&store);
    assert_eq!(client.write_turn(Vec::new(), Appends::new()), Ok(()));
    let held = Held::writer(&store);
    let mut messages = Appends::new();
    for id in 1..=200 {
        let to = owner(["juliet", "romeo"][id as usize % 2]);
        let token = if id == 200 { 2 } else { QUIET };
        messages.push(token, &to, id, CONTACTS[0], false, |out| out.extend_from_slice(&[b'x'; 300]));
    }
    assert_eq!((messages.len(), messages.is_empty()), (200, false));
    let before = store.metrics();
    client.write_turn(Vec::new(), messages).unwrap();
    client.write(3, append(&owner("juliet"), 300, CONTACTS[0], false, b"<a/>")).unwrap();
    assert_eq!(store.metrics().write_queue, 201);
    held.release();
    assert_eq!(inbox.delivery(), [2, 3].map(written));
    let after = store.metrics();
    assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (201, 1));
    assert_eq!((after.write_queue, after.write_queue_bytes), (0, 0));
    assert_eq!(ids(ask(&store, Query::new(owner("juliet")))).len(), 101);
    store.close().unwrap();
    let mut late = Appends::new();
    late.push(4, &owner("juliet"), 400, CONTACTS[0], false, |_| {});
    assert_eq!(client.write_turn(Vec::new(), late), Err(Busy::Closed));
    drop(client);
    assert_eq!(inbox.rest(), []);
    let store = open(&directory);
    assert_eq!(ids(ask(&store, Query::new(owner("romeo")))).len(), 100);
    assert_eq!(ids(ask(&store, Query::new(owner("juliet")))).last(), Some(&300));
}

#[test]
fn a_page_says_whether_there_is_more() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let me = owner("juliet");
    fill(&store, &me, 1..=9);
    for (entries_max, complete) in [(8, false), (9, true), (10, true)] {
        for reverse in [false, true] {
            let found = page(ask(&store, Query { entries_max, reverse, ..Query::new(me.clone()) }));
            assert_eq!((found.entries.len(), found.complete), (entries_max.min(9), complete));
        }
    }
    // Three are with each contact.
    for (entries_max, complete) in [(2, false), (3, true)] {
        let with = Some(CONTACTS[0].into());
        let found = page(ask(&store, Query { with, entries_max, ..Query::new(me.clone()) }));
        assert_eq!((found.entries.len(), found.complete), (entries_max, complete));
    }
    let nobody = page(ask(&store, Query::new(owner("nobody"))));
    assert_eq!((nobody.entries.len(), nobody.complete), (0, true));
}

#[test]
fn the_last_page_is_in_order_and_leads_backwards() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let me = owner("juliet");
    fill(&store, &me, 1..=10);
    let query = Query { entries_max: 4, reverse: true, ..Query::new(me) };
    let last = page(ask(&store, query.clone()));
    assert_eq!(last.entries.iter().map(Entry::id).collect::<Vec<_>>(), [7, 8, 9, 10]);
    let query = query.next(&last).unwrap();
    assert_eq!(query.before_id, Some(7));
    assert_eq!(ids(ask(&store, query)), [3, 4, 5, 6]);
}

#[test]
fn a_contact_whose_hash_is_the_same_by_chance_is_told_apart() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let me = owner("juliet");
    store.write_blocking(append(&me, 1, "romeo@example.org", false, b"mine"));
    store.flush_archives().unwrap();
    // The index of the first message tells the contact's hash; the second contact is given the same.
    let (_, index) = chunks(&store, &me);
    let hash = index.keys().next().unwrap().to_be_bytes();
    for id in 2..100u64 {
        store.write_blocking(append(&me, id, "tybalt@example.org", false, b"other"));
    }
    store.flush_archives().unwrap();
    let index = |first: u64, value: &[u8]| {
        let rest = [hash, first.to_be_bytes()].concat();
        store.write_blocking(WriteRequest::new(me.clone()).put(Family::ArchiveWith, &rest, value.to_vec()))
    };
    index(2, &99u64.to_be_bytes());
    store.write_blocking(append(&me, 100, "romeo@example.org", false, b"mine"));
    store.flush_archives().unwrap();
    // One of the index's entries has no chunk: that is skipped as well.
    index(1000, b"");
    for reverse in [false, true] {
        let with = Some("romeo@example.org".into());
        let found = page(ask(&store, Query { with, reverse, entries_max: 2, ..Query::new(me.clone()) }));
        assert_eq!(found.entries.iter().map(Entry::id).collect::<Vec<_>>(), [1, 100]);
        assert!(found.complete);
    }
}

#[test]
fn one_message_is_read_by_its_id() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let me = owner("juliet");
    store.write_blocking(append(&me, 5, "romeo@example.org", true, b"<message/>"));
    let found = page(archive::decode(store.read_blocking(&archive::get(&me, 5))).unwrap());
    let [entry] = &found.entries[..] else { panic!("{found:?}") };
    assert_eq!((entry.id(), entry.with(), entry.stanza()), (5, "romeo@example.org", &b"<message/>"[..]));
    assert!(entry.is_outgoing() && !entry.is_tombstone());
    assert_eq!(archive::decode(store.read_blocking(&archive::get(&me, 6))), Ok(Found::UnknownId(6)));
    assert_eq!(archive::decode(store.read_blocking(&archive::get(&owner("romeo"), 5))), Ok(Found::UnknownId(5)));
}

#[test]
fn a_message_that_is_taken_out_leaves_its_place() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let me = owner("juliet");
    fill(&store, &me, 1..=6);
    let [before] = &page(archive::decode(store.read_blocking(&archive::get(&me, 3))).unwrap()).entries[..] else {
        panic!("one")
    };
    let replace = archive::replace_with_tombstone(&me, before, |out| out.extend_from_slice(b"<retracted/>"));
    assert_eq!(store.write_blocking(replace.clone()), Outcome::Written);
    let query = Query { with: Some(before.with().into()), ..Query::new(me.clone()) };
    let found = page(ask(&store, query));
    assert_eq!(found.entries.iter().map(Entry::id).collect::<Vec<_>>(), [3, 6]);
    let after = &found.entries[0];
    assert_eq!((after.stanza(), after.with(), after.is_tombstone()), (&b"<retracted/>"[..], before.with(), true));
    assert!(!found.entries[1].is_tombstone());
    assert_eq!(ids(ask(&store, Query::new(me.clone()))), [1, 2, 3, 4, 5, 6]);
    // Whoever has read the message before it was replaced is told so.
    assert_eq!(store.write_blocking(replace), Outcome::Refused(0));
}

#[test]
fn the_bounds_of_an_archive_are_its_first_and_last_message() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let bounds = |name| archive::decode_bounds(store.read_blocking(&archive::bounds(&owner(name)))).unwrap();
    assert_eq!(bounds("juliet"), None);
    fill(&store, &owner("juliet"), [7].into_iter());
    assert_eq!(bounds("juliet"), Some((7, 7)));
    fill(&store, &owner("juliet"), [9, 20].into_iter());
    fill(&store, &owner("juliet2"), [1].into_iter());
    assert_eq!(bounds("juliet"), Some((7, 20)));
}

#[test]
fn a_message_that_cannot_be_read_hides_no_other() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let me = owner("juliet");
    fill(&store, &me, 1..=2);
    store.flush_archives().unwrap();
    let damage = WriteRequest::new(me.clone()).put(Family::Archive, &3u64.to_be_bytes(), b"\x09???".to_vec());
    store.write_blocking(damage);
    fill(&store, &me, 4..=5);
    let Found::Page(found) = ask(&store, Query { entries_max: 4, ..Query::new(me) }) else { panic!("a page") };
    assert_eq!(found.entries.iter().map(Entry::id).collect::<Vec<_>>(), [1, 2, 4, 5]);
    assert!(found.complete);
    let damaged = found.damaged.unwrap().to_string();
    assert!(damaged.contains("value version 9"), "{damaged}");
}

/// Whoever reads while messages are written sees all of them up to some point, with a contact and without.
#[test]
fn readers_see_every_message_up_to_some_point() {
    const MESSAGES: u64 = 3000;
    let directory = tempdir().unwrap();
    let store = open_with(&directory, |options| options.archive_tail_bytes = 64 << 10);
    let me = owner("juliet");
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for first in (1..=MESSAGES).step_by(30) {
                fill(&store, &me, first..first + 30);
                done.store(first + 29, SeqCst);
            }
        });
        let mut seen = 0;
        while seen < MESSAGES {
            let least = done.load(SeqCst);
            let mut found = Vec::new();
            let mut next = Some(Query { entries_max: 700, ..Query::new(me.clone()) });
            while let Some(query) = next {
                let page = page(ask(&store, query.clone()));
                found.extend(page.entries.iter().map(Entry::id));
                next = query.next(&page);
            }
            seen = found.len() as u64;
            assert!(seen >= least, "{seen} of {least}");
            assert!(found.iter().copied().eq(1..=seen));
            // A third of them is with the first contact: those whose id is divisible by three.
            let query = Query { with: Some(CONTACTS[0].into()), reverse: true, ..Query::new(me.clone()) };
            let with = ids(ask(&store, query));
            assert!(with.len() as u64 >= least / 3);
            assert!(with.iter().copied().eq((1..=with.len() as u64).map(|number| 3 * number)));
        }
    });
}

#[test]
fn memory_does_not_grow_with_an_archive() {
    const MESSAGES: u64 = 24_000;
    const STANZA_BYTES: usize = 2000;
    let directory = tempdir().unwrap();
    let (buffers, cache) = (4 << 20, 2 << 20);
    let store = open_with(&directory, |options| {
        (options.write_buffers_bytes, options.block_cache_bytes) = (buffers, cache);
        options.archive_tail_bytes = buffers / 4;
    });
    let me = owner("juliet");
    let (client, inbox) = Inbox::client(&store);
    // Numbers that no compression makes smaller.
    let mut random = 1u64;
    let mut stanza = || {
        let mut stanza = Vec::with_capacity(STANZA_BYTES);
        while stanza.len() < STANZA_BYTES {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            stanza.push((random >> 56) as u8);
        }
        stanza
    };
    // Writing goes on while full buffers are written to files, so there may be some of them for a while.
    let most = MESSAGES * STANZA_BYTES as u64 / 2;
    for first in (0..MESSAGES).step_by(500) {
        let requests = (first..first + 500).map(|id| (id, append(&me, id, CONTACTS[0], false, &stanza()))).collect();
        client.write_many(requests).unwrap();
        inbox.replies(500);
        assert!(buffered(&store) < most, "{:?}", store.memory());
    }
    let mut next = Some(Query { with: Some(CONTACTS[0].into()), entries_max: 100, ..Query::new(me) });
    let mut count = 0;
    while let Some(query) = next {
        let page = page(ask(&store, query.clone()));
        count += page.entries.len() as u64;
        next = query.next(&page);
    }
    assert_eq!(count, MESSAGES);
    let memory = store.memory();
    assert!(memory.block_cache <= 2 * cache as u64, "{memory:?}");
    let began = Instant::now();
    while buffered(&store) > 2 * buffers as u64 {
        assert!(began.elapsed() < PATIENCE, "{:?}", store.memory());
        thread::yield_now();
    }
}

#[test]
fn archives_of_before_there_were_chunks_keep_their_order() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let (me, other) = (owner("juliet"), owner("romeo"));
    // A key for each message, and nothing that says which is the highest.
    let value = [&[1, 0, 0, CONTACTS[0].len() as u8], CONTACTS[0].as_bytes(), b"<message/>"].concat();
    for (of, id) in [(&me, 100u64), (&me, 200), (&me, 300), (&other, 50)] {
        store.write_blocking(WriteRequest::new(of.clone()).put(Family::Archive, &id.to_be_bytes(), value.clone()));
    }
    store.close().unwrap();
    let store = open(&directory);
    let [old] = &page(archive::decode(store.read_blocking(&archive::get(&me, 100))).unwrap()).entries[..] else {
        panic!("one")
    };
    store.write_blocking(archive::replace_with_tombstone(&me, old, |out| out.extend_from_slice(b"<retracted/>")));
    fill(&store, &me, 400..=401);
    for _ in 0..2 {
        assert_eq!(ids(ask(&store, Query::new(me.clone()))), [100, 200, 300, 400, 401]);
        assert_eq!(ids(ask(&store, Query { start_us: Some(350), ..Query::new(me.clone()) })), [400, 401]);
        assert_eq!(ids(ask(&store, Query { reverse: true, entries_max: 2, ..Query::new(me.clone()) })), [400, 401]);
        assert_eq!(ids(archive::decode(store.read_blocking(&archive::get(&me, 400))).unwrap()), [400]);
        store.flush_archives().unwrap();
    }
    assert!(chunks(&store, &me).0.keys().copied().eq([100, 200, 300, 400]));
}

#[test]
fn a_shard_does_not_look_at_all_that_was_archived_just_now() {
    let directory = tempdir().unwrap();
    let store = open(&directory);
    let me = owner("juliet");
    fill(&store, &me, 1..=400);
    let (client, inbox) = Inbox::client(&store);
    let nobody = Query { with: Some("nobody@example.org".into()), ..Query::new(me.clone()) };
    assert_eq!(client.read(1, nobody.into()), Ok(Taken::Later));
    assert_eq!(archive::decode(inbox.reply().outcome).map(ids), Ok(vec![]));
    let last = Query { entries_max: 50, reverse: true, ..Query::new(me) };
    assert!(matches!(client.read(2, last.into()), Ok(Taken::Now(_))));
}

/// Bytes that were written and are in no table file yet.
fn buffered(store: &Store) -> u64 {
    store.memory().memtables + store.memory().tails
}
