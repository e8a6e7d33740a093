//! What the server sends: a stanza to its addressee's home, errors to those who have sent what goes nowhere, and what
//! it says itself.

use std::sync::Arc;

use rondel_shards::Io;

use super::Shard;
use super::deliver::traits_of;
use super::message::{Message, Routed, Sender};
use super::stream::Stream;
use crate::account::{Bearer, IqType, MessageType, PresenceType, StanzaKind};
use crate::home::home;
use crate::jid::Jid;
use crate::stream::{Refusal, StanzaCondition};
use crate::xml::{Frame, Kind, attributes};

/// Bytes that may wait for other shards before errors in answer to what came from them are left out.
const BOUNCED_BYTES_MAX: usize = 8 << 20;

impl Shard {
    /// Sends a stanza to its addressee's home, behind what the same account has sent before.
    pub(super) fn dispatch(&mut self, io: &mut Io<Shard>, routed: Routed) {
        if let Some(routed) = self.behind_departures(io, routed) {
            self.send_home(io, routed);
        }
    }

    /// Sends a stanza to its addressee's home.
    pub(super) fn send_home(&mut self, io: &mut Io<Shard>, mut routed: Routed) {
        let home = home(routed.bare(), io.shards());
        if home == io.shard() {
            return self.arrive(io, routed);
        }
        if leads_to_writes(routed.kind) {
            routed.ticket = self.ticket_to_send(io);
        }
        let bytes = routed.bytes();
        io.send(home, Message::Stanza(routed), bytes);
    }

    /// Sends an error to the sender of a stanza, unless it is one that is not answered.
    pub(super) fn bounce(&mut self, io: &mut Io<Shard>, routed: &Routed, refusal: &Refusal) {
        // Nothing holds up who makes a shard bounce: errors that find no room are not sent.
        if !routed.kind.may_be_answered_with_error() || io.outgoing_bytes() > BOUNCED_BYTES_MAX {
            return;
        }
        let [to, id] = attributes(routed.stanza(), ["to", "id"]);
        let from = to.as_deref().unwrap_or(routed.bare());
        self.refuse(io, routed.kind, routed.from().as_str(), from, id.as_deref(), refusal);
    }

    /// Sends an error about a stanza of this kind to its sender.
    pub(super) fn refuse(
        &mut self,
        io: &mut Io<Shard>,
        kind: StanzaKind,
        sender: &str,
        addressee: &str,
        id: Option<&str>,
        refusal: &Refusal,
    ) {
        let Ok(sender) = Jid::parse(sender) else { return };
        if !kind.may_be_answered_with_error() {
            return;
        }
        let name = match kind {
            StanzaKind::Message(_) => "message",
            StanzaKind::Presence(_) => "presence",
            StanzaKind::Iq(_) => "iq",
        };
        let mut reply = Vec::new();
        refusal.write_reply(&mut reply, name, id, addressee, sender.as_str());
        self.send(io, error_kind(kind), addressee, &sender, &reply);
    }

    /// Sends a finished stanza of the server's own making, in the name of an account or a resource (`from`), to an
    /// address of this server.
    pub(super) fn send(&mut self, io: &mut Io<Shard>, kind: StanzaKind, from: &str, to: &Jid<'_>, stanza: &[u8]) {
        self.send_of(io, kind, (from, None), to, stanza);
    }

    /// The same on behalf of a session, if rules may ask about it.
    pub(super) fn send_of(
        &mut self,
        io: &mut Io<Shard>,
        kind: StanzaKind,
        (from, bearer): (&str, Option<Arc<Bearer>>),
        to: &Jid<'_>,
        stanza: &[u8],
    ) {
        if !self.settings.serves(to.domain()) {
            return;
        }
        let from = Sender::of(from);
        let traits = traits_of(kind, stanza);
        let mut routed = Routed::new(kind, traits, from, to, stanza.len(), |out| out.extend_from_slice(stanza));
        routed.bearer = bearer;
        self.dispatch(io, routed);
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
        let (name, answer) = match frame.kind() {
            Kind::Message => ("message", StanzaKind::Message(MessageType::Error)),
            Kind::Presence => ("presence", StanzaKind::Presence(PresenceType::Error)),
            Kind::Iq => ("iq", StanzaKind::Iq(IqType::Error)),
            Kind::Other => return,
        };
        let id = frame.id().map(|id| id.decoded());
        let from = frame.to().map(|to| to.decoded());
        let from = from.as_deref().unwrap_or(session.address.bare());
        let (key, to) = (session.key, session.address.as_str());
        self.trace(answer, from, to, |_| format!("answered by the server: {}", refusal.condition));
        self.give(io, key, answer, |out| refusal.write_reply(out, name, id.as_deref(), from, to));
    }
}

/// Whether a stanza can lead to something being stored where it is delivered.
fn leads_to_writes(kind: StanzaKind) -> bool {
    matches!(
        kind,
        StanzaKind::Message(_) | StanzaKind::Presence(PresenceType::Subscription(_)) | StanzaKind::Iq(IqType::Set)
    )
}

/// The kind of the error that answers a stanza.
fn error_kind(kind: StanzaKind) -> StanzaKind {
    match kind {
        StanzaKind::Message(_) => StanzaKind::Message(MessageType::Error),
        StanzaKind::Presence(_) => StanzaKind::Presence(PresenceType::Error),
        StanzaKind::Iq(_) => StanzaKind::Iq(IqType::Error),
    }
}
