//! What sessions and addresses have used of what they may, for those who administer the server.

use std::net::IpAddr;

use rondel_shards::Io;

use super::stream::{Established, Stream};
use super::{Shard, now_s};
use crate::admin::{AddressUsage, SessionUsage};
use crate::limits::prefix;

/// Of whom it is asked.
#[derive(Clone, Debug)]
pub enum Asked {
    /// An account: a bare JID.
    Account(String),
    /// An address.
    Address(IpAddr),
}

/// The question.
pub struct AskUsage {
    /// Of whom.
    pub asked: Asked,
    /// Where the answer goes: sessions, and of an address what is known of it.
    pub answer: crossbeam::channel::Sender<(Vec<SessionUsage>, Option<AddressUsage>)>,
}

impl Shard {
    /// Tells what somebody has used.
    pub(super) fn tell_usage(&mut self, io: &Io<Shard>, ask: &AskUsage) {
        let streams = self.streams.iter().flatten().filter_map(|stream| Some((stream, stream.session()?)));
        let sessions = streams.filter(|(stream, session)| match &ask.asked {
            Asked::Account(account) => session.address.bare() == account,
            Asked::Address(address) => prefix(stream.peer.ip()) == prefix(*address),
        });
        let sessions = sessions.map(|(stream, session)| self.session_usage(io, stream, session)).collect();
        let address = match ask.asked {
            Asked::Address(address) => self.addresses.used(address, io.now_ms()).map(|used| {
                let (connections, connections_left, failures_left) = used;
                AddressUsage { connections, connections_left, failures_left }
            }),
            Asked::Account(_) => None,
        };
        // Whoever asked may have stopped waiting.
        let _ = ask.answer.send((sessions, address));
    }

    fn session_usage(&self, io: &Io<Shard>, stream: &Stream, session: &Established) -> SessionUsage {
        let usage = io.usage(stream.connection).unwrap_or_default();
        let seconds_ago = |at_ms: u64| io.now_ms().saturating_sub(at_ms) / 1000;
        let since_s = self.accounts.session(session.key).map_or(0, |session| session.since_s);
        SessionUsage {
            jid: session.address.as_str().to_owned(),
            address: stream.peer.ip().to_canonical().to_string(),
            age_s: now_s().saturating_sub(since_s),
            read_bytes: usage.read_bytes,
            is_exempt: session.is_exempt,
            is_held: usage.is_held,
            held_bytes_s: usage.held_at_ms.map(seconds_ago),
            held_stanzas_s: (session.rested_ms > 0).then(|| seconds_ago(session.rested_ms)),
        }
    }
}
