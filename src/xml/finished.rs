//! Changing elements that are finished, and looking into them: what the framer has let pass, or the server has written.
//!
//! Nothing is checked once more and no tree is made; nothing is looked at that need not be. Bytes that are no element
//! lead to nonsense, never to a panic.

use super::classes::{self, SPACE};
use super::escape;
use super::frame::{Child, Frame, Value};

/// The value of an attribute in the start tag of `element`, by its name as it stands there.
pub fn attribute<'a>(element: &'a [u8], name: &str) -> Option<Value<'a>> {
    let tag = element.get(name_end(element)..)?;
    Attributes(tag).find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| Value::raw(value))
}

/// Whether one of the direct children of `element` has this name, prefixes aside.
pub fn has_child(element: &[u8], local: &str) -> bool {
    let mut rest = element;
    let mut depth = 0usize;
    while let Some(tag) = next_tag(rest) {
        match tag {
            [b'<', b'/', ..] => {
                depth = depth.saturating_sub(1);
                rest = tag.get(2..).unwrap_or_default();
            }
            _ => {
                let name = tag.get(1..name_end(tag)).unwrap_or_default();
                let unprefixed = memchr::memchr(b':', name).map_or(name, |colon| &name[colon + 1..]);
                if depth == 1 && unprefixed == local.as_bytes() {
                    return true;
                }
                let end = start_tag_end(tag);
                if !tag.get(..end).unwrap_or_default().ends_with(b"/>") {
                    depth += 1;
                }
                rest = tag.get(end..).unwrap_or_default();
            }
        }
        // What follows the element is none of it.
        if depth == 0 {
            return false;
        }
    }
    false
}

/// Appends a stanza that names no addressee, with this one: a JID, not escaped.
pub fn write_addressed(out: &mut Vec<u8>, stanza: &[u8], to: &str) {
    let (name, rest) = stanza.split_at(name_end(stanza));
    out.extend_from_slice(name);
    out.extend_from_slice(b" to='");
    escape::attribute(out, to);
    out.push(b'\'');
    out.extend_from_slice(rest);
}

/// Appends a stanza with these addresses, escaped as attribute values already, instead of those that stand there.
pub fn write_addresses(out: &mut Vec<u8>, stanza: &[u8], from: Option<&str>, to: Option<&str>) {
    let name_end = name_end(stanza);
    out.extend_from_slice(stanza.get(..name_end).unwrap_or_default());
    for (name, value) in [("from", from), ("to", to)] {
        if let Some(value) = value {
            out.extend_from_slice(format!(" {name}='{value}'").as_bytes());
        }
    }
    let mut copied = name_end;
    let start = stanza.as_ptr() as usize;
    for (name, value) in Attributes(stanza.get(name_end..start_tag_end(stanza)).unwrap_or_default()) {
        // With the closing quote.
        let end = value.as_ptr() as usize - start + value.len() + 1;
        if !matches!(name, b"from" | b"to") {
            out.extend_from_slice(stanza.get(copied..end).unwrap_or_default());
        }
        copied = end;
    }
    out.extend_from_slice(stanza.get(copied..).unwrap_or_default());
}

/// Gives the element that `out` ends with, and that begins at `start`, one more child, which `write` appends.
pub fn append_child(out: &mut Vec<u8>, start: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let element = out.get(start..).unwrap_or_default();
    let name_end = name_end(element);
    if name_end == 0 {
        return;
    }
    if element.ends_with(b"/>") {
        out.truncate(out.len() - 2);
        out.push(b'>');
    } else {
        // An end tag has no `<` but its first byte.
        match memchr::memrchr(b'<', element) {
            Some(end_tag) if end_tag >= name_end => out.truncate(start + end_tag),
            _ => return,
        }
    }
    write(out);
    out.extend_from_slice(b"</");
    out.extend_from_within(start + 1..start + name_end);
    out.push(b'>');
}

/// Appends `element` so that it may stand where the default namespace is another than it is used to: declares
/// `namespace` as the default in it, unless it declares one itself.
pub fn write_with_default(out: &mut Vec<u8>, element: &[u8], namespace: &str) {
    let (name, rest) = element.split_at(name_end(element).min(element.len()));
    out.extend_from_slice(name);
    if !Attributes(rest).any(|(name, _)| name == b"xmlns") {
        out.extend_from_slice(b" xmlns='");
        out.extend_from_slice(namespace.as_bytes());
        out.push(b'\'');
    }
    out.extend_from_slice(rest);
}

/// Appends a stanza without those of its children that are `unwanted`, and answers how many were.
pub fn write_without(out: &mut Vec<u8>, frame: &Frame<'_>, mut unwanted: impl FnMut(&Child<'_>) -> bool) -> usize {
    let bytes = frame.bytes();
    let (mut copied, mut count) = (0, 0);
    for place in frame.children().filter(|child| unwanted(child)).map(|child| child.place()) {
        out.extend_from_slice(bytes.get(copied..place.start).unwrap_or_default());
        copied = place.end;
        count += 1;
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    count
}

/// Where the name of the start tag that `tag` begins with ends.
pub(super) fn name_end(tag: &[u8]) -> usize {
    let ends = |byte: &u8| classes::is(*byte, SPACE) || matches!(byte, b'/' | b'>');
    tag.iter().position(ends).unwrap_or(tag.len())
}

/// Where the start tag that `tag` begins with ends.
pub(super) fn start_tag_end(tag: &[u8]) -> usize {
    // Mostly the first `>` ends it: it does if all quotes before it are of one kind, and come in pairs. This is seen in
    // a few looks at all of it, where to go from quote to quote takes many.
    if let Some(end) = memchr::memchr(b'>', tag) {
        let inner = tag.get(..end).unwrap_or_default();
        let quotes = |quote: u8| memchr::memchr_iter(quote, inner).count();
        if let (singles, 0) | (0, singles) = (quotes(b'\''), quotes(b'"'))
            && singles % 2 == 0
        {
            return end + 1;
        }
    }
    let mut at = 0;
    while let Some(found) = memchr::memchr3(b'>', b'"', b'\'', tag.get(at..).unwrap_or_default()) {
        at += found + 1;
        match tag.get(at - 1) {
            Some(b'>') => return at,
            Some(&quote) => match memchr::memchr(quote, tag.get(at..).unwrap_or_default()) {
                Some(closing) => at += closing + 1,
                None => break,
            },
            None => break,
        }
    }
    tag.len()
}

/// What begins with the next tag in `bytes`.
pub(super) fn next_tag(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        bytes = bytes.get(memchr::memchr(b'<', bytes)?..)?;
        if !bytes.starts_with(b"<!") {
            return Some(bytes);
        }
        // A CDATA section, in which nothing is a tag.
        bytes = bytes.get(memchr::memmem::find(bytes, b"]]>")? + 3..)?;
    }
}

/// The names and values of a start tag's attributes, given what stands behind its name.
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let tag = self.0.trim_ascii_start();
        let length = tag.iter().position(|&byte| classes::is(byte, SPACE) || matches!(byte, b'=' | b'>'))?;
        let (name, behind) = tag.split_at(length);
        let quoted = behind.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
        let quote = *quoted.first()?;
        let value = quoted.get(1..)?;
        let end = memchr::memchr(quote, value)?;
        self.0 = value.get(end + 1..)?;
        Some((name, value.get(..end)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Content, Element, Scratch};
    use super::*;

    fn appended(element: &str) -> String {
        let mut out = b"before".to_vec();
        out.extend_from_slice(element.as_bytes());
        append_child(&mut out, 6, |out| out.extend_from_slice(b"<new/>"));
        String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    #[test]
    fn a_child_goes_before_every_kind_of_end() {
        let rows = [
            ("<message/>", "<message><new/></message>"),
            ("<message to='a/>b' />", "<message to='a/>b' ><new/></message>"),
            ("<message></message>", "<message><new/></message>"),
            ("<message><body>a</body></message>", "<message><body>a</body><new/></message>"),
            ("<message><body/></message \n>", "<message><body/><new/></message>"),
            ("<c:message xmlns:c='jabber:client'/>", "<c:message xmlns:c='jabber:client'><new/></c:message>"),
            ("<c:m xmlns:c='x'>a</c:m\t>", "<c:m xmlns:c='x'>a<new/></c:m>"),
            ("<message><![CDATA[</message>]]></message>", "<message><![CDATA[</message>]]><new/></message>"),
        ];
        for (before, after) in rows {
            assert_eq!(appended(before), after);
            assert!(Element::parse(after.as_bytes()).is_ok(), "{after}");
        }
    }

    #[test]
    fn attributes_are_found_by_their_whole_name() {
        let element = b"<s:stanza-id\n xmlns:s=\"urn:xmpp:sid:0\" id = 'a&amp;b'\tby='c>d/\"e'/><other by='f'/>";
        let value = |name: &str| attribute(element, name).map(|value| value.decoded().into_owned());
        assert_eq!(value("by").as_deref(), Some("c>d/\"e"));
        assert_eq!(value("id").as_deref(), Some("a&b"));
        assert_eq!(value("xmlns:s").as_deref(), Some("urn:xmpp:sid:0"));
        assert_eq!(value("s"), None);
        assert_eq!(value("y"), None);
        assert_eq!(attribute(b"<a>b c='d'</a>", "c").map(|_| ()), None);
        for broken in ["", "<", "<a", "<a b", "<a b=", "<a b='", "<a b='c", "a='b'"] {
            assert_eq!(attribute(broken.as_bytes(), "c").map(|_| ()), None);
        }
    }

    #[test]
    fn children_are_direct_ones() {
        let rows = [
            ("<x><invite/></x>", true),
            ("<x> <p:invite to='a'>b</p:invite></x>", true),
            ("<x><item a='&gt;/>'/><a>b</a><invite/></x>", true),
            ("<x><decline><invite/></decline></x>", false),
            ("<x><item a='/>'><invite/></item></x>", false),
            ("<x><item a=\"/>\"><invite/></item></x>", false),
            ("<x><item a='>'/><invite/></x>", true),
            ("<x><reason><![CDATA[<invite/>]]></reason></x>", false),
            ("<x><![CDATA[</x>]]><invite/></x>", true),
            ("<x a='<invite/>'/>", false),
            ("<x/><invite/>", false),
            ("<invite/>", false),
            ("<x><invited/></x>", false),
            ("<x>invite</x>", false),
            ("<x", false),
            ("<x a='", false),
            ("", false),
        ];
        for (element, expected) in rows {
            assert_eq!(has_child(element.as_bytes(), "invite"), expected, "{element}");
        }
    }

    #[test]
    fn the_default_namespace_is_declared_once() {
        let rows = [
            ("<message to='a'><body/></message>", "<message xmlns='jabber:client' to='a'><body/></message>"),
            ("<message/>", "<message xmlns='jabber:client'/>"),
            ("<message><a xmlns='b'/></message>", "<message xmlns='jabber:client'><a xmlns='b'/></message>"),
            ("<c:message xmlns:c='jabber:client'/>", "<c:message xmlns='jabber:client' xmlns:c='jabber:client'/>"),
            ("<c:message xmlns:c='jabber:client' xmlns='a'/>", "<c:message xmlns:c='jabber:client' xmlns='a'/>"),
            ("<message a=' xmlns='>b</message>", "<message xmlns='jabber:client' a=' xmlns='>b</message>"),
        ];
        for (before, after) in rows {
            let mut out = Vec::new();
            write_with_default(&mut out, before.as_bytes(), "jabber:client");
            assert_eq!(String::from_utf8(out).unwrap(), after);
            assert!(Element::parse(after.as_bytes()).is_ok(), "{after}");
        }
    }

    #[test]
    fn children_are_left_out_wherever_they_stand() {
        let stanza = b"<message><a/>1<a>x</a>2<b/><a/></message>";
        let mut scratch = Scratch::default();
        let frame = scratch.finished(stanza, Content::Client).unwrap();
        let mut out = Vec::new();
        assert_eq!(write_without(&mut out, &frame, |child| child.name() == "a"), 3);
        assert_eq!(out, b"<message>12<b/></message>");
        assert_eq!(write_without(&mut out, &frame, |_| false), 0);
        assert!(out.ends_with(stanza));
    }

    #[test]
    fn a_stanza_gets_an_addressee() {
        for (stanza, addressed) in [
            ("<presence/>", "<presence to='o&#39;hara@example.net'/>"),
            ("<p:presence\ttype='unavailable'>", "<p:presence to='o&#39;hara@example.net'\ttype='unavailable'>"),
            ("<presence></presence>", "<presence to='o&#39;hara@example.net'></presence>"),
        ] {
            let mut out = Vec::new();
            write_addressed(&mut out, stanza.as_bytes(), "o'hara@example.net");
            assert_eq!(String::from_utf8(out).unwrap(), addressed);
        }
    }

    #[test]
    fn a_stanza_gets_other_addresses() {
        for (before, after) in [
            ("<message/>", "<message from='a' to='b'/>"),
            (
                "<message to = \"x\"  type='chat' from='y'>t</message>",
                "<message from='a' to='b'  type='chat'>t</message>",
            ),
            ("<m k='/>' from='>'></m>", "<m from='a' to='b' k='/>'></m>"),
            ("", " from='a' to='b'"),
        ] {
            let mut out = Vec::new();
            write_addresses(&mut out, before.as_bytes(), Some("a"), Some("b"));
            assert_eq!(String::from_utf8(out).unwrap(), after);
        }
        let mut out = Vec::new();
        write_addresses(&mut out, b"<m to='x' id='1'/>", None, None);
        assert_eq!(out, b"<m id='1'/>");
    }

    #[test]
    fn what_is_not_one_finished_stanza_has_no_frame() {
        let mut scratch = Scratch::default();
        for other in ["", "<a", "<a>", "<a/><b/>", "<a/> ", "text", "<x:a/>"] {
            assert!(scratch.finished(other.as_bytes(), Content::Client).is_none(), "{other}");
        }
        assert!(scratch.finished(b"<a/>", Content::Client).is_some());
    }
}
