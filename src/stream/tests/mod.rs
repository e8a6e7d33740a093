//! Negotiations as conversations: what the client says, what the environment answers, what comes of it.

mod fast;
mod inline;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::*;
use crate::jid::Jid;
use crate::sasl::{Bindings, Failure, Hash, ScramKeys, UnknownUsers, derive};
use crate::xml::{Element, namespaces as ns};

fn config() -> Config {
    Config {
        domains: vec!["example.org".into(), "other.example".into()],
        tls: TlsPolicy::Required,
        tls_available: true,
        hashes: vec![Hash::Sha256],
        plain: true,
        anonymous: None,
        tries: 3,
        max_bytes_before_login: 10_000,
        max_bytes: 256_000,
        idle_seconds: 600,
        unknown: UnknownUsers::new([7; 32], 4096),
        iterations: 4096,
        features: SessionFeatures { stream_management: true, carbons: true, client_state: true },
        token_lifetime_s: 21 * DAY_S,
        registration: AtomicBool::new(false),
    }
}

const DAY_S: u64 = 86_400;

fn bindings() -> Bindings {
    Bindings { exporter: Some([1; 32]), server_end_point: None }
}

/// What is beyond one stream.
#[derive(Default)]
struct World {
    /// The time in seconds since 1970.
    now_s: u64,
    /// By account and client.
    tokens: HashMap<(String, String), Tokens>,
    /// How often they were written.
    writes: usize,
    /// Nothing can be written.
    disk_is_full: bool,
    /// The streams that can be resumed.
    resumable: Vec<String>,
}

/// A negotiation with somebody who plays the environment: juliet's password is `secret`, everybody may bind, and gets
/// what it asks for.
struct Play {
    negotiation: Negotiation,
    /// What was sent since it was last looked at.
    sent: String,
    established: Option<String>,
    ended: Option<Option<StreamError>>,
    looked_up: Vec<String>,
    world: World,
    requests: Option<BindRequests>,
    resumed: bool,
}

impl Play {
    fn new(config: Config, tls: Option<Bindings>) -> Play {
        let negotiation = Negotiation::new(Arc::new(config), tls);
        Play {
            negotiation,
            sent: String::new(),
            established: None,
            ended: None,
            looked_up: Vec::new(),
            world: World { now_s: 1_000 * DAY_S, ..World::default() },
            requests: None,
            resumed: false,
        }
    }

    /// The same client's next connection, not opened yet: everything is as it was left but the stream.
    fn again(self) -> Play {
        Play { world: self.world, ..Play::new(config(), Some(bindings())) }
    }

    /// A stream within TLS whose features were sent.
    fn secured(config: Config) -> Play {
        let mut play = Play::new(config, Some(bindings()));
        play.header("example.org");
        play
    }

    fn header(&mut self, to: &str) -> String {
        self.header_from(to, None)
    }

    fn header_from(&mut self, to: &str, from: Option<&str>) -> String {
        let header = Header { to: Some(to.into()), from: from.map(Into::into), version: Some("1.0".into()) };
        let actions = self.negotiation.on_header(&header);
        self.act(actions)
    }

    /// The client sends an element; what it hears.
    fn say(&mut self, xml: &str) -> String {
        let element = Element::parse(xml.as_bytes()).unwrap();
        let actions = self.negotiation.on_element(&element);
        self.act(actions)
    }

    fn act(&mut self, actions: Vec<Action>) -> String {
        let mut queue: std::collections::VecDeque<_> = actions.into();
        while let Some(action) = queue.pop_front() {
            let more = match action {
                Action::Send(bytes) => {
                    self.sent.push_str(std::str::from_utf8(&bytes).unwrap());
                    Vec::new()
                }
                Action::LookUp(account) => {
                    assert!(self.negotiation.is_waiting());
                    self.looked_up.push(account.to_string());
                    self.negotiation.on_credentials(credentials(&account))
                }
                Action::Verify { account, password } => {
                    let is_right = account.as_str() == "juliet@example.org" && password == "secret";
                    let outcome = if is_right { Ok(()) } else { Err(Failure::NotAuthorized) };
                    self.negotiation.on_password(Some(outcome))
                }
                Action::LookUpTokens { account, client } => {
                    assert!(self.negotiation.is_waiting());
                    let disabled = credentials(&account).and_then(|credentials| credentials.disabled);
                    let tokens = self.world.tokens.get(&(account.to_string(), client)).cloned();
                    self.negotiation.on_tokens(&tokens.unwrap_or_default(), disabled, self.world.now_s)
                }
                Action::Register { domain, iq, .. } => {
                    assert!(self.negotiation.is_waiting() && iq.name == "iq");
                    self.negotiation.on_registration(format!("<answer from='{domain}'/>").into_bytes())
                }
                Action::Authenticated(_) => self.negotiation.on_home(self.world.now_s),
                Action::ChangeTokens { account, client, change } => {
                    assert!(self.negotiation.is_waiting() && self.sent.is_empty(), "nothing is said before");
                    let outcome = self.change_tokens(account.to_string(), client, &change);
                    self.negotiation.on_tokens_changed(outcome)
                }
                Action::Resume { resume, .. } => {
                    assert!(self.negotiation.is_waiting());
                    let mut answer = Vec::new();
                    self.negotiation.on_resumed(match self.world.resumable.contains(&resume.previous.to_string()) {
                        true => {
                            management::write_resumed(&mut answer, &resume.previous, 7);
                            Ok(answer)
                        }
                        false => {
                            management::write_failed(&mut answer, management::Failure::ItemNotFound, None);
                            Err(answer)
                        }
                    })
                }
                Action::Resumed => {
                    self.resumed = true;
                    Vec::new()
                }
                Action::Bind { jid, requests, .. } => {
                    let mut results = Vec::new();
                    let is_managed = match requests.stream_management {
                        None => false,
                        Some(Ok(enable)) => {
                            management::write_enabled(&mut results, enable.resume.then_some(("new", 60)));
                            true
                        }
                        Some(Err(failure)) => {
                            management::write_failed(&mut results, failure, None);
                            false
                        }
                    };
                    self.requests = Some(requests);
                    self.negotiation.on_bound(Ok(BoundResource { jid, results, is_managed }))
                }
                Action::Established(jid) => {
                    self.established = Some(jid.to_string());
                    Vec::new()
                }
                Action::Close(error) => {
                    self.ended = Some(Some(error));
                    Vec::new()
                }
                Action::End => {
                    self.ended = Some(None);
                    Vec::new()
                }
                Action::StartTls | Action::ExpectHeader | Action::LoginFailed(_) => Vec::new(),
            };
            queue.extend(more);
        }
        std::mem::take(&mut self.sent)
    }

    fn change_tokens(&mut self, account: String, client: String, change: &TokenChange) -> Result<(), Failure> {
        if self.world.disk_is_full {
            return Err(Failure::TemporaryAuthFailure);
        }
        let tokens = self.world.tokens.entry((account, client)).or_default();
        *tokens = change.apply(tokens.clone())?;
        self.world.writes += 1;
        Ok(())
    }

    fn error(&self) -> Option<&'static str> {
        self.ended.as_ref().and_then(|ended| ended.as_ref()).map(StreamError::name)
    }
}

fn credentials(account: &Jid<'_>) -> Option<Credentials> {
    let keys = || -> ScramKeys { derive("secret", Hash::Sha256, b"salt-of-16-bytes", 4096) };
    match account.as_str() {
        "juliet@example.org" => Some(Credentials { keys: vec![keys()], disabled: None }),
        "tybalt@example.org" => Some(Credentials { keys: vec![keys()], disabled: Some(Failure::AccountDisabled) }),
        _ => None,
    }
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// The client's side of SCRAM-SHA-256: the first message, and the last one in answer to a challenge.
struct Client {
    gs2: Vec<u8>,
    bare: String,
}

impl Client {
    fn new(user: &str, gs2: &str, binding: &[u8]) -> (Client, String) {
        let bare = format!("n={user},r=clientnonce");
        let first = BASE64.encode(format!("{gs2}{bare}"));
        (Client { gs2: [gs2.as_bytes(), binding].concat(), bare }, first)
    }

    fn answer(&self, heard: &str, password: &str) -> String {
        let challenge = between(heard, ">", "</challenge>");
        let challenge = String::from_utf8(BASE64.decode(challenge).unwrap()).unwrap();
        let field = |name: &str| challenge.split(',').find_map(|field| field.strip_prefix(name)).unwrap();
        let (nonce, salt) = (field("r="), BASE64.decode(field("s=")).unwrap());
        assert!(nonce.starts_with("clientnonce") && nonce.len() > "clientnonce".len() + 12);
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, field("i=").parse().unwrap(), &mut salted);
        let client_key = hmac(&salted, b"Client Key");
        let without_proof = format!("c={},r={nonce}", BASE64.encode(&self.gs2));
        let message = format!("{},{challenge},{without_proof}", self.bare);
        let signature = hmac(&Sha256::digest(&client_key), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof)))
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let end = text.find(after).unwrap_or_else(|| panic!("no {after} in {text}"));
    let start = text[..end].rfind(before).unwrap() + before.len();
    &text[start..end]
}

fn sasl2(mechanism: &str, initial: &str, inline: &str) -> String {
    format!(
        "<authenticate xmlns='{}' mechanism='{mechanism}'><initial-response>{initial}</initial-response>{inline}\
         </authenticate>",
        ns::SASL2
    )
}

fn legacy(mechanism: &str, initial: &str) -> String {
    format!("<auth xmlns='{}' mechanism='{mechanism}'>{initial}</auth>", ns::SASL)
}

fn bind2() -> String {
    format!("<bind xmlns='{}'><tag>balcony</tag></bind>", ns::BIND2)
}

#[test]
fn tls_comes_first() {
    let mut play = Play::new(config(), None);
    let features = play.header("example.org");
    assert!(features.contains("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"));
    assert!(!features.contains("mechanism"), "{features}");
    let refused = play.say(&legacy("PLAIN", "AGEAYg=="));
    assert!(refused.contains("<encryption-required/>"), "{refused}");
    let proceed = play.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert!(proceed.contains("<proceed") && play.negotiation.is_waiting());
    play.negotiation.on_tls(bindings());
    let features = play.header("example.org");
    assert!(!features.contains("starttls"), "{features}");
    for offered in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"] {
        assert_eq!(features.matches(&format!("<mechanism>{offered}</mechanism>")).count(), 2, "{offered}");
    }
    assert!(features.contains("<channel-binding type='tls-exporter'/>"), "{features}");
    assert!(features.contains("<max-bytes>10000</max-bytes>"), "{features}");
    assert!(!features.contains("ANONYMOUS"));
}

/// Three round trips from the header to a bound resource.
#[test]
fn the_main_road_is_sasl2_with_bind2() {
    let mut play = Play::secured(config());
    let (client, first) = Client::new("juliet", "p=tls-exporter,,", &[1; 32]);
    let challenge = play.say(&sasl2("SCRAM-SHA-256-PLUS", &first, &bind2()));
    let response = client.answer(&challenge, "secret");
    let heard = play.say(&format!("<response xmlns='{}'>{response}</response>", ns::SASL2));
    let jid = play.established.clone().unwrap();
    assert!(jid.starts_with("juliet@example.org/balcony/"), "{jid}");
    assert!(heard.contains(&format!("<authorization-identifier>{jid}</authorization-identifier>")), "{heard}");
    assert!(heard.contains("<bound xmlns='urn:xmpp:bind:0'/>"), "{heard}");
    assert!(heard.contains("<additional-data>dj"), "{heard}");
    assert!(heard.contains("<stream:features>") && !heard.contains("xmpp-bind"), "{heard}");
    assert!(heard.contains("<max-bytes>256000</max-bytes>"), "{heard}");
}

#[test]
fn sasl2_without_bind2_binds_the_old_way() {
    let mut play = Play::secured(config());
    let heard = play.say(&sasl2("PLAIN", &BASE64.encode("\0juliet\0secret"), ""));
    assert!(heard.contains("<authorization-identifier>juliet@example.org</"), "{heard}");
    assert!(heard.contains("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>") && play.established.is_none());
    play.say(
        "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>b&amp;c</resource></bind></iq>",
    );
    assert_eq!(play.established.as_deref(), Some("juliet@example.org/b&c"));
}

#[test]
fn the_old_road() {
    let mut play = Play::secured(config());
    let (client, first) = Client::new("JULIET", "n,,", b"");
    let challenge = play.say(&legacy("SCRAM-SHA-256", &first));
    let heard = play.say(&format!("<response xmlns='{}'>{}</response>", ns::SASL, client.answer(&challenge, "secret")));
    assert!(heard.starts_with("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>dj"), "{heard}");
    let features = play.header("example.org");
    assert!(features.contains("xmpp-bind") && features.contains("xmpp-session") && !features.contains("mechanism"));
    let session = play.say("<iq type='set' id='0'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
    assert_eq!(session, "<iq type='result' id='0'/>");
    let wrong = play.say(
        "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>&#9;</resource></bind></iq>",
    );
    assert!(wrong.contains("bad-request"), "{wrong}");
    let bound = play.say("<iq type='set' id='2'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    let jid = play.established.clone().unwrap();
    assert!(bound.contains(&format!("<jid>{jid}</jid>")) && jid.len() > "juliet@example.org/".len() + 10, "{bound}");
}

#[test]
fn who_does_not_exist_is_refused_like_who_types_a_wrong_password() {
    let ask = |user: &str| {
        let mut play = Play::secured(config());
        let (client, first) = Client::new(user, "n,,", b"");
        let challenge = play.say(&legacy("SCRAM-SHA-256", &first));
        let response = client.answer(&challenge, "guess");
        let refusal = play.say(&format!("<response xmlns='{}'>{response}</response>", ns::SASL));
        let challenge = String::from_utf8(BASE64.decode(between(&challenge, ">", "</challenge>")).unwrap()).unwrap();
        let shape: Vec<_> = challenge.split(',').map(|field| (field[..2].to_owned(), field.len())).collect();
        (shape, refusal)
    };
    assert_eq!(ask("juliet"), ask("nobody"));
    assert!(ask("nobody").1.contains("<not-authorized/>"));
}

#[test]
fn only_whoever_knows_the_password_learns_that_an_account_is_disabled() {
    for (password, condition) in [("secret", "account-disabled"), ("guess", "not-authorized")] {
        let mut play = Play::secured(config());
        let (client, first) = Client::new("tybalt", "n,,", b"");
        let challenge = play.say(&sasl2("SCRAM-SHA-256", &first, &bind2()));
        let response = client.answer(&challenge, password);
        let heard = play.say(&format!("<response xmlns='{}'>{response}</response>", ns::SASL2));
        assert!(heard.contains(condition), "{heard}");
        assert!(play.established.is_none());
    }
}

#[test]
fn tries_are_counted() {
    let mut play = Play::secured(config());
    for expected in [None, None, Some("policy-violation")] {
        let heard = play.say(&legacy("PLAIN", &BASE64.encode("\0juliet\0guess")));
        assert!(heard.contains("<not-authorized/>"), "{heard}");
        assert_eq!(play.error(), expected);
    }
}

#[test]
fn mistakes_of_sasl_have_their_conditions() {
    let first = BASE64.encode("n,,n=juliet,r=abc");
    let other = BASE64.encode("n,a=romeo@example.org,n=juliet,r=abc");
    let rows = [
        (legacy("LOGIN", ""), "invalid-mechanism"),
        (legacy("SCRAM-SHA-1", &first), "invalid-mechanism"),
        (legacy("SCRAM-SHA-256", "%%%"), "incorrect-encoding"),
        (legacy("SCRAM-SHA-256", "bm9uc2Vuc2U="), "malformed-request"),
        (legacy("SCRAM-SHA-256", &other), "invalid-authzid"),
        (legacy("PLAIN", &BASE64.encode("\0juliet")), "malformed-request"),
        (sasl2("PLAIN", &BASE64.encode("romeo@example.org\0juliet\0secret"), ""), "invalid-authzid"),
        (sasl2("ANONYMOUS", "", ""), "invalid-mechanism"),
    ];
    for (said, condition) in rows {
        let mut play = Play::secured(config());
        let heard = play.say(&said);
        assert!(heard.contains("<failure") && heard.contains(&format!("<{condition}")), "{said}: {heard}");
        assert!(play.ended.is_none() && !play.negotiation.is_waiting());
    }
}

#[test]
fn a_client_may_ask_to_be_asked_and_may_abort() {
    let mut play = Play::secured(config());
    let empty = play.say(&legacy("PLAIN", ""));
    assert_eq!(empty, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></challenge>");
    let aborted = play.say("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert!(aborted.contains("<aborted/>"), "{aborted}");
    play.say(&legacy("PLAIN", ""));
    let response = BASE64.encode("\0juliet\0secret");
    let heard = play.say(&format!("<response xmlns='{}'>{response}</response>", ns::SASL));
    assert!(heard.contains("<success"), "{heard}");
}

#[test]
fn who_pretends_that_channel_binding_was_not_offered_is_refused() {
    let mut play = Play::secured(config());
    let heard = play.say(&legacy("SCRAM-SHA-256", &BASE64.encode("y,,n=juliet,r=abc")));
    assert!(heard.contains("<not-authorized/>"), "{heard}");
}

#[test]
fn anonymous_users_get_a_name_where_the_operator_wants_it() {
    let mut play = Play::new(Config { anonymous: Some("other.example".into()), ..config() }, Some(bindings()));
    let features = play.header("other.example");
    assert!(features.contains("ANONYMOUS") && !features.contains("PLAIN"), "{features}");
    play.say(&sasl2("ANONYMOUS", "", &bind2()));
    assert!(play.established.as_deref().is_some_and(|jid| jid.contains("@other.example/balcony/")));
}

#[test]
fn headers_that_do_not_fit() {
    let header = |to: Option<&str>, version: Option<&str>| {
        let mut play = Play::new(config(), None);
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let actions = play.negotiation.on_header(&Header { to: owned(to), from: None, version: owned(version) });
        let sent = play.act(actions);
        assert!(sent.starts_with("<?xml version='1.0'?><stream:stream"), "an error needs an open stream: {sent}");
        play.error()
    };
    assert_eq!(header(Some("Example.Org."), Some("1.0")), None);
    assert_eq!(header(Some("example.org"), Some("1.7")), None);
    assert_eq!(header(Some("example.com"), Some("1.0")), Some("host-unknown"));
    assert_eq!(header(Some("@"), Some("1.0")), Some("host-unknown"));
    assert_eq!(header(None, Some("1.0")), Some("host-unknown"));
    assert_eq!(header(Some("example.org"), None), Some("unsupported-version"));
    assert_eq!(header(Some("example.org"), Some("0.9")), Some("unsupported-version"));
    assert_eq!(header(Some("example.org"), Some("one")), Some("unsupported-version"));
}

/// XEP-0388 §2.1 and §2.3, RFC 6120 §4.9.3.9.
#[test]
fn who_a_header_says_it_is_has_to_be_who_logs_in() {
    let go = |from: &str| {
        let mut play = Play::new(config(), Some(bindings()));
        play.header_from("example.org", Some(from));
        play
    };
    assert_eq!(go("juliet@example.net").error(), Some("invalid-from"));
    assert_eq!(go("@").error(), None, "what is no address says nothing");
    let login = sasl2("PLAIN", &BASE64.encode("juliet@example.org\0juliet\0secret"), "");
    assert!(go("romeo@example.org").say(&login).contains("<invalid-authzid "));
    assert!(go("juliet@example.org/balcony").say(&login).starts_with("<success "));

    let legacy = format!("<auth xmlns='{}' mechanism='PLAIN'>{}</auth>", ns::SASL, BASE64.encode("\0juliet\0secret"));
    let mut play = go("juliet@example.org");
    assert!(play.say(&legacy).starts_with("<success "));
    play.header_from("example.org", Some("romeo@example.org"));
    assert_eq!(play.error(), Some("invalid-from"));
}

#[test]
fn nothing_else_is_possible_before_login() {
    for said in ["<message to='a@b'/>", "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"] {
        let mut play = Play::secured(config());
        play.say(said);
        assert_eq!(play.error(), Some("not-authorized"), "{said}");
    }
    let mut play = Play::secured(config());
    play.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(play.ended, Some(None), "TLS within TLS");
}

#[test]
fn a_login_for_one_domain_opens_no_other() {
    let mut play = Play::secured(config());
    play.say(&legacy("PLAIN", &BASE64.encode("\0juliet\0secret")));
    let heard = play.header("other.example");
    assert!(heard.starts_with("<?xml"), "{heard}");
    assert_eq!(play.error(), Some("not-authorized"));
}

#[test]
fn a_refused_resource_is_said_so() {
    for (refusal, condition) in [(BindRefusal::Conflict, "conflict"), (BindRefusal::TooMany, "resource-constraint")] {
        let mut play = Play::secured(config());
        play.say(&legacy("PLAIN", &BASE64.encode("\0juliet\0secret")));
        play.header("example.org");
        let bind =
            "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>";
        let actions = play.negotiation.on_element(&Element::parse(bind.as_bytes()).unwrap());
        assert!(matches!(&actions[..], [Action::Bind { jid, .. }] if jid.as_str() == "juliet@example.org/r"));
        let actions = play.negotiation.on_bound(Err(refusal));
        let heard = play.act(actions);
        assert!(heard.contains(condition) && heard.contains("id='1'") && play.established.is_none(), "{heard}");
    }
}

#[test]
fn stream_errors_are_written_as_rfc_6120_says() {
    let mut out = Vec::new();
    StreamError::see_other_host("[2001:db8::1]:5222".into()).write_to(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>[2001:db8::1]:5222</see-other-host>\
         </stream:error></stream:stream>"
    );
    let mut out = Vec::new();
    StreamError::conflict("a <b>").write_to(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xml:lang='en' \
         xmlns='urn:ietf:params:xml:ns:xmpp-streams'>a &lt;b&gt;</text></stream:error></stream:stream>"
    );
}

#[test]
fn what_is_advertised_fits_together() {
    let mut play = Play::new(Config { hashes: Vec::new(), ..config() }, Some(bindings()));
    let features = play.header("example.org");
    assert!(features.contains("PLAIN") && !features.contains("channel-binding"), "{features}");
    let mut play = Play::new(Config { tls: TlsPolicy::PlaintextAllowed, ..config() }, None);
    let features = play.header("example.org");
    assert!(features.contains("SCRAM-SHA-256") && !features.contains("PLAIN"), "{features}");
    assert!(!features.contains("<authentication") && !features.contains("<required/>"), "{features}");
    assert!(!features.contains("idle-seconds"), "{features}");
    let refused = play.say(&sasl2("SCRAM-SHA-256", "", ""));
    assert!(refused.contains("<encryption-required"), "{refused}");
}
