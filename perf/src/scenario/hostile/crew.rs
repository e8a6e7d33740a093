//! One thread of hostile clients: an epoll instance over their connections, until a moment that is fixed beforehand.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mio::event::Event;
use mio::{Events, Interest, Poll, Token};

use super::client::{Connection, Orders, Over};
use super::kind::Kind;
use super::tally::{Tally, WITHOUT_A_WORD};
use crate::client::pace::Pace;

const EVENTS: usize = 256;
const BUFFER_BYTES: usize = 128 << 10;
/// How long a thread sleeps at most: others may want it to end.
const NAP: Duration = Duration::from_millis(100);
/// How long a client waits that found no port free.
const NO_PORT: Duration = Duration::from_millis(100);

/// What the threads and whoever waits for them share.
#[derive(Default)]
pub struct Board {
    /// Somebody has failed: all end.
    pub stop: AtomicBool,
    /// Connections so far.
    pub connections: AtomicU64,
    /// Those of them that the server ended.
    pub refusals: AtomicU64,
}

struct Member {
    kind: Kind,
    number: u64,
    round: u64,
    connection: Option<Connection>,
    not_before: Instant,
}

/// One thread's clients.
pub struct Crew {
    poll: Poll,
    orders: Arc<Orders>,
    board: Arc<Board>,
    pace: Pace,
    members: Vec<Member>,
    /// Who is attended to first.
    first: usize,
    tally: Tally,
    buffers: (Vec<u8>, Vec<u8>),
    began: Instant,
}

impl Crew {
    /// Clients with these numbers and kinds, none of them connected.
    pub fn new(
        orders: Arc<Orders>,
        board: Arc<Board>,
        pace: Pace,
        members: impl Iterator<Item = (u64, Kind)>,
    ) -> io::Result<Self> {
        let began = Instant::now();
        let member = |(number, kind)| Member { kind, number, round: 0, connection: None, not_before: began };
        Ok(Self {
            poll: Poll::new()?,
            orders,
            board,
            pace,
            members: members.map(member).collect(),
            first: 0,
            tally: Tally::default(),
            buffers: (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]),
            began,
        })
    }

    /// Works until then.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub fn run(mut self, until: Instant) -> anyhow::Result<Tally> {
        let outcome = self.work(until);
        if outcome.is_err() {
            self.board.stop.store(true, Relaxed);
        }
        outcome.map(|()| self.tally)
    }

    fn work(&mut self, until: Instant) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let now = Instant::now();
            if now >= until || self.board.stop.load(Relaxed) {
                return Ok(());
            }
            let mut wake = until.min(now + NAP);
            // Whoever connects goes to the end of the line, lest a few take all that a rate permits.
            let (first, count) = (self.first, self.members.len());
            for at in (first..first + count).map(|at| at % count) {
                wake = wake.min(self.attend(at, now)?.unwrap_or(wake));
            }
            match self.poll.poll(&mut events, Some(wake.saturating_duration_since(Instant::now()))) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            for event in &events {
                self.event(event)?;
            }
        }
    }

    /// Does what a client wants of its own accord; when it wants to be looked at again.
    fn attend(&mut self, at: usize, now: Instant) -> anyhow::Result<Option<Instant>> {
        let member = &mut self.members[at];
        let Some(connection) = &mut member.connection else {
            return self.connect(at, now);
        };
        if connection.is_ready(now) {
            let outcome = connection.push(now, &mut self.tally);
            self.settle(at, outcome);
        }
        let connection = self.members[at].connection.as_ref();
        Ok(match connection {
            Some(connection) if connection.is_ready(now) => Some(now),
            Some(connection) => connection.due(),
            None => Some(now),
        })
    }

    fn connect(&mut self, at: usize, now: Instant) -> anyhow::Result<Option<Instant>> {
        let member = &mut self.members[at];
        if member.not_before > now {
            return Ok(Some(member.not_before));
        }
        let now_ns = now.saturating_duration_since(self.began).as_nanos() as u64;
        if let Err(later_ns) = self.pace.may_open(now_ns) {
            return Ok(later_ns.map(|later_ns| self.began + Duration::from_nanos(later_ns)));
        }
        let opened = Connection::open(&self.orders, member.kind, member.number, member.round);
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                member.not_before = now + NO_PORT;
                return Ok(Some(member.not_before));
            }
            Err(error) => return Err(error).with_context(|| self.nobody()),
        };
        self.pace.open(now_ns);
        self.first = at + 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(connection.transport.stream(), Token(at), interest)?;
        member.connection = Some(connection);
        Ok(None)
    }

    fn nobody(&self) -> String {
        format!("cannot connect to {}", self.orders.target.server)
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        let Token(at) = event.token();
        let Some(connection) = self.members[at].connection.as_mut() else { return Ok(()) };
        if connection.is_connecting() {
            match connection.transport.stream().take_error() {
                Ok(None) if !event.is_writable() => return Ok(()),
                Ok(None) => {}
                Ok(Some(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Err(error).with_context(|| self.nobody());
                }
                // Reset before it stood: the server does not want it.
                Ok(Some(_)) | Err(_) => {
                    self.settle(at, Err(Over::Ended));
                    return Ok(());
                }
            }
            self.pace.settled();
            self.tally.of(self.members[at].kind).connections += 1;
            self.board.connections.fetch_add(1, Relaxed);
        }
        let outcome = self.advance(at, event);
        self.settle(at, outcome);
        Ok(())
    }

    fn advance(&mut self, at: usize, event: &Event) -> Result<(), Over> {
        let Some(connection) = self.members[at].connection.as_mut() else { return Ok(()) };
        if connection.is_connecting() {
            connection.connected(&self.orders)?;
        }
        if event.is_writable() {
            connection.writable();
        }
        if event.is_readable() || event.is_read_closed() {
            let ended = event.is_read_closed();
            connection.read(ended, &self.orders, &mut self.buffers, &mut self.tally)?;
        }
        if event.is_error() {
            return Err(Over::Ended);
        }
        // What was read may have to be answered.
        connection.push(Instant::now(), &mut self.tally)
    }

    /// Takes note of how a connection stands.
    fn settle(&mut self, at: usize, outcome: Result<(), Over>) {
        let member = &mut self.members[at];
        let (Err(over), Some(connection)) = (outcome, &member.connection) else { return };
        if connection.is_connecting() {
            self.pace.settled();
        }
        if over == Over::Ended {
            self.tally.of(member.kind).refuse(connection.said().unwrap_or(WITHOUT_A_WORD));
            self.board.refusals.fetch_add(1, Relaxed);
        }
        member.connection = None;
        member.round += 1;
    }
}

/// Runs crews on threads of their own and sums up; `look` is called now and then.
///
/// # Errors
/// One of them has failed.
pub fn run_all(crews: Vec<Crew>, until: Instant, mut look: impl FnMut()) -> anyhow::Result<Tally> {
    let mut threads = Vec::new();
    for (index, crew) in crews.into_iter().enumerate() {
        let builder = std::thread::Builder::new().name(format!("hostile-{index}"));
        threads.push(builder.spawn(move || crew.run(until))?);
    }
    while threads.iter().any(|thread| !thread.is_finished()) {
        look();
        std::thread::sleep(NAP / 2);
    }
    let mut all = Tally::default();
    for thread in threads {
        let Ok(outcome) = thread.join() else { bail!("a thread of the client has ended") };
        all.add(outcome?);
    }
    Ok(all)
}
