//! Which messages an account's archive keeps (XEP-0313 §6.1.1), and which wait for somebody to be there (XEP-0160 §3,
//! RFC 6121 §8.5.2.2.1), hints (XEP-0334) obeyed by both.
//!
//! What a person would miss on another device is archived: what was written, encrypted or not, what came of it
//! (receipts, markers, reactions, corrections, retractions), calls, invitations, and that something could not be
//! delivered. What only says how things stand at a moment is not: chat states, headlines, notifications of
//! publish-subscribe. Rooms keep their own archive.
//!
//! What may not live here: the account's preferences, which have the last word
//! ([`Preferences`](super::Preferences)).

use super::delivery::MessageType;
use super::traits::{Direction, Facts, Traits, Verdict};

/// Kinds of content that are archived, each with what it is called.
const ARCHIVED: [(Traits, &str); 9] = [
    (Traits::BODY, "body"),
    (Traits::ENCRYPTED, "encrypted"),
    (Traits::SUBJECT, "subject"),
    (Traits::RECEIPT, "receipt"),
    (Traits::MARKER, "marker"),
    (Traits::CALL, "call"),
    (Traits::REACTION, "reaction"),
    (Traits::RETRACTION, "retraction"),
    (Traits::CORRECTION, "correction"),
];

/// Whether a message goes into the archive of the account whose facts these are.
pub fn archive(facts: &Facts) -> Verdict {
    let Facts { kind, traits, direction, to_full, .. } = *facts;
    match kind {
        MessageType::Groupchat => return Verdict::No("the room has an archive"),
        // The hints of an error are those of the message that it answers (XEP-0334 §5).
        MessageType::Error if direction == Direction::Received && to_full => {
            return Verdict::Yes("a message was not delivered");
        }
        MessageType::Error => return Verdict::No("error in answer to no message of a client"),
        _ => {}
    }
    if traits.has(Traits::NO_STORE | Traits::NO_PERMANENT_STORE) {
        return Verdict::No("hint");
    }
    if traits.has(Traits::CARBON | Traits::ARCHIVE_RESULT) {
        return Verdict::No("a copy");
    }
    if traits.has(Traits::STORE) {
        return Verdict::Yes("hint");
    }
    if kind == MessageType::Headline {
        return Verdict::No("headline");
    }
    if traits.has(Traits::DIRECT_INVITATION | Traits::MEDIATED_INVITATION) {
        return Verdict::Yes("invitation");
    }
    match ARCHIVED.iter().find(|(content, _)| traits.has(*content)) {
        Some((_, name)) => Verdict::Yes(name),
        None if traits.is_chat_state_only() => Verdict::No("chat state"),
        None => Verdict::No("nothing to keep"),
    }
}

/// What happens to a message that nobody is there to get.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Offline {
    /// It waits for the next resource that takes messages.
    Store(&'static str),
    /// Its sender gets `<service-unavailable/>`.
    Refuse(&'static str),
    /// Nothing.
    Drop(&'static str),
}

/// Decides for a received message for which RFC 6121 §8.5 knows no resource: one to the account, or one to a resource
/// that has left if it is treated like that.
pub fn offline(facts: &Facts) -> Offline {
    let Facts { kind, traits, from_full, to_full, .. } = *facts;
    match kind {
        // The room has to hear of it: who is not there is no occupant.
        MessageType::Groupchat => return Offline::Refuse("groupchat to nobody"),
        MessageType::Headline if !traits.has(Traits::STORE) => return Offline::Drop("headline to nobody"),
        MessageType::Error => return Offline::Drop("error to nobody"),
        _ => {}
    }
    if traits.is_chat_state_only() {
        return Offline::Drop("chat state");
    }
    if from_full && to_full && traits.has(Traits::ROOM) && !traits.has(Traits::MEDIATED_INVITATION) {
        return Offline::Refuse("an occupant who has left a room");
    }
    if traits.has(Traits::NO_STORE) {
        return match traits.has(Traits::BODY | Traits::ENCRYPTED) {
            true => Offline::Refuse("hint"),
            false => Offline::Drop("hint"),
        };
    }
    if traits.has(Traits::STORE) {
        return Offline::Store("hint");
    }
    if traits.has(Traits::EVENT) && !traits.has(Traits::BODY) {
        return Offline::Drop("notification of publish-subscribe");
    }
    if traits == Traits::NONE {
        return Offline::Drop("nothing in it");
    }
    Offline::Store("message")
}
