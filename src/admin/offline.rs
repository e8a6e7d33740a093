//! The accounts of a data directory that no server uses.

use std::path::Path;
use std::sync::Arc;

use rondel_storage::{Options, Store};

use super::applicants::{Applicants, PendingPage};
use super::backend::{Backend, Failure, FailureKind, ListUsers, Status, UserDetails, UserPage};
use super::invites::{Invites, MadeInvite, NewInvite, OpenInvite};
use super::log::{ListLog, Log, LogPage};
use super::users::Users;
use crate::jid::Jid;
use crate::sasl::ScramKeys;
use crate::shard::Traced;

/// An open store with nobody behind it: what concerns sessions or logging cannot be asked.
#[derive(Clone)]
pub struct Offline {
    users: Users,
    applicants: Applicants,
    invites: Invites,
    log: Log,
}

impl Offline {
    /// Opens the store in this folder; made if it is not there and `create`. An error is one line.
    pub fn open(store: &Path, create: bool) -> Result<Offline, String> {
        let mut options = Options::new(store);
        options.create_if_missing = create;
        let store = Store::open(&options).map_err(|error| error.to_string())?;
        let store = Arc::new(store);
        let (users, applicants) = (Users::new(Arc::clone(&store)), Applicants::new(Arc::clone(&store)));
        let invites = Invites::new(Arc::clone(&store));
        Ok(Offline { users, applicants, invites, log: Log::new(store) })
    }
}

fn no_server<T>() -> Result<T, Failure> {
    Err(Failure::new(FailureKind::Unavailable, "no server runs"))
}

impl Backend for Offline {
    fn status(&self) -> Result<Status, Failure> {
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            domains: Vec::new(),
            scram_iterations: None,
            counters: Vec::new(),
        })
    }

    fn add_user(&self, jid: &Jid<'_>, keys: Vec<ScramKeys>) -> Result<(), Failure> {
        self.users.add(jid, keys)
    }

    fn set_keys(&self, jid: &Jid<'_>, keys: Vec<ScramKeys>) -> Result<(), Failure> {
        self.users.set_keys(jid, keys)
    }

    fn remove_user(&self, jid: &Jid<'_>, made_s: Option<u64>) -> Result<(), Failure> {
        self.users.remove(jid, made_s)
    }

    fn disable_user(&self, jid: &Jid<'_>, reason: &str) -> Result<(), Failure> {
        self.users.disable(jid, reason)
    }

    fn enable_user(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.users.enable(jid)
    }

    fn list_users(&self, list: &ListUsers) -> Result<UserPage, Failure> {
        self.users.list(list)
    }

    fn show_user(&self, jid: &Jid<'_>) -> Result<UserDetails, Failure> {
        self.users.show(jid)
    }

    fn list_pending(&self, after: Option<&str>) -> Result<PendingPage, Failure> {
        self.applicants.pending(after)
    }

    fn approve(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.applicants.approve(jid)
    }

    fn reject(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.users.remove(jid, Some(self.applicants.made_s(jid)?))
    }

    fn create_invite(&self, new: &NewInvite) -> Result<MadeInvite, Failure> {
        let domain = new.domain.as_deref().ok_or_else(|| {
            Failure::new(FailureKind::Invalid, "no server runs: name the domain (--domain example.org)")
        })?;
        self.invites.create(domain, new)
    }

    fn list_invites(&self) -> Result<Vec<OpenInvite>, Failure> {
        self.invites.list()
    }

    fn revoke_invite(&self, id: &str) -> Result<(), Failure> {
        self.invites.revoke(id)
    }

    fn list_log(&self, list: &ListLog) -> Result<LogPage, Failure> {
        self.log.list(list)
    }

    fn announce(&self, _words: &str, _domain: Option<&str>, _everybody: bool) -> Result<(), Failure> {
        no_server()
    }

    fn trace(&self, _jid: &Jid<'_>, _tell: &mut dyn FnMut(Option<Traced>) -> bool) -> Result<(), Failure> {
        no_server()
    }

    fn log_levels(&self) -> Result<String, Failure> {
        no_server()
    }

    fn change_log_levels(&self, _changes: &str) -> Result<String, Failure> {
        no_server()
    }
}
