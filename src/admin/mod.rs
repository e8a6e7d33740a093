//! Administration: what an operator asks of a running server through its socket, or of a data directory that no server
//! uses.
//!
//! [`Request`] is what can be asked, [`Done`] what comes of it, and [`Backend`] whoever carries it out. A running
//! server is one and is asked through a UNIX socket ([`serve()`]), one JSON object per line, to which [`Remote`] is the
//! other end; [`Offline`] is one on a store that it opens itself; both leave to a [`Desk`] what concerns the store
//! alone. All of it blocks, on threads of its own; nothing of it runs on a shard.
//!
//! What may not live here: how a server carries out what it is asked, and how a command line looks.

mod applicants;
mod audit;
mod backend;
mod backups;
mod bans;
mod count;
mod desk;
mod firewall;
mod invites;
mod keys;
mod log;
mod marks;
mod offline;
mod people;
mod protocol;
mod remote;
mod reports;
mod request;
mod sanctions;
mod server;
mod socket;
mod status;
#[cfg(test)]
mod tests;
mod transfer;
mod usage;
mod users;

pub use applicants::{Pending, PendingPage};
pub use audit::{AuditEntry, AuditPage, ListAudit};
pub use backend::{
    Backend, By, DisabledUser, Failure, FailureKind, ListUsers, PAGE_USERS_MAX, UserDetails, UserPage, UserSummary, ask,
};
pub use backups::{DamageFacts, MadeBackup, SurveyFacts};
pub(crate) use backups::{failed as backup_failed, make as make_backup, survey};
pub use bans::BannedNetwork;
pub use count::{CountLog, LogCount};
pub use desk::Desk;
pub(crate) use desk::account;
pub use firewall::{FirewallFacts, ListFacts, RuleFacts};
pub use invites::{MadeInvite, NewInvite, OpenInvite};
pub use keys::mechanism_name;
pub use log::{ListLog, LogEntry, LogPage, PAGE_ENTRIES_MAX, Part, Place};
pub use marks::MarkedAccount;
pub use offline::Offline;
pub use people::{Activity, CensusOutcome, RosterEntry, SessionFacts, Which};
pub use remote::{ConnectError, Remote};
pub use reports::{ActOnReport, ReportAction, ReportDetails, ReportPage, ReportSummary};
pub use request::{Done, Expected, Request};
pub use sanctions::NamedRole;
pub use server::{CLIENTS_MAX, Server, serve};
pub use socket::{BindError, bind};
pub use status::{Alert, BackupFacts, CertificateLife, Counted, Lately, Status};
pub use transfer::{ImportFacts, Transfer};
pub use usage::{AddressUsage, SessionUsage, Usage};
pub(crate) use users::now;
