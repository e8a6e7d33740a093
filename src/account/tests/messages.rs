//! Messages as clients, rooms and services write them, and what is decided about each: what is in it, whether an
//! inactive client gets it, whether it is copied, archived, and kept for later. The account is Juliet's.

use super::csi::{Urgency, urgency};
use super::{Direction, Facts, MessageType, Offline, StanzaKind, Traits, Verdict, archive, carbon, offline};
use crate::xml::{Content, Scratch};

/// What is expected of a message.
struct Row {
    what: &'static str,
    /// Its attributes, then its content.
    message: (&'static str, &'static str),
    traits: &'static str,
    inactive: &'static str,
    copied: &'static str,
    archived: &'static str,
    /// Empty for what Juliet has sent.
    nobody_there: &'static str,
}

const FROM_CHAT: &str = "from='romeo@montague.lit/orchard' to='juliet@capulet.lit' type='chat'";
const FROM_NORMAL: &str = "from='romeo@montague.lit/orchard' to='juliet@capulet.lit'";
const TO_CHAT: &str = "from='juliet@capulet.lit/balcony' to='romeo@montague.lit' type='chat'";
const ROOM: &str = "from='coven@chat.shakespeare.lit/firstwitch' to='juliet@capulet.lit/balcony' type='groupchat'";
const OCCUPANT: &str = "from='coven@chat.shakespeare.lit/firstwitch' to='juliet@capulet.lit/balcony' type='chat'";
const SERVICE: &str = "from='juliet@capulet.lit' to='juliet@capulet.lit/balcony' type='headline'";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row {
        what: "a chat message of a modern client",
        message: (FROM_CHAT, "<body>Art thou not Juliet?</body><active xmlns='http://jabber.org/protocol/chatstates'/>\
            <request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>\
            <origin-id xmlns='urn:xmpp:sid:0' id='o1'/>"),
        traits: "BODY CHAT_STATE",
        inactive: "now: body", copied: "yes: chat", archived: "yes: body", nobody_there: "store: message",
    },
    Row {
        what: "the same, sent",
        message: (TO_CHAT, "<body>Ay me!</body><thread>1</thread>"),
        traits: "BODY",
        inactive: "now: body", copied: "yes: chat", archived: "yes: body", nobody_there: "",
    },
    Row {
        what: "a message without a type",
        message: (FROM_NORMAL, "<subject>Balcony</subject><body>Art thou not Juliet?</body>"),
        traits: "BODY SUBJECT",
        inactive: "now: body", copied: "yes: body", archived: "yes: body", nobody_there: "store: message",
    },
    Row {
        what: "OMEMO as it is widely spoken",
        message: (FROM_CHAT, "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/>\
            <payload>YQ==</payload></encrypted>\
            <encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/>\
            <body>I sent you an OMEMO encrypted message</body><store xmlns='urn:xmpp:hints'/>"),
        traits: "BODY ENCRYPTED STORE",
        inactive: "now: body", copied: "yes: chat", archived: "yes: hint", nobody_there: "store: hint",
    },
    Row {
        what: "an OMEMO key, without a body",
        message: (FROM_CHAT, "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>"),
        traits: "ENCRYPTED",
        inactive: "now: encrypted", copied: "yes: chat", archived: "yes: encrypted", nobody_there: "store: message",
    },
    Row {
        what: "OMEMO of the current version, without a type",
        message: (FROM_NORMAL, "<encrypted xmlns='urn:xmpp:omemo:2'><payload>YQ==</payload></encrypted>\
            <encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/><store xmlns='urn:xmpp:hints'/>"),
        traits: "ENCRYPTED STORE",
        inactive: "now: encrypted", copied: "yes: payload of a conversation", archived: "yes: hint",
        nobody_there: "store: hint",
    },
    Row {
        what: "OpenPGP, old and new",
        message: (FROM_CHAT, "<openpgp xmlns='urn:xmpp:openpgp:0'>YQ==</openpgp>\
            <x xmlns='jabber:x:encrypted'>YQ==</x>"),
        traits: "ENCRYPTED",
        inactive: "now: encrypted", copied: "yes: chat", archived: "yes: encrypted", nobody_there: "store: message",
    },
    Row {
        what: "a delivery receipt",
        message: (FROM_NORMAL, "<received xmlns='urn:xmpp:receipts' id='m1'/>"),
        traits: "RECEIPT",
        inactive: "hold: receipt or marker", copied: "yes: payload of a conversation", archived: "yes: receipt",
        nobody_there: "store: message",
    },
    Row {
        what: "a marker",
        message: (FROM_CHAT, "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/><thread>1</thread>"),
        traits: "MARKER",
        inactive: "hold: receipt or marker", copied: "yes: chat", archived: "yes: marker",
        nobody_there: "store: message",
    },
    Row {
        what: "a marker that another client of the user has sent",
        message: (TO_CHAT, "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>"),
        traits: "MARKER",
        inactive: "now: read elsewhere", copied: "yes: chat", archived: "yes: marker", nobody_there: "",
    },
    Row {
        what: "a chat state",
        message: (FROM_CHAT, "<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>1</thread>"),
        traits: "CHAT_STATE",
        inactive: "drop: chat state", copied: "yes: chat", archived: "no: chat state", nobody_there: "drop: chat state",
    },
    Row {
        what: "a chat state with hints, of no type",
        message: (FROM_NORMAL, "<paused xmlns='http://jabber.org/protocol/chatstates'/>\
            <no-store xmlns='urn:xmpp:hints'/>"),
        traits: "CHAT_STATE NO_STORE",
        inactive: "drop: chat state", copied: "yes: payload of a conversation", archived: "no: hint",
        nobody_there: "drop: chat state",
    },
    Row {
        what: "a chat state that another client of the user has sent",
        message: (TO_CHAT, "<active xmlns='http://jabber.org/protocol/chatstates'/>"),
        traits: "CHAT_STATE",
        inactive: "drop: chat state", copied: "yes: chat", archived: "no: chat state", nobody_there: "",
    },
    Row {
        what: "a call",
        message: (FROM_CHAT, "<propose xmlns='urn:xmpp:jingle-message:0' id='c1'>\
            <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose><store xmlns='urn:xmpp:hints'/>"),
        traits: "CALL STORE",
        inactive: "now: call", copied: "yes: chat", archived: "yes: hint", nobody_there: "store: hint",
    },
    Row {
        what: "the end of a call, without hint and type",
        message: (FROM_NORMAL, "<finish xmlns='urn:xmpp:jingle-message:0' id='c1'/>"),
        traits: "CALL",
        inactive: "now: call", copied: "yes: payload of a conversation", archived: "yes: call",
        nobody_there: "store: message",
    },
    Row {
        what: "a reaction",
        message: (FROM_CHAT, "<reactions id='m1' xmlns='urn:xmpp:reactions:0'><reaction>👋</reaction></reactions>"),
        traits: "REACTION",
        inactive: "now: about a message", copied: "yes: chat", archived: "yes: reaction",
        nobody_there: "store: message",
    },
    Row {
        what: "a retraction",
        message: (FROM_CHAT, "<retract id='m1' xmlns='urn:xmpp:message-retract:1'/>\
            <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>\
            <body>/me retracted a previous message</body><store xmlns='urn:xmpp:hints'/>"),
        traits: "BODY RETRACTION STORE",
        inactive: "now: body", copied: "yes: chat", archived: "yes: hint", nobody_there: "store: hint",
    },
    Row {
        what: "a retraction without a fallback",
        message: (FROM_NORMAL, "<retract id='m1' xmlns='urn:xmpp:message-retract:1'/>"),
        traits: "RETRACTION",
        inactive: "now: about a message", copied: "yes: payload of a conversation", archived: "yes: retraction",
        nobody_there: "store: message",
    },
    Row {
        what: "a correction",
        message: (FROM_CHAT, "<body>I will</body><replace id='m1' xmlns='urn:xmpp:message-correct:0'/>"),
        traits: "BODY CORRECTION",
        inactive: "now: body", copied: "yes: chat", archived: "yes: body", nobody_there: "store: message",
    },
    Row {
        what: "a reply with what goes along",
        message: (FROM_CHAT, "<body>&gt; a&#10;b</body>\
            <reply to='juliet@capulet.lit' id='m1' xmlns='urn:xmpp:reply:0'/>\
            <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'/><x xmlns='jabber:x:oob'><url>a</url></x>\
            <nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick><spoiler xmlns='urn:xmpp:spoiler:0'/>\
            <html xmlns='http://jabber.org/protocol/xhtml-im'/>"),
        traits: "BODY",
        inactive: "now: body", copied: "yes: chat", archived: "yes: body", nobody_there: "store: message",
    },
    Row {
        what: "a direct invitation",
        message: (FROM_NORMAL, "<x xmlns='jabber:x:conference' jid='darkcave@macbeth.shakespeare.lit' reason='Hey'/>"),
        traits: "DIRECT_INVITATION",
        inactive: "now: invitation", copied: "yes: invitation", archived: "yes: invitation",
        nobody_there: "store: message",
    },
    Row {
        what: "an invitation by a room",
        message: ("from='coven@chat.shakespeare.lit' to='juliet@capulet.lit'",
            "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='romeo@montague.lit'/>\
            <password>a</password></x>"),
        traits: "MEDIATED_INVITATION ROOM",
        inactive: "now: invitation", copied: "yes: invitation", archived: "yes: invitation",
        nobody_there: "store: message",
    },
    Row {
        what: "a room passes on that an invitation was declined",
        message: ("from='coven@chat.shakespeare.lit' to='juliet@capulet.lit/balcony'",
            "<x xmlns='http://jabber.org/protocol/muc#user'><decline from='romeo@montague.lit'/></x>"),
        traits: "ROOM",
        inactive: "now: not known", copied: "no: not of a conversation", archived: "no: nothing to keep",
        nobody_there: "store: message",
    },
    Row {
        what: "a message to a resource that has left",
        message: ("from='romeo@montague.lit/orchard' to='juliet@capulet.lit/balcony' type='chat'", "<body>a</body>"),
        traits: "BODY",
        inactive: "now: body", copied: "yes: chat", archived: "yes: body", nobody_there: "store: message",
    },
    Row {
        what: "a private message of an occupant",
        message: (OCCUPANT, "<body>I'll give thee a wind.</body><x xmlns='http://jabber.org/protocol/muc#user'/>"),
        traits: "BODY ROOM",
        inactive: "now: body", copied: "no: every joined client has it from the room", archived: "yes: body",
        nobody_there: "refuse: an occupant who has left a room",
    },
    Row {
        what: "a direct invitation in a private message of an occupant",
        message: (OCCUPANT, "<x xmlns='http://jabber.org/protocol/muc#user'/>\
            <x xmlns='jabber:x:conference' jid='a@b'/>"),
        traits: "DIRECT_INVITATION ROOM",
        inactive: "now: invitation", copied: "no: every joined client has it from the room",
        archived: "yes: invitation", nobody_there: "refuse: an occupant who has left a room",
    },
    Row {
        what: "a private message to an occupant",
        message: ("from='juliet@capulet.lit/balcony' to='coven@chat.shakespeare.lit/firstwitch' type='chat'",
            "<body>Thank thee.</body><x xmlns='http://jabber.org/protocol/muc#user'/>"),
        traits: "BODY ROOM",
        inactive: "now: body", copied: "yes: chat", archived: "yes: body", nobody_there: "",
    },
    Row {
        what: "what is said in a room",
        message: (ROOM, "<body>Thrice the brinded cat hath mew'd.</body>\
            <stanza-id xmlns='urn:xmpp:sid:0' id='s1' by='coven@chat.shakespeare.lit'/>\
            <occupant-id xmlns='urn:xmpp:occupant-id:0' id='o1'/>"),
        traits: "BODY STANZA_ID",
        inactive: "now: body", copied: "no: every joined client has it from the room",
        archived: "no: the room has an archive", nobody_there: "refuse: groupchat to nobody",
    },
    Row {
        what: "what was said in a room",
        message: (ROOM, "<body>Thrice.</body><delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:05:37Z'/>\
            <x xmlns='jabber:x:delay' stamp='20020910T23:05:37'/>"),
        traits: "BODY DELAY",
        inactive: "now: body", copied: "no: every joined client has it from the room",
        archived: "no: the room has an archive", nobody_there: "refuse: groupchat to nobody",
    },
    Row {
        what: "the subject of a room",
        message: (ROOM, "<subject/>"),
        traits: "SUBJECT",
        inactive: "now: subject", copied: "no: every joined client has it from the room",
        archived: "no: the room has an archive", nobody_there: "refuse: groupchat to nobody",
    },
    Row {
        what: "a chat state in a room",
        message: (ROOM, "<composing xmlns='http://jabber.org/protocol/chatstates'/>\
            <stanza-id xmlns='urn:xmpp:sid:0' id='s1' by='coven@chat.shakespeare.lit'/>\
            <occupant-id xmlns='urn:xmpp:occupant-id:0' id='o1'/>"),
        traits: "CHAT_STATE STANZA_ID",
        inactive: "drop: chat state", copied: "no: every joined client has it from the room",
        archived: "no: the room has an archive", nobody_there: "refuse: groupchat to nobody",
    },
    Row {
        what: "a reaction in a room",
        message: (ROOM, "<reactions id='m1' xmlns='urn:xmpp:reactions:0'/><store xmlns='urn:xmpp:hints'/>"),
        traits: "REACTION STORE",
        inactive: "hold: about a message of a room", copied: "no: every joined client has it from the room",
        archived: "no: the room has an archive", nobody_there: "refuse: groupchat to nobody",
    },
    Row {
        what: "a room's settings have changed",
        message: (ROOM, "<x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>"),
        traits: "ROOM",
        inactive: "hold: news of a room", copied: "no: every joined client has it from the room",
        archived: "no: the room has an archive", nobody_there: "refuse: groupchat to nobody",
    },
    Row {
        what: "a notification of publish-subscribe",
        message: (SERVICE, "<event xmlns='http://jabber.org/protocol/pubsub#event'>\
            <items node='urn:xmpp:mds:displayed:0'><item id='romeo@montague.lit'/></items></event>"),
        traits: "EVENT",
        inactive: "hold: notification of publish-subscribe", copied: "no: not of a conversation",
        archived: "no: headline", nobody_there: "drop: headline to nobody",
    },
    Row {
        what: "a notification of publish-subscribe without a type",
        message: (FROM_NORMAL, "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='a'/></event>"),
        traits: "EVENT",
        inactive: "hold: notification of publish-subscribe", copied: "no: not of a conversation",
        archived: "no: nothing to keep", nobody_there: "drop: notification of publish-subscribe",
    },
    Row {
        what: "an announcement",
        message: ("from='capulet.lit' to='juliet@capulet.lit' type='headline'", "<body>It stops at noon.</body>"),
        traits: "BODY",
        inactive: "now: body", copied: "no: not of a conversation", archived: "no: headline",
        nobody_there: "drop: headline to nobody",
    },
    Row {
        what: "a message could not be delivered",
        message: ("from='romeo@montague.lit' to='juliet@capulet.lit/balcony' type='error'",
            "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"),
        traits: "",
        inactive: "now: error", copied: "yes: error in answer to a message",
        archived: "yes: a message was not delivered", nobody_there: "drop: error to nobody",
    },
    Row {
        what: "a message to a full address could not be delivered, and comes back with its hints",
        message: ("from='romeo@montague.lit/orchard' to='juliet@capulet.lit/balcony' type='error'",
            "<body>Ay me!</body><no-store xmlns='urn:xmpp:hints'/><no-copy xmlns='urn:xmpp:hints'/>\
            <error type='cancel'/>"),
        traits: "BODY NO_COPY NO_STORE",
        inactive: "now: error", copied: "yes: error in answer to a message",
        archived: "yes: a message was not delivered", nobody_there: "drop: error to nobody",
    },
    Row {
        what: "a private message comes back",
        message: ("from='romeo@montague.lit' to='juliet@capulet.lit/balcony' type='error'",
            "<body>Ay me!</body><private xmlns='urn:xmpp:carbons:2'/><error type='cancel'/>"),
        traits: "BODY PRIVATE",
        inactive: "now: error", copied: "no: error in answer to a private message",
        archived: "yes: a message was not delivered", nobody_there: "drop: error to nobody",
    },
    Row {
        what: "something to a full address comes back, and does not say what",
        message: ("from='romeo@montague.lit/orchard' to='juliet@capulet.lit/balcony' type='error'", "<error/>"),
        traits: "",
        inactive: "now: error", copied: "no: error in answer to something unknown",
        archived: "yes: a message was not delivered", nobody_there: "drop: error to nobody",
    },
    Row {
        what: "a notification of the account comes back",
        message: ("from='romeo@montague.lit' to='juliet@capulet.lit' type='error'", "<error type='cancel'/>"),
        traits: "",
        inactive: "now: error", copied: "no: error in answer to no message of a client",
        archived: "no: error in answer to no message of a client", nobody_there: "drop: error to nobody",
    },
    Row {
        what: "a client answers with an error",
        message: ("from='juliet@capulet.lit/balcony' to='romeo@montague.lit/orchard' type='error'", "<error/>"),
        traits: "",
        inactive: "now: error", copied: "no: error of a client",
        archived: "no: error in answer to no message of a client", nobody_there: "",
    },
    Row {
        what: "a private message",
        message: (TO_CHAT, "<body>a</body><private xmlns='urn:xmpp:carbons:2'/><no-copy xmlns='urn:xmpp:hints'/>"),
        traits: "BODY PRIVATE NO_COPY",
        inactive: "now: body", copied: "no: private", archived: "yes: body", nobody_there: "",
    },
    Row {
        what: "a message that is not to be copied",
        message: (FROM_CHAT, "<body>a</body><no-copy xmlns='urn:xmpp:hints'/>"),
        traits: "BODY NO_COPY",
        inactive: "now: body", copied: "no: hint", archived: "yes: body", nobody_there: "store: message",
    },
    Row {
        what: "a message off the record",
        message: (FROM_CHAT, "<body>a</body><no-permanent-store xmlns='urn:xmpp:hints'/>"),
        traits: "BODY NO_PERMANENT_STORE",
        inactive: "now: body", copied: "yes: chat", archived: "no: hint", nobody_there: "store: message",
    },
    Row {
        what: "a message for this moment only",
        message: (FROM_CHAT, "<body>a</body><no-store xmlns='urn:xmpp:hints'/>"),
        traits: "BODY NO_STORE",
        inactive: "now: body", copied: "yes: chat", archived: "no: hint", nobody_there: "refuse: hint",
    },
    Row {
        what: "something without a body for this moment only",
        message: (FROM_CHAT, "<attention xmlns='urn:xmpp:attention:0'/><no-store xmlns='urn:xmpp:hints'/>"),
        traits: "NO_STORE UNKNOWN",
        inactive: "now: not known", copied: "yes: chat", archived: "no: hint", nobody_there: "drop: hint",
    },
    Row {
        what: "a headline that wants to be stored",
        message: ("from='news@capulet.lit' to='juliet@capulet.lit' type='headline'",
            "<body>Peace!</body><store xmlns='urn:xmpp:hints'/>"),
        traits: "BODY STORE",
        inactive: "now: body", copied: "no: not of a conversation", archived: "yes: hint", nobody_there: "store: hint",
    },
    Row {
        what: "something unknown without a type",
        message: (FROM_NORMAL, "<x xmlns='jabber:x:data' type='form'/>"),
        traits: "UNKNOWN",
        inactive: "now: not known", copied: "no: not of a conversation", archived: "no: nothing to keep",
        nobody_there: "store: message",
    },
    Row {
        what: "a result of an archive query, of a room for example",
        message: ("from='coven@chat.shakespeare.lit' to='juliet@capulet.lit/balcony'",
            "<result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'/></result>"),
        traits: "ARCHIVE_RESULT",
        inactive: "now: result of a query", copied: "no: a copy itself", archived: "no: a copy",
        nobody_there: "store: message",
    },
    Row {
        what: "Tybalt attempts impersonation",
        message: ("from='tybalt@capulet.lit/home' to='juliet@capulet.lit' type='chat'",
            "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>\
            <body>a</body></message></forwarded></received>"),
        traits: "CARBON",
        inactive: "now: not known", copied: "no: a copy itself", archived: "no: a copy",
        nobody_there: "store: message",
    },
    Row {
        what: "nothing",
        message: (FROM_CHAT, ""),
        traits: "",
        inactive: "now: not known", copied: "yes: chat", archived: "no: nothing to keep",
        nobody_there: "drop: nothing in it",
    },
    Row {
        what: "what looks like something and is in other namespaces",
        message: (FROM_NORMAL, "<body xmlns='urn:x'/><composing xmlns='urn:x'/><store xmlns='urn:x'/>\
            <received xmlns='urn:xmpp:receipts:1'/>"),
        traits: "UNKNOWN",
        inactive: "now: not known", copied: "no: not of a conversation", archived: "no: nothing to keep",
        nobody_there: "store: message",
    },
    Row {
        what: "what is written in another way",
        message: ("from='romeo@montague.lit/orchard' to='juliet@capulet.lit' type='&#99;hat' xmlns:h='urn:xmpp:hints' \
            xmlns:c='jabber:client'", "<c:body>a</c:body><h:store/>"),
        traits: "BODY STORE",
        inactive: "now: body", copied: "yes: chat", archived: "yes: hint", nobody_there: "store: hint",
    },
];

/// What a decision needs to know of a message.
fn facts(stanza: &str) -> Facts {
    let mut scratch = Scratch::default();
    let frame = scratch.finished(stanza.as_bytes(), Content::Client).unwrap();
    let kind = frame.kind_attr().map(|kind| kind.decoded());
    let kind = match kind.as_deref() {
        Some("chat") => MessageType::Chat,
        Some("groupchat") => MessageType::Groupchat,
        Some("headline") => MessageType::Headline,
        Some("error") => MessageType::Error,
        _ => MessageType::Normal,
    };
    let address = |name: &str| frame.attribute(name).unwrap().decoded().into_owned();
    let (from, to) = (address("from"), address("to"));
    let is_sent = from.starts_with("juliet@capulet.lit/");
    assert!(is_sent || to.starts_with("juliet@capulet.lit"), "{stanza}");
    Facts {
        kind,
        traits: Traits::of(&frame),
        direction: if is_sent { Direction::Sent } else { Direction::Received },
        from_full: from.contains('/'),
        to_full: to.contains('/'),
    }
}

fn verdict(verdict: Verdict) -> String {
    let word = if verdict.is_yes() { "yes" } else { "no" };
    format!("{word}: {}", verdict.reason())
}

#[test]
fn every_kind_of_message_is_treated_as_it_should_be() {
    let mut wrong = Vec::new();
    for row in ROWS {
        let (attributes, content) = row.message;
        let facts = facts(&format!("<message {attributes}>{content}</message>"));
        let copy = (facts.direction == Direction::Sent).then_some(Direction::Sent);
        let inactive = match urgency(StanzaKind::Message(facts.kind), facts.traits, copy) {
            Urgency::Now(reason) => format!("now: {reason}"),
            Urgency::Hold(reason) => format!("hold: {reason}"),
            Urgency::Replace(reason) => format!("replace: {reason}"),
            Urgency::Drop(reason) => format!("drop: {reason}"),
        };
        let nobody_there = match offline(&facts) {
            _ if facts.direction == Direction::Sent => String::new(),
            Offline::Store(reason) => format!("store: {reason}"),
            Offline::Refuse(reason) => format!("refuse: {reason}"),
            Offline::Drop(reason) => format!("drop: {reason}"),
        };
        let found =
            [format!("{:?}", facts.traits), inactive, verdict(carbon(&facts)), verdict(archive(&facts)), nobody_there];
        let expected = [&format!("Traits({})", row.traits), row.inactive, row.copied, row.archived, row.nobody_there];
        for (found, expected) in found.iter().zip(expected) {
            if found != expected {
                wrong.push(format!("{}: {found}, should be {expected}", row.what));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_number_holds_all_traits() {
    for row in ROWS {
        let (attributes, content) = row.message;
        let traits = facts(&format!("<message {attributes}>{content}</message>")).traits;
        assert_eq!(Traits::from_bits(traits.bits()), traits);
    }
    assert_eq!(size_of::<Traits>(), 4);
}
