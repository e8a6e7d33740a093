//! The server's side of SASL: mechanisms as state machines, and the keys they verify passwords with.
//!
//! Values in, values out. What may not live here: how mechanisms are carried in XMPP (that is `stream`), storage,
//! threads. Deriving keys from a password takes milliseconds on purpose; callers do it on a side thread.

mod ht;
mod keys;
mod plain;
mod scram;
mod unknown;

pub use ht::{Ht, HtMessage};
pub use keys::{Hash, PASSWORD_BYTES_MAX, ScramKeys, derive, new_keys, prepare_password, verify};
pub use plain::PlainMessage;
pub use scram::{Bindings, ClientFirst, Scram};

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mechanism {
    /// SCRAM (RFC 5802, RFC 7677), with channel binding where `plus`.
    Scram {
        /// The hash function.
        hash: Hash,
        /// Bound to the TLS channel.
        plus: bool,
    },
    /// PLAIN (RFC 4616).
    Plain,
    /// ANONYMOUS (RFC 4505).
    Anonymous,
}

impl Mechanism {
    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Scram { hash: Hash::Sha1, plus: false } => "SCRAM-SHA-1",
            Mechanism::Scram { hash: Hash::Sha1, plus: true } => "SCRAM-SHA-1-PLUS",
            Mechanism::Scram { hash: Hash::Sha256, plus: false } => "SCRAM-SHA-256",
            Mechanism::Scram { hash: Hash::Sha256, plus: true } => "SCRAM-SHA-256-PLUS",
            Mechanism::Scram { hash: Hash::Sha512, plus: false } => "SCRAM-SHA-512",
            Mechanism::Scram { hash: Hash::Sha512, plus: true } => "SCRAM-SHA-512-PLUS",
            Mechanism::Plain => "PLAIN",
            Mechanism::Anonymous => "ANONYMOUS",
        }
    }
}

/// Why a login fails (RFC 6120 §6.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// `<aborted/>`
    Aborted,
    /// `<account-disabled/>`
    AccountDisabled,
    /// `<account-disabled/>`, of one whose owner has left.
    AccountLeft,
    /// `<credentials-expired/>`
    CredentialsExpired,
    /// `<encryption-required/>`
    EncryptionRequired,
    /// `<incorrect-encoding/>`
    IncorrectEncoding,
    /// `<invalid-authzid/>`
    InvalidAuthzid,
    /// `<invalid-mechanism/>`
    InvalidMechanism,
    /// `<malformed-request/>`
    MalformedRequest,
    /// `<not-authorized/>`
    NotAuthorized,
    /// `<temporary-auth-failure/>`
    TemporaryAuthFailure,
}

impl Failure {
    /// The condition's element name.
    pub fn condition(self) -> &'static str {
        match self {
            Failure::Aborted => "aborted",
            Failure::AccountDisabled | Failure::AccountLeft => "account-disabled",
            Failure::CredentialsExpired => "credentials-expired",
            Failure::EncryptionRequired => "encryption-required",
            Failure::IncorrectEncoding => "incorrect-encoding",
            Failure::InvalidAuthzid => "invalid-authzid",
            Failure::InvalidMechanism => "invalid-mechanism",
            Failure::MalformedRequest => "malformed-request",
            Failure::NotAuthorized => "not-authorized",
            Failure::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }

    /// What is said beside it.
    pub fn text(self) -> Option<&'static str> {
        (self == Failure::AccountLeft).then_some("Account deleted")
    }
}
pub use unknown::UnknownUsers;
