//! Stream headers, good and bad.

use super::super::{Event, Framer, Scratch, XmlError};
use super::{LIMITS, Seen, read};

const NAMESPACES: &str = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";

fn first(input: &[u8]) -> Option<Seen> {
    read([input]).into_iter().next()
}

#[test]
fn what_a_header_says() {
    let text =
        format!("\n<stream:stream to='example.org' from='a&amp;b' {NAMESPACES} version=\"1.0\" xml:lang='de' id='7'>");
    let mut scratch = Scratch::default();
    match Framer::new(LIMITS).next(&mut scratch, text.as_bytes()).event {
        Event::Header(header) => {
            assert_eq!(header.to.as_deref(), Some("example.org"));
            assert_eq!(header.from.as_deref(), Some("a&b"));
            assert_eq!(header.version.as_deref(), Some("1.0"));
            assert_eq!(header.lang.as_deref(), Some("de"));
            assert_eq!(header.id.as_deref(), Some("7"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn declarations_of_xml() {
    let stream = format!("<stream:stream {NAMESPACES}>");
    let good = [
        "<?xml version='1.0'?>",
        "<?xml version=\"1.0\" encoding='UTF-8'?>\n",
        "<?xml version = '1.0' encoding='utf-8' standalone='yes' ?>",
        "",
    ];
    for declaration in good {
        assert_eq!(first(format!("{declaration}{stream}").as_bytes()), Some(Seen::Header(None)), "{declaration}");
    }
    let bad = [
        "<?xml?>",
        "<?xml version='1.1'?>",
        "<?xml encoding='utf-8'?>",
        "<?xml version='1.0'encoding='utf-8'?>",
        "<?xml version='1.0' standalone='yes' encoding='utf-8'?>",
        "<?xml version='1.0' version='1.0'?>",
        "<?xml version='1.0' standalone='maybe'?>",
        " <?xml version='1.0'?>",
        "x",
    ];
    for declaration in bad {
        let seen = first(format!("{declaration}{stream}").as_bytes());
        assert!(matches!(seen, Some(Seen::Failed(XmlError::NotWellFormed(_)))), "{declaration}: {seen:?}");
    }
}

#[test]
fn each_mistake_has_its_condition() {
    type Check = fn(&XmlError) -> bool;
    let rows: [(&[u8], Check); 13] = [
        (b"\xFF\xFE<\0", |error| *error == XmlError::UnsupportedEncoding),
        (b"\0<", |error| *error == XmlError::UnsupportedEncoding),
        (b"<\0s\0", |error| *error == XmlError::UnsupportedEncoding),
        (b"<?xml version='1.0' encoding='latin-1'?>", |error| *error == XmlError::UnsupportedEncoding),
        (b"<?php ?>", |error| matches!(error, XmlError::RestrictedXml(_))),
        (b"<!DOCTYPE stream>", |error| matches!(error, XmlError::RestrictedXml(_))),
        (b"<!-- -->", |error| matches!(error, XmlError::RestrictedXml(_))),
        (b"<stream xmlns='http://etherx.jabber.org/streams'>", |error| *error == XmlError::BadNamespacePrefix),
        (b"<s:stream xmlns:s='urn:x' xmlns='jabber:client'>", |error| *error == XmlError::InvalidNamespace),
        (b"<s:stream xmlns:s='http://etherx.jabber.org/streams'>", |error| *error == XmlError::InvalidNamespace),
        (b"<stream:stream xmlns='jabber:client'>", |error| matches!(error, XmlError::NotWellFormed(_))),
        (b"<s:s xmlns:s='http://etherx.jabber.org/streams'>", |error| matches!(error, XmlError::BadFormat(_))),
        (b"GET / HTTP/1.1\r\n\r\n", |error| matches!(error, XmlError::NotWellFormed(_))),
    ];
    for (input, check) in rows {
        match first(input) {
            Some(Seen::Failed(error)) => assert!(check(&error), "{}: {error:?}", String::from_utf8_lossy(input)),
            other => panic!("{}: {other:?}", String::from_utf8_lossy(input)),
        }
    }
}

#[test]
fn a_header_is_bounded() {
    let endless = format!("<stream:stream {}", "a='b' ".repeat(5000));
    assert!(matches!(first(endless.as_bytes()), Some(Seen::Failed(XmlError::NotWellFormed(_)))));
    let long = format!("<stream:stream a='{}", "b".repeat(20_000));
    assert!(matches!(first(long.as_bytes()), Some(Seen::Failed(XmlError::PolicyViolation(_)))));
    let blank = " ".repeat(300);
    assert!(matches!(first(blank.as_bytes()), Some(Seen::Failed(XmlError::PolicyViolation(_)))));
}

#[test]
fn a_new_stream_may_follow_the_white_space_of_the_old_one() {
    let stream = format!("\r\n <?xml version='1.0'?><stream:stream {NAMESPACES}><a/>");
    for piece in [1, 1000] {
        let mut scratch = Scratch::default();
        let mut framer = Framer::new(LIMITS);
        framer.restart();
        let mut unread = Vec::new();
        let mut frames = 0;
        for piece in stream.as_bytes().chunks(piece) {
            unread.extend_from_slice(piece);
            loop {
                let progress = framer.next(&mut scratch, &unread);
                let consumed = progress.consumed;
                let goes_on = match progress.event {
                    Event::Incomplete => false,
                    Event::Header(_) | Event::Frame(_) => true,
                    other => panic!("{other:?}"),
                };
                frames += usize::from(goes_on);
                unread.drain(..consumed);
                if !goes_on {
                    break;
                }
            }
        }
        assert_eq!(frames, 2);
    }
}
