//! What strangers may not: those whom a block list of others has, and, where operators want it so, all of them. A
//! stranger is who is nothing to the account: no contact, nobody it has asked or granted anything, nobody it has
//! written to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::message::Sender;
use super::{Settings, Shard};
use crate::account::subscription::{Grant, SubscriptionType};
use crate::account::{Account, MessageType, PresenceType, Recent, StanzaKind};
use crate::jid::Jid;
use crate::rtbl::{ListAddress, Listed, hash_of};
use crate::stream::Refusal;

/// Lists of others, and who is on them.
pub type Lists = Vec<(ListAddress, Listed)>;

/// What a stranger wants.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Wants {
    /// To say something.
    Word,
    /// To become a contact.
    Contact,
}

fn wants(kind: StanzaKind) -> Option<Wants> {
    match kind {
        StanzaKind::Message(kind) if kind != MessageType::Error => Some(Wants::Word),
        StanzaKind::Presence(PresenceType::Subscription(SubscriptionType::Subscribe)) => Some(Wants::Contact),
        _ => None,
    }
}

impl Shard {
    /// Refuses what a stranger sends who may not; a request to become a contact is dropped without a word (`None`).
    #[inline]
    pub(super) fn refuse_stranger(
        &self,
        kind: StanzaKind,
        from: Sender<'_>,
        account: &Account,
        bare: &str,
    ) -> Result<(), Option<Refusal>> {
        if !self.settings.minds_strangers.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.judge_stranger(kind, from, account, bare)
    }

    #[cold]
    fn judge_stranger(
        &self,
        kind: StanzaKind,
        from: Sender<'_>,
        account: &Account,
        bare: &str,
    ) -> Result<(), Option<Refusal>> {
        let Some(wants) = wants(kind) else { return Ok(()) };
        if self.knows(account, bare, from.bare()) {
            return Ok(());
        }
        let is_word = wants == Wants::Word;
        if self.is_listed(from.bare()) {
            let refusal = || Refusal::new("cancel", "forbidden").with_text("The sender is on a block list.");
            return Err(is_word.then(refusal));
        }
        // Whoever wants to become a contact may ask; whether there is an account does not show to the others.
        if is_word && self.settings.refuses_strangers {
            return Err(Some(Refusal::service_unavailable()));
        }
        Ok(())
    }

    /// Whether an account has to do with somebody, or has to hear them in any case.
    fn knows(&self, account: &Account, bare: &str, other: &str) -> bool {
        let state = account.contacts.state(other);
        let is_server = || !other.contains('@') && self.settings.serves(other);
        other == bare
            || state.to != Grant::Absent
            || state.from == Grant::Granted
            || state.approved
            || state.listed
            || account.addressed.as_ref().is_some_and(|addressed| addressed.has(other))
            || is_server()
            || self.settings.is_administrator(bare)
            || self.settings.is_administrator(other)
    }

    /// Whether somebody, or their domain if it is another server's, is on a block list.
    fn is_listed(&self, bare_jid: &str) -> bool {
        let lists = self.settings.lists.load();
        if lists.is_empty() {
            return false;
        }
        let domain = bare_jid.split_once('@').map(|(_, domain)| domain).filter(|domain| !self.settings.serves(domain));
        let hashes = [Some(bare_jid), domain].map(|name| name.map(hash_of));
        lists.iter().any(|(_, listed)| hashes.iter().flatten().any(|hash| listed.contains(hash)))
    }

    /// An account writes to somebody: who is no stranger to it from then on.
    #[inline]
    pub(super) fn note_addressed(&mut self, account: &str, kind: StanzaKind, to: &Jid<'_>) {
        if self.settings.minds_strangers.load(Ordering::Relaxed)
            && wants(kind).is_some()
            && let Some(account) = self.accounts.account_mut(account)
        {
            account.addressed.get_or_insert_with(Box::<Recent>::default).note(to.bare());
        }
    }
}

impl Settings {
    /// Has these lists be what is known.
    pub fn take_lists(&self, lists: Lists) {
        let has_any = lists.iter().any(|(_, listed)| !listed.is_empty());
        self.minds_strangers.store(has_any || self.refuses_strangers, Ordering::SeqCst);
        self.lists.store(Arc::new(lists));
    }

    /// Has a list have these entries from now on. One shard changes them.
    pub(super) fn set_listed(&self, address: &ListAddress, listed: &Listed) {
        let mut lists = Lists::clone(&self.lists.load());
        if let Some((_, known)) = lists.iter_mut().find(|(known, _)| known == address) {
            *known = listed.clone();
        }
        self.take_lists(lists);
    }
}
