//! Stanza forwarding (XEP-0297): a stanza within another one, as carbons and archives have it.

use super::delay::Delay;
use crate::xml::{namespaces as ns, write_with_default};

/// Appends `<forwarded/>` with a finished stanza of a client's stream in it, and when it was received.
///
/// The stanza keeps the namespace that it has in its stream (XEP-0297 §3.2): within `<forwarded/>` it would inherit
/// another one.
pub fn write_forwarded(out: &mut Vec<u8>, delay: Option<&Delay<'_>>, stanza: &[u8]) {
    out.extend_from_slice(b"<forwarded xmlns='");
    out.extend_from_slice(ns::FORWARD.as_bytes());
    out.extend_from_slice(b"'>");
    if let Some(delay) = delay {
        delay.write(out);
    }
    write_with_default(out, stanza, ns::CLIENT);
    out.extend_from_slice(b"</forwarded>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Element;

    #[test]
    fn a_stanza_keeps_its_namespace_however_it_is_written() {
        for stanza in [
            "<message to='a@b'><body>hi</body></message>",
            "<message xmlns='jabber:client' to='a@b'><body>hi</body></message>",
            "<c:message xmlns:c='jabber:client' to='a@b'><body>hi</body></c:message>",
            "<c:message xmlns:c='jabber:client' xmlns='jabber:client' to='a@b'><body>hi</body></c:message>",
            "<c:message xmlns:c='jabber:client' a=\"xmlns='y'\" to='a@b'><body>hi</body></c:message>",
            "<message\n to='a@b'><body xmlns:a='b'>hi</body></message>",
        ] {
            let mut out = Vec::new();
            let delay = Delay { from: None, at_us: 0, reason: "" };
            write_forwarded(&mut out, Some(&delay), stanza.as_bytes());
            let forwarded = Element::parse(&out).unwrap();
            assert!(forwarded.name == "forwarded" && forwarded.namespace == ns::FORWARD);
            let children: Vec<_> = forwarded.children().collect();
            assert_eq!(children.len(), 2, "{stanza}");
            assert_eq!(children[0].attribute("stamp"), Some("1970-01-01T00:00:00Z"));
            let message = children[1];
            assert!(message.name == "message" && message.namespace == ns::CLIENT, "{stanza}");
            assert_eq!(message.attribute("to"), Some("a@b"));
            assert_eq!(message.child("body", ns::CLIENT).unwrap().text(), "hi", "{stanza}");
        }
    }
}
