//! What the scanner does with names: attributes that repeat, namespace declarations, and the prefixes that rely on
//! them.

use super::XmlError::{self, NotWellFormed, PolicyViolation};
use super::limits::DECLARATIONS_MAX;
use super::scanner::{Scanner, Until};
use super::work::{Attribute, Binding, Name, NamespaceAt, Span};
use super::{namespaces, reference, scope};

const UNDECLARED: XmlError = NotWellFormed("a namespace prefix that is not declared");
const REPEATED: XmlError = NotWellFormed("two attributes of one name");

impl Scanner<'_> {
    /// An attribute is complete: its value stands at `value`.
    #[inline(always)]
    pub(super) fn attribute_ends(&mut self, value: Span) -> Result<(), XmlError> {
        let name = self.work.attribute;
        let bytes = name.span.of(self.input);
        let before = self.work.attributes.get(self.work.top_attributes..).unwrap_or_default();
        if before.len() >= self.bounds.attributes as usize {
            return Err(PolicyViolation("too many attributes of one element"));
        }
        // A set of bits tells most names apart; only what looks alike is compared.
        let kind = match *bytes {
            [first, .., last] => 1u64 << ((first ^ (last << 1) ^ bytes.len() as u8) & 63),
            _ => 1,
        };
        if self.work.seen & kind != 0 && before.iter().any(|other| other.name.span.of(self.input) == bytes) {
            return Err(REPEATED);
        }
        self.work.seen |= kind;
        let needs_decoding = self.work.needs_decoding;
        self.work.attributes.push(Attribute { name, value, needs_decoding });
        if name.has_prefix() {
            match name.prefix(self.input) {
                b"xmlns" => self.declare(Span { start: name.local, end: name.span.end }, value)?,
                _ => self.work.prefixed += 1,
            }
        } else if bytes == b"xmlns" {
            self.declare(Span::default(), value)?;
        }
        Ok(())
    }

    /// Takes down `xmlns='…'` (an empty prefix) or `xmlns:prefix='…'` (Namespaces in XML 1.0 §3).
    fn declare(&mut self, prefix: Span, value: Span) -> Result<(), XmlError> {
        if self.work.bindings.len() >= DECLARATIONS_MAX {
            return Err(PolicyViolation("too many namespace declarations"));
        }
        let namespace = match value.of(self.input) {
            b"" => NamespaceAt::None,
            _ if !self.work.needs_decoding => NamespaceAt::Input(value),
            raw => {
                let raw = std::str::from_utf8(raw).unwrap_or_default();
                let start = self.work.decoded.len();
                self.work.decoded.extend_from_slice(reference::decode_value(raw).as_bytes());
                NamespaceAt::Decoded(Span::new(start, self.work.decoded.len()))
            }
        };
        let is_xml = self.namespace_bytes(namespace) == namespaces::XML.as_bytes();
        let is_xmlns = self.namespace_bytes(namespace) == namespaces::XMLNS.as_bytes();
        match prefix.of(self.input) {
            b"xmlns" => return Err(NotWellFormed("the prefix xmlns cannot be declared")),
            b"xml" if is_xml => {}
            b"xml" => return Err(NotWellFormed("the prefix xml has its own namespace")),
            _ if is_xml || is_xmlns => return Err(NotWellFormed("this namespace has its own prefix")),
            b"" => {}
            _ if namespace == NamespaceAt::None => return Err(NotWellFormed("a prefix declared for no namespace")),
            _ => {}
        }
        self.work.bindings.push(Binding { prefix, namespace });
        Ok(())
    }

    /// The namespace of an element whose start tag is complete.
    #[inline(always)]
    pub(super) fn element_namespace(&mut self, name: Name) -> Result<NamespaceAt, XmlError> {
        if name.has_prefix() {
            return match name.prefix(self.input) {
                // Namespaces in XML 1.0 §3 reserves the prefix; no specification has an element there, and xml-rs,
                // which reads what passes here, refuses one.
                b"xml" => Err(NotWellFormed("an element with the prefix xml")),
                prefix => self.resolve(prefix),
            };
        }
        let declared = self.work.bindings.iter().rev().find(|binding| binding.prefix == Span::default());
        Ok(match declared {
            Some(binding) => binding.namespace,
            None if self.until == Until::StartTag => NamespaceAt::None,
            None => NamespaceAt::Content,
        })
    }

    /// The namespace of a prefix.
    fn resolve(&mut self, prefix: &[u8]) -> Result<NamespaceAt, XmlError> {
        if prefix == b"xml" {
            return Ok(NamespaceAt::Xml);
        }
        let input = self.input;
        let mut bindings = self.work.bindings.iter().rev();
        if let Some(binding) = bindings.find(|binding| binding.prefix.of(input) == prefix) {
            return Ok(binding.namespace);
        }
        // A stream header stands in no scope.
        let declared = if self.until == Until::StartTag { None } else { scope::find(self.scope, prefix) };
        let number = declared.ok_or(UNDECLARED)?;
        self.work.header_prefixes |= 1 << number;
        Ok(NamespaceAt::Header(number))
    }

    /// Resolves the prefixes of a start tag's attributes, and finds those that mean the same (Namespaces in XML 1.0
    /// §6.3). `from`: where they begin in the list.
    pub(super) fn resolve_attributes(&mut self, from: usize) -> Result<(), XmlError> {
        let prefixed = |attribute: &Attribute, input| {
            let name = attribute.name;
            (name.has_prefix() && name.prefix(input) != b"xmlns").then_some(name)
        };
        let mut resolved: Vec<(Name, NamespaceAt)> = Vec::new();
        for index in from..self.work.attributes.len() {
            let attribute = self.work.attributes.get(index);
            if let Some(name) = attribute.and_then(|attribute| prefixed(attribute, self.input)) {
                let namespace = self.resolve(name.prefix(self.input))?;
                // One alone, as `xml:lang` mostly is, has nothing to be compared with.
                if self.work.prefixed > 1 {
                    resolved.push((name, namespace));
                }
            }
        }
        // Sorted, what is the same stands side by side: a peer that sends many cannot make this slow.
        let key = |(name, namespace): &(Name, NamespaceAt)| (name.local(self.input), self.namespace_bytes(*namespace));
        resolved.sort_unstable_by(|left, right| key(left).cmp(&key(right)));
        match resolved.windows(2).any(|pair| matches!(pair, [left, right] if key(left) == key(right))) {
            true => Err(REPEATED),
            false => Ok(()),
        }
    }

    fn namespace_bytes(&self, namespace: NamespaceAt) -> &[u8] {
        match namespace {
            NamespaceAt::None | NamespaceAt::Content => b"",
            NamespaceAt::Xml => namespaces::XML.as_bytes(),
            NamespaceAt::Input(span) => span.of(self.input),
            NamespaceAt::Decoded(span) => span.of(&self.work.decoded),
            NamespaceAt::Header(number) => scope::declaration(self.scope, number).1.as_bytes(),
        }
    }
}
