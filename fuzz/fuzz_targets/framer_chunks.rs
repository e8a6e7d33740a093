//! However a stream is cut into pieces, the framer reads the same; and it never panics.
//!
//! The first byte says how long the pieces are.
#![no_main]

#[path = "../../src/xml/mod.rs"]
#[allow(dead_code, unused_imports)]
mod xml;

use libfuzzer_sys::fuzz_target;
use xml::{Event, Framer, Limits, Scratch, Stamp};

const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
const LIMITS: Limits = Limits { stanza_bytes: 10_000, depth: 16, attributes: 16, children: 64 };

/// What is seen in a stream whose bytes come in these pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut framer = Framer::new(LIMITS);
    let mut scratch = Scratch::default();
    let mut seen = Vec::new();
    let mut unread: Vec<u8> = Vec::new();
    for piece in pieces {
        unread.extend_from_slice(piece);
        loop {
            let progress = framer.next(&mut scratch, &unread);
            let consumed = progress.consumed;
            let goes_on = match progress.event {
                Event::Incomplete => false,
                Event::End | Event::Failed(_) => {
                    seen.push(format!("{:?}", progress.event));
                    false
                }
                Event::Header(header) => {
                    seen.push(format!("{header:?}"));
                    true
                }
                Event::Frame(frame) => {
                    let stamp = Stamp { from: Some("a@b/c"), ..Stamp::default() };
                    let mut stamped = Vec::new();
                    frame.write_stamped(&mut stamped, &stamp);
                    assert!(stamped.len() <= frame.stamped_len(&stamp));
                    assert_restamped(&stamped, &stamp);
                    let element = frame.to_element().expect("xml-rs reads what the framer lets pass");
                    seen.push(format!("{:?} {element:?} {}", frame.kind(), String::from_utf8_lossy(&stamped)));
                    true
                }
            };
            unread.drain(..consumed);
            if !goes_on {
                break;
            }
        }
    }
    seen
}

/// What is passed on is one stanza to its recipient, with the sender that was stamped and no other.
fn assert_restamped(stanza: &[u8], stamp: &Stamp<'_>) {
    let limits = Limits { stanza_bytes: 100_000, attributes: 100, ..LIMITS };
    let mut framer = Framer::new(limits);
    let mut scratch = Scratch::default();
    assert!(matches!(framer.next(&mut scratch, HEADER).event, Event::Header(_)));
    match framer.next(&mut scratch, stanza) {
        xml::Progress { consumed, event: Event::Frame(frame) } => {
            assert_eq!(consumed, stanza.len());
            assert_eq!(frame.attribute("from").map(|from| from.decoded().into_owned()).as_deref(), stamp.from);
        }
        other => panic!("{other:?}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, stream)) = data.split_first() else { return };
    let input = if size & 1 == 0 { [HEADER, stream].concat() } else { stream.to_vec() };
    let whole = read([&input[..]]);
    assert_eq!(read(input.chunks(1 + size as usize / 2)), whole);
});
