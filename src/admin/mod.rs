//! Administration: what an operator asks of a running server through its socket, or of a data directory that no server
//! uses.
//!
//! [`Backend`] is what can be asked. A running server implements it and is asked through a UNIX socket ([`serve()`]),
//! one JSON object per line, to which [`Remote`] is the other end; [`Offline`] implements it on a store that it opens
//! itself; both work on accounts through [`Users`]. All of it blocks, on threads of its own; nothing of it runs on a
//! shard.
//!
//! What may not live here: how a server carries out what it is asked, and how a command line looks.

mod applicants;
mod backend;
mod invites;
mod keys;
mod log;
mod offline;
mod protocol;
mod remote;
mod server;
mod socket;
#[cfg(test)]
mod tests;
mod users;

pub use applicants::{Applicants, Pending, PendingPage};
pub use backend::{
    Backend, Counted, Failure, FailureKind, ListUsers, PAGE_USERS_MAX, Status, UserDetails, UserPage, UserSummary,
};
pub use invites::{Invites, MadeInvite, NewInvite, OpenInvite};
pub use log::{ListLog, Log, LogEntry, LogPage, PAGE_ENTRIES_MAX, Part, Place};
pub use offline::Offline;
pub use remote::{ConnectError, Remote};
pub use server::{CLIENTS_MAX, Server, serve};
pub use socket::{BindError, bind};
pub use users::Users;
