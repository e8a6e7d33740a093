//! What administrators have done, as it is noted and shown.

use std::sync::Arc;

use rondel_storage::audit::{self, Deed};
use rondel_storage::{Store, TimedId};
use serde::{Deserialize, Serialize};

use super::backend::{Failure, FailureKind};
use super::users::{failed, now, write};

/// Entries in one page at most.
const PAGE_MAX: usize = 1_000;

/// Which entries to list, oldest first.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListAudit {
    /// Only those of this time, in microseconds since 1970, and later ones.
    pub since_us: u64,
    /// Only what comes after this one.
    pub after: Option<String>,
}

/// A page of what was done.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Behind which to go on; `None`: this was all.
    pub next: Option<String>,
}

/// Something that was done, or tried.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditEntry {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// By whom.
    pub by: String,
    /// What, such as `remove-user`.
    pub what: String,
    /// To whom, and how: names and values.
    pub said: Vec<(String, String)>,
    /// Why it has failed, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What was done, in a store.
#[derive(Clone)]
pub struct Audit {
    store: Arc<Store>,
}

impl Audit {
    /// That of this store.
    pub fn new(store: Arc<Store>) -> Audit {
        Audit { store }
    }

    /// Notes something. It has been done already; if it cannot be noted, the log has it.
    pub fn note(&self, deed: &Deed) {
        if let Err(failure) = write(&self.store, audit::append(deed, now().as_micros() as u64)) {
            tracing::error!(target: "admin", ?deed, "what was done cannot be noted: {failure}");
        }
    }

    /// A page.
    pub fn list(&self, list: &ListAudit) -> Result<AuditPage, Failure> {
        let invalid = |()| Failure::new(FailureKind::Invalid, "this is not where a page has ended");
        let after = list.after.as_deref().map(str::parse::<TimedId>).transpose().map_err(invalid)?;
        let from = after.map_or(TimedId::first(list.since_us), |after| after.next());
        let page = self.store.page(audit::list(from, PAGE_MAX)).map_err(failed)?;
        let entries: Vec<_> = audit::decode_page(&page).into_iter().flatten().collect();
        let next = entries.last().filter(|_| !page.complete).map(|(id, _)| id.to_string());
        let shown = |(id, deed): (TimedId, Deed)| {
            let Deed { by, what, said, failed } = deed;
            AuditEntry { at_us: id.at_micros(), by, what, said, failed }
        };
        Ok(AuditPage { entries: entries.into_iter().map(shown).collect(), next })
    }
}
