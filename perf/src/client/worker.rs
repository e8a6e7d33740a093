//! One thread of the client: its connections, from connecting to the end of the stream.

pub(super) mod vanish;

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};

use super::board::{Board, Phase};
use super::link::{Framing, Link, Stage};
use super::outbox::{Outbox, Slot};
use super::pace::{Alarm, Pace};
use super::target::{Speech, Target, TlsMode, nonce};
use super::transport::{self, Received, Transport};
use crate::xmpp::management::{Management, Taken};
use crate::xmpp::negotiation::{Negotiation, Next};
use crate::xmpp::scanner::{Piece, Scanner};
use crate::xmpp::{element, habits};
use vanish::Gone;

/// A session that was bound.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// Its number among all of the run.
    pub ordinal: u64,
    /// Its full address.
    pub jid: &'a str,
    /// Since it began to connect.
    pub took_ns: u64,
}

/// What sessions do once they are bound.
pub trait Load: Send + 'static {
    /// A session is bound.
    fn bound(&mut self, slot: Slot, session: Bound<'_>, outbox: &mut Outbox);
    /// A stanza, or a chunk, that is no request to the client.
    ///
    /// # Errors
    /// Why the run cannot go on.
    fn received(&mut self, slot: Slot, stanza: &[u8], now_ns: u64, outbox: &mut Outbox) -> Result<(), String>;
    /// After each batch of events. When it wants to be called again at the latest, in nanoseconds of the run.
    fn turn(&mut self, phase: Phase, now_ns: u64, outbox: &mut Outbox, board: &Board) -> Option<u64>;
    /// Whether a session vanishes when it is said that sessions do.
    fn vanishes(&self, _: Slot) -> bool {
        false
    }
    /// They are about to vanish.
    fn vanishing(&mut self, _: &mut Outbox) {}
    /// A session that had vanished was resumed, `took_ns` since it began to connect.
    fn resumed(&mut self, _: Slot, _took_ns: u64, _: &mut Outbox) {}
}

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// The receive buffer of the thread.
const SCRATCH_BYTES: usize = 128 << 10;
/// A larger buffer of a session is given back once it is sent, lest many sessions keep many of them.
const KEPT_BYTES: usize = 64 << 10;
/// How long the end of the streams is waited for.
const GOODBYE: Duration = Duration::from_secs(2);
const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// One thread of the client.
pub struct Worker<L> {
    pub(super) poll: Poll,
    pub(super) alarm: Alarm,
    pub(super) target: Arc<Target>,
    pub(super) board: Arc<Board>,
    pub(super) pace: Pace,
    pub(super) load: L,
    pub(super) epoch: Instant,
    links: Vec<Option<Link>>,
    free: Vec<Slot>,
    outbox: Outbox,
    live: usize,
    /// Sessions that have vanished and are not on their way back, the earliest first.
    gone: VecDeque<Box<Gone>>,
    vanished: bool,
    /// What every session sends first.
    opening: String,
    scratch: Vec<u8>,
    sealed: Vec<u8>,
}

impl<L: Load> Worker<L> {
    /// A worker without sessions. Its poll knows [`Worker::waker`] already when this returns.
    pub fn new(
        target: Arc<Target>,
        board: Arc<Board>,
        pace: Pace,
        load: L,
        epoch: Instant,
    ) -> io::Result<(Self, mio::Waker)> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        let opening = match &target.speech {
            Speech::Xmpp(_) => target.habits.opening(),
            Speech::Raw(_) => String::new(),
        };
        let worker = Self {
            poll,
            alarm,
            target,
            board,
            pace,
            load,
            epoch,
            links: Vec::new(),
            free: Vec::new(),
            outbox: Outbox::default(),
            live: 0,
            gone: VecDeque::new(),
            vanished: false,
            opening,
            scratch: vec![0; SCRATCH_BYTES],
            sealed: vec![0; SCRATCH_BYTES],
        };
        Ok((worker, waker))
    }

    /// Works until [`Phase::Stop`].
    pub fn run(mut self) {
        self.board.thread.store(nix::unistd::gettid().as_raw(), Relaxed);
        if let Err(error) = self.work() {
            self.board.fail(format!("the client cannot wait for events: {error}"));
        }
        self.board.ended.store(true, Relaxed);
    }

    fn work(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut goodbye: Option<Instant> = None;
        loop {
            let phase = self.board.phase();
            let now_ns = self.now_ns();
            let mut wake_ns = None;
            if phase == Phase::Stop {
                let until = *goodbye.get_or_insert_with(|| {
                    self.close_all();
                    Instant::now() + GOODBYE
                });
                if self.live == 0 || Instant::now() > until {
                    return Ok(());
                }
            } else {
                if self.board.vanish.load(Relaxed) && !std::mem::replace(&mut self.vanished, true) {
                    self.vanish();
                }
                wake_ns = self.open(now_ns);
                let turn_ns = self.load.turn(phase, now_ns, &mut self.outbox, &self.board);
                wake_ns = [wake_ns, turn_ns].into_iter().flatten().min();
            }
            self.flush();
            self.alarm.set(wake_ns.map(|wake_ns| wake_ns.saturating_sub(self.now_ns())))?;
            match self.poll.poll(&mut events, Some(Duration::from_millis(500))) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    ALARM => self.alarm.ring(),
                    Token(slot) => self.event(slot, event),
                }
            }
        }
    }

    fn now_ns(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// Opens what is wanted, as fast as permitted. When it wants to go on, if that is only a matter of time.
    fn open(&mut self, now_ns: u64) -> Option<u64> {
        let wanted = self.board.wanted.load(Relaxed);
        loop {
            let returns = self.board.come_back.load(Relaxed) && !self.gone.is_empty();
            if self.pace.opened >= wanted && !returns {
                return None;
            }
            if let Err(later_ns) = self.pace.may_open(now_ns) {
                return later_ns;
            }
            let outcome = if self.pace.opened < wanted {
                let ordinal = self.pace.open(now_ns);
                self.connect(ordinal, None)
            } else if let Some(gone) = self.gone.pop_front() {
                self.pace.reopen(now_ns);
                self.connect(gone.ordinal, Some(gone))
            } else {
                Ok(())
            };
            if let Err(error) = outcome {
                self.pace.settled();
                self.board.fail(format!("cannot connect to {}: {error}", self.target.server));
                return None;
            }
        }
    }

    fn connect(&mut self, ordinal: u64, gone: Option<Box<Gone>>) -> io::Result<()> {
        let mut stream = transport::connect(self.target.server, self.target.source(ordinal))?;
        let slot = match &gone {
            Some(gone) => gone.slot,
            None => self.free.pop().unwrap_or(self.links.len()),
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(slot), interest)?;
        let framing = match &self.target.speech {
            Speech::Xmpp(_) => Framing::Xml(Scanner::new()),
            Speech::Raw(size) => Framing::Chunks(*size),
        };
        let link = Link {
            transport: Transport::new(stream),
            ordinal,
            stage: Stage::Connecting,
            unread: Vec::new(),
            framing,
            began_ns: self.now_ns(),
            wants_write: true,
            management: None,
            gone,
        };
        self.outbox.clear(slot);
        if slot == self.links.len() {
            self.links.push(None);
        }
        self.links[slot] = Some(link);
        self.live += 1;
        Ok(())
    }

    fn event(&mut self, slot: Slot, event: &Event) {
        let Some(link) = self.links.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        if matches!(link.stage, Stage::Connecting) {
            match link.transport.stream().take_error() {
                Ok(None) if !event.is_writable() => return,
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => {
                    return self.fail(slot, &format!("cannot connect to {}: {error}", self.target.server));
                }
            }
            if let Err(error) = self.connected(slot) {
                return self.fail(slot, &error);
            }
        }
        if event.is_writable() {
            self.outbox.touch(slot);
        }
        if (event.is_readable() || event.is_read_closed() || event.is_error())
            && let Err(error) = self.read(slot, event.is_read_closed())
        {
            self.fail(slot, &error);
        }
    }

    fn connected(&mut self, slot: Slot) -> Result<(), String> {
        let target = Arc::clone(&self.target);
        let Some(link) = self.links[slot].as_mut() else { return Ok(()) };
        match &target.speech {
            Speech::Raw(_) => {
                link.stage = Stage::Bound;
                let pair = (link.ordinal / 2) as u32;
                self.outbox.of(slot).extend_from_slice(&pair.to_be_bytes());
                self.settle(slot, "");
            }
            Speech::Xmpp(plan) => {
                let mut account = target.account(link.ordinal);
                account.former = link.gone.as_ref().map(|gone| gone.former.clone());
                let mut negotiation = Negotiation::new(Arc::clone(plan), account, nonce()?);
                if let (TlsMode::Direct, Some((config, name))) = (target.tls, &target.tls_client) {
                    link.transport.start_tls(config, name.clone()).map_err(|error| error.to_string())?;
                }
                self.outbox.of(slot).extend_from_slice(&negotiation.open());
                link.stage = Stage::Negotiating(Box::new(negotiation));
            }
        }
        Ok(())
    }

    /// Reads until the socket is empty. The edge that the kernel tells is one per arrival, so a read that did not fill
    /// the buffer has seen everything unless the end came with it.
    fn read(&mut self, slot: Slot, closed: bool) -> Result<(), String> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = self.read_into(slot, closed, &mut scratch);
        self.scratch = scratch;
        outcome
    }

    fn read_into(&mut self, slot: Slot, closed: bool, scratch: &mut [u8]) -> Result<(), String> {
        loop {
            let Some(link) = self.links[slot].as_mut() else { return Ok(()) };
            let was_handshaking = link.transport.is_handshaking();
            let received = match link.transport.read(scratch, &mut self.sealed) {
                Ok(received) => received,
                // Whoever was told goodbye may break off.
                Err(_) if matches!(link.stage, Stage::Closing) => Received::End,
                Err(error) if was_handshaking => {
                    return Err(format!("no TLS: {error}; is this the right port for the --tls given?"));
                }
                Err(error) => return Err(format!("the connection broke: {error}")),
            };
            if was_handshaking || link.transport.is_handshaking() {
                self.outbox.touch(slot);
            }
            let (length, all) = match received {
                Received::All(length) => (length, !closed || length == 0),
                Received::More(length) => (length, false),
                Received::End if matches!(link.stage, Stage::Closing) => {
                    self.remove(slot);
                    return Ok(());
                }
                Received::End => return Err("the server closed the connection".to_owned()),
            };
            self.input(slot, &scratch[..length])?;
            if all {
                return Ok(());
            }
        }
    }

    fn input(&mut self, slot: Slot, fresh: &[u8]) -> Result<(), String> {
        let Some(link) = self.links[slot].as_mut() else { return Ok(()) };
        let mut kept = std::mem::take(&mut link.unread);
        let mut rest = if kept.is_empty() {
            fresh
        } else {
            kept.extend_from_slice(fresh);
            &kept[..]
        };
        let now_ns = self.epoch.elapsed().as_nanos() as u64;
        while let Some(link) = self.links[slot].as_mut() {
            let Some((piece, used)) = link.framing.next(rest)? else { break };
            match link.stage {
                Stage::Bound => match piece {
                    Piece::Stanza(stanza) => self.stanza(slot, stanza, now_ns)?,
                    Piece::Header(_) => {}
                    Piece::End => return Err("the server closed the stream".to_owned()),
                },
                Stage::Closing => {}
                _ => self.negotiate(slot, &piece)?,
            }
            rest = &rest[used..];
        }
        if let Some(link) = self.links[slot].as_mut()
            && !rest.is_empty()
        {
            link.unread = rest.to_vec();
        }
        Ok(())
    }

    fn stanza(&mut self, slot: Slot, stanza: &[u8], now_ns: u64) -> Result<(), String> {
        if let Some(management) = self.links[slot].as_mut().and_then(|link| link.management.as_mut()) {
            match management.on(stanza)? {
                Taken::NotMine => {}
                Taken::Requested => {
                    self.outbox.of(slot).extend_from_slice(management.answer().as_bytes());
                    return Ok(());
                }
                Taken::Acknowledged | Taken::Enabled => return Ok(()),
            }
        }
        if let Some(answer) = element::answer(stanza) {
            self.outbox.of(slot).extend_from_slice(&answer);
            Ok(())
        } else if stanza.starts_with(b"<stream:error") {
            let condition = element::with_element(stanza, element::condition)?;
            Err(format!("the server ended the stream: {condition}"))
        } else if let Some(refusal) = habits::refused(stanza) {
            Err(refusal)
        } else {
            self.load.received(slot, stanza, now_ns, &mut self.outbox)
        }
    }

    fn negotiate(&mut self, slot: Slot, piece: &Piece<'_>) -> Result<(), String> {
        let Some(link) = self.links[slot].as_mut() else { return Ok(()) };
        let Stage::Negotiating(negotiation) = &mut link.stage else { return Ok(()) };
        let outcome = negotiation.on(piece, &self.target.salted)?;
        self.outbox.of(slot).extend_from_slice(&outcome.send);
        match outcome.next {
            Next::Continue => {}
            Next::RestartStream => link.framing.restart(),
            Next::StartTls => {
                let (config, name) = self.target.tls_client.as_ref().ok_or("TLS is not configured")?;
                link.transport.start_tls(config, name.clone()).map_err(|error| error.to_string())?;
                link.framing.restart();
                self.outbox.of(slot).extend_from_slice(&negotiation.open());
            }
            Next::Ready(jid) => {
                self.board.round_trips.store(u64::from(negotiation.round_trips()), Relaxed);
                link.stage = Stage::Bound;
                self.settle(slot, &jid);
            }
            Next::Resumed(acknowledged) => self.resume(slot, acknowledged)?,
        }
        Ok(())
    }

    fn settle(&mut self, slot: Slot, jid: &str) {
        let now_ns = self.now_ns();
        self.pace.settled();
        if !self.opening.is_empty() {
            self.outbox.of(slot).extend_from_slice(self.opening.as_bytes());
        }
        let Some(link) = self.links[slot].as_mut() else { return };
        link.management = self.target.habits.management.then(Management::default);
        let session = Bound { ordinal: link.ordinal, jid, took_ns: now_ns - link.began_ns };
        self.load.bound(slot, session, &mut self.outbox);
        self.board.bound.fetch_add(1, Relaxed);
    }

    fn flush(&mut self) {
        while let Some(slot) = self.outbox.next_dirty() {
            if let Err(error) = self.write(slot) {
                self.fail(slot, &format!("the connection broke: {error}"));
            }
        }
    }

    fn write(&mut self, slot: Slot) -> io::Result<()> {
        let Some(link) = self.links.get_mut(slot).and_then(Option::as_mut) else { return Ok(()) };
        let Some(outgoing) = self.outbox.outgoing(slot) else { return Ok(()) };
        if matches!(link.stage, Stage::Connecting) {
            return Ok(());
        }
        let all = link.transport.write(&outgoing.bytes, &mut outgoing.from)?;
        if outgoing.from == outgoing.bytes.len() {
            outgoing.bytes.clear();
            outgoing.from = 0;
            if outgoing.bytes.capacity() > KEPT_BYTES {
                outgoing.bytes = Vec::new();
            }
        }
        if outgoing.closing && all {
            link.stage = Stage::Closing;
        }
        if link.wants_write == all {
            link.wants_write = !all;
            let interest = if all { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            self.poll.registry().reregister(link.transport.stream(), Token(slot), interest)?;
        }
        Ok(())
    }

    fn close_all(&mut self) {
        for slot in 0..self.links.len() {
            match self.links[slot].as_ref() {
                Some(Link { stage: Stage::Bound, management, .. }) if matches!(self.target.speech, Speech::Xmpp(_)) => {
                    // Lest the server keeps what has arrived for the next session (XEP-0198 §4).
                    if let Some(management) = management {
                        self.outbox.of(slot).extend_from_slice(management.answer().as_bytes());
                    }
                    self.outbox.close(slot);
                }
                Some(Link { stage: Stage::Closing, .. }) | None => {}
                Some(_) => self.remove(slot),
            }
        }
    }

    fn fail(&mut self, slot: Slot, error: &str) {
        if let Some(link) = self.links.get(slot).and_then(Option::as_ref) {
            let settled = matches!(link.stage, Stage::Bound | Stage::Closing);
            if !settled {
                self.pace.settled();
            }
            if self.board.phase() != Phase::Stop {
                let what = if settled { "session" } else { "login" };
                let user = self.target.account(link.ordinal).user;
                self.board.fail(format!("{what} {} ({user}): {error}", link.ordinal));
            }
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: Slot) {
        if let Some(mut link) = self.links[slot].take() {
            // Dropping the socket takes it out of the poll, too.
            let _ = self.poll.registry().deregister(link.transport.stream());
            debug_assert!(link.transport.stream().as_raw_fd() >= 0);
            self.live -= 1;
            self.free.push(slot);
        }
    }
}
