//! Reading a certificate chain and its key from files.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use time::{Duration, OffsetDateTime};

use super::error::{CertificateError, Problem, Warning};
use super::facts::Facts;

/// An expiry this near is worth a warning: a renewal that works has come before.
const SOON: Duration = Duration::days(14);

/// Where a certificate and its key are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFiles {
    /// The chain in PEM, the server's own certificate first.
    pub chain: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

/// A certificate ready for use.
#[derive(Debug)]
pub(super) struct Loaded {
    pub key: Arc<CertifiedKey>,
    pub facts: Facts,
}

/// Reads and checks a certificate and its key.
pub(super) fn load(files: &CertificateFiles) -> Result<Loaded, CertificateError> {
    let chain = read_chain(&files.chain).map_err(|problem| problem.of(&files.chain))?;
    let facts = match chain.first().map(Facts::read) {
        Some(Ok(facts)) => facts,
        Some(Err(error)) => return Err(Problem::BadCertificate(error).of(&files.chain)),
        None => return Err(Problem::Missing { expected: "certificate" }.of(&files.chain)),
    };
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| Problem::pem(error, "private key").of(&files.key))?;
    let key = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            Problem::Mismatch { certificate: files.chain.clone() }.of(&files.key)
        }
        Error::InvalidCertificate(error) => Problem::BadCertificate(error.to_string()).of(&files.chain),
        Error::General(text) => Problem::BadKey(text).of(&files.key),
        error => Problem::BadKey(error.to_string()).of(&files.key),
    })?;
    Ok(Loaded { key: Arc::new(key), facts })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    read.map_err(|error| Problem::pem(error, "certificate"))
}

/// What should be looked at about a certificate.
pub(super) fn warnings(files: &CertificateFiles, facts: &Facts, now: OffsetDateTime) -> Vec<Warning> {
    let path = || files.chain.clone();
    let mut warnings = Vec::new();
    if facts.not_after <= now {
        warnings.push(Warning::Expired { path: path(), since: facts.not_after });
    } else if facts.not_after - now < SOON {
        warnings.push(Warning::ExpiresSoon { path: path(), at: facts.not_after });
    }
    if facts.not_before > now {
        warnings.push(Warning::NotYetValid { path: path(), from: facts.not_before });
    }
    if files.key.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
        warnings.push(Warning::ReadableByAll { path: files.key.clone() });
    }
    warnings
}
