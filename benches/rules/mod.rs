//! What the benches of the firewall run: a hundred rules of the kind that operators have, and a server around them that
//! is there at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;

use rondel::firewall::{
    Acquaintance, Effect, Entries, Hook, Key, List, ListId, Lists, Location, MarkId, Origin, Outcome, RateSpec, Role,
    Rules, Run, Side, Sieve, Stanza, Tables, WallClock, World,
};
use rondel::xml::{Kind, namespaces};

/// Twenty rules each about types, addresses, lists, rates and what is said.
pub const SCRIPT: &str = include_str!("hundred.pfw");

/// A server in which everything is known.
pub struct Around {
    lists: Lists,
    tables: Tables,
}

impl Around {
    /// The longest list has so many entries.
    pub fn of(rules: &Rules, longest: usize) -> Around {
        let name = |number: usize| format!("listed-{number}.example.org");
        let entries = |count: usize| -> Entries {
            let mut entries = Entries::default();
            (0..count).for_each(|number| assert!(entries.insert(name(number).as_bytes())));
            entries
        };
        let list = |(name, spec): &(Box<str>, rondel::firewall::ListSpec)| {
            let count = if **name == *"million" { longest } else { 1_000.min(longest) };
            (spec.clone(), Arc::new(entries(count)))
        };
        let all: Vec<_> = rules.lists.iter().map(list).collect();
        let sieve = Arc::new(Sieve::of(all.iter().map(|(_, entries)| &**entries)));
        let lists = all.into_iter().map(|(spec, entries)| List::new(spec, entries)).collect();
        Around { lists: Lists::new(lists, sieve), tables: Tables::default() }
    }

    /// Runs the rules on a stanza.
    pub fn deliver(&mut self, rules: &Rules, bytes: &[u8]) -> Outcome {
        let (from, to) = (Some("juliet@example.org/balcony"), Some("romeo@example.net/orchard"));
        let kind = Some("chat".into());
        let mut stanza = Stanza::new(Kind::Message, bytes, namespaces::CLIENT, from, to, kind);
        match Run::new(Hook::Deliver).go(rules, &mut stanza, &Origin::default(), self) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => unreachable!("everything is known"),
        }
    }
}

impl World for Around {
    fn now_ms(&self) -> u64 {
        0
    }
    fn clock(&self) -> WallClock {
        WallClock { weekday: 0, minute: 0 }
    }
    fn serves(&self, domain: &str) -> bool {
        domain == "example.net"
    }
    fn acquaintance(&mut self, _: &Stanza<'_>) -> Poll<Acquaintance> {
        Poll::Ready(Acquaintance::default())
    }
    fn in_roster_group(&mut self, _: &Stanza<'_>, _: &str) -> Poll<bool> {
        Poll::Ready(false)
    }
    fn role(&mut self, _: &Stanza<'_>, _: Side) -> Poll<Option<Role>> {
        Poll::Ready(None)
    }
    fn in_group(&self, _: &str, _: &str) -> bool {
        false
    }
    fn location(&self, _: IpAddr) -> Location {
        Location::default()
    }
    fn is_over(&mut self, id: u64, spec: &RateSpec, key: Option<Key<'_>>) -> Poll<bool> {
        Poll::Ready(self.tables.is_over(id, spec, key.map(|key| key.hash), 0))
    }
    fn origin_marked(&self, _: MarkId) -> Option<u64> {
        None
    }
    fn user_marked(&mut self, _: MarkId) -> Poll<Option<u64>> {
        Poll::Ready(None)
    }
    fn is_listed(&self, list: ListId, text: &str, hash: u64) -> bool {
        self.lists.has(list.index(), text, hash)
    }
    fn may_be_listed(&self, hash: u64) -> bool {
        self.lists.may_have(hash)
    }

    fn effect(&mut self, _: &Stanza<'_>, _: Effect<'_>) {}
    fn hit(&mut self, _: usize) {}
}
