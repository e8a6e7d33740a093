//! A change of one contact: what is written, what clients are told, and what is different in memory.

use rondel_storage::roster::{self, Horizon, Item, StoredItem};
use rondel_storage::{Owner, WriteRequest};

use super::element;
use crate::account::contacts::Contacts;
use crate::account::subscription::State;
use crate::xml::Element;

/// A change of one contact.
#[derive(Debug)]
pub struct Change {
    /// What is to be written. Refused with 0: the account is gone. Refused with 1: the item has changed meanwhile, and
    /// the request starts anew.
    pub write: WriteRequest,
    /// What every interested resource gets once it is written: the payload of an IQ of type `set` (RFC 6121 §2.1.6).
    pub push: Option<Element>,
    contact: String,
    state: State,
    version: u64,
}

impl Change {
    /// Takes the change over into memory, once it is written.
    pub fn apply(&self, contacts: &mut Contacts) {
        contacts.set(&self.contact, self.state, self.version);
    }

    /// The contact's bare JID.
    pub fn contact(&self) -> &str {
        &self.contact
    }
}

/// Changes the item of a contact, or makes one. An item in which nothing is left goes. `seen` is for a change that
/// clients see: it has a version, and is pushed.
pub(super) fn update(
    account: &Owner,
    contact: &str,
    stored: Option<&StoredItem>,
    seen: Option<Seen<'_>>,
    edit: impl FnOnce(&mut Item),
) -> Change {
    let mut item = stored.map(|stored| stored.item().clone()).unwrap_or_default();
    edit(&mut item);
    if let Some(Seen { contacts, now_micros }) = seen {
        item.version_before = contacts.version();
        item.version = contacts.next_version(now_micros);
    }
    let state = State::of(&item);
    let write = match stored {
        Some(stored) if state == State::default() => stored.remove(None),
        Some(stored) => stored.replace(&item),
        None => roster::add(account, contact, &item),
    };
    let push = seen.map(|_| element::push(contact, &item));
    Change { write, push, contact: contact.to_owned(), state, version: item.version }
}

/// Removes a contact that clients see.
pub(super) fn remove(stored: &StoredItem, Seen { contacts, now_micros }: Seen<'_>) -> Change {
    let version = contacts.next_version(now_micros);
    Change {
        write: stored.remove(Some(Horizon { version })),
        push: Some(element::removal(stored.contact(), version)),
        contact: stored.contact().to_owned(),
        state: State::default(),
        version,
    }
}

/// What the version of a change that clients see follows from.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    /// The contacts before the change.
    pub(super) contacts: &'a Contacts,
    /// Microseconds since 1970.
    pub(super) now_micros: u64,
}
