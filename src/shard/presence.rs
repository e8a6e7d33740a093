//! Presence of a session: to the other resources of its account, and to whom it is directed (RFC 6121 §4).

use std::sync::Arc;

use rondel_shards::Io;

use super::message::Routed;
use super::roster::now_micros;
use super::stream::{Established, Stream};
use super::{End, Shard, activity};
use crate::account::subscription::{ContactGets, Grant};
use crate::account::{Presence, PresenceType, SessionKey, StanzaKind, Traits};
use crate::jid::Jid;
use crate::stream::StanzaCondition;
use crate::xml::{Content, Frame, Scratch, Stamp, escape, namespaces as ns, write_addressed};

/// Bytes of a presence stanza at most: it is kept for as long as the session is available, and sent to many.
const PRESENCE_BYTES_MAX: usize = 16 << 10;

/// Bytes that the hash of a photo takes in a presence stanza, and then some.
const PHOTO_BYTES: usize = 512;

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
        let is_small = frame.bytes().len() + PHOTO_BYTES <= PRESENCE_BYTES_MAX;
        if kind == PresenceType::Available
            && is_small
            && let Some(bytes) = self.with_photo(stream, frame)
        {
            let mut scratch = Scratch::default();
            if let Some(frame) = scratch.finished(&bytes, Content::Client) {
                return self.presence_as_sent(io, stream, &frame, kind);
            }
        }
        self.presence_as_sent(io, stream, frame, kind)
    }

    /// The same, with all that the server adds to it.
    fn presence_as_sent(
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
                PresenceType::Subscription(_) => self.answer_error(io, stream, frame, StanzaCondition::BadRequest),
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
        if let PresenceType::Subscription(kind) = kind {
            self.subscription_from(io, stream, frame, kind, &to);
            return Ok(());
        }
        let most = self.settings.directed_presence_max;
        let serves = self.settings.serves(to.domain());
        if let Some(session) = stream.session().and_then(|bound| self.accounts.session_mut(bound.key)) {
            let known = session.directed.iter().position(|directed| **directed == *to.as_str());
            let bytes: usize = session.directed.iter().map(|directed| directed.len()).sum();
            let is_full = session.directed.len() >= most || bytes > DIRECTED_BYTES_MAX;
            match (kind, known) {
                (PresenceType::Available, None) if is_full => {
                    self.answer_error(io, stream, frame, StanzaCondition::ResourceConstraint);
                    return Ok(());
                }
                (PresenceType::Available, None) if serves => session.directed.push(to.as_str().into()),
                (PresenceType::Unavailable, Some(index)) => {
                    session.directed.swap_remove(index);
                }
                _ => {}
            }
        }
        self.route(io, stream, frame, (StanzaKind::Presence(kind), Traits::NONE), &to);
        Ok(())
    }

    fn become_available(&mut self, io: &mut Io<Shard>, stream: &Stream, frame: &Frame<'_>) {
        let Some(Established { key, address, .. }) = stream.session() else { return };
        let stamp = Stamp { from: Some(address.escaped()), to: None, lang: stream.lang.as_deref() };
        let mut stanza = Vec::with_capacity(frame.stamped_len(&stamp));
        frame.write_stamped(&mut stanza, &stamp);
        let stanza: Arc<[u8]> = stanza.into();
        let priority = priority(frame);
        let takes_messages = priority >= 0;
        let Some(session) = self.accounts.session_mut(*key) else { return };
        let since_us = match &session.presence {
            Some(before) if before.priority == priority => before.since_us,
            _ => now_micros(),
        };
        let presence = Presence { priority, since_us, stanza: Arc::clone(&stanza) };
        let before = session.presence.replace(presence);
        let is_new = before.is_none();
        let took_messages = before.is_some_and(|before| before.priority >= 0);
        if is_new {
            // The new one hears of those who are there already.
            let others = self.accounts.sessions(address.bare()).filter(|(other, _)| other != key);
            let present: Vec<_> = others.filter_map(|(_, session)| session.presence.clone()).collect();
            for presence in present {
                self.give(io, *key, StanzaKind::Presence(PresenceType::Available), |out| {
                    write_addressed(out, &presence.stanza, address.bare());
                });
            }
        }
        self.give_available(io, address.bare(), PresenceType::Available, &stanza);
        self.broadcast(io, address, PresenceType::Available, &stanza, is_new, None);
        if is_new {
            self.show_requests(io, address.bare(), *key);
            self.tell_message_of_the_day(io, address);
        }
        if takes_messages && !took_messages {
            self.give_waiting(io, address.bare(), *key);
        }
        self.advertises(io, *key, frame, is_new);
    }

    fn become_unavailable(&mut self, io: &mut Io<Shard>, stream: &Stream, frame: &Frame<'_>) {
        let Some(Established { key, address, .. }) = stream.session() else { return };
        let lang = stream.lang.as_deref();
        let stamp = Stamp { from: Some(address.escaped()), to: None, lang };
        let mut stanza = Vec::with_capacity(frame.stamped_len(&stamp));
        frame.write_stamped(&mut stanza, &stamp);
        let stanza: Arc<[u8]> = stanza.into();
        let Some(session) = self.accounts.session_mut(*key) else { return };
        let directed = std::mem::take(&mut session.directed);
        let bearer = session.bearer.clone();
        if session.presence.is_some() {
            // The one who leaves still hears of it, as confirmation (RFC 6121 §4.5.2).
            self.give_available(io, address.bare(), PresenceType::Unavailable, &stanza);
            self.broadcast(io, address, PresenceType::Unavailable, &stanza, false, None);
        }
        let was_available = self.accounts.session_mut(*key).and_then(|session| session.presence.take()).is_some();
        if was_available {
            self.note_departure(io, address.bare(), activity::status(frame).as_deref());
        }
        for to in &directed {
            let escaped = escape::attribute_value(to);
            let Ok(to) = Jid::parse(to) else { continue };
            let stamp = Stamp { from: Some(address.escaped()), to: Some(&escaped), lang };
            let mut addressed = Vec::with_capacity(frame.stamped_len(&stamp));
            frame.write_stamped(&mut addressed, &stamp);
            let from = (address.as_str(), bearer.clone());
            self.send_of(io, StanzaKind::Presence(PresenceType::Unavailable), from, &to, &addressed);
        }
    }

    /// A session has ended: whoever has heard of its presence hears of its absence.
    pub(super) fn leave(&mut self, io: &mut Io<Shard>, key: SessionKey) {
        self.let_out(io, key);
        self.commands.forget(key);
        let Some(mut session) = self.accounts.unbind(key, io.now_ms()) else { return };
        self.leave_behind(io, &mut session);
        self.stops_advertising(io, key, session.address.as_str());
        let (address, from) = (&session.address, session.address.escaped());
        if session.presence.is_some() {
            let stanza: Arc<[u8]> = format!("<presence type='unavailable' from='{from}'/>").into_bytes().into();
            self.give_available(io, address.bare(), PresenceType::Unavailable, &stanza);
            self.broadcast(io, address, PresenceType::Unavailable, &stanza, false, session.bearer.as_ref());
            self.note_departure(io, address.bare(), None);
        }
        for to in &session.directed {
            let escaped = escape::attribute_value(to);
            let Ok(to) = Jid::parse(to) else { continue };
            let stanza = format!("<presence type='unavailable' from='{from}' to='{escaped}'/>");
            let from = (address.as_str(), session.bearer.clone());
            self.send_of(io, StanzaKind::Presence(PresenceType::Unavailable), from, &to, stanza.as_bytes());
        }
        self.let_accounts_go(io);
    }

    /// A contact, or somebody else, asks for an account's presence (§4.3). Answered to those who are subscribed to it.
    pub(super) fn probed(&mut self, io: &mut Io<Shard>, routed: &Routed) {
        let from = routed.from();
        let Some(account) = self.accounts.account(routed.bare()) else { return };
        if account.contacts.state(from.bare()).from != Grant::Granted {
            return;
        }
        if self.may_reach(routed.kind, from, routed.bare()).is_ok()
            && let Ok(contact) = Jid::parse(from.as_str())
        {
            self.send_presence(io, routed.bare(), &contact, ContactGets::Current);
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
