//! Why a request is refused, with all that a specification may ask the reply to say (RFC 6120 §8.3).

use super::stanza_error::{StanzaCondition, write_error};
use crate::xml::{Element, namespaces as ns};

/// What stands in the `<error/>` of a reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// `auth`, `cancel`, `continue`, `modify` or `wait` (RFC 6120 §8.3.2).
    pub kind: &'static str,
    /// The defined condition (RFC 6120 §8.3.3).
    pub condition: &'static str,
    /// The condition that the request's own specification defines (RFC 6120 §8.3.4).
    pub application: Option<Box<Element>>,
    /// What is wrong, for a person, in English.
    pub text: Option<Box<str>>,
}

impl Refusal {
    /// A refusal of this type and condition.
    pub fn new(kind: &'static str, condition: &'static str) -> Refusal {
        Refusal { kind, condition, application: None, text: None }
    }

    /// With a condition of the request's own specification.
    pub fn with_application(mut self, condition: Element) -> Refusal {
        self.application = Some(Box::new(condition));
        self
    }

    /// With words for a person.
    pub fn with_text(mut self, text: &str) -> Refusal {
        self.text = Some(text.into());
        self
    }

    /// The request is malformed.
    pub fn bad_request() -> Refusal {
        Refusal::new("modify", "bad-request")
    }

    /// The request is understood and not supported.
    pub fn feature_not_implemented() -> Refusal {
        Refusal::new("cancel", "feature-not-implemented")
    }

    /// Others may do this, but not who asks.
    pub fn forbidden() -> Refusal {
        Refusal::new("auth", "forbidden")
    }

    /// The server has failed.
    pub fn internal_server_error() -> Refusal {
        Refusal::new("cancel", "internal-server-error")
    }

    /// There is no such thing.
    pub fn item_not_found() -> Refusal {
        Refusal::new("cancel", "item-not-found")
    }

    /// An address in the request is none.
    pub fn jid_malformed() -> Refusal {
        Refusal::new("modify", "jid-malformed")
    }

    /// The request is well-formed and fails the criteria of its specification.
    pub fn not_acceptable() -> Refusal {
        Refusal::new("modify", "not-acceptable")
    }

    /// Nobody may do this.
    pub fn not_allowed() -> Refusal {
        Refusal::new("cancel", "not-allowed")
    }

    /// More than a limit of this server allows.
    pub fn policy_violation() -> Refusal {
        Refusal::new("modify", "policy-violation")
    }

    /// Nobody is there, or nothing that answers.
    pub fn service_unavailable() -> Refusal {
        Refusal::new("cancel", "service-unavailable")
    }

    /// The `<error/>`.
    pub fn to_element(&self) -> Element {
        let error = Element::new("error", ns::CLIENT)
            .with_attribute("type", self.kind)
            .with_child(Element::new(self.condition, ns::STANZA_ERRORS));
        let error = match &self.text {
            Some(text) => error.with_child(Element::new("text", ns::STANZA_ERRORS).with_language("en").with_text(text)),
            None => error,
        };
        match &self.application {
            Some(condition) => error.with_child((**condition).clone()),
            None => error,
        }
    }

    /// Appends the error reply to a stanza: its kind (`message`, `presence`, `iq`) and id, sent by whom it was
    /// addressed to (`from`), to its sender; empty if that has no address yet.
    pub fn write_reply(&self, out: &mut Vec<u8>, name: &str, id: Option<&str>, from: &str, to: &str) {
        self.write_reply_behind(out, name, id, from, to, &[]);
    }

    /// The same behind a payload, as RFC 6120 §8.3.1 permits.
    pub fn write_reply_behind(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        id: Option<&str>,
        from: &str,
        to: &str,
        payload: &[u8],
    ) {
        write_error(out, name, id, from, to, payload, &self.to_element());
    }
}

impl From<StanzaCondition> for Refusal {
    fn from(condition: StanzaCondition) -> Refusal {
        let (kind, condition) = condition.names();
        Refusal::new(kind, condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_says_all_of_it() {
        let blocked = Element::new("blocked", "urn:xmpp:blocking:errors");
        let refusal = Refusal::new("cancel", "not-acceptable").with_text("You block <them>.").with_application(blocked);
        let mut out = Vec::new();
        refusal.write_reply(&mut out, "message", Some("a&b"), "romeo@montague.net", "juliet@capulet.com/balcony");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<message type='error' id='a&amp;b' from='romeo@montague.net' to='juliet@capulet.com/balcony'>\
             <error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>You block &lt;them&gt;.</text>\
             <blocked xmlns='urn:xmpp:blocking:errors'/></error></message>"
        );
    }

    #[test]
    fn conditions_keep_their_names() {
        let refusal = Refusal::from(StanzaCondition::ResourceConstraint);
        assert_eq!((refusal.kind, refusal.condition), ("wait", "resource-constraint"));
    }
}
