//! Unique and stable stanza ids (XEP-0359): telling a client under which id the account's archive has a message.
//!
//! `<origin-id/>` is nobody's business here and stays as it is. Ids that others pretend to be the account's are taken
//! out before ([`forged`](super::forged)).

use crate::xml::{append_child, namespaces as ns};

/// Adds `<stanza-id/>` to the stanza that `out` ends with, and that begins at `start`. `by` is whose id it is: the
/// account's bare address, or a room's. Both values are escaped as attribute values already.
///
/// Only in what goes to those who may read that archive (XEP-0313 §3.5): the account's own resources, never the
/// contact.
pub fn append_stanza_id(out: &mut Vec<u8>, start: usize, by: &str, id: &str) {
    append_child(out, start, |out| {
        out.extend_from_slice(b"<stanza-id xmlns='");
        out.extend_from_slice(ns::STANZA_IDS.as_bytes());
        out.extend_from_slice(b"' by='");
        out.extend_from_slice(by.as_bytes());
        out.extend_from_slice(b"' id='");
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(b"'/>");
    });
}

/// Bytes that [`append_stanza_id`] adds at most, beside the address, the id and the name of the stanza.
pub const STANZA_ID_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Element;

    #[test]
    fn an_id_goes_into_whatever_stanza_there_is() {
        for stanza in [
            "<message to='juliet@capulet.lit'><body>a</body><origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>",
            "<message to='juliet@capulet.lit'/>",
            "<c:message xmlns:c='jabber:client'><c:body>a</c:body></c:message >",
        ] {
            let mut out = b"<presence/>".to_vec();
            out.extend_from_slice(stanza.as_bytes());
            append_stanza_id(&mut out, 11, "d&#39;artagnan@capulet.lit", "1a2b");
            let added = out.len() - 11 - stanza.len();
            assert!(added <= STANZA_ID_BYTES + 26 + 4 + "c:message".len(), "{added} bytes");
            let before = Element::parse(stanza.as_bytes()).unwrap();
            let after = Element::parse(&out[11..]).unwrap();
            assert_eq!(after.name, before.name);
            let id = after.child("stanza-id", ns::STANZA_IDS).unwrap();
            assert_eq!(id.attribute("by"), Some("d'artagnan@capulet.lit"));
            assert_eq!(id.attribute("id"), Some("1a2b"));
            let kept = after.children().filter(|child| child.name != "stanza-id");
            assert!(kept.eq(before.children()), "{stanza}");
        }
    }
}
