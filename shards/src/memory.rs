//! Giving memory back to the system. The allocator keeps what a thread has freed for that thread's next need, and looks
//! at it again only when the thread allocates: a shard that has gone quiet after a storm would keep the storm's memory.

/// Gives back what this thread has freed and the allocator still keeps. Does nothing where the embedding program has
/// another allocator than mimalloc.
pub(crate) fn give_back() {
    // SAFETY: it may be called at any time on any thread; it touches only pages that hold nothing.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
