//! From a client's first header to its session.

use std::sync::Arc;

use super::authentication::{Attempt, Profile, Step};
use super::error::StreamError;
use super::features;
use crate::jid::{self, Jid};
use crate::random;
use crate::sasl::{Bindings, Failure, Hash, Mechanism, ScramKeys, UnknownUsers};
use crate::xml::{Element, escape, namespaces as ns};

/// Whether a stream must be encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsPolicy {
    /// Nothing but STARTTLS is possible before.
    Required,
    /// For tests and measurements.
    PlaintextAllowed,
}

/// What negotiations of a server have in common.
#[derive(Clone, Debug)]
pub struct Config {
    /// The domains served, in normal form.
    pub domains: Vec<String>,
    /// Whether TLS must come first.
    pub tls: TlsPolicy,
    /// Whether there is a certificate, so that STARTTLS can be offered.
    pub tls_available: bool,
    /// The hash functions of the SCRAM mechanisms offered.
    pub hashes: Vec<Hash>,
    /// Whether PLAIN is offered.
    pub plain: bool,
    /// The domain whose users are anonymous.
    pub anonymous: Option<String>,
    /// Failed logins on one stream before it ends.
    pub tries: usize,
    /// Largest first-level element before and after login, to be advertised.
    pub max_bytes_before_login: usize,
    /// See `max_bytes_before_login`.
    pub max_bytes: usize,
    /// After how long a silent stream is looked after; zero for never.
    pub idle_seconds: u64,
    /// What unknown users look like.
    pub unknown: UnknownUsers,
    /// Rounds of new keys.
    pub iterations: u32,
}

/// What a client's stream header says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// The domain it wants.
    pub to: Option<String>,
    /// Who it says it is.
    pub from: Option<String>,
    /// The version of XMPP.
    pub version: Option<String>,
}

/// What is stored of a user.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Keys by hash function.
    pub keys: Vec<ScramKeys>,
    /// Nobody may log in.
    pub disabled: bool,
}

/// Why a resource was not bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BindRefusal {
    /// It is taken.
    Conflict,
    /// The account has too many.
    TooMany,
}

/// What the environment has to do. After an action that asks for an answer, nothing more of the client's bytes may be
/// handed in until the answer is: see [`Negotiation::is_waiting`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Begin TLS behind what was sent so far, then call [`Negotiation::on_tls`].
    StartTls,
    /// The next thing that the client sends is a stream header.
    ExpectHeader,
    /// Look the user up, then call [`Negotiation::on_credentials`].
    LookUp(Jid<'static>),
    /// Look the user up and verify the password on a side thread, then call [`Negotiation::on_password`].
    Verify {
        /// Whose.
        account: Jid<'static>,
        /// As it was sent.
        password: String,
    },
    /// The user has proved who it is: bring the stream to the account's home, then call [`Negotiation::on_home`].
    Authenticated(Jid<'static>),
    /// Bind this resource, then call [`Negotiation::on_bound`].
    Bind {
        /// The full JID.
        jid: Jid<'static>,
        /// The client's installation, if it says which (XEP-0388 §2.3): an earlier session of it ends. Never shown.
        agent: Option<String>,
    },
    /// A login has failed: count it against the address.
    LoginFailed(Failure),
    /// A session is established; what is left of the negotiation is to say so.
    Established(Jid<'static>),
    /// End the stream with this error; the header has been sent.
    Close(StreamError),
    /// End the stream without one.
    End,
}

/// Where a negotiation is.
#[derive(Debug)]
enum State {
    /// A stream header is next.
    Header,
    /// Features were sent; the client chooses.
    Choosing,
    /// STARTTLS was agreed on.
    StartingTls,
    /// Logging in.
    Authenticating(Box<Attempt>),
    /// The environment moves the stream; then this is what success says.
    MovingHome { profile: Profile, additional_data: Option<String> },
    /// Legacy login has succeeded; a new header is next.
    LoggedIn,
    /// A legacy bind request is next.
    AwaitingBind,
    /// The environment binds.
    Binding(BindKind),
    /// A session is there, or the stream has ended.
    Over,
}

/// Who asked for a resource.
#[derive(Debug)]
enum BindKind {
    /// An IQ with this id.
    Legacy { id: String },
    /// Bind 2; success is still to be sent.
    Inline { additional_data: Option<String> },
}

/// The negotiation of one stream.
#[derive(Debug)]
pub struct Negotiation {
    config: Arc<Config>,
    state: State,
    domain: Option<String>,
    tls: Option<Bindings>,
    tries_left: usize,
    account: Option<Jid<'static>>,
    header_sent: bool,
    /// Who the client says it is, in its stream header.
    from: Option<Jid<'static>>,
    /// What the client asked to be named by (XEP-0386 §4.2).
    pub(super) tag: Option<String>,
    pub(super) wants_bind: bool,
    /// Which installation of a client this is (XEP-0388 §2.3).
    agent: Option<String>,
}

impl Negotiation {
    /// The negotiation of a stream that has just been opened; `tls` if it began with TLS.
    pub fn new(config: Arc<Config>, tls: Option<Bindings>) -> Negotiation {
        let tries_left = config.tries.max(1);
        Negotiation {
            config,
            state: State::Header,
            domain: None,
            tls,
            tries_left,
            account: None,
            header_sent: false,
            from: None,
            tag: None,
            wants_bind: false,
            agent: None,
        }
    }

    /// Whether an answer of the environment is awaited, not the client.
    pub fn is_waiting(&self) -> bool {
        match &self.state {
            State::StartingTls | State::MovingHome { .. } | State::Binding(_) | State::Over => true,
            State::Authenticating(attempt) => attempt.is_waiting(),
            State::Header | State::Choosing | State::LoggedIn | State::AwaitingBind => false,
        }
    }

    /// Who has logged in, once that is proved.
    pub fn account(&self) -> Option<&Jid<'static>> {
        self.account.as_ref()
    }

    /// Whether the user has proved who it is.
    pub fn is_authenticated(&self) -> bool {
        self.account.is_some()
    }

    /// Ends the stream with an error, opening it first if need be.
    pub fn fail(&mut self, error: StreamError) -> Vec<Action> {
        self.state = State::Over;
        let mut actions = Vec::new();
        if !std::mem::replace(&mut self.header_sent, true) {
            let mut header = Vec::new();
            let domain = self.domain.as_deref().or(self.config.domains.first().map(String::as_str));
            features::write_header(&mut header, domain, None, &random::name());
            actions.push(Action::Send(header));
        }
        actions.push(Action::Close(error));
        actions
    }

    /// The client has opened a stream.
    pub fn on_header(&mut self, header: &Header) -> Vec<Action> {
        if !matches!(self.state, State::Header | State::LoggedIn) {
            return self.fail(StreamError::bad_format("a stream within a stream"));
        }
        let wanted = header.to.as_deref().map(jid::domainpart);
        let served = |domain: &str| self.config.domains.iter().any(|served| served == domain);
        let domain = match wanted {
            Some(Ok(domain)) if served(&domain) => domain.into_owned(),
            Some(_) => return self.fail(StreamError::host_unknown("this domain is not served here")),
            None => return self.fail(StreamError::host_unknown("the stream header says not to which domain")),
        };
        if self.account.as_ref().is_some_and(|account| account.domain() != domain) {
            return self.fail(StreamError::not_authorized("the login was for another domain"));
        }
        if !header.version.as_deref().is_some_and(is_version_1) {
            return self.fail(StreamError::unsupported_version("XMPP 1.0 is spoken here"));
        }
        // What is no address says nothing.
        self.from = header.from.as_deref().and_then(|from| Jid::parse(from).ok()).map(Jid::into_owned);
        if let Some(from) = &self.from {
            let is_other = |account: &Jid<'_>| from.local().is_some() && from.bare() != account.bare();
            if from.domain() != domain || self.account.as_ref().is_some_and(is_other) {
                return self.fail(StreamError::invalid_from("the stream header says that this is somebody else"));
            }
        }
        let mut out = Vec::with_capacity(1024);
        let to = header.from.as_deref().filter(|_| self.from.is_some());
        features::write_header(&mut out, Some(&domain), to, &random::name());
        self.header_sent = true;
        if self.is_authenticated() {
            features::write_after_login(&mut out, &self.config, false);
            self.state = State::AwaitingBind;
        } else {
            features::write_before_login(&mut out, &self.config, &domain, self.tls.as_ref());
            self.state = State::Choosing;
        }
        self.domain = Some(domain);
        vec![Action::Send(out)]
    }

    /// The client has closed its stream.
    pub fn on_end(&mut self) -> Vec<Action> {
        self.state = State::Over;
        vec![Action::Send(b"</stream:stream>".to_vec()), Action::End]
    }

    /// The client has sent a first-level element.
    pub fn on_element(&mut self, element: &Element) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, element.name.as_str(), element.namespace.as_str()) {
            (State::Choosing, "starttls", ns::TLS) => self.starttls(),
            (State::Choosing, "auth", ns::SASL) => self.begin(Profile::Legacy, element),
            (State::Choosing, "authenticate", ns::SASL2) => self.begin(Profile::Sasl2, element),
            (State::Authenticating(attempt), "response", namespace) if namespace == attempt.profile().namespace() => {
                let step = attempt.on_response(&element.text());
                self.step(step)
            }
            (State::Authenticating(attempt), "abort", namespace) if namespace == attempt.profile().namespace() => {
                self.refuse(attempt.profile(), Failure::Aborted)
            }
            (State::AwaitingBind, "iq", ns::CLIENT) => self.bind_request(element),
            _ => self.fail(StreamError::not_authorized("log in and bind a resource first")),
        }
    }

    /// TLS is established; the client opens a new stream in it.
    pub fn on_tls(&mut self, bindings: Bindings) -> Vec<Action> {
        self.tls = Some(bindings);
        self.domain = None;
        self.header_sent = false;
        self.state = State::Header;
        Vec::new()
    }

    /// What [`Action::LookUp`] has found; `None` if there is no such user.
    pub fn on_credentials(&mut self, credentials: Option<Credentials>) -> Vec<Action> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Authenticating(attempt) => {
                let (domain, tls) = (self.domain.as_deref().unwrap_or_default(), self.tls.as_ref());
                let step = attempt.on_credentials(&self.config, domain, tls, credentials);
                self.step(step)
            }
            state => self.unexpected(state),
        }
    }

    /// Whether the password of [`Action::Verify`] was right; `None` if it could not be found out.
    pub fn on_password(&mut self, outcome: Option<Result<(), Failure>>) -> Vec<Action> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Authenticating(attempt) => {
                let step = attempt.on_password(outcome.unwrap_or(Err(Failure::TemporaryAuthFailure)));
                self.step(step)
            }
            state => self.unexpected(state),
        }
    }

    /// The lookup failed.
    pub fn on_storage_failure(&mut self) -> Vec<Action> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Authenticating(attempt) => self.refuse(attempt.profile(), Failure::TemporaryAuthFailure),
            state => self.unexpected(state),
        }
    }

    /// The stream is at the account's home.
    pub fn on_home(&mut self) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::MovingHome { profile, additional_data } = state else { return self.unexpected(state) };
        let Some(account) = self.account.clone() else { return self.unexpected(State::Over) };
        match profile {
            Profile::Legacy => {
                self.state = State::LoggedIn;
                self.header_sent = false;
                let data = additional_data.unwrap_or_default();
                let success = format!("<success xmlns='{}'>{data}</success>", ns::SASL);
                vec![Action::Send(success.into_bytes()), Action::ExpectHeader]
            }
            Profile::Sasl2 if self.wants_bind => {
                let tag = self.tag.take().and_then(|tag| jid::resourcepart(&tag).ok().map(|tag| tag.into_owned()));
                let resource = match tag {
                    Some(tag) if tag.len() <= TAG_BYTES_MAX => format!("{tag}/{}", random::name()),
                    _ => random::name(),
                };
                self.state = State::Binding(BindKind::Inline { additional_data });
                vec![Action::Bind { jid: account.with_resource(&resource), agent: self.agent.take() }]
            }
            Profile::Sasl2 => {
                self.state = State::AwaitingBind;
                let mut out = sasl2_success(&account, additional_data.as_deref(), "");
                features::write_after_login(&mut out, &self.config, false);
                vec![Action::Send(out)]
            }
        }
    }

    /// What became of [`Action::Bind`].
    pub fn on_bound(&mut self, outcome: Result<Jid<'static>, BindRefusal>) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::Binding(kind) = state else { return self.unexpected(state) };
        match (kind, outcome) {
            (BindKind::Legacy { id }, Ok(jid)) => {
                let mut out = b"<iq type='result' id='".to_vec();
                escape::attribute(&mut out, &id);
                out.extend_from_slice(format!("'><bind xmlns='{}'><jid>", ns::BIND).as_bytes());
                escape::text(&mut out, jid.as_str());
                out.extend_from_slice(b"</jid></bind></iq>");
                vec![Action::Established(jid), Action::Send(out)]
            }
            (BindKind::Inline { additional_data }, Ok(jid)) => {
                let bound = format!("<bound xmlns='{}'/>", ns::BIND2);
                let mut out = sasl2_success(&jid, additional_data.as_deref(), &bound);
                features::write_after_login(&mut out, &self.config, true);
                vec![Action::Established(jid), Action::Send(out)]
            }
            (BindKind::Legacy { id }, Err(refusal)) => {
                self.state = State::AwaitingBind;
                let (kind, condition) = match refusal {
                    BindRefusal::Conflict => ("cancel", "conflict"),
                    BindRefusal::TooMany => ("wait", "resource-constraint"),
                };
                vec![Action::Send(iq_error(&id, kind, condition))]
            }
            // A name of ours is never taken; Bind 2 has no error of its own.
            (BindKind::Inline { .. }, Err(_)) => {
                self.fail(StreamError::resource_constraint("too many sessions of this account"))
            }
        }
    }

    fn starttls(&mut self) -> Vec<Action> {
        if self.tls.is_some() || !self.config.tls_available {
            let failure = format!("<failure xmlns='{}'/></stream:stream>", ns::TLS);
            return vec![Action::Send(failure.into_bytes()), Action::End];
        }
        self.state = State::StartingTls;
        let proceed = format!("<proceed xmlns='{}'/>", ns::TLS);
        vec![Action::Send(proceed.into_bytes()), Action::StartTls]
    }

    fn begin(&mut self, profile: Profile, element: &Element) -> Vec<Action> {
        let domain = self.domain.clone().unwrap_or_default();
        let offered = features::mechanisms(&self.config, &domain, self.tls.as_ref());
        if offered.is_empty() || (profile == Profile::Sasl2 && self.tls.is_none()) {
            return self.refuse(profile, Failure::EncryptionRequired);
        }
        let name = element.attribute("mechanism").unwrap_or_default();
        let Some(&mechanism) = offered.iter().find(|mechanism| mechanism.name() == name) else {
            return self.refuse(profile, Failure::InvalidMechanism);
        };
        let initial = match profile {
            Profile::Legacy => Some(element.text()).filter(|text| !text.is_empty()),
            Profile::Sasl2 => element.child("initial-response", ns::SASL2).map(|child| {
                // In an element of its own nothing means an empty response, not an absent one (XEP-0388 §2.2).
                let text = child.text();
                if text.is_empty() { "=".into() } else { text }
            }),
        };
        if profile == Profile::Sasl2 {
            let bind = element.child("bind", ns::BIND2);
            self.wants_bind = bind.is_some();
            let agent = element.child("user-agent", ns::SASL2).and_then(|agent| agent.attribute("id"));
            self.agent = agent.filter(|agent| (1..=AGENT_BYTES_MAX).contains(&agent.len())).map(str::to_owned);
            self.tag = bind.and_then(|bind| bind.child("tag", ns::BIND2)).map(|tag| tag.text().to_string());
        }
        let offered_plus = offered.iter().any(|mechanism| matches!(mechanism, Mechanism::Scram { plus: true, .. }));
        let bindings = self.tls.clone().unwrap_or_default();
        let attempt = Attempt::new(profile, mechanism, domain, offered_plus, bindings, self.from.clone());
        let step = match initial {
            Some(initial) => attempt.on_response(&initial),
            None => attempt.ask(),
        };
        self.step(step)
    }

    fn step(&mut self, step: Step) -> Vec<Action> {
        match step {
            Step::Challenge(attempt, challenge) => {
                let namespace = attempt.profile().namespace();
                self.state = State::Authenticating(attempt);
                vec![Action::Send(format!("<challenge xmlns='{namespace}'>{challenge}</challenge>").into_bytes())]
            }
            Step::LookUp(attempt, account) => {
                self.state = State::Authenticating(attempt);
                vec![Action::LookUp(account)]
            }
            Step::Verify(attempt, account, password) => {
                self.state = State::Authenticating(attempt);
                vec![Action::Verify { account, password }]
            }
            Step::Success { profile, account, additional_data } => {
                self.account = Some(account.clone());
                self.state = State::MovingHome { profile, additional_data };
                vec![Action::Authenticated(account)]
            }
            Step::Failure(profile, failure) => self.refuse(profile, failure),
        }
    }

    fn refuse(&mut self, profile: Profile, failure: Failure) -> Vec<Action> {
        let name = failure.condition();
        let text = match profile {
            Profile::Legacy => format!("<failure xmlns='{}'><{name}/></failure>", ns::SASL),
            Profile::Sasl2 => format!("<failure xmlns='{}'><{name} xmlns='{}'/></failure>", ns::SASL2, ns::SASL),
        };
        self.state = State::Choosing;
        let mut actions = vec![Action::Send(text.into_bytes()), Action::LoginFailed(failure)];
        self.tries_left -= 1;
        if self.tries_left == 0 {
            actions.extend(self.fail(StreamError::policy_violation("too many failed logins")));
        }
        actions
    }

    fn bind_request(&mut self, iq: &Element) -> Vec<Action> {
        let id = iq.attribute("id").unwrap_or_default().to_owned();
        let Some(account) = self.account.clone() else { return self.unexpected(State::Over) };
        if iq.attribute("type") != Some("set") {
            return self.fail(StreamError::not_authorized("bind a resource first"));
        }
        // Old clients establish a session as well, some before they bind (RFC 3921 §3).
        if iq.child("session", ns::SESSION).is_some() {
            self.state = State::AwaitingBind;
            let mut out = b"<iq type='result' id='".to_vec();
            escape::attribute(&mut out, &id);
            out.extend_from_slice(b"'/>");
            return vec![Action::Send(out)];
        }
        let Some(bind) = iq.child("bind", ns::BIND) else {
            return self.fail(StreamError::not_authorized("bind a resource first"));
        };
        let wanted = bind.child("resource", ns::BIND).map(|resource| resource.text().to_string());
        let resource = match wanted.as_deref().filter(|resource| !resource.is_empty()).map(jid::resourcepart) {
            None => random::name(),
            // It stands in every stanza of the session: one that is too long for that gets a name of ours.
            Some(Ok(resource)) if resource.len() > RESOURCE_BYTES_MAX => random::name(),
            Some(Ok(resource)) => resource.into_owned(),
            Some(Err(_)) => {
                self.state = State::AwaitingBind;
                return vec![Action::Send(iq_error(&id, "modify", "bad-request"))];
            }
        };
        self.state = State::Binding(BindKind::Legacy { id });
        vec![Action::Bind { jid: account.with_resource(&resource), agent: None }]
    }

    /// An answer that nobody has asked for: a fault of the environment.
    fn unexpected(&mut self, _state: State) -> Vec<Action> {
        self.fail(StreamError::internal_server_error(""))
    }
}

/// Bytes of a resource that a client chooses.
const RESOURCE_BYTES_MAX: usize = 256;

/// Bytes of the name of a client's installation.
const AGENT_BYTES_MAX: usize = 128;

/// Bytes of a client's tag that are taken into its resource.
const TAG_BYTES_MAX: usize = 256;

fn sasl2_success(jid: &Jid<'_>, additional_data: Option<&str>, inline: &str) -> Vec<u8> {
    let mut out = format!("<success xmlns='{}'>", ns::SASL2).into_bytes();
    if let Some(data) = additional_data {
        out.extend_from_slice(format!("<additional-data>{data}</additional-data>").as_bytes());
    }
    out.extend_from_slice(b"<authorization-identifier>");
    escape::text(&mut out, jid.as_str());
    out.extend_from_slice(format!("</authorization-identifier>{inline}</success>").as_bytes());
    out
}

fn iq_error(id: &str, kind: &str, condition: &str) -> Vec<u8> {
    let mut out = b"<iq type='error' id='".to_vec();
    escape::attribute(&mut out, id);
    let error = format!("'><error type='{kind}'><{condition} xmlns='{}'/></error></iq>", ns::STANZA_ERRORS);
    out.extend_from_slice(error.as_bytes());
    out
}

/// A version with major part 1 (RFC 6120 §4.7.5); a higher one speaks 1.0 too.
fn is_version_1(version: &str) -> bool {
    let parts = version.split_once('.').map(|(major, minor)| (major.parse::<u32>(), minor.parse::<u32>()));
    matches!(parts, Some((Ok(1..), Ok(_))))
}
