//! What a callback can do: the shard's side of the runtime.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustls::ServerConfig;

use crate::allowance::{Allowance, Usage};
use crate::application::{Application, Closed};
use crate::bucket::Rate;
use crate::complaint::Complaint;
use crate::connection::{Connection, ConnectionId, Phase};
use crate::gather::Gatherer;
use crate::mesh::{Mesh, Outgoing, Post, Remote};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::poller::Poller;
use crate::slab::Slab;
use crate::tls::{self, Tls};
use crate::wheel::Wheel;

/// A connection that moves.
pub(crate) struct Moved<A: Application> {
    pub socket: std::os::fd::OwnedFd,
    pub peer: SocketAddr,
    pub tls: Option<Box<Tls>>,
    pub outbox: Vec<u8>,
    pub unsent: Vec<u8>,
    pub unread: Vec<u8>,
    pub deadline_ms: u64,
    pub allowance: Option<Allowance>,
    pub read_bytes: u64,
    pub baggage: Box<A::Baggage>,
}

/// What travels on the mesh.
pub(crate) enum Envelope<A: Application> {
    Message(A::Message),
    Moved(Box<Moved<A>>),
}

pub(crate) type MeshOf<A> = Mesh<Envelope<A>, <A as Application>::Message>;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Timer {
    Connection(ConnectionId),
    Application(u64),
    /// Freed memory goes back to the system.
    GiveBack,
    /// A listening socket is tried again.
    Listen(usize),
}

/// Why nothing can be written to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// It is gone, or closing.
    Gone,
    /// [`Options::outbox_limit`] bytes wait already.
    Full,
}

/// What connections take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Buffers {
    /// Bytes of their places and of their buffers, without the state of TLS.
    pub bytes: usize,
    /// Bytes that wait to be sent.
    pub unsent_bytes: usize,
}

/// The shard, as its [`Application`] sees it.
pub struct Io<A: Application> {
    pub(crate) shard: usize,
    pub(crate) mesh: Arc<MeshOf<A>>,
    pub(crate) outgoing: Outgoing<Envelope<A>>,
    pub(crate) connections: Slab<Connection<A>>,
    pub(crate) wheel: Wheel<Timer>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) options: Arc<Options>,
    /// Connections with something to send at the end of the turn.
    pub(crate) dirty: Vec<ConnectionId>,
    /// Empty buffers, to be lent to outboxes.
    pub(crate) pool: Vec<Vec<u8>>,
    /// Where a turn's output is encrypted.
    pub(crate) sealed: Vec<u8>,
    /// A ring was full; nobody reads until there is room again.
    pub(crate) reads_held: bool,
    /// The application wants nobody to read.
    pub(crate) reads_unwanted: bool,
    pub(crate) held: Vec<ConnectionId>,
    /// Handshake steps made in this turn, and who waits for the next turn to make one.
    pub(crate) handshakes: usize,
    pub(crate) handshake_queue: Vec<ConnectionId>,
    pub(crate) poller: Poller,
    pub(crate) listeners: Vec<TcpListener>,
    /// Connections that have something to do.
    pub(crate) runnable: Vec<ConnectionId>,
    pub(crate) flush_wanted: bool,
    pub(crate) shutting_down: bool,
    /// [`Timer::GiveBack`] is set.
    pub(crate) gives_back: bool,
    /// Other shards are told when it has fired.
    pub(crate) freed_here: bool,
    /// Clients that cannot be accepted, or not be watched.
    pub(crate) complaint: Complaint,
    /// Connections of all shards, in transit ones included.
    pub(crate) live: Arc<AtomicUsize>,
    gatherer: Gatherer,
    /// Events dealt with up to the last turn's end.
    events: u64,
    epoch: Instant,
    now_ms: u64,
}

/// How long freed memory is kept for whoever comes next.
const GIVE_BACK_AFTER_MS: u64 = 2_000;

/// Bytes that may wait for other shards before nobody reads any more.
const OUTGOING_BYTES_MAX: usize = 4 << 20;

/// A larger buffer for encryption is not kept.
const SEALED_BYTES_KEPT: usize = 256 << 10;

/// Buffers that are kept, and how many of them may be larger than what a stanza or two takes.
const POOLED_BUFFERS: usize = 1024;
const POOLED_LARGE_BUFFERS: usize = 128;
const POOLED_BUFFER_BYTES: usize = 64 << 10;
const SMALL_BUFFER_BYTES: usize = 2 << 10;

impl<A: Application> Io<A> {
    pub(crate) fn new(
        shard: usize,
        mesh: Arc<MeshOf<A>>,
        metrics: Arc<Metrics>,
        options: Arc<Options>,
        poller: Poller,
        live: Arc<AtomicUsize>,
        epoch: Instant,
    ) -> Self {
        Io {
            shard,
            outgoing: Outgoing::new(shard, mesh.shards()),
            mesh,
            connections: Slab::new(),
            wheel: Wheel::new(),
            metrics,
            gatherer: Gatherer::new(options.gather),
            events: 0,
            options,
            dirty: Vec::new(),
            pool: Vec::new(),
            sealed: Vec::new(),
            reads_held: false,
            reads_unwanted: false,
            held: Vec::new(),
            handshakes: 0,
            handshake_queue: Vec::new(),
            poller,
            listeners: Vec::new(),
            runnable: Vec::new(),
            flush_wanted: false,
            shutting_down: false,
            gives_back: false,
            freed_here: false,
            complaint: Complaint::default(),
            live,
            epoch,
            now_ms: 0,
        }
    }

    /// This shard's index.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.mesh.shards()
    }

    /// Milliseconds since the runtime started, as of the beginning of this turn; the same clock on all shards.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Whether the process is ending.
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down
    }

    /// Connections of all shards now.
    pub fn connection_count(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// This shard's counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The client's address.
    pub fn peer(&self, connection: ConnectionId) -> Option<SocketAddr> {
        self.connections.get(connection).map(|entry| entry.peer)
    }

    /// A handle by which other threads can send messages to a shard.
    pub fn remote(&self, shard: usize) -> Remote<A::Message> {
        Remote::new(Arc::clone(&self.mesh) as Arc<dyn Post<A::Message>>, shard)
    }

    /// Sends a message that holds so many bytes to a shard, this one included; it arrives after this callback, in order
    /// per pair of shards. Where too many bytes wait already, nobody reads until some are gone: see [`Io::must_yield`].
    pub fn send(&mut self, to: usize, message: A::Message, bytes: usize) {
        self.outgoing.push(to, Envelope::Message(message), bytes);
        if self.outgoing.bytes() > OUTGOING_BYTES_MAX {
            self.reads_held = true;
        }
        self.want_flush();
    }

    /// From now on nobody is read from, or everybody again. What is read already is handed in.
    pub fn hold_reads(&mut self, hold: bool) {
        self.reads_unwanted = hold;
        self.reads_held |= hold;
        self.want_flush();
    }

    /// Has [`Application::turn_ends`] called at the end of this turn, whether or not anything is to be sent.
    pub fn want_turn_end(&mut self) {
        self.want_flush();
    }

    /// What some thousand connections take, beginning with the given place of the table, and the place to go on from.
    pub fn buffers(&self, from: usize) -> (Buffers, Option<usize>) {
        let (connections, next) = self.connections.part(from);
        let mut buffers = Buffers { bytes: self.connections.part_bytes(from), unsent_bytes: 0 };
        for connection in connections {
            buffers.bytes += connection.buffer_bytes();
            buffers.unsent_bytes += connection.waiting();
        }
        (buffers, next)
    }

    /// Bytes of messages that wait to be sent to other shards.
    pub fn outgoing_bytes(&self) -> usize {
        self.outgoing.bytes()
    }

    /// Whether `received` should use up no more of the connection's bytes for now, because what they lead to has to be
    /// sent first. What it leaves is handed in again as soon as that is done.
    pub fn must_yield(&self, connection: ConnectionId) -> bool {
        let must = |entry: &Connection<A>| entry.rests_until_ms != 0 || entry.waiting() > self.options.outbox_limit / 2;
        self.reads_held || self.connections.get(connection).is_some_and(must)
    }

    /// Stops handing in bytes, and reading them, for so long. To be called while bytes are handed in: see
    /// [`Io::must_yield`].
    pub fn rest(&mut self, connection: ConnectionId, rest: Duration) {
        let until_ms = self.now_ms + rest.as_millis().max(1) as u64;
        if let Some(entry) = self.connections.get_mut(connection) {
            entry.rests_until_ms = entry.rests_until_ms.max(until_ms);
        }
        self.enqueue_deadline(connection);
    }

    /// The buffer of what will be sent to the connection at the end of this turn, to be appended to.
    pub fn outbox(&mut self, connection: ConnectionId) -> Result<&mut Vec<u8>, Refused> {
        let limit = self.options.outbox_limit;
        let mut entry = self.connections.get(connection).ok_or(Refused::Gone)?;
        if entry.waiting() >= limit && entry.may_flush() {
            // Full is only what the peer does not take, not what nobody has tried to send yet.
            self.flush_connection(connection);
            entry = self.connections.get(connection).ok_or(Refused::Gone)?;
        }
        match entry.phase {
            Phase::Open | Phase::Moving { .. } if entry.waiting() < limit => {}
            Phase::Open | Phase::Moving { .. } => return Err(Refused::Full),
            _ => return Err(Refused::Gone),
        }
        self.last_words(connection).ok_or(Refused::Gone)
    }

    /// Like [`Io::outbox`] whatever waits already: for the error that a connection is closed with.
    pub fn last_words(&mut self, connection: ConnectionId) -> Option<&mut Vec<u8>> {
        let entry = self.connections.get_mut(connection)?;
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(connection);
            if entry.outbox.capacity() == 0 {
                entry.outbox = self.pool.pop().unwrap_or_default();
            }
            self.want_flush();
        }
        self.connections.get_mut(connection).map(|entry| &mut entry.outbox)
    }

    /// Bytes that wait to be taken by the connection's socket.
    pub fn waiting(&self, connection: ConnectionId) -> usize {
        self.connections.get(connection).map_or(0, Connection::waiting)
    }

    /// Sends what waits, then closes.
    pub fn close(&mut self, connection: ConnectionId) {
        if self.last_words(connection).is_none() {
            return;
        }
        let until = self.now_ms + self.options.stall_timeout.as_millis() as u64;
        if let Some(entry) = self.connections.get_mut(connection)
            && matches!(entry.phase, Phase::Open | Phase::Moving { .. })
        {
            entry.phase = Phase::Closing;
            entry.deadline_ms = 0;
            entry.patience_ms = until;
            entry.unread = Vec::new();
            self.wake(connection);
        }
        self.enqueue_deadline(connection);
    }

    /// Closes at once; what waits is lost.
    pub fn abort(&mut self, connection: ConnectionId) {
        if let Some(entry) = self.connections.get_mut(connection) {
            entry.phase = Phase::Dead(None);
            self.wake(connection);
        }
    }

    /// Hands the connection over to another shard, with all that belongs to it; there `arrived` is called. For this
    /// shard nothing remains of it. A move to this very shard goes the same way, without leaving. From a connection
    /// that has ended meanwhile the baggage comes back.
    pub fn move_to(&mut self, connection: ConnectionId, to: usize, baggage: A::Baggage) -> Result<(), A::Baggage> {
        match self.connections.get_mut(connection) {
            Some(entry) if matches!(entry.phase, Phase::Open) => {
                entry.phase = Phase::Moving { to, baggage: Box::new(baggage) };
                self.wake(connection);
                Ok(())
            }
            _ => Err(baggage),
        }
    }

    /// Stops handing in bytes, and reading them, until [`Io::resume`].
    pub fn pause(&mut self, connection: ConnectionId) {
        if let Some(entry) = self.connections.get_mut(connection) {
            entry.paused = true;
        }
    }

    /// Goes on after [`Io::pause`], beginning with what was left unread.
    pub fn resume(&mut self, connection: ConnectionId) {
        if let Some(entry) = self.connections.get_mut(connection)
            && std::mem::take(&mut entry.paused)
        {
            entry.refeed = true;
            self.wake(connection);
        }
    }

    /// Reads the connection's bytes no faster than this from now on; `None`: as fast as they come. What it has read
    /// already counts on. The limit moves with the connection.
    pub fn limit_reads(&mut self, connection: ConnectionId, rate: Option<Rate>) {
        let now_ms = self.now_ms;
        let Some(entry) = self.connections.get_mut(connection) else { return };
        match (&mut entry.allowance, rate) {
            (Some(allowance), Some(rate)) => allowance.set_rate(rate, now_ms),
            (allowance, rate) => *allowance = rate.map(|rate| Allowance::new(rate, now_ms)),
        }
        self.wake(connection);
    }

    /// What the connection has read.
    pub fn usage(&self, connection: ConnectionId) -> Option<Usage> {
        let entry = self.connections.get(connection)?;
        let held = |allowance: &Allowance| (allowance.held_at_ms, allowance.held_until_ms > self.now_ms);
        let (held_at_ms, is_held) = entry.allowance.as_ref().map_or((0, false), held);
        let held_at_ms = (held_at_ms > 0).then_some(held_at_ms);
        Some(Usage { read_bytes: entry.read_bytes, held_at_ms, is_held })
    }

    /// Makes a configuration usable here; to be applied once to each.
    pub fn prepare_tls(config: &mut ServerConfig) {
        tls::prepare(config);
    }

    /// From the next byte on the connection speaks TLS, this end being the server. What stands in the outbox is still
    /// sent in clear text. Bytes that were received behind those used up so far are a fault
    /// ([`crate::Closed::PlaintextBehindTls`]).
    pub fn start_tls(&mut self, connection: ConnectionId, config: &Arc<ServerConfig>) -> Result<(), rustls::Error> {
        let tls = Box::new(Tls::new(config)?);
        if let Some(entry) = self.connections.get_mut(connection) {
            let outbox = std::mem::take(&mut entry.outbox);
            entry.unsent.extend_from_slice(&outbox);
            entry.tls = Some(tls);
        }
        Ok(())
    }

    /// Calls `deadline` for the connection once `after` has passed, instead of any earlier deadline; `None` for no
    /// more.
    pub fn set_deadline(&mut self, connection: ConnectionId, after: Option<Duration>) {
        let at_ms = after.map_or(0, |after| self.now_ms + after.as_millis().max(1) as u64);
        if let Some(entry) = self.connections.get_mut(connection) {
            entry.deadline_ms = at_ms;
        }
        self.enqueue_deadline(connection);
    }

    /// Calls `timer` with the token once `after` has passed.
    pub fn schedule(&mut self, after: Duration, token: u64) {
        self.set_timer(self.now_ms + after.as_millis() as u64, Timer::Application(token));
    }

    /// Sees to it that the wheel knows of the connection's next deadline. A deadline that moves away costs nothing: the
    /// old entry is looked at when it fires.
    pub(crate) fn enqueue_deadline(&mut self, connection: ConnectionId) {
        let Some(entry) = self.connections.get_mut(connection) else {
            return;
        };
        let next_ms = entry.next_deadline_ms();
        if next_ms == 0 || (entry.queued_ms != 0 && entry.queued_ms <= next_ms) {
            return;
        }
        entry.queued_ms = next_ms;
        self.set_timer(next_ms, Timer::Connection(connection));
    }

    pub(crate) fn set_timer(&mut self, at_ms: u64, timer: Timer) {
        self.wheel.insert(at_ms, timer);
    }

    /// Sees to it that the connection is looked at in this turn or the next.
    pub(crate) fn wake(&mut self, connection: ConnectionId) {
        if let Some(entry) = self.connections.get_mut(connection)
            && !std::mem::replace(&mut entry.queued, true)
        {
            self.runnable.push(connection);
        }
    }

    pub(crate) fn insert(&mut self, entry: Connection<A>) -> ConnectionId {
        let connection = self.connections.insert(entry);
        self.metrics.connections.set(self.connections.len() as u64);
        connection
    }

    pub(crate) fn remove(&mut self, connection: ConnectionId) -> Option<Connection<A>> {
        let entry = self.connections.remove(connection);
        self.memory_was_freed();
        self.metrics.connections.set(self.connections.len() as u64);
        entry
    }

    /// Sees to it that memory that is no longer used goes back to the system, a little later and all at once.
    pub(crate) fn memory_was_freed(&mut self) {
        self.freed_here = true;
        self.memory_was_freed_elsewhere();
    }

    /// The same where another shard has freed it: what was allocated here only this thread can give back.
    pub(crate) fn memory_was_freed_elsewhere(&mut self) {
        if !std::mem::replace(&mut self.gives_back, true) {
            self.set_timer(self.now_ms + GIVE_BACK_AFTER_MS, Timer::GiveBack);
        }
    }

    /// Sends what was written to a connection, and takes note of how that went.
    pub(crate) fn flush_connection(&mut self, connection: ConnectionId) {
        let Some(entry) = self.connections.get_mut(connection) else {
            return;
        };
        entry.dirty = false;
        if entry.blocked || matches!(entry.phase, Phase::Dead(_)) {
            return;
        }
        let outbox = std::mem::take(&mut entry.outbox);
        let sealed = &mut self.sealed;
        // What goes out: the rest of earlier turns, then this turn's outbox, the latter encrypted.
        let is_plain = entry.tls.is_none();
        let bytes: &[u8] = if is_plain && entry.unsent.is_empty() {
            &outbox
        } else {
            sealed.clear();
            // The shard's buffer stays with the shard: a session that owes nothing owns none.
            sealed.extend_from_slice(&entry.unsent[std::mem::take(&mut entry.unsent_from)..]);
            entry.unsent = Vec::new();
            let outcome = match &mut entry.tls {
                Some(tls) if !outbox.is_empty() => tls.seal(&outbox, sealed),
                Some(_) => Ok(()),
                None => {
                    sealed.extend_from_slice(&outbox);
                    Ok(())
                }
            };
            if let Err(error) = outcome {
                entry.die(Closed::Tls(error.to_string()));
                return self.wake(connection);
            }
            sealed
        };
        let sent = if bytes.is_empty() {
            Sent::All
        } else {
            self.metrics.sends.add(1);
            transmit(entry.socket.as_fd(), bytes)
        };
        let is_next = match sent {
            Sent::All => {
                self.metrics.bytes_sent.add(bytes.len() as u64);
                entry.refeed || matches!(entry.phase, Phase::Closing)
            }
            Sent::Part(taken) => {
                self.metrics.bytes_sent.add(taken as u64);
                self.metrics.blocked_sends.add(1);
                entry.unsent = bytes[taken..].to_vec();
                (entry.blocked, entry.writable) = (true, false);
                false
            }
            Sent::Broken(kind) => {
                entry.die(Closed::Broken(kind));
                true
            }
        };
        let blocked = entry.blocked;
        if is_next {
            self.wake(connection);
        }
        self.recycle(outbox);
        if self.sealed.capacity() > SEALED_BYTES_KEPT {
            self.sealed = Vec::new();
        }
        if blocked {
            self.begin_patience(connection);
        }
    }

    /// The peer must take something within the stall timeout.
    pub(crate) fn begin_patience(&mut self, connection: ConnectionId) {
        let until_ms = self.now_ms() + self.options.stall_timeout.as_millis().max(1) as u64;
        if let Some(entry) = self.connections.get_mut(connection) {
            entry.patience_ms = until_ms;
        }
        self.enqueue_deadline(connection);
    }

    /// A turn has ended: how long to wait for more to come together.
    pub(crate) fn pause_between_turns(&mut self) -> Option<Duration> {
        let events = self.metrics.reads.get() + self.metrics.mesh_received.get();
        let fresh = events - std::mem::replace(&mut self.events, events);
        self.gatherer.turn_ended(self.epoch.elapsed().as_micros() as u64, fresh)
    }

    pub(crate) fn tick(&mut self) {
        self.now_ms = self.epoch.elapsed().as_millis() as u64;
    }

    pub(crate) fn want_flush(&mut self) {
        self.flush_wanted = true;
    }

    /// Gives a buffer back, unless it has grown too large to be kept.
    pub(crate) fn recycle(&mut self, mut buffer: Vec<u8>) {
        let has_room = match buffer.capacity() {
            0 => false,
            1..=SMALL_BUFFER_BYTES => self.pool.len() < POOLED_BUFFERS,
            bytes => bytes <= POOLED_BUFFER_BYTES && self.pool.len() < POOLED_LARGE_BUFFERS,
        };
        if has_room {
            buffer.clear();
            self.pool.push(buffer);
        }
    }
}

/// How much of what was to be sent the socket took.
pub(crate) enum Sent {
    All,
    Part(usize),
    Broken(std::io::ErrorKind),
}

/// Sends what the socket takes now.
pub(crate) fn transmit(socket: BorrowedFd<'_>, bytes: &[u8]) -> Sent {
    loop {
        match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(taken) if taken == bytes.len() => return Sent::All,
            Ok(taken) => return Sent::Part(taken),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Sent::Part(0),
            Err(error) => return Sent::Broken(std::io::Error::from(error).kind()),
        }
    }
}
