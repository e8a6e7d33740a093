//! Accounts that go: at their owners' wish or at an operator's. All that belongs to them goes from the storage at once;
//! then their contacts learn of it, and their sessions end.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use rondel_shards::Io;
use rondel_storage::accounts;
use rondel_storage::{Outcome, Owner, WriteRequest};

use super::login::existing;
use super::roster::written;
use super::task::{Step, Task};
use super::{Shard, now_s};
use crate::names;
use crate::service::Answer;
use crate::stream::StreamError;
use crate::{limited_event, logging, session_event};

/// An operator wants an account to be gone.
pub struct RemoveAccount {
    /// The bare JID.
    pub account: String,
    /// Only if it was made then, in seconds since 1970.
    pub made_s: Option<u64>,
    /// Where the answer goes. Dropped without one: it could not be tried just now.
    pub answer: crossbeam::channel::Sender<Result<(), NotRemoved>>,
}

/// Why an account is not gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotRemoved {
    /// There is none, or it was made at another time.
    Absent,
    /// The storage has failed.
    Failed,
}

impl RemoveAccount {
    fn answer(&self, outcome: Result<(), NotRemoved>) {
        // Whoever asked may have stopped waiting.
        let _ = self.answer.send(outcome);
    }
}

impl Shard {
    /// Removes an account for an operator, once it is in memory with its contacts.
    pub(super) fn remove_for_operator(&mut self, io: &mut Io<Shard>, order: Box<RemoveAccount>) {
        match self.accounts.account(&order.account) {
            Some(_) => self.remove_loaded(io, order),
            None => self.load_to_remove(io, order),
        }
    }

    /// The same of an account that is in memory, or cannot be read at all.
    pub(super) fn remove_loaded(&mut self, io: &mut Io<Shard>, order: Box<RemoveAccount>) {
        let Ok(owner) = Owner::parse(&order.account) else { return order.answer(Err(NotRemoved::Absent)) };
        let account = order.account.clone();
        self.queue(io, &account, Task::default(), move |_, _, _| {
            let Some(made_s) = order.made_s else {
                return remove(names::remove(&owner, now_s()), order);
            };
            Step::read(accounts::get(&owner), move |_, _, _: &Task, outcome| match accounts::decode(&owner, outcome) {
                Ok(Some(stored)) if stored.account().created == made_s => {
                    remove(stored.unchanged().and(names::remove(&owner, now_s())), order)
                }
                Ok(_) => {
                    order.answer(Err(NotRemoved::Absent));
                    Step::Done
                }
                Err(error) => {
                    limited_event!(WARN, "storage", "an account cannot be read: {error}");
                    order.answer(Err(NotRemoved::Failed));
                    Step::Done
                }
            })
        });
    }

    /// Removes an account at the wish of one of its sessions, which is answered first (XEP-0077 §3.2).
    pub(super) fn remove_own_account(&mut self, owner: Owner, number: u64, peer: SocketAddr) -> Step {
        let grace_s = self.settings.registration().removal_grace_s;
        if grace_s > 0 {
            return leave_later(owner, now_s() + grace_s, number, peer);
        }
        Step::write(names::remove(&owner, now_s()), move |shard, io, task: &Task, outcome| {
            if let Err(refusal) = written(outcome) {
                return Step::refuse(refusal);
            }
            let account = owner.to_string();
            let about =
                logging::About { shard: io.shard(), connection: number, address: Some(peer), account: Some(&account) };
            session_event!(INFO, "registration", about, "an account was removed by its user");
            shard.leave_contacts(io, &account);
            if let Some(asker) = &task.asker {
                shard.answer(io, asker, Answer::Result(None));
            }
            shard.gone(io, &account);
            Step::Done
        })
    }

    /// An account is no more, and its contacts know.
    fn gone(&mut self, io: &mut Io<Shard>, account: &str) {
        self.settings.account_changes.fetch_add(1, Ordering::SeqCst);
        self.settings.dismiss(account);
        self.forget_invitations_of(io, account.to_owned());
        self.end_account(io, account, true, &StreamError::not_authorized("this account was removed"));
    }
}

/// An account is not one that anybody can log in to any more, and is removed at this time, in seconds since 1970.
fn leave_later(owner: Owner, at_s: u64, number: u64, peer: SocketAddr) -> Step {
    Step::read(accounts::get(&owner), move |_, _, _: &Task, outcome| {
        let stored = match existing(&owner, outcome) {
            Ok(stored) => stored,
            Err(refusal) => return Step::refuse(refusal),
        };
        Step::write(stored.leave(at_s), move |shard, io, task: &Task, outcome| {
            if matches!(outcome, Outcome::Refused(_)) {
                return leave_later(owner, at_s, number, peer);
            }
            if let Err(refusal) = written(outcome) {
                return Step::refuse(refusal);
            }
            let account = owner.to_string();
            let about =
                logging::About { shard: io.shard(), connection: number, address: Some(peer), account: Some(&account) };
            session_event!(INFO, "registration", about, "an account goes at the wish of its user");
            if let Some(asker) = &task.asker {
                shard.answer(io, asker, Answer::Result(None));
            }
            shard.settings.account_changes.fetch_add(1, Ordering::SeqCst);
            shard.end_account(io, &account, false, &StreamError::not_authorized("this account was removed"));
            Step::Done
        })
    })
}

fn remove(request: WriteRequest, order: Box<RemoveAccount>) -> Step {
    Step::write(request, move |shard, io, _: &Task, outcome| {
        let outcome = match outcome {
            Outcome::Written => {
                shard.leave_contacts(io, &order.account);
                shard.gone(io, &order.account);
                Ok(())
            }
            Outcome::Refused(_) => Err(NotRemoved::Absent),
            other => written(other).map_err(|_| NotRemoved::Failed),
        };
        order.answer(outcome);
        Step::Done
    })
}
