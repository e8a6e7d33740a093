//! Which passwords are good enough to be had.

use crate::stream::Refusal;

/// What passwords have to be like.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PasswordRules {
    /// The fewest characters.
    pub chars_min: usize,
    /// The least strength, from 0 (it is not looked at) to 4 (more than ten billion guesses).
    pub strength_min: u8,
}

/// Why a password is not good enough.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PasswordFault {
    /// It has too few characters.
    Short,
    /// It would be guessed soon.
    Weak,
}

impl PasswordRules {
    /// Whether a password, as it is prepared, is good enough for an account with this name on this domain. It takes
    /// some milliseconds: not for a shard.
    pub fn check(&self, password: &str, name: &str, domain: &str) -> Result<(), PasswordFault> {
        if password.chars().count() < self.chars_min {
            return Err(PasswordFault::Short);
        }
        let strength = || u8::from(zxcvbn::zxcvbn(password, &[name, domain, "xmpp", "jabber"]).score());
        if self.strength_min > 0 && strength() < self.strength_min {
            return Err(PasswordFault::Weak);
        }
        Ok(())
    }
}

impl From<PasswordFault> for Refusal {
    fn from(fault: PasswordFault) -> Refusal {
        // Some clients know these words, and show the fault where the password is typed.
        Refusal::not_acceptable().with_text(match fault {
            PasswordFault::Short => "Please use a longer password.",
            PasswordFault::Weak => "The password is too weak",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guessed_soon_is_refused() {
        let rules = PasswordRules { chars_min: 8, strength_min: 2 };
        let check = |password: &str| rules.check(password, "juliet", "capulet.example");
        assert_eq!(check("v3rona!"), Err(PasswordFault::Short));
        for weak in ["password1", "juliet1597", "capulet.example", "aaaaaaaaaaaa"] {
            assert_eq!(check(weak), Err(PasswordFault::Weak), "{weak}");
        }
        assert_eq!(check("wherefore art thou"), Ok(()));
        let short = PasswordRules { chars_min: 1, strength_min: 0 };
        assert_eq!(short.check("a", "juliet", "capulet.example"), Ok(()));
        assert_eq!(short.check("", "juliet", "capulet.example"), Err(PasswordFault::Short));
    }
}
