//! Where a match of a pattern can begin: most of a text is passed over by that.

use aho_corasick::{AhoCorasick, packed};
use memchr::memmem::Finder;
use memchr::{memchr, memchr2, memchr3};

use super::pattern::{Node, Set, Single, Times};

/// What every match begins with.
#[derive(Clone, Debug)]
pub(super) enum Beginning {
    /// This text.
    Text(Box<Finder<'static>>),
    /// One of these bytes, one to three; the last one is repeated.
    Few(u8, [u8; 3]),
    /// One of many bytes.
    Many(Box<Set>),
    /// Whatever there is, or nothing.
    Anything,
}

/// Bytes that are passed over for what a step costs.
const FEW_FOR_A_STEP: usize = 128;
const MANY_FOR_A_STEP: usize = 8;

impl Beginning {
    /// Of what these match.
    pub fn of(nodes: &[Node]) -> Beginning {
        let text = text(nodes);
        if !text.is_empty() {
            return Beginning::Text(Box::new(Finder::new(&text).into_owned()));
        }
        match bytes(nodes) {
            None => Beginning::Anything,
            Some(set) => {
                let mut bytes = (0..=255).filter(|byte| set.has(*byte));
                let first = [bytes.next(), bytes.next(), bytes.next()];
                match (first, bytes.next()) {
                    ([Some(a), Some(b), Some(c)], None) => Beginning::Few(3, [a, b, c]),
                    ([Some(a), Some(b), None], None) => Beginning::Few(2, [a, b, b]),
                    ([Some(a), None, None], None) => Beginning::Few(1, [a, a, a]),
                    _ => Beginning::Many(Box::new(set)),
                }
            }
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&[u8]> {
        if let Beginning::Text(finder) = self { Some(finder.needle()) } else { None }
    }

    /// Where the next match can begin, at the earliest, and how many steps it takes to know. The end, if nowhere.
    #[inline]
    pub fn find(&self, text: &[u8]) -> (Option<usize>, usize) {
        let (found, bytes_for_a_step) = match self {
            Beginning::Text(finder) => (finder.find(text), FEW_FOR_A_STEP),
            Beginning::Few(1, [a, ..]) => (memchr(*a, text), FEW_FOR_A_STEP),
            Beginning::Few(2, [a, b, _]) => (memchr2(*a, *b, text), FEW_FOR_A_STEP),
            Beginning::Few(_, [a, b, c]) => (memchr3(*a, *b, *c, text), FEW_FOR_A_STEP),
            Beginning::Many(set) => (text.iter().position(|byte| set.has(*byte)), MANY_FOR_A_STEP),
            Beginning::Anything => return (Some(0), 0),
        };
        (found, found.unwrap_or(text.len()) / bytes_for_a_step)
    }
}

/// What the matches of several patterns begin with: whether any of it is in a text.
#[derive(Debug)]
pub struct Beginnings(Searcher);

#[derive(Debug)]
enum Searcher {
    /// By comparing many bytes at a time.
    Few(packed::Searcher),
    Many(AhoCorasick),
}

impl Beginnings {
    /// Of these texts, none of which is empty. None if there are too many to be searched together.
    pub fn of(mut texts: Vec<&[u8]>) -> Option<Beginnings> {
        texts.sort_unstable();
        // What begins with another one is found with that.
        texts.dedup_by(|text, before| text.starts_with(before));
        let few = packed::Config::new().builder().extend(&texts).build();
        Some(Beginnings(match few {
            Some(searcher) => Searcher::Few(searcher),
            None => Searcher::Many(AhoCorasick::new(&texts).ok()?),
        }))
    }

    /// Whether one of them is in a text.
    #[inline]
    pub fn is_in(&self, text: &[u8]) -> bool {
        match &self.0 {
            Searcher::Few(searcher) => searcher.find(text).is_some(),
            Searcher::Many(searcher) => searcher.is_match(text),
        }
    }
}

impl PartialEq for Beginning {
    /// It follows from the pattern.
    fn eq(&self, _: &Beginning) -> bool {
        true
    }
}

impl Eq for Beginning {}

/// The text that every match of these begins with.
fn text(nodes: &[Node]) -> Vec<u8> {
    let mut text = Vec::new();
    for node in nodes {
        match node {
            Node::Open(_) | Node::Close(_) => {}
            Node::Run(Single::Byte(byte), Times::One) => text.push(*byte),
            Node::Run(Single::Byte(byte), Times::Plus) => {
                text.push(*byte);
                break;
            }
            Node::Balanced(open, _) => {
                text.push(*open);
                break;
            }
            _ => break,
        }
    }
    text
}

/// The bytes one of which every match of these begins with; none if it can begin with anything, or be empty.
fn bytes(nodes: &[Node]) -> Option<Set> {
    let mut bytes = Set::default();
    for node in nodes {
        match node {
            Node::Open(_) | Node::Close(_) => {}
            Node::Run(single, times) => {
                match single {
                    Single::Any => return None,
                    Single::Byte(byte) => bytes.insert(*byte),
                    Single::Set(set) => bytes.insert_all(set),
                }
                if matches!(times, Times::One | Times::Plus) {
                    return Some(bytes);
                }
            }
            Node::Balanced(open, _) => {
                bytes.insert(*open);
                return Some(bytes);
            }
            // The end of the text counts as a byte of value 0.
            Node::Frontier(set) if !set.has(0) => {
                bytes.insert_all(set);
                return Some(bytes);
            }
            Node::Frontier(_) | Node::Again(_) | Node::End => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::Pattern;

    #[test]
    fn a_match_begins_with_what_the_pattern_says() {
        for (pattern, expected) in [
            ("https?://", "http"),
            ("(a)b+c", "ab"),
            ("[Bb]uy", "B or b"),
            ("[aA4]b", "4, A or a"),
            ("a?b", "a or b"),
            ("x*[yz]", "x, y or z"),
            ("%d+", "10 bytes"),
            ("%f[%a]%a", "52 bytes"),
            ("%f[^%a]", "anything"),
            ("%b()", "("),
            ("a*", "anything"),
            (".-x", "anything"),
            ("", "anything"),
            ("()$", "anything"),
        ] {
            let pattern = Pattern::parse(pattern.as_bytes()).unwrap();
            let byte = |byte: &u8| char::from(*byte);
            let found = match &pattern.beginning {
                Beginning::Text(finder) => String::from_utf8_lossy(finder.needle()).into_owned(),
                Beginning::Few(1, [a, ..]) => byte(a).to_string(),
                Beginning::Few(2, [a, b, _]) => format!("{} or {}", byte(a), byte(b)),
                Beginning::Few(_, [a, b, c]) => format!("{}, {} or {}", byte(a), byte(b), byte(c)),
                Beginning::Many(set) => format!("{} bytes", (0..=255).filter(|byte| set.has(*byte)).count()),
                Beginning::Anything => "anything".into(),
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn beginnings_are_found_wherever_they_stand_whether_few_or_many() {
        let many: Vec<String> = (0..500).map(|number| format!("{number:03}x")).collect();
        for texts in [vec!["buy", "http", "buying", "buy"], many.iter().map(|text| &**text).collect()] {
            let beginnings = Beginnings::of(texts.iter().map(|text| text.as_bytes()).collect()).unwrap();
            for length in 0..70 {
                let filler = "b".repeat(length);
                assert!(!beginnings.is_in(filler.as_bytes()));
                for text in texts.iter().rev().take(4) {
                    assert!(beginnings.is_in(format!("{filler}{text}").as_bytes()), "{length} {text}");
                    assert!(beginnings.is_in(format!("{text}{filler}").as_bytes()), "{length} {text}");
                    assert!(!beginnings.is_in(format!("{filler}{}", &text[..2]).as_bytes()), "{length} {text}");
                }
            }
        }
    }

    #[test]
    fn what_is_passed_over_costs_little() {
        let text = [b'.'; 3200];
        for (pattern, steps) in [("a", 25), ("[ab]c", 25), ("%a", 400), (".a", 0)] {
            let pattern = Pattern::parse(pattern.as_bytes()).unwrap();
            assert_eq!(pattern.beginning.find(&text).1, steps);
        }
    }
}
