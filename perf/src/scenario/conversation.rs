//! The load of `chat`: sessions in pairs that send to each other.

use crate::client::board::{Board, Phase};
use crate::client::outbox::{Outbox, Slot};
use crate::client::worker::{Bound, Load};
use crate::xmpp::element;
use crate::xmpp::message::{self, Stamp, Template};

use std::sync::atomic::Ordering::Relaxed;

/// When a session sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sending {
    /// So many messages of each session are under way at any time: the next is sent when one arrives.
    Window(u32),
    /// One message of some session every so many nanoseconds, whatever becomes of the others.
    Every(u64),
}

/// Messages sent in one turn at most, lest a client that fell behind no longer reads.
const TURN_MESSAGES_MAX: u32 = 4096;

/// The conversations of one worker.
pub struct Conversations {
    sending: Sending,
    size: usize,
    raw: bool,
    sessions: Vec<Session>,
    phase: Phase,
    started: bool,
    /// Of [`Sending::Every`]: when the next message is due, and whose it is.
    due_ns: u64,
    turn_of: Slot,
    sent: u64,
    delivered: u64,
    latencies_ns: Vec<u64>,
    failure: Option<String>,
}

#[derive(Default)]
struct Session {
    jid: Option<String>,
    /// To the other one of the pair.
    template: Option<Template>,
    sent: u64,
    received: u64,
}

impl Conversations {
    /// Messages of `size` bytes; chunks in place of stanzas if `raw`.
    pub fn new(sending: Sending, size: usize, raw: bool) -> Self {
        Self {
            sending,
            size,
            raw,
            sessions: Vec::new(),
            phase: Phase::Connect,
            started: false,
            due_ns: 0,
            turn_of: 0,
            sent: 0,
            delivered: 0,
            latencies_ns: Vec::new(),
            failure: None,
        }
    }

    fn send(&mut self, slot: Slot, sent_ns: u64, outbox: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(slot) else { return };
        if let Some(template) = &mut session.template {
            template.write(Stamp { sequence: session.sent, sent_ns }, outbox.of(slot));
            session.sent += 1;
            self.sent += 1;
        }
    }

    /// Gives a session the message that it will send, once the other one's address is known.
    fn introduce(&mut self, slot: Slot) {
        let Some(jid) = self.sessions.get(slot ^ 1).and_then(|other| other.jid.as_deref()) else { return };
        match Template::new(jid, self.size) {
            Ok(template) => self.sessions[slot].template = Some(template),
            Err(least) => self.failure = Some(format!("--size {}: a message takes at least {least} bytes", self.size)),
        }
    }

    fn start(&mut self, now_ns: u64, outbox: &mut Outbox) {
        self.started = true;
        self.due_ns = now_ns;
        if let Sending::Window(window) = self.sending {
            for slot in 0..self.sessions.len() {
                for _ in 0..window {
                    self.send(slot, now_ns, outbox);
                }
            }
        }
    }

    /// Sends what is due, stamped with the moment it was due: a message that the client or the server delayed is late
    /// by the whole delay.
    fn send_due(&mut self, interval_ns: u64, now_ns: u64, outbox: &mut Outbox) {
        for _ in 0..TURN_MESSAGES_MAX {
            if self.due_ns > now_ns || self.sessions.is_empty() {
                return;
            }
            self.send(self.turn_of, self.due_ns, outbox);
            self.turn_of = (self.turn_of + 1) % self.sessions.len();
            self.due_ns += interval_ns;
        }
    }
}

impl Load for Conversations {
    fn bound(&mut self, slot: Slot, session: Bound<'_>, _: &mut Outbox) {
        if slot >= self.sessions.len() {
            self.sessions.resize_with(slot + 1, Session::default);
        }
        self.sessions[slot].jid = Some(session.jid.to_owned());
        self.introduce(slot);
        if (slot ^ 1) < self.sessions.len() {
            self.introduce(slot ^ 1);
        }
    }

    fn received(&mut self, slot: Slot, stanza: &[u8], now_ns: u64, outbox: &mut Outbox) -> Result<(), String> {
        let Some(stamp) = message::stamp(stanza) else {
            return if self.raw { Err("the relay delivered something else than was sent".to_owned()) } else { Ok(()) };
        };
        if element::is_error(stanza) {
            return Err(format!("a message came back: {}", element::error_condition(stanza)));
        }
        let Some(session) = self.sessions.get_mut(slot) else { return Ok(()) };
        if stamp.sequence != session.received {
            return Err(format!("message {} arrived where {} was due", stamp.sequence, session.received));
        }
        session.received += 1;
        self.delivered += 1;
        if self.phase == Phase::Measure {
            self.latencies_ns.push(now_ns.saturating_sub(stamp.sent_ns));
        }
        if matches!(self.sending, Sending::Window(_)) && matches!(self.phase, Phase::WarmUp | Phase::Measure) {
            self.send(slot ^ 1, now_ns, outbox);
        }
        Ok(())
    }

    fn turn(&mut self, phase: Phase, now_ns: u64, outbox: &mut Outbox, board: &Board) -> Option<u64> {
        self.phase = phase;
        if let Some(failure) = self.failure.take() {
            board.fail(failure);
        }
        let works = matches!(phase, Phase::WarmUp | Phase::Measure);
        if works && !self.started {
            self.start(now_ns, outbox);
        }
        let mut wake_ns = None;
        if let (true, Sending::Every(interval_ns)) = (works, self.sending) {
            self.send_due(interval_ns, now_ns, outbox);
            wake_ns = Some(self.due_ns);
        }
        board.sent.store(self.sent, Relaxed);
        board.delivered.store(self.delivered, Relaxed);
        if !self.latencies_ns.is_empty() {
            let mut interval = board.interval();
            self.latencies_ns.drain(..).for_each(|latency_ns| interval.record(latency_ns));
        }
        wake_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(sending: Sending) -> (Conversations, Outbox, Board) {
        let (mut load, mut outbox) = (Conversations::new(sending, 300, false), Outbox::default());
        for (slot, jid) in ["a@localhost/1", "b@localhost/2"].into_iter().enumerate() {
            load.bound(slot, Bound { ordinal: slot as u64, jid, took_ns: 0 }, &mut outbox);
        }
        (load, outbox, Board::new())
    }

    fn written(outbox: &mut Outbox, slot: Slot) -> Vec<Vec<u8>> {
        std::mem::take(outbox.of(slot)).chunks(300).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_window_stays_full_until_the_drain() {
        let (mut load, mut outbox, board) = pair(Sending::Window(3));
        load.turn(Phase::WarmUp, 100, &mut outbox, &board);
        let messages = written(&mut outbox, 0);
        assert_eq!((messages.len(), written(&mut outbox, 1).len()), (3, 3));
        load.turn(Phase::Measure, 200, &mut outbox, &board);
        load.received(1, &messages[0], 5_100, &mut outbox).unwrap();
        assert_eq!(written(&mut outbox, 0).len(), 1);
        load.turn(Phase::Drain, 300, &mut outbox, &board);
        load.received(1, &messages[1], 400, &mut outbox).unwrap();
        assert!(written(&mut outbox, 0).is_empty());
        load.turn(Phase::Drain, 500, &mut outbox, &board);
        assert_eq!((board.sent.load(Relaxed), board.delivered.load(Relaxed)), (7, 2));
        assert_eq!(board.interval().count(), 1);
    }

    #[test]
    fn a_late_client_sends_what_was_due_with_the_time_it_was_due() {
        let (mut load, mut outbox, board) = pair(Sending::Every(1_000));
        assert_eq!(load.turn(Phase::WarmUp, 10_000, &mut outbox, &board), Some(11_000));
        assert_eq!(load.turn(Phase::WarmUp, 13_500, &mut outbox, &board), Some(14_000));
        let stamps: Vec<_> = written(&mut outbox, 0).iter().map(|bytes| message::stamp(bytes).unwrap()).collect();
        assert_eq!(stamps, [Stamp { sequence: 0, sent_ns: 10_000 }, Stamp { sequence: 1, sent_ns: 12_000 }]);
    }

    #[test]
    fn what_is_lost_or_comes_back_ends_the_run() {
        let (mut load, mut outbox, board) = pair(Sending::Window(2));
        load.turn(Phase::WarmUp, 1, &mut outbox, &board);
        let messages = written(&mut outbox, 0);
        assert!(load.received(1, &messages[1], 2, &mut outbox).unwrap_err().contains("where 0 was due"));
        let text = String::from_utf8(messages[0].clone()).unwrap().replace("type='chat'", "type='error'");
        assert!(load.received(0, text.as_bytes(), 2, &mut outbox).unwrap_err().contains("came back"));
        assert_eq!(load.received(0, b"<presence from='a@localhost/1'/>", 2, &mut outbox), Ok(()));
    }
}
