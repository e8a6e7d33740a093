//! The roster of an account (RFC 6121 §2) and what changes it: requests of its clients, and subscription stanzas in
//! either direction (§3).
//!
//! Two steps each, since what is in memory ([`Contacts`]) is less than what is on disk. The first checks the request
//! and says what has to be read, if anything has. The second, given that, says what is written, and what is sent once
//! it is. Nothing is sent for a write that was refused: the whole request starts anew.
//!
//! An account's requests that read or write its roster go one after the other, from the first step to the end of the
//! write; a roster that is read while it changes would be given a version that it does not have.

mod change;
mod element;
mod exchange;
mod get;
mod set;
#[cfg(test)]
mod tests;

pub use change::Change;
pub use element::{entry, subscription, subscription_name};
pub use exchange::{Exchange, Opened, Settled, gone, inbound, outbound};
pub use get::{Answer, Get, GetRequest, get};
pub use set::{Outcome, SetRequest, set};

use rondel_storage::Owner;

use super::contacts::Contacts;
use crate::stream::StanzaCondition;

/// What bounds a roster.
#[derive(Clone, Copy, Debug)]
pub struct RosterLimits {
    /// Contacts that clients see. Who wants more gets `<policy-violation/>`: the RFC names no error, and
    /// `<resource-constraint/>` would tell clients to try again later (RFC 6120 §8.3.3.18).
    pub contacts_max: usize,
    /// Groups of one contact: `<not-acceptable/>`.
    pub groups_max_per_contact: usize,
    /// Bytes of a group's name: `<not-acceptable/>` (RFC 6121 §2.3.3).
    pub group_bytes_max: usize,
    /// Bytes of a contact's name: `<not-acceptable/>` (RFC 6121 §2.3.3).
    pub name_bytes_max: usize,
    /// Strangers whose request waits for an answer. Further requests are dropped (RFC 6121 §3.1.3, security warning):
    /// an error would tell that the account exists.
    pub requests_max: usize,
    /// Bytes of a request that are kept until it is answered. Of a larger one its addresses are kept.
    pub request_bytes_max: usize,
}

/// Whether `sender` may see or change the roster of `account`, both bare JIDs: nobody but its owner may (RFC 6121
/// §2.3.3). The answer must not depend on whether there is such an account.
pub fn authorize(sender: &str, account: &str) -> Result<(), StanzaCondition> {
    if sender == account { Ok(()) } else { Err(StanzaCondition::Forbidden) }
}

/// Whether one more contact may be put into the roster.
fn has_room(contacts: &Contacts, limits: &RosterLimits) -> Result<(), StanzaCondition> {
    if contacts.listed() < limits.contacts_max { Ok(()) } else { Err(StanzaCondition::PolicyViolation) }
}

/// Whether a bare JID is the account's own.
fn is_own(account: &Owner, bare_jid: &str) -> bool {
    account.to_string() == bare_jid
}
