//! Cuts the bytes of an XML stream into its header, its stanzas and its end.
//!
//! This is no XML parser: it trusts the server to send well-formed XML and only finds where a stanza ends, because the
//! load tool must cost less than the server that it measures. What has to be understood is parsed by
//! [`super::element`].

use std::fmt;

use memchr::{memchr, memchr3, memmem};

/// What a stream consists of.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The start tag of the stream.
    Header(&'a [u8]),
    /// One complete child of the stream.
    Stanza(&'a [u8]),
    /// `</stream:stream>`.
    End,
}

/// A stanza from the server that is longer than [`STANZA_BYTES_MAX`], or an end tag too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// The stanza does not end within the limit.
    TooLong,
    /// Something that no XML document may contain where it stands.
    Malformed,
}

/// The longest stanza that the tool takes from a server.
pub const STANZA_BYTES_MAX: usize = 16 << 20;

/// The state between two reads. The caller keeps the bytes that were not consumed and offers them again, longer.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    /// How many elements are open, the stream's own included.
    depth: usize,
    /// Where the stanza in progress begins in the caller's buffer.
    start: usize,
    /// How far the caller's buffer was looked at.
    position: usize,
}

impl Scanner {
    /// A scanner that expects a stream header first.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next piece in `buffer` and how many bytes it and what stood before it took; `None` if more bytes are needed.
    ///
    /// After `Some` the next call must begin with the bytes behind the consumed ones; after `None` with the same bytes
    /// and more behind them.
    pub fn next<'a>(&mut self, buffer: &'a [u8]) -> Result<Option<(Piece<'a>, usize)>, ScanError> {
        loop {
            let Some(opening) = memchr(b'<', &buffer[self.position..]) else {
                self.position = buffer.len();
                return self.wait(buffer);
            };
            let tag = self.position + opening;
            let Some((kind, end)) = tag_at(buffer, tag) else {
                self.position = tag;
                return self.wait(buffer);
            };
            self.position = end;
            let piece = match kind {
                Tag::Other => None,
                Tag::Start if self.depth == 0 => {
                    self.depth = 1;
                    Some(Piece::Header(&buffer[tag..end]))
                }
                Tag::Start => {
                    if self.depth == 1 {
                        self.start = tag;
                    }
                    self.depth += 1;
                    None
                }
                Tag::Empty if self.depth == 0 => return Err(ScanError::Malformed),
                Tag::Empty => (self.depth == 1).then(|| Piece::Stanza(&buffer[tag..end])),
                Tag::End => {
                    self.depth = self.depth.checked_sub(1).ok_or(ScanError::Malformed)?;
                    match self.depth {
                        0 => Some(Piece::End),
                        1 => Some(Piece::Stanza(&buffer[self.start..end])),
                        _ => None,
                    }
                }
            };
            if let Some(piece) = piece {
                self.position = 0;
                self.start = 0;
                return Ok(Some((piece, end)));
            }
        }
    }

    fn wait<'a>(&self, buffer: &[u8]) -> Result<Option<(Piece<'a>, usize)>, ScanError> {
        if buffer.len() > STANZA_BYTES_MAX { Err(ScanError::TooLong) } else { Ok(None) }
    }
}

enum Tag {
    Start,
    Empty,
    End,
    /// Declaration, comment, CDATA: nothing that opens or closes an element.
    Other,
}

/// The kind of the tag that begins at `tag` and the place behind it, if it is complete.
fn tag_at(buffer: &[u8], tag: usize) -> Option<(Tag, usize)> {
    let rest = &buffer[tag..];
    let closing = |mark: &[u8]| memmem::find(rest, mark).map(|at| tag + at + mark.len());
    match rest.get(1)? {
        b'/' => Some((Tag::End, closing(b">")?)),
        b'?' => Some((Tag::Other, closing(b"?>")?)),
        b'!' => {
            let mark: &[u8] = match rest.get(2)? {
                b'-' => b"-->",
                b'[' => b"]]>",
                _ => b">",
            };
            Some((Tag::Other, closing(mark)?))
        }
        _ => {
            let mut at = 1;
            loop {
                at += memchr3(b'>', b'\'', b'"', &rest[at..])?;
                match rest[at] {
                    b'>' => {
                        let kind = if rest[at - 1] == b'/' { Tag::Empty } else { Tag::Start };
                        return Some((kind, tag + at + 1));
                    }
                    quote => at += 2 + memchr(quote, &rest[at + 1..])?,
                }
            }
        }
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the server sent a stanza of more than 16 MiB",
            Self::Malformed => "the server sent something that is not an XML stream",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id=\"a>b\">\
        <stream:features><a/><b x='/>'>t</b></stream:features> \n<presence/>\
        <message to='a'><body>1 &gt; 0 <![CDATA[</message>]]><!-- </message> --></body></message></stream:stream>";

    fn pieces(stream: &[u8], cuts: &[usize]) -> Vec<String> {
        let mut scanner = Scanner::new();
        let mut found = Vec::new();
        let mut buffer: Vec<u8> = Vec::new();
        let mut from = 0;
        for &cut in cuts.iter().chain([&stream.len()]) {
            buffer.extend_from_slice(&stream[from..cut]);
            from = cut;
            while let Some((piece, used)) = scanner.next(&buffer).unwrap() {
                found.push(match piece {
                    Piece::Header(_) => "header".to_owned(),
                    Piece::Stanza(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                    Piece::End => "end".to_owned(),
                });
                buffer.drain(..used);
            }
        }
        found
    }

    #[test]
    fn a_stream_falls_into_header_stanzas_and_end() {
        let found = pieces(STREAM, &[]);
        assert_eq!(found.len(), 5);
        assert_eq!((found[0].as_str(), found[4].as_str()), ("header", "end"));
        assert_eq!(found[1], "<stream:features><a/><b x='/>'>t</b></stream:features>");
        assert_eq!(found[2], "<presence/>");
        assert!(found[3].ends_with("--></body></message>"));
    }

    #[test]
    fn an_end_tag_too_many_is_an_error() {
        assert_eq!(Scanner::new().next(b"</a>"), Err(ScanError::Malformed));
    }

    proptest! {
        #[test]
        fn the_place_of_the_cuts_does_not_matter(mut cuts in prop::collection::vec(0..STREAM.len(), 0..12)) {
            cuts.sort_unstable();
            prop_assert_eq!(pieces(STREAM, &cuts), pieces(STREAM, &[]));
        }

        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(prop::sample::select(b"<>/?!-[]'\"ab \xff".to_vec()), 0..200)
        ) {
            let mut scanner = Scanner::new();
            let mut rest = &bytes[..];
            while let Ok(Some((_, used))) = scanner.next(rest) {
                prop_assert!(used > 0);
                rest = &rest[used..];
            }
        }
    }
}
