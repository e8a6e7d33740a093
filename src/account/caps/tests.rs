//! The examples of XEP-0115, answers that must not be believed, and who is asked when.

use super::*;
use std::sync::Arc;

fn parse(text: &str) -> Element {
    Element::parse(text.as_bytes()).unwrap()
}

fn query(content: &str) -> Element {
    parse(&format!("<query xmlns='http://jabber.org/protocol/disco#info'>{content}</query>"))
}

fn sha1(content: &str) -> Result<String, IllFormed> {
    Verification::of(&query(content)).map(|verification| verification.hash("sha-1").unwrap())
}

/// XEP-0115 §5.2.
const SIMPLE: &str = "<identity category='client' name='Exodus 0.9.1' type='pc'/>\
    <feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/muc'/>\
    <feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#items'/>";

/// XEP-0115 §5.3.
const COMPLEX: &str = "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
    <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>\
    <feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>\
    <feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>\
    <x xmlns='jabber:x:data' type='result'>\
    <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
    <field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>\
    <field var='software_version'><value>0.11</value></field><field var='os'><value>Mac</value></field>\
    <field var='os_version'><value>10.5.1</value></field><field var='software'><value>Psi</value></field></x>";

#[test]
fn the_examples_of_xep_0115() {
    assert_eq!(sha1(SIMPLE).unwrap(), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    assert_eq!(sha1(COMPLEX).unwrap(), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
}

#[test]
fn what_is_there_twice_makes_an_answer_ill_formed() {
    let form = |kind: &str, values: &str| {
        format!("<x xmlns='jabber:x:data'><field var='FORM_TYPE'{kind}>{values}</field></x>")
    };
    let hidden = " type='hidden'";
    let one = form(hidden, "<value>urn:a</value>");
    let identity = "<identity category='client' type='pc' name='Psi'/>";
    let rows = [
        format!("{identity}{identity}"),
        "<feature var='a'/><feature var='a'/>".to_owned(),
        format!("{one}{one}"),
        form(hidden, "<value>urn:a</value><value>urn:b</value>"),
    ];
    for content in rows {
        assert_eq!(sha1(&content), Err(IllFormed), "{content}");
    }
    // Not twice: another language, another form, the same value again.
    let other = "<identity category='client' type='pc' name='Psi' xml:lang='el'/>";
    assert!(sha1(&format!("{identity}{other}")).is_ok());
    assert!(sha1(&format!("{one}{}", form(hidden, "<value>urn:b</value>"))).is_ok());
    assert_eq!(sha1(&form(hidden, "<value>urn:a</value><value>urn:a</value>")), sha1(&one));
    // A form whose type is not hidden, or that has none, is as if it were not there.
    assert_eq!(sha1(&form("", "<value>urn:a</value>")), sha1(""));
    let without = "<x xmlns='jabber:x:data'><field var='os'><value>Mac</value></field></x>";
    assert_eq!(sha1(without), sha1(""));
}

#[test]
fn forms_are_sorted_by_their_type() {
    let form = |name: &str| {
        let field = format!("<field var='FORM_TYPE' type='hidden'><value>{name}</value></field>");
        format!("<x xmlns='jabber:x:data'>{field}<field var='v'><value>{name}</value></field></x>")
    };
    let (a, b) = (form("urn:a"), form("urn:b"));
    assert_eq!(sha1(&format!("{a}{b}")), sha1(&format!("{b}{a}")));
    assert_ne!(sha1(&a), sha1(&b));
}

#[test]
fn other_hash_functions() {
    let verification = Verification::of(&query(SIMPLE)).unwrap();
    // `openssl dgst -binary -sha256 | base64` of the string in XEP-0115 §5.2.
    assert_eq!(verification.hash("sha-256").unwrap(), "Wr6IGEKhx6b9627gBmi/cCmpxXBc/GYq5zWuYfWGWoc=");
    assert_eq!(verification.hash("md5"), None);
    assert!(Verification::speaks("sha-512") && !Verification::speaks("md5"));
}

#[test]
fn incomplete_caps_are_none() {
    let c =
        |attributes: &str| Caps::read(&parse(&format!("<c xmlns='http://jabber.org/protocol/caps' {attributes}/>")));
    let caps = c("hash='sha-1' node='http://psi-im.org' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='").unwrap();
    assert_eq!(caps.query_node(), "http://psi-im.org#q07IKJEyjvHSyhy//CH0CxmKi8w=");
    assert_eq!(c("node='http://psi-im.org' ver='0.11' ext='a b'"), None);
    assert_eq!(c("hash='sha-1' node='http://psi-im.org'"), None);
    assert_eq!(c(&format!("hash='sha-1' node='n' ver='{}'", "x".repeat(600))), None);
    assert_eq!(Caps::read(&parse("<c hash='sha-1' node='n' ver='v'/>")), None);
}

/// The nodes that a client wants, and what it advertises for them truly.
fn client(nodes: &[&str]) -> (Element, Caps) {
    let features: String = nodes.iter().map(|node| format!("<feature var='{node}+notify'/>")).collect();
    let query = query(&format!("{SIMPLE}{features}"));
    let ver = Verification::of(&query).unwrap().hash("sha-1").unwrap();
    (query, Caps { node: "http://client.example".into(), hash: "sha-1".into(), ver: ver.into() })
}

fn names(interests: &Interests) -> Vec<&str> {
    interests.names().collect()
}

#[test]
fn what_is_verified_is_known_of_all() {
    let mut cache = CapsCache::new(CapsLimits::default());
    let (query, caps) = client(&["urn:xmpp:mood", "http://jabber.org/protocol/tune"]);
    assert_eq!(cache.lookup(&caps, "romeo@m.lit/a"), Lookup::Ask);
    assert_eq!(cache.lookup(&caps, "nurse@c.lit/b"), Lookup::Waiting);
    assert_eq!(cache.lookup(&caps, "nurse@c.lit/b"), Lookup::Waiting);
    let answered = cache.answered(&caps, "romeo@m.lit/a", &query);
    assert_eq!(names(&answered.interests), ["http://jabber.org/protocol/tune", "urn:xmpp:mood"]);
    assert_eq!((answered.waiting, answered.ask), (vec!["nurse@c.lit/b".into()], None));
    let Lookup::Known(interests) = cache.lookup(&caps, "benvolio@m.lit/c") else { panic!("known") };
    assert!(Arc::ptr_eq(&interests, &answered.interests));
    assert!(interests.wants("urn:xmpp:mood") && !interests.wants("urn:xmpp") && !interests.wants(""));
}

#[test]
fn an_answer_that_does_not_match_holds_for_its_sender_alone() {
    let mut cache = CapsCache::new(CapsLimits::default());
    let (query, caps) = client(&["urn:xmpp:mood"]);
    let (poison, _) = client(&["urn:evil"]);
    assert_eq!(cache.lookup(&caps, "evil@m.lit/a"), Lookup::Ask);
    assert_eq!(cache.lookup(&caps, "nurse@c.lit/b"), Lookup::Waiting);
    let answered = cache.answered(&caps, "evil@m.lit/a", &poison);
    assert_eq!((names(&answered.interests), answered.waiting.len()), (vec!["urn:evil"], 0));
    // The next one who advertises it is asked.
    assert_eq!(answered.ask, Some("nurse@c.lit/b".into()));
    assert!(cache.is_empty());
    let answered = cache.answered(&caps, "nurse@c.lit/b", &query);
    assert_eq!((names(&answered.interests), cache.len()), (vec!["urn:xmpp:mood"], 1));
    // It stays what it is, whatever somebody says later.
    cache.answered(&caps, "evil@m.lit/a", &poison);
    let Lookup::Known(interests) = cache.lookup(&caps, "romeo@m.lit/c") else { panic!("known") };
    assert!(interests.wants("urn:xmpp:mood") && !interests.wants("urn:evil"));
}

#[test]
fn answers_that_hide_features_with_the_same_hash_hold_for_nobody_else() {
    // What one says in features, the other says in a form, and the text is the same.
    let honest = query("<feature var='a'/><feature var='b+notify'/><feature var='c+notify'/><feature var='d'/>");
    let hidden = "<feature var='a'/><x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'>\
                  <value>b+notify</value></field><field var='c+notify'><value>d</value></field></x>";
    let joined = "<feature var='a&lt;b+notify'/><feature var='c+notify'/><feature var='d'/>";
    let hash = Verification::of(&honest).unwrap().hash("sha-1").unwrap();
    let caps = Caps { node: "n".into(), hash: "sha-1".into(), ver: hash.clone().into() };
    for content in [hidden, joined] {
        let poison = query(content);
        assert_eq!(Verification::of(&poison).unwrap().hash("sha-1").unwrap(), hash);
        let mut cache = CapsCache::new(CapsLimits::default());
        assert_eq!(cache.lookup(&caps, "evil@m.lit/a"), Lookup::Ask);
        cache.answered(&caps, "evil@m.lit/a", &poison);
        assert!(cache.is_empty(), "{content}");
        let answered = cache.answered(&caps, "romeo@m.lit/a", &honest);
        assert_eq!((names(&answered.interests), cache.len()), (vec!["b", "c"], 1));
    }
}

#[test]
fn an_ill_formed_answer_says_nothing() {
    let mut cache = CapsCache::new(CapsLimits::default());
    let (_, caps) = client(&["urn:xmpp:mood"]);
    cache.lookup(&caps, "a@m.lit/a");
    cache.lookup(&caps, "b@m.lit/b");
    let twice = query("<feature var='urn:xmpp:mood+notify'/><feature var='urn:xmpp:mood+notify'/>");
    let answered = cache.answered(&caps, "a@m.lit/a", &twice);
    assert!(answered.interests.is_empty());
    assert_eq!(answered.ask, Some("b@m.lit/b".into()));
}

#[test]
fn unknown_hash_functions_are_asked_about_each_time() {
    let mut cache = CapsCache::new(CapsLimits::default());
    let (query, mut caps) = client(&["urn:xmpp:mood"]);
    caps.hash = "whirlpool".into();
    assert_eq!(cache.lookup(&caps, "a@m.lit/a"), Lookup::Ask);
    assert_eq!(names(&cache.answered(&caps, "a@m.lit/a", &query).interests), ["urn:xmpp:mood"]);
    assert!(cache.is_empty());
    assert_eq!(cache.lookup(&caps, "b@m.lit/b"), Lookup::Ask);
}

#[test]
fn who_does_not_answer_is_not_waited_for() {
    let mut cache = CapsCache::new(CapsLimits::default());
    let (_, caps) = client(&[]);
    cache.lookup(&caps, "a@m.lit/a");
    cache.lookup(&caps, "b@m.lit/b");
    cache.lookup(&caps, "c@m.lit/c");
    assert_eq!(cache.failed(&caps, "b@m.lit/b"), None);
    assert_eq!(cache.failed(&caps, "a@m.lit/a"), Some("c@m.lit/c".into()));
    assert_eq!(cache.failed(&caps, "c@m.lit/c"), None);
    assert_eq!(cache.lookup(&caps, "d@m.lit/d"), Lookup::Ask);
}

#[test]
fn everything_has_a_bound() {
    let limits =
        CapsLimits { entries_max: 2, interests_max: 2, interests_bytes_max: 8, pending_max: 1, waiting_max: 1 };
    let mut cache = CapsCache::new(limits);
    let clients = ["a", "b", "c"].map(|node| client(&[node]));
    for (query, caps) in &clients[..2] {
        cache.answered(caps, "x@m.lit/x", query);
    }
    // The first one has been used since.
    assert!(matches!(cache.lookup(&clients[0].1, "x@m.lit/x"), Lookup::Known(_)));
    cache.answered(&clients[2].1, "x@m.lit/x", &clients[2].0);
    assert_eq!(cache.len(), 2);
    assert!(matches!(cache.lookup(&clients[0].1, "x@m.lit/x"), Lookup::Known(_)));
    assert_eq!(cache.lookup(&clients[1].1, "x@m.lit/x"), Lookup::Ask);
    assert_eq!(cache.lookup(&clients[1].1, "y@m.lit/y"), Lookup::Waiting);
    assert_eq!(cache.lookup(&clients[1].1, "z@m.lit/z"), Lookup::Ask);
    let (query, many) = client(&["1", "2", "3"]);
    assert_eq!(cache.lookup(&many, "x@m.lit/x"), Lookup::Ask);
    assert_eq!(cache.lookup(&many, "y@m.lit/y"), Lookup::Ask);
    assert_eq!(names(&cache.answered(&many, "x@m.lit/x", &query).interests), ["1", "2"]);
    let (query, long) = client(&["12345678"]);
    assert!(cache.answered(&long, "x@m.lit/x", &query).interests.is_empty());
}
