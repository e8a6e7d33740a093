//! What is found where, and what a request asks for.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use http_body_util::Either;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, StatusCode};
use maud::Markup;
use rondel_storage::invites::StoredInvite;

use super::exchange::last;
use super::feed::Feed;
use super::guard::{Guard, is_foreign};
use super::pages::{self, Shown, Welcome};
use super::{Request, Response};
use crate::jid;
use crate::registration::{Challenge, Mode, Networks, Policy, Submission, invite_uri, is_token};
use crate::stream::Refusal;

/// Nothing is loaded but how the pages look, nothing is sent elsewhere, and no other page shows them in itself.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; \
                              frame-ancestors 'none'; base-uri 'none'";

/// Where accounts are fetched.
const EXPORT: &str = "/export/";

/// Fields of a form that are looked at.
const FIELDS_MAX: usize = 64;

/// The port that addresses need not name.
const HTTPS_PORT: u16 = 443;

/// The web site of a server's domains.
#[derive(Default)]
pub struct Site {
    /// Domains by the names of hosts under which they are found.
    hosts: HashMap<String, String>,
    /// Where domains are found, by what operators say.
    urls: HashMap<String, String>,
    /// On which port they are found otherwise.
    port: AtomicU16,
    /// Who asks on behalf of others.
    pub proxies: Networks,
    /// How those who run the server are reached: a URI.
    help: Option<String>,
    guard: Guard,
}

/// Somebody who is invited.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Invited {
    /// By whom: a bare JID; `None`: by the operator.
    pub inviter: Option<String>,
    /// Whether an account can be made with it.
    pub registers: bool,
    /// The name of that, if it is fixed.
    pub username: Option<String>,
    /// Whether the password of that account is set anew with it.
    pub resets: bool,
    /// What a client opens.
    pub uri: String,
    /// The token.
    pub token: String,
}

/// What was filled into the form to register with.
#[derive(Clone, Debug)]
pub struct Filled {
    /// The domain.
    pub domain: String,
    /// The visitor, as the cookie names them.
    visitor: String,
    /// The token of an invitation.
    pub token: Option<String>,
    /// The invitation, once it was looked up.
    pub invited: Option<Invited>,
    /// The values.
    pub submission: Rc<Submission>,
}

/// What a request asks for.
#[derive(Debug)]
pub enum Visit {
    /// Something that is known at once.
    Answered(Response),
    /// The page of an invitation, which has to be looked up.
    Invitation {
        /// The domain.
        domain: String,
        /// The token.
        token: String,
    },
    /// All that is stored of an account, which has to be looked for.
    Export {
        /// The domain.
        domain: String,
        /// The token.
        token: String,
    },
    /// The form to register with; its invitation has to be looked up, if there is one.
    Form(Filled),
    /// The form once more: it was not filled in as it has to be.
    Wrong(Filled, StatusCode, &'static str),
    /// To register.
    Register(Filled),
}

impl Invited {
    /// Who comes with this invitation, of which this is the token, to a domain.
    pub fn new(domain: &str, stored: &StoredInvite, token: &str) -> Invited {
        let invite = &stored.invite;
        Invited {
            inviter: invite.inviter.clone(),
            registers: invite.registers,
            username: invite.username.clone(),
            resets: invite.resets,
            uri: invite_uri(domain, invite, token),
            token: token.to_owned(),
        }
    }
}

impl Site {
    /// The site of these domains, some of which are found elsewhere than under their own names: at these addresses,
    /// such as `https://xmpp.example.org`.
    pub fn new(domains: &[String], urls: &[(String, String)], proxies: Networks) -> Site {
        let mut hosts = HashMap::new();
        for domain in domains {
            hosts.insert(domain.clone(), domain.clone());
            if let Ok(ascii) = idna::domain_to_ascii(domain) {
                hosts.insert(ascii, domain.clone());
            }
        }
        for (domain, url) in urls {
            hosts.insert(host_in(url.trim_start_matches("https://")).to_ascii_lowercase(), domain.clone());
        }
        Site { hosts, urls: urls.iter().cloned().collect(), proxies, ..Site::default() }
    }

    /// The same, where this URI is for those who cannot help themselves.
    pub fn with_help(self, uri: Option<&str>) -> Site {
        Site { help: uri.map(str::to_owned), ..self }
    }

    /// Has addresses name this port, if they have to.
    pub fn set_port(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    /// Where a page of a domain is found from outside.
    pub fn url(&self, domain: &str, path: &str) -> String {
        if let Some(url) = self.urls.get(domain) {
            return format!("{url}{path}");
        }
        let host = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned());
        match self.port.load(Ordering::Relaxed) {
            HTTPS_PORT => format!("https://{host}{path}"),
            port => format!("https://{host}:{port}{path}"),
        }
    }

    /// Where an account can be made.
    pub fn registration_url(&self, domain: &str) -> String {
        self.url(domain, "/register")
    }

    /// Where an invitation to a domain can be looked at.
    pub fn invitation_url(&self, domain: &str, token: &str) -> String {
        self.url(domain, &format!("/invite/{token}"))
    }

    /// Where all that is stored of an account of a domain can be fetched.
    pub fn export_url(&self, domain: &str, token: &str) -> String {
        self.url(domain, &format!("{EXPORT}{token}"))
    }

    /// What a request asks for, at this time in seconds since 1970.
    pub fn visit(&self, request: &Request, policy: &Policy, now_s: u64) -> Visit {
        let Some(domain) = self.domain_of(request) else {
            return Visit::Answered(plain(StatusCode::MISDIRECTED_REQUEST, "There is no such site here.\n"));
        };
        let (path, is_get) = (request.uri().path(), matches!(*request.method(), Method::GET | Method::HEAD));
        let known = |page: Response| if is_get { Visit::Answered(page) } else { Visit::Answered(only("GET, HEAD")) };
        if let Some(token) = path.strip_prefix(EXPORT) {
            // Whoever only looks, as programs do that show links, does not use it up.
            return match (request.method(), is_token(token)) {
                (&Method::GET, true) => Visit::Export { domain, token: token.to_owned() },
                (&Method::GET, false) => Visit::Answered(unknown_link(&domain)),
                _ => Visit::Answered(only("GET")),
            };
        }
        match path.strip_prefix("/invite/") {
            Some(token) if is_get && is_token(token) => Visit::Invitation { domain, token: token.to_owned() },
            Some(_) if is_get => Visit::Answered(unknown_invitation(&domain)),
            Some(_) => Visit::Answered(only("GET, HEAD")),
            None => match path {
                "/" => known(page(StatusCode::OK, pages::front(&domain, policy.mode))),
                "/style.css" => known(style()),
                "/register" if is_get => self.form_asked(domain, request, policy),
                "/register" if *request.method() == Method::POST => self.form_sent(domain, request, policy, now_s),
                "/register" => Visit::Answered(only("GET, HEAD, POST")),
                _ => Visit::Answered(page(
                    StatusCode::NOT_FOUND,
                    pages::notice(&domain, "There is nothing here", "Perhaps the address was mistyped."),
                )),
            },
        }
    }

    fn domain_of(&self, request: &Request) -> Option<String> {
        // What asks a proxy names the host in the request itself.
        let host = match request.uri().authority() {
            Some(authority) => Some(authority.as_str()),
            None => request.headers().get(HOST).and_then(|value| value.to_str().ok()),
        };
        self.hosts.get(&host_in(host?).to_ascii_lowercase()).cloned()
    }

    fn form_asked(&self, domain: String, request: &Request, policy: &Policy) -> Visit {
        let pairs = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
        let token = pairs.into_iter().find(|(name, _)| name == "t").map(|(_, token)| token.into_owned());
        match token {
            Some(token) if !is_token(&token) => Visit::Answered(unknown_invitation(&domain)),
            Some(token) => Visit::Form(Filled { token: Some(token), ..Filled::empty(domain, request) }),
            None if let Some(page) = not_open(&domain, policy.mode) => Visit::Answered(page),
            None => Visit::Form(Filled::empty(domain, request)),
        }
    }

    fn form_sent(&self, domain: String, request: &Request, policy: &Policy, now_s: u64) -> Visit {
        let pairs = form_urlencoded::parse(request.body()).take(FIELDS_MAX);
        let submission = Submission::of(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())));
        let token = submission.value("t").map(str::to_owned);
        if let (None, Some(page)) = (&token, not_open(&domain, policy.mode)) {
            return Visit::Answered(page);
        }
        let filled = Filled { token, submission: Rc::new(submission), ..Filled::empty(domain, request) };
        let seal = filled.submission.value("seal").unwrap_or_default();
        if is_foreign(request.headers()) || !self.guard.holds(&filled.visitor, seal, now_s) {
            let wrong = "This page was open for too long, or your browser keeps no cookies. Please send it again.";
            return Visit::Wrong(filled, StatusCode::FORBIDDEN, wrong);
        }
        if filled.submission.value("password") != filled.submission.value("password2") {
            let wrong = "The two passwords are not the same.";
            return Visit::Wrong(filled, StatusCode::UNPROCESSABLE_ENTITY, wrong);
        }
        Visit::Register(filled)
    }

    /// The form to register with, as it was filled in.
    pub fn form(
        &self,
        status: StatusCode,
        filled: &Filled,
        policy: &Policy,
        wrong: Option<&str>,
        challenge: Option<&Challenge>,
        now_s: u64,
    ) -> Response {
        let seal = self.guard.seal(&filled.visitor, now_s);
        let shown = Shown { wrong, seal: &seal, challenge, help: self.help.as_deref() };
        let mut response = page(status, pages::registration(filled, policy, shown));
        set(&mut response, SET_COOKIE, &Guard::cookie(&filled.visitor));
        response
    }
}

impl Filled {
    fn empty(domain: String, request: &Request) -> Filled {
        let visitor = Guard::visitor(request.headers()).map_or_else(Guard::new_visitor, str::to_owned);
        Filled { domain, visitor, token: None, invited: None, submission: Rc::default() }
    }

    /// The page that is seen in the end.
    pub fn welcomed(&self, welcome: Welcome) -> Response {
        let username = self.submission.value("username").unwrap_or_default();
        let username = jid::localpart(username).unwrap_or_default();
        page(StatusCode::OK, pages::welcome(&self.domain, &username, welcome))
    }
}

/// What is seen where nobody registers without an invitation, or at all.
fn not_open(domain: &str, mode: Mode) -> Option<Response> {
    let (title, words) = match mode {
        Mode::Open | Mode::Approve => return None,
        Mode::Invite => ("You need an invitation", "Accounts are made by invitation: ask somebody who has one."),
        Mode::Closed => ("Registration is closed", "Accounts are made by those who run the server."),
    };
    Some(page(StatusCode::FORBIDDEN, pages::notice(domain, title, words)))
}

/// The page of an invitation to a domain.
pub fn invitation(domain: &str, invited: Option<&Invited>) -> Response {
    match invited {
        Some(invited) => page(StatusCode::OK, pages::invitation(domain, invited)),
        None => unknown_invitation(domain),
    }
}

fn unknown_invitation(domain: &str) -> Response {
    let words = "It is unknown, has been used, or is too old. Ask whoever has sent it for another one.";
    page(StatusCode::NOT_FOUND, pages::notice(domain, "This invitation does not hold", words))
}

/// What whoever follows a link to an account gets: a file.
pub fn export(account: &str, feed: Feed) -> Response {
    let mut response = Response::new(Either::Right(feed));
    describe(&mut response, "application/xml");
    set(&mut response, CACHE_CONTROL, "no-store");
    let plain = |c: char| if c.is_ascii_alphanumeric() || "@.-_".contains(c) { c } else { '_' };
    let name: String = account.chars().map(plain).collect();
    set(&mut response, CONTENT_DISPOSITION, &format!("attachment; filename=\"{name}.xml\""));
    last(response)
}

/// What is answered to a link that holds no more.
pub fn unknown_link(domain: &str) -> Response {
    let words = "It is unknown, has been used, or is too old. Your client gets you another one.";
    page(StatusCode::NOT_FOUND, pages::notice(domain, "This link does not hold", words))
}

/// What is answered while as many fetch something as may at once.
pub fn busy(domain: &str) -> Response {
    let words = "Others fetch their data just now. Please try again in a minute: your link holds.";
    let mut response = page(StatusCode::SERVICE_UNAVAILABLE, pages::notice(domain, "Please wait", words));
    set(&mut response, RETRY_AFTER, "60");
    response
}

/// What is answered where the server cannot.
pub fn failed(domain: &str) -> Response {
    let words = "Please try again later.";
    page(StatusCode::INTERNAL_SERVER_ERROR, pages::notice(domain, "The server has failed", words))
}

/// What is answered to somebody who asks too often.
pub fn too_often() -> Response {
    let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "Too many requests come from your address.\n");
    set(&mut response, RETRY_AFTER, "60");
    last(response)
}

/// What is answered to somebody who is not let in.
pub fn banned() -> Response {
    last(plain(StatusCode::FORBIDDEN, "Your address is banned.\n"))
}

/// What is answered to a proxy that does not say for whom it asks.
pub fn unknown_visitor() -> Response {
    last(plain(StatusCode::BAD_REQUEST, "The proxy does not say for whom it asks (X-Forwarded-For).\n"))
}

/// A host without its port.
fn host_in(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// How somebody is refused: in a code, and in words.
pub fn refusal(refusal: &Refusal) -> (StatusCode, &str) {
    let (status, words) = match (refusal.kind, refusal.condition) {
        (_, "conflict") => (StatusCode::CONFLICT, "This name is taken."),
        (_, "internal-server-error") => (StatusCode::INTERNAL_SERVER_ERROR, "The server has failed."),
        ("wait", _) => (StatusCode::TOO_MANY_REQUESTS, "Too many register just now. Please try again later."),
        (_, "forbidden" | "service-unavailable") => (StatusCode::FORBIDDEN, "You may not register here."),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "Something is missing, or not as it has to be."),
    };
    (status, refusal.text.as_deref().unwrap_or(words))
}

fn page(status: StatusCode, markup: Markup) -> Response {
    let mut response = answer(status, "text/html; charset=utf-8", markup.into_string().into());
    set(&mut response, CACHE_CONTROL, "no-store");
    response
}

fn plain(status: StatusCode, words: &'static str) -> Response {
    answer(status, "text/plain; charset=utf-8", Bytes::from_static(words.as_bytes()))
}

fn style() -> Response {
    let mut response = answer(StatusCode::OK, "text/css; charset=utf-8", Bytes::from_static(pages::STYLE.as_bytes()));
    set(&mut response, CACHE_CONTROL, "max-age=3600");
    response
}

fn only(methods: &'static str) -> Response {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "This is not done here.\n");
    set(&mut response, ALLOW, methods);
    response
}

fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Either::Left(body.into()));
    *response.status_mut() = status;
    describe(&mut response, kind);
    response
}

/// Says what it is, and what a browser may do with it.
fn describe(response: &mut Response, kind: &'static str) {
    set(response, CONTENT_TYPE, kind);
    set(response, CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    set(response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    // With less, browsers do not say where a form comes from.
    set(response, REFERRER_POLICY, "same-origin");
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
