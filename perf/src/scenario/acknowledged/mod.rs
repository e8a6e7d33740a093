//! `rondel-perf send` and `rondel-perf verify`: what a server has acknowledged (XEP-0198 §4), it must have.
//!
//! [`send`] sends numbered messages to an account that is there and to some that are not, until the server is gone, and
//! writes down ([`ledger`]) what was acknowledged; [`verify`] looks for it afterwards, in archives and among the
//! messages that waited.

pub mod ledger;
pub mod send;
pub mod verify;

/// The account that sends.
const SENDER: u64 = 0;
/// The one that is there and gets every other message. Those behind it are not there, and get the others in turn.
const PRESENT: u64 = 1;
