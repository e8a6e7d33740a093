//! Accounts, piece after piece, put into a store. An account is there for its owner once all of it is: until then it
//! cannot be logged into, and is put in anew by the next import, should this one be interrupted.

use std::collections::{BTreeMap, HashSet};

use rondel_storage::accounts::{self, Account, AccountFlags, Disabled};
use rondel_storage::archive::{self, Appends};
use rondel_storage::preferences::{self, Preferences};
use rondel_storage::pubsub::{self, AccessModel, Change, Item, MaxItems, NodeConfig, People, StoredPeople};
use rondel_storage::registrations::{Registration, Source};
use rondel_storage::roster;
use rondel_storage::{Bulk, LoadError, Outcome, Owner, Store, WriteRequest, blocks, offline, private};

use super::cards::Cards;
use super::{Archived, Piece, Standing, Told, pieces};
use crate::account::vcard::{self, NewCard, VcardLimits};
use crate::credentials;
use crate::jid::Jid;
use crate::names;
use crate::pubsub::bookmarks::read_storage;
use crate::pubsub::{ServiceKind, default_config};
use crate::random;
use crate::sasl::{self, ScramKeys};
use crate::xml::{Element, namespaces as ns};

/// Bytes of messages, or of items, that are written at once.
const AT_ONCE_BYTES: usize = 256 << 10;

/// Within so many microseconds, messages with one time have come one after the other.
const SAME_MOMENT_US: u64 = 10_000_000;

/// Why an account cannot be logged into that an import has begun.
const UNDER_WAY: &str = "it is being imported";

/// What has come of an import.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Imported {
    /// Accounts that are there now.
    pub accounts: u64,
    /// Messages in their archives.
    pub messages: u64,
    /// Accounts that were there before and are as they were.
    pub existing: Told,
    /// Accounts nobody can log into, because nothing came that proves their password.
    pub without_password: Told,
    /// Accounts whose names are none.
    pub invalid: Told,
}

/// Puts accounts into a store.
pub struct Import<'s> {
    store: &'s Store,
    bulk: Bulk,
    only: Option<String>,
    rounds: u32,
    now_us: u64,
    current: Current,
    imported: Imported,
}

/// The account that is being put in.
enum Current {
    None,
    /// It is there already.
    Skipped,
    Begun(Box<Begun>),
}

struct Begun {
    owner: Owner,
    jid: String,
    keys: Vec<ScramKeys>,
    password: Option<String>,
    standing: Standing,
    roster: BTreeMap<String, roster::Item>,
    blocks: Vec<String>,
    private: BTreeMap<(String, String), Vec<u8>>,
    vcard: Option<Element>,
    cards: Cards,
    nodes: BTreeMap<String, (Option<Box<NodeConfig>>, People)>,
    items: Option<Items>,
    /// The rooms that have a bookmark already.
    bookmarked: HashSet<String>,
    legacy_bookmarks: Vec<Element>,
    preferences: Preferences,
    appends: Appends,
    /// The newest message so far.
    newest_us: u64,
    offline: WriteRequest,
    waiting: u64,
}

/// Items of one node that are not written yet.
struct Items {
    node: String,
    change: Change,
    ids: HashSet<String>,
}

impl<'s> Import<'s> {
    /// Into a store; if it is said, only this account, a bare JID, as a new one. Passwords that come as they are become
    /// keys with so many rounds of hashing. The time is in microseconds since 1970.
    pub fn new(store: &'s Store, only: Option<String>, rounds: u32, now_us: u64) -> Import<'s> {
        let (current, imported) = (Current::None, Imported::default());
        Import { store, bulk: store.bulk(), only, rounds, now_us, current, imported }
    }

    /// Takes a piece. An error is one line, and ends it all.
    pub fn take(&mut self, piece: Piece) -> Result<(), String> {
        let mut current = std::mem::replace(&mut self.current, Current::None);
        match (&mut current, piece) {
            (_, Piece::Begin { local, domain }) => current = self.begin(&local, &domain)?,
            (Current::Begun(_), Piece::End) => {
                if let Current::Begun(begun) = std::mem::replace(&mut current, Current::None) {
                    self.end(*begun)?;
                }
            }
            (Current::Begun(begun), piece) => self.add(begun, piece)?,
            (Current::Skipped, Piece::End) => current = Current::None,
            (Current::None | Current::Skipped, _) => {}
        }
        self.current = current;
        Ok(())
    }

    /// What has come of it, so far.
    pub fn imported(&self) -> &Imported {
        &self.imported
    }

    /// Waits until all of it is on disk.
    pub fn finish(mut self) -> Result<Imported, String> {
        self.bulk.finish().map_err(|outcome| not_written(&outcome))?;
        Ok(self.imported)
    }

    fn begin(&mut self, local: &str, domain: &str) -> Result<Current, String> {
        let jid = format!("{local}@{domain}");
        let bare = Jid::parse(&jid).ok().filter(|jid| jid.local().is_some() && !jid.is_full());
        let Some(owner) = bare.and_then(|jid| Owner::parse(jid.bare()).ok()) else {
            self.imported.invalid.add(jid);
            return Ok(Current::Skipped);
        };
        let jid = owner.to_string();
        if self.only.as_ref().is_some_and(|only| *only != jid) {
            return Ok(Current::Skipped);
        }
        let found = accounts::decode(&owner, self.store.read_blocking(&accounts::get(&owner)));
        if let Some(found) = found.map_err(|error| unreadable(&error))? {
            let account = found.account();
            let is_remains = account.disabled.as_ref().is_some_and(|disabled| disabled.reason == UNDER_WAY);
            if !is_remains || !account.keys.is_empty() {
                self.imported.existing.add(jid);
                return Ok(Current::Skipped);
            }
            self.write(accounts::remove(&owner))?;
        }
        // Whoever comes to the same name meanwhile finds that it is taken.
        self.now_us += 1;
        let disabled = Disabled { since: self.now_us / 1_000_000, reason: UNDER_WAY.to_owned(), until: None };
        let account = Account { disabled: Some(disabled), ..Account::new(Vec::new(), self.now_us / 1_000_000) };
        let registration = Registration { address: None, source: Source::Import, client: None };
        self.write(names::create(&owner, &account, &registration, self.now_us))?;
        let mut begun = Begun::new(owner, jid);
        begun.standing.created_s = self.only.is_some().then_some(self.now_us / 1_000_000);
        Ok(Current::Begun(Box::new(begun)))
    }

    fn add(&mut self, begun: &mut Begun, piece: Piece) -> Result<(), String> {
        match piece {
            Piece::Begin { .. } | Piece::End => {}
            Piece::Password(password) => begun.password = Some(password),
            Piece::Keys(keys) => begun.add_keys(keys),
            // What was decided about it is for those to say who run a server.
            Piece::Standing(_) if self.only.is_some() => {}
            Piece::Standing(standing) => begun.standing = standing,
            Piece::Contact { jid, item } => {
                let pending_in = begun.roster.get(&jid).and_then(|known| known.pending_in.clone());
                begun.roster.insert(jid, roster::Item { pending_in, ..item });
            }
            Piece::SubscriptionRequest { from, stanza } => {
                begun.roster.entry(from).or_default().pending_in = Some(stanza);
            }
            Piece::Block(jid) => begun.blocks.push(jid),
            Piece::Private(element) if is_bookmarks(&element) => begun.legacy_bookmarks.push(element),
            Piece::Private(element) if let Some((since_s, reason)) = pieces::ban(&element) => {
                if self.only.is_none() {
                    begun.standing.disabled.get_or_insert((since_s, reason, None));
                }
            }
            Piece::Private(element) => {
                let xml = begun.private.entry((element.namespace.clone(), element.name.clone())).or_default();
                element.write_to(xml, ns::CLIENT);
            }
            Piece::Vcard(element) => begun.vcard = Some(element),
            // Bookmarks are kept in one form only.
            Piece::Node { name, .. } if name == ns::LEGACY_BOOKMARKS => {}
            Piece::Item { node, payload, .. } if node == ns::LEGACY_BOOKMARKS => {
                begun.legacy_bookmarks.extend(payload.filter(is_bookmarks));
            }
            Piece::Node { name, config, people } => {
                begun.cards.node(&name, config.as_deref());
                let config = config.filter(|config| is_meant(&name, config));
                let (known, all) = begun.nodes.entry(name).or_default();
                *known = config.or(known.take());
                all.affiliations.extend(people.affiliations);
                all.subscriptions.extend(people.subscriptions);
            }
            Piece::Item { node, id, payload, publisher, at_us } => {
                self.item(begun, node, id, payload, publisher, at_us)?;
            }
            Piece::ArchivePreferences(archive) => begun.preferences.archive = Some(archive),
            Piece::LastActivity(last) => begun.preferences.last_activity = Some(last),
            Piece::Offline { arrived_s, stanza } => {
                let stanza = pieces::without_ids(stanza, &begun.jid);
                begun.waiting = begun.waiting.saturating_add(1).max(arrived_s.saturating_mul(1_000_000));
                let request = WriteRequest::new(begun.owner.clone());
                let append = |out: &mut Vec<u8>| out.extend_from_slice(&stanza);
                let request = offline::append(request, begun.waiting, arrived_s, None, stanza.len(), append);
                begun.offline =
                    std::mem::replace(&mut begun.offline, WriteRequest::new(begun.owner.clone())).and(request);
                if begun.offline.size_bytes() > AT_ONCE_BYTES {
                    let full = std::mem::replace(&mut begun.offline, WriteRequest::new(begun.owner.clone()));
                    self.write(full)?;
                }
            }
            Piece::Archived(message) => {
                self.archive(begun, message);
                if begun.appends.bytes() > AT_ONCE_BYTES {
                    self.write_archive(begun)?;
                }
            }
        }
        Ok(())
    }

    fn archive(&mut self, begun: &mut Begun, message: Archived) {
        let Archived { at_us, from, to, is_tombstone, stanza } = message;
        let stanza = pieces::without_ids(stanza, &begun.jid);
        let own = |jid: &Option<String>| jid.as_ref().is_none_or(|jid| *jid == begun.jid);
        let outgoing = own(&from);
        let other = if outgoing { to } else { from };
        let with = other.as_deref().unwrap_or(&begun.jid);
        // Times of others are rounded; what is written in one second has an order all the same.
        let at_us = at_us.min(self.now_us);
        let id = match begun.newest_us {
            newest if at_us <= newest && newest - at_us < SAME_MOMENT_US => newest + 1,
            _ => at_us,
        };
        begun.newest_us = begun.newest_us.max(id);
        archive::restore(&mut begun.appends, &begun.owner, id, with, (outgoing, is_tombstone), &stanza);
        self.imported.messages += 1;
    }

    fn write_archive(&mut self, begun: &mut Begun) -> Result<(), String> {
        let appends = std::mem::take(&mut begun.appends);
        if appends.is_empty() {
            return Ok(());
        }
        self.write(WriteRequest::new(begun.owner.clone()).append(appends))
    }

    fn item(
        &mut self,
        begun: &mut Begun,
        node: String,
        id: String,
        payload: Option<Element>,
        publisher: Option<String>,
        at_us: Option<u64>,
    ) -> Result<(), String> {
        if begun.items.as_ref().is_none_or(|items| items.node != node) {
            self.write_items(begun)?;
            let change = self.open_node(begun, &node)?;
            begun.items = Some(Items { node, change, ids: HashSet::new() });
        }
        let Some(Items { node, mut change, mut ids }) = begun.items.take() else { return Ok(()) };
        let id = if id.is_empty() { random::token() } else { id };
        if node == ns::BOOKMARKS {
            begun.bookmarked.insert(id.clone());
        }
        if ids.insert(id.clone()) {
            begun.cards.item(&node, &id, payload.as_ref(), at_us);
            let sequence = change.next_sequence(at_us.unwrap_or(self.now_us).min(self.now_us));
            let mut bytes = Vec::new();
            payload.iter().for_each(|payload| payload.write_to(&mut bytes, ""));
            let item = Item { sequence, publisher: publisher.unwrap_or_else(|| begun.jid.clone()), payload: bytes };
            change = change.publish(&id, &item, None);
            if change.size_bytes() > AT_ONCE_BYTES {
                // The next ones are based on what these have made of the node.
                self.write(change.finish())?;
                change = self.open_node(begun, &node)?;
            }
        }
        begun.items = Some(Items { node, change, ids });
        Ok(())
    }

    /// A node that items are put into: a new one, or one that others were put into before.
    fn open_node(&mut self, begun: &mut Begun, name: &str) -> Result<Change, String> {
        let known = begun.nodes.remove(name);
        if known.is_none() {
            self.bulk.finish().map_err(|outcome| not_written(&outcome))?;
            let read = self.store.read_blocking(&pubsub::node(&begun.owner, name));
            if let Some(stored) = pubsub::decode_node(name, read).map_err(|error| unreadable(&error))? {
                return Ok(Change::of(&begun.owner, &stored));
            }
        }
        let (config, people) = known.unwrap_or_default();
        Ok(self.new_node(begun, name, config, &people))
    }

    fn new_node(&self, begun: &Begun, name: &str, config: Option<Box<NodeConfig>>, people: &People) -> Change {
        let config = config.map_or_else(|| default_config(ServiceKind::Account, name), |config| *config);
        let change = Change::create(&begun.owner, name, config, self.now_us / 1_000_000, &begun.jid);
        if people.is_empty() { change } else { change.people(&StoredPeople::default(), people) }
    }

    fn write_items(&mut self, begun: &mut Begun) -> Result<(), String> {
        match begun.items.take() {
            Some(items) => self.write(items.change.finish()),
            None => Ok(()),
        }
    }

    /// Bookmarks that came in their older form, of rooms that are in none of the newer one, become such.
    fn bookmarks(&mut self, begun: &mut Begun) -> Result<(), String> {
        let mut others: Vec<Element> = Vec::new();
        for storage in std::mem::take(&mut begun.legacy_bookmarks) {
            let (bookmarks, rest) = read_storage(&storage);
            for bookmark in bookmarks {
                if !begun.bookmarked.contains(&bookmark.jid) {
                    let (node, payload) = (ns::BOOKMARKS.to_owned(), Some(bookmark.to_payload()));
                    self.item(begun, node, bookmark.jid, payload, None, None)?;
                }
            }
            for other in rest.children() {
                if !others.contains(other) {
                    others.push(other.clone());
                }
            }
        }
        if !others.is_empty() {
            let storage = Element::new("storage", ns::LEGACY_BOOKMARKS);
            let others = others.into_iter().fold(storage, Element::with_child);
            // Where what is no bookmark is kept of what private storage shows.
            let node = ns::LEGACY_BOOKMARKS.to_owned();
            self.item(begun, node, "current".to_owned(), Some(others), None, None)?;
        }
        Ok(())
    }

    /// Of the card and the avatar, whichever is missing is made of the other.
    fn cards(&mut self, begun: &mut Begun) -> Result<(), String> {
        begun.vcard = begun.cards.vcard(begun.vcard.take());
        let Some(avatar) = begun.vcard.as_ref().and_then(|card| begun.cards.avatar(card)) else { return Ok(()) };
        for (node, payload) in [(ns::AVATAR_DATA, avatar.data()), (ns::AVATAR_METADATA, avatar.metadata())] {
            let config = NodeConfig { access: AccessModel::Open, ..default_config(ServiceKind::Account, node) };
            begun.nodes.insert(node.to_owned(), (Some(Box::new(config)), People::default()));
            self.item(begun, node.to_owned(), avatar.id(), Some(payload), None, None)?;
        }
        Ok(())
    }

    /// All of an account has come: it is there.
    fn end(&mut self, mut begun: Begun) -> Result<(), String> {
        self.bookmarks(&mut begun)?;
        self.cards(&mut begun)?;
        self.write_archive(&mut begun)?;
        self.write_items(&mut begun)?;
        for (name, (config, people)) in std::mem::take(&mut begun.nodes) {
            let change = self.new_node(&begun, &name, config, &people);
            self.write(change.finish())?;
        }
        let offline = std::mem::replace(&mut begun.offline, WriteRequest::new(begun.owner.clone()));
        self.write(offline)?;
        let owner = &begun.owner;
        let mut request = WriteRequest::new(owner.clone());
        let mut version = self.now_us;
        for (contact, item) in &begun.roster {
            let (version_before, listed) = (version - u64::from(item.listed), item.listed);
            let item = roster::Item { version: if listed { version } else { 0 }, version_before, ..item.clone() };
            request = roster::put(request, contact, &item);
            version += u64::from(listed);
        }
        for jid in &begun.blocks {
            request = blocks::add(request, jid, self.now_us / 1_000_000);
        }
        if !begun.private.is_empty() {
            let items =
                begun.private.iter().map(|(name, xml)| (name.clone(), Some(private::Item { xml: xml.clone() })));
            let items: Vec<_> = items.collect();
            let nothing = Outcome::Values(vec![None; items.len() + 1]);
            let change = private::Change::decode(owner, &items, nothing).map_err(|error| unreadable(&error))?;
            request = request.and(change.into_request());
        }
        let card =
            begun.vcard.as_ref().and_then(|card| NewCard::read(card, &VcardLimits { bytes_max: usize::MAX }).ok());
        if let Some(card) = card {
            request = request.and(vcard::set(owner, &card));
        }
        request = preferences::put(request, &begun.preferences);
        // With a password, whatever clients can prove it by; with keys alone, what those can be used for.
        let password = begun.password.as_deref().and_then(sasl::prepare_password);
        for keys in password.iter().flat_map(|password| sasl::new_keys(password, self.rounds)) {
            begun.add_keys(keys);
        }
        if begun.keys.is_empty() {
            self.imported.without_password.add(begun.jid.clone());
        }
        let keys: Vec<_> = begun.keys.iter().cloned().map(credentials::to_store).collect();
        self.write(accounts::put(request, &account(&begun.standing, keys, self.now_us / 1_000_000)))?;
        self.imported.accounts += 1;
        Ok(())
    }

    fn write(&mut self, request: WriteRequest) -> Result<(), String> {
        self.bulk.write(request).map_err(|outcome| not_written(&outcome))
    }
}

impl Begun {
    /// Keys, unless there are some with this hash.
    fn add_keys(&mut self, keys: ScramKeys) {
        if self.keys.iter().all(|known| known.hash != keys.hash) {
            self.keys.push(keys);
        }
    }

    fn new(owner: Owner, jid: String) -> Begun {
        Begun {
            jid,
            keys: Vec::new(),
            password: None,
            standing: Standing::default(),
            roster: BTreeMap::new(),
            blocks: Vec::new(),
            private: BTreeMap::new(),
            vcard: None,
            cards: Cards::default(),
            nodes: BTreeMap::new(),
            items: None,
            bookmarked: HashSet::new(),
            legacy_bookmarks: Vec::new(),
            preferences: Preferences::default(),
            appends: Appends::new(),
            newest_us: 0,
            offline: WriteRequest::new(owner.clone()),
            waiting: 0,
            owner,
        }
    }
}

fn is_bookmarks(element: &Element) -> bool {
    element.name == "storage" && element.namespace == ns::LEGACY_BOOKMARKS
}

/// Whether somebody has meant a node to be so. What is nobody else's business became, where a server knew nothing of
/// it, what any node becomes that is published to (XEP-0163 §5): shown to contacts, with one item.
fn is_meant(node: &str, config: &NodeConfig) -> bool {
    let is_usual = config.access == AccessModel::Presence && config.max_items == MaxItems::Count(1);
    !is_usual || default_config(ServiceKind::Account, node).access != AccessModel::Whitelist
}

fn account(standing: &Standing, keys: Vec<accounts::ScramKeys>, now_s: u64) -> Account {
    let disabled = standing.disabled.clone().map(|(since, reason, until)| Disabled { since, reason, until });
    // Nobody knows how old it is, but it is not new: whoever moves is to notice nothing.
    let is_trusted = standing.is_trusted || standing.created_s.is_none();
    Account {
        disabled,
        flags: AccountFlags::default().with(AccountFlags::TRUSTED, is_trusted),
        role: standing.role,
        muted_until_s: standing.muted_until_s,
        limited_until_s: standing.limited_until_s,
        ..Account::new(keys, standing.created_s.unwrap_or(now_s))
    }
}

fn unreadable(error: &LoadError) -> String {
    format!("the store cannot be read: {error}")
}

fn not_written(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) => format!("the store cannot be written: {failure}"),
        _ => "an account was made by somebody else at the same time; run it again".into(),
    }
}
