//! Configuration and publishing options (XEP-0060 §8.2, §8.3, §7.1.5).

use super::*;

/// The fields of the form in an answer, with their values.
fn fields(answer: &str, element: &str) -> Vec<(String, Vec<String>)> {
    let answer = parse(answer);
    let form = answer.child(element, ns::PUBSUB_OWNER).and_then(|child| child.child("x", ns::DATA_FORMS)).unwrap();
    assert_eq!(form.attribute("type"), Some("form"));
    let values =
        |field: &Element| field.children().filter(|child| child.name == "value").map(Element::text).collect::<Vec<_>>();
    form.children().map(|field| (field.attribute("var").unwrap().to_owned(), values(field))).collect()
}

fn value(fields: &[(String, Vec<String>)], var: &str) -> String {
    let found = fields.iter().find(|(of, _)| of == var).unwrap_or_else(|| panic!("{var}"));
    found.1.join(",")
}

/// The example of XEP-0060 §8.1.3, with all that it asks for.
#[test]
fn creating_and_configuring() {
    let mut world = World::account();
    let wanted = [
        ("title", "Princely Musings (Atom)"),
        ("deliver_notifications", "1"),
        ("deliver_payloads", "1"),
        ("persist_items", "1"),
        ("max_items", "10"),
        ("item_expire", "604800"),
        ("access_model", "open"),
        ("publish_model", "publishers"),
        ("send_last_published_item", "never"),
        ("presence_based_delivery", "0"),
        ("notification_type", "headline"),
        ("notify_config", "0"),
        ("notify_delete", "0"),
        ("notify_retract", "0"),
        ("notify_sub", "0"),
        ("max_payload_size", "1028"),
        ("type", "urn:example:e2ee:bundle"),
    ];
    // Those that are not understood are ignored.
    let ignored = [("purge_offline", "0"), ("body_xslt", "http://jabxslt.jabberstudio.org/atom_body.xslt")];
    world.create(JULIET, "princely_musings", &[&wanted[..], &ignored[..]].concat());
    let shown = fields(&world.ok(JULIET, Action::Get, &owners("<configure node='princely_musings'/>")), "configure");
    assert_eq!(value(&shown, "FORM_TYPE"), "http://jabber.org/protocol/pubsub#node_config");
    for (var, expected) in wanted {
        assert_eq!(value(&shown, &format!("pubsub#{var}")), expected, "{var}");
    }
    assert!(!shown.iter().any(|(var, _)| var == "pubsub#body_xslt"));
}

#[test]
fn the_defaults_of_an_account_and_of_a_domain() {
    let shown = |mut world: World| fields(&world.ok(JULIET, Action::Get, &owners("<default/>")), "default");
    let account = shown(World::account());
    for (var, expected) in [
        ("access_model", "presence"),
        ("send_last_published_item", "on_sub_and_presence"),
        ("deliver_notifications", "1"),
        ("deliver_payloads", "1"),
        ("persist_items", "1"),
        ("max_items", "1"),
        ("publish_model", "publishers"),
        ("notification_type", "headline"),
        ("itemreply", "none"),
    ] {
        assert_eq!(value(&account, &format!("pubsub#{var}")), expected, "{var}");
    }
    assert_eq!(value(&shown(World::domain()), "pubsub#access_model"), "open");
}

#[test]
fn what_is_left_out_stays_and_what_is_wrong_changes_nothing() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[("title", "Old"), ("max_items", "max")]);
    assert_eq!(world.configure(JULIET, "blog", &[("title", "New")]).reply, Reply::Result(Vec::new()));
    let rows = [
        ("access_model", "anarchy", PubsubError::UNSUPPORTED_ACCESS_MODEL),
        ("publish_model", "x", PubsubError::NOT_ACCEPTABLE),
        ("persist_items", "yes", PubsubError::NOT_ACCEPTABLE),
        ("max_items", "0", PubsubError::NOT_ACCEPTABLE),
        ("max_items", "-1", PubsubError::NOT_ACCEPTABLE),
        ("max_items", "10001", PubsubError::NOT_ACCEPTABLE),
        ("item_expire", "soon", PubsubError::NOT_ACCEPTABLE),
        ("contact", "@", PubsubError::NOT_ACCEPTABLE),
        ("node_type", "collection", PubsubError::unsupported("collections")),
    ];
    for (var, text, error) in rows {
        let outcome = world.configure(JULIET, "blog", &[("title", "Wrong"), (var, text)]);
        assert_eq!((outcome.reply, outcome.write), (Reply::Error(error, Vec::new()), None), "{var}={text}");
    }
    let long = world.configure(JULIET, "blog", &[("title", &"x".repeat(2000))]);
    assert_eq!(long.reply, Reply::Error(PubsubError::NOT_ACCEPTABLE, Vec::new()));
    let cancel = owners("<configure node='blog'><x xmlns='jabber:x:data' type='cancel'/></configure>");
    let outcome = world.ask(JULIET, Action::Set, &cancel);
    assert_eq!((outcome.reply, outcome.write), (Reply::Result(Vec::new()), None));
    let other = form("http://jabber.org/protocol/pubsub#publish-options", &[("title", "Wrong")]);
    let request = owners(&format!("<configure node='blog'>{other}</configure>"));
    assert_eq!(world.fails(JULIET, Action::Set, &request), PubsubError::BAD_REQUEST);
    let shown = fields(&world.ok(JULIET, Action::Get, &owners("<configure node='blog'/>")), "configure");
    assert_eq!((value(&shown, "pubsub#title"), value(&shown, "pubsub#max_items")), ("New".into(), "max".into()));
    let none = owners("<configure node='none'/>");
    assert_eq!(world.fails(JULIET, Action::Get, &none), PubsubError::ITEM_NOT_FOUND);
}

#[test]
fn a_node_that_gets_room_for_fewer_keeps_the_newest() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[("max_items", "10")]);
    ["a", "b", "c", "d"].iter().for_each(|id| drop(world.publish(JULIET, "blog", id)));
    world.configure(JULIET, "blog", &[("max_items", "2")]);
    assert_eq!(world.ids(JULIET, "blog"), ["d", "c"]);
    world.publish(JULIET, "blog", "e");
    assert_eq!(world.ids(JULIET, "blog"), ["e", "d"]);
    world.configure(JULIET, "blog", &[("persist_items", "false")]);
    world.configure(JULIET, "blog", &[("persist_items", "true")]);
    assert!(world.ids(JULIET, "blog").is_empty());
}

#[test]
fn what_happens_when_a_node_is_full() {
    let mut world = World::account();
    for full in ["retract-oldest", "discard-oldest", "reject"] {
        world.create(JULIET, full, &[("max_items", "2"), ("publish_node_full", full)]);
        ["a", "b"].iter().for_each(|id| drop(world.publish(JULIET, full, id)));
    }
    let events = |outcome: &Outcome| outcome.notifications.len();
    assert_eq!(events(&world.publish(JULIET, "discard-oldest", "c")), 1);
    let outcome = world.publish(JULIET, "retract-oldest", "c");
    let retract = "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='retract-oldest'>\
                   <retract id='a'/></items></event>";
    assert_eq!((events(&outcome), content(&outcome.notifications[0])), (2, retract));
    assert_ne!(outcome.notifications[0].id, outcome.notifications[1].id);
    let one_more = publish("reject", "c", &payload("c"));
    assert_eq!(world.fails(JULIET, Action::Set, &one_more), PubsubError::NODE_FULL);
    // An item that is there already needs no room.
    world.publish(JULIET, "reject", "a");
    assert_eq!(world.ids(JULIET, "reject"), ["a", "b"]);
}

#[test]
fn items_expire() {
    let mut world = World::account();
    world.create(JULIET, "stories", &[("max_items", "max"), ("item_expire", "60")]);
    ["a", "b"].iter().for_each(|id| drop(world.publish(JULIET, "stories", id)));
    assert_eq!(world.ids(JULIET, "stories"), ["b", "a"]);
    world.now += 59_000_000;
    assert!(world.ids(JULIET, "stories").is_empty());
    let by_id = everybody("<items node='stories'><item id='b'/></items>");
    assert!(ids(&world.ok(JULIET, Action::Get, &by_id)).is_empty());
    world.publish(JULIET, "stories", "c");
    assert_eq!(world.ids(JULIET, "stories"), ["c"]);
    // What nobody can see is not kept either: a node, an item, its place.
    assert_eq!(world.memory.0.len(), 3);
}

#[test]
fn publishing_with_options() {
    let mut world = World::account();
    let demand = |options: &[(&str, &str)]| publish_with("omemo", "current", options);
    // A node that does not exist is created so.
    world.ok(JULIET, Action::Set, &demand(&[("access_model", "open"), ("max_items", "max")]));
    let shown = fields(&world.ok(JULIET, Action::Get, &owners("<configure node='omemo'/>")), "configure");
    assert_eq!(value(&shown, "pubsub#access_model"), "open");
    assert_eq!(value(&shown, "pubsub#send_last_published_item"), "on_sub_and_presence");
    let met: [&[(&str, &str)]; 6] = [
        &[],
        &[("access_model", "open")],
        &[("access_model", "open"), ("max_items", "max"), ("persist_items", "true")],
        &[("persist_items", "1")],
        &[("max_items", "10000")],
        &[("node_type", "leaf"), ("purge_offline", "0")],
    ];
    for options in met {
        world.ok(JULIET, Action::Set, &demand(options));
    }
    let unmet: [&[(&str, &str)]; 7] = [
        &[("access_model", "whitelist")],
        &[("access_model", "open"), ("max_items", "1")],
        &[("send_last_published_item", "never")],
        &[("access_model", "anarchy")],
        &[("max_items", "10001")],
        &[("body_xslt", "http://jabxslt.jabberstudio.org/atom_body.xslt")],
        &[("purge_offline", "1")],
    ];
    for options in unmet {
        assert_eq!(world.fails(JULIET, Action::Set, &demand(options)), PubsubError::PRECONDITION, "{options:?}");
        // Nothing that cannot be had is created either.
        let create = publish_with("new", "current", options);
        let outcome = world.ask(JULIET, Action::Set, &create);
        if matches!(outcome.reply, Reply::Error(..)) {
            assert_eq!(outcome.write, None, "{options:?}");
        } else {
            world.ok(JULIET, Action::Set, &owners("<delete node='new'/>"));
        }
    }
    let unknown = publish_with("new", "current", &[("body_xslt", "x")]);
    assert_eq!(world.fails(JULIET, Action::Set, &unknown), PubsubError::PRECONDITION);
    let wrong = publish_with("new", "current", &[("access_model", "anarchy")]);
    assert_eq!(world.fails(JULIET, Action::Set, &wrong), PubsubError::UNSUPPORTED_ACCESS_MODEL);
    // Another FORM_TYPE demands nothing that could be met.
    let form = form("http://jabber.org/protocol/pubsub#node_config", &[("access_model", "open")]);
    let item = format!("<item id='x'>{}</item>", payload("x"));
    let other = format!("<publish node='omemo'>{item}</publish><publish-options>{form}</publish-options>");
    assert_eq!(world.fails(JULIET, Action::Set, &everybody(&other)), PubsubError::BAD_REQUEST);
}

/// What a client demands of bookmarks (XEP-0402 §3.3) and of displayed state (XEP-0490 §4.2) is met by the node that is
/// created for it, with the options or without.
#[test]
fn known_private_nodes() {
    let options = [
        ("persist_items", "true"),
        ("max_items", "max"),
        ("send_last_published_item", "never"),
        ("access_model", "whitelist"),
    ];
    for node in [ns::BOOKMARKS, ns::DISPLAYED] {
        let mut world = World::account();
        world.publish(JULIET, node, "a@b");
        world.ok(JULIET, Action::Set, &publish_with(node, "c@d", &options));
        assert_eq!(world.ids(JULIET, node), ["c@d", "a@b"]);
        let items = everybody(&format!("<items node='{node}'/>"));
        assert_eq!(world.fails(ROMEO, Action::Get, &items), PubsubError::CLOSED_NODE);
    }
}

#[test]
fn subscribers_hear_of_a_new_configuration_if_they_are_to() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[]);
    assert!(world.configure(JULIET, "blog", &[("title", "One")]).notifications.is_empty());
    let outcome = world.configure(JULIET, "blog", &[("notify_config", "true"), ("title", "Two")]);
    let event = content(&outcome.notifications[0]);
    assert!(event.contains("<configuration node='blog'><x xmlns='jabber:x:data' type='result'>"), "{event}");
    assert!(event.contains("<field var='pubsub#title'><value>Two</value></field>"), "{event}");
    // Nothing has changed.
    let outcome = world.configure(JULIET, "blog", &[("title", "Two")]);
    assert_eq!((outcome.write, outcome.notifications.len()), (None, 0));
    let outcome = world.configure(JULIET, "blog", &[("deliver_notifications", "false")]);
    assert!(outcome.notifications.is_empty());
    assert!(world.publish(JULIET, "blog", "a").notifications.is_empty());
}
