//! The examples of XEP-0060, XEP-0163, XEP-0222 and XEP-0223, step by step.

use super::*;

const TUNE: &str = "<tune xmlns='http://jabber.org/protocol/tune'><artist>Gerald Finzi</artist><length>255</length>\
    <title>Introduction (Allegro vigoroso)</title></tune>";
const TUNE_NODE: &str = "http://jabber.org/protocol/tune";

#[test]
fn juliet_publishes_a_tune() {
    let mut world = World::account();
    let publish = everybody(&format!("<publish node='{TUNE_NODE}'><item>{TUNE}</item></publish>"));
    let outcome = world.ask(JULIET, Action::Set, &publish);
    let answer = everybody(&format!("<publish node='{TUNE_NODE}'><item id='fresh1'/></publish>"));
    assert_eq!(outcome.reply, Reply::Result(answer.into_bytes()));
    let published = Published {
        node: TUNE_NODE.to_owned(),
        id: "fresh1".to_owned(),
        access: rondel_storage::pubsub::AccessModel::Presence,
    };
    assert_eq!(outcome.published, Some(published));
    let [notification] = &outcome.notifications[..] else { panic!("{:?}", outcome.notifications) };
    assert_eq!(&*notification.node, TUNE_NODE);
    assert_eq!(notification.message_type, rondel_storage::pubsub::MessageType::Headline);
    assert_eq!(notification.reply_to.as_deref(), Some(JULIET));
    let event = format!(
        "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='{TUNE_NODE}'><item id='fresh1'>{TUNE}\
         </item></items></event>"
    );
    assert_eq!(content(notification), event);
    let audience = audience(notification);
    assert_eq!((audience.own, &audience.contacts), (Reach::Interested, &Contacts::All));
    assert!(audience.subscribers.is_empty());

    let items = everybody(&format!("<items node='{TUNE_NODE}'/>"));
    let answer = everybody(&format!("<items node='{TUNE_NODE}'><item id='fresh1'>{TUNE}</item></items>"));
    assert_eq!(world.ok(ROMEO, Action::Get, &items), answer);
    assert_eq!(world.fails(BENVOLIO, Action::Get, &items), PubsubError::SERVICE_UNAVAILABLE);
}

#[test]
fn a_node_of_one_item_takes_one_read_to_publish_to() {
    let mut world = World::account();
    world.publish(JULIET, TUNE_NODE, "a");
    for id in ["b", "b", "c"] {
        world.publish(JULIET, TUNE_NODE, id);
        assert_eq!(world.reads, 1);
        assert_eq!(world.ids(JULIET, TUNE_NODE), [id]);
    }
    // Nothing stays behind of what was replaced: a node, an item, its place.
    assert_eq!(world.memory.0.len(), 3);
}

#[test]
fn a_node_of_many_items_takes_three_reads_to_publish_to() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[("max_items", "5")]);
    for number in 0..9 {
        world.publish(JULIET, "blog", &format!("post{number}"));
        assert!(world.reads <= 3, "{}", world.reads);
    }
    assert_eq!(world.ids(JULIET, "blog"), ["post8", "post7", "post6", "post5", "post4"]);
    // An item that is published again is the newest.
    world.publish(JULIET, "blog", "post6");
    assert_eq!(world.reads, 2);
    assert_eq!(world.ids(JULIET, "blog"), ["post6", "post8", "post7", "post5", "post4"]);
}

#[test]
fn a_node_that_nobody_has_created_and_who_may_not() {
    let mut world = World::account();
    let publish = publish("urn:xmpp:mood", "a", &payload("a"));
    assert_eq!(world.fails(ROMEO, Action::Set, &publish), PubsubError::ITEM_NOT_FOUND);
    world.publish(JULIET, "urn:xmpp:mood", "a");
    assert_eq!(world.fails(ROMEO, Action::Set, &publish), PubsubError::FORBIDDEN);
    let create = everybody("<create node='urn:xmpp:new'/>");
    assert_eq!(world.fails(ROMEO, Action::Set, &create), PubsubError::FORBIDDEN);
    let items = everybody("<items node='urn:xmpp:new'/>");
    assert_eq!(world.fails(ROMEO, Action::Get, &items), PubsubError::ITEM_NOT_FOUND);
}

/// XEP-0222 §1.2: only the friend hears of it.
#[test]
fn a_key_for_friends() {
    let mut world = World::account();
    let options = [
        ("persist_items", "true"),
        ("send_last_published_item", "never"),
        ("access_model", "roster"),
        ("roster_groups_allowed", "Friends"),
    ];
    let publish = publish_with("urn:xmpp:tmp:pubkey", "julietRSAkey1hash", &options);
    let outcome = world.ask(JULIET, Action::Set, &publish);
    let audience = audience(&outcome.notifications[0]);
    assert_eq!(audience.contacts, Contacts::Groups(vec!["Friends".to_owned()], Vec::new()));
    assert_eq!(world.ids(ROMEO, "urn:xmpp:tmp:pubkey"), ["julietRSAkey1hash"]);
    let items = everybody("<items node='urn:xmpp:tmp:pubkey'/>");
    assert_eq!(world.fails(NURSE, Action::Get, &items), PubsubError::NOT_IN_GROUP);
    assert_eq!(world.fails(BENVOLIO, Action::Get, &items), PubsubError::SERVICE_UNAVAILABLE);
}

/// XEP-0223 §1.2: nobody else hears of it.
#[test]
fn private_data() {
    let mut world = World::account();
    let options = [("persist_items", "true"), ("access_model", "whitelist")];
    let outcome = world.ask(JULIET, Action::Set, &publish_with("urn:example:private", "a", &options));
    let audience = audience(&outcome.notifications[0]);
    assert_eq!((audience.own, &audience.contacts), (Reach::Interested, &Contacts::Listed(Vec::new())));
    let items = everybody("<items node='urn:example:private'/>");
    assert_eq!(world.fails(ROMEO, Action::Get, &items), PubsubError::CLOSED_NODE);
}

#[test]
fn retracting() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[("max_items", "max"), ("notify_retract", "0")]);
    for id in ["a", "b", "c"] {
        world.publish(JULIET, "blog", id);
    }
    let retract =
        |attributes: &str, item: &str| everybody(&format!("<retract node='blog'{attributes}>{item}</retract>"));
    let one = |id: &str| format!("<item id='{id}'/>");
    // The newest, and with a notification.
    let outcome = world.ask(JULIET, Action::Set, &retract(" notify='1'", &one("c")));
    assert_eq!(outcome.reply, Reply::Result(Vec::new()));
    let event = "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='blog'><retract id='c'/></items>\
                 </event>";
    assert_eq!(outcome.notifications.iter().map(content).collect::<Vec<_>>(), [event]);
    let outcome = world.ask(JULIET, Action::Set, &retract("", &one("a")));
    assert_eq!((outcome.reply, outcome.notifications), (Reply::Result(Vec::new()), Vec::new()));
    assert_eq!(world.ids(JULIET, "blog"), ["b"]);
    let rows = [
        (JULIET, retract("", &one("a")), PubsubError::ITEM_NOT_FOUND),
        (JULIET, everybody(&format!("<retract node='none'>{}</retract>", one("b"))), PubsubError::ITEM_NOT_FOUND),
        (JULIET, everybody(&format!("<retract>{}</retract>", one("b"))), PubsubError::NODE_REQUIRED),
        (JULIET, retract("", ""), PubsubError::ITEM_REQUIRED),
        (JULIET, retract("", "<item/>"), PubsubError::ITEM_REQUIRED),
        (JULIET, retract("", &format!("{}{}", one("a"), one("b"))), PubsubError::BAD_REQUEST),
        (ROMEO, retract("", &one("b")), PubsubError::FORBIDDEN),
        // Whether there is such an item is nobody's business either.
        (ROMEO, retract("", &one("x")), PubsubError::FORBIDDEN),
    ];
    for (from, request, error) in rows {
        assert_eq!(world.fails(from, Action::Set, &request), error, "{request}");
    }
    world.configure(JULIET, "blog", &[("notify_retract", "true")]);
    assert_eq!(world.ask(JULIET, Action::Set, &retract("", &one("b"))).notifications.len(), 1);
    assert!(world.ids(JULIET, "blog").is_empty());
    // The node is as good as new.
    world.publish(JULIET, "blog", "d");
    assert_eq!(world.ids(JULIET, "blog"), ["d"]);
}

#[test]
fn purging_and_deleting() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[("max_items", "10")]);
    ["a", "b"].iter().for_each(|id| drop(world.publish(JULIET, "blog", id)));
    let purge = owners("<purge node='blog'/>");
    assert_eq!(world.fails(ROMEO, Action::Set, &purge), PubsubError::FORBIDDEN);
    let outcome = world.ask(JULIET, Action::Set, &purge);
    let event = |inner: &str| format!("<event xmlns='http://jabber.org/protocol/pubsub#event'>{inner}</event>");
    assert_eq!(outcome.notifications.iter().map(content).collect::<Vec<_>>(), [event("<purge node='blog'/>")]);
    assert!(world.ids(JULIET, "blog").is_empty());
    world.publish(JULIET, "blog", "c");
    let delete = owners("<delete node='blog'><redirect uri='xmpp:hamlet@denmark.lit?;node=blog'/></delete>");
    assert_eq!(world.fails(ROMEO, Action::Set, &delete), PubsubError::FORBIDDEN);
    let outcome = world.ask(JULIET, Action::Set, &delete);
    let redirect = "<delete node='blog'><redirect uri='xmpp:hamlet@denmark.lit?;node=blog'/></delete>";
    assert_eq!(outcome.notifications.iter().map(content).collect::<Vec<_>>(), [event(redirect)]);
    assert_eq!(world.fails(JULIET, Action::Set, &delete), PubsubError::ITEM_NOT_FOUND);
    assert_eq!(world.fails(JULIET, Action::Set, &purge), PubsubError::ITEM_NOT_FOUND);
    assert!(world.memory.0.is_empty());
}

#[test]
fn event_types() {
    let mut world = World::account();
    let item = |node: &str, content: &str| everybody(&format!("<publish node='{node}'>{content}</publish>"));
    let full = format!("<item id='i'>{}</item>", payload("i"));
    let (none, bare, double) = ("", "<item id='i'/>", format!("<item>{0}{0}</item>", payload("i")));
    let rows = [
        // Persistent and transient nodes, with and without payloads: no item, an empty one, one with a payload.
        ("1", "1", [Err(PubsubError::ITEM_REQUIRED), Err(PubsubError::PAYLOAD_REQUIRED), Ok(())]),
        ("1", "0", [Err(PubsubError::ITEM_REQUIRED), Ok(()), Ok(())]),
        ("0", "1", [Err(PubsubError::PAYLOAD_REQUIRED), Err(PubsubError::PAYLOAD_REQUIRED), Ok(())]),
        ("0", "0", [Ok(()), Err(PubsubError::ITEM_FORBIDDEN), Err(PubsubError::ITEM_FORBIDDEN)]),
    ];
    for (persist, payloads, expected) in rows {
        let node = format!("node{persist}{payloads}");
        world.create(JULIET, &node, &[("persist_items", persist), ("deliver_payloads", payloads)]);
        for (content, expected) in [none, bare, &full].into_iter().zip(expected) {
            let outcome = world.ask(JULIET, Action::Set, &item(&node, content));
            let result = match outcome.reply {
                Reply::Result(_) => Ok(()),
                Reply::Error(error, _) => Err(error),
            };
            assert_eq!(result, expected, "{node} {content}");
        }
        assert_eq!(world.fails(JULIET, Action::Set, &item(&node, &double)), PubsubError::INVALID_PAYLOAD);
    }
    let event = |inner: &str| format!("<event xmlns='http://jabber.org/protocol/pubsub#event'>{inner}</event>");
    let outcome = world.ask(JULIET, Action::Set, &item("node00", none));
    assert_eq!(content(&outcome.notifications[0]), event("<items node='node00'/>"));
    assert_eq!(outcome.write, None);
    let outcome = world.ask(JULIET, Action::Set, &item("node10", &full));
    assert_eq!(content(&outcome.notifications[0]), event("<items node='node10'><item id='i'/></items>"));
    // What is not delivered can be retrieved all the same; what is not kept cannot.
    assert_eq!(world.ids(JULIET, "node10"), ["i"]);
    let unsupported = PubsubError::unsupported("persistent-items");
    assert_eq!(world.fails(JULIET, Action::Get, &everybody("<items node='node01'/>")), unsupported);
    assert_eq!(world.fails(JULIET, Action::Set, &owners("<purge node='node01'/>")), unsupported);
    let retract = everybody("<retract node='node01'><item id='i'/></retract>");
    assert_eq!(world.fails(JULIET, Action::Set, &retract), unsupported);
}

#[test]
fn what_makes_no_sense_or_is_not_supported() {
    let unsupported = PubsubError::unsupported;
    let mut world = World::account();
    let rows = [
        (Action::Get, everybody("")),
        (Action::Set, everybody("")),
        (Action::Get, everybody("<publish node='n'/>")),
        (Action::Set, everybody("<items node='n'/>")),
        (Action::Set, everybody("<other node='n'/>")),
        (Action::Get, everybody("<items node='n' max_items='many'/>")),
        (Action::Set, everybody("<create node='n'/><configure node='n'/>")),
        (Action::Set, everybody("<publish node='n'><item id='a'/><item id='b'/></publish>")),
        (Action::Set, everybody("<publish node='n'><item id='a'/></publish><publish-options/>")),
        (Action::Set, owners("<configure node='n'/>")),
        (Action::Set, owners("<affiliations node='n'/>")),
    ];
    for (action, request) in rows {
        assert_eq!(world.fails(JULIET, action, &request), PubsubError::BAD_REQUEST, "{request}");
    }
    for (action, request) in [
        (Action::Get, everybody("<items/>")),
        (Action::Set, everybody("<publish node=''/>")),
        (Action::Get, owners("<configure/>")),
        (Action::Set, owners("<configure><x xmlns='jabber:x:data' type='cancel'/></configure>")),
    ] {
        assert_eq!(world.fails(JULIET, action, &request), PubsubError::NODE_REQUIRED, "{request}");
    }
    for (action, request, feature) in [
        (Action::Get, everybody("<options node='n' jid='juliet@capulet.lit'/>"), "subscription-options"),
        (Action::Set, everybody("<options node='n' jid='juliet@capulet.lit'/>"), "subscription-options"),
        (Action::Set, everybody("<subscribe node='n' jid='a@b'/><options/>"), "subscription-options"),
        (Action::Get, everybody("<default/>"), "retrieve-default-sub"),
        (Action::Get, owners("<default type='collection'/>"), "collections"),
    ] {
        assert_eq!(world.fails(JULIET, action, &request), unsupported(feature), "{request}");
    }
}

/// XEP-0060 §8.1.
#[test]
fn creating() {
    let mut world = World::account();
    assert_eq!(world.ok(JULIET, Action::Set, &everybody("<create node='princely_musings'/>")), "");
    let again = world.fails(JULIET, Action::Set, &everybody("<create node='princely_musings'/>"));
    assert_eq!(again, PubsubError::CONFLICT);
    let instant = world.ok(JULIET, Action::Set, &everybody("<create/>"));
    assert_eq!(instant, everybody("<create node='fresh3'/>"));
    assert!(world.ids(JULIET, "fresh3").is_empty());
}

#[test]
fn discovering() {
    let mut world = World::account();
    world.create(JULIET, "open", &[("access_model", "open"), ("title", "For all"), ("max_items", "3")]);
    world.create(JULIET, "friends", &[("access_model", "roster"), ("roster_groups_allowed", "Friends")]);
    world.create(JULIET, "private", &[("access_model", "whitelist")]);
    world.create(JULIET, "asked", &[("access_model", "authorize")]);
    ["a", "b"].iter().for_each(|id| drop(world.publish(JULIET, "open", id)));
    let mut nodes = |from: &str| {
        let outcome = world.request(from, Request::DiscoItems { node: None });
        let Reply::Result(payload) = outcome.reply else { panic!("{:?}", outcome.reply) };
        let query = Element::parse(&payload).unwrap();
        assert_eq!((query.name.as_str(), query.namespace.as_str()), ("query", ns::DISCO_ITEMS));
        query.children().map(|item| item.attribute("node").unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(nodes(JULIET), ["asked", "friends", "open", "private"]);
    assert_eq!(nodes(ROMEO), ["asked", "friends", "open"]);
    assert_eq!(nodes(BENVOLIO), ["asked", "open"]);
    let mut answer = |from: &str, request: Request| match world.request(from, request).reply {
        Reply::Result(payload) => Ok(String::from_utf8(payload).unwrap()),
        Reply::Error(error, _) => Err(error),
    };
    let items = |node: &str| Request::DiscoItems { node: Some(node.to_owned()) };
    let expected = "<query xmlns='http://jabber.org/protocol/disco#items' node='open'>\
                    <item jid='juliet@capulet.lit' name='b'/><item jid='juliet@capulet.lit' name='a'/></query>";
    assert_eq!(answer(BENVOLIO, items("open")).unwrap(), expected);
    assert_eq!(answer(ROMEO, items("private")), Err(PubsubError::ITEM_NOT_FOUND));
    let info = |node: &str| Request::DiscoInfo { node: node.to_owned() };
    assert_eq!(answer(ROMEO, info("private")), Err(PubsubError::ITEM_NOT_FOUND));
    assert_eq!(answer(ROMEO, info("none")), Err(PubsubError::ITEM_NOT_FOUND));
    let info = answer(ROMEO, info("open")).unwrap();
    let query = parse(&info);
    let identity = query.child("identity", ns::DISCO_INFO).unwrap();
    assert_eq!((identity.attribute("category"), identity.attribute("type")), (Some("pubsub"), Some("leaf")));
    for part in [
        "http://jabber.org/protocol/pubsub#meta-data",
        "<field var='pubsub#title' type='text-single'><value>For all</value></field>",
        "<field var='pubsub#owner' type='jid-multi'><value>juliet@capulet.lit</value></field>",
        "<value>2003-12-13T18:30:03Z</value>",
    ] {
        assert!(info.contains(part), "{part} is not in {info}");
    }
}
