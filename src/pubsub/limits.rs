//! What a service holds at most, and what one request may ask of it.

/// The bounds of a service. What is over one of them gets the error that XEP-0060 names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PubsubLimits {
    /// Nodes of one service; more: `policy-violation` with `max-nodes-exceeded`.
    pub nodes_max: usize,
    /// Items of one node: what `max` means for `pubsub#max_items`. A configuration that wants more: `not-acceptable`.
    pub items_max_per_node: u32,
    /// Bytes that all items of a service take, payloads and ids: `policy-violation`. No limit: `u64::MAX`.
    pub bytes_max: u64,
    /// Bytes of an item's payload: `not-acceptable` with `payload-too-big` (XEP-0060 §7.1.3.5).
    pub item_bytes_max: usize,
    /// Bytes of a node's name: `policy-violation`.
    pub node_name_bytes_max: usize,
    /// Bytes of an item's id: `policy-violation`. Some ids are full addresses (XEP-0490), which have up to 3,071.
    pub item_id_bytes_max: usize,
    /// Explicit subscriptions to one node: `policy-violation` with `too-many-subscriptions` (XEP-0060 §6.1.3.9).
    pub subscriptions_max_per_node: usize,
    /// Affiliations with one node: `policy-violation`.
    pub affiliations_max_per_node: usize,
    /// Items in one answer. What is left out can be asked for with result set management (XEP-0060 §6.5.4).
    pub page_items_max: usize,
    /// Bytes of payloads in one answer; one item comes in any case. Below what may wait for one client.
    pub page_bytes_max: usize,
}

impl Default for PubsubLimits {
    fn default() -> PubsubLimits {
        PubsubLimits {
            nodes_max: 512,
            items_max_per_node: 10_000,
            bytes_max: u64::MAX,
            item_bytes_max: 256 << 10,
            node_name_bytes_max: 1023,
            item_id_bytes_max: 3071,
            subscriptions_max_per_node: 1024,
            affiliations_max_per_node: 256,
            page_items_max: 10_000,
            page_bytes_max: 512 << 10,
        }
    }
}
