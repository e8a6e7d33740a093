//! A new password for somebody who has forgotten the old one, and whom an operator has given an invitation for that.

use std::sync::atomic::Ordering;

use rondel_shards::Io;
use rondel_storage::invites::StoredInvite;
use rondel_storage::{Outcome, Owner, accounts};

use super::Shard;
use super::applicant::Applicant;
use super::invites::{unknown, used_up};
use super::login::existing;
use super::message::{EndSessions, Message};
use super::registration::{name_in, other_name, password_in, refused};
use super::roster::written;
use super::task::{Step, Task};
use crate::credentials::to_store;
use crate::home::home;
use crate::registration::{Declined, Submission};
use crate::session_event;
use crate::stream::{Refusal, StreamError};

impl Shard {
    /// Sets the password of the account that an invitation is for.
    pub(super) fn reset_password(
        &mut self,
        io: &mut Io<Shard>,
        applicant: Applicant,
        submission: &Submission,
        stored: StoredInvite,
        owner: Owner,
    ) {
        let checked = name_in(submission).and_then(|name| match name == owner.local() {
            true => password_in(submission, Refusal::not_acceptable),
            false => Err(other_name()),
        });
        let new = match checked {
            Ok(new) => new,
            Err(declined) => return self.decline(io, applicant, Some(owner), declined),
        };
        let step = Step::derive(self.new_password(&owner, None, new), move |shard, io, _, keys| match keys {
            Ok(keys) => write_keys(applicant, owner, stored, keys),
            Err(error) => {
                shard.decline(io, applicant, Some(owner), refused(error));
                Step::Done
            }
        });
        self.run(io, step);
    }

    /// Who is online with the old password is not any more.
    fn password_was_reset(&mut self, io: &mut Io<Shard>, applicant: &Applicant, owner: &Owner) {
        self.settings.account_changes.fetch_add(1, Ordering::SeqCst);
        let account = owner.to_string();
        let about = crate::logging::About { account: Some(&account), ..applicant.about(io) };
        session_event!(INFO, "login", about, "a password was set anew with an invitation");
        // Nobody waits for how many there were.
        let (answer, _) = crossbeam::channel::bounded(1);
        let error = StreamError::reset("the password was changed");
        let to = home(&account, io.shards());
        let order = EndSessions { account, error, answer };
        io.send(to, Message::EndSessions(Box::new(order)), size_of::<EndSessions>());
    }
}

fn write_keys(applicant: Applicant, owner: Owner, invite: StoredInvite, keys: Vec<crate::sasl::ScramKeys>) -> Step {
    Step::read(accounts::get(&owner), move |shard, io, _: &Task, outcome| {
        let stored = match existing(&owner, outcome) {
            // An account of the same name that has come later is somebody else's.
            Ok(stored) if stored.account().created <= invite.invite.made_s => stored,
            Ok(_) => {
                shard.decline(io, applicant, Some(owner), unknown());
                return Step::Done;
            }
            Err(refusal) => {
                shard.decline(io, applicant, Some(owner), Declined::new("failed", refusal));
                return Step::Done;
            }
        };
        let request = invite.consume(stored.set_keys(keys.into_iter().map(to_store).collect()));
        Step::write(request, move |shard, io, _: &Task, outcome| {
            let declined = match outcome {
                Outcome::Refused(_) => used_up(),
                outcome => match written(outcome) {
                    Ok(()) => {
                        shard.password_was_reset(io, &applicant, &owner);
                        shard.accept_reset(io, &applicant);
                        return Step::Done;
                    }
                    Err(_) => Declined::new("failed", Refusal::new("wait", "internal-server-error")),
                },
            };
            shard.decline(io, applicant, Some(owner), declined);
            Step::Done
        })
    })
}
