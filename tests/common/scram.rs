//! The client's side of SCRAM-SHA-256 (RFC 7677), with channel binding where asked for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub struct Scram {
    gs2: Vec<u8>,
    bare: String,
    /// What the server has to prove.
    expected: Option<String>,
}

impl Scram {
    /// For the name of a channel binding and its data; `None` for none.
    pub fn new(user: &str, binding: Option<(&str, &[u8])>) -> Scram {
        let header = binding.map_or("n,,".to_owned(), |(name, _)| format!("p={name},,"));
        let data = binding.map_or(&[][..], |(_, data)| data);
        Scram { gs2: [header.as_bytes(), data].concat(), bare: format!("n={user},r=of-the-client"), expected: None }
    }

    /// The first message, in base64.
    pub fn first(&self) -> String {
        let header = String::from_utf8_lossy(&self.gs2);
        let header = header.split_inclusive(',').take(2).collect::<String>();
        BASE64.encode(format!("{header}{}", self.bare))
    }

    /// The last message, in base64, in answer to a challenge in base64.
    pub fn last(&mut self, challenge: &str, password: &str) -> String {
        let challenge = String::from_utf8(BASE64.decode(challenge).unwrap()).unwrap();
        let field = |name: &str| challenge.split(',').find_map(|field| field.strip_prefix(name)).unwrap();
        let (nonce, salt) = (field("r="), BASE64.decode(field("s=")).unwrap());
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, field("i=").parse().unwrap(), &mut salted);
        let client_key = hmac(&salted, b"Client Key");
        let without_proof = format!("c={},r={nonce}", BASE64.encode(&self.gs2));
        let message = format!("{},{challenge},{without_proof}", self.bare);
        let signature = hmac(&Sha256::digest(&client_key), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let server = hmac(&hmac(&salted, b"Server Key"), message.as_bytes());
        self.expected = Some(BASE64.encode(format!("v={}", BASE64.encode(server))));
        BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof)))
    }

    /// The server's last message, in base64, if it knows the password too.
    pub fn expected(&self) -> &str {
        self.expected.as_deref().unwrap()
    }
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}
