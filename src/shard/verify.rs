//! Verifying passwords on side threads: it takes milliseconds on purpose, which no shard has.

use std::sync::Arc;

use crossbeam::channel::{Sender, TrySendError, bounded};
use rondel_shards::Remote;

use super::message::Message;
use crate::sasl::{Failure, Hash, ScramKeys, UnknownUsers, prepare_password, verify};

/// Passwords that wait at most; beyond it logins are told to come later.
const QUEUE: usize = 1024;

struct Job {
    token: u64,
    remote: Remote<Message>,
    password: String,
    account: String,
    keys: Option<ScramKeys>,
    disabled: bool,
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
                while let Ok(job) = queue.recv() {
                    let outcome = judge(&job, &unknown);
                    job.remote.send(Message::Verified { token: job.token, outcome: Some(outcome) });
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
        disabled: bool,
    ) -> bool {
        let job = Job { token, remote, password, account: account.to_owned(), keys, disabled };
        !matches!(self.jobs.try_send(job), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))
    }
}

fn judge(job: &Job, unknown: &UnknownUsers) -> Result<(), Failure> {
    let password = prepare_password(&job.password).ok_or(Failure::NotAuthorized)?;
    let keys = match &job.keys {
        Some(keys) => keys.clone(),
        None => unknown.keys(&job.account, Hash::Sha256),
    };
    match verify(&password, &keys) {
        false => Err(Failure::NotAuthorized),
        true if job.disabled => Err(Failure::AccountDisabled),
        true => Ok(()),
    }
}
