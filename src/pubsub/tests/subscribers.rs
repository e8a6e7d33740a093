//! Explicit subscriptions and affiliations (XEP-0060 §5.6, §5.7, §6.1, §6.2, §8.6, §8.8, §8.9; XEP-0163 §7.1).

use super::*;
use rondel_storage::pubsub::{Affiliation, MessageType};

fn subscribe(node: &str, jid: &str) -> String {
    everybody(&format!("<subscribe node='{node}' jid='{jid}'/>"))
}

fn unsubscribe(node: &str, jid: &str) -> String {
    everybody(&format!("<unsubscribe node='{node}' jid='{jid}'/>"))
}

fn subscription(node: &str, jid: &str, state: &str) -> String {
    everybody(&format!("<subscription node='{node}' jid='{jid}' subscription='{state}'/>"))
}

/// The event that tells a subscriber what has become of a subscription.
fn notice(node: &str, jid: &str, state: &str) -> String {
    format!(
        "<event xmlns='http://jabber.org/protocol/pubsub#event'><subscription node='{node}' jid='{jid}' \
         subscription='{state}'/></event>"
    )
}

/// Notifications of single addresses: to whom, and what.
fn told(outcome: &Outcome) -> Vec<(&str, &str)> {
    let mut told = Vec::new();
    for notification in &outcome.notifications {
        if let Audience::Address(jid) = &notification.audience {
            told.push((&**jid, content(notification)));
        }
    }
    told
}

fn affiliations(world: &mut World, node: &str, entries: &[(&str, &str)]) -> Outcome {
    let entries: String =
        entries.iter().map(|(jid, name)| format!("<affiliation jid='{jid}' affiliation='{name}'/>")).collect();
    world.ask(JULIET, Action::Set, &owners(&format!("<affiliations node='{node}'>{entries}</affiliations>")))
}

#[test]
fn subscribing_and_unsubscribing() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[("access_model", "open"), ("max_items", "5")]);
    world.publish(JULIET, "blog", "a");
    world.publish(JULIET, "blog", "b");
    let outcome = world.ask(BENVOLIO, Action::Set, &subscribe("blog", "Benvolio@montague.lit"));
    let subscribed = subscription("blog", "benvolio@montague.lit", "subscribed");
    assert_eq!(outcome.reply, Reply::Result(subscribed.clone().into_bytes()));
    // A new subscriber gets the newest item, with the time when it was published.
    let last = format!(
        "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='blog'><item id='b'>{}</item></items>\
         </event><delay xmlns='urn:xmpp:delay' stamp='2003-12-13T18:30:05Z'/>",
        payload("b")
    );
    assert_eq!(told(&outcome), [("benvolio@montague.lit", last.as_str())]);
    // Once more says the same and does nothing.
    let again = world.ask(BENVOLIO, Action::Set, &subscribe("blog", "benvolio@montague.lit"));
    assert_eq!((again.reply, again.write), (Reply::Result(subscribed.into_bytes()), None));
    let event = world.publish(JULIET, "blog", "c");
    assert_eq!(audience(&event.notifications[0]).subscribers, ["benvolio@montague.lit".into()]);
    let own = world.ok(BENVOLIO, Action::Get, &everybody("<subscriptions/>"));
    let entry = "<subscription node='blog' jid='benvolio@montague.lit' subscription='subscribed'/>";
    assert_eq!(own, everybody(&format!("<subscriptions>{entry}</subscriptions>")));
    let own = world.ok(BENVOLIO, Action::Get, &everybody("<subscriptions node='blog'/>"));
    assert_eq!(own, everybody(&format!("<subscriptions node='blog'>{entry}</subscriptions>")));
    assert_eq!(world.ok(ROMEO, Action::Get, &everybody("<subscriptions/>")), everybody("<subscriptions/>"));
    let managed = world.ok(JULIET, Action::Get, &owners("<subscriptions node='blog'/>"));
    let entry = "<subscription jid='benvolio@montague.lit' subscription='subscribed'/>";
    assert_eq!(managed, owners(&format!("<subscriptions node='blog'>{entry}</subscriptions>")));

    let rows = [
        (BENVOLIO, subscribe("blog", "romeo@montague.lit"), PubsubError::INVALID_JID),
        (BENVOLIO, everybody("<subscribe node='blog'/>"), PubsubError::JID_REQUIRED),
        (BENVOLIO, subscribe("blog", "@"), PubsubError::JID_MALFORMED),
        (ROMEO, subscribe("none", "romeo@montague.lit"), PubsubError::ITEM_NOT_FOUND),
        (ROMEO, unsubscribe("blog", "benvolio@montague.lit"), PubsubError::FORBIDDEN),
        (BENVOLIO, unsubscribe("blog", "benvolio@montague.lit/other"), PubsubError::NOT_SUBSCRIBED),
        (ROMEO, unsubscribe("none", "romeo@montague.lit"), PubsubError::ITEM_NOT_FOUND),
    ];
    for (from, request, error) in rows {
        assert_eq!(world.fails(from, Action::Set, &request), error, "{request}");
    }
    let gone = world.ok(BENVOLIO, Action::Set, &unsubscribe("blog", "benvolio@montague.lit"));
    assert_eq!(gone, subscription("blog", "benvolio@montague.lit", "none"));
    let event = world.publish(JULIET, "blog", "d");
    assert!(audience(&event.notifications[0]).subscribers.is_empty());
}

#[test]
fn a_new_subscriber_gets_nothing_where_nothing_is_sent() {
    let mut world = World::account();
    world.create(JULIET, "never", &[("access_model", "open"), ("send_last_published_item", "never")]);
    world.create(JULIET, "empty", &[("access_model", "open")]);
    world.publish(JULIET, "never", "a");
    for node in ["never", "empty"] {
        let outcome = world.ask(BENVOLIO, Action::Set, &subscribe(node, "benvolio@montague.lit"));
        assert!(told(&outcome).is_empty(), "{node}");
    }
    world.create(JULIET, "closed", &[("access_model", "open"), ("subscribe", "0")]);
    let refused = world.fails(BENVOLIO, Action::Set, &subscribe("closed", "benvolio@montague.lit"));
    assert_eq!(refused, PubsubError::unsupported("subscribe"));
}

#[test]
fn owners_hear_of_subscribers_if_they_want_to() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[("access_model", "open"), ("notify_sub", "1")]);
    let outcome = world.ask(BENVOLIO, Action::Set, &subscribe("blog", "benvolio@montague.lit"));
    let told_now = notice("blog", "benvolio@montague.lit", "subscribed");
    assert_eq!(told(&outcome), [("juliet@capulet.lit", told_now.as_str())]);
    let outcome = world.ask(BENVOLIO, Action::Set, &unsubscribe("blog", "benvolio@montague.lit"));
    let told_now = notice("blog", "benvolio@montague.lit", "none");
    assert_eq!(told(&outcome), [("juliet@capulet.lit", told_now.as_str())]);
}

/// XEP-0060 §8.6.
#[test]
fn subscriptions_that_have_to_be_approved() {
    let mut world = World::account();
    world.create(JULIET, "diary", &[("access_model", "authorize")]);
    world.publish(JULIET, "diary", "a");
    for (from, jid) in [(BENVOLIO, "benvolio@montague.lit"), (ROMEO, "romeo@montague.lit")] {
        let outcome = world.ask(from, Action::Set, &subscribe("diary", jid));
        assert_eq!(outcome.reply, Reply::Result(subscription("diary", jid, "pending").into_bytes()));
        let [notification] = &outcome.notifications[..] else { panic!("{:?}", outcome.notifications) };
        // It waits for Juliet if she is not there.
        assert_eq!(notification.message_type, MessageType::Normal);
        assert_eq!(notification.audience, Audience::Address("juliet@capulet.lit".into()));
        let form = parse(content(notification));
        assert_eq!((form.name.as_str(), form.attribute("type")), ("x", Some("form")));
        assert!(content(notification).contains(jid) && content(notification).contains("pubsub#allow"));
        assert_eq!(world.fails(from, Action::Set, &subscribe("diary", jid)), PubsubError::PENDING);
        let items = everybody("<items node='diary'/>");
        assert_eq!(world.fails(from, Action::Get, &items), PubsubError::SUBSCRIPTION_REQUIRED);
    }
    let event = world.publish(JULIET, "diary", "b");
    assert!(audience(&event.notifications[0]).subscribers.is_empty());
    let none = owners("<subscriptions node='diary'/>");
    assert_eq!(world.ok(JULIET, Action::Get, &none), none);

    let answer = |jid: &str, allow: &str| {
        let fields = [("node", "diary"), ("subscriber_jid", jid), ("allow", allow)];
        let form = form("http://jabber.org/protocol/pubsub#subscribe_authorization", &fields);
        Request::read_authorization(&parse(&format!("<message id='approve1'>{form}</message>")))
    };
    let outcome = world.request(JULIET, answer("benvolio@montague.lit", "true").unwrap());
    let approved = notice("diary", "benvolio@montague.lit", "subscribed");
    let [first, last] = &told(&outcome)[..] else { panic!("{outcome:?}") };
    assert_eq!(*first, ("benvolio@montague.lit", approved.as_str()));
    assert!(last.1.contains("<item id='b'>") && last.1.contains("<delay "));
    assert_eq!(world.ids(BENVOLIO, "diary"), ["b"]);
    let event = world.publish(JULIET, "diary", "c");
    assert_eq!(audience(&event.notifications[0]).subscribers, ["benvolio@montague.lit".into()]);
    let outcome = world.request(JULIET, answer("romeo@montague.lit", "0").unwrap());
    let denied = notice("diary", "romeo@montague.lit", "none");
    assert_eq!(told(&outcome), [("romeo@montague.lit", denied.as_str())]);
    // An answer that comes twice does nothing.
    let outcome = world.request(JULIET, answer("romeo@montague.lit", "true").unwrap());
    assert_eq!((outcome.write, outcome.notifications.len()), (None, 0));
    let cancel = "<message><x xmlns='jabber:x:data' type='cancel'><field var='FORM_TYPE'><value>\
                  http://jabber.org/protocol/pubsub#subscribe_authorization</value></field></x></message>";
    assert_eq!(Request::read_authorization(&parse(cancel)), None);
    assert_eq!(Request::read_authorization(&parse("<message><body>x</body></message>")), None);
    assert_eq!(answer("@", "true"), None);
}

#[test]
fn managing_subscriptions() {
    let mut world = World::account();
    world.create(JULIET, "diary", &[("access_model", "authorize")]);
    let romeo = "romeo@montague.lit";
    world.ok(ROMEO, Action::Set, &subscribe("diary", romeo));
    let set = |entries: &[(&str, &str)]| {
        let entries: String =
            entries.iter().map(|(jid, name)| format!("<subscription jid='{jid}' subscription='{name}'/>")).collect();
        owners(&format!("<subscriptions node='diary'>{entries}</subscriptions>"))
    };
    let outcome = world.ask(JULIET, Action::Set, &set(&[(romeo, "subscribed")]));
    assert_eq!(outcome.reply, Reply::Result(Vec::new()));
    assert_eq!(told(&outcome), [(romeo, notice("diary", romeo, "subscribed").as_str())]);
    // Nobody is subscribed who has not asked for it; the others are what they are to be all the same.
    let outcome = world.ask(JULIET, Action::Set, &set(&[("bard@shakespeare.lit", "subscribed"), (romeo, "none")]));
    let failed = set(&[("bard@shakespeare.lit", "none")]);
    assert_eq!(outcome.reply, Reply::Error(PubsubError::NOT_ACCEPTABLE, failed.into_bytes()));
    assert_eq!(told(&outcome), [(romeo, notice("diary", romeo, "none").as_str())]);
    let list = owners("<subscriptions node='diary'/>");
    assert_eq!(world.ok(JULIET, Action::Get, &list), list);
    let unconfigured = world.fails(JULIET, Action::Set, &set(&[(romeo, "unconfigured")]));
    assert_eq!(unconfigured, PubsubError::NOT_ACCEPTABLE);
    // On a domain, owners may.
    let mut world = World::domain();
    world.create(JULIET, "diary", &[("access_model", "authorize")]);
    let outcome = world.ask(JULIET, Action::Set, &set(&[("bard@shakespeare.lit", "subscribed")]));
    assert_eq!(outcome.reply, Reply::Result(Vec::new()));
}

#[test]
fn managing_affiliations() {
    let mut world = World::account();
    world.create(JULIET, "blog", &[]);
    let list = |entries: &[(&str, &str)]| {
        let entries: String =
            entries.iter().map(|(jid, name)| format!("<affiliation jid='{jid}' affiliation='{name}'/>")).collect();
        owners(&format!("<affiliations node='blog'>{entries}</affiliations>"))
    };
    let shown = owners("<affiliations node='blog'/>");
    assert_eq!(world.ok(JULIET, Action::Get, &shown), list(&[("juliet@capulet.lit", "owner")]));
    let outcome = affiliations(&mut world, "blog", &[("Bard@shakespeare.lit/x", "publisher"), ("p@d.lit", "outcast")]);
    assert_eq!(outcome.reply, Reply::Result(Vec::new()));
    let all = [("juliet@capulet.lit", "owner"), ("bard@shakespeare.lit", "publisher"), ("p@d.lit", "outcast")];
    assert_eq!(world.ok(JULIET, Action::Get, &shown), list(&all));
    let own = world.ok("bard@shakespeare.lit/x", Action::Get, &everybody("<affiliations/>"));
    let entry = "<affiliation node='blog' affiliation='publisher'/>";
    assert_eq!(own, everybody(&format!("<affiliations>{entry}</affiliations>")));
    let own = world.ok(JULIET, Action::Get, &everybody("<affiliations node='blog'/>"));
    let entry = "<affiliation node='blog' affiliation='owner'/>";
    assert_eq!(own, everybody(&format!("<affiliations node='blog'>{entry}</affiliations>")));
    // XEP-0060 §8.9.2.4: what cannot be comes back as it is; the rest has changed.
    let outcome = affiliations(
        &mut world,
        "blog",
        &[("juliet@capulet.lit", "none"), ("p@d.lit", "none"), ("bard@shakespeare.lit", "member")],
    );
    let failed = list(&[("juliet@capulet.lit", "owner"), ("bard@shakespeare.lit", "publisher")]);
    assert_eq!(outcome.reply, Reply::Error(PubsubError::NOT_ACCEPTABLE, failed.into_bytes()));
    let left = [("juliet@capulet.lit", "owner"), ("bard@shakespeare.lit", "publisher")];
    assert_eq!(world.ok(JULIET, Action::Get, &shown), list(&left));
    let twice = affiliations(&mut world, "blog", &[("a@b", "member"), ("a@b/c", "outcast")]);
    assert_eq!(twice.reply, Reply::Error(PubsubError::BAD_REQUEST, Vec::new()));
    let unknown = affiliations(&mut world, "blog", &[("a@b", "admin")]);
    assert_eq!(unknown.reply, Reply::Error(PubsubError::NOT_ACCEPTABLE, Vec::new()));
}

#[test]
fn a_node_on_a_domain_keeps_an_owner() {
    let mut world = World::domain();
    world.create(ROMEO, "news", &[]);
    let set = |entries: &[(&str, Affiliation)]| Request::SetAffiliations {
        node: "news".to_owned(),
        entries: entries.iter().map(|(jid, affiliation)| ((*jid).to_owned(), *affiliation)).collect(),
    };
    let resign = set(&[("romeo@montague.lit", Affiliation::None)]);
    assert!(matches!(world.request(ROMEO, resign.clone()).reply, Reply::Error(PubsubError::NOT_ACCEPTABLE, _)));
    let another = set(&[("juliet@capulet.lit", Affiliation::Owner)]);
    assert_eq!(world.request(ROMEO, another).reply, Reply::Result(Vec::new()));
    assert_eq!(world.request(ROMEO, resign.clone()).reply, Reply::Result(Vec::new()));
    assert!(matches!(world.request(ROMEO, resign).reply, Reply::Error(PubsubError::FORBIDDEN, _)));
    // The domain's roster is nobody's: what needs one admits nobody.
    world.publish(JULIET, "news", "a");
    assert_eq!(world.ids(BENVOLIO, "news"), ["a"]);
    let event = world.publish(JULIET, "news", "b");
    assert!(event.notifications.is_empty());
}

#[test]
fn subscriptions_end_with_what_they_were_based_on() {
    let mut world = World::account();
    for (node, access) in [("mood", "presence"), ("keys", "roster"), ("blog", "open")] {
        world.create(JULIET, node, &[("access_model", access), ("roster_groups_allowed", "Friends")]);
        world.ok(ROMEO, Action::Set, &subscribe(node, "romeo@montague.lit"));
    }
    world.ok(NURSE, Action::Set, &subscribe("mood", "nurse@capulet.lit"));
    let reassess = Request::Reassess { jid: "romeo@montague.lit".to_owned() };
    assert_eq!(world.request(ROMEO, reassess.clone()).write, None);
    // Romeo is moved to another group, then Juliet's presence is not his business any more.
    world.roster.groups.clear();
    let outcome = world.request(JULIET, reassess.clone());
    let keys = notice("keys", "romeo@montague.lit", "none");
    assert_eq!(told(&outcome), [("romeo@montague.lit", keys.as_str())]);
    world.roster.presence.remove("romeo@montague.lit");
    // Before anybody has reassessed, a subscription alone gives nothing.
    let event = world.publish(JULIET, "mood", "a");
    assert_eq!(audience(&event.notifications[0]).subscribers, ["nurse@capulet.lit".into()]);
    let outcome = world.request(JULIET, reassess);
    let mood = notice("mood", "romeo@montague.lit", "none");
    assert_eq!(told(&outcome), [("romeo@montague.lit", mood.as_str())]);
    let left = "<subscription node='blog' jid='romeo@montague.lit' subscription='subscribed'/>";
    let own = world.ok(ROMEO, Action::Get, &everybody("<subscriptions/>"));
    assert_eq!(own, everybody(&format!("<subscriptions>{left}</subscriptions>")));
    // A stricter access model ends them, too; an outcast has none.
    let outcome = world.configure(JULIET, "blog", &[("access_model", "whitelist")]);
    let blog = notice("blog", "romeo@montague.lit", "none");
    assert_eq!(told(&outcome), [("romeo@montague.lit", blog.as_str())]);
    let outcome = affiliations(&mut world, "mood", &[("nurse@capulet.lit", "outcast")]);
    let mood = notice("mood", "nurse@capulet.lit", "none");
    assert_eq!(told(&outcome), [("nurse@capulet.lit", mood.as_str())]);
}

#[test]
fn who_becomes_a_member_waits_no_longer() {
    let mut world = World::account();
    world.create(JULIET, "diary", &[("access_model", "authorize")]);
    world.ok(ROMEO, Action::Set, &subscribe("diary", "romeo@montague.lit"));
    world.ok(NURSE, Action::Set, &subscribe("diary", "nurse@capulet.lit"));
    let outcome = affiliations(&mut world, "diary", &[("romeo@montague.lit", "member")]);
    let approved = notice("diary", "romeo@montague.lit", "subscribed");
    assert_eq!(told(&outcome), [("romeo@montague.lit", approved.as_str())]);
    let outcome = world.configure(JULIET, "diary", &[("access_model", "open")]);
    let approved = notice("diary", "nurse@capulet.lit", "subscribed");
    assert_eq!(told(&outcome), [("nurse@capulet.lit", approved.as_str())]);
}
