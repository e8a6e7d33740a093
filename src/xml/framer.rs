//! From the bytes of a stream to its header, its first-level elements and its end.

use std::sync::Arc;

use super::XmlError::{self, BadFormat, NotWellFormed, PolicyViolation};
use super::classes::{self, Decoded, SPACE};
use super::frame::Frame;
use super::header::{self, Header};
use super::limits::{Bounds, DEPTH_MAX, Limits};
use super::scanner::{INVALID_UTF8, Scanned, Until, scan};
use super::scope::{self, Content, Scope};
use super::work::Work;

/// White space within the stream's end tag that is put up with.
const END_SPACE_MAX: usize = 64;

/// Memory for the index of the frame at hand, lent to one stream at a time.
#[derive(Debug, Default)]
pub struct Scratch {
    work: Work,
}

impl Scratch {
    /// The frame of a stanza that was framed before and has all its prefixes declared in it, or that the server has
    /// written itself. `None` for any other bytes.
    pub fn finished<'a>(&'a mut self, stanza: &'a [u8], content: Content) -> Option<Frame<'a>> {
        let any = u32::MAX;
        let bounds = Bounds { stanza_bytes: any, depth: DEPTH_MAX as u32, attributes: any, children: any };
        if stanza.first() != Some(&b'<') {
            return None;
        }
        self.work.shrink();
        self.work.begin();
        let scanned = scan(&mut self.work, stanza, &bounds, None, Until::EndTag);
        if scanned != Ok(Scanned::Complete) || self.work.at != stanza.len() {
            return None;
        }
        self.work.attributes.truncate(self.work.top_attributes);
        Some(Frame::new(stanza, &self.work, None, content.namespace()))
    }
}

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The header is next.
    Header,
    /// The header of a stream that takes the place of an earlier one on the same connection is next.
    NewHeader,
    /// First-level elements follow.
    Elements,
    /// It has ended, or failed: what comes is thrown away.
    Over,
}

/// The reader of one stream's bytes. Small: between two elements it owns no memory.
///
/// [`Framer::next`] is given all bytes that are not used up yet, the old ones in front; it remembers how far it has
/// read in an element that is not complete.
#[derive(Debug)]
pub struct Framer {
    /// What is known of an element whose end has not come.
    partial: Option<Box<Work>>,
    scope: Option<Arc<Scope>>,
    bounds: Bounds,
    phase: Phase,
    content: Content,
}

/// What [`Framer::next`] has found.
#[derive(Debug)]
pub struct Progress<'a> {
    /// How many bytes at the front were used up. An event that borrows from them has to be handled first.
    pub consumed: usize,
    /// What they were.
    pub event: Event<'a>,
}

/// A part of a stream.
#[derive(Debug)]
pub enum Event<'a> {
    /// Nothing that is complete.
    Incomplete,
    /// The stream header.
    Header(Header<'a>),
    /// A first-level element.
    Frame(Frame<'a>),
    /// The end of the stream.
    End,
    /// A mistake; the stream cannot go on.
    Failed(XmlError),
}

impl Framer {
    /// The reader of a client's stream that begins with its header.
    pub fn new(limits: Limits) -> Framer {
        Framer::with_content(limits, Content::Client)
    }

    /// The reader of any stream that begins with its header.
    pub fn with_content(limits: Limits, content: Content) -> Framer {
        Framer { partial: None, scope: None, bounds: limits.into(), phase: Phase::Header, content }
    }

    /// A new stream header is next (RFC 6120 §4.3.3).
    pub fn restart(&mut self) {
        self.partial = None;
        self.scope = None;
        self.phase = Phase::NewHeader;
    }

    /// Other limits, from the next element on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.bounds = limits.into();
    }

    /// How many bytes at the front of `input` are white space, which belongs to the element before it.
    pub fn blank(input: &[u8]) -> usize {
        classes::run(input, SPACE)
    }

    /// Reads on at the front of `input`.
    #[inline]
    pub fn next<'a>(&mut self, scratch: &'a mut Scratch, input: &'a [u8]) -> Progress<'a> {
        let outcome = match self.phase {
            Phase::Elements => self.next_element(scratch, input),
            Phase::Header => self.next_header(scratch, input, 0),
            // White space that belongs to the end of the earlier stream (RFC 6120 §4.4).
            Phase::NewHeader => self.next_header(scratch, input, classes::run(input, SPACE)),
            Phase::Over => Ok((input.len(), Event::Incomplete)),
        };
        match outcome {
            Ok((consumed, event)) => Progress { consumed, event },
            Err(error) => {
                self.phase = Phase::Over;
                self.partial = None;
                Progress { consumed: input.len(), event: Event::Failed(error) }
            }
        }
    }

    #[inline]
    fn next_element<'a>(&mut self, scratch: &'a mut Scratch, input: &'a [u8]) -> Result<(usize, Event<'a>), XmlError> {
        // Between elements there may be white space (RFC 6120 §4.6.1), and it is all that may be.
        let blank = if self.partial.is_some() { 0 } else { classes::run(input, SPACE) };
        let element = input.get(blank..).unwrap_or_default();
        match element {
            [] | [b'<'] => return Ok((blank, Event::Incomplete)),
            [b'<', b'/', ..] => {
                return Ok(match self.end_tag(element)? {
                    Some(length) => {
                        self.phase = Phase::Over;
                        (blank + length, Event::End)
                    }
                    None => (blank, Event::Incomplete),
                });
            }
            [b'<', ..] => {}
            _ => {
                return match between_elements(element) {
                    Some(error) => Err(error),
                    None => Ok((blank, Event::Incomplete)),
                };
            }
        }
        let scope = self.scope.as_deref();
        match self.partial.take() {
            None => {
                scratch.work.begin();
                if scan(&mut scratch.work, element, &self.bounds, scope, Until::EndTag)? == Scanned::Incomplete {
                    self.partial = Some(Box::new(scratch.work.clone()));
                    scratch.work.shrink();
                    return Ok((blank, Event::Incomplete));
                }
            }
            Some(mut partial) => {
                if scan(&mut partial, element, &self.bounds, scope, Until::EndTag)? == Scanned::Incomplete {
                    self.partial = Some(partial);
                    return Ok((blank, Event::Incomplete));
                }
                scratch.work.shrink();
                scratch.work.take_index(&partial);
            }
        }
        // The index has the attributes of the top element alone.
        scratch.work.attributes.truncate(scratch.work.top_attributes);
        let length = scratch.work.at;
        let bytes = element.get(..length).unwrap_or_default();
        let frame = Frame::new(bytes, &scratch.work, self.scope.clone(), self.content.namespace());
        Ok((blank + length, Event::Frame(frame)))
    }

    /// The length of the stream's end tag; `None` if it is not complete.
    fn end_tag(&self, input: &[u8]) -> Result<Option<usize>, XmlError> {
        const WRONG: XmlError = NotWellFormed("an end tag of another name");
        let name = scope::stream_name(self.scope.as_deref()).as_bytes();
        let rest = input.get(2..).unwrap_or_default();
        let Some(behind) = rest.strip_prefix(name) else {
            return if name.starts_with(rest) { Ok(None) } else { Err(WRONG) };
        };
        let space = classes::run(behind, SPACE);
        match behind.get(space) {
            _ if space > END_SPACE_MAX => Err(PolicyViolation("too much white space")),
            None => Ok(None),
            Some(b'>') => Ok(Some(2 + name.len() + space + 1)),
            Some(_) => Err(WRONG),
        }
    }

    #[cold]
    fn next_header<'a>(
        &mut self,
        scratch: &'a mut Scratch,
        input: &'a [u8],
        blank: usize,
    ) -> Result<(usize, Event<'a>), XmlError> {
        let input = input.get(blank..).unwrap_or_default();
        let start = match header::start_of_header(input)? {
            Some(start) => start,
            None => return Ok((blank, Event::Incomplete)),
        };
        let element = input.get(start..).unwrap_or_default();
        // Seldom in pieces, and then short: it is scanned again rather than remembered.
        scratch.work.begin();
        if scan(&mut scratch.work, element, &self.bounds, None, Until::StartTag)? == Scanned::Incomplete {
            return Ok((blank, Event::Incomplete));
        }
        let bytes = element.get(..scratch.work.at).unwrap_or_default();
        let (header, scope) = header::read(bytes, &scratch.work, self.content)?;
        self.scope = scope.map(Arc::new);
        self.phase = Phase::Elements;
        Ok((blank + start + bytes.len(), Event::Header(header)))
    }
}

/// What is wrong with text between elements; `None` if that cannot be told yet.
fn between_elements(input: &[u8]) -> Option<XmlError> {
    match input.first() {
        Some(0..0x20) => Some(NotWellFormed("a character that XML does not allow")),
        Some(0..0x80) => Some(BadFormat("text between the elements of the stream")),
        Some(_) => match classes::decode(input) {
            Decoded::Partial => None,
            Decoded::Invalid => Some(INVALID_UTF8),
            Decoded::Character(..) => Some(BadFormat("text between the elements of the stream")),
        },
        None => None,
    }
}
