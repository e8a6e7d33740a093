//! What is on a shard at this moment, and what it takes, for those who watch the server. Connections are looked at some
//! thousands at a time, so that nobody waits for it.

use rondel_shards::Io;

use super::Shard;

/// What is on a shard, or a part of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stock {
    /// Sessions, those that wait for their clients included.
    pub sessions: u64,
    /// Sessions that wait for their clients to come back (XEP-0198 §5).
    pub waiting_sessions: u64,
    /// Accounts in memory.
    pub accounts: u64,
    /// Stanzas that wait until their addressee is loaded, or until rules have been answered.
    pub waiting_stanzas: u64,
    /// Bytes that wait to be sent to other shards.
    pub mesh_bytes: u64,
    /// Bytes of what clients have not acknowledged.
    pub unacknowledged_bytes: u64,
    /// Bytes that connections and their buffers take, without the state of TLS.
    pub connection_bytes: u64,
    /// Of these, what waits because clients do not take it.
    pub unsent_bytes: u64,
    /// Processor time that the shard's thread has used, in microseconds.
    pub cpu_microseconds: u64,
}

/// The question.
pub struct TakeStock {
    /// From which connection on; what is no connection's is told with the first.
    pub from: usize,
    /// Where the answer goes: the part, and from where to ask on.
    pub answer: crossbeam::channel::Sender<(Stock, Option<usize>)>,
}

impl Stock {
    /// Takes another part of the same shard in.
    pub fn add(&mut self, part: &Stock) {
        self.connection_bytes += part.connection_bytes;
        self.unsent_bytes += part.unsent_bytes;
    }

    /// Name and value of each figure, in order.
    pub fn fields(&self) -> [(&'static str, u64); 9] {
        [
            ("sessions", self.sessions),
            ("waiting-sessions", self.waiting_sessions),
            ("accounts-in-memory", self.accounts),
            ("waiting-stanzas", self.waiting_stanzas),
            ("mesh-bytes", self.mesh_bytes),
            ("unacknowledged-bytes", self.unacknowledged_bytes),
            ("connection-bytes", self.connection_bytes),
            ("unsent-bytes", self.unsent_bytes),
            ("cpu-microseconds", self.cpu_microseconds),
        ]
    }
}

impl Shard {
    /// Tells what is here.
    pub(super) fn take_stock(&self, io: &Io<Shard>, asked: &TakeStock) {
        let (buffers, next) = io.buffers(asked.from);
        let mut stock = Stock {
            connection_bytes: buffers.bytes as u64,
            unsent_bytes: buffers.unsent_bytes as u64,
            ..Stock::default()
        };
        if asked.from == 0 {
            stock.sessions = self.accounts.sessions_len() as u64;
            stock.waiting_sessions = self.waiting.len() as u64;
            stock.accounts = self.accounts.len() as u64;
            stock.waiting_stanzas = (self.loading.len() + self.passages.len() + self.lanes.len()) as u64;
            stock.mesh_bytes = io.outgoing_bytes() as u64;
            stock.unacknowledged_bytes = self.unacknowledged.bytes() as u64;
            let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            stock.cpu_microseconds = used.tv_sec as u64 * 1_000_000 + used.tv_nsec as u64 / 1_000;
        }
        // Whoever asked may have stopped waiting.
        let _ = asked.answer.send((stock, next));
    }
}
