//! What shards tell each other, and what other threads tell them.

use rondel_storage::Reply;

use crate::account::StanzaKind;
use crate::sasl::Failure;
use crate::stream::StreamError;

/// A message to a shard.
pub enum Message {
    /// A stanza for an account at home there.
    Stanza(Routed),
    /// An answer of the storage.
    Stored(Reply),
    /// What verifying a password has led to; `None` if that failed.
    Verified {
        /// Which connection asked.
        token: u64,
        /// Right, or wrong and how.
        outcome: Option<Result<(), Failure>>,
    },
    /// Ends all sessions of an account and answers how many there were.
    EndSessions(Box<EndSessions>),
}

// Every ring between two shards has room for thousands; what is seldom is boxed.
const _: () = assert!(std::mem::size_of::<Message>() <= 64);

/// What ends an account's sessions.
pub struct EndSessions {
    /// The bare JID.
    pub account: String,
    /// What the clients are told.
    pub error: StreamError,
    /// Where the answer goes.
    pub answer: crossbeam::channel::Sender<usize>,
}

/// A stanza on its way: in one allocation its bytes, with the true `from`, behind the addressee in normal form.
pub struct Routed {
    bytes: Box<[u8]>,
    to_end: u32,
    bare_end: u32,
    /// Its kind and type.
    pub kind: StanzaKind,
}

impl Routed {
    /// Takes the stanza that `write` appends.
    pub fn new(kind: StanzaKind, to: &crate::jid::Jid<'_>, size: usize, write: impl FnOnce(&mut Vec<u8>)) -> Routed {
        let mut bytes = Vec::with_capacity(to.as_str().len() + size);
        bytes.extend_from_slice(to.as_str().as_bytes());
        write(&mut bytes);
        let (to_end, bare_end) = (to.as_str().len() as u32, to.bare().len() as u32);
        Routed { bytes: bytes.into_boxed_slice(), to_end, bare_end, kind }
    }

    /// What it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The stanza.
    pub fn stanza(&self) -> &[u8] {
        &self.bytes[self.to_end as usize..]
    }

    /// The account it is for.
    pub fn bare(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.bare_end as usize]).unwrap_or_default()
    }

    /// The resource it is for.
    pub fn resource(&self) -> Option<&str> {
        if self.bare_end == self.to_end {
            return None;
        }
        std::str::from_utf8(&self.bytes[self.bare_end as usize + 1..self.to_end as usize]).ok()
    }
}
