//! The client's side of TLS: which certificates it believes.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// A configuration that believes what `authorities` (a PEM file) has signed, or, without one, everything: a load tool
/// is pointed at a server of its operator, on loopback as a rule. No session is resumed, so that every login pays for
/// its handshake.
///
/// # Errors
/// The file cannot be read or holds no certificate.
pub fn config(authorities: Option<&Path>, direct: bool) -> anyhow::Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let mut config = match authorities {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            let certificates = CertificateDer::pem_file_iter(file)
                .with_context(|| format!("--tls-ca {}: cannot be read", file.display()))?;
            for certificate in certificates {
                let certificate = certificate.with_context(|| format!("--tls-ca {}", file.display()))?;
                roots.add(certificate).with_context(|| format!("--tls-ca {}", file.display()))?;
            }
            if roots.is_empty() {
                bail!("--tls-ca {}: there is no certificate in it", file.display());
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        None => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(BelieveAll(provider))).with_no_client_auth()
        }
    };
    config.resumption = Resumption::disabled();
    if direct {
        config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    }
    Ok(Arc::new(config))
}

/// Checks that the server has the key of the certificate it shows, but not who vouches for it.
#[derive(Debug)]
struct BelieveAll(Arc<CryptoProvider>);

impl ServerCertVerifier for BelieveAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_authorities_that_holds_none_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = config(Some(file.path()), false).unwrap_err();
        assert!(error.to_string().contains("there is no certificate in it"), "{error}");
        assert!(config(Some(Path::new("/nowhere")), false).is_err());
        assert_eq!(config(None, true).unwrap().alpn_protocols, [b"xmpp-client".to_vec()]);
    }
}
