//! Who gets a stanza that has reached the home of its addressee: RFC 6121 §8.5, as a function from plain values to a
//! decision with its reason.

use std::fmt;

use super::subscription::SubscriptionType;

/// The type of a message (RFC 6121 §5.2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageType {
    /// `chat`
    Chat,
    /// `error`
    Error,
    /// `groupchat`
    Groupchat,
    /// `headline`
    Headline,
    /// `normal`, absent, or unknown, which counts as `normal`.
    Normal,
}

/// The type of a presence stanza (RFC 6121 §4.7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PresenceType {
    /// No type: the sender is available.
    Available,
    /// `unavailable`
    Unavailable,
    /// `error`
    Error,
    /// `probe`
    Probe,
    /// `subscribe`, `subscribed`, `unsubscribe` or `unsubscribed` (§3).
    Subscription(SubscriptionType),
}

/// The type of an IQ (RFC 6120 §8.2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IqType {
    /// `get`
    Get,
    /// `set`
    Set,
    /// `result`
    Result,
    /// `error`
    Error,
}

/// A stanza's kind and type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StanzaKind {
    /// `<message/>`
    Message(MessageType),
    /// `<presence/>`
    Presence(PresenceType),
    /// `<iq/>`
    Iq(IqType),
}

impl StanzaKind {
    /// Whether an error may be sent in answer: never to an error, nor to the answer of an IQ (RFC 6120 §8.3.1).
    pub fn may_be_answered_with_error(self) -> bool {
        !matches!(
            self,
            StanzaKind::Message(MessageType::Error)
                | StanzaKind::Presence(PresenceType::Error)
                | StanzaKind::Iq(IqType::Error | IqType::Result)
        )
    }

    /// The value of its `type`, where only one can stand there; none where it may be absent.
    pub fn type_attribute(self) -> Option<&'static str> {
        Some(match self {
            StanzaKind::Message(MessageType::Normal) | StanzaKind::Presence(PresenceType::Available) => return None,
            StanzaKind::Message(MessageType::Chat) => "chat",
            StanzaKind::Message(MessageType::Groupchat) => "groupchat",
            StanzaKind::Message(MessageType::Headline) => "headline",
            StanzaKind::Presence(PresenceType::Unavailable) => "unavailable",
            StanzaKind::Presence(PresenceType::Probe) => "probe",
            StanzaKind::Presence(PresenceType::Subscription(kind)) => kind.as_str(),
            StanzaKind::Iq(IqType::Get) => "get",
            StanzaKind::Iq(IqType::Set) => "set",
            StanzaKind::Iq(IqType::Result) => "result",
            StanzaKind::Message(MessageType::Error)
            | StanzaKind::Presence(PresenceType::Error)
            | StanzaKind::Iq(IqType::Error) => "error",
        })
    }
}

impl fmt::Display for StanzaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StanzaKind::Message(MessageType::Chat) => "message chat",
            StanzaKind::Message(MessageType::Error) => "message error",
            StanzaKind::Message(MessageType::Groupchat) => "message groupchat",
            StanzaKind::Message(MessageType::Headline) => "message headline",
            StanzaKind::Message(MessageType::Normal) => "message normal",
            StanzaKind::Presence(PresenceType::Available) => "presence",
            StanzaKind::Presence(PresenceType::Unavailable) => "presence unavailable",
            StanzaKind::Presence(PresenceType::Error) => "presence error",
            StanzaKind::Presence(PresenceType::Probe) => "presence probe",
            StanzaKind::Presence(PresenceType::Subscription(kind)) => return write!(f, "presence {}", kind.as_str()),
            StanzaKind::Iq(IqType::Get) => "iq get",
            StanzaKind::Iq(IqType::Set) => "iq set",
            StanzaKind::Iq(IqType::Result) => "iq result",
            StanzaKind::Iq(IqType::Error) => "iq error",
        })
    }
}

/// What the decision needs to know of one connected resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResourceState {
    /// It has sent available presence.
    pub available: bool,
    /// Its presence priority.
    pub priority: i8,
}

/// What happens to a stanza at its addressee's home, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// The resource that was addressed gets it (§8.5.3.1).
    ToResource(usize),
    /// Every available resource of this priority gets it: the most available ones (§8.5.2.1.1).
    ToPriority(i8),
    /// Every available resource whose priority is not negative gets it (§8.5.2.1.1, headlines).
    ToNonNegative,
    /// Every available resource gets it (§8.5.2.1.2, presence).
    ToAvailable,
    /// The server answers for the account (§8.5.2.1.3).
    ByServer,
    /// Nobody is there: it may wait for whoever comes next (§8.5.2.2.1).
    NobodyThere(&'static str),
    /// The sender gets `<service-unavailable/>`.
    Refuse(&'static str),
    /// Nothing happens.
    Drop(&'static str),
}

impl Decision {
    /// Why, in a few words.
    pub fn reason(self) -> &'static str {
        match self {
            Decision::ToResource(_) => "addressed to a resource that is connected",
            Decision::ToPriority(_) => "to the resources of the highest priority",
            Decision::ToNonNegative => "to all resources whose priority is not negative",
            Decision::ToAvailable => "to all available resources",
            Decision::ByServer => "the server answers for the account",
            Decision::NobodyThere(reason) | Decision::Refuse(reason) | Decision::Drop(reason) => reason,
        }
    }
}

/// Decides for a stanza to an account of this server. `resources` are the account's connected resources; `addressed` is
/// the resource that the `to` names: `None` for a bare JID, `Some(None)` for one that is not connected.
pub fn decide(
    kind: StanzaKind,
    addressed: Option<Option<usize>>,
    resources: impl Iterator<Item = ResourceState> + Clone,
) -> Decision {
    // Not for clients (§3, §4.3): the server answers them, or changes the roster first.
    if let StanzaKind::Presence(PresenceType::Subscription(_) | PresenceType::Probe) = kind {
        return Decision::Drop("not for clients");
    }
    if let Some(Some(resource)) = addressed {
        return Decision::ToResource(resource);
    }
    let absent = addressed.is_some();
    match kind {
        StanzaKind::Message(message) => decide_message(message, absent, resources),
        StanzaKind::Presence(_) if absent => Decision::Drop("presence to a resource that is not connected"),
        StanzaKind::Presence(_) => Decision::ToAvailable,
        StanzaKind::Iq(IqType::Result | IqType::Error) if absent => {
            Decision::Drop("answer to a resource that has left")
        }
        StanzaKind::Iq(_) if absent => Decision::Refuse("resource not connected"),
        StanzaKind::Iq(IqType::Result | IqType::Error) => Decision::Drop("answer to an account that has asked nothing"),
        StanzaKind::Iq(_) => Decision::ByServer,
    }
}

fn decide_message(kind: MessageType, absent: bool, resources: impl Iterator<Item = ResourceState> + Clone) -> Decision {
    let willing = resources.filter(|resource| resource.available && resource.priority >= 0);
    let best = willing.map(|resource| resource.priority).max();
    match (kind, best) {
        (MessageType::Error, _) => Decision::Drop("error to an account or a resource that has left"),
        (MessageType::Groupchat, _) => Decision::Refuse("groupchat to a resource that is not connected"),
        // Only a conversation goes on elsewhere (§8.5.3.2.1).
        (MessageType::Normal, _) if absent => Decision::Refuse("resource not connected"),
        (MessageType::Headline, _) if absent => Decision::Drop("headline to a resource that is not connected"),
        (MessageType::Headline, None) => Decision::Drop("headline to nobody"),
        (MessageType::Headline, Some(_)) => Decision::ToNonNegative,
        (MessageType::Chat | MessageType::Normal, Some(priority)) => Decision::ToPriority(priority),
        (MessageType::Chat | MessageType::Normal, None) => Decision::NobodyThere("nobody takes messages"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn resource(available: bool, priority: i8) -> ResourceState {
        ResourceState { available, priority }
    }

    /// The table of RFC 6121 §8.5, row by row: kind, then the decisions for a bare JID without resources, with
    /// available ones (priorities 5, 5, 1, -1), with a negative one only; for a full JID that matches, and that does
    /// not (with the same available ones).
    #[test]
    fn the_table_of_rfc_6121_section_8_5() {
        use Decision::*;
        use StanzaKind::*;
        let many = [resource(true, 5), resource(true, 5), resource(true, 1), resource(true, -1), resource(false, 9)];
        let negative = [resource(true, -1)];
        let refuse = |decision: &Decision| matches!(decision, Refuse(_));
        let drop = |decision: &Decision| matches!(decision, Drop(_));
        let wait = |decision: &Decision| matches!(decision, NobodyThere(_));
        let is = |expected: Decision| move |decision: &Decision| *decision == expected;
        type Check<'a> = &'a dyn Fn(&Decision) -> bool;
        let (refuse, drop, wait): (Check, Check, Check) = (&refuse, &drop, &wait);
        let (best, all, willing, server) = (is(ToPriority(5)), is(ToAvailable), is(ToNonNegative), is(ByServer));
        let matched = is(ToResource(2));
        let rows: [(StanzaKind, [Check; 5]); 14] = [
            (Message(MessageType::Chat), [wait, &best, wait, &matched, &best]),
            (Message(MessageType::Normal), [wait, &best, wait, &matched, refuse]),
            (Message(MessageType::Groupchat), [refuse, refuse, refuse, &matched, refuse]),
            (Message(MessageType::Headline), [drop, &willing, drop, &matched, drop]),
            (Message(MessageType::Error), [drop, drop, drop, &matched, drop]),
            (Presence(PresenceType::Available), [&all, &all, &all, &matched, drop]),
            (Presence(PresenceType::Unavailable), [&all, &all, &all, &matched, drop]),
            (Presence(PresenceType::Error), [&all, &all, &all, &matched, drop]),
            (Presence(PresenceType::Probe), [drop, drop, drop, drop, drop]),
            (Presence(PresenceType::Subscription(SubscriptionType::Subscribe)), [drop, drop, drop, drop, drop]),
            (Iq(IqType::Get), [&server, &server, &server, &matched, refuse]),
            (Iq(IqType::Set), [&server, &server, &server, &matched, refuse]),
            (Iq(IqType::Result), [drop, drop, drop, &matched, drop]),
            (Iq(IqType::Error), [drop, drop, drop, &matched, drop]),
        ];
        for (kind, [nobody, available, unwilling, full, left]) in rows {
            assert!(nobody(&decide(kind, None, [].into_iter())), "{kind:?} to nobody");
            assert!(available(&decide(kind, None, many.into_iter())), "{kind:?} to a bare JID");
            assert!(unwilling(&decide(kind, None, negative.into_iter())), "{kind:?} to negative priority");
            assert!(full(&decide(kind, Some(Some(2)), many.into_iter())), "{kind:?} to a resource");
            assert!(left(&decide(kind, Some(None), many.into_iter())), "{kind:?} to one that has left");
        }
    }
}
