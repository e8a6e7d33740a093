//! What sessions and addresses have used of what they may.

use serde::{Deserialize, Serialize};

/// What a session has used.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct SessionUsage {
    /// Its full JID.
    pub jid: String,
    /// From where it is connected.
    pub address: String,
    /// For how many seconds there has been a session.
    pub age_s: u64,
    /// Bytes that were read of it, as they came over the network.
    pub read_bytes: u64,
    /// Whether it has no limits of traffic.
    pub is_exempt: bool,
    /// Whether it is held back now.
    pub is_held: bool,
    /// How many seconds ago it was last held back because of its bytes.
    pub held_bytes_s: Option<u64>,
    /// The same because of its stanzas.
    pub held_stanzas_s: Option<u64>,
}

/// What an address has used, on one shard.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct AddressUsage {
    /// Its connections now.
    pub connections: u32,
    /// New connections that it may still make at once.
    pub connections_left: f64,
    /// Failed logins that it may still have at once.
    pub failures_left: f64,
}

/// What somebody has used.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Usage {
    /// The sessions: of the account, or from the address.
    pub sessions: Vec<SessionUsage>,
    /// Of an address, what each shard has counted that has seen it.
    pub address: Vec<AddressUsage>,
    /// Of an address, whether it is banned, and until when, in seconds since 1970; `None` within: for good.
    pub banned_until_s: Option<Option<u64>>,
}
