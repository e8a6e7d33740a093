//! Archives of messages (XEP-0313): what an account's own clients find in them, page by page, and who finds nothing.

mod common;

use common::{Raw, Server};

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    for user in ["romeo", "juliet", "nurse"] {
        server.add_user(user);
    }
    server
}

/// A message that is found.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Found {
    id: String,
    /// The message and the time, as they were forwarded.
    forwarded: String,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    found: Vec<Found>,
    /// The iq.
    end: String,
}

impl Answer {
    fn bodies(&self) -> Vec<&str> {
        self.found.iter().map(|found| between(&found.forwarded, "<body>", "</body>")).collect()
    }

    fn is_complete(&self) -> bool {
        self.end.contains("complete='true'")
    }

    fn first(&self) -> &str {
        between(&self.end, "<first>", "</first>")
    }

    fn last(&self) -> &str {
        between(&self.end, "<last>", "</last>")
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(before) else { return "" };
    rest.split_once(after).map_or("", |(inside, _)| inside)
}

/// Asks, and hears the answer to it.
fn ask(raw: &mut Raw, kind: &str, to: &str, payload: &str) -> String {
    raw.say(&format!("<iq type='{kind}' id='q'{to}>{payload}</iq>"));
    let mut answer = raw.hear("id='q'");
    answer.push_str(&raw.hear(">"));
    if !answer.ends_with("/>") {
        answer.push_str(&raw.hear("</iq>"));
    }
    answer
}

/// A query with these fields and these other children.
fn form(fields: &[(&str, &str)], others: &str) -> String {
    let field = |(var, value): &(&str, &str)| format!("<field var='{var}'><value>{value}</value></field>");
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<query xmlns='urn:xmpp:mam:2' queryid='f27'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>{fields}</x>{others}</query>"
    )
}

fn set(children: &str) -> String {
    format!("<set xmlns='http://jabber.org/protocol/rsm'>{children}</set>")
}

fn query(raw: &mut Raw, user: &str, fields: &[(&str, &str)], others: &str) -> Answer {
    let heard = ask(raw, "set", "", &form(fields, others));
    let (before, end) = heard.split_at(heard.rfind("<iq ").unwrap());
    let mut found = Vec::new();
    for result in before.split("<result ").skip(1) {
        assert!(result.contains("queryid='f27'"), "{result}");
        let forwarded = between(result, "<forwarded xmlns='urn:xmpp:forward:0'>", "</forwarded>").to_owned();
        found.push(Found { id: between(result, " id='", "'").to_owned(), forwarded });
    }
    let head = format!("<message from='{user}@localhost' to='{user}@localhost/");
    assert_eq!(before.matches(&head).count(), found.len(), "{before}");
    Answer { found, end: end.to_owned() }
}

fn everything(raw: &mut Raw, user: &str) -> Answer {
    query(raw, user, &[], "")
}

fn send(raw: &mut Raw, to: &str, text: &str) {
    raw.say(&format!("<message to='{to}@localhost' type='chat' id='m{text}'><body>{text}</body></message>"));
}

/// Sends these in order, and waits until somebody has got the last of them.
fn exchange(from: &mut Raw, to: &mut Raw, name: &str, texts: impl IntoIterator<Item = String>) {
    let mut last = String::new();
    for text in texts {
        send(from, name, &text);
        last = text;
    }
    to.hear(&format!("<body>{last}</body>"));
    to.hear("</message>");
}

#[test]
fn both_sides_find_what_was_said_and_others_do_not() {
    let server = server(&["--shards", "2"]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    send(&mut romeo, "juliet", "1");
    juliet.hear("<body>1</body>");
    let id = juliet.hear_between("<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='", "'");
    // Under that id it is at once, and nobody has to be told of it again.
    let found = query(&mut juliet, "juliet", &[("ids", &id)], "");
    assert_eq!((found.bodies(), found.is_complete()), (vec!["1"], true), "{found:?}");
    assert_eq!(found.found[0].id, id);
    send(&mut juliet, "romeo", "2");
    let mine = everything(&mut juliet, "juliet");
    assert_eq!(mine.bodies(), ["1", "2"], "{mine:?}");
    let [first, second] = &mine.found[..] else { panic!() };
    assert!(first.forwarded.starts_with("<delay xmlns='urn:xmpp:delay' stamp='20"), "{first:?}");
    assert!(first.forwarded.contains("<message xmlns='jabber:client' "), "{first:?}");
    assert!(first.forwarded.contains("from='romeo@localhost/orchard'"), "{first:?}");
    assert!(second.forwarded.contains("from='juliet@localhost/balcony'"), "{second:?}");
    assert!(second.forwarded.contains("to='romeo@localhost'"), "{second:?}");
    romeo.hear("<body>2</body>");
    let his = everything(&mut romeo, "romeo");
    assert_eq!(his.bodies(), ["1", "2"], "{his:?}");
    // The ids of one archive say nothing in another.
    assert!(his.found.iter().all(|found| !mine.found.iter().any(|other| other.id == found.id)));
    // Nobody else.
    let mut nurse = Raw::online(&server, "nurse", "hall");
    assert!(everything(&mut nurse, "nurse").found.is_empty());
    for to in ["juliet@localhost", "nobody@localhost", "localhost"] {
        let answer = ask(&mut nurse, "set", &format!(" to='{to}'"), &form(&[], ""));
        assert!(answer.contains("<service-unavailable") && !answer.contains("<result"), "{to}: {answer}");
    }
    // Another device of the account, which asks by its address.
    let mut chamber = Raw::online(&server, "juliet", "chamber");
    let answer = ask(&mut chamber, "set", " to='juliet@localhost'", &form(&[], ""));
    assert_eq!(answer.matches("<result ").count(), 2, "{answer}");
    assert!(answer.contains("to='juliet@localhost/chamber'"), "{answer}");
}

#[test]
fn an_archive_outlives_the_server() {
    let server = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    send(&mut juliet, "romeo", "1");
    let before = everything(&mut juliet, "juliet");
    assert_eq!(before.bodies(), ["1"]);
    let server = server.kill_and_restart(&["--shards", "1"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    send(&mut juliet, "romeo", "2");
    let after = everything(&mut juliet, "juliet");
    assert_eq!(after.bodies(), ["1", "2"]);
    assert_eq!(after.found[0], before.found[0]);
    // What a client remembers is where it goes on.
    let rest = query(&mut juliet, "juliet", &[], &set(&format!("<after>{}</after>", before.last())));
    assert_eq!((rest.bodies(), rest.is_complete()), (vec!["2"], true));
    // Without archives there is nothing to ask.
    let (_, directory) = server.terminate();
    let server = Server::start_in(directory, &["--archive", "off"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let answer = ask(&mut juliet, "set", "", &form(&[], ""));
    assert!(answer.contains("<service-unavailable"), "{answer}");
    let disco = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    assert!(!ask(&mut juliet, "get", "", disco).contains("urn:xmpp:mam:2"));
}

#[test]
fn pages_of_twenty_in_both_directions() {
    let server = server(&[]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let texts: Vec<String> = (1..=60).map(|number| format!("{number:02}")).collect();
    exchange(&mut romeo, &mut juliet, "juliet", texts.iter().cloned());
    let page = |juliet: &mut Raw, place: &str, others: &str| {
        query(juliet, "juliet", &[], &format!("{}{others}", set(&format!("<max>20</max>{place}"))))
    };
    // From the beginning.
    let mut forwards = vec![page(&mut juliet, "", "")];
    while !forwards.last().unwrap().is_complete() {
        let place = format!("<after>{}</after>", forwards.last().unwrap().last());
        forwards.push(page(&mut juliet, &place, ""));
    }
    assert_eq!(forwards.len(), 3);
    let read: Vec<&str> = forwards.iter().flat_map(Answer::bodies).collect();
    assert_eq!(read, texts);
    // From the end.
    let mut backwards = vec![page(&mut juliet, "<before/>", "")];
    while !backwards.last().unwrap().is_complete() {
        let place = format!("<before>{}</before>", backwards.last().unwrap().first());
        backwards.push(page(&mut juliet, &place, ""));
    }
    assert_eq!(backwards.len(), 3);
    backwards.reverse();
    let read: Vec<&str> = backwards.iter().flat_map(Answer::bodies).collect();
    assert_eq!(read, texts);
    // The same page the other way round, and the ends of it as before.
    let flipped = page(&mut juliet, "", "<flip-page/>");
    assert_eq!(flipped.bodies(), texts[..20].iter().rev().collect::<Vec<_>>());
    assert_eq!((flipped.first(), flipped.last()), (forwards[0].first(), forwards[0].last()));
    assert_eq!(flipped.found[0].id, flipped.last());
    // Bounds by id.
    let ids: Vec<&str> = forwards.iter().flat_map(|page| &page.found).map(|found| &*found.id).collect();
    let some = query(&mut juliet, "juliet", &[("after-id", ids[9]), ("before-id", ids[15])], "");
    assert_eq!((some.bodies(), some.is_complete()), (vec!["11", "12", "13", "14", "15"], true));
    let last = query(&mut juliet, "juliet", &[("after-id", ids[9])], &set("<max>2</max><before/>"));
    assert_eq!((last.bodies(), last.is_complete()), (vec!["59", "60"], false));
    let fields = format!("<field var='ids'><value>{}</value><value>{}</value></field>", ids[41], ids[3]);
    let asked = form(&[], "").replace("</x>", &format!("{fields}</x>"));
    let answer = ask(&mut juliet, "set", "", &asked);
    assert_eq!(answer.matches("<result ").count(), 2, "{answer}");
    assert!(answer.find("<body>04</body>") < answer.find("<body>42</body>"), "{answer}");
    // Nothing but whether there is such a message.
    let none = query(&mut juliet, "juliet", &[("after-id", ids[9])], &set("<max>0</max>"));
    assert!(none.found.is_empty() && !none.is_complete() && none.first().is_empty(), "{none:?}");
    // What the archive does not have.
    for wrong in ["28482-98726-73623", "AAAAAAAAAAA"] {
        let others = [set(&format!("<after>{wrong}</after>")), set(&format!("<before>{wrong}</before>"))];
        let mut asked = others.map(|page| form(&[], &page)).to_vec();
        asked.extend(["ids", "before-id", "after-id"].map(|field| form(&[(field, wrong)], "")));
        for question in asked {
            let answer = ask(&mut juliet, "set", "", &question);
            assert!(answer.contains("<item-not-found") && !answer.contains("<result "), "{question}: {answer}");
        }
    }
}

#[test]
fn a_page_is_as_large_as_the_server_allows() {
    let server = server(&["--archive-page", "5", "--outbox-limit", "512KiB"]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    for number in 1..=7 {
        send(&mut juliet, "romeo", &number.to_string());
    }
    let page = query(&mut juliet, "juliet", &[], &set("<max>1000</max>"));
    assert_eq!((page.bodies().len(), page.is_complete()), (5, false));
    // In bytes, too: half of what may wait for the client.
    let long = "x".repeat(100_000);
    for _ in 0..4 {
        juliet.say(&format!("<message to='nurse@localhost' type='chat'><body>{long}</body></message>"));
    }
    let page = query(&mut juliet, "juliet", &[("with", "nurse@localhost")], "");
    assert_eq!((page.bodies().len(), page.is_complete()), (2, false));
    let rest =
        query(&mut juliet, "juliet", &[("with", "nurse@localhost")], &set(&format!("<after>{}</after>", page.last())));
    assert_eq!((rest.bodies().len(), rest.is_complete()), (2, true));
}

#[test]
fn filters_by_address_and_time() {
    let server = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut garden = Raw::online(&server, "romeo", "garden");
    exchange(&mut romeo, &mut juliet, "juliet", ["1".into()]);
    exchange(&mut garden, &mut juliet, "juliet", ["2".into()]);
    send(&mut juliet, "nurse", "3");
    send(&mut juliet, "romeo", "4");
    send(&mut juliet, "juliet", "5");
    assert_eq!(everything(&mut juliet, "juliet").bodies(), ["1", "2", "3", "4", "5"]);
    for (with, expected) in [
        ("romeo@localhost", &["1", "2", "4"][..]),
        ("Romeo@LOCALHOST", &["1", "2", "4"]),
        ("romeo@localhost/orchard", &["1"]),
        ("romeo@localhost/street", &[]),
        ("nurse@localhost", &["3"]),
        // Only what one has said to oneself; from a resource of one's own all that it has said.
        ("juliet@localhost", &["5"]),
        ("juliet@localhost/balcony", &["3", "4", "5"]),
        ("tybalt@localhost", &[]),
    ] {
        let found = query(&mut juliet, "juliet", &[("with", with)], "");
        assert_eq!((found.bodies(), found.is_complete()), (expected.to_vec(), true), "{with}");
    }
    // By the time that the archive says itself.
    let times: Vec<String> = everything(&mut juliet, "juliet")
        .found
        .iter()
        .map(|found| between(&found.forwarded, "stamp='", "'").to_owned())
        .collect();
    let found = query(&mut juliet, "juliet", &[("start", &times[1]), ("end", &times[3])], "");
    assert_eq!(found.bodies(), ["2", "3", "4"]);
    let found = query(&mut juliet, "juliet", &[("start", &times[2]), ("with", "romeo@localhost")], "");
    assert_eq!(found.bodies(), ["4"]);
    let found = query(&mut juliet, "juliet", &[("end", "2010-07-07T13:23:54Z")], "");
    assert_eq!((found.bodies(), found.is_complete()), (vec![], true));
    let answer = ask(&mut juliet, "set", "", &form(&[("start", "yesterday")], ""));
    assert!(answer.contains("<bad-request"), "{answer}");
    let answer = ask(&mut juliet, "set", "", &form(&[("{http://example.com/}text", "moon")], ""));
    assert!(answer.contains("<feature-not-implemented"), "{answer}");
}

#[test]
fn what_an_archive_says_of_itself() {
    let server = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let disco = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let mine = ask(&mut juliet, "get", " to='juliet@localhost'", disco);
    for feature in
        ["urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:sid:0", "urn:xmpp:message-retract:1#tombstone"]
    {
        assert!(mine.contains(&format!("<feature var='{feature}'/>")), "{feature}: {mine}");
    }
    assert!(!ask(&mut juliet, "get", " to='localhost'", disco).contains("urn:xmpp:mam:2"));
    let metadata = "<metadata xmlns='urn:xmpp:mam:2'/>";
    assert!(ask(&mut juliet, "get", "", metadata).contains(metadata));
    for text in ["1", "2", "3"] {
        send(&mut juliet, "romeo", text);
    }
    let answer = ask(&mut juliet, "get", "", metadata);
    let all = everything(&mut juliet, "juliet");
    let end = |found: &Found| format!(" id='{}' timestamp='{}'/>", found.id, between(&found.forwarded, "stamp='", "'"));
    assert!(answer.contains(&format!("<start{}", end(&all.found[0]))), "{answer}");
    assert!(answer.contains(&format!("<end{}", end(&all.found[2]))), "{answer}");
    let fields = ask(&mut juliet, "get", "", "<query xmlns='urn:xmpp:mam:2'/>");
    assert!(fields.contains("<field var='with' type='jid-single'/>"), "{fields}");
}

#[test]
fn who_is_nobody_in_particular_has_no_archive() {
    let server = Server::start(&["--domain", "localhost,guests.localhost", "--anonymous", "guests.localhost"]);
    let mut guest = Raw::connect(server.address);
    guest.say(&common::header("guests.localhost"));
    guest.hear("</stream:features>");
    guest.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'>=</auth>");
    guest.hear("<success");
    guest.say(&common::header("guests.localhost"));
    guest.hear("</stream:features>");
    guest.say("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    guest.hear("</iq>");
    for (kind, payload) in [("set", form(&[], "")), ("get", "<prefs xmlns='urn:xmpp:mam:2'/>".into())] {
        let answer = ask(&mut guest, kind, "", &payload);
        assert!(answer.contains("<service-unavailable"), "{answer}");
    }
    let disco = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    assert!(!ask(&mut guest, "get", "", disco).contains("urn:xmpp:mam:2"));
}

#[test]
fn whoever_does_not_want_to_be_archived_is_not() {
    let server = server(&["--archive-addresses", "2"]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut nurse = Raw::online(&server, "nurse", "hall");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let prefs = |default: &str, always: &str, never: &str| {
        let list = |jid: &str| if jid.is_empty() { String::new() } else { format!("<jid>{jid}@localhost</jid>") };
        let (always, never) = (list(always), list(never));
        format!(
            "<prefs xmlns='urn:xmpp:mam:2' default='{default}'><always>{always}</always><never>{never}</never></prefs>"
        )
    };
    let empty = |default: &str| format!("<prefs xmlns='urn:xmpp:mam:2' default='{default}'><always/><never/></prefs>");
    let get = "<prefs xmlns='urn:xmpp:mam:2'/>";
    assert!(ask(&mut juliet, "get", "", get).contains(&empty("always")));
    let round = |romeo: &mut Raw, nurse: &mut Raw, juliet: &mut Raw, number: usize| {
        exchange(romeo, juliet, "juliet", [format!("r{number}")]);
        exchange(nurse, juliet, "juliet", [format!("n{number}")]);
    };
    // From the next message on.
    let chosen = prefs("always", "", "romeo");
    let answer = ask(&mut juliet, "set", "", &chosen);
    assert!(answer.contains("<always/><never><jid>romeo@localhost</jid></never>"), "{answer}");
    round(&mut romeo, &mut nurse, &mut juliet, 1);
    assert!(ask(&mut juliet, "set", "", &prefs("never", "romeo", "")).contains("type='result'"));
    round(&mut romeo, &mut nurse, &mut juliet, 2);
    // Neither of them is a contact; then one of them is.
    assert!(ask(&mut juliet, "set", "", &prefs("roster", "", "")).contains(&empty("roster")));
    round(&mut romeo, &mut nurse, &mut juliet, 3);
    let contact = "<query xmlns='jabber:iq:roster'><item jid='nurse@localhost'/></query>";
    assert!(ask(&mut juliet, "set", "", contact).contains("type='result'"));
    round(&mut romeo, &mut nurse, &mut juliet, 4);
    assert!(ask(&mut juliet, "set", "", &prefs("never", "", "")).contains(&empty("never")));
    round(&mut romeo, &mut nurse, &mut juliet, 5);
    send(&mut juliet, "romeo", "j5");
    assert_eq!(everything(&mut juliet, "juliet").bodies(), ["n1", "r2", "n4"]);
    // It is her archive alone that does not have them.
    assert_eq!(everything(&mut romeo, "romeo").bodies(), ["r1", "r2", "r3", "r4", "r5", "j5"]);
    // What cannot be chosen.
    for (wrong, condition) in [
        ("<prefs xmlns='urn:xmpp:mam:2' default='sometimes'/>".to_owned(), "<bad-request"),
        (prefs("always", "a@b", ""), "<jid-malformed"),
        (
            empty("always").replace("<never/>", "<never><jid>a</jid><jid>b</jid><jid>c</jid></never>"),
            "<policy-violation",
        ),
    ] {
        let answer = ask(&mut juliet, "set", "", &wrong);
        assert!(answer.contains(condition), "{wrong}: {answer}");
    }
    // It is hers to choose.
    let answer = ask(&mut romeo, "set", " to='juliet@localhost'", &prefs("always", "", ""));
    assert!(answer.contains("<service-unavailable"), "{answer}");
    drop((romeo, nurse, juliet));
    let server = server.kill_and_restart(&["--archive-default", "roster"]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    assert!(ask(&mut juliet, "get", "", get).contains(&empty("never")));
    let mut romeo = Raw::login(&server, "romeo", "orchard");
    assert!(ask(&mut romeo, "get", "", get).contains(&empty("roster")));
}

#[test]
fn what_is_retracted_leaves_a_tombstone_on_both_sides_and_a_correction_stays() {
    let server = server(&["--shards", "2"]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    exchange(&mut romeo, &mut juliet, "juliet", ["1".into(), "2".into(), "3".into()]);
    let retract = |id: &str| {
        format!(
            "<message to='{{to}}@localhost' type='chat' id='retract-{id}'>\
             <retract id='{id}' xmlns='urn:xmpp:message-retract:1'/><body>/me retracts</body></message>"
        )
    };
    // Somebody else's message is not for her to retract.
    juliet.say(&retract("m1").replace("{to}", "romeo"));
    romeo.hear("<body>/me retracts</body>");
    romeo.say(&retract("m2").replace("{to}", "juliet"));
    juliet.hear("id='retract-m2'");
    romeo.say(
        "<message to='juliet@localhost' type='chat' id='m4'><body>3, I mean</body>\
         <replace xmlns='urn:xmpp:message-correct:0' id='m3'/></message>",
    );
    juliet.hear("<body>3, I mean</body>");
    for (raw, user) in [(&mut romeo, "romeo"), (&mut juliet, "juliet")] {
        // The search is behind the retraction; what is asked in the same lane is behind the search.
        assert!(ask(raw, "get", "", "<query xmlns='jabber:iq:roster'/>").contains("type='result'"));
        let all = everything(raw, user);
        let bodies = ["1", "", "3", "/me retracts", "/me retracts", "3, I mean"];
        assert_eq!(all.bodies(), bodies, "{all:?}");
        let tombstone = &all.found[1].forwarded;
        assert!(
            tombstone.contains("<retracted xmlns='urn:xmpp:message-retract:1' id='retract-m2' stamp='20"),
            "{all:?}"
        );
        assert!(tombstone.contains("id='m2'") && tombstone.contains("from='romeo@localhost/orchard'"), "{tombstone}");
        assert!(all.found[5].forwarded.contains("<replace "), "{all:?}");
        // The others are as they were.
        let untouched = all.found.iter().filter(|found| found.forwarded.contains("<retracted")).count();
        assert_eq!(untouched, 1);
    }
}

#[test]
fn an_answer_that_was_not_acknowledged_is_for_nobody_else() {
    let server = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    juliet.say("<enable xmlns='urn:xmpp:sm:3'/>");
    juliet.hear("<enabled ");
    send(&mut juliet, "romeo", "1");
    send(&mut juliet, "romeo", "2");
    assert_eq!(everything(&mut juliet, "juliet").bodies(), ["1", "2"]);
    // It goes without a word about what it has got.
    drop(juliet);
    let mut chamber = Raw::online(&server, "juliet", "chamber");
    chamber.say("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    let heard = chamber.hear("id='r'");
    assert!(!heard.contains("<result"), "{heard}");
    assert!(!chamber.round_trip().contains("<result"));
    assert_eq!(everything(&mut chamber, "juliet").bodies(), ["1", "2"]);
}
