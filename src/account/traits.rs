//! What a message has in it, found in one pass over the index of its frame and small enough to travel with it between
//! shards: client state indication, carbons, the archive and offline storage decide by it and look at no XML.
//!
//! What may not live here: the decisions themselves.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use super::activity;
use super::delivery::MessageType;
use crate::xml::{Child, Frame, namespaces as ns};

/// The direct children of a message that matter, as a set.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Traits(u32);

macro_rules! traits {
    ($($(#[$doc:meta])* $name:ident = $bit:literal,)*) => {
        impl Traits {
            $($(#[$doc])* pub const $name: Traits = Traits(1 << $bit);)*
        }

        const NAMES: &[(Traits, &str)] = &[$((Traits::$name, stringify!($name)),)*];
    };
}

traits! {
    /// `<body/>` (RFC 6121 §5.2.3).
    BODY = 0,
    /// `<subject/>` (RFC 6121 §5.2.4).
    SUBJECT = 1,
    /// An encrypted payload: OMEMO, OpenPGP, or whatever XEP-0380 announces.
    ENCRYPTED = 2,
    /// A chat state (XEP-0085).
    CHAT_STATE = 3,
    /// A delivery receipt (XEP-0184), not the request for one.
    RECEIPT = 4,
    /// A marker (XEP-0333), not the permission to send one.
    MARKER = 5,
    /// A step of a call before its session (XEP-0353).
    CALL = 6,
    /// Reactions to a message (XEP-0444).
    REACTION = 7,
    /// The retraction of a message (XEP-0424).
    RETRACTION = 8,
    /// The correction of a message (XEP-0308).
    CORRECTION = 9,
    /// A direct invitation to a room (XEP-0249).
    DIRECT_INVITATION = 10,
    /// An invitation to a room that the room passes on (XEP-0045 §7.8.2).
    MEDIATED_INVITATION = 11,
    /// A room has to do with it: `<x/>` of XEP-0045 (`muc#user`).
    ROOM = 12,
    /// A notification of publish-subscribe (XEP-0060).
    EVENT = 13,
    /// A result of an archive query (XEP-0313).
    ARCHIVE_RESULT = 14,
    /// A carbon copy (XEP-0280), or what pretends to be one.
    CARBON = 15,
    /// `<private/>` of XEP-0280 §9.
    PRIVATE = 16,
    /// `<no-copy/>` of XEP-0334.
    NO_COPY = 17,
    /// `<no-store/>` of XEP-0334.
    NO_STORE = 18,
    /// `<no-permanent-store/>` of XEP-0334.
    NO_PERMANENT_STORE = 19,
    /// `<store/>` of XEP-0334.
    STORE = 20,
    /// At least one `<stanza-id/>` (XEP-0359), whose ever.
    STANZA_ID = 21,
    /// A delayed delivery notation (XEP-0203).
    DELAY = 22,
    /// Something that may mean anything.
    UNKNOWN = 23,
    /// A question for the last activity (XEP-0012), of an IQ.
    LAST_ACTIVITY = 24,
}

impl Traits {
    /// Nothing.
    pub const NONE: Traits = Traits(0);

    /// What makes a message more than a notice about others: content in itself, or the wish that it be handled as such.
    const CONTENT: Traits = Traits(
        Traits::BODY.0
            | Traits::SUBJECT.0
            | Traits::ENCRYPTED.0
            | Traits::RECEIPT.0
            | Traits::MARKER.0
            | Traits::CALL.0
            | Traits::REACTION.0
            | Traits::RETRACTION.0
            | Traits::CORRECTION.0
            | Traits::DIRECT_INVITATION.0
            | Traits::MEDIATED_INVITATION.0
            | Traits::EVENT.0
            | Traits::ARCHIVE_RESULT.0
            | Traits::CARBON.0
            | Traits::STORE.0
            | Traits::UNKNOWN.0,
    );

    /// The traits of a message.
    pub fn of(frame: &Frame<'_>) -> Traits {
        frame.children().fold(Traits::NONE, |found, child| found | Traits::of_child(&child))
    }

    /// Those of an IQ.
    pub fn of_iq(frame: &Frame<'_>) -> Traits {
        let is_asked = frame.children().any(|child| child.raw_name().1 == activity::NAMESPACE.as_bytes());
        if is_asked { Traits::LAST_ACTIVITY } else { Traits::NONE }
    }

    /// Compared as bytes: to make text of them first would take more than half of the time.
    fn of_child(child: &Child<'_>) -> Traits {
        let (name, namespace) = child.raw_name();
        let is = |expected: &str| namespace == expected.as_bytes();
        let any = |expected: &[&str]| expected.iter().any(|expected| is(expected));
        match () {
            _ if is(ns::CLIENT) || is(ns::SERVER) => match name {
                b"body" => Traits::BODY,
                b"subject" => Traits::SUBJECT,
                b"thread" | b"error" => Traits::NONE,
                _ => Traits::UNKNOWN,
            },
            _ if is(ns::CHAT_STATES) => Traits::CHAT_STATE,
            _ if is(ns::HINTS) => match name {
                b"no-copy" => Traits::NO_COPY,
                b"no-store" => Traits::NO_STORE,
                b"no-permanent-store" => Traits::NO_PERMANENT_STORE,
                b"store" => Traits::STORE,
                _ => Traits::NONE,
            },
            _ if is(ns::STANZA_IDS) => match name {
                b"stanza-id" => Traits::STANZA_ID,
                _ => Traits::NONE,
            },
            _ if is(ns::RECEIPTS) => match name {
                b"received" => Traits::RECEIPT,
                _ => Traits::NONE,
            },
            _ if is(ns::MARKERS) => match name {
                b"markable" => Traits::NONE,
                _ => Traits::MARKER,
            },
            _ if any(&[ns::LEGACY_OMEMO, ns::OMEMO, ns::ENCRYPTION, ns::OPENPGP, ns::LEGACY_OPENPGP]) => {
                Traits::ENCRYPTED
            }
            _ if is(ns::MUC_USER) && child.has_child("invite") => Traits::ROOM | Traits::MEDIATED_INVITATION,
            _ if is(ns::MUC_USER) => Traits::ROOM,
            _ if is(ns::PUBSUB_EVENT) => Traits::EVENT,
            _ if is(ns::DELAY) => Traits::DELAY,
            _ if is(ns::CALLS) => Traits::CALL,
            _ if is(ns::REACTIONS) => Traits::REACTION,
            _ if is(ns::RETRACTION) => Traits::RETRACTION,
            _ if is(ns::CORRECTION) => Traits::CORRECTION,
            _ if is(ns::DIRECT_INVITATION) => Traits::DIRECT_INVITATION,
            _ if is(ns::CARBONS) && name == b"private" => Traits::PRIVATE,
            _ if is(ns::CARBONS) => Traits::CARBON,
            _ if is(ns::ARCHIVE) => Traits::ARCHIVE_RESULT,
            _ if any(SILENT) => Traits::NONE,
            _ => Traits::UNKNOWN,
        }
    }

    /// Whether at least one of these is there.
    pub const fn has(self, any: Traits) -> bool {
        self.0 & any.0 != 0
    }

    /// Whether chat states are all there is (XEP-0085 §2): a standalone notification.
    pub const fn is_chat_state_only(self) -> bool {
        self.has(Traits::CHAT_STATE) && !self.has(Traits::CONTENT)
    }

    /// As a number, to be kept in one; [`Traits::from_bits`] turns it back.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The traits of such a number.
    pub const fn from_bits(bits: u32) -> Traits {
        Traits(bits)
    }
}

/// What says nothing of its own: it belongs to what else is in the message.
const SILENT: &[&str] = &[
    ns::OCCUPANT_IDS,
    ns::FALLBACK,
    ns::REPLIES,
    ns::NICKNAME,
    ns::XHTML_IM,
    ns::OUT_OF_BAND,
    ns::SPOILER,
    ns::LEGACY_DELAY,
];

impl BitOr for Traits {
    type Output = Traits;

    fn bitor(self, other: Traits) -> Traits {
        Traits(self.0 | other.0)
    }
}

impl BitOrAssign for Traits {
    fn bitor_assign(&mut self, other: Traits) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Traits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().filter(|(found, _)| self.has(*found)).map(|(_, name)| *name);
        formatter.write_str("Traits(")?;
        for (index, name) in names.enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(formatter, "{separator}{name}")?;
        }
        formatter.write_str(")")
    }
}

/// From which side an account has to do with a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// One of its resources has sent it.
    Sent,
    /// It is addressed to the account or one of its resources.
    Received,
}

/// What is decided by: a message as one account sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facts {
    /// Its type.
    pub kind: MessageType,
    /// What is in it.
    pub traits: Traits,
    /// From which side the account has to do with it.
    pub direction: Direction,
    /// Whether its `from` has a resource; true of whatever a client sends.
    pub from_full: bool,
    /// Whether its `to` has a resource.
    pub to_full: bool,
}

/// Yes or no, and why: for logs, traces and tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is to be.
    Yes(&'static str),
    /// It is not.
    No(&'static str),
}

impl Verdict {
    /// Whether it is to be.
    pub fn is_yes(self) -> bool {
        matches!(self, Verdict::Yes(_))
    }

    /// Why, or why not.
    pub fn reason(self) -> &'static str {
        match self {
            Verdict::Yes(reason) | Verdict::No(reason) => reason,
        }
    }
}
