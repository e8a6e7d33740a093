//! The message that the tool sends, and what its receiver reads out of it.
//!
//! A message is a chat message as clients send it (body and chat state, XEP-0085) of an exact size in bytes. Its body
//! carries a sequence number and the time of sending, at fixed places, so that the next one is made by overwriting
//! them.

use memchr::memmem;

use super::element::escape;

const MARK: &[u8] = b"@rp:";
const SEQUENCE_DIGITS: usize = 10;
const TIME_DIGITS: usize = 16;
const FILLER: &str = "so it goes round and round, from one to the other and back again, ";

/// What a receiver reads out of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The place of the message among those that its sender sent to this receiver, from 0.
    pub sequence: u64,
    /// Nanoseconds between the start of the run and the sending.
    pub sent_ns: u64,
}

/// A message to one receiver.
#[derive(Debug)]
pub struct Template {
    bytes: Vec<u8>,
    id: usize,
    stamp: usize,
}

impl Template {
    /// A message to `to` of exactly `size` bytes.
    ///
    /// # Errors
    /// The smallest size that is possible, if `size` is smaller.
    pub fn new(to: &str, size: usize) -> Result<Self, usize> {
        let zeros = "0".repeat(SEQUENCE_DIGITS);
        let before = format!("<message to='{}' type='chat' id='", escape(to));
        let opening = "'><body>";
        let stamp = format!("@rp:{zeros}:{}:", "0".repeat(TIME_DIGITS));
        let after = "</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>";
        let least = before.len() + zeros.len() + opening.len() + stamp.len() + after.len();
        let filler: String = FILLER.chars().cycle().take(size.checked_sub(least).ok_or(least)?).collect();
        let id = before.len();
        let stamp_at = id + zeros.len() + opening.len() + MARK.len();
        let bytes = [&before, &zeros, opening, &stamp, &filler, after].concat().into_bytes();
        Ok(Self { bytes, id, stamp: stamp_at })
    }

    /// Appends the message with this stamp to `out`.
    pub fn write(&mut self, stamp: Stamp, out: &mut Vec<u8>) {
        digits(&mut self.bytes[self.id..self.id + SEQUENCE_DIGITS], stamp.sequence);
        digits(&mut self.bytes[self.stamp..self.stamp + SEQUENCE_DIGITS], stamp.sequence);
        let time = self.stamp + SEQUENCE_DIGITS + 1;
        digits(&mut self.bytes[time..time + TIME_DIGITS], stamp.sent_ns);
        out.extend_from_slice(&self.bytes);
    }
}

impl Stamp {
    /// As it stands in a stanza, for those that are not made of a template.
    pub fn text(self) -> String {
        format!("@rp:{:010}:{:016}:", self.sequence, self.sent_ns)
    }
}

/// The stamp of a received stanza, `None` if it is none of this tool.
pub fn stamp(stanza: &[u8]) -> Option<Stamp> {
    if !stanza.starts_with(b"<message") && !stanza.starts_with(b"<presence") {
        return None;
    }
    let rest = &stanza[memmem::find(stanza, MARK)? + MARK.len()..];
    let time = rest.get(SEQUENCE_DIGITS + 1..SEQUENCE_DIGITS + 1 + TIME_DIGITS)?;
    Some(Stamp { sequence: number(&rest[..SEQUENCE_DIGITS])?, sent_ns: number(time)? })
}

fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_size_and_its_stamp() {
        let mut template = Template::new("u1@localhost/rp'1", 300).unwrap();
        for stamp_sent in [Stamp { sequence: 0, sent_ns: 1 }, Stamp { sequence: 9_876_543_210, sent_ns: 123_456_789 }] {
            let mut out = Vec::new();
            template.write(stamp_sent, &mut out);
            assert_eq!(out.len(), 300);
            assert_eq!(stamp(&out), Some(stamp_sent));
            let stanza = super::super::element::with_element(&out, |message| {
                (message.attribute("to").map(str::to_owned), message.children().count())
            });
            assert_eq!(stanza, Ok((Some("u1@localhost/rp'1".to_owned()), 2)));
        }
    }

    #[test]
    fn a_stamp_can_stand_anywhere() {
        let sent = Stamp { sequence: 7, sent_ns: 8 };
        assert_eq!(stamp(format!("<presence><status>{}</status></presence>", sent.text()).as_bytes()), Some(sent));
    }

    #[test]
    fn a_size_too_small_is_told_the_least() {
        let least = Template::new("a@b/c", 10).unwrap_err();
        assert!(Template::new("a@b/c", least).is_ok());
        assert_eq!(Template::new("a@b/c", least - 1).unwrap_err(), least);
    }

    #[test]
    fn other_stanzas_have_no_stamp() {
        for stanza in [
            "<presence/>",
            "<message><body>@rp:1</body></message>",
            "<message><body>hi</body></message>",
            "<message>@rp:000000000x:0000000000000000:</message>",
        ] {
            assert_eq!(stamp(stanza.as_bytes()), None, "{stanza}");
        }
    }
}
