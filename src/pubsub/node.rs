//! What a node is when nobody has configured it, and what its configuration comes to within the service's limits.

use rondel_storage::pubsub::{
    AccessModel, Item, ItemReply, MaxItems, MessageType, Node, NodeConfig, NodeFull, PublishModel, SendLast,
};

use super::ServiceKind;
use super::limits::PubsubLimits;
use crate::xml::namespaces as ns;

/// Nodes of an account that hold what is nobody else's business. Whoever publishes to one without saying how it is to
/// be configured gets what its specification demands (XEP-0402 §3.3, XEP-0490 §7.2), not what contacts may read.
const PRIVATE: [&str; 3] = [ns::BOOKMARKS, ns::LEGACY_BOOKMARKS, ns::DISPLAYED];

/// The configuration of a node that is created without one.
pub fn default_config(kind: ServiceKind, name: &str) -> NodeConfig {
    match kind {
        ServiceKind::Account if PRIVATE.contains(&name) => private_config(),
        ServiceKind::Account => account_config(),
        ServiceKind::Domain => domain_config(),
    }
}

/// The defaults of personal eventing (XEP-0163 §5).
fn account_config() -> NodeConfig {
    NodeConfig {
        access: AccessModel::Presence,
        groups: Vec::new(),
        publish: PublishModel::Publishers,
        persist: true,
        max_items: MaxItems::Count(1),
        full: NodeFull::RetractOldest,
        expire_s: None,
        send_last: SendLast::OnSubscriptionAndPresence,
        notify: true,
        payloads: true,
        notify_retract: true,
        notify_delete: true,
        notify_config: false,
        notify_subscription: false,
        message_type: MessageType::Headline,
        presence_based: false,
        item_reply: ItemReply::None,
        subscribe: true,
        payload_bytes_max: None,
        payload_type: String::new(),
        title: String::new(),
        description: String::new(),
        language: String::new(),
        contacts: Vec::new(),
    }
}

/// A collection of private items (XEP-0223 §3, XEP-0402 §3.3).
pub fn private_config() -> NodeConfig {
    NodeConfig {
        access: AccessModel::Whitelist,
        max_items: MaxItems::Max,
        send_last: SendLast::Never,
        ..account_config()
    }
}

/// The defaults of a service on a domain (XEP-0060 §4.5).
fn domain_config() -> NodeConfig {
    NodeConfig {
        access: AccessModel::Open,
        max_items: MaxItems::Count(20),
        send_last: SendLast::Never,
        ..account_config()
    }
}

/// How many items a node keeps.
pub fn items_max(config: &NodeConfig, limits: &PubsubLimits) -> u32 {
    match config.max_items {
        MaxItems::Max => limits.items_max_per_node,
        MaxItems::Count(count) => count.min(limits.items_max_per_node),
    }
    .max(1)
}

/// How many bytes a payload has at most.
pub fn payload_bytes_max(config: &NodeConfig, limits: &PubsubLimits) -> usize {
    let configured = config.payload_bytes_max.map_or(usize::MAX, |bytes| bytes as usize);
    configured.min(limits.item_bytes_max)
}

/// The least sequence that an item has which is there: older ones have expired.
pub fn first_sequence(node: &Node, now_micros: u64) -> u64 {
    let expired = |seconds| now_micros.saturating_sub(u64::from(seconds) * 1_000_000);
    node.oldest.max(node.config.expire_s.map_or(0, expired))
}

/// Whose address an item carries (XEP-0060 §12.18).
pub fn publisher<'i>(config: &NodeConfig, item: &'i Item) -> Option<&'i str> {
    (config.item_reply == ItemReply::Publisher).then_some(&item.publisher)
}

/// What a notification of an item has in it (`pubsub#deliver_payloads`).
pub fn delivered_payload<'i>(config: &NodeConfig, item: &'i Item) -> &'i [u8] {
    if config.payloads { &item.payload } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_private_nodes_are_private_on_accounts() {
        for name in PRIVATE {
            let config = default_config(ServiceKind::Account, name);
            assert_eq!((config.access, config.max_items), (AccessModel::Whitelist, MaxItems::Max), "{name}");
            assert_eq!(config.send_last, SendLast::Never);
            assert_eq!(default_config(ServiceKind::Domain, name).access, AccessModel::Open);
        }
        assert_eq!(default_config(ServiceKind::Account, "urn:xmpp:mood").access, AccessModel::Presence);
    }

    #[test]
    fn limits_bound_what_is_configured() {
        let limits = PubsubLimits { items_max_per_node: 5, item_bytes_max: 100, ..PubsubLimits::default() };
        let config = |max_items, payload_bytes_max| NodeConfig { max_items, payload_bytes_max, ..account_config() };
        assert_eq!(items_max(&config(MaxItems::Max, None), &limits), 5);
        assert_eq!(items_max(&config(MaxItems::Count(3), None), &limits), 3);
        // The operator has lowered the limit since.
        assert_eq!(items_max(&config(MaxItems::Count(7), None), &limits), 5);
        assert_eq!(payload_bytes_max(&config(MaxItems::Max, None), &limits), 100);
        assert_eq!(payload_bytes_max(&config(MaxItems::Max, Some(9)), &limits), 9);
    }
}
