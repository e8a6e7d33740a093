//! Bookmarks in the form of XEP-0048, for clients that know no other (XEP-0402 §4.3).
//!
//! For an account's owner the node `storage:bookmarks` shows the items of `urn:xmpp:bookmarks:1` in one, and what is
//! published to it changes those. What it holds itself is only the rest. Private storage (XEP-0049) has the same, by
//! [`Request::LegacyBookmarks`](crate::pubsub::Request) and its counterpart.

use rondel_storage::pubsub::{Change, Entry, Item, NodeConfig, People, Span};

use super::context::Context;
use super::publish::reply;
use super::subscriptions::and;
use super::{Handled, Outcome, Stop};
use crate::pubsub::bookmarks::{self, Bookmark, Changes};
use crate::pubsub::error::PubsubError;
use crate::pubsub::form::Submission;
use crate::pubsub::notify::{self, Notification};
use crate::pubsub::request::NewItem;
use crate::pubsub::{markup, node};
use crate::xml::{Element, namespaces as ns};

/// The id of the one item (XEP-0048 §3.1).
const CURRENT: &str = "current";

/// Whether this is the node that is no node of its own.
pub(super) fn is_node(c: &Context<'_>, name: &str) -> bool {
    name == ns::LEGACY_BOOKMARKS && c.is_account_owner()
}

/// The bookmarks there are, oldest first, each with its place.
struct Stored {
    bookmarks: Vec<Bookmark>,
    entries: Vec<Entry>,
    /// All places of the node, also of items that are no bookmarks.
    all: Vec<Entry>,
}

fn stored(c: &Context<'_>) -> Result<Stored, Stop> {
    let none = Stored { bookmarks: Vec::new(), entries: Vec::new(), all: Vec::new() };
    let Some(stored) = c.node(ns::BOOKMARKS)?.filter(|stored| stored.node.count > 0) else { return Ok(none) };
    let from = node::first_sequence(&stored.node, c.now_micros);
    let entries_max = c.limits.page_items_max;
    let part = c.order(ns::BOOKMARKS, Span { from, to: None, newest_first: false, entries_max })?;
    let bytes: usize = part.entries.iter().map(|entry| entry.bytes as usize).sum();
    if bytes > c.limits.page_bytes_max || !part.is_complete {
        // What does not fit into one answer cannot be shown in one element.
        return Err(PubsubError::POLICY_VIOLATION.into());
    }
    let keys: Vec<_> = part.entries.iter().map(|entry| (ns::BOOKMARKS, entry.id.as_str())).collect();
    let read = |(entry, item): (&Entry, Option<&Item>)| {
        let conference = Element::parse(&item?.payload).ok()?;
        Some((Bookmark::of_item(&entry.id, &conference).filter(|bookmark| bookmark.jid == entry.id)?, entry.clone()))
    };
    let (bookmarks, entries) = part.entries.iter().zip(c.items(&keys)?).filter_map(read).unzip();
    Ok(Stored { bookmarks, entries, all: part.entries.clone() })
}

/// What the second form holds besides bookmarks.
fn rest(c: &Context<'_>) -> Result<Option<Element>, Stop> {
    if c.node(ns::LEGACY_BOOKMARKS)?.is_none() {
        return Ok(None);
    }
    let item = c.item(ns::LEGACY_BOOKMARKS, CURRENT)?;
    Ok(item.and_then(|item| Element::parse(&item.payload).ok()))
}

fn storage(c: &Context<'_>) -> Result<Element, Stop> {
    let stored = stored(c)?;
    Ok(bookmarks::storage(&stored.bookmarks, rest(c)?.as_ref()))
}

/// The second form, as the payload of an answer about private storage.
pub(super) fn show(c: &Context<'_>) -> Handled {
    if !c.is_account_owner() {
        return Err(PubsubError::FORBIDDEN.into());
    }
    Ok(Outcome::result(markup::payload(&storage(c)?)))
}

/// The second form, as the one item of its node.
pub(super) fn items(c: &Context<'_>) -> Handled {
    let storage = storage(c)?;
    let node = [("node", ns::LEGACY_BOOKMARKS)];
    Ok(Outcome::result(markup::pubsub(ns::PUBSUB, |out| {
        if storage.children().next().is_none() {
            return markup::empty(out, "items", &node);
        }
        markup::open(out, "items", &node);
        markup::item(out, Some(CURRENT), None, &markup::payload(&storage));
        markup::close(out, "items");
    })))
}

/// The second form was published as an item of its node.
pub(super) fn publish(c: &Context<'_>, item: Option<&NewItem>, options: &Submission) -> Handled {
    // All else that can be demanded of it says how it is stored, which is not the way it is shown.
    if options.value("pubsub#access_model").is_some_and(|access| access != "whitelist") {
        return Err(PubsubError::PRECONDITION.into());
    }
    let item = item.ok_or(PubsubError::ITEM_REQUIRED)?;
    let storage = item.payload.as_ref().ok_or(PubsubError::PAYLOAD_REQUIRED)?;
    let made_up = if item.id.is_none() { Some(CURRENT) } else { None };
    replace(c, storage, reply(ns::LEGACY_BOOKMARKS, made_up))
}

/// The second form was put into private storage.
pub(super) fn set(c: &Context<'_>, storage: &Element) -> Handled {
    if !c.is_account_owner() {
        return Err(PubsubError::FORBIDDEN.into());
    }
    replace(c, storage, Vec::new())
}

fn replace(c: &Context<'_>, storage: &Element, payload: Vec<u8>) -> Handled {
    if storage.name != "storage" || storage.namespace != ns::LEGACY_BOOKMARKS {
        return Err(PubsubError::INVALID_PAYLOAD.into());
    }
    let (wanted, new_rest) = bookmarks::read_storage(storage);
    let before = stored(c)?;
    let changes = bookmarks::changes(&before.bookmarks, wanted.clone());
    let mut outcome = if changes == Changes::default() {
        Outcome::result(payload)
    } else {
        let (change, notifications) = apply(c, &before, &changes)?;
        Outcome { notifications, ..Outcome::changed(change, payload) }
    };
    if let Some(change) = keep(c, &new_rest)? {
        outcome.growth += change.growth();
        outcome.write = Some(and(outcome.write.take(), change.finish()));
    }
    c.fits(outcome.growth)?;
    if outcome.write.is_some() {
        outcome.notifications.extend(event(c, &bookmarks::storage(&wanted, Some(&new_rest))));
    }
    Ok(outcome)
}

/// Publishes and retracts the items that differ.
fn apply(c: &Context<'_>, before: &Stored, changes: &Changes) -> Result<(Change, Vec<Notification>), Stop> {
    let (mut change, people, config) = target(c)?;
    let place = |jid: &str| before.entries.iter().find(|entry| entry.id == jid);
    let mut notifications = Vec::new();
    let mut gone = Vec::new();
    for entry in changes.retract.iter().filter_map(|jid| place(jid)) {
        change = change.remove(entry);
        gone.push(entry.id.as_str());
    }
    if !gone.is_empty() {
        notifications.extend(c.notification(
            ns::BOOKMARKS,
            &config,
            &people,
            notify::retracted(ns::BOOKMARKS, gone.clone()),
        ));
    }
    if change.node().newest.is_none() {
        let left = before.all.iter().rev().find(|entry| !gone.contains(&entry.id.as_str()));
        change = change.newest(left.cloned());
    }
    for bookmark in &changes.publish {
        let (payload, publisher) = (markup::payload(&bookmark.to_payload()), c.requester().to_owned());
        if payload.len() > node::payload_bytes_max(&config, c.limits) {
            return Err(PubsubError::PAYLOAD_TOO_BIG.into());
        }
        let item = Item { sequence: change.next_sequence(c.now_micros), publisher, payload };
        let content = notify::published(
            ns::BOOKMARKS,
            Some(&bookmark.jid),
            node::publisher(&config, &item),
            node::delivered_payload(&config, &item),
        );
        notifications.extend(c.notification(ns::BOOKMARKS, &config, &people, content));
        change = change.publish(&bookmark.jid, &item, place(&bookmark.jid));
    }
    if change.node().count > node::items_max(&config, c.limits) {
        // Whoever replaces all at once does not mean some of them to go again.
        return Err(PubsubError::NODE_FULL.into());
    }
    Ok((change, notifications))
}

fn target(c: &Context<'_>) -> Result<(Change, People, NodeConfig), Stop> {
    match c.node(ns::BOOKMARKS)? {
        Some(stored) => {
            let people = c.people(stored)?.people.clone();
            Ok((Change::of(c.owner(), stored), people, stored.node.config.clone()))
        }
        None => {
            let config = node::private_config();
            let (change, people) = c.create(ns::BOOKMARKS, config.clone(), PubsubError::FORBIDDEN)?;
            Ok((change, people, config))
        }
    }
}

/// Keeps the rest, if it has changed.
fn keep(c: &Context<'_>, new: &Element) -> Result<Option<Change>, Stop> {
    let is_empty = new.children().next().is_none();
    let change = match c.node(ns::LEGACY_BOOKMARKS)? {
        None if is_empty => return Ok(None),
        None => c.create(ns::LEGACY_BOOKMARKS, node::private_config(), PubsubError::FORBIDDEN)?.0,
        Some(stored) if is_empty && stored.node.count == 0 => return Ok(None),
        Some(_) if rest(c)?.as_ref() == Some(new) => return Ok(None),
        Some(stored) => Change::of(c.owner(), stored),
    };
    if is_empty {
        return Ok(Some(change.purge()));
    }
    let payload = markup::payload(new);
    if payload.len() > c.limits.item_bytes_max {
        return Err(PubsubError::PAYLOAD_TOO_BIG.into());
    }
    let sequence = change.next_sequence(c.now_micros);
    let item = Item { sequence, publisher: c.requester().to_owned(), payload };
    Ok(Some(change.purge().publish(CURRENT, &item, None)))
}

/// The second form for the owner's resources that are interested in it, when an item of the first one was published,
/// or with no payload removed.
pub(super) fn notification(
    c: &Context<'_>,
    name: &str,
    id: &str,
    payload: Option<&[u8]>,
) -> Result<Option<Notification>, Stop> {
    if name != ns::BOOKMARKS || !c.is_account() || !c.service.notifies_legacy_bookmarks {
        return Ok(None);
    }
    let mut bookmarks = match stored(c) {
        Ok(stored) => stored.bookmarks,
        // There are too many to be shown in one element.
        Err(Stop::Refuse(_)) => return Ok(None),
        Err(stop) => return Err(stop),
    };
    bookmarks.retain(|bookmark| bookmark.jid != id);
    let conference = payload.and_then(|payload| Element::parse(payload).ok());
    bookmarks.extend(conference.and_then(|conference| Bookmark::of_item(id, &conference)));
    Ok(event(c, &bookmarks::storage(&bookmarks, rest(c)?.as_ref())))
}

fn event(c: &Context<'_>, storage: &Element) -> Option<Notification> {
    if !c.service.notifies_legacy_bookmarks {
        return None;
    }
    let content = notify::published(ns::LEGACY_BOOKMARKS, Some(CURRENT), None, &markup::payload(storage));
    c.notification(ns::LEGACY_BOOKMARKS, &node::private_config(), &People::default(), content)
}
