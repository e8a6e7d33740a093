//! Publishing and removing items (XEP-0060 §7).

use rondel_storage::pubsub::{Change, Entry, Item, Node, NodeConfig, NodeFull, People, Span, StoredNode};

use super::context::Context;
use super::legacy;
use super::{Handled, Outcome, Published, Stop};
use crate::pubsub::error::PubsubError;
use crate::pubsub::form::Submission;
use crate::pubsub::notify::{self, Notification};
use crate::pubsub::request::NewItem;
use crate::pubsub::{markup, node};
use crate::xml::namespaces as ns;

/// Items that one publication removes besides its own: those that have expired or are too many.
const EVICTED_MAX: usize = 64;

/// A node that is published to.
struct Target {
    change: Change,
    people: People,
}

pub(super) fn publish(c: &Context<'_>, name: &str, item: Option<&NewItem>, options: &Submission) -> Handled {
    if legacy::is_node(c, name) {
        return legacy::publish(c, item, options);
    }
    let Target { change, people } = target(c, name, options)?;
    let config = change.node().config.clone();
    let new = accept(&config, item, c)?;
    let id = item.map(|item| item.id.clone().unwrap_or_else(|| c.fresh.to_owned()));
    let mut notifications = Vec::new();
    let mut write = change.clone();
    if let (Some(id), Some(new), true) = (&id, &new, config.persist) {
        let (stored, evicted) = store(c, name, change, id, new)?;
        c.fits(stored.growth())?;
        write = stored;
        // Where there is room for one item, every new one replaces the other, as everybody knows.
        let is_told = config.notify_retract && config.full == NodeFull::RetractOldest;
        if is_told && !evicted.is_empty() && node::items_max(&config, c.limits) > 1 {
            let event = notify::retracted(name, evicted.iter().map(|entry| entry.id.as_str()));
            notifications.extend(c.notification(name, &config, &people, event));
        }
    }
    let event = match &new {
        None => notify::published(name, None, None, &[]),
        Some(new) => {
            let (publisher, payload) = (node::publisher(&config, new), node::delivered_payload(&config, new));
            notify::published(name, id.as_deref(), publisher, payload)
        }
    };
    notifications.extend(c.notification(name, &config, &people, event));
    let reply_to = (c.is_account_owner() && c.requester.is_available).then(|| c.requester.jid.as_str().into());
    notifications.iter_mut().for_each(|notification| notification.reply_to = reply_to.clone());
    if let (Some(id), Some(new)) = (&id, &new) {
        notifications.extend(legacy::notification(c, name, id, Some(&new.payload))?);
    }
    // Without an item there may be nothing to write but a new node.
    let is_new = write.node().count == 0 && c.node(name)?.is_none();
    let is_written = config.persist && new.is_some() || is_new;
    let made_up = id.as_deref().filter(|_| item.is_some_and(|item| item.id.is_none()));
    let published = id.as_ref().map(|id| Published { node: name.to_owned(), id: id.clone(), access: config.access });
    let reply = reply(name, made_up);
    let outcome = if is_written { Outcome::changed(write, reply) } else { Outcome::result(reply) };
    Ok(Outcome { notifications, published, ..outcome })
}

/// The answer to a publication: with the id if the service has made it up (XEP-0060 §7.1.2).
pub(super) fn reply(name: &str, made_up: Option<&str>) -> Vec<u8> {
    markup::pubsub(ns::PUBSUB, |out| match made_up {
        None => markup::empty(out, "publish", &[("node", name)]),
        Some(id) => {
            markup::open(out, "publish", &[("node", name)]);
            markup::item(out, Some(id), None, &[]);
            markup::close(out, "publish");
        }
    })
}

/// The node to publish to: as it is, if it is as the publisher demands, or a new one (XEP-0060 §7.1.4, §7.1.5).
fn target(c: &Context<'_>, name: &str, options: &Submission) -> Result<Target, Stop> {
    let Some(stored) = c.node(name)? else {
        let mut config = node::default_config(c.service.kind, name);
        options.create(&mut config, c.limits)?;
        let (change, people) = c.create(name, config, PubsubError::ITEM_NOT_FOUND)?;
        return Ok(Target { change, people });
    };
    if !c.standing(stored)?.may_publish(&stored.node.config) {
        return Err(PubsubError::FORBIDDEN.into());
    }
    options.check(&stored.node.config, c.limits)?;
    Ok(Target { change: Change::of(c.owner(), stored), people: c.people(stored)?.people.clone() })
}

/// The item to be stored, if it is one that the node takes (XEP-0060 §7.1.3).
fn accept(config: &NodeConfig, item: Option<&NewItem>, c: &Context<'_>) -> Result<Option<Item>, PubsubError> {
    let item = match (item, config.persist, config.payloads) {
        (None, true, _) => return Err(PubsubError::ITEM_REQUIRED),
        (None, false, true) => return Err(PubsubError::PAYLOAD_REQUIRED),
        (None, false, false) => return Ok(None),
        (Some(_), false, false) => return Err(PubsubError::ITEM_FORBIDDEN),
        (Some(NewItem { payload: None, .. }), _, true) => return Err(PubsubError::PAYLOAD_REQUIRED),
        (Some(item), ..) => item,
    };
    let payload = item.payload.as_ref().map(markup::payload).unwrap_or_default();
    if payload.len() > node::payload_bytes_max(config, c.limits) {
        return Err(PubsubError::PAYLOAD_TOO_BIG);
    }
    // The sequence is the node's to give.
    Ok(Some(Item { sequence: 0, publisher: c.requester().to_owned(), payload }))
}

/// Puts an item into a node that is as it was read, and removes what there is no room for. Returns what was removed.
fn store(c: &Context<'_>, name: &str, change: Change, id: &str, new: &Item) -> Result<(Change, Vec<Entry>), Stop> {
    let replaced = replaced(c, name, change.node(), id)?;
    let (evicted, oldest) = evicted(c, name, change.node(), id, replaced.is_none())?;
    let sequence = change.next_sequence(c.now_micros);
    let change = evicted.iter().fold(change, Change::remove);
    let change = change.publish(id, &Item { sequence, ..new.clone() }, replaced.as_ref());
    Ok((change.oldest(oldest.unwrap_or(0)), evicted))
}

/// The place of the item that has this id so far.
pub(super) fn replaced(c: &Context<'_>, name: &str, node: &Node, id: &str) -> Result<Option<Entry>, Stop> {
    match &node.newest {
        Some(newest) if newest.id == id => Ok(Some(newest.clone())),
        Some(_) if node.count > 1 => Ok(c.item(name, id)?.map(|item| item.entry(id))),
        _ => Ok(None),
    }
}

/// The items that have to go when one is published under `id`, oldest first, and the least sequence of those that stay
/// if it is known.
fn evicted(c: &Context<'_>, name: &str, node: &Node, id: &str, grows: bool) -> Result<(Vec<Entry>, Option<u64>), Stop> {
    let items_max = node::items_max(&node.config, c.limits);
    let too_many = (node.count + u32::from(grows)).saturating_sub(items_max) as usize;
    let first = node::first_sequence(node, c.now_micros);
    let may_expire = node.count > 0 && node.oldest < first;
    if too_many == 0 && !may_expire {
        return Ok((Vec::new(), None));
    }
    let wanted = if may_expire { EVICTED_MAX } else { too_many.min(EVICTED_MAX) };
    let only = node.newest.as_ref().filter(|_| node.count == 1);
    let part = match only {
        Some(_) => None,
        // One more tells which is the oldest then, and the one that is replaced does not count.
        None => {
            Some(c.order(name, Span { from: node.oldest, to: None, newest_first: false, entries_max: wanted + 2 })?)
        }
    };
    let entries = part.map_or_else(|| only.map_or(&[][..], std::slice::from_ref), |part| part.entries.as_slice());
    let mut others = entries.iter().filter(|entry| entry.id != id);
    let expired = others.clone().take_while(|entry| entry.sequence < first).count().min(EVICTED_MAX);
    if node.config.full == NodeFull::Reject && too_many > expired {
        return Err(PubsubError::NODE_FULL.into());
    }
    let evicted: Vec<_> = others.by_ref().take(expired.max(too_many).min(EVICTED_MAX)).cloned().collect();
    let oldest = others.next().map(|entry| entry.sequence);
    let behind = evicted.last().map(|last| last.sequence.saturating_add(1));
    Ok((evicted, oldest.or(behind)))
}

pub(super) fn retract(c: &Context<'_>, name: &str, id: &str, notify: bool) -> Handled {
    let stored = c.existing(name)?;
    let config = &stored.node.config;
    let standing = c.standing(stored)?;
    if !standing.may_remove(config, true) {
        return Err(PubsubError::FORBIDDEN.into());
    }
    if !config.persist {
        return Err(PubsubError::unsupported("persistent-items").into());
    }
    let item = c.item(name, id)?.ok_or(PubsubError::ITEM_NOT_FOUND)?;
    if !standing.may_remove(config, item.publisher == c.requester()) {
        return Err(PubsubError::FORBIDDEN.into());
    }
    let change = remove(c, stored, &item.entry(id))?;
    let mut notifications: Vec<Notification> = Vec::new();
    if notify || config.notify_retract {
        let event = notify::retracted(name, [id]);
        notifications.extend(c.notification(name, config, &c.people(stored)?.people, event));
        notifications.extend(legacy::notification(c, name, id, None)?);
    }
    Ok(Outcome { notifications, ..Outcome::changed(change, Vec::new()) })
}

/// Removes an item of a node that is as it was read.
fn remove(c: &Context<'_>, stored: &StoredNode, entry: &Entry) -> Result<Change, Stop> {
    let node = &stored.node;
    let change = Change::of(c.owner(), stored).remove(entry);
    if node.count <= 1 || node.newest.as_ref().is_none_or(|newest| newest.id != entry.id) {
        return Ok(change);
    }
    let before = Span { from: node.oldest, to: Some(entry.sequence), newest_first: true, entries_max: 1 };
    Ok(change.newest(c.order(&stored.name, before)?.entries.first().cloned()))
}
