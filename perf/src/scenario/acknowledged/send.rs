//! Sends numbered messages with stream management, until all are acknowledged or the server is gone.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::Common;
use super::ledger::Ledger;
use super::{PRESENT, SENDER};
use crate::client::progress::Progress;
use crate::client::session::Session;
use crate::client::target::Target;
use crate::report::Report;
use crate::xmpp::habits::Habits;
use crate::xmpp::message::{self, Stamp, Template};
use crate::xmpp::{element, management};

/// What is sent.
#[derive(Clone, Debug)]
pub struct Send {
    /// Messages, all recipients together.
    pub messages: u64,
    /// Accounts that are not there: they get half of the messages, in turn.
    pub absent: u64,
    /// How many may be sent and not acknowledged.
    pub window: u64,
    /// Bytes of a message.
    pub size: usize,
    /// Whom to kill, without a warning, once so many are acknowledged.
    pub kill: Option<(i32, u64)>,
    /// Where to write down what was acknowledged.
    pub ledger: PathBuf,
}

/// After so many messages the server is asked how far it is.
const ASK_EVERY: u64 = 20;
/// How long nothing may be acknowledged.
const STALL: Duration = Duration::from_secs(20);
const TURN: Duration = Duration::from_millis(20);

/// The session that sends.
struct Sender {
    session: Session,
    templates: Vec<Template>,
    ledger: Ledger,
    /// Per message, which of the session's stanzas it was.
    places: Vec<u32>,
    began: Instant,
}

impl Sender {
    fn open(target: &Target, send: &Send, patience: Duration) -> anyhow::Result<Self> {
        let recipients = PRESENT..=PRESENT + send.absent;
        let templates = recipients.map(|recipient| Template::new(&target.address(recipient), send.size));
        let templates: Result<Vec<_>, usize> = templates.collect();
        let least = |least| anyhow::anyhow!("--size {}: a message takes at least {least} bytes", send.size);
        Ok(Self {
            session: Session::open(target, SENDER, patience)?,
            templates: templates.map_err(least)?,
            ledger: Ledger { began_us: now_us(), absent: send.absent, ..Ledger::default() },
            places: Vec::new(),
            began: Instant::now(),
        })
    }

    /// Sends what the window permits.
    fn fill(&mut self, send: &Send) {
        let until = send.messages.min(self.ledger.acknowledged + send.window);
        while self.ledger.sent < until {
            let number = self.ledger.sent;
            // Not of this run's clock: runs are to be told apart.
            let stamp = Stamp { sequence: number, sent_ns: now_us() };
            let template = &mut self.templates[(self.ledger.recipient(number) - PRESENT) as usize];
            self.session.stanza(|out| template.write(stamp, out));
            self.places.push(self.session.sent());
            self.ledger.sent += 1;
            if self.ledger.sent.is_multiple_of(ASK_EVERY) || self.ledger.sent == send.messages {
                self.session.send(management::REQUEST);
            }
        }
    }

    /// Notes what has been acknowledged and what came back.
    fn note(&mut self) -> anyhow::Result<()> {
        let handled = self.session.acknowledged();
        if handled > self.session.sent() {
            bail!("the server acknowledges {handled} stanzas of {}", self.session.sent());
        }
        while self.places.get(self.ledger.acknowledged as usize).is_some_and(|place| *place <= handled) {
            self.ledger.acknowledged += 1;
        }
        while let Some(stanza) = self.session.next() {
            let is_message = stanza.starts_with(b"<message");
            if is_message && element::is_error(&stanza) {
                let id = element::attribute(&stanza, "id").and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
                self.ledger.refused.push(id.context("a message came back without its id")?);
            } else if stanza.starts_with(b"<stream:error") {
                let condition = element::with_element(&stanza, element::condition).unwrap_or_default();
                bail!("the server ended the stream: {condition}");
            }
        }
        Ok(())
    }
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Runs it.
///
/// # Errors
/// No session, or the server acknowledges nothing any more. That it goes is no error.
pub fn run(common: &Common, send: &Send, report: &mut Report) -> anyhow::Result<()> {
    let ear = Ear::open(common)?;
    let habits = Habits { management: true, ..Habits::default() };
    let mut sender = Sender::open(&common.clone().with(habits).target, send, common.patience)?;
    let mut progress = Progress::new(common.rate.progress);
    let (mut since, mut latest, mut killed) = (Instant::now(), 0, false);
    let mut gone = false;
    while sender.ledger.acknowledged < send.messages && !gone {
        if !killed {
            sender.fill(send);
        }
        // Whatever has arrived before the connection broke counts.
        gone = sender.session.turn(TURN).is_err() || sender.session.is_ended();
        sender.note()?;
        let acknowledged = sender.ledger.acknowledged;
        if let Some((process, after)) = send.kill
            && acknowledged >= after
            && !std::mem::replace(&mut killed, true)
        {
            kill(Pid::from_raw(process), Signal::SIGKILL).context("the server cannot be killed")?;
        }
        if acknowledged > latest {
            (latest, since) = (acknowledged, Instant::now());
        }
        if since.elapsed() > STALL {
            bail!("{acknowledged} of {} messages are acknowledged, and no more", sender.ledger.sent);
        }
        progress.show(&format!("{acknowledged} of {} messages are acknowledged", send.messages));
    }
    progress.clear();
    let took_s = sender.began.elapsed().as_secs_f64();
    let heard = ear.close()?;
    sender.ledger.write(&send.ledger)?;
    let ledger = &sender.ledger;
    report.figure("sent", "messages sent", "", ledger.sent as f64);
    report.figure("acknowledged", "messages acknowledged", "", ledger.acknowledged as f64);
    report.figure("acknowledged_per_s", "messages acknowledged per second", "1/s", ledger.acknowledged as f64 / took_s);
    report.figure("refused", "messages that came back", "", ledger.refused.len() as f64);
    report.figure("heard", "messages that arrived meanwhile", "", heard as f64);
    report.figure("server_gone", "the server has gone", "", f64::from(u8::from(gone)));
    Ok(())
}

/// The recipient that is there; it listens until it is told to close, or the server goes.
struct Ear {
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
    stop: Arc<AtomicBool>,
    heard: Arc<AtomicU64>,
}

impl Ear {
    fn open(common: &Common) -> anyhow::Result<Self> {
        let habits = Habits { presence: true, ..Habits::default() };
        let mut session = Session::open(&common.clone().with(habits).target, PRESENT, common.patience)?;
        // Available before anybody writes.
        session.turn(TURN)?;
        let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, hears) = (Arc::clone(&stop), Arc::clone(&heard));
        let listen = move || {
            let mut latest = None;
            while !stopped.load(Relaxed) && session.turn(TURN).is_ok() && !session.is_ended() {
                while let Some(stanza) = session.next() {
                    let Some(stamp) = message::stamp(&stanza) else { continue };
                    if latest.is_some_and(|latest| latest >= stamp.sequence) {
                        bail!("message {} arrived a second time, or late", stamp.sequence);
                    }
                    latest = Some(stamp.sequence);
                    hears.fetch_add(1, Relaxed);
                }
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().name("ear".to_owned()).spawn(listen)?;
        Ok(Self { thread, stop, heard })
    }

    fn close(self) -> anyhow::Result<u64> {
        self.stop.store(true, Relaxed);
        match self.thread.join() {
            Ok(outcome) => outcome?,
            Err(_) => bail!("the recipient's thread has failed"),
        }
        Ok(self.heard.load(Relaxed))
    }
}
