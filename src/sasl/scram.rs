//! SCRAM, the server's side (RFC 5802, RFC 7677), with channel binding and downgrade protection (XEP-0474).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq;

use super::Failure;
use super::keys::{Hash, ScramKeys};

/// What a connection's TLS channel can be bound by; empty without TLS.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bindings {
    /// `tls-exporter` (RFC 9266).
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929).
    pub server_end_point: Option<Vec<u8>>,
}

impl Bindings {
    /// The names of the types there are, in octet order.
    pub fn names(&self) -> Vec<&'static str> {
        let exporter = self.exporter.is_some().then_some("tls-exporter");
        let server_end_point = self.server_end_point.is_some().then_some("tls-server-end-point");
        [exporter, server_end_point].into_iter().flatten().collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names().is_empty()
    }

    /// The data of a type, if the channel has it.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(|value| &value[..]),
            "tls-server-end-point" => self.server_end_point.as_deref(),
            _ => None,
        }
    }
}

/// The client's first message, read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientFirst {
    /// Who logs in, as it was sent.
    pub username: String,
    /// On whose behalf; absent for the user itself.
    pub authzid: Option<String>,
    nonce: String,
    bare: String,
    /// What the client has to repeat in `c=`: the GS2 header, and the channel's binding data where it binds.
    binding_input: Vec<u8>,
}

impl ClientFirst {
    /// Reads the message. `plus` tells whether the mechanism is a -PLUS one, `offered_plus` whether one was offered.
    pub fn parse(message: &[u8], plus: bool, offered_plus: bool, bindings: &Bindings) -> Result<ClientFirst, Failure> {
        let text = std::str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Failure::MalformedRequest);
        };
        let header_bytes = flag.len() + authzid.len() + 2;
        let mut binding_input = text.as_bytes()[..header_bytes].to_vec();
        match (flag.split_once('='), flag) {
            (Some(("p", name)), _) if plus => {
                binding_input.extend_from_slice(bindings.get(name).ok_or(Failure::MalformedRequest)?);
            }
            // The client believes that we cannot bind; we had said that we can: somebody in between has cut that out.
            (None, "y") if offered_plus => return Err(Failure::NotAuthorized),
            (None, "n" | "y") if !plus => {}
            _ => return Err(Failure::MalformedRequest),
        }
        let authzid = match authzid.split_once('=') {
            None if authzid.is_empty() => None,
            Some(("a", name)) => Some(unescape(name)?),
            _ => return Err(Failure::MalformedRequest),
        };
        let mut attributes = bare.split(',');
        let username = attributes.next().and_then(|name| name.strip_prefix("n=")).ok_or(Failure::MalformedRequest)?;
        let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r=")).ok_or(Failure::MalformedRequest)?;
        if nonce.is_empty() || !nonce.bytes().all(is_printable) {
            return Err(Failure::MalformedRequest);
        }
        let username = unescape(username)?;
        Ok(ClientFirst { username, authzid, nonce: nonce.to_owned(), bare: bare.to_owned(), binding_input })
    }
}

/// An exchange that awaits the client's final message.
#[derive(Clone, Debug)]
pub struct Scram {
    keys: ScramKeys,
    nonce: String,
    binding_input: Vec<u8>,
    /// `client-first-message-bare,server-first-message`.
    auth_message: String,
    server_first_from: usize,
}

impl Scram {
    /// Goes on with the user's keys. `nonce` is the server's share, random and printable; `offered` is what XEP-0474
    /// hashes: the mechanisms and channel binding types that were advertised.
    pub fn new(first: ClientFirst, keys: ScramKeys, nonce: &str, offered: &str) -> Scram {
        let nonce = format!("{}{nonce}", first.nonce);
        let salt = BASE64.encode(&keys.salt);
        let protection = BASE64.encode(keys.hash.digest(offered.as_bytes()));
        let mut auth_message = first.bare;
        auth_message.push(',');
        let server_first_from = auth_message.len();
        auth_message.push_str(&format!("r={nonce},s={salt},i={},h={protection}", keys.iterations));
        Scram { keys, nonce, binding_input: first.binding_input, auth_message, server_first_from }
    }

    /// The text that XEP-0474 hashes.
    pub fn offer(mut mechanisms: Vec<&str>, bindings: Option<Vec<&str>>) -> String {
        mechanisms.sort_unstable();
        let mut offer = mechanisms.join("\u{1e}");
        if let Some(mut bindings) = bindings {
            bindings.sort_unstable();
            offer.push('\u{1f}');
            offer.push_str(&bindings.join("\u{1e}"));
        }
        offer
    }

    /// The server's first message.
    pub fn server_first(&self) -> &str {
        &self.auth_message[self.server_first_from..]
    }

    /// Judges the client's final message; the server's final message if the password was right.
    pub fn finish(self, message: &[u8]) -> Result<String, Failure> {
        let text = std::str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Failure::MalformedRequest)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|text| text.strip_prefix("c=")).ok_or(Failure::MalformedRequest)?;
        let nonce = attributes.next().and_then(|text| text.strip_prefix("r=")).ok_or(Failure::MalformedRequest)?;
        let binding = BASE64.decode(binding).map_err(|_| Failure::MalformedRequest)?;
        let proof = BASE64.decode(proof).map_err(|_| Failure::MalformedRequest)?;
        let hash = self.keys.hash;
        let auth_message = format!("{},{without_proof}", self.auth_message);
        let signature = hash.hmac(&self.keys.stored_key, auth_message.as_bytes());
        if proof.len() != signature.len() {
            return Err(Failure::NotAuthorized);
        }
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(proof, signature)| proof ^ signature).collect();
        let is_right = hash.digest(&client_key).ct_eq(&self.keys.stored_key)
            & nonce.as_bytes().ct_eq(self.nonce.as_bytes())
            & binding.ct_eq(&self.binding_input);
        if !bool::from(is_right) {
            return Err(Failure::NotAuthorized);
        }
        let signature = hash.hmac(&self.keys.server_key, auth_message.as_bytes());
        Ok(format!("v={}", BASE64.encode(signature)))
    }
}

impl Hash {
    /// The mechanism's hash by its place in preference: the strongest first.
    pub const ALL: [Hash; 3] = [Hash::Sha512, Hash::Sha256, Hash::Sha1];
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x21..=0x2b | 0x2d..=0x7e)
}

/// A `saslname`: `,` and `=` stand as `=2C` and `=3D`.
fn unescape(name: &str) -> Result<String, Failure> {
    let mut parts = name.split('=');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).ok_or(Failure::MalformedRequest)?;
        text.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return Err(Failure::MalformedRequest),
        });
        text.push_str(rest);
    }
    if text.is_empty() || text.contains('\0') { Err(Failure::MalformedRequest) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::keys::{derive, verify};

    fn run(
        hash: Hash,
        first: &str,
        password: &str,
        nonce: &str,
        salt: &str,
        last: impl Fn(&Scram) -> String,
    ) -> Result<String, Failure> {
        let first = ClientFirst::parse(first.as_bytes(), false, false, &Bindings::default())?;
        let keys = derive(password, hash, &BASE64.decode(salt).unwrap(), 4096);
        let scram = Scram::new(first, keys, nonce, "");
        let last = last(&scram);
        scram.finish(last.as_bytes())
    }

    /// A client's final message to whatever the server has said.
    fn answer(scram: &Scram, password: &str, gs2: &[u8]) -> String {
        let without_proof = format!("c={},r={}", BASE64.encode(gs2), scram.nonce);
        let message = format!("{},{without_proof}", scram.auth_message);
        let hash = scram.keys.hash;
        let keys = derive(password, hash, &scram.keys.salt, scram.keys.iterations);
        let salted = pbkdf2_of(hash, password, &keys);
        let client_key = hash.hmac(&salted, b"Client Key");
        let signature = hash.hmac(&hash.digest(&client_key), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        format!("{without_proof},p={}", BASE64.encode(proof))
    }

    fn pbkdf2_of(hash: Hash, password: &str, keys: &ScramKeys) -> Vec<u8> {
        let mut salted = vec![0; hash.bytes()];
        let (password, rounds) = (password.as_bytes(), keys.iterations);
        match hash {
            Hash::Sha1 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password, &keys.salt, rounds, &mut salted),
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, &keys.salt, rounds, &mut salted),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>(password, &keys.salt, rounds, &mut salted),
        }
        salted
    }

    /// The exchanges that RFC 5802 §5 and RFC 7677 §3 print. They have no downgrade protection, which is part of what
    /// is signed; therefore the signatures are computed over the printed messages.
    #[test]
    fn vectors_of_the_specifications() {
        let vectors = [
            (
                Hash::Sha1,
                "QSXCR+Q6sek8bf92",
                "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,\
                 i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
                "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
            (
                Hash::Sha256,
                "W22ZaJ0SNY7soEsUEjb6gQ==",
                "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ];
        for (hash, salt, auth_message, proof, server_signature) in vectors {
            let keys = derive("pencil", hash, &BASE64.decode(salt).unwrap(), 4096);
            let signature = hash.hmac(&keys.stored_key, auth_message.as_bytes());
            let proof = BASE64.decode(proof).unwrap();
            let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
            assert_eq!(hash.digest(&client_key), keys.stored_key);
            assert_eq!(BASE64.encode(hash.hmac(&keys.server_key, auth_message.as_bytes())), server_signature);
            assert!(verify("pencil", &keys) && !verify("pencils", &keys));
        }
    }

    #[test]
    fn right_and_wrong_passwords() {
        for hash in Hash::ALL {
            let go = |password: &'static str| {
                run(hash, "n,,n=user,r=abc", "pencil", "xyz", "QSXCR+Q6sek8bf92", |scram| {
                    answer(scram, password, b"n,,")
                })
            };
            assert!(go("pencil").unwrap().starts_with("v="));
            assert_eq!(go("pen"), Err(Failure::NotAuthorized));
        }
    }

    #[test]
    fn the_nonce_and_the_header_must_be_ours() {
        let go = |last: fn(&Scram) -> String| run(Hash::Sha1, "n,,n=u,r=abc", "p", "xyz", "QSXCR+Q6sek8bf92", last);
        assert!(go(|scram| answer(scram, "p", b"n,,")).is_ok());
        assert_eq!(go(|scram| answer(scram, "p", b"y,,")), Err(Failure::NotAuthorized));
        assert_eq!(go(|scram| answer(scram, "p", b"n,,").replace("xyz", "xyy")), Err(Failure::NotAuthorized));
        assert_eq!(go(|_| "c=biws".into()), Err(Failure::MalformedRequest));
    }

    #[test]
    fn channel_binding() {
        let bindings = Bindings { exporter: Some([7; 32]), server_end_point: None };
        let bound = ClientFirst::parse(b"p=tls-exporter,,n=u,r=abc", true, true, &bindings).unwrap();
        let scram = Scram::new(bound, derive("p", Hash::Sha256, b"salt", 4096), "x", "");
        let gs2 = [b"p=tls-exporter,,".as_slice(), &[7; 32]].concat();
        assert!(scram.clone().finish(answer(&scram, "p", &gs2).as_bytes()).is_ok());
        let other = [b"p=tls-exporter,,".as_slice(), &[8; 32]].concat();
        assert_eq!(scram.clone().finish(answer(&scram, "p", &other).as_bytes()), Err(Failure::NotAuthorized));
        let parse = |text: &str, plus| ClientFirst::parse(text.as_bytes(), plus, true, &bindings).map(drop);
        assert_eq!(parse("y,,n=u,r=abc", false), Err(Failure::NotAuthorized), "downgraded");
        assert_eq!(parse("n,,n=u,r=abc", false), Ok(()));
        assert_eq!(parse("n,,n=u,r=abc", true), Err(Failure::MalformedRequest));
        assert_eq!(parse("p=tls-exporter,,n=u,r=abc", false), Err(Failure::MalformedRequest));
        assert_eq!(parse("p=tls-unique,,n=u,r=abc", true), Err(Failure::MalformedRequest));
    }

    #[test]
    fn names_are_unescaped_and_nonsense_is_refused() {
        let parse = |text: &str| ClientFirst::parse(text.as_bytes(), false, false, &Bindings::default());
        let first = parse("n,a=x=2Cy,n=a=3Db,r=abc").unwrap();
        assert_eq!((&*first.username, first.authzid.as_deref()), ("a=b", Some("x,y")));
        for wrong in [
            "",
            "n",
            "n,,",
            "n,,n=",
            "n,,n=u",
            "n,,n=u,r=",
            "n,,n=a=2,r=x",
            "n,,m=x,n=u,r=x",
            "x,,n=u,r=y",
            "n,b,n=u,r=y",
        ] {
            assert_eq!(parse(wrong).map(drop), Err(Failure::MalformedRequest), "{wrong}");
        }
    }

    #[test]
    fn the_offer_is_hashed_in_octet_order() {
        let offer =
            Scram::offer(vec!["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"], Some(vec!["tls-server-end-point", "tls-exporter"]));
        assert_eq!(offer, "SCRAM-SHA-1\u{1e}SCRAM-SHA-1-PLUS\u{1f}tls-exporter\u{1e}tls-server-end-point");
    }
}
