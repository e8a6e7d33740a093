//! Reading a pattern of Lua.

use super::beginning::Beginning;
use super::pattern::{CAPTURES_MAX, Node, Pattern, PatternError, Set, Single, Times};

/// Steps of one pattern at most: matching calls itself as deep.
const NODES_MAX: usize = 1_000;

/// Reads a pattern. `^` at its front means where the search begins only if that is `anchors`.
pub(super) fn parse(text: &[u8], anchors: bool) -> Result<Pattern, PatternError> {
    let (is_anchored, rest) = match text {
        [b'^', rest @ ..] if anchors => (true, rest),
        _ => (false, text),
    };
    let mut reader = Reader { rest, nodes: Vec::new(), open: Vec::new(), closed: Vec::new() };
    reader.read()?;
    if !reader.open.is_empty() {
        return Err(PatternError::Unclosed);
    }
    let (nodes, captures) = (reader.nodes, reader.closed.len() as u8);
    let beginning = Beginning::of(&nodes);
    Ok(Pattern { nodes: nodes.into(), is_anchored, captures, beginning })
}

struct Reader<'a> {
    rest: &'a [u8],
    nodes: Vec<Node>,
    /// Numbers of the captures that have no end yet.
    open: Vec<u8>,
    /// Whether each capture so far has its end.
    closed: Vec<bool>,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), PatternError> {
        while let Some((&byte, rest)) = self.rest.split_first() {
            if self.nodes.len() >= NODES_MAX {
                return Err(PatternError::TooLong);
            }
            let node = match (byte, rest) {
                (b'(', [b')', rest @ ..]) => {
                    self.rest = rest;
                    Node::Open(self.capture(true)?)
                }
                (b'(', rest) => {
                    self.rest = rest;
                    Node::Open(self.capture(false)?)
                }
                (b')', rest) => {
                    let number = self.open.pop().ok_or(PatternError::Unopened)?;
                    self.closed[usize::from(number)] = true;
                    self.rest = rest;
                    Node::Close(number)
                }
                (b'$', []) => {
                    self.rest = rest;
                    Node::End
                }
                (b'%', [b'b', rest @ ..]) => {
                    let [open, close, rest @ ..] = rest else { return Err(PatternError::Balance) };
                    self.rest = rest;
                    Node::Balanced(*open, *close)
                }
                (b'%', [b'f', rest @ ..]) => {
                    let [b'[', rest @ ..] = rest else { return Err(PatternError::Frontier) };
                    self.rest = rest;
                    Node::Frontier(Box::new(self.set()?))
                }
                (b'%', [digit @ b'0'..=b'9', rest @ ..]) => {
                    self.rest = rest;
                    let number = (digit - b'0').checked_sub(1).ok_or(PatternError::NoSuchCapture)?;
                    if self.closed.get(usize::from(number)) != Some(&true) {
                        return Err(PatternError::NoSuchCapture);
                    }
                    Node::Again(number)
                }
                _ => {
                    let single = self.single()?;
                    Node::Run(single, self.times())
                }
            };
            self.nodes.push(node);
        }
        Ok(())
    }

    /// The number of one more capture.
    fn capture(&mut self, is_place: bool) -> Result<u8, PatternError> {
        let number = self.closed.len();
        if number >= CAPTURES_MAX {
            return Err(PatternError::TooManyCaptures);
        }
        self.closed.push(is_place);
        if !is_place {
            self.open.push(number as u8);
        }
        Ok(number as u8)
    }

    fn single(&mut self) -> Result<Single, PatternError> {
        let Some((&byte, rest)) = self.rest.split_first() else { return Ok(Single::Any) };
        self.rest = rest;
        Ok(match byte {
            b'.' => Single::Any,
            b'[' => Single::Set(Box::new(self.set()?)),
            b'%' => {
                let (&class, rest) = self.rest.split_first().ok_or(PatternError::EndsWithEscape)?;
                self.rest = rest;
                match class_of(class) {
                    Some(set) => Single::Set(Box::new(set)),
                    None => Single::Byte(class),
                }
            }
            byte => Single::Byte(byte),
        })
    }

    fn times(&mut self) -> Times {
        let times = match self.rest.first() {
            Some(b'*') => Times::Star,
            Some(b'+') => Times::Plus,
            Some(b'-') => Times::Minus,
            Some(b'?') => Times::Optional,
            _ => return Times::One,
        };
        self.rest = &self.rest[1..];
        times
    }

    /// What stands within the brackets of a set. A `]` at the front, and one behind a `%`, do not end it.
    fn within_set(&mut self) -> Result<&[u8], PatternError> {
        let mut end = 0;
        loop {
            let length = if self.rest.get(end) == Some(&b'%') { 2 } else { 1 };
            end += length;
            if *self.rest.get(end).ok_or(PatternError::OpenSet)? == b']' {
                let (inner, rest) = self.rest.split_at(end);
                self.rest = &rest[1..];
                return Ok(inner);
            }
        }
    }

    /// The set behind a `[`.
    fn set(&mut self) -> Result<Set, PatternError> {
        let mut set = Set::default();
        let is_inverted = self.rest.first() == Some(&b'^');
        if is_inverted {
            self.rest = &self.rest[1..];
        }
        let mut inner = self.within_set()?;
        while let Some((&byte, rest)) = inner.split_first() {
            inner = match (byte, rest) {
                (b'%', [class, rest @ ..]) => {
                    match class_of(*class) {
                        Some(class) => set.insert_all(&class),
                        None => set.insert(*class),
                    }
                    rest
                }
                (from, [b'-', to, rest @ ..]) => {
                    (from..=*to).for_each(|byte| set.insert(byte));
                    rest
                }
                (byte, rest) => {
                    set.insert(byte);
                    rest
                }
            };
        }
        if is_inverted {
            set.invert();
        }
        Ok(set)
    }
}

/// The class of a letter behind a `%`; none for what stands for itself.
fn class_of(letter: u8) -> Option<Set> {
    let is_in: fn(&u8) -> bool = match letter.to_ascii_lowercase() {
        b'a' => u8::is_ascii_alphabetic,
        b'c' => u8::is_ascii_control,
        b'd' => u8::is_ascii_digit,
        b'g' => u8::is_ascii_graphic,
        b'l' => u8::is_ascii_lowercase,
        b'p' => u8::is_ascii_punctuation,
        // C counts the vertical tab.
        b's' => |byte| byte.is_ascii_whitespace() || *byte == 0x0b,
        b'u' => u8::is_ascii_uppercase,
        b'w' => u8::is_ascii_alphanumeric,
        b'x' => u8::is_ascii_hexdigit,
        b'z' => |byte| *byte == 0,
        _ => return None,
    };
    let mut set = Set::default();
    (0..=255).filter(is_in).for_each(|byte| set.insert(byte));
    if letter.is_ascii_uppercase() {
        set.invert();
    }
    Some(set)
}
