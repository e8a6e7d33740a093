//! Whether clients will trust a chain: as one that this host knows the authorities of.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};

/// Verifies a chain for a domain, given in ASCII form; an error is part of a line.
pub(super) fn check(chain: &[CertificateDer<'static>], domain: &str) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this host knows no authorities; install ca-certificates".into());
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(domain.to_owned()).map_err(|error| error.to_string())?;
    let (own, rest) = chain.split_first().ok_or("there is no certificate")?;
    match verifier.verify_server_cert(own, rest, &name, &[], UnixTime::now()) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            Err("no known authority has issued it, or a certificate in between is missing from the file".into())
        }
        Err(error) => Err(error.to_string()),
    }
}
