//! References (`&amp;`, `&#x41;`): checking them, and turning an attribute's value into the characters it means.

use std::borrow::Cow;

use super::classes;

/// The character of a predefined entity (XML 1.0 §4.6); XMPP allows no other entity (RFC 6120 §11.1).
pub(super) fn predefined(name: &[u8]) -> Option<char> {
    match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"apos" => Some('\''),
        b"quot" => Some('"'),
        _ => None,
    }
}

/// The character of a character reference, given what stands between `&#` and `;` (XML 1.0 §4.1); `None` if there are
/// no digits or XML has no such character.
pub(super) fn character(digits: &[u8]) -> Option<char> {
    let (digits, radix) = match digits.strip_prefix(b"x") {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    if digits.is_empty() {
        return None;
    }
    let mut code = 0u32;
    for &digit in digits {
        code = code.saturating_mul(radix).saturating_add(char::from(digit).to_digit(radix)?);
    }
    char::from_u32(code).filter(|&character| classes::is_xml(character))
}

/// What an attribute value means: references replaced, white space turned into spaces (XML 1.0 §3.3.3).
pub(super) fn decode_value(raw: &str) -> Cow<'_, str> {
    decode(raw, ' ', |text| text.bytes().position(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r')))
}

/// What text means: references replaced, ends of lines as one line feed (XML 1.0 §2.11).
pub(super) fn decode_text(raw: &str) -> Cow<'_, str> {
    decode(raw, '\n', |text| memchr::memchr2(b'&', b'\r', text.as_bytes()))
}

/// Replaces references, and whatever else `special` finds the place of by a blank, a line feed behind a carriage return
/// along with it.
#[inline]
fn decode(raw: &str, blank: char, special: impl Fn(&str) -> Option<usize>) -> Cow<'_, str> {
    let Some(mut place) = special(raw) else { return Cow::Borrowed(raw) };
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        let (plain, behind) = rest.split_at(place);
        out.push_str(plain);
        if behind.starts_with('&') {
            rest = push_reference(&mut out, behind);
        } else {
            out.push(blank);
            rest = behind.strip_prefix("\r\n").or_else(|| behind.get(1..)).unwrap_or_default();
        }
        match special(rest) {
            Some(next) => place = next,
            None => break,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What the text of a CDATA section means: ends of lines are one line feed, nothing is a reference.
pub(super) fn end_lines(raw: &str) -> Cow<'_, str> {
    match raw.contains('\r') {
        true => Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(raw),
    }
}

/// Appends the character of the reference at the front of `input` and answers what follows it. A reference that the
/// scanner would have refused is kept as it is.
fn push_reference<'a>(out: &mut String, input: &'a str) -> &'a str {
    if let Some((reference, rest)) = input.strip_prefix('&').and_then(|after| after.split_once(';')) {
        let character = match reference.strip_prefix('#') {
            Some(digits) => character(digits.as_bytes()),
            None => predefined(reference.as_bytes()),
        };
        if let Some(character) = character {
            out.push(character);
            return rest;
        }
    }
    out.push('&');
    input.strip_prefix('&').unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn character_references_name_characters_of_xml_only() {
        assert_eq!(character(b"65"), Some('A'));
        assert_eq!(character(b"x1F600"), Some('😀'));
        assert_eq!(character(b"x000000000000000000041"), Some('A'));
        for bad in
            [&b""[..], b"x", b"0", b"x0", b"11", b"xD800", b"xFFFE", b"xFFFF", b"x110000", b"99999999999", b"X41"]
        {
            assert_eq!(character(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn text_is_what_it_means() {
        assert_eq!(decode_text("a\r\nb\tc\rd&#13;e&lt;&gt;"), "a\nb\tc\nd\re<>");
        assert_eq!(end_lines("a\r\n&amp;\r"), "a\n&amp;\n");
        assert!(matches!(decode_text("plain\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn values_are_normalised() {
        assert_eq!(decode_value("a\r\nb\tc\nd&#10;e&amp;amp;"), "a b c d\ne&amp;");
        assert!(matches!(decode_value("romeo@example.net"), Cow::Borrowed(_)));
    }
}
