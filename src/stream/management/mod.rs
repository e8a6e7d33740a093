//! Stream management (XEP-0198): acknowledging what a client has sent, keeping what it has not acknowledged, and going
//! on with a session on another connection.
//!
//! Three values, each for one session: [`Inbound`] counts what has come and what of it is safe, [`Outbound`] keeps what
//! was sent until the client has it, [`ResumptionId`] is the name by which the client claims the session. No clock, no
//! disk and no socket is here; whoever owns the session brings them together.

mod inbound;
mod nonzas;
mod outbound;
mod resumption;

pub use inbound::{AcknowledgementLimits, Inbound};
pub use nonzas::{
    Enable, Failure, Misuse, Nonza, Resume, write_acknowledgement, write_enabled, write_failed, write_request,
    write_resumed,
};
pub use outbound::{Fate, HandledTooHigh, Memo, Outbound, OutboundLimits, QueueFull, Stored, Total, Unacknowledged};
pub use resumption::ResumptionId;
