//! Stanza errors (RFC 6120 §8.3).

use crate::xml::{Element, escape, namespaces as ns};

/// The type and the condition of a stanza error, in the pairs that are used here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StanzaCondition {
    /// The request is malformed.
    BadRequest,
    /// The sender may not do this.
    Forbidden,
    /// There is no such thing.
    ItemNotFound,
    /// An address is none.
    JidMalformed,
    /// The request is understood, and more than is taken.
    NotAcceptable,
    /// Nobody may do this.
    NotAllowed,
    /// A local policy.
    PolicyViolation,
    /// The server's own limits.
    ResourceConstraint,
    /// The other server cannot be found.
    RemoteServerNotFound,
    /// Nobody there, or nothing of the kind.
    ServiceUnavailable,
}

impl StanzaCondition {
    /// Type and condition.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            StanzaCondition::BadRequest => ("modify", "bad-request"),
            StanzaCondition::Forbidden => ("auth", "forbidden"),
            StanzaCondition::ItemNotFound => ("cancel", "item-not-found"),
            StanzaCondition::JidMalformed => ("modify", "jid-malformed"),
            StanzaCondition::NotAcceptable => ("modify", "not-acceptable"),
            StanzaCondition::NotAllowed => ("cancel", "not-allowed"),
            StanzaCondition::PolicyViolation => ("modify", "policy-violation"),
            StanzaCondition::ResourceConstraint => ("wait", "resource-constraint"),
            StanzaCondition::RemoteServerNotFound => ("cancel", "remote-server-not-found"),
            StanzaCondition::ServiceUnavailable => ("cancel", "service-unavailable"),
        }
    }
}

/// Appends the error reply to a stanza: its kind (`message`, `presence`, `iq`) and id, sent by whom it was addressed to
/// (`from`), to its sender.
pub fn error_reply(out: &mut Vec<u8>, name: &str, id: Option<&str>, from: &str, to: &str, error: (&str, &str)) {
    let (kind, condition) = error;
    let error = Element::new("error", ns::CLIENT)
        .with_attribute("type", kind)
        .with_child(Element::new(condition, ns::STANZA_ERRORS));
    write_error(out, name, id, from, to, &[], &error);
}

/// The same with this `<error/>`, behind a payload that may be empty.
pub(super) fn write_error(
    out: &mut Vec<u8>,
    name: &str,
    id: Option<&str>,
    from: &str,
    to: &str,
    payload: &[u8],
    error: &Element,
) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b" type='error'");
    for (attribute, value) in [("id", id), ("from", Some(from)), ("to", Some(to).filter(|to| !to.is_empty()))] {
        if let Some(value) = value {
            out.extend_from_slice(format!(" {attribute}='").as_bytes());
            escape::attribute(out, value);
            out.push(b'\'');
        }
    }
    out.push(b'>');
    out.extend_from_slice(payload);
    error.write_to(out, ns::CLIENT);
    out.extend_from_slice(format!("</{name}>").as_bytes());
}
