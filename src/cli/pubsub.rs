//! Flags of `rondel serve`: how much an account may publish (XEP-0060, XEP-0163).

use clap::Args;

use super::values;
use crate::pubsub::PubsubLimits;

/// How much an account may publish. What exceeds it is refused with the error that XEP-0060 names.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What is published")]
pub struct Publishing {
    /// Nodes of an account: one for each kind of thing that its clients publish, such as avatars, bookmarks, keys.
    #[arg(long, env = "RONDEL_PUBSUB_NODES", value_name = "NUMBER", default_value = "256")]
    #[arg(value_parser = values::number(8, 10_000))]
    pub pubsub_nodes: usize,

    /// Items of a node: what max stands for in its configuration.
    #[arg(long, env = "RONDEL_PUBSUB_ITEMS", value_name = "NUMBER", default_value = "10000")]
    #[arg(value_parser = values::number(16, 10_000))]
    pub pubsub_items: usize,

    /// An item's payload. It has to fit into a stanza as well.
    #[arg(long, env = "RONDEL_PUBSUB_ITEM_SIZE", value_name = "SIZE", default_value = "256KiB")]
    #[arg(value_parser = values::size(10_000, 4 << 20))]
    pub pubsub_item_size: usize,

    /// All items of an account together.
    #[arg(long, env = "RONDEL_PUBSUB_SIZE", value_name = "SIZE", default_value = "16MiB")]
    #[arg(value_parser = values::size(100_000, 16 << 30))]
    pub pubsub_size: usize,

    /// Subscriptions to a node of those who follow it without being contacts.
    #[arg(long, env = "RONDEL_PUBSUB_SUBSCRIPTIONS", value_name = "NUMBER", default_value = "256")]
    #[arg(value_parser = values::number(8, 10_000))]
    pub pubsub_subscriptions: usize,
}

impl Publishing {
    /// What bounds an account's service. An answer takes at most half of what may wait for a client.
    pub fn limits(&self, outbox_limit: usize) -> PubsubLimits {
        let defaults = PubsubLimits::default();
        PubsubLimits {
            nodes_max: self.pubsub_nodes,
            items_max_per_node: u32::try_from(self.pubsub_items).unwrap_or(u32::MAX),
            bytes_max: self.pubsub_size as u64,
            item_bytes_max: self.pubsub_item_size,
            subscriptions_max_per_node: self.pubsub_subscriptions,
            page_bytes_max: defaults.page_bytes_max.min(outbox_limit / 2),
            ..defaults
        }
    }
}
