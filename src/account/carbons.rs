//! Message carbons (XEP-0280): which messages the other resources of an account get a copy of, and how a copy is
//! written. The rules are those of §6.1, which a server may advertise as `urn:xmpp:carbons:rules:0`.
//!
//! Who gets a copy follows from where the message itself went: each resource with carbons enabled that has not got it
//! (received), or that has not sent it (sent). A message of an account to itself is only a received one: its resources
//! would otherwise get it twice. Copies are not copied, and an error in answer to one goes nowhere (§10.3): a copy has
//! no sender but the account.
//!
//! `<private/>` is left in the message: the current version of the specification no longer has it removed (§9).

use super::delivery::MessageType;
use super::forwarding::write_forwarded;
use super::traits::{Direction, Facts, Traits, Verdict};
use crate::xml::namespaces as ns;

/// Payloads that are typical of instant messaging (§6.1): a message of any type that has one is copied.
const CONVERSATION: Traits = Traits::from_bits(
    Traits::CHAT_STATE.bits()
        | Traits::RECEIPT.bits()
        | Traits::MARKER.bits()
        | Traits::ENCRYPTED.bits()
        | Traits::CALL.bits()
        | Traits::REACTION.bits()
        | Traits::RETRACTION.bits(),
);

/// Whether copies of a message are made (§6.1).
pub fn carbon(facts: &Facts) -> Verdict {
    let Facts { kind, traits, direction, from_full, to_full } = *facts;
    let received = direction == Direction::Received;
    if kind == MessageType::Groupchat {
        return Verdict::No("every joined client has it from the room");
    }
    // The hints of an error are those of the message that it answers (XEP-0334 §5), and that was copied, or not.
    if kind == MessageType::Error {
        return match () {
            _ if traits.has(Traits::PRIVATE) => Verdict::No("error in answer to a private message"),
            _ if !received => Verdict::No("error of a client"),
            _ if !to_full => Verdict::No("error in answer to no message of a client"),
            // Not every error has the message in it. What clients write goes to bare addresses for the most part.
            _ if !from_full || traits.has(CONVERSATION | Traits::BODY) => Verdict::Yes("error in answer to a message"),
            _ => Verdict::No("error in answer to something unknown"),
        };
    }
    if traits.has(Traits::PRIVATE) {
        return Verdict::No("private");
    }
    if traits.has(Traits::NO_COPY) {
        return Verdict::No("hint");
    }
    if traits.has(Traits::CARBON | Traits::ARCHIVE_RESULT) {
        return Verdict::No("a copy itself");
    }
    if traits.has(Traits::MEDIATED_INVITATION) {
        return Verdict::Yes("invitation");
    }
    if received && from_full && traits.has(Traits::ROOM) {
        return Verdict::No("every joined client has it from the room");
    }
    if traits.has(Traits::DIRECT_INVITATION) {
        return Verdict::Yes("invitation");
    }
    if kind == MessageType::Chat {
        return Verdict::Yes("chat");
    }
    if kind == MessageType::Normal && traits.has(Traits::BODY) {
        return Verdict::Yes("body");
    }
    if traits.has(CONVERSATION) {
        return Verdict::Yes("payload of a conversation");
    }
    Verdict::No("not of a conversation")
}

/// Appends a copy of `stanza`, a finished message with its true `from`: to a client, in a stream whose content is
/// `jabber:client`. `account` is the bare address of the account whose resource `to` is, a full address; both are
/// escaped as attribute values already.
pub fn write_carbon(
    out: &mut Vec<u8>,
    direction: Direction,
    kind: MessageType,
    account: &str,
    to: &str,
    stanza: &[u8],
) {
    let (name, end) = match direction {
        Direction::Sent => ("sent", "</sent></message>"),
        Direction::Received => ("received", "</received></message>"),
    };
    let kind = match kind {
        MessageType::Chat => " type='chat'",
        MessageType::Error => " type='error'",
        MessageType::Groupchat => " type='groupchat'",
        MessageType::Headline => " type='headline'",
        MessageType::Normal => "",
    };
    out.reserve(stanza.len() + account.len() + to.len() + COPY_BYTES);
    let parts = ["<message", kind, " from='", account, "' to='", to, "'><", name, " xmlns='", ns::CARBONS, "'>"];
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    write_forwarded(out, None, stanza);
    out.extend_from_slice(end.as_bytes());
}

/// The bytes of a copy, at most, beside the addresses and the message.
pub const COPY_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Element;

    fn written(direction: Direction, kind: MessageType, stanza: &str) -> String {
        let mut out = b"<presence/>".to_vec();
        let (account, to) = ("romeo@montague.example", "romeo@montague.example/home");
        write_carbon(&mut out, direction, kind, account, to, stanza.as_bytes());
        assert!(out.len() - 11 <= COPY_BYTES + stanza.len() + account.len() + to.len());
        let text = String::from_utf8(out).unwrap();
        text.strip_prefix("<presence/>").unwrap().to_owned()
    }

    const INNER: &str = "<message from='juliet@capulet.example/balcony' to='romeo@montague.example/garden' \
                         type='chat'><body>What man art thou?</body><thread>0e31</thread></message>";

    #[test]
    fn the_examples_of_the_specification() {
        assert_eq!(
            written(Direction::Received, MessageType::Chat, INNER),
            "<message type='chat' from='romeo@montague.example' to='romeo@montague.example/home'>\
             <received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' from='juliet@capulet.example/balcony' \
             to='romeo@montague.example/garden' type='chat'><body>What man art thou?</body>\
             <thread>0e31</thread></message></forwarded></received></message>"
        );
        let sent = written(Direction::Sent, MessageType::Normal, INNER);
        assert!(sent.starts_with("<message from='romeo@montague.example' to='romeo@montague.example/home'><sent "));
        assert!(sent.ends_with("</message></forwarded></sent></message>"));
    }

    #[test]
    fn a_copy_has_the_message_in_it_as_it_was() {
        for stanza in [INNER, "<message/>", "<c:message xmlns:c='jabber:client' type='x'><body>a</body></c:message >"] {
            for direction in [Direction::Sent, Direction::Received] {
                let copy = written(direction, MessageType::Error, stanza);
                let copy = Element::parse(copy.as_bytes()).unwrap();
                assert_eq!(copy.attribute("type"), Some("error"));
                let wrapper = copy.children().next().unwrap();
                let forwarded = wrapper.child("forwarded", ns::FORWARD).unwrap();
                assert_eq!(forwarded.children().next(), Some(&Element::parse(stanza.as_bytes()).unwrap()));
            }
        }
    }
}
