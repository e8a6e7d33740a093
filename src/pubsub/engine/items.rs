//! Retrieving items (XEP-0060 §6.5): by their ids, or the newest first, page by page.

use rondel_storage::pubsub::{Entry, Item, Span, StoredNode};

use super::context::Context;
use super::legacy;
use super::{Handled, Outcome, Stop};
use crate::pubsub::error::PubsubError;
use crate::pubsub::{markup, node};
use crate::rsm::{PageGiven, PageRequest, Place};
use crate::xml::namespaces as ns;

/// Items that are read at once before it is known how large they are.
const READ_AT_ONCE: usize = 8;

/// What an item takes in an answer besides its payload and its id: tags, the publisher's address.
const ITEM_BYTES: usize = 64;

pub(super) fn items(
    c: &Context<'_>,
    name: &str,
    ids: &[String],
    max: Option<usize>,
    page: Option<&PageRequest>,
) -> Handled {
    if legacy::is_node(c, name) {
        return legacy::items(c);
    }
    let stored = c.existing(name)?;
    c.standing(stored)?.may_retrieve(&stored.node.config)?;
    if !stored.node.config.persist {
        return Err(PubsubError::unsupported("persistent-items").into());
    }
    if !ids.is_empty() {
        return by_ids(c, stored, ids);
    }
    let listed = list(c, stored, max, page)?;
    let ids: Vec<_> = listed.entries.iter().map(|entry| entry.id.as_str()).collect();
    let items = read(c, stored, &ids)?;
    let set = (page.is_some() || listed.is_cut).then_some(&listed);
    Ok(Outcome::result(reply(stored, &items, set)))
}

/// Items by their ids, as many as fit into one answer.
fn by_ids(c: &Context<'_>, stored: &StoredNode, ids: &[String]) -> Handled {
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let (mut items, mut bytes, mut is_cut) = (Vec::new(), 0, false);
    for chunk in ids.chunks(READ_AT_ONCE) {
        for (id, item) in read(c, stored, chunk)? {
            bytes += item.payload.len() + id.len() + ITEM_BYTES;
            is_cut |= bytes > c.limits.page_bytes_max && !items.is_empty();
            if !is_cut {
                items.push((id, item));
            }
        }
        if is_cut {
            break;
        }
    }
    let listed = Listed { entries: Vec::new(), is_cut, index: None };
    Ok(Outcome::result(reply(stored, &items, is_cut.then_some(&listed))))
}

/// Reads items; those that do not exist or have expired are left out.
fn read<'c>(c: &Context<'c>, stored: &StoredNode, ids: &[&'c str]) -> Result<Vec<(&'c str, &'c Item)>, Stop> {
    let wanted: Vec<_> = ids.iter().map(|id| (stored.name.as_str(), *id)).collect();
    let found = c.items(&wanted)?;
    let first = node::first_sequence(&stored.node, c.now_micros);
    let there = ids.iter().zip(found).filter_map(|(id, item)| Some((*id, item?)));
    Ok(there.filter(|(_, item)| item.sequence >= first).collect())
}

/// A part of the list of items.
struct Listed<'c> {
    /// The newest first.
    entries: Vec<&'c Entry>,
    /// Whether there is more than was asked for without saying how much.
    is_cut: bool,
    /// Where the first entry stands in the whole list, if that is known.
    index: Option<usize>,
}

fn list<'c>(
    c: &Context<'c>,
    stored: &StoredNode,
    max: Option<usize>,
    page: Option<&PageRequest>,
) -> Result<Listed<'c>, Stop> {
    let wanted = page.and_then(|page| page.max).map(|max| max as usize).into_iter().chain(max).min();
    let entries_max = wanted.unwrap_or(usize::MAX).min(c.limits.page_items_max);
    let place = page.map_or(&Place::First, |page| &page.place);
    if entries_max == 0 || stored.node.count == 0 {
        return Ok(Listed { entries: Vec::new(), is_cut: false, index: None });
    }
    let sequence_of = |id: &str| Ok::<_, Stop>(c.item(&stored.name, id)?.ok_or(PubsubError::ITEM_NOT_FOUND)?.sequence);
    let first = node::first_sequence(&stored.node, c.now_micros);
    let whole = Span { from: first, to: None, newest_first: true, entries_max };
    let span = match place {
        Place::First => whole,
        Place::After(id) => Span { to: Some(sequence_of(id)?), ..whole },
        // What stands before an entry in the list is newer.
        Place::Before(id) => Span { from: first.max(sequence_of(id)?.saturating_add(1)), newest_first: false, ..whole },
        Place::Last => Span { newest_first: false, ..whole },
    };
    let part = c.order(&stored.name, span)?;
    let mut bytes = 0_usize;
    let fits = |entry: &&Entry| {
        let is_first = bytes == 0;
        bytes = bytes.saturating_add(entry.bytes as usize + entry.id.len() + ITEM_BYTES);
        is_first || bytes <= c.limits.page_bytes_max
    };
    let mut entries: Vec<_> = part.entries.iter().take_while(fits).collect();
    let is_whole = part.is_complete && entries.len() == part.entries.len();
    let count = stored.node.count as usize;
    let index = match place {
        Place::First => Some(0),
        Place::Last => Some(count.saturating_sub(entries.len())),
        Place::Before(_) if is_whole => Some(0),
        Place::After(_) if is_whole => Some(count.saturating_sub(entries.len())),
        Place::Before(_) | Place::After(_) => None,
    };
    if !span.newest_first {
        entries.reverse();
    }
    // Who asks for so many of the newest knows that there may be more.
    let is_cut = !is_whole && max.is_none_or(|max| entries.len() < max);
    Ok(Listed { entries, is_cut, index })
}

fn reply(stored: &StoredNode, items: &[(&str, &Item)], listed: Option<&Listed<'_>>) -> Vec<u8> {
    let node = [("node", stored.name.as_str())];
    markup::pubsub(ns::PUBSUB, |out| {
        if items.is_empty() {
            markup::empty(out, "items", &node);
        } else {
            markup::open(out, "items", &node);
            for (id, item) in items {
                markup::item(out, Some(id), node::publisher(&stored.node.config, item), &item.payload);
            }
            markup::close(out, "items");
        }
        if let Some(listed) = listed {
            let ends = items.first().zip(items.last()).map(|((first, _), (last, _))| (*first, *last));
            let (index, count) = (listed.index.map(|index| index as u64), Some(u64::from(stored.node.count)));
            PageGiven { ends, index, count }.to_element().write_to(out, ns::PUBSUB);
        }
    })
}
