//! Pages of an archive in a store.

use rondel_storage::{Options, Store, WriteRequest};

use super::*;
use crate::jid::Jid;

const JULIET: &str = "juliet@capulet.lit";
const ROMEO: &str = "romeo@montague.lit";
const LIMITS: PageLimits = PageLimits { bytes_max: 1 << 20, looked_at_max: 10_000 };

/// Juliet's archive.
struct Archive {
    store: Store,
    _directory: tempfile::TempDir,
}

/// What a query has come to.
#[derive(Debug, Eq, PartialEq)]
struct Answer {
    ids: Vec<u64>,
    is_complete: bool,
    parts: usize,
}

impl Archive {
    fn with(messages: impl IntoIterator<Item = (u64, bool, String)>) -> Archive {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        let request = messages.into_iter().fold(WriteRequest::new(owner()), |request, (id, outgoing, stanza)| {
            let write = |out: &mut Vec<u8>| out.extend_from_slice(stanza.as_bytes());
            stored::append(request, id, ROMEO, outgoing, stanza.len(), write)
        });
        assert_eq!(store.write_blocking(request), Outcome::Written);
        Archive { store, _directory: directory }
    }

    fn ask(&self, query: Query, limits: PageLimits) -> Result<Answer, &'static str> {
        let mut reading = Reading::new(owner(), query, "juliet@capulet.lit/balcony", limits);
        for parts in 1.. {
            let outcome = self.store.read_blocking(&reading.read());
            match reading.proceed(outcome).map_err(|refusal| refusal.condition)? {
                Progress::Read(next) => reading = *next,
                Progress::Page(page) => {
                    let ids = page.messages().map(Entry::id).collect();
                    return Ok(Answer { ids, is_complete: page.is_complete, parts });
                }
            }
        }
        unreachable!()
    }
}

fn owner() -> Owner {
    Owner::parse(JULIET).unwrap()
}

fn from(id: u64, resource: &str, bytes: usize) -> (u64, bool, String) {
    let body = "x".repeat(bytes);
    (id, false, format!("<message from='{ROMEO}/{resource}' to='{JULIET}'><body>{body}</body></message>"))
}

fn sent(id: u64, resource: &str) -> (u64, bool, String) {
    (id, true, format!("<message from='{JULIET}/{resource}' to='{ROMEO}'><body/></message>"))
}

fn page(entries_max: usize) -> Query {
    Query { entries_max, ..Query::default() }
}

fn with(jid: &str, entries_max: usize) -> Query {
    Query { with: Some(Jid::parse(jid).unwrap().into_owned()), ..page(entries_max) }
}

fn answer(ids: impl IntoIterator<Item = u64>, is_complete: bool, parts: usize) -> Result<Answer, &'static str> {
    Ok(Answer { ids: ids.into_iter().collect(), is_complete, parts })
}

#[test]
fn pages_come_from_either_end_and_may_be_flipped() {
    let archive = Archive::with((1..=60).map(|id| from(id, "orchard", 10)));
    let ask = |query| archive.ask(query, LIMITS);
    assert_eq!(ask(page(20)), answer(1..=20, false, 1));
    assert_eq!(ask(page(60)), answer(1..=60, true, 1));
    let rest = Query { after_id: Some(40), known_ids: vec![40], ..page(20) };
    assert_eq!(ask(rest.clone()), answer(41..=60, true, 1));
    assert_eq!(ask(Query { flip_page: true, ..rest }), answer((41..=60).rev(), true, 1));
    let last = Query { reverse: true, ..page(20) };
    assert_eq!(ask(last.clone()), answer(41..=60, false, 1));
    let first = Query { before_id: Some(21), known_ids: vec![21], ..last };
    assert_eq!(ask(first.clone()), answer(1..=20, true, 1));
    assert_eq!(ask(Query { flip_page: true, ..first }), answer((1..=20).rev(), true, 1));
    assert_eq!(ask(Query { ids: Some(vec![7, 9]), known_ids: vec![7, 9], ..page(20) }), answer([7, 9], true, 1));
    assert_eq!(ask(Query { known_ids: vec![7, 61], ..page(20) }), Err("item-not-found"));
    // Nothing but whether that is so.
    assert_eq!(ask(Query { known_ids: vec![7], ..page(0) }), answer([], false, 1));
    assert_eq!(ask(Query { known_ids: vec![61], ..page(0) }), Err("item-not-found"));
    assert_eq!(ask(with("nurse@capulet.lit", 20)), answer([], true, 1));
}

#[test]
fn a_page_has_no_more_bytes_than_it_may() {
    let archive = Archive::with((1..=9).map(|id| from(id, "orchard", 1000)));
    let limits = PageLimits { bytes_max: 5000, ..LIMITS };
    // Each takes some 300 bytes more than its body when it is sent.
    assert_eq!(archive.ask(page(20), limits), answer(1..=3, false, 1));
    assert_eq!(archive.ask(Query { reverse: true, ..page(20) }, limits), answer(7..=9, false, 1));
    assert_eq!(archive.ask(with("romeo@montague.lit/orchard", 20), limits), answer(1..=3, false, 1));
    let sent: usize = {
        let mut out = Vec::new();
        let stanza = from(1, "orchard", 1000).2;
        let ids = ArchiveIds::new([9; 16]);
        let id = ids.text(1_752_000_000_000_001);
        Found {
            account: JULIET,
            to: "juliet@capulet.lit/balcony",
            query_id: None,
            id: id.as_str(),
            at_us: 1_752_000_000_000_001,
            stanza: stanza.as_bytes(),
        }
        .write_to(&mut out);
        out.len()
    };
    assert!(sent * 3 <= 5000 && sent * 4 > 5000, "{sent}");
    // One that is larger than a page may be is sent alone.
    let limits = PageLimits { bytes_max: 100, ..LIMITS };
    assert_eq!(archive.ask(page(20), limits), answer([1], false, 1));
    assert_eq!(archive.ask(Query { reverse: true, ..page(20) }, limits), answer([9], false, 1));
}

#[test]
fn a_resource_is_looked_for_message_by_message() {
    let resource = |id| if id % 100 == 0 { "garden" } else { "orchard" };
    let archive = Archive::with((1..=1200).map(|id| from(id, resource(id), 1)));
    let garden = |max| with("romeo@montague.lit/garden", max);
    let every = |from: u64, to: u64| (from..=to).filter(|id| id % 100 == 0);
    assert_eq!(archive.ask(garden(20), LIMITS), answer(every(1, 1200), true, 3));
    assert_eq!(archive.ask(garden(3), LIMITS), answer([100, 200, 300], false, 1));
    assert_eq!(archive.ask(Query { reverse: true, ..garden(3) }, LIMITS), answer([1000, 1100, 1200], false, 1));
    let behind = Query { after_id: Some(300), known_ids: vec![300], ..garden(9) };
    assert_eq!(archive.ask(behind, LIMITS), answer(every(400, 1200), true, 2));
    assert_eq!(archive.ask(with("romeo@montague.lit/street", 20), LIMITS), answer([], true, 3));
}

#[test]
fn looking_has_an_end() {
    let archive = Archive::with((1..=1200).map(|id| from(id, if id == 700 { "garden" } else { "orchard" }, 1)));
    let (garden, street) = (with("romeo@montague.lit/garden", 20), with("romeo@montague.lit/street", 20));
    let limits = PageLimits { looked_at_max: 1000, ..LIMITS };
    // It goes on behind the one that was found.
    assert_eq!(archive.ask(garden.clone(), limits), answer([700], false, 2));
    assert_eq!(archive.ask(street, limits), Err("policy-violation"));
    assert_eq!(archive.ask(garden, LIMITS), answer([700], true, 3));
}

#[test]
fn ones_own_resource_is_looked_for_in_all_that_was_sent() {
    let archive = Archive::with([sent(1, "balcony"), from(2, "orchard", 1), sent(3, "chamber"), sent(4, "balcony")]);
    assert_eq!(archive.ask(with("juliet@capulet.lit/balcony", 20), LIMITS), answer([1, 4], true, 1));
    assert_eq!(archive.ask(with("juliet@capulet.lit", 20), LIMITS), answer([], true, 1));
}

#[test]
fn what_cannot_be_read_is_left_out_and_said() {
    let archive = Archive::with([from(2, "orchard", 1)]);
    let damaged = WriteRequest::new(owner()).put(rondel_storage::Family::Archive, &1u64.to_be_bytes(), vec![9]);
    assert_eq!(archive.store.write_blocking(damaged), Outcome::Written);
    let reading = Reading::new(owner(), page(20), "juliet@capulet.lit/balcony", LIMITS);
    let outcome = archive.store.read_blocking(&reading.read());
    let Ok(Progress::Page(page)) = reading.proceed(outcome) else { panic!() };
    assert_eq!(page.fin(&ArchiveIds::new([0; 16])).attribute("stable"), Some("false"));
    assert_eq!(page.messages().map(Entry::id).collect::<Vec<_>>(), [2]);
    // What the storage cannot do is no fault of the client.
    let reading = Reading::new(owner(), super::tests::page(20), "juliet@capulet.lit/balcony", LIMITS);
    assert_eq!(reading.proceed(Outcome::Written).unwrap_err().condition, "internal-server-error");
}
