//! Real-time block lists: who is on them is published by others in a node (XEP-0060), each as the hash of a bare JID or
//! a domain, and held for a stranger's words here a moment later.
//!
//! What lives here: what a list has, and how one is followed, as plain values in and out. What may not: stanzas on
//! their way, storage and clocks; those are the shard's.

mod follower;
mod listed;

pub use follower::{Follower, Heard, Say};
pub use listed::{Listed, hash_of};

use crate::jid::Jid;

/// The node of a list that none is named for: the one that most publish.
const NODE: &str = "muc_bans_sha256";

/// Where a list is published.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ListAddress {
    /// The service: a domain, or an account.
    pub service: Jid<'static>,
    /// The node.
    pub node: String,
}

impl ListAddress {
    /// Reads `service` or `service/node`.
    pub fn parse(text: &str) -> Option<ListAddress> {
        let (service, node) = text.split_once('/').unwrap_or((text, NODE));
        let service = Jid::parse(service).ok()?.into_owned();
        (!node.is_empty()).then(|| ListAddress { service, node: node.to_owned() })
    }

    /// As it was written, with its node.
    pub fn name(&self) -> String {
        format!("{}/{}", self.service, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_service_and_a_node() {
        let name = |text: &str| ListAddress::parse(text).map(|list| list.name());
        assert_eq!(name("Blocklist.example").as_deref(), Some("blocklist.example/muc_bans_sha256"));
        assert_eq!(name("watch@x.org/spam/all").as_deref(), Some("watch@x.org/spam/all"));
        assert_eq!([name(""), name("a@@b"), name("x.org/")], [None, None, None]);
    }
}
