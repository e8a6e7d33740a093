//! The owner of data: the partition key that every write carries.

use std::fmt;

/// The longest local or domain part in bytes (RFC 7622 §3.2 and §3.3 allow 1,023 octets each).
pub const PART_BYTES_MAX: usize = 1023;

/// Who a piece of data belongs to: a name within a domain, or a domain itself.
///
/// The parts are taken as they come: whoever makes an owner has normalised them before. As a key an owner is
/// `domain 0x00 local`, the domain first, so that one range holds all owners of one domain and a listing by domain
/// need not look at the others. Neither part can contain the byte 0x00, therefore no owner's range runs into another's.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Owner {
    // The key itself, in one allocation, because every write carries an owner.
    key: Box<str>,
    domain_bytes: u16,
}

/// Why a pair of strings is not an [`Owner`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OwnerError {
    /// The domain part is missing.
    #[error("the domain is empty")]
    NoDomain,
    /// `@domain`: a separator without a name before it.
    #[error("the name before '@' is empty")]
    NoLocal,
    /// A part is longer than [`PART_BYTES_MAX`].
    #[error("a part is longer than {PART_BYTES_MAX} bytes")]
    TooLong,
    /// A part contains 0x00, `@` or `/`, which separate parts.
    #[error("a part contains a NUL byte, '@' or '/'")]
    Separator,
}

impl Owner {
    /// The owner `local@domain`; an empty `local` means the domain itself.
    pub fn new(local: &str, domain: &str) -> Result<Owner, OwnerError> {
        if domain.is_empty() {
            return Err(OwnerError::NoDomain);
        }
        for part in [local, domain] {
            if part.len() > PART_BYTES_MAX {
                return Err(OwnerError::TooLong);
            }
            if part.bytes().any(|byte| matches!(byte, 0 | b'@' | b'/')) {
                return Err(OwnerError::Separator);
            }
        }
        let Ok(domain_bytes) = u16::try_from(domain.len()) else { return Err(OwnerError::TooLong) };
        Ok(Owner { key: [domain, local].join("\0").into(), domain_bytes })
    }

    /// Reads `local@domain` or `domain`.
    pub fn parse(bare: &str) -> Result<Owner, OwnerError> {
        match bare.split_once('@') {
            Some(("", _)) => Err(OwnerError::NoLocal),
            Some((local, domain)) => Owner::new(local, domain),
            None => Owner::new("", bare),
        }
    }

    /// The owner of what belongs to the store as a whole: a domain that is none.
    pub(crate) fn nobody() -> Owner {
        Owner { key: ".\0".into(), domain_bytes: 1 }
    }

    /// The name within the domain; empty when the owner is the domain itself.
    pub fn local(&self) -> &str {
        &self.key[usize::from(self.domain_bytes) + 1..]
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        &self.key[..usize::from(self.domain_bytes)]
    }

    /// The key `owner 0x00 rest`.
    pub(crate) fn key(&self, rest: &[u8]) -> Vec<u8> {
        let mut key = self.encode(rest.len() + 1);
        key.push(0);
        key.extend_from_slice(rest);
        key
    }

    /// How long the key `owner 0x00` is.
    pub(crate) fn key_bytes(&self) -> usize {
        self.key.len() + 1
    }

    /// Appends the key `owner 0x00`.
    pub(crate) fn append_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.key.as_bytes());
        out.push(0);
    }

    /// The first key after everything that belongs to this owner.
    pub(crate) fn end(&self) -> Vec<u8> {
        let mut key = self.encode(1);
        key.push(1);
        key
    }

    /// `domain 0x00 local`, with room for `spare` more bytes.
    pub(crate) fn encode(&self, spare: usize) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.key.len() + spare);
        key.extend_from_slice(self.key.as_bytes());
        key
    }

    /// First key and first key after all owners of `domain`.
    pub(crate) fn domain_range(domain: &str) -> (Vec<u8>, Vec<u8>) {
        let mut from = domain.as_bytes().to_vec();
        let mut to = from.clone();
        from.push(0);
        to.push(1);
        (from, to)
    }

    /// Reads `domain 0x00 local`, the inverse of [`Owner::encode`].
    pub(crate) fn decode(bytes: &[u8]) -> Option<Owner> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (domain, local) = text.split_once('\0')?;
        Owner::new(local, domain).ok()
    }

    /// Splits a key `owner 0x00 rest`.
    pub(crate) fn split_key(key: &[u8]) -> Option<(Owner, &[u8])> {
        let domain_end = key.iter().position(|&byte| byte == 0)?;
        let local_end = domain_end + 1 + key[domain_end + 1..].iter().position(|&byte| byte == 0)?;
        Some((Owner::decode(&key[..local_end])?, &key[local_end + 1..]))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (local, domain) = (self.local(), self.domain());
        if local.is_empty() { f.write_str(domain) } else { write!(f, "{local}@{domain}") }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bare_addresses_are_read_and_shown() {
        let owner = Owner::parse("juliet@example.org").unwrap();
        assert_eq!((owner.local(), owner.domain()), ("juliet", "example.org"));
        assert_eq!(owner.to_string(), "juliet@example.org");
        assert_eq!(Owner::parse("example.org").unwrap().to_string(), "example.org");
        assert_eq!(Owner::parse("@example.org"), Err(OwnerError::NoLocal));
        assert_eq!(Owner::parse("juliet@"), Err(OwnerError::NoDomain));
        assert_eq!(Owner::parse("a@b@c"), Err(OwnerError::Separator));
        assert_eq!(Owner::parse("a@b/c"), Err(OwnerError::Separator));
        assert_eq!(Owner::new("a\0b", "c"), Err(OwnerError::Separator));
        assert_eq!(Owner::new(&"a".repeat(PART_BYTES_MAX + 1), "c"), Err(OwnerError::TooLong));
    }

    proptest! {
        #[test]
        fn keys_split_into_what_made_them(local in "[^\0@/]{0,20}", domain in "[^\0@/]{1,20}", rest: Vec<u8>) {
            let owner = Owner::new(&local, &domain).unwrap();
            let key = owner.key(&rest);
            prop_assert_eq!(Owner::split_key(&key), Some((owner.clone(), &rest[..])));
            prop_assert!(key < owner.end());
        }

        #[test]
        fn no_key_lies_in_the_range_of_another_owner(
            a in "[^\0@/]{0,3}", b in "[^\0@/]{0,3}", c in "[^\0@/]{1,3}", d in "[^\0@/]{1,3}", rest: Vec<u8>,
        ) {
            let (one, two) = (Owner::new(&a, &c).unwrap(), Owner::new(&b, &d).unwrap());
            let key = one.key(&rest);
            prop_assert_eq!(key >= two.key(b"") && key < two.end(), one == two);
            let (from, to) = Owner::domain_range(&d);
            prop_assert_eq!(key >= from && key < to, c == d);
        }
    }
}
