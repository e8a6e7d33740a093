//! What handlers share: stored values as they are needed, the standing of entities, audiences.

use rondel_storage::pubsub::{
    Affiliation, Change, Entry, Item, NodeConfig, People, Span, StoredNode, StoredPeople, SubscriptionState,
};
use rondel_storage::{Owner, pubsub};

use super::known::{Known, Need, Part};
use super::{Requester, Roster, Service, Stop};
use crate::jid::bare_of;
use crate::pubsub::access::Standing;
use crate::pubsub::affiliation;
use crate::pubsub::error::PubsubError;
use crate::pubsub::limits::PubsubLimits;
use crate::pubsub::notify::{self, Audience, NodeAudience, Notification};
use crate::pubsub::{ServiceKind, node};

/// Nodes in one read.
const NODES_PAGE: usize = 64;

/// What a request is carried out with.
pub(super) struct Context<'c> {
    pub(super) service: &'c Service,
    pub(super) limits: &'c PubsubLimits,
    pub(super) requester: &'c Requester,
    pub(super) roster: &'c dyn Roster,
    pub(super) known: &'c Known,
    pub(super) fresh: &'c str,
    pub(super) now_micros: u64,
}

impl<'c> Context<'c> {
    pub(super) fn owner(&self) -> &'c Owner {
        &self.service.owner
    }

    pub(super) fn is_account(&self) -> bool {
        self.service.kind == ServiceKind::Account
    }

    /// The bare address of who asks.
    pub(super) fn requester(&self) -> &'c str {
        self.requester.jid.bare()
    }

    /// Whether the account's owner asks.
    pub(super) fn is_account_owner(&self) -> bool {
        self.is_account() && self.requester() == &*self.service.jid
    }

    /// Whether there is room for more in an answer.
    pub(super) fn has_room(&self, out: &[u8]) -> bool {
        out.len() < self.limits.page_bytes_max
    }

    /// A node.
    pub(super) fn node(&self, name: &str) -> Result<Option<&'c StoredNode>, Stop> {
        match self.known.nodes.get(name) {
            Some(node) => Ok(node.as_ref()),
            None => Err(Stop::Need(Need::Node(name.to_owned()))),
        }
    }

    /// A node that has to exist.
    pub(super) fn existing(&self, name: &str) -> Result<&'c StoredNode, Stop> {
        self.node(name)?.ok_or(Stop::Refuse(PubsubError::ITEM_NOT_FOUND))
    }

    /// A node that has to exist and that who asks has to own.
    pub(super) fn owned(&self, name: &str) -> Result<&'c StoredNode, Stop> {
        let stored = self.existing(name)?;
        if self.standing(stored)?.is_owner() { Ok(stored) } else { Err(PubsubError::FORBIDDEN.into()) }
    }

    /// All nodes of the service.
    pub(super) fn all_nodes(&self) -> Result<&'c [StoredNode], Stop> {
        if self.known.all.is_complete {
            return Ok(&self.known.all.nodes);
        }
        let next = self.known.all.next.clone();
        Err(Stop::Need(Need::Nodes(next.unwrap_or_else(|| pubsub::nodes(self.owner(), NODES_PAGE)))))
    }

    /// The bytes that all items take, as far as that is known already.
    pub(super) fn stored(&self) -> Option<u64> {
        let counted = || self.known.all.nodes.iter().map(|stored| stored.node.bytes).sum();
        self.service.stored.or_else(|| self.known.all.is_complete.then(counted))
    }

    /// Whether there is room for what a change adds.
    pub(super) fn fits(&self, growth: i64) -> Result<(), Stop> {
        if growth <= 0 || self.limits.bytes_max == u64::MAX {
            return Ok(());
        }
        if self.stored().is_none() {
            self.all_nodes()?;
        }
        let stored = self.stored().unwrap_or(0).saturating_add_signed(growth);
        if stored > self.limits.bytes_max { Err(PubsubError::POLICY_VIOLATION.into()) } else { Ok(()) }
    }

    /// The people of a node.
    pub(super) fn people(&self, stored: &StoredNode) -> Result<&'c StoredPeople, Stop> {
        self.people_of_all([stored])?;
        Ok(self.known.people.get(&stored.name).filter(|_| stored.node.people).unwrap_or(&self.known.nobody))
    }

    /// Reads the people of several nodes at once, so that [`Context::people`] has them.
    pub(super) fn people_of_all<'n>(&self, nodes: impl IntoIterator<Item = &'n StoredNode>) -> Result<(), Stop> {
        let is_missing = |stored: &&StoredNode| stored.node.people && !self.known.people.contains_key(&stored.name);
        let missing: Vec<_> = nodes.into_iter().filter(is_missing).map(|stored| stored.name.clone()).collect();
        if missing.is_empty() { Ok(()) } else { Err(Stop::Need(Need::People(missing))) }
    }

    /// Items by their nodes and ids.
    pub(super) fn items(&self, wanted: &[(&str, &str)]) -> Result<Vec<Option<&'c Item>>, Stop> {
        let find = |(node, id): &(&str, &str)| self.known.items.get(*node).and_then(|items| items.get(*id));
        let is_missing = |item: &&(&str, &str)| find(item).is_none();
        let owned = |(node, id): &(&str, &str)| ((*node).to_owned(), (*id).to_owned());
        let missing: Vec<_> = wanted.iter().filter(is_missing).map(owned).collect();
        if !missing.is_empty() {
            return Err(Stop::Need(Need::Items(missing)));
        }
        Ok(wanted.iter().map(|item| find(item).and_then(Option::as_ref)).collect())
    }

    /// An item.
    pub(super) fn item(&self, node: &str, id: &str) -> Result<Option<&'c Item>, Stop> {
        Ok(self.items(&[(node, id)])?.pop().flatten())
    }

    /// A part of a node's order.
    pub(super) fn order(&self, node: &str, span: Span) -> Result<&'c Part, Stop> {
        let found = self.known.orders.iter().find(|part| part.node == node && part.span == span);
        found.ok_or_else(|| Stop::Need(Need::Order(node.to_owned(), span)))
    }

    /// What who asks is to a node.
    pub(super) fn standing(&self, stored: &StoredNode) -> Result<Standing, Stop> {
        let people = self.people(stored)?;
        Ok(self.standing_of(self.requester(), &stored.node.config, &people.people))
    }

    /// What an entity is to a node. `jid` is bare.
    pub(super) fn standing_of(&self, jid: &str, config: &NodeConfig, people: &People) -> Standing {
        let is_owner = self.is_account() && jid == &*self.service.jid;
        let affiliation = if is_owner { Affiliation::Owner } else { affiliation::of(people, jid) };
        Standing {
            affiliation,
            subscription: affiliation::subscription(people, jid),
            has_presence: self.roster.has_presence(jid),
            is_in_group: config.groups.iter().any(|group| self.roster.is_in_group(jid, group)),
        }
    }

    /// Creates a node, if who asks may and there is room for one; `refusal` if not allowed.
    pub(super) fn create(
        &self,
        name: &str,
        config: NodeConfig,
        refusal: PubsubError,
    ) -> Result<(Change, People), Stop> {
        if !self.is_account_owner() && (self.is_account() || !self.requester.may_create) {
            return Err(refusal.into());
        }
        if self.all_nodes()?.len() >= self.limits.nodes_max {
            return Err(PubsubError::MAX_NODES.into());
        }
        let created = self.now_micros / 1_000_000;
        let change = Change::create(self.owner(), name, config, created, self.requester());
        let mut people = People::default();
        if self.is_account() {
            return Ok((change, people));
        }
        affiliation::set(&mut people, self.requester(), Affiliation::Owner);
        Ok((change.people(&self.known.nobody, &people), people))
    }

    /// Who follows a node.
    pub(super) fn audience(&self, config: &NodeConfig, people: &People) -> NodeAudience {
        // A subscription may be older than what it was based on.
        let may_receive = |jid: &&str| self.standing_of(bare_of(jid), config, people).may_retrieve(config).is_ok();
        let subscribers = notify::in_force(people).filter(may_receive).map(Into::into).collect();
        match self.service.kind {
            ServiceKind::Account => NodeAudience::of_account(&self.service.jid, config, people, subscribers),
            ServiceKind::Domain => NodeAudience::of_domain(subscribers),
        }
    }

    /// A notification of those who follow a node; `None` if the node sends none or nobody can follow it.
    pub(super) fn notification(
        &self,
        node: &str,
        config: &NodeConfig,
        people: &People,
        content: Vec<u8>,
    ) -> Option<Notification> {
        let audience = self.audience(config, people);
        if !config.notify || audience.is_empty() {
            return None;
        }
        Some(self.message(node, config, content, Audience::Node(Box::new(audience))))
    }

    /// A notification of one address.
    pub(super) fn notification_to(&self, jid: &str, node: &str, config: &NodeConfig, content: Vec<u8>) -> Notification {
        self.message(node, config, content, Audience::Address(jid.into()))
    }

    fn message(&self, node: &str, config: &NodeConfig, content: Vec<u8>, audience: Audience) -> Notification {
        let (node, id) = (node.into(), self.fresh.into());
        Notification { node, message_type: config.message_type, id, content, reply_to: None, audience }
    }

    /// The event of an item that is sent later than it was published, to one address.
    pub(super) fn last_item(&self, jid: &str, stored: &StoredNode, entry: &Entry, item: &Item) -> Notification {
        let config = &stored.node.config;
        let (publisher, payload) = (node::publisher(config, item), node::delivered_payload(config, item));
        let mut content = notify::published(&stored.name, Some(&entry.id), publisher, payload);
        notify::delay(&mut content, item.sequence);
        self.notification_to(jid, &stored.name, config, content)
    }

    /// The newest item of a node, unless it has expired.
    pub(super) fn newest<'n>(&self, stored: &'n StoredNode) -> Option<&'n Entry> {
        let first = node::first_sequence(&stored.node, self.now_micros);
        stored.node.newest.as_ref().filter(|newest| newest.sequence >= first)
    }

    /// Tells a subscriber what has become of the subscription (XEP-0060 §12.15).
    pub(super) fn subscription_notice(
        &self,
        stored: &StoredNode,
        jid: &str,
        state: Option<SubscriptionState>,
    ) -> Notification {
        let content = notify::subscription(&stored.name, jid, state);
        self.notification_to(jid, &stored.name, &stored.node.config, content)
    }
}
