//! What can be chosen when a store is opened.

use std::path::PathBuf;
use std::time::Duration;

/// How to open a store. Start from [`Options::new`] and change what is needed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The directory. It belongs to the store alone; keep other files beside it, not in it.
    pub path: PathBuf,
    /// Create the store if there is none. Otherwise a missing directory is an error.
    pub create_if_missing: bool,
    /// The most memory, in bytes, for blocks read from disk (data, indexes and filters), shared by all families.
    pub block_cache_bytes: usize,
    /// The most memory, in bytes, for written data that are not yet in a table file, over all families but those of
    /// archives.
    pub write_buffers_bytes: usize,
    /// From how many bytes on what has been added to archives is written out as chunks. Larger ones have more of an
    /// archive's messages in each chunk. While that much is written every few seconds it takes some five times as much
    /// memory; on a quiet server next to nothing.
    pub archive_tail_bytes: usize,
    /// The most bytes of write-ahead log before memtables are flushed; what a restart after a crash replays.
    pub log_bytes_max: u64,
    /// Old log files kept for reuse, which spares the file system the allocation under each sync.
    pub log_files_recycled: usize,
    /// The most table files held open.
    pub open_files_max: i32,
    /// Threads that answer reads which memory cannot.
    pub reader_threads: usize,
    /// The least time from one sync of the log to the next while much is written. A sync costs the processor and the
    /// disk as much as hundreds of writes; what is written waits for so much longer at the most. Few writes never wait.
    pub sync_interval: Duration,
    /// The most write requests waiting; more are answered with `Busy`.
    pub write_queue: usize,
    /// The most bytes of write requests waiting; more are answered with `Busy`.
    pub write_queue_bytes: usize,
    /// The most reads waiting for a reader thread; more are answered with `Busy`.
    pub read_queue: usize,
    /// How old an archived message may become; older ones are not shown, and go at the next compaction of their file.
    pub archive_retention: Option<Duration>,
    /// The most bytes that the messages of one account's archive may have; on the disk they are compressed and take
    /// less. It is looked at by [`archive::excess`](crate::archive::excess), which says what has to go.
    pub archive_bytes_max_per_account: Option<u64>,
}

impl Options {
    /// The defaults for a store in `path`: made for a small host, some 50 MiB of memory when all of it is in use.
    pub fn new(path: impl Into<PathBuf>) -> Options {
        Options {
            path: path.into(),
            create_if_missing: true,
            block_cache_bytes: 32 << 20,
            write_buffers_bytes: 16 << 20,
            archive_tail_bytes: 16 << 20,
            log_bytes_max: 64 << 20,
            log_files_recycled: 2,
            open_files_max: 256,
            reader_threads: 2,
            sync_interval: Duration::from_millis(4),
            write_queue: 16 << 10,
            write_queue_bytes: 64 << 20,
            read_queue: 4096,
            archive_retention: None,
            archive_bytes_max_per_account: None,
        }
    }
}
