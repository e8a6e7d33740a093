//! TLS of one connection: rustls' unbuffered server connection, driven without I/O. Half the memory of the buffered
//! one, and no buffer that the limits do not see.

use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::sign::CertifiedKey;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, ServerConfig};

use crate::exporter::{self, Choice, ChoiceTap, ExporterTap};

/// What a finished handshake has settled.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// The value of `tls-exporter` (RFC 9266); only with TLS 1.3.
    pub exporter: Option<[u8; 32]>,
    /// The server name the client asked for (RFC 6066 §3).
    pub server_name: Option<String>,
    /// The certificate shown; absent where a session was resumed.
    pub certificate: Option<Arc<CertifiedKey>>,
    /// The application protocol agreed on (RFC 7301).
    pub protocol: Option<Vec<u8>>,
    /// `TLSv1_3` or `TLSv1_2`.
    pub version: String,
    /// The cipher suite's name.
    pub cipher_suite: String,
}

/// What comes out of received bytes.
pub(crate) enum Event<'a> {
    /// The handshake is complete; comes once, before any data.
    Secured(TlsFacts),
    /// Decrypted bytes.
    Data(&'a [u8]),
}

pub(crate) struct Tls {
    connection: UnbufferedServerConnection,
    /// The beginning of a record whose end has not come yet.
    inbound: Vec<u8>,
    /// What is known in the middle of the handshake and told at its end.
    midway: Option<Box<Midway>>,
    secured: bool,
    /// The peer has closed its side, or has made a mistake.
    ended: Option<Result<(), String>>,
}

#[derive(Default)]
struct Midway {
    exporter: Option<[u8; 32]>,
    choice: Option<Choice>,
}

/// What one step over received bytes led to.
struct Step {
    used: usize,
    outcome: Result<Progress, Error>,
}

enum Progress {
    Again,
    PeerClosed,
    NeedsMore,
}

/// Lets the exporter be read; to be applied to every configuration that connections are made from.
pub(crate) fn prepare(config: &mut ServerConfig) {
    config.key_log = Arc::new(ExporterTap);
    config.cert_resolver = Arc::new(ChoiceTap(Arc::clone(&config.cert_resolver)));
}

impl Tls {
    /// A connection that awaits a ClientHello.
    pub fn new(config: &Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = UnbufferedServerConnection::new(Arc::clone(config))?;
        Ok(Tls { connection, inbound: Vec::new(), midway: None, secured: false, ended: None })
    }

    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// How the peer's side has ended, if it has.
    pub fn ended(&self) -> Option<&Result<(), String>> {
        self.ended.as_ref()
    }

    /// Takes bytes from the socket. What they decrypt to goes to `deliver`, what has to be answered (handshake, alerts)
    /// is appended to `out`, also when the result is an error. Returns whether the peer has closed its side.
    pub fn receive(
        &mut self,
        bytes: &mut [u8],
        out: &mut Vec<u8>,
        deliver: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, Error> {
        let outcome = self.receive_records(bytes, out, deliver);
        match &outcome {
            Ok(false) => {}
            Ok(true) => self.ended = Some(Ok(())),
            Err(error) => self.ended = Some(Err(error.to_string())),
        }
        outcome
    }

    fn receive_records(
        &mut self,
        bytes: &mut [u8],
        out: &mut Vec<u8>,
        deliver: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, Error> {
        if self.inbound.is_empty() {
            let (used, closed) = self.process(bytes, out, deliver)?;
            self.inbound.extend_from_slice(&bytes[used..]);
            return Ok(closed);
        }
        let mut inbound = std::mem::take(&mut self.inbound);
        inbound.extend_from_slice(bytes);
        let (used, closed) = self.process(&mut inbound, out, deliver)?;
        if used < inbound.len() {
            inbound.drain(..used);
            self.inbound = inbound;
        }
        Ok(closed)
    }

    fn process(
        &mut self,
        bytes: &mut [u8],
        out: &mut Vec<u8>,
        deliver: &mut dyn FnMut(Event<'_>),
    ) -> Result<(usize, bool), Error> {
        let mut used = 0;
        let mut closed = false;
        // Data that stood right behind the end of the handshake; the embedder hears of the end first.
        let mut early = Vec::new();
        loop {
            let secured = self.secured;
            let step = step(&mut self.connection, &mut bytes[used..], out, &mut |data| {
                if secured { deliver(Event::Data(data)) } else { early.extend_from_slice(data) }
            });
            used += step.used;
            if !self.secured {
                if let Some(exporter) = exporter::take_channel_binding() {
                    self.midway.get_or_insert_default().exporter = Some(exporter);
                }
                if let Some(choice) = exporter::take_choice() {
                    self.midway.get_or_insert_default().choice = Some(choice);
                }
                if step.outcome.is_ok() && !self.connection.is_handshaking() {
                    self.secured = true;
                    deliver(Event::Secured(self.facts()));
                    if !early.is_empty() {
                        deliver(Event::Data(&std::mem::take(&mut early)));
                    }
                }
            }
            match step.outcome {
                Ok(Progress::Again) => {}
                Ok(Progress::PeerClosed) => closed = true,
                Ok(Progress::NeedsMore) => return Ok((used, closed)),
                Err(error) => {
                    self.encode_alert(out);
                    return Err(error);
                }
            }
        }
    }

    fn facts(&mut self) -> TlsFacts {
        let version = self.connection.protocol_version();
        let suite = self.connection.negotiated_cipher_suite();
        let Midway { exporter, choice } = self.midway.take().map(|midway| *midway).unwrap_or_default();
        let (server_name, certificate) = choice.map_or((None, None), |choice| (choice.server_name, choice.certificate));
        TlsFacts {
            exporter,
            server_name,
            certificate,
            protocol: self.connection.alpn_protocol().map(<[u8]>::to_vec),
            version: version.map(|version| format!("{version:?}")).unwrap_or_default(),
            cipher_suite: suite.map(|suite| format!("{:?}", suite.suite())).unwrap_or_default(),
        }
    }

    /// After an error, rustls still has the alert to hand out that tells the peer of it.
    fn encode_alert(&mut self, out: &mut Vec<u8>) {
        while let Ok(ConnectionState::EncodeTlsData(mut data)) = self.connection.process_tls_records(&mut []).state {
            if encode(out, |buffer| data.encode(buffer)).is_err() {
                return;
            }
        }
    }

    /// Encrypts `plain` in as few records as possible and appends them to `out`. Only after the handshake.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        // Room for header, content type and tag of each record, TLS 1.2's explicit nonce included.
        const RECORD: usize = 16 << 10;
        const OVERHEAD: usize = 64;
        self.write(|traffic| {
            let start = out.len();
            out.resize(start + plain.len() + (plain.len() / RECORD + 1) * OVERHEAD, 0);
            let written = traffic.encrypt(plain, &mut out[start..])?;
            out.truncate(start + written);
            Ok(())
        })
    }

    /// Appends the alert that says that nothing more will be sent.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        let notify = self.write(|traffic| {
            let start = out.len();
            out.resize(start + 128, 0);
            let written = traffic.queue_close_notify(&mut out[start..]);
            out.truncate(start + written.as_ref().map_or(0, |written| *written));
            written.map(drop)
        });
        // Without it the peer sees the end of the stream all the same.
        drop(notify);
    }

    fn write(&mut self, action: impl FnOnce(&mut WriteTraffic<'_>) -> Result<(), EncryptError>) -> Result<(), Error> {
        match self.connection.process_tls_records(&mut []).state? {
            ConnectionState::WriteTraffic(mut traffic) => {
                action(&mut traffic).map_err(|error| Error::General(error.to_string()))
            }
            state => Err(Error::General(format!("cannot encrypt in {state:?}"))),
        }
    }
}

type WriteTraffic<'c> = rustls::unbuffered::WriteTraffic<'c, rustls::server::ServerConnectionData>;

fn step(
    connection: &mut UnbufferedServerConnection,
    bytes: &mut [u8],
    out: &mut Vec<u8>,
    deliver: &mut dyn FnMut(&[u8]),
) -> Step {
    let UnbufferedStatus { mut discard, state } = connection.process_tls_records(bytes);
    let outcome = match state {
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            encode(out, |buffer| data.encode(buffer)).map(|()| Progress::Again)
        }
        Ok(ConnectionState::TransmitTlsData(transmit)) => {
            transmit.done();
            Ok(Progress::Again)
        }
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut outcome = Ok(Progress::Again);
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        discard += record.discard;
                        deliver(record.payload);
                    }
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
            outcome
        }
        Ok(ConnectionState::PeerClosed) => Ok(Progress::PeerClosed),
        Ok(_) => Ok(Progress::NeedsMore),
        Err(error) => Err(error),
    };
    Step { used: discard, outcome }
}

/// Appends what `encode` writes, with as much room as it asks for.
fn encode(out: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) -> Result<(), Error> {
    let start = out.len();
    let mut room = 2048;
    loop {
        out.resize(start + room, 0);
        match encode(&mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => room = size.required_size,
            Err(error) => {
                out.truncate(start);
                return Err(Error::General(error.to_string()));
            }
        }
    }
}
