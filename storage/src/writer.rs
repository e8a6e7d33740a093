//! The writer thread: group commit.
//!
//! While one group is being synced, the next one gathers by itself, and a lone write waits for nobody. Only while much
//! is written does the writer pause between two groups, so that syncs become few.

use crate::client::{Backlog, Batch, Job, answer_batches};
use crate::directory::takes_files;
use crate::group::{Verdict, judge};
use crate::metrics::add;
use crate::reply::{Failure, FailureKind, Outcome};
use crate::store::Shared;
use crossbeam::channel::Receiver;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// From how many requests on a group takes no more. It bounds how long the first of them waits for the others to be
/// judged.
const GROUP_REQUESTS_MAX: usize = 4096;
/// The most bytes in one group (a single larger request excepted): what one sync writes.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// From how many requests on a group is a sign that much is written.
const GROUP_REQUESTS_BUSY: usize = 16;
/// RocksDB polls a full disk every five seconds and recovers by itself; a reopening is for when it has given up.
const DISK_FULL_PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait between two attempts to reopen: doubled from the first to the last.
const REOPEN_PAUSE_MIN: Duration = Duration::from_secs(1);
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(60);

/// An owner over whose requests the writer panics, for the test of what happens then.
#[cfg(test)]
const PANIC: &str = "panic";

/// Runs until [`Job::Stop`], then answers what was queued before it and ends.
pub(crate) fn run(shared: &Arc<Shared>, jobs: &Receiver<Job>) {
    let mut writer = Writer { shared, trouble: None };
    let mut group = Vec::new();
    let mut pace = Pace { interval: shared.sync_interval, busy_since: None };
    while let Ok(first) = jobs.recv() {
        pace.wait();
        let gathered = gather(first, jobs, &shared.backlog, &mut group);
        pace.goes_on(group.iter().map(Batch::len).sum());
        writer.commit(&mut group);
        writer.seal(gathered == Gathered::UntilSeal);
        if gathered == Gathered::UntilStop {
            break;
        }
    }
}

/// How soon one group follows another.
struct Pace {
    interval: Duration,
    /// When the last group was taken, if it was a large one.
    busy_since: Option<Instant>,
}

impl Pace {
    /// Lets more gather, if there was much before.
    fn wait(&self) {
        if let Some(since) = self.busy_since {
            thread::sleep(self.interval.saturating_sub(since.elapsed()));
        }
    }

    /// A group of so many requests has been taken.
    fn goes_on(&mut self, requests: usize) {
        self.busy_since = (requests >= GROUP_REQUESTS_BUSY).then(Instant::now);
    }
}

/// Why gathering ended.
#[derive(Eq, PartialEq)]
enum Gathered {
    /// Nothing more waits, or the group is full.
    All,
    UntilSeal,
    UntilStop,
}

fn gather(first: Job, jobs: &Receiver<Job>, backlog: &Backlog, group: &mut Vec<Batch>) -> Gathered {
    let (mut requests, mut bytes) = (0, 0);
    let mut next = Some(first);
    while let Some(job) = next {
        match job {
            Job::Write(batch) => {
                backlog.taken(&batch);
                requests += batch.len();
                bytes += batch.bytes;
                group.push(batch);
            }
            Job::Seal => return Gathered::UntilSeal,
            Job::Stop => return Gathered::UntilStop,
        }
        if requests >= GROUP_REQUESTS_MAX || bytes >= GROUP_BYTES_MAX {
            break;
        }
        next = jobs.try_recv().ok();
    }
    Gathered::All
}

/// What came of a group.
struct Written {
    /// One per request.
    outcomes: Vec<Outcome>,
    /// Of all messages for archives.
    appended: Outcome,
}

/// Writes have been failing.
struct Trouble {
    kind: FailureKind,
    since: Instant,
    reopen_at: Instant,
    pause: Duration,
}

struct Writer<'w> {
    shared: &'w Arc<Shared>,
    trouble: Option<Trouble>,
}

impl Writer<'_> {
    /// Writes one group and answers all its members. A panic fails the group, not the thread.
    fn commit(&mut self, group: &mut Vec<Batch>) {
        let requests = group.iter().map(|batch| batch.requests.len()).sum();
        let messages: usize = group.iter().map(|batch| batch.appends.len()).sum();
        if requests + messages == 0 {
            return;
        }
        let Written { outcomes, appended } = match catch_unwind(AssertUnwindSafe(|| self.write(group))) {
            Ok(written) => written,
            Err(panic) => {
                let failure = Failure::panicked(&*panic);
                self.shared.poison(&failure);
                self.shared.counters.sync_ended();
                let appended = Outcome::Failed(failure);
                Written { outcomes: vec![appended.clone(); requests], appended }
            }
        };
        debug_assert_eq!(outcomes.len(), requests);
        self.count(&outcomes, &appended, messages);
        self.shared.backlog.written(group.iter().map(|batch| batch.bytes).sum());
        answer_batches(group.drain(..), outcomes, &appended);
    }

    /// Seals what has been added to archives, if it is enough or if that is wanted, and has it made into chunks.
    fn seal(&self, wanted: bool) {
        let tails = self.shared.engine.tails();
        if if wanted { tails.seal().is_some() } else { tails.seal_if_full() } {
            // One that is waiting already will do.
            self.shared.flush.try_send(()).ok();
        }
    }

    fn write(&mut self, group: &mut [Batch]) -> Written {
        self.reopen_if_due();
        let requests = || group.iter().flat_map(|batch| &batch.requests).map(|(_, request)| request);
        #[cfg(test)]
        assert!(requests().all(|request| request.owner().local() != PANIC), "on purpose");
        let verdicts = judge(requests(), |family, key| self.shared.engine.value(family, key));
        let admitted = || requests().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Admit);
        let archives = group.iter().any(|batch| !batch.appends.is_empty())
            || admitted().any(|(request, _)| !request.appends().is_empty());
        let mut written = Ok(());
        if archives || admitted().any(|(request, _)| !request.operations().is_empty()) {
            // Others wait for whatever this waits for.
            self.shared.counters.syncs();
            if archives {
                written = self.shared.engine.tails().admit();
            }
            if written.is_ok() {
                let began = Instant::now();
                written = self.shared.engine.write(group, &verdicts).map(|bytes| {
                    self.shared.counters.synced(began.elapsed());
                    add(&self.shared.counters.bytes, bytes);
                });
                self.note(written.as_ref().err());
            }
            self.shared.counters.sync_ended();
        }
        let appended = written.clone().map_or_else(Outcome::Failed, |()| Outcome::Written);
        let outcome = |verdict| match verdict {
            Verdict::Refuse(index) => Outcome::Refused(index),
            Verdict::Fail(failure) => Outcome::Failed(failure),
            Verdict::Admit => appended.clone(),
        };
        Written { outcomes: verdicts.into_iter().map(outcome).collect(), appended }
    }

    fn count(&self, outcomes: &[Outcome], appended: &Outcome, messages: usize) {
        let of = |matches: fn(&Outcome) -> bool| {
            let messages = if matches(appended) { messages } else { 0 };
            messages + outcomes.iter().filter(|outcome| matches(outcome)).count()
        };
        let counters = &self.shared.counters;
        add(&counters.batches, 1);
        add(&counters.writes, of(|outcome| *outcome == Outcome::Written));
        add(&counters.refused, of(|outcome| matches!(outcome, Outcome::Refused(_))));
        add(&counters.failed, of(|outcome| matches!(outcome, Outcome::Failed(_))));
    }

    /// Keeps track of whether writes succeed, and says so once per change.
    fn note(&mut self, failure: Option<&Failure>) {
        match (failure, &mut self.trouble) {
            (None, None) => {}
            (None, Some(trouble)) => {
                tracing::info!(target: "storage", seconds = trouble.since.elapsed().as_secs(), "storage writes again");
                self.trouble = None;
            }
            (Some(failure), Some(trouble)) => trouble.kind = failure.kind,
            (Some(failure), None) => {
                let text = "storage cannot write; every write fails until this is repaired";
                tracing::error!(target: "storage", %failure, "{text}");
                let now = Instant::now();
                let patience = if failure.kind == FailureKind::DiskFull { DISK_FULL_PATIENCE } else { Duration::ZERO };
                self.trouble = Some(Trouble {
                    kind: failure.kind,
                    since: now,
                    reopen_at: now + patience,
                    pause: REOPEN_PAUSE_MIN,
                });
            }
        }
        *self.shared.trouble() = failure.cloned();
    }

    /// After most write errors RocksDB refuses all further writes until it is opened anew. That is tried only when
    /// the directory takes new files again, because a database that cannot be reopened cannot be read either.
    fn reopen_if_due(&mut self) {
        let Some(trouble) = &mut self.trouble else { return };
        let now = Instant::now();
        if now < trouble.reopen_at || !matches!(trouble.kind, FailureKind::Io | FailureKind::DiskFull) {
            return;
        }
        trouble.reopen_at = now + trouble.pause;
        trouble.pause = (trouble.pause * 2).min(REOPEN_PAUSE_MAX);
        if !takes_files(&self.shared.path) {
            return;
        }
        match self.shared.engine.reopen() {
            Ok(()) => {
                add(&self.shared.counters.reopened, 1);
                tracing::warn!(target: "storage", "storage opened its database anew after a failed write");
            }
            Err(failure) => tracing::error!(target: "storage", %failure, "storage could not open its database anew"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, Options, Owner, Replies, Reply, Store, WriteRequest};
    use crossbeam::channel::{Sender, bounded, unbounded};

    /// Longer than anything takes, unless it hangs.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Holds the writer in a delivery: its channel has no room, so each of two messages waits for the test.
    struct Gate(Sender<()>);

    impl Replies for Gate {
        fn deliver(&self, _replies: Vec<Reply>) {
            self.0.send(()).ok();
            self.0.send(()).ok();
        }
    }

    struct Inbox(Sender<Vec<Reply>>);

    impl Replies for Inbox {
        fn deliver(&self, replies: Vec<Reply>) {
            self.0.send(replies).ok();
        }
    }

    fn put(local: &str) -> WriteRequest {
        WriteRequest::new(Owner::new(local, "example.org").unwrap()).put(Family::Accounts, b"", vec![1])
    }

    fn is_stored(store: &Store, local: &str) -> bool {
        let key = Family::Accounts.key(&Owner::new(local, "example.org").unwrap(), b"");
        store.get(Family::Accounts, key).unwrap().is_some()
    }

    #[test]
    fn a_request_without_operations_is_answered_behind_others_and_writes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        let empty = || WriteRequest::new(Owner::parse("juliet@example.org").unwrap());
        assert_eq!(store.write_blocking(empty()), Outcome::Written);
        assert_eq!(store.metrics().syncs, 0);
        let (sender, inbox) = unbounded();
        let client = store.client(Arc::new(Inbox(sender)));
        client.write(1, put("juliet")).unwrap();
        client.write(2, empty()).unwrap();
        let replies: Vec<_> = std::iter::from_fn(|| inbox.recv_timeout(PATIENCE).ok()).flatten().take(2).collect();
        assert_eq!(replies, [1, 2].map(|token| Reply { token, outcome: Outcome::Written }));
        assert!(is_stored(&store, "juliet") && store.metrics().syncs == 1);
    }

    #[test]
    fn a_panic_fails_its_group_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        let (sender, inbox) = unbounded();
        let (one, other) = (store.client(Arc::new(Inbox(sender.clone()))), store.client(Arc::new(Inbox(sender))));
        let (sender, gate) = bounded(0);
        store.client(Arc::new(Gate(sender))).write(0, put("gate")).unwrap();
        gate.recv_timeout(PATIENCE).unwrap();
        // Queued while the writer is held, these are one group.
        one.write(1, put("before")).unwrap();
        other.write(2, put(PANIC)).unwrap();
        one.write(3, put("after")).unwrap();
        drop(gate);

        let failure = Failure::new(FailureKind::Panicked, "on purpose");
        let failed = |token| Reply { token, outcome: Outcome::Failed(failure.clone()) };
        assert_eq!(inbox.recv_timeout(PATIENCE).unwrap(), [failed(1), failed(3)]);
        assert_eq!(inbox.recv_timeout(PATIENCE).unwrap(), [failed(2)]);
        assert_eq!(store.poisoned(), Some(failure.clone()));
        let metrics = store.metrics();
        assert_eq!((metrics.panics, metrics.failed, metrics.writes, metrics.syncs), (1, 3, 1, 1));
        assert_eq!((metrics.write_queue, metrics.write_queue_bytes, metrics.failing), (0, 0, false));
        assert!(["before", PANIC, "after"].iter().all(|local| !is_stored(&store, local)));

        // The thread is still there, also after another one.
        assert_eq!(store.write_blocking(put("before")), Outcome::Written);
        assert_eq!(store.write_blocking(put(PANIC)), Outcome::Failed(failure));
        assert_eq!(store.write_blocking(put("later")), Outcome::Written);
        assert_eq!(store.metrics().panics, 2);
        store.close().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        let found = ["gate", "before", PANIC, "after", "later"].map(|local| is_stored(&store, local));
        assert_eq!(found, [true, true, false, false, true]);
    }
}
