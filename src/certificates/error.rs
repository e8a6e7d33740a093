//! What can be wrong with certificates, each in one line that says what to change.

use std::path::PathBuf;

use rustls::pki_types::pem;
use time::{Date, OffsetDateTime};

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", .path.display())]
pub struct CertificateError {
    /// The file at fault.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error("{}", unreadable(.0))]
    Unreadable(std::io::Error),
    /// It cannot be written.
    #[error("cannot be written: {0}")]
    Unwritable(std::io::Error),
    /// It is not what it should be.
    #[error("holds no {expected} in PEM form")]
    Missing {
        /// What was looked for.
        expected: &'static str,
    },
    /// Its PEM armour is broken.
    #[error("is broken PEM: {0}")]
    Broken(String),
    /// The certificate cannot be understood.
    #[error("holds a certificate that cannot be read: {0}")]
    BadCertificate(String),
    /// The key is of a kind that cannot be used.
    #[error("holds a key that cannot be used ({0}); ECDSA P-256 or P-384, RSA of 2048 bits or more, or Ed25519")]
    BadKey(String),
    /// The key is another certificate's.
    #[error("is not the key of the certificate in {}", .certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => {
            format!("cannot be read by user {}", rustix::process::geteuid().as_raw())
        }
        _ => format!("cannot be read: {error}"),
    }
}

impl Problem {
    pub(super) fn pem(error: pem::Error, expected: &'static str) -> Problem {
        match error {
            pem::Error::Io(error) => Problem::Unreadable(error),
            pem::Error::NoItemsFound => Problem::Missing { expected },
            pem::Error::MissingSectionEnd { end_marker } => {
                Problem::Broken(format!("the end of a {} is missing", String::from_utf8_lossy(&end_marker)))
            }
            other => Problem::Broken(other.to_string()),
        }
    }

    pub(super) fn of(self, path: impl Into<PathBuf>) -> CertificateError {
        CertificateError { path: path.into(), problem: self }
    }
}

/// What does not keep certificates from being used, but should be looked at.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Warning {
    /// Clients will refuse it.
    #[error("{}: the certificate has expired on {}", .path.display(), day(*.since))]
    Expired {
        /// The certificate's file.
        path: PathBuf,
        /// When.
        since: OffsetDateTime,
    },
    /// Clients will soon refuse it.
    #[error("{}: the certificate expires on {}", .path.display(), day(*.at))]
    ExpiresSoon {
        /// The certificate's file.
        path: PathBuf,
        /// When.
        at: OffsetDateTime,
    },
    /// Clients refuse it still.
    #[error("{}: the certificate is not valid before {}", .path.display(), day(*.from))]
    NotYetValid {
        /// The certificate's file.
        path: PathBuf,
        /// From when.
        from: OffsetDateTime,
    },
    /// Clients of a domain will refuse what they are shown.
    #[error("no certificate covers the domain {domain}")]
    NotCovered {
        /// The domain.
        domain: String,
    },
    /// Whoever has an account on the host can read a key.
    #[error("{}: the key can be read by every user of this host; chmod 600 it", .path.display())]
    ReadableByAll {
        /// The key's file.
        path: PathBuf,
    },
}

fn day(time: OffsetDateTime) -> Date {
    time.date()
}
