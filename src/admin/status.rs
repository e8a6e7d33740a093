//! How the server fares, as plain values.

use serde::{Deserialize, Serialize};

/// Who answers, what is there, and what has been counted.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// The version of how data are stored.
    #[serde(default)]
    pub schema: u32,
    /// The operating system's, such as `Linux 6.1.0`.
    #[serde(default)]
    pub system: String,
    /// Its process.
    pub pid: u32,
    /// When it has started, in seconds since 1970; zero if no server runs.
    #[serde(default)]
    pub started_s: u64,
    /// The domains served; empty if unknown, because no server runs.
    pub domains: Vec<String>,
    /// Rounds of hashing for the keys of new passwords; `None` leaves it to whoever asks.
    pub scram_iterations: Option<u32>,
    /// What is wrong just now.
    #[serde(default)]
    pub alerts: Vec<Alert>,
    /// What has been counted since the server started, and what is there now. [`crate::metrics::CATALOGUE`] says what
    /// they mean.
    #[serde(default)]
    pub counters: Vec<Counted>,
    /// How much of some of it was counted lately.
    #[serde(default)]
    pub lately: Lately,
    /// Synced writes of the storage by duration: element `n` counts those of at least 2^n and less than 2^(n+1)
    /// microseconds.
    #[serde(default)]
    pub syncs_by_duration: Vec<u64>,
    /// The certificates that clients are shown.
    #[serde(default)]
    pub certificates: Vec<CertificateLife>,
    /// What has become of backups; none where none are made.
    #[serde(default)]
    pub backups: Option<BackupFacts>,
}

/// Something that is wrong.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Alert {
    /// What it is about; one of [`ALERTS`](crate::metrics::ALERTS).
    pub about: String,
    /// Since when, in seconds since 1970.
    pub since_s: u64,
    /// What administrators were told, one line.
    pub words: String,
}

/// A counter, or a gauge of what is there now.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counted {
    /// What is counted.
    pub name: String,
    /// By which shard; `None` for what all share.
    pub shard: Option<usize>,
    /// Of what, where several are told apart: a domain, a family of the storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// How much of it.
    pub value: u64,
}

impl Counted {
    /// What all shards share.
    pub fn shared(name: &str, value: u64) -> Counted {
        Counted { name: name.to_owned(), value, ..Counted::default() }
    }

    /// The part of it that belongs to something.
    pub fn of(name: &str, of: &str, value: u64) -> Counted {
        Counted { of: Some(of.to_owned()), ..Counted::shared(name, value) }
    }
}

/// How much of what is counted came within the last seconds, on all shards.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Lately {
    /// How many milliseconds; zero if nothing is known yet.
    pub within_ms: u64,
    /// How much.
    pub counted: Vec<Counted>,
}

/// For how long a certificate holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CertificateLife {
    /// The file of its chain.
    pub path: String,
    /// Until when it holds, in seconds since 1970.
    pub expires_s: i64,
}

/// What has become of backups.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct BackupFacts {
    /// When the newest one was made, in seconds since 1970.
    pub made_s: Option<u64>,
    /// How many there are.
    pub kept: usize,
    /// Why the last try was none.
    pub failed: Option<String>,
    /// Whether one is being made.
    pub is_running: bool,
}
