//! One hostile client's connection: as far into the dialogue as its kind goes, then its script.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, pki_types::ServerName};

use super::kind::{Kind, Script};
use super::tally::Tally;
use crate::client::target::{Speech, Target, TlsMode, nonce};
use crate::client::transport::{self, Received, Transport};
use crate::xmpp::element::{condition, is, ns, with_element};
use crate::xmpp::negotiation::{Negotiation, Next, Plan};
use crate::xmpp::scanner::{Piece, Scanner};

/// The pace of a trickle.
const TRICKLE: Duration = Duration::from_secs(1);
/// Pieces of a script in a row before others get their turn.
const IN_A_ROW: usize = 4;

/// What all clients are told.
pub struct Orders {
    /// Where to connect, and as whom.
    pub target: Arc<Target>,
    /// How a session begins.
    pub plan: Arc<Plan>,
    /// The same by way of STARTTLS.
    pub plan_starttls: Arc<Plan>,
    /// The first half of a TLS handshake's first message.
    pub half_hello: Vec<u8>,
}

impl Orders {
    /// From where sessions connect to; `None` where no XMPP is spoken.
    ///
    /// # Errors
    /// No TLS handshake can be begun.
    pub fn new(target: &Arc<Target>) -> anyhow::Result<Option<Self>> {
        let Speech::Xmpp(plan) = &target.speech else { return Ok(None) };
        let config = crate::client::tls::config(None, target.tls == TlsMode::Direct)?;
        let name = ServerName::try_from(plan.domain.clone())?;
        let mut half_hello = hello(config, name)?;
        half_hello.truncate(half_hello.len() / 2);
        let plan_starttls = Arc::new(Plan { starttls: true, ..Plan::clone(plan) });
        Ok(Some(Self { target: Arc::clone(target), plan: Arc::clone(plan), plan_starttls, half_hello }))
    }
}

/// A ClientHello.
fn hello(config: Arc<ClientConfig>, name: ServerName<'static>) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    rustls::ClientConnection::new(config, name)?.write_tls(&mut bytes)?;
    Ok(bytes)
}

/// The connection is over.
#[derive(Debug, PartialEq, Eq)]
pub enum Over {
    /// The server has seen to that.
    Ended,
    /// The client has left.
    Left,
}

enum Stage {
    Connecting,
    Negotiating(Box<Negotiation>),
    Hostile(Script),
    /// Everything is sent; the end is awaited.
    Silent,
}

/// A connection.
pub struct Connection {
    /// The socket.
    pub transport: Transport,
    kind: Kind,
    number: u64,
    round: u64,
    stage: Stage,
    out: Vec<u8>,
    from: usize,
    unread: Vec<u8>,
    scanner: Scanner,
    writable: bool,
    due: Option<Instant>,
    /// The server has closed its side.
    closed: bool,
    /// Why, if it has said so.
    said: Option<String>,
}

impl Connection {
    /// Begins to connect.
    pub fn open(orders: &Orders, kind: Kind, number: u64, round: u64) -> io::Result<Self> {
        let target = &orders.target;
        let stream = transport::connect(target.server, target.source(number))?;
        Ok(Self {
            transport: Transport::new(stream),
            kind,
            number,
            round,
            stage: Stage::Connecting,
            out: Vec::new(),
            from: 0,
            unread: Vec::new(),
            scanner: Scanner::new(),
            writable: false,
            due: None,
            closed: false,
            said: None,
        })
    }

    /// Whether it is not known yet if somebody listens.
    pub fn is_connecting(&self) -> bool {
        matches!(self.stage, Stage::Connecting)
    }

    /// What the server has said before it ended the connection.
    pub fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// Whether [`Connection::push`] has something to do now.
    pub fn is_ready(&self, now: Instant) -> bool {
        let more = matches!(self.stage, Stage::Hostile(_)) && self.due.is_none_or(|due| due <= now);
        self.writable && !self.transport.is_handshaking() && (self.from < self.out.len() || more)
    }

    /// When it will be ready without the server's doing.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The connection stands.
    pub fn connected(&mut self, orders: &Orders) -> Result<(), Over> {
        if self.kind == Kind::Reconnect {
            return self.leave(orders);
        }
        let is_direct = orders.target.tls == TlsMode::Direct;
        if self.kind == Kind::HalfHandshake && is_direct {
            self.out.extend_from_slice(&orders.half_hello);
            self.stage = Stage::Silent;
            return Ok(());
        }
        if is_direct {
            self.start_tls(orders)?;
        }
        let mut negotiation = self.negotiation(orders)?;
        let header = negotiation.open();
        if self.kind == Kind::HalfHandshake || self.kind.logs_in(self.round) {
            self.out.extend_from_slice(&header);
            self.stage = Stage::Negotiating(Box::new(negotiation));
        } else {
            if self.kind.opens_stream() {
                self.out.extend_from_slice(&header);
            }
            self.stage = Stage::Hostile(Script::new(self.kind, header, "", &orders.plan.domain, self.seed()));
        }
        Ok(())
    }

    fn negotiation(&self, orders: &Orders) -> Result<Negotiation, Over> {
        let plan = if self.kind == Kind::HalfHandshake { &orders.plan_starttls } else { &orders.plan };
        let nonce = nonce().map_err(|_| Over::Left)?;
        Ok(Negotiation::new(Arc::clone(plan), orders.target.account(self.number), nonce))
    }

    fn seed(&self) -> u64 {
        (self.number << 32) + self.round
    }

    /// Leaves at once, after a greeting, or without a goodbye.
    fn leave(&mut self, orders: &Orders) -> Result<(), Over> {
        match self.round % 3 {
            1 => {
                let header = self.negotiation(orders)?.open();
                // Whether it arrives does not matter.
                let _ = self.transport.write(&header, &mut 0);
            }
            2 => {
                // The connection is reset, which happens to a server as often as anything.
                let _ = socket2::SockRef::from(&*self.transport.stream()).set_linger(Some(Duration::ZERO));
            }
            _ => {}
        }
        Err(Over::Left)
    }

    fn start_tls(&mut self, orders: &Orders) -> Result<(), Over> {
        let Some((config, name)) = &orders.target.tls_client else { return Err(Over::Left) };
        self.transport.start_tls(config, name.clone()).map_err(|_| Over::Left)
    }

    /// The socket takes bytes again.
    pub fn writable(&mut self) {
        self.writable = true;
    }

    /// Sends what there is to send, but not for long.
    pub fn push(&mut self, now: Instant, tally: &mut Tally) -> Result<(), Over> {
        for _ in 0..IN_A_ROW {
            if self.from == self.out.len() {
                self.out.clear();
                self.from = 0;
                self.write_script(now, tally);
            }
            match self.transport.write(&self.out, &mut self.from) {
                Ok(true) => {}
                Ok(false) => {
                    self.writable = false;
                    return Ok(());
                }
                Err(_) => return Err(Over::Ended),
            }
            if self.from < self.out.len() || !self.is_ready(now) {
                break;
            }
        }
        self.over()
    }

    fn write_script(&mut self, now: Instant, tally: &mut Tally) {
        let Stage::Hostile(script) = &mut self.stage else { return };
        if self.due.is_some_and(|due| due > now) {
            return;
        }
        script.next(&mut self.out);
        tally.of(self.kind).bytes += self.out.len() as u64;
        if self.kind == Kind::Trickle {
            self.due = Some(now + TRICKLE);
        }
        if self.out.is_empty() {
            self.stage = Stage::Silent;
        }
    }

    /// Who is told to go writes on as long as somebody takes it; who has nothing to write goes.
    fn over(&self) -> Result<(), Over> {
        let writes_on = matches!(self.stage, Stage::Hostile(_)) && self.kind != Kind::Trickle;
        if self.closed && !writes_on { Err(Over::Ended) } else { Ok(()) }
    }

    /// Reads what has come, unless it is deaf; up to the end of it if `ended`: the kernel tells only once that there is
    /// something to read, so an end that came with the last bytes has to be looked for.
    pub fn read(
        &mut self,
        ended: bool,
        orders: &Orders,
        buffers: &mut (Vec<u8>, Vec<u8>),
        tally: &mut Tally,
    ) -> Result<(), Over> {
        let (clear, sealed) = buffers;
        while !self.is_deaf() && !self.closed {
            let (length, all) = match self.transport.read(clear, sealed) {
                Ok(Received::More(length)) => (length, false),
                Ok(Received::All(length)) => (length, true),
                Ok(Received::End) => {
                    self.closed = true;
                    break;
                }
                Err(_) => return Err(Over::Ended),
            };
            self.take(&clear[..length], orders, tally)?;
            if all && !ended {
                break;
            }
        }
        self.over()
    }

    fn is_deaf(&self) -> bool {
        self.kind == Kind::Deaf && matches!(self.stage, Stage::Hostile(_) | Stage::Silent)
    }

    fn take(&mut self, bytes: &[u8], orders: &Orders, tally: &mut Tally) -> Result<(), Over> {
        if self.said.is_some() || (self.kind == Kind::HalfHandshake && matches!(self.stage, Stage::Silent)) {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.unread);
        buffer.extend_from_slice(bytes);
        let mut used = 0;
        while let Some((piece, length)) = self.scanner.next(&buffer[used..]).map_err(|_| Over::Ended)? {
            used += length;
            self.piece(&piece, orders, tally)?;
        }
        buffer.drain(..used);
        self.unread = buffer;
        Ok(())
    }

    fn piece(&mut self, piece: &Piece<'_>, orders: &Orders, tally: &mut Tally) -> Result<(), Over> {
        if self.said.is_none()
            && let Piece::Stanza(stanza) = piece
        {
            self.said = stream_error(stanza);
        }
        if self.said.is_some() {
            return Ok(());
        }
        let Stage::Negotiating(negotiation) = &mut self.stage else { return Ok(()) };
        let outcome = match negotiation.on(piece, &orders.target.salted) {
            Ok(outcome) => outcome,
            Err(why) => {
                tally.login_failed(why);
                self.said = Some("no login".to_owned());
                return Err(Over::Ended);
            }
        };
        self.out.extend_from_slice(&outcome.send);
        match outcome.next {
            Next::Continue | Next::Resumed(_) => {}
            Next::RestartStream => self.scanner = Scanner::new(),
            Next::StartTls if self.kind == Kind::HalfHandshake => {
                self.out.extend_from_slice(&orders.half_hello);
                self.stage = Stage::Silent;
            }
            Next::StartTls => {
                let header = negotiation.open();
                self.out.extend_from_slice(&header);
                self.scanner = Scanner::new();
                self.start_tls(orders)?;
            }
            Next::Ready(jid) => {
                tally.of(self.kind).logins += 1;
                let script = Script::new(self.kind, Vec::new(), &jid, &orders.plan.domain, self.seed());
                self.stage = Stage::Hostile(script);
            }
        }
        Ok(())
    }
}

/// The condition of a stream error, if the stanza is one.
fn stream_error(stanza: &[u8]) -> Option<String> {
    if !stanza.starts_with(b"<stream:error") {
        return None;
    }
    let condition = with_element(stanza, |error| is(error, ns::STREAMS, "error").then(|| condition(error)));
    condition.ok().flatten().and_then(|text| text.split(' ').next().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_error_is_known_by_its_condition() {
        let error = b"<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
            <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>too deep</text></stream:error>";
        assert_eq!(stream_error(error).as_deref(), Some("policy-violation"));
        assert_eq!(stream_error(b"<presence/>"), None);
    }

    #[test]
    fn half_a_hello_is_the_beginning_of_a_handshake() {
        let config = crate::client::tls::config(None, true).unwrap();
        let hello = hello(config, ServerName::try_from("localhost").unwrap()).unwrap();
        // A handshake record (RFC 8446 §5.1) of more than half its bytes.
        assert_eq!(hello[0], 22);
        assert!(hello.len() > 100);
    }
}
