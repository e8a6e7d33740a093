//! From bytes to frames, and where each goes.

use std::borrow::Cow;

use rondel_shards::{ConnectionId, Io};

use super::stream::{self, Phase, Stream};
use super::{End, Shard};
use crate::account::subscription::SubscriptionType;
use crate::account::{IqType, MessageType, PresenceType, StanzaKind};
use crate::stream::{Header, StreamError};
use crate::xml::{Event, Frame, Framer, Kind, Scratch, namespaces as ns};

/// Whether the next frame of a stream may be looked at.
pub(super) enum Flow {
    Next,
    /// An answer has to come first, or the stream is gone.
    Stop,
}

impl Shard {
    /// Reads what a connection has brought. Returns how many bytes were used up.
    pub(super) fn input(&mut self, io: &mut Io<Shard>, connection: ConnectionId, bytes: &[u8]) -> usize {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut used = 0;
        loop {
            // Whoever has lost its resource, or does not read, goes before anything else happens.
            self.end_doomed(io);
            let Some(mut stream) = self.take(connection) else {
                used += self.visitor_input(io, connection, &bytes[used..]);
                break;
            };
            stream.heard_ms = io.now_ms();
            if stream.waits
                || stream.is_held_back
                || matches!(&stream.phase, Phase::Login(negotiation) if negotiation.is_waiting())
            {
                self.put(stream);
                break;
            }
            let (consumed, flow) = self.frames(io, stream, &mut scratch, &bytes[used..]);
            used += consumed;
            if matches!(flow, Flow::Stop) {
                break;
            }
        }
        self.scratch = scratch;
        used
    }

    /// Handles frames as long as the stream stays where it is and nothing has to be waited for.
    fn frames(
        &mut self,
        io: &mut Io<Shard>,
        mut stream: Box<Stream>,
        scratch: &mut Scratch,
        bytes: &[u8],
    ) -> (usize, Flow) {
        let mut used = 0;
        loop {
            let progress = stream.framer.next(scratch, &bytes[used..]);
            used += progress.consumed;
            match (progress.event, &mut stream.phase) {
                (Event::Incomplete, _) => {
                    self.put(stream);
                    return (used, Flow::Stop);
                }
                (Event::Frame(frame), Phase::Bound(_)) => {
                    self.counts(io).stanzas.add(1);
                    let outcome = self.frame(io, &mut stream, &frame);
                    self.counted(io, &mut stream);
                    if let Err(end) = outcome {
                        self.end(io, stream, end);
                        return (used, Flow::Stop);
                    }
                    if !self.doomed.is_empty() {
                        self.put(stream);
                        return (used, Flow::Next);
                    }
                    if stream.waits || stream.is_held_back || io.must_yield(stream.connection) {
                        self.put(stream);
                        return (used, Flow::Stop);
                    }
                }
                (Event::Frame(frame), Phase::Login(negotiation)) => {
                    let actions = match frame.to_element() {
                        Ok(element) => negotiation.on_element(&element),
                        Err(_) => negotiation.fail(StreamError::internal_server_error("")),
                    };
                    // Many write an end of line behind each element: it is no part of what an answer may begin, such as
                    // TLS or a new stream.
                    used += Framer::blank(&bytes[used..]);
                    self.act(io, stream, actions);
                    return (used, Flow::Next);
                }
                (Event::Header(header), Phase::Login(negotiation)) => {
                    stream.lang = header.lang.as_deref().and_then(stream::language);
                    let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
                    let header =
                        Header { to: owned(header.to), from: owned(header.from), version: owned(header.version) };
                    let actions = negotiation.on_header(&header);
                    self.act(io, stream, actions);
                    return (used, Flow::Next);
                }
                (Event::Header(_), Phase::Bound(_)) => {
                    let error = StreamError::bad_format("a stream within a stream");
                    self.end(io, stream, End::Error(error));
                    return (used, Flow::Stop);
                }
                (Event::End, Phase::Login(negotiation)) => {
                    let actions = negotiation.on_end();
                    self.act(io, stream, actions);
                    return (used, Flow::Stop);
                }
                (Event::End, Phase::Bound(_)) => {
                    if let Some(out) = io.last_words(stream.connection) {
                        out.extend_from_slice(b"</stream:stream>");
                    }
                    self.end(io, stream, End::ByClient);
                    return (used, Flow::Stop);
                }
                (Event::Failed(error), Phase::Login(negotiation)) => {
                    let actions = negotiation.fail(StreamError::of_xml(error));
                    self.act(io, stream, actions);
                    return (used, Flow::Stop);
                }
                (Event::Failed(error), Phase::Bound(_)) => {
                    self.end(io, stream, End::Error(StreamError::of_xml(error)));
                    return (used, Flow::Stop);
                }
            }
        }
    }

    /// A first-level element of a session.
    fn frame(&mut self, io: &mut Io<Shard>, stream: &mut Stream, frame: &Frame<'_>) -> Result<(), End> {
        if matches!(frame.kind(), Kind::Other) {
            return self.no_stanza(io, stream, frame);
        }
        self.count(stream);
        let kind = kind_of(frame);
        if let Some(kind) = kind {
            self.hold_to_limits(io, stream, kind);
        }
        match kind {
            Some(kind) if self.has_rules(kind) => self.filter_frame(io, stream, frame, kind),
            Some(kind) => self.dispatch_frame(io, stream, frame, kind),
            None => {
                self.answer_error(io, stream, frame, crate::stream::StanzaCondition::BadRequest);
                Ok(())
            }
        }
    }

    /// A stanza of a session goes where it belongs.
    pub(super) fn dispatch_frame(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        frame: &Frame<'_>,
        kind: StanzaKind,
    ) -> Result<(), End> {
        match kind {
            StanzaKind::Message(_) => self.message_from(io, stream, frame, kind),
            StanzaKind::Iq(_) => self.iq_from(io, stream, frame, kind),
            StanzaKind::Presence(kind) => self.presence_from(io, stream, frame, kind),
        }
    }

    /// What is neither message, presence nor iq.
    fn no_stanza(&mut self, io: &mut Io<Shard>, stream: &mut Stream, frame: &Frame<'_>) -> Result<(), End> {
        match (frame.namespace(), stream.session()) {
            (ns::STREAM_MANAGEMENT, Some(_)) => self.nonza(io, stream, frame),
            (ns::CLIENT_STATE, Some(bound)) => self.client_state(io, bound.key, frame),
            _ => Err(End::Error(StreamError::unsupported_stanza_type("this element is not understood"))),
        }
    }

    /// A deadline has passed: of a login that takes too long, or of a session that has been silent.
    pub(super) fn look_after(&mut self, io: &mut Io<Shard>, connection: ConnectionId) {
        let Some(mut stream) = self.take(connection) else { return self.visitor_is_late(io, connection) };
        match &mut stream.phase {
            Phase::Login(negotiation) => {
                let actions = negotiation.fail(StreamError::connection_timeout("login takes too long"));
                self.act(io, stream, actions);
            }
            Phase::Bound(bound) => {
                let (key, is_managed) = (bound.key, bound.is_managed);
                let alarm_ms = if is_managed { self.look_after_management(io, key) } else { Ok(None) };
                let alarm_ms = match alarm_ms {
                    Ok(alarm_ms) => alarm_ms,
                    Err(end) => return self.end(io, stream, end),
                };
                let now_ms = io.now_ms();
                let idle_ms = self.settings.idle_timeout.as_millis() as u64;
                let silent_ms = now_ms.saturating_sub(stream.heard_ms);
                let mut idle_left_ms = idle_ms.saturating_sub(silent_ms);
                if idle_left_ms == 0 && idle_ms > 0 {
                    // TCP finds out whether the client is still there (RFC 6120 §4.6.1).
                    if let Ok(out) = io.outbox(connection) {
                        out.push(b' ');
                    }
                    idle_left_ms = idle_ms;
                }
                let idle = (idle_ms > 0).then_some(idle_left_ms);
                let alarm = alarm_ms.map(|alarm_ms| alarm_ms.saturating_sub(now_ms).max(1));
                let next = [idle, alarm].into_iter().flatten().min();
                io.set_deadline(connection, next.map(std::time::Duration::from_millis));
                self.put(stream);
            }
        }
    }
}

/// A stanza's kind and type; `None` for what is no stanza, or has a type that its kind does not.
#[inline]
pub(super) fn kind_of(frame: &Frame<'_>) -> Option<StanzaKind> {
    let kind = frame.kind_attr().map(|kind| kind.decoded());
    stanza_kind(frame.kind(), kind.as_deref())
}

/// The same by the element and its type.
#[inline]
pub(super) fn stanza_kind(element: Kind, kind: Option<&str>) -> Option<StanzaKind> {
    Some(match element {
        Kind::Message => StanzaKind::Message(match kind {
            Some("chat") => MessageType::Chat,
            Some("groupchat") => MessageType::Groupchat,
            Some("headline") => MessageType::Headline,
            Some("error") => MessageType::Error,
            _ => MessageType::Normal,
        }),
        Kind::Presence => StanzaKind::Presence(match kind {
            None => PresenceType::Available,
            Some("unavailable") => PresenceType::Unavailable,
            Some("error") => PresenceType::Error,
            Some("probe") => PresenceType::Probe,
            Some(kind) => PresenceType::Subscription(SubscriptionType::parse(kind)?),
        }),
        Kind::Iq => StanzaKind::Iq(match kind {
            Some("get") => IqType::Get,
            Some("set") => IqType::Set,
            Some("result") => IqType::Result,
            Some("error") => IqType::Error,
            _ => return None,
        }),
        Kind::Other => return None,
    })
}
