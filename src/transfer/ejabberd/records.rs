//! Records of ejabberd's tables, and what each says of an account. The fields are those of its `include/*.hrl`.

use std::collections::HashMap;

use rondel_storage::preferences::{ArchivePreferences, LastActivity};
use rondel_storage::pubsub::{People, Subscription};
use rondel_storage::roster;

use super::index::Index;
use super::terms::Term;
use crate::account::roster::subscription;
use crate::pubsub::affiliation;
use crate::sasl::{Hash, ScramKeys};
use crate::transfer::pieces::PrivacyItem;
use crate::transfer::{Piece, pieces};
use crate::xml::{Element, escape, namespaces as ns};

/// What a record is of an account, in the order in which accounts are told.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Password,
    Contact,
    Privacy,
    Private,
    Vcard,
    Node,
    State,
    Item,
    ArchivePreferences,
    LastActivity,
    Offline,
    Archived,
}

/// The table of each kind, and the field that begins with the name and the domain of the account; of a node, the field
/// that ends with its number.
const TABLES: [(Kind, &str, &str); 12] = [
    (Kind::Password, "passwd", "us"),
    (Kind::Contact, "roster", "us"),
    (Kind::Privacy, "privacy", "us"),
    (Kind::Private, "private_storage", "usns"),
    (Kind::Vcard, "vcard", "us"),
    (Kind::Node, "pubsub_node", "nodeid"),
    (Kind::State, "pubsub_state", "stateid"),
    (Kind::Item, "pubsub_item", "itemid"),
    (Kind::ArchivePreferences, "archive_prefs", "us"),
    (Kind::LastActivity, "last_activity", "us"),
    (Kind::Offline, "offline_msg", "us"),
    (Kind::Archived, "archive_msg", "us"),
];

impl Kind {
    /// Of the records of a table, if accounts have them.
    pub fn of(table: &str) -> Option<Kind> {
        TABLES.iter().find(|(_, name, _)| *name == table).map(|(kind, ..)| *kind)
    }

    /// The name of its table.
    pub fn table(self) -> &'static str {
        TABLES[self as usize].1
    }

    fn key(self) -> &'static str {
        TABLES[self as usize].2
    }
}

/// What the fields of each table are called, as a dump says at its beginning.
pub fn tables(term: &Term) -> Option<HashMap<String, Vec<String>>> {
    let [name, tables] = term.tuple() else { return None };
    let fields = |table: &Term| {
        let [name, about] = table.tuple() else { return None };
        let is_it = |pair: &&Term| pair.tuple().first().and_then(Term::atom) == Some("attributes");
        let fields = about.list().iter().find(is_it)?.tuple().get(1)?.list();
        let fields: Option<Vec<String>> = fields.iter().map(|field| field.atom().map(str::to_owned)).collect();
        Some((name.atom()?.to_owned(), fields?))
    };
    (name.atom() == Some("tables")).then(|| tables.list().iter().map(fields).collect())?
}

/// A record of a table.
pub struct Record<'t> {
    table: Option<&'t str>,
    names: &'t [String],
    fields: &'t [Term],
}

impl<'t> Record<'t> {
    /// A term, which has the name of its table before its fields.
    pub fn new(tables: &'t HashMap<String, Vec<String>>, term: &'t Term) -> Record<'t> {
        let known = term.tuple().split_first().and_then(|(name, fields)| {
            let (name, names) = tables.get_key_value(name.atom()?)?;
            Some(Record { table: Some(name), names, fields })
        });
        known.unwrap_or(Record { table: None, names: &[], fields: &[] })
    }

    /// The table, if it is one.
    pub fn table(&self) -> Option<&'t str> {
        self.table
    }

    fn get(&self, name: &str) -> Option<&'t Term> {
        self.fields.get(self.names.iter().position(|known| known == name)?)
    }

    fn text(&self, name: &str) -> Option<&'t str> {
        self.get(name)?.text()
    }

    fn atom(&self, name: &str) -> Option<&'t str> {
        self.get(name)?.atom()
    }

    fn list(&self, name: &str) -> &'t [Term] {
        self.get(name).map(Term::list).unwrap_or_default()
    }

    /// The bare address of the account that it belongs to.
    pub fn whose(&self, kind: Kind) -> Option<String> {
        let key = self.get(kind.key())?;
        let account = if kind == Kind::Node { key.tuple().first()? } else { key };
        address(account, false).filter(|jid| jid.contains('@'))
    }

    /// The number and the name of the node that it is.
    pub fn node(&self) -> Option<(u64, String)> {
        Some((self.get("id")?.number()?, self.get("nodeid")?.tuple().get(1)?.text()?.to_owned()))
    }

    /// The number of the node that it belongs to, and what it comes after there.
    pub fn of_node(&self, kind: Kind) -> Option<(u64, u64)> {
        let node = self.get(kind.key())?.tuple().last()?.number()?;
        Some((node, self.order(kind)))
    }

    /// The room that it is.
    pub fn room(&self) -> Option<String> {
        address(self.get("name_host")?, false)
    }

    /// What it comes after, of others of its kind: for what has a time, microseconds since 1970.
    pub fn order(&self, kind: Kind) -> u64 {
        let time = match kind {
            Kind::Item => self.get("modification").and_then(|by| by.tuple().first()),
            Kind::Offline | Kind::Archived => self.get("timestamp"),
            // Addresses with a resource, of which a bare one is made, do not take the place of one that was bare.
            Kind::Contact => {
                let resource = self.get("jid").and_then(|jid| jid.tuple().get(2)).and_then(Term::text);
                return u64::from(resource.is_none_or(str::is_empty));
            }
            _ => None,
        };
        time.and_then(time_us).unwrap_or_default()
    }
}

/// What a record says of the account at this time, in microseconds since 1970. None if it is not as its table has it.
pub fn pieces(kind: Kind, record: &Record, account: &str, index: &Index, now_us: u64) -> Option<Vec<Piece>> {
    let one = match kind {
        // What nobody wants to have any more.
        Kind::Offline if record.get("expire").and_then(time_us).is_some_and(|expire_us| expire_us <= now_us) => {
            return Some(Vec::new());
        }
        Kind::Password => password(record.get("password")?)?,
        Kind::Contact => return contact(record, account),
        Kind::Privacy => return Some(privacy(record)),
        Kind::Private => Piece::Private(element(record.get("xml")?)?),
        Kind::Vcard => Piece::Vcard(element(record.get("vcard")?)?),
        Kind::Node => {
            let (_, name) = record.node()?;
            let config = pieces::configured(&name, record.list("options").iter().filter_map(option));
            Piece::Node { name, config: Some(Box::new(config)), people: People::default() }
        }
        Kind::State => state(record, account, index)?,
        Kind::Item => item(record, index)?,
        Kind::ArchivePreferences => archive_preferences(record),
        Kind::LastActivity => {
            let status = record.text("status").unwrap_or_default().to_owned();
            Piece::LastActivity(LastActivity { at: record.get("timestamp")?.number()?, status })
        }
        Kind::Offline => {
            let message = element(record.get("packet")?)?.without_children("delay", ns::DELAY);
            let end = |message: Element, name: &str| match record.get(name).and_then(|term| address(term, true)) {
                Some(jid) if message.attribute(name).is_none() => message.with_attribute(name, &jid),
                _ => message,
            };
            let message = end(end(message, "from"), "to");
            Piece::Offline { arrived_s: record.order(kind) / 1_000_000, stanza: pieces::stanza(&message) }
        }
        Kind::Archived => pieces::archived_at(record.order(kind), &element(record.get("packet")?)?, false),
    };
    Some(vec![one])
}

/// A password, or what proves it: `{scram, StoredKey, ServerKey, Salt, Hash, Iterations}`, without a hash where
/// ejabberd knew none but SHA-1.
fn password(term: &Term) -> Option<Piece> {
    if let Some(password) = term.text() {
        return Some(Piece::Password(password.to_owned()));
    }
    let [name, rest @ ..] = term.tuple() else { return None };
    let (parts, hash, iterations) = match rest {
        [stored_key, server_key, salt, iterations] => ([stored_key, server_key, salt], "sha", iterations),
        [stored_key, server_key, salt, hash, iterations] => ([stored_key, server_key, salt], hash.atom()?, iterations),
        _ => return None,
    };
    let hash = match hash {
        "sha" => Hash::Sha1,
        "sha256" => Hash::Sha256,
        "sha512" => Hash::Sha512,
        _ => return None,
    };
    let [stored_key, server_key, salt] = parts.map(Term::text);
    let keys: Option<ScramKeys> =
        pieces::keys(hash, &iterations.number()?.to_string(), &[stored_key?, server_key?, salt?]);
    keys.filter(|_| name.atom() == Some("scram")).map(Piece::Keys)
}

fn contact(record: &Record, account: &str) -> Option<Vec<Piece>> {
    let jid = address(record.get("jid")?, false)?;
    let (name, ask) = (record.atom("subscription")?, record.atom("ask")?);
    let mut told = Vec::new();
    let asks = matches!(ask, "in" | "both");
    // Who asks, and is not answered, is no contact for that.
    if name != "none" || ask != "in" {
        let groups = record.list("groups").iter().filter_map(|group| Some(group.text()?.to_owned()));
        let item = roster::Item {
            name: record.text("name").unwrap_or_default().to_owned(),
            groups: groups.filter(|group| !group.is_empty()).collect(),
            subscription: subscription(name).unwrap_or_default(),
            ask: matches!(ask, "out" | "both" | "subscribe"),
            approved: record.atom("approved") == Some("true"),
            listed: true,
            ..roster::Item::default()
        };
        told.push(Piece::Contact { jid: jid.clone(), item });
    }
    if asks {
        let mut presence = Element::new("presence", ns::CLIENT)
            .with_attribute("from", &jid)
            .with_attribute("to", account)
            .with_attribute("type", "subscribe");
        if let Some(status) = record.text("askmessage").filter(|status| !status.is_empty()) {
            presence = presence.with_child(Element::new("status", ns::CLIENT).with_text(status));
        }
        told.push(Piece::SubscriptionRequest { from: jid, stanza: pieces::stanza(&presence) });
    }
    Some(told)
}

/// The list that holds by default of those that say who is denied what.
fn privacy(record: &Record) -> Vec<Piece> {
    let default = record.text("default");
    let lists = record.list("lists").iter().map(Term::tuple);
    let items = lists.filter_map(|list| match list {
        [name, items] if name.text().is_some() && name.text() == default => Some(items.list()),
        _ => None,
    });
    let items = items.flatten().filter_map(|item| match item.tuple() {
        [_, kind, value, action, order, all, _, message, ..] => Some(PrivacyItem {
            order: order.number().unwrap_or_default(),
            is_deny: action.atom() == Some("deny"),
            is_everything: [all, message].iter().any(|is_set| is_set.atom() == Some("true")),
            kind: kind.atom()?,
            jid: address(value, true),
        }),
        _ => None,
    });
    pieces::denied(items.collect())
}

/// Who else has to do with a node of the account.
fn state(record: &Record, account: &str, index: &Index) -> Option<Piece> {
    let [whose, node] = record.get("stateid")?.tuple() else { return None };
    let name = index.node(node.number()?)?.to_owned();
    let mut people = People::default();
    let (bare, full) = (address(whose, false)?, address(whose, true)?);
    if bare != account {
        let affiliation = record.atom("affiliation")?.replace('_', "-");
        people.affiliations.extend(pieces::affiliated(&bare, &affiliation));
    }
    let state = |held: &Term| affiliation::parse_state(held.tuple().first()?.atom()?);
    let state = record.list("subscriptions").iter().find_map(state);
    people.subscriptions.extend(state.map(|state| Subscription { jid: full, state }));
    Some(Piece::Node { name, config: None, people })
}

fn item(record: &Record, index: &Index) -> Option<Piece> {
    let [id, node] = record.get("itemid")?.tuple() else { return None };
    let publisher = record.get("modification").and_then(|by| address(by.tuple().get(1)?, false));
    Some(Piece::Item {
        node: index.node(node.number()?)?.to_owned(),
        id: id.text()?.to_owned(),
        payload: record.list("payload").iter().find_map(element),
        publisher,
        at_us: Some(record.order(Kind::Item)).filter(|at_us| *at_us > 0),
    })
}

/// An option of a node, with its values as a form has them.
fn option(option: &Term) -> Option<(&str, Vec<String>)> {
    let [name, value] = option.tuple() else { return None };
    let value = match value {
        // As many as there may be.
        Term::Atom(value) if matches!(&**value, "infinity" | "unlimited") => "max".to_owned(),
        Term::Atom(value) => value.clone(),
        Term::Bytes(_) => value.text()?.to_owned(),
        Term::List(values) => {
            let values = values.iter().filter_map(|value| Some(value.text()?.to_owned()));
            return Some((name.atom()?, values.collect()));
        }
        _ => value.number()?.to_string(),
    };
    Some((name.atom()?, vec![value]))
}

fn archive_preferences(record: &Record) -> Piece {
    let list = |name: &str| record.list(name).iter().filter_map(|jid| address(jid, true)).collect();
    let default = pieces::archive_default(record.atom("default"));
    Piece::ArchivePreferences(ArchivePreferences { default, always: list("always"), never: list("never") })
}

/// An address: `{User, Server}`, `{User, Server, Resource}`, or the same behind the word `jid`, with more behind it.
fn address(term: &Term, with_resource: bool) -> Option<String> {
    let parts = match term.tuple() {
        [Term::Atom(name), rest @ ..] if name == "jid" => rest,
        parts => parts,
    };
    let (local, domain) = (parts.first()?.text()?, parts.get(1)?.text()?);
    let resource = parts.get(2).and_then(Term::text).filter(|resource| with_resource && !resource.is_empty());
    let local = if local.is_empty() { String::new() } else { format!("{local}@") };
    let resource = resource.map(|resource| format!("/{resource}")).unwrap_or_default();
    pieces::address(&format!("{local}{domain}{resource}"))
}

/// A time, in microseconds since 1970: `{Megaseconds, Seconds, Microseconds}`.
fn time_us(term: &Term) -> Option<u64> {
    let [mega, seconds, micro] = term.tuple() else { return None };
    let seconds = mega.number()?.checked_mul(1_000_000)?.checked_add(seconds.number()?)?;
    seconds.checked_mul(1_000_000)?.checked_add(micro.number()?)
}

/// An element: `{xmlel, Name, [{Attribute, Value}], [Content]}`.
fn element(term: &Term) -> Option<Element> {
    let mut xml = Vec::new();
    write(term, &mut xml)?;
    Element::parse(&xml).ok()
}

fn write(term: &Term, xml: &mut Vec<u8>) -> Option<()> {
    match term.tuple() {
        [Term::Atom(kind), name, attributes, content] if kind == "xmlel" => {
            xml.push(b'<');
            xml.extend_from_slice(name.text()?.as_bytes());
            for attribute in attributes.list() {
                let [name, value] = attribute.tuple() else { return None };
                xml.push(b' ');
                xml.extend_from_slice(name.text()?.as_bytes());
                xml.extend_from_slice(b"='");
                escape::attribute(xml, value.text()?);
                xml.push(b'\'');
            }
            xml.push(b'>');
            content.list().iter().try_for_each(|term| write(term, xml))?;
            xml.extend_from_slice(b"</");
            xml.extend_from_slice(name.text()?.as_bytes());
            xml.push(b'>');
            Some(())
        }
        [Term::Atom(kind), text] if kind == "xmlcdata" => {
            escape::text(xml, text.text()?);
            Some(())
        }
        _ => None,
    }
}
