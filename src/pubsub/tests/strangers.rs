//! Strangers: what they have nothing to do with does not show, and what is open to them works.

use super::*;

/// Everything that can be asked about a node, or about all.
fn questions(node: &str) -> Vec<(Action, String)> {
    let jid = "benvolio@montague.lit";
    let form = form("http://jabber.org/protocol/pubsub#node_config", &[("access_model", "open")]);
    let item = payload("x");
    let everybodys = [
        (Action::Get, format!("<items node='{node}'/>")),
        (Action::Get, format!("<items node='{node}'><item id='a'/></items>")),
        (Action::Get, "<subscriptions/>".to_owned()),
        (Action::Get, format!("<subscriptions node='{node}'/>")),
        (Action::Get, "<affiliations/>".to_owned()),
        (Action::Get, format!("<affiliations node='{node}'/>")),
        (Action::Set, format!("<create node='{node}'/>")),
        (Action::Set, "<create/>".to_owned()),
        (Action::Set, format!("<publish node='{node}'><item id='a'>{item}</item></publish>")),
        (Action::Set, format!("<retract node='{node}'><item id='a'/></retract>")),
        (Action::Set, format!("<subscribe node='{node}' jid='{jid}'/>")),
        (Action::Set, format!("<unsubscribe node='{node}' jid='{jid}'/>")),
    ];
    let owners_alone = [
        (Action::Get, "<default/>".to_owned()),
        (Action::Get, format!("<configure node='{node}'/>")),
        (Action::Set, format!("<configure node='{node}'>{form}</configure>")),
        (Action::Set, format!("<delete node='{node}'/>")),
        (Action::Set, format!("<purge node='{node}'/>")),
        (Action::Get, format!("<subscriptions node='{node}'/>")),
        (Action::Get, format!("<affiliations node='{node}'/>")),
    ];
    let everybodys = everybodys.into_iter().map(|(action, content)| (action, everybody(&content)));
    everybodys.chain(owners_alone.into_iter().map(|(action, content)| (action, owners(&content)))).collect()
}

/// Each kind of node that strangers have nothing to do with, and one that does not exist.
fn world() -> World {
    let mut world = World::account();
    for model in ["presence", "roster", "whitelist"] {
        world.create(JULIET, model, &[("access_model", model), ("roster_groups_allowed", "Friends")]);
        world.publish(JULIET, model, "a");
    }
    world
}

#[test]
fn an_account_that_shows_nothing_is_like_one_that_does_not_exist() {
    let mut world = world();
    for node in ["presence", "roster", "whitelist", "none"] {
        for (action, question) in questions(node) {
            let answer = world.fails(BENVOLIO, action, &question);
            assert_eq!(answer, PubsubError::SERVICE_UNAVAILABLE, "{question}");
        }
        for request in [Request::DiscoItems { node: Some(node.into()) }, Request::DiscoInfo { node: node.into() }] {
            let outcome = world.request(BENVOLIO, request);
            assert_eq!(outcome.reply, Reply::Error(PubsubError::SERVICE_UNAVAILABLE, Vec::new()));
        }
    }
    let outcome = world.request(BENVOLIO, Request::DiscoItems { node: None });
    assert_eq!(outcome.reply, Reply::Error(PubsubError::SERVICE_UNAVAILABLE, Vec::new()));
    // A contact is told what is missing.
    let items = everybody("<items node='whitelist'/>");
    assert_eq!(world.fails(ROMEO, Action::Get, &items), PubsubError::CLOSED_NODE);
    let none = everybody("<items node='none'/>");
    assert_eq!(world.fails(ROMEO, Action::Get, &none), PubsubError::ITEM_NOT_FOUND);
}

#[test]
fn what_is_open_to_strangers_shows() {
    let mut world = world();
    world.create(JULIET, "blog", &[("access_model", "open"), ("max_items", "5")]);
    world.create(JULIET, "letters", &[("access_model", "whitelist"), ("publish_model", "open"), ("max_items", "5")]);
    world.create(JULIET, "club", &[("access_model", "authorize")]);
    world.publish(JULIET, "blog", "a");
    assert_eq!(world.ids(BENVOLIO, "blog"), ["a"]);
    let outcome = world.request(BENVOLIO, Request::DiscoItems { node: None });
    let Reply::Result(list) = outcome.reply else { panic!("{:?}", outcome.reply) };
    let list = String::from_utf8(list).unwrap();
    assert!(list.contains("node='blog'") && list.contains("node='club'"), "{list}");
    assert!(!list.contains("letters") && !list.contains("whitelist"), "{list}");
    // Errors say what is wrong.
    let purge = owners("<purge node='blog'/>");
    assert_eq!(world.fails(BENVOLIO, Action::Set, &purge), PubsubError::FORBIDDEN);
    let other = everybody("<subscribe node='blog' jid='romeo@montague.lit'/>");
    assert_eq!(world.fails(BENVOLIO, Action::Set, &other), PubsubError::INVALID_JID);
    // A letter can be put in, and not be read.
    world.ok(BENVOLIO, Action::Set, &publish("letters", "l", &payload("l")));
    let letters = everybody("<items node='letters'/>");
    assert_eq!(world.fails(BENVOLIO, Action::Get, &letters), PubsubError::CLOSED_NODE);
    // Who waits for approval still sees what for.
    world.ok(BENVOLIO, Action::Set, &everybody("<subscribe node='club' jid='benvolio@montague.lit'/>"));
    assert!(matches!(world.request(BENVOLIO, Request::DiscoInfo { node: "club".into() }).reply, Reply::Result(_)));
    let own = world.ok(BENVOLIO, Action::Get, &everybody("<subscriptions/>"));
    assert!(own.contains("subscription='pending'"), "{own}");
}
