//! Telling an operator, live, what is decided for the stanzas of an account, and why (`rondel trace`). Nothing of what
//! people write to each other is in it: only who, to whom, what kind of stanza, and what becomes of it.
//!
//! Where nobody looks, a decision costs one look at an empty list.

use std::cell::RefCell;

use crossbeam::channel::{Sender, TrySendError};
use serde::{Deserialize, Serialize};

use super::Shard;
use super::give::What;
use super::roster::now_micros;
use crate::account::csi::{Urgency, urgency};
use crate::account::{SessionKey, StanzaKind, Verdict};

/// What was decided for one stanza.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Traced {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// Its kind and type.
    pub stanza: String,
    /// Its sender.
    pub from: String,
    /// Its addressee; empty if it has none.
    pub to: String,
    /// What becomes of it, and why.
    pub decision: String,
    /// Decisions before this one that could not be told, because they came too fast.
    pub lost: u64,
}

/// Somebody who looks.
pub struct Watch {
    /// The number by which it is known.
    pub number: u64,
    /// The account's bare JID.
    pub account: String,
    /// Where what is decided goes; nowhere if nobody looks any more.
    pub to: Option<Sender<Traced>>,
}

/// Those who look at one shard.
#[derive(Default)]
pub(super) struct Watches {
    all: RefCell<Vec<(Watch, u64)>>,
}

impl Watches {
    /// Lets somebody look from now on, or no longer.
    pub fn change(&self, watch: Watch) {
        let mut all = self.all.borrow_mut();
        all.retain(|(other, _)| other.number != watch.number);
        if watch.to.is_some() {
            all.push((watch, 0));
        }
    }

    fn tell(&self, kind: StanzaKind, from: &str, to: &str, decision: &str) {
        let bare = |address: &str| address[..address.find('/').unwrap_or(address.len())].to_owned();
        let ends = [bare(from), bare(to)];
        let traced = Traced {
            at_us: now_micros(),
            stanza: kind.to_string(),
            from: from.to_owned(),
            to: to.to_owned(),
            decision: decision.to_owned(),
            lost: 0,
        };
        self.all.borrow_mut().retain_mut(|(watch, lost)| {
            let Some(sender) = watch.to.as_ref() else { return false };
            if !ends.contains(&watch.account) {
                return true;
            }
            match sender.try_send(Traced { lost: *lost, ..traced.clone() }) {
                Ok(()) => *lost = 0,
                Err(TrySendError::Full(_)) => *lost += 1,
                Err(TrySendError::Disconnected(_)) => return false,
            }
            true
        });
    }
}

impl Shard {
    /// Tells those who look at the sender or the addressee of a stanza what becomes of it.
    #[inline]
    pub(super) fn trace(&self, kind: StanzaKind, from: &str, to: &str, decision: impl FnOnce(&Shard) -> String) {
        if !self.watches.all.borrow().is_empty() {
            let decision = decision(self);
            self.watches.tell(kind, from, to, &decision);
        }
    }

    /// The resources of sessions, and how they get what they are given.
    pub(super) fn names(&self, sessions: &[SessionKey], what: &What) -> String {
        let names = sessions.iter().filter_map(|key| self.accounts.session(*key)).map(|session| {
            let urgency = session.held.as_ref().map(|_| urgency(what.kind, what.traits, what.copy));
            let how = match (session.connection, urgency) {
                (None, _) => " (kept until its client comes back)".to_owned(),
                (_, Some(Urgency::Hold(reason) | Urgency::Replace(reason))) => format!(" (held back: {reason})"),
                (_, Some(Urgency::Drop(reason))) => format!(" (not sent to an inactive client: {reason})"),
                _ => String::new(),
            };
            format!("{}{how}", session.resource())
        });
        let names: Vec<_> = names.collect();
        if names.is_empty() { "none".into() } else { names.join(", ") }
    }
}

/// Yes or no, and why.
pub(super) fn shown(what: &str, verdict: Verdict) -> String {
    let no = if verdict.is_yes() { "" } else { "not " };
    format!("{no}{what} ({})", verdict.reason())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::MessageType;

    const CHAT: StanzaKind = StanzaKind::Message(MessageType::Chat);

    #[test]
    fn who_looks_sees_both_directions_of_one_account() {
        let (sender, lines) = crossbeam::channel::bounded(2);
        let watches = Watches::default();
        watches.change(Watch { number: 7, account: "juliet@example.org".into(), to: Some(sender) });
        watches.tell(CHAT, "juliet@example.org/a", "romeo@example.org", "one");
        watches.tell(CHAT, "romeo@example.org/a", "nurse@example.org", "not hers");
        watches.tell(CHAT, "romeo@example.org/a", "juliet@example.org", "two");
        watches.tell(CHAT, "romeo@example.org/a", "juliet@example.org", "lost");
        let told: Vec<Traced> = lines.try_iter().collect();
        assert_eq!(told.iter().map(|it| &*it.decision).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(told[0].stanza, "message chat");
        watches.tell(CHAT, "romeo@example.org/a", "juliet@example.org", "three");
        assert_eq!(lines.try_recv().map(|it| (it.decision, it.lost)), Ok(("three".into(), 1)));
        watches.change(Watch { number: 7, account: String::new(), to: None });
        assert!(watches.all.borrow().is_empty());
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let (sender, lines) = crossbeam::channel::bounded(2);
        let watches = Watches::default();
        watches.change(Watch { number: 1, account: "juliet@example.org".into(), to: Some(sender) });
        drop(lines);
        watches.tell(CHAT, "juliet@example.org/a", "romeo@example.org", "one");
        assert!(watches.all.borrow().is_empty());
    }
}
