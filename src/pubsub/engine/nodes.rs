//! Creating, configuring, purging and deleting nodes (XEP-0060 §8.1 to §8.5).

use rondel_storage::pubsub::{Change, NodeConfig, Span, StoredNode};

use super::context::Context;
use super::subscriptions;
use super::{Handled, Outcome, Stop};
use crate::pubsub::error::PubsubError;
use crate::pubsub::form::{self, Submission};
use crate::pubsub::{markup, node, notify};
use crate::xml::namespaces as ns;

/// Items that are removed at once when a node gets room for fewer; the next publications remove the rest.
const REMOVED_MAX: usize = rondel_storage::PAGE_ENTRIES_MAX;

pub(super) fn create(c: &Context<'_>, name: Option<&str>, config: &Submission) -> Handled {
    let (is_instant, name) = (name.is_none(), name.unwrap_or(c.fresh));
    let mut configured = node::default_config(c.service.kind, name);
    config.configure(&mut configured, c.limits)?;
    let exists = c.node(name)?.is_some();
    let (change, _) = c.create(name, configured, PubsubError::FORBIDDEN)?;
    if exists {
        return Err(PubsubError::CONFLICT.into());
    }
    let payload = || markup::pubsub(ns::PUBSUB, |out| markup::empty(out, "create", &[("node", name)]));
    Ok(Outcome::changed(change, if is_instant { payload() } else { Vec::new() }))
}

/// `<pubsub><configure/></pubsub>` or `<default/>` with the form of a configuration.
fn form_reply(element: &str, node: Option<&str>, config: &NodeConfig) -> Outcome {
    let attributes: Vec<_> = node.iter().map(|node| ("node", *node)).collect();
    Outcome::result(markup::pubsub(ns::PUBSUB_OWNER, |out| {
        markup::open(out, element, &attributes);
        form::config_to_fill(config).write_to(out, ns::PUBSUB_OWNER);
        markup::close(out, element);
    }))
}

pub(super) fn configuration(c: &Context<'_>, name: &str) -> Handled {
    Ok(form_reply("configure", Some(name), &c.owned(name)?.node.config))
}

pub(super) fn default_configuration(c: &Context<'_>) -> Outcome {
    form_reply("default", None, &node::default_config(c.service.kind, ""))
}

pub(super) fn configure(c: &Context<'_>, name: &str, submission: Option<&Submission>) -> Handled {
    let stored = c.owned(name)?;
    let Some(submission) = submission else { return Ok(Outcome::result(Vec::new())) };
    let before = &stored.node.config;
    let mut after = before.clone();
    submission.configure(&mut after, c.limits)?;
    if after == *before {
        return Ok(Outcome::result(Vec::new()));
    }
    let change = fit(c, stored, &after)?.configure(after.clone());
    let (change, people, mut notifications) = subscriptions::reassessed(c, stored, change, &after, None)?;
    if after.notify_config {
        notifications.extend(c.notification(name, &after, &people, notify::configured(name, &after)));
    }
    Ok(Outcome { notifications, ..Outcome::changed(change, Vec::new()) })
}

/// Removes what the node has no room for any more.
fn fit(c: &Context<'_>, stored: &StoredNode, config: &NodeConfig) -> Result<Change, Stop> {
    let change = Change::of(c.owner(), stored);
    let node = &stored.node;
    if !config.persist {
        return Ok(change.purge());
    }
    let too_many = node.count.saturating_sub(node::items_max(config, c.limits)) as usize;
    if too_many == 0 {
        return Ok(change);
    }
    let oldest = Span { from: node.oldest, to: None, newest_first: false, entries_max: too_many.min(REMOVED_MAX) };
    let entries = &c.order(&stored.name, oldest)?.entries;
    let change = entries.iter().fold(change, Change::remove);
    Ok(change.oldest(entries.last().map_or(0, |last| last.sequence.saturating_add(1))))
}

pub(super) fn purge(c: &Context<'_>, name: &str) -> Handled {
    let stored = c.owned(name)?;
    let config = &stored.node.config;
    if !config.persist {
        return Err(PubsubError::unsupported("persistent-items").into());
    }
    let event = || Ok::<_, Stop>(c.notification(name, config, &c.people(stored)?.people, notify::purged(name)));
    let notifications = if config.notify_retract { event()?.into_iter().collect() } else { Vec::new() };
    let change = Change::of(c.owner(), stored).purge();
    Ok(Outcome { notifications, ..Outcome::changed(change, Vec::new()) })
}

pub(super) fn delete(c: &Context<'_>, name: &str, redirect: Option<&str>) -> Handled {
    let stored = c.owned(name)?;
    let config = &stored.node.config;
    let event = || {
        let people = &c.people(stored)?.people;
        Ok::<_, Stop>(c.notification(name, config, people, notify::deleted(name, redirect)))
    };
    let notifications = if config.notify_delete { event()?.into_iter().collect() } else { Vec::new() };
    let change = Change::of(c.owner(), stored);
    let growth = (stored.node.bytes as i64).saturating_neg();
    Ok(Outcome { write: Some(change.delete()), notifications, growth, ..Outcome::result(Vec::new()) })
}
