//! The card and the avatar of an account that comes in. Some servers keep a vCard as what the account publishes
//! (XEP-0292, XEP-0084), some hand over the vCard alone: whichever is missing is made of the other. Everybody sees
//! vCards, so only what everybody may see becomes one (XEP-0398 §8).

use std::collections::HashMap;

use rondel_storage::pubsub::{AccessModel, NodeConfig};

use super::vcard4;
use crate::account::avatar::{self, Avatar, Copied};
use crate::xml::{Element, namespaces as ns};

/// What has come of it, apart from the vCard.
#[derive(Default)]
pub struct Cards {
    /// The nodes of it, and who may see them, if that was said.
    nodes: HashMap<String, Option<AccessModel>>,
    /// The newest item of each, with its id.
    newest: HashMap<String, (String, Element)>,
    /// And when that was published, if that was said.
    published_us: HashMap<String, u64>,
}

fn concerns(node: &str) -> bool {
    [vcard4::NODE, ns::AVATAR_DATA, ns::AVATAR_METADATA].contains(&node)
}

impl Cards {
    /// There is a node.
    pub fn node(&mut self, name: &str, config: Option<&NodeConfig>) {
        if concerns(name) {
            let access = self.nodes.entry(name.to_owned()).or_default();
            *access = config.map(|config| config.access).or(*access);
        }
    }

    /// An item of a node has come, which is newer than those before it unless their times say something else.
    pub fn item(&mut self, node: &str, id: &str, payload: Option<&Element>, at_us: Option<u64>) {
        if concerns(node) {
            self.node(node, None);
            let before_us = self.published_us.get(node).copied();
            if before_us.zip(at_us).is_some_and(|(before_us, at_us)| at_us < before_us) {
                return;
            }
            self.published_us.extend(at_us.map(|at_us| (node.to_owned(), at_us)));
            if let Some(payload) = payload {
                self.newest.insert(node.to_owned(), (id.to_owned(), payload.clone()));
            }
        }
    }

    fn access(&self, node: &str) -> Option<AccessModel> {
        self.nodes.get(node).copied().flatten()
    }

    /// The vCard, if there is one, or one of what is published; with the avatar, if it has no photo of its own.
    pub fn vcard(&self, vcard: Option<Element>) -> Option<Element> {
        let is_open = self.access(vcard4::NODE) == Some(AccessModel::Open);
        let newest = self.newest.get(vcard4::NODE).filter(|_| is_open);
        let vcard = vcard.or_else(|| newest.map(|(_, card)| vcard4::vcard_temp(card)));
        if vcard.as_ref().is_some_and(|card| card.child("PHOTO", ns::VCARD).is_some()) {
            return vcard;
        }
        let Some((_, metadata)) = self.newest.get(ns::AVATAR_METADATA) else { return vcard };
        let named = avatar::info(metadata);
        let data = self.newest.get(ns::AVATAR_DATA);
        let data = data.filter(|(id, _)| named.is_some_and(|info| info.id == *id)).map(|(_, data)| data);
        match avatar::copied(metadata, self.access(ns::AVATAR_DATA), data, usize::MAX) {
            Copied::Photo(avatar) => Some(avatar::vcard_with(vcard, Some(&avatar))),
            Copied::Nothing | Copied::Removed => vcard,
        }
    }

    /// The photo of a vCard, to be published as the avatar of an account that has no nodes for one.
    pub fn avatar(&self, vcard: &Element) -> Option<Avatar> {
        let has_nodes = [ns::AVATAR_DATA, ns::AVATAR_METADATA].iter().any(|node| self.nodes.contains_key(*node));
        if has_nodes { None } else { Avatar::of_vcard(vcard, usize::MAX).ok().flatten() }
    }
}
