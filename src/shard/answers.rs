//! Questions of a session: to the server, to its own account, or on to somebody else.

use std::sync::Arc;

use rondel_shards::Io;

use super::stream::Stream;
use super::task::{Asker, Step};
use super::{End, Shard, now_s};
use crate::account::{IqType, StanzaKind};
use crate::jid::Jid;
use crate::service::{self, Action, Addressee, Answer, Context};
use crate::stream::{Refusal, StanzaCondition};
use crate::xml::{Frame, escape, namespaces as ns};

impl Shard {
    /// An IQ of a session.
    pub(super) fn iq_from(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        frame: &Frame<'_>,
        kind: StanzaKind,
    ) -> Result<(), End> {
        let action = match kind {
            StanzaKind::Iq(IqType::Get) => Some(Action::Get),
            StanzaKind::Iq(IqType::Set) => Some(Action::Set),
            _ => None,
        };
        // RFC 6120 §8.2.3: an id always; a question has exactly one child.
        if frame.id().is_none() || (action.is_some() && frame.children().count() != 1) {
            self.answer_error(io, stream, frame, StanzaCondition::BadRequest);
            return Ok(());
        }
        let Some(session) = stream.session() else { return Ok(()) };
        let to_text = frame.to().map(|to| to.decoded());
        let to = match to_text.as_deref().map(Jid::parse) {
            None => None,
            Some(Ok(to)) => Some(to),
            Some(Err(_)) => {
                self.answer_error(io, stream, frame, StanzaCondition::JidMalformed);
                return Ok(());
            }
        };
        let addressee = match &to {
            None => Addressee::OwnAccount,
            Some(to) if !to.is_full() && to.bare() == session.address.bare() => Addressee::OwnAccount,
            Some(to) if to.local().is_none() && !to.is_full() && self.settings.serves(to.domain()) => Addressee::Server,
            Some(to) => {
                self.route(io, stream, frame, kind, to);
                return Ok(());
            }
        };
        // Nothing was asked of the client that an answer could be to.
        let Some(action) = action else { return Ok(()) };
        let asker = Asker {
            key: session.key,
            address: Arc::clone(&session.address),
            id: frame.id().map(|id| id.decoded().into_owned()).unwrap_or_default(),
            to: to_text.as_deref().unwrap_or(session.address.bare()).to_owned(),
        };
        let anonymous = self.settings.is_anonymous(session.address.domain());
        let step = match frame.to_element() {
            Ok(element) => match element.children().next() {
                // Bound already: a session exists (RFC 3921 §3).
                Some(payload) if payload.name == "session" && payload.namespace == ns::SESSION => {
                    Step::Answer(Answer::Result(None))
                }
                Some(payload) if payload.namespace == ns::ROSTER && matches!(addressee, Addressee::OwnAccount) => {
                    self.roster_request(io, stream, asker, action, payload.clone());
                    return Ok(());
                }
                Some(payload) => {
                    Step::Answer(service::answer(action, payload, &Context { addressee, anonymous, now_s: now_s() }))
                }
                None => Step::Answer(Answer::Refused(Refusal::new("modify", "bad-request"))),
            },
            Err(_) => Step::Answer(Answer::Refused(Refusal::new("modify", "bad-request"))),
        };
        self.run_request(io, stream, asker, step);
        Ok(())
    }

    /// Answers a session's question, if the session is still there.
    pub(super) fn answer(&mut self, io: &mut Io<Shard>, asker: &Asker, answer: Answer) {
        let Some(out) = self.outbox(io, asker.key) else { return };
        match answer {
            Answer::Result(payload) => {
                out.extend_from_slice(b"<iq type='result' id='");
                escape::attribute(out, &asker.id);
                out.extend_from_slice(b"' from='");
                escape::attribute(out, &asker.to);
                out.extend_from_slice(b"' to='");
                out.extend_from_slice(asker.address.escaped().as_bytes());
                match payload {
                    None => out.extend_from_slice(b"'/>"),
                    Some(payload) => {
                        out.extend_from_slice(b"'>");
                        payload.write_to(out, ns::CLIENT);
                        out.extend_from_slice(b"</iq>");
                    }
                }
            }
            Answer::Refused(refusal) => {
                refusal.write_reply(out, "iq", Some(&asker.id), &asker.to, asker.address.as_str());
            }
        }
    }
}
