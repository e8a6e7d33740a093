//! Reading the data directory of a Prosody that keeps its data in files (`storage = "internal"`, its default): a folder
//! for each host, in it one for each kind of data, in it a file for each account.
//!
//! Names of folders and files are written as in URLs, in lower case: `example%2eorg/accounts/juliet.dat`. A `.dat` file
//! returns one value, a `.list` file has items one after the other. Stanzas are tables with `name`, `attr` and their
//! content.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rondel_storage::preferences::{ArchiveDefault, ArchivePreferences};
use rondel_storage::pubsub::People;
use rondel_storage::roster;

use super::lua::{Lua, Table, Value};
use super::{Found, Piece, Standing, percent_decoded, pieces};
use crate::account::roster::subscription;
use crate::datetime;
use crate::hex;
use crate::sasl::{Hash, ScramKeys};
use crate::xml::{Element, namespaces as ns};

/// The kinds of data that are read of accounts and of rooms, and one that Prosody makes of them by itself.
const KINDS: [&str; 11] = [
    "accounts",
    "roster",
    "blocklist",
    "private",
    "vcard",
    "pep",
    "archive_prefs",
    "offline",
    "archive",
    "config",
    "archive_cleanup",
];

/// What the items of a node of personal eventing are a kind of begins so.
const NODE: &str = "pep_";

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum NotProsody {
    /// There are no accounts.
    #[error("{}: has no accounts of Prosody; its data_path is meant, with a folder for each host", .0.display())]
    Nothing(PathBuf),
    /// Something cannot be read.
    #[error("{}: {text}", .path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why not.
        text: String,
    },
    /// Whoever takes the pieces has enough.
    #[error("{0}")]
    Ended(String),
}

/// Reads a data directory.
pub struct Prosody<'t> {
    tell: &'t mut dyn FnMut(Piece) -> Result<(), String>,
    found: Found,
}

impl<'t> Prosody<'t> {
    /// Whoever is told of each piece may end it all.
    pub fn new(tell: &'t mut dyn FnMut(Piece) -> Result<(), String>) -> Prosody<'t> {
        Prosody { tell, found: Found::default() }
    }

    /// Reads all hosts.
    pub fn read(mut self, data: &Path) -> Result<Found, NotProsody> {
        let mut is_there = false;
        for (folder, host) in named(data)? {
            if !folder.is_dir() {
                continue;
            }
            self.rooms(&folder, &host);
            let accounts = folder.join("accounts");
            if !accounts.is_dir() {
                continue;
            }
            is_there = true;
            self.unknown(&folder);
            for (file, local) in named(&accounts)? {
                if has_extension(&file, "dat") {
                    self.account(&folder, &local, &host).map_err(NotProsody::Ended)?;
                }
            }
        }
        if is_there { Ok(self.found) } else { Err(NotProsody::Nothing(data.to_owned())) }
    }

    /// The rooms of a host: each has a file with its configuration.
    fn rooms(&mut self, host: &Path, domain: &str) {
        let folder = host.join("config");
        let rooms = if folder.is_dir() { self.told(&folder) } else { Vec::new() };
        let rooms = rooms.into_iter().filter(|(file, _)| has_extension(file, "dat"));
        rooms.for_each(|(_, room)| self.found.rooms.add(format!("{room}@{domain}")));
    }

    /// The entries of a folder of which nothing is imported: none if it cannot be read, which is no reason to stop.
    fn told(&mut self, folder: &Path) -> Vec<(PathBuf, String)> {
        named(folder).unwrap_or_else(|error| self.unreadable(folder, &error.to_string()).unwrap_or_default())
    }

    /// What of a host with accounts is left out.
    fn unknown(&mut self, host: &Path) {
        for (folder, kind) in self.told(host) {
            if folder.is_dir() && !KINDS.contains(&&*kind) && !kind.starts_with(NODE) {
                let number = self.told(&folder).len() as u64;
                *self.found.unknown.entry(format!("{kind}/")).or_default() += number;
            }
        }
    }

    fn account(&mut self, host: &Path, local: &str, domain: &str) -> Result<(), String> {
        let Some(account) = self.value(host, "accounts", local) else { return Ok(()) };
        (self.tell)(Piece::Begin { local: local.to_owned(), domain: domain.to_owned() })?;
        if let Some(table) = account.table() {
            if let Some(password) = table.text("password").filter(|password| !password.is_empty()) {
                (self.tell)(Piece::Password(password.to_owned()))?;
            }
            if let Some(keys) = keys(table) {
                (self.tell)(Piece::Keys(keys))?;
            }
            let seconds = |name| table.get(name).and_then(Value::number).map(|number| number as u64);
            let disabled = table.get("disabled") == Some(&Value::Boolean(true));
            let disabled = disabled.then(|| (seconds("updated").unwrap_or(0), "disabled in Prosody".to_owned(), None));
            let standing = Standing { created_s: seconds("created"), disabled, ..Standing::default() };
            (self.tell)(Piece::Standing(standing))?;
        }
        self.roster(host, local)?;
        self.blocklist(host, local)?;
        if let Some(Value::Table(private)) = self.value(host, "private", local) {
            let elements = private.named.iter().filter_map(|(_, value)| element(value.table()?, ns::CLIENT));
            elements.map(Piece::Private).try_for_each(&mut *self.tell)?;
        }
        if let Some(Value::Table(card)) = self.value(host, "vcard", local)
            && let Some(card) = element(&card, ns::CLIENT)
        {
            (self.tell)(Piece::Vcard(card))?;
        }
        self.eventing(host, local)?;
        if let Some(Value::Table(preferences)) = self.value(host, "archive_prefs", local) {
            (self.tell)(Piece::ArchivePreferences(archive_preferences(&preferences)))?;
        }
        self.items(host, "offline", local, |item| {
            let stanza = pieces::stanza(&stored(item)?.without_children("delay", ns::DELAY));
            Some(Piece::Offline { arrived_s: when_us(item)? / 1_000_000, stanza })
        })?;
        self.items(host, "archive", local, |item| Some(pieces::archived_at(when_us(item)?, &stored(item)?, false)))?;
        (self.tell)(Piece::End)
    }

    fn roster(&mut self, host: &Path, local: &str) -> Result<(), String> {
        let Some(Value::Table(contacts)) = self.value(host, "roster", local) else { return Ok(()) };
        for (jid, contact) in contacts.texts() {
            if let (Some(jid), Some(contact)) = (pieces::bare(jid), contact.table()) {
                // Before 0.10 requests stood among the contacts.
                if contact.text("subscription").is_some() {
                    (self.tell)(Piece::Contact { jid, item: roster_item(contact) })?;
                }
            }
        }
        let pending = contacts.about().and_then(|about| about.get("pending")).or(contacts.get("pending"));
        for (from, request) in pending.and_then(Value::table).into_iter().flat_map(Table::texts) {
            let Some(from) = pieces::bare(from) else { continue };
            let presence = request.table().and_then(|table| element(table, ns::CLIENT));
            let stanza = presence.as_ref().map(pieces::stanza).unwrap_or_default();
            (self.tell)(Piece::SubscriptionRequest { from, stanza })?;
        }
        Ok(())
    }

    fn blocklist(&mut self, host: &Path, local: &str) -> Result<(), String> {
        let Some(Value::Table(list)) = self.value(host, "blocklist", local) else { return Ok(()) };
        let jids = list.texts().filter_map(|(jid, _)| pieces::address(jid));
        jids.map(Piece::Block).try_for_each(&mut *self.tell)
    }

    fn eventing(&mut self, host: &Path, local: &str) -> Result<(), String> {
        let Some(Value::Table(nodes)) = self.value(host, "pep", local) else { return Ok(()) };
        for (name, node) in nodes.texts() {
            (self.tell)(self::node(name, node))?;
        }
        for (name, _) in nodes.texts() {
            let store = format!("{NODE}{name}");
            self.items(host, &store, local, |item| {
                // The payload alone; its id and whose it is stand beside it.
                Some(Piece::Item {
                    node: name.to_owned(),
                    id: item.text("key")?.to_owned(),
                    payload: Some(stored(item)?),
                    publisher: item.text("with").and_then(pieces::bare),
                    at_us: when_us(item),
                })
            })?;
        }
        Ok(())
    }

    /// The value of a kind of data of an account, if there is one.
    fn value(&mut self, host: &Path, kind: &str, local: &str) -> Option<Value> {
        let path = file(host, kind, local, "dat");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => return self.unreadable(&path, &error.to_string()),
        };
        match Lua::of(file).returned() {
            Ok(value) => Some(value),
            Err(text) => self.unreadable(&path, &text),
        }
    }

    /// Tells each item of a list of an account, if there is one.
    fn items(
        &mut self,
        host: &Path,
        kind: &str,
        local: &str,
        piece: impl Fn(&Table) -> Option<Piece>,
    ) -> Result<(), String> {
        let path = file(host, kind, local, "list");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                self.unreadable::<()>(&path, &error.to_string());
                return Ok(());
            }
        };
        let mut list = Lua::of(file);
        loop {
            match list.next_item() {
                Ok(Some(item)) => {
                    if let Some(piece) = item.table().and_then(&piece) {
                        (self.tell)(piece)?;
                    }
                }
                Ok(None) => return Ok(()),
                // What Prosody had not finished to write when it was killed, too.
                Err(text) => {
                    self.unreadable::<()>(&path, &text);
                    return Ok(());
                }
            }
        }
    }

    fn unreadable<T>(&mut self, path: &Path, text: &str) -> Option<T> {
        self.found.unreadable(format!("{}: {text}", path.display()));
        None
    }
}

/// The entries of a folder in the order of their names, and what their names without extension mean.
fn named(folder: &Path) -> Result<Vec<(PathBuf, String)>, NotProsody> {
    let fail = |error: std::io::Error| NotProsody::Io { path: folder.to_owned(), text: error.to_string() };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
        if let Some(name) = stem.and_then(|stem| percent_decoded(stem.to_str()?)) {
            entries.push((path, name));
        }
    }
    entries.sort();
    Ok(entries)
}

fn has_extension(file: &Path, wanted: &str) -> bool {
    file.extension().is_some_and(|extension| extension == wanted)
}

/// A name as one of a file: letters and digits, and what else is kept, as they are.
fn encoded(name: &str, kept: &[u8]) -> String {
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() || kept.contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02x}"),
    };
    name.bytes().map(byte).collect()
}

fn file(host: &Path, kind: &str, local: &str, extension: &str) -> PathBuf {
    host.join(encoded(kind, b"_")).join(format!("{}.{extension}", encoded(local, b"")))
}

/// What proves a password: keys of the hash function that their length tells.
fn keys(account: &Table) -> Option<ScramKeys> {
    let bytes = |name| hex::decode(account.text(name)?);
    let (stored_key, server_key) = (bytes("stored_key")?, bytes("server_key")?);
    let hash = [Hash::Sha1, Hash::Sha256].into_iter().find(|hash| hash.bytes() == stored_key.len())?;
    let Value::Text(salt) = account.get("salt")?.clone() else { return None };
    let iterations = account.get("iteration_count")?.number()? as u32;
    pieces::checked(ScramKeys { hash, salt, iterations, stored_key, server_key })
}

fn roster_item(contact: &Table) -> roster::Item {
    let groups = contact.get("groups").and_then(Value::table);
    roster::Item {
        name: contact.text("name").unwrap_or_default().to_owned(),
        groups: groups.into_iter().flat_map(Table::texts).map(|(group, _)| group.to_owned()).collect(),
        subscription: contact.text("subscription").and_then(subscription).unwrap_or_default(),
        ask: contact.text("ask") == Some("subscribe"),
        approved: contact.get("approved").is_some_and(|approved| *approved != Value::Boolean(false)),
        listed: true,
        ..roster::Item::default()
    }
}

fn archive_preferences(preferences: &Table) -> ArchivePreferences {
    // Under `[false]` stands what holds for everybody else, under an address whether messages with it are kept.
    let default = preferences.named.iter().find(|(key, _)| *key == Value::Boolean(false)).map(|(_, value)| value);
    let list = |wanted: bool| {
        let jids = preferences.texts().filter(|(_, value)| **value == Value::Boolean(wanted));
        jids.filter_map(|(jid, _)| pieces::address(jid)).collect()
    };
    let default = match default {
        Some(Value::Boolean(false)) => ArchiveDefault::Never,
        Some(Value::Text(text)) if text == b"roster" => ArchiveDefault::Roster,
        _ => ArchiveDefault::Always,
    };
    ArchivePreferences { default, always: list(true), never: list(false) }
}

/// A node of personal eventing.
fn node(name: &str, node: &Value) -> Piece {
    let table = node.table();
    let part = |part: &str| table.and_then(|table| table.get(part)?.table());
    let options = part("config").into_iter().flat_map(Table::texts).filter_map(|(name, value)| {
        let value = match value {
            Value::Text(_) => value.text()?.to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Boolean(is_set) => is_set.to_string(),
            _ => return None,
        };
        Some((name, vec![value]))
    });
    let config = pieces::configured(name, options);
    let affiliations = part("affiliations").into_iter().flat_map(Table::texts);
    let affiliations = affiliations.filter_map(|(jid, value)| pieces::affiliated(jid, value.text()?));
    let people = People { affiliations: affiliations.collect(), ..People::default() };
    Piece::Node { name: name.to_owned(), config: Some(Box::new(config)), people }
}

/// When an item of a list was stored, in microseconds since 1970.
fn when_us(item: &Table) -> Option<u64> {
    if let Some(when) = item.get("when").and_then(Value::number) {
        return Some((when * 1e6) as u64);
    }
    let stamp = item.get("attr")?.table()?.text("stamp")?;
    u64::try_from(datetime::parse(stamp)?.us).ok()
}

/// The stanza of an item of a list, without what Prosody notes of it.
fn stored(item: &Table) -> Option<Element> {
    let mut item = item.clone();
    if let Some((_, Value::Table(attributes))) = item.named.iter_mut().find(|(key, _)| key.text() == Some("attr")) {
        attributes.named.retain(|(key, _)| !matches!(key.text(), Some("stamp" | "stamp_legacy")));
    }
    element(&item, ns::CLIENT)
}

/// A stanza, or an element of one, that stands where this namespace is the default.
fn element(table: &Table, default: &str) -> Option<Element> {
    let attributes = table.get("attr").and_then(Value::table);
    let namespace = attributes.and_then(|attributes| attributes.text("xmlns")).unwrap_or(default);
    let mut element = Element::new(table.text("name")?, namespace);
    for (name, value) in attributes.into_iter().flat_map(Table::texts) {
        let Some(value) = value.text() else { continue };
        // A namespace stands before the name, with a byte 1 or a | between them.
        element = match name.split_once(['\u{1}', '|']) {
            Some((namespace, name)) => element.with_attribute_in(namespace, name, value),
            None if name == "xmlns" => element,
            None if name == "xml:lang" => element.with_language(value),
            None => element.with_attribute(name, value),
        };
    }
    for child in &table.list {
        element = match child {
            Value::Table(child) => element.with_child(self::element(child, namespace)?),
            _ => element.with_text(child.text()?),
        };
    }
    Some(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_mean_names() {
        for (name, file) in [("example.org", "example%2eorg"), ("o'neil", "o%27neil"), ("jürgen", "j%c3%bcrgen")] {
            assert_eq!((encoded(name, b""), percent_decoded(file).as_deref()), (file.to_owned(), Some(name)));
        }
        assert_eq!(encoded("pep_urn:x", b"_"), "pep_urn%3ax");
        assert_eq!((percent_decoded("a%2"), percent_decoded("a%zz"), percent_decoded("%ff")), (None, None, None));
    }

    #[test]
    fn a_stanza_is_an_element() {
        let text = "return { name = \"message\"; attr = { to = \"a@b\"; stamp = \"2020-01-01T00:00:00Z\"; \
                    [\"http://www.w3.org/XML/1998/namespace\\001lang\"] = \"en\" }; \
                    { name = \"body\"; attr = {}; \"hi <\" }; \
                    { name = \"x\"; attr = { xmlns = \"u\" }; { name = \"y\" } } }";
        let value = Lua::new(text.as_bytes()).returned().unwrap();
        let mut out = Vec::new();
        stored(value.table().unwrap()).unwrap().write_to(&mut out, ns::CLIENT);
        let expected = "<message to='a@b' xml:lang='en'><body>hi &lt;</body><x xmlns='u'><y/></x></message>";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(when_us(value.table().unwrap()), Some(1_577_836_800_000_000));
    }
}
