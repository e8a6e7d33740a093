//! A finished element of a stream: its bytes where they were received, and an index into them.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::element::{Element, ParseError};
use super::scope::{self, Scope};
use super::work::{Attribute, ChildAt, NamespaceAt, Span, Work};
use super::{escape, finished, namespaces, plain, reference};

/// What a first-level element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `<message/>` in the stream's content namespace.
    Message,
    /// `<presence/>` in the stream's content namespace.
    Presence,
    /// `<iq/>` in the stream's content namespace.
    Iq,
    /// Anything else.
    Other,
}

/// A complete first-level element that is well-formed and within the limits. Borrows its bytes from the receive buffer
/// and its index from the [`Scratch`](super::Scratch); nothing in it was copied or allocated.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    work: &'a Work,
    scope: Option<Arc<Scope>>,
    content: &'static str,
}

/// An attribute's value as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    raw: &'a [u8],
    needs_decoding: bool,
}

/// A child of a first-level element.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    frame: &'a Frame<'a>,
    at: &'a ChildAt,
}

/// What is written into the start tag of a stanza that is passed on, instead of what the sender wrote.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp<'a> {
    /// The true sender, escaped as an attribute value already. What the sender wrote is left out in any case.
    pub from: Option<&'a str>,
    /// The addressee, escaped as an attribute value already; `None` keeps what the sender wrote.
    pub to: Option<&'a str>,
    /// The stream's language, for a stanza that names none (RFC 6120 §8.1.5); escaped already.
    pub lang: Option<&'a str>,
}

impl<'a> Frame<'a> {
    pub(super) fn new(bytes: &'a [u8], work: &'a Work, scope: Option<Arc<Scope>>, content: &'static str) -> Frame<'a> {
        Frame { bytes, work, scope, content }
    }

    /// The element as it was received.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What kind of stanza it is.
    pub fn kind(&self) -> Kind {
        if self.namespace() != self.content {
            return Kind::Other;
        }
        match self.work.top.local(self.bytes) {
            b"message" => Kind::Message,
            b"presence" => Kind::Presence,
            b"iq" => Kind::Iq,
            _ => Kind::Other,
        }
    }

    /// The element's name, without its prefix.
    pub fn name(&self) -> &str {
        text(self.work.top.local(self.bytes))
    }

    /// The element's namespace.
    pub fn namespace(&self) -> &str {
        self.namespace_of(self.work.top_namespace)
    }

    /// The value of an attribute that has no prefix.
    #[inline]
    pub fn attribute(&self, name: &str) -> Option<Value<'a>> {
        self.raw_attribute(name.as_bytes()).map(|attribute| self.value(attribute))
    }

    /// To whom it is addressed.
    #[inline]
    pub fn to(&self) -> Option<Value<'a>> {
        self.attribute("to")
    }

    /// Its id.
    pub fn id(&self) -> Option<Value<'a>> {
        self.attribute("id")
    }

    /// Its type.
    #[inline]
    pub fn kind_attr(&self) -> Option<Value<'a>> {
        self.attribute("type")
    }

    /// Its children, in order.
    pub fn children(&self) -> impl ExactSizeIterator<Item = Child<'_>> {
        self.work.children.iter().map(|at| Child { frame: self, at })
    }

    /// Reads it into a tree. Not for what is merely passed on.
    pub fn to_element(&self) -> Result<Element, ParseError> {
        if let Some(element) = self.plain() {
            return Ok(element);
        }
        let declarations = scope::declarations(self.scope.as_deref());
        Element::parse_within(self.bytes, self.content, declarations)
    }

    /// The tree, if the element is plain.
    pub(super) fn plain(&self) -> Option<Element> {
        plain::read(self.bytes, self.content)
    }

    /// How many bytes [`Frame::write_stamped`] appends at most.
    pub fn stamped_len(&self, stamp: &Stamp<'_>) -> usize {
        const ATTRIBUTE: usize = " xml:lang=''".len();
        let stamped = [stamp.from, stamp.to, stamp.lang].into_iter().flatten().map(|value| value.len() + ATTRIBUTE);
        let declared = self
            .header_declarations()
            .map(|(prefix, namespace)| " xmlns:=''".len() + prefix.len() + escape::attribute_len(namespace));
        self.bytes.len() + stamped.sum::<usize>() + declared.sum::<usize>()
    }

    /// Appends the stanza with another start tag: the sender is the one of the stamp, whatever stood there; prefixes
    /// that it takes from the sender's stream header are declared in it; a declaration of the content namespace is left
    /// out, because the recipient's stream has its own. All other bytes are the sender's.
    pub fn write_stamped(&self, out: &mut Vec<u8>, stamp: &Stamp<'_>) {
        let mut copied = self.work.top.span.end as usize;
        push(out, self.bytes, 0, copied);
        if let Some(from) = stamp.from {
            out.extend_from_slice(b" from='");
            out.extend_from_slice(from.as_bytes());
            out.push(b'\'');
        }
        if let Some(to) = stamp.to {
            out.extend_from_slice(b" to='");
            out.extend_from_slice(to.as_bytes());
            out.push(b'\'');
        }
        let mut has_lang = false;
        for attribute in &self.work.attributes {
            let is_dropped = match attribute.name.span.of(self.bytes) {
                b"from" => true,
                b"to" => stamp.to.is_some(),
                b"xmlns" => attribute.value.of(self.bytes) == self.content.as_bytes(),
                b"xml:lang" => {
                    has_lang = true;
                    false
                }
                _ => false,
            };
            if is_dropped {
                push(out, self.bytes, copied, attribute.name.span.start as usize);
                let trimmed = out.trim_ascii_end().len();
                out.truncate(trimmed);
                copied = attribute.value.end as usize + 1;
            }
        }
        if self.work.header_prefixes != 0 || (stamp.lang.is_some() && !has_lang) {
            let end = self.attributes_end();
            push(out, self.bytes, copied, end.max(copied));
            copied = end.max(copied);
            self.write_additions(out, stamp.lang.filter(|_| !has_lang));
        }
        push(out, self.bytes, copied, self.bytes.len());
    }

    #[cold]
    fn write_additions(&self, out: &mut Vec<u8>, lang: Option<&str>) {
        if let Some(lang) = lang {
            out.extend_from_slice(b" xml:lang='");
            out.extend_from_slice(lang.as_bytes());
            out.push(b'\'');
        }
        for (prefix, namespace) in self.header_declarations() {
            out.extend_from_slice(b" xmlns:");
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(b"='");
            escape::attribute(out, namespace);
            out.push(b'\'');
        }
    }

    /// Behind the last attribute of the start tag, or its name if it has none.
    fn attributes_end(&self) -> usize {
        let last = self.work.attributes.last();
        last.map_or(self.work.top.span.end, |attribute| attribute.value.end + 1) as usize
    }

    /// Whether it relies on prefixes that only the stream header declares.
    pub fn takes_from_header(&self) -> bool {
        self.header_declarations().next().is_some()
    }

    /// The declarations of the stream header that the element relies on and that every recipient does not have anyway.
    fn header_declarations(&self) -> impl Iterator<Item = (&str, &str)> {
        let used = self.work.header_prefixes;
        let scope = self.scope.as_deref();
        (0..64u8).filter(move |&number| used >> number & 1 == 1).map(move |number| scope::declaration(scope, number))
    }

    #[inline]
    fn raw_attribute(&self, name: &[u8]) -> Option<&'a Attribute> {
        let is_it = |attribute: &&Attribute| {
            let span = attribute.name.span;
            (span.end - span.start) as usize == name.len() && span.of(self.bytes) == name
        };
        self.work.attributes.iter().find(is_it)
    }

    fn value(&self, attribute: &Attribute) -> Value<'a> {
        Value { raw: attribute.value.of(self.bytes), needs_decoding: attribute.needs_decoding }
    }

    fn namespace_of(&self, at: NamespaceAt) -> &str {
        text(self.namespace_bytes_of(at))
    }

    #[inline]
    fn namespace_bytes_of(&self, at: NamespaceAt) -> &[u8] {
        match at {
            NamespaceAt::None => b"",
            NamespaceAt::Content => self.content.as_bytes(),
            NamespaceAt::Xml => namespaces::XML.as_bytes(),
            NamespaceAt::Input(span) => span.of(self.bytes),
            NamespaceAt::Decoded(span) => span.of(&self.work.decoded),
            NamespaceAt::Header(number) => scope::declaration(self.scope.as_deref(), number).1.as_bytes(),
        }
    }
}

impl<'a> Value<'a> {
    /// The value that stands between these quotes.
    pub(super) fn raw(raw: &'a [u8]) -> Value<'a> {
        Value { raw, needs_decoding: true }
    }

    /// As it stands there, references and all.
    #[inline]
    pub fn as_written(&self) -> &'a [u8] {
        self.raw
    }

    /// What it means.
    #[inline]
    pub fn decoded(&self) -> Cow<'a, str> {
        let raw = text(self.raw);
        if self.needs_decoding { reference::decode_value(raw) } else { Cow::Borrowed(raw) }
    }

    /// Whether it means `expected`.
    #[inline]
    pub fn is(&self, expected: &str) -> bool {
        if self.needs_decoding { self.decoded() == expected } else { self.raw == expected.as_bytes() }
    }
}

impl<'a> Child<'a> {
    /// Its name, without its prefix.
    pub fn name(&self) -> &'a str {
        text(self.at.name.local(self.frame.bytes))
    }

    /// Its namespace.
    pub fn namespace(&self) -> &'a str {
        self.frame.namespace_of(self.at.namespace)
    }

    /// Its name and its namespace as bytes, which are there without a look at whether they are UTF-8.
    #[inline]
    pub fn raw_name(&self) -> (&'a [u8], &'a [u8]) {
        (self.at.name.local(self.frame.bytes), self.frame.namespace_bytes_of(self.at.namespace))
    }

    /// The whole of it, as it was received.
    pub fn bytes(&self) -> &'a [u8] {
        Span::of(self.at.bytes, self.frame.bytes)
    }

    /// Where it stands in the bytes of the frame.
    pub fn place(&self) -> Range<usize> {
        self.at.bytes.start as usize..self.at.bytes.end as usize
    }

    /// The value of an attribute that has no prefix.
    pub fn attribute(&self, name: &str) -> Option<Value<'a>> {
        finished::attribute(self.bytes(), name)
    }

    /// Whether one of its own children has this name, whatever its namespace.
    pub fn has_child(&self, name: &str) -> bool {
        finished::has_child(self.bytes(), name)
    }
}

/// The scanner has seen that it is UTF-8; a span ends where a character does.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn push(out: &mut Vec<u8>, bytes: &[u8], from: usize, to: usize) {
    out.extend_from_slice(bytes.get(from..to).unwrap_or_default());
}
