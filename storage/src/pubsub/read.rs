//! Reading nodes, items, their order and the people: requests, and what their outcomes mean.

use super::values::{Entry, Item, Node, People, Place, StoredNode, StoredPeople};
use super::{ITEMS, NODES, ORDER, PEOPLE, item_key, order_key};
use crate::codec::{DecodeError, LoadError, Versioned};
use crate::{Outcome, Owner, PAGE_BYTES_MAX, PageRequest, ReadRequest};

/// Bytes of nodes in one page, which is little enough to be read on the caller's thread.
const NODES_BYTES_MAX: usize = 64 << 10;

/// Bytes of one entry of the order: a key with a node's name, an id. Pages of few entries are read on the caller's
/// thread.
const ENTRY_BYTES: usize = 8 << 10;

/// Reads a node; see [`decode_node`].
pub fn node(owner: &Owner, name: &str) -> ReadRequest {
    ReadRequest::Get(NODES, NODES.key(owner, name.as_bytes()))
}

/// The node in the outcome of [`node`], or `None` if there is none.
pub fn decode_node(name: &str, outcome: Outcome) -> Result<Option<StoredNode>, LoadError> {
    match outcome {
        Outcome::Value(None) => Ok(None),
        Outcome::Value(Some(encoded)) => Ok(Some(stored_node(name, encoded)?)),
        other => Err(LoadError::unexpected(other)),
    }
}

fn stored_node(name: &str, encoded: Vec<u8>) -> Result<StoredNode, DecodeError> {
    Ok(StoredNode { name: name.to_owned(), node: Node::decode(name.as_bytes(), &encoded)?, encoded })
}

/// Reads an owner's nodes in the order of their names; see [`decode_nodes`].
pub fn nodes(owner: &Owner, entries_max: usize) -> PageRequest {
    let (from, to) = (owner.key(b""), Some(owner.end()));
    PageRequest { family: NODES, from, to, reverse: false, entries_max, bytes_max: NODES_BYTES_MAX }
}

/// The nodes in the outcome of a request made by [`nodes`], and the request for more, if there are.
pub fn decode_nodes(
    request: &PageRequest,
    outcome: Outcome,
) -> Result<(Vec<StoredNode>, Option<PageRequest>), LoadError> {
    let Outcome::Page(page) = outcome else { return Err(LoadError::unexpected(outcome)) };
    let next = request.next(&page);
    let decode = |(key, encoded): (Vec<u8>, Vec<u8>)| {
        let name = Owner::split_key(&key).and_then(|(_, name)| std::str::from_utf8(name).ok());
        let name = name.ok_or_else(|| DecodeError::damaged(Node::FAMILY, &key, "the key is not a node's"))?;
        stored_node(name, encoded)
    };
    Ok((page.entries.into_iter().map(decode).collect::<Result<_, _>>()?, next))
}

/// Reads items by their nodes and ids; see [`decode_items`].
pub fn items<'i>(owner: &Owner, items: impl IntoIterator<Item = (&'i str, &'i str)>) -> ReadRequest {
    let key = |(node, id): (&str, &str)| ITEMS.key(owner, &item_key(node, id));
    ReadRequest::MultiGet(ITEMS, items.into_iter().map(key).collect())
}

/// The items in the outcome of [`items`], in the order of the request; `None` for one that does not exist.
pub fn decode_items(outcome: Outcome) -> Result<Vec<Option<Item>>, LoadError> {
    match outcome {
        Outcome::Values(values) => {
            let decode = |value: Option<Vec<u8>>| value.map(|bytes| Item::decode(b"", &bytes)).transpose();
            Ok(values.into_iter().map(decode).collect::<Result<_, _>>()?)
        }
        other => Err(LoadError::unexpected(other)),
    }
}

/// Which part of a node's order is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// The least sequence.
    pub from: u64,
    /// The sequence behind the greatest; `None`: up to the newest.
    pub to: Option<u64>,
    /// From the newest towards the oldest.
    pub newest_first: bool,
    /// Entries at most.
    pub entries_max: usize,
}

/// Reads a part of a node's order. The page decodes with [`decode_order`].
pub fn order(owner: &Owner, node: &str, span: Span) -> PageRequest {
    let from = ORDER.key(owner, &order_key(node, span.from));
    let to = match span.to {
        Some(to) => order_key(node, to),
        None => super::node_range(node).1,
    };
    PageRequest {
        family: ORDER,
        from,
        to: Some(ORDER.key(owner, &to)),
        reverse: span.newest_first,
        entries_max: span.entries_max,
        bytes_max: span.entries_max.saturating_mul(ENTRY_BYTES).min(PAGE_BYTES_MAX),
    }
}

/// The entries in a page of [`order`], and whether the span ends there.
pub fn decode_order(outcome: Outcome) -> Result<(Vec<Entry>, bool), LoadError> {
    let Outcome::Page(page) = outcome else { return Err(LoadError::unexpected(outcome)) };
    let decode = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let sequence = key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let sequence = sequence.ok_or_else(|| DecodeError::damaged(Place::FAMILY, key, "the key has no sequence"))?;
        let Place { id, bytes } = Place::decode(key, value)?;
        Ok(Entry { sequence, id, bytes })
    };
    let entries = page.entries.iter().map(decode).collect::<Result<_, DecodeError>>()?;
    Ok((entries, page.complete))
}

/// Reads the people of nodes; see [`decode_people`].
pub fn people<'n>(owner: &Owner, nodes: impl IntoIterator<Item = &'n str>) -> ReadRequest {
    ReadRequest::MultiGet(PEOPLE, nodes.into_iter().map(|node| PEOPLE.key(owner, node.as_bytes())).collect())
}

/// The people in the outcome of [`people`], in the order of the nodes.
pub fn decode_people(outcome: Outcome) -> Result<Vec<StoredPeople>, LoadError> {
    match outcome {
        Outcome::Values(values) => {
            let decode = |value: Option<Vec<u8>>| match value {
                None => Ok(StoredPeople::default()),
                Some(bytes) => People::decode(b"", &bytes).map(|people| StoredPeople { people, encoded: Some(bytes) }),
            };
            Ok(values.into_iter().map(decode).collect::<Result<_, _>>()?)
        }
        other => Err(LoadError::unexpected(other)),
    }
}
