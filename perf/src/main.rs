//! `rondel-perf`: load for XMPP servers, and what it costs them.
//!
//! The tool shares no code with the server, so that a mistake in one is not a mistake in both.

mod cli;
mod client;
mod measure;
mod relay;
mod report;
mod scenario;
mod strangers;
mod xmpp;

fn main() -> std::process::ExitCode {
    cli::main()
}
