//! SCRAM keys: made from a password once, kept instead of it (RFC 5802 §3).

use hmac::{Hmac, KeyInit, Mac};
use precis_core::profile::PrecisFastInvocation;
use precis_profiles::OpaqueString;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::random;

/// Bytes of the salt of new keys.
pub(super) const SALT_BYTES: usize = 16;

/// Bytes of a prepared password at most: what fits a stanza before login with room to spare.
pub const PASSWORD_BYTES_MAX: usize = 1024;

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

    /// The HMAC (RFC 2104) of some data with this function.
    pub fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
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

/// Makes keys from a prepared password for every hash function, each with a salt of its own. Takes milliseconds for
/// each.
pub fn new_keys(password: &str, iterations: u32) -> Vec<ScramKeys> {
    Hash::ALL.iter().map(|hash| derive(password, *hash, &random::bytes::<SALT_BYTES>(), iterations)).collect()
}

/// Whether a prepared password fits the keys. Takes milliseconds.
pub fn verify(password: &str, keys: &ScramKeys) -> bool {
    let derived = derive(password, keys.hash, &keys.salt, keys.iterations);
    derived.stored_key.ct_eq(&keys.stored_key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_verify_the_password_and_no_other() {
        let keys = new_keys("secret", 4096);
        assert_eq!(keys.iter().map(|keys| keys.hash).collect::<Vec<_>>(), Hash::ALL);
        assert!(keys.iter().all(|keys| verify("secret", keys) && !verify("Secret", keys)));
        assert!(keys[0].salt != keys[1].salt);
    }
}
