//! Presence subscriptions: what a stanza of type `subscribe`, `subscribed`, `unsubscribe` or `unsubscribed` does to the
//! state between an account and a contact (RFC 6121 §3 and appendix A), as a function from values to a value.
//!
//! The nine states of appendix A.1 are two halves with three positions each: how far the owner's subscription to the
//! contact is, and how far the contact's to the owner. Each stanza moves one half.

use rondel_storage::roster::{Item, Subscription};

/// How far a subscription is, in one direction.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Grant {
    /// Not asked for.
    #[default]
    Absent,
    /// Asked for and not answered: "pending" in the RFC.
    Requested,
    /// Granted: presence flows.
    Granted,
}

/// What is between an account and a contact. The default is what is between it and a stranger.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct State {
    /// The owner's subscription to the contact's presence.
    pub to: Grant,
    /// The contact's subscription to the owner's presence.
    pub from: Grant,
    /// Whether the owner grants the contact's request before it comes (§3.4). It stays, as §3.4.2 leaves it to a
    /// server, until the owner sends `unsubscribed` or removes the contact: who has said yes need not be asked again.
    pub approved: bool,
    /// Whether the contact is in the roster that clients see.
    pub listed: bool,
}

impl State {
    /// The state that is stored in an item.
    pub fn of(item: &Item) -> State {
        let to = match item.subscription {
            Subscription::To | Subscription::Both => Grant::Granted,
            _ if item.ask => Grant::Requested,
            _ => Grant::Absent,
        };
        let from = match item.subscription {
            Subscription::From | Subscription::Both => Grant::Granted,
            _ if item.pending_in.is_some() => Grant::Requested,
            _ => Grant::Absent,
        };
        State { to, from, approved: item.approved, listed: item.listed }
    }

    /// Puts the state into an item. A request that has been answered is forgotten; one that came is the caller's to
    /// add.
    pub fn put_into(self, item: &mut Item) {
        item.subscription = self.subscription();
        item.ask = self.to == Grant::Requested;
        item.approved = self.approved;
        item.listed = self.listed;
        if self.from != Grant::Requested {
            item.pending_in = None;
        }
    }

    /// What the roster shows of it (§2.1.2.5).
    pub fn subscription(self) -> Subscription {
        match (self.to == Grant::Granted, self.from == Grant::Granted) {
            (false, false) => Subscription::None,
            (true, false) => Subscription::To,
            (false, true) => Subscription::From,
            (true, true) => Subscription::Both,
        }
    }

    /// What clients see of it: nothing of the contact's request (A.1).
    fn visible(self) -> Option<(Subscription, bool, bool)> {
        self.listed.then(|| (self.subscription(), self.to == Grant::Requested, self.approved))
    }
}

/// The type of a subscription stanza.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SubscriptionType {
    /// The sender asks to see the receiver's presence.
    Subscribe,
    /// The sender lets the receiver see its presence.
    Subscribed,
    /// The sender no longer wants to see the receiver's presence.
    Unsubscribe,
    /// The sender no longer lets the receiver see its presence, or never did.
    Unsubscribed,
}

impl SubscriptionType {
    /// Reads the `type` of a presence stanza.
    pub fn parse(text: &str) -> Option<SubscriptionType> {
        match text {
            "subscribe" => Some(SubscriptionType::Subscribe),
            "subscribed" => Some(SubscriptionType::Subscribed),
            "unsubscribe" => Some(SubscriptionType::Unsubscribe),
            "unsubscribed" => Some(SubscriptionType::Unsubscribed),
            _ => None,
        }
    }

    /// The `type` of a presence stanza.
    pub fn as_str(self) -> &'static str {
        match self {
            SubscriptionType::Subscribe => "subscribe",
            SubscriptionType::Subscribed => "subscribed",
            SubscriptionType::Unsubscribe => "unsubscribe",
            SubscriptionType::Unsubscribed => "unsubscribed",
        }
    }
}

/// Where a subscription stanza goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Passage {
    /// On to the contact, from the owner's bare JID to the contact's (§3, implementation note).
    Route,
    /// To the owner's available resources; if there is none, at the next login (§3.1.3).
    ToAvailable,
    /// To the owner's interested resources, before the roster push (§3.1.6, §3.2.3, §3.3.3).
    ToInterested,
    /// Nowhere.
    Stop,
}

/// Which presence of the owner's available resources the contact gets.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ContactGets {
    /// None.
    Nothing,
    /// The current presence of each, after the `subscribed` (§3.1.5).
    Current,
    /// `unavailable` from each, before the `unsubscribed` (§3.2.2, §3.3.3).
    Unavailable,
}

/// What a subscription stanza does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// The state afterwards.
    pub state: State,
    /// Where the stanza goes.
    pub passage: Passage,
    /// What the server answers the contact for the owner, from bare JID to bare JID.
    pub reply: Option<SubscriptionType>,
    /// Which presence the contact gets.
    pub presence: ContactGets,
    /// Whether interested resources get a roster push: whether clients see a change.
    pub push: bool,
    /// Why, for the trace of routing.
    pub reason: &'static str,
}

impl Step {
    fn new(state: State, passage: Passage, reason: &'static str) -> Step {
        Step { state, passage, reply: None, presence: ContactGets::Nothing, push: false, reason }
    }

    fn with_reply(self, reply: SubscriptionType) -> Step {
        Step { reply: Some(reply), ..self }
    }

    fn with_presence(self, presence: ContactGets) -> Step {
        Step { presence, ..self }
    }

    /// With what follows from the change: whoever shares something with the owner, or is to, is in the roster.
    fn since(mut self, before: State) -> Step {
        let State { to, from, approved, .. } = self.state;
        self.state.listed |= to != Grant::Absent || from == Grant::Granted || approved;
        self.push = self.state.visible() != before.visible();
        self
    }
}

/// What a subscription stanza of the owner's client to the contact does (A.2).
pub fn outbound(state: State, kind: SubscriptionType) -> Step {
    use Grant::{Absent, Granted, Requested};
    use Passage::{Route, Stop};
    use SubscriptionType::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};
    let to = |to| State { to, ..state };
    let from = |from| State { from, ..state };
    let approved = |approved| State { approved, ..state };
    // Cancelling takes back what was granted beforehand, too (§3.4.2).
    let denied = State { from: Absent, approved: false, ..state };
    let step = match (kind, state.to, state.from) {
        (Subscribe, Absent, _) => Step::new(to(Requested), Route, "asks for a subscription"),
        (Subscribe, Requested, _) => Step::new(state, Route, "asks again for a subscription"),
        // The contact's server may have lost track of it.
        (Subscribe, Granted, _) => Step::new(state, Route, "asks for the subscription that it has"),

        (Unsubscribe, Absent, _) => Step::new(state, Route, "gives up a subscription that it does not have"),
        (Unsubscribe, Requested, _) => Step::new(to(Absent), Route, "takes its request back"),
        (Unsubscribe, Granted, _) => Step::new(to(Absent), Route, "gives its subscription up"),

        (Subscribed, _, Absent) => Step::new(approved(true), Stop, "approves a request before it comes"),
        (Subscribed, _, Requested) => {
            Step::new(from(Granted), Route, "grants the request").with_presence(ContactGets::Current)
        }
        (Subscribed, _, Granted) => Step::new(state, Stop, "grants what it has granted before"),

        (Unsubscribed, _, Absent) => Step::new(denied, Stop, "cancels a subscription that there is not"),
        // No presence, though §3.2.2 read literally has it: who was granted none must not learn who is online.
        (Unsubscribed, _, Requested) => Step::new(denied, Route, "denies the request"),
        (Unsubscribed, _, Granted) => {
            Step::new(denied, Route, "cancels the contact's subscription").with_presence(ContactGets::Unavailable)
        }
    };
    step.since(state)
}

/// What a subscription stanza of the contact to the owner does (A.3).
pub fn inbound(state: State, kind: SubscriptionType) -> Step {
    use Grant::{Absent, Granted, Requested};
    use Passage::{Stop, ToAvailable, ToInterested};
    use SubscriptionType::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};
    let to = |to| State { to, ..state };
    let from = |from| State { from, ..state };
    let step = match (kind, state.to, state.from) {
        (Subscribe, _, Absent) if state.approved => Step::new(from(Granted), Stop, "request approved before it came")
            .with_reply(Subscribed)
            .with_presence(ContactGets::Current),
        (Subscribe, _, Absent) => Step::new(from(Requested), ToAvailable, "request"),
        (Subscribe, _, Requested) => Step::new(state, Stop, "request that waits for an answer already"),
        // Who has lost track of the subscription lacks the presence as well.
        (Subscribe, _, Granted) => Step::new(state, Stop, "request for the subscription that the contact has")
            .with_reply(Subscribed)
            .with_presence(ContactGets::Current),

        (Unsubscribe, _, Absent) => Step::new(state, Stop, "end of a subscription that there is not"),
        // A.3.2 would have a reply. To strangers who ask and take it back it would tell which accounts exist (§8.1);
        // to others it tells nothing, since their own server has ended the request when it passed the stanza on.
        (Unsubscribe, _, Requested) => Step::new(from(Absent), ToInterested, "request taken back"),
        (Unsubscribe, _, Granted) => Step::new(from(Absent), ToInterested, "contact gives its subscription up")
            .with_reply(Unsubscribed)
            .with_presence(ContactGets::Unavailable),

        (Subscribed, Absent, _) => Step::new(state, Stop, "grant without a request"),
        (Subscribed, Requested, _) => Step::new(to(Granted), ToInterested, "request granted"),
        (Subscribed, Granted, _) => Step::new(state, Stop, "grant of what is granted"),

        (Unsubscribed, Absent, _) => Step::new(state, Stop, "cancellation of a subscription that there is not"),
        (Unsubscribed, Requested, _) => Step::new(to(Absent), ToInterested, "request denied"),
        (Unsubscribed, Granted, _) => Step::new(to(Absent), ToInterested, "subscription cancelled by the contact"),
    };
    step.since(state)
}

/// What the contact hears when the owner removes it from the roster (§2.5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Farewell {
    /// Which presence it gets, before anything else.
    pub presence: ContactGets,
    /// Whether it gets `unsubscribe`.
    pub unsubscribe: bool,
    /// Whether it gets `unsubscribed`.
    pub unsubscribed: bool,
}

/// What the contact hears when the owner removes it from the roster. The RFC speaks of subscriptions; requests end the
/// same way, or either side would wait for an answer that means nothing any more.
pub fn farewell(state: State) -> Farewell {
    Farewell {
        presence: match state.from {
            Grant::Granted => ContactGets::Unavailable,
            Grant::Absent | Grant::Requested => ContactGets::Nothing,
        },
        unsubscribe: state.to != Grant::Absent,
        unsubscribed: state.from != Grant::Absent,
    }
}

#[cfg(test)]
mod tests;
