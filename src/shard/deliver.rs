//! From a session to the home of the addressee, and from there into outboxes.

use rondel_shards::{Io, Refused};

use super::message::{Message, Routed, Sender};
use super::stream::Stream;
use super::task::{Step, Task};
use super::{End, Shard, kept, offline};
use crate::account::blocking::{self, Inbound};
use crate::account::{
    Account, Decision, IqType, MessageType, PresenceType, SessionKey, Standing, StanzaKind, Traits, decide,
};
use crate::home::home;
use crate::jid::Jid;
use crate::stream::{Refusal, StanzaCondition, StreamError};
use crate::xml::{Frame, Kind, Stamp, attributes};

/// Bytes that may wait for other shards before errors in answer to what came from them are left out.
const BOUNCED_BYTES_MAX: usize = 8 << 20;

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
        let Some(to) = frame.to() else {
            // RFC 6120 §10.3.1: to the sender's own account.
            let Some(session) = stream.session() else { return Ok(()) };
            let own = session.address.bare().to_owned();
            if let Ok(own) = Jid::parse(&own) {
                self.route(io, stream, frame, kind, &own);
            }
            return Ok(());
        };
        let to = to.decoded();
        match Jid::parse(&to) {
            Ok(to) => self.route(io, stream, frame, kind, &to),
            Err(_) => self.answer_error(io, stream, frame, StanzaCondition::JidMalformed),
        }
        Ok(())
    }

    /// Sends a session's stanza to its addressee's home, or answers why not.
    pub(super) fn route(
        &mut self,
        io: &mut Io<Shard>,
        stream: &Stream,
        frame: &Frame<'_>,
        kind: StanzaKind,
        to: &Jid<'_>,
    ) {
        let Some(session) = stream.session() else { return };
        if let Some(account) = self.accounts.account(session.address.bare())
            && is_blocked(account, session.address.bare(), to)
        {
            return self.answer_refusal(io, stream, frame, &blocking::outbound_refusal());
        }
        if !self.settings.serves(to.domain()) {
            return self.answer_error(io, stream, frame, StanzaCondition::RemoteServerNotFound);
        }
        if to.local().is_none() {
            return self.answer_error(io, stream, frame, StanzaCondition::ServiceUnavailable);
        }
        let stamp = Stamp { from: Some(session.address.escaped()), to: None, lang: stream.lang.as_deref() };
        let home = home(to.bare(), io.shards());
        let from = Sender::session(&session.address);
        let is_direct = home == io.shard() && self.is_direct(kind, to);
        if is_direct {
            let write = |out: &mut Vec<u8>| frame.write_stamped(out, &stamp);
            match self.deliver(io, kind, from, to.bare(), to.resource(), write) {
                Ok(Delivered::Done) => return,
                Err(refusal) => return self.answer_refusal(io, stream, frame, &refusal),
                Ok(Delivered::NobodyThere) => {}
            }
        }
        let (size, traits) = (frame.stamped_len(&stamp), offline::traits(kind, frame));
        let routed = Routed::new(kind, traits, from, to, size, |out| frame.write_stamped(out, &stamp));
        if home == io.shard() {
            self.arrive(io, routed);
        } else {
            let bytes = routed.bytes();
            io.send(home, Message::Stanza(routed), bytes);
        }
    }

    /// Whether a stanza for an account at home here can go from the receive buffer into outboxes right now.
    fn is_direct(&self, kind: StanzaKind, to: &Jid<'_>) -> bool {
        let is_plain = match kind {
            StanzaKind::Message(_) => true,
            StanzaKind::Iq(_) => to.is_full(),
            StanzaKind::Presence(PresenceType::Subscription(_) | PresenceType::Probe) => false,
            StanzaKind::Presence(_) => !self.tasks.is_busy(to.bare()),
        };
        is_plain && self.accounts.account(to.bare()).is_some()
    }

    /// A stanza has come to the home of its addressee.
    pub(super) fn arrive(&mut self, io: &mut Io<Shard>, routed: Routed) {
        if self.accounts.account(routed.bare()).is_some() {
            return self.deliver_routed(io, routed);
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
        match routed.kind {
            StanzaKind::Presence(PresenceType::Subscription(kind)) => {
                if self.may_reach(routed.kind, routed.from(), routed.bare()).is_ok() {
                    self.subscription_to(io, &routed, kind);
                }
            }
            StanzaKind::Presence(PresenceType::Probe) => self.probed(io, &routed),
            kind if let Some(asked) = kept::is_question(kind, routed.resource()) => {
                match self.may_reach(kind, routed.from(), routed.bare()) {
                    Ok(()) => self.account_asked(io, &routed, asked),
                    Err(Some(refusal)) => self.bounce(io, &routed, &refusal),
                    Err(None) => {}
                }
            }
            kind @ StanzaKind::Presence(_) if self.tasks.is_busy(routed.bare()) => {
                self.queue_presence(io, kind, &routed);
            }
            kind => {
                let write = |out: &mut Vec<u8>| out.extend_from_slice(routed.stanza());
                match (self.deliver(io, kind, routed.from(), routed.bare(), routed.resource(), write), kind) {
                    (Ok(Delivered::NobodyThere), StanzaKind::Message(kind)) => self.nobody_there(io, routed, kind),
                    (Ok(_), _) => {}
                    (Err(refusal), _) => self.bounce(io, &routed, &refusal),
                }
            }
        }
    }

    /// Presence does not overtake the subscription that it follows from, which has to be written first.
    fn queue_presence(&mut self, io: &mut Io<Shard>, kind: StanzaKind, routed: &Routed) {
        let (account, resource) = (routed.bare().to_owned(), routed.resource().map(str::to_owned));
        let (from, stanza) = (routed.from().as_str().to_owned(), routed.stanza().to_vec());
        self.queue(io, &account.clone(), Task::default(), move |shard, io, _| {
            let write = |out: &mut Vec<u8>| out.extend_from_slice(&stanza);
            // Presence is not answered with an error.
            let _ = shard.deliver(io, kind, Sender::of(&from), &account, resource.as_deref(), write);
            Step::Done
        });
    }

    /// Whether a stanza may reach an account in memory: it exists and does not block the sender. What may not is
    /// refused, or dropped without a word (`None`).
    pub(super) fn may_reach(&self, kind: StanzaKind, from: Sender<'_>, bare: &str) -> Result<(), Option<Refusal>> {
        let Some(account) = self.accounts.account(bare) else { return Err(None) };
        if account.standing == Standing::Absent {
            // Whether there is such an account does not show to who asks for a subscription.
            let is_silent = matches!(kind, StanzaKind::Presence(_));
            return Err((!is_silent).then(Refusal::service_unavailable));
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

    /// Writes a stanza for an account that is in memory into the outboxes of those who get it. An error is for the
    /// sender.
    pub(super) fn deliver(
        &mut self,
        io: &mut Io<Shard>,
        kind: StanzaKind,
        from: Sender<'_>,
        bare: &str,
        resource: Option<&str>,
        write: impl Fn(&mut Vec<u8>),
    ) -> Result<Delivered, Refusal> {
        if let Err(refusal) = self.may_reach(kind, from, bare) {
            return refusal.map_or(Ok(Delivered::Done), Err);
        }
        let sessions = self.accounts.sessions(bare);
        let addressed = resource.map(|name| sessions.clone().position(|(_, session)| session.resource() == name));
        let decision = decide(kind, addressed, sessions.clone().map(|(_, session)| session.state()));
        let mut reached = false;
        for (index, (key, session)) in sessions.enumerate() {
            let state = session.state();
            let chosen = match decision {
                Decision::ToResource(chosen) => index == chosen,
                Decision::ToPriority(priority) => state.available && state.priority == priority,
                Decision::ToNonNegative => state.available && state.priority >= 0,
                Decision::ToAvailable => state.available,
                Decision::ByServer | Decision::Refuse(_) => return Err(Refusal::service_unavailable()),
                Decision::Drop(_) => return Ok(Delivered::Done),
                Decision::NobodyThere(_) => return Ok(Delivered::NobodyThere),
            };
            if !chosen {
                continue;
            }
            match io.outbox(session.connection) {
                Ok(out) => {
                    write(out);
                    reached = true;
                }
                Err(Refused::Full) => self.doomed.push((key, End::Error(behind()))),
                Err(Refused::Gone) => {}
            }
        }
        match (kind, decision) {
            (StanzaKind::Presence(_), _) | (_, Decision::Drop(_)) => Ok(Delivered::Done),
            (_, Decision::NobodyThere(_)) => Ok(Delivered::NobodyThere),
            _ if reached => Ok(Delivered::Done),
            (StanzaKind::Message(_), Decision::ToPriority(_)) => Ok(Delivered::NobodyThere),
            // Whoever should get it goes just now.
            _ => Err(Refusal::service_unavailable()),
        }
    }

    /// Writes a stanza into the outbox of a session, whatever its presence. Whether there was room.
    pub(super) fn give(
        &mut self,
        io: &mut Io<Shard>,
        key: SessionKey,
        _kind: StanzaKind,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let Some(out) = self.outbox(io, key) else { return false };
        write(out);
        true
    }

    /// Sends an error to the sender of a stanza, unless it is one that is not answered.
    pub(super) fn bounce(&mut self, io: &mut Io<Shard>, routed: &Routed, refusal: &Refusal) {
        // Nothing holds up who makes a shard bounce: errors that find no room are not sent.
        if !routed.kind.may_be_answered_with_error() || io.outgoing_bytes() > BOUNCED_BYTES_MAX {
            return;
        }
        let name = match routed.kind {
            StanzaKind::Message(_) => "message",
            StanzaKind::Presence(_) => "presence",
            StanzaKind::Iq(_) => "iq",
        };
        let [to, id] = attributes(routed.stanza(), ["to", "id"]);
        let Ok(sender) = Jid::parse(routed.from().as_str()) else { return };
        let from = to.as_deref().unwrap_or(routed.bare());
        let mut reply = Vec::new();
        refusal.write_reply(&mut reply, name, id.as_deref(), from, sender.as_str());
        self.send(io, error_kind(routed.kind), routed.bare(), &sender, &reply);
    }

    /// Sends a finished stanza of the server's own making, in the name of an account or a resource (`from`), to an
    /// address of this server.
    pub(super) fn send(&mut self, io: &mut Io<Shard>, kind: StanzaKind, from: &str, to: &Jid<'_>, stanza: &[u8]) {
        if !self.settings.serves(to.domain()) || to.local().is_none() {
            return;
        }
        let from = Sender::of(from);
        let routed = Routed::new(kind, Traits::NONE, from, to, stanza.len(), |out| out.extend_from_slice(stanza));
        let home = home(to.bare(), io.shards());
        if home == io.shard() {
            self.arrive(io, routed);
        } else {
            let bytes = routed.bytes();
            io.send(home, Message::Stanza(routed), bytes);
        }
    }

    /// The outbox of a session that is to be answered. One that does not read its answers ends.
    pub(super) fn outbox<'io>(&mut self, io: &'io mut Io<Shard>, key: SessionKey) -> Option<&'io mut Vec<u8>> {
        match io.outbox(self.accounts.session(key)?.connection) {
            Ok(out) => Some(out),
            Err(Refused::Full) => {
                self.doomed.push((key, End::Error(behind())));
                None
            }
            Err(Refused::Gone) => None,
        }
    }

    /// Answers a session's stanza with an error, unless it is one that is not answered.
    pub(super) fn answer_error(
        &mut self,
        io: &mut Io<Shard>,
        stream: &Stream,
        frame: &Frame<'_>,
        condition: StanzaCondition,
    ) {
        self.answer_refusal(io, stream, frame, &condition.into());
    }

    /// The same with all that a specification may ask the error to say.
    pub(super) fn answer_refusal(&mut self, io: &mut Io<Shard>, stream: &Stream, frame: &Frame<'_>, refusal: &Refusal) {
        let Some(session) = stream.session() else { return };
        let is_answer = |name: &str| frame.kind_attr().is_some_and(|kind| kind.is(name));
        if is_answer("error") || (matches!(frame.kind(), Kind::Iq) && is_answer("result")) {
            return;
        }
        let name = match frame.kind() {
            Kind::Message => "message",
            Kind::Presence => "presence",
            Kind::Iq => "iq",
            Kind::Other => return,
        };
        let id = frame.id().map(|id| id.decoded());
        let from = frame.to().map(|to| to.decoded());
        let from = from.as_deref().unwrap_or(session.address.bare());
        if let Some(out) = self.outbox(io, session.key) {
            refusal.write_reply(out, name, id.as_deref(), from, session.address.as_str());
        }
    }
}

/// Whether an account blocks somebody.
fn is_blocked(account: &Account, bare: &str, other: &Jid<'_>) -> bool {
    !account.blocks.is_empty() && Jid::parse(bare).is_ok_and(|own| account.blocks.blocks(&own, other))
}

/// What a client is told that does not read what waits for it.
fn behind() -> StreamError {
    StreamError::resource_constraint("too much waits to be read")
}

/// The kind of the error that answers a stanza.
fn error_kind(kind: StanzaKind) -> StanzaKind {
    match kind {
        StanzaKind::Message(_) => StanzaKind::Message(MessageType::Error),
        StanzaKind::Presence(_) => StanzaKind::Presence(PresenceType::Error),
        StanzaKind::Iq(_) => StanzaKind::Iq(IqType::Error),
    }
}
