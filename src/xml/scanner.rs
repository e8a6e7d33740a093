//! The scanner: one pass over the bytes of one element, from its `<` to its last `>`, that checks everything XML 1.0
//! and Namespaces in XML ask for and leaves the index of a frame behind.
//!
//! It stops wherever the input ends and goes on there when more has come; no byte is looked at twice.

use super::XmlError::{self, NotWellFormed, PolicyViolation, RestrictedXml};
use super::classes::{self, Decoded, NAME, NAME_START, SPACE};
use super::limits::Bounds;
use super::reference;
use super::scope::Scope;
use super::skip;
use super::work::{ChildAt, Name, Open, Span, State, Work};

/// Where the scanner is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// At the end of the start tag.
    StartTag,
    /// At the end of the element.
    EndTag,
}

/// Whether the element is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    Incomplete,
    Complete,
}

/// Reads on in `input`, whose first byte is the element's `<`. When the element is complete, it ends before `work.at`.
pub(super) fn scan(
    work: &mut Work,
    input: &[u8],
    bounds: &Bounds,
    scope: Option<&Scope>,
    until: Until,
) -> Result<Scanned, XmlError> {
    let most = bounds.stanza_bytes as usize;
    let within = input.get(..most).unwrap_or(input);
    let scanned = Scanner { work, input: within, bounds, scope, until }.run()?;
    // Judged after the bytes that are within the limit, so that the same mistake is found however the bytes come.
    if scanned == Scanned::Incomplete && input.len() > most {
        return Err(PolicyViolation("this stanza is larger than the limit"));
    }
    Ok(scanned)
}

pub(super) struct Scanner<'a> {
    pub(super) work: &'a mut Work,
    pub(super) input: &'a [u8],
    pub(super) bounds: &'a Bounds,
    pub(super) scope: Option<&'a Scope>,
    pub(super) until: Until,
}

/// What a step of the scanner led to.
pub(super) enum Step {
    Go,
    /// The input ends here.
    Starved,
    /// The element does.
    Done,
}

type Stepped = Result<Step, XmlError>;

impl Scanner<'_> {
    fn run(mut self) -> Result<Scanned, XmlError> {
        loop {
            let step = match self.work.state {
                State::Less => self.less()?,
                State::Markup => self.markup()?,
                State::ElementName => self.element_name()?,
                State::InTag => self.in_tag()?,
                State::Slash => self.slash()?,
                State::AttributeName => self.attribute_name()?,
                State::Equals => self.equals()?,
                State::Quote => self.quote()?,
                State::Value => self.value()?,
                State::Reference => self.reference()?,
                State::Text => self.text()?,
                State::CData => self.cdata()?,
                State::EndName => self.end_name()?,
                State::EndSpace => self.end_space()?,
            };
            match step {
                Step::Go => {}
                Step::Starved => return Ok(Scanned::Incomplete),
                Step::Done => return Ok(Scanned::Complete),
            }
        }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.input.get(self.work.at).copied()
    }

    #[inline(always)]
    fn rest(&self, from: usize) -> &[u8] {
        self.input.get(from..).unwrap_or_default()
    }

    /// Passes over white space and answers the byte behind it.
    #[inline(always)]
    fn skip_space(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            if !classes::is(byte, SPACE) {
                return Some(byte);
            }
            self.work.at += 1;
        }
    }

    /// Behind a `<`.
    #[inline(always)]
    fn less(&mut self) -> Stepped {
        let at = self.work.at;
        match self.peek() {
            None => return Ok(Step::Starved),
            Some(b'/') => {
                self.work.at = at + 1;
                self.work.token = at + 1;
                self.work.state = State::EndName;
            }
            Some(b'!') => self.work.state = State::Markup,
            Some(b'?') => return Err(RestrictedXml("processing instructions are not allowed")),
            Some(_) => {
                if self.work.open.len() >= self.bounds.depth as usize {
                    return Err(PolicyViolation("elements are nested too deeply"));
                }
                if !self.work.open.is_empty() {
                    self.work.elements += 1;
                    if self.work.elements > self.bounds.children {
                        return Err(PolicyViolation("too many elements in one stanza"));
                    }
                }
                self.work.tag = at - 1;
                self.work.token = at;
                self.work.local = at;
                self.work.seen = 0;
                self.work.prefixed = 0;
                self.work.outer_bindings = self.work.bindings.len() as u32;
                self.work.attributes.truncate(self.work.top_attributes);
                self.work.state = State::ElementName;
            }
        }
        Ok(Step::Go)
    }

    /// Behind `<`, at a `!`: a CDATA section, or something forbidden.
    fn markup(&mut self) -> Stepped {
        const CDATA: &[u8] = b"![CDATA[";
        let rest = self.rest(self.work.at);
        if rest.starts_with(CDATA) {
            if self.work.open.is_empty() {
                return Err(NotWellFormed("a CDATA section outside of any element"));
            }
            self.work.at += CDATA.len();
            self.work.state = State::CData;
            return Ok(Step::Go);
        }
        match rest {
            [b'!', b'-', b'-', ..] => Err(RestrictedXml("comments are not allowed")),
            [b'!', letter, ..] if letter.is_ascii_alphabetic() => {
                Err(RestrictedXml("document type declarations are not allowed"))
            }
            [b'!'] | [b'!', b'-'] => Ok(Step::Starved),
            _ if CDATA.starts_with(rest) => Ok(Step::Starved),
            _ => Err(NotWellFormed("this is no markup")),
        }
    }

    /// Reads on in a qualified name, up to the byte behind it; `None` where the input ends before.
    #[inline(always)]
    fn name(&mut self) -> Result<Option<Name>, XmlError> {
        let mut at = self.work.at;
        loop {
            if at == self.work.local {
                match self.input.get(at) {
                    None => break,
                    Some(&byte) if classes::is(byte, NAME_START) => at += 1,
                    Some(&byte) if byte < 0x80 => return Err(NotWellFormed("this is no name")),
                    Some(_) => match classes::decode(self.rest(at)) {
                        Decoded::Character(character, length) if classes::is_name_start(character) => at += length,
                        Decoded::Partial => break,
                        Decoded::Invalid => return Err(INVALID_UTF8),
                        Decoded::Character(..) => return Err(NotWellFormed("this is no name")),
                    },
                }
            }
            at += classes::run(self.rest(at), NAME);
            match self.input.get(at) {
                None => break,
                Some(b':') if self.work.local == self.work.token => {
                    at += 1;
                    self.work.local = at;
                }
                Some(b':') => return Err(NotWellFormed("two colons in one name")),
                Some(&byte) if byte < 0x80 => {
                    self.work.at = at;
                    let local = self.work.local as u32;
                    return Ok(Some(Name { span: Span::new(self.work.token, at), local }));
                }
                Some(_) => match classes::decode(self.rest(at)) {
                    Decoded::Character(character, length) if classes::is_name(character) => at += length,
                    Decoded::Partial => break,
                    Decoded::Invalid => return Err(INVALID_UTF8),
                    Decoded::Character(..) => return Err(NotWellFormed("this is no name")),
                },
            }
        }
        self.work.at = at;
        Ok(None)
    }

    #[inline(always)]
    fn element_name(&mut self) -> Stepped {
        let Some(name) = self.name()? else { return Ok(Step::Starved) };
        self.work.element = name;
        self.work.state = State::InTag;
        Ok(Step::Go)
    }

    /// Within a start tag, behind a name or a value.
    #[inline(always)]
    fn in_tag(&mut self) -> Stepped {
        match self.skip_space() {
            None => Ok(Step::Starved),
            Some(b'>') => {
                self.work.at += 1;
                self.start_tag_ends(false)
            }
            Some(b'/') => {
                self.work.at += 1;
                self.work.state = State::Slash;
                Ok(Step::Go)
            }
            Some(_) => {
                let at = self.work.at;
                if !self.input.get(at - 1).is_some_and(|&byte| classes::is(byte, SPACE)) {
                    return Err(NotWellFormed("attributes are not separated by white space"));
                }
                self.work.token = at;
                self.work.local = at;
                self.work.state = State::AttributeName;
                Ok(Step::Go)
            }
        }
    }

    /// Behind the `/` of an empty-element tag.
    #[inline(always)]
    fn slash(&mut self) -> Stepped {
        match self.peek() {
            None => Ok(Step::Starved),
            Some(b'>') => {
                self.work.at += 1;
                self.start_tag_ends(true)
            }
            Some(_) => Err(NotWellFormed("a slash within a start tag")),
        }
    }

    #[inline(always)]
    fn attribute_name(&mut self) -> Stepped {
        let Some(name) = self.name()? else { return Ok(Step::Starved) };
        self.work.attribute = name;
        // What nearly every attribute looks like goes on at once.
        let at = self.work.at;
        match self.rest(at) {
            [b'=', quote @ (b'\'' | b'"'), ..] => self.value_begins(at + 2, *quote),
            _ => self.work.state = State::Equals,
        }
        Ok(Step::Go)
    }

    fn equals(&mut self) -> Stepped {
        match self.skip_space() {
            None => Ok(Step::Starved),
            Some(b'=') => {
                self.work.at += 1;
                self.work.state = State::Quote;
                Ok(Step::Go)
            }
            Some(_) => Err(NotWellFormed("an attribute without a value")),
        }
    }

    fn quote(&mut self) -> Stepped {
        match self.skip_space() {
            None => Ok(Step::Starved),
            Some(quote @ (b'\'' | b'"')) => {
                self.value_begins(self.work.at + 1, quote);
                Ok(Step::Go)
            }
            Some(_) => Err(NotWellFormed("an attribute's value is not quoted")),
        }
    }

    #[inline(always)]
    fn value_begins(&mut self, at: usize, quote: u8) {
        self.work.at = at;
        self.work.token = at;
        self.work.quote = quote;
        self.work.needs_decoding = false;
        self.work.state = State::Value;
    }

    #[inline(always)]
    fn value(&mut self) -> Stepped {
        let quote = self.work.quote;
        let mut at = self.work.at;
        loop {
            at += skip::plain_value(self.rest(at), quote);
            match self.input.get(at) {
                None => break,
                Some(&byte) if byte == quote => {
                    self.work.at = at + 1;
                    self.work.state = State::InTag;
                    return self.attribute_ends(Span::new(self.work.token, at)).map(|()| Step::Go);
                }
                Some(b'\'' | b'"') => at += 1,
                Some(b'&') => {
                    self.reference_begins(at + 1, true);
                    return Ok(Step::Go);
                }
                Some(b'\t' | b'\n' | b'\r') => {
                    self.work.needs_decoding = true;
                    at += 1;
                }
                Some(b'<') => return Err(NotWellFormed("a < within an attribute's value")),
                Some(0..0x20) => return Err(CONTROL),
                Some(_) => match self.other_character(at)? {
                    Some(length) => at += length,
                    None => break,
                },
            }
        }
        self.work.at = at;
        Ok(Step::Starved)
    }

    /// The length of the character at `at`, from outside ASCII or needing no special look; `None` if its end is not
    /// here.
    #[inline(always)]
    fn other_character(&self, at: usize) -> Result<Option<usize>, XmlError> {
        match self.input.get(at) {
            Some(0..0x80) => return Ok(Some(1)),
            Some(_) => {}
            None => return Ok(None),
        }
        match classes::decode(self.rest(at)) {
            Decoded::Character(character, length) if classes::is_xml(character) => Ok(Some(length)),
            Decoded::Character(..) => Err(CONTROL),
            Decoded::Partial => Ok(None),
            Decoded::Invalid => Err(INVALID_UTF8),
        }
    }

    #[inline(always)]
    fn reference_begins(&mut self, at: usize, in_value: bool) {
        self.work.at = at;
        self.work.reference = at;
        self.work.in_value = in_value;
        self.work.needs_decoding = true;
        self.work.state = State::Reference;
    }

    /// Behind a `&`. The names of entities are those of elements, and a `#` begins a character's number.
    fn reference(&mut self) -> Stepped {
        let start = self.work.reference;
        loop {
            let at = self.work.at;
            match self.peek() {
                None => return Ok(Step::Starved),
                Some(b';') => break self.work.at += 1,
                Some(b'#') if at == start => self.work.at += 1,
                Some(byte) if classes::is(byte, NAME) => self.work.at += 1,
                Some(0x80..) => match self.other_character(at)? {
                    Some(length) => self.work.at += length,
                    None => return Ok(Step::Starved),
                },
                Some(_) => return Err(NotWellFormed("a & that begins no reference")),
            }
        }
        let name = self.input.get(start..self.work.at - 1).unwrap_or_default();
        match name.strip_prefix(b"#") {
            Some(digits) if reference::character(digits).is_some() => {}
            Some(_) => return Err(NotWellFormed("a reference to no character")),
            None if reference::predefined(name).is_some() => {}
            None if is_entity_name(name) => {
                return Err(RestrictedXml("a reference to an entity that is not predefined"));
            }
            None => return Err(NotWellFormed("a & that begins no reference")),
        }
        self.work.state = if self.work.in_value { State::Value } else { State::Text };
        Ok(Step::Go)
    }

    #[inline(always)]
    fn text(&mut self) -> Stepped {
        let mut at = self.work.at;
        loop {
            at += skip::plain_text(self.rest(at));
            match self.input.get(at) {
                None => break,
                Some(b'<') => {
                    self.work.at = at + 1;
                    self.work.state = State::Less;
                    return Ok(Step::Go);
                }
                Some(b'&') => {
                    self.reference_begins(at + 1, false);
                    return Ok(Step::Go);
                }
                // What stands before the text, a tag or a reference, never ends with a bracket.
                Some(b'>') if self.input.get(..at).is_some_and(|before| before.ends_with(b"]]")) => {
                    return Err(NotWellFormed("]]> outside of a CDATA section"));
                }
                Some(b'>' | b'\t' | b'\n' | b'\r') => at += 1,
                Some(0..0x20) => return Err(CONTROL),
                Some(_) => match self.other_character(at)? {
                    Some(length) => at += length,
                    None => break,
                },
            }
        }
        self.work.at = at;
        Ok(Step::Starved)
    }

    fn cdata(&mut self) -> Stepped {
        let mut at = self.work.at;
        loop {
            at += skip::plain_text(self.rest(at));
            match self.input.get(at) {
                None => break,
                Some(b'>') if self.input.get(..at).is_some_and(|before| before.ends_with(b"]]")) => {
                    self.work.at = at + 1;
                    self.work.state = State::Text;
                    return Ok(Step::Go);
                }
                Some(b'<' | b'>' | b'&' | b'\t' | b'\n' | b'\r') => at += 1,
                Some(0..0x20) => return Err(CONTROL),
                Some(_) => match self.other_character(at)? {
                    Some(length) => at += length,
                    None => break,
                },
            }
        }
        self.work.at = at;
        Ok(Step::Starved)
    }

    /// Behind `</`: the name has to be that of the open element, so it is compared rather than read.
    #[inline(always)]
    fn end_name(&mut self) -> Stepped {
        let Some(open) = self.work.open.last() else { return Err(NotWellFormed("an end tag without a start tag")) };
        let compared = self.work.at - self.work.token;
        let expected = open.name.of(self.input).get(compared..).unwrap_or_default();
        let rest = self.rest(self.work.at);
        if rest.starts_with(expected) {
            self.work.at += expected.len();
            self.work.state = State::EndSpace;
            return Ok(Step::Go);
        }
        if !expected.starts_with(rest) {
            return Err(NotWellFormed("an end tag of another name"));
        }
        self.work.at += rest.len();
        Ok(Step::Starved)
    }

    #[inline(always)]
    fn end_space(&mut self) -> Stepped {
        match self.skip_space() {
            None => Ok(Step::Starved),
            Some(b'>') => {
                self.work.at += 1;
                Ok(self.end_tag_ends())
            }
            Some(_) => Err(NotWellFormed("an end tag of another name")),
        }
    }

    /// A start tag is complete.
    #[inline(always)]
    fn start_tag_ends(&mut self, is_empty: bool) -> Stepped {
        let depth = self.work.open.len();
        let name = self.work.element;
        let attributes = self.work.top_attributes;
        if depth < 2 || name.has_prefix() {
            let namespace = self.element_namespace(name)?;
            if depth == 0 {
                self.work.top = name;
                self.work.top_namespace = namespace;
                self.work.top_attributes = self.work.attributes.len();
                self.work.is_empty = is_empty;
                self.work.content = Span::new(self.work.at, self.work.at);
            } else if depth == 1 {
                let bytes = Span::new(self.work.tag, self.work.at);
                self.work.children.push(ChildAt { name, namespace, bytes });
            }
        }
        if self.work.prefixed > 0 {
            self.resolve_attributes(attributes)?;
        }
        if self.until == Until::StartTag {
            return Ok(Step::Done);
        }
        if is_empty {
            if depth == 0 {
                return Ok(Step::Done);
            }
            self.work.bindings.truncate(self.work.outer_bindings as usize);
        } else {
            self.work.open.push(Open { name: name.span, bindings: self.work.outer_bindings });
        }
        self.work.state = State::Text;
        Ok(Step::Go)
    }

    /// An end tag is complete.
    #[inline(always)]
    fn end_tag_ends(&mut self) -> Step {
        let end = self.work.at as u32;
        let Some(open) = self.work.open.pop() else { return Step::Done };
        match self.work.open.len() {
            0 => {
                // The `</` in front of the name.
                self.work.content.end = self.work.token as u32 - 2;
                return Step::Done;
            }
            1 => {
                if let Some(child) = self.work.children.last_mut() {
                    child.bytes.end = end;
                }
            }
            _ => {}
        }
        self.work.bindings.truncate(open.bindings as usize);
        self.work.state = State::Text;
        Step::Go
    }
}

pub(super) const INVALID_UTF8: XmlError = NotWellFormed("this is not UTF-8");
const CONTROL: XmlError = NotWellFormed("a character that XML does not allow");

/// Whether a reference names an entity at all. Not with a colon, which namespaces forbid there.
fn is_entity_name(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else { return false };
    let start = |character: char| match u8::try_from(character) {
        Ok(byte) if byte < 0x80 => classes::is(byte, NAME_START),
        _ => classes::is_name_start(character),
    };
    let inside = |character: char| match u8::try_from(character) {
        Ok(byte) if byte < 0x80 => classes::is(byte, NAME),
        _ => classes::is_name(character),
    };
    let mut characters = text.chars();
    characters.next().is_some_and(start) && characters.all(inside)
}
