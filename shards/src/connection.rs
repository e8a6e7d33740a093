//! What the runtime keeps of one connection.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use crate::allowance::Allowance;
use crate::application::{Application, Closed};
use crate::tls::Tls;

/// Names a connection within its shard, for as long as it is there; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl ConnectionId {
    /// The place of the connection in its shard's table: small, and used again after the connection is gone.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// As one number, to be carried through what knows only numbers.
    pub fn to_bits(self) -> u64 {
        u64::from(self.index) << 32 | u64::from(self.generation)
    }

    /// The reverse of [`ConnectionId::to_bits`].
    pub fn from_bits(bits: u64) -> ConnectionId {
        ConnectionId { index: (bits >> 32) as u32, generation: bits as u32 }
    }
}

impl std::fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// Where a connection is in its life.
pub(crate) enum Phase<A: Application> {
    /// Bytes are read and handed to the application.
    Open,
    /// It leaves for another shard as soon as its driver runs.
    Moving { to: usize, baggage: Box<A::Baggage> },
    /// Closed here: what waits is sent, then the sending side is shut down.
    Closing,
    /// The sending side is shut down; the peer's end is awaited, what it sends is thrown away.
    Lingering,
    /// To be dropped at once. With a reason where the application has still to be told.
    Dead(Option<Closed>),
}

/// One connection. An idle one owns no buffer.
pub(crate) struct Connection<A: Application> {
    pub socket: OwnedFd,
    pub phase: Phase<A>,
    pub tls: Option<Box<Tls>>,
    /// What the application has written in this turn, in clear text.
    pub outbox: Vec<u8>,
    /// What the socket did not take yet, encrypted where the connection speaks TLS; from `unsent_from` on.
    pub unsent: Vec<u8>,
    pub unsent_from: usize,
    /// What the application has not used up yet, in clear text.
    pub unread: Vec<u8>,
    /// In the list of connections that have something to do.
    pub queued: bool,
    /// In the list of those who wait until a full ring has room.
    pub held: bool,
    /// In the list of those who wait for their next step of a handshake.
    pub awaits_handshake: bool,
    /// The socket may have bytes; it has none since a read took fewer than there was room for.
    pub readable: bool,
    /// The socket may take bytes, or fail; it did not when the last send was not all taken.
    pub writable: bool,
    /// The peer's end has been told of: only a read that brings nothing is the last one.
    pub hung_up: bool,
    pub peer: SocketAddr,
    /// Deadline of the application in milliseconds of the shard's clock; zero for none.
    pub deadline_ms: u64,
    /// Until when a closed or stalled connection is waited for; zero for not at all.
    pub patience_ms: u64,
    /// The earliest moment for which this connection stands in the wheel; zero if it does not.
    pub queued_ms: u64,
    /// In the list of connections to be flushed at the end of the turn.
    pub dirty: bool,
    /// The socket was full; nothing is read until it takes more.
    pub blocked: bool,
    /// The application wants no bytes for now.
    pub paused: bool,
    /// Unread bytes are to be handed in again although nothing new came.
    pub refeed: bool,
    /// Until when the application wants no bytes, in milliseconds of the shard's clock; zero for now.
    pub rests_until_ms: u64,
    /// How fast it is read from, if that is limited.
    pub allowance: Option<Allowance>,
    /// Bytes that were read from its socket.
    pub read_bytes: u64,
    /// Its TLS state is in use by what is being received; nothing can be encrypted meanwhile.
    pub lent: bool,
}

impl<A: Application> Connection<A> {
    pub fn new(socket: OwnedFd, peer: SocketAddr) -> Self {
        Connection {
            socket,
            phase: Phase::Open,
            tls: None,
            outbox: Vec::new(),
            unsent: Vec::new(),
            unsent_from: 0,
            unread: Vec::new(),
            queued: false,
            held: false,
            awaits_handshake: false,
            readable: false,
            writable: true,
            hung_up: false,
            peer,
            deadline_ms: 0,
            patience_ms: 0,
            queued_ms: 0,
            dirty: false,
            blocked: false,
            paused: false,
            refeed: false,
            rests_until_ms: 0,
            allowance: None,
            read_bytes: 0,
            lent: false,
        }
    }

    /// Bytes that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.outbox.len() + self.unsent.len() - self.unsent_from
    }

    /// Bytes that its buffers take.
    pub fn buffer_bytes(&self) -> usize {
        self.outbox.capacity() + self.unsent.capacity() + self.unread.capacity()
    }

    /// Whether something can be sent right now, in the middle of a turn.
    pub fn may_flush(&self) -> bool {
        !self.blocked && !self.lent && matches!(self.phase, Phase::Open)
    }

    /// The socket or its TLS has failed. One that moves is left to whoever gets it. To be followed by a wake.
    pub fn die(&mut self, why: Closed) {
        match self.phase {
            Phase::Moving { .. } => {}
            Phase::Open => self.phase = Phase::Dead(Some(why)),
            Phase::Closing | Phase::Lingering | Phase::Dead(_) => self.phase = Phase::Dead(None),
        }
    }

    /// The earliest of its deadlines, zero for none.
    pub fn next_deadline_ms(&self) -> u64 {
        let held_until_ms = self.allowance.as_ref().map_or(0, |allowance| allowance.held_until_ms);
        let deadlines = [self.deadline_ms, self.patience_ms, held_until_ms, self.rests_until_ms];
        deadlines.into_iter().filter(|at_ms| *at_ms != 0).min().unwrap_or(0)
    }
}
