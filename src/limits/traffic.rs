//! How much may be sent over one connection: bytes, and stanzas of each kind. What is over is not read yet; nothing is
//! lost, and nobody is told.

use hashbrown::{HashMap, HashSet};
use rondel_shards::{Debt, Rate, TokenBucket};

use crate::account::StanzaKind;
use crate::jid::domain_of;

/// What is at the other end of a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Link {
    /// A client.
    Client,
    /// A server that has connected to this one.
    ServerIn,
    /// A server that this one has connected to.
    ServerOut,
    /// A component.
    Component,
}

/// Bytes that may be read: of most, and of those of some domains. `None`: as many as come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ByteLimits {
    /// Of those whose domain has no limit of its own.
    pub usual: Option<Rate>,
    /// By domain.
    pub domains: HashMap<String, Option<Rate>>,
}

/// Stanzas that a session may send, by kind. `None`: as many as come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StanzaLimits {
    /// Messages.
    pub messages: Option<Rate>,
    /// Presence.
    pub presence: Option<Rate>,
    /// IQs.
    pub iqs: Option<Rate>,
}

/// What an account may send to strangers. `None`: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StrangerLimits {
    /// Messages.
    pub messages: Option<Rate>,
    /// Requests for subscriptions.
    pub subscriptions: Option<Rate>,
}

/// What an account has sent to strangers.
#[derive(Clone, Copy, Debug)]
pub struct ToStrangers {
    messages: TokenBucket,
    subscriptions: TokenBucket,
}

impl ToStrangers {
    /// Nothing so far.
    pub fn new(limits: &StrangerLimits, now_ms: u64) -> ToStrangers {
        let full = |rate: Option<Rate>| TokenBucket::full(rate.unwrap_or(NOTHING), now_ms);
        ToStrangers { messages: full(limits.messages), subscriptions: full(limits.subscriptions) }
    }

    /// Something is sent to a stranger. Whether it may be.
    pub fn may_send(&mut self, kind: StanzaKind, limits: &StrangerLimits, now_ms: u64) -> bool {
        let (bucket, rate) = match kind {
            StanzaKind::Presence(_) => (&mut self.subscriptions, limits.subscriptions),
            _ => (&mut self.messages, limits.messages),
        };
        rate.is_none_or(|rate| bucket.take(rate, 1.0, now_ms).is_ok())
    }
}

/// The rate of what is not limited.
const NOTHING: Rate = Rate { per_second: 0.0, burst: 0.0 };

/// What a session has sent of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    messages: Debt,
    presence: Debt,
    iqs: Debt,
}

/// How much may be sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Bytes, by what is at the other end.
    pub bytes: HashMap<Link, ByteLimits>,
    /// Stanzas of clients.
    pub stanzas: StanzaLimits,
    /// What accounts may send to strangers.
    pub strangers: StrangerLimits,
    /// Accounts and domains without limits.
    pub exempt: HashSet<String>,
}

impl Traffic {
    /// How fast bytes are read of who is at the other end, whose domain is known or not yet.
    pub fn bytes(&self, link: Link, domain: Option<&str>) -> Option<Rate> {
        let limits = self.bytes.get(&link)?;
        domain.and_then(|domain| limits.domains.get(domain)).copied().unwrap_or(limits.usual)
    }

    /// The same for the session of an account.
    pub fn bytes_of_session(&self, bare: &str) -> Option<Rate> {
        if self.is_exempt(bare) { None } else { self.bytes(Link::Client, Some(domain_of(bare))) }
    }

    /// Whether an account has no limits.
    pub fn is_exempt(&self, bare: &str) -> bool {
        !self.exempt.is_empty() && (self.exempt.contains(bare) || self.exempt.contains(domain_of(bare)))
    }
}

impl Sent {
    /// A stanza was sent. For how many milliseconds nothing more is taken, if it was one too many.
    #[inline]
    pub fn one(&mut self, kind: StanzaKind, limits: &StanzaLimits, now_ms: u64) -> Option<u64> {
        let (debt, rate) = match kind {
            StanzaKind::Message(_) => (&mut self.messages, limits.messages),
            StanzaKind::Presence(_) => (&mut self.presence, limits.presence),
            StanzaKind::Iq(_) => (&mut self.iqs, limits.iqs),
        };
        debt.charge(rate?, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::subscription::SubscriptionType;
    use crate::account::{IqType, MessageType, PresenceType};

    const SLOW: Rate = Rate { per_second: 3_000.0, burst: 6_000.0 };
    const FAST: Rate = Rate { per_second: 9_000.0, burst: 9_000.0 };

    fn traffic() -> Traffic {
        let domains = [("fast.example".to_owned(), Some(FAST)), ("free.example".to_owned(), None)].into();
        Traffic {
            bytes: [(Link::Client, ByteLimits { usual: Some(SLOW), domains })].into(),
            stanzas: StanzaLimits { messages: Some(Rate { per_second: 1.0, burst: 2.0 }), ..Default::default() },
            strangers: StrangerLimits::default(),
            exempt: ["bot@slow.example".to_owned(), "lab.example".to_owned()].into(),
        }
    }

    #[test]
    fn domains_may_have_their_own_and_some_have_none() {
        let traffic = traffic();
        assert_eq!(traffic.bytes(Link::Client, None), Some(SLOW));
        assert_eq!(traffic.bytes(Link::ServerIn, None), None);
        for (bare, expected) in [
            ("a@slow.example", Some(SLOW)),
            ("a@fast.example", Some(FAST)),
            ("a@free.example", None),
            ("bot@slow.example", None),
            ("a@lab.example", None),
        ] {
            assert_eq!(traffic.bytes_of_session(bare), expected, "{bare}");
        }
    }

    #[test]
    fn messages_and_requests_to_strangers_are_counted_apart() {
        let rate = |burst| Some(Rate { per_second: 1.0, burst });
        let limits = StrangerLimits { messages: rate(2.0), subscriptions: rate(1.0) };
        let mut sent = ToStrangers::new(&limits, 0);
        let message = StanzaKind::Message(MessageType::Chat);
        let request = StanzaKind::Presence(PresenceType::Subscription(SubscriptionType::Subscribe));
        assert!(sent.may_send(message, &limits, 0) && sent.may_send(message, &limits, 0));
        assert!(!sent.may_send(message, &limits, 0) && sent.may_send(request, &limits, 0));
        assert!(!sent.may_send(request, &limits, 999) && sent.may_send(request, &limits, 1000));
        assert!((0..99).all(|_| sent.may_send(message, &StrangerLimits::default(), 0)));
    }

    #[test]
    fn each_kind_of_stanza_is_counted_apart() {
        let traffic = traffic();
        let limits = traffic.stanzas;
        let (mut sent, message) = (Sent::default(), StanzaKind::Message(MessageType::Chat));
        assert_eq!(sent.one(message, &limits, 0), None);
        assert_eq!(sent.one(message, &limits, 0), Some(1000), "the next one may come after a second");
        assert_eq!(sent.one(StanzaKind::Iq(IqType::Get), &limits, 0), None);
        assert_eq!(sent.one(message, &limits, 1000), Some(1000));
        assert!(traffic.is_exempt("bot@slow.example") && traffic.is_exempt("a@lab.example"));
    }
}
