//! Presence of a session: to the other resources of its account, and to whom it is directed (RFC 6121 §4).

use std::rc::Rc;

use rondel_shards::{ConnectionId, Io};

use super::stream::{Phase, Session, Stream};
use super::{End, Shard};
use crate::account::{Presence, PresenceType, StanzaKind};
use crate::jid::Jid;
use crate::stream::StanzaCondition;
use crate::xml::{Frame, Stamp, escape, namespaces as ns};

/// Bytes of a presence stanza at most: it is kept for as long as the session is available, and sent to many.
const PRESENCE_BYTES_MAX: usize = 16 << 10;

/// Bytes of the addresses that a session has sent directed presence to.
const DIRECTED_BYTES_MAX: usize = 16 << 10;

impl Shard {
    /// A presence stanza of a session.
    pub(super) fn presence_from(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        frame: &Frame<'_>,
        kind: PresenceType,
    ) -> Result<(), End> {
        let Some(to) = frame.to() else {
            match kind {
                PresenceType::Available if frame.bytes().len() > PRESENCE_BYTES_MAX => {
                    self.answer_error(io, stream, frame, StanzaCondition::PolicyViolation);
                }
                PresenceType::Available => self.become_available(io, stream, frame),
                PresenceType::Unavailable => self.become_unavailable(io, stream, frame),
                PresenceType::Error | PresenceType::Probe => {}
                PresenceType::Subscription => self.answer_error(io, stream, frame, StanzaCondition::BadRequest),
            }
            return Ok(());
        };
        if frame.bytes().len() > PRESENCE_BYTES_MAX {
            self.answer_error(io, stream, frame, StanzaCondition::PolicyViolation);
            return Ok(());
        }
        let text = to.decoded();
        let Ok(to) = Jid::parse(&text) else {
            self.answer_error(io, stream, frame, StanzaCondition::JidMalformed);
            return Ok(());
        };
        let most = self.settings.directed_presence_max;
        if let Phase::Bound(session) = &mut stream.phase {
            let known = session.directed.iter().position(|directed| **directed == *to.as_str());
            let bytes: usize = session.directed.iter().map(|directed| directed.len()).sum();
            let is_full = session.directed.len() >= most || bytes > DIRECTED_BYTES_MAX;
            match (kind, known) {
                (PresenceType::Available, None) if is_full => {
                    self.answer_error(io, stream, frame, StanzaCondition::ResourceConstraint);
                    return Ok(());
                }
                (PresenceType::Available, None) if self.settings.serves(to.domain()) => {
                    session.directed.push(to.as_str().into());
                }
                (PresenceType::Unavailable, Some(index)) => {
                    session.directed.swap_remove(index);
                }
                _ => {}
            }
        }
        self.route(io, stream, frame, StanzaKind::Presence(kind), &to);
        Ok(())
    }

    fn become_available(&mut self, io: &mut Io<Shard>, stream: &mut Stream, frame: &Frame<'_>) {
        let connection = stream.connection;
        let (Phase::Bound(session), lang) = (&mut stream.phase, stream.lang.as_deref()) else { return };
        let stamp = Stamp { from: Some(session.sender()), to: None, lang };
        let mut stanza = Vec::with_capacity(frame.stamped_len(&stamp));
        frame.write_stamped(&mut stanza, &stamp);
        let stanza: Rc<[u8]> = stanza.into();
        let bare = session.jid.bare().to_owned();
        if !std::mem::replace(&mut session.available, true) {
            // The new one hears of those who are there already.
            for resource in self.accounts.resources(&bare) {
                // What does not fit goes the way of everything that is sent to a client which does not read.
                if let (Some(presence), Ok(out)) = (&resource.presence, io.outbox(connection)) {
                    out.extend_from_slice(&presence.stanza);
                }
            }
        }
        if let Some(resource) = self.accounts.resource_mut(&bare, connection) {
            resource.presence = Some(Presence { priority: priority(frame), stanza: Rc::clone(&stanza) });
        }
        self.deliver(io, StanzaKind::Presence(PresenceType::Available), &bare, None, |out| {
            out.extend_from_slice(&stanza);
        });
    }

    fn become_unavailable(&mut self, io: &mut Io<Shard>, stream: &mut Stream, frame: &Frame<'_>) {
        let connection = stream.connection;
        let (Phase::Bound(session), lang) = (&mut stream.phase, stream.lang.as_deref()) else { return };
        let stamp = Stamp { from: Some(session.sender()), to: None, lang };
        let mut stanza = Vec::with_capacity(frame.stamped_len(&stamp));
        frame.write_stamped(&mut stanza, &stamp);
        let bare = session.jid.bare().to_owned();
        let directed = std::mem::take(&mut session.directed);
        let was_available = std::mem::replace(&mut session.available, false);
        if was_available {
            // The one who leaves still hears of it, as confirmation (RFC 6121 §4.5.2).
            self.deliver(io, StanzaKind::Presence(PresenceType::Unavailable), &bare, None, |out| {
                out.extend_from_slice(&stanza);
            });
            if let Some(resource) = self.accounts.resource_mut(&bare, connection) {
                resource.presence = None;
            }
        }
        for address in &directed {
            let Ok(to) = Jid::parse(address) else { continue };
            let (escaped, sender) = (escape::attribute_value(address), session.sender());
            let stamp = Stamp { from: Some(sender), to: Some(&escaped), lang };
            let mut addressed = Vec::with_capacity(frame.stamped_len(&stamp));
            frame.write_stamped(&mut addressed, &stamp);
            self.send(io, StanzaKind::Presence(PresenceType::Unavailable), &to, &addressed);
        }
    }

    /// A session has ended: whoever has heard of its presence hears of its absence.
    pub(super) fn leave(&mut self, io: &mut Io<Shard>, connection: ConnectionId, session: Session) {
        let bare = session.jid.bare();
        self.accounts.unbind(bare, connection);
        if !session.available && session.directed.is_empty() {
            return;
        }
        let stanza = format!("<presence type='unavailable' from='{}'/>", session.sender()).into_bytes();
        if session.available {
            self.deliver(io, StanzaKind::Presence(PresenceType::Unavailable), bare, None, |out| {
                out.extend_from_slice(&stanza);
            });
        }
        for address in &session.directed {
            let Ok(to) = Jid::parse(address) else { continue };
            let (sender, to_value) = (session.sender(), escape::attribute_value(address));
            let stanza = format!("<presence type='unavailable' from='{sender}' to='{to_value}'/>");
            self.send(io, StanzaKind::Presence(PresenceType::Unavailable), &to, stanza.as_bytes());
        }
    }
}

/// The priority in a presence stanza: zero if there is none, or none that can be read.
fn priority(frame: &Frame<'_>) -> i8 {
    if !frame.children().any(|child| child.name() == "priority") {
        return 0;
    }
    let Ok(element) = frame.to_element() else { return 0 };
    element.child("priority", ns::CLIENT).and_then(|priority| priority.text().trim().parse().ok()).unwrap_or(0)
}
