//! Who is here: how many, who, with which contacts, and what they are told.

use std::sync::Arc;

use rondel_storage::meta::{self, StoredList, StoredWords};
use rondel_storage::roster::{self, Roster, StoredItem};
use rondel_storage::{Owner, Store, accounts, preferences};
use serde::{Deserialize, Serialize};

use super::backend::{Failure, FailureKind};
use super::users::{Users, failed, now, owner, write};
use crate::account::contacts::Contacts;
use crate::account::roster::{gone, subscription_name};
use crate::jid::Jid;

/// Accounts and contacts that are read at once.
const READ_AT_ONCE: usize = 1_000;

/// Entries of a list at most.
const ENTRIES_MAX: usize = 10_000;

/// Which accounts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// All there are.
    Registered,
    /// Those that may not log in.
    Disabled,
    /// Those with a session.
    Online,
    /// Those of which somebody looks at a client (XEP-0352).
    Active,
    /// Those online of which nobody does.
    Idle,
}

/// How many there are, and some of them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CensusOutcome {
    /// How many.
    pub number: usize,
    /// Bare JIDs.
    pub names: Vec<String>,
}

/// A contact.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RosterEntry {
    /// Its bare JID.
    pub jid: String,
    /// What the account calls it; empty: nothing.
    pub name: String,
    /// `none`, `to`, `from` or `both`.
    pub subscription: String,
    /// The groups that it is in.
    pub groups: Vec<String>,
}

/// Where somebody is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Activity {
    /// The sessions.
    pub sessions: Vec<SessionFacts>,
    /// When the last one has left, in seconds since 1970, if there is none now.
    pub left_s: Option<u64>,
    /// How many contacts there are.
    pub contacts: usize,
}

/// A session.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionFacts {
    /// Its full JID.
    pub jid: String,
    /// From where it is connected, if it is just now.
    pub address: Option<String>,
    /// Since when, in seconds since 1970.
    pub since_s: u64,
    /// Whether somebody looks at its client, as far as that is known.
    pub is_active: bool,
}

/// Who is in a store.
#[derive(Clone)]
pub struct People {
    store: Arc<Store>,
    users: Users,
}

impl People {
    /// Those of this store.
    pub fn new(store: Arc<Store>) -> People {
        People { users: Users::new(Arc::clone(&store)), store }
    }

    /// Counts accounts. Nobody is online where no server runs.
    pub fn census(&self, which: Which, names_max: usize) -> Result<CensusOutcome, Failure> {
        let mut outcome = CensusOutcome::default();
        if !matches!(which, Which::Registered | Which::Disabled) {
            return Ok(outcome);
        }
        let now_s = now().as_secs();
        let mut request = Some(accounts::list(None, READ_AT_ONCE));
        while let Some(current) = request {
            let page = self.store.page(current.clone()).map_err(failed)?;
            request = current.next(&page);
            for stored in accounts::decode_page(page).into_iter().flatten() {
                if which == Which::Registered || stored.account().is_disabled(now_s) {
                    outcome.number += 1;
                    if outcome.names.len() < names_max {
                        outcome.names.push(stored.owner().to_string());
                    }
                }
            }
        }
        Ok(outcome)
    }

    /// The contacts of an account.
    pub fn roster(&self, jid: &Jid<'_>) -> Result<Vec<RosterEntry>, Failure> {
        self.users.show(jid)?;
        let shown = |stored: &StoredItem| RosterEntry {
            jid: stored.contact().to_owned(),
            name: stored.item().name.clone(),
            subscription: subscription_name(stored.item().subscription).into(),
            groups: stored.item().groups.clone(),
        };
        Ok(self.contacts(&owner(jid)?)?.items().iter().filter(|stored| stored.item().listed).map(shown).collect())
    }

    /// Takes an account, which is gone, from the contact lists of those who were subscribed to it, as a running server
    /// does when it tells them (RFC 6121 §3.2 and §3.3).
    pub fn leave(&self, jid: &Jid<'_>, contacts: &[String]) -> Result<(), Failure> {
        for contact in contacts {
            let Ok(contact) = Owner::parse(contact) else { continue };
            let roster = self.contacts(&contact)?;
            let Some(stored) = roster.items().iter().find(|stored| stored.contact() == jid.bare()) else { continue };
            let change = gone(&contact, &Contacts::of(&roster), stored, now().as_micros() as u64);
            // Refused: the contact is gone as well.
            change.map_or(Ok(true), |change| write(&self.store, change.write))?;
        }
        Ok(())
    }

    /// The contacts of an account.
    pub fn contacts_of(&self, jid: &Jid<'_>) -> Result<Vec<String>, Failure> {
        Ok(self.contacts(&owner(jid)?)?.items().iter().map(|stored| stored.contact().to_owned()).collect())
    }

    /// Where somebody is who has no session.
    pub fn activity(&self, jid: &Jid<'_>) -> Result<Activity, Failure> {
        self.users.show(jid)?;
        let owner = owner(jid)?;
        let outcome = self.store.read_blocking(&preferences::get(&owner));
        let left_s = preferences::decode(&owner, outcome).map_err(failed)?.last_activity.map(|last| last.at);
        Ok(Activity { sessions: Vec::new(), left_s, contacts: self.contacts(&owner)?.items().len() })
    }

    /// Makes a list anew, of accounts and domains.
    pub fn set_list(&self, which: StoredList, jids: &[String]) -> Result<(), Failure> {
        if jids.len() > ENTRIES_MAX {
            return Err(Failure::new(FailureKind::Invalid, format!("{ENTRIES_MAX} addresses at most")));
        }
        let invalid = |jid: &String| Failure::new(FailureKind::Invalid, format!("{jid:?} is no address"));
        let normal = |jid: &String| Jid::parse(jid).map(|jid| jid.bare().to_owned()).map_err(|_| invalid(jid));
        let jids = jids.iter().map(normal).collect::<Result<Vec<_>, _>>()?;
        meta::set_list(&self.store, which, &jids).map_err(failed)
    }

    /// A list.
    pub fn list(&self, which: StoredList) -> Result<Vec<String>, Failure> {
        meta::list(&self.store, which).map_err(failed)
    }

    /// Has something be said in the server's name.
    pub fn set_words(&self, which: StoredWords, words: &str) -> Result<(), Failure> {
        meta::set_words(&self.store, which, words).map_err(failed)
    }

    /// What is said in the server's name, if somebody has written it.
    pub fn words(&self, which: StoredWords) -> Result<Option<String>, Failure> {
        meta::words(&self.store, which).map_err(failed)
    }

    fn contacts(&self, owner: &Owner) -> Result<Roster, Failure> {
        let mut roster = Roster::default();
        let mut request = Some(roster::list(owner, READ_AT_ONCE));
        while let Some(current) = request {
            let page = self.store.page(current.clone()).map_err(failed)?;
            request = current.next(&page);
            roster.add(page);
        }
        Ok(roster)
    }
}
