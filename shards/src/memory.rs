//! Giving memory back to the system. The allocator keeps what a thread has freed for that thread's next need, and looks
//! at it again only when the thread allocates: a shard that has gone quiet after a storm would keep the storm's memory.

/// From which size on a C library's memory is mapped for itself, in bytes: what the C library begins with.
#[cfg(target_env = "gnu")]
const MAPPED_FROM: std::ffi::c_int = 128 << 10;

/// Has what libraries written in C or C++ allocate in large pieces go back to the system as soon as they free it.
/// Without it the C library learns from the first large piece that is freed to keep the next ones, up to 32 MiB each,
/// and RocksDB's write buffers stay for good in the heap of the thread that filled them. To be called before they are
/// used.
pub fn return_large_pieces() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time; it takes two numbers and changes only how the C library's allocator behaves
    // from now on.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
    }
}

/// Gives back what this thread has freed and the allocator still keeps. Does nothing where the embedding program has
/// another allocator than mimalloc.
pub(crate) fn give_back() {
    // SAFETY: it may be called at any time on any thread; it touches only pages that hold nothing.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
