//! What is stored of a node: its configuration, the state of its items, the items, the people.
//!
//! Enumerations are stored by position: append only.

use serde::{Deserialize, Serialize};

use crate::codec::Versioned;

/// Who may subscribe to a node and retrieve its items (XEP-0060 §4.5).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum AccessModel {
    /// Anyone.
    Open,
    /// Whoever has a subscription to the owner's presence.
    Presence,
    /// Whoever has one and is in one of the groups of [`NodeConfig::groups`].
    Roster,
    /// Whoever an owner has approved.
    Authorize,
    /// Whoever has an affiliation.
    Whitelist,
}

/// Who may publish (XEP-0060 §16.4.4, `pubsub#publish_model`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum PublishModel {
    /// Owners, and those with an affiliation of publisher or publish-only.
    Publishers,
    /// Subscribers, too.
    Subscribers,
    /// Anyone but outcasts.
    Open,
}

/// How many items a node keeps (`pubsub#max_items`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum MaxItems {
    /// `max`: as many as the service allows.
    Max,
    /// So many.
    Count(u32),
}

/// When the newest item is sent to somebody without being asked for (`pubsub#send_last_published_item`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum SendLast {
    /// Never.
    Never,
    /// To new subscribers.
    OnSubscription,
    /// To new subscribers and to subscribers that come online.
    OnSubscriptionAndPresence,
}

/// The type of the messages that notify (`pubsub#notification_type`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum MessageType {
    /// `normal`: servers keep it for those who are offline.
    Normal,
    /// `headline`: it is for those who are there.
    Headline,
}

/// Whose address items carry (`pubsub#itemreply`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum ItemReply {
    /// No address.
    None,
    /// No address either: replies are for the owner.
    Owner,
    /// The publisher's, in the attribute `publisher`.
    Publisher,
}

/// What happens when an item is published to a node that is full (`pubsub#publish_node_full`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum NodeFull {
    /// The oldest item goes, and subscribers hear of it.
    RetractOldest,
    /// The oldest item goes quietly.
    DiscardOldest,
    /// The new item is refused.
    Reject,
}

/// A node's configuration (XEP-0060 §16.4.4).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeConfig {
    /// `pubsub#access_model`.
    pub access: AccessModel,
    /// `pubsub#roster_groups_allowed`.
    pub groups: Vec<String>,
    /// `pubsub#publish_model`.
    pub publish: PublishModel,
    /// `pubsub#persist_items`.
    pub persist: bool,
    /// `pubsub#max_items`.
    pub max_items: MaxItems,
    /// `pubsub#publish_node_full`.
    pub full: NodeFull,
    /// `pubsub#item_expire`: the age in seconds at which items go; `None`: they stay.
    pub expire_s: Option<u32>,
    /// `pubsub#send_last_published_item`.
    pub send_last: SendLast,
    /// `pubsub#deliver_notifications`.
    pub notify: bool,
    /// `pubsub#deliver_payloads`.
    pub payloads: bool,
    /// `pubsub#notify_retract`.
    pub notify_retract: bool,
    /// `pubsub#notify_delete`.
    pub notify_delete: bool,
    /// `pubsub#notify_config`.
    pub notify_config: bool,
    /// `pubsub#notify_sub`.
    pub notify_subscription: bool,
    /// `pubsub#notification_type`.
    pub message_type: MessageType,
    /// `pubsub#presence_based_delivery`.
    pub presence_based: bool,
    /// `pubsub#itemreply`.
    pub item_reply: ItemReply,
    /// `pubsub#subscribe`.
    pub subscribe: bool,
    /// `pubsub#max_payload_size`, in bytes; `None`: as the service allows.
    pub payload_bytes_max: Option<u32>,
    /// `pubsub#type`.
    pub payload_type: String,
    /// `pubsub#title`.
    pub title: String,
    /// `pubsub#description`.
    pub description: String,
    /// `pubsub#language`.
    pub language: String,
    /// `pubsub#contact`: addresses.
    pub contacts: Vec<String>,
}

/// A node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Node {
    /// Its configuration.
    pub config: NodeConfig,
    /// When it was created, in seconds since 1970.
    pub created: u64,
    /// The bare address of who created it.
    pub creator: String,
    /// The newest item.
    pub newest: Option<Entry>,
    /// No item has a sequence below this: where to look for the oldest one.
    pub oldest: u64,
    /// How many items there are.
    pub count: u32,
    /// What they take: [`Entry::weight`] of all of them.
    pub bytes: u64,
    /// Whether there is a value in `pubsub_people`.
    pub people: bool,
}

/// An item's place in its node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// When it was published, in microseconds since 1970, made unique within the node: later items have more.
    pub sequence: u64,
    /// Its id.
    pub id: String,
    /// The size of its payload.
    pub bytes: u32,
}

impl Entry {
    /// What the item counts in the size of its node: the bytes of its payload and its id.
    pub fn weight(&self) -> u64 {
        u64::from(self.bytes) + self.id.len() as u64
    }
}

/// An item.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Item {
    /// When it was published; see [`Entry::sequence`].
    pub sequence: u64,
    /// The bare address of who published it.
    pub publisher: String,
    /// The payload element in UTF-8, which declares all namespaces that it uses; empty if there is none.
    pub payload: Vec<u8>,
}

impl Item {
    /// Its place under an id.
    pub fn entry(&self, id: &str) -> Entry {
        let bytes = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        Entry { sequence: self.sequence, id: id.to_owned(), bytes }
    }
}

/// What an entity is to a node (XEP-0060 §4.1).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Affiliation {
    /// Nothing; never stored.
    None,
    /// May subscribe and retrieve items, whatever the access model.
    Member,
    /// May publish, subscribe and retrieve items.
    Publisher,
    /// May publish.
    PublishOnly,
    /// May do everything.
    Owner,
    /// May do nothing.
    Outcast,
}

/// The state of a subscription (XEP-0060 §4.2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum SubscriptionState {
    /// An owner has to approve it.
    Pending,
    /// In force.
    Subscribed,
}

/// An explicit subscription.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subscription {
    /// The subscribed address, bare or full.
    pub jid: String,
    /// Its state.
    pub state: SubscriptionState,
}

/// The people who have to do with a node.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct People {
    /// Bare addresses and what they are; never [`Affiliation::None`].
    pub affiliations: Vec<(String, Affiliation)>,
    /// Explicit subscriptions, one per address.
    pub subscriptions: Vec<Subscription>,
}

impl People {
    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.affiliations.is_empty() && self.subscriptions.is_empty()
    }
}

/// A node as it was read. Changes are based on it and are refused if it has changed since.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredNode {
    /// Its name.
    pub name: String,
    /// The node.
    pub node: Node,
    pub(super) encoded: Vec<u8>,
}

/// The people of a node as they were read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StoredPeople {
    /// The people.
    pub people: People,
    /// `None` if nothing was stored.
    pub(super) encoded: Option<Vec<u8>>,
}

/// The value of a place in the order, whose key holds the sequence.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) bytes: u32,
}

impl Versioned for Node {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "pubsub_nodes";
}

impl Versioned for Item {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "pubsub_items";
}

impl Versioned for Place {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "pubsub_order";
}

impl Versioned for People {
    const VERSION: u8 = 1;
    const FAMILY: &'static str = "pubsub_people";
}
