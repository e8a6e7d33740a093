//! Accounts on their way from one server to another: what an account consists of ([`Piece`]), written as XEP-0227
//! ([`export`]), read from it ([`pie`]) and from what other servers keep ([`prosody`], [`ejabberd`]), and put into a
//! store ([`import`]).
//!
//! Whoever reads tells piece after piece, whoever writes takes piece after piece: neither ever has more of an account
//! in memory than one of them, whatever it holds. What may not live here: where files are, and who may have what is in
//! them.

mod cards;
pub mod ejabberd;
pub mod export;
pub mod import;
pub mod lua;
pub mod pie;
pub mod pieces;
pub mod prosody;
mod vcard4;

use std::collections::BTreeMap;

use rondel_storage::accounts::Role;
use rondel_storage::preferences::{ArchivePreferences, LastActivity};
use rondel_storage::pubsub::{NodeConfig, People};
use rondel_storage::roster;

use crate::hex;
use crate::sasl::ScramKeys;
use crate::xml::Element;

/// What XEP-0227 has no place for, in a namespace of its own.
pub(crate) const OWN: &str = "urn:x-rondel:account:0";

/// A piece of what is known of an account.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// An account begins; what comes is of it.
    Begin {
        /// Its name.
        local: String,
        /// Its domain.
        domain: String,
    },
    /// Its password.
    Password(String),
    /// What proves its password.
    Keys(ScramKeys),
    /// Since when it is there, and what was decided about it.
    Standing(Standing),
    /// A contact.
    Contact {
        /// Its bare address.
        jid: String,
        /// What is known of it. Its version does not matter.
        item: roster::Item,
    },
    /// Somebody asks to become a contact.
    SubscriptionRequest {
        /// The bare address.
        from: String,
        /// The presence stanza.
        stanza: Vec<u8>,
    },
    /// An address of which the account does not want to hear.
    Block(String),
    /// An element that a client keeps for itself (XEP-0049).
    Private(Element),
    /// Its vCard.
    Vcard(Element),
    /// A node of its personal eventing service. Its items come later.
    Node {
        /// Its name.
        name: String,
        /// Its configuration, if it is told here.
        config: Option<Box<NodeConfig>>,
        /// Who else has to do with it, if that is told here.
        people: People,
    },
    /// An item of a node, behind those that were published before it.
    Item {
        /// The node.
        node: String,
        /// Its id.
        id: String,
        /// Its payload, if it has one.
        payload: Option<Element>,
        /// Who has published it; the account itself without.
        publisher: Option<String>,
        /// When, in microseconds since 1970, if that is known.
        at_us: Option<u64>,
    },
    /// What it archives.
    ArchivePreferences(ArchivePreferences),
    /// When it was there last.
    LastActivity(LastActivity),
    /// A message that waits for it.
    Offline {
        /// When it came, in seconds since 1970.
        arrived_s: u64,
        /// The stanza.
        stanza: Vec<u8>,
    },
    /// A message of its archive, behind those that are older.
    Archived(Archived),
    /// The account ends.
    End,
}

/// A message of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Archived {
    /// When it was sent or came, in microseconds since 1970.
    pub at_us: u64,
    /// The bare address of whoever has sent it; the account without.
    pub from: Option<String>,
    /// The bare address of whom it was for; the account without.
    pub to: Option<String>,
    /// Whether it stands for a message that was taken out.
    pub is_tombstone: bool,
    /// The stanza.
    pub stanza: Vec<u8>,
}

/// Since when an account is there, and what was decided about it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// When it was made, in seconds since 1970.
    pub created_s: Option<u64>,
    /// What it may do.
    pub role: Role,
    /// Since when, why and until when it may not log in.
    pub disabled: Option<(u64, String, Option<u64>)>,
    /// Until when nothing that it sends reaches others.
    pub muted_until_s: Option<u64>,
    /// Until when it is held to the limits of new accounts.
    pub limited_until_s: Option<u64>,
    /// Whether it is not held to them, however young it is.
    pub is_trusted: bool,
}

/// How many there are, and the first of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Told {
    /// How many.
    pub number: u64,
    /// Some of them.
    pub first: Vec<String>,
}

/// Names that are told of at most.
const TOLD_MAX: usize = 20;

impl Told {
    fn add(&mut self, name: String) {
        self.number += 1;
        if self.first.len() < TOLD_MAX {
            self.first.push(name);
        }
    }
}

/// What was found with another server beside what is told piece by piece.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Rooms, which are not imported.
    pub rooms: Told,
    /// Kinds of data that are not known here, and how many there are of each.
    pub unknown: BTreeMap<String, u64>,
    /// What could not be read, and where it is.
    pub unreadable: Vec<String>,
}

/// Things that cannot be read of which is told at most.
const UNREADABLE_MAX: usize = 100;

impl Found {
    fn unreadable(&mut self, text: String) {
        if self.unreadable.len() < UNREADABLE_MAX {
            self.unreadable.push(text);
        }
    }
}

/// A text in which bytes are written as in URLs. None if an escape is none, or if it is no text then.
fn percent_decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name;
    while let Some((plain, behind)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        bytes.extend(hex::decode(behind.get(..2)?)?);
        rest = behind.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
