//! `rondel-perf login`: what a login costs, from the connection to the bound session.

use std::time::Duration;

use super::Common;
use super::watch::Watch;
use crate::client::board::{Board, Phase};
use crate::client::fleet::Fleet;
use crate::client::outbox::{Outbox, Slot};
use crate::client::worker::{Bound, Load};
use crate::report::Report;

/// How many logins, and what becomes of the sessions.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    /// Logins to measure.
    pub logins: u64,
    /// Logins before, which are not measured. The client learns the accounts' salts in them.
    pub warm_up: u64,
    /// Whether each session ends as soon as it is bound, which is measured with it.
    pub log_out: bool,
}

struct Comer {
    log_out: bool,
    phase: Phase,
    took_ns: Vec<u64>,
}

impl Load for Comer {
    fn bound(&mut self, slot: Slot, session: Bound<'_>, outbox: &mut Outbox) {
        if self.phase == Phase::Measure {
            self.took_ns.push(session.took_ns);
        }
        // Sessions of the warm-up make room in any case.
        if self.log_out || self.phase != Phase::Measure {
            outbox.close(slot);
        }
    }

    fn received(&mut self, _: Slot, _: &[u8], _: u64, _: &mut Outbox) -> Result<(), String> {
        Ok(())
    }

    fn turn(&mut self, phase: Phase, _: u64, _: &mut Outbox, board: &Board) -> Option<u64> {
        self.phase = phase;
        if !self.took_ns.is_empty() {
            let mut interval = board.interval();
            self.took_ns.drain(..).for_each(|took_ns| interval.record(took_ns));
        }
        None
    }
}

/// Between the warm-up and the measurement: streams of the warm-up end, keys are written.
const PAUSE: Duration = Duration::from_millis(1000);

/// Runs it.
///
/// # Errors
/// A login failed.
pub fn run(common: &Common, login: Login, report: &mut Report) -> anyhow::Result<()> {
    let mut fleet = Fleet::start(&common.target, common.rate, |_| Comer {
        log_out: login.log_out,
        phase: Phase::Connect,
        took_ns: Vec::new(),
    })?;
    fleet.want(login.warm_up);
    fleet.wait_bound(login.warm_up, common.patience, |_| {})?;
    fleet.wait(PAUSE, |_| Ok(()))?;
    fleet.set_phase(Phase::Measure);
    fleet.wait(PAUSE, |_| Ok(()))?;
    let mut watch = Watch::begin(common, &fleet)?;
    fleet.want(login.warm_up + login.logins);
    fleet.wait_bound(login.warm_up + login.logins, common.patience, |fleet| {
        watch.take(fleet);
    })?;
    if login.log_out {
        // The last ones still leave, and that counts.
        fleet.wait(Duration::from_millis(200), |_| Ok(()))?;
    }
    let at = report.figures.len();
    let watched = watch.end(common, &fleet, report)?;
    let mut own = report.figures.split_off(at);
    report.figure("logins", "logins", "", login.logins as f64);
    report.figure("logins_per_s", "logins per second", "1/s", login.logins as f64 / watched.elapsed.as_secs_f64());
    if let Some((before, after)) = watched.usage {
        let cpu_us = (after.cpu_ns - before.cpu_ns) as f64 / 1e3 / login.logins as f64;
        report.figure("server_cpu_us_per_login", "server: CPU per login", "us", cpu_us);
    }
    report.figure("round_trips", "round trips of a login, after TLS", "", fleet.round_trips() as f64);
    report.figures.append(&mut own);
    if login.log_out {
        report.note("Every session ended once it was bound; that is part of the cost.".to_owned());
    }
    fleet.stop();
    Ok(())
}
