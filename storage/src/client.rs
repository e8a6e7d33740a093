//! A caller's end of the store: requests go in without blocking, replies come back through [`Replies`].

use crate::metrics::add;
use crate::read::{Reach, execute};
use crate::reply::{Failure, Outcome, Replies, Reply};
use crate::store::Shared;
use crate::{ReadRequest, WriteRequest};
use crossbeam::channel::TrySendError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Busy {
    /// The queue is full. Try again later, or tell the peer to wait.
    #[error("the storage queue is full")]
    Full,
    /// The store is closing or closed.
    #[error("the store is closed")]
    Closed,
}

/// How a read was taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Answered at once, from memory.
    Now(Outcome),
    /// The outcome comes through [`Replies`].
    Later,
}

/// A caller's end of the store. Made by [`Store::client`](crate::Store::client); one per shard.
pub struct Client {
    shared: Arc<Shared>,
    addressee: Arc<Addressee>,
}

impl Client {
    pub(crate) fn new(shared: Arc<Shared>, replies: Arc<dyn Replies>) -> Client {
        let addressee = Arc::new(Addressee { replies, shared: shared.clone() });
        Client { shared, addressee }
    }

    /// Queues a write. Its outcome ([`Outcome::Written`], [`Outcome::Refused`] or [`Outcome::Failed`]) is delivered
    /// with `token`. Writes of one client are carried out in the order of the calls.
    pub fn write(&self, token: u64, request: WriteRequest) -> Result<(), Busy> {
        let taken = self.try_write(token, request);
        taken.inspect_err(|_| add(&self.shared.counters.busy, 1))
    }

    /// Reads: at once if memory holds what is asked for, else through a reader thread.
    pub fn read(&self, token: u64, request: ReadRequest) -> Result<Answer, Busy> {
        let taken = self.try_read(token, request);
        taken.inspect_err(|_| add(&self.shared.counters.busy, 1))
    }

    /// As [`Client::write`], but waits while the queue is full.
    pub(crate) fn write_waiting(&self, token: u64, request: WriteRequest) -> Result<(), Busy> {
        if self.shared.closing.load(Acquire) {
            return Err(Busy::Closed);
        }
        let write = Write::new(self.ticket(token), request);
        self.shared.queued_bytes.fetch_add(write.bytes, AcqRel);
        self.shared.writes.send(Job::Write(write)).map_err(|error| self.not_taken(error.0, Busy::Closed))?;
        self.shared.queued();
        Ok(())
    }

    fn try_write(&self, token: u64, request: WriteRequest) -> Result<(), Busy> {
        if self.shared.closing.load(Acquire) {
            return Err(Busy::Closed);
        }
        let write = Write::new(self.ticket(token), request);
        let waiting = self.shared.queued_bytes.fetch_add(write.bytes, AcqRel);
        // A request larger than the bound is still taken when nothing else waits; otherwise it could never be written.
        if waiting > 0 && waiting + write.bytes > self.shared.write_queue_bytes {
            return Err(self.not_taken(Job::Write(write), Busy::Full));
        }
        self.shared.writes.try_send(Job::Write(write)).map_err(|error| match error {
            TrySendError::Full(job) => self.not_taken(job, Busy::Full),
            TrySendError::Disconnected(job) => self.not_taken(job, Busy::Closed),
        })?;
        self.shared.queued();
        Ok(())
    }

    fn try_read(&self, token: u64, request: ReadRequest) -> Result<Answer, Busy> {
        if self.shared.closing.load(Acquire) {
            return Err(Busy::Closed);
        }
        if let Some(Some(outcome)) = self.shared.engine.try_with(|db| execute(db, &request, Reach::Memory)) {
            add(&self.shared.counters.reads_inline, 1);
            return Ok(Answer::Now(outcome));
        }
        let job = Read { ticket: self.ticket(token), request };
        match self.shared.reads.try_send(job) {
            Ok(()) => {
                self.shared.queued();
                add(&self.shared.counters.reads_queued, 1);
                Ok(Answer::Later)
            }
            Err(TrySendError::Full(job)) => {
                job.ticket.withdraw();
                Err(Busy::Full)
            }
            Err(TrySendError::Disconnected(job)) => {
                job.ticket.withdraw();
                Err(Busy::Closed)
            }
        }
    }

    fn ticket(&self, token: u64) -> Ticket {
        Ticket { addressee: Some(self.addressee.clone()), token }
    }

    /// The caller learns by the return value, therefore not by a reply as well.
    fn not_taken(&self, job: Job, reason: Busy) -> Busy {
        if let Job::Write(write) = job {
            self.shared.queued_bytes.fetch_sub(write.bytes, AcqRel);
            write.ticket.withdraw();
        }
        reason
    }
}

/// What the writer thread takes from its queue.
pub(crate) enum Job {
    Write(Write),
    /// The last thing the writer does is what was queued before this.
    Stop,
}

/// A queued write.
pub(crate) struct Write {
    pub(crate) ticket: Ticket,
    pub(crate) request: WriteRequest,
    pub(crate) bytes: usize,
}

impl Write {
    fn new(ticket: Ticket, request: WriteRequest) -> Write {
        let bytes = request.size_bytes();
        Write { ticket, request, bytes }
    }
}

/// A queued read.
pub(crate) struct Read {
    pub(crate) ticket: Ticket,
    pub(crate) request: ReadRequest,
}

/// Where the replies of one client go.
pub(crate) struct Addressee {
    replies: Arc<dyn Replies>,
    shared: Arc<Shared>,
}

impl Addressee {
    /// Hands over replies. The embedder's panic is contained here, because it would take a storage thread with it.
    fn deliver(&self, replies: Vec<Reply>) {
        add(&self.shared.counters.deliveries, 1);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.replies.deliver(replies))) {
            self.shared.poison(&Failure::panicked(&*panic));
        }
    }
}

/// The duty to answer one request. Whatever happens to it on its way, it is answered exactly once: a ticket that is
/// dropped unanswered (the queue it waited in is gone, the thread that held it has died) answers with a failure.
pub(crate) struct Ticket {
    addressee: Option<Arc<Addressee>>,
    token: u64,
}

impl Ticket {
    /// The request was not taken in the first place.
    fn withdraw(mut self) {
        self.addressee = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(addressee) = self.addressee.take() {
            addressee.deliver(vec![Reply { token: self.token, outcome: Outcome::Failed(Failure::closed()) }]);
        }
    }
}

/// Answers tickets: one delivery per client, each with its replies in the order of the tickets.
pub(crate) fn answer(outcomes: impl Iterator<Item = (Ticket, Outcome)>) {
    let mut by_client: Vec<(Arc<Addressee>, Vec<Reply>)> = Vec::new();
    for (mut ticket, outcome) in outcomes {
        let Some(addressee) = ticket.addressee.take() else { continue };
        let reply = Reply { token: ticket.token, outcome };
        // As many clients as shards: a search beats a map.
        match by_client.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &addressee)) {
            Some((_, replies)) => replies.push(reply),
            None => by_client.push((addressee, vec![reply])),
        }
    }
    by_client.into_iter().for_each(|(addressee, replies)| addressee.deliver(replies));
}
