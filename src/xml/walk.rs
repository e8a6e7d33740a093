//! Walking down a finished element, child by child: what looks deeper than the index of a frame, at what nobody needs a
//! tree of. Nothing is checked once more; bytes that are no element lead to nonsense, never to a panic.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::finished::{Attributes, name_end, next_tag, start_tag_end};
use super::frame::Value;
use super::{namespaces, reference};

/// An element within others. It knows those around it, whose declarations of prefixes hold within it.
#[derive(Clone, Copy, Debug)]
pub struct Part<'p, 'a> {
    bytes: &'a [u8],
    tag: StartTag,
    outer: Option<&'p Part<'p, 'a>>,
    /// The default namespace around the outermost one.
    content: &'static str,
}

/// What is known of the start tag of an element once it was looked at.
#[derive(Clone, Copy, Debug)]
pub struct StartTag {
    name_end: usize,
    end: usize,
    /// Whether it may declare a namespace or a prefix: surely not if this is false.
    may_declare: bool,
}

static DECLARATION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("xmlns"));

impl StartTag {
    /// Of the element with these bytes.
    pub fn of(element: &[u8]) -> StartTag {
        let name_end = name_end(element);
        if element.get(name_end) == Some(&b'>') {
            return StartTag { name_end, end: name_end + 1, may_declare: false };
        }
        let end = start_tag_end(element);
        let attributes = element.get(name_end..end).unwrap_or_default();
        StartTag { name_end, end, may_declare: DECLARATION.find(attributes).is_some() }
    }
}

impl<'p, 'a> Part<'p, 'a> {
    /// A stanza, of a stream whose default namespace is this.
    pub fn stanza(bytes: &'a [u8], content: &'static str) -> Part<'p, 'a> {
        Part::tagged(bytes, StartTag::of(bytes), content)
    }

    /// The same, the start tag of which has been looked at before.
    #[inline]
    pub fn tagged(bytes: &'a [u8], tag: StartTag, content: &'static str) -> Part<'p, 'a> {
        Part { bytes, tag, outer: None, content }
    }

    /// A child of this element: bytes that [`Part::children`] has answered.
    pub fn child(&'p self, bytes: &'a [u8]) -> Part<'p, 'a> {
        Part { outer: Some(self), ..Part::stanza(bytes, self.content) }
    }

    /// The default namespace around the stanza.
    pub fn content(&self) -> &'static str {
        self.content
    }

    /// The whole of it.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its start tag.
    pub fn start_tag(&self) -> &'a [u8] {
        self.bytes.get(..self.tag.end).unwrap_or_default()
    }

    /// Its children that are elements, each as a whole.
    pub fn children(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = if self.is_empty() { &[][..] } else { self.bytes.get(self.tag.end..).unwrap_or_default() };
        std::iter::from_fn(move || {
            let child = next_tag(rest).filter(|tag| !tag.starts_with(b"</"))?;
            let (child, behind) = child.split_at_checked(element_len(child))?;
            rest = behind;
            Some(child)
        })
    }

    /// Its name, without its prefix.
    pub fn name(&self) -> &'a [u8] {
        let name = self.qualified_name();
        colon_in(name).map_or(name, |colon| &name[colon + 1..])
    }

    /// Its namespace.
    pub fn namespace(&self) -> Cow<'a, str> {
        let name = self.qualified_name();
        let prefix = colon_in(name).map(|colon| &name[..colon]);
        self.declared(prefix)
    }

    /// The value of an attribute, by its name as it stands there.
    pub fn attribute(&self, name: &str) -> Option<Value<'a>> {
        self.attributes().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| Value::raw(value))
    }

    /// The value of an attribute in a namespace.
    pub fn attribute_in(&self, namespace: &str, name: &str) -> Option<Value<'a>> {
        let is_it = |found: &[u8]| {
            let Some(colon) = colon_in(found) else { return false };
            &found[colon + 1..] == name.as_bytes() && self.declared(Some(&found[..colon])) == namespace
        };
        self.attributes().find(|(found, _)| is_it(found)).map(|(_, value)| Value::raw(value))
    }

    /// Its text, if no element is in it.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        if self.is_empty() {
            return Some(Cow::Borrowed(""));
        }
        let mut rest = self.bytes.get(self.tag.end..)?;
        let mut text = Cow::Borrowed("");
        loop {
            let (raw, tag) = rest.split_at_checked(memchr::memchr(b'<', rest)?)?;
            push(&mut text, reference::decode_text(std::str::from_utf8(raw).ok()?));
            if tag.starts_with(b"</") {
                return Some(text);
            }
            let section = tag.strip_prefix(b"<![CDATA[")?;
            let end = memchr::memmem::find(section, b"]]>")?;
            push(&mut text, reference::end_lines(std::str::from_utf8(&section[..end]).ok()?));
            rest = &section[end + 3..];
        }
    }

    /// Its text as it stands there, if that is what it means and no element is in it; [`Part::text`] knows otherwise.
    /// otherwise.
    pub fn plain_text(&self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.tag.end..).filter(|_| !self.is_empty())?;
        let (raw, tag) = rest.split_at_checked(memchr::memchr(b'<', rest)?)?;
        (tag.starts_with(b"</") && memchr::memchr2(b'&', b'\r', raw).is_none()).then_some(raw)
    }

    fn is_empty(&self) -> bool {
        self.start_tag().ends_with(b"/>")
    }

    fn qualified_name(&self) -> &'a [u8] {
        self.bytes.get(1..self.tag.name_end).unwrap_or_default()
    }

    fn attributes(&self) -> Attributes<'a> {
        Attributes(self.bytes.get(self.tag.name_end..self.tag.end).unwrap_or_default())
    }

    /// What a prefix stands for here; `None`: the default namespace.
    fn declared(&self, prefix: Option<&[u8]>) -> Cow<'a, str> {
        if prefix == Some(b"xml") {
            return Cow::Borrowed(namespaces::XML);
        }
        let declares = |name: &[u8]| match prefix {
            None => name == b"xmlns",
            Some(prefix) => name.strip_prefix(b"xmlns:") == Some(prefix),
        };
        let mut level = Some(self);
        while let Some(part) = level {
            if part.tag.may_declare
                && let Some((_, value)) = part.attributes().find(|(name, _)| declares(name))
            {
                return Value::raw(value).decoded();
            }
            level = part.outer;
        }
        Cow::Borrowed(if prefix.is_none() { self.content } else { "" })
    }
}

fn push<'a>(text: &mut Cow<'a, str>, more: Cow<'a, str>) {
    match (text.is_empty(), more.is_empty()) {
        (_, true) => {}
        (true, _) => *text = more,
        _ => text.to_mut().push_str(&more),
    }
}

/// Names are short.
fn colon_in(name: &[u8]) -> Option<usize> {
    name.iter().position(|byte| *byte == b':')
}

/// How long the element is that begins here.
fn element_len(element: &[u8]) -> usize {
    let mut next = Some(element);
    let mut rest = element;
    let mut depth = 0usize;
    while let Some(tag) = next {
        let end = if tag.starts_with(b"</") {
            depth = depth.saturating_sub(1);
            memchr::memchr(b'>', tag).map_or(tag.len(), |end| end + 1)
        } else {
            let end = StartTag::of(tag).end;
            depth += usize::from(!tag.get(..end).unwrap_or_default().ends_with(b"/>"));
            end
        };
        rest = tag.get(end..).unwrap_or_default();
        if depth == 0 {
            break;
        }
        next = next_tag(rest);
    }
    element.len() - rest.len()
}

#[cfg(test)]
mod tests {
    use super::super::{Content, Element, Scratch};
    use super::*;
    use proptest::prelude::*;

    fn stanza(text: &str) -> Part<'_, '_> {
        Part::stanza(text.as_bytes(), namespaces::CLIENT)
    }

    fn text_of(text: &str) -> Option<String> {
        stanza(text).text().map(Cow::into_owned)
    }

    #[test]
    fn children_are_whole_and_know_their_namespaces() {
        let text = "<m xmlns:p='urn:p'>1<a x='>'/><b xmlns='urn:b'><c/><p:d p:k='v' k='w'>t</p:d></b><![CDATA[<e/>]]>\
                    <p:f><p:f/></p:f ></m>";
        let message = stanza(text);
        let children: Vec<_> = message.children().map(|child| std::str::from_utf8(child).unwrap()).collect();
        let b = "<b xmlns='urn:b'><c/><p:d p:k='v' k='w'>t</p:d></b>";
        assert_eq!(children, ["<a x='>'/>", b, "<p:f><p:f/></p:f >"]);
        let b = message.child(b.as_bytes());
        let inner: Vec<_> = b.children().collect();
        let (c, d) = (b.child(inner[0]), b.child(inner[1]));
        assert_eq!((c.name(), &*c.namespace()), (&b"c"[..], "urn:b"));
        assert_eq!((d.name(), &*d.namespace()), (&b"d"[..], "urn:p"));
        assert_eq!(d.attribute_in("urn:p", "k").unwrap().decoded(), "v");
        assert_eq!(d.attribute("k").unwrap().decoded(), "w");
        assert_eq!(&*message.namespace(), namespaces::CLIENT);
        assert_eq!(message.start_tag(), b"<m xmlns:p='urn:p'>");
    }

    #[test]
    fn text_is_what_it_means_and_only_of_what_has_no_children() {
        assert_eq!(text_of("<a>x &amp; &#65;<![CDATA[<&]]>y</a>").as_deref(), Some("x & A<&y"));
        assert_eq!(text_of("<a>one\r\ntwo\rthree</a>").as_deref(), Some("one\ntwo\nthree"));
        assert_eq!(text_of("<a/>").as_deref(), Some(""));
        assert_eq!(text_of("<a></a>").as_deref(), Some(""));
        assert_eq!(text_of("<a>x<b/></a>"), None);
    }

    #[test]
    fn nonsense_is_no_panic() {
        for text in ["", "<", "<a", "<a>", "<a><b>", "<a><b", "<a>&", "<a><![CDATA[", "a", "<a></", "<a x='><b/></a>"] {
            let part = stanza(text);
            let children: Vec<_> = part.children().take(10).collect();
            assert!(children.len() < 10, "{text}");
            let _ = (part.text(), part.name(), part.namespace(), part.attribute("x").is_some());
        }
    }

    fn element(depth: u32) -> impl Strategy<Value = String> {
        let leaf =
            prop_oneof!["[a-c<]{0,3}".prop_map(|text| text.replace('<', "&lt;")), Just("<![CDATA[</a>]]>".into())];
        let name = || "[a-c]";
        leaf.prop_recursive(depth, 24, 4, move |inner| {
            let namespace = prop_oneof![Just(""), Just(" xmlns='urn:x'"), Just(" k='/>'"), Just(" k=\">'\"")];
            (name(), namespace, prop::collection::vec(inner, 0..4)).prop_map(|(name, namespace, content)| match content
                .is_empty()
            {
                true => format!("<{name}{namespace}/>"),
                false => format!("<{name}{namespace}>{}</{name}>", content.concat()),
            })
        })
    }

    fn same(part: &Part<'_, '_>, element: &Element) {
        assert_eq!((part.name(), &*part.namespace()), (element.name.as_bytes(), &*element.namespace));
        let children: Vec<_> = part.children().collect();
        assert_eq!(children.len(), element.children().count());
        if children.is_empty() {
            assert_eq!(part.text().as_deref(), Some(&*element.text()));
        }
        for (child, element) in children.into_iter().zip(element.children()) {
            same(&part.child(child), element);
        }
    }

    proptest! {
        #[test]
        fn it_is_the_same_as_the_tree(inner in element(4)) {
            let text = format!("<message>{inner}</message>");
            let mut scratch = Scratch::default();
            let frame = scratch.finished(text.as_bytes(), Content::Client).unwrap();
            same(&stanza(&text), &frame.to_element().unwrap());
        }
    }
}
