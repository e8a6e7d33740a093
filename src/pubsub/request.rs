//! Requests: what the IQs of XEP-0060 ask for, read from their payload, and what the server itself asks of a service.
//!
//! What is over a limit of the service or makes no sense whatever is stored is refused here.

use std::sync::Arc;

use rondel_storage::pubsub::{Affiliation, SubscriptionState};

use super::affiliation;
use super::error::PubsubError;
use super::form::{self, Submission};
use super::limits::PubsubLimits;
use crate::account::Interests;
use crate::jid::{Jid, bare_of};
use crate::rsm::PageRequest;
use crate::service::Action;
use crate::xml::{Element, namespaces as ns};

/// Ids that one request may name: each item is read, and may be as large as an item may be.
const IDS_MAX: usize = 64;
/// Entries of a list of affiliations or subscriptions in one request.
const ENTRIES_MAX: usize = 64;

/// What is asked of a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Create a node (XEP-0060 §8.1). Without a name the service makes one up.
    Create {
        /// The name.
        node: Option<String>,
        /// The configuration, as far as it is not the default.
        config: Submission,
    },
    /// Show a node's configuration (§8.2).
    Configuration {
        /// The node.
        node: String,
    },
    /// Change a node's configuration (§8.2.4); `None`: the form was cancelled.
    Configure {
        /// The node.
        node: String,
        /// What changes.
        config: Option<Submission>,
    },
    /// Show the configuration of a node that is created without one (§8.3).
    DefaultConfiguration,
    /// Delete a node (§8.4).
    Delete {
        /// The node.
        node: String,
        /// Where its subscribers are sent.
        redirect: Option<String>,
    },
    /// Remove all items of a node (§8.5).
    Purge {
        /// The node.
        node: String,
    },
    /// Publish (§7.1).
    Publish {
        /// The node.
        node: String,
        /// The item, which nodes of pure notifications do without.
        item: Option<NewItem>,
        /// What the publisher demands of the node (§7.1.5).
        options: Submission,
    },
    /// Remove an item (§7.2).
    Retract {
        /// The node.
        node: String,
        /// The item.
        id: String,
        /// Whether subscribers are to hear of it in any case.
        notify: bool,
    },
    /// Show items (§6.5).
    Items {
        /// The node.
        node: String,
        /// Which; none: the newest.
        ids: Vec<String>,
        /// How many of the newest.
        max: Option<usize>,
        /// Which page of them.
        page: Option<PageRequest>,
    },
    /// Subscribe (§6.1).
    Subscribe {
        /// The node.
        node: String,
        /// The address, in normal form.
        jid: String,
    },
    /// Unsubscribe (§6.2).
    Unsubscribe {
        /// The node.
        node: String,
        /// The address, in normal form.
        jid: String,
    },
    /// List one's own subscriptions (§5.6), to one node or all.
    Subscriptions {
        /// The node.
        node: Option<String>,
    },
    /// List one's own affiliations (§5.7), to one node or all.
    Affiliations {
        /// The node.
        node: Option<String>,
    },
    /// List everybody's subscriptions to a node (§8.8.1).
    NodeSubscriptions {
        /// The node.
        node: String,
    },
    /// Change others' subscriptions to a node (§8.8.2).
    SetSubscriptions {
        /// The node.
        node: String,
        /// Addresses in normal form, and the state that each is to have.
        entries: Vec<(String, Option<SubscriptionState>)>,
    },
    /// List everybody's affiliation to a node (§8.9.1).
    NodeAffiliations {
        /// The node.
        node: String,
    },
    /// Change others' affiliations to a node (§8.9.2).
    SetAffiliations {
        /// The node.
        node: String,
        /// Bare addresses in normal form, and the affiliation that each is to have.
        entries: Vec<(String, Affiliation)>,
    },
    /// An owner's answer to a request for approval (§8.6).
    Authorize {
        /// The node.
        node: String,
        /// The address that wants to subscribe, in normal form.
        jid: String,
        /// Whether it may.
        allow: bool,
    },
    /// Nodes, or a node's items, for service discovery (§5.2, §5.5).
    DiscoItems {
        /// The node.
        node: Option<String>,
    },
    /// What a node is, for service discovery (§5.3, §5.4).
    DiscoInfo {
        /// The node.
        node: String,
    },
    /// The resource that asks has come online: send it the newest items of the nodes that it is interested in
    /// (XEP-0163 §4.3.4).
    Presence {
        /// The nodes.
        interests: Arc<Interests>,
    },
    /// What an entity is to the account's owner has changed: end the subscriptions that it may not have any more
    /// (XEP-0163 §7.1).
    Reassess {
        /// The bare address in normal form.
        jid: String,
    },
    /// Show bookmarks in the form of XEP-0048.
    LegacyBookmarks,
    /// Replace the bookmarks by those in the form of XEP-0048.
    SetLegacyBookmarks {
        /// The element `<storage/>`.
        storage: Element,
    },
}

/// An item to be published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewItem {
    /// Its id, if the publisher has chosen one.
    pub id: Option<String>,
    /// What is in it.
    pub payload: Option<Element>,
}

impl Request {
    /// Reads the payload of an IQ: `<pubsub/>` in the namespace for everybody or the one for owners.
    pub fn read(action: Action, pubsub: &Element, limits: &PubsubLimits) -> Result<Request, PubsubError> {
        let mut children = pubsub.children().filter(|child| child.namespace == pubsub.namespace);
        let Some(first) = children.next() else { return Err(PubsubError::BAD_REQUEST) };
        let reader = Reader { pubsub, first, second: children.next(), limits };
        match (pubsub.namespace.as_str(), action) {
            (ns::PUBSUB, Action::Get) => reader.get(),
            (ns::PUBSUB, Action::Set) => reader.set(),
            (ns::PUBSUB_OWNER, Action::Get) => reader.owner_get(),
            (ns::PUBSUB_OWNER, Action::Set) => reader.owner_set(),
            _ => Err(PubsubError::BAD_REQUEST),
        }
    }

    /// The node that it is about; `None` if it is about all of them, or about one that has no name yet.
    pub fn node(&self) -> Option<&str> {
        match self {
            Request::Create { node, .. }
            | Request::Subscriptions { node }
            | Request::Affiliations { node }
            | Request::DiscoItems { node } => node.as_deref(),
            Request::Configuration { node }
            | Request::Configure { node, .. }
            | Request::Delete { node, .. }
            | Request::Purge { node }
            | Request::Publish { node, .. }
            | Request::Retract { node, .. }
            | Request::Items { node, .. }
            | Request::Subscribe { node, .. }
            | Request::Unsubscribe { node, .. }
            | Request::NodeSubscriptions { node }
            | Request::SetSubscriptions { node, .. }
            | Request::NodeAffiliations { node }
            | Request::SetAffiliations { node, .. }
            | Request::Authorize { node, .. }
            | Request::DiscoInfo { node } => Some(node),
            Request::DefaultConfiguration
            | Request::Presence { .. }
            | Request::Reassess { .. }
            | Request::LegacyBookmarks
            | Request::SetLegacyBookmarks { .. } => None,
        }
    }

    /// Whether nothing changes by it.
    pub fn only_reads(&self) -> bool {
        matches!(
            self,
            Request::Configuration { .. }
                | Request::DefaultConfiguration
                | Request::Items { .. }
                | Request::Subscriptions { .. }
                | Request::Affiliations { .. }
                | Request::NodeSubscriptions { .. }
                | Request::NodeAffiliations { .. }
                | Request::DiscoItems { .. }
                | Request::DiscoInfo { .. }
                | Request::Presence { .. }
                | Request::LegacyBookmarks
        )
    }

    /// Whether it asks for a list of nodes.
    pub(super) fn lists(&self) -> bool {
        matches!(
            self,
            Request::Subscriptions { node: None }
                | Request::Affiliations { node: None }
                | Request::DiscoItems { node: None }
        )
    }

    /// Reads a message that may be an owner's answer to a request for approval; `None` if it is none, or is cancelled.
    pub fn read_authorization(message: &Element) -> Option<Request> {
        let form = message.child("x", ns::DATA_FORMS)?;
        let submission = Submission::read_typed(form, form::AUTHORIZATION)?;
        let jid = Jid::parse(submission.value("pubsub#subscriber_jid")?).ok()?.as_str().to_owned();
        let allow = form::boolean(submission.value("pubsub#allow")?).ok()?;
        Some(Request::Authorize { node: submission.value("pubsub#node")?.to_owned(), jid, allow })
    }

    /// Publishes an item on the server's own account. `options` are those that a client would demand.
    pub fn publish(node: &str, id: &str, payload: Element, options: Submission) -> Request {
        let item = Some(NewItem { id: Some(id.to_owned()), payload: Some(payload) });
        Request::Publish { node: node.to_owned(), item, options }
    }
}

/// A `<pubsub/>` that is being read.
struct Reader<'r> {
    pubsub: &'r Element,
    first: &'r Element,
    second: Option<&'r Element>,
    limits: &'r PubsubLimits,
}

impl Reader<'_> {
    fn get(&self) -> Result<Request, PubsubError> {
        match self.first.name.as_str() {
            "items" => self.items(),
            "subscriptions" => Ok(Request::Subscriptions { node: self.optional_node()? }),
            "affiliations" => Ok(Request::Affiliations { node: self.optional_node()? }),
            "options" => Err(PubsubError::unsupported("subscription-options")),
            "default" => Err(PubsubError::unsupported("retrieve-default-sub")),
            _ => Err(PubsubError::BAD_REQUEST),
        }
    }

    fn set(&self) -> Result<Request, PubsubError> {
        match self.first.name.as_str() {
            "create" => self.create(),
            "publish" => self.publish(),
            "retract" => self.retract(),
            "subscribe" => match self.second {
                Some(options) if options.name == "options" => Err(PubsubError::unsupported("subscription-options")),
                _ => Ok(Request::Subscribe { node: self.node()?, jid: jid(self.first)? }),
            },
            "unsubscribe" => Ok(Request::Unsubscribe { node: self.node()?, jid: jid(self.first)? }),
            "options" => Err(PubsubError::unsupported("subscription-options")),
            _ => Err(PubsubError::BAD_REQUEST),
        }
    }

    fn owner_get(&self) -> Result<Request, PubsubError> {
        match self.first.name.as_str() {
            "configure" => Ok(Request::Configuration { node: self.node()? }),
            "default" => match self.first.attribute("type") {
                None | Some("leaf") => Ok(Request::DefaultConfiguration),
                Some(_) => Err(PubsubError::unsupported("collections")),
            },
            "subscriptions" => Ok(Request::NodeSubscriptions { node: self.node()? }),
            "affiliations" => Ok(Request::NodeAffiliations { node: self.node()? }),
            _ => Err(PubsubError::BAD_REQUEST),
        }
    }

    fn owner_set(&self) -> Result<Request, PubsubError> {
        let node = self.node()?;
        match self.first.name.as_str() {
            "configure" => {
                let form = self.first.child("x", ns::DATA_FORMS).ok_or(PubsubError::BAD_REQUEST)?;
                Ok(Request::Configure { node, config: Submission::read(form, form::NODE_CONFIG)? })
            }
            "delete" => {
                let uri = self.first.child("redirect", ns::PUBSUB_OWNER).and_then(|child| child.attribute("uri"));
                Ok(Request::Delete { node, redirect: uri.map(str::to_owned) })
            }
            "purge" => Ok(Request::Purge { node }),
            "subscriptions" => Ok(Request::SetSubscriptions { node, entries: self.subscriptions()? }),
            "affiliations" => Ok(Request::SetAffiliations { node, entries: self.affiliations()? }),
            _ => Err(PubsubError::BAD_REQUEST),
        }
    }

    fn optional_node(&self) -> Result<Option<String>, PubsubError> {
        let node = self.first.attribute("node").filter(|node| !node.is_empty());
        match node {
            Some(node) if node.len() > self.limits.node_name_bytes_max => Err(PubsubError::POLICY_VIOLATION),
            node => Ok(node.map(str::to_owned)),
        }
    }

    fn node(&self) -> Result<String, PubsubError> {
        self.optional_node()?.ok_or(PubsubError::NODE_REQUIRED)
    }

    /// The item's id; an empty one is none.
    fn id(&self, item: &Element) -> Result<Option<String>, PubsubError> {
        match item.attribute("id").filter(|id| !id.is_empty()) {
            Some(id) if id.len() > self.limits.item_id_bytes_max => Err(PubsubError::POLICY_VIOLATION),
            id => Ok(id.map(str::to_owned)),
        }
    }

    fn item_elements(&self) -> impl Iterator<Item = &Element> {
        self.first.children().filter(|child| child.name == "item" && child.namespace == ns::PUBSUB)
    }

    fn create(&self) -> Result<Request, PubsubError> {
        let config = match self.second.filter(|second| second.name == "configure") {
            // XEP-0060 §8.1.3.
            Some(configure) if configure.attribute("node").is_some() => return Err(PubsubError::BAD_REQUEST),
            Some(configure) => configure.child("x", ns::DATA_FORMS),
            None => None,
        };
        let config = config.map(|form| Submission::read(form, form::NODE_CONFIG)).transpose()?.flatten();
        Ok(Request::Create { node: self.optional_node()?, config: config.unwrap_or_default() })
    }

    fn publish(&self) -> Result<Request, PubsubError> {
        let node = self.node()?;
        let mut items = self.item_elements();
        let item = match (items.next(), items.next()) {
            (None, _) => None,
            (Some(item), None) => {
                let mut payloads = item.children();
                match (payloads.next(), payloads.next()) {
                    (_, Some(_)) => return Err(PubsubError::INVALID_PAYLOAD),
                    (payload, None) => Some(NewItem { id: self.id(item)?, payload: payload.cloned() }),
                }
            }
            // One at a time since version 1.13 of XEP-0060.
            (Some(_), Some(_)) => return Err(PubsubError::BAD_REQUEST),
        };
        let options = match self.second.filter(|second| second.name == "publish-options") {
            None => Submission::default(),
            Some(options) => {
                let form = options.child("x", ns::DATA_FORMS).ok_or(PubsubError::BAD_REQUEST)?;
                Submission::read(form, form::PUBLISH_OPTIONS)?.ok_or(PubsubError::BAD_REQUEST)?
            }
        };
        Ok(Request::Publish { node, item, options })
    }

    fn retract(&self) -> Result<Request, PubsubError> {
        let node = self.node()?;
        let mut items = self.item_elements();
        let id = match (items.next(), items.next()) {
            (Some(item), None) => self.id(item)?.ok_or(PubsubError::ITEM_REQUIRED)?,
            (None, _) => return Err(PubsubError::ITEM_REQUIRED),
            (Some(_), Some(_)) => return Err(PubsubError::BAD_REQUEST),
        };
        let notify = self.first.attribute("notify").map(form::boolean);
        let notify = notify.transpose().map_err(|_| PubsubError::BAD_REQUEST)?.unwrap_or(false);
        Ok(Request::Retract { node, id, notify })
    }

    fn items(&self) -> Result<Request, PubsubError> {
        let node = self.node()?;
        let mut ids: Vec<String> = Vec::new();
        for item in self.item_elements() {
            let id = self.id(item)?.ok_or(PubsubError::BAD_REQUEST)?;
            if ids.len() == IDS_MAX {
                return Err(PubsubError::POLICY_VIOLATION);
            }
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let max = self.first.attribute("max_items");
        let max = max.map(|max| max.parse().map_err(|_| PubsubError::BAD_REQUEST)).transpose()?;
        Ok(Request::Items { node, ids, max, page: PageRequest::parse(self.pubsub)? })
    }

    fn entries(&self, name: &str) -> Result<Vec<&Element>, PubsubError> {
        let is_it = |child: &&Element| child.name == name && child.namespace == ns::PUBSUB_OWNER;
        let entries: Vec<_> = self.first.children().filter(is_it).collect();
        match entries.len() {
            0 => Err(PubsubError::BAD_REQUEST),
            1..=ENTRIES_MAX => Ok(entries),
            _ => Err(PubsubError::POLICY_VIOLATION),
        }
    }

    fn subscriptions(&self) -> Result<Vec<(String, Option<SubscriptionState>)>, PubsubError> {
        let mut entries = Vec::new();
        for entry in self.entries("subscription")? {
            let state = match entry.attribute("subscription") {
                // What is not said does not change (XEP-0060 §8.8.2.1).
                None => continue,
                Some("none") => None,
                Some("subscribed") => Some(SubscriptionState::Subscribed),
                Some("pending") => Some(SubscriptionState::Pending),
                Some(_) => return Err(PubsubError::NOT_ACCEPTABLE),
            };
            entries.push((jid(entry)?, state));
        }
        Ok(entries)
    }

    fn affiliations(&self) -> Result<Vec<(String, Affiliation)>, PubsubError> {
        let mut entries: Vec<(String, Affiliation)> = Vec::new();
        for entry in self.entries("affiliation")? {
            let Some(text) = entry.attribute("affiliation") else { continue };
            let affiliation = affiliation::parse(text).ok_or(PubsubError::NOT_ACCEPTABLE)?;
            // Affiliations are of bare addresses (XEP-0060 §4.1).
            let jid = bare_of(&jid(entry)?).to_owned();
            if entries.iter().any(|(known, _)| *known == jid) {
                return Err(PubsubError::BAD_REQUEST);
            }
            entries.push((jid, affiliation));
        }
        Ok(entries)
    }
}

/// The address in the attribute `jid`, in normal form.
fn jid(element: &Element) -> Result<String, PubsubError> {
    let text = element.attribute("jid").ok_or(PubsubError::JID_REQUIRED)?;
    Jid::parse(text).map(|jid| jid.as_str().to_owned()).map_err(|_| PubsubError::JID_MALFORMED)
}
