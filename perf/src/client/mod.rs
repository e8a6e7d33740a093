//! The client's runtime: a few threads, each with an epoll instance over many connections.
//!
//! A [`worker`] connects, logs in, reads and writes for its sessions; what a session does once it is bound is a
//! [`Load`](worker::Load), which lives in `scenario/`. A [`session`] is talked to stanza by stanza, for dialogues.
//! Statistics and reports may not be here. The client shares the machine with the server that it measures, so it
//! spends as little as it can: one receive buffer per thread, one write per session and wake-up, no tree of a stanza
//! that is merely counted.

pub mod board;
pub mod fleet;
mod link;
pub mod outbox;
pub mod pace;
pub mod progress;
pub mod session;
pub mod target;
pub mod tls;
pub mod transport;
pub mod worker;
