//! What rules are told of the server around them, and what they have it do: a shard, as a run of rules sees it.
//!
//! Nothing leads back into routing while rules run. What they want done is written down, and done when they stop.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;

use rondel_shards::Io;

use super::deeds::{Deed, Outgoing};
use super::questions::{Answer, Question};
use super::{ListChange, count};
use crate::account::Bearer;
use crate::account::subscription::Grant;
use crate::firewall::{
    Acquaintance, Effect, Hook, Key, Level, ListId, Lists, Location, MarkId, RateSpec, Role, Running, Side, Stanza,
    Tables, Trace, Transcript, WallClock, World,
};
use crate::home::home;
use crate::jid::{bare_of, domain_of};
use crate::limited_event;
use crate::shard::Shard;
use crate::shard::roster::now_micros;

/// A shard for one run.
pub(super) struct Ground<'g> {
    pub shard: &'g mut Shard,
    pub io: &'g Io<Shard>,
    pub running: &'g Running,
    pub lists: &'g mut Lists,
    pub tables: &'g mut Tables,
    pub hook: Hook,
    pub bearer: Option<&'g Arc<Bearer>>,
    /// What was asked of others, and is known.
    pub answers: &'g mut Vec<(Question, Answer)>,
    /// What has to be asked of others next.
    pub asked: Option<Question>,
    pub deeds: &'g mut Vec<Deed>,
    /// Written down for those who follow.
    pub transcript: &'g mut Option<Box<Transcript>>,
    /// How long the server has been running, in milliseconds, once somebody has asked.
    pub up_ms: Option<u64>,
}

impl Ground<'_> {
    /// The answer to a question: known before, known here, or to be waited for.
    fn answer(&mut self, question: Question) -> Poll<Answer> {
        if let Some((_, answer)) = self.answers.iter().find(|(known, _)| *known == question) {
            return Poll::Ready(answer.clone());
        }
        self.asked = Some(question);
        Poll::Pending
    }

    /// The domain in whose name rules speak: that of the account at home where they run.
    fn host<'s>(&self, stanza: &'s Stanza<'_>) -> &'s str {
        let own = match self.hook {
            Hook::Deliver => stanza.to().or(stanza.from()),
            Hook::Preroute | Hook::DeliverRemote => stanza.from(),
        };
        domain_of(bare_of(own.unwrap_or_default()))
    }

    fn is_home(&self, subject: &str) -> bool {
        home(subject, self.io.shards()) == self.io.shard()
    }

    /// The addressee with a node of this server: whose account is asked about. Own stanzas have none.
    fn account_asked<'s>(&self, stanza: &'s Stanza<'_>) -> Option<(&'s str, &'s str)> {
        let (to, from) = (stanza.to()?, stanza.from()?);
        let (_, domain) = bare_of(to).split_once('@')?;
        self.shard.settings.serves(domain).then_some((to, from))
    }

    /// What the sender's roster says, of somebody elsewhere: whether they are subscribed to the sender.
    fn acquaintance_elsewhere(&self, stanza: &Stanza<'_>) -> Acquaintance {
        let (Some(to), Some(from)) = (stanza.to(), stanza.from()) else { return Acquaintance::default() };
        let account = self.shard.accounts.account(bare_of(from));
        let is_granted = account.is_some_and(|account| account.contacts.state(bare_of(to)).from == Grant::Granted);
        Acquaintance { is_subscribed: is_granted && to.contains('@'), ..Acquaintance::default() }
    }
}

impl World for Ground<'_> {
    fn now_ms(&self) -> u64 {
        now_micros() / 1000
    }

    fn clock(&self) -> WallClock {
        WallClock::now()
    }

    fn serves(&self, domain: &str) -> bool {
        self.shard.settings.serves(domain)
    }

    fn acquaintance(&mut self, stanza: &Stanza<'_>) -> Poll<Acquaintance> {
        let Some((to, from)) = self.account_asked(stanza) else {
            return Poll::Ready(self.acquaintance_elsewhere(stanza));
        };
        if self.is_home(bare_of(to))
            && let Some(known) = self.shard.acquaintance_of(to, from)
        {
            return Poll::Ready(known);
        }
        let question = Question::Acquaintance { to: to.to_owned(), from: from.to_owned() };
        self.answer(question).map(|answer| match answer {
            Answer::Acquaintance(known) => known,
            _ => Acquaintance::default(),
        })
    }

    fn in_roster_group(&mut self, stanza: &Stanza<'_>, group: &str) -> Poll<bool> {
        let Some((to, from)) = self.account_asked(stanza) else { return Poll::Ready(false) };
        let question = Question::Groups { account: bare_of(to).to_owned(), contact: bare_of(from).to_owned() };
        self.answer(question).map(|answer| match answer {
            Answer::Groups(groups) => groups.iter().any(|known| known == group),
            _ => false,
        })
    }

    fn role(&mut self, stanza: &Stanza<'_>, side: Side) -> Poll<Option<Role>> {
        let own = self.bearer.map(|bearer| bearer.address.bare());
        let account = match side {
            Side::Sender => stanza.from().map(bare_of),
            Side::Addressee => stanza.to().map(bare_of).or(own),
        };
        let local = account.filter(|bare| bare.split_once('@').is_some_and(|(_, domain)| self.serves(domain)));
        let Some(account) = local else { return Poll::Ready(None) };
        if let Some(role) = self.shard.role_of(account) {
            return Poll::Ready(role);
        }
        self.answer(Question::Role(account.to_owned())).map(|answer| match answer {
            Answer::Role(role) => role,
            _ => None,
        })
    }

    fn in_group(&self, bare: &str, group: &str) -> bool {
        self.running.groups.has(bare, group)
    }

    fn location(&self, address: IpAddr) -> Location {
        self.running.places.as_ref().map(|places| places.location(address)).unwrap_or_default()
    }

    fn is_over(&mut self, id: u64, spec: &RateSpec, key: Option<Key<'_>>) -> Poll<bool> {
        let Some(key) = key else {
            // The clock that all shards share.
            let started = self.shard.settings.started;
            let up_ms = *self.up_ms.get_or_insert_with(|| started.elapsed().as_millis() as u64);
            return Poll::Ready(self.running.is_over(id, spec.rate, up_ms));
        };
        if self.is_home(key.text) {
            return Poll::Ready(count(self.running, self.tables, self.io.shard(), id, key.hash, self.io.now_ms()));
        }
        let question = Question::Count { id, key: key.text.to_owned(), hash: key.hash };
        // Each answer is one event: it counts once.
        if let Some(known) = self.answers.iter().position(|(known, _)| *known == question) {
            let (_, answer) = self.answers.swap_remove(known);
            return Poll::Ready(answer == Answer::IsOver(true));
        }
        self.asked = Some(question);
        Poll::Pending
    }

    fn origin_marked(&self, mark: MarkId) -> Option<u64> {
        self.bearer?.marks.since_ms(self.running.rules.mark_name(mark)?)
    }

    fn user_marked(&mut self, mark: MarkId) -> Poll<Option<u64>> {
        let name = self.running.rules.mark_name(mark);
        Poll::Ready(name.and_then(|name| self.bearer?.account_marks.since_ms(name)))
    }

    fn is_listed(&self, list: ListId, text: &str, hash: u64) -> bool {
        self.lists.has(list.index(), text, hash)
    }

    fn may_be_listed(&self, hash: u64) -> bool {
        self.lists.may_have(hash)
    }

    fn effect(&mut self, stanza: &Stanza<'_>, effect: Effect<'_>) {
        let now_ms = self.now_ms();
        let mark_name = |mark: MarkId| self.running.rules.mark_name(mark).map(Box::<str>::from);
        match effect {
            Effect::Log(level, text) => log(level, text),
            Effect::MarkOrigin(mark, is_set) => match (self.bearer, mark_name(mark)) {
                (Some(bearer), Some(name)) if is_set => bearer.marks.set(&name, now_ms),
                (Some(bearer), Some(name)) => bearer.marks.clear(&name),
                _ => {}
            },
            Effect::MarkUser(mark, is_set) => {
                let Some(name) = mark_name(mark) else { return };
                match self.bearer {
                    Some(bearer) => {
                        match is_set {
                            true => bearer.account_marks.set(&name, now_ms),
                            false => bearer.account_marks.clear(&name),
                        }
                        let account = Arc::clone(&bearer.address);
                        self.deeds.push(Deed::MarkUser { account, name, at_ms: is_set.then_some(now_ms) });
                    }
                    None => {
                        tracing::warn!(target: "firewall", "{} has no account here to be marked {name}", sender(stanza))
                    }
                }
            }
            Effect::AddTo(list, text) => {
                if let Some(list) = self.lists.get_mut(list.index()) {
                    list.add(text);
                }
                if let Some((name, _)) = self.running.rules.lists.get(list.index()) {
                    self.deeds.push(Deed::Add(name.clone(), ListChange::Add(text.into())));
                }
            }
            Effect::Bounce(bounce) => self.deeds.extend(Outgoing::bounce(stanza, bounce).map(Deed::Answer)),
            Effect::Reply(text) => self.deeds.extend(Outgoing::reply(stanza, text).map(Deed::Answer)),
            Effect::Copy(to) => self.deeds.push(Deed::Send(Outgoing::copy(stanza, to))),
            Effect::Redirect(to) => self.deeds.push(Deed::Redirect(Outgoing::copy(stanza, to))),
            Effect::Forward(to) => self.deeds.push(Deed::Send(Outgoing::forward(stanza, self.host(stanza), to, None))),
            Effect::Report(report) => {
                self.deeds.push(Deed::Send(Outgoing::forward(stanza, self.host(stanza), &report.to, Some(report))));
            }
            Effect::UnsubscribeSender => {
                if let Some((to, from)) = self.account_asked(stanza) {
                    let (account, contact) = (bare_of(to).to_owned(), bare_of(from).to_owned());
                    self.deeds.push(Deed::Unsubscribe(Question::Unsubscribe { account, contact }));
                }
            }
        }
    }

    fn hit(&mut self, rule: usize) {
        self.running.hit(self.io.shard(), rule);
    }

    fn overspent(&mut self, stanza: &Stanza<'_>) {
        self.running.overspent(self.io.shard());
        limited_event!(
            WARN,
            "firewall",
            from = sender(stanza),
            "a pattern was too dear for a stanza: what it looks for may be in there"
        );
    }

    fn is_followed(&self) -> bool {
        self.transcript.is_some()
    }

    fn follow(&mut self, step: Trace<'_>) {
        if let Some(transcript) = self.transcript {
            transcript.note(&self.running.rules, step);
        }
    }
}

fn sender<'s>(stanza: &'s Stanza<'_>) -> &'s str {
    stanza.from().unwrap_or("nobody")
}

fn log(level: Level, text: &str) {
    match level {
        Level::Debug => tracing::debug!(target: "firewall", "{text}"),
        Level::Info => tracing::info!(target: "firewall", "{text}"),
        Level::Warn => tracing::warn!(target: "firewall", "{text}"),
        Level::Error => tracing::error!(target: "firewall", "{text}"),
    }
}
