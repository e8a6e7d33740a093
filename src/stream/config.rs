//! What the negotiations of a server have in common.

use std::sync::atomic::AtomicBool;

use super::inline::SessionFeatures;
use crate::sasl::{Hash, UnknownUsers};

/// Whether a stream must be encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsPolicy {
    /// Nothing but STARTTLS is possible before.
    Required,
    /// For tests and measurements.
    PlaintextAllowed,
}

/// What negotiations of a server have in common.
#[derive(Debug)]
pub struct Config {
    /// The domains served, in normal form.
    pub domains: Vec<String>,
    /// Whether TLS must come first.
    pub tls: TlsPolicy,
    /// Whether there is a certificate, so that STARTTLS can be offered.
    pub tls_available: bool,
    /// The hash functions of the SCRAM mechanisms offered.
    pub hashes: Vec<Hash>,
    /// Whether PLAIN is offered.
    pub plain: bool,
    /// The domain whose users are anonymous.
    pub anonymous: Option<String>,
    /// Failed logins on one stream before it ends.
    pub tries: usize,
    /// Largest first-level element before and after login, to be advertised.
    pub max_bytes_before_login: usize,
    /// See `max_bytes_before_login`.
    pub max_bytes: usize,
    /// After how long a silent stream is looked after; zero for never.
    pub idle_seconds: u64,
    /// What unknown users look like.
    pub unknown: UnknownUsers,
    /// Rounds of new keys.
    pub iterations: u32,
    /// What a session can have from its beginning.
    pub features: SessionFeatures,
    /// How long a token to log in with lives, in seconds (XEP-0484); zero: there are none.
    pub token_lifetime_s: u64,
    /// Whether strangers may register, which can change while the server runs.
    pub registration: AtomicBool,
}
