//! Changing a node and what belongs to it, in one request.

use super::values::{Entry, Item, Node, NodeConfig, People, Place, StoredNode, StoredPeople};
use super::{ITEMS, NODES, ORDER, PEOPLE, item_key, node_range, order_key};
use crate::codec::Versioned;
use crate::{Owner, WriteRequest};

/// A change to one node that is being put together. Nothing happens before the request of [`Change::finish`] or
/// [`Change::delete`] is written; that is refused if the node has changed since it was read.
#[derive(Clone, Debug)]
pub struct Change {
    request: WriteRequest,
    name: String,
    node: Node,
    /// What the items took before.
    bytes_before: u64,
}

impl Change {
    /// Creates a node, `created` seconds after 1970. Refused if it exists.
    pub fn create(owner: &Owner, name: &str, config: NodeConfig, created: u64, creator: &str) -> Change {
        let creator = creator.to_owned();
        let node = Node { config, created, creator, newest: None, oldest: 0, count: 0, bytes: 0, people: false };
        let request = WriteRequest::new(owner.clone()).require_absent(NODES, name.as_bytes());
        Change { request, name: name.to_owned(), node, bytes_before: 0 }
    }

    /// Changes a node.
    pub fn of(owner: &Owner, stored: &StoredNode) -> Change {
        let name = stored.name.clone();
        let request = WriteRequest::new(owner.clone()).require_equals(NODES, name.as_bytes(), stored.encoded.clone());
        Change { request, name, node: stored.node.clone(), bytes_before: stored.node.bytes }
    }

    /// The node with the changes so far.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// How many bytes more its items take ([`Entry::weight`]) than they did; negative for less.
    pub fn growth(&self) -> i64 {
        self.node.bytes as i64 - self.bytes_before as i64
    }

    /// The bytes of what will be written.
    pub fn size_bytes(&self) -> usize {
        self.request.size_bytes()
    }

    /// Replaces the configuration.
    pub fn configure(mut self, config: NodeConfig) -> Change {
        self.node.config = config;
        self
    }

    /// The sequence of an item that is published `now_micros` microseconds after 1970: it is greater than that of
    /// every item there is and not below [`Node::oldest`], whatever the clock says.
    pub fn next_sequence(&self, now_micros: u64) -> u64 {
        let behind = self.node.newest.as_ref().map_or(0, |newest| newest.sequence.saturating_add(1));
        now_micros.max(behind).max(self.node.oldest)
    }

    /// Publishes an item whose sequence is [`Change::next_sequence`]. `replaced` is the place of the item that has
    /// this id so far.
    pub fn publish(mut self, id: &str, item: &Item, replaced: Option<&Entry>) -> Change {
        match replaced {
            Some(replaced) => {
                self.request = self.request.delete(ORDER, &order_key(&self.name, replaced.sequence));
                self.node.bytes = self.node.bytes.saturating_sub(replaced.weight());
            }
            None => self.node.count = self.node.count.saturating_add(1),
        }
        let entry = item.entry(id);
        self.node.bytes = self.node.bytes.saturating_add(entry.weight());
        debug_assert!(self.node.newest.as_ref().is_none_or(|newest| newest.sequence < entry.sequence));
        let place = Place { id: entry.id.clone(), bytes: entry.bytes };
        self.request = self.request.put(ITEMS, &item_key(&self.name, id), item.encode()).put(
            ORDER,
            &order_key(&self.name, entry.sequence),
            place.encode(),
        );
        self.node.newest = Some(entry);
        self
    }

    /// Removes an item. Whoever removes the newest says with [`Change::newest`] which one is it then.
    pub fn remove(mut self, entry: &Entry) -> Change {
        self.request = self
            .request
            .delete(ITEMS, &item_key(&self.name, &entry.id))
            .delete(ORDER, &order_key(&self.name, entry.sequence));
        self.node.count = self.node.count.saturating_sub(1);
        self.node.bytes = self.node.bytes.saturating_sub(entry.weight());
        if self.node.newest.as_ref().is_some_and(|newest| newest.id == entry.id) {
            self.node.newest = None;
        }
        self
    }

    /// Says which item is the newest.
    pub fn newest(mut self, newest: Option<Entry>) -> Change {
        self.node.newest = newest;
        self
    }

    /// Says that no item has a sequence below `oldest`: looking for the oldest one then need not step over what was
    /// there before.
    pub fn oldest(mut self, oldest: u64) -> Change {
        self.node.oldest = self.node.oldest.max(oldest);
        self
    }

    /// Removes all items.
    pub fn purge(mut self) -> Change {
        self.request = clear(self.request, &self.name, &self.node);
        (self.node.count, self.node.bytes) = (0, 0);
        self.node.oldest = self.node.newest.take().map_or(self.node.oldest, |newest| newest.sequence.saturating_add(1));
        self
    }

    /// Replaces the people. Refused if they have changed since they were read.
    pub fn people(mut self, before: &StoredPeople, after: &People) -> Change {
        let key = self.name.as_bytes();
        self.request = match &before.encoded {
            Some(encoded) => self.request.require_equals(PEOPLE, key, encoded.clone()),
            None => self.request.require_absent(PEOPLE, key),
        };
        self.request = match (after.is_empty(), &before.encoded) {
            (false, _) => self.request.put(PEOPLE, key, after.encode()),
            (true, Some(_)) => self.request.delete(PEOPLE, key),
            (true, None) => self.request,
        };
        self.node.people = !after.is_empty();
        self
    }

    /// The request that does it.
    pub fn finish(self) -> WriteRequest {
        debug_assert_eq!(self.node.newest.is_some(), self.node.count > 0, "the newest item of those there are");
        self.request.put(NODES, self.name.as_bytes(), self.node.encode())
    }

    /// The request that removes the node, its items and its people, instead.
    pub fn delete(self) -> WriteRequest {
        let key = self.name.as_bytes();
        clear(self.request, &self.name, &self.node).delete(NODES, key).delete(PEOPLE, key)
    }
}

/// Removes all items of a node that is as it was read.
fn clear(request: WriteRequest, name: &str, node: &Node) -> WriteRequest {
    match (&node.newest, node.count) {
        (_, 0) => request,
        // A range tombstone slows down reads near it until it is compacted; for one item it buys nothing.
        (Some(only), 1) => {
            request.delete(ITEMS, &item_key(name, &only.id)).delete(ORDER, &order_key(name, only.sequence))
        }
        _ => {
            let (from, to) = node_range(name);
            request.delete_range(ITEMS, &from, &to).delete_range(ORDER, &from, &to)
        }
    }
}
