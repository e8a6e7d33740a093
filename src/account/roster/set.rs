//! A client changes the roster (RFC 6121 §2.3 to §2.5): it adds a contact, gives it another name or other groups, or
//! removes it.

use std::collections::HashSet;

use rondel_storage::roster::{self, StoredItem};
use rondel_storage::{Owner, ReadRequest};

use super::change::{self, Change, Seen};
use super::{RosterLimits, has_room, is_own};
use crate::account::contacts::Contacts;
use crate::account::subscription::{Farewell, State, farewell};
use crate::jid::{Jid, resourcepart};
use crate::stream::StanzaCondition;
use crate::xml::{Element, namespaces as ns};

/// A roster set that is in order, as far as can be told without the item.
#[derive(Debug)]
pub struct SetRequest {
    contact: String,
    action: Action,
}

#[derive(Debug)]
enum Action {
    /// Adds or changes; the item becomes exactly this (§2.4.1).
    Put {
        name: String,
        groups: Vec<String>,
    },
    Remove,
}

/// What comes of a roster set. The client gets an empty result once the change is written.
#[derive(Debug)]
pub struct Outcome {
    /// The change.
    pub change: Change,
    /// What the contact hears of its removal, once it is written.
    pub farewell: Option<Farewell>,
}

/// Reads the `<query/>` of a roster set to `account`, which [`authorize`](super::authorize) has let pass.
pub fn set(
    account: &Owner,
    contacts: &Contacts,
    query: &Element,
    limits: &RosterLimits,
) -> Result<SetRequest, StanzaCondition> {
    let mut items = query.children().filter(|child| child.name == "item" && child.namespace == ns::ROSTER);
    let (Some(item), None) = (items.next(), items.next()) else { return Err(StanzaCondition::BadRequest) };
    let jid = item.attribute("jid").ok_or(StanzaCondition::BadRequest)?;
    let jid = Jid::parse(jid).map_err(|_| StanzaCondition::JidMalformed)?;
    // §2.1.2.5: other values of `subscription` count for nothing.
    if item.attribute("subscription") == Some("remove") {
        // Neither a full JID nor one's own can be there.
        if !contacts.state(jid.as_str()).listed {
            return Err(StanzaCondition::ItemNotFound);
        }
        return Ok(SetRequest { contact: jid.to_string(), action: Action::Remove });
    }
    // The RFC leaves open what a full JID in a roster would mean; subscriptions are between bare ones (§3.1.1). Quietly
    // made bare, the item would come back under another name than it was set.
    if jid.is_full() {
        return Err(StanzaCondition::BadRequest);
    }
    if is_own(account, jid.bare()) {
        return Err(StanzaCondition::NotAllowed);
    }
    let name = item.attribute("name").unwrap_or_default();
    if name.len() > limits.name_bytes_max {
        return Err(StanzaCondition::NotAcceptable);
    }
    let groups = groups(item, limits)?;
    if !contacts.state(jid.bare()).listed {
        has_room(contacts, limits)?;
    }
    Ok(SetRequest { contact: jid.to_string(), action: Action::Put { name: name.to_owned(), groups } })
}

/// The groups of an item (§2.3.3).
fn groups(item: &Element, limits: &RosterLimits) -> Result<Vec<String>, StanzaCondition> {
    let groups = item.children().filter(|child| child.name == "group" && child.namespace == ns::ROSTER);
    // One more than may be is enough to see that there are too many.
    let groups: Vec<_> = groups.take(limits.groups_max_per_contact.saturating_add(1)).map(Element::text).collect();
    if groups.len() > limits.groups_max_per_contact {
        return Err(StanzaCondition::NotAcceptable);
    }
    if groups.iter().any(|group| group.is_empty() || group.len() > limits.group_bytes_max) {
        return Err(StanzaCondition::NotAcceptable);
    }
    let mut seen = HashSet::new();
    // Compared as resourceparts, which the RFC proposes; what cannot be one is compared as it is.
    let is_new = |group: &String| seen.insert(resourcepart(group).map_or_else(|_| group.clone(), |same| same.into()));
    if groups.iter().all(is_new) { Ok(groups) } else { Err(StanzaCondition::BadRequest) }
}

impl SetRequest {
    /// What has to be read.
    pub fn read(&self, account: &Owner) -> ReadRequest {
        roster::get(account, &self.contact)
    }

    /// The contact's bare JID.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// What comes of it, given the item as it is stored, at `now_micros` microseconds after 1970.
    pub fn with_stored(
        self,
        account: &Owner,
        stored: Option<&StoredItem>,
        contacts: &Contacts,
        now_micros: u64,
    ) -> Result<Outcome, StanzaCondition> {
        let seen = Seen { contacts, now_micros };
        match self.action {
            Action::Remove => {
                let listed = stored.filter(|stored| stored.item().listed);
                let stored = listed.ok_or(StanzaCondition::ItemNotFound)?;
                let farewell = farewell(State::of(stored.item()));
                Ok(Outcome { change: change::remove(stored, seen), farewell: Some(farewell) })
            }
            // Pushed even if nothing is different: the client waits for it (§2.3.2).
            Action::Put { name, groups } => {
                let change = change::update(account, &self.contact, stored, Some(seen), |item| {
                    item.name = name;
                    item.groups = groups;
                    item.listed = true;
                });
                Ok(Outcome { change, farewell: None })
            }
        }
    }
}
