//! The dialogue from the first byte of a stream to a bound session.
//!
//! Two roads: SASL with resource binding as in RFC 6120 §6 and §7, and SASL2 with Bind 2 (XEP-0388, XEP-0386).
//! STARTTLS (RFC 6120 §5) comes before either where the plan says so. Either may resume a former session instead
//! (XEP-0198 §5).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

use super::element::{child, condition, escape, is, ns, with_element};
use super::management::Former;
use super::scanner::Piece;
use super::scram::{Exchange, Mechanism, SaltedPasswords};

/// What all sessions of a run do alike.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The domain that the accounts belong to.
    pub domain: String,
    /// Whether the stream is to be secured by STARTTLS.
    pub starttls: bool,
    /// How the client proves who it is.
    pub mechanism: Mechanism,
    /// SASL2 and Bind 2 instead of SASL and resource binding.
    pub sasl2: bool,
}

/// Whose session it is to be.
#[derive(Clone, Debug)]
pub struct Account {
    /// The localpart.
    pub user: String,
    /// The password.
    pub password: String,
    /// The resource to ask for; with Bind 2 the server makes one that begins with it.
    pub resource: String,
    /// The session to resume instead of a new one.
    pub former: Option<Former>,
}

/// What the caller has to do after a piece of the stream was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes to send.
    pub send: Vec<u8>,
    /// What follows.
    pub next: Next,
}

/// What follows an [`Outcome`].
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Read on.
    Continue,
    /// Expect a new stream header.
    RestartStream,
    /// Secure the connection, then call [`Negotiation::open`] again.
    StartTls,
    /// The session is bound to this full JID.
    Ready(String),
    /// The former session goes on; the server has handled so many of the client's stanzas.
    Resumed(u32),
}

#[derive(Debug)]
enum State {
    Opening,
    Features,
    Proceed,
    Sasl(Exchange),
    FeaturesAfterSasl,
    Bind { session_follows: bool },
    Session(String),
    Resume,
}

/// One dialogue.
#[derive(Debug)]
pub struct Negotiation {
    plan: Arc<Plan>,
    account: Account,
    nonce: String,
    state: State,
    secured: bool,
    round_trips: u32,
}

impl Negotiation {
    /// A dialogue for `account` that uses `nonce` (printable ASCII, no commas, used once) in SCRAM.
    pub fn new(plan: Arc<Plan>, account: Account, nonce: String) -> Self {
        let secured = !plan.starttls;
        Self { plan, account, nonce, state: State::Opening, secured, round_trips: 0 }
    }

    /// The stream header: to be sent when the connection stands, and again when it was secured.
    pub fn open(&mut self) -> Vec<u8> {
        if matches!(self.state, State::Proceed) {
            self.secured = true;
        }
        self.round_trips = 1;
        self.state = State::Features;
        self.header()
    }

    /// How often the client sent something and waited for the answer, since the connection was secured.
    pub fn round_trips(&self) -> u32 {
        self.round_trips
    }

    /// Takes the next piece of the stream.
    ///
    /// # Errors
    /// Why the dialogue cannot succeed, for the operator.
    pub fn on(&mut self, piece: &Piece<'_>, salted: &SaltedPasswords) -> Result<Outcome, String> {
        let outcome = match piece {
            Piece::Header(_) => Ok(Outcome { send: Vec::new(), next: Next::Continue }),
            Piece::End => Err("the server closed the stream before the session was bound".to_owned()),
            Piece::Stanza(stanza) => with_element(stanza, |element| {
                if is(element, ns::STREAMS, "error") {
                    return Err(format!("the server ended the stream: {}", condition(element)));
                }
                self.element(element, salted)
            })?,
        }?;
        if !outcome.send.is_empty() && !matches!(outcome.next, Next::Ready(_) | Next::Resumed(_)) {
            self.round_trips += 1;
        }
        Ok(outcome)
    }

    fn element(&mut self, element: Node<'_, '_>, salted: &SaltedPasswords) -> Result<Outcome, String> {
        match &mut self.state {
            State::Features if is(element, ns::STREAMS, "features") => self.features(element),
            State::Proceed if is(element, ns::STARTTLS, "proceed") => {
                Ok(Outcome { send: Vec::new(), next: Next::StartTls })
            }
            State::Proceed => Err("the server refused STARTTLS".to_owned()),
            State::Sasl(_) => self.sasl(element, salted),
            State::FeaturesAfterSasl if is(element, ns::STREAMS, "features") => self.bind(element),
            State::Resume => resumed(element),
            State::Bind { session_follows } if element.tag_name().name() == "iq" => {
                let jid = bound_jid(element)?;
                if *session_follows {
                    self.state = State::Session(jid);
                    return Ok(Outcome { send: Vec::new(), next: Next::Continue });
                }
                Ok(Outcome { send: Vec::new(), next: Next::Ready(jid) })
            }
            State::Session(jid) if element.tag_name().name() == "iq" => match element.attribute("type") {
                Some("result") => Ok(Outcome { send: Vec::new(), next: Next::Ready(std::mem::take(jid)) }),
                _ => Err("the server refused to start the session".to_owned()),
            },
            _ => Err(format!("the server sent <{}/> where nothing of the kind was due", element.tag_name().name())),
        }
    }

    fn features(&mut self, features: Node<'_, '_>) -> Result<Outcome, String> {
        let starttls = child(features, ns::STARTTLS, "starttls");
        if !self.secured {
            starttls.ok_or("the server does not offer STARTTLS; try --tls none or --tls direct")?;
            self.state = State::Proceed;
            return Ok(go_on(format!("<starttls xmlns='{}'/>", ns::STARTTLS)));
        }
        if starttls.is_some_and(|offer| child(offer, ns::STARTTLS, "required").is_some()) {
            return Err("the server requires TLS; use --tls starttls".to_owned());
        }
        self.authenticate(features, self.plan.mechanism, self.plan.sasl2)
    }

    fn authenticate(&mut self, features: Node<'_, '_>, mechanism: Mechanism, sasl2: bool) -> Result<Outcome, String> {
        let (list, missing) = if sasl2 {
            (child(features, ns::SASL2, "authentication"), "SASL2; leave out --sasl2")
        } else {
            (child(features, ns::SASL, "mechanisms"), "SASL")
        };
        let list = list.ok_or_else(|| format!("the server does not offer {missing}"))?;
        let names =
            || list.children().filter(|node| node.tag_name().name() == "mechanism").filter_map(|node| node.text());
        if !names().any(|name| name.trim() == mechanism.name()) {
            let offered: Vec<_> = names().map(str::trim).collect();
            return Err(format!("the server does not offer {mechanism}, only {}", offered.join(", ")));
        }
        let exchange = Exchange::new(mechanism, &self.account.user, &self.account.password, self.nonce.clone());
        let initial = STANDARD.encode(exchange.initial());
        self.state = State::Sasl(exchange);
        Ok(go_on(if sasl2 {
            let inline = match &self.account.former {
                Some(former) => former.resume(),
                None => format!("<bind xmlns='{}'><tag>{}</tag></bind>", ns::BIND2, escape(&self.account.resource)),
            };
            format!(
                "<authenticate xmlns='{}' mechanism='{mechanism}'><initial-response>{initial}</initial-response>\
                 <user-agent id='{}'><software>rondel-perf</software></user-agent>{inline}</authenticate>",
                ns::SASL2,
                client_id(&self.account)
            )
        } else {
            format!("<auth xmlns='{}' mechanism='{mechanism}'>{initial}</auth>", ns::SASL)
        }))
    }

    fn sasl(&mut self, element: Node<'_, '_>, salted: &SaltedPasswords) -> Result<Outcome, String> {
        let State::Sasl(exchange) = &mut self.state else {
            return Err("no SASL exchange is in progress".to_owned());
        };
        let sasl2 = element.tag_name().namespace() == Some(ns::SASL2);
        match element.tag_name().name() {
            "challenge" => {
                let answer = exchange.respond(&decoded(element)?, salted)?;
                let namespace = if sasl2 { ns::SASL2 } else { ns::SASL };
                Ok(go_on(format!("<response xmlns='{namespace}'>{}</response>", STANDARD.encode(answer))))
            }
            "success" if sasl2 => {
                let data = child(element, ns::SASL2, "additional-data").map(decoded).transpose()?;
                exchange.finish(data.as_deref())?;
                if self.account.former.is_some() {
                    let answer = element.children().find(|node| node.tag_name().namespace() == Some(ns::MANAGEMENT));
                    return resumed(answer.ok_or("the server did not answer <resume/> in its SASL2 success")?);
                }
                let jid = child(element, ns::SASL2, "authorization-identifier").and_then(|node| node.text());
                match (child(element, ns::BIND2, "bound"), jid) {
                    (Some(_), Some(jid)) => Ok(Outcome { send: Vec::new(), next: Next::Ready(jid.trim().to_owned()) }),
                    _ => Err("the server did not bind the session in its SASL2 success (XEP-0386)".to_owned()),
                }
            }
            "success" => {
                let data = Some(decoded(element)?).filter(|data| !data.is_empty());
                exchange.finish(data.as_deref())?;
                self.state = State::FeaturesAfterSasl;
                Ok(Outcome { send: self.header(), next: Next::RestartStream })
            }
            "failure" => Err(format!("the login of {} failed: {}", self.account.user, condition(element))),
            name => Err(format!("the server sent <{name}/> during the login")),
        }
    }

    fn bind(&mut self, features: Node<'_, '_>) -> Result<Outcome, String> {
        if let Some(former) = &self.account.former {
            child(features, ns::MANAGEMENT, "sm").ok_or("the server does not offer stream management")?;
            self.state = State::Resume;
            return Ok(go_on(former.resume()));
        }
        child(features, ns::BIND, "bind").ok_or("the server does not offer resource binding")?;
        let session_follows = child(features, ns::SESSION, "session")
            .is_some_and(|session| child(session, ns::SESSION, "optional").is_none());
        self.state = State::Bind { session_follows };
        let mut send = format!(
            "<iq type='set' id='bind'><bind xmlns='{}'><resource>{}</resource></bind></iq>",
            ns::BIND,
            escape(&self.account.resource)
        );
        if session_follows {
            // Asked for at once; the answer to it comes behind the one to the binding.
            send.push_str(&format!("<iq type='set' id='session'><session xmlns='{}'/></iq>", ns::SESSION));
        }
        Ok(go_on(send))
    }

    fn header(&self) -> Vec<u8> {
        format!(
            "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xml:lang='en' xmlns='jabber:client' \
             xmlns:stream='{}'>",
            escape(&self.plan.domain),
            ns::STREAMS
        )
        .into_bytes()
    }
}

fn go_on(send: String) -> Outcome {
    Outcome { send: send.into_bytes(), next: Next::Continue }
}

fn decoded(element: Node<'_, '_>) -> Result<Vec<u8>, String> {
    match element.text().map(str::trim) {
        None | Some("" | "=") => Ok(Vec::new()),
        Some(text) => STANDARD.decode(text).map_err(|_| "the server sent SASL data that is not base64".to_owned()),
    }
}

fn bound_jid(iq: Node<'_, '_>) -> Result<String, String> {
    let jid = child(iq, ns::BIND, "bind").and_then(|bind| child(bind, ns::BIND, "jid")).and_then(|jid| jid.text());
    match (iq.attribute("type"), jid) {
        (Some("result"), Some(jid)) => Ok(jid.trim().to_owned()),
        _ => Err("the server refused to bind the resource".to_owned()),
    }
}

fn resumed(element: Node<'_, '_>) -> Result<Outcome, String> {
    let handled = element.attribute("h").and_then(|handled| handled.parse().ok());
    match (is(element, ns::MANAGEMENT, "resumed"), handled) {
        (true, Some(handled)) => Ok(Outcome { send: Vec::new(), next: Next::Resumed(handled) }),
        (true, None) => Err("the server sent <resumed/> without a number".to_owned()),
        (false, _) => Err(format!("the server did not resume the session: {}", condition(element))),
    }
}

/// A stable identifier of this client for its account, shaped like the UUID that XEP-0388 §2.3 asks for.
fn client_id(account: &Account) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(format!("{}/{}", account.user, account.resource));
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

#[cfg(test)]
mod tests;
