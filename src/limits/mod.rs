//! What is limited and how much. The token buckets themselves live in the runtime; here is who has one.
//!
//! Everything is local to a shard: a limit per address is divided among the shards, over which the kernel spreads the
//! connections of an address.

mod addresses;
mod banned;
mod buckets;
mod remembered;
mod traffic;

pub use addresses::{AddressLimits, Addresses, Refusal, prefix};
pub use banned::Banned;
pub use buckets::Buckets;
pub use remembered::{HOUR_MS, Remembered};
pub use traffic::{ByteLimits, Link, Sent, StanzaLimits, StrangerLimits, ToStrangers, Traffic};
