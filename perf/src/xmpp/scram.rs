//! SASL as a client: PLAIN (RFC 4616), ANONYMOUS (RFC 4505) and SCRAM with SHA-1, SHA-256 and SHA-512 (RFC 5802,
//! RFC 7677).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// How a session proves who it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, ValueEnum)]
pub enum Mechanism {
    /// The password itself (RFC 4616).
    #[value(name = "plain")]
    Plain,
    /// Nobody in particular (RFC 4505).
    #[value(name = "anonymous")]
    Anonymous,
    /// RFC 5802.
    #[value(name = "scram-sha-1")]
    ScramSha1,
    /// RFC 7677.
    #[value(name = "scram-sha-256")]
    ScramSha256,
    /// The same with SHA-512.
    #[value(name = "scram-sha-512")]
    ScramSha512,
}

/// The most iterations that the tool computes for a server.
const ITERATIONS_MAX: u32 = 1_000_000;

impl Mechanism {
    /// The name that is registered for SASL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Anonymous => "ANONYMOUS",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    fn hash(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain | Self::Anonymous | Self::ScramSha1 => Sha1::digest(data).to_vec(),
            Self::ScramSha256 => Sha256::digest(data).to_vec(),
            Self::ScramSha512 => Sha512::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        fn sign<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
            // HMAC takes a key of any length (RFC 2104 §2), so this cannot fail.
            M::new_from_slice(key)
                .map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec())
                .unwrap_or_default()
        }
        match self {
            Self::Plain | Self::Anonymous | Self::ScramSha1 => sign::<Hmac<Sha1>>(key, data),
            Self::ScramSha256 => sign::<Hmac<Sha256>>(key, data),
            Self::ScramSha512 => sign::<Hmac<Sha512>>(key, data),
        }
    }

    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Plain | Self::Anonymous | Self::ScramSha1 => {
                pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).to_vec()
            }
            Self::ScramSha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec(),
            Self::ScramSha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec(),
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The salted passwords computed so far. One costs as much as a server's whole login, so the tool would measure itself
/// if it computed them again for every login. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct SaltedPasswords(Arc<Mutex<HashMap<SaltedKey, Vec<u8>>>>);

/// Mechanism, iterations, password, salt.
type SaltedKey = (Mechanism, u32, Vec<u8>, Vec<u8>);

impl SaltedPasswords {
    fn get(&self, mechanism: Mechanism, password: &str, salt: Vec<u8>, iterations: u32) -> Vec<u8> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (mechanism, iterations, password.as_bytes().to_vec(), salt);
        if let Some(salted) = known().get(&key) {
            return salted.clone();
        }
        // Not under the lock: other threads log in meanwhile.
        let salted = mechanism.salted(&key.2, &key.3, iterations);
        known().insert(key, salted.clone());
        salted
    }
}

/// One exchange of SASL messages. All messages are what goes into base64, not base64 itself.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    user: String,
    password: String,
    nonce: String,
    server_signature: Option<Vec<u8>>,
    done: bool,
}

impl Exchange {
    /// An exchange for `user` (a localpart) with a client nonce of printable ASCII without commas.
    pub fn new(mechanism: Mechanism, user: &str, password: &str, nonce: String) -> Self {
        Self {
            mechanism,
            user: user.to_owned(),
            password: password.to_owned(),
            nonce,
            server_signature: None,
            done: matches!(mechanism, Mechanism::Plain | Mechanism::Anonymous),
        }
    }

    /// The initial response.
    pub fn initial(&self) -> Vec<u8> {
        match self.mechanism {
            Mechanism::Plain => format!("\0{}\0{}", self.user, self.password).into_bytes(),
            // Trace information, which the mechanism permits.
            Mechanism::Anonymous => b"rondel-perf".to_vec(),
            _ => format!("n,,{}", self.client_first_bare()).into_bytes(),
        }
    }

    /// The answer to a challenge. The one that carries the server's signature is answered with nothing.
    ///
    /// # Errors
    /// A challenge that RFC 5802 does not permit, or a signature that is not the account's.
    pub fn respond(&mut self, challenge: &[u8], salted: &SaltedPasswords) -> Result<Vec<u8>, String> {
        if self.server_signature.is_some() {
            return self.verify(challenge).map(|()| Vec::new());
        }
        if self.done {
            return Err(format!("the server challenges {}, which has no challenge", self.mechanism));
        }
        let challenge = text(challenge)?;
        let value = |key: &str| challenge.split(',').find_map(|part| part.strip_prefix(key));
        let missing = || format!("the server's SCRAM challenge is incomplete: {challenge}");
        let nonce = value("r=").ok_or_else(missing)?;
        let salt = STANDARD.decode(value("s=").ok_or_else(missing)?).map_err(|_| missing())?;
        let iterations: u32 = value("i=").and_then(|count| count.parse().ok()).ok_or_else(missing)?;
        if challenge.starts_with("m=") || !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the server's SCRAM challenge does not belong to this exchange".to_owned());
        }
        if !(1..=ITERATIONS_MAX).contains(&iterations) {
            return Err(format!("the server wants {iterations} SCRAM iterations"));
        }
        let final_bare = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{final_bare}", self.client_first_bare());
        let salted = salted.get(self.mechanism, &self.password, salt, iterations);
        let client_key = self.mechanism.hmac(&salted, b"Client Key");
        let signature = self.mechanism.hmac(&self.mechanism.hash(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
        let server_key = self.mechanism.hmac(&salted, b"Server Key");
        self.server_signature = Some(self.mechanism.hmac(&server_key, signed.as_bytes()));
        Ok(format!("{final_bare},p={}", STANDARD.encode(proof)).into_bytes())
    }

    /// Checks what came with success. A server that already sent its signature as a challenge sends nothing more.
    ///
    /// # Errors
    /// A missing or wrong signature: the server does not know the password.
    pub fn finish(&mut self, data: Option<&[u8]>) -> Result<(), String> {
        match data {
            _ if self.done => Ok(()),
            Some(data) if !data.is_empty() => self.verify(data),
            _ => Err("the server reported success without its SCRAM signature".to_owned()),
        }
    }

    fn verify(&mut self, server_final: &[u8]) -> Result<(), String> {
        let server_final = text(server_final)?;
        let claimed = server_final.split(',').find_map(|part| part.strip_prefix("v="));
        let claimed = claimed.and_then(|value| STANDARD.decode(value).ok());
        if claimed.is_none() || claimed != self.server_signature {
            return Err(format!("the server's SCRAM signature is wrong: {server_final}"));
        }
        self.done = true;
        Ok(())
    }

    fn client_first_bare(&self) -> String {
        format!("n={},r={}", self.user.replace('=', "=3D").replace(',', "=2C"), self.nonce)
    }
}

fn text(message: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(message).map_err(|_| "the server sent a SASL message that is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange printed in RFC 5802 §5.
    #[test]
    fn the_example_of_rfc_5802() {
        let mut exchange = Exchange::new(Mechanism::ScramSha1, "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL".to_owned());
        assert_eq!(exchange.initial(), b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        let challenge = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let answer = exchange.respond(challenge, &SaltedPasswords::default()).unwrap();
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        );
        assert!(exchange.finish(None).is_err());
        assert!(exchange.finish(Some(b"v=AAAA")).is_err());
        assert_eq!(exchange.finish(Some(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")), Ok(()));
    }

    /// The exchange printed in RFC 7677 §3.
    #[test]
    fn the_example_of_rfc_7677() {
        let mut exchange = Exchange::new(Mechanism::ScramSha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO".to_owned());
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = exchange.respond(challenge, &SaltedPasswords::default()).unwrap();
        assert!(answer.ends_with(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        let verified = exchange.respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", &SaltedPasswords::default());
        assert_eq!(verified, Ok(Vec::new()));
        assert_eq!(exchange.finish(None), Ok(()));
    }

    #[test]
    fn challenges_of_another_exchange_are_refused() {
        let salted = SaltedPasswords::default();
        for challenge in [
            "r=other1,s=QSXCR+Q6sek8bf92,i=4096",
            "r=mine,s=QSXCR+Q6sek8bf92,i=4096",
            "r=mine1,i=4096",
            "r=mine1,s=!,i=4096",
            "r=mine1,s=QSXCR+Q6sek8bf92,i=0",
            "m=x,r=mine1,s=QSXCR+Q6sek8bf92,i=4096",
        ] {
            let mut exchange = Exchange::new(Mechanism::ScramSha512, "user", "pencil", "mine".to_owned());
            assert!(exchange.respond(challenge.as_bytes(), &salted).is_err(), "{challenge}");
        }
    }

    #[test]
    fn plain_sends_the_password_and_is_done() {
        let mut exchange = Exchange::new(Mechanism::Plain, "user", "pencil", String::new());
        assert_eq!(exchange.initial(), b"\0user\0pencil");
        assert_eq!(exchange.finish(None), Ok(()));
    }
}
