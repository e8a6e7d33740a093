//! Nobody passes for somebody else, and nobody is told what is not its business: whether there is an account, who is
//! online and where, since when not.

mod common;

use common::follower::Follower;
use common::people::{befriend, resumable, resume, subscribe};
use common::{HEADER, Raw, Server, plain, tls};
use rustls::version::TLS13;

const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// What clients ask of accounts.
const QUESTIONS: [&str; 15] = [
    "<ping xmlns='urn:xmpp:ping'/>",
    "<query xmlns='jabber:iq:last'/>",
    "<query xmlns='jabber:iq:version'/>",
    "<query xmlns='jabber:iq:roster'/>",
    "<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'/></query>",
    "<query xmlns='jabber:iq:register'/>",
    "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    "<query xmlns='http://jabber.org/protocol/disco#items'/>",
    "<command xmlns='http://jabber.org/protocol/commands' node='list-sessions'/>",
    "<blocklist xmlns='urn:xmpp:blocking'/>",
    "<enable xmlns='urn:xmpp:carbons:2'/>",
    "<query xmlns='urn:xmpp:mam:2'/>",
    "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub>",
    "<vCard xmlns='vcard-temp'/>",
    "<x xmlns='urn:example:unknown'/>",
];

/// Messages that wait for nobody, and so tell nobody whether they could.
const FLEETING: [&str; 5] = [
    "<message type='headline' {}><body>news</body></message>",
    "<message type='groupchat' {}><body>hello, all</body></message>",
    "<message type='chat' {}><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
    "<message type='chat' {}><body>psst</body><no-store xmlns='urn:xmpp:hints'/></message>",
    "<message type='error' {}><error type='cancel'/></message>",
];

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    for user in ["romeo", "juliet", "nurse"] {
        server.add_user(user);
    }
    server
}

/// Everything that comes back of a stanza to an account, whose home answers the question behind it afterwards.
fn echo(raw: &mut Raw, name: &str, stanza: &str) -> String {
    raw.say(&stanza.replace("{}", &format!("id='probe' to='{name}@localhost'")));
    raw.say(&format!("<iq type='get' id='behind' to='{name}@localhost'><x xmlns='urn:example:x'/></iq>"));
    let heard = raw.hear("id='behind'");
    raw.hear("</iq>");
    without_ids(&heard).replace(name, "somebody")
}

/// Without the ids of archives, which are never the same.
fn without_ids(text: &str) -> String {
    let mut parts = text.split("<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@localhost' id='");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "<id/>" + part.split_once("'/>").map_or("", |(_, rest)| rest))
}

/// Nobody of that name, somebody who is away, somebody who is online, somebody who blocks: all the same.
#[test]
fn whether_there_is_an_account_does_not_show() {
    for shards in ["1", "2"] {
        let server = server(&["--shards", shards]);
        server.add_user("tybalt");
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        let mut juliet = Raw::online(&server, "juliet", "balcony");
        let mut tybalt = Raw::online(&server, "tybalt", "street");
        tybalt.ask("set", None, "<block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block>");
        for question in QUESTIONS {
            for kind in ["get", "set"] {
                let ask = |raw: &mut Raw, name: &str| {
                    raw.ask(kind, Some(&format!("{name}@localhost")), question).replace(name, "somebody")
                };
                let answer = ask(&mut romeo, "rosaline");
                assert!(answer.contains("type='error'"), "{answer}");
                for name in ["juliet", "nurse", "tybalt"] {
                    assert_eq!(ask(&mut romeo, name), answer, "{name}: {question}");
                }
                // Resources that are not there.
                let ask = |raw: &mut Raw, name: &str| {
                    raw.ask(kind, Some(&format!("{name}@localhost/tomb")), question).replace(name, "somebody")
                };
                let answer = ask(&mut romeo, "rosaline");
                for name in ["juliet", "nurse", "tybalt"] {
                    assert_eq!(ask(&mut romeo, name), answer, "{name}: {question}");
                }
            }
        }
        let presences = ["subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe", "unavailable", "error"];
        let presences = presences.map(|kind| format!("<presence type='{kind}' {{}}/>"));
        for stanza in presences.iter().map(String::as_str).chain(["<presence {}/>"]).chain(FLEETING) {
            let answer = echo(&mut romeo, "rosaline", stanza);
            for name in ["nurse", "tybalt"] {
                assert_eq!(echo(&mut romeo, name, stanza), answer, "{name}: {stanza}");
            }
        }
        // Who is online gets what is sent; its sender hears no more of it than of nobody.
        for stanza in presences.iter().map(String::as_str).chain(["<presence {}/>"]) {
            assert_eq!(echo(&mut romeo, "juliet", stanza), echo(&mut romeo, "rosaline", stanza), "{stanza}");
        }
        assert!(!tybalt.round_trip().contains("romeo"), "nothing has come through");
        assert!(!juliet.round_trip().contains("type='get'"), "the server has answered for the account");
    }
}

/// With a wrong password there is no difference between a wrong name and a wrong password.
#[test]
fn a_failed_login_does_not_tell_who_exists() {
    let server = server(&["--login-rate", "100/s:100"]);
    let challenged = |name: &str, mechanism: &str| {
        let mut raw = Raw::connect(server.address);
        raw.say(HEADER);
        raw.hear("</stream:features>");
        let first = base64(format!("n,,n={name},r=of-the-client").as_bytes());
        raw.say(&format!("<auth xmlns='{SASL}' mechanism='{mechanism}'>{first}</auth>"));
        let challenge = unbase64(&raw.hear_between("xmpp-sasl'>", "</challenge>"));
        raw.say(&format!(
            "<response xmlns='{SASL}'>{}</response>",
            base64(format!("c=biws,{},p={}", challenge.split(',').next().unwrap(), base64(&[0; 32])).as_bytes())
        ));
        let failure = raw.hear("</failure>");
        let field = |name: &str| challenge.split(',').find_map(|field| field.strip_prefix(name)).unwrap().to_owned();
        (field("s="), field("i="), failure)
    };
    for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let (salt, rounds, failure) = challenged("juliet", mechanism);
        let (other_salt, other_rounds, other_failure) = challenged("rosaline", mechanism);
        assert_eq!((rounds, salt.len(), failure), (other_rounds, other_salt.len(), other_failure));
        // A salt is always the same.
        assert_eq!(challenged("rosaline", mechanism).0, other_salt);
        assert_ne!(challenged("benvolio", mechanism).0, other_salt);
    }
    let refused = |name: &str| {
        let mut raw = tls::direct(&server, &TLS13);
        raw.say(HEADER);
        raw.hear("</stream:features>");
        raw.say(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{}</auth>", plain(name, "guess")));
        raw.hear("</failure>")
    };
    assert_eq!(refused("juliet"), refused("rosaline"));
}

/// To log in as oneself is not to act as somebody else, however that is asked for.
#[test]
fn who_has_logged_in_is_nobody_else() {
    let server = server(&[]);
    for authzid in ["romeo@localhost", "romeo", "juliet@localhost/balcony", "localhost", "juliet@elsewhere.example"] {
        let mut raw = tls::direct(&server, &TLS13);
        raw.say(HEADER);
        raw.hear("</stream:features>");
        let message = base64(format!("{authzid}\0juliet\0secret").as_bytes());
        raw.say(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{message}</auth>"));
        assert!(raw.hear("</failure>").contains("<invalid-authzid"), "{authzid}");
    }
    // The resource of a full address is no way to another account.
    let mut raw = Raw::connect(server.address);
    raw.authenticate(HEADER, "juliet");
    raw.say(HEADER);
    raw.hear("</stream:features>");
    let bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x@y/romeo@localhost</resource></bind>";
    raw.say(&format!("<iq type='set' id='bind'>{bind}</iq>"));
    assert!(raw.hear("</iq>").contains("<jid>juliet@localhost/x@y/romeo@localhost</jid>"));
}

/// Whatever is written in its place, the sender is the session.
#[test]
fn the_sender_is_who_has_sent_it() {
    for shards in ["1", "2"] {
        let server = server(&["--shards", shards]);
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        let mut juliet = Raw::online(&server, "juliet", "balcony");
        befriend((&mut romeo, "romeo"), (&mut juliet, "juliet"));
        juliet.ask("get", None, "<query xmlns='jabber:iq:roster'/>");
        let forged =
            ["juliet@localhost", "juliet@localhost/balcony", "localhost", "nurse@localhost", "", "a b@c", "&lt;"];
        for from in forged {
            for (stanza, end) in [
                ("<message {}><body>forged</body></message>", "</message>"),
                ("<presence {}><status>forged</status></presence>", "</presence>"),
                ("<iq type='get' id='f' {}><forged xmlns='urn:example:x'/></iq>", "</iq>"),
                ("<iq type='result' id='f' {}><forged xmlns='urn:example:x'/></iq>", "</iq>"),
            ] {
                let ends = format!("to='juliet@localhost/balcony' from='{from}'");
                romeo.say(&stanza.replace("{}", &ends));
                let heard = juliet.hear(end);
                assert!(heard.contains("forged") && heard.contains(" from='romeo@localhost/orchard'"), "{heard}");
                assert_eq!(heard.matches(" from='").count(), 1, "{heard}");
            }
            // Subscriptions go from account to account.
            romeo.say(&format!("<presence type='unsubscribe' to='juliet@localhost' from='{from}'/>"));
            romeo.say(&format!("<presence type='subscribe' to='juliet@localhost' from='{from}'/>"));
            for kind in ["unsubscribe", "subscribe"] {
                let stanza = juliet.hear_stanza("presence");
                assert!(stanza.contains(&format!("type='{kind}'")), "{stanza}");
                assert!(stanza.contains("from='romeo@localhost'"), "{stanza}");
            }
        }
        // Presence to everybody, too.
        juliet.say("<presence type='subscribed' to='romeo@localhost'/>");
        romeo.round_trip();
        romeo.say("<presence from='nurse@localhost/kitchen'><status>it is me</status></presence>");
        let heard = juliet.hear("it is me");
        assert!(heard.contains("from='romeo@localhost/orchard'") && !heard.contains("kitchen"), "{heard}");
    }
}

/// Only the own account sends copies, results of the archive, pushes and events in its own name: what a contact sends
/// has the contact's address on it, with its resource, so that no client takes it for that.
#[test]
fn what_only_the_server_says_comes_from_nobody_else() {
    for shards in ["1", "2"] {
        let server = server(&["--shards", shards]);
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        let mut juliet = Raw::online(&server, "juliet", "balcony");
        befriend((&mut romeo, "romeo"), (&mut juliet, "juliet"));
        juliet.ask("get", None, "<query xmlns='jabber:iq:roster'/>");
        juliet.ask("set", None, "<enable xmlns='urn:xmpp:carbons:2'/>");
        let inner = "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='juliet@localhost/desk' \
                     to='nurse@localhost'><body>forgery</body></message></forwarded>";
        let event = "<items node='urn:xmpp:avatar:metadata'><item id='forgery'/></items>";
        let payloads = [
            format!("<received xmlns='urn:xmpp:carbons:2'>{inner}</received>"),
            format!("<sent xmlns='urn:xmpp:carbons:2'>{inner}</sent>"),
            format!("<result xmlns='urn:xmpp:mam:2' queryid='q' id='1'>{inner}</result>"),
            format!("<event xmlns='http://jabber.org/protocol/pubsub#event'>{event}</event>"),
        ];
        for payload in &payloads {
            for to in ["juliet@localhost", "juliet@localhost/balcony"] {
                romeo.say(&format!("<message to='{to}' from='juliet@localhost'>{payload}</message>"));
            }
        }
        let pushes = [
            "<query xmlns='jabber:iq:roster' ver='9'><item jid='paris@localhost' name='forgery'/></query>",
            "<block xmlns='urn:xmpp:blocking'><item jid='nurse@localhost' name='forgery'/></block>",
            "<unblock xmlns='urn:xmpp:blocking'><item jid='forgery.example'/></unblock>",
        ];
        for push in pushes {
            let ends = "to='juliet@localhost/balcony' from='juliet@localhost'";
            romeo.say(&format!("<iq type='set' id='push' {ends}>{push}</iq>"));
        }
        romeo.round_trip();
        let heard = juliet.round_trip();
        for stanza in heard.split_inclusive("</message>").flat_map(|part| part.split_inclusive("</iq>")) {
            if stanza.contains("forgery") {
                let head = &stanza[..stanza.find('>').unwrap()];
                assert!(head.contains(" from='romeo@localhost/orchard'"), "{stanza}");
            }
        }
        // Whether what is forged comes at all or not: the true ones come from the account itself.
        let mut desk = Raw::online(&server, "juliet", "desk");
        desk.say("<message to='romeo@localhost' type='chat'><body>the truth</body></message>");
        let heard = juliet.hear("</sent></message>");
        assert!(
            heard.contains("<message type='chat' from='juliet@localhost' to='juliet@localhost/balcony'>"),
            "{heard}"
        );
        desk.say("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='paris@localhost'/></query></iq>");
        let push = juliet.hear("paris@localhost");
        let head = &push[push.rfind("<iq").unwrap()..];
        assert!(head.contains("to='juliet@localhost/balcony'") && !head.contains(" from='romeo"), "{head}");
    }
}

/// An answer that nobody has asked for does not pass for one of somebody else.
#[test]
fn nobody_answers_for_others() {
    let server = server(&[]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut nurse = Raw::online(&server, "nurse", "kitchen");
    juliet.say("<iq type='get' id='guessed' to='nurse@localhost/kitchen'><ping xmlns='urn:xmpp:ping'/></iq>");
    nurse.hear("id='guessed'");
    let forgery = "<query xmlns='jabber:iq:version'><name>forgery</name></query>";
    for from in ["nurse@localhost/kitchen", "juliet@localhost", "localhost"] {
        romeo
            .say(&format!("<iq type='result' id='guessed' to='juliet@localhost/balcony' from='{from}'>{forgery}</iq>"));
        let heard = juliet.hear("</iq>");
        assert!(heard.contains("from='romeo@localhost/orchard'"), "{heard}");
    }
    // To the account itself no answer is delivered at all.
    romeo.say(&format!("<iq type='result' id='guessed' to='juliet@localhost'>{forgery}</iq>"));
    romeo.round_trip();
    assert!(!juliet.round_trip().contains("forgery"));
}

/// Presence is told to those who are subscribed to it, and its parts to nobody else.
#[test]
fn presence_is_told_to_subscribers_only() {
    for shards in ["1", "2"] {
        let server = server(&["--shards", shards]);
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        let mut juliet = Raw::online(&server, "juliet", "balcony");
        // Neither having been asked, nor having been granted the other way, is a subscription.
        romeo.say("<presence type='subscribe' to='juliet@localhost'/>");
        juliet.hear("type='subscribe'");
        subscribe((&mut juliet, "juliet"), (&mut romeo, "romeo"));
        juliet.say("<presence><status>a secret</status></presence>");
        juliet.round_trip();
        let attempts = [
            "<presence type='probe' to='juliet@localhost'/>",
            "<presence type='probe' to='juliet@localhost/balcony'/>",
            "<presence to='juliet@localhost'/>",
            "<presence type='subscribed' to='juliet@localhost'/>",
            "<iq type='get' id='a' to='juliet@localhost'><query xmlns='jabber:iq:last'/></iq>",
            "<iq type='get' id='b' to='juliet@localhost/balcony'><query xmlns='jabber:iq:last'/></iq>",
        ];
        for attempt in attempts {
            romeo.say(attempt);
        }
        echo(&mut romeo, "juliet", "");
        // A new session that asks for everybody's.
        let mut street = Raw::login(&server, "romeo", "street");
        street.say("<presence/>");
        street.hear("from='romeo@localhost/street'");
        let heard = [echo(&mut romeo, "juliet", ""), echo(&mut street, "juliet", "")].concat();
        assert!(!heard.contains("secret") && !heard.contains("balcony"), "{heard}");
        // Once it is granted it is told, and once it is taken back it is not.
        juliet.say("<presence type='subscribed' to='romeo@localhost'/>");
        romeo.hear("a secret");
        juliet.say("<presence type='unsubscribed' to='romeo@localhost'/>");
        romeo.hear("type='unavailable'");
        juliet.say("<presence><status>another secret</status></presence>");
        juliet.round_trip();
        let heard = echo(&mut romeo, "juliet", attempts[0]);
        assert!(!heard.contains("secret"), "{heard}");
    }
}

/// Names of resources are not told, and those that the server makes up are not to be guessed.
#[test]
fn resources_are_told_to_nobody() {
    let server = server(&["--shards", "2"]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    for question in QUESTIONS {
        let answer = romeo.ask("get", Some("juliet@localhost"), question);
        assert!(!answer.contains("balcony"), "{answer}");
    }
    romeo.say("<presence type='subscribe' to='juliet@localhost'/>");
    juliet.hear("type='subscribe'");
    juliet.say("<presence type='unsubscribed' to='romeo@localhost'/>");
    juliet.say("<presence type='subscribe' to='romeo@localhost'/>");
    let heard = romeo.hear("type='subscribe'");
    assert!(!heard.contains("balcony"), "{heard}");
    let names: Vec<String> = (0..2)
        .map(|_| {
            let mut raw = Raw::connect(server.address);
            raw.authenticate(HEADER, "juliet");
            raw.say(HEADER);
            raw.hear("</stream:features>");
            raw.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
            raw.hear_between("<jid>juliet@localhost/", "</jid>")
        })
        .collect();
    // 96 random bits.
    assert!(names[0] != names[1] && names.iter().all(|name| name.len() >= 16), "{names:?}");
}

/// Nobody goes on with the session of somebody else, whatever it knows of it.
#[test]
fn a_session_is_resumed_by_its_account_only() {
    let server = server(&[]);
    let (mut juliet, id) = resumable(&server, "juliet", "balcony");
    let (_, heard) = resume(&server, "romeo", &id, 0);
    assert!(heard.contains("<failed") && heard.contains("<item-not-found"), "{heard}");
    assert!(juliet.round_trip().contains("type='result'"), "hers goes on");
}

/// Who shows the hash of another client's capabilities and answers for it with others changes nothing for that client
/// (XEP-0115 §9).
#[test]
fn capabilities_are_those_of_the_client_that_has_them() {
    const NODE: &str = "urn:example:n";
    let server = server(&["--shards", "2"]);
    let mut nurse = Raw::login(&server, "nurse", "kitchen");
    nurse.say(&Follower::presence("juliet", "balcony", &[NODE]));
    let id = nurse.hear_between("<iq type='get' id='", "'");
    let node = nurse.hear_between("node='", "'");
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/>");
    nurse.say(&format!("<iq type='result' id='{id}' to='nurse@localhost'>{query}</iq>"));
    nurse.round_trip();
    // She is asked herself, and believed.
    let mut juliet = Follower::online(&server, "juliet", "balcony", &[NODE]);
    let item = format!("<publish node='{NODE}'><item id='1'><x xmlns='urn:example:x'/></item></publish>");
    juliet.say(&format!("<iq type='set' id='p'><pubsub xmlns='{PUBSUB}'>{item}</pubsub></iq>"));
    assert!(juliet.event(NODE).contains("id='1'"));
}

/// Of an account that is removed nothing is left for who gets its name.
#[test]
fn nothing_is_left_of_a_removed_account() {
    for restarts in [false, true] {
        let mut server = server(&[]);
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        let mut juliet = Raw::online(&server, "juliet", "balcony");
        befriend((&mut romeo, "romeo"), (&mut juliet, "juliet"));
        juliet.ask("set", None, "<vCard xmlns='vcard-temp'><FN>the former one</FN></vCard>");
        let private = "<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'>the former one</x></query>";
        juliet.ask("set", None, private);
        juliet.ask("set", None, "<block xmlns='urn:xmpp:blocking'><item jid='paris@localhost'/></block>");
        let item = "<publish node='urn:example:n'><item><x xmlns='urn:example:x'>the former one</x></item></publish>";
        juliet.ask("set", None, &format!("<pubsub xmlns='{PUBSUB}'>{item}</pubsub>"));
        romeo.say("<message to='juliet@localhost' type='chat'><body>to the former one</body></message>");
        juliet.hear("to the former one");
        juliet.say("<presence type='unavailable'><status>the former one</status></presence>");
        juliet.hear("type='unavailable'");
        romeo.say("<message to='juliet@localhost' type='chat'><body>to the former one</body></message>");
        echo(&mut romeo, "juliet", "");
        assert!(common::user(&server.data(), &["remove", "juliet@localhost"], "").status.success());
        juliet.hear_rest();
        if restarts {
            server = server.kill_and_restart(&[]);
        }
        server.add_user("juliet");
        let mut romeo = Raw::online(&server, "romeo", "orchard");
        let mut juliet = Raw::online(&server, "juliet", "balcony");
        let answers = [
            juliet.ask("get", None, "<query xmlns='jabber:iq:roster'/>"),
            juliet.ask("get", None, "<vCard xmlns='vcard-temp'/>"),
            juliet.ask("get", None, "<query xmlns='jabber:iq:private'><x xmlns='urn:example:x'/></query>"),
            juliet.ask("get", None, "<blocklist xmlns='urn:xmpp:blocking'/>"),
            juliet.ask("get", None, "<query xmlns='jabber:iq:last'/>"),
            juliet.ask("set", None, "<query xmlns='urn:xmpp:mam:2'/>"),
            juliet.ask("get", None, &format!("<pubsub xmlns='{PUBSUB}'><items node='urn:example:n'/></pubsub>")),
            juliet.ask("get", None, "<query xmlns='http://jabber.org/protocol/disco#items'/>"),
            juliet.round_trip(),
        ];
        let heard = answers.concat();
        assert!(!heard.contains("former") && !heard.contains("paris") && !heard.contains("romeo"), "{heard}");
        // Nor does he see her: that was somebody else.
        assert!(!romeo.round_trip().contains("from='juliet@localhost/balcony'"));
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn unbase64(text: &str) -> String {
    use base64::Engine;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}
