//! What has come to an account behind a stanza that waits for rules: it is looked at afterwards, so that nothing
//! overtakes.

use std::collections::VecDeque;

use hashbrown::HashMap;
use rondel_shards::Io;

use crate::shard::Shard;
use crate::shard::message::Routed;
use crate::shard::ticket::{Behalf, Ticket};
use crate::stream::Refusal;

/// Stanzas that wait so, on one shard. Further ones are refused.
const WAITING_MAX: usize = 10_000;

/// Bytes of them.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// What waits behind others, by account.
#[derive(Default)]
pub(in crate::shard) struct Lanes {
    waiting: HashMap<Box<str>, VecDeque<(Routed, Option<Ticket>)>>,
    stanzas: usize,
    bytes: usize,
}

impl Lanes {
    /// Whether something waits for rules that has come to an account.
    pub fn is_closed(&self, account: &str) -> bool {
        !self.waiting.is_empty() && self.waiting.contains_key(account)
    }

    /// From now on what comes to an account waits.
    pub(super) fn close(&mut self, account: &str) {
        self.waiting.entry_ref(account).or_default();
    }
}

impl Shard {
    /// Has a stanza wait behind one that waits for rules. It comes back if it may be looked at now.
    pub(super) fn behind_others(&mut self, io: &mut Io<Shard>, routed: Routed) -> Option<Routed> {
        if !self.lanes.is_closed(routed.bare()) {
            return Some(routed);
        }
        if self.lanes.stanzas >= WAITING_MAX || self.lanes.bytes + routed.bytes() > WAITING_BYTES_MAX {
            self.bounce(io, &routed, &Refusal::new("wait", "resource-constraint"));
            return None;
        }
        let ticket = self.ticket(io);
        self.lanes.stanzas += 1;
        self.lanes.bytes += routed.bytes();
        if let Some(lane) = self.lanes.waiting.get_mut(routed.bare()) {
            lane.push_back((routed, ticket));
        }
        None
    }

    /// What has waited is through: those behind it have their turn, until one of them has to wait.
    pub(super) fn open_lane(&mut self, io: &mut Io<Shard>, account: &str) {
        let Some(mut lane) = self.lanes.waiting.remove(account) else { return };
        while let Some((routed, ticket)) = lane.pop_front() {
            self.lanes.stanzas -= 1;
            self.lanes.bytes -= routed.bytes();
            self.on_behalf(Behalf::of(ticket), |shard| shard.arrive(io, routed));
            if let Some(behind) = self.lanes.waiting.get_mut(account) {
                // Nothing can have come meanwhile.
                behind.append(&mut lane);
                return;
            }
        }
    }
}
