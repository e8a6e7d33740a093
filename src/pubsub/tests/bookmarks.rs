//! Bookmarks in both forms, as clients of either kind see them (XEP-0402 §4.3).

use super::*;

fn storage(content: &str) -> String {
    format!("<storage xmlns='storage:bookmarks'>{content}</storage>")
}

fn conference(jid: &str, name: &str) -> String {
    format!("<conference jid='{jid}' name='{name}' autojoin='true'><nick>JC</nick></conference>")
}

fn item(id: &str, name: &str, extensions: &str) -> String {
    let attributes = format!("xmlns='urn:xmpp:bookmarks:1' name='{name}' autojoin='true'");
    let conference = format!("<conference {attributes}><nick>JC</nick>{extensions}</conference>");
    publish(ns::BOOKMARKS, id, &conference)
}

const PLAY: &str = "theplay@conference.shakespeare.lit";
const ORCHARD: &str = "orchard@conference.shakespeare.lit";
const URL: &str = "<url name='Works' url='http://the-tech.mit.edu/Shakespeare/'/>";
const EXTENSIONS: &str =
    "<extensions><state xmlns='http://myclient.example/bookmark/state' minimized='true'/></extensions>";

/// What private storage holds.
fn private(world: &mut World) -> Element {
    let outcome = world.request(JULIET, Request::LegacyBookmarks);
    let Reply::Result(payload) = outcome.reply else { panic!("{:?}", outcome.reply) };
    Element::parse(&payload).unwrap()
}

fn set_private(world: &mut World, content: &str) -> Outcome {
    let outcome = world.request(JULIET, Request::SetLegacyBookmarks { storage: parse(&storage(content)) });
    assert_eq!(outcome.reply, Reply::Result(Vec::new()));
    outcome
}

/// The events of an outcome: their nodes, and what they hold.
fn events(outcome: &Outcome) -> Vec<(String, String)> {
    outcome.notifications.iter().map(|one| (one.node.to_string(), content(one).to_owned())).collect()
}

#[test]
fn what_a_new_client_publishes_an_old_one_reads() {
    let mut world = World::account();
    assert_eq!(private(&mut world), parse(&storage("")));
    world.ok(JULIET, Action::Set, &item(PLAY, "The Play", ""));
    world.ok(JULIET, Action::Set, &item(ORCHARD, "The Orchard", EXTENSIONS));
    let both = storage(&format!("{}{}", conference(PLAY, "The Play"), conference(ORCHARD, "The Orchard")));
    assert_eq!(private(&mut world), parse(&both));
    let items = everybody("<items node='storage:bookmarks'/>");
    let answer = world.ok(JULIET, Action::Get, &items);
    let expected = format!("<items node='storage:bookmarks'><item id='current'>{both}</item></items>");
    assert_eq!(parse(&answer), parse(&everybody(&expected)));
    // Nobody else has such a node to look at.
    assert_eq!(world.fails(ROMEO, Action::Get, &items), PubsubError::ITEM_NOT_FOUND);
}

#[test]
fn what_an_old_client_stores_a_new_one_reads() {
    let mut world = World::account();
    let outcome = set_private(&mut world, &format!("{}{URL}", conference(PLAY, "The Play")));
    let [(node, event)] = &events(&outcome)[..] else { panic!("{outcome:?}") };
    assert_eq!(node, ns::BOOKMARKS);
    assert!(event.contains(&format!("<item id='{PLAY}'>")), "{event}");
    assert_eq!(world.ids(JULIET, ns::BOOKMARKS), [PLAY]);
    let items = everybody(&format!("<items node='{}'/>", ns::BOOKMARKS));
    assert_eq!(world.fails(ROMEO, Action::Get, &items), PubsubError::CLOSED_NODE);
    assert_eq!(private(&mut world), parse(&storage(&format!("{}{URL}", conference(PLAY, "The Play")))));
    // A new client adds extensions; an old one that changes something else leaves them alone.
    world.ok(JULIET, Action::Set, &item(PLAY, "The Play", EXTENSIONS));
    let two = format!("{}{}{URL}", conference(PLAY, "The Play"), conference(ORCHARD, "The Orchard"));
    let outcome = set_private(&mut world, &two);
    let [(_, event)] = &events(&outcome)[..] else { panic!("{outcome:?}") };
    assert!(event.contains(ORCHARD) && !event.contains(PLAY), "{event}");
    set_private(&mut world, &two.replace("name='The Play'", "name='Hamlet'"));
    let answer = world.ok(JULIET, Action::Get, &items);
    assert!(answer.contains("minimized='true'") && answer.contains("name='Hamlet'"), "{answer}");
    // Nothing has changed.
    let outcome = set_private(&mut world, &two.replace("name='The Play'", "name='Hamlet'"));
    assert_eq!((outcome.write, outcome.notifications.len()), (None, 0));
    // What is not there any more is retracted, and so is the rest.
    let outcome = set_private(&mut world, &conference(ORCHARD, "The Orchard"));
    let [(_, event)] = &events(&outcome)[..] else { panic!("{outcome:?}") };
    assert!(event.contains(&format!("<retract id='{PLAY}'/>")), "{event}");
    assert_eq!(private(&mut world), parse(&storage(&conference(ORCHARD, "The Orchard"))));
    set_private(&mut world, "");
    assert!(world.ids(JULIET, ns::BOOKMARKS).is_empty());
}

/// XEP-0048 §3.1 and XEP-0223 §4: the old form in a node.
#[test]
fn an_old_client_that_uses_a_node() {
    let mut world = World::account();
    let content = format!("{}{URL}", conference(PLAY, "The Play"));
    let publish = |options: &[(&str, &str)]| {
        let form = form("http://jabber.org/protocol/pubsub#publish-options", options);
        let item = format!("<item id='current'>{}</item>", storage(&content));
        let publish = format!("<publish node='storage:bookmarks'>{item}</publish>");
        everybody(&format!("{publish}<publish-options>{form}</publish-options>"))
    };
    let answer = world.ok(JULIET, Action::Set, &publish(&[("persist_items", "true"), ("access_model", "whitelist")]));
    assert_eq!(answer, everybody("<publish node='storage:bookmarks'/>"));
    assert_eq!(world.ids(JULIET, ns::BOOKMARKS), [PLAY]);
    assert_eq!(world.ids(JULIET, "storage:bookmarks"), ["current"]);
    assert_eq!(private(&mut world), parse(&storage(&content)));
    let open = publish(&[("access_model", "open")]);
    assert_eq!(world.fails(JULIET, Action::Set, &open), PubsubError::PRECONDITION);
    let other = super::publish("storage:bookmarks", "current", "<x xmlns='urn:x'/>");
    assert_eq!(world.fails(JULIET, Action::Set, &other), PubsubError::INVALID_PAYLOAD);
    let none = everybody("<publish node='storage:bookmarks'/>");
    assert_eq!(world.fails(JULIET, Action::Set, &none), PubsubError::ITEM_REQUIRED);
    assert_eq!(world.fails(ROMEO, Action::Set, &publish(&[])), PubsubError::FORBIDDEN);
}

#[test]
fn old_clients_hear_of_changes_in_their_form() {
    let mut world = World::account();
    world.service.notifies_legacy_bookmarks = true;
    let outcome = world.ask(JULIET, Action::Set, &item(PLAY, "The Play", ""));
    let [(new, _), (old, event)] = &events(&outcome)[..] else { panic!("{outcome:?}") };
    assert_eq!((new.as_str(), old.as_str()), (ns::BOOKMARKS, "storage:bookmarks"));
    assert!(event.contains("<item id='current'>") && event.contains(&format!("jid='{PLAY}'")), "{event}");
    let NodeAudience { own, contacts, .. } = audience(&outcome.notifications[1]);
    assert_eq!((*own, contacts), (Reach::Interested, &Contacts::Listed(Vec::new())));
    world.ok(JULIET, Action::Set, &item(ORCHARD, "The Orchard", ""));
    let retract = everybody(&format!("<retract node='{}'><item id='{PLAY}'/></retract>", ns::BOOKMARKS));
    let outcome = world.ask(JULIET, Action::Set, &retract);
    let [_, (_, event)] = &events(&outcome)[..] else { panic!("{outcome:?}") };
    assert!(event.contains(ORCHARD) && !event.contains(PLAY), "{event}");
    let outcome = set_private(&mut world, URL);
    let [(_, retracted), (_, event)] = &events(&outcome)[..] else { panic!("{outcome:?}") };
    assert!(retracted.contains("<retract ") && event.contains("<url ") && !event.contains(ORCHARD));
    // Other nodes are nothing to them.
    assert_eq!(world.publish(JULIET, "urn:xmpp:mood", "a").notifications.len(), 1);
}

#[test]
fn too_many_bookmarks_for_one_element() {
    let mut world = World::account();
    world.limits.page_items_max = 1;
    world.service.notifies_legacy_bookmarks = true;
    world.ok(JULIET, Action::Set, &item(PLAY, "The Play", ""));
    world.ok(JULIET, Action::Set, &item(ORCHARD, "The Orchard", ""));
    let outcome = world.request(JULIET, Request::LegacyBookmarks);
    assert_eq!(outcome.reply, Reply::Error(PubsubError::POLICY_VIOLATION, Vec::new()));
    // New clients do not suffer from it.
    let outcome = world.ask(JULIET, Action::Set, &item("a@conference.shakespeare.lit", "A", ""));
    assert_eq!(outcome.notifications.len(), 1);
}
