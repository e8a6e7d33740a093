//! Rondel's runtime: one executor per core, nothing shared between them but the mesh.
//!
//! An embedder implements [`Application`], once per shard, as plain callbacks: bytes came in, a message came over the
//! mesh, a timer fired. The runtime owns what surrounds it: listening sockets, connections and their buffers, TLS,
//! the mesh between the shards, the timer wheel, back-pressure, and an orderly end. A connection can be handed over
//! to another shard with its TLS state and its unread bytes.
//!
//! What may not live here: any knowledge of the protocol spoken on the connections, of accounts, or of storage.
//! The executor library is named in this crate only.

mod accept;
mod allowance;
mod application;
mod bucket;
mod complaint;
mod connection;
mod debt;
mod driver;
mod exporter;
mod gather;
mod io;
mod listen;
mod local;
mod memory;
mod mesh;
mod metrics;
mod options;
mod poller;
mod pump;
mod runtime;
mod slab;
mod timer;
mod tls;
mod wheel;

pub use allowance::Usage;
pub use application::{Accepted, Application, Closed, Origin, Verdict};
pub use bucket::{Rate, TokenBucket};
pub use connection::ConnectionId;
pub use debt::Debt;
pub use io::{Buffers, Io, Refused};
pub use listen::{ListenError, Listener};
pub use memory::return_large_pieces;
pub use mesh::Remote;
pub use metrics::{Counter, Metrics, MetricsSnapshot};
pub use options::{Options, available_cores};
pub use runtime::{Runtime, StartError};
pub use rustls;
pub use tls::TlsFacts;
pub use wheel::Wheel;
