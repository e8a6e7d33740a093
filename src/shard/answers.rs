//! Questions of a session: to the server, to its own account, or on to somebody else.

use std::sync::Arc;

use rondel_shards::Io;

use super::pep::is_disco;
use super::stream::Stream;
use super::task::{Asker, Step};
use super::{End, Shard, now_s};
use crate::account::{IqType, StanzaKind, Traits};
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
                self.route(io, stream, frame, (kind, Traits::of_iq(frame)), to);
                return Ok(());
            }
        };
        let Some(action) = action else {
            self.client_answers(io, stream, frame);
            return Ok(());
        };
        let asker = Asker {
            key: Some(session.key),
            address: Arc::clone(&session.address),
            id: frame.id().map(|id| id.decoded().into_owned()).unwrap_or_default(),
            to: to_text.as_deref().unwrap_or(session.address.bare()).to_owned(),
        };
        let mut asker = Some(asker);
        let anonymous = self.settings.is_anonymous(session.address.domain());
        let sender = Arc::clone(&session.address);
        let address = to.as_ref().map_or(sender.bare(), |to| to.as_str());
        let rights = self.rights(&sender, !anonymous && address == sender.domain());
        let step = match frame.to_element() {
            Ok(element) => match element.children().next() {
                // Bound already: a session exists (RFC 3921 §3).
                Some(payload) if payload.name == "session" && payload.namespace == ns::SESSION => {
                    Step::Answer(Answer::Result(None))
                }
                Some(payload) if payload.namespace == ns::ROSTER && matches!(addressee, Addressee::OwnAccount) => {
                    if let Some(asker) = asker {
                        self.roster_request(io, stream, asker, action, payload.clone());
                    }
                    return Ok(());
                }
                Some(payload) if payload.namespace == ns::REGISTER => {
                    if let Some(asker) = asker {
                        self.registration_request(io, stream, asker, action, payload);
                    }
                    return Ok(());
                }
                Some(payload)
                    if payload.namespace == ns::CARBONS
                        && action == Action::Set
                        && matches!(addressee, Addressee::OwnAccount) =>
                {
                    Step::Answer(self.switch_carbons(session.key, payload))
                }
                Some(payload)
                    if matches!(addressee, Addressee::OwnAccount)
                        && self.kept_request(io, stream, &mut asker, action, payload).is_some() =>
                {
                    return Ok(());
                }
                Some(payload)
                    if matches!(addressee, Addressee::OwnAccount)
                        && self.archive_request(io, stream, &mut asker, action, payload).is_some() =>
                {
                    return Ok(());
                }
                Some(payload) if matches!(addressee, Addressee::OwnAccount) && is_disco(payload) => {
                    if let Some(asker) = asker {
                        self.own_disco(io, stream, asker, action, payload);
                    }
                    return Ok(());
                }
                Some(payload) if payload.namespace == ns::COMMANDS && matches!(addressee, Addressee::Server) => {
                    if let Some(asker) = asker {
                        self.command_request(io, stream, asker, action, payload, rights);
                    }
                    return Ok(());
                }
                Some(payload) => {
                    let archive = self.settings.archive.is_some();
                    let up_s = self.settings.started.elapsed().as_secs();
                    let (server_info, now_s) = (&*self.settings.server_info, now_s());
                    let context = Context { addressee, address, anonymous, archive, rights, server_info, now_s, up_s };
                    Step::Answer(service::answer(action, payload, &context))
                }
                None => Step::Answer(Answer::Refused(Refusal::new("modify", "bad-request"))),
            },
            Err(_) => Step::Answer(Answer::Refused(Refusal::new("modify", "bad-request"))),
        };
        if let Some(asker) = asker {
            self.run_request(io, stream, asker, step);
        }
        Ok(())
    }

    /// Answers a question, if whoever has asked it is still there.
    pub(super) fn answer(&mut self, io: &mut Io<Shard>, asker: &Asker, answer: Answer) {
        let kind = match &answer {
            Answer::Result(_) | Answer::Payload(_) => StanzaKind::Iq(IqType::Result),
            Answer::Refused(_) | Answer::RefusedBehind(..) => StanzaKind::Iq(IqType::Error),
        };
        self.trace(kind, &asker.to, asker.address.as_str(), |_| match &answer {
            Answer::Result(_) | Answer::Payload(_) => "answered by the server".into(),
            Answer::Refused(refusal) | Answer::RefusedBehind(_, refusal) => {
                format!("answered by the server: {}", refusal.condition)
            }
        });
        let Some(key) = asker.key else {
            let mut reply = Vec::new();
            write_answer(&mut reply, asker, answer);
            if let Ok(to) = Jid::parse(asker.address.as_str()) {
                self.send(io, kind, &asker.to, &to, &reply);
            }
            return;
        };
        self.give(io, key, kind, |out| write_answer(out, asker, answer));
    }
}

fn write_answer(out: &mut Vec<u8>, asker: &Asker, answer: Answer) {
    let payload = match answer {
        Answer::Result(None) => Vec::new(),
        Answer::Payload(payload) => payload,
        Answer::Result(Some(element)) => {
            let mut payload = Vec::new();
            element.write_to(&mut payload, ns::CLIENT);
            payload
        }
        Answer::RefusedBehind(payload, refusal) => {
            let (id, to) = (Some(asker.id.as_str()), asker.address.as_str());
            refusal.write_reply_behind(out, "iq", id, &asker.to, to, &payload);
            return;
        }
        Answer::Refused(refusal) => {
            return refusal.write_reply(out, "iq", Some(&asker.id), &asker.to, asker.address.as_str());
        }
    };
    out.extend_from_slice(b"<iq type='result' id='");
    escape::attribute(out, &asker.id);
    out.extend_from_slice(b"' from='");
    escape::attribute(out, &asker.to);
    out.extend_from_slice(b"' to='");
    out.extend_from_slice(asker.address.escaped().as_bytes());
    if payload.is_empty() {
        out.extend_from_slice(b"'/>");
    } else {
        out.extend_from_slice(b"'>");
        out.extend_from_slice(&payload);
        out.extend_from_slice(b"</iq>");
    }
}
