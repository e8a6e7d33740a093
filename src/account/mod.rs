//! What an account's home shard owns of it while somebody is logged in: its connected resources and their presence, and
//! the decision who gets what is sent to it (RFC 6121 §8.5).
//!
//! Plain values: no socket, no clock, no disk. What may not live here: writing to connections, which the shard does.

pub mod activity;
pub mod archive;
pub mod archive_ids;
pub mod archive_page;
mod archive_preferences;
pub mod archive_size;
mod archiving;
pub mod avatar;
pub mod blocking;
pub mod caps;
mod carbons;
pub mod contacts;
pub mod csi;
pub mod delay;
mod delivery;
pub mod forged;
pub mod forwarding;
mod heard;
pub mod jid_list;
mod managed;
mod marks;
pub mod private;
mod recent;
pub mod reporting;
mod resources;
pub mod restraint;
pub mod retraction;
pub mod roster;
mod session;
mod stanza_id;
mod state;
pub mod subscription;
#[cfg(test)]
#[path = "tests/messages.rs"]
mod test_messages;
mod traits;
pub mod vcard;

pub use archive_preferences::{DefaultPolicy, Preferences, PreferencesError, PreferencesLimits};
pub use archiving::{Offline, archive, offline};
pub use caps::Interests;
pub use carbons::{COPY_BYTES, carbon, write_carbon};
pub use delivery::{Decision, IqType, MessageType, PresenceType, ResourceState, StanzaKind, decide};
pub use forwarding::write_forwarded;
pub use managed::{Managed, ManagementLimits, Resumption, Returning, fate};
pub use marks::{Bearer, Marks};
pub use recent::Recent;
pub use resources::{Accounts, BindError, BindLimits, Bound, Conflict};
pub use session::{Address, Presence, Session, SessionKey};
pub use stanza_id::{STANZA_ID_BYTES, append_stanza_id};
pub use state::{Account, Standing, Waiting};
pub use traits::{Direction, Facts, Traits, Verdict};

/// What is answered when stored data cannot be had: the reason is for the operator.
fn unreadable(error: rondel_storage::LoadError) -> crate::stream::Refusal {
    tracing::error!(target: "storage", %error, "a request cannot be answered");
    crate::stream::Refusal::internal_server_error()
}
