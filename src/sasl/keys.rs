//! SCRAM keys: made from a password once, kept instead of it (RFC 5802 §3).

use hmac::{Hmac, KeyInit, Mac};
use precis_core::profile::PrecisFastInvocation;
use precis_profiles::OpaqueString;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// Rounds of PBKDF2 for new keys. RFC 7677 asks for 4096 at least; more makes a stolen key file dearer to attack, and
/// each login a little dearer to the client, not to the server.
pub const DEFAULT_ITERATIONS: u32 = 10_000;

const SALT_BYTES: usize = 16;

/// A hash function of SCRAM.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// What the server keeps of a password, for one hash function.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScramKeys {
    /// The hash function.
    pub hash: Hash,
    /// Random.
    pub salt: Vec<u8>,
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// `StoredKey`
    pub stored_key: Vec<u8>,
    /// `ServerKey`
    pub server_key: Vec<u8>,
}

/// A secret of the server, from which the exchange with users that do not exist is made.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// From random bytes that stay the same as long as the server's data do: otherwise a user that does not exist shows
    /// by another salt after a restart.
    pub fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    /// Keys for a user that does not exist: the same salt each time, and no password that fits.
    pub fn fake_keys(&self, bare_jid: &str, hash: Hash, iterations: u32) -> ScramKeys {
        let material = |purpose: &str| {
            let text = [purpose.as_bytes(), &[0, hash as u8], bare_jid.as_bytes()].concat();
            Hash::Sha512.hmac(&self.0, &text)
        };
        let part = |bytes: Vec<u8>, length: usize| bytes.into_iter().take(length).collect();
        ScramKeys {
            hash,
            salt: part(material("salt"), SALT_BYTES),
            iterations,
            stored_key: part(material("stored"), hash.bytes()),
            server_key: part(material("server"), hash.bytes()),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Hash {
    /// Bytes of its output.
    pub fn bytes(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
            Hash::Sha512 => 64,
        }
    }

    pub(super) fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => Sha1::digest(data).to_vec(),
            Hash::Sha256 => Sha256::digest(data).to_vec(),
            Hash::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => hmac::<Hmac<Sha1>>(key, data),
            Hash::Sha256 => hmac::<Hmac<Sha256>>(key, data),
            Hash::Sha512 => hmac::<Hmac<Sha512>>(key, data),
        }
    }

    fn pbkdf2(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut output = vec![0; self.bytes()];
        match self {
            Hash::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut output),
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut output),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut output),
        }
        output
    }
}

fn hmac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    match <M as KeyInit>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(data);
            mac.finalize().into_bytes().to_vec()
        }
        // HMAC takes keys of any length.
        Err(_) => unreachable!("HMAC takes any key"),
    }
}

/// Brings a password into the form that keys are made from (OpaqueString, RFC 8265 §4.2). `None` if it cannot be one.
pub fn prepare_password(password: &str) -> Option<String> {
    OpaqueString::enforce(password).ok().filter(|password| !password.is_empty()).map(|password| password.into_owned())
}

/// Makes keys from a prepared password. Takes milliseconds.
pub fn derive(password: &str, hash: Hash, salt: &[u8], iterations: u32) -> ScramKeys {
    let salted = hash.pbkdf2(password.as_bytes(), salt, iterations);
    let client_key = hash.hmac(&salted, b"Client Key");
    ScramKeys {
        hash,
        salt: salt.to_vec(),
        iterations,
        stored_key: hash.digest(&client_key),
        server_key: hash.hmac(&salted, b"Server Key"),
    }
}

/// Whether a prepared password fits the keys. Takes milliseconds.
pub fn verify(password: &str, keys: &ScramKeys) -> bool {
    let derived = derive(password, keys.hash, &keys.salt, keys.iterations);
    derived.stored_key.ct_eq(&keys.stored_key).into()
}
