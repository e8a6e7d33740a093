//! One XMPP stream of a client, from its header to a bound session: negotiation, STARTTLS, SASL, resource binding
//! (RFC 6120 §4 to §7, XEP-0388, XEP-0386, XEP-0484), stream errors and stanza errors.
//!
//! State machines without I/O. [`Negotiation`] takes what the client sends and what its environment answers, and gives
//! [`Action`]s; it exists until a session is established and is dropped then. What may not live here: sockets, storage,
//! routing.

mod action;
mod authentication;
mod config;
mod error;
mod fast;
mod features;
mod inline;
pub mod management;
mod negotiation;
mod refusal;
mod stanza_error;
#[cfg(test)]
mod tests;

pub use action::{Action, BindRefusal, Credentials};
pub use config::{Config, TlsPolicy};
pub use error::{StreamCondition, StreamError};
pub use fast::{Token, TokenChange, Tokens};
pub use inline::{BindRequests, BoundResource, SessionFeatures};
pub use negotiation::{Header, Negotiation};
pub use refusal::Refusal;
pub use stanza_error::{StanzaCondition, error_reply};
