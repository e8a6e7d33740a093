//! Verifying passwords, making keys of new ones, and drawing pictures of letters, on side threads: it takes
//! milliseconds, which no shard has.

use std::sync::Arc;

use crossbeam::channel::{Sender, TrySendError, bounded};
use rondel_shards::Remote;
use rondel_storage::Owner;
use zeroize::Zeroizing;

use super::Shard;
use super::message::Message;
use super::task::Aside;
use crate::registration::{PasswordFault, PasswordRules, Picture};
use crate::sasl::{Failure, Hash, ScramKeys, UnknownUsers, new_keys, prepare_password, verify};

/// Passwords that wait at most; beyond it logins are told to come later.
const QUEUE: usize = 1024;

/// Jobs that wait beyond which no picture is drawn.
const PICTURES_BEHIND_MAX: usize = 64;

struct Job {
    token: u64,
    remote: Remote<Message>,
    work: Work,
}

enum Work {
    Login { password: String, account: String, keys: Option<ScramKeys>, disabled: Option<Failure> },
    Change(NewPassword),
    Proof(Zeroizing<String>, ScramKeys),
    Picture,
}

/// A password to make keys of.
pub(super) struct NewPassword {
    /// What has to prove right before, if anything: the present password, and keys of it, any of them.
    pub current: Option<(Zeroizing<String>, ScramKeys)>,
    /// The new one. It can be prepared.
    pub new: Zeroizing<String>,
    /// What it has to be like,
    pub rules: PasswordRules,
    /// and whose it is to be: the name and its domain.
    pub name: String,
    /// See `name`.
    pub domain: String,
    /// Rounds for its keys.
    pub iterations: u32,
}

/// Why no keys were made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoKeys {
    /// The present password is not what it was said to be.
    Wrong,
    /// The new one is not good enough.
    Fault(PasswordFault),
    /// Too many wait for keys.
    Busy,
}

/// Hands passwords to the side threads. Its threads end with its last clone.
#[derive(Clone)]
pub struct Verifier {
    jobs: Sender<Job>,
}

impl Verifier {
    /// Starts the threads. `unknown` is what a user that does not exist is verified against, for just as long.
    pub fn start(threads: usize, unknown: UnknownUsers) -> std::io::Result<Verifier> {
        let (jobs, queue) = bounded::<Job>(QUEUE);
        let unknown = Arc::new(unknown);
        for index in 0..threads.max(1) {
            let (queue, unknown) = (queue.clone(), Arc::clone(&unknown));
            std::thread::Builder::new().name(format!("passwords-{index}")).spawn(move || {
                while let Ok(Job { token, remote, work }) = queue.recv() {
                    remote.send(match work {
                        Work::Login { password, account, keys, disabled } => {
                            let outcome = judge(&password, &account, keys, disabled, &unknown);
                            Message::Verified { token, outcome: Some(outcome) }
                        }
                        Work::Picture => {
                            // Two libraries draw it: what goes wrong there ends no thread.
                            let drawn = std::panic::catch_unwind(Picture::draw).unwrap_or_default();
                            Message::Aside { token, aside: Aside::Picture(drawn) }
                        }
                        Work::Proof(password, keys) => {
                            let is_right = prepare_password(&password).map(zeroize::Zeroizing::new);
                            let is_right = is_right.is_some_and(|password| verify(&password, &keys));
                            let proof = if is_right { Ok(()) } else { Err(NoKeys::Wrong) };
                            Message::Aside { token, aside: Aside::Proof(proof) }
                        }
                        Work::Change(change) => Message::Aside { token, aside: Aside::Keys(change.derive()) },
                    });
                }
            })?;
        }
        Ok(Verifier { jobs })
    }

    /// Queues a password to be compared with a user's keys, any of them (`None`: there is no such user). The answer
    /// comes as a message. `false` if too many wait.
    pub fn verify(
        &self,
        token: u64,
        remote: Remote<Message>,
        account: &str,
        password: String,
        keys: Option<ScramKeys>,
        disabled: Option<Failure>,
    ) -> bool {
        let work = Work::Login { password, account: account.to_owned(), keys, disabled };
        self.queue(Job { token, remote, work })
    }

    /// Queues a password to be replaced. The keys of the new one come as a message. `false` if too many wait.
    pub(super) fn derive(&self, token: u64, remote: Remote<Message>, change: NewPassword) -> bool {
        self.queue(Job { token, remote, work: Work::Change(change) })
    }

    /// Queues a password to be held against keys. Whether it is right comes as a message. `false` if too many wait.
    pub(super) fn prove(
        &self,
        token: u64,
        remote: Remote<Message>,
        password: Zeroizing<String>,
        keys: ScramKeys,
    ) -> bool {
        self.queue(Job { token, remote, work: Work::Proof(password, keys) })
    }

    /// Queues a picture of letters to be drawn, which comes as a message. `false` if too many wait.
    pub(super) fn draw(&self, token: u64, remote: Remote<Message>) -> bool {
        // Those who log in go before those who only look.
        if self.jobs.len() >= PICTURES_BEHIND_MAX {
            return false;
        }
        self.queue(Job { token, remote, work: Work::Picture })
    }

    fn queue(&self, job: Job) -> bool {
        !matches!(self.jobs.try_send(job), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))
    }
}

fn judge(
    password: &str,
    account: &str,
    keys: Option<ScramKeys>,
    disabled: Option<Failure>,
    unknown: &UnknownUsers,
) -> Result<(), Failure> {
    let password = prepare_password(password).ok_or(Failure::NotAuthorized)?;
    let keys = keys.unwrap_or_else(|| unknown.keys(account, Hash::Sha256));
    match (verify(&password, &keys), disabled) {
        (false, _) => Err(Failure::NotAuthorized),
        (true, Some(failure)) => Err(failure),
        (true, None) => Ok(()),
    }
}

impl Shard {
    /// What makes the keys of a new password of an account, as the server's rules are just now.
    pub(super) fn new_password(
        &self,
        owner: &Owner,
        current: Option<(Zeroizing<String>, ScramKeys)>,
        new: Zeroizing<String>,
    ) -> NewPassword {
        NewPassword {
            current,
            new,
            rules: self.settings.registration().passwords,
            name: owner.local().to_owned(),
            domain: owner.domain().to_owned(),
            iterations: self.settings.negotiation.iterations,
        }
    }
}

impl NewPassword {
    fn derive(&self) -> Result<Vec<ScramKeys>, NoKeys> {
        let prepared = |password: &str| prepare_password(password).map(Zeroizing::new);
        if let Some((current, keys)) = &self.current
            && !prepared(current).is_some_and(|current| verify(&current, keys))
        {
            return Err(NoKeys::Wrong);
        }
        let new = prepared(&self.new).ok_or(NoKeys::Fault(PasswordFault::Short))?;
        self.rules.check(&new, &self.name, &self.domain).map_err(NoKeys::Fault)?;
        Ok(new_keys(&new, self.iterations))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::derive;

    #[test]
    fn a_new_password_takes_the_place_of_the_right_one() {
        let change = |current: &str, new: &str| {
            let keys = derive("secret", Hash::Sha1, b"0123456789abcdef", 2);
            let secret = |password: &str| Zeroizing::new(password.to_owned());
            let (name, domain) = ("juliet".into(), "capulet.example".into());
            let rules = PasswordRules { chars_min: 6, strength_min: 0 };
            let current = Some((secret(current), keys));
            NewPassword { current, new: secret(new), rules, name, domain, iterations: 2 }.derive()
        };
        let keys = change("secret", "v3r0na").unwrap();
        assert!(keys.iter().all(|keys| verify("v3r0na", keys) && keys.iterations == 2));
        assert_eq!(keys.len(), Hash::ALL.len());
        assert_eq!(change("Secret", "v3r0na"), Err(NoKeys::Wrong));
        assert_eq!(change("", "v3r0na"), Err(NoKeys::Wrong));
        assert_eq!(change("secret", "v3r0n"), Err(NoKeys::Fault(PasswordFault::Short)));
    }
}
