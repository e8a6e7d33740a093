//! Addresses as scripts take them apart and compare them (`TO`, `FROM`, `|bare` and the like): by the characters that
//! part them alone, without a look at what may stand between.

use super::budget::Budget;
use super::pattern::{Pattern, PatternError};

/// The parts of an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parts<'a> {
    /// The part before the `@`.
    pub node: Option<&'a str>,
    /// The domain.
    pub host: &'a str,
    /// The part behind the `/`.
    pub resource: Option<&'a str>,
    /// The address without its resource.
    pub bare: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes an address apart. None of one in which a part is empty, or that has a second `@`.
    #[inline]
    pub fn of(jid: &'a str) -> Option<Parts<'a>> {
        let bytes = jid.as_bytes();
        let slash = memchr::memchr(b'/', bytes);
        let (bare, resource) = match slash {
            Some(slash) => (jid.get(..slash)?, Some(jid.get(slash + 1..)?)),
            None => (jid, None),
        };
        let (node, host) = match memchr::memchr(b'@', bare.as_bytes()) {
            Some(at) => (Some(bare.get(..at)?), bare.get(at + 1..)?),
            None => (None, bare),
        };
        let is_empty = node == Some("") || host.is_empty() || resource == Some("");
        (!is_empty && memchr::memchr(b'@', host.as_bytes()).is_none()).then_some(Parts { node, host, resource, bare })
    }
}

/// What an address is compared with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddressPattern {
    /// `None`: there is no such part.
    node: Option<PartPattern>,
    host: PartPattern,
    /// `None`: whatever it is.
    resource: Option<PartPattern>,
    /// Whether it is an address at all; otherwise nothing but the lack of one fits.
    is_valid: bool,
}

/// What one part is compared with.
#[derive(Clone, Debug, Eq, PartialEq)]
enum PartPattern {
    Literal(Box<str>),
    /// It is there.
    Any,
    Glob(Box<str>),
    Pattern(Pattern),
}

impl AddressPattern {
    /// Reads `node@host/resource`, each part a literal, `<a glob>` or `<<a pattern>>`.
    pub fn parse(text: &str) -> Result<AddressPattern, PatternError> {
        let (node, rest) = split_outside(text, b'@').map_or((None, text), |(node, rest)| (Some(node), rest));
        let (host, resource) = split_outside(rest, b'/').map_or((rest, None), |(host, rest)| (host, Some(rest)));
        // A slash before the @ makes what follows a resource.
        let (node, host, resource) = match node.and_then(|node| split_outside(node, b'/')) {
            Some((host, _)) => (None, host, text.get(host.len() + 1..)),
            None => (node, host, resource),
        };
        let has_empty_part = [node, Some(host), resource].contains(&Some(""));
        let is_valid = !has_empty_part && (host.starts_with('<') || !host.contains('@'));
        Ok(AddressPattern {
            node: node.map(PartPattern::parse).transpose()?,
            host: PartPattern::parse(host)?,
            resource: resource.map(PartPattern::parse).transpose()?,
            is_valid,
        })
    }

    /// The node and the host, if nothing but addresses with exactly these fit; the host alone, whatever the node has to
    /// be.
    pub fn literals(&self) -> Option<(Option<&str>, &str)> {
        let PartPattern::Literal(host) = &self.host else { return None };
        match &self.node {
            _ if !self.is_valid => None,
            Some(PartPattern::Literal(node)) => Some((Some(node), host)),
            _ => Some((None, host)),
        }
    }

    /// Whether an address fits; `None` for none.
    #[inline]
    pub fn fits(&self, parts: Option<&Parts<'_>>, budget: &mut Budget) -> bool {
        let Some(parts) = parts else { return !self.is_valid };
        let node = match (&self.node, parts.node) {
            (None, None) => true,
            (Some(pattern), Some(node)) => pattern.fits(node, budget),
            _ => false,
        };
        node && self.is_valid
            && self.host.fits(parts.host, budget)
            && match (&self.resource, parts.resource) {
                (None, _) => true,
                (Some(pattern), Some(resource)) => pattern.fits(resource, budget),
                (Some(_), None) => false,
            }
    }
}

/// Splits at the first such byte that does not stand within angle brackets.
fn split_outside(text: &str, byte: u8) -> Option<(&str, &str)> {
    let mut depth = 0usize;
    for (place, found) in text.bytes().enumerate() {
        match found {
            b'<' => depth += 1,
            b'>' => depth = depth.saturating_sub(1),
            found if found == byte && depth == 0 => return Some((text.get(..place)?, text.get(place + 1..)?)),
            _ => {}
        }
    }
    None
}

impl PartPattern {
    fn parse(text: &str) -> Result<PartPattern, PatternError> {
        let within = |open: &str, close: &str| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(pattern) = within("<<", ">>") {
            // The whole part has to fit, whether the pattern says so itself or not.
            let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
            let end = if pattern.ends_with('$') && !pattern.ends_with("%$") { "" } else { "$" };
            let anchored = format!("^{pattern}{end}");
            return Pattern::parse(anchored.as_bytes()).map(PartPattern::Pattern);
        }
        Ok(match within("<", ">") {
            Some("*") => PartPattern::Any,
            Some(glob) => PartPattern::Glob(glob.into()),
            None => PartPattern::Literal(text.into()),
        })
    }

    #[inline]
    fn fits(&self, part: &str, budget: &mut Budget) -> bool {
        match self {
            PartPattern::Literal(literal) => **literal == *part,
            PartPattern::Any => true,
            PartPattern::Glob(glob) => fits_glob(glob.as_bytes(), part.as_bytes(), budget),
            PartPattern::Pattern(pattern) => pattern.is_in(part.as_bytes(), budget),
        }
    }
}

/// Whether a whole text fits a glob: `*` is any run of bytes, `?` one byte.
fn fits_glob(glob: &[u8], text: &[u8], budget: &mut Budget) -> bool {
    budget.begin();
    let (mut at, mut place) = (0, 0);
    // Where to go on when the present way is wrong: behind the last star, one byte later than before.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        if !budget.take(1) {
            return false;
        }
        match glob.get(at) {
            Some(b'*') => {
                at += 1;
                star = Some((at, place));
            }
            Some(expected) if *expected == b'?' || *expected == text[place] => {
                at += 1;
                place += 1;
            }
            _ => match &mut star {
                Some((behind, from)) => {
                    *from += 1;
                    (at, place) = (*behind, *from);
                }
                None => return false,
            },
        }
    }
    glob.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(pattern: &str, jid: &str) -> bool {
        let pattern = AddressPattern::parse(pattern).unwrap();
        pattern.fits(Parts::of(jid).as_ref(), &mut Budget::default())
    }

    #[test]
    fn addresses_are_taken_apart() {
        let parts = Parts::of("a@b/c@d/e").unwrap();
        assert_eq!((parts.node, parts.host, parts.resource, parts.bare), (Some("a"), "b", Some("c@d/e"), "a@b"));
        let parts = Parts::of("b/c").unwrap();
        assert_eq!((parts.node, parts.host, parts.resource, parts.bare), (None, "b", Some("c"), "b"));
        for none in ["a@b@c", "@b", "a@", "b/", "", "/c", "a@/c"] {
            assert_eq!(Parts::of(none), None, "{none}");
        }
    }

    #[test]
    fn every_part_that_is_given_has_to_fit() {
        let rows = [
            ("local.example", "local.example/x", true),
            ("local.example", "u@local.example", false),
            ("<*>@local.example", "u@local.example/r", true),
            ("<*>@local.example", "local.example", false),
            ("u@local.example", "u@local.example/zz", true),
            ("U@local.example", "u@local.example", false),
            ("u@local.example/r", "u@local.example", false),
            ("<*>@<*>/<*>", "a@b/c", true),
            ("<*>@<*>/<*>", "a@b", false),
            ("<?>@<*.example>", "a@r.example/x", true),
            ("<a?>@r.example", "a@r.example", false),
            ("<<%a>>@<<.*%.example>>", "a@r.example", true),
            ("<<%a>>@<<.*%.example>>", "ab@r.example", false),
            ("<<%a+>>@b/<<[@/]>>", "abc@b//", true),
            ("<<^%a$>>@b", "a@b", true),
            ("<<a%$>>@b", "a$@b", true),
            ("<<a%$>>@b", "a$b@b", false),
            ("b/a@c", "b/a@c", true),
            ("b/a@c", "a@c", false),
        ];
        for (pattern, jid, expected) in rows {
            assert_eq!(fits(pattern, jid), expected, "{pattern} and {jid}");
        }
    }

    #[test]
    fn what_is_no_address_fits_only_the_lack_of_one() {
        for pattern in ["a@", "@b", "a@b@c", ""] {
            let pattern = AddressPattern::parse(pattern).unwrap();
            let mut budget = Budget::default();
            assert!(pattern.fits(None, &mut budget));
            assert!(!pattern.fits(Parts::of("a@b").as_ref(), &mut budget));
        }
        assert!(!AddressPattern::parse("a@b").unwrap().fits(None, &mut Budget::default()));
        assert!(AddressPattern::parse("<<[>>@b").is_err());
    }

    proptest! {
        #[test]
        fn globs_are_regular_expressions(glob in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let expression = format!("^{}$", glob.replace('*', ".*").replace('?', "."));
            let expected = regex::Regex::new(&expression).unwrap().is_match(&text);
            prop_assert_eq!(fits_glob(glob.as_bytes(), text.as_bytes(), &mut Budget::default()), expected);
        }
    }
}
