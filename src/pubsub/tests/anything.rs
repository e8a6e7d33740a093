//! Whatever is asked in whatever order by whomever: nothing panics, nothing reads without end, errors write nothing,
//! and what strangers do to private nodes leaves no trace.

use super::*;
use proptest::prelude::*;

fn attribute() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "node='a'",
        "node='b'",
        "node=''",
        "jid='romeo@montague.lit'",
        "jid='romeo@montague.lit/x'",
        "jid='@'",
        "max_items='1'",
        "max_items='x'",
        "notify='true'",
        "id='1'",
        "id='2'",
        "type='leaf'",
        "affiliation='member'",
        "affiliation='outcast'",
        "affiliation='none'",
        "subscription='none'",
        "subscription='subscribed'",
    ]);
    // An attribute occurs once.
    prop::collection::btree_set(value, 0..4).prop_map(|attributes| {
        let mut seen = BTreeSet::new();
        let once = attributes.into_iter().filter(|text| seen.insert(text.split('=').next()));
        once.map(|text| format!(" {text}")).collect()
    })
}

fn field() -> impl Strategy<Value = String> {
    const VARS: &[&str] = &[
        "access_model",
        "max_items",
        "persist_items",
        "publish_model",
        "deliver_payloads",
        "publish_node_full",
        "item_expire",
        "subscribe",
        "roster_groups_allowed",
        "other",
    ];
    const VALUES: &[&str] = &[
        "open",
        "whitelist",
        "authorize",
        "presence",
        "roster",
        "1",
        "0",
        "max",
        "2",
        "reject",
        "subscribers",
        "Friends",
    ];
    (prop::sample::select(VARS), prop::sample::select(VALUES))
        .prop_map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>"))
}

/// Content of any element: items, forms, entries of lists.
fn inner() -> impl Strategy<Value = String> {
    let form = prop::collection::vec(field(), 0..3)
        .prop_map(|fields| format!("<x xmlns='jabber:x:data' type='submit'>{}</x>", fields.concat()));
    let item = (attribute(), any::<bool>()).prop_map(|(attributes, full)| {
        format!("<item{attributes}>{}</item>", if full { payload("p") } else { String::new() })
    });
    let entry = (prop::sample::select(vec!["affiliation", "subscription", "redirect"]), attribute())
        .prop_map(|(name, attributes)| format!("<{name}{attributes}/>"));
    prop_oneof![form, item, entry]
}

fn child() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "create",
        "configure",
        "publish",
        "publish-options",
        "retract",
        "items",
        "subscribe",
        "unsubscribe",
        "subscriptions",
        "affiliations",
        "default",
        "delete",
        "purge",
        "options",
    ]);
    (names, attribute(), prop::collection::vec(inner(), 0..3))
        .prop_map(|(name, attributes, inner)| format!("<{name}{attributes}>{}</{name}>", inner.concat()))
}

/// Who asks, for a change or not, as an owner or not, and what.
fn question() -> impl Strategy<Value = (&'static str, bool, bool, String)> {
    let who = prop::sample::select(vec![JULIET, JULIET, ROMEO, NURSE, BENVOLIO]);
    let set = "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/></set>";
    let content = (prop::collection::vec(child(), 1..3), any::<bool>())
        .prop_map(move |(children, paged)| children.concat() + if paged { set } else { "" });
    (who, any::<bool>(), any::<bool>(), content)
}

proptest! {
    #[test]
    fn nothing_goes_wrong(questions in prop::collection::vec(question(), 0..40)) {
        let mut world = World::account();
        world.create(JULIET, "diary", &[("access_model", "whitelist")]);
        world.publish(JULIET, "diary", "secret");
        for (from, is_set, as_owner, content) in questions {
            let action = if is_set { Action::Set } else { Action::Get };
            let pubsub = if as_owner { owners(&content) } else { everybody(&content) };
            let outcome = world.ask(from, action, &pubsub);
            if let Reply::Error(error, payload) = &outcome.reply {
                // Lists are changed as far as they can be; all else is not changed at all.
                prop_assert!(outcome.write.is_none() || !payload.is_empty(), "{pubsub} {error:?}");
            }
            for notification in &outcome.notifications {
                let mut message = Vec::new();
                notification.write(&mut message, "juliet@capulet.lit", "a@b", true);
                prop_assert!(Element::parse(&message).is_ok(), "{pubsub}");
            }
        }
        for (other, error) in [(ROMEO, PubsubError::CLOSED_NODE), (BENVOLIO, PubsubError::SERVICE_UNAVAILABLE)] {
            let items = everybody("<items node='diary'/>");
            prop_assert_eq!(world.fails(other, Action::Get, &items), error);
        }
        prop_assert_eq!(world.ids(JULIET, "diary"), ["secret"]);
    }
}
