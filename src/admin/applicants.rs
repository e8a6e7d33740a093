//! Those who have registered and wait to be let in.

use std::net::IpAddr;
use std::sync::Arc;

use rondel_storage::accounts::{self, StoredAccount};
use rondel_storage::applicants::{self, Applicant};
use rondel_storage::{LoadError, Owner, Store};
use serde::{Deserialize, Serialize};

use super::backend::{Failure, FailureKind};
use super::users::{CHANGE_TRIES, failed, owner, write};
use crate::jid::Jid;

/// Applicants in one page at most.
const PAGE_MAX: usize = 1_000;

/// Entries that are looked at for one page at most; a page may then have few, or none, and still not be the last.
const LOOKED_AT_MAX: usize = 20_000;

/// Those who wait, in the order of domain and name.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct PendingPage {
    /// They.
    pub applicants: Vec<Pending>,
    /// Behind whom to go on; `None`: these were all.
    pub next: Option<String>,
}

/// Somebody who waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pending {
    /// The address of the account.
    pub jid: String,
    /// When they registered, in microseconds since 1970.
    pub at_us: u64,
    /// From where.
    pub address: Option<IpAddr>,
    /// What was filled in, by the field's name.
    pub said: Vec<(String, String)>,
}

/// The applicants in a store.
#[derive(Clone)]
pub struct Applicants {
    store: Arc<Store>,
}

impl Applicants {
    /// Those of this store.
    pub fn new(store: Arc<Store>) -> Applicants {
        Applicants { store }
    }

    /// A page of those who wait, behind this address.
    pub fn pending(&self, after: Option<&str>) -> Result<PendingPage, Failure> {
        let invalid = |error: rondel_storage::OwnerError| Failure::new(FailureKind::Invalid, error.to_string());
        let after = after.map(Owner::parse).transpose().map_err(invalid)?;
        let mut request = Some(applicants::list(after.as_ref(), PAGE_MAX));
        let (mut page, mut looked_at) = (PendingPage::default(), 0);
        while let Some(current) = request {
            let read = self.store.page(current.clone()).map_err(failed)?;
            for (owner, applicant) in applicants::decode_page(&read).into_iter().flatten() {
                let jid = owner.to_string();
                page.next = Some(jid.clone());
                looked_at += 1;
                if applicant.waits {
                    let Applicant { at_micros: at_us, address, fields: said, .. } = applicant;
                    page.applicants.push(Pending { jid, at_us, address, said });
                }
                if page.applicants.len() >= PAGE_MAX || looked_at >= LOOKED_AT_MAX {
                    return Ok(page);
                }
            }
            request = current.next(&read);
        }
        Ok(PendingPage { next: None, ..page })
    }

    /// Lets somebody in who waits.
    pub fn approve(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        for _ in 0..CHANGE_TRIES {
            let (account, applicant) = self.waiting(jid)?;
            let applicant = Applicant { waits: false, ..applicant };
            if write(&self.store, applicants::put(account.enable(), &applicant))? {
                return Ok(());
            }
        }
        Err(Failure::new(FailureKind::Busy, format!("{jid} is being changed by others")))
    }

    /// When the account of somebody who waits was made, in seconds since 1970.
    pub fn made_s(&self, jid: &Jid<'_>) -> Result<u64, Failure> {
        self.waiting(jid).map(|(account, _)| account.account().created)
    }

    fn waiting(&self, jid: &Jid<'_>) -> Result<(StoredAccount, Applicant), Failure> {
        let owner = owner(jid)?;
        let read = |error: LoadError| failed(error);
        let account = accounts::decode(&owner, self.store.read_blocking(&accounts::get(&owner))).map_err(read)?;
        let applicant = applicants::decode(&owner, self.store.read_blocking(&applicants::get(&owner))).map_err(read)?;
        match (account, applicant) {
            (Some(account), Some(applicant)) if applicant.waits => Ok((account, applicant)),
            _ => Err(Failure::new(FailureKind::NotFound, format!("{jid} does not wait to be let in"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_storage::accounts::{Account, Disabled};
    use rondel_storage::registrations::{Registration, Source};
    use rondel_storage::{Options, Outcome};

    #[test]
    fn who_waits_is_listed_and_let_in_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&Options::new(directory.path().join("store"))).unwrap());
        let applicants = Applicants::new(Arc::clone(&store));
        for (name, waits) in [("a@x", true), ("b@x", false), ("c@x", true)] {
            let disabled = waits.then(|| Disabled { since: 1, reason: "waits".into(), until: None });
            let account = Account { disabled, ..Account::new(Vec::new(), 1) };
            let registration = Registration { address: None, source: Source::Ibr, client: None };
            let request = accounts::create(&Owner::parse(name).unwrap(), &account, &registration, 1_000_000);
            let applicant = Applicant { at_micros: 1, address: None, fields: Vec::new(), waits };
            assert_eq!(store.write_blocking(applicants::put(request, &applicant)), Outcome::Written);
        }
        let names = |after| -> Vec<String> {
            let page = applicants.pending(after).unwrap();
            assert_eq!(page.next, None);
            page.applicants.into_iter().map(|pending| pending.jid).collect()
        };
        assert_eq!((names(None), names(Some("a@x"))), (vec!["a@x".into(), "c@x".into()], vec!["c@x".into()]));
        let jid = |name: &str| Jid::parse(name).unwrap().into_owned();
        assert_eq!(applicants.made_s(&jid("a@x")), Ok(1));
        assert_eq!(applicants.approve(&jid("a@x")), Ok(()));
        assert_eq!(names(None), ["c@x"]);
        let owner = Owner::parse("a@x").unwrap();
        let account = accounts::decode(&owner, store.read_blocking(&accounts::get(&owner))).unwrap().unwrap();
        assert_eq!(account.account().disabled, None);
        for name in ["a@x", "b@x", "d@x"] {
            assert_eq!(applicants.approve(&jid(name)).unwrap_err().kind, FailureKind::NotFound, "{name}");
        }
    }
}
