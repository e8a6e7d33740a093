//! Explicit subscriptions: made and ended by their subjects (XEP-0060 §6.1, §6.2), listed (§5.6), approved and
//! managed by owners (§8.6, §8.8), and ended when what they were based on is gone (XEP-0163 §7.1).

use rondel_storage::WriteRequest;
use rondel_storage::pubsub::{
    AccessModel, Affiliation, Change, MessageType, NodeConfig, People, SendLast, StoredNode, Subscription,
    SubscriptionState,
};

use super::context::Context;
use super::{Handled, Outcome, Reply, Stop, strangers};
use crate::jid::bare_of;
use crate::pubsub::affiliation::{state_name, subscriptions_of};
use crate::pubsub::error::PubsubError;
use crate::pubsub::notify::{self, Notification};
use crate::pubsub::{form, markup};
use crate::xml::namespaces as ns;

/// Subscriptions of one entity to one node: one per resource, and nobody takes all there may be.
const PER_ENTITY_MAX: usize = 8;

/// The element `<subscription/>`.
fn element(out: &mut Vec<u8>, node: Option<&str>, jid: &str, state: Option<SubscriptionState>) {
    let node = node.map(|node| ("node", node));
    let attributes = [node, Some(("jid", jid)), Some(("subscription", state_name(state)))];
    let attributes: Vec<_> = attributes.into_iter().flatten().collect();
    markup::empty(out, "subscription", &attributes);
}

fn reply(name: &str, jid: &str, state: Option<SubscriptionState>) -> Vec<u8> {
    markup::pubsub(ns::PUBSUB, |out| element(out, Some(name), jid, state))
}

pub(super) fn subscribe(c: &Context<'_>, name: &str, jid: &str) -> Handled {
    if bare_of(jid) != c.requester() {
        return Err(PubsubError::INVALID_JID.into());
    }
    let stored = c.existing(name)?;
    let (config, before) = (&stored.node.config, c.people(stored)?);
    let state = c.standing_of(c.requester(), config, &before.people).may_subscribe(config)?;
    let mut people = before.people.clone();
    match people.subscriptions.iter_mut().find(|one| one.jid == jid) {
        // XEP-0060 §6.1.6: as if it had just been approved.
        Some(existing) if existing.state == state => return Ok(Outcome::result(reply(name, jid, Some(state)))),
        Some(existing) => existing.state = state,
        None => {
            let is_full = people.subscriptions.len() >= c.limits.subscriptions_max_per_node;
            if is_full || subscriptions_of(&people, c.requester()).count() >= PER_ENTITY_MAX {
                return Err(PubsubError::TOO_MANY_SUBSCRIPTIONS.into());
            }
            people.subscriptions.push(Subscription { jid: jid.to_owned(), state });
        }
    }
    let mut notifications = match state {
        SubscriptionState::Subscribed => welcome(c, stored, jid)?,
        SubscriptionState::Pending => {
            let mut content = Vec::new();
            form::authorization(name, jid).write_to(&mut content, ns::CLIENT);
            to_owners(c, stored, &people, content)
        }
    };
    if config.notify_subscription && state == SubscriptionState::Subscribed {
        notifications.extend(to_owners(c, stored, &people, notify::subscription(name, jid, Some(state))));
    }
    let change = Change::of(c.owner(), stored).people(before, &people);
    Ok(Outcome { notifications, ..Outcome::changed(change, reply(name, jid, Some(state))) })
}

/// A message to the owners of a node. It waits for those who are offline.
fn to_owners(c: &Context<'_>, stored: &StoredNode, people: &People, content: Vec<u8>) -> Vec<Notification> {
    let owners = owners(c, people);
    let message = |owner: &String| Notification {
        message_type: MessageType::Normal,
        ..c.notification_to(owner, &stored.name, &stored.node.config, content.clone())
    };
    owners.iter().map(message).collect()
}

/// The bare addresses of a node's owners.
pub(super) fn owners(c: &Context<'_>, people: &People) -> Vec<String> {
    let named = people.affiliations.iter().filter(|(_, affiliation)| *affiliation == Affiliation::Owner);
    let own = c.is_account().then(|| c.service.jid.to_string());
    own.into_iter().chain(named.map(|(jid, _)| jid.clone())).collect()
}

/// The newest item for a new subscriber (XEP-0060 §6.1.7).
fn welcome(c: &Context<'_>, stored: &StoredNode, jid: &str) -> Result<Vec<Notification>, Stop> {
    let config = &stored.node.config;
    if config.send_last == SendLast::Never || !config.notify {
        return Ok(Vec::new());
    }
    let Some(newest) = c.newest(stored) else { return Ok(Vec::new()) };
    let item = c.item(&stored.name, &newest.id)?;
    Ok(item.map(|item| c.last_item(jid, stored, newest, item)).into_iter().collect())
}

pub(super) fn unsubscribe(c: &Context<'_>, name: &str, jid: &str) -> Handled {
    let stored = c.existing(name)?;
    if bare_of(jid) != c.requester() {
        return Err(PubsubError::FORBIDDEN.into());
    }
    let before = c.people(stored)?;
    let mut people = before.people.clone();
    people.subscriptions.retain(|one| one.jid != jid);
    if people.subscriptions.len() == before.people.subscriptions.len() {
        return Err(PubsubError::NOT_SUBSCRIBED.into());
    }
    let mut notifications = Vec::new();
    if stored.node.config.notify_subscription {
        notifications = to_owners(c, stored, &people, notify::subscription(name, jid, None));
    }
    let change = Change::of(c.owner(), stored).people(before, &people);
    Ok(Outcome { notifications, ..Outcome::changed(change, reply(name, jid, None)) })
}

/// The nodes of a list that who asks wants: one or all; with their people read.
pub(super) fn listed<'c>(c: &Context<'c>, name: Option<&str>) -> Result<Vec<&'c StoredNode>, Stop> {
    let nodes = match name {
        Some(name) => vec![c.existing(name)?],
        None => c.all_nodes()?.iter().collect(),
    };
    c.people_of_all(nodes.iter().copied())?;
    Ok(nodes)
}

pub(super) fn own(c: &Context<'_>, name: Option<&str>) -> Handled {
    let mut found = Vec::new();
    for stored in listed(c, name)? {
        let people = &c.people(stored)?.people;
        for one in subscriptions_of(people, c.requester()) {
            if c.has_room(&found) {
                element(&mut found, Some(&stored.name), &one.jid, Some(one.state));
            }
        }
    }
    strangers::list(c, name.is_none() && found.is_empty())?;
    let attributes: Vec<_> = name.iter().map(|name| ("node", *name)).collect();
    Ok(Outcome::result(list(ns::PUBSUB, "subscriptions", &attributes, &found)))
}

/// A list in `<pubsub/>`.
pub(super) fn list(namespace: &str, name: &str, attributes: &[(&str, &str)], entries: &[u8]) -> Vec<u8> {
    markup::pubsub(namespace, |out| {
        if entries.is_empty() {
            return markup::empty(out, name, attributes);
        }
        markup::open(out, name, attributes);
        out.extend_from_slice(entries);
        markup::close(out, name);
    })
}

pub(super) fn of_node(c: &Context<'_>, name: &str) -> Handled {
    let stored = c.owned(name)?;
    let people = &c.people(stored)?.people;
    let mut entries = Vec::new();
    // Those that are pending are none yet (XEP-0060 §8.8.1.2).
    for jid in notify::in_force(people) {
        if c.has_room(&entries) {
            element(&mut entries, None, jid, Some(SubscriptionState::Subscribed));
        }
    }
    Ok(Outcome::result(list(ns::PUBSUB_OWNER, "subscriptions", &[("node", name)], &entries)))
}

pub(super) fn set(c: &Context<'_>, name: &str, entries: &[(String, Option<SubscriptionState>)]) -> Handled {
    let stored = c.owned(name)?;
    let before = c.people(stored)?;
    let mut people = before.people.clone();
    let (mut notifications, mut failed) = (Vec::new(), Vec::new());
    for (jid, wanted) in entries {
        let at = people.subscriptions.iter().position(|one| one.jid == *jid);
        let existing = at.and_then(|at| people.subscriptions.get(at)).map(|one| one.state);
        // An account does not subscribe others who have not asked for it: one publication would reach them all, on
        // behalf of this server.
        let may_subscribe = existing.is_some() || !c.is_account();
        let is_full = people.subscriptions.len() >= c.limits.subscriptions_max_per_node;
        match (wanted, at) {
            _ if *wanted == existing => {}
            (None, Some(at)) => {
                people.subscriptions.remove(at);
                notifications.push(c.subscription_notice(stored, jid, None));
            }
            (Some(SubscriptionState::Subscribed), at) if may_subscribe && (at.is_some() || !is_full) => {
                people.subscriptions.retain(|one| one.jid != *jid);
                people.subscriptions.push(Subscription { jid: jid.clone(), state: SubscriptionState::Subscribed });
                notifications.push(c.subscription_notice(stored, jid, *wanted));
            }
            _ => element(&mut failed, None, jid, existing),
        }
    }
    let write = (people != before.people).then(|| Change::of(c.owner(), stored).people(before, &people).finish());
    let reply = if failed.is_empty() {
        Reply::Result(Vec::new())
    } else {
        let failed = list(ns::PUBSUB_OWNER, "subscriptions", &[("node", name)], &failed);
        Reply::Error(PubsubError::NOT_ACCEPTABLE, failed)
    };
    Ok(Outcome { write, reply, notifications, ..Outcome::result(Vec::new()) })
}

pub(super) fn authorize(c: &Context<'_>, name: &str, jid: &str, allow: bool) -> Handled {
    let stored = c.owned(name)?;
    let before = c.people(stored)?;
    let mut people = before.people.clone();
    let is_it = |one: &Subscription| one.jid == jid && one.state == SubscriptionState::Pending;
    let at = people.subscriptions.iter().position(is_it).ok_or(PubsubError::NOT_SUBSCRIBED)?;
    let mut pending = people.subscriptions.remove(at);
    let state = allow.then_some(SubscriptionState::Subscribed);
    let mut notifications = vec![c.subscription_notice(stored, jid, state)];
    if let Some(state) = state {
        pending.state = state;
        people.subscriptions.push(pending);
        notifications.extend(welcome(c, stored, jid)?);
    }
    let change = Change::of(c.owner(), stored).people(before, &people);
    Ok(Outcome { notifications, ..Outcome::changed(change, Vec::new()) })
}

/// The people of a node after a change of its configuration or of what somebody is to it: subscriptions end that may
/// not be any more, and those that need no approval any more are in force. `only` is a bare address. Returns what has
/// become of whose subscription.
pub(super) fn reassess_people(
    c: &Context<'_>,
    config: &NodeConfig,
    people: &mut People,
    only: Option<&str>,
) -> Vec<(String, Option<SubscriptionState>)> {
    let all = people.clone();
    let mut changes = Vec::new();
    people.subscriptions.retain_mut(|one| {
        let jid = bare_of(&one.jid);
        if only.is_some_and(|only| only != jid) {
            return true;
        }
        let standing = c.standing_of(jid, config, &all);
        if standing.may_retrieve(config).is_ok() {
            if one.state == SubscriptionState::Pending {
                one.state = SubscriptionState::Subscribed;
                changes.push((one.jid.clone(), Some(one.state)));
            }
            return true;
        }
        let may_wait = config.access == AccessModel::Authorize && standing.affiliation == Affiliation::None;
        let stays = may_wait && one.state == SubscriptionState::Pending;
        if !stays {
            changes.push((one.jid.clone(), None));
        }
        stays
    });
    changes
}

/// A change of a node, with its subscriptions reassessed: the change, the people, and what subscribers are told.
pub(super) fn reassessed(
    c: &Context<'_>,
    stored: &StoredNode,
    change: Change,
    config: &NodeConfig,
    only: Option<&str>,
) -> Result<(Change, People, Vec<Notification>), Stop> {
    let before = c.people(stored)?;
    let mut people = before.people.clone();
    let changes = reassess_people(c, config, &mut people, only);
    let told = changes.iter().map(|(jid, state)| c.subscription_notice(stored, jid, *state)).collect();
    let change = if people == before.people { change } else { change.people(before, &people) };
    Ok((change, people, told))
}

pub(super) fn reassess(c: &Context<'_>, jid: &str) -> Handled {
    let mut outcome = Outcome::result(Vec::new());
    for stored in listed(c, None)?.into_iter().filter(|stored| stored.node.people) {
        let change = Change::of(c.owner(), stored);
        let (change, _, told) = reassessed(c, stored, change, &stored.node.config, Some(jid))?;
        if !told.is_empty() {
            outcome.notifications.extend(told);
            outcome.write = Some(and(outcome.write.take(), change.finish()));
        }
    }
    Ok(outcome)
}

/// Two writes as one.
pub(super) fn and(first: Option<WriteRequest>, second: WriteRequest) -> WriteRequest {
    match first {
        Some(first) => first.and(second),
        None => second,
    }
}
