//! The runtime's settings.

use std::time::Duration;

use crate::listen::Listener;

/// Settings of a [`crate::Runtime`]; each bound protects the process against a peer or an operator's mistake.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of shards. Up to the number of available cores each is pinned to a core of its own.
    pub shards: usize,
    /// Where to listen; every shard has a socket of its own for each (SO_REUSEPORT).
    pub listeners: Vec<Listener>,
    /// Messages that fit the ring of an ordered pair of shards.
    pub mesh_capacity: usize,
    /// How long an executor spins before it sleeps; zero sleeps at once.
    pub spin: Duration,
    /// How long a busy shard waits between two turns so that more comes together; zero for not at all.
    pub gather: Duration,
    /// Bytes that wait for one connection at most, in its outbox and for its socket.
    pub outbox_limit: usize,
    /// A peer that takes nothing for this long, while bytes wait for it, is given up.
    pub stall_timeout: Duration,
    /// How long a connection that was closed here waits for the peer's end of it.
    pub linger: Duration,
    /// TLS handshake steps per turn of a shard, so that existing sessions keep their share in a login storm.
    pub handshakes_per_turn: usize,
    /// Bytes one read takes at most; one such buffer exists per shard.
    pub read_buffer: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            shards: available_cores().len().max(1),
            listeners: Vec::new(),
            mesh_capacity: 4096,
            spin: Duration::ZERO,
            gather: Duration::from_micros(500),
            outbox_limit: 1 << 20,
            stall_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            handshakes_per_turn: 8,
            read_buffer: 32 << 10,
        }
    }
}

/// The cores that this process may run on, by number.
pub fn available_cores() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..rustix::thread::CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect(),
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}
