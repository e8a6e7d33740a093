//! What a transaction is told of a roster. Subscriptions are in memory; groups are on disk, and read when a node is
//! open to some of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use rondel_storage::roster::Item;

use super::Roster;
use crate::account::contacts::Contacts;
use crate::account::subscription::{Grant, State};

/// Who is in those groups that matter.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Groups(BTreeMap<String, HashSet<String>>);

impl Groups {
    /// From now on these groups are known; nobody is in those that are new.
    pub fn add(&mut self, groups: impl IntoIterator<Item = String>) {
        for group in groups {
            self.0.entry(group).or_default();
        }
    }

    /// Takes down which of them a contact is in.
    pub fn put(&mut self, contact: &str, item: &Item) {
        for group in &item.groups {
            if let Some(members) = self.0.get_mut(group) {
                members.insert(contact.to_owned());
            }
        }
    }

    /// Whether it is known who is in a group.
    pub fn knows(&self, group: &str) -> bool {
        self.0.contains_key(group)
    }

    /// Whether a contact is in a group; `None` if the group is not known.
    pub fn has(&self, contact: &str, group: &str) -> Option<bool> {
        self.0.get(group).map(|members| members.contains(contact))
    }
}

/// The roster of an account in memory, and the groups that have been read.
pub struct RosterView<'a> {
    contacts: &'a Contacts,
    groups: &'a Groups,
    missing: RefCell<BTreeSet<String>>,
}

impl<'a> RosterView<'a> {
    /// A look at both.
    pub fn new(contacts: &'a Contacts, groups: &'a Groups) -> RosterView<'a> {
        RosterView { contacts, groups, missing: RefCell::default() }
    }

    /// The groups that were asked about and are not known: what was answered does not count.
    pub fn missing(self) -> BTreeSet<String> {
        self.missing.into_inner()
    }
}

impl Roster for RosterView<'_> {
    fn has_presence(&self, jid: &str) -> bool {
        self.contacts.state(jid).from == Grant::Granted
    }

    fn is_in_group(&self, jid: &str, group: &str) -> bool {
        self.groups.has(jid, group).unwrap_or_else(|| {
            self.missing.borrow_mut().insert(group.to_owned());
            false
        })
    }
}

/// The roster as far as it is about one contact.
pub struct OneContact<'a> {
    /// The contact's bare address.
    pub jid: &'a str,
    /// Its item; `None` for a stranger, and for the owner.
    pub item: Option<&'a Item>,
}

impl OneContact<'_> {
    fn item(&self, jid: &str) -> Option<&Item> {
        self.item.filter(|_| self.jid == jid)
    }
}

impl Roster for OneContact<'_> {
    fn has_presence(&self, jid: &str) -> bool {
        self.item(jid).is_some_and(|item| State::of(item).from == Grant::Granted)
    }

    fn is_in_group(&self, jid: &str, group: &str) -> bool {
        self.item(jid).is_some_and(|item| item.groups.iter().any(|of| of == group))
    }
}

#[cfg(test)]
mod tests {
    use rondel_storage::roster::Subscription;

    use super::*;

    fn item(groups: &[&str], subscription: Subscription) -> Item {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Item { groups, subscription, listed: true, ..Item::default() }
    }

    #[test]
    fn groups_that_are_not_known_are_missing() {
        let (contacts, mut groups) = (Contacts::default(), Groups::default());
        let view = RosterView::new(&contacts, &groups);
        assert!(!view.is_in_group("romeo@montague.lit", "Friends") && !view.has_presence("romeo@montague.lit"));
        let missing = view.missing();
        assert_eq!(missing.iter().collect::<Vec<_>>(), ["Friends"]);
        groups.add(missing);
        groups.put("romeo@montague.lit", &item(&["Lovers", "Friends"], Subscription::Both));
        groups.put("nurse@capulet.lit", &item(&["Servants"], Subscription::Both));
        let view = RosterView::new(&contacts, &groups);
        assert!(view.is_in_group("romeo@montague.lit", "Friends"));
        assert!(!view.is_in_group("nurse@capulet.lit", "Friends"));
        assert!(view.missing().is_empty());
        assert_eq!(groups.has("romeo@montague.lit", "Lovers"), None);
    }

    #[test]
    fn one_contact_is_that_one() {
        let romeo = item(&["Friends"], Subscription::From);
        let view = OneContact { jid: "romeo@montague.lit", item: Some(&romeo) };
        assert!(view.has_presence("romeo@montague.lit") && !view.has_presence("nurse@capulet.lit"));
        assert!(view.is_in_group("romeo@montague.lit", "Friends") && !view.is_in_group("romeo@montague.lit", "Lovers"));
        let asking = item(&[], Subscription::To);
        assert!(!OneContact { jid: "romeo@montague.lit", item: Some(&asking) }.has_presence("romeo@montague.lit"));
    }
}
