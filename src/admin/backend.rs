//! What can be asked, and the answers, as plain values.

use serde::{Deserialize, Serialize};

use super::applicants::PendingPage;
use super::invites::{MadeInvite, NewInvite, OpenInvite};
use super::log::{ListLog, LogPage};
use crate::jid::Jid;
use crate::sasl::ScramKeys;
use crate::shard::Traced;

/// Accounts in one page of a list at most.
pub const PAGE_USERS_MAX: usize = 1_000;

/// Whoever carries out what an operator asks. Every method may block; all may be called from several threads at once.
///
/// Addresses are bare JIDs of accounts.
pub trait Backend: Send + Sync {
    /// Who answers.
    fn status(&self) -> Result<Status, Failure>;

    /// Adds an account. Returns once it is safe on disk.
    fn add_user(&self, jid: &Jid<'_>, keys: Vec<ScramKeys>) -> Result<(), Failure>;

    /// Replaces the keys of an account: from then on only the new password logs in. Sessions go on.
    fn set_keys(&self, jid: &Jid<'_>, keys: Vec<ScramKeys>) -> Result<(), Failure>;

    /// Removes an account with all that belongs to it, and ends its sessions; with a time, in seconds since 1970, only
    /// if it was made then.
    fn remove_user(&self, jid: &Jid<'_>, made_s: Option<u64>) -> Result<(), Failure>;

    /// Bars an account from logging in, and ends its sessions. The reason is for operators.
    fn disable_user(&self, jid: &Jid<'_>, reason: &str) -> Result<(), Failure>;

    /// Lets a disabled account log in again.
    fn enable_user(&self, jid: &Jid<'_>) -> Result<(), Failure>;

    /// A page of the list of accounts.
    fn list_users(&self, list: &ListUsers) -> Result<UserPage, Failure>;

    /// What is stored about an account.
    fn show_user(&self, jid: &Jid<'_>) -> Result<UserDetails, Failure>;

    /// A page of those who have registered and wait to be let in, behind this address.
    fn list_pending(&self, after: Option<&str>) -> Result<PendingPage, Failure>;

    /// Lets somebody in who waits.
    fn approve(&self, jid: &Jid<'_>) -> Result<(), Failure>;

    /// Removes the account of somebody who waits.
    fn reject(&self, jid: &Jid<'_>) -> Result<(), Failure>;

    /// Makes an invitation. Returns once it is safe on disk.
    fn create_invite(&self, new: &NewInvite) -> Result<MadeInvite, Failure>;

    /// The invitations that are open.
    fn list_invites(&self) -> Result<Vec<OpenInvite>, Failure>;

    /// Takes an invitation back.
    fn revoke_invite(&self, id: &str) -> Result<(), Failure>;

    /// A page of the log of registrations.
    fn list_log(&self, list: &ListLog) -> Result<LogPage, Failure>;

    /// Says something to everybody who is online, or to all accounts, now or when they come; only to those of a domain,
    /// if one is given.
    fn announce(&self, words: &str, domain: Option<&str>, everybody: bool) -> Result<(), Failure>;

    /// Tells what is decided for the stanzas of an account from now on, until `tell` answers that nobody listens; asked
    /// with nothing now and then, so that it can say so.
    fn trace(&self, jid: &Jid<'_>, tell: &mut dyn FnMut(Option<Traced>) -> bool) -> Result<(), Failure>;

    /// The levels of log lines, as `info,session=debug`.
    fn log_levels(&self) -> Result<String, Failure>;

    /// Changes levels of log lines, as [`crate::logging::Levels::changed`] reads them; returns those from now on.
    fn change_log_levels(&self, changes: &str) -> Result<String, Failure>;
}

/// Who answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The domains served; empty if unknown, because no server runs.
    pub domains: Vec<String>,
    /// Rounds of hashing for the keys of new passwords; `None` leaves it to whoever asks.
    pub scram_iterations: Option<u32>,
    /// What has been counted since the server started.
    #[serde(default)]
    pub counters: Vec<Counted>,
}

/// A counter, or a gauge of what is there now.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counted {
    /// What is counted.
    pub name: String,
    /// By which shard; `None` for what all share.
    pub shard: Option<usize>,
    /// How much of it.
    pub value: u64,
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
    /// If it may not log in: since when, in seconds since 1970, and why.
    pub disabled: Option<(u64, String)>,
    /// Mechanisms of its keys, such as `SCRAM-SHA-256`, and their rounds of hashing.
    pub keys: Vec<(String, u32)>,
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

    /// There is no such account.
    pub fn not_found(jid: &Jid<'_>) -> Failure {
        Failure::new(FailureKind::NotFound, format!("there is no account {jid}"))
    }
}
