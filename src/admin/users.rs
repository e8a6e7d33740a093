//! Accounts in a store, as an operator works on them. What a running server does besides (ending sessions) is its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rondel_storage::accounts::{self, Account, AccountFlags, Disabled, Role, StoredAccount};
use rondel_storage::registrations::{self, Registration, Source};
use rondel_storage::{Family, LoadError, Outcome, Owner, PageRequest, Store, WriteRequest};

use super::backend::{
    DisabledUser, Failure, FailureKind, ListUsers, PAGE_USERS_MAX, UserDetails, UserPage, UserSummary,
};
use super::keys::mechanism_name;
use crate::credentials::{hash, to_store};
use crate::jid::Jid;
use crate::names;
use crate::sasl::ScramKeys;

/// Tries to change an account that others change at the same time.
pub(super) const CHANGE_TRIES: usize = 10;

/// Registrations read at once in search of an account's.
const REGISTRATIONS_PAGE: usize = 1_000;

const SECOND_MICROS: u64 = 1_000_000;

/// The accounts of a store. Every method waits for the disk where it has to.
#[derive(Clone)]
pub struct Users {
    store: Arc<Store>,
}

impl Users {
    /// The accounts of this store.
    pub fn new(store: Arc<Store>) -> Users {
        Users { store }
    }

    /// Adds an account on behalf of an operator. Returns once it is safe on disk.
    pub fn add(&self, jid: &Jid<'_>, keys: Vec<ScramKeys>) -> Result<(), Failure> {
        let now = now();
        let keys = keys.into_iter().map(to_store).collect();
        // Whoever an operator lets in is no stranger.
        let flags = AccountFlags::default().with(AccountFlags::TRUSTED, true);
        let account = Account { flags, ..Account::new(keys, now.as_secs()) };
        let registration = Registration { address: None, source: Source::Cli, client: None };
        let request = names::create(&owner(jid)?, &account, &registration, now.as_micros() as u64);
        self.write(request)?.then_some(()).ok_or_else(|| Failure::exists(jid))
    }

    /// Replaces an account's keys.
    pub fn set_keys(&self, jid: &Jid<'_>, keys: Vec<ScramKeys>) -> Result<(), Failure> {
        let keys: Vec<_> = keys.into_iter().map(to_store).collect();
        self.change(jid, |account| account.set_keys(keys.clone()))
    }

    /// Removes an account and all that belongs to it; with a time, in seconds since 1970, only if it was made then.
    pub fn remove(&self, jid: &Jid<'_>, made_s: Option<u64>) -> Result<(), Failure> {
        let request = names::remove(&owner(jid)?, now().as_secs());
        let Some(made_s) = made_s else {
            return self.write(request)?.then_some(()).ok_or_else(|| Failure::not_found(jid));
        };
        let account = self.load(jid)?;
        match account.account().created == made_s && self.write(account.unchanged().and(request))? {
            true => Ok(()),
            false => Err(Failure::not_found(jid)),
        }
    }

    /// Bars an account from logging in, for so many seconds or until it is enabled.
    pub fn disable(&self, jid: &Jid<'_>, reason: &str, for_s: Option<u64>) -> Result<(), Failure> {
        let since = now().as_secs();
        let until = for_s.map(|for_s| since.saturating_add(for_s));
        let disabled = Disabled { since, reason: reason.to_owned(), until };
        self.change(jid, |account| account.disable(disabled.clone()))
    }

    /// Lets an account log in again.
    pub fn enable(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.change(jid, StoredAccount::enable)
    }

    /// A page of the list of accounts.
    pub fn list(&self, list: &ListUsers) -> Result<UserPage, Failure> {
        let mut request = accounts::list(list.domain.as_deref(), list.limit.clamp(1, PAGE_USERS_MAX));
        if let Some(after) = &list.after {
            let after = Owner::parse(after).map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))?;
            let first = [&Family::Accounts.key(&after, b"")[..], &[0]].concat();
            request.from = request.from.max(first);
        }
        if request.to.as_ref().is_some_and(|to| *to <= request.from) {
            return Ok(UserPage::default());
        }
        let page = self.store.page(request).map_err(failed)?;
        let more = !page.complete;
        let now_s = now().as_secs();
        let users = accounts::decode_page(page).into_iter().map(|user| {
            let user = user.map_err(failed)?;
            let account = user.account();
            Ok(UserSummary {
                jid: user.owner().to_string(),
                created_s: account.created,
                disabled: account.is_disabled(now_s),
            })
        });
        Ok(UserPage { users: users.collect::<Result<_, _>>()?, more })
    }

    /// What is stored about an account.
    pub fn show(&self, jid: &Jid<'_>) -> Result<UserDetails, Failure> {
        let user = self.load(jid)?;
        let registration = self.registration(&user)?;
        let (account, now_s) = (user.account(), now().as_secs());
        Ok(UserDetails {
            jid: user.owner().to_string(),
            created_s: account.created,
            source: registration.as_ref().map_or("unknown", |found| source_name(found.source)).to_owned(),
            source_address: registration.and_then(|found| found.address).map(|address| address.to_string()),
            disabled: account.disabled.as_ref().filter(|_| account.is_disabled(now_s)).map(|disabled| DisabledUser {
                since_s: disabled.since,
                until_s: disabled.until,
                reason: disabled.reason.clone(),
            }),
            is_admin: account.role == Role::Admin,
            muted_until_s: account.muted_until_s.filter(|until_s| now_s < *until_s),
            limited_until_s: account.limited_until_s.filter(|until_s| now_s < *until_s),
            is_trusted: account.flags.has(AccountFlags::TRUSTED),
            leaves_at_s: account.leaves_at_s,
            keys: account
                .keys
                .iter()
                .map(|keys| (mechanism_name(hash(keys.hash)).to_owned(), keys.iterations))
                .collect(),
        })
    }

    /// How the account was made: looked for among those of the same second.
    fn registration(&self, user: &StoredAccount) -> Result<Option<Registration>, Failure> {
        let since = user.account().created.saturating_mul(SECOND_MICROS);
        let mut request: Option<PageRequest> = Some(registrations::list(since, false, REGISTRATIONS_PAGE));
        while let Some(current) = request {
            let page = self.store.page(current.clone()).map_err(failed)?;
            for entry in registrations::decode_page(&page).into_iter().flatten() {
                if entry.at_micros >= since.saturating_add(SECOND_MICROS) {
                    return Ok(None);
                }
                if entry.owner == *user.owner() {
                    return Ok(Some(entry.registration));
                }
            }
            request = current.next(&page);
        }
        Ok(None)
    }

    fn load(&self, jid: &Jid<'_>) -> Result<StoredAccount, Failure> {
        let owner = owner(jid)?;
        let outcome = self.store.read_blocking(&accounts::get(&owner));
        let found = accounts::decode(&owner, outcome).map_err(|error: LoadError| failed(error))?;
        found.ok_or_else(|| Failure::not_found(jid))
    }

    pub(super) fn change(&self, jid: &Jid<'_>, change: impl Fn(&StoredAccount) -> WriteRequest) -> Result<(), Failure> {
        for _ in 0..CHANGE_TRIES {
            if self.write(change(&self.load(jid)?))? {
                return Ok(());
            }
        }
        Err(Failure::new(FailureKind::Busy, format!("{jid} is being changed by others")))
    }

    fn write(&self, request: WriteRequest) -> Result<bool, Failure> {
        write(&self.store, request)
    }
}

/// Whether it was written, rather than refused.
pub(super) fn write(store: &Store, request: WriteRequest) -> Result<bool, Failure> {
    match store.write_blocking(request) {
        Outcome::Written => Ok(true),
        Outcome::Refused(_) => Ok(false),
        Outcome::Failed(failure) => Err(failed(failure)),
        other => Err(failed(format!("an answer to another question: {other:?}"))),
    }
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

pub(super) fn failed(error: impl ToString) -> Failure {
    Failure::new(FailureKind::Failed, error.to_string())
}

pub(super) fn owner(jid: &Jid<'_>) -> Result<Owner, Failure> {
    let invalid = |error: String| Failure::new(FailureKind::Invalid, format!("{jid}: {error}"));
    let local = jid.local().ok_or_else(|| invalid("not an account".into()))?;
    Owner::new(local, jid.domain()).map_err(|error| invalid(error.to_string()))
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::Cli => "by the command line",
        Source::Ibr => "by in-band registration",
        Source::Invite => "by an invitation",
        Source::Import => "by an import",
        Source::Admin => "by an administrator",
        Source::Web => "on the web page",
    }
}
