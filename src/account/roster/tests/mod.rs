//! Rosters as their clients and contacts see them: the handlers over a store in memory.

mod exchange;
mod set;
mod versioning;

use std::collections::BTreeMap;

use rondel_storage::roster::{self, Roster, StoredItem};
use rondel_storage::{Family, Operation, Owner, Page, Precondition, ReadRequest, WriteRequest};

use super::*;
use crate::account::subscription::{Farewell, Step, SubscriptionType};
use crate::jid::Jid;
use crate::xml::{Element, namespaces as ns};

const LIMITS: RosterLimits = RosterLimits {
    contacts_max: 4,
    groups_max_per_contact: 3,
    group_bytes_max: 10,
    name_bytes_max: 12,
    requests_max: 2,
    request_bytes_max: 200,
};

/// An account at its home: what is on disk, and what is in memory.
#[derive(Clone)]
struct Home {
    account: Owner,
    store: BTreeMap<(Family, Vec<u8>), Vec<u8>>,
    contacts: Contacts,
    limits: RosterLimits,
    now_micros: u64,
}

impl Home {
    fn new() -> Home {
        let account = Owner::parse("juliet@example.com").unwrap();
        let store = BTreeMap::from([((Family::Accounts, Family::Accounts.key(&account, b"")), vec![])]);
        Home { account, store, contacts: Contacts::default(), limits: LIMITS, now_micros: 1_000_000 }
    }

    /// A roster set with this item, or these.
    fn set(&mut self, items: &str) -> Result<(Element, Option<Farewell>), StanzaCondition> {
        let query = query(items);
        let request = set(&self.account, &self.contacts, &query, &self.limits)?;
        let stored = self.stored(request.read(&self.account), request.contact());
        let outcome = request.with_stored(&self.account, stored.as_ref(), &self.contacts, self.now_micros)?;
        let push = outcome.change.push.clone().unwrap();
        self.carry_out(&outcome.change);
        Ok((push, outcome.farewell))
    }

    fn sends(&mut self, kind: SubscriptionType, to: &str) -> Result<(Step, Option<Element>), StanzaCondition> {
        let to = Jid::parse(to).unwrap();
        let opened = outbound(&self.account, &self.contacts, &to, kind, &self.limits)?;
        Ok(self.settle(opened))
    }

    fn receives(&mut self, kind: SubscriptionType, from: &str, stanza: &str) -> (Step, Option<Element>) {
        let from = Jid::parse(from).unwrap();
        let opened = inbound(&self.account, &self.contacts, &from, kind, stanza.as_bytes(), &self.limits);
        self.settle(opened)
    }

    fn settle(&mut self, opened: Opened) -> (Step, Option<Element>) {
        let exchange = match opened {
            Opened::Done(step) => return (step, None),
            Opened::Read(exchange) => exchange,
        };
        let stored = self.stored(exchange.read(&self.account), exchange.contact());
        let settled = exchange.with_stored(&self.account, stored.as_ref(), &self.contacts, self.now_micros);
        let change = settled.change.unwrap();
        assert_eq!(change.push.is_some(), settled.step.push);
        self.carry_out(&change);
        (settled.step, change.push)
    }

    fn carry_out(&mut self, change: &Change) {
        self.write(&change.write);
        change.apply(&mut self.contacts);
        assert_eq!(self.contacts, Contacts::of(&self.roster()), "memory is not what is on disk");
    }

    fn write(&mut self, request: &WriteRequest) {
        for condition in request.preconditions() {
            let holds = match condition.clone() {
                Precondition::Absent(family, key) => !self.store.contains_key(&(family, key)),
                Precondition::Present(family, key) => self.store.contains_key(&(family, key)),
                Precondition::Equals(family, key, value) => self.store.get(&(family, key)) == Some(&value),
            };
            assert!(holds, "{condition:?}");
        }
        for operation in request.operations() {
            match operation.clone() {
                Operation::Put(family, key, value) => drop(self.store.insert((family, key), value)),
                Operation::Delete(family, key) => drop(self.store.remove(&(family, key))),
                Operation::DeleteRange(..) => panic!("a range is removed"),
            }
        }
    }

    fn stored(&self, read: ReadRequest, contact: &str) -> Option<StoredItem> {
        let ReadRequest::Get(family, key) = read else { panic!("one value is enough") };
        let value = rondel_storage::Outcome::Value(self.store.get(&(family, key)).cloned());
        roster::decode(&self.account, contact, value).unwrap()
    }

    fn roster(&self) -> Roster {
        let range = roster::list(&self.account, 10);
        let of_roster = self.store.iter().filter(|((family, key), _)| {
            *family == range.family && *key >= range.from && range.to.as_ref().is_none_or(|to| key < to)
        });
        let entries = of_roster.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        let mut roster = Roster::default();
        assert!(roster.add(Page { entries, complete: true }).is_empty());
        roster
    }

    /// The answer to a roster get with a version.
    fn get(&self, version: Option<&str>) -> Answer {
        let query = Element::new("query", ns::ROSTER);
        let query = match version {
            Some(version) => query.with_attribute("ver", version),
            None => query,
        };
        match get(&self.contacts, &query).unwrap() {
            Get::Unchanged => Answer::Changes(Vec::new()),
            Get::Read(request) => request.with_roster(&self.roster()),
        }
    }
}

fn query(items: &str) -> Element {
    Element::parse(format!("<query xmlns='jabber:iq:roster'>{items}</query>").as_bytes()).unwrap()
}

/// The one item of a push, as text.
fn item(push: &Element) -> String {
    assert_eq!(push.children().count(), 1);
    let mut out = Vec::new();
    push.children().next().unwrap().write_to(&mut out, ns::ROSTER);
    String::from_utf8(out).unwrap()
}
