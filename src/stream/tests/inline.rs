//! What a client asks for along with its login (XEP-0386, XEP-0198 §9), and stream management before there is a
//! resource (XEP-0198 §3, §5).

use super::management::{Enable, Failure::BadRequest, Resume};
use super::*;

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true' max='600'/>";
const RESUME: &str = "<resume xmlns='urn:xmpp:sm:3' previd='old' h='3'/>";

fn password() -> String {
    BASE64.encode("\0juliet\0secret")
}

fn bind(features: &str) -> String {
    format!("<bind xmlns='{}'><tag>balcony</tag>{features}</bind>", ns::BIND2)
}

fn nothing() -> Config {
    Config { features: SessionFeatures::default(), token_lifetime_s: 0, ..config() }
}

fn resumable(mut play: Play) -> Play {
    play.world.resumable.push("old".into());
    play
}

#[test]
fn what_can_be_asked_for_is_advertised_and_nothing_else() {
    let inline = |config: Config| {
        let features = Play::new(config, Some(bindings())).header("example.org");
        between(&features, "<authentication", "</authentication>").split_once("<inline>").unwrap().1.to_owned()
    };
    assert_eq!(inline(nothing()), "<bind xmlns='urn:xmpp:bind:0'/></inline>");
    let all = Config { token_lifetime_s: 0, ..config() };
    assert_eq!(
        inline(all),
        "<bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:csi:0'/>\
         <feature var='urn:xmpp:sm:3'/></inline></bind><sm xmlns='urn:xmpp:sm:3'/></inline>"
    );
    let carbons = SessionFeatures { carbons: true, ..SessionFeatures::default() };
    assert_eq!(
        inline(Config { features: carbons, ..nothing() }),
        "<bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:carbons:2'/></inline></bind></inline>"
    );
}

#[test]
fn features_of_the_session_come_with_the_resource() {
    let carbons = "<enable xmlns='urn:xmpp:carbons:2'/>";
    let inactive = "<inactive xmlns='urn:xmpp:csi:0'/>";
    let active = "<active xmlns='urn:xmpp:csi:0'/>";
    let plain = "<enable xmlns='urn:xmpp:sm:3'/>";
    let wrong = "<enable xmlns='urn:xmpp:sm:3' max='soon'/>";
    let managed = |resume, max_s| Some(Ok(Enable { resume, max_s }));
    let rows = [
        (bind(""), BindRequests::default()),
        (bind(carbons), BindRequests { carbons: true, ..Default::default() }),
        (bind(active), BindRequests::default()),
        (bind(inactive), BindRequests { inactive: true, ..Default::default() }),
        (bind(plain), BindRequests { stream_management: managed(false, None), ..Default::default() }),
        (bind(wrong), BindRequests { stream_management: Some(Err(BadRequest)), ..Default::default() }),
        (
            bind(&[ENABLE, carbons, inactive].concat()),
            BindRequests { stream_management: managed(true, Some(600)), carbons: true, inactive: true },
        ),
    ];
    for (said, expected) in rows {
        let mut play = Play::secured(config());
        let heard = play.say(&sasl2("PLAIN", &password(), &said));
        let is_managed = expected.stream_management;
        let is_on = matches!(is_managed, Some(Ok(_)));
        assert_eq!(play.requests, Some(expected), "{said}");
        let bound = match is_managed {
            None => "<bound xmlns='urn:xmpp:bind:0'/>",
            Some(Ok(Enable { resume: false, .. })) => {
                "<bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3'/></bound>"
            }
            Some(Ok(_)) => {
                "<bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' id='new' resume='true' max='60'/></bo"
            }
            Some(Err(_)) => "<bound xmlns='urn:xmpp:bind:0'><failed xmlns='urn:xmpp:sm:3'><bad-request ",
        };
        assert!(heard.contains(bound), "{heard}");
        let features = between(&heard, "<stream:features>", "</stream:features>");
        assert_eq!(features.contains("<sm "), !is_on, "offered as long as it is off: {features}");
        assert!(features.contains("<csi xmlns='urn:xmpp:csi:0'/>") && !features.contains("xmpp-bind"), "{features}");
    }
}

#[test]
fn what_is_not_supported_is_not_looked_at() {
    let mut play = resumable(Play::secured(nothing()));
    let all = [ENABLE, "<enable xmlns='urn:xmpp:carbons:2'/>", "<inactive xmlns='urn:xmpp:csi:0'/>"].concat();
    let heard = play.say(&sasl2("PLAIN", &password(), &format!("{RESUME}{}", bind(&all))));
    assert_eq!((play.requests, play.resumed), (Some(BindRequests::default()), false));
    assert!(heard.contains("<bound xmlns='urn:xmpp:bind:0'/>") && !heard.contains("urn:xmpp:sm:3"), "{heard}");
    assert!(!heard.contains("urn:xmpp:csi:0"), "{heard}");
    let mut play = Play::secured(nothing());
    let features = play.say(&sasl2("PLAIN", &password(), ""));
    assert!(!features.contains("<sm ") && !features.contains("<csi "), "{features}");
    play.say(RESUME);
    assert_eq!(play.error(), Some("not-authorized"));
}

#[test]
fn a_resumed_stream_is_not_bound_anew_and_has_its_features_already() {
    for rest in [bind(ENABLE), String::new()] {
        let mut play = resumable(Play::secured(config()));
        let heard = play.say(&sasl2("PLAIN", &password(), &format!("{RESUME}{rest}")));
        assert_eq!(
            heard,
            "<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>juliet@example.org</authorization-identifier>\
             <resumed xmlns='urn:xmpp:sm:3' previd='old' h='7'/></success>"
        );
        assert!(play.resumed && play.requests.is_none() && play.established.is_none());
        assert!(play.negotiation.is_waiting(), "what follows is the session's");
    }
}

#[test]
fn where_a_stream_cannot_be_resumed_the_client_says_what_next() {
    let malformed = ["<resume xmlns='urn:xmpp:sm:3' previd='old'/>", "<resume xmlns='urn:xmpp:sm:3' h='1'/>"];
    let malformed = malformed.map(|resume| (resume.to_owned(), "bad-request"));
    let too_high = (RESUME.replace("'3'", "'4294967296'"), "bad-request");
    for (resume, condition) in malformed.into_iter().chain([too_high, (RESUME.to_owned(), "item-not-found")]) {
        let play = || match condition {
            "bad-request" => resumable(Play::secured(config())),
            _ => Play::secured(config()),
        };
        let failed = format!(
            "<failed xmlns='urn:xmpp:sm:3'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        );
        let mut bound = play();
        let heard = bound.say(&sasl2("PLAIN", &password(), &format!("{}{resume}", bind(ENABLE))));
        let enabled = "<enabled xmlns='urn:xmpp:sm:3' id='new' resume='true' max='60'/>";
        let expected = format!("{failed}<bound xmlns='urn:xmpp:bind:0'>{enabled}</bound></success>");
        assert!(heard.contains(&expected) && bound.established.is_some() && !bound.resumed, "{heard}");
        let mut unbound = play();
        let heard = unbound.say(&sasl2("PLAIN", &password(), &resume));
        assert!(heard.contains(&format!("{failed}</success><stream:features><sm ")), "{heard}");
        unbound.say("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        assert!(unbound.established.is_some());
    }
}

/// A token, then what the stream is to be: the old one, or else a new one.
#[test]
fn the_order_is_that_of_the_specifications() {
    let mut play = Play::secured(config());
    let token = format!("<request-token xmlns='{}' mechanism='HT-SHA-256-NONE'/>", ns::FAST);
    let inline = format!("{}{token}<user-agent id='a'/>{RESUME}", bind(""));
    let said = Element::parse(sasl2("PLAIN", &password(), &inline).as_bytes()).unwrap();
    let mut actions = play.negotiation.on_element(&said);
    let mut order = Vec::new();
    let sent = loop {
        let [action] = &actions[..] else { break play.act(actions) };
        let now_s = play.world.now_s;
        let (name, next) = match action {
            Action::Verify { .. } => ("verify", play.negotiation.on_password(Some(Ok(())))),
            Action::Authenticated(_) => ("home", play.negotiation.on_home(now_s)),
            Action::ChangeTokens { .. } => ("token", play.negotiation.on_tokens_changed(Ok(()))),
            Action::Resume { resume, .. } => {
                assert_eq!(*resume, Resume { previous: "old".into(), h: 3 });
                ("resume", play.negotiation.on_resumed(Err(b"<failed xmlns='urn:xmpp:sm:3'/>".to_vec())))
            }
            Action::Bind { jid, agent, .. } => {
                assert_eq!(agent.as_deref(), Some("a"));
                let bound = BoundResource { jid: jid.clone(), results: Vec::new(), is_managed: false };
                ("bind", play.negotiation.on_bound(Ok(bound)))
            }
            other => panic!("{other:?}"),
        };
        order.push(name);
        actions = next;
    };
    assert_eq!(order, ["verify", "home", "token", "resume", "bind"]);
    let at = |text: &str| sent.find(text).unwrap_or_else(|| panic!("no {text} in {sent}"));
    assert!(at("<failed ") < at("<bound ") && at("<bound ") < at("<token ") && at("<token ") < at("</success>"));
}

/// XEP-0388 §2.6.2.
#[test]
fn a_failed_login_asks_for_nothing() {
    let mut play = resumable(Play::secured(config()));
    let wrong = BASE64.encode("\0juliet\0guess");
    let heard = play.say(&sasl2("PLAIN", &wrong, &format!("{RESUME}{}", bind(ENABLE))));
    assert!(heard.starts_with("<failure ") && heard.ends_with("</failure>"), "{heard}");
    let heard = play.say(&legacy("PLAIN", &password()));
    assert_eq!(heard, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></success>");
    assert!(!play.resumed && play.requests.is_none());
}

fn after_legacy_login() -> Play {
    let mut play = Play::secured(config());
    play.say(&legacy("PLAIN", &password()));
    let features = play.header("example.org");
    assert!(features.contains("<sm xmlns='urn:xmpp:sm:3'/>") && features.contains("xmpp-bind"), "{features}");
    play
}

#[test]
fn the_old_road_leads_to_resumption_too() {
    let mut play = resumable(after_legacy_login());
    assert_eq!(play.say(RESUME), "<resumed xmlns='urn:xmpp:sm:3' previd='old' h='7'/>");
    assert!(play.resumed && play.negotiation.is_waiting());
    let mut play = after_legacy_login();
    let heard = play.say(RESUME);
    assert!(heard.starts_with("<failed xmlns='urn:xmpp:sm:3'><item-not-found "), "{heard}");
    let heard = play.say("<resume xmlns='urn:xmpp:sm:3'/>");
    assert!(heard.starts_with("<failed xmlns='urn:xmpp:sm:3'><bad-request "), "{heard}");
    let heard = play.say(ENABLE);
    assert!(heard.starts_with("<failed xmlns='urn:xmpp:sm:3'><unexpected-request "), "{heard}");
    play.say("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    assert!(play.established.is_some() && !play.resumed);
    assert_eq!(play.requests, Some(BindRequests::default()));
}

#[test]
fn nobody_resumes_before_logging_in() {
    let mut play = resumable(Play::secured(config()));
    play.say(RESUME);
    assert_eq!((play.error(), play.resumed), (Some("not-authorized"), false));
}
