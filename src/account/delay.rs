//! Delayed delivery (XEP-0203): saying in a stanza since when it has been on its way.
//!
//! A stanza has one notation at most (§2). One that a message has already ([`Traits::DELAY`](super::Traits)), and that
//! is not forged ([`forged`](super::forged)), tells an earlier time than the server could: then none is added.

use crate::service;
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
        write_moment(out, self.at_us);
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

/// Appends a moment, given in microseconds since 1970, in the DateTime profile of XEP-0082 §3.2; without a fraction if
/// there is none.
pub(super) fn write_moment(out: &mut Vec<u8>, at_us: u64) {
    out.extend_from_slice(service::utc(at_us / 1_000_000).as_bytes());
    let mut fraction = at_us % 1_000_000;
    if fraction == 0 {
        return;
    }
    let mut digits = *b".000000Z";
    for digit in digits[1..7].iter_mut().rev() {
        *digit += (fraction % 10) as u8;
        fraction /= 10;
    }
    out.pop();
    out.extend_from_slice(&digits);
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

    #[test]
    fn moments_have_microseconds_where_they_need_them() {
        for (at_us, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_000_000, "1970-01-01T00:00:01Z"),
            (1_500_000, "1970-01-01T00:00:01.500000Z"),
            (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_120_030, "2000-02-29T00:00:00.120030Z"),
        ] {
            let mut out = Vec::new();
            write_moment(&mut out, at_us);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
