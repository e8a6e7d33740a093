//! Marks of accounts, as an operator sets them and looks for them.

use std::sync::Arc;

use rondel_storage::{Store, marks};
use serde::{Deserialize, Serialize};

use super::backend::{Failure, FailureKind};
use super::users::{failed, now, owner, write};
use crate::jid::Jid;

/// Bytes of the name of a mark at most.
const NAME_MAX: usize = 128;

/// An account that bears a mark.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MarkedAccount {
    /// The bare JID.
    pub jid: String,
    /// When it was marked last, in seconds since 1970.
    pub at_s: u64,
}

/// The marks in a store.
#[derive(Clone)]
pub struct Marks {
    store: Arc<Store>,
}

impl Marks {
    /// Those of this store.
    pub fn new(store: Arc<Store>) -> Marks {
        Marks { store }
    }

    /// Marks an account now.
    pub fn set(&self, jid: &Jid<'_>, mark: &str) -> Result<(), Failure> {
        let at_ms = now().as_millis() as u64;
        write(&self.store, marks::set(&owner(jid)?, name(mark)?, at_ms))?
            .then_some(())
            .ok_or_else(|| Failure::not_found(jid))
    }

    /// Takes a mark off an account.
    pub fn clear(&self, jid: &Jid<'_>, mark: &str) -> Result<(), Failure> {
        write(&self.store, marks::clear(&owner(jid)?, name(mark)?))?
            .then_some(())
            .ok_or_else(|| Failure::not_found(jid))
    }

    /// The accounts that bear a mark, the one that has borne it longest first.
    pub fn marked(&self, mark: &str, domain: Option<&str>) -> Result<Vec<MarkedAccount>, Failure> {
        let mut found = Vec::new();
        let mut request = Some(marks::all());
        while let Some(current) = request {
            let page = self.store.page(current.clone()).map_err(failed)?;
            let readable = marks::decode_page(&page).into_iter().flatten();
            let is_it = |marked: &marks::Marked| {
                marked.name == mark && domain.is_none_or(|domain| marked.owner.domain() == domain)
            };
            found.extend(readable.filter(is_it).map(|marked| (marked.mark.at_ms, marked.owner.to_string())));
            request = current.next(&page);
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|(at_ms, jid)| MarkedAccount { jid, at_s: at_ms / 1000 }).collect())
    }
}

fn name(mark: &str) -> Result<&str, Failure> {
    let mut bytes = mark.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let is_name = begins && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && mark.len() <= NAME_MAX;
    let wrong = || format!("{mark:?} is no name of a mark: a letter, then letters, digits and _");
    is_name.then_some(mark).ok_or_else(|| Failure::new(FailureKind::Invalid, wrong()))
}
