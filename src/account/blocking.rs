//! The blocking command (XEP-0191): who may not reach the account, and is not reached by it.
//!
//! What lives here: the list as it is kept in memory and asked for every stanza, the requests that read and change it,
//! and what follows from a change. What may not: delivering or refusing, which the shard does.
//!
//! A list is kept as RFC 6121 keeps a contact: blocking somebody ends no subscription ("polite blocking", §4).

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use rondel_storage::{Owner, WriteRequest, blocks};

use super::delivery::{IqType, StanzaKind};
use super::jid_list::JidList;
use super::reporting::{Report, ReportLimits};
use crate::jid::Jid;
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// Advertised by a server whose accounts can block (XEP-0191 §3.1).
pub const FEATURES: &[&str] = &[ns::BLOCKING];

const ERRORS: &str = "urn:xmpp:blocking:errors";

/// What bounds a blocklist and the requests to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockingLimits {
    /// Addresses in a list, and in a request.
    pub jids_max: usize,
    /// What bounds a report that comes with an address.
    pub report: ReportLimits,
}

/// An account's blocklist.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Blocklist {
    jids: JidList,
}

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Who is in it (§3.2). Answered with [`Blocklist::to_element`]; the resource that asks gets the pushes of later
    /// changes.
    List,
    /// These shall be blocked (§3.3), and some of them are reported.
    Block(Vec<(Jid<'static>, Option<Report>)>),
    /// These shall not be blocked any more (§3.4).
    Unblock(Vec<Jid<'static>>),
    /// Nobody shall be blocked any more (§3.5).
    UnblockAll,
}

/// What follows from a request that changes the list. The request is answered with an empty result once `write` is on
/// disk; then `list` holds, and the pushes and the presence are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The list from now on.
    pub list: Blocklist,
    /// What has to be written; `None` if nothing changes.
    pub write: Option<WriteRequest>,
    /// The payload of an IQ of type `set` to every resource that has asked for the list.
    pub push: Element,
    /// Who is reported, and why.
    pub reports: Vec<(Jid<'static>, Report)>,
    /// The resources that are new in the list or have left it, by their bare addresses.
    resources: HashMap<String, Vec<String>>,
}

/// Presence that has to be sent because the list has changed (§3.3, §3.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PresenceDue {
    /// To whom.
    pub to: String,
    /// The current presence of every resource, or `unavailable` from each of them.
    pub is_available: bool,
}

/// What happens to a stanza from somebody who is blocked (§3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inbound {
    /// Nothing, and the sender hears nothing.
    Drop,
    /// The sender gets `<service-unavailable/>`, as if nobody were there.
    Refuse,
}

impl Request {
    /// Reads the payload of an IQ without addressee.
    pub fn parse(kind: IqType, payload: &Element, limits: &BlockingLimits) -> Result<Request, Refusal> {
        let items = || items(payload, limits);
        match (kind, payload.name.as_str(), payload.namespace.as_str()) {
            (IqType::Get, "blocklist", ns::BLOCKING) => Ok(Request::List),
            (IqType::Set, "block", ns::BLOCKING) => match items()? {
                none if none.is_empty() => Err(Refusal::bad_request()),
                items => Ok(Request::Block(items)),
            },
            (IqType::Set, "unblock", ns::BLOCKING) => match items()? {
                none if none.is_empty() => Ok(Request::UnblockAll),
                items => Ok(Request::Unblock(items.into_iter().map(|(jid, _)| jid).collect())),
            },
            _ => Err(Refusal::bad_request()),
        }
    }

    /// Its addresses, as they were asked for.
    fn jids(&self) -> Vec<&str> {
        match self {
            Request::List | Request::UnblockAll => Vec::new(),
            Request::Block(items) => items.iter().map(|(jid, _)| jid.as_str()).collect(),
            Request::Unblock(jids) => jids.iter().map(Jid::as_str).collect(),
        }
    }
}

/// The items of a request, each address once.
fn items(payload: &Element, limits: &BlockingLimits) -> Result<Vec<(Jid<'static>, Option<Report>)>, Refusal> {
    let mut items: Vec<(Jid<'static>, Option<Report>)> = Vec::new();
    let is_item = |child: &&Element| (child.name.as_str(), child.namespace.as_str()) == ("item", ns::BLOCKING);
    for item in payload.children().filter(is_item) {
        let jid = item.attribute("jid").ok_or_else(Refusal::bad_request)?;
        let jid = Jid::parse(jid).map_err(|_| Refusal::jid_malformed())?.into_owned();
        if items.len() == limits.jids_max {
            return Err(too_many());
        }
        items.push((jid, Report::parse(item, &limits.report)));
    }
    // Of an address that is there twice the first one counts.
    let mut known = HashSet::new();
    items.retain(|(jid, _)| known.insert(jid.clone()));
    Ok(items)
}

fn too_many() -> Refusal {
    Refusal::policy_violation().with_text("too many addresses")
}

impl<S: AsRef<str>> FromIterator<S> for Blocklist {
    /// A list of addresses in normal form, as they were stored.
    fn from_iter<I: IntoIterator<Item = S>>(jids: I) -> Blocklist {
        Blocklist { jids: jids.into_iter().collect() }
    }
}

impl Blocklist {
    /// Whether nobody is blocked.
    pub fn is_empty(&self) -> bool {
        self.jids.is_empty()
    }

    /// How many addresses are in it.
    pub fn len(&self) -> usize {
        self.jids.len()
    }

    /// Bytes that are allocated for it.
    pub fn allocated_bytes(&self) -> usize {
        self.jids.allocated_bytes()
    }

    /// Whether an address matches one of the list (§6): itself, its bare form, or its domain. An address
    /// `domain/resource` in the list stands for that one only.
    pub fn matches(&self, jid: &Jid<'_>) -> bool {
        !self.is_empty()
            && [jid.as_str(), jid.bare(), jid.domain()].into_iter().any(|address| self.jids.contains(address))
    }

    /// Whether stanzas between an account, given by its bare address, and somebody else are blocked. Never among the
    /// account's own resources (§5), nor between it and its own server, without which it could not even unblock.
    pub fn blocks(&self, account: &Jid<'_>, other: &Jid<'_>) -> bool {
        !self.is_empty() && other.bare() != account.bare() && other.as_str() != account.domain() && self.matches(other)
    }

    /// The answer to [`Request::List`].
    pub fn to_element(&self) -> Element {
        with_items(Element::new("blocklist", ns::BLOCKING), self.jids.iter())
    }

    /// What follows from a request, made at `now_s`, seconds after 1970, to the list of `owner`. `None` for
    /// [`Request::List`], which changes nothing.
    pub fn change(
        &self,
        owner: &Owner,
        request: Request,
        now_s: u64,
        limits: &BlockingLimits,
    ) -> Result<Option<Change>, Refusal> {
        let jids = request.jids();
        let (name, list) = match &request {
            Request::List => return Ok(None),
            Request::Block(_) => ("block", self.jids.with(jids.iter().copied())),
            Request::Unblock(_) => ("unblock", self.jids.without(jids.iter().copied())),
            Request::UnblockAll => ("unblock", JidList::default()),
        };
        // A list that a change of the limits has made too long may still be shortened.
        if list.len() > limits.jids_max && list.len() > self.jids.len() {
            return Err(too_many());
        }
        let push = with_items(Element::new(name, ns::BLOCKING), jids.iter().copied());
        let added: Vec<&str> = list.iter().filter(|jid| !self.jids.contains(jid)).collect();
        let removed: Vec<&str> = self.jids.iter().filter(|jid| !list.contains(jid)).collect();
        let write = (!added.is_empty() || !removed.is_empty()).then(|| {
            let write = WriteRequest::new(owner.clone());
            let write = added.iter().fold(write, |write, jid| blocks::add(write, jid, now_s));
            match request {
                Request::UnblockAll => blocks::remove_all(write),
                _ => removed.iter().fold(write, |write, jid| blocks::remove(write, jid)),
            }
        });
        let mut resources = HashMap::<String, Vec<String>>::new();
        for jid in added.iter().chain(&removed).filter_map(|jid| Jid::parse(jid).ok()).filter(Jid::is_full) {
            resources.entry(jid.bare().to_owned()).or_default().push(jid.as_str().to_owned());
        }
        let list = Blocklist { jids: list };
        let reports = match request {
            Request::Block(items) => items.into_iter().filter_map(|(jid, report)| Some((jid, report?))).collect(),
            _ => Vec::new(),
        };
        Ok(Some(Change { list, write, push, reports, resources }))
    }
}

impl Change {
    /// The presence that has to be sent, `before` being the list until now and `viewers` the bare addresses that may
    /// see the account's presence. Whoever is blocked by two addresses and unblocked by one stays blocked.
    pub fn presence<'a>(
        &'a self,
        account: &'a Jid<'_>,
        before: &'a Blocklist,
        viewers: impl IntoIterator<Item = &'a str>,
    ) -> Vec<PresenceDue> {
        if self.write.is_none() {
            return Vec::new();
        }
        let turn = |address: &str| {
            let jid = Jid::parse(address).ok()?;
            let (was, is) = (before.blocks(account, &jid), self.list.blocks(account, &jid));
            (was != is).then(|| PresenceDue { to: address.to_owned(), is_available: was })
        };
        let mut due = Vec::new();
        for viewer in viewers {
            match turn(viewer) {
                Some(presence) => due.push(presence),
                // Not the viewer itself, but maybe one of its resources.
                None => due.extend(self.resources.get(viewer).into_iter().flatten().filter_map(|jid| turn(jid))),
            }
        }
        due
    }
}

impl Inbound {
    /// What happens to a stanza of this kind. No answer shows that somebody is there.
    pub fn of(kind: StanzaKind) -> Inbound {
        match kind {
            StanzaKind::Message(_) | StanzaKind::Iq(_) if kind.may_be_answered_with_error() => Inbound::Refuse,
            _ => Inbound::Drop,
        }
    }
}

/// Why a stanza to somebody who is blocked is not sent (§3.3). For stanzas that may be answered with an error; what may
/// not is dropped.
pub fn outbound_refusal() -> Refusal {
    Refusal::new("cancel", "not-acceptable").with_application(Element::new("blocked", ERRORS))
}

fn with_items<'a>(list: Element, jids: impl Iterator<Item = &'a str>) -> Element {
    jids.fold(list, |list, jid| list.with_child(Element::new("item", ns::BLOCKING).with_attribute("jid", jid)))
}
