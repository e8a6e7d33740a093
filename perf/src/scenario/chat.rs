//! `rondel-perf chat`: sessions in pairs send messages to each other.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::Common;
use super::conversation::{Conversations, Sending};
use super::watch::Watch;
use crate::client::board::Phase;
use crate::client::fleet::Fleet;
use crate::client::target::Speech;
use crate::report::Report;

/// What a chat is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Chat {
    /// Sessions; an even number.
    pub sessions: u64,
    /// Messages of each session under way.
    pub window: u32,
    /// Bytes of a message.
    pub size: usize,
    /// Messages per second of all sessions, instead of a window.
    pub rate: Option<f64>,
    /// How long to chat before measuring.
    pub warm_up: Duration,
    /// How long to measure.
    pub duration: Duration,
    /// Ends earlier, once so many messages were delivered.
    pub messages: Option<u64>,
}

/// How long nothing may arrive while there is something under way.
const STALL: Duration = Duration::from_secs(15);
/// How long the next of what is under way at the end is waited for.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs it.
///
/// # Errors
/// A session failed, a message got lost, or nothing arrives any more.
pub fn run(common: &Common, chat: Chat, report: &mut Report) -> anyhow::Result<()> {
    let sending = match chat.rate {
        Some(rate) => Sending::Every((1e9 * common.rate.threads as f64 / rate).max(1.0) as u64),
        None => Sending::Window(chat.window),
    };
    let raw = matches!(common.target.speech, Speech::Raw(_));
    let mut fleet = Fleet::start(&common.target, common.rate, |_| Conversations::new(sending, chat.size, raw))?;
    fleet.want(chat.sessions);
    fleet.wait_bound(chat.sessions, common.patience, |_| {})?;
    fleet.set_phase(Phase::WarmUp);
    let mut stall = Stall { delivered: 0, since: Instant::now() };
    fleet.wait(chat.warm_up, |fleet| {
        fleet.show("warming up");
        stall.look(fleet)
    })?;
    fleet.set_phase(Phase::Measure);
    let (_, delivered_before) = fleet.messages();
    let mut watch = Watch::begin(common, &fleet)?;
    fleet.wait_unless(chat.duration, |fleet| {
        watch.look(fleet);
        stall.look(fleet)?;
        Ok(chat.messages.is_some_and(|messages| fleet.messages().1 - delivered_before >= messages))
    })?;
    let delivered = fleet.messages().1 - delivered_before;
    if delivered == 0 {
        bail!("no message was delivered; a lower --rate or a longer --duration may help");
    }
    // First, and above what concerns every scenario.
    let at = report.figures.len();
    let watched = watch.end(common, &fleet, report)?;
    let mut own = report.figures.split_off(at);
    report.figure("sessions", "sessions", "", chat.sessions as f64);
    report.figure("messages", "messages delivered", "", delivered as f64);
    let per_s = delivered as f64 / watched.elapsed.as_secs_f64();
    report.figure("messages_per_s", "messages per second", "1/s", per_s);
    if let Some((before, after)) = watched.usage {
        let cpu_us = (after.cpu_ns - before.cpu_ns) as f64 / 1e3 / delivered as f64;
        report.figure("server_cpu_us_per_message", "server: CPU per message", "us", cpu_us);
    }
    report.figures.append(&mut own);
    if let Some(rate) = chat.rate
        && per_s < rate * 0.98
    {
        report.note(format!("{rate:.0} messages per second were asked for; {per_s:.0} arrived."));
    }
    drain(&mut fleet)?;
    fleet.stop();
    Ok(())
}

/// Sees that messages arrive.
struct Stall {
    delivered: u64,
    since: Instant,
}

impl Stall {
    fn look(&mut self, fleet: &Fleet) -> anyhow::Result<()> {
        let (sent, delivered) = fleet.messages();
        if delivered != self.delivered || sent == delivered {
            *self = Self { delivered, since: Instant::now() };
        }
        if self.since.elapsed() > STALL {
            bail!("{} of {sent} messages have arrived, and no more for {} s", delivered, STALL.as_secs());
        }
        Ok(())
    }
}

/// Takes what is under way, so that whatever the server lost shows.
fn drain(fleet: &mut Fleet) -> anyhow::Result<()> {
    fleet.set_phase(Phase::Drain);
    let (mut latest, mut since) = (0, Instant::now());
    loop {
        fleet.check()?;
        let (sent, delivered) = fleet.messages();
        if sent == delivered {
            return Ok(());
        }
        if delivered != latest {
            (latest, since) = (delivered, Instant::now());
        }
        if since.elapsed() > DRAIN {
            bail!("{delivered} of {sent} messages have arrived, and no more for {} s", DRAIN.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
