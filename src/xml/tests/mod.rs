//! The framer against examples, against itself under every way to cut its input, and against xml-rs.

mod chunks;
mod differential;
mod errors;
mod finished;
mod frames;
mod headers;

use super::{Event, Framer, Limits, Scratch, XmlError};

pub(super) const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                          xmlns:stream='http://etherx.jabber.org/streams' \
     to='example.org' version='1.0'>";

pub(super) const LIMITS: Limits = Limits { stanza_bytes: 10_000, depth: 16, attributes: 16, children: 64 };

/// What a stream's bytes are read as, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Header(Option<String>),
    Frame { bytes: String, kind: String, children: Vec<(String, String)>, stamped: String },
    End,
    Failed(XmlError),
}

/// Reads a stream that arrives in these pieces, as the runtime hands it in.
pub(super) fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut framer = Framer::new(LIMITS);
    let mut scratch = Scratch::default();
    let mut seen = Vec::new();
    let mut unread: Vec<u8> = Vec::new();
    for piece in pieces {
        unread.extend_from_slice(piece);
        loop {
            let progress = framer.next(&mut scratch, &unread);
            let consumed = progress.consumed;
            let is_last = match progress.event {
                Event::Incomplete => true,
                Event::Header(header) => {
                    seen.push(Seen::Header(header.to.map(|to| to.into_owned())));
                    false
                }
                Event::Frame(frame) => {
                    let mut stamped = Vec::new();
                    let stamp = super::Stamp { from: Some("a@b/c"), ..Default::default() };
                    frame.write_stamped(&mut stamped, &stamp);
                    assert!(stamped.len() <= frame.stamped_len(&stamp));
                    let child = |child: super::Child<'_>| (child.name().to_owned(), child.namespace().to_owned());
                    seen.push(Seen::Frame {
                        bytes: String::from_utf8(frame.bytes().to_vec()).unwrap(),
                        kind: format!("{:?} {{{}}}{}", frame.kind(), frame.namespace(), frame.name()),
                        children: frame.children().map(child).collect(),
                        stamped: String::from_utf8(stamped).unwrap(),
                    });
                    false
                }
                Event::End => {
                    seen.push(Seen::End);
                    true
                }
                Event::Failed(error) => {
                    seen.push(Seen::Failed(error));
                    true
                }
            };
            unread.drain(..consumed);
            if is_last {
                break;
            }
        }
    }
    seen
}

/// What follows the usual header.
pub(super) fn read_after_header(text: &[u8]) -> Vec<Seen> {
    let input = [HEADER.as_bytes(), text].concat();
    let mut seen = read([&input[..]]);
    assert_eq!(seen.remove(0), Seen::Header(Some("example.org".into())));
    seen
}

/// The mistake that a stream with this content ends with.
pub(super) fn mistake(text: &[u8]) -> Option<XmlError> {
    match read_after_header(text).pop() {
        Some(Seen::Failed(error)) => Some(error),
        _ => None,
    }
}
