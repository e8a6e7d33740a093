//! The elements of stream management that are no stanzas: read from frames, or from where other protocols carry them
//! (XEP-0198 §9), and written.

use std::borrow::Cow;

use super::outbound::HandledTooHigh;
use crate::stream::StreamError;
use crate::xml::{Element, Frame, escape, namespaces as ns};

/// An element that a client may send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Nonza<'a> {
    /// `<r/>`: it wants to know what was handled.
    Request,
    /// `<a/>`: it has handled so many stanzas, modulo 2³².
    Acknowledgement(u32),
    /// `<enable/>`.
    Enable(Enable),
    /// `<resume/>`.
    Resume(Resume<'a>),
}

/// A wish for stream management (XEP-0198 §3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Enable {
    /// Whether the session is to be resumable.
    pub resume: bool,
    /// For how many seconds at most, if the client has a wish.
    pub max_s: Option<u32>,
}

/// A wish to go on with a session (XEP-0198 §5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resume<'a> {
    /// Its name.
    pub previous: Cow<'a, str>,
    /// How many of its stanzas the client has handled, modulo 2³².
    pub h: u32,
}

/// What is answered to an element that is not what it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Misuse {
    /// `<failed/>`; the stream goes on.
    Failed(Failure),
    /// The stream ends.
    Stream(StreamError),
}

/// Why something fails (XEP-0198 §6): the stanza errors that are used here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// An attribute is missing, or is none.
    BadRequest,
    /// Sessions cannot be resumed here.
    FeatureNotImplemented,
    /// A fault of the server.
    InternalServerError,
    /// There is no such session, or not any more.
    ItemNotFound,
    /// The server has too many of them.
    ResourceConstraint,
    /// Not now: before a resource is bound, or once more.
    UnexpectedRequest,
}

impl Failure {
    /// The condition's element name.
    pub fn condition(self) -> &'static str {
        match self {
            Failure::BadRequest => "bad-request",
            Failure::FeatureNotImplemented => "feature-not-implemented",
            Failure::InternalServerError => "internal-server-error",
            Failure::ItemNotFound => "item-not-found",
            Failure::ResourceConstraint => "resource-constraint",
            Failure::UnexpectedRequest => "unexpected-request",
        }
    }
}

impl<'a> Nonza<'a> {
    /// Reads a frame; `None` if it is nothing of stream management.
    pub fn read(frame: &Frame<'a>) -> Option<Result<Nonza<'a>, Misuse>> {
        if frame.namespace() != ns::STREAM_MANAGEMENT {
            return None;
        }
        Some(read(frame.name(), |name| frame.attribute(name).map(|value| value.decoded())))
    }
}

impl Enable {
    /// Reads the element that Bind 2 carries; `None` if it is another one.
    pub fn of(element: &Element) -> Option<Result<Enable, Failure>> {
        is(element, "enable").then(|| enable(&|name| element.attribute(name).map(Cow::Borrowed)))
    }
}

impl<'a> Resume<'a> {
    /// Reads the element that SASL2 carries; `None` if it is another one.
    pub fn of(element: &'a Element) -> Option<Result<Resume<'a>, Failure>> {
        is(element, "resume").then(|| resume(&|name| element.attribute(name).map(Cow::Borrowed)))
    }
}

impl Resume<'_> {
    /// The same for as long as it is needed.
    pub fn into_owned(self) -> Resume<'static> {
        Resume { previous: Cow::Owned(self.previous.into_owned()), h: self.h }
    }
}

fn is(element: &Element, name: &str) -> bool {
    element.name == name && element.namespace == ns::STREAM_MANAGEMENT
}

fn read<'a>(name: &str, attribute: impl Fn(&str) -> Option<Cow<'a, str>>) -> Result<Nonza<'a>, Misuse> {
    match name {
        "r" => Ok(Nonza::Request),
        "a" => match number(attribute("h")) {
            Some(h) => Ok(Nonza::Acknowledgement(h)),
            None => Err(Misuse::Stream(StreamError::bad_format("an acknowledgement without a number"))),
        },
        "enable" => enable(&attribute).map(Nonza::Enable).map_err(Misuse::Failed),
        "resume" => resume(&attribute).map(Nonza::Resume).map_err(Misuse::Failed),
        _ => Err(Misuse::Stream(StreamError::unsupported_stanza_type("not an element of stream management"))),
    }
}

fn enable<'a>(attribute: &impl Fn(&str) -> Option<Cow<'a, str>>) -> Result<Enable, Failure> {
    let resume = match attribute("resume").as_deref().map(str::trim) {
        Some("true" | "1") => true,
        None | Some("false" | "0") => false,
        Some(_) => return Err(Failure::BadRequest),
    };
    let max_s = match attribute("max") {
        None => None,
        Some(max) => Some(seconds(&max).ok_or(Failure::BadRequest)?),
    };
    Ok(Enable { resume, max_s })
}

fn resume<'a>(attribute: &impl Fn(&str) -> Option<Cow<'a, str>>) -> Result<Resume<'a>, Failure> {
    let (Some(previous), Some(h)) = (attribute("previd"), number(attribute("h"))) else {
        return Err(Failure::BadRequest);
    };
    Ok(Resume { previous, h })
}

/// An `xs:unsignedInt`.
fn number(text: Option<Cow<'_, str>>) -> Option<u32> {
    text?.trim().parse().ok()
}

/// An `xs:positiveInteger`, which has no upper bound.
fn seconds(text: &str) -> Option<u32> {
    let digits = text.trim().trim_start_matches('0');
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u32::MAX))
}

/// Appends `<r/>`.
pub fn write_request(out: &mut Vec<u8>) {
    out.extend_from_slice(b"<r xmlns='urn:xmpp:sm:3'/>");
}

/// Appends `<a/>`.
pub fn write_acknowledgement(out: &mut Vec<u8>, h: u32) {
    out.extend_from_slice(b"<a xmlns='urn:xmpp:sm:3' h='");
    write_number(out, h);
    out.extend_from_slice(b"'/>");
}

/// Appends `<enabled/>`; `resumption` is the name of the session and for how many seconds it can be resumed, if it can.
pub fn write_enabled(out: &mut Vec<u8>, resumption: Option<(&str, u32)>) {
    out.extend_from_slice(b"<enabled xmlns='urn:xmpp:sm:3'");
    if let Some((id, max_s)) = resumption {
        out.extend_from_slice(b" id='");
        escape::attribute(out, id);
        out.extend_from_slice(b"' resume='true' max='");
        write_number(out, max_s);
        out.push(b'\'');
    }
    out.extend_from_slice(b"/>");
}

/// Appends `<resumed/>`: what the client has called the session, and how many of its stanzas were handled.
pub fn write_resumed(out: &mut Vec<u8>, previous: &str, h: u32) {
    out.extend_from_slice(b"<resumed xmlns='urn:xmpp:sm:3' previd='");
    escape::attribute(out, previous);
    out.extend_from_slice(b"' h='");
    write_number(out, h);
    out.extend_from_slice(b"'/>");
}

/// Appends `<failed/>`; `h` is how many stanzas of the session were handled, if it is over and that is still known.
pub fn write_failed(out: &mut Vec<u8>, failure: Failure, h: Option<u32>) {
    out.extend_from_slice(b"<failed xmlns='urn:xmpp:sm:3'");
    if let Some(h) = h {
        out.extend_from_slice(b" h='");
        write_number(out, h);
        out.push(b'\'');
    }
    for part in ["><", failure.condition(), " xmlns='", ns::STANZA_ERRORS, "'/></failed>"] {
        out.extend_from_slice(part.as_bytes());
    }
}

impl HandledTooHigh {
    /// What the client is told (XEP-0198 §6).
    pub fn error(&self) -> StreamError {
        StreamError::handled_count_too_high(self.h, self.sent)
    }
}

fn write_number(out: &mut Vec<u8>, number: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Content, Scratch};

    fn read_text(text: &str) -> Option<Result<Nonza<'static>, Misuse>> {
        let mut scratch = Scratch::default();
        let frame = scratch.finished(text.as_bytes(), Content::Client).unwrap();
        Nonza::read(&frame).map(|read| {
            read.map(|nonza| match nonza {
                Nonza::Resume(Resume { previous, h }) => {
                    Nonza::Resume(Resume { previous: previous.into_owned().into(), h })
                }
                Nonza::Request => Nonza::Request,
                Nonza::Acknowledgement(h) => Nonza::Acknowledgement(h),
                Nonza::Enable(enable) => Nonza::Enable(enable),
            })
        })
    }

    #[test]
    fn what_clients_say() {
        let enable = |resume, max_s| Nonza::Enable(Enable { resume, max_s });
        let resume = |previous: &'static str, h| Nonza::Resume(Resume { previous: previous.into(), h });
        let rows = [
            ("<r xmlns='urn:xmpp:sm:3'/>", Nonza::Request),
            ("<s:r xmlns:s='urn:xmpp:sm:3'/>", Nonza::Request),
            ("<a xmlns='urn:xmpp:sm:3' h='0'/>", Nonza::Acknowledgement(0)),
            ("<a xmlns='urn:xmpp:sm:3' h=' 4294967295 '></a>", Nonza::Acknowledgement(u32::MAX)),
            ("<enable xmlns='urn:xmpp:sm:3'/>", enable(false, None)),
            ("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", enable(true, None)),
            ("<enable xmlns='urn:xmpp:sm:3' resume='1' max='600'/>", enable(true, Some(600))),
            ("<enable xmlns='urn:xmpp:sm:3' resume='false' max='0010'/>", enable(false, Some(10))),
            ("<enable xmlns='urn:xmpp:sm:3' max='99999999999999999999'/>", enable(false, Some(u32::MAX))),
            ("<resume xmlns='urn:xmpp:sm:3' h='7' previd='some-long-sm-id'/>", resume("some-long-sm-id", 7)),
            ("<resume xmlns='urn:xmpp:sm:3' h='7' previd='a&amp;b'/>", resume("a&b", 7)),
        ];
        for (text, expected) in rows {
            assert_eq!(read_text(text), Some(Ok(expected)), "{text}");
        }
        for other in ["<presence/>", "<r/>", "<r xmlns='urn:xmpp:sm:2'/>", "<active xmlns='urn:xmpp:csi:0'/>"] {
            assert_eq!(read_text(other), None, "{other}");
        }
    }

    #[test]
    fn what_clients_should_not_say() {
        let failed = |text: &str| match read_text(text) {
            Some(Err(Misuse::Failed(failure))) => failure.condition(),
            Some(Err(Misuse::Stream(error))) => error.name(),
            other => panic!("{text}: {other:?}"),
        };
        for (attributes, condition) in [
            ("a", "bad-format"),
            ("a h=''", "bad-format"),
            ("a h='-1'", "bad-format"),
            ("a h='4294967296'", "bad-format"),
            ("a h='one'", "bad-format"),
            ("enable resume='yes'", "bad-request"),
            ("enable max='0'", "bad-request"),
            ("enable max='1.5'", "bad-request"),
            ("enable max=''", "bad-request"),
            ("resume h='1'", "bad-request"),
            ("resume previd='1'", "bad-request"),
            ("resume previd='1' h=''", "bad-request"),
            ("enabled", "unsupported-stanza-type"),
            ("sm", "unsupported-stanza-type"),
        ] {
            assert_eq!(failed(&format!("<{attributes} xmlns='urn:xmpp:sm:3'/>")), condition, "{attributes}");
        }
    }

    #[test]
    fn what_other_protocols_carry() {
        let parse = |text: &str| Element::parse(text.as_bytes()).unwrap();
        let enable = parse("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        assert_eq!(Enable::of(&enable), Some(Ok(Enable { resume: true, max_s: None })));
        assert_eq!(Resume::of(&enable), None);
        let resume = parse("<resume xmlns='urn:xmpp:sm:3' h='1' previd='a'/>");
        assert_eq!(Resume::of(&resume), Some(Ok(Resume { previous: "a".into(), h: 1 })));
        assert_eq!(Resume::of(&parse("<resume xmlns='urn:xmpp:sm:3'/>")), Some(Err(Failure::BadRequest)));
        assert_eq!(Enable::of(&parse("<enable xmlns='urn:xmpp:carbons:2'/>")), None);
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(Element::parse(text.as_bytes()).is_ok_and(|element| element.namespace == ns::STREAM_MANAGEMENT));
        text
    }

    #[test]
    fn what_the_server_says() {
        assert_eq!(written(write_request), "<r xmlns='urn:xmpp:sm:3'/>");
        for h in [0, 1, 9, 10, 4_294_967_290, u32::MAX] {
            let expected = format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>");
            assert_eq!(written(|out| write_acknowledgement(out, h)), expected);
        }
        assert_eq!(written(|out| write_enabled(out, None)), "<enabled xmlns='urn:xmpp:sm:3'/>");
        assert_eq!(
            written(|out| write_enabled(out, Some(("a'b", 600)))),
            "<enabled xmlns='urn:xmpp:sm:3' id='a&#39;b' resume='true' max='600'/>"
        );
        assert_eq!(
            written(|out| write_resumed(out, "a<b", 5)),
            "<resumed xmlns='urn:xmpp:sm:3' previd='a&lt;b' h='5'/>"
        );
        assert_eq!(
            written(|out| write_failed(out, Failure::ItemNotFound, Some(3))),
            "<failed xmlns='urn:xmpp:sm:3' h='3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        );
        assert_eq!(
            written(|out| write_failed(out, Failure::UnexpectedRequest, None)),
            "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        );
    }

    #[test]
    fn acknowledging_too_much_ends_the_stream() {
        let mut out = b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>".to_vec();
        HandledTooHigh { h: 10, sent: 8 }.error().write_to(&mut out);
        let stream = Element::parse(&out).unwrap();
        let error = stream.children().next().unwrap();
        assert!(error.child("undefined-condition", ns::STREAM_ERRORS).is_some());
        assert_eq!(
            error.child("text", ns::STREAM_ERRORS).unwrap().text(),
            "You acknowledged 10 stanzas, but only 8 were sent to you."
        );
        let detail = error.child("handled-count-too-high", ns::STREAM_MANAGEMENT).unwrap();
        assert_eq!((detail.attribute("h"), detail.attribute("send-count")), (Some("10"), Some("8")));
    }
}
