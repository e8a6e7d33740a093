//! A caller's end of the store: requests go in without blocking, replies come back through [`Replies`].

use crate::archive::Appends;
use crate::metrics::add;
use crate::reply::{Failure, Outcome, Replies, Reply};
use crate::store::Shared;
use crate::{ReadRequest, WriteRequest};
use crossbeam::channel::TrySendError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// The token of writes of which only a failure is told.
pub const QUIET: u64 = u64::MAX;

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
    /// with `token`, or not at all if that is [`QUIET`] and all is well. Writes of one client are carried out in the
    /// order of the calls.
    pub fn write(&self, token: u64, request: WriteRequest) -> Result<(), Busy> {
        self.write_many(vec![(token, request)])
    }

    /// Queues what has come together, each request with its token, in this order. It costs little more than one write,
    /// and is all taken or not at all; what becomes of one request does not depend on the others.
    pub fn write_many(&self, requests: Vec<(u64, WriteRequest)>) -> Result<(), Busy> {
        self.write_turn(requests, Appends::default())
    }

    /// As [`Client::write_many`], and messages to be archived with it. They are written behind the requests.
    pub fn write_turn(&self, requests: Vec<(u64, WriteRequest)>, appends: Appends) -> Result<(), Busy> {
        let count = requests.len() + appends.len();
        let taken = if count > 0 { self.try_write(self.batch(requests, appends)) } else { Ok(()) };
        taken.inspect_err(|_| add(&self.shared.counters.busy, count))
    }

    /// Whether so much waits to be written, or read, that whoever can wait had better do so.
    pub fn is_behind(&self) -> bool {
        self.shared.backlog.is_half_full() || self.are_reads_beyond(2, 4)
    }

    /// Whether a read should be kept back for a while: few more fit into the queue.
    pub fn is_full_of_reads(&self) -> bool {
        self.are_reads_beyond(3, 4)
    }

    /// Whether that part of the queue for reads is taken.
    fn are_reads_beyond(&self, parts: usize, of: usize) -> bool {
        let (waiting, most) = (self.shared.reads.len(), self.shared.reads.capacity().unwrap_or(usize::MAX));
        waiting > most / of * parts
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
        let batch = self.batch(vec![(token, request)], Appends::default());
        self.shared.backlog.add(&batch);
        self.shared.writes.send(Job::Write(batch)).map_err(|error| self.not_taken(error.0, Busy::Closed))?;
        self.shared.queued();
        Ok(())
    }

    fn batch(&self, requests: Vec<(u64, WriteRequest)>, appends: Appends) -> Batch {
        let bytes: usize = requests.iter().map(|(_, request)| request.size_bytes()).sum();
        let bytes = bytes + appends.bytes();
        Batch { addressee: self.addressee.clone(), requests, appends, bytes }
    }

    fn try_write(&self, batch: Batch) -> Result<(), Busy> {
        if self.shared.closing.load(Acquire) {
            return Err(batch.withdraw(Busy::Closed));
        }
        if !self.shared.backlog.add(&batch) {
            return Err(self.not_taken(Job::Write(batch), Busy::Full));
        }
        self.shared.writes.try_send(Job::Write(batch)).map_err(|error| match error {
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
        if let Some(outcome) = self.shared.engine.read_memory(&request) {
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
        match job {
            Job::Write(batch) => {
                self.shared.backlog.remove(&batch);
                batch.withdraw(reason)
            }
            Job::Seal | Job::Stop => reason,
        }
    }
}

/// What the writer thread takes from its queue.
pub(crate) enum Job {
    Write(Batch),
    /// What has been added to archives is to become chunks.
    Seal,
    /// The last thing the writer does is what was queued before this.
    Stop,
}

/// Queued writes of one client, with their tokens. As with a [`Ticket`], each of them is answered exactly once.
pub(crate) struct Batch {
    addressee: Arc<Addressee>,
    pub(crate) requests: Vec<(u64, WriteRequest)>,
    pub(crate) appends: Appends,
    /// What they count in the queue.
    pub(crate) bytes: usize,
}

impl Batch {
    /// How many requests it is, each message to be archived counted as one.
    pub(crate) fn len(&self) -> usize {
        self.requests.len() + self.appends.len()
    }

    /// The batch was not taken in the first place.
    fn withdraw(mut self, reason: Busy) -> Busy {
        self.requests.clear();
        self.appends = Appends::new();
        reason
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.len() > 0 {
            let tokens = self.requests.drain(..).map(|(token, _)| token).chain(self.appends.tokens());
            let closed = |token| Reply { token, outcome: Outcome::Failed(Failure::closed()) };
            self.addressee.deliver(tokens.map(closed).collect());
        }
    }
}

/// How much waits in the write queue.
pub(crate) struct Backlog {
    requests: AtomicUsize,
    requests_max: usize,
    /// Of the requests in the queue or in the group that is being written.
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Backlog {
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> Backlog {
        Backlog { requests: AtomicUsize::new(0), requests_max, bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Counts a batch, and says whether there is room for it. One larger than the bounds is still taken when nothing
    /// else waits; otherwise it could never be written.
    fn add(&self, batch: &Batch) -> bool {
        let (requests, bytes) = (batch.len(), batch.bytes);
        let before = (self.requests.fetch_add(requests, AcqRel), self.bytes.fetch_add(bytes, AcqRel));
        let fits = |before: usize, more: usize, max: usize| before == 0 || before + more <= max;
        fits(before.0, requests, self.requests_max) && fits(before.1, bytes, self.bytes_max)
    }

    fn remove(&self, batch: &Batch) {
        self.taken(batch);
        self.written(batch.bytes);
    }

    /// The writer has taken a batch out of the queue.
    pub(crate) fn taken(&self, batch: &Batch) {
        self.requests.fetch_sub(batch.len(), AcqRel);
    }

    /// So many bytes of requests have been dealt with.
    pub(crate) fn written(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, AcqRel);
    }

    fn is_half_full(&self) -> bool {
        let (requests, bytes) = self.waiting();
        requests > self.requests_max / 2 || bytes > self.bytes_max / 2
    }

    /// Requests and bytes that wait now.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.requests.load(Acquire), self.bytes.load(Acquire))
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
    let mut deliveries = Deliveries::default();
    for (mut ticket, outcome) in outcomes {
        if let Some(addressee) = ticket.addressee.take() {
            deliveries.to(&addressee).push(Reply { token: ticket.token, outcome });
        }
    }
    deliveries.deliver();
}

/// Answers batches: one delivery per client, each with its replies in the order of the requests. There are as many
/// outcomes as requests; what was to be archived has one in common.
pub(crate) fn answer_batches(batches: impl Iterator<Item = Batch>, outcomes: Vec<Outcome>, archived: &Outcome) {
    let mut deliveries = Deliveries::default();
    let mut outcomes = outcomes.into_iter();
    for mut batch in batches {
        let replies = deliveries.to(&batch.addressee);
        // A request without an outcome would stay, and be answered when its batch is dropped.
        let answered = batch.requests.len().min(outcomes.len());
        let answers = batch.requests.drain(..answered).zip(outcomes.by_ref());
        let told = answers.filter(|((token, _), outcome)| *token != QUIET || *outcome != Outcome::Written);
        replies.extend(told.map(|((token, _), outcome)| Reply { token, outcome }));
        let archives = std::mem::take(&mut batch.appends);
        let told = archives.tokens().filter(|&token| token != QUIET || *archived != Outcome::Written);
        replies.extend(told.map(|token| Reply { token, outcome: archived.clone() }));
    }
    deliveries.deliver();
}

/// Replies by client. As many clients as shards: a search beats a map.
#[derive(Default)]
struct Deliveries(Vec<(Arc<Addressee>, Vec<Reply>)>);

impl Deliveries {
    fn to(&mut self, addressee: &Arc<Addressee>) -> &mut Vec<Reply> {
        let known = self.0.iter().position(|(known, _)| Arc::ptr_eq(known, addressee));
        let at = known.unwrap_or_else(|| {
            self.0.push((addressee.clone(), Vec::new()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    fn deliver(self) {
        let told = self.0.into_iter().filter(|(_, replies)| !replies.is_empty());
        told.for_each(|(addressee, replies)| addressee.deliver(replies));
    }
}
