//! `rondel-perf hostile`: clients that mean no good, of several kinds in turn, beside which honest ones are served.
//!
//! [`kind`] is what they send, [`client`] one connection, [`crew`] a thread of them, [`tally`] what came of it.

mod client;
mod crew;
mod kind;
mod tally;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::Common;
use super::watch::{mib, usage};
use crate::client::pace::Pace;
use crate::client::progress::Progress;
use crate::report::Report;

use client::Orders;
use crew::{Board, Crew, run_all};
pub use kind::Kind;

/// What is done to the server.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// Clients.
    pub clients: u64,
    /// What they are up to, in turn.
    pub kinds: Vec<Kind>,
    /// How long.
    pub duration: Duration,
}

/// Runs it.
///
/// # Errors
/// Nobody listens, or no longer.
pub fn run(common: &Common, hostile: &Hostile, report: &mut Report) -> anyhow::Result<()> {
    let Some(orders) = Orders::new(&common.target)? else { bail!("hostile clients speak XMPP") };
    let (orders, board, rate) = (Arc::new(orders), Arc::new(Board::default()), common.rate);
    let before = usage(common)?;
    let began = Instant::now();
    let mut crews = Vec::new();
    for thread in 0..rate.threads {
        let pace = Pace::new(thread, rate.threads, rate.connect_rate, rate.at_once);
        let numbers = (thread as u64..hostile.clients).step_by(rate.threads);
        let members = numbers.map(|number| (number, hostile.kinds[number as usize % hostile.kinds.len()]));
        let crew = Crew::new(Arc::clone(&orders), Arc::clone(&board), pace, members);
        crews.push(crew.context("the client cannot wait for events")?);
    }
    let mut progress = Progress::new(rate.progress);
    let outcome = run_all(crews, began + hostile.duration, || {
        let (connections, refusals) = (board.connections.load(Relaxed), board.refusals.load(Relaxed));
        progress.show(&format!("{connections} hostile connections, {refusals} refused"));
    });
    progress.clear();
    let tally = outcome?;
    report.figure("clients", "hostile clients", "", hostile.clients as f64);
    tally.write(report);
    if let (Some(before), Some(after)) = (before, usage(common)?) {
        let cores = (after.cpu_ns - before.cpu_ns) as f64 / began.elapsed().as_nanos() as f64;
        report.figure("server_cores", "server: cores in use", "", cores);
        report.figure("server_resident_mib", "server: resident memory", "MiB", mib(after.resident_bytes));
    }
    Ok(())
}
