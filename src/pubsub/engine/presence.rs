//! A resource comes online: the newest items of the nodes that it is interested in (XEP-0163 §4.3.3, §4.3.4).

use rondel_storage::pubsub::{Entry, SendLast, StoredNode};

use super::context::Context;
use super::{Handled, Outcome};
use crate::account::Interests;

/// Items that are sent at once. A contact has a handful of nodes; who has more may ask for them.
const ITEMS_MAX: usize = 64;

pub(super) fn last_items(c: &Context<'_>, interests: &Interests) -> Handled {
    if interests.is_empty() {
        return Ok(Outcome::result(Vec::new()));
    }
    let is_wanted = |stored: &&StoredNode| {
        let config = &stored.node.config;
        config.send_last == SendLast::OnSubscriptionAndPresence && config.notify && interests.wants(&stored.name)
    };
    let mut bytes = 0_usize;
    let mut wanted: Vec<(&StoredNode, &Entry)> = Vec::new();
    let nodes: Vec<_> = c.all_nodes()?.iter().filter(is_wanted).collect();
    c.people_of_all(nodes.iter().copied())?;
    for stored in nodes {
        let config = &stored.node.config;
        let Some(newest) = c.newest(stored) else { continue };
        let standing = c.standing(stored)?;
        let is_follower = standing.is_owner() || standing.is_subscribed_by_presence(config);
        if !is_follower && (standing.subscription.is_none() || standing.may_retrieve(config).is_err()) {
            continue;
        }
        bytes = bytes.saturating_add(newest.bytes as usize);
        if wanted.len() == ITEMS_MAX || bytes > c.limits.page_bytes_max {
            break;
        }
        wanted.push((stored, newest));
    }
    let keys: Vec<_> = wanted.iter().map(|(stored, newest)| (stored.name.as_str(), newest.id.as_str())).collect();
    let items = c.items(&keys)?;
    let found = wanted.into_iter().zip(items).filter_map(|(wanted, item)| Some((wanted, item?)));
    let jid = c.requester.jid.as_str();
    let notifications = found.map(|((stored, newest), item)| c.last_item(jid, stored, newest, item)).collect();
    Ok(Outcome { notifications, ..Outcome::result(Vec::new()) })
}
