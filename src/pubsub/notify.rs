//! Notifications: messages about an event, and for whom they are (XEP-0163 §4, XEP-0060 §12.2).
//!
//! A notification names kinds of recipients rather than resources. Who is online, and which resource has asked for
//! which nodes in its capabilities (`node+notify`, XEP-0060 §9.2), is known where the recipient is at home; there
//! [`NodeAudience::contact`] decides.

use rondel_storage::pubsub::{AccessModel, Affiliation, MessageType, NodeConfig, People, SubscriptionState};

use super::{affiliation, markup};
use crate::datetime;
use crate::xml::{escape, namespaces as ns};

/// A message to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notification {
    /// The node that it is about, whose name with `+notify` is what recipients ask for.
    pub node: Box<str>,
    /// The message's type.
    pub message_type: MessageType,
    /// The message's id.
    pub id: Box<str>,
    /// What is in the message.
    pub content: Vec<u8>,
    /// The publishing resource, which contacts may know (XEP-0163 §4.3.1).
    pub reply_to: Option<Box<str>>,
    /// For whom it is.
    pub audience: Audience,
}

/// For whom a notification is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Audience {
    /// For one address, whatever its capabilities say.
    Address(Box<str>),
    /// For those who follow the node.
    Node(Box<NodeAudience>),
}

/// Who follows a node. Everybody in here may receive what the node has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeAudience {
    /// The owner's own resources.
    pub own: Reach,
    /// Those with a subscription to the owner's presence.
    pub contacts: Contacts,
    /// Bare addresses among them that may not receive anything.
    pub excluded: Vec<Box<str>>,
    /// Addresses with an explicit subscription.
    pub subscribers: Vec<Box<str>>,
    /// Whether explicit subscribers get it only where they are known to be online and interested.
    pub presence_based: bool,
}

/// Which contacts follow a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Contacts {
    /// None.
    Nobody,
    /// All.
    All,
    /// Those in one of these groups of the owner's roster, and those of these bare addresses.
    Groups(Vec<String>, Vec<Box<str>>),
    /// Those of these bare addresses.
    Listed(Vec<Box<str>>),
}

/// Which resources of one account get a notification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// None.
    Nobody,
    /// Each one that has asked for the node in its capabilities, addressed by its full address.
    Interested,
    /// Those; if there are none, the bare address gets it once (XEP-0163 §4.3.2).
    InterestedOrBare,
}

impl NodeAudience {
    /// Those who follow a node of this configuration and with these people. `subscribers` are the explicit
    /// subscriptions that the access model lets in.
    pub fn of_account(owner: &str, config: &NodeConfig, people: &People, subscribers: Vec<Box<str>>) -> NodeAudience {
        let affiliated = |wanted: fn(Affiliation) -> bool| {
            let found = people.affiliations.iter().filter(|(_, affiliation)| wanted(*affiliation));
            found.map(|(jid, _)| jid.as_str().into()).collect::<Vec<Box<str>>>()
        };
        let admitted =
            |affiliation| matches!(affiliation, Affiliation::Owner | Affiliation::Publisher | Affiliation::Member);
        let contacts = match config.access {
            AccessModel::Open | AccessModel::Presence => Contacts::All,
            AccessModel::Roster => Contacts::Groups(config.groups.clone(), affiliated(admitted)),
            AccessModel::Whitelist => Contacts::Listed(affiliated(admitted)),
            AccessModel::Authorize => Contacts::Nobody,
        };
        let excluded = affiliated(|affiliation| matches!(affiliation, Affiliation::Outcast | Affiliation::PublishOnly));
        let (own_subscriptions, subscribers): (Vec<_>, Vec<_>) =
            subscribers.into_iter().partition(|jid| **jid == *owner);
        let own = reach(!own_subscriptions.is_empty(), config.presence_based);
        NodeAudience { own, contacts, excluded, subscribers, presence_based: config.presence_based }
    }

    /// The explicit subscribers of a node on a domain.
    pub fn of_domain(subscribers: Vec<Box<str>>) -> NodeAudience {
        let (own, contacts) = (Reach::Nobody, Contacts::Nobody);
        NodeAudience { own, contacts, excluded: Vec::new(), subscribers, presence_based: false }
    }

    /// What a contact gets, that is somebody with a subscription to the owner's presence. `is_in_group` says whether
    /// the owner's roster has the contact in a group.
    pub fn contact(&self, bare: &str, is_in_group: impl Fn(&str) -> bool) -> Reach {
        let is_listed = |list: &[Box<str>]| list.iter().any(|jid| **jid == *bare);
        if is_listed(&self.excluded) {
            return Reach::Nobody;
        }
        if is_listed(&self.subscribers) {
            return reach(true, self.presence_based);
        }
        let follows = match &self.contacts {
            Contacts::Nobody => false,
            Contacts::All => true,
            Contacts::Groups(groups, list) => is_listed(list) || groups.iter().any(|group| is_in_group(group)),
            Contacts::Listed(list) => is_listed(list),
        };
        if follows { Reach::Interested } else { Reach::Nobody }
    }

    /// The addresses that get it in any case: full ones, and those of bare addresses that are no contacts. Where an
    /// interested resource is among them, it gets the notification once (XEP-0163 §4.3.2).
    pub fn addresses<'a>(&'a self, is_contact: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = &'a str> {
        let certain = move |jid: &&str| !self.presence_based && (jid.contains('/') || !is_contact(jid));
        self.subscribers.iter().map(|jid| &**jid).filter(certain)
    }

    /// Whether nobody can be in it.
    pub fn is_empty(&self) -> bool {
        self.own == Reach::Nobody && self.contacts == Contacts::Nobody && self.subscribers.is_empty()
    }
}

fn reach(is_subscribed: bool, presence_based: bool) -> Reach {
    if is_subscribed && !presence_based { Reach::InterestedOrBare } else { Reach::Interested }
}

/// The addresses whose subscription is in force.
pub fn in_force(people: &People) -> impl Iterator<Item = &str> {
    let subscribed = people.subscriptions.iter().filter(|one| one.state == SubscriptionState::Subscribed);
    subscribed.map(|subscription| subscription.jid.as_str())
}

impl Notification {
    /// Appends the message. `from` is the service; `to_contact` says whether the recipient has a subscription to the
    /// owner's presence or is the owner, and so may learn the publishing resource.
    pub fn write(&self, out: &mut Vec<u8>, from: &str, to: &str, to_contact: bool) {
        let mut attributes = vec![("from", from), ("to", to), ("id", &*self.id)];
        // `normal` is what a message is when it does not say.
        if self.message_type == MessageType::Headline {
            attributes.push(("type", "headline"));
        }
        markup::open(out, "message", &attributes);
        out.extend_from_slice(&self.content);
        if let (true, Some(reply_to)) = (to_contact, &self.reply_to) {
            markup::open(out, "addresses", &[("xmlns", ns::ADDRESSES)]);
            markup::empty(out, "address", &[("type", "replyto"), ("jid", reply_to)]);
            markup::close(out, "addresses");
        }
        markup::close(out, "message");
    }

    /// The groups of the owner's roster on which it depends who gets it.
    pub fn groups(&self) -> impl Iterator<Item = &String> {
        let groups = match &self.audience {
            Audience::Node(audience) => match &audience.contacts {
                Contacts::Groups(groups, _) => &groups[..],
                Contacts::Nobody | Contacts::All | Contacts::Listed(_) => &[],
            },
            Audience::Address(_) => &[],
        };
        groups.iter()
    }

    /// How many bytes [`Notification::write`] appends at most.
    pub fn len_max(&self, from: &str, to: &str) -> usize {
        const TAGS: usize = 256;
        let reply_to = self.reply_to.as_deref().unwrap_or_default();
        let attributes = [from, to, reply_to, &*self.id].into_iter().map(escape::attribute_len);
        self.content.len() + attributes.sum::<usize>() + TAGS
    }
}

/// An item was published: the event of XEP-0060 §7.1.2.1. Without an id and a payload it is the one of a node that
/// has neither.
pub fn published(node: &str, id: Option<&str>, publisher: Option<&str>, payload: &[u8]) -> Vec<u8> {
    markup::event(|out| match id {
        None if payload.is_empty() => markup::empty(out, "items", &[("node", node)]),
        _ => {
            markup::open(out, "items", &[("node", node)]);
            markup::item(out, id, publisher, payload);
            markup::close(out, "items");
        }
    })
}

/// Appends when an item was published that is sent later, in microseconds since 1970 (XEP-0203).
pub fn delay(content: &mut Vec<u8>, published_micros: u64) {
    let stamp = datetime::utc_s(published_micros / 1_000_000);
    markup::empty(content, "delay", &[("xmlns", ns::DELAY), ("stamp", &stamp)]);
}

/// Items were removed: the event of XEP-0060 §7.2.2.1.
pub fn retracted<'i>(node: &str, ids: impl IntoIterator<Item = &'i str>) -> Vec<u8> {
    markup::event(|out| {
        markup::open(out, "items", &[("node", node)]);
        ids.into_iter().for_each(|id| markup::empty(out, "retract", &[("id", id)]));
        markup::close(out, "items");
    })
}

/// All items were removed: the event of XEP-0060 §8.5.2.
pub fn purged(node: &str) -> Vec<u8> {
    markup::event(|out| markup::empty(out, "purge", &[("node", node)]))
}

/// The node was deleted: the event of XEP-0060 §8.4.2.
pub fn deleted(node: &str, redirect: Option<&str>) -> Vec<u8> {
    markup::event(|out| match redirect {
        None => markup::empty(out, "delete", &[("node", node)]),
        Some(uri) => {
            markup::open(out, "delete", &[("node", node)]);
            markup::empty(out, "redirect", &[("uri", uri)]);
            markup::close(out, "delete");
        }
    })
}

/// The configuration has changed: the event of XEP-0060 §8.2.5.3, with the new one if the node delivers payloads.
pub fn configured(node: &str, config: &NodeConfig) -> Vec<u8> {
    markup::event(|out| {
        if !config.payloads {
            return markup::empty(out, "configuration", &[("node", node)]);
        }
        markup::open(out, "configuration", &[("node", node)]);
        super::form::config_result(config).write_to(out, ns::PUBSUB_EVENT);
        markup::close(out, "configuration");
    })
}

/// A subscription has changed: the event of XEP-0060 §12.15.
pub fn subscription(node: &str, jid: &str, state: Option<SubscriptionState>) -> Vec<u8> {
    let attributes = [("node", node), ("jid", jid), ("subscription", affiliation::state_name(state))];
    markup::event(|out| markup::empty(out, "subscription", &attributes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::ServiceKind;
    use crate::pubsub::node::default_config;

    const OWNER: &str = "juliet@capulet.lit";

    fn audience(access: AccessModel, people: &[(&str, Affiliation)], subscribers: &[&str]) -> NodeAudience {
        let mut config = default_config(ServiceKind::Account, "urn:xmpp:mood");
        (config.access, config.groups) = (access, vec!["Friends".to_owned()]);
        let affiliations = people.iter().map(|(jid, affiliation)| ((*jid).to_owned(), *affiliation)).collect();
        let people = People { affiliations, subscriptions: Vec::new() };
        NodeAudience::of_account(OWNER, &config, &people, subscribers.iter().map(|jid| (*jid).into()).collect())
    }

    #[test]
    fn contacts_get_what_the_access_model_lets_them_have() {
        use Affiliation::{Member, Outcast, PublishOnly};
        use Reach::{Interested, Nobody};
        let people = [("tybalt@capulet.lit", Outcast), ("nurse@capulet.lit", Member), ("bot@capulet.lit", PublishOnly)];
        // Romeo is a friend, the nurse a member in no group, Benvolio nothing in particular.
        let rows = [
            (AccessModel::Open, [Interested, Interested, Interested]),
            (AccessModel::Presence, [Interested, Interested, Interested]),
            (AccessModel::Roster, [Interested, Interested, Nobody]),
            (AccessModel::Whitelist, [Nobody, Interested, Nobody]),
            (AccessModel::Authorize, [Nobody, Nobody, Nobody]),
        ];
        for (access, expected) in rows {
            let audience = audience(access, &people, &[]);
            let contacts = ["romeo@montague.lit", "nurse@capulet.lit", "benvolio@montague.lit"];
            for (contact, expected) in contacts.into_iter().zip(expected) {
                let in_group = |group: &str| group == "Friends" && contact.starts_with("romeo");
                assert_eq!(audience.contact(contact, in_group), expected, "{access:?} {contact}");
            }
            assert_eq!(audience.contact("tybalt@capulet.lit", |_| true), Nobody, "{access:?}");
            assert_eq!(audience.contact("bot@capulet.lit", |_| true), Nobody, "{access:?}");
            assert_eq!(audience.own, Interested);
        }
    }

    #[test]
    fn subscribers_get_one_notification_whether_they_are_contacts_or_not() {
        let subscribers =
            ["romeo@montague.lit", "benvolio@montague.lit", "nurse@capulet.lit/chamber", "news.example", OWNER];
        let audience = audience(AccessModel::Open, &[], &subscribers);
        let is_contact = |jid: &str| jid == "romeo@montague.lit";
        let addresses: Vec<_> = audience.addresses(is_contact).collect();
        assert_eq!(addresses, ["benvolio@montague.lit", "nurse@capulet.lit/chamber", "news.example"]);
        assert_eq!(audience.contact("romeo@montague.lit", |_| false), Reach::InterestedOrBare);
        assert_eq!(audience.own, Reach::InterestedOrBare);
    }

    #[test]
    fn presence_based_delivery_is_for_those_who_are_there() {
        let mut audience = audience(AccessModel::Open, &[], &["romeo@montague.lit"]);
        audience.presence_based = true;
        assert_eq!(audience.addresses(|_| false).count(), 0);
        assert_eq!(audience.contact("romeo@montague.lit", |_| false), Reach::Interested);
    }

    #[test]
    fn the_message_of_xep_0163() {
        let payload = b"<tune xmlns='http://jabber.org/protocol/tune'><track>1</track></tune>";
        let mut notification = Notification {
            node: "http://jabber.org/protocol/tune".into(),
            message_type: MessageType::Headline,
            id: "tunefoo1".into(),
            content: published("http://jabber.org/protocol/tune", Some("a"), None, payload),
            reply_to: Some("juliet@capulet.lit/balcony".into()),
            audience: Audience::Address("romeo@montague.lit/orchard".into()),
        };
        let written = |notification: &Notification, to_contact| {
            let mut out = Vec::new();
            notification.write(&mut out, OWNER, "romeo@montague.lit/orchard", to_contact);
            assert!(out.len() <= notification.len_max(OWNER, "romeo@montague.lit/orchard"));
            String::from_utf8(out).unwrap()
        };
        let event = "<event xmlns='http://jabber.org/protocol/pubsub#event'>\
                     <items node='http://jabber.org/protocol/tune'><item id='a'>\
                     <tune xmlns='http://jabber.org/protocol/tune'><track>1</track></tune></item></items></event>";
        let start = "<message from='juliet@capulet.lit' to='romeo@montague.lit/orchard' id='tunefoo1' type='headline'>";
        assert_eq!(written(&notification, false), format!("{start}{event}</message>"));
        let addresses = "<addresses xmlns='http://jabber.org/protocol/address'>\
                         <address type='replyto' jid='juliet@capulet.lit/balcony'/></addresses>";
        assert_eq!(written(&notification, true), format!("{start}{event}{addresses}</message>"));
        notification.reply_to = None;
        delay(&mut notification.content, 1_071_360_000_000_000 - 83_000_000);
        let delay = "<delay xmlns='urn:xmpp:delay' stamp='2003-12-13T23:58:37Z'/>";
        assert_eq!(written(&notification, true), format!("{start}{event}{delay}</message>"));
    }

    #[test]
    fn the_other_events_of_xep_0060() {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let event = |inner: &str| format!("<event xmlns='http://jabber.org/protocol/pubsub#event'>{inner}</event>");
        assert_eq!(text(published("n", None, None, b"")), event("<items node='n'/>"));
        assert_eq!(
            text(retracted("n", ["a", "b"])),
            event("<items node='n'><retract id='a'/><retract id='b'/></items>")
        );
        assert_eq!(text(purged("n")), event("<purge node='n'/>"));
        assert_eq!(text(deleted("n", None)), event("<delete node='n'/>"));
        let redirect = event("<delete node='n'><redirect uri='xmpp:hamlet@denmark.lit?;node=blog'/></delete>");
        assert_eq!(text(deleted("n", Some("xmpp:hamlet@denmark.lit?;node=blog"))), redirect);
        let change = subscription("n", "horatio@denmark.lit", None);
        assert_eq!(text(change), event("<subscription node='n' jid='horatio@denmark.lit' subscription='none'/>"));
        let mut config = default_config(ServiceKind::Account, "n");
        config.payloads = false;
        assert_eq!(text(configured("n", &config)), event("<configuration node='n'/>"));
        config.payloads = true;
        assert!(text(configured("n", &config)).contains("<field var='pubsub#access_model'><value>presence</value>"));
    }
}
