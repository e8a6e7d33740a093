//! Whoever wants to register from an address that is on a block list: what is asked, and what follows.

use std::net::IpAddr;

use rondel_shards::Io;

use super::Shard;
use super::message::Message;
use super::registrar::ToRegistrar;
use super::task::{Aside, Step, Task};
use crate::dns::blocklist::Listing;
use crate::limited_event;
use crate::registration::{BlockListAction, Policy};

/// How accounts are marked that were made from an address on a list, as Prosody's `mod_register_dnsbl_firewall_mark`
/// marks them.
pub const LISTED_MARK: &str = "dnsbl_hit";

/// What follows from all lists together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listed {
    /// Nothing.
    Nowhere,
    /// The account is marked.
    Noted,
    /// The account is marked, and held to the limits of new ones.
    ToBeLimited,
    /// There is no account.
    Refused,
}

impl Shard {
    /// Looks whether an address is on a block list, and goes on. A list that does not answer refuses nobody.
    pub(super) fn look_for_listing(
        &self,
        address: IpAddr,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, Listed) -> Step + 'static,
    ) -> Step {
        let policy = self.settings.registration();
        let zones: Vec<String> = policy.block_lists.iter().map(|list| list.zone.clone()).collect();
        Step::listed(address, zones, move |shard, io, _: &Task, found| {
            let policy = shard.settings.registration();
            let listed = shard.judge(io, &policy, address, &found);
            then(shard, io, listed)
        })
    }

    fn judge(&mut self, io: &mut Io<Shard>, policy: &Policy, address: IpAddr, found: &[(String, Listing)]) -> Listed {
        let mut listed = Listed::Nowhere;
        for (zone, listing) in found {
            let action = policy.block_lists.iter().find(|list| list.zone == *zone).map(|list| list.action);
            match (listing, action) {
                (Listing::Unknown, _) => {
                    limited_event!(
                        WARN,
                        "registration",
                        zone = &**zone,
                        "a block list does not answer: nobody is refused"
                    );
                }
                (Listing::Yes, Some(BlockListAction::Refuse)) => return Listed::Refused,
                (Listing::Yes, Some(BlockListAction::Limit)) => listed = Listed::ToBeLimited,
                (Listing::Yes, Some(BlockListAction::Warn)) => {
                    let words = format!("Somebody registers from {address}, which is on the list {zone}");
                    self.tell_registrar(io, ToRegistrar::Alert(words));
                    listed = if listed == Listed::Nowhere { Listed::Noted } else { listed };
                }
                (Listing::No, _) | (_, None) => {}
            }
        }
        listed
    }

    /// Asks the lists; the answer is for a task. What is known at once is returned.
    pub(super) fn ask_lists(&self, io: &Io<Shard>, token: u64, address: IpAddr, zones: Vec<String>) -> Option<Aside> {
        let Some(dns) = self.settings.dns.as_ref().filter(|_| !zones.is_empty()) else {
            return Some(Aside::Listed(Vec::new()));
        };
        let unknown = zones.iter().map(|zone| (zone.clone(), Listing::Unknown)).collect();
        let remote = io.remote(io.shard());
        let answered = move |found| remote.send(Message::Aside { token, aside: Aside::Listed(found) });
        (!dns.look_up(address, zones, Box::new(answered))).then_some(Aside::Listed(unknown))
    }
}
