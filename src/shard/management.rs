//! Stream management of the sessions here (XEP-0198), but for what happens when a connection is gone: the elements
//! that are no stanzas, and what is due when a turn ends. Client state (XEP-0352) and the switch of carbons
//! (XEP-0280), which are as small, are beside.

use std::time::Duration;

use rondel_shards::Io;
use rondel_storage::{WriteRequest, offline as stored};

use super::roster::now_micros;
use super::stream::{Phase, Stream};
use super::ticket::Behalf;
use super::{End, Shard};
use crate::account::{Managed, SessionKey};
use crate::service::Answer;
use crate::stream::management::{
    Enable, Failure, Misuse, Nonza, Stored, write_acknowledgement, write_failed, write_request,
};
use crate::stream::{Refusal, StreamError};
use crate::xml::{Element, Frame};

/// How often what a turn's end has led to is looked at again; what is left waits for the next turn.
const ROUNDS: usize = 4;

impl Shard {
    /// Counts a stanza of a session, which is about to be handled.
    pub(super) fn count(&mut self, stream: &Stream) {
        self.begin_behalf(Behalf::Nobody);
        let Some(bound) = stream.session().filter(|bound| bound.is_managed) else { return };
        let Some(managed) = self.accounts.session_mut(bound.key).and_then(|session| session.managed.as_mut()) else {
            return;
        };
        let sequence = managed.inbound.received();
        self.begin_behalf(Behalf::Stanza(bound.key, sequence));
        self.touch(bound.key);
    }

    /// A stanza of a session was handled: what follows is nobody's. Whether more may be read from the session.
    pub(super) fn counted(&mut self, io: &mut Io<Shard>, stream: &mut Stream) {
        self.begin_behalf(Behalf::Nobody);
        let Some(bound) = stream.session().filter(|bound| bound.is_managed) else { return };
        let managed = self.accounts.session(bound.key).and_then(|session| session.managed.as_ref());
        if managed.is_some_and(|managed| managed.is_held_back) {
            stream.is_held_back = true;
            io.pause(stream.connection);
        }
    }

    /// Has a session looked at when the turn ends.
    pub(super) fn touch(&mut self, key: SessionKey) {
        if let Some(managed) = self.accounts.session_mut(key).and_then(|session| session.managed.as_mut())
            && !std::mem::replace(&mut managed.is_touched, true)
        {
            self.touched.push(key);
        }
    }

    /// Whether there is something to be done when the turn ends.
    pub(super) fn is_turn_end_wanted(&self) -> bool {
        !self.touched.is_empty()
            || !self.gathered.is_empty()
            || !self.appends.is_empty()
            || self.tickets.have_returned()
            || self.is_room_wanted()
    }

    /// The turn ends: what it has gathered goes to the storage, tickets to their sessions, acknowledgements and
    /// requests for them to clients.
    pub(super) fn turn_ended(&mut self, io: &mut Io<Shard>) {
        self.begin_behalf(Behalf::Nobody);
        for _ in 0..ROUNDS {
            self.write_gathered(io);
            self.return_tickets(io);
            for key in std::mem::take(&mut self.touched) {
                self.look_at(io, key);
            }
            self.end_doomed(io);
            self.make_room(io);
            if !self.is_turn_end_wanted() {
                break;
            }
        }
    }

    fn look_at(&mut self, io: &mut Io<Shard>, key: SessionKey) {
        let now_ms = io.now_ms();
        let limits = &self.settings.management;
        let Some(session) = self.accounts.session_mut(key) else { return };
        let (Some(managed), is_inactive) = (&mut session.managed, session.held.is_some()) else { return };
        managed.is_touched = false;
        let Some(connection) = session.connection else { return };
        let due = managed.inbound.due(&limits.inbound);
        let asks = managed.outbound.request_due(&limits.outbound, now_ms, is_inactive);
        if (due.is_some() || asks)
            && let Ok(out) = io.outbox(connection)
        {
            due.into_iter().for_each(|h| write_acknowledgement(out, h));
            if asks {
                write_request(out);
            }
        }
        let Some(deadline_ms) = managed.outbound.deadline_ms(&limits.outbound) else { return };
        if managed.alarm_ms == 0 || deadline_ms < managed.alarm_ms {
            managed.alarm_ms = deadline_ms;
            io.set_deadline(connection, Some(Duration::from_millis(deadline_ms.saturating_sub(now_ms).max(1))));
        }
    }

    /// The deadline of a managed session has passed. Answers when the next one is, or that the client is not there any
    /// more.
    pub(super) fn look_after_management(&mut self, io: &mut Io<Shard>, key: SessionKey) -> Result<Option<u64>, End> {
        let limits = self.settings.management.outbound;
        let Some(managed) = self.accounts.session_mut(key).and_then(|session| session.managed.as_mut()) else {
            return Ok(None);
        };
        managed.alarm_ms = 0;
        if managed.outbound.is_overdue(&limits, io.now_ms()) {
            return Err(End::Silent);
        }
        self.look_at(io, key);
        let managed = self.accounts.session(key).and_then(|session| session.managed.as_ref());
        Ok(managed.map(|managed| managed.alarm_ms).filter(|&alarm_ms| alarm_ms != 0))
    }

    /// A ticket has come back for a stanza of a session here.
    pub(super) fn released(&mut self, io: &mut Io<Shard>, key: SessionKey, sequence: u32) {
        let limits = &self.settings.management.inbound;
        let Some(session) = self.accounts.session_mut(key) else { return };
        let Some(managed) = &mut session.managed else { return };
        managed.inbound.release(sequence);
        let goes_on = managed.is_held_back && managed.inbound.may_read(limits);
        managed.is_held_back &= !goes_on;
        let (connection, returns) = (session.connection, managed.returning.is_some());
        self.touch(key);
        if returns {
            self.resume_returning(io, key);
        } else if goes_on && let Some(connection) = connection {
            self.let_read(io, connection, |stream| stream.is_held_back = false);
        }
    }

    /// An element of stream management, in a session's stream.
    pub(super) fn nonza(&mut self, io: &mut Io<Shard>, stream: &mut Stream, frame: &Frame<'_>) -> Result<(), End> {
        let Phase::Bound(bound) = &mut stream.phase else { return Ok(()) };
        let key = bound.key;
        let nonza = match Nonza::read(frame) {
            Some(Ok(nonza)) => nonza,
            Some(Err(Misuse::Stream(error))) => return Err(End::Error(error)),
            Some(Err(Misuse::Failed(failure))) => {
                self.fail(io, key, failure);
                return Ok(());
            }
            None => return Ok(()),
        };
        if let Nonza::Enable(enable) = &nonza
            && !bound.is_managed
        {
            let mut answer = Vec::new();
            bound.is_managed = self.enable(key, *enable, &mut answer);
            if let Some(out) = self.outbox(io, key) {
                out.extend_from_slice(&answer);
            }
            return Ok(());
        }
        let Some(session) = self.accounts.session_mut(key) else { return Ok(()) };
        match (nonza, &mut session.managed) {
            (Nonza::Request, Some(managed)) => {
                let h = managed.inbound.requested();
                if let Some(out) = self.outbox(io, key) {
                    write_acknowledgement(out, h);
                }
            }
            (Nonza::Acknowledgement(h), Some(managed)) => {
                let mut done = Vec::new();
                let outcome = managed.outbound.acknowledge(h, |each| {
                    if each.memo.stored == Stored::Offline {
                        done.push(each.memo.at_us);
                    }
                });
                outcome.map_err(|error| End::Error(error.error()))?;
                let account = session.address.bare().to_owned();
                self.has_arrived(&account, &done);
            }
            (Nonza::Request | Nonza::Acknowledgement(_) | Nonza::Enable(_) | Nonza::Resume(_), _) => {
                self.fail(io, key, Failure::UnexpectedRequest);
            }
        }
        Ok(())
    }

    /// Messages that have waited are with the client for good: they can go from the store.
    pub(super) fn has_arrived(&mut self, account: &str, numbers: &[u64]) {
        let Some(owner) = self.owner_of(account).filter(|_| !numbers.is_empty()) else { return };
        if let Some(account) = self.accounts.account_mut(account) {
            account.waiting = None;
        }
        self.gather(None, stored::remove(WriteRequest::new(owner), numbers));
    }

    fn fail(&mut self, io: &mut Io<Shard>, key: SessionKey, failure: Failure) {
        if let Some(out) = self.outbox(io, key) {
            write_failed(out, failure, None);
        }
    }

    /// Switches stream management on for a session, and appends the answer. Whether it is on now.
    pub(super) fn enable(&mut self, key: SessionKey, enable: Enable, answer: &mut Vec<u8>) -> bool {
        let Some(session) = self.accounts.session_mut(key) else { return false };
        // Whoever logs in as nobody is somebody else the next time.
        let may_resume = !self.settings.is_anonymous(session.address.bare());
        let managed = Managed::enable(enable, may_resume, &self.settings.management, &self.unacknowledged, answer);
        session.managed = Some(Box::new(managed));
        true
    }

    /// `<active/>` or `<inactive/>` (XEP-0352 §4).
    pub(super) fn client_state(&mut self, io: &mut Io<Shard>, key: SessionKey, frame: &Frame<'_>) -> Result<(), End> {
        match frame.name() {
            "inactive" => self.set_inactive(key),
            "active" => {
                self.let_out(io, key);
                if let Some(session) = self.accounts.session_mut(key) {
                    session.held = None;
                }
            }
            _ => return Err(End::Error(StreamError::unsupported_stanza_type("no state of a client"))),
        }
        Ok(())
    }

    /// A client is not looked at from now on.
    pub(super) fn set_inactive(&mut self, key: SessionKey) {
        if let Some(session) = self.accounts.session_mut(key) {
            session.held.get_or_insert_default();
        }
        // What it has not been asked for is asked for while it is awake.
        self.touch(key);
    }

    /// Switches carbons on or off for a session (XEP-0280 §4, §5).
    pub(super) fn switch_carbons(&mut self, key: SessionKey, payload: &Element) -> Answer {
        let Some(session) = self.accounts.session_mut(key) else { return Answer::Result(None) };
        match &*payload.name {
            "enable" => drop(session.carbons_since_us.get_or_insert_with(now_micros)),
            "disable" => session.carbons_since_us = None,
            _ => return Answer::Refused(Refusal::bad_request()),
        }
        Answer::Result(None)
    }
}
