//! Access models against kinds of entities, through the whole service: who retrieves, subscribes, publishes, and is
//! in the audience.

use super::*;

const MODELS: [&str; 5] = ["open", "presence", "roster", "authorize", "whitelist"];

/// A node of each access model, with an item, a member, an outcast and somebody who may only publish.
fn world() -> World {
    let mut world = World::account();
    for model in MODELS {
        world.create(JULIET, model, &[("access_model", model), ("roster_groups_allowed", "Friends")]);
        world.publish(JULIET, model, "a");
        let people: String = [
            ("member@m.lit", "member"),
            ("publisher@m.lit", "publisher"),
            ("bot@m.lit", "publish-only"),
            ("tybalt@capulet.lit", "outcast"),
        ]
        .iter()
        .map(|(jid, name)| format!("<affiliation jid='{jid}' affiliation='{name}'/>"))
        .collect();
        let set = owners(&format!("<affiliations node='{model}'>{people}</affiliations>"));
        assert_eq!(world.ok(JULIET, Action::Set, &set), "");
    }
    // Even an outcast may be among one's contacts.
    world.roster.presence.insert("tybalt@capulet.lit".to_owned());
    world
}

fn error(outcome: &Outcome) -> Option<PubsubError> {
    match outcome.reply {
        Reply::Result(_) => None,
        Reply::Error(error, _) => Some(error),
    }
}

#[test]
fn the_table() {
    const NOBODY: Option<PubsubError> = Some(PubsubError::SERVICE_UNAVAILABLE);
    const GROUP: Option<PubsubError> = Some(PubsubError::NOT_IN_GROUP);
    const SUBSCRIPTION: Option<PubsubError> = Some(PubsubError::SUBSCRIPTION_REQUIRED);
    const CLOSED: Option<PubsubError> = Some(PubsubError::CLOSED_NODE);
    const FORBIDDEN: Option<PubsubError> = Some(PubsubError::FORBIDDEN);
    let rows = [
        (JULIET, [None; 5]),
        (ROMEO, [None, None, None, SUBSCRIPTION, CLOSED]),
        (NURSE, [None, None, GROUP, SUBSCRIPTION, CLOSED]),
        (BENVOLIO, [None, NOBODY, NOBODY, SUBSCRIPTION, NOBODY]),
        ("member@m.lit/x", [None; 5]),
        ("publisher@m.lit/x", [None; 5]),
        ("bot@m.lit/x", [FORBIDDEN; 5]),
        ("tybalt@capulet.lit/x", [FORBIDDEN; 5]),
    ];
    for (from, expected) in rows {
        for (model, expected) in MODELS.into_iter().zip(expected) {
            let mut world = world();
            let items = world.ask(from, Action::Get, &everybody(&format!("<items node='{model}'/>")));
            assert_eq!(error(&items), expected, "{from} retrieves from {model}");
            let bare = from.split('/').next().unwrap();
            let subscribe = everybody(&format!("<subscribe node='{model}' jid='{bare}'/>"));
            let subscribed = world.ask(from, Action::Set, &subscribe);
            if (model, expected) == ("authorize", SUBSCRIPTION) {
                assert!(matches!(&subscribed.reply, Reply::Result(payload)
                    if String::from_utf8_lossy(payload).contains("subscription='pending'")));
            } else {
                assert_eq!(error(&subscribed), expected, "{from} subscribes to {model}");
            }
            // Whoever may not retrieve is not notified, subscribed or not.
            let event = world.publish(JULIET, model, "b");
            let audience = audience(&event.notifications[0]);
            let in_group = |group: &str| world.roster.is_in_group(bare, group);
            let reached = match world.roster.has_presence(bare) {
                _ if from == JULIET => audience.own != Reach::Nobody,
                true => audience.contact(bare, in_group) != Reach::Nobody,
                false => audience.addresses(|jid| world.roster.has_presence(jid)).any(|jid| jid == bare),
            };
            assert_eq!(reached, expected.is_none(), "{from} hears of {model}");
        }
    }
}

#[test]
fn who_publishes_and_removes() {
    let mut world = world();
    world.configure(JULIET, "open", &[("max_items", "10")]);
    let add = |id: &str| publish("open", id, &payload(id));
    let remove = |id: &str| everybody(&format!("<retract node='open'><item id='{id}'/></retract>"));
    for from in [ROMEO, "member@m.lit/x", "tybalt@capulet.lit/x"] {
        assert_eq!(world.fails(from, Action::Set, &add("x")), PubsubError::FORBIDDEN, "{from}");
    }
    for (from, id) in [("publisher@m.lit/x", "p"), ("bot@m.lit/x", "o")] {
        world.ok(from, Action::Set, &add(id));
        assert_eq!(world.fails(from, Action::Set, &remove("a")), PubsubError::FORBIDDEN, "{from}");
        assert_eq!(world.fails(from, Action::Set, &owners("<purge node='open'/>")), PubsubError::FORBIDDEN);
    }
    assert_eq!(world.fails("bot@m.lit/x", Action::Set, &remove("p")), PubsubError::FORBIDDEN);
    world.ok("publisher@m.lit/y", Action::Set, &remove("p"));
    world.ok(JULIET, Action::Set, &remove("o"));
    assert_eq!(world.ids(JULIET, "open"), ["a"]);
    // Subscribers, those by presence among them.
    world.configure(JULIET, "open", &[("publish_model", "subscribers")]);
    assert_eq!(world.fails(BENVOLIO, Action::Set, &add("x")), PubsubError::FORBIDDEN);
    world.ok(ROMEO, Action::Set, &add("r"));
    world.ok(BENVOLIO, Action::Set, &everybody("<subscribe node='open' jid='benvolio@montague.lit'/>"));
    world.ok(BENVOLIO, Action::Set, &add("x"));
    world.configure(JULIET, "open", &[("publish_model", "open"), ("itemreply", "publisher")]);
    world.ok("stranger@example.org/x", Action::Set, &add("s"));
    assert_eq!(world.fails("tybalt@capulet.lit/x", Action::Set, &add("t")), PubsubError::FORBIDDEN);
    // The service says who it was, not the publisher.
    let items = everybody("<items node='open' max_items='1'/>");
    let forged = "<publish node='open'><item id='f' publisher='juliet@capulet.lit'>";
    world.ok("stranger@example.org/x", Action::Set, &everybody(&format!("{forged}{}</item></publish>", payload("f"))));
    assert!(world.ok(JULIET, Action::Get, &items).contains("<item id='f' publisher='stranger@example.org'>"));
}

#[test]
fn owners_alone_manage() {
    let mut world = world();
    let form = form("http://jabber.org/protocol/pubsub#node_config", &[("access_model", "open")]);
    let requests = [
        (Action::Get, "<configure node='whitelist'/>".to_owned()),
        (Action::Set, format!("<configure node='whitelist'>{form}</configure>")),
        (Action::Get, "<subscriptions node='whitelist'/>".to_owned()),
        (
            Action::Set,
            "<subscriptions node='whitelist'><subscription jid='a@b' subscription='none'/></subscriptions>".to_owned(),
        ),
        (Action::Get, "<affiliations node='whitelist'/>".to_owned()),
        (
            Action::Set,
            "<affiliations node='whitelist'><affiliation jid='romeo@montague.lit' affiliation='owner'/>\
            </affiliations>"
                .to_owned(),
        ),
        (Action::Set, "<purge node='whitelist'/>".to_owned()),
        (Action::Set, "<delete node='whitelist'/>".to_owned()),
    ];
    for from in [ROMEO, "member@m.lit/x", "publisher@m.lit/x", "bot@m.lit/x", "tybalt@capulet.lit/x"] {
        for (action, request) in &requests {
            assert_eq!(world.fails(from, *action, &owners(request)), PubsubError::FORBIDDEN, "{from} {request}");
        }
    }
    for (action, request) in &requests {
        assert_eq!(world.fails(BENVOLIO, *action, &owners(request)), PubsubError::SERVICE_UNAVAILABLE, "{request}");
    }
    let authorize = Request::Authorize { node: "authorize".into(), jid: "romeo@montague.lit".into(), allow: true };
    assert_eq!(error(&world.request(ROMEO, authorize)), Some(PubsubError::FORBIDDEN));
    for request in [Request::LegacyBookmarks, Request::SetLegacyBookmarks { storage: parse("<storage/>") }] {
        assert_eq!(error(&world.request(ROMEO, request)), Some(PubsubError::FORBIDDEN));
    }
}
