//! Registration before login (XEP-0077 §3): who may ask at all, and how often. What is asked is answered elsewhere.

use super::{Negotiation, State};
use crate::stream::action::Action;
use crate::stream::config::TlsPolicy;
use crate::stream::{Refusal, StreamError};
use crate::xml::{Element, namespaces as ns};

/// Whether an IQ is about registration, or shows an invitation to it.
pub(super) fn is_about_registration(iq: &Element) -> bool {
    iq.child("query", ns::REGISTER).is_some() || iq.child("preauth", ns::PREAUTH).is_some()
}

impl Negotiation {
    /// A question about registration (XEP-0077 §3). Each costs a try if it is to change something: nobody needs many.
    pub(super) fn registration_request(&mut self, iq: &Element) -> Vec<Action> {
        if self.tls.is_none() && self.config.tls != TlsPolicy::PlaintextAllowed {
            let refusal = Refusal::policy_violation().with_text("Encryption is required.");
            self.state = State::Choosing;
            let mut out = Vec::new();
            let (id, domain) = (iq.attribute("id"), self.domain.as_deref().unwrap_or_default());
            refusal.write_reply(&mut out, "iq", id, domain, "");
            return vec![Action::Send(out)];
        }
        if iq.attribute("type") == Some("set") {
            if self.registrations_left == 0 {
                return self.fail(StreamError::policy_violation("too many tries to register"));
            }
            self.registrations_left -= 1;
        }
        self.state = State::Registering;
        let token = self.token.as_deref().map(str::to_owned);
        vec![Action::Register { domain: self.domain.clone().unwrap_or_default(), iq: iq.clone(), token }]
    }

    /// The client has shown the token of an invitation that holds (XEP-0445 §3).
    pub fn on_invitation(&mut self, token: &str) {
        self.token = Some(token.into());
    }

    /// The answer to [`Action::Register`], as it stands in the stream.
    pub fn on_registration(&mut self, answer: Vec<u8>) -> Vec<Action> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Registering => {
                self.state = State::Choosing;
                vec![Action::Send(answer)]
            }
            state => self.unexpected(state),
        }
    }
}
