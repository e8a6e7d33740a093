//! What a client asks for along with its login, so that one round trip is enough: Bind 2 (XEP-0386) with the features
//! of the session to be, stream management (XEP-0198 §9), tokens (XEP-0484). Read from `<authenticate/>` here, and
//! answered in `<success/>`.
//!
//! Stream management itself is not here: a request is passed on as it was read, an answer is what whoever manages
//! streams has written.

use super::config::Config;
use super::fast::{FastRequest, Issued};
use super::management::{Enable, Failure as ManagementFailure, Resume};
use crate::jid::{self, Jid};
use crate::random;
use crate::sasl::{Failure, Ht};
use crate::xml::{Element, escape, namespaces as ns};

/// Bytes of the name of a client's installation.
const AGENT_BYTES_MAX: usize = 128;

/// Bytes of a client's tag that are taken into its resource.
const TAG_BYTES_MAX: usize = 256;

/// Which features a session can have from its beginning, and whether a stream can be resumed. What is not supported is
/// neither advertised nor looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SessionFeatures {
    /// Stream management with resumption (XEP-0198).
    pub stream_management: bool,
    /// Message carbons (XEP-0280).
    pub carbons: bool,
    /// Client state indication (XEP-0352).
    pub client_state: bool,
}

impl SessionFeatures {
    /// What Bind 2 can switch on, by the names that XEP-0386 §3.1 advertises.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let features = [
            (self.carbons, ns::CARBONS),
            (self.client_state, ns::CLIENT_STATE),
            (self.stream_management, ns::STREAM_MANAGEMENT),
        ];
        features.into_iter().filter_map(|(is_supported, name)| is_supported.then_some(name))
    }
}

/// An `xs:boolean` that says yes.
pub(super) fn is_true(value: &str) -> bool {
    matches!(value.trim(), "true" | "1")
}

/// What a session is to have from its beginning (XEP-0386 §3.2). Only what [`SessionFeatures`] offers is ever asked
/// for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BindRequests {
    /// Stream management; the answer, `<enabled/>` or `<failed/>`, belongs to the results of the bind.
    pub stream_management: Option<Result<Enable, ManagementFailure>>,
    /// Carbons; there is no answer.
    pub carbons: bool,
    /// The client begins inactive; there is no answer.
    pub inactive: bool,
}

impl BindRequests {
    fn parse(bind: &Element, offered: SessionFeatures) -> BindRequests {
        let enable = bind.child("enable", ns::STREAM_MANAGEMENT).filter(|_| offered.stream_management);
        BindRequests {
            stream_management: enable.and_then(Enable::of),
            carbons: offered.carbons && bind.child("enable", ns::CARBONS).is_some(),
            inactive: offered.client_state && bind.child("inactive", ns::CLIENT_STATE).is_some(),
        }
    }
}

/// A resource that was bound.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BoundResource {
    /// The full JID.
    pub jid: Jid<'static>,
    /// What `<bound/>` says about the features that were asked for, as it stands in the stream; nothing where it was
    /// bound the old way.
    pub results: Vec<u8>,
    /// Whether stream management is on already.
    pub is_managed: bool,
}

/// `<bind/>` within `<authenticate/>`.
#[derive(Debug)]
pub(super) struct Bind2 {
    /// What the client asks to be named by.
    tag: Option<String>,
    pub requests: BindRequests,
}

impl Bind2 {
    /// The resource: the client's tag and a name of ours (XEP-0386 §3.2.1).
    pub fn resource(&self) -> String {
        let tag = self.tag.as_deref().and_then(|tag| jid::resourcepart(tag).ok());
        match tag {
            Some(tag) if tag.len() <= TAG_BYTES_MAX => format!("{tag}/{}", random::name()),
            _ => random::name(),
        }
    }
}

/// What a client asks for along with its login.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The client's installation, if it says which (XEP-0388 §2.3).
    pub agent: Option<String>,
    pub resume: Option<Result<Resume<'static>, ManagementFailure>>,
    pub bind: Option<Bind2>,
    /// The mechanism of a token that it would like to have.
    pub token: Option<Ht>,
    /// It logs in with a token.
    pub fast: Option<FastRequest>,
}

impl Requests {
    /// Reads `<authenticate/>`; `tokens` are the mechanisms for tokens that are offered.
    pub fn parse(element: &Element, config: &Config, tokens: &[Ht]) -> Result<Requests, Failure> {
        let agent = element.child("user-agent", ns::SASL2).and_then(|agent| agent.attribute("id"));
        let agent = agent.filter(|agent| (1..=AGENT_BYTES_MAX).contains(&agent.len())).map(str::to_owned);
        let resume = element.child("resume", ns::STREAM_MANAGEMENT).filter(|_| config.features.stream_management);
        let bind = element.child("bind", ns::BIND2).map(|bind| Bind2 {
            tag: bind.child("tag", ns::BIND2).map(Element::text),
            requests: BindRequests::parse(bind, config.features),
        });
        let token = element.child("request-token", ns::FAST).and_then(|request| request.attribute("mechanism"));
        // A token belongs to a client: who does not say which it is cannot have one (XEP-0484 §4.1). Nor can who wants
        // it for a mechanism that is not offered; that is no reason to let the login fail.
        let token = token.filter(|_| agent.is_some());
        let token = tokens.iter().copied().find(|mechanism| Some(mechanism.name()) == token);
        let fast = element.child("fast", ns::FAST).map(FastRequest::parse).transpose()?;
        let resume = resume.and_then(Resume::of).map(|resume| resume.map(Resume::into_owned));
        Ok(Requests { agent, resume, bind, token, fast })
    }
}

/// What is to be said once a login with SASL2 is through.
#[derive(Debug, Default)]
pub(super) struct Success {
    /// The mechanism's last words, in base64.
    pub additional_data: Option<String>,
    /// A new token, once it is safe on disk.
    pub token: Option<Issued>,
    /// What became of the wish to resume: `<resumed/>` or `<failed/>`, as it stands in the stream.
    pub resumption: Vec<u8>,
}

impl Success {
    /// Appends `<success/>` (XEP-0388 §2.6.1) for a stream without a resource: the bare JID is the identity. That of a
    /// resumed stream is one, too, as no resource was bound just now.
    pub fn write(&self, out: &mut Vec<u8>, account: &Jid<'_>) {
        self.write_with(out, account, None);
    }

    /// The same for a stream to which Bind 2 has just bound a resource.
    pub fn write_bound(&self, out: &mut Vec<u8>, bound: &BoundResource) {
        self.write_with(out, &bound.jid, Some(&bound.results));
    }

    fn write_with(&self, out: &mut Vec<u8>, jid: &Jid<'_>, bound: Option<&[u8]>) {
        out.extend_from_slice(format!("<success xmlns='{}'>", ns::SASL2).as_bytes());
        if let Some(data) = &self.additional_data {
            out.extend_from_slice(format!("<additional-data>{data}</additional-data>").as_bytes());
        }
        out.extend_from_slice(b"<authorization-identifier>");
        escape::text(out, jid.as_str());
        out.extend_from_slice(b"</authorization-identifier>");
        out.extend_from_slice(&self.resumption);
        match bound {
            None => {}
            Some([]) => out.extend_from_slice(format!("<bound xmlns='{}'/>", ns::BIND2).as_bytes()),
            Some(results) => {
                out.extend_from_slice(format!("<bound xmlns='{}'>", ns::BIND2).as_bytes());
                out.extend_from_slice(results);
                out.extend_from_slice(b"</bound>");
            }
        }
        if let Some(token) = &self.token {
            token.to_element().write_to(out, ns::SASL2);
        }
        out.extend_from_slice(b"</success>");
    }
}
