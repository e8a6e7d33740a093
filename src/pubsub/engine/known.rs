//! What a transaction has read, and what it needs to read.

use std::collections::BTreeMap;

use rondel_storage::pubsub::{self, Entry, Item, Span, StoredNode, StoredPeople};
use rondel_storage::{LoadError, Outcome, Owner, PageRequest, ReadRequest};

/// Something that has to be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// A node.
    Node(String),
    /// The service's nodes, as many as a page holds.
    Nodes(PageRequest),
    /// The people of nodes.
    People(Vec<String>),
    /// Items by node and id.
    Items(Vec<(String, String)>),
    /// A part of a node's order.
    Order(String, Span),
}

impl Need {
    /// The read.
    pub(super) fn request(&self, owner: &Owner) -> ReadRequest {
        match self {
            Need::Node(name) => pubsub::node(owner, name),
            Need::Nodes(page) => ReadRequest::Page(page.clone()),
            Need::People(nodes) => pubsub::people(owner, nodes.iter().map(String::as_str)),
            Need::Items(items) => pubsub::items(owner, items.iter().map(|(node, id)| (node.as_str(), id.as_str()))),
            Need::Order(node, span) => ReadRequest::Page(pubsub::order(owner, node, *span)),
        }
    }
}

/// What has been read.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) nodes: BTreeMap<String, Option<StoredNode>>,
    pub(super) all: All,
    pub(super) people: BTreeMap<String, StoredPeople>,
    pub(super) items: BTreeMap<String, BTreeMap<String, Option<Item>>>,
    pub(super) orders: Vec<Part>,
    /// The people of a node that has none.
    pub(super) nobody: StoredPeople,
}

/// The service's nodes, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) nodes: Vec<StoredNode>,
    /// What to read for more, once some were read.
    pub(super) next: Option<PageRequest>,
    pub(super) is_complete: bool,
}

/// A part of a node's order.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) node: String,
    pub(super) span: Span,
    pub(super) entries: Vec<Entry>,
    /// Whether the span ends there.
    pub(super) is_complete: bool,
}

impl Known {
    /// Takes the outcome of what was needed.
    pub(super) fn learn(&mut self, need: Need, outcome: Outcome) -> Result<(), LoadError> {
        match need {
            Need::Node(name) => {
                let node = pubsub::decode_node(&name, outcome)?;
                self.nodes.insert(name, node);
            }
            Need::Nodes(page) => {
                let (nodes, next) = pubsub::decode_nodes(&page, outcome)?;
                self.all.nodes.extend(nodes);
                self.all.is_complete = next.is_none();
                self.all.next = next;
            }
            Need::People(nodes) => {
                let people = pubsub::decode_people(outcome)?;
                self.people.extend(nodes.into_iter().zip(people));
            }
            Need::Items(items) => {
                for ((node, id), item) in items.into_iter().zip(pubsub::decode_items(outcome)?) {
                    self.items.entry(node).or_default().insert(id, item);
                }
            }
            Need::Order(node, span) => {
                let (entries, is_complete) = pubsub::decode_order(outcome)?;
                self.orders.push(Part { node, span, entries, is_complete });
            }
        }
        Ok(())
    }
}
