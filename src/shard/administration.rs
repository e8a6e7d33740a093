//! Administrators' errands: what they want to have done from their clients goes to a thread that may wait, and what has
//! come of it comes back. They are carried out by whoever answers at the admin socket, too.

use std::sync::Weak;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use rondel_shards::Remote;

use super::message::Message;
use super::task::Aside;
use crate::admin::{Backend, By, Done, Failure, FailureKind, Request, account};
use crate::sasl::new_keys;
use crate::service::admin_commands::Errand;

/// Errands that wait at most.
const QUEUE: usize = 64;

/// An errand, and who waits for it.
struct Job {
    token: u64,
    remote: Remote<Message>,
    by: String,
    errand: Errand,
}

/// Where errands go.
pub struct Administration {
    jobs: Sender<Job>,
    queue: Receiver<Job>,
}

impl Default for Administration {
    fn default() -> Administration {
        let (jobs, queue) = bounded(QUEUE);
        Administration { jobs, queue }
    }
}

impl Administration {
    /// Carries out errands from now on, on a thread of its own that ends with the process.
    pub fn start(&self, backend: Weak<dyn Backend>, iterations: u32) -> std::io::Result<()> {
        let queue = self.queue.clone();
        let carry_out = move || {
            while let Ok(Job { token, remote, by, errand }) = queue.recv() {
                let outcomes = match backend.upgrade() {
                    Some(backend) => carry_out(&*backend, By::Account(by), errand, iterations),
                    None => vec![Err(Failure::new(FailureKind::Unavailable, "the server ends"))],
                };
                remote.send(Message::Aside { token, aside: Aside::Errand(outcomes) });
            }
        };
        std::thread::Builder::new().name("administration".into()).spawn(carry_out).map(|_| ())
    }

    /// Takes an errand. What has come of it comes as a message, or is returned if that is known at once.
    pub(super) fn ask(&self, token: u64, remote: Remote<Message>, by: String, errand: Errand) -> Option<Aside> {
        match self.jobs.try_send(Job { token, remote, by, errand }) {
            Ok(()) => None,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                Some(Aside::Errand(vec![Err(Failure::busy())]))
            }
        }
    }
}

fn carry_out(backend: &dyn Backend, by: By, errand: Errand, iterations: u32) -> Vec<Result<Done, Failure>> {
    let ask = |request| backend.ask(&by, request, &mut |_| true);
    match errand {
        Errand::One(request) => vec![ask(request)],
        Errand::Each(requests) => requests.into_iter().map(ask).collect(),
        Errand::AddUser { jid, password } => {
            vec![with_account(&jid, |jid| ask(Request::add_user(jid, &new_keys(&password.0, iterations))))]
        }
        Errand::SetPassword { jid, password } => {
            vec![with_account(&jid, |jid| ask(Request::set_keys(jid, &new_keys(&password.0, iterations))))]
        }
    }
}

fn with_account(jid: &str, then: impl FnOnce(&crate::jid::Jid<'_>) -> Result<Done, Failure>) -> Result<Done, Failure> {
    account(jid).and_then(|jid| then(&jid))
}
