//! A client asks for the roster (RFC 6121 §2.1.3, §2.2), perhaps for what has changed since it last did (§2.6).
//!
//! A version is answered with changes only if it is one of this roster's own and nothing was removed since: every item
//! names the version that its latest change made and the one before that, so that a version which is named nowhere,
//! such as one from before an older state of the store was restored, gets the whole roster.

use rondel_storage::roster::{self, Roster, StoredItem};
use rondel_storage::{Owner, PageRequest};

use super::element;
use crate::account::contacts::Contacts;
use crate::stream::StanzaCondition;
use crate::xml::{Element, namespaces as ns};

/// Items of a whole roster that weigh as much as one push, with its addresses and the client's answer to it.
const PUSH_WEIGHT: usize = 3;

/// What a roster get needs.
#[derive(Debug)]
pub enum Get {
    /// Nothing: the client has the roster. It gets an empty result.
    Unchanged,
    /// The roster.
    Read(GetRequest),
}

/// A roster get that needs the roster.
#[derive(Debug)]
pub struct GetRequest {
    /// The client's version, if it has one that is of this server's making.
    version: Option<u64>,
}

/// The answer to a roster get. Either way the client is interested in pushes from now on (§2.2).
#[derive(Debug, Eq, PartialEq)]
pub enum Answer {
    /// A result with the whole roster.
    Whole(Element),
    /// An empty result, and then pushes in this order, to the asking resource only.
    Changes(Vec<Element>),
}

/// Reads the `<query/>` of a roster get.
pub fn get(contacts: &Contacts, query: &Element) -> Result<Get, StanzaCondition> {
    if query.child("item", ns::ROSTER).is_some() {
        return Err(StanzaCondition::BadRequest);
    }
    let version = query.attribute("ver").and_then(element::read_version);
    if version == Some(contacts.version()) {
        return Ok(Get::Unchanged);
    }
    Ok(Get::Read(GetRequest { version }))
}

impl GetRequest {
    /// What has to be read, page by page, into a [`Roster`].
    pub fn read(&self, account: &Owner, entries_max: usize) -> PageRequest {
        roster::list(account, entries_max)
    }

    /// The answer, given the whole roster.
    pub fn with_roster(&self, roster: &Roster) -> Answer {
        let listed = || roster.items().iter().filter(|stored| stored.item().listed);
        if let Some(version) = self.version.filter(|version| is_known(roster, *version)) {
            let mut changed: Vec<_> = listed().filter(|stored| stored.item().version > version).collect();
            if changed.len() * PUSH_WEIGHT <= listed().count() {
                changed.sort_unstable_by_key(|stored| stored.item().version);
                let push = |stored: &StoredItem| element::push(stored.contact(), stored.item());
                return Answer::Changes(changed.into_iter().map(push).collect());
            }
        }
        let query = element::query(roster.version());
        Answer::Whole(
            listed().fold(query, |query, stored| query.with_child(element::entry(stored.contact(), stored.item()))),
        )
    }
}

/// Whether a version is one of this roster's, with everything that came after it still to be told.
fn is_known(roster: &Roster, version: u64) -> bool {
    let horizon = roster.horizon().version;
    let mut items = roster.items().iter().map(StoredItem::item);
    version == horizon
        || (version > horizon && items.any(|item| item.version == version || item.version_before == version))
}
