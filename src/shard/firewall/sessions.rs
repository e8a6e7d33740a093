//! What sessions send, on its way through rules: `preroute` before it is known where it goes, and `deliver` for what
//! ends here, with the sender's own account or the server.

use std::sync::Arc;

use rondel_shards::{ConnectionId, Io};

use super::kind_of;
use super::passage::{Beginning, Ending, Whose};
use crate::account::StanzaKind;
use crate::firewall::{Hook, Outcome, Stanza};
use crate::jid::{Jid, bare_of};
use crate::shard::stream::Stream;
use crate::shard::{End, Shard};
use crate::stream::{Refusal, StanzaCondition};
use crate::xml::{Content, Frame, Scratch, Stamp, namespaces as ns};

/// Where a stanza of a session ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Goal {
    /// With the sender's own account, whatever it does with it.
    Own,
    /// With the server.
    Server,
    /// Where its addressee is at home.
    Home,
}

/// `is_addressed`: whether it names an addressee, perhaps the own account; `to` is none then.
fn goal(kind: StanzaKind, is_addressed: bool, to: Option<&str>, serves: impl Fn(&str) -> bool) -> Goal {
    match (kind, to) {
        (StanzaKind::Message(_), None) => Goal::Home,
        (StanzaKind::Presence(_), None) if is_addressed => Goal::Home,
        (_, None) => Goal::Own,
        (_, Some(to)) if serves(bare_of(to)) => Goal::Server,
        _ => Goal::Home,
    }
}

/// Whether it can be told at one look that a stanza ends where its addressee is at home: it is a message for an
/// account, perhaps the own one.
fn leaves_surely(frame: &Frame<'_>, kind: StanzaKind) -> bool {
    matches!(kind, StanzaKind::Message(_))
        && frame.to().is_some_and(|to| {
            let first = to.as_written().iter().find(|byte| matches!(byte, b'@' | b'/' | b'&'));
            first == Some(&b'@')
        })
}

/// What is known of a stanza of a session while rules look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub connection: ConnectionId,
    pub kind: StanzaKind,
    pub goal: Goal,
}

impl Shard {
    /// A stanza of a session passes the rules that there are for it, and goes on.
    pub(in crate::shard) fn filter_frame(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        frame: &Frame<'_>,
        kind: StanzaKind,
    ) -> Result<(), End> {
        if !self.is_filtered(Hook::Preroute, kind) && leaves_surely(frame, kind) {
            return self.dispatch_frame(io, stream, frame, kind);
        }
        let Some(session) = stream.session() else { return Ok(()) };
        let (key, address) = (session.key, Arc::clone(&session.address));
        if frame.takes_from_header() {
            // Rules see the stanza alone.
            let mut whole = Vec::new();
            frame.write_stamped(&mut whole, &Stamp { from: None, to: None, lang: stream.lang.as_deref() });
            let mut scratch = Scratch::default();
            let Some(frame) = scratch.finished(&whole, Content::Client) else { return Ok(()) };
            return self.filter_frame(io, stream, &frame, kind);
        }
        let to = frame.to().map(|to| to.decoded());
        let Ok(to) = to.as_deref().map(Jid::parse).transpose() else {
            self.answer_error(io, stream, frame, StanzaCondition::JidMalformed);
            return Ok(());
        };
        let to = to.as_ref().map(Jid::as_str).filter(|to| *to != address.bare());
        let goal = goal(kind, frame.to().is_some(), to, |domain| self.settings.serves(domain));
        let sent = Sent { connection: stream.connection, kind, goal };
        let hook = match self.is_filtered(Hook::Preroute, kind) {
            true => Hook::Preroute,
            false if goal == Goal::Home => return self.dispatch_frame(io, stream, frame, kind),
            false => Hook::Deliver,
        };
        let (bytes, attribute) = (frame.bytes(), frame.kind_attr().map(|kind| kind.decoded()));
        let stanza = Stanza::new(kind_of(kind), bytes, ns::CLIENT, Some(address.as_str()), to, attribute);
        let bearer = self.bearer_for(io, key, to);
        self.judge_frame(io, stream, sent, Beginning { hook, bearer, generation: 0 }, stanza, Some(frame))
    }

    /// Runs rules on what a session has sent, which sends nothing more until they have their answers.
    fn judge_frame(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        sent: Sent,
        beginning: Beginning,
        mut stanza: Stanza<'_>,
        frame: Option<&Frame<'_>>,
    ) -> Result<(), End> {
        let hook = beginning.hook;
        match self.begin_passage(io, beginning, &mut stanza) {
            Ok(outcome) => self.rules_have_ended(io, stream, (hook, sent), (outcome, stanza), frame),
            Err(halted) => {
                stream.waits = true;
                io.pause(stream.connection);
                self.await_answer(io, halted, Whose::Session(sent));
                Ok(())
            }
        }
    }

    /// Rules have had their say about a stanza that a session has sent, and which is `frame` if they have not changed
    /// it and did not have to wait.
    fn rules_have_ended(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        (hook, sent): (Hook, Sent),
        (outcome, stanza): (Outcome, Stanza<'_>),
        frame: Option<&Frame<'_>>,
    ) -> Result<(), End> {
        let Sent { kind, goal, .. } = sent;
        if outcome == Outcome::Consumed {
            let from = stream.session().map(|session| Arc::clone(&session.address));
            let from = from.as_ref().map_or("", |address| address.as_str());
            self.trace(kind, from, "", |_| "kept by the firewall's rules".into());
            return Ok(());
        }
        if hook == Hook::Preroute && goal != Goal::Home && self.is_filtered(Hook::Deliver, kind) {
            let Some(key) = stream.session().map(|session| session.key) else { return Ok(()) };
            let beginning = Beginning { hook: Hook::Deliver, bearer: self.bearer(io, key), generation: 0 };
            return self.judge_frame(io, stream, sent, beginning, stanza, frame);
        }
        let mut scratch = Scratch::default();
        let again;
        let frame = match frame.filter(|_| stanza.changed().is_none()) {
            Some(frame) => frame,
            None => {
                let Some(read) = scratch.finished(stanza.bytes(), Content::Client) else { return Ok(()) };
                again = read;
                &again
            }
        };
        if outcome == Outcome::Default && hook == Hook::Deliver && goal == Goal::Server {
            self.answer_refusal(io, stream, frame, &Refusal::service_unavailable());
            return Ok(());
        }
        self.dispatch_frame(io, stream, frame, kind)
    }

    /// Rules had to wait and have had their say: the session goes on.
    pub(super) fn session_goes_on(
        &mut self,
        io: &mut Io<Shard>,
        hook: Hook,
        sent: Sent,
        outcome: Outcome,
        stanza: Stanza<'_>,
    ) {
        let Some(mut stream) = self.take(sent.connection) else { return };
        stream.waits = false;
        if let Err(end) = self.rules_have_ended(io, &mut stream, (hook, sent), (outcome, stanza), None) {
            return self.end(io, stream, end);
        }
        self.put(stream);
        self.let_read(io, sent.connection, |_| {});
    }

    /// The same of a stream that has to end.
    pub(super) fn ending_goes_on(
        &mut self,
        io: &mut Io<Shard>,
        hook: Hook,
        ending: Ending,
        outcome: Outcome,
        stanza: Stanza<'_>,
    ) {
        let Ending { sent, mut stream, end } = ending;
        stream.waits = false;
        // It ends for another reason already, or has.
        let _ = self.rules_have_ended(io, &mut stream, (hook, sent), (outcome, stanza), None);
        if let Some(end) = end {
            self.end(io, stream, end);
        }
    }

    /// Has a stream end only when rules have had their say about what it has sent last. It comes back if there is
    /// nothing of that kind, or if nobody waits: when the server ends, and for one that another takes the place of.
    pub(in crate::shard) fn end_behind_rules(
        &mut self,
        io: &mut Io<Shard>,
        stream: Box<Stream>,
        end: End,
    ) -> Option<(Box<Stream>, End)> {
        if self.passages.is_empty() || !stream.waits || io.is_shutting_down() || end.is_replacement() {
            return Some((stream, end));
        }
        let (stream, end) = self.end_with_passage(stream, Some(end))?;
        end.map(|end| (stream, end))
    }

    /// A stream has ended: what it has sent last goes on without it when rules have had their say.
    pub(in crate::shard) fn ended_before_rules(&mut self, stream: Box<Stream>) {
        if stream.waits && !self.passages.is_empty() {
            self.end_with_passage(stream, None);
        }
    }
}
