//! Logging: `tracing` to standard error, for people or for programs, with levels per part of the server that change at
//! run time.
//!
//! Lines are written by a thread of their own, so that a reader of the log who stops reading stops no shard; what
//! does not fit its queue is counted and left out. A line about a connection names shard, connection, address and
//! account ([`About`], [`session_event!`](crate::session_event)); a line that an outsider can provoke goes through a
//! bucket of its call site ([`limited_event!`](crate::limited_event)). Where a level is off, nothing is computed.
//!
//! What may not live here: decisions about what is worth a line.

mod about;
mod format;
mod levels;
mod limited;
mod output;

pub use about::About;
pub use levels::{LevelControl, Levels, SUBSYSTEMS};
pub use limited::{RateLimited, report_withheld};
pub use output::{Format, Guard, Options, init};
