//! Reading the page of an archive that a query asks for (XEP-0313 §4.3): what the storage is asked for, one part after
//! the other, until the page is full.
//!
//! Nearly always one part is the page. But the storage knows contacts by their bare addresses: of a query for one
//! resource each message is looked at here.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use rondel_storage::archive::{self as stored, Entry};
use rondel_storage::{Outcome, Owner, ReadRequest};

use super::archive::{Found, Query};
use super::archive_ids::ArchiveIds;
use super::unreadable;
use crate::stream::Refusal;
use crate::xml::{Element, attribute};

/// Messages that are read at once where each of them is looked at.
const PART_MESSAGES: usize = 500;

/// Bytes of them.
const PART_BYTES: usize = 512 << 10;

/// What bounds reading a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageLimits {
    /// Bytes of the page as it is sent; a single larger message is sent all the same.
    pub bytes_max: usize,
    /// Messages that are looked at for one page, at most.
    pub looked_at_max: usize,
}

/// A query that is being carried out.
#[derive(Clone, Debug)]
pub struct Reading {
    query: Query,
    /// The archive's bare address.
    account: String,
    /// What is read next.
    stored: stored::Query,
    /// Whether messages are looked at, which the storage has found.
    is_filtered: bool,
    /// What was found, in the order of time.
    found: VecDeque<Entry>,
    limits: PageLimits,
    bytes: usize,
    /// Bytes that a message has more when it is sent.
    bytes_around: usize,
    looked_at: usize,
    is_stable: bool,
}

/// How it goes on.
#[derive(Clone, Debug)]
pub enum Progress {
    /// [`Reading::read`] again.
    Read(Box<Reading>),
    /// This is the page.
    Page(Box<Page>),
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    query: Query,
    messages: VecDeque<Entry>,
    is_complete: bool,
    is_stable: bool,
}

impl Reading {
    /// Begins to carry out a query of the resource `to`, a full address, to the archive of its own account.
    pub fn new(owner: Owner, query: Query, to: &str, limits: PageLimits) -> Reading {
        let account = owner.to_string();
        let with = query.with.as_ref();
        let is_filtered = with.is_some_and(|with| with.is_full());
        // Messages to others are from one's own resources as well.
        let with = with.filter(|with| !with.is_full() || with.bare() != account).map(|with| with.bare().into());
        let stored = stored::Query {
            with,
            start_us: query.start_us,
            end_us: query.end_us,
            after_id: query.after_id,
            before_id: query.before_id,
            ids: query.ids.clone(),
            must_exist: query.known_ids.clone(),
            entries_max: if is_filtered { PART_MESSAGES } else { query.entries_max.max(1) },
            bytes_max: if is_filtered { PART_BYTES } else { limits.bytes_max },
            reverse: query.reverse,
            ..stored::Query::new(owner)
        };
        let mut around = Vec::new();
        // As long as it gets: with a fraction of a second.
        let longest = ArchiveIds::new([0; 16]).text(0);
        let query_id = query.query_id.as_deref();
        Found { account: &account, to, query_id, id: longest.as_str(), at_us: 1, stanza: b"<message/>" }
            .write_to(&mut around);
        Reading {
            query,
            account,
            stored,
            is_filtered,
            found: VecDeque::new(),
            limits,
            bytes: 0,
            bytes_around: around.len(),
            looked_at: 0,
            is_stable: true,
        }
    }

    /// What has to be read.
    pub fn read(&self) -> ReadRequest {
        self.stored.clone().into()
    }

    /// Goes on with what was read.
    pub fn proceed(mut self, outcome: Outcome) -> Result<Progress, Refusal> {
        let part = match stored::decode(outcome).map_err(unreadable)? {
            stored::Found::Page(part) => part,
            stored::Found::UnknownId(_) if self.looked_at == 0 => return Err(Refusal::item_not_found()),
            // The message behind which reading was to go on has become too old meanwhile.
            stored::Found::UnknownId(_) => return self.page(false),
        };
        if let Some(error) = &part.damaged {
            tracing::error!(target: "storage", %error, "an archived message cannot be read");
            // Whoever repairs the storage may find it again.
            self.is_stable = false;
        }
        let next = self.stored.next(&part);
        self.looked_at += part.entries.len();
        if self.query.entries_max == 0 {
            return self.page(false);
        }
        let has_room = match self.query.reverse {
            false => part.entries.into_iter().all(|entry| self.take(entry)),
            true => part.entries.into_iter().rev().all(|entry| self.take(entry)),
        };
        match next {
            _ if !has_room => self.page(false),
            None => self.page(true),
            Some(next)
                if self.is_filtered
                    && self.found.len() < self.query.entries_max
                    && self.looked_at < self.limits.looked_at_max =>
            {
                // They have been there once.
                self.stored = stored::Query { must_exist: Vec::new(), ..next };
                Ok(Progress::Read(Box::new(self)))
            }
            Some(_) => self.page(false),
        }
    }

    /// Takes a message if it matches. Whether there was room for it.
    fn take(&mut self, entry: Entry) -> bool {
        if self.is_filtered {
            let address = |name: &str| attribute(entry.stanza(), name).map(|value| value.decoded().into_owned());
            if !self.query.matches(&self.account, address("from").as_deref(), address("to").as_deref()) {
                return true;
            }
        }
        let bytes = self.bytes + entry.stanza().len() + self.bytes_around;
        let is_first = self.found.is_empty();
        if self.found.len() >= self.query.entries_max || (bytes > self.limits.bytes_max && !is_first) {
            return false;
        }
        self.bytes = bytes;
        match self.query.reverse {
            false => self.found.push_back(entry),
            true => self.found.push_front(entry),
        }
        true
    }

    fn page(self, is_complete: bool) -> Result<Progress, Refusal> {
        // Without a message there would be no place from where to go on.
        if self.found.is_empty() && !is_complete && self.query.entries_max > 0 {
            let text = "too many messages were looked at without finding one; ask for a shorter time";
            return Err(Refusal::policy_violation().with_text(text));
        }
        let Reading { query, found: messages, is_stable, .. } = self;
        Ok(Progress::Page(Box::new(Page { query, messages, is_complete, is_stable })))
    }
}

impl Page {
    /// Its messages, in the order in which they are sent.
    pub fn messages(&self) -> impl Iterator<Item = &Entry> {
        let last = self.messages.len();
        let is_flipped = self.query.flip_page;
        (0..last).filter_map(move |at| self.messages.get(if is_flipped { last - 1 - at } else { at }))
    }

    /// The client's own name for the query.
    pub fn query_id(&self) -> Option<&str> {
        self.query.query_id.as_deref()
    }

    /// What ends the answer.
    pub fn fin(&self, ids: &ArchiveIds) -> Element {
        let ends = self.messages.front().zip(self.messages.back()).map(|(first, last)| (first.id(), last.id()));
        self.query.fin(ids, ends, self.is_complete, self.is_stable)
    }
}
