//! Rules tried on stanzas without a server: what is around them is what whoever tries them says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::task::Poll;

use super::clock::WallClock;
use super::definition::RateSpec;
use super::path;
use super::run::{Outcome, Run};
use super::running::Running;
use super::stanza::Stanza;
use super::syntax::{Bounce, Level, ListId, MarkId, Report, Role};
use super::template::Origin;
use super::world::{Acquaintance, Effect, Key, Location, Side, Trace, World};
use super::{Hook, List, Lists, Tables, Transcript};
use crate::xml::namespaces::CLIENT;
use crate::xml::{Element, Kind, Part};

/// What is around the rules.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The domains that are served.
    pub domains: Vec<String>,
    /// What addressees have to do with senders.
    pub acquaintance: Acquaintance,
    /// In which groups of their rosters addressees have senders.
    pub roster_groups: Vec<String>,
    /// The roles of bare JIDs.
    pub roles: BTreeMap<String, Role>,
    /// The sender's address.
    pub address: Option<IpAddr>,
    /// Marks of the sender's session.
    pub marks: Vec<String>,
    /// Marks of the sender's account.
    pub account_marks: Vec<String>,
}

/// Rules that are tried. What they count, mark and add to lists stays from one stanza to the next.
#[derive(Debug)]
pub struct Trial {
    running: Running,
    surroundings: Surroundings,
    lists: Lists,
    tables: Tables,
    marks: [BTreeMap<u32, u64>; 2],
    clock: WallClock,
    now_ms: u64,
    effects: Vec<String>,
    transcript: Transcript,
}

/// What has become of a stanza.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What was tried, line by line.
    pub steps: Vec<String>,
    /// What was done.
    pub effects: Vec<String>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The stanza, if it was changed.
    pub changed: Option<String>,
}

/// What is wrong with a stanza.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a <message/>, <presence/> or <iq/> is expected")]
pub struct NoStanza;

impl Trial {
    /// Tries rules in these surroundings, at this time.
    pub fn new(running: Running, surroundings: Surroundings, clock: WallClock, now_ms: u64) -> Trial {
        let specs = running.rules.lists.iter().enumerate();
        let lists = specs.map(|(number, (_, spec))| List::new(spec.clone(), running.source(number)));
        let lists = Lists::new(lists.collect(), running.sieve());
        let marked = |names: &[String]| {
            names.iter().filter_map(|name| running.rules.mark(name)).map(|mark| (mark.0, now_ms)).collect()
        };
        let marks = [marked(&surroundings.marks), marked(&surroundings.account_marks)];
        let (tables, effects, transcript) = (Tables::default(), Vec::new(), Transcript::default());
        Trial { running, surroundings, lists, tables, marks, clock, now_ms, effects, transcript }
    }

    /// Tries a stanza. Addresses that are given hold instead of those in it.
    pub fn try_stanza(
        &mut self,
        hook: Hook,
        text: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<Tried, NoStanza> {
        if Element::parse(text.as_bytes()).is_err() {
            return Err(NoStanza);
        }
        let part = Part::stanza(text.as_bytes(), CLIENT);
        let kind = match part.name() {
            b"message" => Kind::Message,
            b"presence" => Kind::Presence,
            b"iq" => Kind::Iq,
            _ => return Err(NoStanza),
        };
        let value = |name: &str| path::attribute(&part, name).map(|value| value.into_owned());
        let [own_from, own_to] = ["from", "to"].map(value);
        let (from, to) = (from.map(str::to_owned).or(own_from), to.map(str::to_owned).or(own_to));
        let is_client = |jid: &&str| {
            let domain = jid.split('/').next().and_then(|bare| bare.split_once('@')).map(|(_, domain)| domain);
            jid.contains('/') && domain.is_some_and(|domain| self.serves(domain))
        };
        let client = from.as_deref().filter(is_client);
        // What is for the sender's own account names nobody.
        let is_own = client.is_some_and(|client| to.as_deref() == client.split('/').next());
        let kind_attribute = value("type").map(Into::into);
        let named = to.as_deref().filter(|_| !is_own);
        let mut stanza = Stanza::new(kind, text.as_bytes(), CLIENT, from.as_deref(), named, kind_attribute);
        let origin = Origin { client, address: self.surroundings.address, ..Origin::default() };
        self.effects.clear();
        self.transcript = Transcript::default();
        let rules = std::mem::take(&mut self.running.rules);
        let outcome = match Run::new(hook).go(&rules, &mut stanza, &origin, &mut Tester { trial: self, rules: &rules })
        {
            Poll::Ready(outcome) => outcome,
            // All answers are there.
            Poll::Pending => Outcome::Pass,
        };
        self.running.rules = rules;
        Ok(Tried {
            steps: self.transcript.lines(true),
            effects: std::mem::take(&mut self.effects),
            outcome,
            changed: stanza.changed().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        })
    }

    fn serves(&self, domain: &str) -> bool {
        self.surroundings.domains.iter().any(|served| served == domain)
    }
}

/// A trial while rules run.
struct Tester<'t, 'r> {
    trial: &'t mut Trial,
    rules: &'r super::Rules,
}

impl World for Tester<'_, '_> {
    fn now_ms(&self) -> u64 {
        self.trial.now_ms
    }

    fn clock(&self) -> WallClock {
        self.trial.clock
    }

    fn serves(&self, domain: &str) -> bool {
        self.trial.serves(domain)
    }

    fn acquaintance(&mut self, _: &Stanza<'_>) -> Poll<Acquaintance> {
        Poll::Ready(self.trial.surroundings.acquaintance)
    }

    fn in_roster_group(&mut self, _: &Stanza<'_>, group: &str) -> Poll<bool> {
        Poll::Ready(self.trial.surroundings.roster_groups.iter().any(|known| known == group))
    }

    fn role(&mut self, stanza: &Stanza<'_>, side: Side) -> Poll<Option<Role>> {
        let jid = if side == Side::Sender { stanza.from() } else { stanza.to() };
        let Some(bare) = jid.and_then(|jid| jid.split('/').next()) else { return Poll::Ready(None) };
        let is_account = bare.split_once('@').is_some_and(|(_, domain)| self.trial.serves(domain));
        Poll::Ready(self.trial.surroundings.roles.get(bare).copied().or(is_account.then_some(Role::Member)))
    }

    fn in_group(&self, bare: &str, group: &str) -> bool {
        self.trial.running.groups.has(bare, group)
    }

    fn location(&self, address: IpAddr) -> Location {
        self.trial.running.places.as_ref().map(|places| places.location(address)).unwrap_or_default()
    }

    fn is_over(&mut self, id: u64, spec: &RateSpec, key: Option<Key<'_>>) -> Poll<bool> {
        let trial = &mut *self.trial;
        Poll::Ready(trial.tables.is_over(id, spec, key.map(|key| key.hash), trial.now_ms))
    }

    fn origin_marked(&self, mark: MarkId) -> Option<u64> {
        self.trial.marks[0].get(&mark.0).copied()
    }

    fn user_marked(&mut self, mark: MarkId) -> Poll<Option<u64>> {
        Poll::Ready(self.trial.marks[1].get(&mark.0).copied())
    }

    fn is_listed(&self, list: ListId, text: &str, hash: u64) -> bool {
        self.trial.lists.has(list.index(), text, hash)
    }

    fn may_be_listed(&self, hash: u64) -> bool {
        self.trial.lists.may_have(hash)
    }

    fn effect(&mut self, _: &Stanza<'_>, effect: Effect<'_>) {
        let now_ms = self.trial.now_ms;
        let mut mark = |whose: usize, mark: MarkId, is_set: bool| {
            let marks = &mut self.trial.marks[whose];
            match is_set {
                true => marks.insert(mark.0, now_ms),
                false => marks.remove(&mark.0),
            };
            let whose = ["the session", "the account"][whose];
            let name = self.rules.mark_name(mark).unwrap_or_default();
            if is_set { format!("{whose} is marked {name}") } else { format!("{whose} is no longer marked {name}") }
        };
        let words = |text: &Option<Box<str>>| text.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
        let text = match effect {
            Effect::Bounce(Bounce { kind, condition, text }) => {
                format!("the sender gets an error: {kind}, {condition}{}", words(text))
            }
            Effect::Copy(to) | Effect::Redirect(to) => format!("goes to {to}"),
            Effect::Reply(text) => format!("the sender gets an answer: {text}"),
            Effect::Forward(to) => format!("is forwarded to {to}"),
            Effect::Report(Report { to, reason, text }) => format!("is reported to {to}: {reason}{}", words(text)),
            Effect::Log(level, text) => format!("is logged ({}): {text}", level_name(level)),
            Effect::MarkOrigin(name, is_set) => mark(0, name, is_set),
            Effect::MarkUser(name, is_set) => mark(1, name, is_set),
            Effect::AddTo(list, text) => {
                let name = self.rules.lists.get(list.index()).map_or("", |(name, _)| name);
                if let Some(list) = self.trial.lists.get_mut(list.index()) {
                    list.add(text);
                }
                format!("{text} is added to {name}")
            }
            Effect::UnsubscribeSender => "the sender's subscription ends".into(),
        };
        self.trial.effects.push(text);
    }

    fn hit(&mut self, _: usize) {}

    fn is_followed(&self) -> bool {
        true
    }

    fn follow(&mut self, step: Trace<'_>) {
        self.trial.transcript.note(self.rules, step);
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::firewall::{Loaded, Rules};

    fn trial(text: &str, surroundings: Surroundings) -> Trial {
        let (rules, _) = Rules::load(&[("s.pfw", text)], Default::default()).unwrap();
        let sources = rules.lists.iter().map(|_| Arc::default()).collect();
        let running = Running::new(Loaded { rules, sources, ..Loaded::default() }, 1, None);
        Trial::new(running, surroundings, WallClock { weekday: 1, minute: 0 }, 1_000)
    }

    #[test]
    fn each_rule_that_was_tried_is_told_and_what_was_done() {
        let text = "KIND: message\nIN ROSTER?\nPASS.\n\nKIND: message\nINSPECT: body#/=pills\nLOG=[warn] spam\n\
                    BOUNCE=policy-violation (no)\n";
        let spam = "<message from='a@b' to='u@l'><body>buy pills</body></message>";
        let mut stranger = trial(text, Surroundings::default());
        let tried = stranger.try_stanza(Hook::Deliver, spam, None, None).unwrap();
        assert_eq!(tried.outcome, Outcome::Consumed);
        let expected = ["is logged (warn): spam", "the sender gets an error: modify, policy-violation (no)"];
        assert_eq!(tried.effects, expected);
        assert!(tried.steps.contains(&"    ✖ IN ROSTER?".to_owned()), "{:?}", tried.steps);
        assert!(tried.steps.contains(&"  line 5".to_owned()), "{:?}", tried.steps);
        let acquaintance = Acquaintance { in_roster: true, ..Acquaintance::default() };
        let mut friend = trial(text, Surroundings { acquaintance, ..Surroundings::default() });
        let tried = friend.try_stanza(Hook::Deliver, spam, None, None).unwrap();
        assert_eq!((tried.outcome, tried.effects.len()), (Outcome::Pass, 0));
        assert_eq!(friend.try_stanza(Hook::Deliver, "<stream/>", None, None).unwrap_err(), NoStanza);
    }

    #[test]
    fn what_is_marked_counted_and_added_stays_until_the_next_stanza() {
        let text = "%LIST l: memory\n%RATE r: 1\n\n\
                    ORIGIN MARKED: m\nCHECK LIST: l contains $<@from>\nLIMIT: r\nDROP.\n\n\
                    MARK ORIGIN=m\nADD TO=l $<@from>\nSTRIP=body\n";
        let mut trial = trial(text, Surroundings { domains: vec!["l".into()], ..Surroundings::default() });
        let message = "<message><body>hi</body></message>";
        let mut next = || trial.try_stanza(Hook::Deliver, message, Some("a@l/x"), Some("u@l")).unwrap();
        let first = next();
        assert_eq!(first.effects, ["the session is marked m", "a@l/x is added to l"]);
        assert_eq!(first.changed.as_deref(), Some("<message></message>"));
        // One may pass.
        assert_eq!(next().outcome, Outcome::Pass);
        assert_eq!(next().outcome, Outcome::Consumed);
    }
}
