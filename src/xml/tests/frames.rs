//! What is in a frame, and what becomes of it when it is passed on.

use super::super::{Element, Event, Framer, Kind, Scratch, Stamp, namespaces};
use super::{HEADER, LIMITS, Seen, read, read_after_header};

/// Hands the one frame behind a header to `look`.
fn with_frame<R>(header: &str, stanza: &str, look: impl FnOnce(&super::super::Frame<'_>) -> R) -> R {
    let mut framer = Framer::new(LIMITS);
    let mut scratch = Scratch::default();
    let progress = framer.next(&mut scratch, header.as_bytes());
    assert!(matches!(progress.event, Event::Header(_)), "{progress:?}");
    match framer.next(&mut scratch, stanza.as_bytes()).event {
        Event::Frame(frame) => look(&frame),
        other => panic!("{other:?}"),
    }
}

fn stamped(header: &str, stanza: &str, stamp: &Stamp<'_>) -> String {
    with_frame(header, stanza, |frame| {
        let mut out = Vec::new();
        frame.write_stamped(&mut out, stamp);
        assert!(out.len() <= frame.stamped_len(stamp));
        String::from_utf8(out).unwrap()
    })
}

#[test]
fn the_index_names_what_stanzas_have() {
    let stanza = "<message to='juliet@example.org' type=\"chat\" id = 'a&amp;b'><body>hi</body>\
                  <x xmlns='urn:x'><y/></x><z:z xmlns:z='urn:&#122;'/></message>";
    with_frame(HEADER, stanza, |frame| {
        assert_eq!(frame.kind(), Kind::Message);
        assert_eq!(frame.bytes(), stanza.as_bytes());
        assert!(frame.to().unwrap().is("juliet@example.org"));
        assert!(frame.kind_attr().unwrap().is("chat"));
        assert_eq!(frame.id().unwrap().decoded(), "a&b");
        assert!(frame.id().unwrap().is("a&b") && !frame.id().unwrap().is("a&amp;b"));
        assert!(frame.attribute("from").is_none());
        let children: Vec<_> = frame.children().map(|child| (child.name(), child.namespace())).collect();
        assert_eq!(children, [("body", "jabber:client"), ("x", "urn:x"), ("z", "urn:z")]);
        let bytes: Vec<_> = frame.children().map(|child| std::str::from_utf8(child.bytes()).unwrap()).collect();
        assert_eq!(bytes, ["<body>hi</body>", "<x xmlns='urn:x'><y/></x>", "<z:z xmlns:z='urn:&#122;'/>"]);
    });
}

#[test]
fn a_stanza_is_known_by_its_namespace() {
    let kind = |stanza: &str| with_frame(HEADER, stanza, |frame| frame.kind());
    assert_eq!(kind("<iq xmlns='jabber:client'/>"), Kind::Iq);
    assert_eq!(kind("<c:presence xmlns:c='jabber:client'/>"), Kind::Presence);
    assert_eq!(kind("<message xmlns='jabber:server'/>"), Kind::Other);
    assert_eq!(kind("<message xmlns=''/>"), Kind::Other);
    assert_eq!(kind("<stream:message/>"), Kind::Other);
    assert_eq!(kind("<r xmlns='urn:xmpp:sm:3'/>"), Kind::Other);
}

#[test]
fn the_sender_is_never_what_it_says() {
    let stamp = Stamp { from: Some("romeo@example.net/orchard"), ..Stamp::default() };
    let rows = [
        ("<presence/>", "<presence from='romeo@example.net/orchard'/>"),
        ("<presence />", "<presence from='romeo@example.net/orchard' />"),
        ("<presence></presence>", "<presence from='romeo@example.net/orchard'></presence>"),
        (
            "<message from='pope@vatican.va' to='a@b'><body/></message>",
            "<message from='romeo@example.net/orchard' to='a@b'><body/></message>",
        ),
        (
            "<message to='a@b'\n  from =\t'pope@vatican.va'  id='1' ><body from='x'/></message >",
            "<message from='romeo@example.net/orchard' to='a@b'  id='1' ><body from='x'/></message >",
        ),
        (
            "<message xmlns='jabber:client' to='a@b' xml:lang='de' from='x'/>",
            "<message from='romeo@example.net/orchard' to='a@b' xml:lang='de'/>",
        ),
    ];
    for (sent, received) in rows {
        assert_eq!(stamped(HEADER, sent, &stamp), received);
    }
}

#[test]
fn other_stamps() {
    let stamp = Stamp { from: None, to: Some("c@d"), lang: Some("en") };
    assert_eq!(
        stamped(HEADER, "<message from='a@b' to='x' id='1'/>", &stamp),
        "<message to='c@d' id='1' xml:lang='en'/>"
    );
    assert_eq!(
        stamped(HEADER, "<message xml:lang='fr'>x</message>", &stamp),
        "<message to='c@d' xml:lang='fr'>x</message>"
    );
}

#[test]
fn prefixes_of_the_stream_header_go_along() {
    let header = "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' xmlns:x=\"urn:x'&amp;\" \
                  xmlns:y='urn:y' to='example.org' version='1.0'>";
    let stamp = Stamp { from: Some("a@b/c"), ..Stamp::default() };
    assert_eq!(
        stamped(header, "<message to='d@e'><x:a y:b='1'/></message>", &stamp),
        "<message from='a@b/c' to='d@e' xmlns:x='urn:x&#39;&amp;' xmlns:y='urn:y'><x:a y:b='1'/></message>"
    );
    assert_eq!(
        stamped(header, "<message xmlns:y='urn:z'><y:a/></message>", &stamp),
        "<message from='a@b/c' xmlns:y='urn:z'><y:a/></message>"
    );
    let element = with_frame(header, "<message><x:a y:b='1'/></message>", |frame| frame.to_element()).unwrap();
    assert_eq!(element.children().next().unwrap().namespace, "urn:x'&");
    let seen = read([[header, "<presence/></s:stream>"].concat().as_bytes()]);
    assert_eq!(seen.last(), Some(&Seen::End));
}

#[test]
fn white_space_between_stanzas_and_the_end() {
    let seen = read_after_header(b" \n<presence/>\t <iq/>\r\n</stream:stream >ignored");
    assert!(matches!(&seen[..], [Seen::Frame { .. }, Seen::Frame { .. }, Seen::End]), "{seen:?}");
}

#[test]
fn an_element_reads_what_the_framer_lets_pass_and_writes_it_again() {
    let stanza = "<iq type='get' id='1'><query xmlns='urn:x' xml:lang='de' z:k='v' xmlns:z='urn:z'>\
                  a&lt;<![CDATA[<b>]]><item name='&#10;'/>c</query></iq>";
    let element = with_frame(HEADER, stanza, |frame| frame.to_element()).unwrap();
    let query = element.child("query", "urn:x").unwrap();
    assert_eq!(query.text(), "a<<b>c");
    assert_eq!(query.child("item", "urn:x").unwrap().attribute("name"), Some("\n"));
    assert_eq!(query.attribute("k"), None);
    let mut out = Vec::new();
    element.write_to(&mut out, namespaces::CLIENT);
    assert_eq!(Element::parse(&out).unwrap(), element);
    assert!(Element::parse(b"<a/><b/>").is_err() && Element::parse(b"").is_err() && Element::parse(b"<a>").is_err());
}

#[test]
fn an_idle_framer_is_small() {
    assert!(std::mem::size_of::<Framer>() <= 40, "{}", std::mem::size_of::<Framer>());
}
