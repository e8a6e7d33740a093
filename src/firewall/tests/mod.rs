//! Tests of the whole language: a server that is made up around it, the cases that describe it, and rules at random
//! against an interpreter that does the same as simply as can be.

mod anything;
mod conformance;
mod naive;
mod parsing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;

use super::*;
use crate::xml::{Kind, Part, namespaces::CLIENT};

/// A server with one account, `u@local.example`, that is online as `u@local.example/r`.
pub(super) struct Made {
    pub rules: Rules,
    lists: Vec<List>,
    tables: Tables,
    origin_marks: BTreeMap<u32, u64>,
    user_marks: BTreeMap<String, u64>,
    pub now_ms: u64,
    pub clock: WallClock,
    pub roles: BTreeMap<String, Role>,
    pub groups: BTreeSet<(String, String)>,
    pub location: Location,
    /// Whether each answer has to be waited for once.
    pub is_slow: bool,
    waited: bool,
    pub heard: Vec<String>,
    pub steps: Option<Vec<String>>,
}

impl Made {
    pub fn of(scripts: &[&str], files: &[(&str, &str)]) -> Result<Made, String> {
        let names: Vec<String> = (1..=scripts.len()).map(|number| format!("script {number}")).collect();
        let scripts: Vec<(&str, &str)> = names.iter().map(|name| &**name).zip(scripts.iter().copied()).collect();
        let sources = Sources { groups: true, countries: true };
        let (rules, _) = Rules::load(&scripts, sources).map_err(|error| error.to_string())?;
        let source = |spec: &ListSpec| {
            let name = match &spec.backend {
                Backend::File { path, .. } => path,
                Backend::Web(web) => &web.url,
                _ => "",
            };
            let text = files.iter().find(|(file, _)| *file == name).map_or("", |(_, text)| text);
            Arc::new(spec.entries_of(text.as_bytes()))
        };
        let lists = rules.lists.iter().map(|(_, spec)| List::new(spec.clone(), source(spec))).collect();
        Ok(Made {
            rules,
            lists,
            tables: Tables::default(),
            origin_marks: BTreeMap::new(),
            user_marks: BTreeMap::new(),
            now_ms: 1_000_000,
            clock: WallClock { weekday: 0, minute: 0 },
            roles: BTreeMap::new(),
            groups: BTreeSet::new(),
            location: Location::default(),
            is_slow: false,
            waited: false,
            heard: Vec::new(),
            steps: None,
        })
    }

    /// What becomes of a stanza of somebody at another server.
    pub fn deliver(&mut self, stanza: &str) -> String {
        self.hook(Hook::Deliver, stanza, &Origin::default())
    }

    /// What becomes of a stanza at a hook: what is done on the way, and whether it passes.
    pub fn hook(&mut self, hook: Hook, text: &str, origin: &Origin<'_>) -> String {
        let part = Part::stanza(text.as_bytes(), CLIENT);
        let kind = match part.name() {
            b"message" => Kind::Message,
            b"presence" => Kind::Presence,
            b"iq" => Kind::Iq,
            _ => Kind::Other,
        };
        let value = |name: &str| part.attribute(name).map(|value| value.decoded().into_owned());
        let (from, to, kind_attribute) = (value("from"), value("to"), value("type"));
        let from = from.as_deref().or(origin.client);
        let mut stanza =
            Stanza::new(kind, text.as_bytes(), CLIENT, from, to.as_deref(), kind_attribute.map(Cow::Owned));
        let mut run = Run::new(hook);
        self.heard.clear();
        let rules = std::mem::take(&mut self.rules);
        let outcome = loop {
            if let Poll::Ready(outcome) = run.go(&rules, &mut stanza, origin, self) {
                break outcome;
            }
            assert!(self.is_slow);
        };
        self.rules = rules;
        if let Some(changed) = stanza.changed() {
            self.heard.push(String::from_utf8(changed.to_vec()).unwrap());
        }
        match outcome {
            Outcome::Pass if self.heard.is_empty() => self.heard.push("pass".into()),
            Outcome::Pass => {}
            Outcome::Default => self.heard.push("default".into()),
            Outcome::Consumed => self.heard.push("consumed".into()),
        }
        self.heard.join("; ")
    }

    fn slowly<T>(&mut self, answer: T) -> Poll<T> {
        self.waited = self.is_slow && !self.waited;
        if self.waited { Poll::Pending } else { Poll::Ready(answer) }
    }

    pub fn mark_name(&self, mark: MarkId) -> String {
        format!("mark {}", mark.0)
    }
}

impl World for Made {
    fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn clock(&self) -> WallClock {
        self.clock
    }

    fn serves(&self, domain: &str) -> bool {
        domain == "local.example"
    }

    fn acquaintance(&mut self, stanza: &Stanza<'_>) -> Poll<Acquaintance> {
        let bare = stanza.from().unwrap_or_default().split('/').next().unwrap_or_default();
        let is_ours = stanza.to().is_none_or(|to| to.split('/').next() == Some("u@local.example"));
        let known = match bare {
            _ if !is_ours => Acquaintance::default(),
            "friend@r.example" => Acquaintance { in_roster: true, is_subscribed: true, ..Acquaintance::default() },
            "idol@r.example" => Acquaintance { in_roster: true, is_subscribed: true, ..Acquaintance::default() },
            "fan@r.example" => Acquaintance { in_roster: true, ..Acquaintance::default() },
            "asker@r.example" => Acquaintance { is_pending: true, ..Acquaintance::default() },
            "room@r.example" => Acquaintance { has_directed: true, ..Acquaintance::default() },
            _ => Acquaintance::default(),
        };
        let is_connected = stanza.to() == Some("u@local.example/r");
        self.slowly(Acquaintance { is_connected, ..known })
    }

    fn in_roster_group(&mut self, stanza: &Stanza<'_>, group: &str) -> Poll<bool> {
        let is_in = group == "G" && stanza.from().is_some_and(|from| from.starts_with("friend@r.example"));
        self.slowly(is_in)
    }

    fn role(&mut self, stanza: &Stanza<'_>, side: Side) -> Poll<Option<Role>> {
        let jid = if side == Side::Sender { stanza.from() } else { stanza.to() };
        let role = jid.and_then(|jid| self.roles.get(jid.split('/').next().unwrap_or_default())).copied();
        self.slowly(role)
    }

    fn in_group(&self, bare: &str, group: &str) -> bool {
        self.groups.contains(&(bare.to_owned(), group.to_owned()))
    }

    fn location(&self, _: IpAddr) -> Location {
        self.location.clone()
    }

    fn is_over(&mut self, id: u64, spec: &RateSpec, key: Option<Key<'_>>) -> Poll<bool> {
        if self.is_slow && !std::mem::replace(&mut self.waited, true) {
            return Poll::Pending;
        }
        self.waited = false;
        Poll::Ready(self.tables.is_over(id, spec, key.map(|key| key.hash), self.now_ms))
    }

    fn origin_marked(&self, mark: MarkId) -> Option<u64> {
        self.origin_marks.get(&mark.0).copied()
    }

    fn user_marked(&mut self, mark: MarkId) -> Poll<Option<u64>> {
        let since_ms = self.user_marks.get(&self.mark_name(mark)).copied();
        self.slowly(since_ms)
    }

    fn is_listed(&self, list: ListId, text: &str, hash: u64) -> bool {
        self.lists[list.index()].has_hashed(text, hash)
    }

    fn may_be_listed(&self, hash: u64) -> bool {
        self.lists.iter().flat_map(List::iter).any(|entry| hash_of(entry.as_bytes()) == hash)
    }

    fn effect(&mut self, stanza: &Stanza<'_>, effect: Effect<'_>) {
        let text = match effect {
            Effect::Bounce(Bounce { kind, condition, text }) => {
                let text = text.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
                format!("{kind}/{condition}{text}")
            }
            Effect::Copy(to) | Effect::Redirect(to) => {
                let mut out = Vec::new();
                stanza.write(&mut out, Some(to));
                format!("copy {}", String::from_utf8(out).unwrap())
            }
            Effect::Reply(text) => format!("reply {text}"),
            Effect::Forward(to) => format!("forward {to}"),
            Effect::Report(Report { to, reason, text }) => {
                format!("report {to} {reason} {}", text.as_deref().unwrap_or_default()).trim_end().to_owned()
            }
            Effect::Log(Level::Info, text) => format!("log {text}"),
            Effect::Log(level, text) => format!("log {level:?} {text}"),
            Effect::MarkOrigin(mark, true) => {
                self.origin_marks.insert(mark.0, self.now_ms);
                return;
            }
            Effect::MarkOrigin(mark, false) => {
                self.origin_marks.remove(&mark.0);
                return;
            }
            Effect::MarkUser(mark, true) => {
                self.user_marks.insert(self.mark_name(mark), self.now_ms);
                return;
            }
            Effect::MarkUser(mark, false) => {
                self.user_marks.remove(&self.mark_name(mark));
                return;
            }
            Effect::AddTo(list, text) => return self.lists[list.index()].add(text),
            Effect::UnsubscribeSender => "unsubscribe".into(),
        };
        self.heard.push(text);
    }

    fn hit(&mut self, _: usize) {}

    fn is_followed(&self) -> bool {
        self.steps.is_some()
    }

    fn follow(&mut self, step: Trace<'_>) {
        if let Some(steps) = &mut self.steps {
            steps.push(format!("{step:?}"));
        }
    }
}
