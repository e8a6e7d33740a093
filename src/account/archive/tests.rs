//! Queries as in the examples of XEP-0313.

use proptest::prelude::*;

use super::*;

const LIMITS: ArchiveLimits = ArchiveLimits { page_default: 50, page_max: 250, ids_max: 3, query_id_bytes_max: 16 };

fn ids() -> ArchiveIds {
    ArchiveIds::new(*b"0123456789abcdef")
}

fn text(id: u64) -> String {
    ids().text(id).as_str().to_owned()
}

fn parse(kind: IqType, xml: &str) -> Result<Request, Refusal> {
    Request::parse(kind, &Element::parse(xml.as_bytes()).unwrap(), &ids(), &LIMITS)
}

/// A query with these fields and these other children.
fn query(fields: &[(&str, &[&str])], others: &str) -> Result<Query, Refusal> {
    let field = |(var, values): &(&str, &[&str])| {
        let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
        format!("<field var='{var}'>{values}</field>")
    };
    let fields: String = fields.iter().map(field).collect();
    let xml = format!(
        "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>{fields}</x>{others}</query>"
    );
    match parse(IqType::Set, &xml)? {
        Request::Query(query) => Ok(*query),
        other => panic!("{other:?}"),
    }
}

fn set(children: &str) -> String {
    format!("<set xmlns='http://jabber.org/protocol/rsm'>{children}</set>")
}

fn written(element: Element) -> String {
    let mut out = Vec::new();
    element.write_to(&mut out, ns::CLIENT);
    String::from_utf8(out).unwrap()
}

fn everything() -> Query {
    Query { entries_max: 50, ..Query::default() }
}

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> &'static str {
    result.unwrap_err().condition
}

#[test]
fn everything_is_asked_for() {
    // Example 2.
    let query = Query { query_id: Some("f27".into()), ..everything() };
    let xml = "<query xmlns='urn:xmpp:mam:2' queryid='f27'/>";
    assert_eq!(parse(IqType::Set, xml), Ok(Request::Query(Box::new(query))));
    assert_eq!(super::tests::query(&[], ""), Ok(everything()));
}

#[test]
fn an_address_filters() {
    // Example 6.
    let found = query(&[("with", &["juliet@capulet.lit"])], "").unwrap();
    assert_eq!(found, Query { with: Jid::parse("juliet@capulet.lit").ok(), ..everything() });
    let own = "romeo@montague.lit";
    for (with, from, to, expected) in [
        ("juliet@capulet.lit", Some("juliet@capulet.lit/balcony"), Some("romeo@montague.lit"), true),
        ("juliet@capulet.lit", Some("romeo@montague.lit/orchard"), Some("Juliet@capulet.lit"), true),
        ("juliet@capulet.lit", Some("nurse@capulet.lit"), Some("romeo@montague.lit/orchard"), false),
        ("juliet@capulet.lit", Some("romeo@montague.lit/orchard"), None, false),
        ("juliet@capulet.lit/balcony", Some("juliet@capulet.lit/balcony"), None, true),
        ("juliet@capulet.lit/balcony", Some("juliet@capulet.lit/chamber"), None, false),
        ("juliet@capulet.lit/balcony", Some("romeo@montague.lit/orchard"), Some("juliet@capulet.lit"), false),
        // Only what one has sent to oneself, or every message would match.
        ("romeo@montague.lit", Some("romeo@montague.lit/orchard"), Some("romeo@montague.lit"), true),
        ("romeo@montague.lit", Some("romeo@montague.lit/orchard"), None, true),
        ("romeo@montague.lit", Some("romeo@montague.lit/orchard"), Some("juliet@capulet.lit"), false),
        ("romeo@montague.lit", Some("juliet@capulet.lit/balcony"), Some("romeo@montague.lit"), false),
    ] {
        let query = query(&[("with", &[with])], "").unwrap();
        assert_eq!(query.matches(own, from, to), expected, "{with}: {from:?} to {to:?}");
    }
    assert!(everything().matches(own, None, None));
    assert_eq!(refused(query(&[("with", &["a@b@c"])], "")), "bad-request");
    assert_eq!(refused(query(&[("with", &["a@b", "c@d"])], "")), "bad-request");
    assert_eq!(query(&[("with", &[""])], ""), Ok(everything()));
}

#[test]
fn moments_filter() {
    // Example 7.
    let found = query(&[("start", &["2010-06-07T00:00:00Z"]), ("end", &["2010-07-07T13:23:54Z"])], "").unwrap();
    let expected = Query { start_us: Some(1_275_868_800_000_000), end_us: Some(1_278_509_034_000_000), ..everything() };
    assert_eq!(found, expected);
    // What lies between two microseconds excludes the one before it from the start, and the one behind it from the end.
    let found = query(&[("start", &["1970-01-01T00:00:01.0000005Z"]), ("end", &["1970-01-01T00:00:02.0000005Z"])], "");
    assert_eq!(found, Ok(Query { start_us: Some(1_000_001), end_us: Some(2_000_000), ..everything() }));
    let early = ["1969-12-31T23:59:59Z"];
    assert_eq!(query(&[("start", &early)], ""), Ok(Query { start_us: Some(0), ..everything() }));
    let nothing = query(&[("end", &early)], "").unwrap();
    assert!(nothing.start_us > nothing.end_us, "{nothing:?}");
    assert_eq!(refused(query(&[("start", &["yesterday"])], "")), "bad-request");
}

#[test]
fn messages_are_named() {
    // Examples 9, 10 and 11.
    let (first, last) = (text(7), text(9));
    assert_eq!(
        query(&[("after-id", &[&first]), ("before-id", &[&last])], ""),
        Ok(Query { after_id: Some(7), before_id: Some(9), known_ids: vec![7, 9], ..everything() })
    );
    assert_eq!(
        query(&[("ids", &[&last, &first, &last])], ""),
        Ok(Query { ids: Some(vec![7, 9]), known_ids: vec![7, 9], ..everything() })
    );
    for field in ["after-id", "before-id", "ids"] {
        assert_eq!(refused(query(&[(field, &["28482-98726-73623"])], "")), "item-not-found", "{field}");
    }
    assert_eq!(refused(query(&[("ids", &[&first, &first, &first, &first])], "")), "policy-violation");
    assert_eq!(query(&[("ids", &[]), ("after-id", &[""])], ""), Ok(everything()));
}

#[test]
fn fields_that_are_not_known_are_refused() {
    // §4.1.5.
    let refusal =
        query(&[("{http://example.com/}free-text-search", &["Where arth thou, my Juliet?"])], "").unwrap_err();
    assert_eq!((refusal.kind, refusal.condition), ("cancel", "feature-not-implemented"));
    // §4.1.4: there is no group chat in it, whatever is asked for.
    assert_eq!(query(&[("include-groupchat", &["true"])], ""), Ok(everything()));
    assert_eq!(refused(query(&[("include-groupchat", &["maybe"])], "")), "bad-request");
}

#[test]
fn forms_of_other_types_are_refused() {
    for form in [
        "<x xmlns='jabber:x:data' type='submit'/>",
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:1</value></field></x>",
        "<x xmlns='jabber:x:data' type='form'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field></x>",
    ] {
        let xml = format!("<query xmlns='urn:xmpp:mam:2'>{form}</query>");
        assert_eq!(refused(parse(IqType::Set, &xml)), "bad-request", "{form}");
    }
}

#[test]
fn pages() {
    let page = |children: &str| query(&[], &set(children));
    let id = text(7);
    let asked = |max: usize| Query { entries_max: max, ..Query::default() };
    // Example 16, and what the server makes of too much.
    assert_eq!(page("<max>10</max>"), Ok(asked(10)));
    assert_eq!(page("<max>251</max>"), Ok(asked(250)));
    assert_eq!(page("<max>0</max>"), Ok(asked(0)));
    // Example 18.
    let found = page(&format!("<max>10</max><after>{id}</after>"));
    assert_eq!(found, Ok(Query { after_id: Some(7), known_ids: vec![7], ..asked(10) }));
    let found = page(&format!("<before>{id}</before>"));
    assert_eq!(found, Ok(Query { before_id: Some(7), known_ids: vec![7], reverse: true, ..asked(50) }));
    // Example 21.
    assert_eq!(page("<max>10</max><before/>"), Ok(Query { reverse: true, ..asked(10) }));
    // Example 22.
    let found = query(&[], &format!("{}<flip-page/>", set("<max>10</max>")));
    assert_eq!(found, Ok(Query { flip_page: true, ..asked(10) }));
    // The narrower bound counts, and both have to be there.
    let found = query(&[("after-id", &[&text(9)])], &set(&format!("<after>{id}</after>")));
    assert_eq!(found, Ok(Query { after_id: Some(9), known_ids: vec![9, 7], ..asked(50) }));
    let found = query(&[("before-id", &[&text(9)])], &set(&format!("<before>{id}</before>")));
    assert_eq!(found, Ok(Query { before_id: Some(7), known_ids: vec![9, 7], reverse: true, ..asked(50) }));
    // Example 19.
    assert_eq!(refused(page("<after>09af3-cc343-b409f</after>")), "item-not-found");
    assert_eq!(refused(page("<index>7</index>")), "feature-not-implemented");
}

#[test]
fn other_requests() {
    assert_eq!(parse(IqType::Get, "<query xmlns='urn:xmpp:mam:2'/>"), Ok(Request::Form));
    assert_eq!(parse(IqType::Get, "<metadata xmlns='urn:xmpp:mam:2'/>"), Ok(Request::Metadata));
    assert_eq!(parse(IqType::Get, "<prefs xmlns='urn:xmpp:mam:2'/>"), Ok(Request::Preferences));
    assert_eq!(parse(IqType::Set, "<prefs xmlns='urn:xmpp:mam:2' default='never'/>"), Ok(Request::SetPreferences));
    assert_eq!(refused(parse(IqType::Set, "<metadata xmlns='urn:xmpp:mam:2'/>")), "bad-request");
    assert_eq!(refused(parse(IqType::Set, "<query xmlns='urn:xmpp:mam:1'/>")), "bad-request");
    let node = "<query xmlns='urn:xmpp:mam:2' node='princely_musings'/>";
    assert_eq!(refused(parse(IqType::Set, node)), "feature-not-implemented");
    let long = "<query xmlns='urn:xmpp:mam:2' queryid='12345678901234567'/>";
    assert_eq!(refused(parse(IqType::Set, long)), "policy-violation");
}

#[test]
fn the_fields_are_told() {
    // Example 13, with the fields that there are here.
    assert_eq!(
        written(query_form()),
        "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='form'>\
         <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>\
         <field var='with' type='jid-single'/><field var='start' type='text-single'/>\
         <field var='end' type='text-single'/><field var='before-id' type='text-single'/>\
         <field var='after-id' type='text-single'/><field var='ids' type='list-multi'>\
         <validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/></validate></field>\
         <field var='include-groupchat' type='boolean'/></x></query>"
    );
}

#[test]
fn the_ends_of_an_archive_are_told() {
    // Example 23 and 24.
    assert_eq!(
        written(metadata(&ids(), Some([(7, 1_219_439_344_000_000), (9, 1_587_393_261_000_000)]))),
        format!(
            "<metadata xmlns='urn:xmpp:mam:2'><start id='{}' timestamp='2008-08-22T21:09:04Z'/>\
             <end id='{}' timestamp='2020-04-20T14:34:21Z'/></metadata>",
            text(7),
            text(9)
        )
    );
    assert_eq!(written(metadata(&ids(), None)), "<metadata xmlns='urn:xmpp:mam:2'/>");
}

#[test]
fn an_answer_ends() {
    let fin = |ends, is_complete, is_stable| written(everything().fin(&ids(), ends, is_complete, is_stable));
    let (first, last) = (text(7), text(9));
    let page = format!("<set xmlns='http://jabber.org/protocol/rsm'><first>{first}</first><last>{last}</last></set>");
    assert_eq!(fin(Some((7, 9)), false, true), format!("<fin xmlns='urn:xmpp:mam:2'>{page}</fin>"));
    assert_eq!(
        fin(Some((7, 9)), true, false),
        format!("<fin xmlns='urn:xmpp:mam:2' complete='true' stable='false'>{page}</fin>")
    );
    assert_eq!(
        fin(None, true, true),
        "<fin xmlns='urn:xmpp:mam:2' complete='true'><set xmlns='http://jabber.org/protocol/rsm'/></fin>"
    );
    // Who asks for nothing is not told that this is all.
    let nothing = Query::default().fin(&ids(), None, true, true);
    assert_eq!(written(nothing), "<fin xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'/></fin>");
}

#[test]
fn a_message_is_handed_over() {
    // Example 14.
    let found = Found {
        account: "juliet@capulet.lit",
        to: "juliet@capulet.lit/chamber",
        query_id: Some("f'27"),
        id: "28482-98726-73623",
        at_us: 1_278_803_305_250_000,
        stanza: b"<message to='juliet@capulet.lit/balcony' from='romeo@montague.lit/orchard' type='chat'>\
                  <body>Call me but love, and I'll be new baptized.</body></message>",
    };
    let mut out = Vec::new();
    found.write_to(&mut out);
    let out = String::from_utf8(out).unwrap();
    assert_eq!(
        out,
        "<message from='juliet@capulet.lit' to='juliet@capulet.lit/chamber'>\
         <result xmlns='urn:xmpp:mam:2' queryid='f&#39;27' id='28482-98726-73623'>\
         <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25.250000Z'/>\
         <message xmlns='jabber:client' to='juliet@capulet.lit/balcony' from='romeo@montague.lit/orchard' type='chat'>\
         <body>Call me but love, and I'll be new baptized.</body></message></forwarded></result></message>"
    );
    assert!(Element::parse(out.as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn no_form_panics(
        var in "with|start|end|ids|after-id|before-id|[a-z]{1,3}",
        values in prop::collection::vec("[ -%(-;=?-~é]{0,20}", 0..4),
    ) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        query(&[(&var, &values)], "").ok();
    }
}
