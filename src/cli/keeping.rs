//! Flags of `rondel serve`: how much the server keeps for one account.

use clap::Args;

use super::values;
use crate::account::roster::RosterLimits;

/// How much the server keeps for one account. What exceeds it is refused with the error that its specification names.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What is kept for an account")]
pub struct Keeping {
    /// Contacts in a roster.
    #[arg(long, env = "RONDEL_ROSTER_CONTACTS", value_name = "NUMBER", default_value = "1000")]
    #[arg(value_parser = values::number(1, 100_000))]
    pub roster_contacts: usize,

    /// Strangers whose subscription request waits for an answer. Further ones are dropped without a word.
    #[arg(long, env = "RONDEL_ROSTER_REQUESTS", value_name = "NUMBER", default_value = "100")]
    #[arg(value_parser = values::number(1, 10_000))]
    pub roster_requests: usize,
}

/// Groups of one contact.
const GROUPS_MAX: usize = 64;

/// Bytes of a contact's name, or a group's: as many as a part of a JID has.
const NAME_BYTES_MAX: usize = 1023;

/// Bytes of a subscription request that are kept until it is answered.
const REQUEST_BYTES_MAX: usize = 4 << 10;

impl Keeping {
    /// What bounds a roster.
    pub fn roster(&self) -> RosterLimits {
        RosterLimits {
            contacts_max: self.roster_contacts,
            groups_max_per_contact: GROUPS_MAX,
            group_bytes_max: NAME_BYTES_MAX,
            name_bytes_max: NAME_BYTES_MAX,
            requests_max: self.roster_requests,
            request_bytes_max: REQUEST_BYTES_MAX,
        }
    }
}
