//! What a certificate says: names, time of validity, and its hash for channel binding.

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// What the server must know of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Facts {
    /// The DNS names it covers, in lower case; one label may be `*` (RFC 6125 §6.4.3).
    pub names: Vec<String>,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// The value of `tls-server-end-point` (RFC 5929 §4).
    pub end_point: Option<Vec<u8>>,
}

impl Facts {
    /// Reads a certificate; the error says why that is impossible.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Facts, String> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        let mut names = Vec::new();
        let alternatives = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
        for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
            if let GeneralName::DNSName(name) = name {
                names.push(name.to_ascii_lowercase());
            }
        }
        Ok(Facts {
            names,
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
            end_point: end_point(certificate, &parsed),
        })
    }

    /// Whether it covers a domain, given in ASCII form.
    pub fn cover(&self, domain: &str) -> bool {
        let parent = parent(domain);
        self.names.iter().any(|name| name == domain || (parent.is_some() && wildcard_of(name) == parent))
    }
}

/// A domain without its first label.
pub(super) fn parent(domain: &str) -> Option<&str> {
    domain.split_once('.').map(|(_, parent)| parent)
}

/// What a name such as `*.example.org` covers children of.
pub(super) fn wildcard_of(name: &str) -> Option<&str> {
    name.strip_prefix("*.")
}

/// The certificate hashed with the hash function of its signature, but with SHA-256 for MD5 and SHA-1 (RFC 5929 §4.1).
/// Undefined where the signature has no single hash function, as with Ed25519.
fn end_point(der: &[u8], parsed: &X509Certificate<'_>) -> Option<Vec<u8>> {
    let algorithm = &parsed.signature_algorithm;
    let oid = algorithm.algorithm.to_id_string();
    let hash = match oid.as_str() {
        "1.2.840.113549.1.1.10" => match SignatureAlgorithm::try_from(algorithm).ok()? {
            SignatureAlgorithm::RSASSA_PSS(parameters) => parameters.hash_algorithm_oid().to_id_string(),
            _ => return None,
        },
        _ => oid,
    };
    let digest = match hash.as_str() {
        // MD5 and SHA-1, alone and with RSA, DSA, ECDSA.
        "1.2.840.113549.2.5"
        | "1.2.840.113549.1.1.4"
        | "1.3.14.3.2.26"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.10040.4.3"
        | "1.2.840.10045.4.1" => Sha256::digest(der).to_vec(),
        // SHA-2, alone and with RSA and ECDSA.
        "2.16.840.1.101.3.4.2.4" | "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" => Sha224::digest(der).to_vec(),
        "2.16.840.1.101.3.4.2.1" | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => Sha256::digest(der).to_vec(),
        "2.16.840.1.101.3.4.2.2" | "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(der).to_vec(),
        "2.16.840.1.101.3.4.2.3" | "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(der).to_vec(),
        _ => return None,
    };
    Some(digest)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> CertificateDer<'static> {
        let names = ["Example.org".to_owned(), "*.example.net".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate_for(algorithm).unwrap();
        CertificateParams::new(names).unwrap().self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn names_cover_domains() {
        let facts = Facts::read(&certificate(&rcgen::PKCS_ECDSA_P256_SHA256)).unwrap();
        assert_eq!(facts.names, ["example.org", "*.example.net"]);
        for covered in ["example.org", "xmpp.example.net"] {
            assert!(facts.cover(covered), "{covered}");
        }
        for other in ["www.example.org", "example.net", "a.b.example.net", "net", ""] {
            assert!(!facts.cover(other), "{other}");
        }
    }

    #[test]
    fn the_end_point_is_hashed_as_the_signature_is() {
        let p256 = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(Facts::read(&p256).unwrap().end_point, Some(Sha256::digest(&p256).to_vec()));
        let p384 = certificate(&rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(Facts::read(&p384).unwrap().end_point, Some(Sha384::digest(&p384).to_vec()));
        let ed25519 = certificate(&rcgen::PKCS_ED25519);
        assert_eq!(Facts::read(&ed25519).unwrap().end_point, None);
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        assert!(Facts::read(&CertificateDer::from(vec![0x30, 0x03, 1, 2, 3])).is_err());
    }
}
