//! Hashed tokens, the server's side (HT, draft-schmaus-kitten-sasl-ht-09): the client proves with one message that it
//! has a token, the server proves the same with its answer. Only for what is issued and rotated as XEP-0484 says; never
//! offered among the mechanisms for passwords.
//!
//! What is kept of a token. HT uses it as the key of an HMAC over the channel's binding data, which are others for each
//! channel: whoever is to verify a mechanism that binds needs the token itself, and whoever reads what is kept of it
//! can log in with it. Without channel binding the two messages are always the same: a hash of the client's message
//! and the server's message are enough, and do not log in.

use subtle::ConstantTimeEq;

use super::keys::Hash;
use super::{Bindings, Failure};

/// An HT mechanism with SHA-256, by its channel binding. `tls-unique` (`UNIQ`) is not here: TLS 1.3 has none.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ht {
    /// HT-SHA-256-EXPR: `tls-exporter` (RFC 9266).
    Exporter,
    /// HT-SHA-256-ENDP: `tls-server-end-point` (RFC 5929).
    EndPoint,
    /// HT-SHA-256-NONE: not bound.
    Unbound,
}

/// The hash function of all of them.
const HASH: Hash = Hash::Sha256;
/// Bytes of its output.
const HASH_BYTES: usize = 32;

impl Ht {
    /// All there are, the best first.
    pub const ALL: [Ht; 3] = [Ht::Exporter, Ht::EndPoint, Ht::Unbound];

    /// The mechanism's name.
    pub fn name(self) -> &'static str {
        match self {
            Ht::Exporter => "HT-SHA-256-EXPR",
            Ht::EndPoint => "HT-SHA-256-ENDP",
            Ht::Unbound => "HT-SHA-256-NONE",
        }
    }

    /// The mechanisms that are possible on a channel, the best first.
    pub fn possible(bindings: &Bindings) -> Vec<Ht> {
        Ht::ALL.into_iter().filter(|mechanism| mechanism.binding(bindings).is_some()).collect()
    }

    /// What a message is bound by; `None` where the channel has no such binding.
    fn binding(self, bindings: &Bindings) -> Option<&[u8]> {
        match self {
            Ht::Exporter => bindings.get("tls-exporter"),
            Ht::EndPoint => bindings.get("tls-server-end-point"),
            Ht::Unbound => Some(&[]),
        }
    }

    /// What has to be kept of a token, to verify it with this mechanism and no other.
    pub fn verifier(self, token: &str) -> Vec<u8> {
        match self {
            Ht::Exporter | Ht::EndPoint => token.as_bytes().to_vec(),
            Ht::Unbound => {
                let (message, answer) = (initiator(token.as_bytes(), &[]), responder(token.as_bytes(), &[]));
                [HASH.digest(&message), answer].concat()
            }
        }
    }

    /// Whether a client's hash proves that it has the token that `verifier` was made of: the server's message if so.
    /// Takes as long for a wrong hash as for a right one.
    pub fn verify(self, verifier: &[u8], hashed: &[u8], bindings: &Bindings) -> Option<Vec<u8>> {
        let binding = self.binding(bindings)?;
        // Of an empty key anybody could make the messages.
        if verifier.is_empty() {
            return None;
        }
        match self {
            Ht::Exporter | Ht::EndPoint => {
                let is_right = initiator(verifier, binding).ct_eq(hashed);
                let answer = responder(verifier, binding);
                bool::from(is_right).then_some(answer)
            }
            Ht::Unbound => {
                let (expected, answer) = verifier.split_at_checked(HASH_BYTES)?;
                bool::from(HASH.digest(hashed).ct_eq(expected)).then(|| answer.to_vec())
            }
        }
    }
}

fn initiator(token: &[u8], binding: &[u8]) -> Vec<u8> {
    HASH.hmac(token, &[b"Initiator", binding].concat())
}

fn responder(token: &[u8], binding: &[u8]) -> Vec<u8> {
    HASH.hmac(token, &[b"Responder", binding].concat())
}

/// What the client sends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HtMessage {
    /// The user name, as it was sent.
    pub username: String,
    /// `initiator-hashed-token`
    pub hashed: Vec<u8>,
}

impl HtMessage {
    /// Reads `authcid NUL initiator-hashed-token`.
    pub fn parse(message: &[u8]) -> Result<HtMessage, Failure> {
        let end = message.iter().position(|&byte| byte == 0).ok_or(Failure::MalformedRequest)?;
        let (username, hashed) = (&message[..end], &message[end + 1..]);
        let username = std::str::from_utf8(username).map_err(|_| Failure::MalformedRequest)?;
        if username.is_empty() || hashed.is_empty() {
            return Err(Failure::MalformedRequest);
        }
        Ok(HtMessage { username: username.to_owned(), hashed: hashed.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "secret-token:abcdefghijklmnopqrstuvwxyz";

    fn bindings() -> Bindings {
        Bindings { exporter: Some([7; 32]), server_end_point: Some(vec![8; 32]) }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Computed with another implementation of HMAC: `HMAC(token, "Initiator" || cb-data)` and the answer.
    #[test]
    fn known_values() {
        let rows = [
            (
                Ht::Exporter,
                "9b161b671c94883e99737c8fc674d9cea3cd765f00d5ffc937ed5ef00611dcb1",
                "b490a3c7a5e31ae3d09f61913f05237e31542b468ab040545c56d79e7490a229",
            ),
            (
                Ht::EndPoint,
                "f274ebadd8833d07fed50dfb45720583a56c212f7d9ae5d452ba0993b3ae7810",
                "2380cf4783b8242c5145300be590ad710db597c83e9ce0c6baf08faf4db15fff",
            ),
            (
                Ht::Unbound,
                "74ae88bb8cb88b2f911ea472ea7348072b1289cc40968d032d4e2d7391e42354",
                "97ec69935905127b54d73aea3824a3192bfc4ea6d2c2be79360feb8dba2b086e",
            ),
        ];
        for (mechanism, message, answer) in rows {
            let binding = mechanism.binding(&bindings()).unwrap().to_vec();
            let hashed = initiator(TOKEN.as_bytes(), &binding);
            assert_eq!(hex(&hashed), message, "{}", mechanism.name());
            let heard = mechanism.verify(&mechanism.verifier(TOKEN), &hashed, &bindings());
            assert_eq!(heard.map(|heard| hex(&heard)).as_deref(), Some(answer), "{}", mechanism.name());
        }
    }

    #[test]
    fn another_token_channel_or_mechanism_is_refused() {
        let other_channel = Bindings { exporter: Some([9; 32]), server_end_point: Some(vec![9; 32]) };
        for mechanism in Ht::ALL {
            let hashed = |token: &str, bindings: &Bindings| {
                let binding = mechanism.binding(bindings).unwrap();
                initiator(token.as_bytes(), binding)
            };
            let verifier = mechanism.verifier(TOKEN);
            let right = hashed(TOKEN, &bindings());
            assert!(mechanism.verify(&verifier, &right, &bindings()).is_some());
            assert_eq!(mechanism.verify(&verifier, &hashed("secret", &bindings()), &bindings()), None);
            assert_eq!(mechanism.verify(&verifier, &right[..31], &bindings()), None, "cut off");
            assert_eq!(mechanism.verify(&[], &hashed("", &bindings()), &bindings()), None, "nothing is kept");
            let elsewhere = mechanism.verify(&verifier, &hashed(TOKEN, &other_channel), &bindings());
            assert_eq!(elsewhere.is_some(), mechanism == Ht::Unbound, "relayed from another channel");
            for other in Ht::ALL.into_iter().filter(|other| *other != mechanism) {
                assert_eq!(other.verify(&verifier, &right, &bindings()), None, "downgraded");
            }
        }
    }

    #[test]
    fn what_is_kept_without_channel_binding_does_not_log_in() {
        let kept = Ht::Unbound.verifier(TOKEN);
        assert!(!kept.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()));
        let stolen = [kept.clone(), kept[..HASH_BYTES].to_vec(), kept[HASH_BYTES..].to_vec()];
        for guess in stolen.iter().flat_map(|part| [part.clone(), initiator(part, &[])]) {
            assert_eq!(Ht::Unbound.verify(&kept, &guess, &bindings()), None);
        }
    }

    #[test]
    fn only_what_the_channel_can_bind_is_possible() {
        let names = |bindings: &Bindings| Ht::possible(bindings).into_iter().map(Ht::name).collect::<Vec<_>>();
        assert_eq!(names(&bindings()), ["HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"]);
        assert_eq!(names(&Bindings { exporter: None, ..bindings() }), ["HT-SHA-256-ENDP", "HT-SHA-256-NONE"]);
        assert_eq!(names(&Bindings::default()), ["HT-SHA-256-NONE"]);
        assert_eq!(Ht::Exporter.verify(b"t", &initiator(b"t", &[]), &Bindings::default()), None);
    }

    #[test]
    fn messages() {
        let message = HtMessage::parse(b"juliet\0\x01\x00\x02").unwrap();
        assert_eq!((&*message.username, &*message.hashed), ("juliet", &[1, 0, 2][..]));
        for wrong in [&b""[..], b"juliet", b"juliet\0", b"\0hash", b"\xff\0hash"] {
            assert_eq!(HtMessage::parse(wrong), Err(Failure::MalformedRequest));
        }
    }
}
