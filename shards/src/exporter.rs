//! What the embedder may ask of a handshake but rustls does not tell on its unbuffered connections: the TLS 1.3 keying
//! material exporter (RFC 8446 §7.5), for channel binding (RFC 9266), and the server name with the certificate chosen
//! for it.
//!
//! rustls has no exporter on its unbuffered connections, but tells a key log the exporter secret during the
//! handshake. The log here keeps it for a moment in a thread-local, from where the connection whose handshake step ran
//! fetches it; it is never written anywhere.

use std::cell::RefCell;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use rustls::KeyLog;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256, Sha384};

thread_local! {
    static LAST_SECRET: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
    static LAST_CHOICE: RefCell<Option<Choice>> = const { RefCell::new(None) };
}

/// Which name a client asked for, and what certificate it was shown.
pub(crate) struct Choice {
    pub server_name: Option<String>,
    pub certificate: Option<Arc<CertifiedKey>>,
}

/// Notes what the embedder's resolver chooses.
#[derive(Debug)]
pub(crate) struct ChoiceTap(pub Arc<dyn ResolvesServerCert>);

impl ResolvesServerCert for ChoiceTap {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let server_name = hello.server_name().map(str::to_owned);
        let certificate = self.0.resolve(hello);
        LAST_CHOICE.set(Some(Choice { server_name, certificate: certificate.clone() }));
        certificate
    }
}

/// The choice made in the handshake step that just ran on this thread, if it made one.
pub(crate) fn take_choice() -> Option<Choice> {
    LAST_CHOICE.take()
}

/// To be set as `ServerConfig::key_log`.
#[derive(Debug)]
pub(crate) struct ExporterTap;

impl KeyLog for ExporterTap {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == "EXPORTER_SECRET" {
            LAST_SECRET.set(Some(secret.to_vec()));
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == "EXPORTER_SECRET"
    }
}

/// The value of `tls-exporter` for the connection whose handshake step just ran on this thread, if that step made the
/// secret.
pub(crate) fn take_channel_binding() -> Option<[u8; 32]> {
    let secret = LAST_SECRET.take()?;
    export(&secret, b"EXPORTER-Channel-Binding", b"")
}

/// `TLS-Exporter(label, context, 32)`. The secret's length tells the hash of the cipher suite.
fn export(secret: &[u8], label: &[u8], context: &[u8]) -> Option<[u8; 32]> {
    match secret.len() {
        32 => {
            let hash = |data: &[u8]| Sha256::digest(data).to_vec();
            export_with(secret, label, context, hash, hmac::<Hmac<Sha256>>)
        }
        48 => {
            let hash = |data: &[u8]| Sha384::digest(data).to_vec();
            export_with(secret, label, context, hash, hmac::<Hmac<Sha384>>)
        }
        _ => None,
    }
}

fn export_with(
    secret: &[u8],
    label: &[u8],
    context: &[u8],
    hash: impl Fn(&[u8]) -> Vec<u8>,
    hmac: impl Fn(&[u8], &[u8]) -> Option<Vec<u8>>,
) -> Option<[u8; 32]> {
    let empty = hash(b"");
    let derived = hmac(secret, &expand_label(empty.len(), label, &empty))?;
    let output = hmac(&derived, &expand_label(32, b"exporter", &hash(context)))?;
    output.get(..32)?.try_into().ok()
}

/// The `HkdfLabel` of RFC 8446 §7.1 followed by the counter of HKDF-Expand's one and only block (RFC 5869 §2.3).
fn expand_label(length: usize, label: &[u8], context: &[u8]) -> Vec<u8> {
    let mut info = (length as u16).to_be_bytes().to_vec();
    info.push(6 + label.len() as u8);
    info.extend_from_slice(b"tls13 ");
    info.extend_from_slice(label);
    info.push(context.len() as u8);
    info.extend_from_slice(context);
    info.push(1);
    info
}

fn hmac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    mac.update(data);
    Some(mac.finalize().into_bytes().to_vec())
}
