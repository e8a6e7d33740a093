//! The errors of a publish-subscribe service: a condition of RFC 6120, and for most of them one of XEP-0060's own.

use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// A stanza error with what XEP-0060 adds to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PubsubError {
    /// The error's type (RFC 6120 §8.3.2).
    pub kind: &'static str,
    /// The condition (RFC 6120 §8.3.3).
    pub condition: &'static str,
    /// The condition in the namespace `http://jabber.org/protocol/pubsub#errors`.
    pub specific: Option<Specific>,
}

/// A condition of XEP-0060 §17.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Specific {
    /// An element without more.
    Named(&'static str),
    /// `unsupported`, and the feature that is.
    Unsupported(&'static str),
}

const fn error(kind: &'static str, condition: &'static str) -> PubsubError {
    PubsubError { kind, condition, specific: None }
}

const fn named(kind: &'static str, condition: &'static str, name: &'static str) -> PubsubError {
    PubsubError { kind, condition, specific: Some(Specific::Named(name)) }
}

/// What shared parts of requests, such as pages, are refused with; words for people are left out.
impl From<Refusal> for PubsubError {
    fn from(refusal: Refusal) -> PubsubError {
        error(refusal.kind, refusal.condition)
    }
}

impl PubsubError {
    /// The request makes no sense.
    pub const BAD_REQUEST: PubsubError = error("modify", "bad-request");
    /// No such node or item.
    pub const ITEM_NOT_FOUND: PubsubError = error("cancel", "item-not-found");
    /// Whoever asks may not do this.
    pub const FORBIDDEN: PubsubError = error("auth", "forbidden");
    /// Nobody may do this here.
    pub const NOT_ALLOWED: PubsubError = error("cancel", "not-allowed");
    /// What is wanted cannot be (XEP-0060 §8.2.5.2).
    pub const NOT_ACCEPTABLE: PubsubError = error("modify", "not-acceptable");
    /// The node exists (XEP-0060 §8.1.1).
    pub const CONFLICT: PubsubError = error("cancel", "conflict");
    /// A limit of the service for which XEP-0060 has no condition.
    pub const POLICY_VIOLATION: PubsubError = error("modify", "policy-violation");
    /// An address is none.
    pub const JID_MALFORMED: PubsubError = error("modify", "jid-malformed");
    /// The storage failed.
    pub const INTERNAL: PubsubError = error("wait", "internal-server-error");
    /// Others have changed the node again and again meanwhile.
    pub const BUSY: PubsubError = error("wait", "resource-constraint");
    /// Another service is meant, or none.
    pub const SERVICE_UNAVAILABLE: PubsubError = error("cancel", "service-unavailable");

    /// XEP-0060 §6.1.3.1.
    pub const INVALID_JID: PubsubError = named("modify", "bad-request", "invalid-jid");
    /// XEP-0060 §6.1.3.2.
    pub const PRESENCE_REQUIRED: PubsubError = named("auth", "not-authorized", "presence-subscription-required");
    /// XEP-0060 §6.1.3.3.
    pub const NOT_IN_GROUP: PubsubError = named("auth", "not-authorized", "not-in-roster-group");
    /// XEP-0060 §6.1.3.4.
    pub const CLOSED_NODE: PubsubError = named("cancel", "not-allowed", "closed-node");
    /// XEP-0060 §6.1.3.7.
    pub const PENDING: PubsubError = named("auth", "not-authorized", "pending-subscription");
    /// XEP-0060 §6.1.3.9.
    pub const TOO_MANY_SUBSCRIPTIONS: PubsubError = named("wait", "policy-violation", "too-many-subscriptions");
    /// XEP-0060 §6.2.3.2: there is no such subscription.
    pub const NOT_SUBSCRIBED: PubsubError = named("cancel", "unexpected-request", "not-subscribed");
    /// XEP-0060 §6.5.9.3: only subscribers may do this.
    pub const SUBSCRIPTION_REQUIRED: PubsubError = named("auth", "not-authorized", "not-subscribed");
    /// XEP-0060 §6.3.4.3.
    pub const JID_REQUIRED: PubsubError = named("modify", "bad-request", "jid-required");
    /// XEP-0060 §7.1.3.4.
    pub const NODE_FULL: PubsubError = named("cancel", "conflict", "node-full");
    /// XEP-0060 §7.1.3.5.
    pub const PAYLOAD_TOO_BIG: PubsubError = named("modify", "not-acceptable", "payload-too-big");
    /// XEP-0060 §7.1.3.6.
    pub const INVALID_PAYLOAD: PubsubError = named("modify", "bad-request", "invalid-payload");
    /// XEP-0060 §7.1.3.7.
    pub const ITEM_REQUIRED: PubsubError = named("modify", "bad-request", "item-required");
    /// XEP-0060 §7.1.3.7.
    pub const PAYLOAD_REQUIRED: PubsubError = named("modify", "bad-request", "payload-required");
    /// XEP-0060 §7.1.3.7.
    pub const ITEM_FORBIDDEN: PubsubError = named("modify", "bad-request", "item-forbidden");
    /// XEP-0060 §7.1.5.
    pub const PRECONDITION: PubsubError = named("cancel", "conflict", "precondition-not-met");
    /// XEP-0060 §7.2.3.3.
    pub const NODE_REQUIRED: PubsubError = named("modify", "bad-request", "nodeid-required");
    /// XEP-0060 §8.1.2.
    pub const UNSUPPORTED_ACCESS_MODEL: PubsubError = named("modify", "not-acceptable", "unsupported-access-model");
    /// The service has as many nodes as it may.
    pub const MAX_NODES: PubsubError = named("modify", "policy-violation", "max-nodes-exceeded");

    /// A feature of XEP-0060 §10 that the service or the node does not have.
    pub const fn unsupported(feature: &'static str) -> PubsubError {
        let specific = Some(Specific::Unsupported(feature));
        PubsubError { kind: "cancel", condition: "feature-not-implemented", specific }
    }

    /// What whoever has asked is told.
    pub fn to_refusal(self) -> Refusal {
        let refusal = Refusal::new(self.kind, self.condition);
        match self.specific {
            None => refusal,
            Some(Specific::Named(name)) => refusal.with_application(Element::new(name, ns::PUBSUB_ERRORS)),
            Some(Specific::Unsupported(feature)) => {
                let unsupported = Element::new("unsupported", ns::PUBSUB_ERRORS).with_attribute("feature", feature);
                refusal.with_application(unsupported)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_look_as_in_the_examples_of_xep_0060() {
        let closed = "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                      <closed-node xmlns='http://jabber.org/protocol/pubsub#errors'/></error>";
        assert_eq!(PubsubError::CLOSED_NODE.to_refusal().to_element(), Element::parse(closed.as_bytes()).unwrap());
        let options = "<error type='cancel'><feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                       <unsupported xmlns='http://jabber.org/protocol/pubsub#errors' feature='subscription-options'/>\
                       </error>";
        let unsupported = PubsubError::unsupported("subscription-options");
        assert_eq!(unsupported.to_refusal().to_element(), Element::parse(options.as_bytes()).unwrap());
    }
}
