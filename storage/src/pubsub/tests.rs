//! Changes against a naive model: whatever is published, removed and purged, node, items and order agree.

use super::*;
use crate::codec::Versioned;
use crate::{Operation, Outcome, Owner, Page, PageRequest, ReadRequest, WriteRequest};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Families in memory.
#[derive(Default)]
struct Memory(BTreeMap<(Family, Vec<u8>), Vec<u8>>);

impl Memory {
    fn write(&mut self, request: &WriteRequest) {
        for operation in request.operations() {
            match operation {
                Operation::Put(family, key, value) => drop(self.0.insert((*family, key.clone()), value.clone())),
                Operation::Delete(family, key) => drop(self.0.remove(&(*family, key.clone()))),
                Operation::DeleteRange(family, from, to) => {
                    self.0.retain(|(of, key), _| of != family || key < from || key >= to);
                }
            }
        }
    }

    fn read(&self, request: ReadRequest) -> Outcome {
        match request {
            ReadRequest::Get(family, key) => Outcome::Value(self.0.get(&(family, key)).cloned()),
            ReadRequest::MultiGet(family, keys) => {
                Outcome::Values(keys.into_iter().map(|key| self.0.get(&(family, key)).cloned()).collect())
            }
            ReadRequest::Page(page) => Outcome::Page(self.page(&page)),
            other => panic!("not asked here: {other:?}"),
        }
    }

    fn page(&self, request: &PageRequest) -> Page {
        let within = |(of, key): &(Family, Vec<u8>)| {
            *of == request.family && *key >= request.from && request.to.as_ref().is_none_or(|to| key < to)
        };
        let all = self.0.iter().filter(|(key, _)| within(key));
        let mut entries: Vec<_> = all.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        if request.reverse {
            entries.reverse();
        }
        let complete = entries.len() <= request.entries_max;
        entries.truncate(request.entries_max);
        Page { entries, complete }
    }
}

fn owner() -> Owner {
    Owner::parse("juliet@capulet.lit").unwrap()
}

fn config() -> NodeConfig {
    NodeConfig {
        access: AccessModel::Presence,
        groups: vec!["Friends".to_owned()],
        publish: PublishModel::Publishers,
        persist: true,
        max_items: MaxItems::Count(3),
        full: NodeFull::RetractOldest,
        expire_s: None,
        send_last: SendLast::OnSubscriptionAndPresence,
        notify: true,
        payloads: true,
        notify_retract: true,
        notify_delete: true,
        notify_config: false,
        notify_subscription: false,
        message_type: MessageType::Headline,
        presence_based: false,
        item_reply: ItemReply::None,
        subscribe: true,
        payload_bytes_max: Some(7),
        payload_type: "t".to_owned(),
        title: String::new(),
        description: String::new(),
        language: String::new(),
        contacts: Vec::new(),
    }
}

fn whole(newest_first: bool) -> Span {
    Span { from: 0, to: None, newest_first, entries_max: 100 }
}

fn read_node(memory: &Memory, name: &str) -> Option<StoredNode> {
    decode_node(name, memory.read(node(&owner(), name))).unwrap()
}

fn read_order(memory: &Memory, name: &str, span: Span) -> Vec<Entry> {
    decode_order(memory.read(ReadRequest::Page(order(&owner(), name, span)))).unwrap().0
}

fn item(sequence: u64, payload: u8) -> Item {
    Item { sequence, publisher: "juliet@capulet.lit".to_owned(), payload: vec![payload; usize::from(payload)] }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(u8, u8, u64),
    Remove(u8),
    Purge,
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..5, 0u8..9, 0u64..20).prop_map(|(id, payload, now)| Step::Publish(id, payload, now)),
        3 => (0u8..5).prop_map(Step::Remove),
        1 => Just(Step::Purge),
        1 => Just(Step::Delete),
    ]
}

/// The items of one node, oldest first.
type Model = Vec<(String, Item)>;

/// Carries out one step on both.
fn take(step: Step, name: &str, memory: &mut Memory, model: &mut Model) {
    let stored = read_node(memory, name);
    let change = match &stored {
        Some(stored) => Change::of(&owner(), stored),
        None => Change::create(&owner(), name, config(), 9, "juliet@capulet.lit"),
    };
    let request = match step {
        Step::Publish(id, payload, now) => {
            let id = format!("i{id}");
            let replaced = model.iter().position(|(of, _)| *of == id).map(|at| model.remove(at).1.entry(&id));
            let item = item(change.next_sequence(now), payload);
            model.push((id.clone(), item.clone()));
            let (before, change) = (change.node().bytes, change.publish(&id, &item, replaced.as_ref()));
            assert_eq!(change.growth(), change.node().bytes as i64 - before as i64);
            change.finish()
        }
        Step::Remove(id) => match model.iter().position(|(of, _)| *of == format!("i{id}")) {
            None => return,
            Some(at) => {
                let (id, item) = model.remove(at);
                let newest = model.last().map(|(id, item)| item.entry(id));
                change.remove(&item.entry(&id)).newest(newest).finish()
            }
        },
        Step::Purge => {
            model.clear();
            change.purge().finish()
        }
        Step::Delete if stored.is_some() => {
            model.clear();
            change.delete()
        }
        Step::Delete => return,
    };
    memory.write(&request);
}

proptest! {
    #[test]
    fn node_items_and_order_agree(
        steps in prop::collection::vec((any::<bool>(), step()), 0..40),
    ) {
        // A node whose name begins like the other's is not touched by what happens to that one.
        let (names, mut memory) = (["tune", "tune2"], Memory::default());
        let mut models = [Model::new(), Model::new()];
        for (first, step) in steps {
            let at = usize::from(first);
            take(step, names[at], &mut memory, &mut models[at]);
            for (name, model) in names.iter().zip(&models) {
                let entries: Vec<_> = model.iter().map(|(id, item)| item.entry(id)).collect();
                prop_assert_eq!(&read_order(&memory, name, whole(false)), &entries);
                let ids = ["i0", "i1", "i2", "i3", "i4"];
                let items = decode_items(memory.read(items(&owner(), ids.map(|id| (*name, id))))).unwrap();
                for (id, item) in ids.iter().zip(items) {
                    let expected = model.iter().find(|(of, _)| of == id).map(|(_, item)| item.clone());
                    prop_assert_eq!(item, expected);
                }
                let Some(StoredNode { node, .. }) = read_node(&memory, name) else {
                    prop_assert!(model.is_empty());
                    continue;
                };
                prop_assert_eq!(node.count as usize, model.len());
                prop_assert_eq!(node.bytes, entries.iter().map(Entry::weight).sum::<u64>());
                prop_assert_eq!(node.newest.as_ref(), entries.last());
                prop_assert!(entries.first().is_none_or(|oldest| oldest.sequence >= node.oldest));
            }
        }
    }

    #[test]
    fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
        decode_node("n", Outcome::Value(Some(value.clone()))).ok();
        decode_items(Outcome::Values(vec![Some(value.clone())])).ok();
        decode_people(Outcome::Values(vec![Some(value.clone())])).ok();
        let page = Page { entries: vec![(key, value)], complete: true };
        decode_order(Outcome::Page(page.clone())).ok();
        decode_nodes(&nodes(&owner(), 1), Outcome::Page(page)).ok();
    }
}

/// A node with three items, published at 10, 20 and 30.
fn three() -> Memory {
    let mut memory = Memory::default();
    let mut change = Change::create(&owner(), "tune", config(), 9, "juliet@capulet.lit");
    for (id, sequence) in [("a", 10), ("b", 20), ("c", 30)] {
        change = change.publish(id, &item(sequence, 1), None);
    }
    memory.write(&change.finish());
    memory
}

#[test]
fn a_span_is_a_part_of_the_order() {
    let memory = three();
    let ids = |span| read_order(&memory, "tune", span).into_iter().map(|entry| entry.id).collect::<String>();
    assert_eq!(ids(whole(true)), "cba");
    assert_eq!(ids(Span { entries_max: 2, ..whole(true) }), "cb");
    assert_eq!(ids(Span { from: 11, ..whole(false) }), "bc");
    assert_eq!(ids(Span { to: Some(30), ..whole(true) }), "ba");
    assert_eq!(ids(Span { from: 20, to: Some(21), ..whole(true) }), "b");
}

#[test]
fn a_clock_that_goes_back_does_not_change_the_order() {
    let stored = read_node(&three(), "tune").unwrap();
    let change = Change::of(&owner(), &stored);
    assert_eq!((change.next_sequence(5), change.next_sequence(40)), (31, 40));
}

#[test]
fn nodes_are_listed_by_name_and_by_owner() {
    let mut memory = three();
    let other = Owner::parse("juliet2@capulet.lit").unwrap();
    memory.write(&Change::create(&other, "mood", config(), 9, "juliet2@capulet.lit").finish());
    memory.write(&Change::create(&owner(), "mood", config(), 9, "juliet@capulet.lit").finish());
    let (mut names, mut next) = (Vec::new(), Some(nodes(&owner(), 1)));
    while let Some(request) = next {
        let (found, more) = decode_nodes(&request, memory.read(ReadRequest::Page(request.clone()))).unwrap();
        names.extend(found.into_iter().map(|stored| stored.name));
        next = more;
    }
    assert_eq!(names, ["mood", "tune"]);
}

#[test]
fn people_come_back_and_leave_nothing_behind() {
    let mut memory = three();
    let read = |memory: &Memory| decode_people(memory.read(people(&owner(), ["tune", "mood"]))).unwrap();
    assert!(read(&memory).iter().all(|stored| *stored == StoredPeople::default()));
    let somebody = People {
        affiliations: vec![("romeo@montague.lit".to_owned(), Affiliation::Member)],
        subscriptions: vec![Subscription {
            jid: "nurse@capulet.lit/chamber".to_owned(),
            state: SubscriptionState::Pending,
        }],
    };
    let before = read(&memory).remove(0);
    let stored = read_node(&memory, "tune").unwrap();
    memory.write(&Change::of(&owner(), &stored).people(&before, &somebody).finish());
    let before = read(&memory).remove(0);
    assert_eq!(before.people, somebody);
    let stored = read_node(&memory, "tune").unwrap();
    assert!(stored.node.people);
    let change = Change::of(&owner(), &stored).people(&before, &People::default());
    memory.write(&change.clone().finish());
    assert!(!read_node(&memory, "tune").unwrap().node.people);
    memory.write(&change.delete());
    assert!(memory.0.is_empty(), "{:?}", memory.0);
}

#[test]
fn changes_require_what_was_read() {
    let memory = three();
    let stored = read_node(&memory, "tune").unwrap();
    let change = Change::of(&owner(), &stored).purge();
    let key = |family: Family| family.key(&owner(), b"tune");
    let equals = crate::Precondition::Equals(NODES, key(NODES), stored.encoded.clone());
    assert_eq!(change.finish().preconditions(), std::slice::from_ref(&equals));
    let change = Change::of(&owner(), &stored).people(&StoredPeople::default(), &People::default());
    assert_eq!(change.finish().preconditions(), [equals, crate::Precondition::Absent(PEOPLE, key(PEOPLE))]);
    let change = Change::create(&owner(), "tune", config(), 9, "juliet@capulet.lit");
    assert_eq!(change.finish().preconditions(), [crate::Precondition::Absent(NODES, key(NODES))]);
}

#[test]
fn the_encoding_of_version_1_stays() {
    let node = Node {
        config: config(),
        created: 5,
        creator: "c".to_owned(),
        newest: Some(Entry { sequence: 300, id: "i".to_owned(), bytes: 2 }),
        oldest: 4,
        count: 1,
        bytes: 300,
        people: true,
    };
    let bytes = [
        1, 1, 1, 7, b'F', b'r', b'i', b'e', b'n', b'd', b's', 0, 1, 1, 3, 0, 0, 2, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 7,
        1, b't', 0, 0, 0, 0, 5, 1, b'c', 1, 0xac, 2, 1, b'i', 2, 4, 1, 0xac, 2, 1,
    ];
    assert_eq!(node.encode(), bytes);
    assert_eq!(Node::decode(b"", &bytes), Ok(node));
    let item = Item { sequence: 300, publisher: "p".to_owned(), payload: vec![9] };
    assert_eq!(item.encode(), [1, 0xac, 2, 1, b'p', 1, 9]);
    assert_eq!(values::Place { id: "i".to_owned(), bytes: 3 }.encode(), [1, 1, b'i', 3]);
    let people = People {
        affiliations: vec![("a".to_owned(), Affiliation::Outcast)],
        subscriptions: vec![Subscription { jid: "b".to_owned(), state: SubscriptionState::Subscribed }],
    };
    assert_eq!(people.encode(), [1, 1, 1, b'a', 5, 1, 1, b'b', 1]);
}
