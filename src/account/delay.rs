//! Delayed delivery (XEP-0203): saying in a stanza since when it has been on its way.
//!
//! A stanza has one notation at most (§2). One that a message has already ([`Traits::DELAY`](super::Traits)), and that
//! is not forged ([`forged`](super::forged)), tells an earlier time than the server could: then none is added.

use crate::datetime;
use crate::xml::{append_child, escape, namespaces as ns};

/// A notation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Delay<'a> {
    /// Who has delayed the stanza: for one that was stored, the server's domain.
    pub from: Option<&'a str>,
    /// When it was sent: microseconds since 1970.
    pub at_us: u64,
    /// Why it comes late, for people; possibly empty.
    pub reason: &'a str,
}

impl Delay<'_> {
    /// Appends `<delay/>`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<delay xmlns='");
        out.extend_from_slice(ns::DELAY.as_bytes());
        if let Some(from) = self.from {
            out.extend_from_slice(b"' from='");
            escape::attribute(out, from);
        }
        out.extend_from_slice(b"' stamp='");
        out.extend_from_slice(datetime::utc_us(self.at_us).as_bytes());
        if self.reason.is_empty() {
            return out.extend_from_slice(b"'/>");
        }
        out.extend_from_slice(b"'>");
        escape::text(out, self.reason);
        out.extend_from_slice(b"</delay>");
    }

    /// Adds it to the stanza that `out` ends with, and that begins at `start`.
    pub fn append_to(&self, out: &mut Vec<u8>, start: usize) {
        append_child(out, start, |out| self.write(out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        let mut out = b"<message/><message to='juliet@capulet.com'><body>a</body></message>".to_vec();
        let at_us = 1_031_699_305_000_000;
        Delay { from: Some("capulet.com"), at_us, reason: "Offline Storage" }.append_to(&mut out, 10);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<message/><message to='juliet@capulet.com'><body>a</body><delay xmlns='urn:xmpp:delay' \
             from='capulet.com' stamp='2002-09-10T23:08:25Z'>Offline Storage</delay></message>"
        );
    }

    #[test]
    fn what_is_written_is_escaped() {
        let mut out = b"<presence/>".to_vec();
        Delay { from: Some("room@muc.example/d'Artagnan"), at_us: 1, reason: "<late>" }.append_to(&mut out, 0);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<presence><delay xmlns='urn:xmpp:delay' from='room@muc.example/d&#39;Artagnan' \
             stamp='1970-01-01T00:00:00.000001Z'>&lt;late&gt;</delay></presence>"
        );
    }
}
