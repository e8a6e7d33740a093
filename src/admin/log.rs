//! The log of registrations as an operator reads it: accounts that were made, and attempts that were refused.

use std::net::IpAddr;
use std::sync::Arc;

use rondel_storage::attempts::{self, Attempt};
use rondel_storage::registrations::{self, Registration, Source};
use rondel_storage::{Family, Owner, Page, PageRequest, Store, accounts};
use serde::{Deserialize, Serialize};

use super::backend::{Failure, FailureKind};
use super::users::failed;
use crate::registration::Network;

/// Entries in one page at most.
pub const PAGE_ENTRIES_MAX: usize = 1_000;

/// Entries that are looked at for one page at most; a page may then have few, or none, and still not be the last.
const LOOKED_AT_MAX: usize = 20_000;

/// Entries that are read at once.
const READ_AT_ONCE: usize = 1_000;

/// Which part of the log.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Accounts that were made.
    #[default]
    Made,
    /// Attempts that were refused.
    Refused,
}

/// Which entries to list, oldest first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListLog {
    /// Of which part.
    pub part: Part,
    /// Only those of this time, in microseconds since 1970, and later ones.
    pub since_us: u64,
    /// Only earlier ones.
    pub until_us: Option<u64>,
    /// Only those from these addresses, as an address or a network.
    pub network: Option<String>,
    /// Only those on this domain.
    pub domain: Option<String>,
    /// Only what comes after this one.
    pub after: Option<Place>,
    /// So many at most; never more than [`PAGE_ENTRIES_MAX`].
    pub limit: usize,
}

impl ListLog {
    /// Only those of the last so many seconds.
    pub fn since_ago(self, seconds: u64) -> ListLog {
        let since = super::users::now().saturating_sub(std::time::Duration::from_secs(seconds));
        ListLog { since_us: since.as_micros() as u64, ..self }
    }
}

/// Where in the log an entry is.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Place {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// Whose: the bare JID, or the domain where no name is known.
    pub jid: String,
}

/// A page of the log.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LogPage {
    /// The entries.
    pub entries: Vec<LogEntry>,
    /// Where to go on; `None`: this was all.
    pub next: Option<Place>,
}

/// An account that was made, or an attempt that was refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LogEntry {
    /// When and whose.
    #[serde(flatten)]
    pub place: Place,
    /// The client's address, if a client asked for it.
    pub address: Option<IpAddr>,
    /// The way it was made, for programs, such as `ibr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Why it was refused, for programs, such as `taken`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the account was made, in seconds since 1970, if it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_s: Option<u64>,
}

impl LogEntry {
    /// Whether whoever has the account has made it.
    pub fn is_of_stranger(&self) -> bool {
        self.source.as_deref().and_then(Source::of_name).is_some_and(Source::is_of_stranger)
    }
}

/// The log in a store.
#[derive(Clone)]
pub struct Log {
    store: Arc<Store>,
}

impl Log {
    /// The log of this store.
    pub fn new(store: Arc<Store>) -> Log {
        Log { store }
    }

    /// A page. Waits for the disk.
    pub fn list(&self, list: &ListLog) -> Result<LogPage, Failure> {
        let invalid = |text: String| Failure::new(FailureKind::Invalid, text);
        let network = list.network.as_deref().map(str::parse::<Network>).transpose();
        let network = network.map_err(|error| invalid(error.to_string()))?;
        let is_wanted = |owner: &Owner, address: Option<IpAddr>| {
            let is_near = |network: Network| address.is_some_and(|address| network.contains(address));
            list.domain.as_deref().is_none_or(|domain| domain == owner.domain()) && network.is_none_or(is_near)
        };
        let mut request = self.request(list).map_err(invalid)?;
        let limit = list.limit.clamp(1, PAGE_ENTRIES_MAX);
        let (mut page, mut looked_at) = (LogPage::default(), 0);
        loop {
            let read = self.store.page(request.clone()).map_err(failed)?;
            for (place, owner, entry) in entries(list.part, &read) {
                if page.entries.len() == limit {
                    return Ok(page);
                }
                page.next = Some(place.clone());
                looked_at += 1;
                if is_wanted(&owner, entry.address()) {
                    page.entries.push(self.entry(place, &owner, entry)?);
                }
            }
            match request.next(&read) {
                None => return Ok(LogPage { next: None, ..page }),
                Some(_) if looked_at >= LOOKED_AT_MAX => return Ok(page),
                Some(next) => request = next,
            }
        }
    }

    fn request(&self, list: &ListLog) -> Result<PageRequest, String> {
        let (family, mut request) = match list.part {
            Part::Made => (Family::Registrations, registrations::list(list.since_us, false, READ_AT_ONCE)),
            Part::Refused => (Family::Attempts, attempts::list(list.since_us, READ_AT_ONCE)),
        };
        if let Some(Place { at_us, jid }) = &list.after {
            let owner = Owner::parse(jid).map_err(|error| format!("{jid:?}: {error}"))?;
            let behind = [&family.key(&owner, &at_us.to_be_bytes())[..], &[0]].concat();
            request.from = request.from.max(behind);
        }
        request.to = list.until_us.map(|until_us| until_us.to_be_bytes().to_vec());
        Ok(request)
    }

    fn entry(&self, place: Place, owner: &Owner, entry: Entry) -> Result<LogEntry, Failure> {
        Ok(match entry {
            Entry::Refused(Attempt { address, reason }) => {
                LogEntry { place, address: Some(address), source: None, reason: Some(reason), made_s: None }
            }
            Entry::Made(Registration { address, source, .. }) => {
                let source = Some(source.name().to_owned());
                let outcome = self.store.read_blocking(&accounts::get(owner));
                let account = accounts::decode(owner, outcome).map_err(failed)?;
                // One of the same name that was made at another time is another account.
                let made_s = account.map(|stored| stored.account().created);
                let made_s = made_s.filter(|made_s| *made_s == place.at_us / 1_000_000);
                LogEntry { place, address, source, reason: None, made_s }
            }
        })
    }
}

enum Entry {
    Made(Registration),
    Refused(Attempt),
}

impl Entry {
    fn address(&self) -> Option<IpAddr> {
        match self {
            Entry::Made(registration) => registration.address,
            Entry::Refused(attempt) => Some(attempt.address),
        }
    }
}

/// What is in a page that was read. What cannot be decoded does not hide the rest.
fn entries(part: Part, page: &Page) -> Vec<(Place, Owner, Entry)> {
    let placed = |at_us, owner: Owner, entry| (Place { at_us, jid: owner.to_string() }, owner, entry);
    match part {
        Part::Made => {
            let all = registrations::decode_page(page).into_iter().flatten();
            all.map(|entry| placed(entry.at_micros, entry.owner, Entry::Made(entry.registration))).collect()
        }
        Part::Refused => {
            let all = attempts::decode_page(page).into_iter().flatten();
            all.map(|entry| placed(entry.at_micros, entry.owner, Entry::Refused(entry.attempt))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_storage::accounts::Account;
    use rondel_storage::{Options, Outcome};

    const SECOND: u64 = 1_000_000;

    fn made(store: &Store, name: &str, at_s: u64, address: [u8; 4]) {
        let account = Account::new(Vec::new(), at_s);
        let registration = Registration { address: Some(address.into()), source: Source::Ibr, client: None };
        let request = accounts::create(&Owner::parse(name).unwrap(), &account, &registration, at_s * SECOND);
        assert_eq!(store.write_blocking(request), Outcome::Written);
    }

    fn names(log: &Log, list: &ListLog) -> Vec<String> {
        let (mut list, mut names) = (list.clone(), Vec::new());
        loop {
            let page = log.list(&list).unwrap();
            assert!(page.entries.len() <= list.limit);
            names.extend(page.entries.into_iter().map(|entry| entry.place.jid));
            match page.next {
                Some(next) => list.after = Some(next),
                None => return names,
            }
        }
    }

    #[test]
    fn entries_are_found_by_time_address_and_domain() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&Options::new(directory.path().join("store"))).unwrap());
        let log = Log::new(Arc::clone(&store));
        for (name, at_s, last) in [("a@x", 10, 1), ("b@y", 20, 2), ("c@x", 20, 3), ("d@x", 30, 129)] {
            made(&store, name, at_s, [192, 0, 2, last]);
        }
        for limit in [1, 2, 10] {
            let all = ListLog { limit, ..ListLog::default() };
            assert_eq!(names(&log, &all), ["a@x", "c@x", "b@y", "d@x"]);
            let some = ListLog { since_us: 20 * SECOND, until_us: Some(30 * SECOND), ..all.clone() };
            assert_eq!(names(&log, &some), ["c@x", "b@y"]);
            assert_eq!(names(&log, &ListLog { domain: Some("x".into()), ..some }), ["c@x"]);
            let near = ListLog { network: Some("192.0.2.0/25".into()), ..all };
            assert_eq!(names(&log, &near), ["a@x", "c@x", "b@y"]);
        }
        assert!(log.list(&ListLog { network: Some("nonsense".into()), ..ListLog::default() }).is_err());
        let refused = Attempt { address: [192, 0, 2, 1].into(), reason: "taken".into() };
        let request = attempts::append(Owner::parse("x").unwrap(), &refused, 5);
        assert_eq!(store.write_blocking(request), Outcome::Written);
        let page = log.list(&ListLog { part: Part::Refused, limit: 10, ..ListLog::default() }).unwrap();
        assert_eq!(page.entries.len(), 1);
        assert_eq!((&*page.entries[0].place.jid, page.entries[0].reason.as_deref()), ("x", Some("taken")));
    }

    #[test]
    fn an_account_that_came_later_under_the_name_is_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&Options::new(directory.path().join("store"))).unwrap());
        let log = Log::new(Arc::clone(&store));
        made(&store, "a@x", 10, [192, 0, 2, 1]);
        assert_eq!(store.write_blocking(accounts::remove(&Owner::parse("a@x").unwrap())), Outcome::Written);
        made(&store, "a@x", 20, [192, 0, 2, 1]);
        let entries = log.list(&ListLog { limit: 10, ..ListLog::default() }).unwrap().entries;
        assert_eq!(entries.iter().map(|entry| entry.made_s).collect::<Vec<_>>(), [None, Some(20)]);
    }
}
