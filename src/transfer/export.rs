//! Accounts of a store, written as XEP-0227: one after the other, never more of one in memory than a page of what it
//! has.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rondel_storage::accounts::{self, Account, AccountFlags, Role, StoredAccount};
use rondel_storage::preferences::{self, Preferences};
use rondel_storage::pubsub::{self, People, Span, StoredNode};
use rondel_storage::roster::{self, Roster};
use rondel_storage::{
    DecodeError, Failure, LoadError, Outcome, Owner, PageRequest, Store, archive, blocks, offline, private, vcards,
};
use serde::{Deserialize, Serialize};

use super::OWN;
use crate::account;
use crate::account::archive_ids::ArchiveIds;
use crate::account::delay::Delay;
use crate::account::forwarding::write_forwarded;
use crate::account::roster::entry;
use crate::admin::mechanism_name;
use crate::credentials::hash;
use crate::datetime;
use crate::pubsub::{affiliation, config_result};
use crate::xml::{Element, Part, escape, namespaces as ns, write_with_default};

/// Accounts that are read at once.
const ACCOUNTS_AT_ONCE: usize = 500;
/// Other things that are read at once.
const ITEMS_AT_ONCE: usize = 1_000;
/// Bytes that are written at once.
const PIECE_BYTES: usize = 256 << 10;

/// The namespace of the file (XEP-0227 §4).
pub(super) const PIE: &str = "urn:xmpp:pie:0";
/// That of SCRAM keys (XEP-0227 §4.3).
pub(super) const PIE_SCRAM: &str = "urn:xmpp:pie:0#scram";
/// That of archives (XEP-0227 §4.10).
pub(super) const PIE_ARCHIVE: &str = "urn:xmpp:pie:0#mam";

/// Why an export was not finished.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store cannot be read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] Failure),
    /// What was read makes no sense as a whole.
    #[error("{0}")]
    Load(LoadError),
    /// What was written is not taken.
    #[error("cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl From<LoadError> for ExportError {
    fn from(error: LoadError) -> ExportError {
        match error {
            LoadError::Failed(failure) => ExportError::Store(failure),
            other => ExportError::Load(other),
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Exported {
    /// Accounts.
    pub accounts: u64,
    /// Messages of archives.
    pub messages: u64,
    /// What could not be read, and is missing.
    pub missing: Vec<String>,
}

/// Which accounts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Wanted {
    /// All.
    #[default]
    All,
    /// Those of a domain.
    Domain(String),
    /// One.
    Account(Owner),
}

/// Writes accounts.
pub struct Export<'s, W: Write> {
    store: &'s Store,
    ids: ArchiveIds,
    out: W,
    buffer: Vec<u8>,
    exported: Exported,
}

impl<'s, W: Write> Export<'s, W> {
    /// From a store, whose archives have these ids, to a file.
    pub fn new(store: &'s Store, ids: ArchiveIds, out: W) -> Export<'s, W> {
        Export { store, ids, out, buffer: Vec::new(), exported: Exported::default() }
    }

    /// Writes a whole file.
    pub fn run(mut self, wanted: &Wanted) -> Result<Exported, ExportError> {
        self.push("<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'>\n");
        match wanted {
            Wanted::All => self.accounts(None)?,
            Wanted::Domain(domain) => self.accounts(Some(domain))?,
            Wanted::Account(owner) => {
                let outcome = self.store.read_blocking(&accounts::get(owner));
                if let Some(account) = accounts::decode(owner, outcome)? {
                    self.begin_host(owner.domain());
                    self.account(&account)?;
                    self.push("</host>\n");
                }
            }
        }
        self.push("</server-data>\n");
        self.write_out()?;
        self.out.flush()?;
        Ok(self.exported)
    }

    /// Accounts of one domain stand together: a store has them in this order.
    fn accounts(&mut self, domain: Option<&str>) -> Result<(), ExportError> {
        let mut host: Option<String> = None;
        let mut next = Some(accounts::list(domain, ACCOUNTS_AT_ONCE));
        while let Some(request) = next {
            let page = self.store.page(request.clone())?;
            next = request.next(&page);
            for account in self.known(accounts::decode_page(page)) {
                if host.as_deref() != Some(account.owner().domain()) {
                    if host.is_some() {
                        self.push("</host>\n");
                    }
                    self.begin_host(account.owner().domain());
                    host = Some(account.owner().domain().to_owned());
                }
                self.account(&account)?;
            }
        }
        if host.is_some() {
            self.push("</host>\n");
        }
        Ok(())
    }

    fn begin_host(&mut self, domain: &str) {
        self.push("<host jid='");
        escape::attribute(&mut self.buffer, domain);
        self.push("'>\n");
    }

    fn account(&mut self, stored: &StoredAccount) -> Result<(), ExportError> {
        let owner = stored.owner();
        self.push("<user name='");
        escape::attribute(&mut self.buffer, owner.local());
        self.push("'>\n");
        self.line(&standing(stored.account()));
        for keys in &stored.account().keys {
            self.line(&credentials(keys));
        }
        self.roster(owner)?;
        self.blocklist(owner)?;
        self.private(owner)?;
        self.vcard(owner)?;
        self.eventing(owner)?;
        self.preferences(owner)?;
        self.offline(owner)?;
        self.archive(owner)?;
        self.push("</user>\n");
        self.exported.accounts += 1;
        self.write_much()
    }

    fn roster(&mut self, owner: &Owner) -> Result<(), ExportError> {
        let mut all = Roster::default();
        self.pages(roster::list(owner, ITEMS_AT_ONCE), |this, page| {
            all.add(page).iter().for_each(|error| this.missing(error));
            Ok(())
        })?;
        if all.items().is_empty() {
            return Ok(());
        }
        let listed = all.items().iter().filter(|stored| stored.item().listed || stored.item().approved);
        let query = listed.fold(Element::new("query", ns::ROSTER), |query, stored| {
            query.with_child(entry(stored.contact(), stored.item()))
        });
        self.line(&query);
        for stored in all.items() {
            if let Some(stanza) = &stored.item().pending_in {
                let usual =
                    format!("<presence from='{}' type='subscribe'/>", escape::attribute_value(stored.contact()));
                let stanza = if stanza.is_empty() { usual.as_bytes() } else { stanza };
                write_with_default(&mut self.buffer, stanza, ns::CLIENT);
                self.push("\n");
            }
        }
        Ok(())
    }

    fn blocklist(&mut self, owner: &Owner) -> Result<(), ExportError> {
        let mut list = Element::new("blocklist", ns::BLOCKING);
        self.pages(blocks::list(owner), |this, page| {
            for (jid, _) in this.known(blocks::decode_page(&page)) {
                let item = Element::new("item", ns::BLOCKING).with_attribute("jid", &jid);
                list = std::mem::take(&mut list).with_child(item);
            }
            Ok(())
        })?;
        if !list.is_empty() {
            self.line(&list);
        }
        Ok(())
    }

    fn private(&mut self, owner: &Owner) -> Result<(), ExportError> {
        let mut has_begun = false;
        self.pages(private::list(owner), |this, page| {
            for item in this.known(private::decode_page(&page)) {
                if !std::mem::replace(&mut has_begun, true) {
                    this.push("<query xmlns='jabber:iq:private'>");
                }
                let whole = [b"<w>", &item.xml[..], b"</w>"].concat();
                for element in Part::stanza(&whole, ns::CLIENT).children() {
                    write_with_default(&mut this.buffer, element, ns::CLIENT);
                }
            }
            this.write_much()
        })?;
        if has_begun {
            self.push("</query>\n");
        }
        Ok(())
    }

    fn vcard(&mut self, owner: &Owner) -> Result<(), ExportError> {
        if let Some(card) = self.value(vcards::decode(owner, self.store.read_blocking(&vcards::get(owner))))?.flatten()
        {
            write_with_default(&mut self.buffer, &card.xml, ns::CLIENT);
            self.push("\n");
        }
        Ok(())
    }

    /// Personal eventing: nodes first, with who has to do with them, then their items (XEP-0227 §4.9).
    fn eventing(&mut self, owner: &Owner) -> Result<(), ExportError> {
        let mut nodes: Vec<StoredNode> = Vec::new();
        let mut next = Some(pubsub::nodes(owner, ITEMS_AT_ONCE));
        while let Some(request) = next.take() {
            let page = Outcome::Page(self.store.page(request.clone())?);
            if let Some((read, more)) = self.value(pubsub::decode_nodes(&request, page))? {
                nodes.extend(read);
                next = more;
            }
        }
        if nodes.is_empty() {
            return Ok(());
        }
        self.push("<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>");
        for node in &nodes {
            let people = match node.node.people {
                true => self.people(owner, &node.name)?,
                false => People::default(),
            };
            node_elements(node, &people)
                .iter()
                .for_each(|element| element.write_to(&mut self.buffer, ns::PUBSUB_OWNER));
        }
        self.push("</pubsub>\n<pubsub xmlns='http://jabber.org/protocol/pubsub'>");
        for node in &nodes {
            self.push("<items node='");
            escape::attribute(&mut self.buffer, &node.name);
            self.push("'>");
            self.items(owner, node)?;
            self.push("</items>");
        }
        self.push("</pubsub>\n");
        Ok(())
    }

    fn people(&mut self, owner: &Owner, node: &str) -> Result<People, ExportError> {
        let read = self.store.read_blocking(&pubsub::people(owner, [node]));
        let people = self.value(pubsub::decode_people(read))?.unwrap_or_default();
        Ok(people.into_iter().next().map(|stored| stored.people).unwrap_or_default())
    }

    fn items(&mut self, owner: &Owner, node: &StoredNode) -> Result<(), ExportError> {
        let mut from = node.node.oldest;
        loop {
            let span = Span { from, to: None, newest_first: false, entries_max: ITEMS_AT_ONCE };
            let page = Outcome::Page(self.store.page(pubsub::order(owner, &node.name, span))?);
            let (entries, is_complete) = pubsub::decode_order(page)?;
            for entry in &entries {
                let read = self.store.read_blocking(&pubsub::items(owner, [(&*node.name, &*entry.id)]));
                let items = self.value(pubsub::decode_items(read))?.unwrap_or_default();
                let Some(item) = items.into_iter().flatten().next() else { continue };
                self.push("<item id='");
                escape::attribute(&mut self.buffer, &entry.id);
                if item.publisher != owner.to_string() {
                    self.push("' publisher='");
                    escape::attribute(&mut self.buffer, &item.publisher);
                }
                self.push("' xmlns:r='");
                self.push(OWN);
                self.push("' r:published='");
                self.push(&datetime::utc_us(item.sequence));
                self.push("'>");
                self.buffer.extend_from_slice(&item.payload);
                self.push("</item>");
                self.write_much()?;
            }
            match entries.last() {
                Some(last) if !is_complete => from = last.sequence + 1,
                _ => return Ok(()),
            }
        }
    }

    fn preferences(&mut self, owner: &Owner) -> Result<(), ExportError> {
        let read = self.store.read_blocking(&preferences::get(owner));
        let Preferences { archive, last_activity, .. } =
            self.value(preferences::decode(owner, read))?.unwrap_or_default();
        if let Some(archive) = archive {
            self.line(&account::Preferences::from(&archive).to_element());
        }
        if let Some(last) = last_activity {
            let element = Element::new("last-activity", OWN).with_attribute("at", &datetime::utc_s(last.at));
            self.line(&element.with_text(&last.status));
        }
        Ok(())
    }

    fn offline(&mut self, owner: &Owner) -> Result<(), ExportError> {
        let mut has_begun = false;
        self.pages(offline::page(owner, None, ITEMS_AT_ONCE, PIECE_BYTES), |this, page| {
            for entry in this.known(offline::decode_page(page)) {
                if !std::mem::replace(&mut has_begun, true) {
                    this.push("<offline-messages>");
                }
                let start = this.buffer.len();
                write_with_default(&mut this.buffer, entry.stanza(), ns::CLIENT);
                let at_us = entry.arrived().saturating_mul(1_000_000);
                Delay { from: Some(owner.domain()), at_us, reason: "" }.append_to(&mut this.buffer, start);
            }
            this.write_much()
        })?;
        if has_begun {
            self.push("</offline-messages>\n");
        }
        Ok(())
    }

    fn archive(&mut self, owner: &Owner) -> Result<(), ExportError> {
        let mut has_begun = false;
        let mut next = Some(archive::Query::new(owner.clone()));
        while let Some(query) = next {
            let read = self.store.read_blocking(&query.clone().into());
            let Some(archive::Found::Page(page)) = self.value(archive::decode(read))? else { break };
            page.damaged.iter().for_each(|error| self.missing(error));
            for entry in &page.entries {
                if !std::mem::replace(&mut has_begun, true) {
                    self.push("<archive xmlns='urn:xmpp:pie:0#mam'>\n");
                }
                let id = self.ids.text(entry.id());
                self.push("<result xmlns='urn:xmpp:mam:2' id='");
                self.push(id.as_str());
                if entry.is_tombstone() {
                    self.push("' xmlns:r='");
                    self.push(OWN);
                    self.push("' r:tombstone='true");
                }
                self.push("'>");
                let delay = Delay { from: None, at_us: entry.id(), reason: "" };
                write_forwarded(&mut self.buffer, Some(&delay), entry.stanza());
                self.push("</result>\n");
                self.exported.messages += 1;
            }
            self.write_much()?;
            next = query.next(&page);
        }
        if has_begun {
            self.push("</archive>\n");
        }
        Ok(())
    }

    /// Reads page after page.
    fn pages(
        &mut self,
        first: PageRequest,
        mut each: impl FnMut(&mut Self, rondel_storage::Page) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut next = Some(first);
        while let Some(request) = next {
            let page = self.store.page(request.clone())?;
            next = request.next(&page);
            each(self, page)?;
        }
        Ok(())
    }

    /// What was read; none, and a note of it, if it cannot be understood.
    fn value<T>(&mut self, read: Result<T, LoadError>) -> Result<Option<T>, ExportError> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(LoadError::Undecodable(error)) => {
                self.missing(&error);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What of a page can be understood, and a note of the rest.
    fn known<T>(&mut self, items: Vec<Result<T, DecodeError>>) -> impl Iterator<Item = T> + use<T, W> {
        items.iter().filter_map(|item| item.as_ref().err()).for_each(|error| self.missing(error));
        items.into_iter().flatten()
    }

    fn missing(&mut self, error: &DecodeError) {
        self.exported.missing.push(error.to_string());
    }

    fn push(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    fn line(&mut self, element: &Element) {
        element.write_to(&mut self.buffer, PIE);
        self.push("\n");
    }

    fn write_much(&mut self) -> Result<(), ExportError> {
        if self.buffer.len() >= PIECE_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> Result<(), ExportError> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

fn standing(account: &Account) -> Element {
    let mut element = Element::new("account", OWN).with_attribute("created", &datetime::utc_s(account.created));
    let mut moment = |name: &str, at_s: Option<u64>| {
        if let Some(at_s) = at_s {
            let text = if at_s == u64::MAX { "always".to_owned() } else { datetime::utc_s(at_s) };
            element = std::mem::take(&mut element).with_attribute(name, &text);
        }
    };
    moment("muted-until", account.muted_until_s);
    moment("limited-until", account.limited_until_s);
    moment("disabled-since", account.disabled.as_ref().map(|disabled| disabled.since));
    moment("disabled-until", account.disabled.as_ref().and_then(|disabled| disabled.until));
    if account.role == Role::Admin {
        element = element.with_attribute("role", "admin");
    }
    if account.flags.has(AccountFlags::TRUSTED) {
        element = element.with_attribute("trusted", "true");
    }
    match &account.disabled {
        Some(disabled) => element.with_text(&disabled.reason),
        None => element,
    }
}

/// SCRAM keys (XEP-0227 §4.3).
fn credentials(keys: &accounts::ScramKeys) -> Element {
    let part = |name: &str, text: &str| Element::new(name, PIE_SCRAM).with_text(text);
    Element::new("scram-credentials", PIE_SCRAM)
        .with_attribute("mechanism", mechanism_name(hash(keys.hash)))
        .with_child(part("iter-count", &keys.iterations.to_string()))
        .with_child(part("salt", &BASE64.encode(&keys.salt)))
        .with_child(part("server-key", &BASE64.encode(&keys.server_key)))
        .with_child(part("stored-key", &BASE64.encode(&keys.stored_key)))
}

/// The configuration of a node, and who has to do with it.
fn node_elements(node: &StoredNode, people: &People) -> Vec<Element> {
    let named = |name: &str| Element::new(name, ns::PUBSUB_OWNER).with_attribute("node", &node.name);
    let mut elements = vec![named("configure").with_child(config_result(&node.node.config))];
    if !people.affiliations.is_empty() {
        let each = people.affiliations.iter().map(|(jid, held)| {
            let element = Element::new("affiliation", ns::PUBSUB_OWNER).with_attribute("jid", jid);
            element.with_attribute("affiliation", affiliation::name(*held))
        });
        elements.push(each.fold(named("affiliations"), Element::with_child));
    }
    if !people.subscriptions.is_empty() {
        let each = people.subscriptions.iter().map(|subscription| {
            let state = affiliation::state_name(Some(subscription.state));
            let element = Element::new("subscription", ns::PUBSUB_OWNER).with_attribute("jid", &subscription.jid);
            element.with_attribute("subscription", state)
        });
        elements.push(each.fold(named("subscriptions"), Element::with_child));
    }
    elements
}
