//! What an account's home shard owns of it while somebody is logged in: its connected resources and their presence, and
//! the decision who gets what is sent to it (RFC 6121 §8.5).
//!
//! Plain values: no socket, no clock, no disk. What may not live here: writing to connections, which the shard does.

pub mod contacts;
pub mod activity;
pub mod archive;
pub mod archive_ids;
pub mod blocking;
mod delivery;
pub mod jid_list;
pub mod private;
pub mod reporting;
mod resources;
pub mod roster;
pub mod subscription;
pub mod vcard;

pub use delivery::{Decision, IqType, MessageType, PresenceType, ResourceState, StanzaKind, decide};
pub use resources::{Accounts, BindError, BindLimits, Bound, Conflict, Presence, Resource};

/// What is answered when stored data cannot be had: the reason is for the operator.
fn unreadable(error: rondel_storage::LoadError) -> crate::stream::Refusal {
    tracing::error!(target: "storage", %error, "a request cannot be answered");
    crate::stream::Refusal::internal_server_error()
}
