//! `rondel-perf presence`: one account changes its presence, and all of its contacts hear of it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::Common;
use super::watch::Watch;
use crate::client::board::{Board, Phase};
use crate::client::fleet::Fleet;
use crate::client::outbox::{Outbox, Slot};
use crate::client::target::Target;
use crate::client::worker::{Bound, Load};
use crate::report::Report;
use crate::xmpp::element::{self, attribute};
use crate::xmpp::message::{self, Stamp};
use crate::xmpp::roster;

/// What happens.
#[derive(Clone, Copy, Debug)]
pub struct Presence {
    /// Contacts of the account; each has one session.
    pub contacts: u64,
    /// Changes under way at any time: the next is sent when all contacts have heard of one.
    pub window: u32,
    /// How long to change before measuring.
    pub warm_up: Duration,
    /// How long to measure.
    pub duration: Duration,
}

/// How long nothing may arrive while there is something under way.
const STALL: Duration = Duration::from_secs(15);
/// How long it may take until all see each other.
const SETUP: Duration = Duration::from_secs(60);
/// How often the roster is asked for until then.
const ASK_NS: u64 = 20_000_000;
/// Friendships that are made at once: servers bound what they do for an account at a time.
const AT_ONCE: usize = 16;
/// The session that changes its presence.
const HUB: Slot = 0;
const ROSTER_ID: &str = "hub-roster";

struct Star {
    contacts: usize,
    window: u32,
    addresses: Vec<String>,
    /// Contacts that friendship was offered to, and those that the hub's roster says it is friends with.
    offered: usize,
    friends: usize,
    bound: usize,
    asked_ns: u64,
    begun: bool,
    phase: Phase,
    /// Changes sent, and heard of by all.
    sent: u64,
    heard: u64,
    /// Per contact, how many of the changes it has heard of.
    received: Vec<u64>,
    delivered: u64,
    latencies_ns: Vec<u64>,
}

impl Star {
    fn new(presence: &Presence, target: &Target) -> Self {
        let contacts = presence.contacts as usize;
        Self {
            contacts,
            window: presence.window,
            addresses: (0..=presence.contacts).map(|ordinal| target.address(ordinal)).collect(),
            offered: 0,
            friends: 0,
            bound: 0,
            asked_ns: 0,
            begun: false,
            phase: Phase::Connect,
            sent: 0,
            heard: 0,
            received: vec![0; contacts],
            delivered: 0,
            latencies_ns: Vec::new(),
        }
    }

    /// A change of presence as clients send it; its status carries number and time.
    fn change(&mut self, now_ns: u64, outbox: &mut Outbox) {
        let show = if self.sent.is_multiple_of(2) { "away" } else { "chat" };
        let stamp = Stamp { sequence: self.sent, sent_ns: now_ns }.text();
        let change = format!("<presence><show>{show}</show><status>{stamp}</status><priority>5</priority></presence>");
        outbox.of(HUB).extend_from_slice(change.as_bytes());
        self.sent += 1;
    }

    fn is_ready(&self) -> bool {
        self.friends == self.contacts
    }

    /// Makes the next friendships once the last have come about, and asks whether they have.
    fn befriend(&mut self, outbox: &mut Outbox) {
        if self.friends >= self.offered {
            let next = self.offered + 1..=self.contacts.min(self.offered + AT_ONCE);
            self.offered = *next.end();
            for contact in next {
                outbox.of(HUB).extend_from_slice(roster::befriend(&self.addresses[contact]).as_bytes());
                outbox.of(contact).extend_from_slice(roster::befriend(&self.addresses[HUB]).as_bytes());
            }
        }
        outbox.of(HUB).extend_from_slice(roster::get(ROSTER_ID).as_bytes());
    }

    fn hear(&mut self, contact: usize, stamp: Stamp, now_ns: u64) -> Result<bool, String> {
        let Some(received) = self.received.get_mut(contact) else { return Ok(false) };
        if stamp.sequence != *received {
            return Err(format!("change {} arrived where {received} was due", stamp.sequence));
        }
        *received += 1;
        self.delivered += 1;
        if self.phase == Phase::Measure {
            self.latencies_ns.push(now_ns.saturating_sub(stamp.sent_ns));
        }
        let all = self.delivered == (self.heard + 1) * self.contacts as u64;
        self.heard += u64::from(all);
        Ok(all)
    }
}

impl Load for Star {
    fn bound(&mut self, slot: Slot, _: Bound<'_>, outbox: &mut Outbox) {
        outbox.of(slot).extend_from_slice(b"<presence/>");
        self.bound += 1;
    }

    fn received(&mut self, slot: Slot, stanza: &[u8], now_ns: u64, outbox: &mut Outbox) -> Result<(), String> {
        if slot == HUB {
            if stanza.starts_with(b"<iq") && attribute(stanza, "id") == Some(ROSTER_ID.as_bytes()) {
                if element::is_error(stanza) {
                    return Err(format!("no roster: {}", element::error_condition(stanza)));
                }
                self.friends = roster::count(stanza)?.1;
            }
            return Ok(());
        }
        if !stanza.starts_with(b"<presence") {
            return Ok(());
        }
        if element::is_error(stanza) {
            return Err(format!("presence came back: {}", element::error_condition(stanza)));
        }
        let Some(stamp) = message::stamp(stanza) else { return Ok(()) };
        if self.hear(slot - 1, stamp, now_ns)? && matches!(self.phase, Phase::WarmUp | Phase::Measure) {
            self.change(now_ns, outbox);
        }
        Ok(())
    }

    fn turn(&mut self, phase: Phase, now_ns: u64, outbox: &mut Outbox, board: &Board) -> Option<u64> {
        self.phase = phase;
        let works = matches!(phase, Phase::WarmUp | Phase::Measure);
        if works && !std::mem::replace(&mut self.begun, true) {
            (0..self.window).for_each(|_| self.change(now_ns, outbox));
        }
        board.sent.store(self.sent * self.contacts as u64, Relaxed);
        board.delivered.store(self.delivered, Relaxed);
        if !self.latencies_ns.is_empty() {
            let mut interval = board.interval();
            self.latencies_ns.drain(..).for_each(|latency_ns| interval.record(latency_ns));
        }
        if self.is_ready() {
            board.ready.store(true, Relaxed);
            return None;
        }
        if self.bound <= self.contacts {
            return None;
        }
        if now_ns >= self.asked_ns + ASK_NS {
            self.asked_ns = now_ns;
            self.befriend(outbox);
        }
        Some(self.asked_ns + ASK_NS)
    }
}

/// Runs it, by one thread.
///
/// # Errors
/// A session failed, subscriptions did not come about, or presence got lost.
pub fn run(common: &Common, presence: Presence, report: &mut Report) -> anyhow::Result<()> {
    let mut common = common.clone();
    common.rate.threads = 1;
    let mut fleet = Fleet::start(&common.target, common.rate, |_| Star::new(&presence, &common.target))?;
    // The first is the one that changes its presence.
    fleet.want(1);
    fleet.wait_bound(1, common.patience, |_| {})?;
    fleet.want(presence.contacts + 1);
    fleet.wait_bound(presence.contacts + 1, common.patience, |_| {})?;
    fleet.wait_for("hubs have all their contacts", 1, SETUP, |fleet| u64::from(fleet.is_ready()), |_| {})?;
    fleet.set_phase(Phase::WarmUp);
    fleet.wait(presence.warm_up, |fleet| {
        fleet.show("warming up");
        Ok(())
    })?;
    fleet.set_phase(Phase::Measure);
    let (_, delivered_before) = fleet.messages();
    let (mut latest, mut since) = (delivered_before, Instant::now());
    let mut watch = Watch::begin(&common, &fleet)?;
    fleet.wait(presence.duration, |fleet| {
        watch.look(fleet);
        let (_, delivered) = fleet.messages();
        if delivered != latest {
            (latest, since) = (delivered, Instant::now());
        }
        if since.elapsed() > STALL {
            bail!("presence no longer arrives");
        }
        Ok(())
    })?;
    let delivered = fleet.messages().1 - delivered_before;
    if delivered == 0 {
        bail!("no presence arrived; a longer --duration may help");
    }
    let at = report.figures.len();
    let watched = watch.end(&common, &fleet, report)?;
    let mut general = report.figures.split_off(at);
    fleet.set_phase(Phase::Drain);
    let (wanted, _) = fleet.messages();
    fleet.wait_for("presences have arrived", wanted, STALL, |fleet| fleet.messages().1, |_| {})?;
    fleet.stop();

    let contacts = presence.contacts as f64;
    report.figure("contacts", "contacts", "", contacts);
    report.figure("changes", "changes of presence", "", delivered as f64 / contacts);
    report.figure("delivered", "presences delivered", "", delivered as f64);
    report.figure("delivered_per_s", "presences per second", "1/s", delivered as f64 / watched.elapsed.as_secs_f64());
    if let Some((before, after)) = watched.usage {
        let cpu_us = (after.cpu_ns - before.cpu_ns) as f64 / 1e3 / delivered as f64;
        report.figure("server_cpu_us_per_presence", "server: CPU per delivered presence", "us", cpu_us);
    }
    report.figures.append(&mut general);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn star(window: u32) -> (Star, Outbox, Board) {
        let presence = Presence { contacts: 2, window, warm_up: Duration::ZERO, duration: Duration::ZERO };
        let (mut star, mut outbox) = (Star::new(&presence, &Target::example()), Outbox::default());
        for slot in 0..3 {
            star.bound(slot, Bound { ordinal: slot as u64, jid: "", took_ns: 0 }, &mut outbox);
        }
        (star, outbox, Board::new())
    }

    fn written(outbox: &mut Outbox, slot: Slot) -> String {
        String::from_utf8(std::mem::take(outbox.of(slot))).unwrap()
    }

    #[test]
    fn all_become_friends_of_the_hub_and_it_asks_until_they_are() {
        let (mut star, mut outbox, board) = star(1);
        assert_eq!(written(&mut outbox, HUB), "<presence/>");
        assert!(star.turn(Phase::Connect, 2 * ASK_NS, &mut outbox, &board).is_some());
        let hub = written(&mut outbox, HUB);
        assert!(hub.contains("type='subscribe' to='load1@") && hub.contains("type='subscribed' to='load2@"), "{hub}");
        assert!(hub.ends_with("id='hub-roster'><query xmlns='jabber:iq:roster'/></iq>"), "{hub}");
        assert!(written(&mut outbox, 2).contains("type='subscribe' to='load0@"));
        star.turn(Phase::Connect, 3 * ASK_NS, &mut outbox, &board);
        assert!(!written(&mut outbox, HUB).contains("subscribe"));
        let roster = "<iq type='result' id='hub-roster'><query xmlns='jabber:iq:roster'><item jid='a' \
            subscription='both'/><item jid='b' subscription='both'/></query></iq>";
        star.received(HUB, roster.as_bytes(), 0, &mut outbox).unwrap();
        assert_eq!(star.turn(Phase::Connect, 9 * ASK_NS, &mut outbox, &board), None);
        assert!(board.ready.load(Relaxed));
        let refusal = "<iq type='error' id='hub-roster'/>";
        assert!(star.received(HUB, refusal.as_bytes(), 0, &mut outbox).is_err());
    }

    #[test]
    fn the_next_change_is_sent_when_all_have_heard_of_one() {
        let (mut star, mut outbox, board) = star(1);
        star.friends = 2;
        written(&mut outbox, HUB);
        star.turn(Phase::Measure, 100, &mut outbox, &board);
        let first = written(&mut outbox, HUB);
        star.received(1, first.as_bytes(), 300, &mut outbox).unwrap();
        assert_eq!(written(&mut outbox, HUB), "");
        star.received(2, first.as_bytes(), 400, &mut outbox).unwrap();
        let second = written(&mut outbox, HUB);
        assert_eq!(message::stamp(second.as_bytes()), Some(Stamp { sequence: 1, sent_ns: 400 }));
        assert!(star.received(2, first.as_bytes(), 500, &mut outbox).unwrap_err().contains("where 1 was due"));
        star.turn(Phase::Measure, 600, &mut outbox, &board);
        assert_eq!((board.sent.load(Relaxed), board.delivered.load(Relaxed)), (4, 2));
        assert_eq!(board.interval().count(), 2);
    }
}
