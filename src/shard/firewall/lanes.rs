//! What has come to an account, or leaves it, behind a stanza that waits for rules: it is looked at afterwards, so that
//! nothing overtakes.

use std::collections::VecDeque;

use hashbrown::HashMap;
use rondel_shards::Io;

use crate::firewall::Hook;
use crate::shard::Shard;
use crate::shard::message::Routed;
use crate::shard::task::{Step, Task};
use crate::shard::ticket::{Behalf, Ticket};
use crate::stream::Refusal;

/// Stanzas that wait so, on one shard. Further ones are refused.
const WAITING_MAX: usize = 10_000;

/// Bytes of them.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Stanzas of one lane at most, so that one account does not take the room of all.
const LANE_MAX: usize = 2_000;

/// Whose lane a stanza is in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Way {
    /// Its addressee's.
    Arriving,
    /// Its sender's.
    Departing,
}

/// What waits behind others, by account and way.
#[derive(Default)]
pub(in crate::shard) struct Lanes {
    arriving: Waiting,
    departing: Waiting,
    stanzas: usize,
    bytes: usize,
}

type Waiting = HashMap<Box<str>, VecDeque<Waiter>>;

/// A stanza that waits behind others.
struct Waiter {
    routed: Routed,
    ticket: Option<Ticket>,
    /// Whether rules have looked at it on this way.
    is_judged: bool,
}

impl Way {
    /// The way on which the chains of a hook are.
    pub fn of(hook: Hook) -> Way {
        match hook {
            Hook::Deliver => Way::Arriving,
            Hook::Preroute | Hook::DeliverRemote => Way::Departing,
        }
    }

    /// The account in whose lane a stanza is.
    pub fn account(self, routed: &Routed) -> &str {
        match self {
            Way::Arriving => routed.bare(),
            Way::Departing => routed.from().bare(),
        }
    }
}

impl Lanes {
    /// Stanzas that wait.
    pub fn len(&self) -> usize {
        self.stanzas
    }

    /// Whether something waits for rules that has come to an account.
    pub fn is_closed(&self, account: &str) -> bool {
        !self.arriving.is_empty() && self.arriving.contains_key(account)
    }

    /// Whether something waits for rules that an account's sessions have sent.
    pub fn is_leaving(&self, account: &str) -> bool {
        !self.departing.is_empty() && self.departing.contains_key(account)
    }

    /// Whether something waits for rules that has to do with an account.
    pub fn concern(&self, account: &str) -> bool {
        self.is_closed(account) || self.is_leaving(account)
    }

    /// From now on what follows a stanza waits.
    pub(super) fn close(&mut self, way: Way, routed: &Routed) {
        self.waiting(way).entry_ref(way.account(routed)).or_default();
    }

    fn waiting(&mut self, way: Way) -> &mut Waiting {
        match way {
            Way::Arriving => &mut self.arriving,
            Way::Departing => &mut self.departing,
        }
    }
}

impl Shard {
    /// Has a stanza that rules have looked at leave behind what its account's sessions have sent before. It comes back
    /// if it may leave now.
    #[inline]
    pub(in crate::shard) fn behind_departures(&mut self, io: &mut Io<Shard>, routed: Routed) -> Option<Routed> {
        if !self.lanes.is_leaving(routed.from().bare()) {
            return Some(routed);
        }
        self.wait_behind(io, Way::Departing, routed, true);
        None
    }

    /// Has a stanza wait behind one that waits for rules. It comes back if it may be looked at now.
    pub(super) fn behind_others(&mut self, io: &mut Io<Shard>, way: Way, routed: Routed) -> Option<Routed> {
        if !self.lanes.waiting(way).contains_key(way.account(&routed)) {
            return Some(routed);
        }
        self.wait_behind(io, way, routed, false);
        None
    }

    pub(super) fn wait_behind(&mut self, io: &mut Io<Shard>, way: Way, routed: Routed, is_judged: bool) {
        let lane = self.lanes.waiting(way).get(way.account(&routed)).map_or(0, VecDeque::len);
        let is_full = self.lanes.stanzas >= WAITING_MAX || lane >= LANE_MAX;
        if is_full || self.lanes.bytes + routed.bytes() > WAITING_BYTES_MAX {
            return self.bounce(io, &routed, &Refusal::new("wait", "resource-constraint"));
        }
        let ticket = self.ticket(io);
        self.lanes.stanzas += 1;
        self.lanes.bytes += routed.bytes();
        if let Some(lane) = self.lanes.waiting(way).get_mut(way.account(&routed)) {
            lane.push_back(Waiter { routed, ticket, is_judged });
        }
    }

    /// Has what no rule looks at wait behind what has come to the account before.
    pub(in crate::shard) fn arrive_behind(&mut self, io: &mut Io<Shard>, routed: Routed) {
        self.wait_behind(io, Way::Arriving, routed.passed(), true);
    }

    /// Has what comes to an account wait, if tasks of it are under way, until they are done. Whether it does.
    pub(super) fn behind_tasks(&mut self, io: &mut Io<Shard>, account: &str) -> bool {
        if !self.tasks.is_busy(account) || self.tasks.is_full(account) {
            return false;
        }
        self.lanes.arriving.entry_ref(account).or_default();
        let name = account.to_owned();
        self.queue(io, account, Task::default(), move |shard, io, _| {
            shard.empty_lane(io, Way::Arriving, &name);
            Step::Done
        });
        true
    }

    /// What has waited is through: those behind it have their turn, until one of them has to wait.
    pub(super) fn open_lane(&mut self, io: &mut Io<Shard>, way: Way, account: &str) {
        let is_empty = self.lanes.waiting(way).get(account).is_none_or(VecDeque::is_empty);
        if is_empty || way == Way::Departing || !self.behind_tasks(io, account) {
            self.empty_lane(io, way, account);
        }
    }

    fn empty_lane(&mut self, io: &mut Io<Shard>, way: Way, account: &str) {
        let Some(mut lane) = self.lanes.waiting(way).remove(account) else { return };
        while let Some(Waiter { routed, ticket, is_judged }) = lane.pop_front() {
            self.lanes.stanzas -= 1;
            self.lanes.bytes -= routed.bytes();
            self.on_behalf(Behalf::of(ticket), |shard| match way {
                Way::Arriving => shard.arrive_in_turn(io, routed),
                Way::Departing if is_judged => shard.send_home(io, routed),
                Way::Departing => shard.depart(io, routed),
            });
            if let Some(behind) = self.lanes.waiting(way).get_mut(account) {
                // Nothing can have come meanwhile.
                behind.append(&mut lane);
                return;
            }
        }
    }
}
