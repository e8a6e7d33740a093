//! Everything has a bound, and the error that XEP-0060 names for it.

use super::*;

#[test]
fn nodes() {
    let mut world = World::account();
    world.limits.nodes_max = 2;
    world.create(JULIET, "a", &[]);
    world.publish(JULIET, "b", "i");
    for request in ["<create node='c'/>", "<create/>", "<publish node='c'><item><x xmlns='urn:x'/></item></publish>"] {
        assert_eq!(world.fails(JULIET, Action::Set, &everybody(request)), PubsubError::MAX_NODES, "{request}");
    }
    world.publish(JULIET, "a", "i");
    world.ok(JULIET, Action::Set, &owners("<delete node='b'/>"));
    world.create(JULIET, "c", &[]);
}

#[test]
fn names_and_ids() {
    let mut world = World::account();
    (world.limits.node_name_bytes_max, world.limits.item_id_bytes_max) = (3, 2);
    world.publish(JULIET, "abc", "id");
    for request in [
        publish("abcd", "id", "<x xmlns='urn:x'/>"),
        publish("abc", "idx", "<x xmlns='urn:x'/>"),
        everybody("<create node='abcd'/>"),
        everybody("<retract node='abc'><item id='idx'/></retract>"),
        everybody("<subscribe node='abcd' jid='juliet@capulet.lit'/>"),
    ] {
        assert_eq!(world.fails(JULIET, Action::Set, &request), PubsubError::POLICY_VIOLATION, "{request}");
    }
    let items: String = (0..65).map(|id| format!("<item id='{id}'/>")).collect();
    let many = everybody(&format!("<items node='abc'>{items}</items>"));
    assert_eq!(world.fails(JULIET, Action::Get, &many), PubsubError::POLICY_VIOLATION);
}

#[test]
fn payloads() {
    let mut world = World::account();
    let text = |bytes: usize| format!("<x xmlns='urn:x'>{}</x>", "a".repeat(bytes));
    let overhead = text(0).len();
    world.limits.item_bytes_max = overhead + 20;
    world.create(JULIET, "small", &[("max_payload_size", &(overhead + 10).to_string())]);
    for (node, most) in [("any", 20), ("small", 10)] {
        world.ok(JULIET, Action::Set, &publish(node, "a", &text(most)));
        let large = publish(node, "a", &text(most + 1));
        assert_eq!(world.fails(JULIET, Action::Set, &large), PubsubError::PAYLOAD_TOO_BIG, "{node}");
    }
}

#[test]
fn all_items_together() {
    let mut world = World::account();
    let size = |id: &str| (payload(id).len() + id.len()) as u64;
    world.limits.bytes_max = 3 * size("a");
    world.create(JULIET, "blog", &[("max_items", "10")]);
    assert_eq!(world.publish(JULIET, "blog", "a").stored, Some(size("a")));
    world.publish(JULIET, "blog", "b");
    world.publish(JULIET, "mood", "a");
    let more = [publish("blog", "c", &payload("c")), publish("tune", "a", &payload("a"))];
    for request in &more {
        assert_eq!(world.fails(JULIET, Action::Set, request), PubsubError::POLICY_VIOLATION);
    }
    // What takes the place of something else needs no more room.
    world.publish(JULIET, "mood", "b");
    world.publish(JULIET, "blog", "b");
    let outcome = world.ask(JULIET, Action::Set, &owners("<delete node='mood'/>"));
    assert!(outcome.write.is_some());
    // What has been counted before is not counted again.
    world.service.stored = Some(2 * size("a"));
    assert_eq!(world.publish(JULIET, "tune", "a").stored, Some(3 * size("a")));
    world.service.stored = Some(3 * size("a"));
    assert_eq!(world.fails(JULIET, Action::Set, &more[0]), PubsubError::POLICY_VIOLATION);
    let retract = everybody("<retract node='blog'><item id='a'/></retract>");
    assert_eq!(world.ask(JULIET, Action::Set, &retract).stored, Some(2 * size("a")));
    world.service.stored = Some(2 * size("a"));
    let outcome = world.ask(JULIET, Action::Set, &owners("<purge node='blog'/>"));
    assert_eq!(outcome.stored, Some(size("a")));
    world.service.stored = Some(size("a"));
    let storage =
        "<storage xmlns='storage:bookmarks'><conference jid='a@b' name='a name that needs some room'/></storage>";
    let bookmarks = Request::SetLegacyBookmarks { storage: parse(storage) };
    let outcome = world.request(JULIET, bookmarks.clone());
    assert!(outcome.stored.is_some_and(|stored| stored > size("a")), "{outcome:?}");
    world.service.stored = Some(3 * size("a"));
    world.ok(JULIET, Action::Set, &owners("<delete node='urn:xmpp:bookmarks:1'/>"));
    assert_eq!(world.request(JULIET, bookmarks).reply, Reply::Error(PubsubError::POLICY_VIOLATION, Vec::new()));
}

#[test]
fn items() {
    let mut world = World::account();
    world.limits.items_max_per_node = 3;
    world.create(JULIET, "blog", &[("max_items", "max")]);
    for id in ["a", "b", "c", "d"] {
        world.publish(JULIET, "blog", id);
    }
    assert_eq!(world.ids(JULIET, "blog"), ["d", "c", "b"]);
    // The operator allows fewer now: the next publication makes room.
    world.limits.items_max_per_node = 1;
    world.publish(JULIET, "blog", "e");
    assert_eq!(world.ids(JULIET, "blog"), ["e"]);
}

#[test]
fn subscriptions() {
    let mut world = World::account();
    world.limits.subscriptions_max_per_node = 10;
    world.create(JULIET, "blog", &[("access_model", "open")]);
    let subscribe = |jid: &str| everybody(&format!("<subscribe node='blog' jid='{jid}'/>"));
    // Nobody takes all there may be.
    for resource in 0..8 {
        world.ok(BENVOLIO, Action::Set, &subscribe(&format!("benvolio@montague.lit/{resource}")));
    }
    let one_more = world.fails(BENVOLIO, Action::Set, &subscribe("benvolio@montague.lit/8"));
    assert_eq!(one_more, PubsubError::TOO_MANY_SUBSCRIPTIONS);
    world.ok(ROMEO, Action::Set, &subscribe("romeo@montague.lit"));
    world.ok(NURSE, Action::Set, &subscribe("nurse@capulet.lit"));
    let one_more = world.fails("tybalt@capulet.lit/x", Action::Set, &subscribe("tybalt@capulet.lit"));
    assert_eq!(one_more, PubsubError::TOO_MANY_SUBSCRIPTIONS);
    world.ok(ROMEO, Action::Set, &subscribe("romeo@montague.lit"));
}

#[test]
fn affiliations() {
    let mut world = World::account();
    world.limits.affiliations_max_per_node = 2;
    world.create(JULIET, "blog", &[]);
    let set = |entries: &[(&str, &str)]| {
        let entries: String =
            entries.iter().map(|(jid, name)| format!("<affiliation jid='{jid}' affiliation='{name}'/>")).collect();
        owners(&format!("<affiliations node='blog'>{entries}</affiliations>"))
    };
    world.ok(JULIET, Action::Set, &set(&[("a@d", "member"), ("b@d", "member")]));
    let one_more = world.fails(JULIET, Action::Set, &set(&[("c@d", "member")]));
    assert_eq!(one_more, PubsubError::POLICY_VIOLATION);
    world.ok(JULIET, Action::Set, &set(&[("a@d", "none"), ("c@d", "outcast")]));
    let many: Vec<_> = (0..65).map(|number| format!("u{number}@d")).collect();
    let many: Vec<_> = many.iter().map(|jid| (jid.as_str(), "member")).collect();
    assert_eq!(world.fails(JULIET, Action::Set, &set(&many)), PubsubError::POLICY_VIOLATION);
}

#[test]
fn answers() {
    let mut world = World::account();
    for node in ["a", "b", "c"] {
        world.create(JULIET, node, &[("max_items", "10"), ("access_model", "open")]);
        world.ok(ROMEO, Action::Set, &everybody(&format!("<subscribe node='{node}' jid='romeo@montague.lit'/>")));
    }
    ["i", "j", "k"].iter().for_each(|id| drop(world.publish(JULIET, "a", id)));
    world.limits.page_bytes_max = 130;
    let mut count = |request: Request, entry: &str| match world.request(ROMEO, request).reply {
        Reply::Result(payload) => String::from_utf8(payload).unwrap().matches(entry).count(),
        Reply::Error(error, _) => panic!("{error:?}"),
    };
    assert_eq!(count(Request::Subscriptions { node: None }, "<subscription "), 2);
    assert_eq!(count(Request::DiscoItems { node: None }, "<item "), 2);
    assert_eq!(count(Request::DiscoItems { node: Some("a".to_owned()) }, "<item "), 2);
}

#[test]
fn forms() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[]);
    let fields: String = (0..65).map(|number| format!("<field var='x{number}'><value/></field>")).collect();
    let values = format!("<field var='pubsub#roster_groups_allowed'>{}</field>", "<value>g</value>".repeat(129));
    let texts = ["title", "description", "language", "type"];
    let long: String = texts
        .iter()
        .map(|var| format!("<field var='pubsub#{var}'><value>{}</value></field>", "x".repeat(1024)))
        .collect();
    let too_long = format!("{long}<field var='pubsub#roster_groups_allowed'><value>g</value></field>");
    for content in [fields, values, too_long] {
        let form = format!("<x xmlns='jabber:x:data' type='submit'>{content}</x>");
        let request = owners(&format!("<configure node='blog'>{form}</configure>"));
        assert_eq!(world.fails(JULIET, Action::Set, &request), PubsubError::NOT_ACCEPTABLE);
    }
}
