//! From a client's first header to its session.

mod registering;

use std::sync::Arc;

use super::action::{Action, BindRefusal, Credentials};
use super::authentication::{Attempt, Means, Profile, Proved, Step};
use super::config::Config;
use super::error::StreamError;
use super::fast::{Issued, TokenChange, Tokens};
use super::features;
use super::inline::{BindRequests, BoundResource, Requests, Success};
use super::management::{Failure as ManagementFailure, Resume, write_failed};
use crate::jid::{self, Jid};
use crate::random;
use crate::sasl::{Bindings, Failure, Mechanism};
use crate::xml::{Element, escape, namespaces as ns};

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
    /// The environment answers a question about registration.
    Registering,
    /// The environment moves the stream.
    MovingHome(Proved),
    /// The environment notes what becomes of the client's tokens. Unless the login stands and falls with it, it goes on
    /// without a new token if that fails.
    ChangingTokens { success: Box<Success>, stands_and_falls: bool },
    /// Legacy login has succeeded; a new header is next.
    LoggedIn,
    /// A legacy bind request is next.
    AwaitingBind,
    /// The environment looks for the stream to resume; the success is that of SASL2, `None` after a legacy login.
    Resuming(Option<Box<Success>>),
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
    Inline(Box<Success>),
}

/// The negotiation of one stream.
#[derive(Debug)]
pub struct Negotiation {
    config: Arc<Config>,
    state: State,
    domain: Option<String>,
    tls: Option<Bindings>,
    tries_left: usize,
    /// Tries to register, and to log in, are of one number each.
    registrations_left: usize,
    account: Option<Jid<'static>>,
    header_sent: bool,
    /// Who the client says it is, in its stream header.
    from: Option<Jid<'static>>,
    /// The token of an invitation that it has shown (XEP-0445).
    token: Option<Box<str>>,
    /// What the client asks for along with its login.
    requests: Requests,
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
            registrations_left: tries_left,
            account: None,
            header_sent: false,
            from: None,
            token: None,
            requests: Requests::default(),
        }
    }

    /// Whether an answer of the environment is awaited, not the client.
    pub fn is_waiting(&self) -> bool {
        match &self.state {
            State::Registering
            | State::StartingTls
            | State::MovingHome(_)
            | State::ChangingTokens { .. }
            | State::Resuming(_) => true,
            State::Binding(_) | State::Over => true,
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
            features::write_after_login(&mut out, &self.config, None);
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
            (State::Choosing, "iq", ns::CLIENT) if registering::is_about_registration(element) => {
                self.registration_request(element)
            }
            (State::Authenticating(attempt), "response", namespace) if namespace == attempt.profile().namespace() => {
                let step = attempt.on_response(&element.text());
                self.step(step)
            }
            (State::Authenticating(attempt), "abort", namespace) if namespace == attempt.profile().namespace() => {
                self.refuse(attempt.profile(), Failure::Aborted)
            }
            (State::AwaitingBind, "iq", ns::CLIENT) => self.bind_request(element),
            (State::AwaitingBind, name @ ("enable" | "resume"), ns::STREAM_MANAGEMENT)
                if self.config.features.stream_management =>
            {
                self.stream_management_request(name, element)
            }
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

    /// What [`Action::LookUpTokens`] has found: the tokens of the client, none if there is no such user or client, and
    /// why the account may not log in, if so. `now_s` is in seconds since 1970.
    pub fn on_tokens(&mut self, tokens: &Tokens, disabled: Option<Failure>, now_s: u64) -> Vec<Action> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Authenticating(attempt) => {
                let step = attempt.on_tokens(tokens, disabled, now_s);
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

    /// The stream is at the account's home; `now_s` is in seconds since 1970.
    pub fn on_home(&mut self, now_s: u64) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::MovingHome(proved) = state else { return self.unexpected(state) };
        if proved.profile == Profile::Legacy {
            self.state = State::LoggedIn;
            self.header_sent = false;
            let data = proved.additional_data.unwrap_or_default();
            let success = format!("<success xmlns='{}'>{data}</success>", ns::SASL);
            return vec![Action::Send(success.into_bytes()), Action::ExpectHeader];
        }
        let Some(account) = self.account.clone() else { return self.unexpected(State::Over) };
        let fast = self.requests.fast.take().unwrap_or_default();
        let lifetime_s = self.config.token_lifetime_s;
        // A new token is one that was asked for, or the successor of one that is due, but not of one that ends here.
        let due = proved.used.as_ref().map(|used| &used.token);
        let due = due.filter(|token| !fast.invalidate && token.is_due(lifetime_s, now_s)).map(|token| token.mechanism);
        let wanted = self.requests.token.take().or(due);
        let (issued, token) = wanted.map(|mechanism| Issued::new(mechanism, lifetime_s, now_s)).unzip();
        let stands_and_falls = proved.used.as_ref().is_some_and(|used| used.has_to_be_noted);
        let success =
            Box::new(Success { additional_data: proved.additional_data, token: issued, resumption: Vec::new() });
        match &self.requests.agent {
            Some(client) if stands_and_falls || token.is_some() => {
                let change = TokenChange::new(proved.used.as_ref(), &fast, token);
                self.state = State::ChangingTokens { success, stands_and_falls };
                vec![Action::ChangeTokens { account, client: client.clone(), change }]
            }
            _ => self.resume_or_bind(success),
        }
    }

    /// What became of [`Action::ChangeTokens`]: it is on disk, or nothing has changed.
    pub fn on_tokens_changed(&mut self, outcome: Result<(), Failure>) -> Vec<Action> {
        match (std::mem::replace(&mut self.state, State::Over), outcome) {
            (State::ChangingTokens { success, .. }, Ok(())) => self.resume_or_bind(success),
            (State::ChangingTokens { stands_and_falls: true, .. }, Err(failure)) => {
                self.refuse(Profile::Sasl2, failure)
            }
            (State::ChangingTokens { mut success, .. }, Err(_)) => {
                success.token = None;
                self.resume_or_bind(success)
            }
            (state, _) => self.unexpected(state),
        }
    }

    /// What became of [`Action::Resume`]: `<resumed/>`, or `<failed/>` and the client binds a resource instead; as it
    /// stands in the stream.
    pub fn on_resumed(&mut self, outcome: Result<Vec<u8>, Vec<u8>>) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::Resuming(success) = state else { return self.unexpected(state) };
        let (resumption, is_resumed) = match outcome {
            Ok(resumed) => (resumed, true),
            Err(failed) => (failed, false),
        };
        let mut out = Vec::new();
        match success {
            Some(mut success) if is_resumed => {
                success.resumption = resumption;
                let Some(account) = &self.account else { return self.unexpected(State::Over) };
                // The stream is established behind this; features are not sent again (XEP-0198 §9.2).
                success.write(&mut out, account);
            }
            Some(mut success) => {
                success.resumption = resumption;
                return self.bind_or_succeed(success);
            }
            None => out = resumption,
        }
        if is_resumed {
            return vec![Action::Send(out), Action::Resumed];
        }
        self.state = State::AwaitingBind;
        vec![Action::Send(out)]
    }

    /// What became of [`Action::Bind`].
    pub fn on_bound(&mut self, outcome: Result<BoundResource, BindRefusal>) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::Binding(kind) = state else { return self.unexpected(state) };
        match (kind, outcome) {
            (BindKind::Legacy { id }, Ok(bound)) => {
                let mut out = b"<iq type='result' id='".to_vec();
                escape::attribute(&mut out, &id);
                out.extend_from_slice(format!("'><bind xmlns='{}'><jid>", ns::BIND).as_bytes());
                escape::text(&mut out, bound.jid.as_str());
                out.extend_from_slice(b"</jid></bind></iq>");
                vec![Action::Established(bound.jid), Action::Send(out)]
            }
            (BindKind::Inline(success), Ok(bound)) => {
                let mut out = Vec::new();
                success.write_bound(&mut out, &bound);
                features::write_after_login(&mut out, &self.config, Some(&bound));
                vec![Action::Established(bound.jid), Action::Send(out)]
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
            (BindKind::Inline(_), Err(_)) => {
                self.fail(StreamError::resource_constraint("too many sessions of this account"))
            }
        }
    }

    /// Goes on with the earlier stream if the client wants that, else with a resource (XEP-0386 §3.2).
    fn resume_or_bind(&mut self, mut success: Box<Success>) -> Vec<Action> {
        match (self.requests.resume.take(), &self.account) {
            (Some(Ok(resume)), Some(account)) => {
                let account = account.clone();
                self.state = State::Resuming(Some(success));
                vec![Action::Resume { account, resume }]
            }
            (resume, _) => {
                success.resumption = resume.and_then(Result::err).map(failed).unwrap_or_default();
                self.bind_or_succeed(success)
            }
        }
    }

    fn bind_or_succeed(&mut self, success: Box<Success>) -> Vec<Action> {
        let Some(account) = self.account.clone() else { return self.unexpected(State::Over) };
        match self.requests.bind.take() {
            Some(bind) => {
                self.state = State::Binding(BindKind::Inline(success));
                let jid = account.with_resource(&bind.resource());
                vec![Action::Bind { jid, agent: self.requests.agent.take(), requests: bind.requests }]
            }
            None => {
                self.state = State::AwaitingBind;
                let mut out = Vec::new();
                success.write(&mut out, &account);
                features::write_after_login(&mut out, &self.config, None);
                vec![Action::Send(out)]
            }
        }
    }

    /// Stream management before there is a resource: nothing but resumption is possible (XEP-0198 §3, §5).
    fn stream_management_request(&mut self, name: &str, element: &Element) -> Vec<Action> {
        let resume = match name {
            "resume" => Resume::of(element).unwrap_or(Err(ManagementFailure::BadRequest)).map(Resume::into_owned),
            _ => Err(ManagementFailure::UnexpectedRequest),
        };
        match (resume, self.account.clone()) {
            (Ok(resume), Some(account)) => {
                self.state = State::Resuming(None);
                vec![Action::Resume { account, resume }]
            }
            (Err(failure), _) => {
                self.state = State::AwaitingBind;
                vec![Action::Send(failed(failure))]
            }
            (Ok(_), None) => self.unexpected(State::Over),
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
        let tokens = features::token_mechanisms(&self.config, &domain, self.tls.as_ref());
        self.requests = match profile {
            Profile::Legacy => Requests::default(),
            Profile::Sasl2 => match Requests::parse(element, &self.config, &tokens) {
                Ok(requests) => requests,
                Err(failure) => return self.refuse(profile, failure),
            },
        };
        // Who logs in with a token does so with a mechanism for tokens, and nobody else does (XEP-0484 §3.4).
        let means = match (&self.requests.fast, &self.requests.agent) {
            (None, _) => {
                offered.iter().find(|mechanism| mechanism.name() == name).map(|&mechanism| Means::Mechanism(mechanism))
            }
            (Some(request), Some(client)) => {
                let mechanism = tokens.iter().find(|mechanism| mechanism.name() == name);
                let (request, client) = (request.clone(), client.clone());
                mechanism.map(|&mechanism| Means::Token { mechanism, client, request })
            }
            (Some(_), None) => return self.refuse(profile, Failure::MalformedRequest),
        };
        let Some(means) = means else { return self.refuse(profile, Failure::InvalidMechanism) };
        let initial = match profile {
            Profile::Legacy => Some(element.text()).filter(|text| !text.is_empty()),
            Profile::Sasl2 => element.child("initial-response", ns::SASL2).map(|child| {
                // In an element of its own nothing means an empty response, not an absent one (XEP-0388 §2.2).
                let text = child.text();
                if text.is_empty() { "=".into() } else { text }
            }),
        };
        let offered_plus = offered.iter().any(|mechanism| matches!(mechanism, Mechanism::Scram { plus: true, .. }));
        let bindings = self.tls.clone().unwrap_or_default();
        let attempt = Attempt::new(profile, means, domain, offered_plus, bindings, self.from.clone());
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
            Step::LookUpTokens(attempt, account, client) => {
                self.state = State::Authenticating(attempt);
                vec![Action::LookUpTokens { account, client }]
            }
            Step::Success(account, proved) => {
                self.account = Some(account.clone());
                self.state = State::MovingHome(proved);
                vec![Action::Authenticated(account)]
            }
            Step::Failure(profile, failure) => self.refuse(profile, failure),
        }
    }

    fn refuse(&mut self, profile: Profile, failure: Failure) -> Vec<Action> {
        let (name, text) = (failure.condition(), failure.text());
        let text = text.map_or(String::new(), |text| format!("<text xml:lang='en'>{text}</text>"));
        let text = match profile {
            Profile::Legacy => format!("<failure xmlns='{}'><{name}/>{text}</failure>", ns::SASL),
            Profile::Sasl2 => format!("<failure xmlns='{}'><{name} xmlns='{}'/>{text}</failure>", ns::SASL2, ns::SASL),
        };
        self.state = State::Choosing;
        // A token may turn out to be void when the stream is at the account's home already.
        self.account = None;
        self.requests = Requests::default();
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
        let jid = account.with_resource(&resource);
        vec![Action::Bind { jid, agent: None, requests: BindRequests::default() }]
    }

    /// An answer that nobody has asked for: a fault of the environment.
    fn unexpected(&mut self, _state: State) -> Vec<Action> {
        self.fail(StreamError::internal_server_error(""))
    }
}

/// `<failed/>` (XEP-0198 §6) to a client that has no session.
fn failed(failure: ManagementFailure) -> Vec<u8> {
    let mut out = Vec::new();
    write_failed(&mut out, failure, None);
    out
}

/// Bytes of a resource that a client chooses.
const RESOURCE_BYTES_MAX: usize = 256;

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
