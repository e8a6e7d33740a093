//! `rondel-perf resume`: sessions that vanish all at once, and come back all at once, while others go on writing to
//! them.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::Common;
use super::watch::{Watch, mib, usage};
use crate::client::board::{Board, Phase};
use crate::client::fleet::Fleet;
use crate::client::outbox::{Outbox, Slot};
use crate::client::pace::Pace;
use crate::client::worker::{Bound, Load};
use crate::report::Report;
use crate::xmpp::element;
use crate::xmpp::message::{self, Stamp, Template};

/// What happens.
#[derive(Clone, Copy, Debug)]
pub struct Resume {
    /// Sessions that vanish and come back.
    pub sessions: u64,
    /// Sessions that write to them all the while; an even number.
    pub senders: u64,
    /// Bytes of a message.
    pub size: usize,
    /// Messages per second of all senders.
    pub rate: f64,
    /// Messages to each session in the moment in which it vanishes.
    pub burst: u32,
    /// How long to write before that.
    pub warm_up: Duration,
    /// How long they are away before the first comes back.
    pub away: Duration,
    /// How long all of them may take to come back.
    pub within: Duration,
}

/// How long the next of what is under way at the end is waited for.
const DRAIN: Duration = Duration::from_secs(15);
/// Between the last that was resumed and the end of writing.
const AFTER: Duration = Duration::from_secs(1);
/// Messages sent in one turn at most, lest a client that fell behind no longer reads.
const TURN_MESSAGES_MAX: u32 = 1024;

/// One worker's part: its first sessions write to its others, each of which has its own numbers.
struct Storm {
    senders: usize,
    size: usize,
    interval_ns: u64,
    burst: u32,
    started: bool,
    due_ns: u64,
    turn_of: usize,
    receivers: Vec<Receiver>,
    sent: u64,
    delivered: u64,
    took_ns: Vec<u64>,
    failure: Option<String>,
}

#[derive(Default)]
struct Receiver {
    /// What is sent to it.
    template: Option<Template>,
    sent: u64,
    received: u64,
}

impl Storm {
    fn new(resume: &Resume, senders: u64, threads: usize) -> Self {
        Self {
            senders: senders as usize,
            size: resume.size,
            interval_ns: (1e9 * threads as f64 / resume.rate).max(1.0) as u64,
            burst: resume.burst,
            started: false,
            due_ns: 0,
            turn_of: 0,
            receivers: Vec::new(),
            sent: 0,
            delivered: 0,
            took_ns: Vec::new(),
            failure: None,
        }
    }

    fn send(&mut self, receiver: usize, now_ns: u64, outbox: &mut Outbox) {
        let sender = receiver % self.senders;
        let Some(receiver) = self.receivers.get_mut(receiver) else { return };
        if let Some(template) = &mut receiver.template {
            template.write(Stamp { sequence: receiver.sent, sent_ns: now_ns }, outbox.of(sender));
            receiver.sent += 1;
            self.sent += 1;
        }
    }

    fn send_due(&mut self, now_ns: u64, outbox: &mut Outbox) {
        for _ in 0..TURN_MESSAGES_MAX {
            if self.due_ns > now_ns || self.receivers.is_empty() {
                return;
            }
            self.send(self.turn_of, self.due_ns, outbox);
            self.turn_of = (self.turn_of + 1) % self.receivers.len();
            self.due_ns += self.interval_ns;
        }
    }
}

impl Load for Storm {
    fn bound(&mut self, slot: Slot, session: Bound<'_>, _: &mut Outbox) {
        let Some(receiver) = slot.checked_sub(self.senders) else { return };
        if receiver >= self.receivers.len() {
            self.receivers.resize_with(receiver + 1, Receiver::default);
        }
        match Template::new(session.jid, self.size) {
            Ok(template) => self.receivers[receiver].template = Some(template),
            Err(least) => self.failure = Some(format!("--size {}: a message takes at least {least} bytes", self.size)),
        }
    }

    fn received(&mut self, slot: Slot, stanza: &[u8], _: u64, _: &mut Outbox) -> Result<(), String> {
        let Some(stamp) = message::stamp(stanza) else { return Ok(()) };
        if element::is_error(stanza) {
            return Err(format!("a message came back: {}", element::error_condition(stanza)));
        }
        let Some(receiver) = slot.checked_sub(self.senders).and_then(|at| self.receivers.get_mut(at)) else {
            return Ok(());
        };
        if stamp.sequence < receiver.received {
            return Err(format!("message {} arrived twice", stamp.sequence));
        }
        if stamp.sequence > receiver.received {
            return Err(format!("message {} arrived, and {} has not", stamp.sequence, receiver.received));
        }
        receiver.received += 1;
        self.delivered += 1;
        Ok(())
    }

    fn turn(&mut self, phase: Phase, now_ns: u64, outbox: &mut Outbox, board: &Board) -> Option<u64> {
        if let Some(failure) = self.failure.take() {
            board.fail(failure);
        }
        let mut wake_ns = None;
        if matches!(phase, Phase::WarmUp | Phase::Measure) {
            if !std::mem::replace(&mut self.started, true) {
                self.due_ns = now_ns;
            }
            self.send_due(now_ns, outbox);
            wake_ns = Some(self.due_ns);
        }
        board.sent.store(self.sent, Relaxed);
        board.delivered.store(self.delivered, Relaxed);
        if !self.took_ns.is_empty() {
            let mut interval = board.interval();
            self.took_ns.drain(..).for_each(|took_ns| interval.record(took_ns));
        }
        wake_ns
    }

    fn vanishes(&self, slot: Slot) -> bool {
        slot >= self.senders
    }

    fn vanishing(&mut self, outbox: &mut Outbox) {
        let now_ns = self.due_ns;
        for receiver in 0..self.receivers.len() {
            for _ in 0..self.burst {
                self.send(receiver, now_ns, outbox);
            }
        }
    }

    fn resumed(&mut self, _: Slot, took_ns: u64, _: &mut Outbox) {
        self.took_ns.push(took_ns);
    }
}

/// Runs it.
///
/// # Errors
/// A session failed or was not resumed in time, a message got lost or arrived twice.
pub fn run(common: &Common, resume: Resume, report: &mut Report) -> anyhow::Result<()> {
    let threads = common.rate.threads;
    // The first sessions of every worker are among the first of all.
    let share = |worker| Pace::new(worker, threads, 0.0, 1).share(resume.senders);
    let mut fleet = Fleet::start(&common.target, common.rate, |worker| Storm::new(&resume, share(worker), threads))?;
    let all = resume.senders + resume.sessions;
    fleet.want(resume.senders);
    fleet.wait_bound(resume.senders, common.patience, |_| {})?;
    fleet.want(all);
    fleet.wait_bound(all, common.patience, |_| {})?;
    fleet.set_phase(Phase::WarmUp);
    fleet.wait(resume.warm_up, |fleet| {
        fleet.show("all are there");
        Ok(())
    })?;
    let before = usage(common)?;
    let mut peak_bytes = 0;
    let mut look = |fleet: &mut Fleet, line: &str| {
        fleet.show(line);
        peak_bytes = peak_bytes.max(usage(common)?.map_or(0, |usage| usage.resident_bytes));
        Ok(())
    };

    fleet.vanish();
    fleet.wait_for("sessions have vanished", resume.sessions, DRAIN, |fleet| fleet.vanished().0, |_| {})?;
    fleet.wait(resume.away, |fleet| look(fleet, "they are away"))?;
    let (sent, delivered) = fleet.messages();

    let mut watch = Watch::begin(common, &fleet)?;
    let began = Instant::now();
    fleet.come_back();
    while fleet.vanished().1 < resume.sessions {
        fleet.check()?;
        watch.take(&fleet);
        let resumed = fleet.vanished().1;
        look(&mut fleet, &format!("{resumed} of {} sessions are back", resume.sessions))?;
        if began.elapsed() > resume.within {
            bail!("{resumed} of {} sessions were resumed within {} s", resume.sessions, resume.within.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = began.elapsed();
    let at = report.figures.len();
    let watched = watch.end(common, &fleet, report)?;
    let mut general = report.figures.split_off(at);
    fleet.wait(AFTER, |fleet| look(fleet, "all are back"))?;
    fleet.set_phase(Phase::Drain);
    let (wanted, _) = fleet.messages();
    fleet.wait_for("messages have arrived", wanted, DRAIN, |fleet| fleet.messages().1, |_| {})?;
    // Whatever comes twice comes soon.
    fleet.wait(AFTER, |fleet| look(fleet, "everything has arrived"))?;
    let (all_sent, all_delivered) = fleet.messages();
    if all_sent != all_delivered {
        bail!("{all_delivered} of {all_sent} messages have arrived");
    }
    let after = usage(common)?;
    fleet.stop();

    report.figure("sessions", "sessions that vanished and were resumed", "", resume.sessions as f64);
    report.figure("took_s", "from the first that came back to the last that was resumed", "s", took.as_secs_f64());
    report.figure("messages", "messages, each delivered once", "", all_delivered as f64);
    let under_way = (sent - delivered) as f64;
    report.figure("messages_under_way", "messages under way when they came back", "", under_way);
    if let Some((began, ended)) = watched.usage {
        let cpu_us = (ended.cpu_ns - began.cpu_ns) as f64 / 1e3 / resume.sessions as f64;
        report.figure("server_cpu_us_per_resumption", "server: CPU per session that came back", "us", cpu_us);
    }
    if let (Some(before), Some(after)) = (before, after) {
        report.figure("resident_before_mib", "server: resident memory before", "MiB", mib(before.resident_bytes));
        report.figure("resident_peak_mib", "server: resident memory at most", "MiB", mib(peak_bytes));
        report.figure("resident_after_mib", "server: resident memory after", "MiB", mib(after.resident_bytes));
    }
    report.figures.append(&mut general);
    report.note("Latency is what a resumption took, from the connection on.".to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storm() -> (Storm, Outbox, Board) {
        let resume = Resume {
            sessions: 2,
            senders: 2,
            size: 200,
            rate: 1_000_000.0,
            burst: 2,
            warm_up: Duration::ZERO,
            away: Duration::ZERO,
            within: Duration::ZERO,
        };
        let (mut storm, mut outbox) = (Storm::new(&resume, 2, 1), Outbox::default());
        for (slot, jid) in ["s0@a/1", "s1@a/1", "r0@a/1", "r1@a/1"].into_iter().enumerate() {
            storm.bound(slot, Bound { ordinal: slot as u64, jid, took_ns: 0 }, &mut outbox);
        }
        (storm, outbox, Board::new())
    }

    fn written(outbox: &mut Outbox, slot: Slot) -> Vec<Vec<u8>> {
        std::mem::take(outbox.of(slot)).chunks(200).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn receivers_get_their_messages_in_turn_and_more_as_they_vanish() {
        let (mut storm, mut outbox, board) = storm();
        assert_eq!(storm.turn(Phase::Connect, 0, &mut outbox, &board), None);
        storm.turn(Phase::WarmUp, 10_000, &mut outbox, &board);
        assert_eq!(storm.turn(Phase::WarmUp, 11_000, &mut outbox, &board), Some(12_000));
        let first = written(&mut outbox, 0);
        assert!(first.len() == 1 && first[0].starts_with(b"<message to='r0@a/1'"));
        assert_eq!(written(&mut outbox, 1).len(), 1);
        storm.vanishing(&mut outbox);
        let burst = written(&mut outbox, 0);
        assert_eq!(burst.iter().map(|bytes| message::stamp(bytes).unwrap().sequence).collect::<Vec<_>>(), [1, 2]);
        storm.turn(Phase::Drain, 50_000, &mut outbox, &board);
        assert_eq!(board.sent.load(Relaxed), 6);
        assert!(storm.vanishes(2) && !storm.vanishes(1));
    }

    #[test]
    fn every_message_arrives_once() {
        let (mut storm, mut outbox, board) = storm();
        storm.turn(Phase::WarmUp, 0, &mut outbox, &board);
        storm.vanishing(&mut outbox);
        let messages = written(&mut outbox, 0);
        storm.received(2, &messages[0], 0, &mut outbox).unwrap();
        assert!(storm.received(2, &messages[0], 0, &mut outbox).unwrap_err().contains("twice"));
        assert!(storm.received(2, &messages[2], 0, &mut outbox).unwrap_err().contains("has not"));
        storm.received(2, &messages[1], 0, &mut outbox).unwrap();
        storm.resumed(2, 77, &mut outbox);
        storm.turn(Phase::Drain, 0, &mut outbox, &board);
        assert_eq!((board.delivered.load(Relaxed), board.interval().count()), (2, 1));
    }
}
