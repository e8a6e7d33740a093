//! Under which names nobody registers: those of the service itself and what looks like them, names that are too short,
//! and whatever an operator does not want. An operator who adds an account is not asked.

use std::collections::HashSet;

use regex::{Regex, RegexSet};

use crate::names::skeleton;
use crate::stream::Refusal;

/// Names that are a service's own, or are taken for it.
pub const RESERVED_NAMES: [&str; 25] = [
    "abuse",
    "admin",
    "administrator",
    "hostmaster",
    "info",
    "news",
    "noc",
    "operator",
    "owner",
    "postmaster",
    "register",
    "registration",
    "root",
    "security",
    "service",
    "signup",
    "support",
    "sysadmin",
    "sysop",
    "system",
    "test",
    "trouble",
    "webmaster",
    "www",
    "xmpp",
];

/// What names have to be like.
#[derive(Debug, Default)]
pub struct NameRules {
    /// Names that nobody gets.
    reserved: HashSet<String>,
    /// What they look like.
    reserved_skeletons: HashSet<String>,
    /// Patterns that no name may have anywhere.
    refused: RegexSet,
    /// A pattern that every name must be as a whole.
    required: Option<Regex>,
    /// The fewest characters.
    chars_min: usize,
}

/// Why a name is not to be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameFault {
    /// It has too few characters; so many are needed.
    Short(usize),
    /// It is reserved, or looks like a name that is.
    Reserved,
    /// It has what no name may have, or not what every name must have.
    Refused,
}

impl NameRules {
    /// Rules of an operator. Patterns are regular expressions that hold for names as they are stored, in lower case.
    pub fn new(
        reserved: impl IntoIterator<Item = String>,
        refused: RegexSet,
        required: Option<Regex>,
        chars_min: usize,
    ) -> NameRules {
        let reserved: HashSet<String> = reserved.into_iter().collect();
        let reserved_skeletons = reserved.iter().map(|name| skeleton(name)).collect();
        NameRules { reserved, reserved_skeletons, refused, required, chars_min }
    }

    /// Whether somebody may register under a name: a localpart in normal form.
    pub fn check(&self, name: &str) -> Result<(), NameFault> {
        if name.chars().count() < self.chars_min {
            return Err(NameFault::Short(self.chars_min));
        }
        if self.reserved.contains(name) || self.reserved_skeletons.contains(&skeleton(name)) {
            return Err(NameFault::Reserved);
        }
        let is_whole =
            |pattern: &Regex| pattern.find(name).is_some_and(|found| found.start() == 0 && found.end() == name.len());
        if self.refused.is_match(name) || !self.required.as_ref().is_none_or(is_whole) {
            return Err(NameFault::Refused);
        }
        Ok(())
    }
}

impl From<NameFault> for Refusal {
    fn from(fault: NameFault) -> Refusal {
        let text = match fault {
            NameFault::Short(least) => format!("A name has {least} characters at least."),
            NameFault::Reserved => "This name is reserved.".into(),
            NameFault::Refused => "This name is not possible here.".into(),
        };
        Refusal::not_acceptable().with_text(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(refused: &[&str], required: Option<&str>) -> NameRules {
        let reserved = RESERVED_NAMES.map(str::to_owned);
        let required = required.map(|pattern| Regex::new(pattern).unwrap());
        NameRules::new(reserved, RegexSet::new(refused).unwrap(), required, 3)
    }

    #[test]
    fn reserved_names_and_their_like_are_not_given_away() {
        let rules = rules(&[], None);
        for name in ["admin", "аdmin", "abuse", "r00t", "supp0rt", "ѕupport"] {
            assert_eq!(rules.check(name), Err(NameFault::Reserved), "{name}");
        }
        for name in ["juliet", "administration", "ромео", "r2d2"] {
            assert_eq!(rules.check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn short_names_count_characters_and_not_bytes() {
        let rules = rules(&[], None);
        assert_eq!([rules.check("jo"), rules.check("жю")], [Err(NameFault::Short(3)); 2]);
        assert_eq!(rules.check("жюл"), Ok(()));
    }

    #[test]
    fn patterns_refuse_parts_and_demand_the_whole() {
        let rules = rules(&["^bot", r"\d{4}"], Some("[a-z0-9.]+"));
        for name in ["bottom", "rose1597", "josé"] {
            assert_eq!(rules.check(name), Err(NameFault::Refused), "{name}");
        }
        assert_eq!(rules.check("robot.159"), Ok(()));
    }
}
