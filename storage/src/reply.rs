//! What the store answers, and how it reaches the caller.

use crate::archive::{Excess, Found};
use crate::client::Busy;
use std::fmt;
use std::sync::Arc;

/// The result of one request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The write is on disk: it survives `kill -9` and, as far as the disk is honest, a power cut.
    Written,
    /// The precondition with this index did not hold; nothing was written.
    Refused(usize),
    /// The request was not carried out. See [`Failure`] for what that means for a write.
    Failed(Failure),
    /// The answer to [`ReadRequest::Get`](crate::ReadRequest::Get).
    Value(Option<Vec<u8>>),
    /// The answer to [`ReadRequest::MultiGet`](crate::ReadRequest::MultiGet), in the order of its keys.
    Values(Vec<Option<Vec<u8>>>),
    /// The answer to [`ReadRequest::Page`](crate::ReadRequest::Page).
    Page(Page),
    /// The answers to [`ReadRequest::Several`](crate::ReadRequest::Several), in their order. A part may have failed
    /// without the others.
    Several(Vec<Outcome>),
    /// The answer to [`ReadRequest::Archive`](crate::ReadRequest::Archive). Boxed, so that replies stay small.
    Archive(Box<Found>),
    /// The answer to [`ReadRequest::ArchiveExcess`](crate::ReadRequest::ArchiveExcess).
    ArchiveExcess(Option<Box<Excess>>),
}

/// A slice of a range: the answer to a [`PageRequest`](crate::PageRequest).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// Keys and values in the order that was asked for.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the range ends here. Otherwise [`PageRequest::next`](crate::PageRequest::next) asks for more.
    pub complete: bool,
}

/// What kept a request from being carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The disk or a quota is full. Writes succeed again some seconds after there is room.
    DiskFull,
    /// Reading or writing failed otherwise.
    Io,
    /// Stored bytes are not what was written.
    Corrupt,
    /// Too much waits for the storage: the request was not taken.
    Busy,
    /// The store was closed before the request's turn came.
    Closed,
    /// A bug: a storage thread panicked over this request or its neighbours. The store reports itself as poisoned.
    Panicked,
}

/// Why a request failed.
///
/// A failed write is not visible to readers. If it failed for [`FailureKind::Io`], [`FailureKind::DiskFull`] or
/// [`FailureKind::Panicked`], it may have reached the log all the same and be found after a restart, or when the store
/// has opened its database anew, as with any write that a crash interrupts: the store promises that what it reported as
/// written exists, not the reverse.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// What RocksDB or the operating system said, on one line.
    pub text: Arc<str>,
}

impl Failure {
    /// A failure with its text.
    pub fn new(kind: FailureKind, text: impl Into<Arc<str>>) -> Failure {
        Failure { kind, text: text.into() }
    }

    pub(crate) fn closed() -> Failure {
        Failure::new(FailureKind::Closed, "the store is closed")
    }

    pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> Failure {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        Failure::new(FailureKind::Panicked, one_line(text))
    }
}

impl From<Busy> for Failure {
    fn from(busy: Busy) -> Failure {
        let kind = match busy {
            Busy::Full => FailureKind::Busy,
            Busy::Closed => FailureKind::Closed,
        };
        Failure::new(kind, busy.to_string())
    }
}

impl From<rocksdb::Error> for Failure {
    fn from(error: rocksdb::Error) -> Failure {
        let kind = match error.kind() {
            rocksdb::ErrorKind::Corruption => FailureKind::Corrupt,
            _ => FailureKind::Io,
        };
        let text = error.into_string();
        // RocksDB marks ENOSPC only ("No space left on device"); a quota is the same to an operator.
        let full = ["No space left", "NoSpace", "Disk quota exceeded"].iter().any(|mark| text.contains(mark));
        Failure::new(if full { FailureKind::DiskFull } else { kind }, one_line(&text))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FailureKind::DiskFull => write!(f, "the disk is full ({})", self.text),
            FailureKind::Io => write!(f, "the disk failed ({})", self.text),
            FailureKind::Corrupt => write!(f, "stored data are damaged ({})", self.text),
            FailureKind::Closed | FailureKind::Busy => f.write_str(&self.text),
            FailureKind::Panicked => write!(f, "a bug in the storage ({})", self.text),
        }
    }
}

impl std::error::Error for Failure {}

/// A message for an operator or a log stays on its line.
pub(crate) fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The outcome of the request that was made with `token`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// The caller's own number for the request.
    pub token: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// Where a client's replies go.
pub trait Replies: Send + Sync {
    /// Takes the replies of one batch, in the order of the requests.
    ///
    /// Called on a storage thread, once per batch and client: push the replies where their reader finds them and wake
    /// it once. Must not block and must not call back into the store. A panic in here is contained, but counts as one
    /// of the storage's own.
    fn deliver(&self, replies: Vec<Reply>);
}
