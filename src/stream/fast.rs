//! FAST (XEP-0484): tokens that a client gets with one login and logs in with the next time, in a single round trip.
//!
//! What lives here: which token a client has proved to have, and what a login changes about the tokens of its client,
//! as plain values. The mechanisms are `sasl`'s, the store keeps the tokens.

use crate::random;
use crate::sasl::{Bindings, Failure, Ht};
use crate::xml::{Element, namespaces as ns};

/// Seconds after which a token is replaced when it is next used; earlier where tokens live for less than twice as long.
/// One that was stolen is noticed by its owner, or void, as soon as the owner has logged in with its successor.
const ROTATION_S: u64 = 86_400;

/// A token as the server keeps it.
#[derive(Clone, Eq, PartialEq)]
pub struct Token {
    /// The one mechanism that it may be used with (XEP-0484 §3.4).
    pub mechanism: Ht,
    /// What it is verified with: see [`Ht::verifier`].
    pub verifier: Vec<u8>,
    /// The first second, since 1970, in which it is no longer accepted.
    pub expires_s: u64,
    /// The highest count that a login with it has had; `None` before the first that had one.
    pub count: Option<u64>,
}

impl std::fmt::Debug for Token {
    // The verifier may be all that is needed to log in: it stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("mechanism", &self.mechanism)
            .field("expires_s", &self.expires_s)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// The tokens of one client of an account: never more than two (XEP-0484 §5.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tokens {
    /// The one that it has used last.
    pub current: Option<Token>,
    /// The one that it has been sent since, and may not have received.
    pub new: Option<Token>,
}

/// A token that a client has proved to have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Used {
    pub token: Token,
    /// Whether the store has to know of the use before the client may be told that it is logged in.
    pub has_to_be_noted: bool,
}

impl Tokens {
    /// Finds the token that a client's hash proves. Whether a token has expired or was counted further is told to
    /// nobody but who has it.
    pub(super) fn prove(
        &self,
        mechanism: Ht,
        hashed: &[u8],
        bindings: &Bindings,
        request: &FastRequest,
        now_s: u64,
    ) -> Result<(Used, Vec<u8>), Failure> {
        let slots = [(&self.new, true), (&self.current, false)];
        let tokens = slots.into_iter().filter_map(|(slot, is_new)| Some((slot.as_ref()?, is_new)));
        let mut tokens = tokens.filter(|(token, _)| token.mechanism == mechanism).peekable();
        if tokens.peek().is_none() {
            // It takes a while to find out that a hash is wrong; where there is nothing to compare it with, too.
            let _ = mechanism.verify(&random::bytes::<32>(), hashed, bindings);
        }
        let proved = tokens.find_map(|(token, is_new)| {
            mechanism.verify(&token.verifier, hashed, bindings).map(|answer| (token, is_new, answer))
        });
        let (token, is_new, answer) = proved.ok_or(Failure::NotAuthorized)?;
        if token.expires_s <= now_s {
            return Err(Failure::CredentialsExpired);
        }
        if token.is_replayed(request.count) {
            return Err(Failure::NotAuthorized);
        }
        // The successor of an older one takes its place, and what expires earlier than what is used is void (§3.5).
        let voids_another = self.new.as_ref().is_some_and(|new| new.expires_s < token.expires_s);
        let has_to_be_noted = is_new || voids_another || request.count.is_some() || request.invalidate;
        Ok((Used { token: token.clone(), has_to_be_noted }, answer))
    }
}

impl Token {
    /// Whether a login with this count has been seen before (XEP-0484 §3.4).
    fn is_replayed(&self, count: Option<u64>) -> bool {
        count.is_some_and(|count| self.count.is_some_and(|seen| count <= seen))
    }

    /// Whether it is time for another one, which lives for `lifetime_s`.
    pub(super) fn is_due(&self, lifetime_s: u64, now_s: u64) -> bool {
        self.expires_s.saturating_sub(now_s) <= lifetime_s - ROTATION_S.min(lifetime_s / 2)
    }
}

/// What a login changes about the tokens of its client. Applied to what the store has when the login is through, which
/// may be something else than what it had when the client's message came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenChange {
    used: Option<Token>,
    count: Option<u64>,
    invalidate: bool,
    issued: Option<Token>,
}

impl TokenChange {
    pub(super) fn new(used: Option<&Used>, request: &FastRequest, issued: Option<Token>) -> TokenChange {
        let used = used.map(|used| used.token.clone());
        TokenChange { used, count: request.count, invalidate: request.invalidate, issued }
    }

    /// What there is afterwards (XEP-0484 §3.5, §3.6, §5.1). An error if the token that was used has gone since, or a
    /// login with the same count was faster.
    pub fn apply(&self, mut tokens: Tokens) -> Result<Tokens, Failure> {
        if let Some(used) = &self.used {
            let is_used = |token: &Token| token.mechanism == used.mechanism && token.verifier == used.verifier;
            if tokens.new.as_ref().is_some_and(is_used) {
                tokens.current = tokens.new.take();
            }
            let mut token = tokens.current.filter(is_used).ok_or(Failure::NotAuthorized)?;
            if token.is_replayed(self.count) {
                return Err(Failure::NotAuthorized);
            }
            token.count = self.count.or(token.count);
            tokens.new = tokens.new.filter(|new| new.expires_s >= token.expires_s);
            tokens.current = Some(token);
            if self.invalidate {
                // Whoever logs out for good means the successor that it never got as well.
                tokens = Tokens::default();
            }
        }
        if let Some(issued) = &self.issued {
            tokens.new = Some(issued.clone());
        }
        Ok(tokens)
    }
}

/// A token on its way to the client.
#[derive(Debug)]
pub(super) struct Issued {
    text: String,
    expires_s: u64,
}

impl Issued {
    /// A new token that lives for `lifetime_s`, and what is kept of it.
    pub fn new(mechanism: Ht, lifetime_s: u64, now_s: u64) -> (Issued, Token) {
        let text = random::token();
        let expires_s = now_s.saturating_add(lifetime_s);
        let token = Token { mechanism, verifier: mechanism.verifier(&text), expires_s, count: None };
        (Issued { text, expires_s }, token)
    }

    /// `<token/>` (XEP-0484 §3.3).
    pub fn to_element(&self) -> Element {
        let expiry = crate::datetime::utc_s(self.expires_s);
        Element::new("token", ns::FAST).with_attribute("expiry", &expiry).with_attribute("token", &self.text)
    }
}

/// What a client says about the token it logs in with: `<fast/>` (XEP-0484 §3.4, §3.6).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct FastRequest {
    pub count: Option<u64>,
    pub invalidate: bool,
}

impl FastRequest {
    pub fn parse(element: &Element) -> Result<FastRequest, Failure> {
        let count = element.attribute("count").map(str::parse).transpose().map_err(|_| Failure::MalformedRequest)?;
        Ok(FastRequest { count, invalidate: element.attribute("invalidate").is_some_and(super::inline::is_true) })
    }
}
