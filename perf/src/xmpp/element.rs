//! What the tool must understand of a stanza, read with an XML parser: features, challenges, results, errors.

use memchr::memmem;
use roxmltree::{Document, Node};

/// The namespaces that the tool speaks.
pub mod ns {
    /// RFC 6120 §11.2.
    pub const STREAMS: &str = "http://etherx.jabber.org/streams";
    /// RFC 6120 §5.
    pub const STARTTLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
    /// RFC 6120 §6.
    pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
    /// XEP-0388.
    pub const SASL2: &str = "urn:xmpp:sasl:2";
    /// RFC 6120 §7.
    pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
    /// XEP-0386.
    pub const BIND2: &str = "urn:xmpp:bind:0";
    /// RFC 3921 §3; servers still offer it, marked optional.
    pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
    /// XEP-0199.
    pub const PING: &str = "urn:xmpp:ping";
    /// RFC 6121 §2.
    pub const ROSTER: &str = "jabber:iq:roster";
    /// XEP-0198.
    pub const MANAGEMENT: &str = "urn:xmpp:sm:3";
    /// XEP-0280.
    pub const CARBONS: &str = "urn:xmpp:carbons:2";
    /// XEP-0352.
    pub const CLIENT_STATE: &str = "urn:xmpp:csi:0";
    /// XEP-0313.
    pub const ARCHIVE: &str = "urn:xmpp:mam:2";
    /// XEP-0059.
    pub const RESULT_SET: &str = "http://jabber.org/protocol/rsm";
    /// XEP-0004.
    pub const FORM: &str = "jabber:x:data";
}

/// Parses one stanza of a client stream and hands its element to `read`.
///
/// # Errors
/// What the XML parser says, or that the stanza holds no element.
pub fn with_element<R>(stanza: &[u8], read: impl FnOnce(Node<'_, '_>) -> R) -> Result<R, String> {
    let stanza = std::str::from_utf8(stanza).map_err(|_| "the server sent bytes that are not UTF-8".to_owned())?;
    let text = format!("<stream:stream xmlns='jabber:client' xmlns:stream='{}'>{stanza}</stream:stream>", ns::STREAMS);
    let document =
        Document::parse(&text).map_err(|error| format!("the server sent XML that cannot be read: {error}"))?;
    let element = document.root_element().first_element_child().ok_or("the server sent an empty stanza")?;
    Ok(read(element))
}

/// The first child of this name and namespace.
pub fn child<'a, 'input>(parent: Node<'a, 'input>, namespace: &str, name: &str) -> Option<Node<'a, 'input>> {
    parent.children().find(|node| is(*node, namespace, name))
}

/// Whether `node` is an element of this name and namespace.
pub fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name && node.tag_name().namespace() == Some(namespace)
}

/// Whether a stanza is an error: the server could not do what was asked for, or deliver what was sent. Only its start
/// tag is looked at.
pub fn is_error(stanza: &[u8]) -> bool {
    [&b"type='error'"[..], b"type=\"error\""].iter().any(|mark| memmem::find(start_tag(stanza), mark).is_some())
}

/// The value of an attribute in the start tag of a stanza, as it was written.
pub fn attribute<'a>(stanza: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let tag = start_tag(stanza);
    memmem::find_iter(tag, name).find_map(|at| match (tag[..at].last()?, &tag[at + name.len()..]) {
        (b' ' | b'\t' | b'\n' | b'\r', [b'=', quote @ (b'\'' | b'"'), value @ ..]) => {
            value.get(..memchr::memchr(*quote, value)?)
        }
        _ => None,
    })
}

/// The start tag of a stanza. A `>` in an attribute ends it too early; servers escape it.
fn start_tag(stanza: &[u8]) -> &[u8] {
    &stanza[..memchr::memchr(b'>', stanza).unwrap_or(stanza.len())]
}

/// Why a stanza of the type error came back.
pub fn error_condition(stanza: &[u8]) -> String {
    let condition =
        with_element(stanza, |stanza| stanza.children().find(|node| node.tag_name().name() == "error").map(condition));
    condition.ok().flatten().unwrap_or_else(|| "no reason given".to_owned())
}

/// The condition and text of an error element: the name of its first child, then what `<text/>` says.
pub fn condition(error: Node<'_, '_>) -> String {
    let mut elements = error.children().filter(Node::is_element);
    let name = elements.clone().map(|node| node.tag_name().name()).find(|name| *name != "text").unwrap_or("unknown");
    let text = elements.find(|node| node.tag_name().name() == "text").and_then(|node| node.text());
    match text {
        Some(text) => format!("{name} ({})", text.trim()),
        None => name.to_owned(),
    }
}

/// Text made safe for an attribute or an element.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '\'' => safe.push_str("&apos;"),
            '"' => safe.push_str("&quot;"),
            _ => safe.push(character),
        }
    }
    safe
}

/// What to answer to an IQ of the server, if it is one that needs an answer: a ping and what is new in the roster are
/// answered, anything else refused.
pub fn answer(stanza: &[u8]) -> Option<Vec<u8>> {
    if !stanza.starts_with(b"<iq") {
        return None;
    }
    with_element(stanza, |iq| {
        if !matches!(iq.attribute("type"), Some("get" | "set")) {
            return None;
        }
        let id = escape(iq.attribute("id").unwrap_or_default());
        let to = iq.attribute("from").map(|from| format!(" to='{}'", escape(from))).unwrap_or_default();
        Some(if child(iq, ns::PING, "ping").or(child(iq, ns::ROSTER, "query")).is_some() {
            format!("<iq type='result' id='{id}'{to}/>").into_bytes()
        } else {
            format!(
                "<iq type='error' id='{id}'{to}><error type='cancel'>\
                 <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            )
            .into_bytes()
        })
    })
    .ok()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_the_stream_are_known_in_a_stanza() {
        let condition = with_element(
            b"<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
              <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'> too big </text></stream:error>",
            |error| (is(error, ns::STREAMS, "error"), condition(error)),
        );
        assert_eq!(condition, Ok((true, "policy-violation (too big)".to_owned())));
    }

    #[test]
    fn a_ping_is_answered_and_other_requests_are_refused() {
        let pong = answer(b"<iq type='get' id='a&amp;b' from='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").unwrap();
        assert_eq!(pong, b"<iq type='result' id='a&amp;b' to='localhost'/>");
        let push = answer(b"<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query></iq>");
        assert_eq!(push.unwrap(), b"<iq type='result' id='1'/>");
        let refusal = answer(b"<iq type='set' id='1'><query xmlns='jabber:iq:version'/></iq>").unwrap();
        assert!(refusal.starts_with(b"<iq type='error' id='1'>"));
        assert_eq!(answer(b"<iq type='result' id='1'/>"), None);
        assert_eq!(answer(b"<presence/>"), None);
    }

    #[test]
    fn errors_and_attributes_are_of_the_start_tag_alone() {
        assert!(is_error(b"<message type=\"error\"><body/></message>"));
        assert!(!is_error(b"<message type='chat'><x type='error'/></message>"));
        let stanza = b"<iq stanza-id='0' id=\"it's\" type='result'><fin last='9'/></iq>";
        assert_eq!(attribute(stanza, "id"), Some(&b"it's"[..]));
        assert_eq!(attribute(stanza, "type"), Some(&b"result"[..]));
        assert_eq!(attribute(stanza, "last"), None);
        assert_eq!(attribute(b"<iq id='", "id"), None);
    }

    #[test]
    fn an_error_says_why() {
        let error = b"<iq type='error' id='1'><query xmlns='x'/><error type='cancel'><item-not-found \
            xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
        assert_eq!(error_condition(error), "item-not-found");
        assert_eq!(error_condition(b"<iq type='error'/>"), "no reason given");
    }
}
