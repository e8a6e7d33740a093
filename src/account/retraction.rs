//! Message retraction (XEP-0424) as far as an archive has to do with it: which message is retracted, whether this
//! sender may do so, and what the archive has in its place.
//!
//! The retraction itself is delivered and archived like any other message (§5). A correction (XEP-0308) asks nothing of
//! an archive: both messages stay.

use std::borrow::Cow;

use super::traits::Traits;
use crate::datetime;
use crate::jid::Jid;
use crate::xml::{Content, Frame, Scratch, attributes, escape, namespaces as ns};

/// A wish to have a message retracted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Retraction<'a> {
    /// The id of the message, as its sender gave it: its `id` attribute (§5.1).
    pub retracts: Cow<'a, str>,
    /// The id of the message that says so; a tombstone refers to it (§4).
    pub id: Cow<'a, str>,
}

impl<'a> Retraction<'a> {
    /// The retraction in a message whose traits have [`Traits::RETRACTION`]; `None` if it is none that the archive can
    /// act on.
    pub fn of(frame: &'a Frame<'a>) -> Option<Retraction<'a>> {
        let is_it = |child: &crate::xml::Child<'_>| child.name() == "retract" && child.namespace() == ns::RETRACTION;
        let retracts = frame.children().find(is_it)?.attribute("id")?.decoded();
        let id = frame.id()?.decoded();
        (!retracts.is_empty() && !id.is_empty()).then_some(Retraction { retracts, id })
    }
}

/// Why a message is not retracted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotRetracted(pub &'static str);

/// Appends what the archive has in the place of `original`, a message as it was archived, once `sender` (the `from` of
/// the retraction) has retracted it at `at_us`, in microseconds since 1970 (§4): nothing is left but who wrote to whom.
pub fn write_tombstone(
    out: &mut Vec<u8>,
    original: &[u8],
    retraction: &Retraction<'_>,
    sender: &Jid<'_>,
    at_us: u64,
) -> Result<(), NotRetracted> {
    let mut scratch = Scratch::default();
    let frame = scratch.finished(original, Content::Client).ok_or(NotRetracted("it cannot be read"))?;
    let traits = Traits::of(&frame);
    if traits.has(Traits::RETRACTION) {
        return Err(NotRetracted("a retraction, or retracted already"));
    }
    let [from, to, kind, id] = attributes(original, ["from", "to", "type", "id"]);
    if id.as_deref() != Some(&*retraction.retracts) {
        return Err(NotRetracted("another message"));
    }
    // §5: in a conversation of two, from the same bare address; but occupants of a room have that in common.
    let author = from.as_deref().and_then(|from| Jid::parse(from).ok());
    let is_same = author.is_some_and(|author| match traits.has(Traits::ROOM) {
        true => author.as_str() == sender.as_str(),
        false => author.bare() == sender.bare(),
    });
    if !is_same {
        return Err(NotRetracted("somebody else's"));
    }
    out.extend_from_slice(b"<message");
    for (name, value) in [("from", &from), ("to", &to), ("type", &kind), ("id", &id)] {
        if let Some(value) = value {
            out.extend_from_slice(format!(" {name}='").as_bytes());
            escape::attribute(out, value);
            out.push(b'\'');
        }
    }
    out.extend_from_slice(b"><retracted xmlns='");
    out.extend_from_slice(ns::RETRACTION.as_bytes());
    out.extend_from_slice(b"' id='");
    escape::attribute(out, &retraction.id);
    out.extend_from_slice(b"' stamp='");
    out.extend_from_slice(datetime::utc_us(at_us).as_bytes());
    out.extend_from_slice(b"'/></message>");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Element;

    const ORIGINAL: &str = "<message from='romeo@montague.example/orchard' to='lord@capulet.example' type='chat' \
                            id='wrong&apos;1' xml:lang='en'><body>Have not saints lips?</body>\
                            <stanza-id xmlns='urn:xmpp:sid:0' by='lord@capulet.example' id='7'/></message>";

    fn retraction<R>(stanza: &str, look: impl FnOnce(Option<Retraction<'_>>) -> R) -> R {
        let mut scratch = Scratch::default();
        let frame = scratch.finished(stanza.as_bytes(), Content::Client).unwrap();
        look(Retraction::of(&frame))
    }

    fn tombstone(original: &str, sender: &str) -> Result<String, NotRetracted> {
        let retraction = Retraction { retracts: "wrong'1".into(), id: "retract-message-1".into() };
        let mut out = Vec::new();
        write_tombstone(&mut out, original.as_bytes(), &retraction, &Jid::parse(sender).unwrap(), 1_569_020_972_000_000)
            .map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_retraction_names_a_message_and_itself() {
        let example = "<message type='chat' to='lord@capulet.example' id='retract-message-1'>\
                       <retract id='wrong-recipient-1' xmlns='urn:xmpp:message-retract:1'/>\
                       <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>\
                       <body>/me retracted a previous message</body><store xmlns='urn:xmpp:hints'/></message>";
        retraction(example, |found| {
            let found = found.unwrap();
            assert_eq!((&*found.retracts, &*found.id), ("wrong-recipient-1", "retract-message-1"));
        });
        for none in [
            "<message id='1'><body/></message>",
            "<message id='1'><retract xmlns='urn:xmpp:message-retract:1'/></message>",
            "<message><retract xmlns='urn:xmpp:message-retract:1' id='2'/></message>",
            "<message id='1'><retract xmlns='urn:xmpp:jingle-message:0' id='2'/></message>",
            "<message id='1'><retracted xmlns='urn:xmpp:message-retract:1' id='2'/></message>",
        ] {
            retraction(none, |found| assert_eq!(found, None, "{none}"));
        }
    }

    #[test]
    fn a_tombstone_tells_nothing_of_what_was_there() {
        let text = tombstone(ORIGINAL, "romeo@montague.example/garden").unwrap();
        assert_eq!(
            text,
            "<message from='romeo@montague.example/orchard' to='lord@capulet.example' type='chat' id='wrong&#39;1'>\
             <retracted xmlns='urn:xmpp:message-retract:1' id='retract-message-1' stamp='2019-09-20T23:09:32Z'/>\
             </message>"
        );
        assert!(Element::parse(text.as_bytes()).is_ok());
        assert_eq!(
            tombstone(&text, "romeo@montague.example/garden"),
            Err(NotRetracted("a retraction, or retracted already"))
        );
    }

    #[test]
    fn nobody_retracts_what_is_not_theirs() {
        assert_eq!(tombstone(ORIGINAL, "lord@capulet.example"), Err(NotRetracted("somebody else's")));
        let other = ORIGINAL.replace("wrong&apos;1", "wrong-recipient-1");
        assert_eq!(tombstone(&other, "romeo@montague.example"), Err(NotRetracted("another message")));
        let nobodys = ORIGINAL.replace("from='romeo@montague.example/orchard'", "");
        assert_eq!(tombstone(&nobodys, "romeo@montague.example"), Err(NotRetracted("somebody else's")));
        let private = ORIGINAL.replace("<body>", "<x xmlns='http://jabber.org/protocol/muc#user'/><body>");
        assert_eq!(tombstone(&private, "romeo@montague.example/garden"), Err(NotRetracted("somebody else's")));
        assert!(tombstone(&private, "romeo@montague.example/orchard").is_ok());
        assert_eq!(tombstone("<message", "romeo@montague.example"), Err(NotRetracted("it cannot be read")));
    }
}
