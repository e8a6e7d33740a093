//! What sessions send, on its way through rules: `preroute` before it is known where it goes, and `deliver` for what
//! ends here, with the sender's own account or the server.

use std::sync::Arc;

use rondel_shards::{ConnectionId, Io};

use super::ground::bare;
use super::kind_of;
use super::passage::{Beginning, Ended, Halted, Whose};
use crate::account::StanzaKind;
use crate::firewall::{Hook, Stanza};
use crate::jid::Jid;
use crate::shard::stream::Stream;
use crate::shard::{End, Shard};
use crate::stream::{Refusal, StanzaCondition};
use crate::xml::{Content, Frame, Scratch, Stamp, namespaces as ns};

/// Where a stanza of a session ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Goal {
    /// With the sender's own account, whatever it does with it.
    Own,
    /// With the server.
    Server,
    /// Where its addressee is at home.
    Home,
}

fn goal(kind: StanzaKind, to: Option<&str>) -> Goal {
    match (kind, to) {
        (StanzaKind::Message(_), None) => Goal::Home,
        (_, None) => Goal::Own,
        (_, Some(to)) if !bare(to).contains('@') => Goal::Server,
        _ => Goal::Home,
    }
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
        let goes_home = goal(kind, to) == Goal::Home;
        let hook = match self.is_filtered(Hook::Preroute, kind) {
            true => Hook::Preroute,
            false if goes_home => return self.dispatch_frame(io, stream, frame, kind),
            false => Hook::Deliver,
        };
        let (bytes, attribute) = (frame.bytes(), frame.kind_attr().map(|kind| kind.decoded()));
        let stanza = Stanza::new(kind_of(kind), bytes, ns::CLIENT, Some(address.as_str()), to, attribute);
        let beginning = Beginning { hook, stanza, bearer: self.bearer(io, key), generation: 0 };
        match self.begin_passage(io, beginning) {
            Err(halted) => {
                self.session_waits(io, stream, halted, kind);
                Ok(())
            }
            Ok(ended) => self.rules_have_ended(io, stream, hook, kind, ended, Some(frame)),
        }
    }

    /// A session sends nothing more until rules have their answer.
    fn session_waits(&mut self, io: &mut Io<Shard>, stream: &mut Stream, halted: Box<Halted>, kind: StanzaKind) {
        let connection = stream.connection;
        stream.waits = true;
        io.pause(connection);
        self.await_answer(io, halted, Whose::Session { connection, kind });
    }

    /// Rules have had their say about a stanza that a session has sent, and which is `frame` if they have not changed
    /// it and did not have to wait.
    fn rules_have_ended(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        hook: Hook,
        kind: StanzaKind,
        ended: Ended<'_>,
        frame: Option<&Frame<'_>>,
    ) -> Result<(), End> {
        let (stanza, is_default) = match ended {
            Ended::Passes(stanza) => (stanza, false),
            Ended::Default(stanza) => (stanza, true),
            Ended::Consumed => {
                let from = stream.session().map(|session| Arc::clone(&session.address));
                let from = from.as_ref().map_or("", |address| address.as_str());
                self.trace(kind, from, "", |_| "kept by the firewall's rules".into());
                return Ok(());
            }
        };
        let goal = goal(kind, stanza.to());
        if hook == Hook::Preroute && goal != Goal::Home && self.is_filtered(Hook::Deliver, kind) {
            let Some(key) = stream.session().map(|session| session.key) else { return Ok(()) };
            let beginning = Beginning { hook: Hook::Deliver, stanza, bearer: self.bearer(io, key), generation: 0 };
            return match self.begin_passage(io, beginning) {
                Err(halted) => {
                    self.session_waits(io, stream, halted, kind);
                    Ok(())
                }
                Ok(ended) => self.rules_have_ended(io, stream, Hook::Deliver, kind, ended, frame),
            };
        }
        if let (Some(frame), None) = (frame, stanza.changed()) {
            if is_default && hook == Hook::Deliver && goal == Goal::Server {
                self.answer_refusal(io, stream, frame, &Refusal::service_unavailable());
                return Ok(());
            }
            return self.dispatch_frame(io, stream, frame, kind);
        }
        let mut scratch = Scratch::default();
        let Some(frame) = scratch.finished(stanza.bytes(), Content::Client) else { return Ok(()) };
        if is_default && hook == Hook::Deliver && goal == Goal::Server {
            self.answer_refusal(io, stream, &frame, &Refusal::service_unavailable());
            return Ok(());
        }
        self.dispatch_frame(io, stream, &frame, kind)
    }

    /// Rules had to wait and have had their say: the session goes on.
    pub(super) fn session_goes_on(
        &mut self,
        io: &mut Io<Shard>,
        connection: ConnectionId,
        hook: Hook,
        kind: StanzaKind,
        ended: Ended<'_>,
    ) {
        let Some(mut stream) = self.take(connection) else { return };
        stream.waits = false;
        let outcome = self.rules_have_ended(io, &mut stream, hook, kind, ended, None);
        if let Err(end) = outcome {
            return self.end(io, stream, end);
        }
        self.put(stream);
        self.let_read(io, connection, |_| {});
    }

    /// Has a stream that ends go without rules that still wait for something about what it has sent.
    pub(in crate::shard) fn without_passage(&mut self, io: &mut Io<Shard>, stream: Box<Stream>) -> Option<Box<Stream>> {
        if self.passages.is_empty() || !stream.waits {
            return Some(stream);
        }
        let connection = stream.connection;
        self.put(stream);
        self.end_passage(io, connection);
        self.take(connection)
    }
}
