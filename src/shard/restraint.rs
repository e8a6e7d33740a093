//! What a session may not send: to whom its account blocks, and what an account may not that is silenced or new.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use rondel_shards::Io;
use rondel_storage::{Owner, accounts};

use super::deliver::is_blocked;
use super::message::Reconsider;
use super::task::{Step, Task};
use super::{End, Shard, now_s};
use crate::account::restraint::{Restrained, Restraint, Sent, is_unsolicited, reaches_others};
use crate::account::subscription::{Grant, State};
use crate::account::{Address, StanzaKind, blocking};
use crate::jid::Jid;
use crate::limited_event;
use crate::stream::{Refusal, StreamError};

/// What an account is held to that sends something to somebody.
#[derive(Clone, Copy)]
struct Held {
    is_muted: bool,
    is_limited: bool,
    /// Whether the addressee is a contact, or has written before.
    knows: bool,
}

impl Shard {
    /// Why a session's stanza does not go to somebody, if so.
    #[inline]
    pub(super) fn withheld(
        &mut self,
        io: &Io<Shard>,
        address: &Address,
        kind: StanzaKind,
        to: &Jid<'_>,
    ) -> Option<Refusal> {
        let account = self.accounts.account(address.bare())?;
        if is_blocked(account, address.bare(), to) {
            self.trace(kind, address.as_str(), to.as_str(), |_| "refused: the sender blocks it".into());
            return Some(blocking::outbound_refusal());
        }
        if self.settings.has_lists.load(Ordering::Relaxed) && !self.is_exchanged(address, to) {
            self.trace(kind, address.as_str(), to.as_str(), |_| "refused: not by this server's lists".into());
            return Some(Refusal::not_allowed().with_text("This server exchanges nothing with this address."));
        }
        let is_unasked = is_unsolicited(kind) && !account.heard.has(to.bare());
        if is_unasked && !self.may_send_unasked(io, address, kind, to) {
            self.trace(kind, address.as_str(), to.as_str(), |_| "refused: too much to strangers".into());
            self.counts(io).refused_by_limits.add(1);
            let refusal = Refusal::new("wait", "policy-violation");
            return Some(refusal.with_text("This account writes to too many strangers. Try again later."));
        }
        let account = self.accounts.account(address.bare())?;
        let restraint = account.restraint.as_deref()?;
        let (now_s, is_contact) = (now_s(), is_contact(account.contacts.state(to.bare())));
        let held = Held {
            is_muted: restraint.is_muted(now_s),
            is_limited: restraint.is_limited(now_s),
            knows: is_contact || restraint.has_heard(to.bare()),
        };
        let why = self.restrain(io, address, kind, to, held).err()?;
        self.trace(kind, address.as_str(), to.as_str(), |_| format!("refused: {}", why.reason()));
        self.counts(io).refused_by_limits.add(1);
        Some(why.refusal())
    }

    /// Whether somebody is a contact of an account.
    pub(super) fn is_contact_of(&self, account: &str, other: &str) -> bool {
        self.accounts.account(account).is_some_and(|account| is_contact(account.contacts.state(other)))
    }

    /// Whether administrators have anything exchanged between the two.
    #[cold]
    fn is_exchanged(&self, address: &Address, to: &Jid<'_>) -> bool {
        let decisions = self.settings.decisions.load();
        let is_own = || to.bare() == address.bare() || to.local().is_none() && self.settings.serves(to.domain());
        is_own() || {
            let from = Jid::parse(address.as_str());
            decisions.allow(to, self.settings.serves(to.domain()))
                && from.is_ok_and(|from| decisions.allow(&from, true))
        }
    }

    fn restrain(
        &mut self,
        io: &Io<Shard>,
        address: &Address,
        kind: StanzaKind,
        to: &Jid<'_>,
        held: Held,
    ) -> Result<(), Restrained> {
        let policy = self.settings.registration();
        let is_own = to.bare() == address.bare() || to.local().is_none();
        if is_own || !reaches_others(kind) || self.settings.is_administrator(to.bare()) {
            return Ok(());
        }
        if held.is_muted {
            return Err(Restrained::Muted);
        }
        if !held.is_limited {
            return Ok(());
        }
        let (limits, now_ms) = (&policy.new_accounts, io.now_ms());
        let sent = self.sent.of(address.bare(), now_ms, || Sent::new(limits, now_ms));
        sent.take((is_unsolicited(kind) && !held.knows).then(|| to.bare()), limits, now_ms)
    }

    /// Whether an address is not let in just now.
    pub(super) fn is_banned(&self, address: IpAddr) -> bool {
        let bans = self.settings.bans.load();
        !bans.is_empty() && bans.has(address, now_s())
    }

    /// Ends the streams of those who are banned.
    pub(super) fn end_banned(&mut self, io: &mut Io<Shard>) {
        let bans = self.settings.bans.load_full();
        let banned = self.streams.iter().flatten().filter(|stream| bans.has(stream.peer.ip(), now_s()));
        let banned: Vec<_> = banned.map(|stream| stream.connection).collect();
        for connection in banned {
            if let Some(stream) = self.take(connection) {
                self.end(io, stream, End::Error(StreamError::policy_violation("this address is banned")));
            }
        }
    }

    /// What was decided about an account has changed: what is in memory of it follows.
    pub(super) fn reconsider(&mut self, io: &mut Io<Shard>, order: Reconsider) {
        let Reconsider { account, answer } = order;
        let Ok(owner) = Owner::parse(&account) else { return };
        self.run(
            io,
            Step::read(accounts::get(&owner), move |shard, _, _: &Task, outcome| {
                match accounts::decode(&owner, outcome) {
                    Ok(stored) => {
                        let stored = stored.as_ref().map(|stored| stored.account());
                        let limits = shard.settings.registration().new_accounts;
                        let restraint = stored.and_then(|stored| Restraint::of(stored, &limits, now_s()));
                        if let Some(account) = shard.accounts.account_mut(&account) {
                            account.restraint = restraint;
                        }
                    }
                    Err(error) => limited_event!(WARN, "storage", "an account cannot be read: {error}"),
                }
                // Whoever asked may have stopped waiting.
                let _ = answer.send(());
                Step::Done
            }),
        );
    }
}

fn is_contact(state: State) -> bool {
    state.to == Grant::Granted || state.from == Grant::Granted
}
