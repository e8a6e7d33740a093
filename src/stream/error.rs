//! Stream errors (RFC 6120 §4.9).

use std::borrow::Cow;

use crate::xml::escape;

/// The condition of a stream error (RFC 6120 §4.9.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StreamCondition {
    /// Its name, for all that carry nothing.
    Plain(&'static str),
    /// Where to connect instead.
    SeeOtherHost(String),
    /// The peer has acknowledged more stanzas than it was sent (XEP-0198 §6): how many of each.
    HandledCountTooHigh {
        /// What it has acknowledged.
        h: u32,
        /// What it was sent.
        sent: u32,
    },
}

/// A stream error: what is wrong, for programs and for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamError {
    /// The condition.
    pub condition: StreamCondition,
    /// The text, possibly empty.
    pub text: Cow<'static, str>,
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $constructor:ident = $name:literal,)*) => {
        impl StreamError {
            $($(#[$doc])* pub fn $constructor(text: impl Into<Cow<'static, str>>) -> StreamError {
                StreamError { condition: StreamCondition::Plain($name), text: text.into() }
            })*
        }
    };
}

conditions! {
    /// XML that cannot be processed here (§4.9.3.1).
    bad_format = "bad-format",
    /// Another session has the resource now (§4.9.3.3).
    conflict = "conflict",
    /// The peer has taken too long (§4.9.3.4).
    connection_timeout = "connection-timeout",
    /// The domain is not served here (§4.9.3.6).
    host_unknown = "host-unknown",
    /// The sender is not who it says (§4.9.3.9).
    invalid_from = "invalid-from",
    /// A fault of the server (§4.9.3.8).
    internal_server_error = "internal-server-error",
    /// The peer may not do this, or not yet (§4.9.3.12).
    not_authorized = "not-authorized",
    /// A local policy is violated (§4.9.3.14).
    policy_violation = "policy-violation",
    /// Whoever is there has to log in again (§4.9.3.16).
    reset = "reset",
    /// Too little of something (§4.9.3.17).
    resource_constraint = "resource-constraint",
    /// The server ends (§4.9.3.20).
    system_shutdown = "system-shutdown",
    /// A first-level element that is not understood (§4.9.3.24).
    unsupported_stanza_type = "unsupported-stanza-type",
    /// A version of XMPP that is not spoken (§4.9.3.25).
    unsupported_version = "unsupported-version",
}

impl StreamError {
    /// Connect elsewhere (§4.9.3.19).
    pub fn see_other_host(host: String) -> StreamError {
        StreamError { condition: StreamCondition::SeeOtherHost(host), text: "".into() }
    }

    /// More was acknowledged than was sent (XEP-0198 §6).
    pub fn handled_count_too_high(h: u32, sent: u32) -> StreamError {
        let text = format!("You acknowledged {h} stanzas, but only {sent} were sent to you.");
        StreamError { condition: StreamCondition::HandledCountTooHigh { h, sent }, text: text.into() }
    }

    /// Any condition that a mistake in XML leads to.
    pub fn of_xml(error: crate::xml::XmlError) -> StreamError {
        StreamError { condition: StreamCondition::Plain(error.condition()), text: error.text().into() }
    }

    /// The condition's element name.
    pub fn name(&self) -> &'static str {
        match self.condition {
            StreamCondition::Plain(name) => name,
            StreamCondition::SeeOtherHost(_) => "see-other-host",
            StreamCondition::HandledCountTooHigh { .. } => "undefined-condition",
        }
    }

    /// Appends the error and the end of the stream. The stream's header must have been sent.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        const NAMESPACE: &str = crate::xml::namespaces::STREAM_ERRORS;
        out.extend_from_slice(format!("<stream:error><{} xmlns='{NAMESPACE}'", self.name()).as_bytes());
        match &self.condition {
            StreamCondition::Plain(_) | StreamCondition::HandledCountTooHigh { .. } => out.extend_from_slice(b"/>"),
            StreamCondition::SeeOtherHost(host) => {
                out.push(b'>');
                escape::text(out, host);
                out.extend_from_slice(b"</see-other-host>");
            }
        }
        if !self.text.is_empty() {
            out.extend_from_slice(format!("<text xml:lang='en' xmlns='{NAMESPACE}'>").as_bytes());
            escape::text(out, &self.text);
            out.extend_from_slice(b"</text>");
        }
        // What is not of RFC 6120 comes last (§4.9.2).
        if let StreamCondition::HandledCountTooHigh { h, sent } = self.condition {
            const MANAGEMENT: &str = crate::xml::namespaces::STREAM_MANAGEMENT;
            let detail = format!("<handled-count-too-high xmlns='{MANAGEMENT}' h='{h}' send-count='{sent}'/>");
            out.extend_from_slice(detail.as_bytes());
        }
        out.extend_from_slice(b"</stream:error></stream:stream>");
    }
}
