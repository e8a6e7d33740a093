//! Message archive management (XEP-0313): what a client asks of the archive of its account, and how it is answered.
//!
//! What lives here: reading queries, and writing what comes of them. What may not: the archive itself. A query is
//! carried out by whoever reads the archive: first the ids in [`Query::known_ids`] have to be there, or the answer is
//! `<item-not-found/>`; then a page of entries is read, a message is sent for each ([`Found`]), and at last
//! [`Query::fin`].

#[cfg(test)]
mod tests;

use super::archive_ids::ArchiveIds;
use super::delay::Delay;
use super::delivery::IqType;
use super::forwarding::write_forwarded;
use crate::datetime;
use crate::forms::{Field, FieldKind, Form, FormError, FormKind, FormLimits, Unknown};
use crate::jid::Jid;
use crate::rsm::{PageGiven, PageRequest, Place};
use crate::stream::Refusal;
use crate::xml::{Element, escape, namespaces as ns};

/// Advertised by every account that has an archive (XEP-0313 §7). What a user archive holds is no group chat, which is
/// why the field that asks for it or against it is understood and no such messages are promised.
pub const FEATURES: &[&str] = &[ns::ARCHIVE, "urn:xmpp:mam:2#extended", "urn:xmpp:mam:2#groupchat-field"];

/// What bounds a query.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ArchiveLimits {
    /// Messages of a page, if the client does not say how many it wants.
    pub page_default: usize,
    /// Messages of a page at most, whatever the client says.
    pub page_max: usize,
    /// Messages that a query may ask for by their ids.
    pub ids_max: usize,
    /// Bytes of the name that a client gives to its query: it is repeated in every message of the answer.
    pub query_id_bytes_max: usize,
}

/// What is asked of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Which fields a query may have (§4.1.5). Answered by [`query_form`].
    Form,
    /// The first and the last message (§5). Answered by [`metadata`].
    Metadata,
    /// Messages (§4).
    Query(Box<Query>),
    /// The preferences (XEP-0441 §2.1): whose messages are archived.
    Preferences,
    /// Other preferences, which are the payload.
    SetPreferences,
}

/// Messages that are asked for: those to which all of this applies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    /// The client's own name for the query, repeated in the answer.
    pub query_id: Option<String>,
    /// To or from this address (§4.1.1). A bare one stands for all of its resources, the account's own for messages
    /// that it has sent to itself. See [`Query::matches`].
    pub with: Option<Jid<'static>>,
    /// Not before this moment, in microseconds since 1970.
    pub start_us: Option<u64>,
    /// Not after this moment, in microseconds since 1970. May be before the start: then there is nothing.
    pub end_us: Option<u64>,
    /// Behind this message.
    pub after_id: Option<u64>,
    /// Before this message.
    pub before_id: Option<u64>,
    /// Among these messages; in order, each once.
    pub ids: Option<Vec<u64>>,
    /// All messages that are named in the query: if one of them is not in the archive, the answer is
    /// `<item-not-found/>` (§4.1.3, §4.3.2).
    pub known_ids: Vec<u64>,
    /// Messages of the page at most. Zero asks for nothing but whether the query is good.
    pub entries_max: usize,
    /// The page is the last one of what matches, not the first one.
    pub reverse: bool,
    /// The page is sent with its newest message first (§4.3.4). Otherwise with its oldest, `reverse` or not.
    pub flip_page: bool,
}

impl Request {
    /// Reads the payload of an IQ to an archive.
    pub fn parse(
        kind: IqType,
        payload: &Element,
        ids: &ArchiveIds,
        limits: &ArchiveLimits,
    ) -> Result<Request, Refusal> {
        match (kind, payload.name.as_str(), payload.namespace.as_str()) {
            // §6.1.3: of the archives of nodes (XEP-0442).
            (_, _, ns::ARCHIVE) if payload.attribute("node").is_some() => Err(Refusal::feature_not_implemented()),
            (IqType::Get, "query", ns::ARCHIVE) => Ok(Request::Form),
            (IqType::Get, "metadata", ns::ARCHIVE) => Ok(Request::Metadata),
            (IqType::Set, "query", ns::ARCHIVE) => Ok(Request::Query(Box::new(Query::parse(payload, ids, limits)?))),
            (IqType::Get, "prefs", ns::ARCHIVE) => Ok(Request::Preferences),
            (IqType::Set, "prefs", ns::ARCHIVE) => Ok(Request::SetPreferences),
            _ => Err(Refusal::bad_request()),
        }
    }
}

impl Query {
    fn parse(payload: &Element, ids: &ArchiveIds, limits: &ArchiveLimits) -> Result<Query, Refusal> {
        let query_id = payload.attribute("queryid").map(str::to_owned);
        if query_id.as_ref().is_some_and(|id| id.len() > limits.query_id_bytes_max) {
            return Err(Refusal::policy_violation().with_text("the queryid is too long"));
        }
        let flip_page = payload.child("flip-page", ns::ARCHIVE).is_some();
        let mut query = Query { query_id, flip_page, ..Query::default() };
        if let Some(form) = payload.children().find(|child| Form::is_form(child)) {
            query.filter(form, ids, limits)?;
        }
        query.choose_page(PageRequest::parse(payload)?.unwrap_or_default(), ids, limits)?;
        Ok(query)
    }

    fn filter(&mut self, form: &Element, ids: &ArchiveIds, limits: &ArchiveLimits) -> Result<(), Refusal> {
        let bounds = FormLimits {
            // Twice what is known.
            fields_max: 16,
            values_max: limits.ids_max.saturating_add(16),
            // Two addresses of full length, and what the ids take.
            bytes_max: limits.ids_max.saturating_mul(64).saturating_add(8192),
        };
        let form = Form::parse_submission(form, &bounds).map_err(refusal)?;
        if form.form_type() != Some(ns::ARCHIVE) {
            return Err(refusal(FormError::OtherType));
        }
        fields().check(&form, Unknown::Refuse).map_err(refusal)?;
        self.with = form.jids("with").pop().map(Jid::into_owned);
        let moment = |var: &str| match form.value(var) {
            None => Ok(None),
            Some(text) => datetime::parse(text).map(Some).ok_or_else(|| refusal(FormError::Invalid(var.into()))),
        };
        // A message of the microsecond in which the start lies was archived before it, unless it is that microsecond.
        self.start_us = moment("start")?.map(|start| {
            let us = if start.is_exact { start.us } else { start.us + 1 };
            u64::try_from(us).unwrap_or(0)
        });
        if let Some(end) = moment("end")? {
            match u64::try_from(end.us) {
                Ok(end) => self.end_us = Some(end),
                // Before there were archives: nothing.
                Err(_) => (self.start_us, self.end_us) = (Some(1), Some(0)),
            }
        }
        let id = |text: &str| ids.parse(text).ok_or_else(Refusal::item_not_found);
        self.after_id = form.value("after-id").map(id).transpose()?;
        self.before_id = form.value("before-id").map(id).transpose()?;
        self.known_ids.extend(self.after_id.into_iter().chain(self.before_id));
        let values: Vec<&String> = form.values("ids").iter().filter(|value| !value.is_empty()).collect();
        if values.len() > limits.ids_max {
            return Err(refusal(FormError::TooLarge));
        }
        if !values.is_empty() {
            let mut listed = values.into_iter().map(|value| id(value)).collect::<Result<Vec<_>, _>>()?;
            listed.sort_unstable();
            listed.dedup();
            self.known_ids.extend(&listed);
            self.ids = Some(listed);
        }
        Ok(())
    }

    /// The ids of pages are those of messages (§4.3.1), so the place of a page is one more bound.
    fn choose_page(&mut self, page: PageRequest, ids: &ArchiveIds, limits: &ArchiveLimits) -> Result<(), Refusal> {
        let wanted = page.max.map_or(limits.page_default, |max| max as usize);
        self.entries_max = wanted.min(limits.page_max);
        let id = |text: &str| ids.parse(text).ok_or_else(Refusal::item_not_found);
        match page.place {
            Place::First => {}
            Place::Last => self.reverse = true,
            Place::After(text) => {
                let id = id(&text)?;
                self.known_ids.push(id);
                self.after_id = Some(self.after_id.map_or(id, |after| after.max(id)));
            }
            Place::Before(text) => {
                let id = id(&text)?;
                self.known_ids.push(id);
                self.before_id = Some(self.before_id.map_or(id, |before| before.min(id)));
                self.reverse = true;
            }
        }
        Ok(())
    }

    /// Whether a message with these addresses matches [`Query::with`], the account being the archive's. For what a
    /// search by bare address cannot tell: a resource.
    pub fn matches(&self, account: &str, from: Option<&str>, to: Option<&str>) -> bool {
        let Some(with) = &self.with else { return true };
        let is_with = |address: Option<&str>| {
            let jid = address.and_then(|address| Jid::parse(address).ok());
            jid.is_some_and(|jid| if with.is_full() { jid == *with } else { jid.bare() == with.bare() })
        };
        // What is from oneself and to nobody is to oneself (RFC 6120 §10.3).
        if with.as_str() == account {
            is_with(from) && (to.is_none() || is_with(to))
        } else {
            is_with(from) || is_with(to)
        }
    }

    /// The end of the answer (§4.3): `ends` are the first and the last message of the page, the older one first.
    /// `is_complete` says that there are no more in the direction of reading, `is_stable` that the same query will come
    /// to the same.
    pub fn fin(&self, ids: &ArchiveIds, ends: Option<(u64, u64)>, is_complete: bool, is_stable: bool) -> Element {
        let ends = ends.map(|(first, last)| (ids.text(first), ids.text(last)));
        let ends = ends.as_ref().map(|(first, last)| (first.as_str(), last.as_str()));
        let fin = Element::new("fin", ns::ARCHIVE);
        let fin = if is_complete && self.entries_max > 0 { fin.with_attribute("complete", "true") } else { fin };
        let fin = if is_stable { fin } else { fin.with_attribute("stable", "false") };
        fin.with_child(PageGiven { ends, ..PageGiven::default() }.to_element())
    }
}

/// One message of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The archive's bare address.
    pub account: &'a str,
    /// Who has asked: a full address.
    pub to: &'a str,
    /// The name of the query.
    pub query_id: Option<&'a str>,
    /// The message's id.
    pub id: &'a str,
    /// When it was archived, in microseconds since 1970.
    pub at_us: u64,
    /// The message as it stands in a client's stream, where the namespace of stanzas need not be declared.
    pub stanza: &'a [u8],
}

impl Found<'_> {
    /// Appends the message that hands it over (§4.2, XEP-0297, XEP-0203).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<message from='");
        escape::attribute(out, self.account);
        out.extend_from_slice(b"' to='");
        escape::attribute(out, self.to);
        out.extend_from_slice(b"'><result xmlns='urn:xmpp:mam:2'");
        if let Some(query_id) = self.query_id {
            out.extend_from_slice(b" queryid='");
            escape::attribute(out, query_id);
            out.push(b'\'');
        }
        out.extend_from_slice(b" id='");
        escape::attribute(out, self.id);
        out.extend_from_slice(b"'>");
        let delay = Delay { from: None, at_us: self.at_us, reason: "" };
        write_forwarded(out, Some(&delay), self.stanza);
        out.extend_from_slice(b"</result></message>");
    }
}

/// The answer to [`Request::Form`].
pub fn query_form() -> Element {
    Element::new("query", ns::ARCHIVE).with_child(fields().to_element())
}

/// The answer to [`Request::Metadata`] (§5): id and microseconds since 1970 of the first and the last message, `None`
/// for an archive without any.
pub fn metadata(ids: &ArchiveIds, ends: Option<[(u64, u64); 2]>) -> Element {
    let metadata = Element::new("metadata", ns::ARCHIVE);
    let Some([start, end]) = ends else { return metadata };
    let end_of = |name: &str, (id, at_us): (u64, u64)| {
        Element::new(name, ns::ARCHIVE)
            .with_attribute("id", ids.text(id).as_str())
            .with_attribute("timestamp", &datetime::utc_us(at_us))
    };
    metadata.with_child(end_of("start", start)).with_child(end_of("end", end))
}

/// The fields of a query (§4.1), none of which may be required.
fn fields() -> Form {
    Form::new(FormKind::Form)
        .with_type(ns::ARCHIVE)
        .with_field(Field::new(FieldKind::JidSingle, "with"))
        .with_field(Field::new(FieldKind::TextSingle, "start"))
        .with_field(Field::new(FieldKind::TextSingle, "end"))
        .with_field(Field::new(FieldKind::TextSingle, "before-id"))
        .with_field(Field::new(FieldKind::TextSingle, "after-id"))
        .with_field(Field::new(FieldKind::ListMulti, "ids").open())
        .with_field(Field::new(FieldKind::Boolean, "include-groupchat"))
}

fn refusal(error: FormError) -> Refusal {
    let refusal = match error {
        FormError::Unknown(_) => Refusal::feature_not_implemented(),
        FormError::TooLarge => Refusal::policy_violation(),
        _ => Refusal::bad_request(),
    };
    refusal.with_text(&error.to_string())
}
