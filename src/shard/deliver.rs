//! From a session to the home of the addressee, and from there into outboxes.

use std::sync::Arc;

use rondel_shards::Io;
use smallvec::SmallVec;

use super::archiving::{Archived, facts, write_with_id};
use super::give::What;
use super::message::{Routed, Sender};
use super::stream::{Established, Stream};
use super::task::{Step, Task};
use super::ticket::Behalf;
use super::trace::shown;
use super::{End, Shard, kept};
use crate::account::blocking::Inbound;
use crate::account::{
    Account, Decision, Direction, IqType, MessageType, Offline, PresenceType, Session, SessionKey, Standing,
    StanzaKind, Traits, carbon, decide, forged, offline, restraint, write_carbon,
};
use crate::firewall::Hook;
use crate::home::home;
use crate::jid::Jid;
use crate::stream::management::Stored;
use crate::stream::{Refusal, StanzaCondition};
use crate::xml::{Content, Frame, Scratch, Stamp, escape};

/// A stanza on its way to the sessions of an account.
#[derive(Clone, Copy)]
pub(super) struct Passing<'a> {
    /// Its kind and type.
    pub kind: StanzaKind,
    /// What is in it, if it is a message.
    pub traits: Traits,
    /// Who has sent it.
    pub from: Sender<'a>,
    /// Whom it is for, in parts too.
    pub to: &'a str,
    /// The account.
    pub bare: &'a str,
    /// The resource.
    pub resource: Option<&'a str>,
}

impl<'a> Passing<'a> {
    fn of(routed: &'a Routed) -> Passing<'a> {
        Passing {
            kind: routed.kind,
            traits: routed.traits,
            from: routed.from(),
            to: routed.to(),
            bare: routed.bare(),
            resource: routed.resource(),
        }
    }
}

/// What has become of a stanza.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Delivered {
    /// It is where it belongs.
    Done,
    /// It is a message for whoever comes next.
    NobodyThere,
}

impl Shard {
    /// A message of a session.
    pub(super) fn message_from(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        frame: &Frame<'_>,
        kind: StanzaKind,
    ) -> Result<(), End> {
        let Some(session) = stream.session() else { return Ok(()) };
        let address = Arc::clone(&session.address);
        let to = frame.to().map(|to| to.decoded());
        // RFC 6120 §10.3.1: without an addressee to the sender's own account.
        let Ok(to) = Jid::parse(to.as_deref().unwrap_or(address.bare())) else {
            self.answer_error(io, stream, frame, StanzaCondition::JidMalformed);
            return Ok(());
        };
        let traits = Traits::of(frame);
        if to.as_str() == address.bare() && traits.has(Traits::UNKNOWN) && self.approval(io, stream, frame) {
            return Ok(());
        }
        if forged::may_be_forged(traits) {
            self.route_genuine(io, stream, frame, kind, &to);
        } else {
            self.route(io, stream, frame, (kind, traits), &to);
        }
        Ok(())
    }

    /// Sends a message on without what only the servers of its sender and its addressee may say in it.
    fn route_genuine(
        &mut self,
        io: &mut Io<Shard>,
        stream: &Stream,
        frame: &Frame<'_>,
        kind: StanzaKind,
        to: &Jid<'_>,
    ) {
        let Some(session) = stream.session() else { return };
        let mut genuine = Vec::new();
        frame.write_stamped(&mut genuine, &Stamp { from: None, to: None, lang: stream.lang.as_deref() });
        let own = forged::Names { account: session.address.bare(), domain: session.address.domain() };
        let theirs = forged::Names { account: to.bare(), domain: to.domain() };
        let genuine = forged::without_forged(genuine, &[own, theirs]);
        let mut scratch = Scratch::default();
        let Some(frame) = scratch.finished(&genuine, Content::Client) else { return };
        self.route(io, stream, &frame, (kind, Traits::of(&frame)), to);
    }

    /// Sends a session's stanza to its addressee's home, or answers why not.
    pub(super) fn route(
        &mut self,
        io: &mut Io<Shard>,
        stream: &Stream,
        frame: &Frame<'_>,
        (kind, traits): (StanzaKind, Traits),
        to: &Jid<'_>,
    ) {
        let Some(session) = stream.session() else { return };
        if let Some(refusal) = self.withheld(io, &session.address, kind, to) {
            return self.answer_refusal(io, stream, frame, &refusal);
        }
        self.note_addressed(session.address.bare(), kind, to);
        if !self.settings.serves(to.domain()) {
            self.trace(kind, session.address.as_str(), to.as_str(), |_| "refused: not a domain of this server".into());
            return self.answer_error(io, stream, frame, StanzaCondition::RemoteServerNotFound);
        }
        if to.local().is_none() {
            self.trace(kind, session.address.as_str(), to.as_str(), |_| "refused: nothing is there".into());
            return self.answer_error(io, stream, frame, StanzaCondition::ServiceUnavailable);
        }
        let stamp = Stamp { from: Some(session.address.escaped()), to: None, lang: stream.lang.as_deref() };
        let size = frame.stamped_len(&stamp);
        let write = |out: &mut Vec<u8>| frame.write_stamped(out, &stamp);
        if let StanzaKind::Message(message) = kind
            && to.bare() != session.address.bare()
        {
            self.sent(io, session, to.as_str(), (message, traits), write);
        }
        let home = home(to.bare(), io.shards());
        let from = Sender::session(&session.address);
        let mut has_passed = false;
        let is_direct = home == io.shard() && !self.lanes.is_leaving(session.address.bare());
        if is_direct && self.is_direct(kind, traits, to) {
            if self.is_filtered(Hook::Deliver, kind) || self.lanes.is_closed(to.bare()) {
                has_passed = true;
                let routed = || Routed::new(kind, traits, from, to, size, write);
                if !self.passes_directly(io, (session.key, &session.address), frame, kind, to, routed) {
                    return;
                }
            }
            let passing = Passing { kind, traits, from, to: to.as_str(), bare: to.bare(), resource: to.resource() };
            match self.deliver(io, &passing, write) {
                Ok(Delivered::Done) => return,
                Err(refusal) => {
                    // The same way as from another shard: whether it is archived must not tell who is in memory.
                    let routed = Routed::new(kind, traits, from, to, size, write);
                    return self.bounce(io, &routed, &refusal);
                }
                Ok(Delivered::NobodyThere) => {}
            }
        }
        let mut routed = Routed::new(kind, traits, from, to, size, write);
        routed.has_passed = has_passed;
        routed.bearer = self.bearer_to_send(io, kind, session.key);
        self.dispatch(io, routed);
    }

    /// Whether a stanza for an account at home here can go from the receive buffer into outboxes right now.
    fn is_direct(&self, kind: StanzaKind, traits: Traits, to: &Jid<'_>) -> bool {
        let is_plain = match kind {
            StanzaKind::Message(_) => true,
            StanzaKind::Iq(_) => to.is_full() && !traits.has(Traits::LAST_ACTIVITY),
            StanzaKind::Presence(PresenceType::Subscription(_) | PresenceType::Probe) => false,
            StanzaKind::Presence(_) => !self.tasks.is_busy(to.bare()),
        };
        is_plain && self.accounts.account(to.bare()).is_some()
    }

    /// A stanza has come to the home of its addressee, from another shard or from this one.
    pub(super) fn arrive(&mut self, io: &mut Io<Shard>, mut routed: Routed) {
        if let Some(id) = routed.ticket.take() {
            let behalf = Behalf::Ticket(self.adopt(id));
            return self.on_behalf(behalf, |shard| shard.arrive(io, routed));
        }
        if self.accounts.account(routed.bare()).is_some() {
            return self.deliver_routed(io, routed);
        }
        if !routed.bare().contains('@') {
            return self.server_hears(io, &routed);
        }
        // Who is not online gets neither presence nor answers, and has not to be loaded for it.
        let is_for_account = match routed.kind {
            StanzaKind::Message(_) | StanzaKind::Presence(PresenceType::Subscription(_)) => true,
            StanzaKind::Iq(IqType::Get | IqType::Set) => true,
            StanzaKind::Presence(_) | StanzaKind::Iq(_) => false,
        };
        if is_for_account && let Err(routed) = self.load_to_deliver(io, routed) {
            self.bounce(io, &routed, &Refusal::new("wait", "resource-constraint"));
        }
    }

    /// A stanza for an account that is in memory.
    pub(super) fn deliver_routed(&mut self, io: &mut Io<Shard>, routed: Routed) {
        if !routed.has_passed && (self.is_filtered(Hook::Deliver, routed.kind) || self.lanes.is_closed(routed.bare())) {
            return self.filter_arrival(io, routed);
        }
        match routed.kind {
            StanzaKind::Presence(PresenceType::Subscription(kind)) => {
                if self.reaches(&routed).is_ok() {
                    self.subscription_to(io, &routed, kind);
                }
            }
            StanzaKind::Presence(PresenceType::Probe) => self.probed(io, &routed),
            StanzaKind::Iq(asked @ (IqType::Get | IqType::Set))
                if routed.traits.has(Traits::LAST_ACTIVITY)
                    && (routed.resource().is_none() || !self.may_see_presence(routed.from(), routed.bare())) =>
            {
                self.activity_asked(io, &routed, asked);
            }
            kind if let Some(asked) = kept::is_question(kind, routed.resource()) => match self.reaches(&routed) {
                Ok(()) => self.account_asked(io, &routed, asked),
                Err(Some(refusal)) => self.bounce(io, &routed, &refusal),
                Err(None) => {}
            },
            kind @ StanzaKind::Presence(_) if self.tasks.is_busy(routed.bare()) => {
                self.queue_presence(io, kind, &routed);
            }
            kind => {
                let write = |out: &mut Vec<u8>| out.extend_from_slice(routed.stanza());
                match (self.deliver(io, &Passing::of(&routed), write), kind) {
                    (Ok(Delivered::NobodyThere), StanzaKind::Message(kind)) => self.nobody_there(io, routed, kind),
                    (Ok(_), _) => {}
                    (Err(refusal), _) => self.bounce(io, &routed, &refusal),
                }
            }
        }
    }

    /// Presence does not overtake the subscription that it follows from, which has to be written first.
    fn queue_presence(&mut self, io: &mut Io<Shard>, kind: StanzaKind, routed: &Routed) {
        let mut copy = routed.copy();
        copy.kind = kind;
        self.queue(io, routed.bare(), Task::default(), move |shard, io, _| {
            let write = |out: &mut Vec<u8>| out.extend_from_slice(copy.stanza());
            // Presence is not answered with an error.
            let _ = shard.deliver(io, &Passing::of(&copy), write);
            Step::Done
        });
    }

    /// Whether a stanza may reach an account in memory: it exists and does not block the sender. What may not is
    /// refused, or dropped without a word (`None`).
    pub(super) fn may_reach(&self, kind: StanzaKind, from: Sender<'_>, bare: &str) -> Result<(), Option<Refusal>> {
        let Some(account) = self.accounts.account(bare) else { return Err(None) };
        self.refuse_stranger(kind, from, account, bare)?;
        if account.standing == Standing::Absent {
            // Whether there is such an account does not show to who asks for a subscription.
            let is_silent = matches!(kind, StanzaKind::Presence(_));
            return Err((!is_silent).then(Refusal::service_unavailable));
        }
        if restraint::is_unsolicited(kind) {
            account.heard.note(from.bare());
            if let Some(restraint) = &account.restraint {
                restraint.hears(from.bare());
            }
        }
        if !account.blocks.is_empty()
            && let Ok(from) = Jid::parse(from.as_str())
            && is_blocked(account, bare, &from)
        {
            return Err(match Inbound::of(kind) {
                Inbound::Drop => None,
                Inbound::Refuse => Some(Refusal::service_unavailable()),
            });
        }
        Ok(())
    }

    /// The same, and those who look learn of it.
    fn reaches(&self, routed: &Routed) -> Result<(), Option<Refusal>> {
        let reaches = self.may_reach(routed.kind, routed.from(), routed.bare());
        if let Err(refusal) = &reaches {
            self.trace(routed.kind, routed.from().as_str(), routed.to(), |_| unreached(refusal.is_some()));
        }
        reaches
    }

    /// Gives a stanza for an account that is in memory to those who get it: sessions, of a message also the archive,
    /// and those that get copies. An error is for the sender.
    pub(super) fn deliver(
        &mut self,
        io: &mut Io<Shard>,
        passing: &Passing<'_>,
        write: impl Fn(&mut Vec<u8>),
    ) -> Result<Delivered, Refusal> {
        let Passing { kind, traits, from, bare, resource, .. } = *passing;
        if let Err(refusal) = self.may_reach(kind, from, bare) {
            let refusal = refusal.filter(|_| !is_silent(passing));
            self.trace(kind, from.as_str(), passing.to, |_| unreached(refusal.is_some()));
            return refusal.map_or(Ok(Delivered::Done), Err);
        }
        let sessions = self.accounts.sessions(bare);
        let addressed = resource.map(|name| sessions.clone().position(|(_, session)| session.resource() == name));
        let decision = decide(kind, addressed, sessions.clone().map(|(_, session)| session.state()));
        let is_chosen = |index: usize, session: &Session| {
            let state = session.state();
            match decision {
                Decision::ToResource(chosen) => index == chosen,
                Decision::ToPriority(priority) => state.available && state.priority == priority,
                Decision::ToNonNegative => state.available && state.priority >= 0,
                Decision::ToAvailable => state.available,
                _ => false,
            }
        };
        let outcome = match (decision, kind) {
            (Decision::ByServer | Decision::Refuse(_), _) => Some(Err(Refusal::service_unavailable())),
            (Decision::Drop(_) | Decision::NobodyThere(_), StanzaKind::Message(_)) => Some(Ok(Delivered::NobodyThere)),
            (Decision::Drop(_), _) => Some(Ok(Delivered::Done)),
            (Decision::NobodyThere(_), _) => Some(Ok(Delivered::NobodyThere)),
            _ => None,
        };
        if let Some(outcome) = outcome {
            if !matches!(outcome, Ok(Delivered::NobodyThere)) {
                let how = if outcome.is_ok() { "dropped" } else { "refused" };
                self.trace(kind, from.as_str(), passing.to, |_| format!("{how}: {}", decision.reason()));
            }
            return outcome;
        }
        let mut chosen = SmallVec::<[SessionKey; 4]>::new();
        let mut others = SmallVec::<[SessionKey; 4]>::new();
        for (index, (key, session)) in sessions.enumerate() {
            if is_chosen(index, session) {
                chosen.push(key);
            } else if session.carbons_since_us.is_some() && session.address.as_str() != from.as_str() {
                others.push(key);
            }
        }
        let StanzaKind::Message(message) = kind else {
            // What a session that goes just now does not get, an answer tells to who has asked.
            self.trace(kind, from.as_str(), passing.to, |shard| {
                format!("{}: {}", decision.reason(), shard.names(&chosen, &kind.into()))
            });
            let mut reached = false;
            for key in chosen {
                reached |= self.give(io, key, kind, &write);
            }
            let is_told = matches!(kind, StanzaKind::Presence(_)) || reached;
            return if is_told { Ok(Delivered::Done) } else { Err(Refusal::service_unavailable()) };
        };
        let facts = facts(message, traits, Direction::Received, from.as_str(), passing.to);
        let archived = Archived { account: bare, from, to: passing.to, facts };
        let is_archived = self.is_archived(&archived);
        let number = self.next_number();
        let id = self.settings.archive.as_ref().filter(|_| is_archived).map(|settings| settings.ids.text(number));
        let write_as_kept = |out: &mut Vec<u8>| match &id {
            Some(id) => write_with_id(out, bare, id, &write),
            None => write(out),
        };
        let stored = if is_archived { Stored::Archive } else { Stored::Nowhere };
        let what = What { kind, traits, copy: None, stored, at_us: Some(number) };
        self.trace(kind, from.as_str(), passing.to, |shard| {
            let copies = shown("copied", carbon(&facts));
            let (to, others) = (shard.names(&chosen, &what), shard.names(&others, &what));
            let archived = shown("archived for the addressee", shard.archive_verdict(&archived));
            format!("{}: {to}; {archived}; {copies} to other clients: {others}", decision.reason())
        });
        let mut reached = false;
        for key in chosen {
            reached |= self.give(io, key, what, write_as_kept);
        }
        if !reached {
            // Whoever should get it goes just now.
            return match decision {
                Decision::ToPriority(_) => Ok(Delivered::NobodyThere),
                _ => Err(Refusal::service_unavailable()),
            };
        }
        if is_archived {
            self.archive(io, &archived, number, &write);
        }
        if !others.is_empty() && carbon(&facts).is_yes() {
            self.give_copies(io, bare, &others, What { copy: Some(Direction::Received), ..what }, write_as_kept);
        }
        Ok(Delivered::Done)
    }

    /// A session sends a message to somebody else: its account's archive has it, and its other clients get copies.
    fn sent(
        &mut self,
        io: &mut Io<Shard>,
        session: &Established,
        to: &str,
        (message, traits): (MessageType, Traits),
        write: impl Fn(&mut Vec<u8>),
    ) {
        let account = session.address.bare();
        let from = Sender::session(&session.address);
        let facts = facts(message, traits, Direction::Sent, from.as_str(), to);
        let archived = Archived { account, from, to, facts };
        let is_archived = self.is_archived(&archived);
        let sessions = self.accounts.sessions(account);
        let others = sessions.filter(|(key, other)| *key != session.key && other.carbons_since_us.is_some());
        let others: SmallVec<[SessionKey; 4]> = others.map(|(key, _)| key).collect();
        let gets_copies = !others.is_empty() && carbon(&facts).is_yes();
        self.trace(StanzaKind::Message(message), from.as_str(), to, |shard| {
            let copies = shown("copied", carbon(&facts));
            let others = shard.names(&others, &StanzaKind::Message(message).into());
            let archived = shown("archived for the sender", shard.archive_verdict(&archived));
            format!("accepted; {archived}; {copies} to other clients: {others}")
        });
        if !is_archived && !gets_copies {
            return;
        }
        let number = self.next_number();
        if is_archived {
            self.archive(io, &archived, number, &write);
        }
        if gets_copies {
            let id = self.settings.archive.as_ref().filter(|_| is_archived).map(|settings| settings.ids.text(number));
            let stored = if is_archived { Stored::Archive } else { Stored::Nowhere };
            let copy = Some(Direction::Sent);
            let what = What { kind: StanzaKind::Message(message), traits, copy, stored, at_us: Some(number) };
            self.give_copies(io, account, &others, what, |out| match &id {
                Some(id) => write_with_id(out, account, id, &write),
                None => write(out),
            });
        }
    }

    /// Gives sessions of an account copies of a message (XEP-0280).
    fn give_copies(
        &mut self,
        io: &mut Io<Shard>,
        account: &str,
        sessions: &[SessionKey],
        what: What,
        write: impl Fn(&mut Vec<u8>),
    ) {
        let (Some(direction), StanzaKind::Message(message)) = (what.copy, what.kind) else { return };
        let mut stanza = Vec::new();
        write(&mut stanza);
        let account = escape::attribute_value(account);
        for key in sessions {
            let Some(address) = self.accounts.session(*key).map(|session| Arc::clone(&session.address)) else {
                continue;
            };
            self.give(io, *key, what, |out| {
                write_carbon(out, direction, message, &account, address.escaped(), &stanza);
            });
        }
    }
}

/// Whether the sender of a message that may not reach an account hears nothing of it: nor would it if nobody were
/// there. Otherwise the error told of an account that does not exist, or blocks.
fn is_silent(passing: &Passing<'_>) -> bool {
    let StanzaKind::Message(message) = passing.kind else { return false };
    match decide(passing.kind, passing.resource.map(|_| None), [].into_iter()) {
        Decision::Drop(_) | Decision::NobodyThere(_) => {
            let facts = facts(message, passing.traits, Direction::Received, passing.from.as_str(), passing.to);
            matches!(offline(&facts), Offline::Drop(_))
        }
        _ => false,
    }
}

/// Whether an account blocks somebody.
pub(super) fn is_blocked(account: &Account, bare: &str, other: &Jid<'_>) -> bool {
    !account.blocks.is_empty() && Jid::parse(bare).is_ok_and(|own| account.blocks.blocks(&own, other))
}

/// What is in a message of the server's own making.
pub(super) fn traits_of(kind: StanzaKind, stanza: &[u8]) -> Traits {
    let mut scratch = Scratch::default();
    match kind {
        StanzaKind::Message(_) => {
            scratch.finished(stanza, Content::Client).map_or(Traits::NONE, |frame| Traits::of(&frame))
        }
        _ => Traits::NONE,
    }
}

/// For those who look: what becomes of what may not reach an account.
fn unreached(is_told: bool) -> String {
    let how = if is_told { "refused" } else { "dropped" };
    format!("{how}: there is no such account, it blocks the sender, or does not hear such strangers")
}
