//! PLAIN (RFC 4616): the password itself, to be read only under TLS.

use super::Failure;

/// What the client sent.
#[derive(Clone, Eq, PartialEq)]
pub struct PlainMessage {
    /// On whose behalf; absent for the user itself.
    pub authzid: Option<String>,
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl PlainMessage {
    /// Reads `[authzid] NUL authcid NUL passwd`.
    pub fn parse(message: &[u8]) -> Result<PlainMessage, Failure> {
        let text = std::str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        let mut parts = text.split('\0');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(authzid), Some(username), Some(password), None) if !username.is_empty() && !password.is_empty() => {
                Ok(PlainMessage {
                    authzid: (!authzid.is_empty()).then(|| authzid.to_owned()),
                    username: username.to_owned(),
                    password: password.to_owned(),
                })
            }
            _ => Err(Failure::MalformedRequest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let message = PlainMessage::parse(b"\0juliet\0r0m30").unwrap();
        assert_eq!((message.authzid, &*message.username, &*message.password), (None, "juliet", "r0m30"));
        let message = PlainMessage::parse(b"a@b\0juliet\0x").unwrap();
        assert_eq!(message.authzid.as_deref(), Some("a@b"));
        for wrong in [&b""[..], b"juliet", b"\0juliet", b"\0juliet\0", b"\0\0x", b"\0a\0b\0c", b"\0\xff\0x"] {
            assert!(PlainMessage::parse(wrong).is_err());
        }
    }
}
