//! Rules on the way of stanzas: what a shard has of them, where stanzas pass them, what they are told of the server
//! around them, and how what they want is done. What rules are, and how they run, is not known here.

mod deeds;
mod follow;
mod ground;
mod lanes;
mod orders;
mod passage;
mod questions;
mod routed;
mod sessions;

use std::sync::Arc;

use hashbrown::HashMap;
use rondel_shards::Io;

pub(super) use follow::Followers as RuleFollowers;
pub use follow::{FollowRules, FollowedRun, ShownStanza, WantedRuns};
pub use orders::{AskListEntries, SetMark};
pub use questions::{Answer, AskedByRules};

use super::message::Message;
use super::{Settings, Shard};
use crate::account::{Bearer, SessionKey, StanzaKind};
use crate::firewall::{Hook, List, Lists, Running, Tables};
use crate::xml::Kind;
pub(super) use lanes::Lanes;
use passage::Passage;

/// Rules on one shard.
pub(super) struct Firewall {
    /// What all shards share.
    running: Arc<Running>,
    /// By number.
    lists: Lists,
    tables: Tables,
}

/// Stanzas that wait for an answer to what rules have asked, by the number of the question.
#[derive(Default)]
pub(super) struct Passages {
    waiting: HashMap<u64, Passage>,
    bytes: usize,
    last: u64,
}

/// Stanzas that wait for answers, on one shard. Further ones are refused.
const WAITING_MAX: usize = 20_000;

/// Bytes of them.
const WAITING_BYTES_MAX: usize = 64 << 20;

impl Passages {
    /// Stanzas that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether there is no room for a stanza of so many bytes more.
    fn is_full(&self, bytes: usize) -> bool {
        self.waiting.len() >= WAITING_MAX || self.bytes + bytes > WAITING_BYTES_MAX
    }
}

/// What changes in a list.
#[derive(Clone, Debug)]
pub enum ListChange {
    /// A text is added.
    Add(Box<str>),
    /// A text is taken away.
    Remove(Box<str>),
    /// Its source has something else.
    Source,
}

impl Firewall {
    /// The rules that there are, if there are any.
    pub(super) fn of(settings: &Settings) -> Option<Box<Firewall>> {
        settings.firewall.load_full().map(|running| Box::new(Firewall::new(running, None)))
    }

    /// Rules that are run from now on. What was added to lists and counted before stays, where its definition does.
    fn new(running: Arc<Running>, before: Option<Firewall>) -> Firewall {
        let (mut known, mut tables) = match before {
            Some(Firewall { running, lists, tables }) => {
                let names: Vec<Box<str>> = running.rules.lists.iter().map(|(name, _)| name.clone()).collect();
                (names.into_iter().zip(lists.into_lists()).collect::<HashMap<_, _>>(), tables)
            }
            None => (HashMap::new(), Tables::default()),
        };
        let lists = running.rules.lists.iter().enumerate().map(|(number, (name, spec))| {
            let source = running.source(number);
            match known.remove(name).filter(|list| list.spec() == spec) {
                Some(mut list) => {
                    list.set_source(source);
                    list
                }
                None => List::new(spec.clone(), source),
            }
        });
        let lists = Lists::new(lists.collect(), running.sieve());
        tables.keep(|id| running.bucket(id).is_some());
        Firewall { lists, tables, running }
    }
}

impl Shard {
    /// Whether rules look at such stanzas at all.
    #[inline]
    pub(super) fn has_rules(&self, kind: StanzaKind) -> bool {
        self.firewall.is_some() && (self.is_filtered(Hook::Preroute, kind) || self.is_filtered(Hook::Deliver, kind))
    }

    /// Whether rules look at such stanzas there. Without rules this is all that they cost.
    #[inline]
    pub(super) fn is_filtered(&self, hook: Hook, kind: StanzaKind) -> bool {
        let concerns = |firewall: &Firewall| firewall.running.rules.concerns(hook, kind_of(kind));
        self.firewall.as_deref().is_some_and(concerns)
    }

    /// Whether rules have to do with the sessions that stanzas are from.
    #[inline]
    pub(super) fn rules_ask_of_sessions(&self) -> bool {
        self.firewall.as_deref().is_some_and(|firewall| firewall.running.rules.asks_of_session)
    }

    /// Whether rules need to know the session that a stanza with this addressee is from: because they ask, or because
    /// it is for the session's own account, which none names.
    #[inline]
    fn asks_of_session(&self, to: Option<&str>) -> bool {
        to.is_none() || self.rules_ask_of_sessions()
    }

    /// The session that a stanza with this addressee is from, if rules need to know it.
    #[inline]
    fn bearer_for(&mut self, io: &Io<Shard>, key: SessionKey, to: Option<&str>) -> Option<Arc<Bearer>> {
        if self.asks_of_session(to) { self.bearer(io, key) } else { None }
    }

    /// There are other rules from now on, or none. What waits for an answer goes on with those.
    pub(super) fn take_firewall(&mut self, io: &mut Io<Shard>) {
        let before = self.firewall.take().map(|before| *before);
        let running = self.settings.firewall.load_full();
        self.firewall = running.map(|running| Box::new(Firewall::new(running, before)));
        self.resume_passages(io);
    }

    /// A list has changed.
    pub(super) fn change_list(&mut self, name: &str, change: &ListChange) {
        let Some(firewall) = self.firewall.as_deref_mut() else { return };
        let Some(number) = firewall.running.rules.list(name) else { return };
        let Firewall { running, lists, .. } = firewall;
        match change {
            ListChange::Source => lists.set_source(number, running.source(number), running.sieve()),
            ListChange::Add(text) => lists.get_mut(number).into_iter().for_each(|list| list.add(text)),
            ListChange::Remove(text) => {
                lists.get_mut(number).map(|list| list.remove(text));
            }
        }
    }

    /// Every other shard changes a list, too.
    fn tell_of_list(&self, io: &mut Io<Shard>, name: &str, change: &ListChange) {
        let own = io.shard();
        for shard in (0..io.shards()).filter(|shard| *shard != own) {
            io.send(shard, Message::ChangeList(Box::new((name.into(), change.clone()))), name.len());
        }
    }

    /// The session that a stanza is from, as rules on any shard see it.
    pub(super) fn bearer(&mut self, io: &Io<Shard>, key: SessionKey) -> Option<Arc<Bearer>> {
        let session = self.accounts.session(key)?;
        let ip = session.connection.and_then(|connection| io.peer(connection)).map(|peer| peer.ip());
        if let Some(known) = &session.bearer
            && ip.is_none_or(|ip| ip == known.ip)
        {
            return Some(Arc::clone(known));
        }
        let (known, address) = (session.bearer.clone(), Arc::clone(&session.address));
        let account_marks = match known.as_ref().map(|known| Arc::clone(&known.account_marks)) {
            Some(marks) => marks,
            None => Arc::clone(self.accounts.account_mut(address.bare())?.marks.get_or_insert_default()),
        };
        let marks = known.as_ref().map(|known| Arc::clone(&known.marks)).unwrap_or_default();
        let bearer = Arc::new(Bearer { address, ip: ip?, marks, account_marks });
        self.accounts.session_mut(key)?.bearer = Some(Arc::clone(&bearer));
        Some(bearer)
    }
}

/// Counts one event under a key that is at home on this shard. Whether there were too many.
fn count(running: &Running, tables: &mut Tables, shard: usize, id: u64, hash: u64, now_ms: u64) -> bool {
    let Some(bucket) = running.bucket(id) else { return false };
    let is_over = tables.is_over(id, &bucket.spec, Some(hash), now_ms);
    running.set_refused(shard, tables.refused());
    is_over
}

/// What kind of element a stanza is.
fn kind_of(kind: StanzaKind) -> Kind {
    match kind {
        StanzaKind::Message(_) => Kind::Message,
        StanzaKind::Presence(_) => Kind::Presence,
        StanzaKind::Iq(_) => Kind::Iq,
    }
}
