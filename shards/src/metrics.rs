//! Counters of one shard: written by the shard alone, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

/// Declares a struct of [`Counter`]s, and one of what they said at one moment.
#[macro_export]
macro_rules! counters {
    (
        $(#[$live_doc:meta])* $live:ident;
        $(#[$snapshot_doc:meta])* $snapshot:ident;
        $($(#[$doc:meta])* $name:ident,)*
    ) => {
        $(#[$live_doc])*
        #[derive(Debug, Default)]
        pub struct $live { $($(#[$doc])* pub $name: $crate::Counter,)* }

        $(#[$snapshot_doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct $snapshot { $($(#[$doc])* pub $name: u64,)* }

        impl $live {
            /// Reads all counters.
            pub fn snapshot(&self) -> $snapshot {
                $snapshot { $($name: self.$name.get(),)* }
            }
        }

        impl $snapshot {
            /// Name and value of every counter, in order.
            pub fn fields(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// The counters of one shard. Only the shard itself adds to them, hence no atomic read-modify-write.
    Metrics;
    /// What a shard's [`Metrics`] said at one moment.
    MetricsSnapshot;
    /// Connections here now.
    connections,
    /// Connections accepted by this shard's listeners.
    accepted,
    /// Connections refused by the application.
    refused,
    /// Connections that moved here.
    moved_in,
    /// Connections that moved away.
    moved_out,
    /// Reads that brought bytes.
    reads,
    /// Bytes read, as they came from the socket.
    bytes_read,
    /// Sends on sockets.
    sends,
    /// Bytes sent, as the socket took them.
    bytes_sent,
    /// Sends that found the socket full.
    blocked_sends,
    /// Messages sent over the mesh.
    mesh_sent,
    /// Messages received over the mesh.
    mesh_received,
    /// Times another shard had to be woken.
    mesh_wakes,
    /// Times this shard was woken by another or by a thread that is none.
    woken,
    /// Times a ring was full and this shard stopped reading from its sockets.
    mesh_full,
    /// TLS handshakes completed.
    handshakes,
    /// Turns that ended in a flush.
    turns,
    /// Panics contained.
    panics,
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; to be called by the owning shard only.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Sets; to be called by the owning shard only.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Reads, from any thread.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
