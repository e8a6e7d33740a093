//! Writing characters so that XML reads them back as they were.
//!
//! What XML cannot hold at all (control characters, U+FFFE, U+FFFF) is written as U+FFFD, so that whatever the server
//! writes is well-formed, wherever the string came from.

use super::classes;

/// Appends `text` to `out` as character data: `&`, `<` and `>` become references, and so does a carriage return, which
/// a reader would turn into a line feed.
pub fn text(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends `value` to `out` as the inside of an attribute value, for either kind of quote.
pub fn attribute(out: &mut Vec<u8>, value: &str) {
    if plain(value) {
        out.extend_from_slice(value.as_bytes());
    } else {
        escape(out, value, attribute_reference);
    }
}

/// `value` as the inside of an attribute value, for either kind of quote.
pub fn attribute_value(value: &str) -> String {
    let mut out = Vec::with_capacity(attribute_len(value));
    attribute(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}

/// The count of bytes that [`attribute`] will append at most, and exactly if `value` needs no escaping.
pub fn attribute_len(value: &str) -> usize {
    // The longest reference has six bytes and stands for one; the replacement character has three and stands for one.
    if plain(value) { value.len() } else { value.len() * 6 }
}

fn attribute_reference(byte: u8) -> Option<&'static str> {
    match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'"' => Some("&quot;"),
        b'\'' => Some("&#39;"),
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        b'\r' => Some("&#13;"),
        _ => None,
    }
}

/// Whether an attribute may hold `value` as it is; `false` also for characters outside ASCII, which `escape` looks at.
fn plain(value: &str) -> bool {
    value.bytes().all(|byte| classes::is(byte, classes::PLAIN_VALUE) && byte != b'>')
}

fn escape(out: &mut Vec<u8>, text: &str, reference: impl Fn(u8) -> Option<&'static str>) {
    let mut copied = 0;
    for (index, character) in text.char_indices() {
        let replacement = match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => {
                reference(byte).or_else(|| (!classes::is_xml(character)).then_some("\u{FFFD}"))
            }
            _ if classes::is_xml(character) => None,
            _ => Some("\u{FFFD}"),
        };
        if let Some(replacement) = replacement {
            out.extend_from_slice(text.get(copied..index).unwrap_or_default().as_bytes());
            out.extend_from_slice(replacement.as_bytes());
            copied = index + character.len_utf8();
        }
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(write: impl Fn(&mut Vec<u8>, &str), input: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, input);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_keeps_what_it_may() {
        assert_eq!(escaped(text, "a'b\"c\tü\n"), "a'b\"c\tü\n");
        assert_eq!(escaped(text, "1 < 2 && 3 > 2\r"), "1 &lt; 2 &amp;&amp; 3 &gt; 2&#13;");
    }

    #[test]
    fn attributes_keep_their_white_space_and_quotes() {
        assert_eq!(escaped(attribute, "romeo@example.net/orchard"), "romeo@example.net/orchard");
        assert_eq!(escaped(attribute, "'\"\t\n\r<&>"), "&#39;&quot;&#9;&#10;&#13;&lt;&amp;&gt;");
        assert_eq!(escaped(attribute, "é'é"), "é&#39;é");
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        assert_eq!(escaped(text, "a\0b\u{FFFF}c\u{1b}"), "a\u{FFFD}b\u{FFFD}c\u{FFFD}");
        assert_eq!(escaped(attribute, "\u{FFFE}\u{1}"), "\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn attribute_len_is_never_too_small() {
        for value in ["", "plain", "'''", "\"", "é", "\0\0", "a>b", "\u{FFFF}"] {
            let length = escaped(attribute, value).len();
            assert!(attribute_len(value) >= length, "{value:?}");
        }
    }
}
