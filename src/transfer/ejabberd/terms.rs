//! Erlang terms as a program writes them to a text file (`~p`), one after the other, each with a full stop behind it.

use std::io::{BufRead, ErrorKind};

/// How deep terms may stand within each other.
const DEPTH_MAX: usize = 256;

/// Bytes that one term may have: far more than any server lets an account keep in one piece.
const TERM_BYTES_MAX: usize = 64 << 20;

/// A term.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A name.
    Atom(String),
    /// A number without a fraction.
    Integer(i64),
    /// Bytes: a binary, or a list that is shown as a text.
    Bytes(Vec<u8>),
    /// `[A, B]`.
    List(Vec<Term>),
    /// `{A, B}`.
    Tuple(Vec<Term>),
    /// What nothing here is kept as: fractions, large numbers, maps, functions, processes.
    Other,
}

impl Term {
    /// Reads a term, without the full stop. What is wrong with it, if anything is.
    pub fn parse(text: &[u8]) -> Result<Term, String> {
        let mut parser = Parser { text, at: 0 };
        let term = parser.term(0)?;
        match parser.peek() {
            None => Ok(term),
            Some(_) => Err(parser.wrong("the end is expected")),
        }
    }

    /// As text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Term::Bytes(bytes) = self { std::str::from_utf8(bytes).ok() } else { None }
    }

    /// As a name, if it is one.
    pub fn atom(&self) -> Option<&str> {
        if let Term::Atom(name) = self { Some(name) } else { None }
    }

    /// As a number that is not negative, if it is one.
    pub fn number(&self) -> Option<u64> {
        if let Term::Integer(number) = self { u64::try_from(*number).ok() } else { None }
    }

    /// What a list has; nothing, if it is none.
    pub fn list(&self) -> &[Term] {
        if let Term::List(terms) = self { terms } else { &[] }
    }

    /// What a tuple has; nothing, if it is none.
    pub fn tuple(&self) -> &[Term] {
        if let Term::Tuple(terms) = self { terms } else { &[] }
    }
}

/// Where a file cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// The line, from 1 on.
    pub line: u64,
    /// Why not.
    pub text: String,
}

/// Reads the texts of terms, one after the other.
pub struct Terms<R> {
    input: R,
    /// Bytes before what is read next.
    offset: u64,
    /// Lines that have begun.
    line: u64,
    /// The line in which the last term has begun.
    begun: u64,
}

/// Where in a text a reader is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    /// Before a term.
    Before,
    /// In a term, outside of quotes.
    Within,
    /// Behind what may be a full stop.
    Dot,
    /// In quotes of this kind.
    Quoted(u8),
    /// The same, behind a backslash.
    Escaped(u8),
}

impl<R: BufRead> Terms<R> {
    /// Of an input that has so many bytes before it.
    pub fn new(input: R, offset: u64) -> Terms<R> {
        Terms { input, offset, line: 1, begun: 1 }
    }

    /// The line in which the last term has begun, from 1 on, counted from where the reader has.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Puts the text of the next term, without its full stop, in place of what is in `text`. Where it begins, or none
    /// if there is no other.
    pub fn read(&mut self, text: &mut Vec<u8>) -> Result<Option<u64>, Unreadable> {
        text.clear();
        let mut begin = self.offset;
        self.begun = self.line;
        let mut state = State::Before;
        loop {
            let bytes = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Unreadable { line: self.begun, text: error.to_string() }),
            };
            if bytes.is_empty() {
                return match state {
                    State::Before => Ok(None),
                    State::Dot => {
                        text.pop();
                        Ok(Some(begin))
                    }
                    _ => Err(Unreadable { line: self.begun, text: "it ends in the middle of a term".into() }),
                };
            }
            let mut taken = 0;
            let mut is_whole = false;
            for &byte in bytes {
                taken += 1;
                self.line += u64::from(byte == b'\n');
                state = match (state, byte) {
                    (State::Before, byte) if byte.is_ascii_whitespace() => {
                        begin = self.offset + taken as u64;
                        self.begun = self.line;
                        continue;
                    }
                    (State::Dot, byte) if byte.is_ascii_whitespace() => {
                        is_whole = true;
                        break;
                    }
                    (State::Before | State::Within | State::Dot, b'"' | b'\'') => State::Quoted(byte),
                    (State::Before | State::Within | State::Dot, b'.') => State::Dot,
                    (State::Before | State::Within | State::Dot, _) => State::Within,
                    (State::Quoted(quote), b'\\') => State::Escaped(quote),
                    (State::Quoted(quote), byte) if byte == quote => State::Within,
                    (State::Quoted(quote) | State::Escaped(quote), _) => State::Quoted(quote),
                };
                text.push(byte);
            }
            self.input.consume(taken);
            self.offset += taken as u64;
            if is_whole {
                break;
            }
            if text.len() > TERM_BYTES_MAX {
                return Err(Unreadable { line: self.begun, text: "a term is larger than 64 MiB".into() });
            }
        }
        text.pop();
        Ok(Some(begin))
    }
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Parser<'t> {
    fn term(&mut self, depth: usize) -> Result<Term, String> {
        if depth >= DEPTH_MAX {
            return Err(self.wrong("terms stand too deep within each other"));
        }
        match self.peek() {
            Some(b'{') => Ok(Term::Tuple(self.terms(b'}', depth)?)),
            Some(b'[') => Ok(Term::List(self.terms(b']', depth)?)),
            Some(b'<') => self.angle(),
            Some(b'"') => Ok(Term::Bytes(self.strings()?)),
            Some(b'\'') => {
                let name = String::from_utf8(self.quoted(b'\'')?);
                name.map(Term::Atom).map_err(|_| self.wrong("a name is no UTF-8"))
            }
            Some(b'#') => self.hash(depth),
            Some(b'-' | b'0'..=b'9') => Ok(self.number()),
            Some(b'a'..=b'z') => {
                let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@');
                Ok(Term::Atom(String::from_utf8_lossy(self.take_while(is_of_name)).into_owned()))
            }
            _ => Err(self.wrong("a term is expected")),
        }
    }

    /// Terms with commas between them, up to this byte.
    fn terms(&mut self, close: u8, depth: usize) -> Result<Vec<Term>, String> {
        self.at += 1;
        let mut terms = Vec::new();
        while self.peek() != Some(close) {
            terms.push(self.term(depth + 1)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                // The rest of a list that ends with something else than the empty one.
                Some(b'|') if close == b']' => self.at += 1,
                Some(byte) if byte == close => {}
                _ => return Err(self.wrong("a comma is expected")),
            }
        }
        self.at += 1;
        Ok(terms)
    }

    /// A binary, or a process, which is written between single brackets.
    fn angle(&mut self) -> Result<Term, String> {
        if self.text.get(self.at + 1) != Some(&b'<') {
            return self.until_bracket();
        }
        self.at += 2;
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => bytes.extend(self.strings()?),
                Some(b'0'..=b'9') => match self.number() {
                    Term::Integer(byte @ 0..=255) => bytes.push(byte as u8),
                    _ => return Err(self.wrong("a byte is expected")),
                },
                Some(b',') => self.at += 1,
                // Quotes that hold characters instead of bytes.
                Some(b'/') => {
                    self.at += 1;
                    self.take_while(|byte| byte.is_ascii_alphanumeric());
                }
                Some(b'>') if self.text.get(self.at + 1) == Some(&b'>') => {
                    self.at += 2;
                    return Ok(Term::Bytes(bytes));
                }
                _ => return Err(self.wrong("a byte is expected")),
            }
        }
    }

    /// A map, a record, a function or a reference, of which nothing is kept.
    fn hash(&mut self, depth: usize) -> Result<Term, String> {
        self.at += 1;
        self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if self.peek() != Some(b'{') {
            return self.until_bracket();
        }
        self.at += 1;
        while self.peek() != Some(b'}') {
            self.term(depth + 1)?;
            // Between a key and its value, or between the next key and both.
            self.peek();
            self.take_while(|byte| matches!(byte, b'=' | b'>' | b','));
        }
        self.at += 1;
        Ok(Term::Other)
    }

    fn until_bracket(&mut self) -> Result<Term, String> {
        match self.text[self.at..].iter().position(|byte| *byte == b'>') {
            Some(length) => {
                self.at += length + 1;
                Ok(Term::Other)
            }
            None => Err(self.wrong("> is expected")),
        }
    }

    fn number(&mut self) -> Term {
        let is_of_number = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let text = String::from_utf8_lossy(self.take_while(is_of_number)).into_owned();
        text.parse().map_or(Term::Other, Term::Integer)
    }

    /// A text, in as many pairs of quotes as it has needed lines.
    fn strings(&mut self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        while self.peek() == Some(b'"') {
            bytes.extend(self.quoted(b'"')?);
        }
        Ok(bytes)
    }

    /// What is between quotes, of which the first is next.
    fn quoted(&mut self, quote: u8) -> Result<Vec<u8>, String> {
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                byte if byte == quote => return Ok(bytes),
                b'\\' => self.escape(&mut bytes)?,
                byte => bytes.push(byte),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let byte = match self.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'e' => 0x1b,
            b's' => b' ',
            b'd' => 0x7f,
            first @ b'0'..=b'7' => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    match self.text.get(self.at) {
                        Some(digit @ b'0'..=b'7') => value = value * 8 + u32::from(digit - b'0'),
                        _ => break,
                    }
                    self.at += 1;
                }
                value as u8
            }
            b'x' => return self.character(bytes),
            byte => byte,
        };
        bytes.push(byte);
        Ok(())
    }

    /// A character, or a byte, by its number: `\x{1F600}`.
    fn character(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let is_in_braces = self.text.get(self.at) == Some(&b'{');
        self.at += usize::from(is_in_braces);
        let digits = match is_in_braces {
            true => self.take_while(|byte| byte.is_ascii_hexdigit()),
            false => {
                let digits: &'t [u8] = self.text.get(self.at..self.at + 2).unwrap_or_default();
                self.at += digits.len();
                digits
            }
        };
        let number = std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(character) = number.and_then(char::from_u32) else { return Err(self.wrong("no character")) };
        if is_in_braces && self.next()? != b'}' {
            return Err(self.wrong("} is expected"));
        }
        match u8::try_from(character) {
            // So are bytes written as well.
            Ok(byte) if !is_in_braces => bytes.push(byte),
            _ => bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        Ok(())
    }

    /// The next byte that is no white space, which stays.
    fn peek(&mut self) -> Option<u8> {
        self.take_while(|byte| byte.is_ascii_whitespace());
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.text.get(self.at).copied().ok_or_else(|| self.wrong("more is expected"))?;
        self.at += 1;
        Ok(byte)
    }

    fn take_while(&mut self, is_taken: impl Fn(u8) -> bool) -> &'t [u8] {
        let rest: &'t [u8] = &self.text[self.at..];
        let length = rest.iter().position(|byte| !is_taken(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} at byte {} of a term", self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Term {
        Term::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn terms_are_read_as_they_are_written() {
        let atom = |name: &str| Term::Atom(name.into());
        for (text, expected) in [
            ("never", atom("never")),
            ("'Blocked contacts'", atom("Blocked contacts")),
            ("rd@localhost", atom("rd@localhost")),
            ("-12", Term::Integer(-12)),
            ("1.5e3", Term::Other),
            ("123456789012345678901234567890", Term::Other),
            ("<<>>", bytes("")),
            ("<<\"a \\\"b\\\" \\\\ \\n\\303\\274\">>", bytes("a \"b\" \\ \nü")),
            ("<<\"jürgen\">>", bytes("jürgen")),
            ("<<\"long \"\n  \"text\">>", bytes("long text")),
            ("<<\"\\x{65E5}\\x{fc}\"/utf8>>", bytes("日ü")),
            ("<<\"\\xC3\\xBC\">>", bytes("ü")),
            ("<<230,151,165>>", bytes("日")),
            ("\"text\"", bytes("text")),
            ("[]", Term::List(Vec::new())),
            ("[a|b]", Term::List(vec![atom("a"), atom("b")])),
            ("{ a,\n  [1, {}] }", {
                let list = Term::List(vec![Term::Integer(1), Term::Tuple(Vec::new())]);
                Term::Tuple(vec![atom("a"), list])
            }),
            ("#{a => 1,<<\"b\">> => {c}}", Term::Other),
            ("#Fun<erl_eval.44.65746770>", Term::Other),
            ("<0.123.0>", Term::Other),
        ] {
            assert_eq!(Term::parse(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_term_is_told() {
        let deep = "[".repeat(100_000);
        for text in
            ["", "{a", "{a b}", "<<\"a>>", "<<256>>", "\"\\x{110000}\"", "\"\\x", "Abc", "a b", "#{a", "<0.1", &deep]
        {
            assert!(Term::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_of_terms_end_with_a_full_stop() {
        let text = "{a,1.5,\"b. \\\". c\"}.\n\n'd. e'.\nf.";
        let mut terms = Terms::new(text.as_bytes(), 100);
        let mut found = Vec::new();
        let mut term = Vec::new();
        while let Some(offset) = terms.read(&mut term).unwrap() {
            let from = offset as usize - 100;
            assert_eq!(&text.as_bytes()[from..from + term.len()], term);
            found.push(String::from_utf8(term.clone()).unwrap());
        }
        assert_eq!(found, ["{a,1.5,\"b. \\\". c\"}", "'d. e'", "f"]);
        assert_eq!(terms.begun(), 4);
        let error = Terms::new(&b"a.\n{b,"[..], 0);
        let mut ends = |mut terms: Terms<&[u8]>| {
            terms.read(&mut term).unwrap();
            terms.read(&mut term).unwrap_err()
        };
        assert_eq!(ends(error).line, 2);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_ends(text in "[\\[\\]{}<>#,.|'\"\\\\x0-9a-f \n]{0,40}") {
            let _ = Term::parse(text.as_bytes());
            let mut terms = Terms::new(text.as_bytes(), 0);
            let mut term = Vec::new();
            while let Ok(Some(_)) = terms.read(&mut term) {}
        }
    }
}
