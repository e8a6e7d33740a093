//! The one shard that counts how often accounts are made, so that limits are exact for the whole server: few register
//! compared with all else that happens.

use std::net::IpAddr;

use rondel_shards::Io;

use super::message::Message;
use super::roster::now_micros;
use super::task::Aside;
use super::{Shard, now_s};
use crate::registration::Returned;

/// The shard that counts.
pub const REGISTRAR: usize = 0;

/// For the shard that counts.
pub enum ToRegistrar {
    /// Somebody wants to register; the answer goes to a task of a shard.
    Try {
        /// From where.
        address: IpAddr,
        /// The shard.
        shard: usize,
        /// The task.
        token: u64,
    },
    /// Somebody wants to use a challenge; the answer goes to a task of a shard.
    Spend {
        /// The challenge.
        challenge: Returned,
        /// The shard.
        shard: usize,
        /// The task.
        token: u64,
    },
    /// Somebody who was let pass has an account since then, in microseconds since 1970, or has none.
    Ended {
        /// From where.
        address: IpAddr,
        /// Since when.
        made_us: Option<u64>,
    },
    /// Somebody has registered: these words are for those who watch.
    Tell(String),
    /// Something has happened that administrators have to know.
    Alert(String),
}

impl Shard {
    /// Asks the shard that counts whether somebody may try to register now; the answer is for a task.
    pub(super) fn ask_registrar(&mut self, io: &mut Io<Shard>, address: IpAddr, token: u64) {
        let shard = io.shard();
        self.tell_registrar(io, ToRegistrar::Try { address, shard, token });
    }

    /// Asks it whether a challenge was used already; the answer is for a task.
    pub(super) fn spend_at_registrar(&mut self, io: &mut Io<Shard>, challenge: Returned, token: u64) {
        let shard = io.shard();
        self.tell_registrar(io, ToRegistrar::Spend { challenge, shard, token });
    }

    pub(super) fn tell_registrar(&mut self, io: &mut Io<Shard>, order: ToRegistrar) {
        io.send(REGISTRAR, Message::Registrar(Box::new(order)), size_of::<ToRegistrar>());
    }

    /// Somebody asks the shard that counts, or tells it something.
    pub(super) fn register_at(&mut self, io: &mut Io<Shard>, order: ToRegistrar) {
        match order {
            ToRegistrar::Try { address, shard, token } => {
                self.throttle.set_limits(self.settings.registration().throttle);
                let outcome = self.throttle.may_try(address, now_micros());
                io.send(shard, Message::Aside { token, aside: Aside::Admission(outcome) }, 0);
            }
            ToRegistrar::Spend { challenge, shard, token } => {
                let outcome = self.spent.spend(&challenge, now_s());
                io.send(shard, Message::Aside { token, aside: Aside::Spent(outcome) }, 0);
            }
            ToRegistrar::Tell(words) => self.watch_registration(io, words),
            ToRegistrar::Alert(words) => self.alert(io, words),
            ToRegistrar::Ended { address, made_us } => self.throttle.ended(address, made_us),
        }
    }
}
