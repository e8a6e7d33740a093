//! Affiliations: their names, which may follow which (XEP-0060 §4.1), and the people of a node.

use rondel_storage::pubsub::{Affiliation, People, Subscription, SubscriptionState};

use crate::jid::bare_of;

/// An affiliation's name in the protocol.
pub fn name(affiliation: Affiliation) -> &'static str {
    match affiliation {
        Affiliation::None => "none",
        Affiliation::Member => "member",
        Affiliation::Publisher => "publisher",
        Affiliation::PublishOnly => "publish-only",
        Affiliation::Owner => "owner",
        Affiliation::Outcast => "outcast",
    }
}

/// The affiliation of this name.
pub fn parse(text: &str) -> Option<Affiliation> {
    let all = [
        Affiliation::None,
        Affiliation::Member,
        Affiliation::Publisher,
        Affiliation::PublishOnly,
        Affiliation::Owner,
        Affiliation::Outcast,
    ];
    all.into_iter().find(|affiliation| name(*affiliation) == text)
}

/// A subscription state's name in the protocol.
pub fn state_name(state: Option<SubscriptionState>) -> &'static str {
    match state {
        None => "none",
        Some(SubscriptionState::Pending) => "pending",
        Some(SubscriptionState::Subscribed) => "subscribed",
    }
}

/// The state of a subscription that has this name.
pub fn parse_state(text: &str) -> Option<SubscriptionState> {
    let all = [SubscriptionState::Pending, SubscriptionState::Subscribed];
    all.into_iter().find(|state| state_name(Some(*state)) == text)
}

/// Whether one affiliation may follow another: the second table of XEP-0060 §4.1. Publish-only, which is not in it,
/// goes as publisher does.
pub fn may_follow(from: Affiliation, to: Affiliation) -> bool {
    use Affiliation::{Member, None, Outcast, Owner, PublishOnly, Publisher};
    match (from, to) {
        (Owner, Owner | None) => true,
        (Owner, Outcast | Member | Publisher | PublishOnly) => false,
        (Publisher | PublishOnly, Member) => false,
        _ => true,
    }
}

/// What a bare address is to a node, as far as it is stored.
pub fn of(people: &People, bare: &str) -> Affiliation {
    let found = people.affiliations.iter().find(|(jid, _)| jid == bare);
    found.map_or(Affiliation::None, |(_, affiliation)| *affiliation)
}

/// Sets what a bare address is to a node.
pub fn set(people: &mut People, bare: &str, affiliation: Affiliation) {
    people.affiliations.retain(|(jid, _)| jid != bare);
    if affiliation != Affiliation::None {
        people.affiliations.push((bare.to_owned(), affiliation));
    }
}

/// The explicit subscriptions of an entity, whichever of its addresses they are for.
pub fn subscriptions_of<'p>(people: &'p People, of: &'p str) -> impl Iterator<Item = &'p Subscription> {
    people.subscriptions.iter().filter(move |subscription| bare_of(&subscription.jid) == of)
}

/// The state of an entity's explicit subscription: the best of those it has.
pub fn subscription(people: &People, bare: &str) -> Option<SubscriptionState> {
    let mut states = subscriptions_of(people, bare).map(|subscription| subscription.state);
    let first = states.next()?;
    Some(states.find(|state| *state == SubscriptionState::Subscribed).unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_transitions() {
        use Affiliation::{Member, None, Outcast, Owner, Publisher};
        let columns = [Outcast, None, Member, Publisher, Owner];
        let rows = [
            (Outcast, [true, true, true, true, true]),
            (None, [true, true, true, true, true]),
            (Member, [true, true, true, true, true]),
            (Publisher, [true, true, false, true, true]),
            (Owner, [false, true, false, false, true]),
        ];
        for (from, allowed) in rows {
            for (to, allowed) in columns.into_iter().zip(allowed) {
                assert_eq!(may_follow(from, to), allowed, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn names_come_back() {
        for text in ["none", "member", "publisher", "publish-only", "owner", "outcast"] {
            assert_eq!(parse(text).map(name), Some(text));
        }
        assert_eq!(parse("admin"), Option::None);
    }

    #[test]
    fn the_best_subscription_counts() {
        let subscription_to = |jid: &str, state| Subscription { jid: jid.to_owned(), state };
        let mut people = People::default();
        assert_eq!(subscription(&people, "romeo@montague.lit"), Option::None);
        people.subscriptions.push(subscription_to("romeo@montague.lit/orchard", SubscriptionState::Pending));
        assert_eq!(subscription(&people, "romeo@montague.lit"), Some(SubscriptionState::Pending));
        people.subscriptions.push(subscription_to("romeo@montague.lit", SubscriptionState::Subscribed));
        assert_eq!(subscription(&people, "romeo@montague.lit"), Some(SubscriptionState::Subscribed));
        assert_eq!(subscription(&people, "romeo@montague.li"), Option::None);
    }
}
