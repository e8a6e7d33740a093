//! Conversations with a service: the examples of the specifications, and what must not work.

mod access;
mod anything;
mod bookmarks;
mod configuration;
mod conversation;
mod delivery;
mod limits;
mod memory;
mod model;
mod pages;
mod strangers;
mod subscribers;

use std::collections::BTreeSet;

use self::memory::Memory;
use super::*;
use crate::jid::Jid;
use crate::service::Action;
use crate::xml::{Element, namespaces as ns};
use rondel_storage::Owner;

const JULIET: &str = "juliet@capulet.lit/balcony";
const ROMEO: &str = "romeo@montague.lit/orchard";
const NURSE: &str = "nurse@capulet.lit/chamber";
const BENVOLIO: &str = "benvolio@montague.lit/street";

/// 2003-12-13T18:30:02Z.
const NOW: u64 = 1_071_340_202_000_000;

/// Juliet's roster in XEP-0163 §1.2: Benvolio is not in it.
#[derive(Default)]
struct TestRoster {
    presence: BTreeSet<String>,
    groups: BTreeSet<(String, String)>,
}

impl Roster for TestRoster {
    fn has_presence(&self, jid: &str) -> bool {
        self.presence.contains(jid)
    }

    fn is_in_group(&self, jid: &str, group: &str) -> bool {
        self.groups.contains(&(jid.to_owned(), group.to_owned()))
    }
}

/// A service, its storage, and the roster of its owner.
struct World {
    memory: Memory,
    roster: TestRoster,
    service: Service,
    limits: PubsubLimits,
    now: u64,
    transactions: u64,
    /// How many reads the last request took.
    reads: usize,
}

impl World {
    /// Juliet's account.
    fn account() -> World {
        World::new("juliet@capulet.lit", ServiceKind::Account)
    }

    /// A service on a domain.
    fn domain() -> World {
        World::new("pubsub.shakespeare.lit", ServiceKind::Domain)
    }

    fn new(jid: &str, kind: ServiceKind) -> World {
        let mut roster = TestRoster::default();
        for (contact, group) in [("romeo@montague.lit", "Friends"), ("nurse@capulet.lit", "Servants")] {
            roster.presence.insert(contact.to_owned());
            roster.groups.insert((contact.to_owned(), group.to_owned()));
        }
        let owner = Owner::parse(jid).unwrap();
        let service = Service { owner, jid: jid.into(), kind, notifies_legacy_bookmarks: false, stored: None };
        let memory = Memory::default();
        World { memory, roster, service, limits: PubsubLimits::default(), now: NOW, transactions: 0, reads: 0 }
    }

    fn transaction(&mut self, from: &str, request: Request) -> Transaction {
        self.transactions += 1;
        self.now += 1_000_000;
        let requester = Requester { jid: Jid::parse(from).unwrap().into_owned(), is_available: true, may_create: true };
        let fresh = format!("fresh{}", self.transactions);
        Transaction::new(self.service.clone(), self.limits, requester, request, &fresh, self.now)
    }

    /// Carries out a request, and writes what is to be written.
    fn request(&mut self, from: &str, request: Request) -> Outcome {
        let mut transaction = self.transaction(from, request);
        loop {
            let outcome = self.advance(&mut transaction);
            match &outcome.write {
                Some(write) if !self.memory.write(write) => assert!(transaction.again()),
                _ => return outcome,
            }
        }
    }

    /// Reads all that a transaction needs.
    fn advance(&mut self, transaction: &mut Transaction) -> Outcome {
        self.reads = 0;
        loop {
            match transaction.advance(&self.roster) {
                Progress::Need(request) => {
                    self.reads += 1;
                    assert!(self.reads < 50, "{:?} reads without end", transaction.request());
                    let outcome = self.memory.read(&request);
                    transaction.read(outcome).unwrap();
                }
                Progress::Done(outcome) => return *outcome,
            }
        }
    }

    /// An IQ with this `<pubsub/>`.
    fn ask(&mut self, from: &str, action: Action, pubsub: &str) -> Outcome {
        match Request::read(action, &parse(pubsub), &self.limits) {
            Ok(request) => self.request(from, request),
            Err(error) => Outcome::refused(error),
        }
    }

    /// An IQ that succeeds; returns the answer's payload.
    fn ok(&mut self, from: &str, action: Action, pubsub: &str) -> String {
        let outcome = self.ask(from, action, pubsub);
        let Reply::Result(payload) = outcome.reply else { panic!("{pubsub}: {:?}", outcome.reply) };
        String::from_utf8(payload).unwrap()
    }

    /// An IQ that fails; returns the error.
    fn fails(&mut self, from: &str, action: Action, pubsub: &str) -> PubsubError {
        let outcome = self.ask(from, action, pubsub);
        assert_eq!((outcome.write, outcome.notifications), (None, Vec::new()), "{pubsub}");
        let Reply::Error(error, _) = outcome.reply else { panic!("{pubsub} succeeds") };
        error
    }

    /// Publishes an item with this id to a node, and it succeeds.
    fn publish(&mut self, from: &str, node: &str, id: &str) -> Outcome {
        let outcome = self.ask(from, Action::Set, &publish(node, id, &payload(id)));
        assert!(matches!(outcome.reply, Reply::Result(_)), "{:?}", outcome.reply);
        outcome
    }

    /// The ids of the items of a node as somebody retrieves them.
    fn ids(&mut self, from: &str, node: &str) -> Vec<String> {
        let answer = self.ok(from, Action::Get, &everybody(&format!("<items node='{node}'/>")));
        ids(&answer)
    }

    /// Creates a node with this configuration: pairs of a field without `pubsub#` and its value.
    fn create(&mut self, from: &str, node: &str, fields: &[(&str, &str)]) {
        let form = form("http://jabber.org/protocol/pubsub#node_config", fields);
        self.ok(from, Action::Set, &everybody(&format!("<create node='{node}'/><configure>{form}</configure>")));
    }

    /// Changes the configuration of a node.
    fn configure(&mut self, from: &str, node: &str, fields: &[(&str, &str)]) -> Outcome {
        let form = form("http://jabber.org/protocol/pubsub#node_config", fields);
        self.ask(from, Action::Set, &owners(&format!("<configure node='{node}'>{form}</configure>")))
    }
}

fn parse(text: &str) -> Element {
    Element::parse(text.as_bytes()).unwrap()
}

/// `<pubsub/>` for everybody.
fn everybody(content: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{content}</pubsub>")
}

/// `<pubsub/>` for owners.
fn owners(content: &str) -> String {
    format!("<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>{content}</pubsub>")
}

/// A form that is submitted.
fn form(form_type: &str, fields: &[(&str, &str)]) -> String {
    let field = |(var, value): &(&str, &str)| format!("<field var='pubsub#{var}'><value>{value}</value></field>");
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>{form_type}</value>\
         </field>{fields}</x>"
    )
}

/// A payload that names its item.
fn payload(id: &str) -> String {
    format!("<entry xmlns='http://www.w3.org/2005/Atom'><title>{id}</title></entry>")
}

/// `<pubsub/>` with an item to publish.
fn publish(node: &str, id: &str, payload: &str) -> String {
    everybody(&format!("<publish node='{node}'><item id='{id}'>{payload}</item></publish>"))
}

/// `<pubsub/>` with an item to publish, and options.
fn publish_with(node: &str, id: &str, options: &[(&str, &str)]) -> String {
    let form = form("http://jabber.org/protocol/pubsub#publish-options", options);
    let item = format!("<item id='{id}'>{}</item>", payload(id));
    everybody(&format!("<publish node='{node}'>{item}</publish><publish-options>{form}</publish-options>"))
}

/// The ids of the items in an answer.
fn ids(answer: &str) -> Vec<String> {
    let answer = parse(answer);
    let items = answer.child("items", ns::PUBSUB).unwrap();
    items.children().map(|item| item.attribute("id").unwrap().to_owned()).collect()
}

/// What is in a notification, as text.
fn content(notification: &Notification) -> &str {
    std::str::from_utf8(&notification.content).unwrap()
}

/// The audience of a notification of those who follow a node.
fn audience(notification: &Notification) -> &NodeAudience {
    let Audience::Node(audience) = &notification.audience else { panic!("{notification:?}") };
    audience
}
