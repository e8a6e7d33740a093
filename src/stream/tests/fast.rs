//! Logging in with tokens (XEP-0484): each path, and each way to be refused.

use proptest::prelude::*;

use super::*;

const CLIENT: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";
const EXPORTER: &str = "HT-SHA-256-EXPR";
const UNBOUND: &str = "HT-SHA-256-NONE";

fn agent() -> String {
    format!("<user-agent id='{CLIENT}'/>")
}

fn request(mechanism: &str) -> String {
    format!("<request-token xmlns='{}' mechanism='{mechanism}'/>", ns::FAST)
}

/// The client's message, in base64.
fn proof(user: &str, token: &str, mechanism: &str) -> String {
    let binding: &[u8] = if mechanism == EXPORTER { &[1; 32] } else { &[] };
    let hashed = hmac(token.as_bytes(), &[b"Initiator", binding].concat());
    BASE64.encode([user.as_bytes(), b"\0", &hashed].concat())
}

/// A login with a token, with attributes of `<fast/>` and what else is asked for.
fn fast(token: &str, mechanism: &str, attributes: &str, inline: &str) -> String {
    let fast = format!("<fast xmlns='{}'{attributes}/>", ns::FAST);
    sasl2(mechanism, &proof("juliet", token, mechanism), &format!("{}{fast}{inline}", agent()))
}

fn token_in(heard: &str) -> Option<String> {
    heard.contains("<token ").then(|| between(heard, " token='", "'/></success>").to_owned())
}

impl Play {
    fn opened(mut self) -> Play {
        self.header("example.org");
        self
    }

    /// After a login with the password that has asked for a token.
    fn with_token(mechanism: &str) -> (Play, String) {
        let mut play = Play::secured(config());
        let password = BASE64.encode("\0juliet\0secret");
        let heard = play.say(&sasl2("PLAIN", &password, &format!("{}{}", agent(), request(mechanism))));
        let token = token_in(&heard).unwrap_or_else(|| panic!("no token in {heard}"));
        (play.again().opened(), token)
    }

    /// The client says something on a new stream; what it hears, and the world after that.
    fn then(mut self, said: &str) -> (Play, String) {
        let heard = self.say(said);
        (self.again().opened(), heard)
    }
}

fn is_refused(heard: &str, condition: &str) -> bool {
    heard.starts_with("<failure ") && heard.contains(&format!("<{condition} "))
}

/// The client need not wait for the features, which it knows from the last time: it waits once, with a bound resource
/// at the end.
#[test]
fn a_login_with_a_token_and_bind_2_takes_one_round_trip() {
    let (play, token) = Play::with_token(EXPORTER);
    let mut play = play.again();
    let mut round_trips = 0;
    let mut send_and_wait = |play: &mut Play, first: &dyn Fn(&mut Play) -> String, then: &str| {
        round_trips += 1;
        let heard = first(play);
        assert!(!play.negotiation.is_waiting(), "what follows at once is not left unread");
        heard + &play.say(then)
    };
    let header = |play: &mut Play| play.header_from("example.org", Some("juliet@example.org"));
    let heard = send_and_wait(&mut play, &header, &fast(&token, EXPORTER, "", &bind2()));
    assert_eq!((round_trips, play.world.writes), (1, 2), "the token has moved to the slot of those in use");
    let jid = play.established.clone().unwrap();
    let answer = BASE64.encode(hmac(token.as_bytes(), &[b"Responder", &[1; 32][..]].concat()));
    assert!(heard.contains(&format!("<additional-data>{answer}</additional-data>")), "{heard}");
    assert!(heard.contains(&format!("<authorization-identifier>{jid}</authorization-identifier>")), "{heard}");
    assert!(heard.contains("<bound xmlns='urn:xmpp:bind:0'/>") && heard.ends_with("</stream:features>"), "{heard}");
    // The second time there is nothing to write.
    let (play, heard) = play.again().opened().then(&fast(&token, EXPORTER, "", ""));
    assert!(heard.starts_with("<success ") && token_in(&heard).is_none(), "{heard}");
    assert_eq!(play.world.writes, 2);
}

#[test]
fn tokens_are_offered_where_there_are_some() {
    let offered = |config: Config, tls: Option<Bindings>, domain: &str| {
        let features = Play::new(config, tls).header(domain);
        assert_eq!(features.matches("HT-").count(), features.matches("<mechanism>HT-").count());
        features.split("<mechanism>HT-SHA-256-").skip(1).map(|rest| rest[..4].to_owned()).collect::<Vec<_>>()
    };
    let all = Bindings { server_end_point: Some(vec![2; 32]), ..bindings() };
    assert_eq!(offered(config(), Some(all), "example.org"), ["EXPR", "ENDP", "NONE"]);
    assert_eq!(offered(config(), Some(bindings()), "example.org"), ["EXPR", "NONE"]);
    assert_eq!(offered(config(), Some(Bindings::default()), "example.org"), ["NONE"]);
    let none: [String; 0] = [];
    assert_eq!(offered(Config { tls: TlsPolicy::PlaintextAllowed, ..config() }, None, "example.org"), none);
    assert_eq!(offered(Config { token_lifetime_s: 0, ..config() }, Some(bindings()), "example.org"), none);
    let anonymous = Config { anonymous: Some("other.example".into()), ..config() };
    assert_eq!(offered(anonymous, Some(bindings()), "other.example"), none);
    let features = Play::secured(config()).say(&legacy("HT-SHA-256-NONE", &proof("juliet", "t", UNBOUND)));
    assert!(features.contains("<invalid-mechanism/>"), "{features}");
}

#[test]
fn a_token_says_when_it_expires() {
    let mut play = Play::secured(config());
    play.world.now_s = 951_782_400;
    let password = BASE64.encode("\0juliet\0secret");
    let heard = play.say(&sasl2("PLAIN", &password, &format!("{}{}", agent(), request(EXPORTER))));
    assert!(heard.contains("<token xmlns='urn:xmpp:fast:0' expiry='2000-03-21T00:00:00Z' token='secret-token:"));
    let token = token_in(&heard).unwrap();
    assert!(token.len() >= "secret-token:".len() + 43 && token.bytes().all(|byte| byte.is_ascii_graphic()));
}

#[test]
fn who_cannot_have_a_token_is_logged_in_without() {
    let password = BASE64.encode("\0juliet\0secret");
    let rows = [
        request(EXPORTER),
        format!("{}{}", agent(), request("HT-SHA-256-UNIQ")),
        format!("{}{}", agent(), request("HT-SHA-256-ENDP")),
        format!("{}{}", agent(), request("PLAIN")),
        format!("{}<request-token xmlns='{}'/>", agent(), ns::FAST),
        format!("<user-agent id='{}'/>{}", "x".repeat(129), request(EXPORTER)),
    ];
    for inline in rows {
        let mut play = Play::secured(config());
        let heard = play.say(&sasl2("PLAIN", &password, &inline));
        assert!(heard.starts_with("<success ") && token_in(&heard).is_none(), "{inline}: {heard}");
        assert_eq!(play.world.writes, 0);
    }
    let mut play = Play::new(Config { anonymous: Some("other.example".into()), ..config() }, Some(bindings()));
    play.header("other.example");
    let heard = play.say(&sasl2("ANONYMOUS", "", &format!("{}{}", agent(), request(UNBOUND))));
    assert!(heard.starts_with("<success ") && token_in(&heard).is_none(), "{heard}");
}

#[test]
fn what_is_wrong_with_a_token_has_its_condition() {
    let (_, token) = Play::with_token(EXPORTER);
    let fast_of = |user: &str, token: &str, rest: &str| sasl2(EXPORTER, &proof(user, token, EXPORTER), rest);
    let marked = format!("{}<fast xmlns='{}'/>", agent(), ns::FAST);
    let count = |count: &str| format!("{}<fast xmlns='{}' count='{count}'/>", agent(), ns::FAST);
    let other_client = format!("<user-agent id='other'/><fast xmlns='{}'/>", ns::FAST);
    let rows = [
        ("unknown token", fast_of("juliet", "secret-token:guess", &marked), "not-authorized"),
        ("unknown user", fast_of("nobody", &token, &marked), "not-authorized"),
        ("another's token", fast_of("romeo", &token, &marked), "not-authorized"),
        ("another client's token", fast_of("juliet", &token, &other_client), "not-authorized"),
        ("no client", fast_of("juliet", &token, &marked.replace(&agent(), "")), "malformed-request"),
        ("not said to be a token", fast_of("juliet", &token, &agent()), "invalid-mechanism"),
        ("a password said to be one", sasl2("PLAIN", "AGp1bGlldABzZWNyZXQ=", &marked), "invalid-mechanism"),
        ("not offered", sasl2("HT-SHA-256-ENDP", "AGp1bGlldABzZWNyZXQ=", &marked), "invalid-mechanism"),
        ("no proof", sasl2(EXPORTER, "anVsaWV0", &marked), "malformed-request"),
        ("no base64", sasl2(EXPORTER, "%", &marked), "incorrect-encoding"),
        ("no count", fast_of("juliet", &token, &count("many")), "malformed-request"),
        ("a negative count", fast_of("juliet", &token, &count("-1")), "malformed-request"),
        // HT-SHA-256-EXPR's token is not good for the mechanism that is not bound.
        ("downgraded", fast(&token, UNBOUND, "", ""), "not-authorized"),
    ];
    for (what, said, condition) in rows {
        let (mut play, issued) = Play::with_token(EXPORTER);
        let said = said.replace(&proof("juliet", &token, EXPORTER), &proof("juliet", &issued, EXPORTER));
        let said = said.replace(&proof("juliet", &token, UNBOUND), &proof("juliet", &issued, UNBOUND));
        let heard = play.say(&said);
        assert!(is_refused(&heard, condition), "{what}: {heard}");
        assert!(!play.negotiation.is_authenticated() && !play.negotiation.is_waiting(), "{what}");
        let heard = play.say(&fast(&issued, EXPORTER, "", &bind2()));
        assert!(heard.starts_with("<success "), "{what}: the token is good as before: {heard}");
    }
}

#[test]
fn an_expired_token_is_told_so_to_nobody_but_who_has_it() {
    let (mut play, token) = Play::with_token(EXPORTER);
    play.world.now_s += 21 * DAY_S - 1;
    let (mut play, heard) = play.then(&fast(&token, EXPORTER, "", ""));
    assert!(heard.starts_with("<success "), "{heard}");
    play.world.now_s += 1;
    let heard = play.say(&fast(&token, EXPORTER, "", &bind2()));
    assert!(is_refused(&heard, "credentials-expired") && play.established.is_none(), "{heard}");
    let heard = play.say(&fast("guess", EXPORTER, "", ""));
    assert!(is_refused(&heard, "not-authorized"), "{heard}");
}

#[test]
fn a_count_that_was_seen_is_refused() {
    let (play, token) = Play::with_token(EXPORTER);
    let with = |count: u64| fast(&token, EXPORTER, &format!(" count='{count}'"), "");
    let (play, heard) = play.then(&with(3));
    assert!(heard.starts_with("<success "), "{heard}");
    let (play, heard) = play.then(&with(3));
    assert!(is_refused(&heard, "not-authorized"), "{heard}");
    let (play, heard) = play.then(&with(2));
    assert!(is_refused(&heard, "not-authorized"), "{heard}");
    // Outside of early data a count is not demanded, and does not change what was counted.
    let (play, heard) = play.then(&fast(&token, EXPORTER, "", ""));
    assert!(heard.starts_with("<success "), "{heard}");
    let (play, heard) = play.then(&with(3));
    assert!(is_refused(&heard, "not-authorized"), "{heard}");
    let (_, heard) = play.then(&with(4));
    assert!(heard.starts_with("<success "), "{heard}");
}

/// XEP-0484 §3.6.
#[test]
fn a_client_may_have_its_token_made_void() {
    let (play, token) = Play::with_token(EXPORTER);
    let (play, heard) = play.then(&fast(&token, EXPORTER, " invalidate='true'", &bind2()));
    assert!(heard.starts_with("<success ") && heard.contains("<bound "), "{heard}");
    let (play, heard) = play.then(&fast(&token, EXPORTER, "", ""));
    assert!(is_refused(&heard, "not-authorized"), "{heard}");
    assert!(play.world.tokens.values().all(|tokens| *tokens == Tokens::default()));
    // A token that is due has no successor either, unless that is asked for.
    for (asked, is_given) in [("", false), (&*request(UNBOUND), true)] {
        let (mut play, token) = Play::with_token(EXPORTER);
        play.world.now_s += 20 * DAY_S;
        let (play, heard) = play.then(&fast(&token, EXPORTER, " invalidate='1'", asked));
        assert_eq!((heard.starts_with("<success "), token_in(&heard).is_some()), (true, is_given), "{heard}");
        let (play, refused) = play.then(&fast(&token, EXPORTER, "", ""));
        assert!(is_refused(&refused, "not-authorized"), "{refused}");
        if let Some(new) = token_in(&heard) {
            let (_, heard) = play.then(&fast(&new, UNBOUND, "", ""));
            assert!(heard.starts_with("<success "), "{heard}");
        }
    }
    // The successor that a client has missed goes with what it makes void.
    let (mut play, token) = Play::with_token(EXPORTER);
    play.world.now_s += DAY_S;
    let (play, heard) = play.then(&fast(&token, EXPORTER, "", ""));
    let missed = token_in(&heard).unwrap();
    let (play, _) = play.then(&fast(&token, EXPORTER, " invalidate='true'", ""));
    let (_, heard) = play.then(&fast(&missed, EXPORTER, "", ""));
    assert!(is_refused(&heard, "not-authorized"), "{heard}");
}

/// XEP-0484 §3.5: a connection may break before the new token has come.
#[test]
fn a_client_that_misses_its_new_token_goes_on_with_the_old_one() {
    let (mut play, old) = Play::with_token(EXPORTER);
    play.world.now_s += DAY_S - 1;
    let (mut play, heard) = play.then(&fast(&old, EXPORTER, "", ""));
    assert_eq!(token_in(&heard), None, "not due yet: {heard}");
    play.world.now_s += 1;
    let (play, heard) = play.then(&fast(&old, EXPORTER, "", ""));
    let missed = token_in(&heard).unwrap();
    let (play, heard) = play.then(&fast(&old, EXPORTER, "", ""));
    let new = token_in(&heard).unwrap();
    assert_ne!(missed, new);
    let (play, heard) = play.then(&fast(&missed, EXPORTER, "", ""));
    assert!(is_refused(&heard, "not-authorized"), "never used, and void with its successor: {heard}");
    let (play, heard) = play.then(&fast(&new, EXPORTER, "", ""));
    assert!(heard.starts_with("<success ") && token_in(&heard).is_none(), "{heard}");
    let (play, heard) = play.then(&fast(&old, EXPORTER, "", ""));
    assert!(is_refused(&heard, "not-authorized"), "void as soon as its successor was used: {heard}");
    let (_, heard) = play.then(&fast(&new, EXPORTER, "", ""));
    assert!(heard.starts_with("<success "), "{heard}");
}

#[test]
fn a_password_login_leaves_the_token_in_use_alone() {
    let (play, old) = Play::with_token(EXPORTER);
    let (play, _) = play.then(&fast(&old, EXPORTER, "", ""));
    let password = BASE64.encode("\0juliet\0secret");
    let (play, heard) = play.then(&sasl2("PLAIN", &password, &format!("{}{}", agent(), request(UNBOUND))));
    let new = token_in(&heard).unwrap();
    let (play, heard) = play.then(&fast(&old, EXPORTER, "", ""));
    assert!(heard.starts_with("<success "), "{heard}");
    let (play, heard) = play.then(&fast(&new, UNBOUND, "", ""));
    assert!(heard.starts_with("<success "), "{heard}");
    let (_, heard) = play.then(&fast(&old, EXPORTER, "", ""));
    assert!(is_refused(&heard, "not-authorized"), "{heard}");
}

/// Where the lifetime was made shorter a new token may expire before the old one: it is void as soon as the old one is
/// used (XEP-0484 §3.5).
#[test]
fn what_expires_before_the_token_in_use_is_void() {
    let token = |expires_s: u64| {
        let verifier = expires_s.to_be_bytes().to_vec();
        Token { mechanism: crate::sasl::Ht::Exporter, verifier, expires_s, count: None }
    };
    let tokens = Tokens { current: Some(token(200)), new: Some(token(100)) };
    let hashed = hmac(&200u64.to_be_bytes(), &[b"Initiator", &[1; 32][..]].concat());
    let request = crate::stream::fast::FastRequest::default();
    let (used, _) = tokens.prove(crate::sasl::Ht::Exporter, &hashed, &bindings(), &request, 50).unwrap();
    assert!(used.has_to_be_noted);
    let change = TokenChange::new(Some(&used), &request, None);
    assert_eq!(change.apply(tokens), Ok(Tokens { current: Some(token(200)), new: None }));
}

/// What a new password makes void between the proof and the account's home; and two logins with the same count at once.
#[test]
fn a_token_that_goes_while_its_login_is_on_the_way_logs_nobody_in() {
    for lost in [true, false] {
        let (mut play, token) = Play::with_token(EXPORTER);
        let said = fast(&token, EXPORTER, " count='1'", &bind2());
        let actions = play.negotiation.on_element(&Element::parse(said.as_bytes()).unwrap());
        let [Action::LookUpTokens { account, client }] = &actions[..] else { panic!("{actions:?}") };
        let key = (account.to_string(), client.clone());
        let tokens = play.world.tokens[&key].clone();
        let actions = play.negotiation.on_tokens(&tokens, None, play.world.now_s);
        assert!(matches!(&actions[..], [Action::Authenticated(_)]));
        if lost {
            play.world.tokens.clear();
        } else {
            let counted = |token: Token| Token { count: Some(1), ..token };
            play.world.tokens.insert(key, Tokens { current: tokens.new.map(counted), new: None });
        }
        let heard = play.act(actions);
        assert!(is_refused(&heard, "not-authorized"), "{heard}");
        assert!(!play.negotiation.is_authenticated() && play.established.is_none());
        let heard = play.say(&sasl2("PLAIN", &BASE64.encode("\0juliet\0secret"), &bind2()));
        assert!(heard.starts_with("<success ") && play.established.is_some(), "the password is asked for: {heard}");
    }
}

#[test]
fn a_full_disk_costs_new_tokens_but_not_more_than_it_must() {
    let full = |mut play: Play| {
        play.world.disk_is_full = true;
        play
    };
    let password = BASE64.encode("\0juliet\0secret");
    let mut play = full(Play::secured(config()));
    let heard = play.say(&sasl2("PLAIN", &password, &format!("{}{}", agent(), request(EXPORTER))));
    assert!(heard.starts_with("<success ") && token_in(&heard).is_none(), "{heard}");
    let (play, token) = Play::with_token(EXPORTER);
    let (mut play, _) = play.then(&fast(&token, EXPORTER, "", ""));
    play.world.now_s += DAY_S;
    let (play, heard) = full(play).then(&fast(&token, EXPORTER, "", ""));
    assert!(heard.starts_with("<success ") && token_in(&heard).is_none(), "{heard}");
    for attributes in [" count='1'", " invalidate='true'"] {
        let (mut play, token) = Play::with_token(EXPORTER);
        play.world.disk_is_full = true;
        let heard = play.say(&fast(&token, EXPORTER, attributes, &bind2()));
        assert!(is_refused(&heard, "temporary-auth-failure") && play.established.is_none(), "{attributes}: {heard}");
    }
    drop(play);
}

#[test]
fn a_disabled_account_has_no_use_for_a_token() {
    let mut play = Play::secured(config());
    let (issued, kept) = crate::stream::fast::Issued::new(crate::sasl::Ht::Exporter, DAY_S, play.world.now_s);
    let token = issued.to_element().attribute("token").unwrap().to_owned();
    let key = ("tybalt@example.org".to_owned(), CLIENT.to_owned());
    play.world.tokens.insert(key, Tokens { current: None, new: Some(kept) });
    let marked = format!("{}<fast xmlns='{}'/>", agent(), ns::FAST);
    let heard = play.say(&sasl2(EXPORTER, &proof("tybalt", "guess", EXPORTER), &marked));
    assert!(is_refused(&heard, "not-authorized"), "{heard}");
    let heard = play.say(&sasl2(EXPORTER, &proof("tybalt", &token, EXPORTER), &marked));
    assert!(is_refused(&heard, "account-disabled"), "{heard}");
}

#[test]
fn who_a_header_names_is_whose_token_it_is() {
    let (play, token) = Play::with_token(EXPORTER);
    let mut play = play.again();
    play.header_from("example.org", Some("romeo@example.org"));
    let heard = play.say(&fast(&token, EXPORTER, "", ""));
    assert!(is_refused(&heard, "invalid-authzid"), "{heard}");
    let mut play = play.again();
    play.header_from("example.org", Some("example.org"));
    assert!(play.say(&fast(&token, EXPORTER, "", "")).starts_with("<success "));
}

#[test]
fn failed_tries_with_tokens_count_like_others() {
    let (mut play, _) = Play::with_token(EXPORTER);
    for expected in [None, None, Some("policy-violation")] {
        assert!(is_refused(&play.say(&fast("guess", EXPORTER, "", "")), "not-authorized"));
        assert_eq!(play.error(), expected);
    }
}

/// What happens to a client: it logs in, and may not hear the answer; or time passes.
#[derive(Clone, Copy, Debug)]
enum Event {
    Token { is_heard: bool },
    Password { is_heard: bool },
    Hours(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any::<bool>().prop_map(|is_heard| Event::Token { is_heard }),
        1 => any::<bool>().prop_map(|is_heard| Event::Password { is_heard }),
        3 => (0..300u64).prop_map(Event::Hours),
    ]
}

/// The token that a client has heard of last.
struct Held {
    token: String,
    expires_s: u64,
    was_used: bool,
    /// Another one was issued since, which the client has not heard of.
    was_missed: bool,
}

proptest! {
    /// A token is good until it expires, unless it was never used and another one was issued since; and those before
    /// one that was used are not.
    #[test]
    fn the_token_that_a_client_has_is_good(events in prop::collection::vec(event(), 1..25)) {
        let password = sasl2("PLAIN", &BASE64.encode("\0juliet\0secret"), &format!("{}{}", agent(), request(EXPORTER)));
        let mut play = Play::secured(config());
        let (mut held, mut older): (Option<Held>, Vec<String>) = (None, Vec::new());
        for event in events {
            let now_s = play.world.now_s;
            let (said, is_heard) = match (event, &held) {
                (Event::Hours(hours), _) => {
                    play.world.now_s += hours * 3_600;
                    continue;
                }
                (Event::Token { is_heard }, Some(held)) => (fast(&held.token, EXPORTER, "", ""), is_heard),
                (Event::Token { is_heard } | Event::Password { is_heard }, _) => (password.clone(), is_heard),
            };
            let heard;
            (play, heard) = play.then(&said);
            if said != password {
                let is_good = held.as_ref().is_some_and(|held| {
                    now_s < held.expires_s && (held.was_used || !held.was_missed)
                });
                prop_assert_eq!(heard.starts_with("<success "), is_good, "{}", heard);
                match &mut held {
                    Some(held) if is_good => held.was_used = true,
                    _ => older.extend(held.take().map(|held| held.token)),
                }
            }
            if let Some(token) = token_in(&heard) {
                if is_heard {
                    older.extend(held.take().map(|held| held.token));
                    let expires_s = now_s + 21 * DAY_S;
                    held = Some(Held { token, expires_s, was_used: false, was_missed: false });
                } else if let Some(held) = &mut held {
                    held.was_missed = true;
                    older.push(token);
                }
            }
        }
        let Some(held) = held.filter(|held| held.was_used && play.world.now_s < held.expires_s) else { return Ok(()) };
        // The last one in use: the missed successor that may be good takes its place by being used, so it is not tried.
        let superseded = older.iter().filter(|_| !held.was_missed);
        for token in superseded {
            let heard;
            (play, heard) = play.then(&fast(token, EXPORTER, "", ""));
            prop_assert!(heard.starts_with("<failure "), "{}", heard);
        }
        let (_, heard) = play.then(&fast(&held.token, EXPORTER, "", ""));
        prop_assert!(heard.starts_with("<success "), "{}", heard);
    }
}
