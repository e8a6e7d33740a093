//! Client state indication (XEP-0352): what an inactive client is sent at once, what waits, and what it never gets.
//!
//! A client that has said `<inactive/>` is not looked at: waking a phone for what nobody sees costs its battery. What a
//! person wants to know of now is sent now, and what has waited goes before it, in the order in which it came: the
//! radio is on anyway, and stanzas of the same sender must not overtake each other (RFC 6120 §10.1). `<active/>`, and a
//! stream that is resumed (XEP-0352 §5.2), let everything out before anything else happens.
//!
//! | stanza | when inactive | why |
//! |---|---|---|
//! | iq | now | an answer, or a question that has a deadline |
//! | message or presence of type `error` | now | something has failed |
//! | presence about subscriptions | now | somebody asks |
//! | presence, available or not | waits; the newest of each sender replaces the older | only the last state matters |
//! | message with a body | now | somebody writes |
//! | message with a subject | now | it ends the joining of a room |
//! | encrypted message | now | it may be anything |
//! | call, invitation | now | somebody waits |
//! | result of an archive query | now | the client has asked for it |
//! | reaction, retraction: in a conversation of two | now | somebody means this user |
//! | reaction, retraction: in a room | waits | nobody means this user in particular |
//! | marker that another client of this user has sent (carbon) | now | notifications of what was read there can go |
//! | receipt, marker | waits | it changes nothing but a tick |
//! | chat state alone | never sent | it is over before anybody looks (XEP-0352 §3.2) |
//! | notification of publish-subscribe, headline without body | waits | profile data, moods, lists of devices |
//! | anything else of a room | waits | its settings, and the like |
//! | message with nothing that is known here | now | what is not known is not held back |
//!
//! A carbon is judged by the message in it. What waits is bounded in bytes and number; when there is too much, it is
//! sent.

use super::delivery::{MessageType, PresenceType, StanzaKind};
use super::traits::{Direction, Traits};
use crate::xml::attribute;

/// What happens to a stanza for an inactive client, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Urgency {
    /// It is sent, behind all that has waited.
    Now(&'static str),
    /// It waits.
    Hold(&'static str),
    /// It waits, in the place of the one that its sender had there.
    Replace(&'static str),
    /// It is not sent at all.
    Drop(&'static str),
}

/// What is urgent in a message of any type but `error`, each with what it is called.
const URGENT: [(Traits, &str); 7] = [
    (Traits::BODY, "body"),
    (Traits::SUBJECT, "subject"),
    (Traits::ENCRYPTED, "encrypted"),
    (Traits::CALL, "call"),
    (Traits::DIRECT_INVITATION, "invitation"),
    (Traits::MEDIATED_INVITATION, "invitation"),
    (Traits::ARCHIVE_RESULT, "result of a query"),
];

/// Decides by a stanza's kind and, of a message, its traits. `carbon` says which copy it is, if it is one; kind and
/// traits are those of the message in it.
pub fn urgency(kind: StanzaKind, traits: Traits, carbon: Option<Direction>) -> Urgency {
    match kind {
        StanzaKind::Iq(_) => Urgency::Now("iq"),
        StanzaKind::Presence(PresenceType::Available | PresenceType::Unavailable) => Urgency::Replace("presence"),
        StanzaKind::Presence(PresenceType::Error) => Urgency::Now("error"),
        StanzaKind::Presence(_) => Urgency::Now("subscription"),
        StanzaKind::Message(MessageType::Error) => Urgency::Now("error"),
        StanzaKind::Message(kind) => message_urgency(kind, traits, carbon),
    }
}

fn message_urgency(kind: MessageType, traits: Traits, carbon: Option<Direction>) -> Urgency {
    if let Some((_, name)) = URGENT.iter().find(|(content, _)| traits.has(*content)) {
        return Urgency::Now(name);
    }
    if traits.is_chat_state_only() {
        return Urgency::Drop("chat state");
    }
    if traits.has(Traits::REACTION | Traits::RETRACTION) {
        return match kind {
            MessageType::Groupchat => Urgency::Hold("about a message of a room"),
            _ => Urgency::Now("about a message"),
        };
    }
    if traits.has(Traits::MARKER) && carbon == Some(Direction::Sent) {
        return Urgency::Now("read elsewhere");
    }
    if traits.has(Traits::MARKER | Traits::RECEIPT) {
        return Urgency::Hold("receipt or marker");
    }
    if traits.has(Traits::EVENT) {
        return Urgency::Hold("notification of publish-subscribe");
    }
    match kind {
        MessageType::Headline => Urgency::Hold("headline"),
        MessageType::Groupchat => Urgency::Hold("news of a room"),
        _ => Urgency::Now("not known"),
    }
}

/// What bounds the stanzas that wait for one client.
#[derive(Clone, Copy, Debug)]
pub struct HeldLimits {
    /// Bytes of them.
    pub bytes_max: usize,
    /// How many.
    pub stanzas_max: usize,
}

/// There is no room: let out what waits, and send the stanza behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoRoom;

/// The stanzas that wait for one client, each with what its keeper has to remember of it. Owns no memory while none
/// does.
///
/// To stream management a stanza that waits was not sent yet. When the session's connection breaks, or the session
/// ends, all that waits is let out into what was not acknowledged, and goes its way.
#[derive(Debug)]
pub struct Held<M> {
    bytes: Vec<u8>,
    entries: Vec<Entry<M>>,
    /// Bytes of stanzas that were replaced.
    dead: usize,
}

#[derive(Debug)]
struct Entry<M> {
    start: u32,
    end: u32,
    /// Of the sender, if a newer stanza of it takes the place of this one; otherwise zero.
    sender: u32,
    memo: M,
}

impl<M> Default for Held<M> {
    fn default() -> Held<M> {
        Held { bytes: Vec::new(), entries: Vec::new(), dead: 0 }
    }
}

impl<M> Held<M> {
    /// How many stanzas wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a finished stanza in, behind all others. With `replaces`, the one that its sender has here goes: the one
    /// that was taken in with `replaces` and has the same `from`.
    pub fn hold(&mut self, limits: &HeldLimits, stanza: &[u8], replaces: bool, memo: M) -> Result<(), NoRoom> {
        let sender = if replaces { sender(stanza) } else { 0 };
        let older = if replaces { self.find(stanza, sender) } else { None };
        let freed = older.and_then(|index| self.entries.get(index)).map_or(0, Entry::stanza_bytes);
        let bytes = self.bytes.len() - self.dead - freed + stanza.len();
        if bytes > limits.bytes_max || self.entries.len() + usize::from(older.is_none()) > limits.stanzas_max {
            return Err(NoRoom);
        }
        if let Some(index) = older {
            self.entries.remove(index);
            self.dead += freed;
        }
        if self.dead > bytes {
            self.compact();
        }
        let start = self.bytes.len();
        let (Ok(first), Ok(end)) = (u32::try_from(start), u32::try_from(start + stanza.len())) else {
            return Err(NoRoom);
        };
        self.bytes.extend_from_slice(stanza);
        self.entries.push(Entry { start: first, end, sender, memo });
        Ok(())
    }

    /// What waits, in the order in which it came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &M)> {
        self.entries.iter().map(|entry| (entry.of(&self.bytes), &entry.memo))
    }

    /// Lets everything out, in the order in which it came, and gives its memory back.
    pub fn flush(&mut self, mut each: impl FnMut(&[u8], M)) {
        let Held { bytes, entries, .. } = std::mem::take(self);
        for entry in entries {
            each(bytes.get(entry.start as usize..entry.end as usize).unwrap_or_default(), entry.memo);
        }
    }

    /// The entry that a stanza of this sender takes the place of.
    fn find(&self, stanza: &[u8], sender: u32) -> Option<usize> {
        let is_older = |entry: &Entry<M>| entry.sender == sender && same_sender(entry.of(&self.bytes), stanza);
        self.entries.iter().position(is_older)
    }

    fn compact(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes.len() - self.dead);
        for entry in &mut self.entries {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(entry.of(&self.bytes));
            (entry.start, entry.end) = (start, bytes.len() as u32);
        }
        self.bytes = bytes;
        self.dead = 0;
    }
}

impl<M> Entry<M> {
    fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    fn stanza_bytes(&self) -> usize {
        (self.end - self.start) as usize
    }
}

/// A number for a stanza's sender, never zero: what has another one is of somebody else (FNV-1a).
fn sender(stanza: &[u8]) -> u32 {
    let from = attribute(stanza, "from").map(|from| from.decoded());
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    from.as_deref().unwrap_or_default().bytes().fold(0x811c_9dc5, mix).max(1)
}

fn same_sender(one: &[u8], other: &[u8]) -> bool {
    let [one, other] = [one, other].map(|stanza| attribute(stanza, "from").map(|from| from.decoded()));
    one == other
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::delivery::IqType;
    use super::*;

    const LIMITS: HeldLimits = HeldLimits { bytes_max: 500, stanzas_max: 8 };

    fn presence(from: &str, status: &str) -> String {
        format!("<presence from='{from}'><status>{status}</status></presence>")
    }

    fn flushed(held: &mut Held<u32>) -> Vec<(String, u32)> {
        let mut out = Vec::new();
        held.flush(|stanza, memo| out.push((String::from_utf8(stanza.to_vec()).unwrap(), memo)));
        out
    }

    #[test]
    fn what_is_no_message() {
        let of = |kind| urgency(kind, Traits::NONE, None);
        for kind in [IqType::Get, IqType::Set, IqType::Result, IqType::Error] {
            assert!(matches!(of(StanzaKind::Iq(kind)), Urgency::Now(_)));
        }
        for kind in [
            PresenceType::Error,
            PresenceType::Subscription(crate::account::subscription::SubscriptionType::Subscribe),
            PresenceType::Probe,
        ] {
            assert!(matches!(of(StanzaKind::Presence(kind)), Urgency::Now(_)));
        }
        for kind in [PresenceType::Available, PresenceType::Unavailable] {
            assert!(matches!(of(StanzaKind::Presence(kind)), Urgency::Replace(_)));
        }
    }

    #[test]
    fn a_newer_presence_takes_the_place_of_the_older_and_goes_last() {
        let mut held = Held::default();
        let (one, two) = ("romeo@montague.lit/orchard", "romeo@montague.lit/garden");
        for (index, (from, status)) in [(one, "a"), (two, "b"), (one, "c"), (two, "d"), (two, "e")].iter().enumerate() {
            held.hold(&LIMITS, presence(from, status).as_bytes(), true, index as u32).unwrap();
        }
        held.hold(&LIMITS, presence(one, "message").as_bytes(), false, 9).unwrap();
        held.hold(&LIMITS, presence(one, "message").as_bytes(), false, 10).unwrap();
        assert_eq!(held.len(), 4);
        let expected = [
            (presence(one, "c"), 2),
            (presence(two, "e"), 4),
            (presence(one, "message"), 9),
            (presence(one, "message"), 10),
        ];
        assert_eq!(flushed(&mut held), expected);
        assert!(held.is_empty() && held.bytes.capacity() == 0 && held.entries.capacity() == 0);
    }

    #[test]
    fn the_same_sender_written_differently_is_the_same() {
        let mut held = Held::default();
        held.hold(&LIMITS, b"<presence from='a@b/d&#39;e'/>", true, 0).unwrap();
        held.hold(&LIMITS, b"<presence type='unavailable' from=\"a@b/d'e\"/>", true, 1).unwrap();
        held.hold(&LIMITS, b"<presence/>", true, 2).unwrap();
        assert_eq!(held.iter().map(|(_, memo)| *memo).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut held = Held::default();
        let long = "a".repeat(400);
        held.hold(&LIMITS, presence("a@b/c", &long).as_bytes(), true, 0).unwrap();
        assert_eq!(held.hold(&LIMITS, presence("d@e/f", &long).as_bytes(), true, 1), Err(NoRoom));
        held.hold(&LIMITS, presence("a@b/c", &long).as_bytes(), true, 2).unwrap();
        assert_eq!(held.hold(&LIMITS, presence("a@b/c", &"a".repeat(500)).as_bytes(), true, 3), Err(NoRoom));
        assert_eq!(flushed(&mut held), [(presence("a@b/c", &long), 2)]);
        for index in 0..LIMITS.stanzas_max {
            held.hold(&LIMITS, b"<message/>", false, index as u32).unwrap();
        }
        assert_eq!(held.hold(&LIMITS, b"<message/>", false, 9), Err(NoRoom));
    }

    proptest! {
        #[test]
        fn it_holds_what_a_list_holds(steps in prop::collection::vec((0..5usize, 0..60usize, any::<bool>()), 0..80)) {
            let mut held = Held::default();
            let mut model: Vec<(String, bool, usize, u32)> = Vec::new();
            for (number, (sender, length, replaces)) in steps.into_iter().enumerate() {
                let stanza = presence(&format!("a@b/{sender}"), &"x".repeat(length));
                let mut next = model.clone();
                if replaces {
                    next.retain(|(_, replaced, other, _)| !(*replaced && *other == sender));
                }
                next.push((stanza.clone(), replaces, sender, number as u32));
                let bytes: usize = next.iter().map(|(stanza, ..)| stanza.len()).sum();
                let fits = next.len() <= LIMITS.stanzas_max && bytes <= LIMITS.bytes_max;
                let taken = held.hold(&LIMITS, stanza.as_bytes(), replaces, number as u32);
                prop_assert_eq!(taken.is_ok(), fits);
                if fits {
                    model = next;
                }
                let kept = held.iter().map(|(stanza, memo)| (stanza.to_vec(), *memo));
                let expected = model.iter().map(|(stanza, _, _, number)| (stanza.as_bytes().to_vec(), *number));
                prop_assert!(kept.eq(expected));
                prop_assert!(held.bytes.len() <= 2 * LIMITS.bytes_max, "what was replaced takes no room for long");
                if !fits {
                    held.flush(|_, _| ());
                    model.clear();
                }
            }
        }
    }
}
