//! What has come to the home of its addressee, and what the server sends in the name of a session, on its way through
//! rules.

use std::borrow::Cow;
use std::sync::Arc;

use rondel_shards::Io;

use super::kind_of;
use super::lanes::Way;
use super::passage::{Beginning, Whose};
use crate::account::{Address, Bearer, SessionKey, StanzaKind, Traits};
use crate::firewall::{Hook, Outcome, Stanza};
use crate::home::home;
use crate::jid::Jid;
use crate::shard::Shard;
use crate::shard::deliver;
use crate::shard::message::{Routed, Sender};
use crate::stream::Refusal;
use crate::xml::{Content, Frame, Scratch, Stamp, attribute, attributes, escape, namespaces as ns};

/// What is to be done with a stanza.
enum Next {
    /// It goes on, with these bytes if there are any.
    Passes(Option<Vec<u8>>),
    Refused,
    Gone,
}

impl Next {
    fn of(hook: Hook, outcome: Outcome, stanza: &Stanza<'_>) -> Next {
        match outcome {
            // What is for the own account goes on.
            Outcome::Default if hook == Hook::Deliver && stanza.to().is_some() => Next::Refused,
            Outcome::Pass | Outcome::Default => Next::Passes(stanza.changed().map(<[u8]>::to_vec)),
            Outcome::Consumed => Next::Gone,
        }
    }
}

impl Shard {
    /// A stanza for an account that is in memory passes the rules that there are for it, and is delivered.
    pub(in crate::shard) fn filter_arrival(&mut self, io: &mut Io<Shard>, routed: Routed) {
        // Whoever is blocked is not heard, whatever rules say.
        if self.blocks(routed.bare(), routed.from().as_str()) {
            return self.deliver_routed(io, routed.passed());
        }
        let Some(routed) = self.behind_others(io, Way::Arriving, routed) else { return };
        if self.behind_tasks(io, routed.bare()) {
            // What it follows from may be on its way to the disk: that somebody is no stranger any more.
            self.wait_behind(io, Way::Arriving, routed, false);
        } else {
            self.filter_routed(io, Hook::Deliver, routed);
        }
    }

    /// A stanza has its turn that has waited for what came before.
    pub(super) fn arrive_in_turn(&mut self, io: &mut Io<Shard>, routed: Routed) {
        if self.accounts.account(routed.bare()).is_none() {
            return self.arrive(io, routed);
        }
        let is_judged = routed.has_passed || !self.is_filtered(Hook::Deliver, routed.kind);
        if is_judged || self.blocks(routed.bare(), routed.from().as_str()) {
            return self.deliver_routed(io, routed.passed());
        }
        self.filter_routed(io, Hook::Deliver, routed);
    }

    /// Rules look at a stanza of a session for an account at home here, before it is copied anywhere. Whether it may go
    /// straight on; otherwise it has been seen to.
    pub(in crate::shard) fn passes_directly(
        &mut self,
        io: &mut Io<Shard>,
        (key, address): (SessionKey, &Address),
        frame: &Frame<'_>,
        kind: StanzaKind,
        to: &Jid<'_>,
        routed: impl FnOnce() -> Routed,
    ) -> bool {
        if self.lanes.is_closed(to.bare()) || self.tasks.is_busy(to.bare()) || frame.takes_from_header() {
            let mut routed = routed();
            // The session may be gone when it has its turn.
            routed.bearer = self.bearer_to_send(io, kind, key);
            self.arrive(io, routed);
            return false;
        }
        if self.blocks(to.bare(), address.as_str()) {
            return true;
        }
        let attribute = type_attribute(kind, || frame.kind_attr().map(|kind| kind.decoded()));
        let named = Some(to.as_str()).filter(|to| *to != address.bare());
        let bearer = self.bearer_for(io, key, named);
        let (bytes, from) = (frame.bytes(), Some(address.as_str()));
        let mut stanza = Stanza::new(kind_of(kind), bytes, ns::CLIENT, from, named, attribute);
        let beginning = Beginning { hook: Hook::Deliver, bearer, generation: 0 };
        let ended = self.begin_passage(io, beginning, &mut stanza);
        match ended.map(|outcome| Next::of(Hook::Deliver, outcome, &stanza)) {
            Ok(Next::Passes(None)) => true,
            Ok(next) => {
                self.go_on_routed(io, Hook::Deliver, routed(), next);
                false
            }
            Err(halted) => {
                let routed = routed();
                self.lanes.close(Way::Arriving, &routed);
                self.await_answer(io, halted, Whose::Routed(routed));
                false
            }
        }
    }

    /// A presence stanza that the server sends in the name of a session goes to a contact.
    pub(in crate::shard) fn send_filtered(
        &mut self,
        io: &mut Io<Shard>,
        kind: StanzaKind,
        (from, bearer): (&Address, Option<Arc<Bearer>>),
        to: &Jid<'_>,
        stanza: &[u8],
    ) {
        if !self.settings.serves(to.domain()) {
            return;
        }
        let sender = Sender::session(from);
        let write = |out: &mut Vec<u8>| out.extend_from_slice(stanza);
        let mut routed = Routed::new(kind, Traits::NONE, sender, to, stanza.len(), write);
        routed.bearer = bearer;
        self.depart(io, routed);
    }

    /// What a session's presence has led to passes the rules that there are for it, behind what waits for them.
    pub(super) fn depart(&mut self, io: &mut Io<Shard>, routed: Routed) {
        let Some(routed) = self.behind_others(io, Way::Departing, routed) else { return };
        match self.is_filtered(Hook::Preroute, routed.kind) {
            true => self.filter_routed(io, Hook::Preroute, routed),
            false => self.send_home(io, routed),
        }
    }

    fn filter_routed(&mut self, io: &mut Io<Shard>, hook: Hook, routed: Routed) {
        let written = |name: &str| attribute(routed.stanza(), name).map(|value| value.decoded());
        let kind = type_attribute(routed.kind, || written("type"));
        // An account sends the presence of its sessions: in the stanza stands whose it is.
        let from = if matches!(routed.kind, StanzaKind::Presence(_)) { written("from") } else { None };
        let from = from.as_deref().unwrap_or(routed.from().as_str());
        let to = Some(routed.to()).filter(|to| *to != routed.from().bare());
        let bearer = match &routed.bearer {
            None if self.asks_of_session(to) => self.bearer_of(io, routed.from()),
            known => known.clone(),
        };
        let mut stanza = Stanza::new(kind_of(routed.kind), routed.stanza(), ns::CLIENT, Some(from), to, kind);
        let beginning = Beginning { hook, bearer, generation: routed.generation };
        let ended = self.begin_passage(io, beginning, &mut stanza);
        match ended.map(|outcome| Next::of(hook, outcome, &stanza)) {
            Ok(next) => self.go_on_routed(io, hook, routed, next),
            Err(halted) => {
                self.lanes.close(Way::of(hook), &routed);
                self.await_answer(io, halted, Whose::Routed(routed));
            }
        }
    }

    /// Rules had to wait and have had their say about a stanza.
    pub(super) fn routed_goes_on(
        &mut self,
        io: &mut Io<Shard>,
        hook: Hook,
        routed: Routed,
        outcome: Outcome,
        stanza: &Stanza<'_>,
    ) {
        let way = Way::of(hook);
        let account = way.account(&routed).to_owned();
        self.go_on_routed(io, hook, routed, Next::of(hook, outcome, stanza));
        self.open_lane(io, way, &account);
    }

    fn go_on_routed(&mut self, io: &mut Io<Shard>, hook: Hook, routed: Routed, next: Next) {
        let routed = match next {
            Next::Passes(None) => routed,
            Next::Passes(Some(bytes)) => match replaced(&routed, &bytes) {
                Some(changed) => changed,
                None => return,
            },
            Next::Refused => return self.bounce(io, &routed, &Refusal::service_unavailable()),
            Next::Gone => {
                let (kind, from) = (routed.kind, routed.from().as_str());
                return self.trace(kind, from, routed.to(), |_| "kept by the firewall's rules".into());
            }
        };
        match hook {
            // It may have left memory meanwhile.
            Hook::Deliver => self.arrive(io, routed.passed()),
            Hook::Preroute | Hook::DeliverRemote => self.send_home(io, routed),
        }
    }

    /// Whether an account that is in memory blocks somebody.
    fn blocks(&self, account: &str, from: &str) -> bool {
        self.accounts.account(account).is_some_and(|state| {
            !state.blocks.is_empty() && Jid::parse(from).is_ok_and(|from| deliver::is_blocked(state, account, &from))
        })
    }

    /// The session that has sent something, if it is one of this shard.
    pub(in crate::shard) fn bearer_of(&mut self, io: &Io<Shard>, from: Sender<'_>) -> Option<Arc<Bearer>> {
        if home(from.bare(), io.shards()) != io.shard() {
            return None;
        }
        let mut sessions = self.accounts.sessions(from.bare());
        let key = sessions.find(|(_, session)| session.address.as_str() == from.as_str()).map(|(key, _)| key);
        drop(sessions);
        let key = key?;
        self.bearer(io, key)
    }

    /// A session, for a stanza that it sends, if rules look at it where it comes to.
    pub(in crate::shard) fn bearer_to_send(
        &mut self,
        io: &Io<Shard>,
        kind: StanzaKind,
        key: SessionKey,
    ) -> Option<Arc<Bearer>> {
        let is_needed = self.is_filtered(Hook::Deliver, kind) && self.rules_ask_of_sessions();
        if is_needed { self.bearer(io, key) } else { None }
    }
}

/// The type of a stanza as it stands there; found out by `written` where the kind leaves it open.
fn type_attribute<'s>(kind: StanzaKind, written: impl FnOnce() -> Option<Cow<'s, str>>) -> Option<Cow<'s, str>> {
    match kind.type_attribute() {
        Some(name) => Some(Cow::Borrowed(name)),
        None => written(),
    }
}

/// The same stanza with these bytes, in which nothing stands of who has sent it that is not so.
fn replaced(routed: &Routed, bytes: &[u8]) -> Option<Routed> {
    let to = Jid::parse(routed.to()).ok()?;
    let mut scratch = Scratch::default();
    let frame = scratch.finished(bytes, Content::Client)?;
    let [from, lang] = attributes(routed.stanza(), ["from", "xml:lang"]);
    let from = escape::attribute_value(from.as_deref().unwrap_or(routed.from().as_str()));
    let lang = lang.map(|lang| escape::attribute_value(&lang));
    let stamp = Stamp { from: Some(&from), to: None, lang: lang.as_deref() };
    let traits = match routed.kind {
        StanzaKind::Message(_) => Traits::of(&frame),
        _ => routed.traits,
    };
    let write = |out: &mut Vec<u8>| frame.write_stamped(out, &stamp);
    let mut changed = Routed::new(routed.kind, traits, routed.from(), &to, frame.stamped_len(&stamp), write);
    (changed.bearer, changed.generation) = (routed.bearer.clone(), routed.generation);
    Some(changed)
}
