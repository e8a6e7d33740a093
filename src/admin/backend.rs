//! What can be asked, and the answers, as plain values.

use serde::{Deserialize, Serialize};

use super::request::{Done, Expected, Request};
use crate::jid::Jid;

/// Accounts in one page of a list at most.
pub const PAGE_USERS_MAX: usize = 1_000;

/// Whoever carries out what an operator asks. May block; may be asked from several threads at once.
pub trait Backend: Send + Sync {
    /// Carries out a request of somebody. What comes of it on the way is handed to `tell`, which answers whether
    /// anybody listens.
    fn ask(&self, by: &By, request: Request, tell: &mut dyn FnMut(Done) -> bool) -> Result<Done, Failure>;
}

/// Asks for something that comes in one piece, as whoever runs this process.
pub fn ask<T: Expected>(backend: &(impl Backend + ?Sized), request: Request) -> Result<T, Failure> {
    let done = backend.ask(&By::here(), request, &mut |_| true)?;
    T::of(done).ok_or_else(|| Failure::new(FailureKind::Failed, "the answer belongs to another question"))
}

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum By {
    /// A user of this machine, by number.
    Local(u32),
    /// An account that administers the server, by its bare JID.
    Account(String),
}

impl By {
    /// Whoever runs this process.
    pub fn here() -> By {
        By::Local(rustix::process::getuid().as_raw())
    }
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            By::Local(number) => write!(f, "user {number} of this machine"),
            By::Account(jid) => f.write_str(jid),
        }
    }
}

/// Which accounts to list.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListUsers {
    /// Only those that come after this one.
    pub after: Option<String>,
    /// Only those of this domain.
    pub domain: Option<String>,
    /// So many at most; never more than [`PAGE_USERS_MAX`].
    pub limit: usize,
}

/// A page of the list of accounts, in an order that does not change.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct UserPage {
    /// The accounts.
    pub users: Vec<UserSummary>,
    /// Whether there may be more behind the last.
    pub more: bool,
}

/// An account as a list shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UserSummary {
    /// Its address.
    pub jid: String,
    /// When it was made, in seconds since 1970.
    pub created_s: u64,
    /// Whether it may not log in.
    pub disabled: bool,
}

/// What is stored about an account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UserDetails {
    /// Its address.
    pub jid: String,
    /// When it was made, in seconds since 1970.
    pub created_s: u64,
    /// Who made it, such as `cli`.
    pub source: String,
    /// The client's address if a client made it.
    pub source_address: Option<String>,
    /// If it may not log in.
    pub disabled: Option<DisabledUser>,
    /// Whether it administers the server.
    pub is_admin: bool,
    /// Until when nothing that it sends reaches others, in seconds since 1970; [`u64::MAX`]: for good.
    pub muted_until_s: Option<u64>,
    /// Until when it is held to the limits of new accounts, in seconds since 1970; [`u64::MAX`]: for good.
    pub limited_until_s: Option<u64>,
    /// Whether it is not held to them however young it is.
    pub is_trusted: bool,
    /// When it is removed because its owner has left, in seconds since 1970.
    pub leaves_at_s: Option<u64>,
    /// Mechanisms of its keys, such as `SCRAM-SHA-256`, and their rounds of hashing.
    pub keys: Vec<(String, u32)>,
}

/// Since when, until when and why an account may not log in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DisabledUser {
    /// In seconds since 1970.
    pub since_s: u64,
    /// In seconds since 1970; until it is enabled without.
    pub until_s: Option<u64>,
    /// For operators.
    pub reason: String,
}

/// Why something was not done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// For programs.
    pub kind: FailureKind,
    /// For people: one line.
    pub text: String,
}

/// Why something was not done, for programs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The account is there already.
    Exists,
    /// There is no such account.
    NotFound,
    /// The domain is not served here.
    NotServed,
    /// What was asked makes no sense.
    Invalid,
    /// Whoever was asked cannot do this, e.g. because no server runs.
    Unavailable,
    /// Too much is asked at once; later it may work.
    Busy,
    /// It was tried and failed.
    Failed,
}

impl Failure {
    /// A failure with its text.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Failure {
        Failure { kind, text: text.into() }
    }

    /// The account is there already.
    pub fn exists(jid: &Jid<'_>) -> Failure {
        Failure::new(FailureKind::Exists, format!("{jid} exists already"))
    }

    /// The server does not come to it just now.
    pub fn busy() -> Failure {
        Failure::new(FailureKind::Busy, "the server has too much to do; try again")
    }

    /// There is no such account.
    pub fn not_found(jid: &Jid<'_>) -> Failure {
        Failure::new(FailureKind::NotFound, format!("there is no account {jid}"))
    }
}
