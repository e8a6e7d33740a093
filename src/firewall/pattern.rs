//! The patterns of Lua (reference manual §6.4.1), over bytes: what scripts compare text with.
//!
//! A pattern is read once, with every mistake found then. Matching goes back and forth as Lua's does, but never takes
//! more steps than its budget has: what is too dear does not match, and is counted.

use smallvec::SmallVec;

use super::beginning::Beginning;
use super::budget::Budget;
use super::pattern_syntax;

/// Captures of one pattern at most, as in Lua.
pub(super) const CAPTURES_MAX: usize = 32;

/// A pattern, ready to be matched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    pub(super) nodes: Box<[Node]>,
    /// Whether it matches only where the search begins.
    pub(super) is_anchored: bool,
    /// How many captures it has.
    pub(super) captures: u8,
    /// What every match begins with.
    pub(super) beginning: Beginning,
}

/// One step of a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Node {
    /// Some bytes that fit, one after the other.
    Run(Single, Times),
    /// The capture of this number begins; if its end never comes, it is a place and has no text.
    Open(u8),
    /// The capture of this number ends.
    Close(u8),
    /// The same text once more as the capture of this number has.
    Again(u8),
    /// From one byte to the other one that balances it.
    Balanced(u8, u8),
    /// Where the set begins to fit.
    Frontier(Box<Set>),
    /// The end of the text.
    End,
}

/// What fits one byte.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Single {
    Any,
    Byte(u8),
    Set(Box<Set>),
}

/// How many bytes may fit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Times {
    One,
    /// As many as there are, or fewer.
    Star,
    /// The same, and at least one.
    Plus,
    /// As few as will do.
    Minus,
    /// One or none.
    Optional,
}

/// A set of bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Set([u64; 4]);

impl Set {
    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) fn insert_all(&mut self, other: &Set) {
        self.0.iter_mut().zip(other.0).for_each(|(word, more)| *word |= more);
    }

    pub(super) fn invert(&mut self) {
        self.0.iter_mut().for_each(|word| *word = !*word);
    }
}

impl Single {
    #[inline]
    fn fits(&self, byte: u8) -> bool {
        match self {
            Single::Any => true,
            Single::Byte(expected) => byte == *expected,
            Single::Set(set) => set.has(byte),
        }
    }
}

/// Text that is no pattern, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// The last character is a lone `%`.
    #[error("the pattern ends with %")]
    EndsWithEscape,
    /// A set without its end.
    #[error("the pattern has a [ without its ]")]
    OpenSet,
    /// `%b` without two characters.
    #[error("%b has to be followed by two characters")]
    Balance,
    /// `%f` without a set.
    #[error("%f has to be followed by a set in brackets")]
    Frontier,
    /// A reference to a capture that is not complete at that place.
    #[error("the pattern refers to a capture that is not there")]
    NoSuchCapture,
    /// A `)` without its `(`.
    #[error("the pattern has a ) without its (")]
    Unopened,
    /// A `(` without its `)`.
    #[error("the pattern has a ( without its )")]
    Unclosed,
    /// More than 32.
    #[error("the pattern has more than 32 captures")]
    TooManyCaptures,
    /// More steps than any pattern needs.
    #[error("the pattern is too long")]
    TooLong,
}

/// Where a pattern has matched, from the first byte up to but without the second place, and what it yields: its first
/// capture, or all of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Match {
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What it yields.
    pub token: Token,
}

/// What a match yields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Token {
    /// The text between two places.
    Text(usize, usize),
    /// The number of a place, counted from 1.
    Place(usize),
}

impl Pattern {
    /// Reads a pattern that is searched for.
    pub fn parse(text: &[u8]) -> Result<Pattern, PatternError> {
        pattern_syntax::parse(text, true)
    }

    /// Reads a pattern all matches of which are asked for: a `^` at its front is nothing special then, as in Lua.
    pub fn parse_repeated(text: &[u8]) -> Result<Pattern, PatternError> {
        pattern_syntax::parse(text, false)
    }

    /// What every match begins with, if that is always the same.
    pub(super) fn prefix(&self) -> Option<&[u8]> {
        if self.is_anchored { None } else { self.beginning.text() }
    }

    /// Whether it matches somewhere.
    pub fn is_in(&self, text: &[u8], budget: &mut Budget) -> bool {
        budget.begin();
        self.find(text, 0, None, budget).is_some()
    }

    /// All matches, one after the other, none of which overlap.
    pub fn matches<'a>(&'a self, text: &'a [u8], budget: &'a mut Budget) -> Matches<'a> {
        budget.begin();
        Matches { pattern: self, text, budget, from: 0, last_end: None }
    }

    /// The first match from a place on, but for one that ends where another one has ended.
    fn find(&self, text: &[u8], from: usize, not_to: Option<usize>, budget: &mut Budget) -> Option<Match> {
        let mut start = from;
        let mut captures = Captures::default();
        loop {
            if !self.is_anchored {
                let (skipped, steps) = self.beginning.find(text.get(start..)?);
                if !budget.take(steps) {
                    return None;
                }
                start += skipped?;
            }
            if !budget.take(1) {
                return None;
            }
            let mut run = Run { nodes: &self.nodes, text, budget, captures: &mut captures };
            if let Some(end) = run.run(0, start)
                && not_to != Some(end)
            {
                let token = match self.captures {
                    0 => Token::Text(start, end),
                    _ => captures.first().map_or(Token::Text(start, end), |first| first.token()),
                };
                return Some(Match { start, end, token });
            }
            start += 1;
            if self.is_anchored || start > text.len() {
                return None;
            }
        }
    }
}

/// Steps that a match costs beside finding it: somebody looks at it.
const MATCH_STEPS: usize = 20;

/// The matches of a pattern in a text.
pub struct Matches<'a> {
    pattern: &'a Pattern,
    text: &'a [u8],
    budget: &'a mut Budget,
    from: usize,
    last_end: Option<usize>,
}

impl Iterator for Matches<'_> {
    type Item = Match;

    fn next(&mut self) -> Option<Match> {
        if self.from > self.text.len() {
            return None;
        }
        let found = self.pattern.find(self.text, self.from, self.last_end, self.budget);
        match found {
            Some(found) => (self.from, self.last_end) = (found.end, Some(found.end)),
            None => self.from = self.text.len() + 1,
        }
        found.filter(|_| self.budget.take(MATCH_STEPS))
    }
}

/// Captures by number. Those of few patterns are many.
type Captures = SmallVec<[Capture; 4]>;

/// What a capture has: a text, or a place.
#[derive(Clone, Copy, Debug, Default)]
struct Capture {
    start: usize,
    /// `None` for a place; as long as it is open too.
    end: Option<usize>,
}

impl Capture {
    fn token(self) -> Token {
        match self.end {
            Some(end) => Token::Text(self.start, end),
            None => Token::Place(self.start + 1),
        }
    }
}

/// One try at one place.
struct Run<'a> {
    nodes: &'a [Node],
    text: &'a [u8],
    budget: &'a mut Budget,
    captures: &'a mut Captures,
}

impl Run<'_> {
    /// Matches what is left of the pattern from its node of this number on, at this place. Calls itself once for each
    /// node that leaves a choice, and so as deep as the pattern is long. What a capture has of a way that led nowhere
    /// does not matter: every way passes through all that stands before.
    fn run(&mut self, node: usize, at: usize) -> Option<usize> {
        let (mut node, mut at) = (node, at);
        loop {
            if !self.budget.take(1) {
                return None;
            }
            let Some(step) = self.nodes.get(node) else { return Some(at) };
            match step {
                Node::Run(single, Times::One) => {
                    if !single.fits(*self.text.get(at)?) {
                        return None;
                    }
                    at += 1;
                }
                Node::Run(single, Times::Optional) => {
                    if self.text.get(at).is_some_and(|byte| single.fits(*byte))
                        && let Some(end) = self.run(node + 1, at + 1)
                    {
                        return Some(end);
                    }
                }
                Node::Run(single, Times::Minus) => return self.expand_little(single, node + 1, at),
                Node::Run(single, Times::Star) => return self.expand_much(single, 0, node + 1, at),
                Node::Run(single, Times::Plus) => return self.expand_much(single, 1, node + 1, at),
                Node::Open(number) => {
                    self.captures.truncate(usize::from(*number));
                    self.captures.push(Capture { start: at, end: None });
                }
                Node::Close(number) => self.captures.get_mut(usize::from(*number))?.end = Some(at),
                Node::Again(number) => {
                    let Capture { start, end } = *self.captures.get(usize::from(*number))?;
                    let again = self.text.get(start..end?)?;
                    if !self.budget.take(again.len()) || !self.text.get(at..)?.starts_with(again) {
                        return None;
                    }
                    at += again.len();
                }
                Node::Balanced(open, close) => at = self.balanced(*open, *close, at)?,
                Node::Frontier(set) => {
                    let before = at.checked_sub(1).and_then(|before| self.text.get(before)).copied().unwrap_or(0);
                    let here = self.text.get(at).copied().unwrap_or(0);
                    if set.has(before) || !set.has(here) {
                        return None;
                    }
                }
                Node::End => {
                    if at != self.text.len() {
                        return None;
                    }
                }
            }
            node += 1;
        }
    }

    fn expand_much(&mut self, single: &Single, least: usize, next: usize, at: usize) -> Option<usize> {
        let rest = self.text.get(at..)?;
        let most = match single {
            Single::Any => rest.len(),
            single => rest.iter().position(|byte| !single.fits(*byte)).unwrap_or(rest.len()),
        };
        if !self.budget.take(most / 4) {
            return None;
        }
        (least..=most).rev().find_map(|length| self.run(next, at + length))
    }

    fn expand_little(&mut self, single: &Single, next: usize, at: usize) -> Option<usize> {
        let mut at = at;
        loop {
            if let Some(end) = self.run(next, at) {
                return Some(end);
            }
            if !single.fits(*self.text.get(at)?) || self.budget.is_short() {
                return None;
            }
            at += 1;
        }
    }

    fn balanced(&mut self, open: u8, close: u8, at: usize) -> Option<usize> {
        let rest = self.text.get(at..)?;
        if rest.first() != Some(&open) {
            return None;
        }
        let mut depth = 1usize;
        for (place, byte) in rest.iter().enumerate().skip(1) {
            if *byte == close {
                depth -= 1;
                if depth == 0 {
                    return self.budget.take(place).then_some(at + place + 1);
                }
            } else if *byte == open {
                depth += 1;
            }
        }
        self.budget.take(rest.len());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(pattern: &str, text: &str) -> Option<(usize, usize)> {
        let pattern = Pattern::parse(pattern.as_bytes()).unwrap();
        let mut budget = Budget::default();
        budget.begin();
        let found = pattern.find(text.as_bytes(), 0, None, &mut budget)?;
        Some((found.start, found.end))
    }

    fn all(pattern: &str, text: &str) -> Vec<String> {
        let pattern = Pattern::parse_repeated(pattern.as_bytes()).unwrap();
        let show = |token| match token {
            Token::Text(start, end) => text[start..end].to_owned(),
            Token::Place(place) => place.to_string(),
        };
        pattern.matches(text.as_bytes(), &mut Budget::default()).map(|found| show(found.token)).collect()
    }

    /// What Lua 5.4 answers to `string.find`, places counted from 0 and the end without.
    #[test]
    fn patterns_match_as_in_lua() {
        type Row = (&'static str, &'static str, Option<(usize, usize)>);
        let rows: &[Row] = &[
            ("", "abc", Some((0, 0))),
            ("b", "abc", Some((1, 2))),
            ("^b", "abc", None),
            ("c$", "abc", Some((2, 3))),
            ("$c", "a$c", Some((1, 3))),
            ("a^b", "a^b", Some((0, 3))),
            (".", "", None),
            ("%a+", "12ab3", Some((2, 4))),
            ("%A+", "ab12", Some((2, 4))),
            ("%d%d", "a1b23", Some((3, 5))),
            ("%x+", "xyzBEEF", Some((3, 7))),
            ("%p", "a.b", Some((1, 2))),
            ("%s", "a\tb", Some((1, 2))),
            ("%w+$", "a bc9", Some((2, 5))),
            ("%g+", " a ", Some((1, 2))),
            ("%c", "a\u{1}", Some((1, 2))),
            ("%l%u", "aBc", Some((0, 2))),
            ("%%", "5%", Some((1, 2))),
            ("%q", "q", Some((0, 1))),
            ("[a-c]+", "xxabcd", Some((2, 5))),
            ("[^a-c]+", "abxyc", Some((2, 4))),
            ("[]]", "a]", Some((1, 2))),
            ("[^]]", "]a", Some((1, 2))),
            ("[a%-z]+", "b-az", Some((1, 4))),
            ("[%a-z]+", "q-", Some((0, 2))),
            ("[a-]", "-", Some((0, 1))),
            ("[%]]", "]", Some((0, 1))),
            ("[a-%]x]", "]", Some((0, 1))),
            ("[a-%]x]", "b", None),
            ("a*", "aaab", Some((0, 3))),
            ("a-b", "aaab", Some((0, 4))),
            ("a?b", "aab", Some((1, 3))),
            ("a+b", "b", None),
            (".-x", "axbx", Some((0, 2))),
            (".*x", "axbx", Some((0, 4))),
            ("(a)*", "a*", Some((0, 2))),
            ("(%a)%1", "abccd", Some((2, 4))),
            ("(a(b))%2", "abb", Some((0, 3))),
            ("(.)(.)%2%1", "xabba", Some((1, 5))),
            ("%b()", "f(a(b)c)d", Some((1, 8))),
            ("%b()", "f(a(b)c", Some((3, 6))),
            ("%bxx", "axbxc", Some((1, 4))),
            ("%f[%w]%w+", ".. word", Some((3, 7))),
            ("%f[%z]", "abc", Some((3, 3))),
            ("%f[a]a", "aab", Some((0, 1))),
            ("()b", "ab", Some((1, 2))),
            ("^(%w+)://([^/]+)", "http://x.org/y", Some((0, 12))),
            ("https?://", "see https://x", Some((4, 12))),
            ("a.-b.-c", "a1b2c3c", Some((0, 5))),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(find(pattern, text), *expected, "{pattern} in {text}");
        }
    }

    #[test]
    fn what_a_pattern_yields() {
        assert_eq!(all("%a+", "one two  three"), ["one", "two", "three"]);
        assert_eq!(all("(%w+)@%w+", "a@b c@d"), ["a", "c"]);
        assert_eq!(all("()a", "banana"), ["2", "4", "6"]);
        assert_eq!(all("a*", "baac"), ["", "aa", ""]);
        assert_eq!(all("x*", "ab"), ["", "", ""]);
        assert_eq!(all("^a", "a^a"), ["^a"], "as Lua's gmatch has it");
        assert_eq!(all("[^\n]+", "one\ntwo"), ["one", "two"]);
    }

    #[test]
    fn what_is_no_pattern_is_found_when_it_is_read() {
        for (text, error) in [
            ("%", PatternError::EndsWithEscape),
            ("a%", PatternError::EndsWithEscape),
            ("[", PatternError::OpenSet),
            ("[]", PatternError::OpenSet),
            ("[^]", PatternError::OpenSet),
            ("[a%]", PatternError::OpenSet),
            ("%b", PatternError::Balance),
            ("%bx", PatternError::Balance),
            ("%f", PatternError::Frontier),
            ("%fa", PatternError::Frontier),
            ("%1", PatternError::NoSuchCapture),
            ("(%1)", PatternError::NoSuchCapture),
            ("%0", PatternError::NoSuchCapture),
            (")", PatternError::Unopened),
            ("(a", PatternError::Unclosed),
        ] {
            assert_eq!(Pattern::parse(text.as_bytes()), Err(error), "{text}");
        }
        assert_eq!(Pattern::parse("()".repeat(33).as_bytes()), Err(PatternError::TooManyCaptures));
        assert!(Pattern::parse("()".repeat(32).as_bytes()).is_ok());
        assert_eq!(Pattern::parse("a-".repeat(5_000).as_bytes()), Err(PatternError::TooLong));
    }

    #[test]
    fn nothing_takes_longer_than_its_budget() {
        let text = "a".repeat(10_000);
        for pattern in [
            "a-a-a-a-a-a-a-b",
            "a*a*a*a*a*a*a*b",
            ".*.*.*.*.*b",
            "(a*)*%1b",
            "(.-)(.-)(.-)%1%2%3b",
            "(.-)%b()%b()",
            "a?a?a?a?a?a?a?a?a?a?a?a?b",
            "[ab]-[ab]-[ab]-c",
        ] {
            let pattern = Pattern::parse(pattern.as_bytes()).unwrap();
            let mut budget = Budget::default();
            assert!(!pattern.is_in(text.as_bytes(), &mut budget));
            assert!(budget.is_spent());
            pattern.is_in(b"aaab()()c", &mut budget);
            assert!(!budget.is_short(), "there is a share of it for another text");
        }
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(pattern in "[a-c%().*+\\-?\\[\\]^$bf12]{0,12}", text in "[a-c()1 ]{0,24}") {
            if let Ok(pattern) = Pattern::parse_repeated(pattern.as_bytes()) {
                let mut budget = Budget::default();
                for found in pattern.matches(text.as_bytes(), &mut budget) {
                    prop_assert!(found.start <= found.end && found.end <= text.len());
                    if let Token::Text(start, end) = found.token {
                        prop_assert!(start <= end && end <= text.len());
                    }
                }
            }
        }

        #[test]
        fn literals_are_found_where_they_are(literal in "[a-z]{1,3}", text in "[a-z]{0,20}") {
            let found = find(&literal, &text);
            prop_assert_eq!(found.map(|found| found.0), text.find(&literal));
        }
    }
}
