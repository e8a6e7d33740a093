//! Counters of the storage threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Buckets of [`Metrics::sync_micros_log2`].
pub const SYNC_BUCKETS: usize = 24;

/// What the storage has done since it was opened. A snapshot: fields may be a few requests apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// Batches taken from the write queue.
    pub batches: u64,
    /// Synced writes to the log; fewer than batches when all of a batch was refused.
    pub syncs: u64,
    /// Write requests that are on disk.
    pub writes: u64,
    /// Write requests refused by a precondition.
    pub refused: u64,
    /// Write requests that failed.
    pub failed: u64,
    /// Bytes of keys and values handed to the log, with RocksDB's framing.
    pub bytes: u64,
    /// Time spent in synced writes, in microseconds.
    pub sync_micros: u64,
    /// The longest synced write, in microseconds.
    pub sync_micros_max: u64,
    /// Synced writes by duration: bucket `n` counts those of at least `2^n` and less than `2^(n+1)` microseconds.
    pub sync_micros_log2: [u64; SYNC_BUCKETS],
    /// Write requests waiting now.
    pub write_queue: u64,
    /// Bytes of write requests waiting now.
    pub write_queue_bytes: u64,
    /// Reads answered on the caller's thread, from memory.
    pub reads_inline: u64,
    /// Reads handed to the reader threads.
    pub reads_queued: u64,
    /// Reads waiting for a reader thread now.
    pub read_queue: u64,
    /// Requests answered with `Busy`.
    pub busy: u64,
    /// Deliveries of replies: one per batch and client.
    pub deliveries: u64,
    /// Panics contained in storage threads.
    pub panics: u64,
    /// Times the database was opened anew after its disk had failed.
    pub reopened: u64,
    /// Whether the latest synced write failed.
    pub failing: bool,
    /// How long the synced write has taken so far that is under way, in microseconds; zero without one.
    pub sync_micros_now: u64,
}

/// Where the storage's memory is, in bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Memory {
    /// The block cache.
    pub block_cache: u64,
    /// Memtables.
    pub memtables: u64,
    /// Messages of archives that are not in chunks yet.
    pub tails: u64,
    /// What is known of table files while they are open, as far as it is not in the block cache.
    pub table_readers: u64,
}

/// How much a family holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FamilySize {
    /// Its name.
    pub name: &'static str,
    /// Bytes of its table files.
    pub bytes: u64,
    /// Its table files.
    pub files: u64,
    /// Its keys; an estimate of RocksDB's.
    pub keys: u64,
}

/// The live counters behind [`Metrics`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) batches: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) reads_inline: AtomicU64,
    pub(crate) reads_queued: AtomicU64,
    pub(crate) busy: AtomicU64,
    pub(crate) deliveries: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) reopened: AtomicU64,
    sync_micros: AtomicU64,
    sync_micros_max: AtomicU64,
    sync_micros_log2: [AtomicU64; SYNC_BUCKETS],
    /// Since when a synced write is under way, in microseconds since `epoch`, plus one; zero without one.
    sync_since: AtomicU64,
    epoch: OnceLock<Instant>,
}

pub(crate) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Relaxed);
}

impl Counters {
    /// A synced write begins.
    pub(crate) fn syncs(&self) {
        self.sync_since.store(self.now_micros() + 1, Relaxed);
    }

    /// It is over, however it has ended.
    pub(crate) fn sync_ended(&self) {
        self.sync_since.store(0, Relaxed);
    }

    fn now_micros(&self) -> u64 {
        let since = self.epoch.get_or_init(Instant::now).elapsed();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX - 1)
    }

    pub(crate) fn synced(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(&self.syncs, 1);
        self.sync_micros.fetch_add(micros, Relaxed);
        self.sync_micros_max.fetch_max(micros, Relaxed);
        let bucket = (micros.max(1).ilog2() as usize).min(SYNC_BUCKETS - 1);
        add(&self.sync_micros_log2[bucket], 1);
    }

    /// A snapshot, without the queues' lengths, which the queues know, and without whether writes fail.
    pub(crate) fn snapshot(&self) -> Metrics {
        Metrics {
            batches: self.batches.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            writes: self.writes.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failed: self.failed.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            sync_micros: self.sync_micros.load(Relaxed),
            sync_micros_max: self.sync_micros_max.load(Relaxed),
            sync_micros_log2: std::array::from_fn(|bucket| self.sync_micros_log2[bucket].load(Relaxed)),
            reads_inline: self.reads_inline.load(Relaxed),
            reads_queued: self.reads_queued.load(Relaxed),
            busy: self.busy.load(Relaxed),
            deliveries: self.deliveries.load(Relaxed),
            panics: self.panics.load(Relaxed),
            reopened: self.reopened.load(Relaxed),
            sync_micros_now: match self.sync_since.load(Relaxed) {
                0 => 0,
                since => self.now_micros().saturating_sub(since - 1),
            },
            ..Metrics::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_fall_into_the_bucket_of_their_duration() {
        let counters = Counters::default();
        for micros in [0, 1, 2, 3, 124, u64::MAX] {
            counters.synced(Duration::from_micros(micros));
        }
        let metrics = counters.snapshot();
        assert_eq!((metrics.syncs, metrics.sync_micros_max), (6, u64::MAX));
        assert_eq!(metrics.sync_micros_log2[0], 2);
        assert_eq!(metrics.sync_micros_log2[1], 2);
        assert_eq!(metrics.sync_micros_log2[6], 1);
        assert_eq!(metrics.sync_micros_log2[SYNC_BUCKETS - 1], 1);
    }
}
