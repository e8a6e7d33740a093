//! Which certificate a client is shown.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::facts::parent;
use super::load::Loaded;

/// All certificates, by the names they cover.
#[derive(Debug)]
pub(super) struct Selection {
    pub certificates: Vec<Loaded>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Selection {
    pub fn new(certificates: Vec<Loaded>) -> Selection {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, certificate) in certificates.iter().enumerate() {
            for name in &certificate.facts.names {
                by_name.entry(name.clone()).or_default().push(index);
            }
        }
        Selection { certificates, by_name }
    }

    /// The first certificate that covers the name and that the client can verify; otherwise the first that it can
    /// verify, so that a client gets to see whom it talks to.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase);
        let exact = name.as_ref().and_then(|name| self.by_name.get(name));
        let wildcard = name.as_deref().and_then(parent).and_then(|parent| self.by_name.get(&format!("*.{parent}")));
        let covering = exact.into_iter().chain(wildcard).flatten().copied();
        let mut keys = covering.chain(0..self.certificates.len()).map(|index| &self.certificates[index].key);
        keys.find(|certificate| certificate.key.choose_scheme(schemes).is_some())
            .or(self.certificates.first().map(|certificate| &certificate.key))
    }
}

/// Chooses among what is current when a client says hello.
#[derive(Debug)]
pub(super) struct Current(pub ArcSwap<Selection>);

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().choose(hello.server_name(), hello.signature_schemes()).cloned()
    }
}
