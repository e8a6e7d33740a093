//! The framer and xml-rs agree on what is well-formed, but for what is listed here.
//!
//! - Comments, processing instructions, document types and entities are well-formed and refused all the same:
//!   restricted XML (RFC 6120 §11.1).
//! - A limit is none of well-formedness.
//! - xml-rs lets a prefix be declared twice in one tag; XML 1.0 §3.1 forbids two attributes of one name.
//! - xml-rs lets pass `</` within an attribute's value, where XML 1.0 §2.3 permits no `<`.
//! - xml-rs lets a name go on behind its colon with what cannot begin one (`a:-b`); Namespaces in XML 1.0 §4 does not.

use proptest::prelude::*;
use xml::reader::{EventReader, ParserConfig};

use super::super::{Element, Event, Framer, Scratch, XmlError};
use super::{HEADER, LIMITS, Seen, read_after_header};

/// Whether xml-rs can read an element within a stream.
fn accepted_by_xml_rs(element: &str) -> bool {
    let document = format!(
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>{element}</stream:stream>"
    );
    let config = ParserConfig::new().cdata_to_characters(true);
    EventReader::new_with_config(document.as_bytes(), config).into_iter().all(|event| event.is_ok())
}

/// What the framer makes of it: `None` where the two need not agree.
fn accepted_by_framer(element: &str) -> Option<bool> {
    let seen = read_after_header(format!("{element}</stream:stream>").as_bytes());
    match seen.last() {
        Some(Seen::End) => Some(true),
        Some(Seen::Failed(XmlError::NotWellFormed(_))) => Some(false),
        Some(Seen::Failed(_)) => None,
        // Something is open: an unfinished tag has swallowed the stream's end.
        _ => Some(false),
    }
}

fn element() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "<a>",
        "</a>",
        "<b/>",
        "<b></b>",
        "<c d='e'/>",
        "<c d='e' d='f'/>",
        "<c d=\"'\" e='\"'/>",
        "<x xmlns='urn:x'>",
        "</x>",
        "<p:a xmlns:p='urn:p'>",
        "</p:a>",
        "<p:b/>",
        "<q p:a='1' r:a='2' xmlns:r='urn:p'/>",
        "text",
        "&amp;",
        "&#65;",
        "&#x41;",
        "&#0;",
        "&lt;",
        "&",
        "&;",
        "]]>",
        "<![CDATA[<>&]]>",
        "<![CDATA[",
        "ü",
        "漢",
        "😀",
        "\u{1}",
        "\u{fffe}",
        "<a",
        ">",
        "/>",
        "'",
        "=",
        "d='<'",
        " ",
        "\n",
        "<1>",
        "<:a/>",
        "<a:/>",
        "<ü/>",
        "<a ü='1'/>",
        "<xml:a/>",
        "<a xmlns:b=''/>",
        "<a xml:lang='x'/>",
    ]);
    prop::collection::vec(token, 1..10).prop_map(|tokens| tokens.concat())
}

/// An element of the kind that is read without a parser, or nearly so; well-formed or not.
fn nearly_plain() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "<r xmlns='urn:x'>",
        "<r xmlns='urn:x'>",
        "<r>",
        "<r >",
        "<p:r xmlns:p='urn:p'>",
        "<s xmlns=''>",
        "<s/>",
        "<s />",
        "<s a='1' bc = \"it's\"\n/>",
        "<s xml:lang='x'>",
        "<s xmlns:q='urn:&#113;' xmlns = 'urn:y'>",
        "<s d='&lt;'/>",
        "<s e='\t\n'/>",
        "<s e='/>'/>",
        "<s p:f='2' xmlns:p='urn:p'/>",
        "<stream:s/>",
        "text",
        "a > b",
        "\r\n",
        "\n ",
        "&amp;",
        "<![CDATA[<r>]]>",
        "<![CDATA[]]>",
        "漢",
        "</r>",
        "</r>",
        "</s>",
        "</s >",
        "</p:r>",
    ]);
    prop::collection::vec(token, 1..8).prop_map(|tokens| format!("<r>{}</r>", tokens.concat()))
}

/// The trees that are read without a parser and by xml-rs, where there is one of each.
fn both_trees(element: &str) -> Option<(Element, Element)> {
    let mut framer = Framer::new(LIMITS);
    let mut scratch = Scratch::default();
    framer.next(&mut scratch, HEADER.as_bytes());
    let Event::Frame(frame) = framer.next(&mut scratch, element.as_bytes()).event else { return None };
    Some((frame.plain()?, Element::parse(frame.bytes()).unwrap()))
}

#[test]
fn what_clients_ask_needs_no_parser() {
    for said in [
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj1yb21lbyxyPTE=</auth>",
        "<response xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">Yz1iaXdzLHI9MQ==</response>",
        "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>orchard</resource></bind></iq>",
        "<iq xml:lang='en' type=\"get\" id='2' to='example.org'>\n  <query xmlns='urn:q' a='it'/></iq >",
        "<presence/>",
    ] {
        let (plain, by_parser) = both_trees(said).unwrap();
        assert_eq!(plain, by_parser);
    }
    assert_eq!(both_trees("<iq type='get' id='1&amp;2'/>"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn plain_elements_are_what_a_parser_says(element in nearly_plain()) {
        if let Some((plain, by_parser)) = both_trees(&element) {
            prop_assert_eq!(plain, by_parser, "{}", element);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn both_judge_alike(content in element()) {
        let element = format!("<m>{content}</m>");
        if let Some(accepted) = accepted_by_framer(&element) {
            prop_assert_eq!(accepted, accepted_by_xml_rs(&element), "{}", element);
        }
    }
}
