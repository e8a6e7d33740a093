//! What has come to an account, or leaves it, behind a stanza that waits for rules: it is looked at afterwards, so that
//! nothing overtakes.

use std::collections::VecDeque;

use hashbrown::HashMap;
use rondel_shards::Io;

use crate::firewall::Hook;
use crate::shard::Shard;
use crate::shard::message::Routed;
use crate::shard::ticket::{Behalf, Ticket};
use crate::stream::Refusal;

/// Stanzas that wait so, on one shard. Further ones are refused.
const WAITING_MAX: usize = 10_000;

/// Bytes of them.
const WAITING_BYTES_MAX: usize = 16 << 20;

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

type Waiting = HashMap<Box<str>, VecDeque<(Routed, Option<Ticket>)>>;

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
    /// Whether something waits for rules that has come to an account.
    pub fn is_closed(&self, account: &str) -> bool {
        !self.arriving.is_empty() && self.arriving.contains_key(account)
    }

    /// Whether something waits for rules that has to do with an account.
    pub fn concern(&self, account: &str) -> bool {
        self.is_closed(account) || self.departing.contains_key(account)
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
    /// Has a stanza wait behind one that waits for rules. It comes back if it may be looked at now.
    pub(super) fn behind_others(&mut self, io: &mut Io<Shard>, way: Way, routed: Routed) -> Option<Routed> {
        if !self.lanes.waiting(way).contains_key(way.account(&routed)) {
            return Some(routed);
        }
        if self.lanes.stanzas >= WAITING_MAX || self.lanes.bytes + routed.bytes() > WAITING_BYTES_MAX {
            self.bounce(io, &routed, &Refusal::new("wait", "resource-constraint"));
            return None;
        }
        let ticket = self.ticket(io);
        self.lanes.stanzas += 1;
        self.lanes.bytes += routed.bytes();
        if let Some(lane) = self.lanes.waiting(way).get_mut(way.account(&routed)) {
            lane.push_back((routed, ticket));
        }
        None
    }

    /// What has waited is through: those behind it have their turn, until one of them has to wait.
    pub(super) fn open_lane(&mut self, io: &mut Io<Shard>, way: Way, account: &str) {
        let Some(mut lane) = self.lanes.waiting(way).remove(account) else { return };
        while let Some((routed, ticket)) = lane.pop_front() {
            self.lanes.stanzas -= 1;
            self.lanes.bytes -= routed.bytes();
            self.on_behalf(Behalf::of(ticket), |shard| match way {
                Way::Arriving => shard.arrive(io, routed),
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
