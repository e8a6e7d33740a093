//! Why a stream ends, and what its client is told of it.

use rondel_shards::Closed;

use super::give;
use crate::stream::StreamError;

/// Why a stream ends, as its log line says.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The client has said goodbye.
    ByClient,
    /// The connection is gone already.
    Gone(Closed),
    /// With a stream error.
    Error(StreamError),
    /// After a word that was sent already.
    Said(&'static str),
    /// The client does not read what it is sent; what it has missed may still reach it.
    Behind,
    /// The client does not answer any more.
    Silent,
}

impl End {
    pub(super) fn reason(&self) -> String {
        match self {
            End::ByClient => "closed by client".into(),
            End::Gone(closed) => closed.reason().into(),
            End::Error(error) if error.text.is_empty() => error.name().into(),
            End::Error(error) => format!("{}: {}", error.name(), error.text),
            End::Said(reason) => (*reason).into(),
            End::Behind => End::Error(give::behind()).reason(),
            End::Silent => "client does not answer".into(),
        }
    }

    /// What the client is told.
    pub(super) fn error(&self) -> Option<StreamError> {
        match self {
            End::Error(error) => Some(error.clone()),
            End::Behind => Some(give::behind()),
            End::Silent => Some(StreamError::connection_timeout("no answer to a request for acknowledgement")),
            End::ByClient | End::Gone(_) | End::Said(_) => None,
        }
    }

    /// Whether another session takes the place of this one.
    pub(super) fn is_replacement(&self) -> bool {
        matches!(self, End::Error(error) if error.name() == "conflict")
    }

    /// Whether it is only the connection that ends, so that the client may come back (XEP-0198 §5).
    pub(super) fn is_of_connection(&self) -> bool {
        matches!(self, End::Gone(_) | End::Behind | End::Silent)
    }
}
