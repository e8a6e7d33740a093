//! One session's connection: what came in and is not used up yet, and how far its dialogue is.

use crate::xmpp::management::Management;
use crate::xmpp::negotiation::Negotiation;
use crate::xmpp::scanner::{Piece, Scanner};

use super::transport::Transport;
use super::worker::vanish::Gone;

/// A session's connection.
pub struct Link {
    pub transport: Transport,
    pub ordinal: u64,
    pub stage: Stage,
    /// Bytes of an incomplete stanza.
    pub unread: Vec<u8>,
    pub framing: Framing,
    /// When it was begun to connect, in nanoseconds of the run.
    pub began_ns: u64,
    /// The poll is asked to tell when the socket takes more.
    pub wants_write: bool,
    /// Once stream management was asked for.
    pub management: Option<Management>,
    /// What it comes back from, until the server has resumed the session.
    pub gone: Option<Box<Gone>>,
}

/// Where a session is in its life.
pub enum Stage {
    Connecting,
    Negotiating(Box<Negotiation>),
    Bound,
    /// The stream was closed from here.
    Closing,
}

/// How a stream falls into pieces.
pub enum Framing {
    Xml(Scanner),
    /// Chunks of this many bytes.
    Chunks(usize),
}

impl Framing {
    /// The next piece of `buffer` and how many bytes it took.
    pub fn next<'a>(&mut self, buffer: &'a [u8]) -> Result<Option<(Piece<'a>, usize)>, String> {
        match self {
            Self::Xml(scanner) => scanner.next(buffer).map_err(|error| error.to_string()),
            Self::Chunks(size) => Ok(buffer.get(..*size).map(|chunk| (Piece::Stanza(chunk), *size))),
        }
    }

    /// A new stream begins.
    pub fn restart(&mut self) {
        if let Self::Xml(scanner) = self {
            *scanner = Scanner::new();
        }
    }
}
