//! The server's certificates, and their replacement while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use time::OffsetDateTime;

use super::error::{CertificateError, Problem, Warning};
use super::facts::Facts;
use super::load::{CertificateFiles, load, warnings};
use super::select::{Current, Selection};
use super::trust;

/// The application protocol of clients on connections that begin with TLS (XEP-0368 §2).
const ALPN_CLIENT: &[u8] = b"xmpp-client";

/// The one of browsers (RFC 7301 §6).
const ALPN_HTTP: &[u8] = b"http/1.1";

/// The certificates in use. Configurations made from it follow every [`CertificateStore::reload`].
#[derive(Debug)]
pub struct CertificateStore {
    files: Vec<CertificateFiles>,
    domains: Vec<String>,
    pub(super) current: Arc<Current>,
    starttls: Arc<ServerConfig>,
    direct_tls: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
}

impl CertificateStore {
    /// Reads the certificates of a server of these domains; the first file is shown where none covers what a client
    /// asks for. An error names the file at fault; warnings do not keep a server from starting.
    pub fn open(
        files: Vec<CertificateFiles>,
        domains: Vec<String>,
    ) -> Result<(CertificateStore, Vec<Warning>), CertificateError> {
        let (selection, warnings) = read(&files, &domains)?;
        let current = Arc::new(Current(ArcSwap::from_pointee(selection)));
        let make = |protocols| {
            let path = files.first().map(|first| first.chain.clone()).unwrap_or_default();
            configuration(&current, protocols).map_err(|error| Problem::Tls(error.to_string()).of(path)).map(Arc::new)
        };
        let starttls = make(Vec::new())?;
        let direct_tls = make(vec![ALPN_CLIENT.to_vec()])?;
        let https = make(vec![ALPN_HTTP.to_vec()])?;
        Ok((CertificateStore { files, domains, current, starttls, direct_tls, https }, warnings))
    }

    /// Reads all files again. New handshakes use what they hold from now on; on an error, everything stays as it was.
    pub fn reload(&self) -> Result<Vec<Warning>, CertificateError> {
        let (selection, warnings) = read(&self.files, &self.domains)?;
        self.current.0.store(Arc::new(selection));
        Ok(warnings)
    }

    /// How TLS is spoken after STARTTLS (RFC 6120 §5).
    pub fn starttls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.starttls)
    }

    /// How TLS is spoken on connections that begin with it (XEP-0368).
    pub fn direct_tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.direct_tls)
    }

    /// How TLS is spoken with browsers.
    pub fn https(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.https)
    }

    /// The files of all chains, and until when each holds, in seconds since 1970.
    pub fn lives(&self) -> Vec<(PathBuf, i64)> {
        let selection = self.current.0.load();
        let all = self.files.iter().zip(&selection.certificates);
        all.map(|(files, certificate)| (files.chain.clone(), certificate.facts.not_after.unix_timestamp())).collect()
    }

    /// The certificate that expires first, and in how many seconds.
    pub fn expires_first(&self) -> Option<(&Path, i64)> {
        let selection = self.current.0.load();
        let all = self.files.iter().zip(&selection.certificates);
        let (files, first) = all.min_by_key(|(_, certificate)| certificate.facts.not_after)?;
        Some((&files.chain, (first.facts.not_after - OffsetDateTime::now_utc()).whole_seconds()))
    }

    /// Why clients will not trust what they are shown for some domain: one line for each chain that does not lead to an
    /// authority that this host knows, as most clients know the same.
    pub fn untrusted(&self) -> Vec<String> {
        let selection = self.current.0.load();
        let mut lines = Vec::new();
        for domain in &self.domains {
            let ascii = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.clone());
            let covering = self.files.iter().zip(&selection.certificates);
            let covering = covering.filter(|(_, certificate)| certificate.facts.cover(&ascii));
            for (files, certificate) in covering {
                if let Err(text) = trust::check(&certificate.key.cert, &ascii) {
                    lines.push(format!("{}: clients will not trust it for {domain}: {text}", files.chain.display()));
                }
            }
        }
        lines
    }

    /// The value of `tls-server-end-point` (RFC 5929 §4) of a certificate that a client was shown; `None` where it is
    /// undefined.
    pub fn end_point(&self, shown: &Arc<CertifiedKey>) -> Option<Vec<u8>> {
        let selection = self.current.0.load();
        match selection.certificates.iter().find(|certificate| Arc::ptr_eq(&certificate.key, shown)) {
            Some(certificate) => certificate.facts.end_point.clone(),
            // It was shown before it was replaced.
            None => Facts::read(shown.cert.first()?).ok()?.end_point,
        }
    }
}

fn read(files: &[CertificateFiles], domains: &[String]) -> Result<(Selection, Vec<Warning>), CertificateError> {
    let now = OffsetDateTime::now_utc();
    let mut loaded = Vec::with_capacity(files.len());
    let mut warned = Vec::new();
    for files in files {
        let certificate = load(files)?;
        warned.extend(warnings(files, &certificate.facts, now));
        loaded.push(certificate);
    }
    for domain in domains {
        let ascii = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.clone());
        if !loaded.iter().any(|certificate| certificate.facts.cover(&ascii)) {
            warned.push(Warning::NotCovered { domain: domain.clone() });
        }
    }
    Ok((Selection::new(loaded), warned))
}

fn configuration(current: &Arc<Current>, protocols: Vec<Vec<u8>>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(current) as _);
    config.alpn_protocols = protocols;
    // Sessions are not resumed: a cache or a ticket key would be shared by all shards, and a resumed session of TLS 1.2
    // shows no certificate to bind a login to.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
