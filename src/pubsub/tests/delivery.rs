//! The newest items for a resource that comes online (XEP-0163 §4.3.3, §4.3.4), and writes that come too late.

use super::*;
use crate::account::Interests;
use std::sync::Arc;

fn interests(nodes: &[&str]) -> Arc<Interests> {
    Arc::new(Interests::new(nodes.iter().copied(), 100, 10_000))
}

/// What a resource gets when it comes online with these interests: nodes and items.
fn arrives(world: &mut World, from: &str, nodes: &[&str]) -> Vec<String> {
    let outcome = world.request(from, Request::Presence { interests: interests(nodes) });
    assert_eq!((outcome.write, outcome.reply), (None, Reply::Result(Vec::new())));
    let item = |notification: &Notification| {
        assert_eq!(notification.audience, Audience::Address(from.into()));
        assert_eq!(notification.reply_to, None);
        let message = parse(&format!("<message>{}</message>", content(notification)));
        let delay = message.child("delay", ns::DELAY).unwrap();
        assert!(delay.attribute("stamp").unwrap().starts_with("2003-12-13T18:30:"));
        let items = message.child("event", ns::PUBSUB_EVENT).unwrap().child("items", ns::PUBSUB_EVENT).unwrap();
        let id = items.children().next().unwrap().attribute("id").unwrap().to_owned();
        format!("{} {id}", items.attribute("node").unwrap())
    };
    outcome.notifications.iter().map(item).collect()
}

#[test]
fn a_resource_that_comes_online_gets_the_newest_items_that_it_wants() {
    let mut world = World::account();
    for (node, fields) in [
        ("tune", &[("max_items", "3")][..]),
        ("mood", &[]),
        ("keys", &[("access_model", "roster"), ("roster_groups_allowed", "Friends")]),
        ("diary", &[("access_model", "whitelist")]),
        ("silent", &[("send_last_published_item", "never")]),
        ("on_sub", &[("send_last_published_item", "on_sub")]),
        ("mute", &[("deliver_notifications", "0")]),
        ("blog", &[("access_model", "open")]),
        ("empty", &[]),
    ] {
        world.create(JULIET, node, fields);
        if node != "empty" {
            world.publish(JULIET, node, "a");
        }
    }
    world.publish(JULIET, "tune", "b");
    let all = ["blog", "diary", "empty", "keys", "mood", "mute", "none", "on_sub", "silent", "tune"];
    assert_eq!(arrives(&mut world, JULIET, &all), ["blog a", "diary a", "keys a", "mood a", "tune b"]);
    assert_eq!(arrives(&mut world, ROMEO, &all), ["blog a", "keys a", "mood a", "tune b"]);
    assert_eq!(arrives(&mut world, NURSE, &all), ["blog a", "mood a", "tune b"]);
    assert_eq!(arrives(&mut world, NURSE, &["tune", "keys"]), ["tune b"]);
    assert!(arrives(&mut world, NURSE, &[]).is_empty());
    assert_eq!(world.reads, 0);
    // Without a subscription to Juliet's presence nothing comes by itself, except what was subscribed to.
    assert!(arrives(&mut world, BENVOLIO, &all).is_empty());
    world.ok(BENVOLIO, Action::Set, &everybody("<subscribe node='blog' jid='benvolio@montague.lit'/>"));
    assert_eq!(arrives(&mut world, BENVOLIO, &all), ["blog a"]);
    // Whoever is cast out gets nothing, contact or not.
    let outcast = "<affiliation jid='romeo@montague.lit' affiliation='outcast'/>";
    world.ok(JULIET, Action::Set, &owners(&format!("<affiliations node='tune'>{outcast}</affiliations>")));
    assert_eq!(arrives(&mut world, ROMEO, &["tune", "mood"]), ["mood a"]);
}

#[test]
fn the_newest_item_follows_what_is_removed() {
    let mut world = World::account();
    world.create(JULIET, "tune", &[("max_items", "3")]);
    ["a", "b"].iter().for_each(|id| drop(world.publish(JULIET, "tune", id)));
    world.ok(JULIET, Action::Set, &everybody("<retract node='tune'><item id='b'/></retract>"));
    assert_eq!(arrives(&mut world, ROMEO, &["tune"]), ["tune a"]);
    world.ok(JULIET, Action::Set, &everybody("<retract node='tune'><item id='a'/></retract>"));
    assert!(arrives(&mut world, ROMEO, &["tune"]).is_empty());
}

#[test]
fn what_comes_at_once_is_bounded() {
    let mut world = World::account();
    for node in ["a", "b", "c"] {
        world.publish(JULIET, node, "i");
    }
    world.limits.page_bytes_max = 2 * payload("i").len();
    assert_eq!(arrives(&mut world, ROMEO, &["a", "b", "c"]), ["a i", "b i"]);
}

/// Two publications that were based on the same node: the second one is carried out anew.
#[test]
fn a_write_that_comes_too_late_is_carried_out_anew() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[("max_items", "2")]);
    let request = |id: &str| {
        let limits = PubsubLimits::default();
        Request::read(Action::Set, &parse(&publish("blog", id, &payload(id))), &limits).unwrap()
    };
    let mut transactions = ["a", "b", "c"].map(|id| world.transaction(JULIET, request(id)));
    let outcomes = transactions.each_mut().map(|transaction| world.advance(transaction));
    let written = outcomes.map(|outcome| world.memory.write(&outcome.write.unwrap()));
    assert_eq!(written, [true, false, false]);
    for transaction in &mut transactions[1..] {
        assert!(transaction.again());
        let outcome = world.advance(transaction);
        assert!(world.memory.write(&outcome.write.unwrap()));
    }
    assert_eq!(world.ids(JULIET, "blog"), ["c", "b"]);
    // Not for ever.
    let mut attempts = 0;
    while transactions[0].again() {
        attempts += 1;
        assert!(attempts < 10);
    }
}

#[test]
fn an_answer_to_nothing_and_a_failed_read_are_errors() {
    use rondel_storage::{Failure, FailureKind, LoadError, Outcome as Stored};
    let mut world = World::account();
    let mut transaction = world.transaction(JULIET, Request::Configuration { node: "n".to_owned() });
    assert_eq!(transaction.read(Stored::Value(None)), Err(LoadError::OtherRequest));
    assert!(matches!(transaction.advance(&world.roster), Progress::Need(_)));
    let failure = Failure { kind: FailureKind::Io, text: "x".into() };
    assert_eq!(transaction.read(Stored::Failed(failure.clone())), Err(LoadError::Failed(failure)));
    assert!(matches!(transaction.advance(&world.roster), Progress::Need(_)));
    assert!(matches!(transaction.read(Stored::Value(Some(vec![9, 9]))), Err(LoadError::Undecodable(_))));
}
