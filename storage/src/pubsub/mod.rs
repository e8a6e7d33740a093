//! Nodes of publish-subscribe services, their items, and the people who have to do with them (XEP-0060).
//!
//! A service belongs to an owner: the account whose personal eventing it is (XEP-0163), or a domain. Four families:
//!
//! | family | key | value |
//! |---|---|---|
//! | `pubsub_nodes` | `owner 0x00 node` | [`Node`]: configuration, and what is known of the items unread |
//! | `pubsub_items` | `owner 0x00 node 0x00 id` | [`Item`] |
//! | `pubsub_order` | `owner 0x00 node 0x00 sequence` | the item's id and size: the items in the order of publishing |
//! | `pubsub_people` | `owner 0x00 node` | [`People`]; absent where nobody has an affiliation or a subscription |
//!
//! Publishing writes the item, its place in the order and the node's value; what it has to read besides the node is
//! at most the item that it replaces and the one that it pushes out, whether the node holds one item or ten thousand.
//! For a node of one item it reads nothing more, because the node's value names its newest item.
//!
//! Every change requires that the node is as it was read. Changes are made with [`Change`], which keeps node, items
//! and order in agreement. Node names and item ids come from XML, which cannot hold the byte 0x00; so no node's range
//! runs into another's.

mod change;
mod read;
mod values;

pub use change::Change;
pub use read::{
    Span, decode_items, decode_node, decode_nodes, decode_order, decode_people, items, node, nodes, order, people,
};
pub use values::{
    AccessModel, Affiliation, Entry, Item, ItemReply, MaxItems, MessageType, Node, NodeConfig, NodeFull, People,
    PublishModel, SendLast, StoredNode, StoredPeople, Subscription, SubscriptionState,
};

use crate::Family;

const NODES: Family = Family::PubsubNodes;
const ITEMS: Family = Family::PubsubItems;
const ORDER: Family = Family::PubsubOrder;
const PEOPLE: Family = Family::PubsubPeople;

/// `node 0x00 id`, the key of an item within its owner.
fn item_key(node: &str, id: &str) -> Vec<u8> {
    [node.as_bytes(), &[0], id.as_bytes()].concat()
}

/// `node 0x00 sequence`, the key of a place in the order within its owner.
fn order_key(node: &str, sequence: u64) -> Vec<u8> {
    [node.as_bytes(), &[0], &sequence.to_be_bytes()].concat()
}

/// The first key, and the first behind all keys, of a node's items or their order, within the owner.
fn node_range(node: &str) -> (Vec<u8>, Vec<u8>) {
    ([node.as_bytes(), &[0]].concat(), [node.as_bytes(), &[1]].concat())
}

#[cfg(test)]
mod tests;
