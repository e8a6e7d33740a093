//! Names and passwords as an operator types them, brought into the one form that is compared, stored and hashed.

use crate::jid::{self, Jid};
use crate::sasl::{self, PASSWORD_BYTES_MAX};

/// A domain in normal form. An error says what would be right.
pub fn domain(text: &str) -> Result<String, String> {
    let normal = jid::domainpart(text).map_err(|_| "a domain, such as example.org".to_owned())?;
    Ok(normal.into_owned())
}

/// The bare address of an account in normal form. An error says what would be right.
pub fn account(text: &str) -> Result<Jid<'static>, String> {
    let jid = Jid::parse(text).ok().filter(|jid| jid.local().is_some() && !jid.is_full());
    jid.map(Jid::into_owned).ok_or_else(|| "the address of an account, such as juliet@example.org".to_owned())
}

/// A password as it is hashed. An error says what would be right.
pub fn password(text: &str) -> Result<String, String> {
    match sasl::prepare_password(text) {
        Some(password) if password.len() <= PASSWORD_BYTES_MAX => Ok(password),
        Some(_) => Err(format!("a password has {PASSWORD_BYTES_MAX} bytes at most")),
        None if text.is_empty() => Err("a password is not empty".into()),
        None => Err("a password has no control characters".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        assert_eq!(domain("Example.ORG."), Ok("example.org".into()));
        assert_eq!(domain("xn--bcher-kva.example"), Ok("bücher.example".into()));
        for wrong in ["", ".", "a..b", "a b.org", "user@example.org", "a/b"] {
            assert_eq!(domain(wrong), Err("a domain, such as example.org".into()), "{wrong}");
        }
        assert_eq!(account("Juliet@Example.org").unwrap().as_str(), "juliet@example.org");
        for wrong in ["", "@", "example.org", "@example.org", "a@", "a b@c.org", "a@b/c"] {
            assert!(account(wrong).unwrap_err().starts_with("the address of an account"), "{wrong}");
        }
    }

    #[test]
    fn passwords_keep_their_case_and_blanks() {
        assert_eq!(password(" Correct horse "), Ok(" Correct horse ".into()));
        assert_eq!(password("a\u{3000}b"), Ok("a b".into()));
        for wrong in ["", "a\tb", "a\u{0}b", &"a".repeat(1025)] {
            assert!(password(wrong).is_err(), "{wrong:?}");
        }
    }
}
