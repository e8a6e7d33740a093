//! Sessions whose connection is gone: waiting for their clients, going on with them on another connection
//! (XEP-0198 §5), and what becomes of what was not acknowledged when nobody comes (XEP-0198 §4).

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rondel_shards::{ConnectionId, Io};
use slotmap::{Key as _, KeyData};

use super::archiving::facts;
use super::give::What;
use super::login::negotiation_of;
use super::offline::Leftover;
use super::stream::{Established, Stream};
use super::{End, Shard};
use crate::account::delay::Delay;
use crate::account::{Decision, Direction, Returning, Session, SessionKey, StanzaKind, Traits, decide};
use crate::jid::Jid;
use crate::logging::About;
use crate::session_event;
use crate::stream::management::{Failure, Fate, Memo, Resume, ResumptionId, Stored, write_failed, write_resumed};
use crate::stream::{Action, Refusal, StreamError};
use crate::xml::{Content, Scratch, attributes};

/// Sessions that are over whose count is remembered, so that their clients know what has arrived.
const REMEMBERED_MAX: usize = 1024;

/// Sessions that wait for their clients, and some that have waited in vain.
#[derive(Default)]
pub(super) struct Waiting {
    /// How many wait.
    count: usize,
    /// From how many bytes that are not acknowledged on room is made again; zero: from the limit on.
    room_from: usize,
    /// Those that are over, with the number of the last stanza that was handled.
    over: VecDeque<(ResumptionId, u32)>,
}

impl Waiting {
    /// Sessions that wait for their clients.
    pub(super) fn len(&self) -> usize {
        self.count
    }
}

impl Shard {
    /// A session's connection is gone: the session waits for its client, if it may. Whether it does.
    pub(super) fn hibernate(&mut self, io: &mut Io<Shard>, key: SessionKey) -> bool {
        if io.is_shutting_down() || self.waiting.count >= self.settings.management.waiting_max {
            return false;
        }
        let Some(session) = self.accounts.session_mut(key) else { return false };
        let Some(managed) = &mut session.managed else { return false };
        let Some(resumption) = &managed.resumption else { return false };
        let within_ms = u64::from(resumption.within_s) * 1000;
        managed.waits_until_ms = io.now_ms() + within_ms.max(1);
        managed.alarm_ms = 0;
        managed.is_held_back = false;
        let is_timed = std::mem::replace(&mut managed.is_timed, true);
        session.connection = None;
        self.waiting.count += 1;
        // What has waited for the client to be active was never sent.
        let has_room = self.let_out(io, key);
        if let Some(session) = self.accounts.session_mut(key) {
            session.held = None;
            if let Some(managed) = &mut session.managed {
                managed.outbound.disconnected();
            }
        }
        if !is_timed {
            io.schedule(Duration::from_millis(within_ms), key.data().as_ffi());
        }
        has_room
    }

    /// A timer of a session that waited for its client has fired.
    pub(super) fn waited(&mut self, io: &mut Io<Shard>, token: u64) {
        let key = SessionKey::from(KeyData::from_ffi(token));
        let Some(session) = self.accounts.session_mut(key) else { return };
        let Some(managed) = &mut session.managed else { return };
        managed.is_timed = false;
        if managed.waits_until_ms == 0 {
            return;
        }
        let left_ms = managed.waits_until_ms.saturating_sub(io.now_ms());
        if left_ms > 0 {
            managed.is_timed = true;
            return io.schedule(Duration::from_millis(left_ms), token);
        }
        self.give_up(io, key, "the client has not come back");
    }

    /// Ends a session that waits for its client.
    pub(super) fn give_up(&mut self, io: &mut Io<Shard>, key: SessionKey, reason: &str) {
        let Some(session) = self.accounts.session(key) else { return };
        let address = Arc::clone(&session.address);
        let about = About { shard: io.shard(), connection: 0, address: None, account: Some(address.bare()) };
        session_event!(INFO, "session", about, reason = reason, "session ends");
        self.leave(io, key);
    }

    /// Whether more is unacknowledged than should be, and some of it may be of sessions that wait for their clients.
    pub(super) fn is_room_wanted(&self) -> bool {
        let (bytes, most) = (self.unacknowledged.bytes(), self.settings.management.outbound.total_max);
        bytes > most / 8 * 7 && bytes >= self.waiting.room_from && self.waiting.count > 0
    }

    /// Ends of the sessions that wait for their clients those that hold most, until there is room for more: what they
    /// have not acknowledged goes to disk. Clients that are there are not touched.
    pub(super) fn make_room(&mut self, io: &mut Io<Shard>) {
        let most = self.settings.management.outbound.total_max;
        if self.unacknowledged.bytes() <= most / 8 * 7 {
            self.waiting.room_from = 0;
        }
        if !self.is_room_wanted() {
            return;
        }
        let waiting = self.accounts.all_sessions().filter_map(|(key, session)| {
            let managed = session.managed.as_ref().filter(|managed| managed.waits_until_ms != 0)?;
            Some((managed.outbound.bytes(), key))
        });
        let mut waiting: Vec<_> = waiting.filter(|(bytes, _)| *bytes > 0).collect();
        waiting.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
        for (_, key) in waiting {
            if self.unacknowledged.bytes() <= most / 4 * 3 {
                break;
            }
            self.give_up(io, key, "too much is unacknowledged");
        }
        // Not to look again for what is not there.
        self.waiting.room_from = self.unacknowledged.bytes() + most / 8;
    }

    /// A client wants to go on with a session. What is answered; nothing yet if it has to wait.
    pub(super) fn resume(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        account: &Jid<'_>,
        resume: Resume<'_>,
    ) -> Result<Vec<Action>, End> {
        let is_it = |session: &Session| {
            let resumption = session.managed.as_ref().and_then(|managed| managed.resumption.as_ref());
            resumption.is_some_and(|resumption| resumption.id.is(&resume.previous))
        };
        let found = self.accounts.sessions(account.bare()).find(|(_, session)| is_it(session)).map(|(key, _)| key);
        let Some(key) = found else {
            let over = self.waiting.over.iter().find(|(id, _)| id.is(&resume.previous));
            let mut failed = Vec::new();
            write_failed(&mut failed, Failure::ItemNotFound, over.map(|(_, h)| *h));
            return Ok(negotiation_of(stream).on_resumed(Err(failed)));
        };
        self.part_from_connection(io, key);
        let Some(managed) = self.accounts.session_mut(key).and_then(|session| session.managed.as_mut()) else {
            return Err(End::Error(StreamError::internal_server_error("")));
        };
        let returning =
            Returning { connection: stream.connection, previous: resume.previous.into_owned(), h: resume.h };
        if let Some(before) = managed.returning.replace(Box::new(returning))
            && let Some(other) = self.take(before.connection)
        {
            self.end(io, other, End::Error(taken_over()));
        }
        self.try_to_resume(io, stream, key)
    }

    /// The client of a session has come back while the server still believes it elsewhere.
    fn part_from_connection(&mut self, io: &mut Io<Shard>, key: SessionKey) {
        let Some(connection) = self.accounts.session(key).and_then(|session| session.connection) else { return };
        if !self.hibernate(io, key)
            && let Some(session) = self.accounts.session_mut(key)
        {
            // It is one more than may wait, but does not for long.
            session.connection = None;
        }
        if let Some(old) = self.take(connection) {
            self.end(io, old, End::Error(taken_over()));
        }
    }

    /// Goes on with a session if what its client has sent is safe; otherwise that is waited for.
    fn try_to_resume(&mut self, io: &mut Io<Shard>, stream: &mut Stream, key: SessionKey) -> Result<Vec<Action>, End> {
        let Some(session) = self.accounts.session_mut(key) else { return Ok(Vec::new()) };
        let account = session.address.bare().to_owned();
        let Some(managed) = &mut session.managed else { return Ok(Vec::new()) };
        let Some(h) = managed.inbound.resumed() else { return Ok(Vec::new()) };
        let Some(returning) = managed.returning.take() else { return Ok(Vec::new()) };
        let mut done = Vec::new();
        let outcome = managed.outbound.acknowledge(returning.h, |each| {
            if each.memo.stored == Stored::Offline {
                done.push(each.memo.at_us);
            }
        });
        if let Err(error) = outcome {
            // Whatever the client has counted, it was not this session.
            self.give_up(io, key, "the client has acknowledged more than it was sent");
            return Err(End::Error(error.error()));
        }
        if managed.waits_until_ms != 0 {
            managed.waits_until_ms = 0;
            self.waiting.count = self.waiting.count.saturating_sub(1);
        }
        session.connection = Some(stream.connection);
        stream.resumes = Some(key);
        self.has_arrived(&account, &done);
        let mut resumed = Vec::new();
        write_resumed(&mut resumed, &returning.previous, h);
        Ok(negotiation_of(stream).on_resumed(Ok(resumed)))
    }

    /// What a session's client has sent is safe, perhaps all of it: the client may be waiting for that.
    pub(super) fn resume_returning(&mut self, io: &mut Io<Shard>, key: SessionKey) {
        let managed = self.accounts.session(key).and_then(|session| session.managed.as_ref());
        let Some(connection) = managed.and_then(|managed| managed.returning.as_ref()).map(|it| it.connection) else {
            return;
        };
        let Some(mut stream) = self.take(connection) else { return };
        match self.try_to_resume(io, &mut stream, key) {
            Ok(actions) if actions.is_empty() => self.put(stream),
            Ok(actions) => self.act(io, stream, actions),
            Err(end) => self.end(io, stream, end),
        }
    }

    /// The client knows that its session goes on: what it has missed follows.
    pub(super) fn resumed(&mut self, io: &mut Io<Shard>, stream: &mut Stream) -> Result<(), End> {
        let key = stream.resumes.take();
        let found = key.and_then(|key| Some((key, self.accounts.session(key)?)));
        let Some((key, session)) = found.filter(|(_, session)| session.connection == Some(stream.connection)) else {
            return Err(End::Error(StreamError::internal_server_error("")));
        };
        let address = Arc::clone(&session.address);
        self.enters(io, stream, Established::new(key, address, true));
        stream.basis = None;
        let idle = self.settings.idle_timeout;
        io.set_deadline(stream.connection, (!idle.is_zero()).then_some(idle));
        let managed = self.accounts.session(key).and_then(|session| session.managed.as_ref());
        if let (Some(managed), Ok(out)) = (managed, io.outbox(stream.connection)) {
            managed.outbound.unacknowledged().for_each(|each| out.extend_from_slice(each.stanza));
        }
        self.touch(key);
        session_event!(INFO, "session", self.about(io, stream), "session goes on");
        Ok(())
    }

    /// A session is over: what it has not acknowledged goes to the account's other resources, to the store, or back to
    /// whoever has asked (XEP-0198 §4).
    pub(super) fn leave_behind(&mut self, io: &mut Io<Shard>, session: &mut Session) {
        let Some(managed) = session.managed.take() else { return };
        let managed = *managed;
        if managed.waits_until_ms != 0 {
            self.waiting.count = self.waiting.count.saturating_sub(1);
        }
        if let Some(resumption) = managed.resumption {
            self.waiting.over.truncate(REMEMBERED_MAX - 1);
            self.waiting.over.push_front((resumption.id, managed.inbound.h()));
        }
        if let Some(mut stream) = managed.returning.and_then(|returning| self.take(returning.connection)) {
            let mut failed = Vec::new();
            write_failed(&mut failed, Failure::ItemNotFound, Some(managed.inbound.h()));
            let actions = negotiation_of(&mut stream).on_resumed(Err(failed));
            self.act(io, stream, actions);
        }
        let priority = session.presence.as_ref().map_or(-1, |presence| presence.priority);
        let account = session.address.bare();
        let mut left = Vec::new();
        let mut is_waiting_left = false;
        for each in managed.outbound.unacknowledged() {
            match each.memo.fate {
                Fate::Forget => {}
                Fate::Bounce => self.send_back(io, account, each.stanza),
                // It is still there.
                Fate::Redeliver if each.memo.stored == Stored::Offline => is_waiting_left = true,
                Fate::Redeliver => left.extend(self.redeliver(io, account, priority, each.stanza, each.memo)),
            }
        }
        self.store_left(io, account, left);
        if is_waiting_left {
            self.give_waiting_again(io, account);
        }
    }

    fn send_back(&mut self, io: &mut Io<Shard>, account: &str, stanza: &[u8]) {
        let mut scratch = Scratch::default();
        let Some(frame) = scratch.finished(stanza, Content::Client) else { return };
        let Some(kind) = super::input::kind_of(&frame) else { return };
        let [from, to, id] = attributes(stanza, ["from", "to", "id"]);
        let (Some(from), to) = (from, to.as_deref().unwrap_or(account)) else { return };
        self.refuse(io, kind, &from, to, id.as_deref(), &Refusal::service_unavailable());
    }

    /// Gives a message to those other resources that have not got it. It comes back if there is nobody to get it.
    fn redeliver(
        &mut self,
        io: &mut Io<Shard>,
        account: &str,
        priority: i8,
        stanza: &[u8],
        memo: Memo,
    ) -> Option<Leftover> {
        let mut scratch = Scratch::default();
        let frame = scratch.finished(stanza, Content::Client)?;
        let kind @ StanzaKind::Message(message) = super::input::kind_of(&frame)? else { return None };
        let traits = Traits::of(&frame);
        let [from, to] = attributes(stanza, ["from", "to"]);
        let (from, to) = (from?, to.unwrap_or_else(|| account.to_owned()));
        let facts = facts(message, traits, Direction::Received, &from, &to);
        let sessions = self.accounts.sessions(account);
        let decision = decide(StanzaKind::Message(message), None, sessions.clone().map(|(_, session)| session.state()));
        let Decision::ToPriority(most) = decision else {
            self.trace(kind, &from, &to, |_| "not acknowledged, and nobody else is there: waits".into());
            return Some(Leftover { number: memo.at_us, stored: memo.stored, facts, stanza: stanza.into() });
        };
        let is_next = |session: &Session| {
            let state = session.state();
            state.available && state.priority == most && !session.has_got(memo.at_us, !facts.to_full, priority)
        };
        let what = What { kind, traits, copy: None, stored: memo.stored, at_us: Some(memo.at_us) };
        let next: Vec<SessionKey> = sessions.filter(|(_, session)| is_next(session)).map(|(key, _)| key).collect();
        let domain = account.rsplit_once('@').map(|(_, domain)| domain);
        let delay = Delay { from: domain, at_us: memo.at_us, reason: "" };
        self.trace(kind, &from, &to, |shard| {
            format!("not acknowledged: goes to those who have not got it: {}", shard.names(&next, &what))
        });
        for key in next {
            self.give(io, key, what, |out| {
                let start = out.len();
                out.extend_from_slice(stanza);
                if !traits.has(Traits::DELAY) {
                    delay.append_to(out, start);
                }
            });
        }
        None
    }

    /// Goes on reading from a connection, once nothing else keeps it.
    pub(super) fn let_read(&mut self, io: &mut Io<Shard>, connection: ConnectionId, clear: impl FnOnce(&mut Stream)) {
        let Some(mut stream) = self.take(connection) else { return };
        clear(&mut stream);
        if !stream.waits && !stream.is_held_back {
            io.resume(connection);
        }
        self.put(stream);
    }
}

/// What the other stream of a session hears that goes on elsewhere.
fn taken_over() -> StreamError {
    StreamError::conflict("the session goes on elsewhere")
}
