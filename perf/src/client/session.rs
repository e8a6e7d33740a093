//! One session that is talked to stanza by stanza: for dialogues, where [`super::worker`] is for load.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use mio::{Events, Interest, Poll, Token};

use super::target::{Speech, Target, TlsMode, nonce};
use super::transport::{self, Received, Transport};
use crate::xmpp::management::{Management, Taken};
use crate::xmpp::negotiation::{Negotiation, Next};
use crate::xmpp::scanner::{Piece, Scanner};
use crate::xmpp::{element, habits};

/// Clear text of one read.
const SCRATCH_BYTES: usize = 128 << 10;

/// A session, bound.
pub struct Session {
    poll: Poll,
    transport: Transport,
    scanner: Scanner,
    unread: Vec<u8>,
    out: Vec<u8>,
    from: usize,
    negotiation: Option<Box<Negotiation>>,
    management: Management,
    sent: u32,
    stanzas: VecDeque<Vec<u8>>,
    ended: bool,
    buffers: (Vec<u8>, Vec<u8>),
}

impl Session {
    /// Opens the session with this number and does what the target's habits say.
    ///
    /// # Errors
    /// No connection, or no login, within `patience`.
    pub fn open(target: &Target, ordinal: u64, patience: Duration) -> anyhow::Result<Self> {
        let Speech::Xmpp(plan) = &target.speech else { bail!("sessions speak XMPP") };
        let until = Instant::now() + patience;
        let connecting = || format!("cannot connect to {}", target.server);
        let mut stream = transport::connect(target.server, target.source(ordinal)).with_context(connecting)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut stream, Token(0), Interest::READABLE | Interest::WRITABLE)?;
        let account = target.account(ordinal);
        let negotiation = Negotiation::new(Arc::clone(plan), account, nonce().map_err(|error| anyhow!(error))?);
        let mut session = Self {
            poll,
            transport: Transport::new(stream),
            scanner: Scanner::new(),
            unread: Vec::new(),
            out: Vec::new(),
            from: 0,
            negotiation: Some(Box::new(negotiation)),
            management: Management::default(),
            sent: 0,
            stanzas: VecDeque::new(),
            ended: false,
            buffers: (vec![0; SCRATCH_BYTES], vec![0; SCRATCH_BYTES]),
        };
        session.wait(until.saturating_duration_since(Instant::now()))?;
        if let Some(error) = session.transport.stream().take_error()? {
            return Err(error).with_context(connecting);
        }
        if target.tls == TlsMode::Direct {
            session.start_tls(target)?;
        }
        session.header();
        while session.negotiation.is_some() {
            if session.ended {
                bail!("the server closed the connection before the session was bound");
            }
            if Instant::now() > until {
                bail!("no session was bound within {} s", patience.as_secs());
            }
            session.turn_with(Some(target), Duration::from_millis(100))?;
        }
        session.out.extend_from_slice(target.habits.opening().as_bytes());
        session.sent = target.habits.stanzas();
        Ok(session)
    }

    /// Whether the server has closed the stream or the connection.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// How many stanzas were sent, those included that answered the server.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// How many of them the server has handled, as far as it has said so (XEP-0198 §4).
    pub fn acknowledged(&self) -> u32 {
        self.management.acknowledged()
    }

    /// Sends what is no stanza.
    pub fn send(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Sends a stanza that `write` appends to what is sent.
    pub fn stanza(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.out);
        self.sent += 1;
    }

    /// Writes and reads what can be written and read, waiting for it up to `wait` if there is nothing.
    ///
    /// # Errors
    /// The connection broke, or the server refuses something.
    pub fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        self.turn_with(None, wait)
    }

    /// The next stanza that is no request to the client.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        self.stanzas.pop_front()
    }

    /// The next stanza of which `pick` makes something; others are dropped.
    ///
    /// # Errors
    /// Nothing of the kind within `patience`, or the connection broke.
    pub fn wait_for<T>(&mut self, patience: Duration, mut pick: impl FnMut(&[u8]) -> Option<T>) -> anyhow::Result<T> {
        let until = Instant::now() + patience;
        loop {
            while let Some(stanza) = self.next() {
                if let Some(picked) = pick(&stanza) {
                    return Ok(picked);
                }
            }
            if self.ended {
                bail!("the server closed the stream");
            }
            if Instant::now() > until {
                bail!("the server did not answer within {} s", patience.as_secs());
            }
            self.turn(Duration::from_millis(100))?;
        }
    }

    fn turn_with(&mut self, target: Option<&Target>, wait: Duration) -> anyhow::Result<()> {
        self.write()?;
        if !self.read(target)? && !self.ended {
            self.wait(wait)?;
            self.read(target)?;
        }
        Ok(self.write()?)
    }

    fn write(&mut self) -> io::Result<()> {
        self.transport.write(&self.out, &mut self.from)?;
        if self.from == self.out.len() {
            self.out.clear();
            self.from = 0;
        }
        Ok(())
    }

    fn wait(&mut self, wait: Duration) -> io::Result<()> {
        match self.poll.poll(&mut Events::with_capacity(8), Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads until the socket is empty; true if something has come.
    fn read(&mut self, target: Option<&Target>) -> anyhow::Result<bool> {
        let (mut clear, mut sealed) = std::mem::take(&mut self.buffers);
        let outcome = self.read_into(target, &mut clear, &mut sealed);
        self.buffers = (clear, sealed);
        outcome
    }

    fn read_into(&mut self, target: Option<&Target>, clear: &mut [u8], sealed: &mut [u8]) -> anyhow::Result<bool> {
        let mut came = false;
        while !self.ended {
            let length = match self.transport.read(clear, sealed)? {
                Received::End => {
                    self.ended = true;
                    break;
                }
                // An end that came with the last bytes is told by no event of its own.
                Received::All(0) => break,
                Received::All(length) | Received::More(length) => length,
            };
            came |= length > 0;
            self.take(&clear[..length], target)?;
        }
        Ok(came)
    }

    fn take(&mut self, bytes: &[u8], target: Option<&Target>) -> anyhow::Result<()> {
        let mut buffer = std::mem::take(&mut self.unread);
        buffer.extend_from_slice(bytes);
        let mut used = 0;
        while let Some((piece, length)) = self.scanner.next(&buffer[used..]).map_err(|error| anyhow!("{error}"))? {
            used += length;
            self.piece(&piece, target).map_err(|error| anyhow!(error))?;
        }
        buffer.drain(..used);
        self.unread = buffer;
        Ok(())
    }

    fn piece(&mut self, piece: &Piece<'_>, target: Option<&Target>) -> Result<(), String> {
        if let (Some(negotiation), Some(target)) = (&mut self.negotiation, target) {
            let outcome = negotiation.on(piece, &target.salted)?;
            self.out.extend_from_slice(&outcome.send);
            match outcome.next {
                Next::Continue | Next::Resumed(_) => {}
                Next::RestartStream => self.scanner = Scanner::new(),
                Next::StartTls => {
                    self.start_tls(target).map_err(|error| error.to_string())?;
                    self.scanner = Scanner::new();
                    self.header();
                }
                Next::Ready(_) => self.negotiation = None,
            }
            return Ok(());
        }
        match piece {
            Piece::Stanza(stanza) => self.bound(stanza)?,
            Piece::Header(_) => {}
            Piece::End => self.ended = true,
        }
        Ok(())
    }

    fn bound(&mut self, stanza: &[u8]) -> Result<(), String> {
        match self.management.on(stanza)? {
            Taken::NotMine => {}
            Taken::Requested => {
                self.out.extend_from_slice(self.management.answer().as_bytes());
                return Ok(());
            }
            Taken::Acknowledged | Taken::Enabled => return Ok(()),
        }
        if let Some(answer) = element::answer(stanza) {
            self.stanza(|out| out.extend_from_slice(&answer));
        } else if let Some(refusal) = habits::refused(stanza) {
            return Err(refusal);
        } else {
            self.stanzas.push_back(stanza.to_vec());
        }
        Ok(())
    }

    fn header(&mut self) {
        if let Some(negotiation) = &mut self.negotiation {
            let header = negotiation.open();
            self.out.extend_from_slice(&header);
        }
    }

    fn start_tls(&mut self, target: &Target) -> anyhow::Result<()> {
        let (config, name) = target.tls_client.as_ref().context("TLS is not configured")?;
        Ok(self.transport.start_tls(config, name.clone())?)
    }
}
