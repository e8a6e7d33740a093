//! What an account may not send that others may: because it was silenced, or because it is so new that nobody knows
//! yet what it is for.
//!
//! A new account may write to a few strangers in an hour, and not many stanzas at once. A stranger is who is in no
//! subscription with it and has not written to it. What was sent is remembered beside the accounts in memory, so that
//! it does not help to leave and come back.

use std::cell::RefCell;

use rondel_shards::{Rate, TokenBucket};
use rondel_storage::accounts::{Account, AccountFlags};

use super::{IqType, MessageType, PresenceType, Recent, StanzaKind, subscription::SubscriptionType};
use crate::limits::HOUR_MS;
use crate::stream::Refusal;

/// What new accounts are held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewAccountLimits {
    /// For how long an account is new, in seconds; zero: never.
    pub age_s: u64,
    /// Strangers that it may write to in an hour.
    pub strangers: usize,
    /// Stanzas that it may send to others.
    pub stanzas: Rate,
}

impl Default for NewAccountLimits {
    /// No account is new.
    fn default() -> NewAccountLimits {
        NewAccountLimits { age_s: 0, strangers: 0, stanzas: Rate { per_second: 0.0, burst: 0.0 } }
    }
}

/// What an account is held to.
#[derive(Debug, Default)]
pub struct Restraint {
    muted_until_s: u64,
    limited_until_s: u64,
    /// Who has written to it last.
    heard: RefCell<Recent>,
}

/// What an account that is held to limits has sent.
#[derive(Debug)]
pub struct Sent {
    stanzas: TokenBucket,
    /// The strangers it has written to, and when it has first, in milliseconds.
    strangers: Vec<(Box<str>, u64)>,
}

/// Why an account may not send something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restrained {
    /// It was silenced.
    Muted,
    /// It has written to too many strangers.
    Strangers,
    /// It sends too much at once.
    Rate,
}

impl Restrained {
    /// As it is traced and counted.
    pub fn reason(self) -> &'static str {
        match self {
            Restrained::Muted => "the sender is muted",
            Restrained::Strangers => "a new account has written to too many strangers",
            Restrained::Rate => "a new account sends too much at once",
        }
    }

    /// What the sender is told.
    pub fn refusal(self) -> Refusal {
        match self {
            Restrained::Muted => Refusal::new("auth", "forbidden")
                .with_text("This account may write to nobody but those who run the server."),
            Restrained::Strangers => Refusal::new("wait", "policy-violation")
                .with_text("A new account may not write to so many strangers. Try again later."),
            Restrained::Rate => {
                Refusal::new("wait", "policy-violation").with_text("A new account may not send so much at once.")
            }
        }
    }
}

impl Restraint {
    /// What an account is held to at this time, in seconds since 1970; `None`: nothing.
    pub fn of(account: &Account, limits: &NewAccountLimits, now_s: u64) -> Option<Box<Restraint>> {
        let is_trusted = account.flags.has(AccountFlags::TRUSTED);
        let grown_s = if is_trusted || limits.age_s == 0 { 0 } else { account.created.saturating_add(limits.age_s) };
        let restraint = Restraint {
            muted_until_s: account.muted_until_s.unwrap_or_default(),
            limited_until_s: grown_s.max(account.limited_until_s.unwrap_or_default()),
            ..Restraint::default()
        };
        (now_s < restraint.muted_until_s.max(restraint.limited_until_s)).then(|| Box::new(restraint))
    }

    /// Somebody has written to the account: it may answer.
    pub fn hears(&self, bare_jid: &str) {
        self.heard.borrow_mut().note(bare_jid);
    }

    /// Whether the account is silenced at this time, in seconds since 1970.
    pub fn is_muted(&self, now_s: u64) -> bool {
        now_s < self.muted_until_s
    }

    /// Whether the account is held to the limits of new ones at this time, in seconds since 1970.
    pub fn is_limited(&self, now_s: u64) -> bool {
        now_s < self.limited_until_s
    }

    /// Whether somebody has written to the account lately.
    pub fn has_heard(&self, bare_jid: &str) -> bool {
        self.heard.borrow().has(bare_jid)
    }
}

/// Whether somebody else hears or has to do something because of a stanza. What is an answer is none of these.
pub fn reaches_others(kind: StanzaKind) -> bool {
    match kind {
        StanzaKind::Message(kind) => kind != MessageType::Error,
        StanzaKind::Iq(kind) => matches!(kind, IqType::Get | IqType::Set),
        StanzaKind::Presence(kind) => {
            matches!(kind, PresenceType::Available | PresenceType::Subscription(SubscriptionType::Subscribe))
        }
    }
}

/// Whether a stanza is one that nobody likes to get from a stranger.
pub fn is_unsolicited(kind: StanzaKind) -> bool {
    match kind {
        StanzaKind::Message(kind) => !matches!(kind, MessageType::Error | MessageType::Groupchat),
        StanzaKind::Presence(kind) => kind == PresenceType::Subscription(SubscriptionType::Subscribe),
        StanzaKind::Iq(_) => false,
    }
}

impl Sent {
    /// Nothing so far.
    pub fn new(limits: &NewAccountLimits, now_ms: u64) -> Sent {
        Sent { stanzas: TokenBucket::full(limits.stanzas, now_ms), strangers: Vec::new() }
    }

    /// Something is to be sent, to this stranger if it is one.
    pub fn take(&mut self, stranger: Option<&str>, limits: &NewAccountLimits, now_ms: u64) -> Result<(), Restrained> {
        self.stanzas.take(limits.stanzas, 1.0, now_ms).map_err(|_| Restrained::Rate)?;
        let Some(stranger) = stranger else { return Ok(()) };
        self.strangers.retain(|(_, since_ms)| now_ms.saturating_sub(*since_ms) < HOUR_MS);
        if self.strangers.iter().any(|(known, _)| **known == *stranger) {
            return Ok(());
        }
        if self.strangers.len() >= limits.strangers {
            return Err(Restrained::Strangers);
        }
        self.strangers.push((stranger.into(), now_ms));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> NewAccountLimits {
        NewAccountLimits { age_s: 100, strangers: 2, stanzas: Rate { per_second: 1.0, burst: 5.0 } }
    }

    fn account() -> Account {
        Account::new(Vec::new(), 1000)
    }

    #[test]
    fn an_account_is_new_for_a_while_unless_it_is_trusted() {
        let is_limited = |account: &Account, now_s| {
            Restraint::of(account, &limits(), now_s).is_some_and(|restraint| restraint.is_limited(now_s))
        };
        assert!(is_limited(&account(), 1099) && !is_limited(&account(), 1100));
        let trusted = Account { flags: AccountFlags::default().with(AccountFlags::TRUSTED, true), ..account() };
        assert!(!is_limited(&trusted, 1001));
        let held = Account { limited_until_s: Some(2000), ..account() };
        assert!(is_limited(&held, 1999) && !is_limited(&held, 2000));
        assert!(Restraint::of(&account(), &NewAccountLimits { age_s: 0, ..limits() }, 1001).is_none());
    }

    #[test]
    fn an_account_is_muted_for_a_while() {
        let muted = Account { muted_until_s: Some(5000), ..account() };
        let restraint = Restraint::of(&muted, &limits(), 4999).unwrap();
        assert!(restraint.is_muted(4999) && !restraint.is_muted(5000) && !restraint.is_limited(4999));
        assert!(Restraint::of(&muted, &limits(), 5000).is_none());
    }

    #[test]
    fn strangers_are_few_in_an_hour() {
        let mut sent = Sent::new(&limits(), 0);
        assert_eq!(sent.take(Some("a@x"), &limits(), 0), Ok(()));
        assert_eq!(sent.take(Some("b@x"), &limits(), 1000), Ok(()));
        assert_eq!(sent.take(Some("a@x"), &limits(), 2000), Ok(()), "the same one");
        assert_eq!(sent.take(Some("c@x"), &limits(), 3000), Err(Restrained::Strangers));
        assert_eq!(sent.take(None, &limits(), 4000), Ok(()), "a contact");
        assert_eq!(sent.take(Some("c@x"), &limits(), HOUR_MS), Ok(()), "the first is an hour ago");
        assert_eq!(sent.take(Some("d@x"), &limits(), HOUR_MS), Err(Restrained::Strangers));
    }

    #[test]
    fn stanzas_are_few_at_once() {
        let mut sent = Sent::new(&limits(), 0);
        assert!((0..5).all(|_| sent.take(None, &limits(), 0).is_ok()));
        assert_eq!(sent.take(None, &limits(), 0), Err(Restrained::Rate));
        assert_eq!(sent.take(None, &limits(), 1000), Ok(()));
    }

    #[test]
    fn who_has_written_may_be_answered() {
        let restraint = Restraint::of(&account(), &limits(), 1000).unwrap();
        assert!(!restraint.has_heard("a@x"));
        restraint.hears("a@x");
        assert!(restraint.has_heard("a@x"));
    }

    #[test]
    fn answers_are_free() {
        assert!(!reaches_others(StanzaKind::Iq(IqType::Result)) && reaches_others(StanzaKind::Iq(IqType::Get)));
        assert!(!reaches_others(StanzaKind::Presence(PresenceType::Subscription(SubscriptionType::Subscribed))));
        assert!(is_unsolicited(StanzaKind::Message(MessageType::Chat)));
        assert!(!is_unsolicited(StanzaKind::Message(MessageType::Groupchat)));
    }
}
