//! `rondel-perf idle`: sessions that are there and do nothing, and what one of them takes.

use std::time::Duration;

use super::Common;
use super::watch::{Watch, mib, usage_required};
use crate::client::board::{Board, Phase};
use crate::client::fleet::Fleet;
use crate::client::outbox::{Outbox, Slot};
use crate::client::worker::{Bound, Load};
use crate::report::Report;

/// What is held.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Sessions at first.
    pub from: u64,
    /// Sessions in the end; what one takes is the slope between the two.
    pub sessions: u64,
    /// How long the server is left alone before its memory is read.
    pub settle: Duration,
    /// How long the server's idle CPU time is measured.
    pub duration: Duration,
}

/// Does nothing beyond the habits of all sessions.
struct Idler;

impl Load for Idler {
    fn bound(&mut self, _: Slot, _: Bound<'_>, _: &mut Outbox) {}

    fn received(&mut self, _: Slot, _: &[u8], _: u64, _: &mut Outbox) -> Result<(), String> {
        Ok(())
    }

    fn turn(&mut self, _: Phase, _: u64, _: &mut Outbox, _: &Board) -> Option<u64> {
        None
    }
}

/// Runs it.
///
/// # Errors
/// A session failed, or the server's process is not known.
pub fn run(common: &Common, idle: Idle, report: &mut Report) -> anyhow::Result<()> {
    let before = usage_required(common)?;
    let mut fleet = Fleet::start(&common.target, common.rate, |_| Idler)?;
    let hold = |fleet: &mut Fleet, sessions: u64| {
        fleet.want(sessions);
        fleet.wait_bound(sessions, common.patience, |_| {})?;
        fleet.wait(idle.settle, |fleet| {
            fleet.show(&format!("{sessions} sessions, letting the server settle"));
            Ok(())
        })?;
        usage_required(common)
    };
    let few = hold(&mut fleet, idle.from)?;
    let many = hold(&mut fleet, idle.sessions)?;
    fleet.set_phase(Phase::Measure);
    let watch = Watch::begin(common, &fleet)?;
    fleet.wait(idle.duration, |fleet| {
        fleet.show(&format!("{} idle sessions", idle.sessions));
        Ok(())
    })?;
    let at = report.figures.len();
    let watched = watch.end(common, &fleet, report)?;
    let mut general = report.figures.split_off(at);
    fleet.stop();
    std::thread::sleep(idle.settle);
    let after = usage_required(common)?;

    let sessions = (idle.sessions - idle.from) as f64;
    let slope = |few: u64, many: u64| (many as f64 - few as f64) / sessions / 1024.0;
    report.figure("sessions", "sessions", "", idle.sessions as f64);
    let resident = slope(few.resident_bytes, many.resident_bytes);
    report.figure("resident_kib_per_session", "server: resident memory per session", "KiB", resident);
    // Both ends of a loopback connection are on this host.
    let kernel = slope(few.kernel_bytes, many.kernel_bytes) / 2.0;
    report.figure("kernel_kib_per_session", "server: kernel memory per session (whole host, halved)", "KiB", kernel);
    if let Some((began, ended)) = watched.usage {
        let percent = (ended.cpu_ns - began.cpu_ns) as f64 / watched.elapsed.as_nanos() as f64 * 100.0;
        report.figure("idle_cpu_percent", "server: CPU while idle, of one core", "%", percent);
    }
    for (name, title, usage) in [
        ("resident_before_mib", "server: resident memory before", before),
        ("resident_few_mib", "server: resident memory with few sessions", few),
        ("resident_many_mib", "server: resident memory with all sessions", many),
        ("resident_after_mib", "server: resident memory after they left", after),
    ] {
        report.figure(name, title, "MiB", mib(usage.resident_bytes));
    }
    report.figures.append(&mut general);
    report.note(format!("Memory per session is the slope between {} and {} sessions.", idle.from, idle.sessions));
    Ok(())
}
