//! Rondel's storage: one RocksDB, one column family per kind of data, every write synced before it is answered.
//!
//! What lives here: the catalogue of column families ([`Family`]), the opening and locking of the data directory
//! ([`Store::open`]), group commit on one writer thread, the pool of reader threads, and the typed stores on top of
//! them (the public modules). What may not: sockets, executors, stanzas, or any rule of XMPP. To this crate an account
//! is an [`Owner`], that is a name within a domain, and its data are bytes under that owner.
//!
//! Callers that must never block (an executor's thread) hold a [`Client`]: requests go in with a token, replies come
//! back in batches through [`Replies`]. Callers that may block (a command line) use the `*_blocking` methods of
//! [`Store`], which take the same path.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod accounts;
pub mod applicants;
pub mod archive;
pub mod attempts;
pub mod audit;
pub mod backup;
pub mod bans;
pub mod blocks;
mod bulk;
mod catalogue;
mod client;
mod codec;
pub mod departures;
mod directory;
mod engine;
mod flusher;
mod group;
pub mod invites;
pub mod listed;
pub mod marks;
pub mod meta;
mod metrics;
pub mod names;
pub mod offline;
mod open;
mod options;
mod owner;
pub mod preferences;
pub mod private;
pub mod pubsub;
mod read;
mod readers;
pub mod registrations;
mod reply;
pub mod reports;
mod request;
pub mod roster;
mod schema;
mod store;
mod survey;
#[cfg(test)]
mod testing;
mod timed;
pub mod tokens;
mod tuning;
pub mod vcards;
mod writer;

pub use bulk::Bulk;
pub use catalogue::{Descriptor, Family, KeyShape, Size, WritePattern};
pub use client::{Answer, Busy, Client, QUIET};
pub use codec::{DecodeError, LoadError};
pub use metrics::{FamilySize, Memory, Metrics, SYNC_BUCKETS};
pub use open::OpenError;
pub use options::Options;
pub use owner::{Owner, OwnerError, PART_BYTES_MAX};
pub use reply::{Failure, FailureKind, Outcome, Page, Replies, Reply};
pub use request::{Operation, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PageRequest, Precondition, ReadRequest, WriteRequest};
pub use schema::SCHEMA_VERSION;
pub use store::Store;
pub use survey::{Damage, Survey, salvage, survey};
pub use timed::TimedId;
