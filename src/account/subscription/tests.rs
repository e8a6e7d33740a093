//! The tables of RFC 6121 appendix A, row by row, and what holds for all of them.

use super::Grant::{Absent, Granted, Requested};
use super::SubscriptionType::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};
use super::*;
use proptest::prelude::*;

/// The nine states of appendix A.1, by their names.
const STATES: [(&str, Grant, Grant); 9] = [
    ("None", Absent, Absent),
    ("None + Pending Out", Requested, Absent),
    ("None + Pending In", Absent, Requested),
    ("None + Pending Out+In", Requested, Requested),
    ("To", Granted, Absent),
    ("To + Pending In", Granted, Requested),
    ("From", Absent, Granted),
    ("From + Pending Out", Requested, Granted),
    ("Both", Granted, Granted),
];

fn state(name: &str) -> State {
    let (_, to, from) = STATES.into_iter().find(|(known, ..)| *known == name).unwrap();
    let listed = to != Absent || from == Granted;
    State { to, from, approved: false, listed }
}

fn name(state: State) -> &'static str {
    STATES.into_iter().find(|(_, to, from)| (*to, *from) == (state.to, state.from)).unwrap().0
}

/// Holds a table of A.2 or A.3 against the function: existing state, whether the stanza is passed on, new state (empty
/// for none).
fn check(step: impl Fn(State, SubscriptionType) -> Step, kind: SubscriptionType, table: [(&str, bool, &str); 9]) {
    for ((existing, passes, new), (name_of_row, ..)) in table.into_iter().zip(STATES) {
        assert_eq!(existing, name_of_row, "a row is missing");
        for listed in [false, true] {
            let before = State { listed: state(existing).listed || listed, ..state(existing) };
            let step = step(before, kind);
            let row = format!("{kind:?} in {before:?}: {step:?}");
            assert_eq!(step.passage != Passage::Stop, passes, "{row}");
            assert_eq!(name(step.state), if new.is_empty() { existing } else { new }, "{row}");
        }
    }
}

#[test]
fn table_2_outbound_subscribe() {
    let table = [
        ("None", true, "None + Pending Out"),
        ("None + Pending Out", true, ""),
        ("None + Pending In", true, "None + Pending Out+In"),
        ("None + Pending Out+In", true, ""),
        ("To", true, ""),
        ("To + Pending In", true, ""),
        ("From", true, "From + Pending Out"),
        ("From + Pending Out", true, ""),
        ("Both", true, ""),
    ];
    check(outbound, Subscribe, table);
}

#[test]
fn table_3_outbound_unsubscribe() {
    let table = [
        ("None", true, ""),
        ("None + Pending Out", true, "None"),
        ("None + Pending In", true, ""),
        ("None + Pending Out+In", true, "None + Pending In"),
        ("To", true, "None"),
        ("To + Pending In", true, "None + Pending In"),
        ("From", true, ""),
        ("From + Pending Out", true, "From"),
        ("Both", true, "From"),
    ];
    check(outbound, Unsubscribe, table);
}

#[test]
fn table_4_outbound_subscribed() {
    let table = [
        ("None", false, ""),
        ("None + Pending Out", false, ""),
        ("None + Pending In", true, "From"),
        ("None + Pending Out+In", true, "From + Pending Out"),
        ("To", false, ""),
        ("To + Pending In", true, "Both"),
        ("From", false, ""),
        ("From + Pending Out", false, ""),
        ("Both", false, ""),
    ];
    check(outbound, Subscribed, table);
    // Footnote 1: pre-approval, which is pushed (§3.4.2), and needs an item in the roster.
    for (existing, ..) in STATES {
        let step = outbound(state(existing), Subscribed);
        let is_pre_approval = ["None", "None + Pending Out", "To"].contains(&existing);
        assert_eq!(step.state.approved, is_pre_approval, "{existing}");
        assert!(step.state.listed, "{existing}");
        assert_eq!(step.push, is_pre_approval || existing.ends_with("In"), "{existing}");
        let presence = if existing.ends_with("In") { ContactGets::Current } else { ContactGets::Nothing };
        assert_eq!(step.presence, presence, "{existing}");
    }
    let approved = outbound(state("None"), Subscribed).state;
    assert_eq!(outbound(approved, Subscribed).state, approved);
    assert!(!outbound(approved, Subscribed).push);
}

#[test]
fn table_5_outbound_unsubscribed() {
    let table = [
        ("None", false, ""),
        ("None + Pending Out", false, ""),
        ("None + Pending In", true, "None"),
        ("None + Pending Out+In", true, "None + Pending Out"),
        ("To", false, ""),
        ("To + Pending In", true, "To"),
        ("From", true, "None"),
        ("From + Pending Out", true, "None + Pending Out"),
        ("Both", true, "To"),
    ];
    check(outbound, Unsubscribed, table);
    for (existing, _, from) in STATES {
        // Footnote 1: it cancels a pre-approval, which is pushed (§3.4.2).
        let approved = State { approved: true, listed: true, ..state(existing) };
        let step = outbound(approved, Unsubscribed);
        assert!(!step.state.approved && step.push, "{existing}");
        assert_eq!(step.passage == Passage::Stop, from == Absent, "{existing}");
        // §3.2.2, 1 and 3: only who has had presence gets `unavailable`.
        let presence = if from == Granted { ContactGets::Unavailable } else { ContactGets::Nothing };
        assert_eq!(step.presence, presence, "{existing}");
    }
}

#[test]
fn table_6_inbound_subscribe() {
    let table = [
        ("None", true, "None + Pending In"),
        ("None + Pending Out", true, "None + Pending Out+In"),
        ("None + Pending In", false, ""),
        ("None + Pending Out+In", false, ""),
        ("To", true, "To + Pending In"),
        ("To + Pending In", false, ""),
        ("From", false, ""),
        ("From + Pending Out", false, ""),
        ("Both", false, ""),
    ];
    check(inbound, Subscribe, table);
    for (existing, _, from) in STATES {
        let step = inbound(state(existing), Subscribe);
        // §3.1.3: to available resources, and no item in the roster.
        assert!(matches!(step.passage, Passage::ToAvailable | Passage::Stop), "{existing}");
        assert_eq!(step.state.listed, state(existing).listed, "{existing}");
        assert!(!step.push, "{existing}");
        // Footnote 2.
        assert_eq!(step.reply, (from == Granted).then_some(Subscribed), "{existing}");
    }
}

/// Footnote 1 of table 6, and §3.4.2: a request that was approved before it came is not delivered.
#[test]
fn table_6_with_pre_approval() {
    for (existing, new) in [("None", "From"), ("None + Pending Out", "From + Pending Out"), ("To", "Both")] {
        let approved = State { approved: true, listed: true, ..state(existing) };
        let step = inbound(approved, Subscribe);
        assert_eq!(name(step.state), new);
        assert_eq!((step.passage, step.reply), (Passage::Stop, Some(Subscribed)), "{existing}");
        assert!(step.push && step.presence == ContactGets::Current, "{existing}");
        assert!(step.state.approved, "{existing}");
    }
}

#[test]
fn table_7_inbound_unsubscribe() {
    let table = [
        ("None", false, ""),
        ("None + Pending Out", false, ""),
        ("None + Pending In", true, "None"),
        ("None + Pending Out+In", true, "None + Pending Out"),
        ("To", false, ""),
        ("To + Pending In", true, "To"),
        ("From", true, "None"),
        ("From + Pending Out", true, "None + Pending Out"),
        ("Both", true, "To"),
    ];
    check(inbound, Unsubscribe, table);
    for (existing, _, from) in STATES {
        let step = inbound(state(existing), Unsubscribe);
        assert!(matches!(step.passage, Passage::ToInterested | Passage::Stop), "{existing}");
        // Footnote 1, where it tells no stranger that the account exists.
        assert_eq!(step.reply, (from == Granted).then_some(Unsubscribed), "{existing}");
        assert_eq!(step.push, from == Granted, "{existing}");
        let presence = if from == Granted { ContactGets::Unavailable } else { ContactGets::Nothing };
        assert_eq!(step.presence, presence, "{existing}");
    }
}

#[test]
fn table_8_inbound_subscribed() {
    let table = [
        ("None", false, ""),
        ("None + Pending Out", true, "To"),
        ("None + Pending In", false, ""),
        ("None + Pending Out+In", true, "To + Pending In"),
        ("To", false, ""),
        ("To + Pending In", false, ""),
        ("From", false, ""),
        ("From + Pending Out", true, "Both"),
        ("Both", false, ""),
    ];
    check(inbound, Subscribed, table);
}

#[test]
fn table_9_inbound_unsubscribed() {
    let table = [
        ("None", false, ""),
        ("None + Pending Out", true, "None"),
        ("None + Pending In", false, ""),
        ("None + Pending Out+In", true, "None + Pending In"),
        ("To", true, "None"),
        ("To + Pending In", true, "None + Pending In"),
        ("From", false, ""),
        ("From + Pending Out", true, "From"),
        ("Both", true, "From"),
    ];
    check(inbound, Unsubscribed, table);
    // §3.4: the contact cannot take back what the owner has approved.
    for (existing, ..) in STATES {
        let approved = State { approved: true, listed: true, ..state(existing) };
        assert!(inbound(approved, Unsubscribed).state.approved && inbound(approved, Unsubscribe).state.approved);
    }
}

/// §2.5.2, and requests in either direction.
#[test]
fn a_contact_that_is_removed_hears_what_ends() {
    for (existing, to, from) in STATES {
        let farewell = farewell(state(existing));
        assert_eq!(farewell.unsubscribe, to != Absent, "{existing}");
        assert_eq!(farewell.unsubscribed, from != Absent, "{existing}");
        assert_eq!(farewell.presence == ContactGets::Unavailable, from == Granted, "{existing}");
    }
}

fn all_states() -> impl Iterator<Item = State> {
    let flags = [(false, false), (false, true), (true, true)];
    STATES.into_iter().flat_map(move |(_, to, from)| {
        flags.into_iter().map(move |(approved, listed)| State { to, from, approved, listed })
    })
}

#[test]
fn the_type_is_read_as_it_is_written() {
    for kind in [Subscribe, Subscribed, Unsubscribe, Unsubscribed] {
        assert_eq!(SubscriptionType::parse(kind.as_str()), Some(kind));
    }
    assert_eq!(SubscriptionType::parse("probe"), None);
}

#[test]
fn a_state_is_what_an_item_holds() {
    for state in all_states().filter(|state| state.listed || (state.to == Absent && state.from != Granted)) {
        let mut item = Item { pending_in: Some(vec![1]), ..Item::default() };
        state.put_into(&mut item);
        assert_eq!(State::of(&item), state);
    }
}

/// One of two accounts whose contact is the other.
#[derive(Clone, Debug)]
enum Act {
    Send(bool, SubscriptionType),
    Remove(bool),
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop::sample::select(vec![Subscribe, Subscribed, Unsubscribe, Unsubscribed]);
    prop_oneof![9 => (any::<bool>(), kind).prop_map(|(who, kind)| Act::Send(who, kind)),
        1 => any::<bool>().prop_map(Act::Remove)]
}

proptest! {
    /// Two accounts of servers that follow the tables agree about what is between them, once each act is done with.
    #[test]
    fn both_sides_agree(acts in prop::collection::vec(act(), 0..40)) {
        let mut states = [State::default(); 2];
        for act in acts {
            // Who sends, and what.
            let mut waiting = std::collections::VecDeque::new();
            match act {
                Act::Send(who, kind) => {
                    let step = outbound(states[usize::from(who)], kind);
                    states[usize::from(who)] = step.state;
                    waiting.extend((step.passage == Passage::Route).then_some((who, kind)));
                }
                Act::Remove(who) => {
                    let farewell = farewell(states[usize::from(who)]);
                    states[usize::from(who)] = State::default();
                    waiting.extend(farewell.unsubscribe.then_some((who, Unsubscribe)));
                    waiting.extend(farewell.unsubscribed.then_some((who, Unsubscribed)));
                }
            }
            let mut passed = 0;
            while let Some((sender, kind)) = waiting.pop_front() {
                let step = inbound(states[usize::from(!sender)], kind);
                states[usize::from(!sender)] = step.state;
                waiting.extend(step.reply.map(|reply| (!sender, reply)));
                passed += 1;
                prop_assert!(passed < 8, "replies answer each other");
            }
            let [one, other] = states;
            prop_assert_eq!((one.to, one.from), (other.from, other.to));
        }
    }

    /// What clients see is pushed, and only that; in the roster is whoever shares something.
    #[test]
    fn pushes_tell_what_is_seen(index in 0..27usize, inward: bool, kind in 0..4usize) {
        let mut before = all_states().nth(index).unwrap();
        before.listed |= before.to != Absent || before.from == Granted;
        let kind = [Subscribe, Subscribed, Unsubscribe, Unsubscribed][kind];
        let step = if inward { inbound(before, kind) } else { outbound(before, kind) };
        let after = step.state;
        let seen = |state: State| (state.listed, state.subscription(), state.to == Requested, state.approved);
        prop_assert_eq!(step.push, seen(before) != seen(after));
        prop_assert!(before.listed <= after.listed, "only a removal takes a contact out");
        prop_assert!(after.listed || (after.to == Absent && after.from != Granted && !after.approved));
    }
}
