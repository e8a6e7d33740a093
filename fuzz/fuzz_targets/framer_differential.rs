//! The framer and xml-rs agree on what is well-formed; the differences are those that `src/xml/tests/differential.rs`
//! lists.
#![no_main]

#[path = "../../src/xml/mod.rs"]
#[allow(dead_code, unused_imports)]
mod xml;

use ::xml::reader::{EventReader, ParserConfig, XmlEvent};
use libfuzzer_sys::fuzz_target;
use xml::{Event, Framer, Limits, Scratch, XmlError};

const HEADER: &str =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
const LIMITS: Limits = Limits { stanza_bytes: 1 << 20, depth: 256, attributes: 1_000, children: 100_000 };

/// `None` where the two need not agree: restricted XML, limits, and what cannot stand in a stream.
fn accepted_by_framer(element: &[u8]) -> Option<bool> {
    let mut framer = Framer::new(LIMITS);
    let mut scratch = Scratch::default();
    assert!(matches!(framer.next(&mut scratch, HEADER.as_bytes()).event, Event::Header(_)));
    match framer.next(&mut scratch, element) {
        xml::Progress { consumed, event: Event::Frame(_) } if consumed == element.len() => Some(true),
        xml::Progress { event: Event::Failed(XmlError::NotWellFormed(_)), .. } => Some(false),
        xml::Progress { event: Event::Incomplete, .. } => Some(false),
        _ => None,
    }
}

fn accepted_by_xml_rs(element: &str) -> bool {
    let document = format!("{HEADER}{element}</stream:stream>");
    let config = ParserConfig::new().cdata_to_characters(true);
    EventReader::new_with_config(document.as_bytes(), config).into_iter().all(|event| {
        // Where one reads an instruction or a comment, the other has refused it.
        event.is_ok_and(|event| !matches!(event, XmlEvent::Doctype { .. }))
    })
}

/// Whether what follows a colon can go on a name but not begin one, which xml-rs does not mind.
fn has_lenient_name(content: &str) -> bool {
    let goes_on = |character: char| {
        matches!(character, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
    };
    content.split(':').skip(1).any(|rest| rest.starts_with(goes_on))
}

/// Whether a `</` may stand within an attribute's value, which xml-rs does not mind.
fn has_lenient_value(content: &str) -> bool {
    content.split(['\'', '"']).skip(1).any(|rest| rest.contains("</"))
}

/// Whether a prefix may be declared twice in one tag, which xml-rs does not mind.
fn has_lenient_declaration(content: &str) -> bool {
    content.split('<').any(|tag| tag.matches("xmlns").count() > 1)
}

fuzz_target!(|data: &[u8]| {
    let Ok(content) = std::str::from_utf8(data) else { return };
    let element = format!("<m>{content}</m>");
    if let Some(accepted) = accepted_by_framer(element.as_bytes()) {
        let is_lenient = has_lenient_name(content) || has_lenient_value(content) || has_lenient_declaration(content);
        if !accepted && is_lenient {
            return;
        }
        assert_eq!(accepted, accepted_by_xml_rs(&element), "{element}");
    }
});
