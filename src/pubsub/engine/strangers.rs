//! What strangers learn of an account: whoever has no subscription to the owner's presence gets the same answer for a
//! node that he has nothing to do with as for an account that does not exist (RFC 6121 §8.5.2).

use rondel_storage::pubsub::{Affiliation, SubscriptionState};

use super::context::Context;
use super::{Handled, Stop};
use crate::pubsub::access::Standing;
use crate::pubsub::error::PubsubError;
use crate::pubsub::request::Request;

/// Whether who asks has nothing to do with the account, as far as that does not depend on a node.
fn is_stranger(c: &Context<'_>) -> bool {
    c.is_account() && !c.is_account_owner() && !c.roster.has_presence(c.requester())
}

/// Strangers do not get lists with nothing in them.
pub(super) fn list(c: &Context<'_>, is_empty: bool) -> Result<(), Stop> {
    if is_empty && is_stranger(c) { Err(PubsubError::SERVICE_UNAVAILABLE.into()) } else { Ok(()) }
}

/// The answer to a request, as who asks may have it.
pub(super) fn conceal(c: &Context<'_>, request: &Request, handled: Handled) -> Handled {
    if !is_stranger(c) {
        return handled;
    }
    match (&handled, request) {
        (Err(Stop::Need(_)), _) | (_, Request::Presence { .. } | Request::Reassess { .. }) => return handled,
        // Where something is written, the node is open to who asks.
        (Ok(outcome), _) if outcome.write.is_some() => return handled,
        _ => {}
    }
    let concerns = match (request.node(), &handled) {
        (Some(node), _) => match c.node(node)? {
            Some(stored) => c.standing(stored).map(|standing| concerns(&standing, &stored.node.config))?,
            None => false,
        },
        // A list has nodes in it that who asks has to do with.
        (None, handled) => request.lists() && handled.is_ok(),
    };
    if concerns { handled } else { Err(PubsubError::SERVICE_UNAVAILABLE.into()) }
}

/// Whether somebody has to do with a node, or may have.
fn concerns(standing: &Standing, config: &rondel_storage::pubsub::NodeConfig) -> bool {
    let is_known = !matches!(standing.affiliation, Affiliation::None | Affiliation::Outcast);
    let waits = standing.subscription == Some(SubscriptionState::Pending);
    is_known
        || waits
        || standing.may_retrieve(config).is_ok()
        || standing.may_subscribe(config).is_ok()
        || standing.may_publish(config)
}
