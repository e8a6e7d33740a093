//! What an embedder implements: the callbacks of one shard.

use std::net::SocketAddr;

use crate::connection::ConnectionId;
use crate::io::Io;
use crate::tls::TlsFacts;

/// One shard's part of the embedding program.
///
/// Every callback runs on the shard's own thread and must not block. A panic in a callback is contained: the
/// connection it concerned is closed (`Closed::Panicked`), the shard goes on.
pub trait Application: Sized + 'static {
    /// What travels over the mesh, and from other threads to a shard.
    type Message: Send + 'static;
    /// What travels with a connection that moves to another shard.
    type Baggage: Send + 'static;

    /// A connection was accepted on one of the listeners. `Verdict::Refuse` closes it at once.
    fn accepted(&mut self, io: &mut Io<Self>, connection: ConnectionId, accepted: &Accepted) -> Verdict;

    /// A connection moved here from the shard `from`. Its unread bytes follow in a `received` right after.
    fn arrived(&mut self, io: &mut Io<Self>, connection: ConnectionId, from: usize, baggage: Self::Baggage);

    /// Bytes to read, decrypted where the connection speaks TLS. Returns how many of them were used up; the rest is
    /// kept and handed in again, from its first byte, together with what comes after it.
    fn received(&mut self, io: &mut Io<Self>, connection: ConnectionId, bytes: &[u8]) -> usize;

    /// The TLS handshake of a connection is complete.
    fn secured(&mut self, io: &mut Io<Self>, connection: ConnectionId, facts: TlsFacts);

    /// The connection is gone. Not called after [`Io::close`], [`Io::abort`] or [`Io::move_to`].
    fn closed(&mut self, io: &mut Io<Self>, connection: ConnectionId, why: Closed);

    /// A message from another shard, from this one, or from outside.
    fn message(&mut self, io: &mut Io<Self>, from: Origin, message: Self::Message);

    /// A connection's deadline ([`Io::set_deadline`]) has passed.
    fn deadline(&mut self, io: &mut Io<Self>, connection: ConnectionId);

    /// The connection that a message is about, if any: it is the one that a panic in [`Application::message`] costs.
    fn concerns(&self, message: &Self::Message) -> Option<ConnectionId>;

    /// A timer set with [`Io::schedule`] has fired.
    fn timer(&mut self, io: &mut Io<Self>, token: u64);

    /// The process wants to end: take leave of every connection ([`Io::last_words`], [`Io::close`]). New connections
    /// are no longer accepted. The shard ends once no connection is left or the grace period is over.
    fn shutting_down(&mut self, io: &mut Io<Self>);

    /// A turn ends, and what it has written to connections and other shards is about to be sent. What belongs together
    /// over a whole turn is done here: see [`Io::want_turn_end`]. What is written here is sent as well.
    fn turn_ends(&mut self, _io: &mut Io<Self>) {}

    /// Whether nothing is under way that an answer from outside is awaited for. A shard does not end before that,
    /// within the grace period.
    fn is_done(&self) -> bool {
        true
    }

    /// All shards have ended their connections; nothing arrives any more.
    fn ended(self, io: &mut Io<Self>);
}

/// What is known about a connection that was just accepted.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// Which of the listeners, by its index in [`crate::Options::listeners`].
    pub listener: usize,
    /// The client's address.
    pub peer: SocketAddr,
}

/// Whether a new connection stays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It stays.
    Accept,
    /// It is closed without a word.
    Refuse,
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Another shard, or this one, by index.
    Shard(usize),
    /// A thread that is no shard, through a [`crate::Remote`].
    Outside,
}

/// Why a connection is gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Closed {
    /// The peer closed its side.
    ByPeer,
    /// The socket failed, e.g. connection reset.
    Broken(std::io::ErrorKind),
    /// TLS failed; the text says how.
    Tls(String),
    /// Bytes stood in the buffer in clear text after TLS had been agreed on (RFC 6120 §5.4.3.3).
    PlaintextBehindTls,
    /// The peer took nothing from a full socket for [`crate::Options::stall_timeout`].
    Stalled,
    /// A callback panicked.
    Panicked,
    /// The grace period of a shutdown ended first.
    Shutdown,
}

impl Closed {
    /// A few words for a log line.
    pub fn reason(&self) -> &str {
        match self {
            Closed::ByPeer => "closed by peer",
            Closed::Broken(std::io::ErrorKind::ConnectionReset) => "connection reset",
            Closed::Broken(_) => "socket failed",
            Closed::Tls(text) => text,
            Closed::PlaintextBehindTls => "plaintext after STARTTLS",
            Closed::Stalled => "peer does not read",
            Closed::Panicked => "internal error",
            Closed::Shutdown => "grace period over",
        }
    }
}
