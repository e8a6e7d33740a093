//! Measuring around a stretch of time: the server's and the client's CPU time, what was delivered, and how it went.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::Common;
use crate::client::fleet::Fleet;
use crate::measure::client::{BOTTLENECK, ThreadTime};
use crate::measure::latency::{Interval, Point};
use crate::measure::process::Usage;
use crate::report::Report;

/// The step of the plots.
const STEP: Duration = Duration::from_secs(1);

/// What is known at the beginning and grows until the end.
pub struct Watch {
    began: Instant,
    usage: Option<Usage>,
    threads: Vec<ThreadTime>,
    step_began: Instant,
    all: Interval,
    step: Interval,
    timeline: Vec<Point>,
}

/// What has happened.
pub struct Watched {
    /// How long.
    pub elapsed: Duration,
    /// How the server's processes stood before and after.
    pub usage: Option<(Usage, Usage)>,
}

impl Watch {
    /// Begins.
    pub fn begin(common: &Common, fleet: &Fleet) -> anyhow::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            began: now,
            usage: usage(common)?,
            threads: fleet.threads(),
            step_began: now,
            all: Interval::new(),
            step: Interval::new(),
            timeline: Vec::new(),
        })
    }

    /// Takes what was recorded; to be called often.
    pub fn look(&mut self, fleet: &mut Fleet) {
        if self.take(fleet)
            && let Some(point) = self.timeline.last()
        {
            let (per_s, p50_us, p99_us) = (point.per_s, point.latency.p50_us, point.latency.p99_us);
            fleet.show(&format!("{per_s:.0} per second, p50 {p50_us:.0} us, p99 {p99_us:.0} us"));
        }
    }

    /// The same without showing anything; true if a step of the plots has ended.
    pub fn take(&mut self, fleet: &Fleet) -> bool {
        fleet.take(&mut self.step);
        let ended = self.step_began.elapsed() >= STEP;
        if ended {
            self.end_step();
        }
        ended
    }

    fn end_step(&mut self) {
        let elapsed_s = self.step_began.elapsed().as_secs_f64();
        self.timeline.push(Point {
            at_s: self.began.elapsed().as_secs_f64(),
            per_s: self.step.count() as f64 / elapsed_s,
            latency: self.step.latency(),
        });
        self.step_began = Instant::now();
        self.all.take(&mut self.step);
    }

    /// Ends, and writes what concerns every scenario into the report.
    pub fn end(mut self, common: &Common, fleet: &Fleet, report: &mut Report) -> anyhow::Result<Watched> {
        let elapsed = self.began.elapsed();
        let after = usage(common)?;
        fleet.take(&mut self.step);
        if self.step_began.elapsed() > STEP / 4 {
            self.end_step();
        } else {
            self.all.take(&mut self.step);
        }
        let usage = self.usage.zip(after);
        let elapsed_ns = elapsed.as_nanos() as u64;
        if self.all.count() > 0 {
            let latency = self.all.latency();
            for (name, title, value) in [
                ("latency_p50_us", "latency p50", latency.p50_us),
                ("latency_p90_us", "latency p90", latency.p90_us),
                ("latency_p99_us", "latency p99", latency.p99_us),
                ("latency_p999_us", "latency p99.9", latency.p999_us),
                ("latency_max_us", "latency maximum", latency.max_us),
            ] {
                report.figure(name, title, "us", value);
            }
        }
        if let Some((before, after)) = usage {
            let cores = (after.cpu_ns - before.cpu_ns) as f64 / elapsed_ns.max(1) as f64;
            report.figure("server_cores", "server: cores in use", "", cores);
            report.figure("server_resident_mib", "server: resident memory", "MiB", mib(after.resident_bytes));
        }
        let parts = fleet.threads().into_iter().zip(&self.threads);
        let parts: Vec<_> = parts.map(|(now, before)| now.parts_since(*before, elapsed_ns)).collect();
        let busy = parts.iter().map(|(busy, _)| *busy).fold(0.0, f64::max);
        let taken = parts.iter().map(|(busy, waited)| busy + waited).fold(0.0, f64::max);
        report.figure("client_busy_percent", "client: its busiest thread", "%", busy * 100.0);
        if taken > BOTTLENECK {
            report.note(format!(
                "The client was the bottleneck: a thread of it worked or waited for a core {:.0} % of the time. \
                 Throughput and latency are the client's as much as the server's; the server's CPU time per message \
                 stands. More --threads, or more cores, would help.",
                taken * 100.0
            ));
        }
        report.timeline = self.timeline;
        Ok(Watched { elapsed, usage })
    }
}

/// What the server's processes have used until now, if they are measured.
pub fn usage(common: &Common) -> anyhow::Result<Option<Usage>> {
    common.server.as_ref().map(|server| server.usage()).transpose()
}

/// Like [`usage`], where the scenario makes no sense without.
pub fn usage_required(common: &Common) -> anyhow::Result<Usage> {
    match usage(common)? {
        Some(usage) => Ok(usage),
        None => bail!("idle measures the server's memory: give its process with --server-pid"),
    }
}

/// Bytes as MiB.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
