//! `rondel-perf send` and `rondel-perf verify`: what a server has acknowledged (XEP-0198 §4), it must have.
//!
//! [`send`] sends numbered messages to an account that is there and to one that is not, until the server is gone, and
//! writes down ([`ledger`]) what was acknowledged; [`verify`] looks for it afterwards, in archives and among the messages
//! that waited.

pub mod ledger;
pub mod send;
pub mod verify;

/// The accounts that there must be.
pub const ACCOUNTS: u64 = 3;

/// The account that sends.
const SENDER: u64 = 0;
/// Those that it sends to in turn: the first is there, the second is not.
const RECIPIENTS: [u64; 2] = [1, 2];
