//! The store: its threads, and the blocking ways in.

use crate::client::{Backlog, Client, Job, Read};
use crate::directory::Directory;
use crate::engine::Engine;
use crate::metrics::{Counters, add};
use crate::open::{self, OpenError, Opened};
use crate::reply::{Failure, Outcome, Page, Replies, Reply};
use crate::{
    Family, FamilySize, Memory, Metrics, Options, PageRequest, ReadRequest, WriteRequest, flusher, readers, writer,
};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Release, Ordering::SeqCst, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

/// An open store. Dropping it closes it; [`Store::close`] does so too and reports whether all went well.
///
/// Clients may outlive it: they are then answered that the store is closed.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    // Dropped to stop the threads that are not the writer.
    readers_run: Option<Sender<()>>,
    // Given up last, when the database is closed.
    _directory: Directory,
}

/// What clients and storage threads have in common.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) path: PathBuf,
    pub(crate) writes: Sender<Job>,
    pub(crate) reads: Sender<Read>,
    /// Wakes the thread that makes chunks of archives.
    pub(crate) flush: Sender<()>,
    // What the threads take from. Kept here as well, because a request in a queue that nobody can receive from would
    // stay there, unanswered, for as long as anybody can send to it.
    write_jobs: Receiver<Job>,
    read_jobs: Receiver<Read>,
    pub(crate) backlog: Backlog,
    pub(crate) sync_interval: Duration,
    pub(crate) closing: AtomicBool,
    /// The threads have ended: whatever is in a queue now is answered by whoever finds it there.
    ended: AtomicBool,
    pub(crate) counters: Counters,
    poisoned: OnceLock<Failure>,
    /// Why writes fail, while they do.
    trouble: Mutex<Option<Failure>>,
}

impl Shared {
    pub(crate) fn trouble(&self) -> MutexGuard<'_, Option<Failure>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a panic that was contained.
    pub(crate) fn poison(&self, failure: &Failure) {
        add(&self.counters.panics, 1);
        // Only the first is kept: what follows may follow from it.
        if self.poisoned.set(failure.clone()).is_ok() {
            tracing::error!(target: "storage", %failure, "storage is poisoned");
        }
    }

    /// To be called after each request that was queued: it may have come too late for the threads.
    pub(crate) fn queued(&self) {
        // Either this sees the end, or the end sees what was queued: both are in one order with the queue's own steps.
        fence(SeqCst);
        if self.ended.load(SeqCst) {
            self.answer_the_rest();
        }
    }

    /// The threads have ended.
    fn end(&self) {
        self.ended.store(true, SeqCst);
        fence(SeqCst);
        self.answer_the_rest();
    }

    /// Empties the queues. A request answers when it is dropped that it was not carried out.
    fn answer_the_rest(&self) {
        while self.read_jobs.try_recv().is_ok() {}
        while self.write_jobs.try_recv().is_ok() {}
    }
}

impl Store {
    /// Opens the store in `options.path`, creating or migrating it if need be, and starts its threads.
    ///
    /// # Errors
    /// Each [`OpenError`] is one line for the operator.
    pub fn open(options: &Options) -> Result<Store, OpenError> {
        let Opened { engine, directory } = open::open(options)?;
        let (writes, write_jobs) = bounded(options.write_queue.max(1));
        let (reads, read_jobs) = bounded(options.read_queue.max(1));
        let (flush, wake) = bounded(1);
        let shared = Arc::new(Shared {
            engine,
            path: options.path.clone(),
            writes,
            reads,
            flush,
            write_jobs,
            read_jobs,
            backlog: Backlog::new(options.write_queue, options.write_queue_bytes),
            sync_interval: options.sync_interval,
            closing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            counters: Counters::default(),
            poisoned: OnceLock::new(),
            trouble: Mutex::new(None),
        });
        let (readers_run, stop) = bounded(0);
        let mut store = Store { shared, threads: Vec::new(), readers_run: Some(readers_run), _directory: directory };
        let started = store.start(&stop, wake, options.reader_threads.max(1));
        started.map_err(|error| OpenError::io(&options.path, &error))?;
        Ok(store)
    }

    fn start(&mut self, stop: &Receiver<()>, wake: Receiver<()>, readers: usize) -> std::io::Result<()> {
        let shared = self.shared.clone();
        let writer = Builder::new().name("rondel-writer".to_owned());
        self.threads.push(writer.spawn(move || writer::run(&shared, &shared.write_jobs))?);
        let (shared, ended) = (self.shared.clone(), stop.clone());
        let flusher = Builder::new().name("rondel-archive".to_owned());
        self.threads.push(flusher.spawn(move || flusher::run(&shared, &wake, &ended))?);
        for number in 0..readers {
            let (shared, stop) = (self.shared.clone(), stop.clone());
            let reader = Builder::new().name(format!("rondel-read-{number}"));
            self.threads.push(reader.spawn(move || readers::run(&shared, &shared.read_jobs, &stop))?);
        }
        Ok(())
    }

    /// A client whose replies go to `replies`; one per shard.
    pub fn client(&self, replies: Arc<dyn Replies>) -> Client {
        Client::new(self.shared.clone(), replies)
    }

    /// Writes and waits until it is on disk. Takes its place in the queue like any other write.
    pub fn write_blocking(&self, request: WriteRequest) -> Outcome {
        let (sender, outcome) = bounded(1);
        let client = self.client(Arc::new(Waiting(sender)));
        match client.write_waiting(0, request) {
            Ok(()) => outcome.recv().unwrap_or_else(|_| Outcome::Failed(Failure::closed())),
            Err(_) => Outcome::Failed(Failure::closed()),
        }
    }

    /// Reads on the calling thread, waiting for the disk if need be.
    pub fn read_blocking(&self, request: &ReadRequest) -> Outcome {
        self.shared.engine.read(request)
    }

    /// One value, read on the calling thread.
    pub fn get(&self, family: Family, key: Vec<u8>) -> Result<Option<Vec<u8>>, Failure> {
        self.shared.engine.with(|db| crate::read::value(db, family, &key))
    }

    /// A page, read on the calling thread.
    pub fn page(&self, request: PageRequest) -> Result<Page, Failure> {
        match self.read_blocking(&ReadRequest::Page(request)) {
            Outcome::Page(page) => Ok(page),
            Outcome::Failed(failure) => Err(failure),
            // A page request is answered with a page or a failure.
            _ => Err(Failure::closed()),
        }
    }

    /// Makes chunks of all messages that have been added to archives, so that they are in their families rather than in
    /// the log. Nothing depends on it but how much memory they take.
    pub fn flush_archives(&self) -> Result<(), Failure> {
        let tails = self.shared.engine.tails();
        let (generation, _) = tails.next_record();
        while !tails.is_flushed(generation) {
            self.shared.writes.send(Job::Seal).map_err(|_| Failure::closed())?;
            tails.wait()?;
        }
        Ok(())
    }

    /// Compacts all of a family, which gives back the disk that overwritten, removed and expired data take. It takes
    /// as long as reading and writing all of it; reads and writes go on meanwhile, closing waits for it.
    pub fn compact(&self, family: Family) -> Result<(), Failure> {
        if matches!(family, Family::Archive | Family::ArchiveWith) {
            self.flush_archives()?;
        }
        self.shared.engine.compact(family)
    }

    /// What the storage has done so far.
    pub fn metrics(&self) -> Metrics {
        let mut metrics = self.shared.counters.snapshot();
        let (requests, bytes) = self.shared.backlog.waiting();
        (metrics.write_queue, metrics.write_queue_bytes) = (requests as u64, bytes as u64);
        metrics.failing = self.shared.trouble().is_some();
        metrics.read_queue = self.shared.reads.len() as u64;
        metrics
    }

    /// Where the storage's memory is.
    pub fn memory(&self) -> Memory {
        self.shared.engine.memory()
    }

    /// How much each family holds.
    pub fn sizes(&self) -> Vec<FamilySize> {
        self.shared.engine.sizes()
    }

    /// Why writes fail, if the latest one has, or what was archived cannot be written out.
    pub fn trouble(&self) -> Option<Failure> {
        let trouble = self.shared.trouble().clone();
        trouble.or_else(|| self.shared.engine.tails().failure())
    }

    /// The first panic that a storage thread survived, if any. It is a bug: the requests it hit were answered with
    /// [`FailureKind::Panicked`](crate::FailureKind::Panicked), all others are served, and nothing half done is stored.
    pub fn poisoned(&self) -> Option<Failure> {
        self.shared.poisoned.get().cloned()
    }

    /// Answers what is queued, syncs the log, ends the threads, and closes the database, even if clients still exist.
    ///
    /// # Errors
    /// The log could not be synced. What was reported as written is on disk all the same.
    pub fn close(mut self) -> Result<(), Failure> {
        self.shut()
    }

    fn shut(&mut self) -> Result<(), Failure> {
        self.shared.closing.store(true, Release);
        // Fails only if the writer is gone already.
        self.shared.writes.send(Job::Stop).ok();
        drop(self.readers_run.take());
        for handle in self.threads.drain(..) {
            // A store that is dropped by one of its own threads cannot wait for it.
            if handle.thread().id() != thread::current().id()
                && let Err(panic) = handle.join()
            {
                self.shared.poison(&Failure::panicked(&*panic));
            }
        }
        self.shared.end();
        self.shared.engine.close()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(failure) = self.shut() {
            tracing::error!(target: "storage", %failure, "storage could not be closed cleanly");
        }
    }
}

/// Replies for a caller that waits.
struct Waiting(Sender<Outcome>);

impl Replies for Waiting {
    fn deliver(&self, replies: Vec<Reply>) {
        for reply in replies {
            // Nobody waits any more: nobody wants to know.
            self.0.try_send(reply.outcome).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{self, Appends, Found, Query};
    use crate::{Owner, accounts};

    fn owner(local: &str) -> Owner {
        Owner::new(local, "example.org").unwrap()
    }

    fn found(store: &Store, local: &str) -> Vec<u64> {
        match archive::decode(store.read_blocking(&Query::new(owner(local)).into())) {
            Ok(Found::Page(page)) => page.entries.iter().map(archive::Entry::id).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// What belongs to the account is removed in one request; its archive is none of the others' business.
    fn remove(store: &Store, local: &str) {
        let owner = owner(local);
        let account = WriteRequest::new(owner.clone()).put(Family::Accounts, b"", vec![1]);
        assert_eq!(store.write_blocking(account), Outcome::Written);
        assert_eq!(store.write_blocking(accounts::remove(&owner)), Outcome::Written);
    }

    fn append(store: &Store, local: &str, ids: std::ops::Range<u64>) {
        let owner = owner(local);
        let mut messages = Appends::new();
        ids.for_each(|id| {
            messages.push(id, &owner, id, "romeo@example.net", false, |out| out.extend_from_slice(b"<a/>"))
        });
        assert_eq!(store.write_blocking(WriteRequest::new(owner.clone()).append(messages)), Outcome::Written);
    }

    #[test]
    fn an_archive_that_goes_before_it_is_made_into_chunks_is_not_made_into_any() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        append(&store, "juliet", 1..200);
        append(&store, "nurse", 1..200);
        let tails = store.shared.engine.tails();
        // The thread that makes chunks has not come to it yet.
        let turn = store.shared.engine.flusher.lock().unwrap();
        assert!(tails.seal().is_some());
        assert_eq!(tails.seal(), None);
        remove(&store, "juliet");
        assert_eq!((found(&store, "juliet").len(), found(&store, "nurse").len()), (0, 199));
        append(&store, "juliet", 5..7);
        assert_eq!(found(&store, "juliet"), [5, 6]);
        store.shared.engine.flush_archives().unwrap();
        drop(turn);
        assert_eq!((found(&store, "juliet").len(), found(&store, "nurse").len()), (2, 199));
        store.flush_archives().unwrap();
        assert_eq!((found(&store, "juliet").len(), found(&store, "nurse").len()), (2, 199));
    }

    #[test]
    fn what_is_in_the_log_only_comes_back_in_the_order_of_writing() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Store::open(&Options::new(directory.path())).unwrap();
        let store = open();
        append(&store, "juliet", 1..20);
        append(&store, "nurse", 1..20);
        assert!(store.shared.engine.tails().seal().is_some());
        append(&store, "nurse", 20..30);
        remove(&store, "juliet");
        append(&store, "juliet", 3..4);
        assert_eq!(found(&store, "juliet"), [3]);
        assert_eq!(found(&store, "nurse"), (1..30).collect::<Vec<_>>());
        store.close().unwrap();
        let store = open();
        assert_eq!(found(&store, "juliet"), [3]);
        assert_eq!(found(&store, "nurse"), (1..30).collect::<Vec<_>>());
        store.flush_archives().unwrap();
        store.close().unwrap();
        let store = open();
        assert_eq!(store.shared.engine.tails().bytes(), 0);
        assert_eq!(found(&store, "juliet"), [3]);
        assert_eq!(found(&store, "nurse"), (1..30).collect::<Vec<_>>());
    }

    #[test]
    fn chunks_that_were_made_before_a_crash_are_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        append(&store, "juliet", 1..500);
        let tails = store.shared.engine.tails();
        let records: Vec<_> = store
            .page(PageRequest {
                family: crate::archive::log::family(tails.next_record().0),
                from: Vec::new(),
                to: None,
                reverse: false,
                entries_max: 100,
                bytes_max: 1 << 22,
            })
            .unwrap()
            .entries;
        let generation = tails.next_record().0;
        store.flush_archives().unwrap();
        // The log as it was before: as if giving it up had been lost.
        store
            .shared
            .engine
            .with(|db| {
                let family = crate::engine::column(db, crate::archive::log::family(generation))?;
                for (key, record) in &records {
                    db.put_cf(family, key, record)?;
                }
                Ok(())
            })
            .unwrap();
        append(&store, "juliet", 500..600);
        store.close().unwrap();
        let store = Store::open(&Options::new(directory.path())).unwrap();
        for _ in 0..2 {
            assert_eq!(found(&store, "juliet"), (1..600).collect::<Vec<_>>());
            store.flush_archives().unwrap();
        }
    }
}
