//! What is counted: latencies, the server's CPU time and memory, how busy the client itself was.
//!
//! Everything here reads values, from `/proc` or from the kernel's clocks; nothing here decides what they mean.

pub mod client;
pub mod latency;
pub mod process;
