//! From a session to the home of the addressee, and from there into outboxes.

use rondel_shards::{ConnectionId, Io, Refused};

use super::message::{Message, Routed};
use super::stream::Stream;
use super::{End, Shard};
use crate::account::{Decision, MessageType, PresenceType, Resource, StanzaKind, decide};
use crate::home::home;
use crate::jid::Jid;
use crate::stream::{StanzaCondition, StreamError, error_reply};
use crate::xml::{Frame, Kind, Stamp, attributes};

/// Bytes that may wait for other shards before errors in answer to what came from them are left out.
const BOUNCED_BYTES_MAX: usize = 8 << 20;

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
            let own = session.jid.bare().to_owned();
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
        if !self.settings.serves(to.domain()) {
            return self.answer_error(io, stream, frame, StanzaCondition::RemoteServerNotFound);
        }
        if to.local().is_none() {
            return self.answer_error(io, stream, frame, StanzaCondition::ServiceUnavailable);
        }
        let stamp = Stamp { from: Some(session.sender()), to: None, lang: stream.lang.as_deref() };
        let home = home(to.bare(), io.shards());
        if home == io.shard() {
            let decision = self.deliver(io, kind, to.bare(), to.resource(), |out| frame.write_stamped(out, &stamp));
            if matches!(decision, Decision::Refuse(_) | Decision::ByServer) {
                self.answer_error(io, stream, frame, StanzaCondition::ServiceUnavailable);
            }
        } else {
            let size = frame.stamped_len(&stamp);
            let routed = Routed::new(kind, to, size, |out| frame.write_stamped(out, &stamp));
            let bytes = routed.bytes();
            io.send(home, Message::Stanza(routed), bytes);
        }
    }

    /// Writes a stanza for an account that is at home here into the outboxes of those who get it.
    pub(super) fn deliver(
        &mut self,
        io: &mut Io<Shard>,
        kind: StanzaKind,
        bare: &str,
        resource: Option<&str>,
        write: impl Fn(&mut Vec<u8>),
    ) -> Decision {
        let resources = self.accounts.resources(bare);
        let addressed = resource.map(|name| resources.iter().position(|resource| *resource.name == *name));
        let decision = decide(kind, addressed, resources.iter().map(Resource::state));
        let mut reached = false;
        for (index, resource) in resources.iter().enumerate() {
            let state = resource.state();
            let chosen = match decision {
                Decision::ToResource(chosen) => index == chosen,
                Decision::ToPriority(priority) => state.available && state.priority == priority,
                Decision::ToNonNegative => state.available && state.priority >= 0,
                Decision::ToAvailable => state.available,
                Decision::ByServer | Decision::Refuse(_) | Decision::Drop(_) => return decision,
            };
            if !chosen {
                continue;
            }
            match io.outbox(resource.connection) {
                Ok(out) => {
                    write(out);
                    reached = true;
                }
                Err(Refused::Full) => self.doomed.push((resource.connection, End::Error(behind()))),
                Err(Refused::Gone) => {}
            }
        }
        match kind {
            StanzaKind::Presence(_) => decision,
            _ if reached => decision,
            _ => Decision::Refuse("whoever should get it goes just now"),
        }
    }

    /// A stanza has come from another shard.
    pub(super) fn deliver_routed(&mut self, io: &mut Io<Shard>, routed: &Routed) {
        let kind = routed.kind;
        let decision = self.deliver(io, kind, routed.bare(), routed.resource(), |out| {
            out.extend_from_slice(routed.stanza());
        });
        if matches!(decision, Decision::Refuse(_) | Decision::ByServer) && kind.may_be_answered_with_error() {
            self.bounce(io, routed);
        }
    }

    /// Sends an error to the sender of a stanza that came from another shard.
    fn bounce(&mut self, io: &mut Io<Shard>, routed: &Routed) {
        // Nothing holds up who makes a shard bounce: errors that find no room are not sent.
        if io.outgoing_bytes() > BOUNCED_BYTES_MAX {
            return;
        }
        let name = match routed.kind {
            StanzaKind::Message(_) => "message",
            StanzaKind::Presence(_) => "presence",
            StanzaKind::Iq(_) => "iq",
        };
        let [from, to, id] = attributes(routed.stanza(), ["from", "to", "id"]);
        let Some(sender) = from.as_deref().and_then(|from| Jid::parse(from).ok()) else { return };
        let from = to.as_deref().unwrap_or(routed.bare());
        let mut reply = Vec::new();
        let error = StanzaCondition::ServiceUnavailable.names();
        error_reply(&mut reply, name, id.as_deref(), from, sender.as_str(), error);
        self.send(io, error_kind(routed.kind), &sender, &reply);
    }

    /// Sends a finished stanza of the server's own making to an address of this server.
    pub(super) fn send(&mut self, io: &mut Io<Shard>, kind: StanzaKind, to: &Jid<'_>, stanza: &[u8]) {
        let home = home(to.bare(), io.shards());
        if home == io.shard() {
            self.deliver(io, kind, to.bare(), to.resource(), |out| out.extend_from_slice(stanza));
        } else {
            let routed = Routed::new(kind, to, stanza.len(), |out| out.extend_from_slice(stanza));
            let bytes = routed.bytes();
            io.send(home, Message::Stanza(routed), bytes);
        }
    }

    /// The outbox of a session that is to be answered. One that does not read its answers ends.
    pub(super) fn outbox<'io>(&mut self, io: &'io mut Io<Shard>, connection: ConnectionId) -> Option<&'io mut Vec<u8>> {
        match io.outbox(connection) {
            Ok(out) => Some(out),
            Err(Refused::Full) => {
                self.doomed.push((connection, End::Error(behind())));
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
        let from = from.as_deref().unwrap_or(session.jid.bare());
        if let Some(out) = self.outbox(io, stream.connection) {
            error_reply(out, name, id.as_deref(), from, session.jid.as_str(), condition.names());
        }
    }
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
        StanzaKind::Iq(_) => StanzaKind::Iq(crate::account::IqType::Error),
    }
}
