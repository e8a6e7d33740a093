//! What is decided about accounts: who administers the server, who is silenced, and who is held to the limits of new
//! accounts.

use std::sync::{Arc, Mutex, PoisonError};

use rondel_storage::Store;
use rondel_storage::accounts::{Account, AccountFlags, Role};
use rondel_storage::meta::{self, StoredList};
use serde::{Deserialize, Serialize};

use super::backend::Failure;
use super::desk::account;
use super::users::{Users, failed, now};
use crate::jid::Jid;

/// What an account may do beside what everybody may.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedRole {
    /// Nothing.
    Member,
    /// It administers the server.
    Admin,
}

/// What was decided about accounts, in a store.
#[derive(Clone)]
pub struct Sanctions {
    store: Arc<Store>,
    users: Users,
}

impl Sanctions {
    /// Those of this store.
    pub fn new(store: Arc<Store>) -> Sanctions {
        Sanctions { users: Users::new(Arc::clone(&store)), store }
    }

    /// Gives an account another role.
    pub fn set_role(&self, jid: &Jid<'_>, role: NamedRole) -> Result<(), Failure> {
        // Two at once would each write a list without the other's.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let (role, is_admin) = match role {
            NamedRole::Member => (Role::Member, false),
            NamedRole::Admin => (Role::Admin, true),
        };
        self.change(jid, |account| account.role = role)?;
        let mut appointed = meta::list(&self.store, StoredList::Appointed).map_err(failed)?;
        appointed.retain(|other| other != jid.as_str());
        if is_admin {
            appointed.push(jid.to_string());
        }
        meta::set_list(&self.store, StoredList::Appointed, &appointed).map_err(failed)
    }

    /// Makes these the administrators, and nobody else.
    pub fn set_administrators(&self, jids: &[String]) -> Result<(), Failure> {
        let before = self.administrators()?;
        for jid in jids.iter().filter(|jid| !before.iter().any(|known| known.as_str() == **jid)) {
            self.set_role(&account(jid)?, NamedRole::Admin)?;
        }
        for jid in before.iter().filter(|jid| !jids.iter().any(|kept| kept == jid.as_str())) {
            self.set_role(jid, NamedRole::Member)?;
        }
        Ok(())
    }

    /// Who was made an administrator and still is one. An account of the same name that came later is not.
    pub fn administrators(&self) -> Result<Vec<Jid<'static>>, Failure> {
        let appointed = meta::list(&self.store, StoredList::Appointed).map_err(failed)?;
        let jids = appointed.iter().filter_map(|jid| Jid::parse(jid).ok());
        let is_admin = |jid: &Jid<'_>| self.users.show(jid).is_ok_and(|user| user.is_admin);
        Ok(jids.filter(is_admin).map(Jid::into_owned).collect())
    }

    /// Has nothing that an account sends reach others, for so many seconds or for good.
    pub fn mute(&self, jid: &Jid<'_>, for_s: Option<u64>) -> Result<(), Failure> {
        self.change(jid, |account| account.muted_until_s = Some(until(for_s)))
    }

    /// Lets an account speak again.
    pub fn unmute(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.change(jid, |account| account.muted_until_s = None)
    }

    /// Holds an account to the limits of new ones, for so many seconds or for good.
    pub fn limit(&self, jid: &Jid<'_>, for_s: Option<u64>) -> Result<(), Failure> {
        self.change(jid, |account| {
            account.limited_until_s = Some(until(for_s));
            account.flags = account.flags.with(AccountFlags::TRUSTED, false);
        })
    }

    /// Does not hold an account to the limits of new ones, however young it is.
    pub fn unlimit(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.change(jid, |account| {
            account.limited_until_s = None;
            account.flags = account.flags.with(AccountFlags::TRUSTED, true);
        })
    }

    fn change(&self, jid: &Jid<'_>, change: impl Fn(&mut Account)) -> Result<(), Failure> {
        self.users.change(jid, |stored| stored.change(&change))
    }
}

/// When something ends that begins now, in seconds since 1970.
pub(super) fn until(for_s: Option<u64>) -> u64 {
    for_s.map_or(u64::MAX, |for_s| now().as_secs().saturating_add(for_s))
}
