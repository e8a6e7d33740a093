//! What the benches of the firewall run: a hundred rules of the kind that operators have, and a server around them that
//! is there at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;

use rondel::firewall::{
    Acquaintance, Effect, Entries, Hook, Key, List, ListId, Location, MarkId, Origin, Outcome, RateSpec, Role, Rules,
    Run, Side, Stanza, Tables, WallClock, World,
};
use rondel::xml::{Kind, namespaces};

/// Twenty rules each about types, addresses, lists, rates and what is said.
pub fn script() -> String {
    let mut script = String::from(
        "%RATE fast: 1000000000 (burst 10) (entries 100000)\n%RATE all: 1000000000 (burst 10)\n%SEARCH text: body#\n\
         %PATTERN link: https?://([%w%-%.]+)\n%LIST hosts: memory\n%LIST million: file:million\n",
    );
    for number in 0..20 {
        script.push_str(&format!("%LIST l{number}: file:{number}\n%PATTERN p{number}: buy%s+{number}%s+now\n"));
    }
    script.push_str("\n::deliver\n\n");
    for number in 0..20 {
        script.push_str(&format!("KIND: message\nTYPE: headline, error\nFROM: <*>@h{number}.example\nDROP.\n\n"));
    }
    for number in 0..20 {
        script.push_str(&format!("FROM: spam{number}@bad{number}.example\nBOUNCE=policy-violation\n\n"));
    }
    for number in 0..19 {
        script.push_str(&format!("CHECK LIST: l{number} contains $<@from|host>\nBOUNCE=policy-violation\n\n"));
    }
    script.push_str("CHECK LIST: million contains $<@from|host>\nBOUNCE=policy-violation\n\n");
    for number in 0..20 {
        let limit = if number % 2 == 0 { "fast on $<@from|bare>" } else { "all" };
        let kind = ["KIND: presence", "KIND: iq", "KIND: message"][number % 3];
        script.push_str(&format!("{kind}\nTYPE: chat, normal, subscribe, get\nLIMIT: {limit}\nDROP.\n\n"));
    }
    for number in 0..18 {
        script.push_str(&format!("KIND: message\nCOUNT: p{number} in text > 0\nBOUNCE=policy-violation\n\n"));
    }
    script.push_str("KIND: message\nSCAN: text for link in hosts\nDROP.\n\n");
    script.push_str("KIND: message\nINSPECT: {urn:xmpp:spam}x@y/=z\nDROP.\n");
    script
}

/// A server in which everything is known.
pub struct Around {
    lists: Vec<List>,
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
            List::new(spec.clone(), Arc::new(entries(count)))
        };
        Around { lists: rules.lists.iter().map(list).collect(), tables: Tables::default() }
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
        self.lists[list.index()].has_hashed(text, hash)
    }
    fn effect(&mut self, _: &Stanza<'_>, _: Effect<'_>) {}
    fn hit(&mut self, _: usize) {}
}
