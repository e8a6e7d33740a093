//! Last activity (XEP-0012): what is kept when the last available resource of an account leaves, and who is told of it.
//! What is answered is decided in [`crate::account::activity`].

use rondel_shards::Io;
use rondel_storage::{Family, Owner, WriteRequest, preferences};

use super::message::{Routed, Sender};
use super::roster::written;
use super::task::{Step, Task};
use super::{Shard, now_s};
use crate::account::activity::{self, ActivityLimits, LastActivity, Situation};
use crate::account::subscription::Grant;
use crate::account::{IqType, PresenceType, Standing, StanzaKind};
use crate::service::Answer;
use crate::stream::Refusal;
use crate::xml::{Element, Frame, namespaces as ns};

/// What is kept of the words with which somebody leaves.
const LIMITS: ActivityLimits = ActivityLimits { status_bytes_max: 1 << 10 };

impl Shard {
    /// A resource is no longer available, and has left with these words. With the last one of an account this is kept.
    pub(super) fn note_departure(&mut self, io: &mut Io<Shard>, bare: &str, status: Option<&str>) {
        if self.accounts.sessions(bare).any(|(_, session)| session.presence.is_some()) {
            return;
        }
        let (Some(owner), Some(account)) = (self.owner_of(bare), self.accounts.account_mut(bare)) else { return };
        account.last = Some(Box::new(LastActivity::new(status, now_s(), &LIMITS)));
        self.keep_chosen(io, bare, owner);
    }

    /// Writes what is remembered of an account that is in memory, as it is when it is its turn.
    pub(super) fn keep_chosen(&mut self, io: &mut Io<Shard>, bare: &str, owner: Owner) {
        let bare = bare.to_owned();
        self.queue(io, &bare.clone(), Task::default(), move |shard, _, _| {
            let Some(account) = shard.accounts.account(&bare) else { return Step::Done };
            // Of an account that was removed meanwhile nothing stays behind.
            let request = WriteRequest::new(owner).require_present(Family::Accounts, b"");
            Step::write(preferences::put(request, &account.chosen()), |_, _, _, outcome| {
                // What has failed is in the log; the time before holds then.
                let _ = written(outcome);
                Step::Done
            })
        });
    }

    /// A question of somebody else for an account's last activity, or for that of a resource by who may not see it.
    pub(super) fn activity_asked(&mut self, io: &mut Io<Shard>, routed: &Routed, kind: IqType) {
        let answer = match routed.resource() {
            None => self.activity_of(routed.bare(), routed.from(), kind),
            Some(_) => Err(Refusal::forbidden()),
        };
        match (answer, super::kept::asker_of(routed)) {
            (Ok(answer), Some(asker)) => self.run_for(io, asker, Step::Answer(Answer::Result(Some(answer)))),
            (Ok(_), None) => {}
            (Err(refusal), _) => self.bounce(io, routed, &refusal),
        }
    }

    /// What somebody is told of the last activity of an account that is in memory.
    pub(super) fn activity_of(&self, bare: &str, from: Sender<'_>, kind: IqType) -> Result<Element, Refusal> {
        activity::parse(kind)?;
        activity::of_account(Situation {
            may_see_presence: self.may_see_presence(from, bare),
            is_available: self.accounts.sessions(bare).any(|(_, session)| session.presence.is_some()),
            last: self.accounts.account(bare).and_then(|account| account.last.as_deref()),
            now_s: now_s(),
        })
    }

    /// Whether somebody may see the presence of an account: the account itself, and those who are subscribed to it
    /// unless they are blocked.
    pub(super) fn may_see_presence(&self, from: Sender<'_>, bare: &str) -> bool {
        let Some(account) = self.accounts.account(bare) else { return false };
        let is_subscribed = || account.contacts.state(from.bare()).from == Grant::Granted;
        let reaches = || self.may_reach(StanzaKind::Presence(PresenceType::Probe), from, bare).is_ok();
        account.standing != Standing::Absent && (from.bare() == bare || (is_subscribed() && reaches()))
    }
}

/// The first `<status/>` in a presence stanza.
pub(super) fn status(frame: &Frame<'_>) -> Option<String> {
    frame.children().find(|child| child.name() == "status")?;
    Some(frame.to_element().ok()?.child("status", ns::CLIENT)?.text())
}
