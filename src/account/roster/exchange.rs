//! Subscription stanzas (RFC 6121 §3): from a stanza and the state between account and contact to what is written, sent
//! and shown. What each stanza does is decided in [`subscription`].

use rondel_storage::roster::{self, StoredItem};
use rondel_storage::{Owner, ReadRequest};

use super::change::{self, Change, Seen};
use super::{RosterLimits, has_room, is_own};
use crate::account::contacts::Contacts;
use crate::account::subscription::{self, ContactGets, Grant, Passage, State, Step, SubscriptionType};
use crate::jid::Jid;
use crate::stream::StanzaCondition;
use crate::xml::{Element, namespaces as ns};

/// How a subscription stanza begins.
#[derive(Debug)]
pub enum Opened {
    /// Nothing changes between the two; nothing is read or written. What the step says is done at once.
    Done(Step),
    /// Something changes.
    Read(Exchange),
}

/// A subscription stanza that changes something.
#[derive(Debug)]
pub struct Exchange {
    contact: String,
    kind: SubscriptionType,
    direction: Direction,
}

#[derive(Debug)]
enum Direction {
    /// From the account's client.
    Outbound,
    /// From the contact, with the stanza if it is a request.
    Inbound(Option<Vec<u8>>),
}

/// What comes of a subscription stanza.
#[derive(Debug)]
pub struct Settled {
    /// What is sent, once the change is written; in this order: `unavailable` presence, the stanza itself, the reply,
    /// the push, current presence.
    pub step: Step,
    /// What is written; `None` if nothing has changed after all.
    pub change: Option<Change>,
}

/// A subscription stanza of the account's client to `to`, of which the bare JID counts (§3.1.2).
pub fn outbound(
    account: &Owner,
    contacts: &Contacts,
    to: &Jid<'_>,
    kind: SubscriptionType,
    limits: &RosterLimits,
) -> Result<Opened, StanzaCondition> {
    let contact = to.bare();
    // An account has its own presence without asking (§4.2.2).
    if is_own(account, contact) {
        return Err(StanzaCondition::NotAllowed);
    }
    let before = contacts.state(contact);
    let step = subscription::outbound(before, kind);
    if step.state == before {
        return Ok(Opened::Done(step));
    }
    if step.state.listed && !before.listed {
        has_room(contacts, limits)?;
    }
    Ok(Opened::Read(Exchange { contact: contact.to_owned(), kind, direction: Direction::Outbound }))
}

/// A subscription stanza from `from`, of which the bare JID counts, to the account. `stanza` is kept if it is a
/// request: as it is to be delivered, so with bare addresses.
pub fn inbound(
    account: &Owner,
    contacts: &Contacts,
    from: &Jid<'_>,
    kind: SubscriptionType,
    stanza: &[u8],
    limits: &RosterLimits,
) -> Opened {
    let contact = from.bare();
    let before = contacts.state(contact);
    let refused = |reason| Opened::Done(refusal(before, reason));
    if is_own(account, contact) {
        return refused("subscription to oneself");
    }
    let step = subscription::inbound(before, kind);
    if step.state == before {
        return Opened::Done(step);
    }
    if step.state.from == Grant::Requested && !before.listed {
        let strangers = contacts.iter().filter(|contact| !contact.state.listed).count();
        if strangers >= limits.requests_max {
            return refused("too many requests wait for an answer");
        }
    }
    let request = match kind {
        SubscriptionType::Subscribe if stanza.len() <= limits.request_bytes_max => Some(stanza.to_vec()),
        SubscriptionType::Subscribe => Some(bare_request(account, contact)),
        _ => None,
    };
    Opened::Read(Exchange { contact: contact.to_owned(), kind, direction: Direction::Inbound(request) })
}

/// What is kept of a request that is too large to be kept.
fn bare_request(account: &Owner, contact: &str) -> Vec<u8> {
    let request = Element::new("presence", ns::CLIENT)
        .with_attribute("type", SubscriptionType::Subscribe.as_str())
        .with_attribute("from", contact)
        .with_attribute("to", &account.to_string());
    let mut out = Vec::new();
    request.write_to(&mut out, ns::CLIENT);
    out
}

fn refusal(state: State, reason: &'static str) -> Step {
    let (passage, presence) = (Passage::Stop, ContactGets::Nothing);
    Step { state, passage, reply: None, presence, push: false, reason }
}

/// What becomes of an item whose contact is gone, and can say no more that it ends both subscriptions (§3.2.3, §3.3.3).
pub fn gone(account: &Owner, contacts: &Contacts, stored: &StoredItem, now_micros: u64) -> Option<Change> {
    let before = State::of(stored.item());
    let ended = subscription::inbound(before, SubscriptionType::Unsubscribe);
    let cancelled = subscription::inbound(ended.state, SubscriptionType::Unsubscribed);
    if cancelled.state == before {
        return None;
    }
    let seen = (ended.push || cancelled.push).then_some(Seen { contacts, now_micros });
    let put = |item: &mut _| cancelled.state.put_into(item);
    Some(change::update(account, stored.contact(), Some(stored), seen, put))
}

impl Exchange {
    /// What has to be read.
    pub fn read(&self, account: &Owner) -> ReadRequest {
        roster::get(account, &self.contact)
    }

    /// The contact's bare JID.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// What comes of it, given the item as it is stored, at `now_micros` microseconds after 1970.
    pub fn with_stored(
        self,
        account: &Owner,
        stored: Option<&StoredItem>,
        contacts: &Contacts,
        now_micros: u64,
    ) -> Settled {
        let before = stored.map(|stored| State::of(stored.item())).unwrap_or_default();
        let (step, request) = match self.direction {
            Direction::Outbound => (subscription::outbound(before, self.kind), None),
            Direction::Inbound(request) => (subscription::inbound(before, self.kind), request),
        };
        if step.state == before {
            return Settled { step, change: None };
        }
        let seen = step.push.then_some(Seen { contacts, now_micros });
        let change = change::update(account, &self.contact, stored, seen, |item| {
            // Before the state, which leaves no request that is granted already.
            item.pending_in = request.or(item.pending_in.take());
            step.state.put_into(item);
        });
        Settled { step, change: Some(change) }
    }
}
