//! Service discovery (XEP-0030).

use super::user_commands;
use super::{Addressee, Answer, Context, commands, features};
use crate::pubsub;
use crate::stream::Refusal;
use crate::xml::{Element, namespaces};

pub(super) const INFO: &str = namespaces::DISCO_INFO;
pub(super) const ITEMS: &str = namespaces::DISCO_ITEMS;

pub(super) fn info(query: &Element, context: &Context<'_>) -> Answer {
    if let Some(node) = query.attribute("node") {
        let known = match context.addressee {
            Addressee::Server => {
                commands::info(node, user_commands::all(), |command| context.rights.may_run(command.node))
            }
            Addressee::OwnAccount => None,
        };
        return match known.unwrap_or_else(|| Err(Refusal::item_not_found())) {
            Ok(info) => Answer::Result(Some(info)),
            Err(refusal) => Answer::Refused(refusal),
        };
    }
    let (category, kind) = match context.addressee {
        Addressee::Server => ("server", "im"),
        Addressee::OwnAccount if context.anonymous => ("account", "anonymous"),
        Addressee::OwnAccount => ("account", "registered"),
    };
    let identity = Element::new("identity", INFO).with_attribute("category", category).with_attribute("type", kind);
    let identity = match context.addressee {
        Addressee::Server => identity.with_attribute("name", "Rondel"),
        Addressee::OwnAccount => identity,
    };
    let result = Element::new("query", INFO).with_child(identity);
    let publishes = context.addressee == Addressee::Server || !context.anonymous;
    let result = if publishes { result.with_child(personal_eventing()) } else { result };
    let result = features(context).fold(result, |result, feature| {
        result.with_child(Element::new("feature", INFO).with_attribute("var", feature))
    });
    let extensions = if context.addressee == Addressee::Server { context.server_info } else { &[] };
    Answer::Result(Some(extensions.iter().fold(result, |result, form| result.with_child(form.clone()))))
}

/// The identity of accounts that publish (XEP-0163 §6.1), which a server shows as well: that is where XEP-0222 and
/// XEP-0223 have clients look for it.
fn personal_eventing() -> Element {
    let (category, kind) = pubsub::ACCOUNT_IDENTITY;
    Element::new("identity", INFO).with_attribute("category", category).with_attribute("type", kind)
}

pub(super) fn items(query: &Element, context: &Context<'_>) -> Answer {
    let result = Element::new("query", ITEMS);
    match query.attribute("node") {
        Some(commands::NODE) if context.addressee == Addressee::Server => {
            Answer::Result(Some(commands::items(context.address, user_commands::all(), |command| {
                context.rights.may_run(command.node)
            })))
        }
        // XEP-0030 §4.2: a node without items has an empty list.
        Some(node) => Answer::Result(Some(result.with_attribute("node", node))),
        None => Answer::Result(Some(result)),
    }
}
