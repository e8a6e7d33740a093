//! What is made of a text before a list looks for it.

use std::borrow::Cow;

use sha2::Digest as _;

use super::address::Parts;
use crate::jid::Jid;

/// One thing that is made of a text.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Filter {
    /// Upper case, of ASCII.
    Upper,
    /// Lower case, of ASCII.
    Lower,
    /// A digest of it.
    Digest(Digest),
    /// An address in its normal form.
    Prep,
    /// An address without its resource.
    Bare,
    /// The same; it is logged.
    Log,
}

/// A cryptographic digest, written in lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Digest {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-2, of so many bits.
    Sha224,
    /// See above.
    Sha256,
    /// See above.
    Sha384,
    /// See above.
    Sha512,
}

impl Filter {
    /// The filter of this name.
    pub fn parse(name: &str) -> Option<Filter> {
        Some(match name {
            "upper" => Filter::Upper,
            "lower" => Filter::Lower,
            "prep" => Filter::Prep,
            "bare" => Filter::Bare,
            "log" => Filter::Log,
            "md5" | "sha1" | "sha256" => Filter::Digest(Digest::parse(name)?),
            _ => return None,
        })
    }

    /// What it makes of a text. What is no address stays as it is.
    pub fn apply<'a>(self, text: Cow<'a, str>) -> Cow<'a, str> {
        match self {
            Filter::Upper if text.bytes().any(|byte| byte.is_ascii_lowercase()) => text.to_ascii_uppercase().into(),
            Filter::Lower if text.bytes().any(|byte| byte.is_ascii_uppercase()) => text.to_ascii_lowercase().into(),
            Filter::Upper | Filter::Lower => text,
            Filter::Digest(digest) => digest.of(text.as_bytes()).into(),
            Filter::Prep => match Jid::parse(&text) {
                Ok(jid) if jid.as_str() != text => Cow::Owned(jid.as_str().to_owned()),
                _ => text,
            },
            Filter::Bare => match text {
                Cow::Borrowed(text) => Parts::of(text).map_or(text, |parts| parts.bare).into(),
                Cow::Owned(text) => Parts::of(&text).map_or(&*text, |parts| parts.bare).to_owned().into(),
            },
            Filter::Log => {
                tracing::debug!(target: "firewall", text = %text, "a list is asked for");
                text
            }
        }
    }
}

impl Digest {
    /// The digest of this name.
    pub fn parse(name: &str) -> Option<Digest> {
        Some(match name {
            "md5" => Digest::Md5,
            "sha1" => Digest::Sha1,
            "sha224" => Digest::Sha224,
            "sha256" => Digest::Sha256,
            "sha384" => Digest::Sha384,
            "sha512" => Digest::Sha512,
            _ => return None,
        })
    }

    /// The digest of some bytes, in hexadecimal digits.
    pub fn of(self, bytes: &[u8]) -> String {
        match self {
            Digest::Md5 => hexadecimal(&md5::Md5::digest(bytes)),
            Digest::Sha1 => hexadecimal(&sha1::Sha1::digest(bytes)),
            Digest::Sha224 => hexadecimal(&sha2::Sha224::digest(bytes)),
            Digest::Sha256 => hexadecimal(&sha2::Sha256::digest(bytes)),
            Digest::Sha384 => hexadecimal(&sha2::Sha384::digest(bytes)),
            Digest::Sha512 => hexadecimal(&sha2::Sha512::digest(bytes)),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(names: &str, text: &str) -> String {
        let filters = names.split(' ').map(|name| Filter::parse(name).unwrap());
        filters.fold(Cow::Borrowed(text), |text, filter| filter.apply(text)).into_owned()
    }

    #[test]
    fn filters_are_applied_one_after_the_other() {
        assert_eq!(apply("bare lower", "A@R.example/zz"), "a@r.example");
        assert_eq!(apply("upper", "aé"), "Aé");
        assert_eq!(apply("prep", "A@EXAMPLE.org/R"), "a@example.org/R");
        assert_eq!(apply("bare prep log", "not an address @@"), "not an address @@");
        assert_eq!(apply("md5", "abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(apply("sha1", "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(apply("bare sha256", "a@b/c").starts_with("7508d8b5018ea640b85269861a101203"));
        assert_eq!(Filter::parse("nope"), None);
        assert_eq!(Digest::parse("sha512").unwrap().of(b"").len(), 128);
    }
}
