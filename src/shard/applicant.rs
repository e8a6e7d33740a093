//! Somebody who wants an account and has none: who it is, and how they are answered, on a stream before login or on the
//! web page.

use std::net::SocketAddr;

use rondel_shards::{ConnectionId, Io, Rate, TokenBucket};
use rondel_storage::attempts::{self, Attempt};
use rondel_storage::{Owner, WriteRequest};

use super::Shard;
use super::roster::{now_micros, written};
use super::stream::{Phase, Stream};
use super::task::{Step, Task};
use crate::http::{Filled, Welcome};
use crate::registration::Declined;
use crate::service::Answer;
use crate::stream::Refusal;
use crate::xml::{Element, escape, namespaces as ns};
use crate::{limited_event, logging};

/// Attempts that are noted in the log of registrations, on the whole server: a flood of them must not fill the disk.
const NOTED: Rate = Rate { per_second: 100.0, burst: 20_000.0 };

/// Somebody who wants to register.
pub(super) struct Applicant {
    /// The connection that asks.
    pub connection: ConnectionId,
    number: u64,
    /// From where.
    pub peer: SocketAddr,
    /// The domain that it is about.
    pub domain: String,
    /// The token of an invitation that was shown.
    pub token: Option<String>,
    /// How they ask.
    pub way: Way,
}

/// How somebody asks, and is answered.
pub(super) enum Way {
    /// On a stream, before login.
    Stream {
        /// The id of the question.
        id: Option<String>,
        /// Whether nothing is to be changed.
        gets: bool,
    },
    /// On the web page, by this form.
    Page(Box<Filled>),
}

impl Applicant {
    pub fn about(&self, io: &Io<Shard>) -> logging::About<'_> {
        logging::About { shard: io.shard(), connection: self.number, address: Some(self.peer), account: None }
    }

    /// Somebody on the web page.
    pub fn on_page(connection: ConnectionId, number: u64, peer: SocketAddr, filled: Filled) -> Applicant {
        let (domain, token) = (filled.domain.clone(), filled.token.clone());
        Applicant { connection, number, peer, domain, token, way: Way::Page(Box::new(filled)) }
    }

    /// The id of the question.
    pub fn id(&self) -> &str {
        match &self.way {
            Way::Stream { id, .. } => id.as_deref().unwrap_or_default(),
            Way::Page(_) => "",
        }
    }

    /// Whether nothing is to be changed.
    fn gets(&self) -> bool {
        matches!(self.way, Way::Stream { gets: true, .. })
    }
}

impl Shard {
    /// Whoever asks about registration on a stream that nobody has logged in on.
    pub(super) fn applicant(&self, stream: &Stream, domain: String, iq: &Element, token: Option<String>) -> Applicant {
        Applicant {
            connection: stream.connection,
            number: stream.number,
            peer: stream.peer,
            domain,
            token,
            way: Way::Stream { id: iq.attribute("id").map(str::to_owned), gets: iq.attribute("type") == Some("get") },
        }
    }

    /// Refuses an attempt, once it stands in the log of registrations: it was for this account, if that is known.
    pub(super) fn decline(
        &mut self,
        io: &mut Io<Shard>,
        applicant: Applicant,
        owner: Option<Owner>,
        declined: Declined,
    ) {
        let Declined { reason, refusal } = declined;
        let name = owner.as_ref().map(Owner::local).unwrap_or_default();
        limited_event!(INFO, "registration", applicant.about(io); name, reason, "refused");
        match self.note_of(io, &applicant, owner, reason) {
            None => self.refuse_applicant(io, &applicant, refusal),
            Some(note) => self.run(
                io,
                Step::write(note, move |shard, io, _: &Task, outcome| {
                    // A failure is logged where it is told, and no reason to let the attempt pass.
                    let _ = written(outcome);
                    shard.refuse_applicant(io, &applicant, refusal);
                    Step::Done
                }),
            ),
        }
    }

    /// The entry of the log for an attempt that is refused, unless there were too many of them.
    fn note_of(
        &mut self,
        io: &Io<Shard>,
        applicant: &Applicant,
        owner: Option<Owner>,
        reason: &str,
    ) -> Option<WriteRequest> {
        if applicant.gets() {
            return None;
        }
        let owner = owner.or_else(|| Owner::new("", &applicant.domain).ok())?;
        let shards = io.shards() as f64;
        let rate = Rate { per_second: NOTED.per_second / shards, burst: NOTED.burst / shards };
        let bucket = self.noting.get_or_insert_with(|| TokenBucket::full(rate, io.now_ms()));
        if bucket.take(rate, 1.0, io.now_ms()).is_err() {
            limited_event!(WARN, "registration", "so many attempts that not all are in the log of registrations");
            return None;
        }
        let attempt = Attempt { address: applicant.peer.ip().to_canonical(), reason: reason.to_owned() };
        Some(attempts::append(owner, &attempt, self.noted_us(io)))
    }

    /// The time in microseconds since 1970, another one for each entry of the log, whichever shard makes it.
    pub(super) fn noted_us(&mut self, io: &Io<Shard>) -> u64 {
        let (shard, shards) = (io.shard() as u64, io.shards() as u64);
        let now_us = now_micros();
        self.last_noted_us = (now_us - now_us % shards + shard).max(self.last_noted_us + shards);
        self.last_noted_us
    }

    fn refuse_applicant(&mut self, io: &mut Io<Shard>, applicant: &Applicant, refusal: Refusal) {
        let Way::Page(filled) = &applicant.way else {
            return self.answer_applicant(io, applicant, Answer::Refused(refusal));
        };
        self.refuse_visitor(io, applicant.connection, filled, &refusal);
    }

    /// Answers somebody who has an account now; `waits`: who cannot use it before an administrator says yes.
    pub(super) fn accept_applicant(&mut self, io: &mut Io<Shard>, applicant: &Applicant, waits: bool) {
        match &applicant.way {
            Way::Stream { .. } => self.answer_applicant(io, applicant, Answer::Result(None)),
            Way::Page(filled) => {
                let welcome = if waits { Welcome::Waits } else { Welcome::Registered };
                self.answer_visitor(io, applicant.connection, filled.welcomed(welcome));
            }
        }
    }

    /// Answers somebody whose password was set anew.
    pub(super) fn accept_reset(&mut self, io: &mut Io<Shard>, applicant: &Applicant) {
        match &applicant.way {
            Way::Stream { .. } => self.answer_applicant(io, applicant, Answer::Result(None)),
            Way::Page(filled) => {
                self.answer_visitor(io, applicant.connection, filled.welcomed(Welcome::Reset));
            }
        }
    }

    /// Answers what was asked on a stream.
    pub(super) fn answer_applicant(&mut self, io: &mut Io<Shard>, applicant: &Applicant, answer: Answer) {
        let Way::Stream { id, gets } = &applicant.way else { return };
        let mut reply = Vec::new();
        let (id, domain) = (id.as_deref(), &*applicant.domain);
        match answer {
            Answer::Refused(refusal) | Answer::RefusedBehind(_, refusal) => {
                // Some clients know the answer to a question by what is in it.
                let query = if *gets { format!("<query xmlns='{}'/>", ns::REGISTER) } else { String::new() };
                refusal.write_reply_behind(&mut reply, "iq", id, domain, "", query.as_bytes());
            }
            Answer::Result(payload) => {
                reply.extend_from_slice(b"<iq type='result' from='");
                escape::attribute(&mut reply, domain);
                reply.extend_from_slice(b"' id='");
                escape::attribute(&mut reply, id.unwrap_or_default());
                reply.extend_from_slice(b"'>");
                if let Some(payload) = payload {
                    payload.write_to(&mut reply, ns::CLIENT);
                }
                reply.extend_from_slice(b"</iq>");
            }
            Answer::Payload(_) => {}
        }
        let Some(mut stream) = self.take(applicant.connection) else { return };
        let Phase::Login(negotiation) = &mut stream.phase else { return self.put(stream) };
        let actions = negotiation.on_registration(reply);
        self.act(io, stream, actions);
    }
}
