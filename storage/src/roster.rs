//! Rosters: the contacts of an account, and whoever asks to become one (RFC 6121 §2 and §3).
//!
//! Key: `owner 0x00 contact`, the contact's bare JID in its normal form. Value: [`Item`]. An owner who has ever removed
//! a contact has one more key, with nothing behind the separator: the [`Horizon`].
//!
//! Changes are based on what was read. [`Outcome::Refused`] with 0 means that the account is gone, with 1 that the item
//! has changed since: read it again.

use crate::codec::{LoadError, Versioned};
use crate::reply::{Outcome, Page};
use crate::{DecodeError, Family, Owner, PAGE_BYTES_MAX, PageRequest, ReadRequest, WriteRequest};
use serde::{Deserialize, Serialize};

const FAMILY: Family = Family::Roster;

/// A contact, or somebody who asks to become one.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Item {
    /// The name that the account's owner gave it; empty for none.
    pub name: String,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// Who sees whose presence.
    pub subscription: Subscription,
    /// Whether the owner has asked to see the contact's presence, and has no answer yet.
    pub ask: bool,
    /// Whether a request of the contact is granted before it comes (RFC 6121 §3.4).
    pub approved: bool,
    /// The contact's request to see the owner's presence, as it was received: delivered at each login until answered.
    pub pending_in: Option<Vec<u8>>,
    /// Whether clients see the contact in the roster. Somebody who only asks must not be there (RFC 6121 §3.1.3).
    pub listed: bool,
    /// The roster's version since the latest change that clients see, in microseconds since 1970; 0 before the first.
    pub version: u64,
    /// The roster's version before that change.
    pub version_before: u64,
}

/// Who sees whose presence (RFC 6121 §2.1.2.5). Stored by position: append only.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Subscription {
    /// Neither sees the other's.
    #[default]
    None,
    /// The owner sees the contact's.
    To,
    /// The contact sees the owner's.
    From,
    /// Both see the other's.
    Both,
}

impl Versioned for Item {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "roster";
}

/// How far back a roster's changes can be told one by one: removed contacts leave no trace but this.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Horizon {
    /// The roster's version since the latest removal, in microseconds since 1970.
    pub version: u64,
}

impl Versioned for Horizon {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "roster";
}

/// An item as it was read. Changes are based on it and are refused if it has changed since.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredItem {
    owner: Owner,
    contact: String,
    item: Item,
    encoded: Vec<u8>,
}

impl StoredItem {
    /// Whose contact it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The contact's bare JID.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// The item.
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// Replaces the item.
    pub fn replace(&self, item: &Item) -> WriteRequest {
        self.unchanged().put(FAMILY, self.contact.as_bytes(), item.encode())
    }

    /// Removes the item: without a trace, or with the roster's version since then, if clients have seen it.
    pub fn remove(&self, horizon: Option<Horizon>) -> WriteRequest {
        let request = self.unchanged().delete(FAMILY, self.contact.as_bytes());
        match horizon {
            Some(horizon) => request.put(FAMILY, b"", horizon.encode()),
            None => request,
        }
    }

    fn unchanged(&self) -> WriteRequest {
        of_account(&self.owner).require_equals(FAMILY, self.contact.as_bytes(), self.encoded.clone())
    }
}

/// Adds an item for a contact that has none.
pub fn add(owner: &Owner, contact: &str, item: &Item) -> WriteRequest {
    let contact = contact.as_bytes();
    of_account(owner).require_absent(FAMILY, contact).put(FAMILY, contact, item.encode())
}

/// Makes an item of the roster of the request's owner this one, whatever it was.
pub fn put(request: WriteRequest, contact: &str, item: &Item) -> WriteRequest {
    request.put(FAMILY, contact.as_bytes(), item.encode())
}

/// What comes for an account that is being removed must not be left behind without it.
fn of_account(owner: &Owner) -> WriteRequest {
    WriteRequest::new(owner.clone()).require_present(Family::Accounts, b"")
}

/// Reads the item of one contact; see [`decode`].
pub fn get(owner: &Owner, contact: &str) -> ReadRequest {
    ReadRequest::Get(FAMILY, FAMILY.key(owner, contact.as_bytes()))
}

/// The item in the outcome of [`get`], or `None` if there is none.
pub fn decode(owner: &Owner, contact: &str, outcome: Outcome) -> Result<Option<StoredItem>, LoadError> {
    match outcome {
        Outcome::Value(value) => Ok(value.map(|value| decode_value(owner, contact, value)).transpose()?),
        other => Err(LoadError::unexpected(other)),
    }
}

/// Reads the items of several contacts, such as those who wait for an answer; see [`decode_several`].
pub fn get_several(owner: &Owner, contacts: &[&str]) -> ReadRequest {
    ReadRequest::MultiGet(FAMILY, contacts.iter().map(|contact| FAMILY.key(owner, contact.as_bytes())).collect())
}

/// The items in the outcome of [`get_several`] that exist. One that cannot be decoded does not hide the others.
pub fn decode_several(
    owner: &Owner,
    contacts: &[&str],
    outcome: Outcome,
) -> Result<Vec<Result<StoredItem, DecodeError>>, LoadError> {
    match outcome {
        Outcome::Values(values) => {
            let found = contacts.iter().zip(values).filter_map(|(contact, value)| Some((contact, value?)));
            Ok(found.map(|(contact, value)| decode_value(owner, contact, value)).collect())
        }
        other => Err(LoadError::unexpected(other)),
    }
}

fn decode_value(owner: &Owner, contact: &str, encoded: Vec<u8>) -> Result<StoredItem, DecodeError> {
    let item = Item::decode(&FAMILY.key(owner, contact.as_bytes()), &encoded)?;
    Ok(StoredItem { owner: owner.clone(), contact: contact.to_owned(), item, encoded })
}

/// Reads a whole roster, in the order of the contacts' JIDs. Pages go to [`Roster::add`], and [`PageRequest::next`]
/// asks for more.
pub fn list(owner: &Owner, entries_max: usize) -> PageRequest {
    let (from, to) = (owner.key(b""), Some(owner.end()));
    PageRequest { family: FAMILY, from, to, reverse: false, entries_max, bytes_max: PAGE_BYTES_MAX }
}

/// A whole roster as it was read. Pages that were read while it changed do not make one roster: nothing may be written
/// to it between the first and the last.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Roster {
    items: Vec<StoredItem>,
    horizon: Horizon,
}

impl Roster {
    /// Takes a page of [`list`]. What cannot be decoded is returned and left out.
    pub fn add(&mut self, page: Page) -> Vec<DecodeError> {
        page.entries.into_iter().filter_map(|(key, value)| self.add_entry(&key, value).err()).collect()
    }

    fn add_entry(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), DecodeError> {
        let damaged = || DecodeError::damaged(Item::FAMILY, key, "the key is not an account and a contact");
        let (owner, contact) = Owner::split_key(key).ok_or_else(damaged)?;
        if contact.is_empty() {
            self.horizon = Horizon::decode(key, &value)?;
        } else {
            let contact = std::str::from_utf8(contact).map_err(|_| damaged())?;
            self.items.push(decode_value(&owner, contact, value)?);
        }
        Ok(())
    }

    /// All items, those included that clients do not see.
    pub fn items(&self) -> &[StoredItem] {
        &self.items
    }

    /// How far back the changes can be told.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// The roster's version, in microseconds since 1970; 0 if it has never had a contact.
    pub fn version(&self) -> u64 {
        let versions = self.items.iter().map(|stored| stored.item.version);
        versions.fold(self.horizon.version, u64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Operation, Precondition};
    use proptest::prelude::*;

    fn owner() -> Owner {
        Owner::parse("juliet@example.org").unwrap()
    }

    fn subscription() -> impl Strategy<Value = Subscription> {
        use Subscription::*;
        prop::sample::select(vec![None, To, From, Both])
    }

    prop_compose! {
        fn item()(
            name: String,
            groups: Vec<String>,
            subscription in subscription(),
            (ask, approved, listed) in any::<(bool, bool, bool)>(),
            pending_in: Option<Vec<u8>>,
            (version, version_before) in any::<(u64, u64)>(),
        ) -> Item {
            Item { name, groups, subscription, ask, approved, pending_in, listed, version, version_before }
        }
    }

    proptest! {
        #[test]
        fn items_come_back(item in item()) {
            let value = Outcome::Value(Some(item.encode()));
            let stored = decode(&owner(), "romeo@example.net", value).unwrap().unwrap();
            prop_assert_eq!(stored.owner(), &owner());
            prop_assert_eq!(stored.contact(), "romeo@example.net");
            prop_assert_eq!(stored.item(), &item);
        }

        #[test]
        fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
            Roster::default().add_entry(&key, value).ok();
        }
    }

    #[test]
    fn the_encoding_of_version_1_stays() {
        let item = Item {
            name: "R".to_owned(),
            groups: vec!["F".to_owned()],
            subscription: Subscription::From,
            ask: true,
            approved: false,
            pending_in: Some(vec![7]),
            listed: true,
            version: 300,
            version_before: 5,
        };
        let bytes = [1, 1, b'R', 1, 1, b'F', 2, 1, 0, 1, 1, 7, 1, 0xac, 2, 5];
        assert_eq!(item.encode(), bytes);
        assert_eq!(Item::decode(b"", &bytes), Ok(item));
        assert_eq!(Horizon { version: 300 }.encode(), [1, 0xac, 2]);
    }

    #[test]
    fn a_roster_is_read_with_its_horizon_and_without_what_is_damaged() {
        let item = |version| Item { version, ..Item::default() }.encode();
        let entry = |rest: &str, value| (FAMILY.key(&owner(), rest.as_bytes()), value);
        let entries = vec![
            entry("", Horizon { version: 7 }.encode()),
            entry("mercutio@example.net", vec![99]),
            entry("nurse@example.com", item(5)),
        ];
        let mut roster = Roster::default();
        let errors = roster.add(Page { entries, complete: false });
        assert!(errors.len() == 1 && errors[0].to_string().contains("mercutio@example.net"), "{errors:?}");
        assert_eq!(roster.version(), 7);
        roster.add(Page { entries: vec![entry("romeo@example.net", item(9))], complete: true });
        let contacts: Vec<_> = roster.items().iter().map(StoredItem::contact).collect();
        assert_eq!(contacts, ["nurse@example.com", "romeo@example.net"]);
        assert_eq!((roster.version(), roster.horizon().version), (9, 7));
    }

    #[test]
    fn changes_require_what_was_read_and_the_account() {
        let item = Item::default();
        let key = FAMILY.key(&owner(), b"romeo@example.net");
        let account = Precondition::Present(Family::Accounts, Family::Accounts.key(&owner(), b""));
        let request = add(&owner(), "romeo@example.net", &item);
        assert_eq!(request.preconditions(), [account.clone(), Precondition::Absent(FAMILY, key.clone())]);

        let value = Outcome::Value(Some(item.encode()));
        let stored = decode(&owner(), "romeo@example.net", value).unwrap().unwrap();
        let equals = Precondition::Equals(FAMILY, key.clone(), item.encode());
        let changed = Item { listed: true, ..Item::default() };
        let replaced = stored.replace(&changed);
        assert_eq!(replaced.preconditions(), [account.clone(), equals.clone()]);
        assert_eq!(replaced.operations(), [Operation::Put(FAMILY, key.clone(), changed.encode())]);

        let removed = stored.remove(Some(Horizon { version: 3 }));
        assert_eq!(removed.preconditions(), [account, equals]);
        let horizon = Operation::Put(FAMILY, FAMILY.key(&owner(), b""), Horizon { version: 3 }.encode());
        assert_eq!(removed.operations(), [Operation::Delete(FAMILY, key.clone()), horizon]);
        assert_eq!(stored.remove(None).operations(), [Operation::Delete(FAMILY, key)]);
    }

    #[test]
    fn several_are_read_at_once() {
        let contacts = ["a@example.org", "b@example.org", "c@example.org"];
        let values = Outcome::Values(vec![Some(Item::default().encode()), None, Some(vec![])]);
        let items = decode_several(&owner(), &contacts, values).unwrap();
        assert_eq!(items[0].as_ref().map(StoredItem::contact), Ok("a@example.org"));
        assert!(items.len() == 2 && items[1].is_err());
    }
}
