//! What is in memory of an account at its home: what routing needs, loaded when somebody is online or writes to it.

use std::sync::Arc;

use rondel_storage::preferences::{self as stored, Preferences as Stored};
use rondel_storage::{Owner, Page, blocks, marks};
use smallvec::SmallVec;

use super::activity::LastActivity;
use super::archive_preferences::Preferences;
use super::blocking::Blocklist;
use super::contacts::Contacts;
use super::heard::Heard;
use super::marks::Marks;
use super::recent::Recent;
use super::restraint::Restraint;
use super::session::SessionKey;
use crate::limited_event;

/// What kind of account it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It is registered.
    Registered,
    /// It lasts as long as its session (XEP-0175); nothing of it is stored.
    Anonymous,
    /// There is no such account.
    Absent,
}

/// How much waits for an account of which nobody is online.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Waiting {
    /// Messages.
    pub messages: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// An account in memory.
#[derive(Debug)]
pub struct Account {
    /// What kind of account it is.
    pub standing: Standing,
    /// Its contacts.
    pub contacts: Contacts,
    /// Whom it blocks.
    pub blocks: Blocklist,
    /// What it has chosen to be archived; without a choice the server's default holds.
    pub archiving: Option<Box<Preferences>>,
    /// When its last available resource has left, and with which words (XEP-0012).
    pub last: Option<Box<LastActivity>>,
    /// Which message of the day it was told last: a hash of the words.
    pub told: Option<u64>,
    /// What waits for it to come online, once it has been counted.
    pub waiting: Option<Waiting>,
    /// The number of the last message that has waited and was given to a session. It may still be in the store, until
    /// the session has acknowledged it.
    pub given_up_to: u64,
    /// As the store knows it; none for one of which nothing is stored.
    pub owner: Option<Owner>,
    /// When a message for its archive was last given to the storage, in milliseconds as its shard counts them.
    pub archived_ms: Option<u64>,
    /// The hash of the photo in its vCard, which presence announces (XEP-0153).
    pub photo: Option<[u8; 20]>,
    /// What it may not send that others may, if it is silenced or new.
    pub restraint: Option<Box<Restraint>>,
    /// Who has written to it last.
    pub heard: Heard,
    /// Whom it has written to, where it matters who is a stranger.
    pub addressed: Option<Box<Recent>>,
    /// What rules have noted of it.
    pub marks: Option<Arc<Marks>>,
    /// The bytes that all items that it has published take, once they have been counted.
    pub published: Option<u64>,
    /// Its sessions, in the order in which they were bound.
    pub(super) sessions: SmallVec<[SessionKey; 2]>,
    /// When it may leave memory if it has none then, in milliseconds as its shard counts them.
    pub(super) leaves_ms: u64,
}

impl Account {
    /// An account without anything in it.
    pub fn new(standing: Standing) -> Account {
        Account {
            standing,
            contacts: Contacts::default(),
            blocks: Blocklist::default(),
            archiving: None,
            last: None,
            told: None,
            waiting: None,
            given_up_to: 0,
            owner: None,
            archived_ms: None,
            photo: None,
            restraint: None,
            heard: Heard::default(),
            addressed: None,
            marks: None,
            published: None,
            sessions: SmallVec::new(),
            leaves_ms: 0,
        }
    }

    /// Takes over whom it blocks, as it is stored.
    pub fn block(&mut self, page: &Page) {
        let readable = blocks::decode_page(page).into_iter().filter_map(|entry| match entry {
            Ok((address, _)) => Some(address),
            Err(error) => {
                limited_event!(WARN, "storage", "a blocked address cannot be read: {error}");
                None
            }
        });
        self.blocks = readable.collect();
    }

    /// Takes over what rules have noted of it, as it is stored.
    pub fn mark(&mut self, page: &Page) {
        let readable = marks::decode_page(page).into_iter().filter_map(|entry| match entry {
            Ok(marked) => Some((marked.name.into(), marked.mark.at_ms)),
            Err(error) => {
                limited_event!(WARN, "storage", "a mark cannot be read: {error}");
                None
            }
        });
        let marks: Vec<(Box<str>, u64)> = readable.collect();
        self.marks = (!marks.is_empty()).then(|| Arc::new(marks.into_iter().collect()));
    }

    /// Takes over what it has chosen, as it is stored.
    pub fn choose(&mut self, stored: &Stored) {
        self.archiving = stored.archive.as_ref().map(|archive| Box::new(archive.into()));
        self.told = stored.told;
        let last = stored.last_activity.as_ref();
        self.last = last.map(|last| Box::new(LastActivity { left_s: last.at, status: last.status.as_str().into() }));
    }

    /// What is to be stored, all of it, of what [`Account::choose`] takes over.
    pub fn chosen(&self) -> Stored {
        let archive = self.archiving.as_deref().map(Into::into);
        let last = self.last.as_ref();
        let last_activity = last.map(|last| stored::LastActivity { at: last.left_s, status: last.status.to_string() });
        Stored { archive, last_activity, told: self.told, ..Stored::default() }
    }
}
