//! A tree of elements: what the server itself has to understand, read by xml-rs from a finished frame, and what it
//! writes itself. Never made of what is merely passed on.

use std::io::Read;

use xml::reader::{EventReader, ParserConfig, XmlEvent};

use super::limits::DEPTH_MAX;
use super::{escape, namespaces};

/// An element with its attributes and its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// The name without its prefix.
    pub name: String,
    /// The namespace; empty for none.
    pub namespace: String,
    attributes: Vec<Attribute>,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    /// Empty for an attribute without a prefix, which has no namespace.
    namespace: String,
    name: String,
    value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Element(Element),
    Text(String),
}

/// Why bytes could not be read into a tree. Of a frame that the framer has let pass, a bug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this XML cannot be read: {0}")]
pub struct ParseError(String);

impl Element {
    /// An empty element.
    pub fn new(name: &str, namespace: &str) -> Element {
        Element { name: name.into(), namespace: namespace.into(), ..Element::default() }
    }

    /// With an attribute that has no prefix.
    pub fn with_attribute(mut self, name: &str, value: &str) -> Element {
        self.push_attribute("", name, value);
        self
    }

    /// With an attribute in a namespace.
    pub fn with_attribute_in(mut self, namespace: &str, name: &str, value: &str) -> Element {
        self.push_attribute(namespace, name, value);
        self
    }

    /// With the language of what is in it (`xml:lang`).
    pub fn with_language(mut self, language: &str) -> Element {
        self.push_attribute(namespaces::XML, "lang", language);
        self
    }

    /// With a child behind what there is.
    pub fn with_child(mut self, child: Element) -> Element {
        self.push_child(child);
        self
    }

    /// With text behind what there is.
    pub fn with_text(mut self, text: &str) -> Element {
        self.push_text(text);
        self
    }

    pub(super) fn push_attribute(&mut self, namespace: &str, name: &str, value: &str) {
        self.attributes.push(Attribute { namespace: namespace.into(), name: name.into(), value: value.into() });
    }

    pub(super) fn push_child(&mut self, child: Element) {
        self.nodes.push(Node::Element(child));
    }

    pub(super) fn push_text(&mut self, text: &str) {
        match self.nodes.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ => self.nodes.push(Node::Text(text.into())),
        }
    }

    /// The value of an attribute that has no prefix.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let is_it = |attribute: &&Attribute| attribute.namespace.is_empty() && attribute.name == name;
        self.attributes.iter().find(is_it).map(|attribute| attribute.value.as_str())
    }

    /// The value of an attribute in a namespace.
    pub fn attribute_in(&self, namespace: &str, name: &str) -> Option<&str> {
        let is_it = |attribute: &&Attribute| attribute.namespace == namespace && attribute.name == name;
        self.attributes.iter().find(is_it).map(|attribute| attribute.value.as_str())
    }

    /// Without the children of this name.
    pub fn without_children(mut self, name: &str, namespace: &str) -> Element {
        let is_it = |element: &Element| element.name == name && element.namespace == namespace;
        self.nodes.retain(|node| !matches!(node, Node::Element(element) if is_it(element)));
        self
    }

    /// The children that are elements.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child of this name.
    pub fn child(&self, name: &str, namespace: &str) -> Option<&Element> {
        self.children().find(|child| child.name == name && child.namespace == namespace)
    }

    /// The text in it, without that of its children.
    pub fn text(&self) -> String {
        let texts = self.nodes.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        texts.collect()
    }

    /// Whether there is nothing in it: no attribute, no element, no text.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.nodes.is_empty()
    }

    /// Reads one element, as it stands in a client's stream.
    pub fn parse(bytes: &[u8]) -> Result<Element, ParseError> {
        Element::parse_within(bytes, namespaces::CLIENT, vec![("stream", namespaces::STREAMS)])
    }

    /// Reads one element in which a default namespace and prefixes are declared.
    pub(super) fn parse_within(
        bytes: &[u8],
        default: &str,
        declarations: Vec<(&str, &str)>,
    ) -> Result<Element, ParseError> {
        let mut opening = b"<w xmlns='".to_vec();
        escape::attribute(&mut opening, default);
        for (prefix, namespace) in declarations {
            opening.extend_from_slice(b"' xmlns:");
            opening.extend_from_slice(prefix.as_bytes());
            opening.extend_from_slice(b"='");
            escape::attribute(&mut opening, namespace);
        }
        opening.extend_from_slice(b"'>");
        let source = opening.chain(bytes).chain(&b"</w>"[..]);
        let config = ParserConfig::new().cdata_to_characters(true).ignore_comments(true);
        read(EventReader::new_with_config(source, config))
    }

    /// Appends the element. `default` is the default namespace where it will stand.
    pub fn write_to(&self, out: &mut Vec<u8>, default: &str) {
        out.push(b'<');
        out.extend_from_slice(self.name.as_bytes());
        if self.namespace != default {
            write_attribute(out, "xmlns", &self.namespace);
        }
        for (index, attribute) in self.attributes.iter().enumerate() {
            match attribute.namespace.as_str() {
                "" => write_attribute(out, &attribute.name, &attribute.value),
                namespaces::XML => write_attribute(out, &format!("xml:{}", attribute.name), &attribute.value),
                namespace => {
                    write_attribute(out, &format!("xmlns:n{index}"), namespace);
                    write_attribute(out, &format!("n{index}:{}", attribute.name), &attribute.value);
                }
            }
        }
        if self.nodes.is_empty() {
            return out.extend_from_slice(b"/>");
        }
        out.push(b'>');
        for node in &self.nodes {
            match node {
                Node::Element(element) => element.write_to(out, &self.namespace),
                Node::Text(text) => escape::text(out, text),
            }
        }
        out.extend_from_slice(b"</");
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'>');
    }
}

fn write_attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape::attribute(out, value);
    out.push(b'\'');
}

/// Builds the tree of the one element within the wrapper.
fn read<R: Read>(reader: EventReader<R>) -> Result<Element, ParseError> {
    let mut builder = Builder::default();
    for event in reader {
        if let Some(wrapper) = builder.take(event.map_err(|error| ParseError(error.to_string()))?)? {
            return only_child(wrapper);
        }
    }
    Err(ParseError("it does not end".into()))
}

/// Builds an element of what xml-rs reads of it.
#[derive(Debug, Default)]
pub struct Builder {
    /// Those that have not ended, the outermost first. One is put into its parent when its end has come.
    open: Vec<Element>,
}

impl Builder {
    /// Whether an element has begun.
    pub fn is_within(&self) -> bool {
        !self.open.is_empty()
    }

    /// Takes what comes next. Answers the element when it has ended.
    pub fn take(&mut self, event: XmlEvent) -> Result<Option<Element>, ParseError> {
        match event {
            XmlEvent::StartElement { name, attributes, .. } => {
                if self.open.len() > DEPTH_MAX + 1 {
                    return Err(ParseError("nested too deeply".into()));
                }
                let attributes = attributes.into_iter().map(|attribute| Attribute {
                    namespace: attribute.name.namespace.unwrap_or_default(),
                    name: attribute.name.local_name,
                    value: attribute.value,
                });
                self.open.push(Element {
                    name: name.local_name,
                    namespace: name.namespace.unwrap_or_default(),
                    attributes: attributes.collect(),
                    nodes: Vec::new(),
                });
            }
            XmlEvent::EndElement { .. } => {
                let ended = self.open.pop();
                match (ended, self.open.last_mut()) {
                    (Some(element), Some(parent)) => parent.push_child(element),
                    (ended, _) => return Ok(ended),
                }
            }
            XmlEvent::Characters(text) | XmlEvent::Whitespace(text) | XmlEvent::CData(text) => {
                if let Some(parent) = self.open.last_mut() {
                    parent.push_text(&text);
                }
            }
            _ => {}
        }
        Ok(None)
    }
}

fn only_child(wrapper: Element) -> Result<Element, ParseError> {
    let mut elements = wrapper.nodes.into_iter();
    match (elements.next(), elements.next()) {
        (Some(Node::Element(element)), None) => Ok(element),
        _ => Err(ParseError("it is not one element".into())),
    }
}
