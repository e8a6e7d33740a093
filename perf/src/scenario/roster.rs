//! `rondel-perf roster`: fills the rosters of accounts, for what comes after.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

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
use crate::xmpp::roster;

/// Whose rosters, and who is in them.
#[derive(Clone, Copy, Debug)]
pub struct Roster {
    /// Accounts, the first so many.
    pub accounts: u64,
    /// Contacts of each: its neighbours in a ring of the accounts, half of them on either side. An even number.
    pub contacts: u64,
    /// Whether they see each other's presence; otherwise they merely stand in the roster.
    pub mutual: bool,
}

/// How long nothing may be done.
const STALL: Duration = Duration::from_secs(30);
const ROSTER_ID: &str = "roster";

struct Filler {
    addresses: Vec<String>,
    roster: Roster,
    /// Per session, how many answers are missing.
    missing: Vec<u64>,
    done: u64,
    found: u64,
}

impl Filler {
    fn new(roster: Roster, target: &Target) -> Self {
        let addresses = (0..roster.accounts).map(|ordinal| target.address(ordinal)).collect();
        Self { addresses, roster, missing: Vec::new(), done: 0, found: 0 }
    }

    fn neighbours(&self, own: u64) -> impl Iterator<Item = &str> {
        let all = self.roster.accounts;
        let numbers =
            (1..=self.roster.contacts / 2).flat_map(move |step| [(own + step) % all, (own + all - step) % all]);
        numbers.map(|number| self.addresses[number as usize].as_str())
    }
}

impl Load for Filler {
    fn bound(&mut self, slot: Slot, session: Bound<'_>, outbox: &mut Outbox) {
        if slot >= self.missing.len() {
            self.missing.resize(slot + 1, 0);
        }
        let own = session.ordinal % self.roster.accounts;
        let out = outbox.of(slot);
        for contact in self.neighbours(own) {
            let stanza = if self.roster.mutual { roster::befriend(contact) } else { roster::set("set", contact) };
            out.extend_from_slice(stanza.as_bytes());
        }
        // Answered behind everything else.
        out.extend_from_slice(roster::get(ROSTER_ID).as_bytes());
        self.missing[slot] = if self.roster.mutual { 1 } else { self.roster.contacts + 1 };
    }

    fn received(&mut self, slot: Slot, stanza: &[u8], _: u64, outbox: &mut Outbox) -> Result<(), String> {
        if element::is_error(stanza) {
            return Err(format!("the roster cannot be filled: {}", element::error_condition(stanza)));
        }
        let Some(missing) = self.missing.get_mut(slot).filter(|missing| **missing > 0) else { return Ok(()) };
        if !stanza.starts_with(b"<iq") {
            return Ok(());
        }
        *missing -= 1;
        if *missing == 0 {
            self.done += 1;
            outbox.close(slot);
        }
        if attribute(stanza, "id") == Some(ROSTER_ID.as_bytes()) {
            let (contacts, mutual) = roster::count(stanza)?;
            self.found += if self.roster.mutual { mutual } else { contacts } as u64;
        }
        Ok(())
    }

    fn turn(&mut self, _: Phase, _: u64, _: &mut Outbox, board: &Board) -> Option<u64> {
        board.sent.store(self.found, Relaxed);
        board.delivered.store(self.done, Relaxed);
        None
    }
}

/// Runs it.
///
/// # Errors
/// A session failed, or rosters are not what they should be.
pub fn run(common: &Common, roster: Roster, report: &mut Report) -> anyhow::Result<()> {
    let mut fleet = Fleet::start(&common.target, common.rate, |_| Filler::new(roster, &common.target))?;
    let watch = Watch::begin(common, &fleet)?;
    // Mutual subscriptions stand once both sides have agreed, so what has come about is seen the second time.
    let rounds = if roster.mutual { 2 } else { 1 };
    let mut found = 0;
    for round in 1..=rounds {
        let before = fleet.messages().0;
        let wanted = round * roster.accounts;
        fleet.want(wanted);
        fleet.wait_for("rosters are filled", wanted, STALL, |fleet| fleet.messages().1, |_| {})?;
        found = fleet.messages().0 - before;
    }
    let at = report.figures.len();
    watch.end(common, &fleet, report)?;
    let mut general = report.figures.split_off(at);
    fleet.stop();
    report.figure("accounts", "accounts", "", roster.accounts as f64);
    report.figure("contacts", "contacts of each", "", found as f64 / roster.accounts as f64);
    report.figures.append(&mut general);
    if found != roster.accounts * roster.contacts {
        bail!("{found} contacts are in the rosters of {} accounts", roster.accounts);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filler(mutual: bool) -> (Filler, Outbox) {
        let roster = Roster { accounts: 5, contacts: 2, mutual };
        let (mut filler, mut outbox) = (Filler::new(roster, &Target::example()), Outbox::default());
        filler.bound(0, Bound { ordinal: 5, jid: "", took_ns: 0 }, &mut outbox);
        (filler, outbox)
    }

    #[test]
    fn neighbours_in_the_ring_are_contacts() {
        for (mutual, stanza) in [(false, "<item jid='"), (true, "<presence type='subscribe' to='")] {
            let (_, mut outbox) = filler(mutual);
            let sent = String::from_utf8(std::mem::take(outbox.of(0))).unwrap();
            for contact in ["load1@localhost", "load4@localhost"] {
                assert!(sent.contains(&format!("{stanza}{contact}'")), "{sent}");
            }
            assert!(sent.contains("id='roster'"), "{sent}");
        }
    }

    #[test]
    fn a_session_leaves_once_everything_is_answered() {
        let (mut filler, mut outbox) = filler(false);
        let board = Board::new();
        let roster = "<iq type='result' id='roster'><query xmlns='jabber:iq:roster'><item jid='a'/><item jid='b'/>\
            </query></iq>";
        for (stanza, done) in [("<iq type='result' id='set'/>", 0), ("<iq type='result' id='set'/>", 0), (roster, 1)] {
            filler.received(0, stanza.as_bytes(), 0, &mut outbox).unwrap();
            filler.turn(Phase::Connect, 0, &mut outbox, &board);
            assert_eq!(board.delivered.load(Relaxed), done);
        }
        assert_eq!(board.sent.load(Relaxed), 2);
        assert!(filler.received(0, b"<iq type='error' id='set'/>", 0, &mut outbox).is_err());
    }
}
