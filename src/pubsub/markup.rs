//! Writing answers and notifications as bytes, because stored payloads go into them as they are, without being read.

use crate::xml::{Element, escape, namespaces as ns};

/// Appends a start tag with attributes.
pub fn open(out: &mut Vec<u8>, name: &str, attributes: &[(&str, &str)]) {
    start(out, name, attributes);
    out.push(b'>');
}

/// Appends an element without content.
pub fn empty(out: &mut Vec<u8>, name: &str, attributes: &[(&str, &str)]) {
    start(out, name, attributes);
    out.extend_from_slice(b"/>");
}

/// Appends an end tag.
pub fn close(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

/// Appends `<item/>` with its id, its publisher and its payload, which is empty for none.
pub fn item(out: &mut Vec<u8>, id: Option<&str>, publisher: Option<&str>, payload: &[u8]) {
    let attributes = [id.map(|id| ("id", id)), publisher.map(|publisher| ("publisher", publisher))];
    let attributes: Vec<_> = attributes.into_iter().flatten().collect();
    if payload.is_empty() {
        return empty(out, "item", &attributes);
    }
    open(out, "item", &attributes);
    out.extend_from_slice(payload);
    close(out, "item");
}

/// `<pubsub/>` in a namespace around what `content` appends.
pub fn pubsub(namespace: &str, content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    within("pubsub", namespace, content)
}

/// `<event/>` around what `content` appends.
pub fn event(content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    within("event", ns::PUBSUB_EVENT, content)
}

fn within(name: &str, namespace: &str, content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    open(&mut out, name, &[("xmlns", namespace)]);
    content(&mut out);
    close(&mut out, name);
    out
}

/// A payload as it is stored: an element that declares its namespace itself, wherever it will stand.
pub fn payload(element: &Element) -> Vec<u8> {
    let mut out = Vec::new();
    // No namespace has this name, so that the element's own is written in any case.
    element.write_to(&mut out, "\0");
    out
}

fn start(out: &mut Vec<u8>, name: &str, attributes: &[(&str, &str)]) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    for (name, value) in attributes {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"='");
        escape::attribute(out, value);
        out.push(b'\'');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_stands_for_itself_anywhere() {
        for text in [
            "<tune xmlns='http://jabber.org/protocol/tune'><artist>Gerald Finzi &amp; others</artist></tune>",
            "<message><body xml:lang='en'>x</body></message>",
            "<nothing xmlns=''/>",
            "<a:x xmlns:a='urn:a' a:b='c'><y xmlns='urn:y'/></a:x>",
        ] {
            let element = Element::parse(text.as_bytes()).unwrap();
            let mut out = Vec::new();
            item(&mut out, Some("it's <1>"), None, &payload(&element));
            let within = Element::parse(&[b"<items xmlns='urn:other'>", &out[..], b"</items>"].concat()).unwrap();
            let item = within.child("item", "urn:other").unwrap();
            assert_eq!(item.attribute("id"), Some("it's <1>"));
            assert_eq!(item.children().collect::<Vec<_>>(), [&element]);
        }
    }
}
