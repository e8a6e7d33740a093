//! Stream headers (RFC 6120 §4.7, §4.8, §11.4 to §11.6).

use std::borrow::Cow;

use super::XmlError::{self, BadFormat, BadNamespacePrefix, InvalidNamespace, NotWellFormed, PolicyViolation};
use super::classes::{self, SPACE};
use super::limits::{HEADER_DECLARATIONS_BYTES_MAX, HEADER_DECLARATIONS_MAX};
use super::scope::{self, Content, Scope};
use super::work::{NamespaceAt, Work};
use super::{namespaces, reference};

/// Bytes of an XML declaration at most, white space around it included.
const DECLARATION_BYTES_MAX: usize = 256;

/// What a stream header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// The domain that the peer wants to reach.
    pub to: Option<Cow<'a, str>>,
    /// Who the peer says it is.
    pub from: Option<Cow<'a, str>>,
    /// The stream's id; only in answers.
    pub id: Option<Cow<'a, str>>,
    /// The version of XMPP.
    pub version: Option<Cow<'a, str>>,
    /// The language of stanzas that name none (`xml:lang`).
    pub lang: Option<Cow<'a, str>>,
}

/// Where the `<` of the stream element is, behind white space and an XML declaration. `None`: not here yet.
pub(super) fn start_of_header(input: &[u8]) -> Result<Option<usize>, XmlError> {
    const DECLARATION: &[u8] = b"<?xml";
    // What begins like UTF-16 or UTF-32.
    match input {
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, ..] | [b'<', 0, ..] => return Err(XmlError::UnsupportedEncoding),
        [0xFE | 0xFF] => return Ok(None),
        _ => {}
    }
    let blank = classes::run(input, SPACE);
    if blank > DECLARATION_BYTES_MAX {
        return Err(PolicyViolation("too much white space before the stream header"));
    }
    let rest = input.get(blank..).unwrap_or_default();
    match rest {
        [] | [b'<'] => return Ok(None),
        [b'<', b'?', ..] => {}
        [b'<', b'/', ..] => return Err(NotWellFormed("an end tag without a start tag")),
        [b'<', ..] => return Ok(Some(blank)),
        _ => return Err(NotWellFormed("text before the stream header")),
    }
    if !rest.starts_with(DECLARATION) {
        let is_cut_off = DECLARATION.starts_with(rest);
        return if is_cut_off {
            Ok(None)
        } else {
            Err(XmlError::RestrictedXml("processing instructions are not allowed"))
        };
    }
    if blank > 0 {
        return Err(NotWellFormed("white space before the XML declaration"));
    }
    let within = rest.get(..DECLARATION_BYTES_MAX).unwrap_or(rest);
    let Some(end) = within.windows(2).position(|pair| pair == b"?>") else {
        let is_too_long = rest.len() > DECLARATION_BYTES_MAX;
        return if is_too_long { Err(PolicyViolation("an XML declaration that does not end")) } else { Ok(None) };
    };
    check_declaration(within.get(DECLARATION.len()..end).unwrap_or_default())?;
    let behind = rest.get(end + 2..).unwrap_or_default();
    let blank = classes::run(behind, SPACE);
    match behind.get(blank..).unwrap_or_default() {
        _ if blank > DECLARATION_BYTES_MAX => Err(PolicyViolation("too much white space before the stream header")),
        [] | [b'<'] => Ok(None),
        [b'<', b'/', ..] => Err(NotWellFormed("an end tag without a start tag")),
        [b'<', ..] => Ok(Some(end + 2 + blank)),
        _ => Err(NotWellFormed("text before the stream header")),
    }
}

/// Judges what stands between `<?xml` and `?>`: a version, perhaps an encoding, perhaps `standalone`, in this order.
fn check_declaration(input: &[u8]) -> Result<(), XmlError> {
    const WRONG: XmlError = NotWellFormed("this is no XML declaration");
    let text = std::str::from_utf8(input).map_err(|_| WRONG)?;
    let mut rest = text;
    let mut names = ["version", "encoding", "standalone"].into_iter();
    let mut is_first = true;
    while !rest.trim_ascii().is_empty() {
        let trimmed = rest.trim_ascii_start();
        if trimmed.len() == rest.len() {
            return Err(WRONG);
        }
        let (name, after) = trimmed.split_once('=').ok_or(WRONG)?;
        let after = after.trim_ascii_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '\'' | '"')).ok_or(WRONG)?;
        let (value, after) = after.get(1..).and_then(|after| after.split_once(quote)).ok_or(WRONG)?;
        rest = after;
        let name = name.trim_ascii_end();
        if !names.any(|known| known == name) || (is_first && name != "version") {
            return Err(WRONG);
        }
        is_first = false;
        match name {
            "version" if value == "1.0" => {}
            "version" => return Err(NotWellFormed("only XML 1.0 is read here")),
            "encoding" if value.eq_ignore_ascii_case("utf-8") => {}
            "encoding" => return Err(XmlError::UnsupportedEncoding),
            _ if matches!(value, "yes" | "no") => {}
            _ => return Err(WRONG),
        }
    }
    if is_first { Err(WRONG) } else { Ok(()) }
}

/// Judges a stream element whose start tag is complete, and reads what it says.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    work: &'a Work,
    content: Content,
) -> Result<(Header<'a>, Option<Scope>), XmlError> {
    let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).unwrap_or_default();
    let namespace = |at: NamespaceAt| match at {
        NamespaceAt::Input(span) => text(span.of(bytes)),
        NamespaceAt::Decoded(span) => text(span.of(&work.decoded)),
        NamespaceAt::None | NamespaceAt::Content | NamespaceAt::Header(_) => "",
        NamespaceAt::Xml => namespaces::XML,
    };
    if work.is_empty {
        return Err(BadFormat("a stream without content"));
    }
    if work.top.local(bytes) != b"stream" {
        return Err(BadFormat("the first element is not a stream"));
    }
    if !work.top.has_prefix() {
        return Err(BadNamespacePrefix);
    }
    if namespace(work.top_namespace) != namespaces::STREAMS {
        return Err(InvalidNamespace);
    }
    let mut default = "";
    let mut declarations: Vec<(Box<str>, Box<str>)> = Vec::new();
    for binding in &work.bindings {
        match text(binding.prefix.of(bytes)) {
            "" => default = namespace(binding.namespace),
            prefix => declarations.push((prefix.into(), namespace(binding.namespace).into())),
        }
    }
    if default != content.namespace() {
        return Err(InvalidNamespace);
    }
    let declared: usize = declarations.iter().map(|(prefix, namespace)| prefix.len() + namespace.len()).sum();
    if declarations.len() > HEADER_DECLARATIONS_MAX || declared > HEADER_DECLARATIONS_BYTES_MAX {
        return Err(PolicyViolation("too many namespace declarations"));
    }
    let value = |name: &[u8]| {
        let attribute = work.attributes.iter().find(|attribute| attribute.name.span.of(bytes) == name)?;
        Some(reference::decode_value(text(attribute.value.of(bytes))))
    };
    let header = Header {
        to: value(b"to"),
        from: value(b"from"),
        id: value(b"id"),
        version: value(b"version"),
        lang: value(b"xml:lang"),
    };
    let stream = text(work.top.span.of(bytes));
    let scope = (!scope::is_usual(stream, &declarations)).then(|| Scope { stream: stream.into(), declarations });
    Ok((header, scope))
}
