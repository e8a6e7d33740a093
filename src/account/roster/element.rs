//! The elements of the roster protocol (RFC 6121 §2.1).

use rondel_storage::roster::{Item, Subscription};

use crate::xml::{Element, namespaces as ns};

/// A version in its form on the wire.
pub(super) fn version(version: u64) -> String {
    format!("{version:x}")
}

/// Reads what [`version`] made, and nothing else.
pub(super) fn read_version(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|read| version(*read) == text)
}

/// `<query/>` with a version.
pub(super) fn query(at: u64) -> Element {
    Element::new("query", ns::ROSTER).with_attribute("ver", &version(at))
}

/// The payload of a roster push (§2.1.6): an item as it is now.
pub(super) fn push(contact: &str, item: &Item) -> Element {
    query(item.version).with_child(entry(contact, item))
}

/// The payload of a roster push for a contact that has been removed.
pub(super) fn removal(contact: &str, version: u64) -> Element {
    let entry = Element::new("item", ns::ROSTER).with_attribute("jid", contact);
    query(version).with_child(entry.with_attribute("subscription", "remove"))
}

/// The states of a subscription, with their names (§2.1.2.5).
const SUBSCRIPTIONS: [(Subscription, &str); 4] = [
    (Subscription::None, "none"),
    (Subscription::To, "to"),
    (Subscription::From, "from"),
    (Subscription::Both, "both"),
];

/// A subscription's name.
pub fn subscription_name(subscription: Subscription) -> &'static str {
    SUBSCRIPTIONS.iter().find(|(known, _)| *known == subscription).map_or("none", |(_, name)| name)
}

/// The subscription of this name.
pub fn subscription(name: &str) -> Option<Subscription> {
    SUBSCRIPTIONS.iter().find(|(_, known)| *known == name).map(|(subscription, _)| *subscription)
}

/// `<item/>` (§2.1.2).
pub fn entry(contact: &str, item: &Item) -> Element {
    let subscription = subscription_name(item.subscription);
    let attributes = [
        ("jid", Some(contact)),
        ("name", Some(item.name.as_str()).filter(|name| !name.is_empty())),
        ("subscription", Some(subscription)),
        ("ask", item.ask.then_some("subscribe")),
        ("approved", item.approved.then_some("true")),
    ];
    let present = attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let entry =
        present.fold(Element::new("item", ns::ROSTER), |entry, (name, value)| entry.with_attribute(name, value));
    item.groups.iter().fold(entry, |entry, group| entry.with_child(Element::new("group", ns::ROSTER).with_text(group)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_item_shows_what_it_holds() {
        let item = Item {
            name: "Romeo & co".to_owned(),
            groups: vec!["Friends".to_owned(), "Lovers".to_owned()],
            subscription: Subscription::From,
            ask: true,
            approved: true,
            pending_in: None,
            listed: true,
            version: 255,
            version_before: 0,
        };
        let mut out = Vec::new();
        push("romeo@example.net", &item).write_to(&mut out, ns::CLIENT);
        let expected = "<query xmlns='jabber:iq:roster' ver='ff'><item jid='romeo@example.net' name='Romeo &amp; co' \
            subscription='from' ask='subscribe' approved='true'><group>Friends</group><group>Lovers</group></item>\
            </query>";
        assert_eq!(String::from_utf8(out).unwrap(), expected);

        let mut out = Vec::new();
        entry("a@b.example", &Item::default()).write_to(&mut out, ns::ROSTER);
        assert_eq!(String::from_utf8(out).unwrap(), "<item jid='a@b.example' subscription='none'/>");

        let mut out = Vec::new();
        removal("a@b.example", 16).write_to(&mut out, ns::ROSTER);
        let expected = "<query ver='10'><item jid='a@b.example' subscription='remove'/></query>";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn versions_come_back(at: u64, text in "[+0-9a-fA-F]{0,4}") {
            prop_assert_eq!(read_version(&version(at)), Some(at));
            if let Some(read) = read_version(&text) {
                prop_assert_eq!(version(read), text);
            }
        }
    }
}
