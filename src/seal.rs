//! Marks on what is given away and comes back, such as a form: whether this server has made it, without remembering it.
//! The key lives as long as the process: what is marked is good for minutes.

use subtle::ConstantTimeEq;

use crate::random;
use crate::sasl::Hash;

/// Makes marks, and looks at them.
pub struct Seal {
    key: [u8; 32],
}

impl Default for Seal {
    fn default() -> Seal {
        Seal { key: random::bytes() }
    }
}

impl Seal {
    /// The mark of these values, for this purpose.
    pub fn mark(&self, purpose: &str, values: &[&[u8]]) -> Vec<u8> {
        let mut sealed = purpose.as_bytes().to_vec();
        for value in values {
            // What stands in one value can then not be said to stand in another.
            sealed.extend_from_slice(&(value.len() as u64).to_be_bytes());
            sealed.extend_from_slice(value);
        }
        Hash::Sha256.hmac(&self.key, &sealed)
    }

    /// Whether this is the beginning of the mark of these values, of 16 bytes or more.
    pub fn begins_mark(&self, beginning: &[u8], purpose: &str, values: &[&[u8]]) -> bool {
        let mark = self.mark(purpose, values);
        let begins = mark.get(..beginning.len()).is_some_and(|own| own.ct_eq(beginning).into());
        begins && beginning.len() >= 16
    }

    /// Whether this is the mark of these values.
    pub fn is_mark(&self, mark: &[u8], purpose: &str, values: &[&[u8]]) -> bool {
        self.mark(purpose, values).ct_eq(mark).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_all_that_it_was_made_of() {
        let seal = Seal::default();
        let mark = seal.mark("a", &[b"bc", b"d"]);
        assert!(seal.is_mark(&mark, "a", &[b"bc", b"d"]));
        assert!(!seal.is_mark(&mark, "a", &[b"b", b"cd"]) && !seal.is_mark(&mark, "b", &[b"bc", b"d"]));
        let begins = |length: usize| seal.begins_mark(&mark[..length], "a", &[b"bc", b"d"]);
        assert!(begins(16) && begins(mark.len()) && !begins(15) && !begins(0));
        assert!(!seal.begins_mark(&[0; 16], "a", &[b"bc", b"d"]));
        assert!(!seal.is_mark(&mark[1..], "a", &[b"bc", b"d"]) && !seal.is_mark(b"", "a", &[b"bc", b"d"]));
        assert!(!Seal::default().is_mark(&mark, "a", &[b"bc", b"d"]), "of another process");
    }
}
