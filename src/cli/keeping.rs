//! Flags of `rondel serve`: how much the server keeps for one account.

use clap::Args;

use super::values;
use crate::account::blocking::BlockingLimits;
use crate::account::private::PrivateLimits;
use crate::account::reporting::ReportLimits;
use crate::account::roster::RosterLimits;
use crate::account::vcard::VcardLimits;
use crate::shard::{Kept, OfflineLimits};

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

    /// Addresses in a blocklist.
    #[arg(long, env = "RONDEL_BLOCKLIST_ADDRESSES", value_name = "NUMBER", default_value = "1000")]
    #[arg(value_parser = values::number(1, 9_000))]
    pub blocklist_addresses: usize,

    /// Private data of clients (XEP-0049), all of an account's together.
    #[arg(long, env = "RONDEL_PRIVATE_DATA", value_name = "SIZE", default_value = "256KiB")]
    #[arg(value_parser = values::size(1_000, 16 << 20))]
    pub private_data: usize,

    /// A vCard with its photo. It has to fit into a stanza as well.
    #[arg(long, env = "RONDEL_VCARD_SIZE", value_name = "SIZE", default_value = "256KiB")]
    #[arg(value_parser = values::size(1_000, 4 << 20))]
    pub vcard_size: usize,

    /// Messages that wait for an account of which nobody is online.
    #[arg(long, env = "RONDEL_OFFLINE_MESSAGES", value_name = "NUMBER", default_value = "1000")]
    #[arg(value_parser = values::number(1, 9_000))]
    pub offline_messages: usize,

    /// The same in bytes. They are given to a client at once: the outbox has to be larger.
    #[arg(long, env = "RONDEL_OFFLINE_SIZE", value_name = "SIZE", default_value = "512KiB")]
    #[arg(value_parser = values::size(10_000, 2 << 20))]
    pub offline_size: usize,
}

/// Names under which clients keep private data.
const PRIVATE_ITEMS_MAX: usize = 100;

/// Bytes of the text of a report, and messages that it names.
const REPORT: ReportLimits = ReportLimits { text_bytes_max: 4 << 10, messages_max: 50 };

/// Groups of one contact.
const GROUPS_MAX: usize = 64;

/// Bytes of a contact's name, or a group's: as many as a part of a JID has.
const NAME_BYTES_MAX: usize = 1023;

/// Bytes of a subscription request that are kept until it is answered.
const REQUEST_BYTES_MAX: usize = 4 << 10;

impl Keeping {
    /// What bounds messages that wait.
    pub fn offline(&self) -> OfflineLimits {
        OfflineLimits { messages_max: self.offline_messages, bytes_max: self.offline_size }
    }

    /// What bounds what is kept beside the roster.
    pub fn kept(&self) -> Kept {
        Kept {
            blocking: BlockingLimits { jids_max: self.blocklist_addresses, report: REPORT },
            private: PrivateLimits { items_max: PRIVATE_ITEMS_MAX, bytes_max: self.private_data as u64 },
            vcard: VcardLimits { bytes_max: self.vcard_size },
        }
    }

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
