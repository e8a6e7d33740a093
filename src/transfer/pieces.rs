//! What single elements of XEP-0227 say of an account; the same elements stand in what other servers keep.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rondel_storage::accounts::Role;
use rondel_storage::preferences::{ArchiveDefault, ArchivePreferences, LastActivity};
use rondel_storage::pubsub::{Affiliation, NodeConfig, People, Subscription};
use rondel_storage::roster;

use super::export::PIE_SCRAM;
use super::{Archived, OWN, Piece, Standing};
use crate::account::roster::subscription;
use crate::admin::mechanism_name;
use crate::datetime;
use crate::jid::{Jid, bare_of, domain_of};
use crate::pubsub::{PubsubLimits, ServiceKind, Submission, affiliation, default_config};
use crate::sasl::{Hash, ScramKeys};
use crate::xml::{Content, Element, Scratch, namespaces as ns, write_without};

/// The namespace that archives had before XEP-0313 was one, in which ejabberd still says what it has archived.
const FORMER_ARCHIVE: &str = "urn:xmpp:mam:tmp";

/// What was read and is not known here: names with namespaces, and how often.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unknown(BTreeMap<String, u64>);

/// Kinds of unknown things that are told apart.
const UNKNOWN_MAX: usize = 100;

impl Unknown {
    /// Something that is not known here.
    pub fn note(&mut self, element: &Element) {
        let name = format!("<{} xmlns='{}'>", element.name, element.namespace);
        if self.0.len() < UNKNOWN_MAX || self.0.contains_key(&name) {
            *self.0.entry(name).or_default() += 1;
        }
    }

    /// Each, and how often it was met.
    pub fn all(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, times)| (&**name, *times))
    }
}

/// What a child of `<user/>` says that comes in one piece.
pub fn of_user(element: &Element, unknown: &mut Unknown) -> Vec<Piece> {
    let pieces = match (&*element.name, &*element.namespace) {
        ("scram-credentials", PIE_SCRAM) => credentials(element).map(|keys| vec![Piece::Keys(keys)]),
        ("account", OWN) => Some(vec![Piece::Standing(standing(element))]),
        ("last-activity", OWN) => {
            moment_s(element, "at").map(|at| vec![Piece::LastActivity(LastActivity { at, status: element.text() })])
        }
        ("vCard", ns::VCARD) => Some(vec![Piece::Vcard(element.clone())]),
        ("blocklist", ns::BLOCKING) => Some(blocklist(element)),
        ("query", "jabber:iq:privacy") => Some(privacy(element)),
        ("presence", ns::CLIENT) => request(element).map(|piece| vec![piece]),
        ("prefs", ns::ARCHIVE) => Some(vec![Piece::ArchivePreferences(archive_preferences(element))]),
        _ => None,
    };
    pieces.unwrap_or_else(|| {
        unknown.note(element);
        Vec::new()
    })
}

/// SCRAM keys (XEP-0227 §4.3).
fn credentials(element: &Element) -> Option<ScramKeys> {
    let text = |name| element.child(name, PIE_SCRAM).map(|child| child.text().trim().to_owned());
    let mechanism = element.attribute("mechanism")?;
    let hash = Hash::ALL.into_iter().find(|hash| mechanism_name(*hash) == mechanism)?;
    let parts = [text("stored-key")?, text("server-key")?, text("salt")?];
    keys(hash, &text("iter-count")?, &parts.each_ref().map(String::as_str))
}

/// What the attribute `password` says: a password, or keys as ejabberd wrote them there before it had an element for
/// them: `scram:` or `scram:sha256,`, then stored key, server key, salt and iterations.
pub fn password(value: &str) -> Piece {
    as_keys(value).map_or_else(|| Piece::Password(value.to_owned()), Piece::Keys)
}

fn as_keys(value: &str) -> Option<ScramKeys> {
    let parts: Vec<&str> = value.strip_prefix("scram:")?.split(',').collect();
    let (hash, [stored_key, server_key, salt, iterations]) = match parts[..] {
        [stored_key, server_key, salt, iterations] => (Hash::Sha1, [stored_key, server_key, salt, iterations]),
        ["sha256", ref rest @ ..] => (Hash::Sha256, rest.try_into().ok()?),
        ["sha512", ref rest @ ..] => (Hash::Sha512, rest.try_into().ok()?),
        _ => return None,
    };
    keys(hash, iterations, &[stored_key, server_key, salt])
}

/// Keys: the stored one, the server's and the salt in Base64. ejabberd encodes what it has in Base64 once more, which
/// is seen by how long a key is then.
pub fn keys(hash: Hash, iterations: &str, parts: &[&str; 3]) -> Option<ScramKeys> {
    let decode = |text: &[u8]| BASE64.decode(text).ok();
    let [mut stored_key, mut server_key, mut salt] = parts.map(|part| decode(part.as_bytes()));
    if stored_key.as_ref().is_some_and(|key| key.len() != hash.bytes()) {
        [stored_key, server_key, salt] = [stored_key, server_key, salt].map(|part| decode(&part?));
    }
    let (stored_key, server_key, salt) = (stored_key?, server_key?, salt?);
    checked(ScramKeys { hash, salt, iterations: iterations.parse().ok()?, stored_key, server_key })
}

/// Rounds of hashing that keys may have, and bytes of their salt. Each try of a password costs the server as many
/// rounds, so that a file must not say how many that are as it likes.
const ROUNDS_MAX: u32 = 1_000_000;
const SALT_BYTES_MAX: usize = 64;

/// Keys that can be logged in with.
pub fn checked(keys: ScramKeys) -> Option<ScramKeys> {
    let has_its_length = [&keys.stored_key, &keys.server_key].iter().all(|key| key.len() == keys.hash.bytes());
    let is_usual = (1..=ROUNDS_MAX).contains(&keys.iterations) && (1..=SALT_BYTES_MAX).contains(&keys.salt.len());
    (has_its_length && is_usual).then_some(keys)
}

fn moment_s(element: &Element, attribute: &str) -> Option<u64> {
    match element.attribute(attribute)? {
        "always" => Some(u64::MAX),
        text => u64::try_from(datetime::parse(text)?.us / 1_000_000).ok(),
    }
}

fn standing(element: &Element) -> Standing {
    let disabled = moment_s(element, "disabled-since");
    Standing {
        created_s: moment_s(element, "created"),
        // Who administers a server is said on that server, not in a file that may be a user's.
        role: Role::Member,
        disabled: disabled.map(|since_s| (since_s, element.text(), moment_s(element, "disabled-until"))),
        muted_until_s: moment_s(element, "muted-until"),
        limited_until_s: moment_s(element, "limited-until"),
        is_trusted: element.attribute("trusted") == Some("true"),
    }
}

/// A contact, as a roster has it (RFC 6121 §2.1.2).
pub fn contact(element: &Element) -> Option<Piece> {
    let jid = bare(element.attribute("jid")?)?;
    let name = element.attribute("subscription").unwrap_or_default();
    if name == "remove" {
        return None;
    }
    let groups = element.children().filter(|child| child.name == "group").map(Element::text);
    let item = roster::Item {
        name: element.attribute("name").unwrap_or_default().to_owned(),
        groups: groups.filter(|group| !group.is_empty()).collect(),
        subscription: subscription(name).unwrap_or_default(),
        ask: element.attribute("ask") == Some("subscribe"),
        approved: matches!(element.attribute("approved"), Some("true" | "1")),
        listed: true,
        ..roster::Item::default()
    };
    Some(Piece::Contact { jid, item })
}

/// Somebody asks to become a contact.
fn request(element: &Element) -> Option<Piece> {
    if element.attribute("type") != Some("subscribe") {
        return None;
    }
    let from = bare(element.attribute("from")?)?;
    Some(Piece::SubscriptionRequest { from, stanza: stanza(element) })
}

fn blocklist(element: &Element) -> Vec<Piece> {
    element.children().filter_map(|item| Some(Piece::Block(address(item.attribute("jid")?)?))).collect()
}

/// The default list of those that say who is denied what (XEP-0016).
fn privacy(element: &Element) -> Vec<Piece> {
    const PRIVACY: &str = "jabber:iq:privacy";
    let default = element.child("default", PRIVACY).and_then(|default| default.attribute("name"));
    let lists = element.children().filter(|list| list.name == "list" && list.attribute("name") == default);
    let items = lists.flat_map(Element::children).map(|item| PrivacyItem {
        order: item.attribute("order").and_then(|order| order.parse().ok()).unwrap_or_default(),
        is_deny: item.attribute("action") == Some("deny"),
        is_everything: item.children().next().is_none() || item.child("message", PRIVACY).is_some(),
        kind: item.attribute("type").unwrap_or("none"),
        jid: item.attribute("value").and_then(address),
    });
    denied(items.collect())
}

/// An item of a privacy list (XEP-0016 §2.1).
pub struct PrivacyItem<'l> {
    /// Items with a smaller one come first.
    pub order: u64,
    /// Whether it denies, or allows.
    pub is_deny: bool,
    /// Whether it holds for all stanzas, or for messages, without which the rest is of no use.
    pub is_everything: bool,
    /// Whom it concerns: `none` is everybody, `jid` an address.
    pub kind: &'l str,
    /// The address.
    pub jid: Option<String>,
}

/// Those who are denied everything, or messages, by a privacy list of which the first item that fits holds. What else
/// such a list can say nobody here understands: XEP-0191 has taken the place of XEP-0016.
pub fn denied(mut items: Vec<PrivacyItem>) -> Vec<Piece> {
    items.sort_by_key(|item| item.order);
    let mut allowed: Vec<String> = Vec::new();
    let mut blocked = Vec::new();
    for item in items.into_iter().filter(|item| item.is_everything) {
        match (item.kind, item.is_deny, item.jid) {
            ("none", false, _) => break,
            ("jid", false, Some(jid)) => allowed.push(jid),
            // Blocking has no exceptions.
            ("jid", true, Some(jid)) if !allowed.iter().any(|other| is_of(other, &jid)) => blocked.push(jid),
            _ => {}
        }
    }
    blocked.into_iter().map(Piece::Block).collect()
}

/// Whether an address is another one, or one of its resources or of the accounts of its domain.
fn is_of(jid: &str, other: &str) -> bool {
    let bare = bare_of(jid);
    [jid, bare, domain_of(bare)].contains(&other)
}

/// Since when and why an account is banned, as ejabberd keeps that among what clients keep (`ban_account`).
pub fn ban(element: &Element) -> Option<(u64, String)> {
    const BANNED: &str = "jabber:ejabberd:banned";
    if element.name != "banned" || element.namespace != BANNED {
        return None;
    }
    // Its children were written without their namespace.
    let text = |name: &str| element.children().find(|child| child.name == name).map(Element::text);
    let since = text("bandate").and_then(|date| u64::try_from(datetime::parse(&date)?.us / 1_000_000).ok());
    Some((since.unwrap_or_default(), text("reason").unwrap_or_default()))
}

/// What is archived of messages with those who are in no list (XEP-0441 §2).
pub fn archive_default(name: Option<&str>) -> ArchiveDefault {
    match name {
        Some("never") => ArchiveDefault::Never,
        Some("roster") => ArchiveDefault::Roster,
        _ => ArchiveDefault::Always,
    }
}

fn archive_preferences(element: &Element) -> ArchivePreferences {
    let list = |name| {
        let jids = element.child(name, ns::ARCHIVE).into_iter().flat_map(Element::children).map(Element::text);
        jids.filter_map(|jid| address(&jid)).collect()
    };
    let default = archive_default(element.attribute("default"));
    ArchivePreferences { default, always: list("always"), never: list("never") }
}

/// A message that waits.
pub fn offline(element: &Element) -> Option<Piece> {
    if element.name != "message" {
        return None;
    }
    let delay = element.child("delay", ns::DELAY).and_then(|delay| moment_s(delay, "stamp"));
    // What says when it came is written anew when it is delivered.
    let kept = if delay.is_some() { element.clone().without_children("delay", ns::DELAY) } else { element.clone() };
    Some(Piece::Offline { arrived_s: delay.unwrap_or_default(), stanza: stanza(&kept) })
}

/// A message of an archive (XEP-0227 §4.10): whose it is, is told by its addresses. The account is not known here.
pub fn archived(element: &Element) -> Option<Piece> {
    let forwarded = element.child("forwarded", ns::FORWARD)?;
    let stamp = forwarded.child("delay", ns::DELAY)?.attribute("stamp")?;
    let at_us = u64::try_from(datetime::parse(stamp)?.us).ok()?;
    let message = forwarded.child("message", ns::CLIENT)?;
    let is_tombstone = element.attribute_in(OWN, "tombstone") == Some("true");
    Some(archived_at(at_us, message, is_tombstone))
}

/// A message that was archived at this time, in microseconds since 1970.
pub fn archived_at(at_us: u64, message: &Element, is_tombstone: bool) -> Piece {
    let address = |name| message.attribute(name).and_then(bare);
    let (from, to) = (address("from"), address("to"));
    Piece::Archived(Archived { at_us, from, to, is_tombstone, stanza: stanza(message) })
}

/// An element as it stands in a client's stream.
pub fn stanza(element: &Element) -> Vec<u8> {
    let mut bytes = Vec::new();
    element.write_to(&mut bytes, ns::CLIENT);
    bytes
}

/// A node's configuration, or who has to do with it, which stand one after the other.
pub fn node(element: &Element) -> Option<Piece> {
    let name = element.attribute("node").filter(|name| !name.is_empty())?.to_owned();
    let mut config = None;
    let mut people = People::default();
    match &*element.name {
        "configure" => {
            let mut configured = default_config(ServiceKind::Account, &name);
            if let Some(form) = element.child("x", ns::DATA_FORMS) {
                configure(&mut configured, form);
            }
            config = Some(Box::new(configured));
        }
        "affiliations" => {
            let each = element
                .children()
                .filter_map(|child| affiliated(child.attribute("jid")?, child.attribute("affiliation")?));
            people.affiliations = each.collect();
        }
        "subscriptions" => {
            let each = element.children().filter_map(|child| {
                let state = affiliation::parse_state(child.attribute("subscription")?)?;
                Some(Subscription { jid: address(child.attribute("jid")?)?, state })
            });
            people.subscriptions = each.collect();
        }
        _ => return None,
    }
    Some(Piece::Node { name, config, people })
}

/// Who has an affiliation to a node, and which.
pub fn affiliated(jid: &str, name: &str) -> Option<(String, Affiliation)> {
    let held = affiliation::parse(name).filter(|held| *held != Affiliation::None)?;
    Some((bare(jid)?, held))
}

/// Takes from a form what is understood (XEP-0227 §4.9.1: the rest is ignored).
pub fn configure(config: &mut NodeConfig, form: &Element) {
    if let Some(written) = Submission::written(form) {
        written.configure_known(config);
    }
}

/// The configuration of a node of which the options have these names, without `pubsub#`, and these values.
pub fn configured<'n>(node: &str, options: impl Iterator<Item = (&'n str, Vec<String>)>) -> NodeConfig {
    let items_max = PubsubLimits::default().items_max_per_node;
    let options = options.map(|(name, mut values)| {
        // One who wants more than there may be wants as many as there may be.
        if name == "max_items"
            && values.iter().any(|value| value.parse().is_ok_and(|count: u64| count > items_max.into()))
        {
            values = vec!["max".to_owned()];
        }
        (format!("pubsub#{name}"), values)
    });
    let mut config = default_config(ServiceKind::Account, node);
    Submission::of_values(options).configure_known(&mut config);
    config
}

/// An item of a node.
pub fn item(node: &str, element: &Element) -> Option<Piece> {
    if element.name != "item" {
        return None;
    }
    let at_us = element.attribute_in(OWN, "published").and_then(|text| u64::try_from(datetime::parse(text)?.us).ok());
    Some(Piece::Item {
        node: node.to_owned(),
        id: element.attribute("id").unwrap_or_default().to_owned(),
        payload: element.children().next().cloned(),
        publisher: element.attribute("publisher").and_then(bare),
        at_us,
    })
}

/// An address in its normal form.
pub fn address(jid: &str) -> Option<String> {
    Some(Jid::parse(jid).ok()?.as_str().to_owned())
}

/// The bare address, in its normal form.
pub fn bare(jid: &str) -> Option<String> {
    Some(Jid::parse(jid).ok()?.bare().to_owned())
}

/// A message without the ids that the archive of this account had given it elsewhere (XEP-0359 §3): nobody would find
/// it under them any more.
pub fn without_ids(message: Vec<u8>, account: &str) -> Vec<u8> {
    let mut scratch = Scratch::default();
    let Some(frame) = scratch.finished(&message, Content::Client) else { return message };
    let mut without = Vec::with_capacity(message.len());
    write_without(&mut without, &frame, |child| match (child.name(), child.namespace()) {
        ("stanza-id", ns::STANZA_IDS) | ("archived", FORMER_ARCHIVE) => {
            child.attribute("by").is_some_and(|by| bare(&by.decoded()).as_deref() == Some(account))
        }
        _ => false,
    });
    without
}
