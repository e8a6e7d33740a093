//! What only the account's own server may say in a message, when others say it: a stanza id in the name of the account
//! (XEP-0359 §3, rule 2), a delayed delivery notation in the name of its server (XEP-0203 §5). It is taken out, or
//! clients would believe it.
//!
//! A message whose traits have neither [`Traits::STANZA_ID`] nor [`Traits::DELAY`] need not be looked at: see
//! [`may_be_forged`].

use super::traits::Traits;
use crate::jid::Jid;
use crate::xml::{Child, Content, Frame, Scratch, Value, namespaces as ns, write_without};

/// Children of one message that are looked at. A message has at most one stanza id of every entity and one delayed
/// delivery notation; what comes behind so many of them goes without a look, because addresses take time to read.
const LOOKED_AT_MAX: usize = 16;

/// In whose name nobody else may speak; all addresses in normal form.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The account's bare address.
    pub account: &'a str,
    /// Its server's domain.
    pub domain: &'a str,
}

/// Whether a message with these traits has to be looked at.
pub fn may_be_forged(traits: Traits) -> bool {
    traits.has(Traits::STANZA_ID | Traits::DELAY)
}

/// Whether something in a message is forged.
pub fn is_forged(frame: &Frame<'_>, names: &Names<'_>) -> bool {
    let mut forged = forged(names);
    frame.children().any(|child| forged(&child))
}

/// Appends a message without what is forged in it. Answers how many elements were.
pub fn write_without_forged(out: &mut Vec<u8>, frame: &Frame<'_>, names: &Names<'_>) -> usize {
    write_without(out, frame, forged(names))
}

/// A finished message without what is forged in it in any of these names.
pub fn without_forged(message: Vec<u8>, names: &[Names<'_>]) -> Vec<u8> {
    names.iter().fold(message, |message, names| {
        let mut scratch = Scratch::default();
        let Some(frame) = scratch.finished(&message, Content::Client) else { return message };
        let mut without = Vec::with_capacity(message.len());
        write_without_forged(&mut without, &frame, names);
        without
    })
}

/// Tells what is forged, asked of one child after the other.
fn forged<'a>(names: &'a Names<'a>) -> impl FnMut(&Child<'_>) -> bool + 'a {
    let mut looked_at = 0;
    move |child| {
        let (name, attribute) = match child.namespace() {
            ns::STANZA_IDS if child.name() == "stanza-id" => (names.account, "by"),
            ns::DELAY => (names.domain, "from"),
            _ => return false,
        };
        looked_at += 1;
        looked_at > LOOKED_AT_MAX || child.attribute(attribute).is_some_and(|value| means(value, name))
    }
}

/// Whether it is this address, however it is written.
fn means(value: Value<'_>, address: &str) -> bool {
    value.is(address) || Jid::parse(&value.decoded()).is_ok_and(|found| found.as_str() == address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Content, Scratch};

    const NAMES: Names<'static> = Names { account: "juliet@capulet.lit", domain: "capulet.lit" };

    /// The message without what is forged, after the other two functions have been held against the answer.
    fn without_forged(stanza: &str) -> String {
        let mut scratch = Scratch::default();
        let frame = scratch.finished(stanza.as_bytes(), Content::Client).unwrap();
        let mut out = Vec::new();
        let count = write_without_forged(&mut out, &frame, &NAMES);
        assert_eq!(is_forged(&frame, &NAMES), count > 0, "{stanza}");
        assert!(count == 0 || may_be_forged(Traits::of(&frame)), "{stanza}");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn ids_in_the_name_of_the_account_go() {
        for forged in [
            "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@capulet.lit' id='1'/>",
            "<stanza-id id='1' by=\"Juliet@CAPULET.lit\" xmlns='urn:xmpp:sid:0'></stanza-id>",
            "<stanza-id xmlns='urn:xmpp:sid:0' by='&#x6A;uliet@capulet.lit'/>",
            "<s:stanza-id xmlns:s='urn:xmpp:&#115;id:0' by='juliet@capulet.lit' id='1'/>",
            "<delay xmlns='urn:xmpp:delay' from='capulet.lit' stamp='2002-09-10T23:08:25Z'>late</delay>",
            "<delay xmlns='urn:xmpp:delay' from='Capulet.Lit' stamp='2002-09-10T23:08:25Z'/>",
        ] {
            let stanza = format!("<message>{forged}<body>a</body>{forged}</message>");
            assert_eq!(without_forged(&stanza), "<message><body>a</body></message>", "{forged}");
        }
        let declared_outside = "<message xmlns:s='urn:xmpp:sid:0'><s:stanza-id by='juliet@capulet.lit'/></message>";
        assert_eq!(without_forged(declared_outside), "<message xmlns:s='urn:xmpp:sid:0'></message>");
    }

    #[test]
    fn what_is_not_forged_stays() {
        for genuine in [
            "<stanza-id xmlns='urn:xmpp:sid:0' by='coven@chat.shakespeare.lit' id='1'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@capulet.lit/balcony' id='1'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@capulet.lit@' id='1'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' id='1'/>",
            "<stanza-id xmlns='urn:other' by='juliet@capulet.lit' id='1'/>",
            "<origin-id xmlns='urn:xmpp:sid:0' id='1' by='juliet@capulet.lit'/>",
            "<delay xmlns='urn:xmpp:delay' from='coven@chat.shakespeare.lit' stamp='2002-09-10T23:08:25Z'/>",
            "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>",
            "<a><stanza-id xmlns='urn:xmpp:sid:0' by='juliet@capulet.lit' id='1'/></a>",
        ] {
            let stanza = format!("<message>{genuine}</message>");
            assert_eq!(without_forged(&stanza), stanza);
        }
    }

    #[test]
    fn whoever_sends_too_many_loses_the_rest() {
        let id = "<stanza-id xmlns='urn:xmpp:sid:0' by='a@b' id='1'/>";
        let stanza = format!("<message>{}<body/></message>", id.repeat(LOOKED_AT_MAX + 5));
        assert_eq!(without_forged(&stanza), format!("<message>{}<body/></message>", id.repeat(LOOKED_AT_MAX)));
    }
}
