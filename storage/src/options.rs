//! What can be chosen when a store is opened.

use std::path::PathBuf;

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
    /// The most memory, in bytes, for written data that are not yet in a table file, over all families.
    pub write_buffers_bytes: usize,
    /// The most bytes of write-ahead log before memtables are flushed; what a restart after a crash replays.
    pub log_bytes_max: u64,
    /// Old log files kept for reuse, which spares the file system the allocation under each sync.
    pub log_files_recycled: usize,
    /// The most table files held open.
    pub open_files_max: i32,
    /// Threads that answer reads which memory cannot.
    pub reader_threads: usize,
    /// The most write requests waiting; more are answered with `Busy`.
    pub write_queue: usize,
    /// The most bytes of write requests waiting; more are answered with `Busy`.
    pub write_queue_bytes: usize,
    /// The most reads waiting for a reader thread; more are answered with `Busy`.
    pub read_queue: usize,
}

impl Options {
    /// The defaults for a store in `path`: made for a small host, some 50 MiB of memory when all of it is in use.
    pub fn new(path: impl Into<PathBuf>) -> Options {
        Options {
            path: path.into(),
            create_if_missing: true,
            block_cache_bytes: 32 << 20,
            write_buffers_bytes: 16 << 20,
            log_bytes_max: 64 << 20,
            log_files_recycled: 2,
            open_files_max: 256,
            reader_threads: 2,
            write_queue: 16 << 10,
            write_queue_bytes: 64 << 20,
            read_queue: 4096,
        }
    }
}
