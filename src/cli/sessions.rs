//! Flags of `rondel serve`: sessions whose clients come and go.

use std::time::Duration;

use clap::Args;

use super::values;
use crate::account::ManagementLimits;
use crate::account::csi::HeldLimits;
use crate::stream::management::{AcknowledgementLimits, OutboundLimits};

/// Stream management (XEP-0198) and client state (XEP-0352).
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sessions of mobile clients")]
pub struct Sessions {
    /// How long a session whose connection is gone waits for its client to resume it (XEP-0198). 0: not at all.
    #[arg(long, env = "RONDEL_RESUME_TIMEOUT", value_name = "DURATION", default_value = "10m")]
    #[arg(value_parser = values::duration(Duration::ZERO, Duration::from_secs(86_400)))]
    pub resume_timeout: Duration,

    /// Sessions that wait for their clients at once. Further ones end with their connection.
    #[arg(long, env = "RONDEL_WAITING_SESSIONS", value_name = "NUMBER", default_value = "100000")]
    #[arg(value_parser = values::number(1, 10_000_000))]
    pub waiting_sessions: usize,

    /// Stanzas that a session was sent and has not acknowledged. With one more it ends; messages among them go to the
    /// account's other clients, or wait.
    #[arg(long, env = "RONDEL_UNACKNOWLEDGED_STANZAS", value_name = "NUMBER", default_value = "5000")]
    #[arg(value_parser = values::number(10, 1_000_000))]
    pub unacknowledged_stanzas: usize,

    /// The same in bytes.
    #[arg(long, env = "RONDEL_UNACKNOWLEDGED_SIZE", value_name = "SIZE", default_value = "2MiB")]
    #[arg(value_parser = values::size(64 << 10, 1 << 30))]
    pub unacknowledged_size: usize,

    /// What all sessions together were sent and have not acknowledged. Beyond it sessions that wait for their clients
    /// end, those with most first, and so do those that go on without acknowledging what they are sent.
    #[arg(long, env = "RONDEL_UNACKNOWLEDGED_TOTAL", value_name = "SIZE", default_value = "256MiB")]
    #[arg(value_parser = values::size(1 << 20, 1 << 40))]
    pub unacknowledged_total: usize,

    /// What is held back from a client that has said that nobody looks at it (XEP-0352). When there is more, it is
    /// sent.
    #[arg(long, env = "RONDEL_HELD_SIZE", value_name = "SIZE", default_value = "64KiB")]
    #[arg(value_parser = values::size(1_000, 16 << 20))]
    pub held_size: usize,

    /// How long a client with stream management may leave a request for acknowledgement unanswered before its
    /// connection is taken for dead.
    #[arg(long, env = "RONDEL_ACKNOWLEDGEMENT_TIMEOUT", value_name = "DURATION", default_value = "1m")]
    #[arg(value_parser = values::duration(Duration::from_secs(1), Duration::from_secs(3600)))]
    pub acknowledgement_timeout: Duration,
}

/// Stanzas of one session that may wait for the disk before nothing more is read from it.
const OUTSTANDING_MAX: usize = 1000;

/// A client that never asks is told after so many stanzas that they are safe.
const UNASKED_AFTER: u32 = 100;

/// A client is asked after so many stanzas,
const REQUEST_AFTER_STANZAS: u32 = 20;

/// or so many bytes,
const REQUEST_AFTER_BYTES: u32 = 32 << 10;

/// or so many milliseconds.
const REQUEST_AFTER_MS: u64 = 2_000;

/// Stanzas that are held back.
const HELD_STANZAS_MAX: usize = 1000;

impl Sessions {
    /// What bounds stream management on one of so many shards.
    pub fn management(&self, shards: usize) -> ManagementLimits {
        ManagementLimits {
            inbound: AcknowledgementLimits { outstanding_max: OUTSTANDING_MAX, unasked_after: UNASKED_AFTER },
            outbound: OutboundLimits {
                bytes_max: self.unacknowledged_size,
                stanzas_max: self.unacknowledged_stanzas,
                total_max: self.unacknowledged_total / shards.max(1),
                request_after_stanzas: REQUEST_AFTER_STANZAS,
                request_after_bytes: REQUEST_AFTER_BYTES,
                request_after_ms: REQUEST_AFTER_MS,
                answer_within_ms: self.acknowledgement_timeout.as_millis() as u64,
            },
            resume_within_s: self.resume_timeout.as_secs() as u32,
            waiting_max: self.waiting_sessions.div_ceil(shards.max(1)),
        }
    }

    /// What bounds what is held back from an inactive client.
    pub fn held(&self) -> HeldLimits {
        HeldLimits { bytes_max: self.held_size, stanzas_max: HELD_STANZAS_MAX }
    }
}
