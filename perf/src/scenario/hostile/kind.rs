//! What hostile clients do, as bytes: no I/O, no clock.

use std::fmt::Write;

use clap::ValueEnum;

use crate::xmpp::element::escape;

/// What a hostile client is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// Sends the first half of a ClientHello and falls silent.
    HalfHandshake,
    /// Sends a byte a second.
    Trickle,
    /// Sends an element whose attributes do not end.
    Attributes,
    /// Opens elements within each other and closes none.
    Nesting,
    /// Sends a message whose body does not end for a hundred megabytes.
    HugeStanza,
    /// Sends random bytes.
    Noise,
    /// Logs in, asks and talks to itself, and reads nothing.
    Deaf,
    /// Connects and leaves, again and again.
    Reconnect,
}

/// What a client sends on one connection at most: nothing that is refused takes longer to be noticed.
const BYTES_MAX: u64 = 100_000_000;
/// What it sends at a time, about.
const CHUNK_BYTES: usize = 32 << 10;

impl Kind {
    /// All of them, in turn.
    pub const ALL: [Self; 8] = [
        Self::HalfHandshake,
        Self::Trickle,
        Self::Attributes,
        Self::Nesting,
        Self::HugeStanza,
        Self::Noise,
        Self::Deaf,
        Self::Reconnect,
    ];

    /// As it is written in flags and figures.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether a client logs in before it becomes hostile. Where that makes a difference to the server, it does so on
    /// every other connection.
    pub fn logs_in(self, round: u64) -> bool {
        match self {
            Self::Attributes | Self::Nesting | Self::HugeStanza | Self::Noise => round % 2 == 1,
            Self::Deaf => true,
            Self::HalfHandshake | Self::Trickle | Self::Reconnect => false,
        }
    }

    /// Whether what it sends has to stand in a stream.
    pub fn opens_stream(self) -> bool {
        matches!(self, Self::Attributes | Self::Nesting | Self::HugeStanza)
    }
}

/// What a client of one kind sends on one connection, piece by piece.
#[derive(Debug)]
pub struct Script {
    kind: Kind,
    /// The stream header, for who takes its time with it.
    header: Vec<u8>,
    /// Whom it talks to: itself.
    jid: String,
    domain: String,
    pieces: u64,
    left: u64,
    random: u64,
}

impl Script {
    /// For a client that opens streams with `header` and is logged in as `jid`, or not at all; `seed` of random bytes.
    pub fn new(kind: Kind, header: Vec<u8>, jid: &str, domain: &str, seed: u64) -> Self {
        let (jid, domain) = (escape(jid), escape(domain));
        // Zero is where this generator would stay.
        Self { kind, header, jid, domain, pieces: 0, left: BYTES_MAX, random: seed | 1 }
    }

    /// Appends the next piece; nothing once there is no more.
    pub fn next(&mut self, out: &mut Vec<u8>) {
        let before = out.len();
        if self.left > 0 {
            self.piece(out);
        }
        self.pieces += 1;
        self.left = self.left.saturating_sub((out.len() - before) as u64);
    }

    fn piece(&mut self, out: &mut Vec<u8>) {
        let opening: &[u8] = match self.kind {
            _ if self.pieces > 0 => b"",
            Kind::Attributes => b"<message ",
            Kind::Nesting => b"<message>",
            Kind::HugeStanza => b"<message><body>",
            Kind::Deaf => b"<presence/>",
            _ => b"",
        };
        out.extend_from_slice(opening);
        match self.kind {
            Kind::Attributes => self.attributes(out),
            Kind::Nesting => (0..CHUNK_BYTES / 3).for_each(|_| out.extend_from_slice(b"<a>")),
            Kind::HugeStanza => out.resize(out.len() + CHUNK_BYTES, b'x'),
            Kind::Noise => (0..CHUNK_BYTES / 8).for_each(|_| out.extend_from_slice(&self.random().to_le_bytes())),
            Kind::Deaf => self.questions(out),
            Kind::Trickle => out.push(self.header.get(self.pieces as usize).copied().unwrap_or(b' ')),
            Kind::HalfHandshake | Kind::Reconnect => {}
        }
    }

    fn attributes(&self, out: &mut Vec<u8>) {
        let each = CHUNK_BYTES as u64 / 16;
        let names = self.pieces * each..(self.pieces + 1) * each;
        names.for_each(|name| out.extend_from_slice(format!("a{name}='x' ").as_bytes()));
    }

    /// Questions with long answers, and messages that come back.
    fn questions(&self, out: &mut Vec<u8>) {
        const BODY_BYTES: usize = 1000;
        let mut text = String::new();
        while text.len() < CHUNK_BYTES {
            let (domain, jid, body) = (&self.domain, &self.jid, "x".repeat(BODY_BYTES));
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "<iq type='get' id='q' to='{domain}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>\
                 <message to='{jid}' type='chat'><body>{body}</body></message>"
            );
        }
        out.extend_from_slice(text.as_bytes());
    }

    /// xorshift64: what nobody has to guess.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(kind: Kind, count: usize) -> Vec<u8> {
        let mut script = Script::new(kind, b"<s>".to_vec(), "a@localhost/r", "localhost", 7);
        let mut out = Vec::new();
        (0..count).for_each(|_| script.next(&mut out));
        out
    }

    #[test]
    fn attributes_are_all_different_and_never_end() {
        let text = String::from_utf8(pieces(Kind::Attributes, 3)).unwrap();
        assert!(text.starts_with("<message a0='x' a1='x' ") && !text.contains('>'), "{}", &text[..60]);
        let names: std::collections::BTreeSet<_> = text.split(' ').collect();
        assert_eq!(names.len(), text.split(' ').count());
    }

    #[test]
    fn a_huge_stanza_is_a_hundred_megabytes_and_no_more() {
        let mut script = Script::new(Kind::HugeStanza, Vec::new(), "", "localhost", 1);
        let (mut total, mut out) = (0, Vec::new());
        loop {
            out.clear();
            script.next(&mut out);
            if out.is_empty() {
                break;
            }
            total += out.len() as u64;
        }
        assert!((BYTES_MAX..BYTES_MAX + CHUNK_BYTES as u64 * 2).contains(&total), "{total}");
    }

    #[test]
    fn a_deaf_client_sends_whole_stanzas() {
        let text = String::from_utf8(pieces(Kind::Deaf, 2)).unwrap();
        let document = format!("<stream>{text}</stream>");
        let document = roxmltree::Document::parse(&document).unwrap();
        let stanzas = document.root_element().children();
        assert_eq!(stanzas.filter(|stanza| stanza.has_tag_name("presence")).count(), 1);
    }

    #[test]
    fn noise_differs_and_a_trickle_is_one_byte() {
        let noise = pieces(Kind::Noise, 1);
        assert_ne!(noise[..8], noise[8..16]);
        assert_eq!(pieces(Kind::Trickle, 4), b"<s> ");
        assert!(pieces(Kind::Reconnect, 3).is_empty());
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(names.contains("half-handshake"));
    }
}
