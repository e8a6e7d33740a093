//! Certificates and keys: read from files and checked, chosen by the name a client asks for, read again without a
//! restart, and made for development.
//!
//! What may not live here: connections, and certificates of others.

mod development;
mod error;
mod facts;
mod load;
mod select;
mod store;
mod trust;

pub use development::development_certificate;
pub use error::{CertificateError, Warning};
pub use load::CertificateFiles;
pub use store::CertificateStore;

#[cfg(test)]
mod tests;
