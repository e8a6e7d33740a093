//! Random names that nobody can guess: stream ids, nonces, resources.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Random bytes from the system.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        // Without randomness every secret could be guessed. The system call does not fail on a running Linux.
        tracing::error!(target: "stream", %error, "the system has no random bytes");
        std::process::abort();
    }
    bytes
}

/// A name of 16 characters with 96 random bits.
pub fn name() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<12>())
}

/// A secret to log in with, of 256 random bits, as the URI that RFC 8959 has for it: whoever looks for leaked secrets
/// finds it.
pub fn token() -> String {
    format!("secret-token:{}", URL_SAFE_NO_PAD.encode(bytes::<32>()))
}
