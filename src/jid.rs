//! XMPP addresses (RFC 7622), checked and normalised.
//!
//! What nearly every address is (lower-case ASCII) is only looked at, not copied. The rest goes through PRECIS (RFC
//! 8265) for the localpart and the resourcepart, and IDNA for the domainpart.

use std::borrow::Cow;
use std::fmt;

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped};

/// Bytes of one part at most (RFC 7622 §3.1).
const PART_BYTES_MAX: usize = 1023;

/// The same where there is more than ASCII in it: to normalise such a part takes time that grows with its square.
const NORMALISED_BYTES_MAX: usize = 256;

/// An address that is well-formed and in its normal form: `localpart@domainpart/resourcepart`, the first and the last
/// part optional.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Jid<'a> {
    text: Cow<'a, str>,
    /// Where the `@` stands, if there is a localpart.
    at: Option<u16>,
    /// Where the bare address ends.
    bare_end: u16,
}

/// Text that is not an address; the reason is for a log or an operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JidError {
    /// A part that may not be empty is.
    #[error("a part of the address is empty")]
    Empty,
    /// A part is longer than 1023 bytes, or than 256 if it has more than ASCII.
    #[error("a part of the address is too long")]
    TooLong,
    /// The part before the `@`.
    #[error("the part before the @ has characters that an address may not have")]
    Localpart,
    /// The domain.
    #[error("the domain is not one")]
    Domainpart,
    /// The part behind the `/`.
    #[error("the resource has characters that an address may not have")]
    Resourcepart,
}

impl<'a> Jid<'a> {
    /// Reads an address. Borrows when it is in normal form already.
    pub fn parse(text: &'a str) -> Result<Jid<'a>, JidError> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        let normal_local = local.map(localpart).transpose()?;
        let normal_domain = domainpart(domain)?;
        let normal_resource = resource.map(resourcepart).transpose()?;
        let at = normal_local.as_ref().map(|local| local.len());
        let bare_end = at.map_or(0, |at| at + 1) + normal_domain.len();
        let is_normal = local.map(str::len) == at
            && matches!(normal_local, None | Some(Cow::Borrowed(_)))
            && matches!(normal_domain, Cow::Borrowed(normal) if normal.len() == domain.len())
            && matches!(normal_resource, None | Some(Cow::Borrowed(_)));
        let text = if is_normal {
            Cow::Borrowed(text)
        } else {
            let mut text = normal_local.map(|local| format!("{local}@")).unwrap_or_default();
            text.push_str(&normal_domain);
            if let Some(resource) = normal_resource {
                text.push('/');
                text.push_str(&resource);
            }
            Cow::Owned(text)
        };
        // Each part is at most 1023 bytes.
        Ok(Jid { text, at: at.map(|at| at as u16), bare_end: bare_end as u16 })
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address without its resourcepart.
    pub fn bare(&self) -> &str {
        &self.text[..self.bare_end as usize]
    }

    /// The localpart.
    pub fn local(&self) -> Option<&str> {
        self.at.map(|at| &self.text[..at as usize])
    }

    /// The domainpart.
    pub fn domain(&self) -> &str {
        &self.text[self.at.map_or(0, |at| at as usize + 1)..self.bare_end as usize]
    }

    /// The resourcepart.
    pub fn resource(&self) -> Option<&str> {
        self.text.get(self.bare_end as usize + 1..)
    }

    /// Whether there is a resourcepart.
    pub fn is_full(&self) -> bool {
        self.text.len() > self.bare_end as usize
    }

    /// The same, owning its text.
    pub fn into_owned(self) -> Jid<'static> {
        Jid { text: Cow::Owned(self.text.into_owned()), at: self.at, bare_end: self.bare_end }
    }

    /// This address with another resource, which is in normal form already.
    pub fn with_resource(&self, resource: &str) -> Jid<'static> {
        let text = format!("{}/{resource}", self.bare());
        Jid { text: Cow::Owned(text), at: self.at, bare_end: self.bare_end }
    }

    /// This address without a resource.
    pub fn to_bare(&self) -> Jid<'static> {
        Jid { text: Cow::Owned(self.bare().to_owned()), at: self.at, bare_end: self.bare_end }
    }
}

impl fmt::Display for Jid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The bare address of an address in normal form.
pub fn bare_of(jid: &str) -> &str {
    jid.split_once('/').map_or(jid, |(bare, _)| bare)
}

/// The domain of a bare address in normal form.
pub fn domain_of(bare: &str) -> &str {
    bare.rsplit_once('@').map_or(bare, |(_, domain)| domain)
}

/// Normalises a localpart (RFC 7622 §3.3): UsernameCaseMapped, without the characters that addresses exclude.
pub fn localpart(text: &str) -> Result<Cow<'_, str>, JidError> {
    let is_excluded = |byte: u8| matches!(byte, b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@');
    check_length(text)?;
    if text.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && !byte.is_ascii_uppercase() && !is_excluded(byte)) {
        return Ok(Cow::Borrowed(text));
    }
    let normal = if text.is_ascii() {
        Cow::Owned(text.to_ascii_lowercase())
    } else if text.len() > NORMALISED_BYTES_MAX {
        return Err(JidError::TooLong);
    } else {
        UsernameCaseMapped::enforce(text).map_err(|_| JidError::Localpart)?
    };
    if normal.bytes().any(|byte| is_excluded(byte) || byte <= 0x20 || byte == 0x7f) {
        return Err(JidError::Localpart);
    }
    check_length(&normal)?;
    Ok(normal)
}

/// Normalises a domainpart (RFC 7622 §3.2): lower-case, U-labels, no final dot; or an IP address.
pub fn domainpart(text: &str) -> Result<Cow<'_, str>, JidError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    check_length(text)?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !label.starts_with("xn--")
    };
    if text.split('.').all(is_label) {
        return Ok(Cow::Borrowed(text));
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: std::net::Ipv6Addr = inner.parse().map_err(|_| JidError::Domainpart)?;
        return Ok(Cow::Owned(format!("[{address}]")));
    }
    let ascii = idna::domain_to_ascii_strict(text).map_err(|_| JidError::Domainpart)?;
    let (unicode, outcome) = idna::domain_to_unicode(&ascii);
    outcome.map_err(|_| JidError::Domainpart)?;
    check_length(&unicode)?;
    Ok(Cow::Owned(unicode))
}

/// Normalises a resourcepart (RFC 7622 §3.4): OpaqueString.
pub fn resourcepart(text: &str) -> Result<Cow<'_, str>, JidError> {
    check_length(text)?;
    if text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return Ok(Cow::Borrowed(text));
    }
    if text.len() > NORMALISED_BYTES_MAX {
        return Err(JidError::TooLong);
    }
    let normal = OpaqueString::enforce(text).map_err(|_| JidError::Resourcepart)?;
    check_length(&normal)?;
    Ok(normal)
}

fn check_length(part: &str) -> Result<(), JidError> {
    match part.len() {
        0 => Err(JidError::Empty),
        1..=PART_BYTES_MAX => Ok(()),
        _ => Err(JidError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_normal_is_borrowed() {
        for text in ["juliet@example.com", "juliet@example.com/Balcony 1", "example.com", "a.b-c@x1.example/ä"] {
            let jid = Jid::parse(text).unwrap();
            assert_eq!(jid.as_str(), text);
            assert!(text.contains('ä') || matches!(jid.text, Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn parts() {
        let jid = Jid::parse("foo@example.com/foo/bar@baz").unwrap();
        assert_eq!(jid.local(), Some("foo"));
        assert_eq!(jid.domain(), "example.com");
        assert_eq!(jid.resource(), Some("foo/bar@baz"));
        assert_eq!(jid.bare(), "foo@example.com");
        assert!(jid.is_full());
        let domain = Jid::parse("example.com").unwrap();
        assert_eq!((domain.local(), domain.domain(), domain.resource()), (None, "example.com", None));
    }

    /// RFC 7622 §3.5, tables 1 and 2, and normal forms.
    #[test]
    fn examples_of_rfc_7622() {
        let valid = [
            ("juliet@example.com", "juliet@example.com"),
            ("juliet@example.com/foo", "juliet@example.com/foo"),
            ("juliet@example.com/foo bar", "juliet@example.com/foo bar"),
            ("juliet@example.com/foo@bar", "juliet@example.com/foo@bar"),
            ("foo\\20bar@example.com", "foo\\20bar@example.com"),
            ("fussball@example.com", "fussball@example.com"),
            ("fu\u{df}ball@example.com", "fu\u{df}ball@example.com"),
            ("\u{3c0}@example.com", "\u{3c0}@example.com"),
            ("\u{3a3}@example.com/foo", "\u{3c3}@example.com/foo"),
            ("king@example.com/\u{265a}", "king@example.com/\u{265a}"),
            ("example.com/foobar", "example.com/foobar"),
            ("a.example.com/b@example.net", "a.example.com/b@example.net"),
            ("JULIET@EXAMPLE.COM./Foo", "juliet@example.com/Foo"),
            ("x@B\u{fc}cher.example", "x@b\u{fc}cher.example"),
            ("x@xn--bcher-kva.example", "x@b\u{fc}cher.example"),
            ("x@[2001:DB8::0:1]", "x@[2001:db8::1]"),
        ];
        for (text, normal) in valid {
            assert_eq!(Jid::parse(text).map(|jid| jid.to_string()).as_deref(), Ok(normal), "{text}");
        }
        let invalid = [
            "\"juliet\"@example.com",
            "foo bar@example.com",
            "juliet@example.com/",
            "@example.com",
            "henry\u{2163}@example.com",
            "\u{265a}@example.com",
            "juliet@",
            "/foobar",
            "",
            "juliet@exa mple.com",
            "juliet@-a-.example",
            "x@[::1",
            "juliet@example..com",
        ];
        for text in invalid {
            assert!(Jid::parse(text).is_err(), "{text}");
        }
        for (unit, times) in [("a", 1024), ("ä", 129)] {
            assert_eq!(Jid::parse(&format!("{}@example.com", unit.repeat(times))), Err(JidError::TooLong));
            assert_eq!(Jid::parse(&format!("example.com/{}", unit.repeat(times))), Err(JidError::TooLong));
        }
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own(text in "\\PC{0,40}") {
            if let Ok(jid) = Jid::parse(&text) {
                let again = Jid::parse(jid.as_str()).unwrap();
                prop_assert_eq!(again.as_str(), jid.as_str());
                prop_assert_eq!(again.bare(), jid.bare());
                prop_assert_eq!(again.resource(), jid.resource());
            }
        }
    }
}
