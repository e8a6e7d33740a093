//! Affiliations: one's own (XEP-0060 §5.7), and those that owners manage (§8.9).

use rondel_storage::pubsub::{Affiliation, Change, People};

use super::context::Context;
use super::subscriptions::{list, listed, owners, reassess_people};
use super::{Handled, Outcome, Reply, strangers};
use crate::pubsub::affiliation::{self, may_follow};
use crate::pubsub::error::PubsubError;
use crate::pubsub::markup;
use crate::xml::namespaces as ns;

pub(super) fn own(c: &Context<'_>, name: Option<&str>) -> Handled {
    let mut found = Vec::new();
    for stored in listed(c, name)? {
        let affiliation = c.standing(stored)?.affiliation;
        if affiliation != Affiliation::None && c.has_room(&found) {
            let attributes = [("node", stored.name.as_str()), ("affiliation", affiliation::name(affiliation))];
            markup::empty(&mut found, "affiliation", &attributes);
        }
    }
    strangers::list(c, name.is_none() && found.is_empty())?;
    let attributes: Vec<_> = name.iter().map(|name| ("node", *name)).collect();
    Ok(Outcome::result(list(ns::PUBSUB, "affiliations", &attributes, &found)))
}

fn element(out: &mut Vec<u8>, jid: &str, affiliation: Affiliation) {
    markup::empty(out, "affiliation", &[("jid", jid), ("affiliation", affiliation::name(affiliation))]);
}

pub(super) fn of_node(c: &Context<'_>, name: &str) -> Handled {
    let stored = c.owned(name)?;
    let people = &c.people(stored)?.people;
    let mut entries = Vec::new();
    if c.is_account() {
        element(&mut entries, &c.service.jid, Affiliation::Owner);
    }
    for (jid, affiliation) in &people.affiliations {
        if c.has_room(&entries) {
            element(&mut entries, jid, *affiliation);
        }
    }
    Ok(Outcome::result(list(ns::PUBSUB_OWNER, "affiliations", &[("node", name)], &entries)))
}

pub(super) fn set(c: &Context<'_>, name: &str, entries: &[(String, Affiliation)]) -> Handled {
    let stored = c.owned(name)?;
    let config = &stored.node.config;
    let before = c.people(stored)?;
    let mut people = before.people.clone();
    let mut failed = Vec::new();
    for (jid, wanted) in entries {
        let existing = c.standing_of(jid, config, &people).affiliation;
        if existing == *wanted {
            continue;
        }
        if !may_follow(existing, *wanted) || is_last_owner(c, &people, jid) {
            element(&mut failed, jid, existing);
            continue;
        }
        let is_new = existing == Affiliation::None;
        if is_new && people.affiliations.len() >= c.limits.affiliations_max_per_node {
            return Err(PubsubError::POLICY_VIOLATION.into());
        }
        affiliation::set(&mut people, jid, *wanted);
    }
    let mut notifications = Vec::new();
    for (jid, _) in entries {
        let changes = reassess_people(c, config, &mut people, Some(jid));
        notifications.extend(changes.iter().map(|(jid, state)| c.subscription_notice(stored, jid, *state)));
    }
    let write = (people != before.people).then(|| Change::of(c.owner(), stored).people(before, &people).finish());
    let reply = if failed.is_empty() {
        Reply::Result(Vec::new())
    } else {
        let failed = list(ns::PUBSUB_OWNER, "affiliations", &[("node", name)], &failed);
        Reply::Error(PubsubError::NOT_ACCEPTABLE, failed)
    };
    Ok(Outcome { write, reply, notifications, ..Outcome::result(Vec::new()) })
}

/// Whether somebody has to stay an owner: an account's owner, and the only one of a node (XEP-0060 §8.9.2.4).
fn is_last_owner(c: &Context<'_>, people: &People, jid: &str) -> bool {
    let owners = owners(c, people);
    (c.is_account() && jid == &*c.service.jid) || (owners.len() == 1 && owners.iter().any(|owner| owner == jid))
}
