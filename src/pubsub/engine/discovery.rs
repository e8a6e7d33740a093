//! What service discovery tells about nodes (XEP-0060 §5.2 to §5.5): to everybody the nodes that he may subscribe to
//! or retrieve items from (XEP-0163 §6.2), and the others do not exist for him.

use rondel_storage::pubsub::{Span, StoredNode, SubscriptionState};

use super::context::Context;
use super::subscriptions::{listed, owners};
use super::{Handled, Outcome, Stop, strangers};
use crate::pubsub::error::PubsubError;
use crate::pubsub::features::NODE_IDENTITY;
use crate::pubsub::notify;
use crate::pubsub::{form, markup, node};
use crate::xml::{Element, namespaces as ns};

fn is_visible(c: &Context<'_>, stored: &StoredNode) -> Result<bool, Stop> {
    let (standing, config) = (c.standing(stored)?, &stored.node.config);
    let waits = standing.subscription == Some(SubscriptionState::Pending);
    Ok(waits || standing.may_retrieve(config).is_ok() || standing.may_subscribe(config).is_ok())
}

fn visible<'c>(c: &Context<'c>, name: &str) -> Result<&'c StoredNode, Stop> {
    let stored = c.existing(name)?;
    if is_visible(c, stored)? { Ok(stored) } else { Err(PubsubError::ITEM_NOT_FOUND.into()) }
}

pub(super) fn items(c: &Context<'_>, name: Option<&str>) -> Handled {
    let mut out = Vec::new();
    let jid = ("jid", &*c.service.jid);
    match name {
        None => {
            markup::open(&mut out, "query", &[("xmlns", ns::DISCO_ITEMS)]);
            let start = out.len();
            for stored in listed(c, None)? {
                if c.has_room(&out) && is_visible(c, stored)? {
                    let title =
                        Some(("name", stored.node.config.title.as_str())).filter(|(_, title)| !title.is_empty());
                    let attributes = [Some(jid), Some(("node", stored.name.as_str())), title];
                    let attributes: Vec<_> = attributes.into_iter().flatten().collect();
                    markup::empty(&mut out, "item", &attributes);
                }
            }
            strangers::list(c, out.len() == start)?;
        }
        Some(name) => {
            let stored = visible(c, name)?;
            markup::open(&mut out, "query", &[("xmlns", ns::DISCO_ITEMS), ("node", name)]);
            let may_retrieve = c.standing(stored)?.may_retrieve(&stored.node.config).is_ok();
            if may_retrieve && stored.node.count > 0 {
                let from = node::first_sequence(&stored.node, c.now_micros);
                let span = Span { from, to: None, newest_first: true, entries_max: c.limits.page_items_max };
                let entries = &c.order(name, span)?.entries;
                for entry in entries.iter() {
                    if c.has_room(&out) {
                        markup::empty(&mut out, "item", &[jid, ("name", &entry.id)]);
                    }
                }
            }
        }
    }
    markup::close(&mut out, "query");
    Ok(Outcome::result(out))
}

pub(super) fn info(c: &Context<'_>, name: &str) -> Handled {
    let stored = visible(c, name)?;
    let people = &c.people(stored)?.people;
    let (category, kind) = NODE_IDENTITY;
    let subscribers = notify::in_force(people).count();
    let feature = |var| Element::new("feature", ns::DISCO_INFO).with_attribute("var", var);
    let identity = Element::new("identity", ns::DISCO_INFO).with_attribute("category", category);
    let query = Element::new("query", ns::DISCO_INFO)
        .with_attribute("node", name)
        .with_child(identity.with_attribute("type", kind))
        .with_child(feature(ns::PUBSUB))
        .with_child(feature(ns::DISCO_INFO))
        .with_child(feature(ns::DISCO_ITEMS))
        .with_child(form::metadata(&stored.node, owners(c, people), subscribers));
    let mut out = Vec::new();
    query.write_to(&mut out, ns::CLIENT);
    Ok(Outcome::result(out))
}
