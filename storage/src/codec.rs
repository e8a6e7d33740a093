//! Stored values: one byte of version, then the fields in postcard's encoding (<https://postcard.jamesmunns.com>).
//!
//! A type's encoding never changes under its version. To change the type, keep the old one for reading, give the new
//! one the next version, and convert where [`Versioned::decode_body`] meets the old byte.

use crate::reply::{Failure, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write;

/// A stored value that cannot be read. Names where it is, so that an operator can report or remove it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer version of Rondel.
    #[error("{family} {key}: value version {version} is unknown to this version of Rondel")]
    UnknownVersion {
        /// The column family.
        family: &'static str,
        /// The key, its unprintable bytes escaped.
        key: String,
        /// The version found.
        version: u8,
    },
    /// Not what was written.
    #[error("{family} {key}: {text}")]
    Damaged {
        /// The column family.
        family: &'static str,
        /// The key, its unprintable bytes escaped.
        key: String,
        /// What is wrong.
        text: String,
    },
}

impl DecodeError {
    pub(crate) fn damaged(family: &'static str, key: &[u8], text: impl Into<String>) -> DecodeError {
        DecodeError::Damaged { family, key: readable(key), text: text.into() }
    }

    pub(crate) fn unknown_version(family: &'static str, key: &[u8], version: u8) -> DecodeError {
        DecodeError::UnknownVersion { family, key: readable(key), version }
    }
}

/// Why a typed value could not be had.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// The read failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// What was read makes no sense.
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    /// The outcome answers another kind of request: a mistake of the caller.
    #[error("the outcome belongs to another request")]
    OtherRequest,
}

impl LoadError {
    /// The error for an outcome of the wrong kind.
    pub fn unexpected(outcome: Outcome) -> LoadError {
        match outcome {
            Outcome::Failed(failure) => LoadError::Failed(failure),
            _ => LoadError::OtherRequest,
        }
    }
}

/// A type that is stored.
pub(crate) trait Versioned: Serialize + DeserializeOwned {
    /// The version that is written.
    const VERSION: u8;
    /// The family it is stored in.
    const FAMILY: &'static str;

    /// Reads the fields of a value of `version`; `None` if this version is unknown. Older versions are read here.
    fn decode_body(version: u8, body: &[u8]) -> Option<Result<Self, String>> {
        (version == Self::VERSION).then(|| decode_exact(body))
    }

    /// The bytes to store.
    fn encode(&self) -> Vec<u8> {
        let encoded = postcard::to_extend(self, vec![Self::VERSION]);
        debug_assert!(encoded.is_ok(), "plain structures of known length always encode into memory");
        // Were it not so, the bare version byte would be read back as damaged, not as another value.
        encoded.unwrap_or_else(|_| vec![Self::VERSION])
    }

    /// Reads what [`Versioned::encode`] made. `key` is for the error.
    fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((&version, body)) = bytes.split_first() else {
            return Err(DecodeError::damaged(Self::FAMILY, key, "the value is empty"));
        };
        match Self::decode_body(version, body) {
            Some(Ok(value)) => Ok(value),
            Some(Err(text)) => Err(DecodeError::damaged(Self::FAMILY, key, text)),
            None => Err(DecodeError::unknown_version(Self::FAMILY, key, version)),
        }
    }
}

/// Reads fields, and nothing may be left over.
pub(crate) fn decode_exact<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes left over", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

fn readable(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len());
    for chunk in key.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() { text.extend(letter.escape_unicode()) } else { text.push(letter) }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            write!(text, "\\x{byte:02x}").ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Sample {
        name: String,
        since: Option<u64>,
    }

    impl Versioned for Sample {
        const VERSION: u8 = 2;
        const FAMILY: &'static str = "samples";

        fn decode_body(version: u8, body: &[u8]) -> Option<Result<Sample, String>> {
            match version {
                // Version 1 had no `since`.
                1 => Some(decode_exact(body).map(|name| Sample { name, since: None })),
                2 => Some(decode_exact(body)),
                _ => None,
            }
        }
    }

    #[test]
    fn an_older_version_is_read() {
        let old = postcard::to_extend("x", vec![1]).unwrap();
        assert_eq!(Sample::decode(b"k", &old), Ok(Sample { name: "x".to_owned(), since: None }));
    }

    #[test]
    fn errors_name_family_and_key() {
        let unknown = Sample::decode(b"example.org\0juliet\0\xff", &[3, 0]).unwrap_err().to_string();
        assert!(unknown.starts_with("samples example.org\\u{0}juliet\\u{0}\\xff: value version 3"), "{unknown}");
        assert!(matches!(Sample::decode(b"k", &[]), Err(DecodeError::Damaged { .. })));
        let mut bytes = Sample { name: "x".to_owned(), since: Some(1) }.encode();
        bytes.push(0);
        assert!(Sample::decode(b"k", &bytes).unwrap_err().to_string().contains("left over"));
    }

    proptest! {
        #[test]
        fn values_come_back(name: String, since: Option<u64>) {
            let sample = Sample { name, since };
            prop_assert_eq!(Sample::decode(b"k", &sample.encode()), Ok(sample));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            Sample::decode(&bytes, &bytes).ok();
        }
    }
}
