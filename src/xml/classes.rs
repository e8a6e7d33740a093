//! Which bytes and characters XML allows where: one table for ASCII, a decoder for the rest of UTF-8.

/// May begin a name without a colon (`NameStartChar` of XML 1.0 §2.3 without `:`), ASCII part.
pub(super) const NAME_START: u8 = 1;
/// May stand in a name without a colon (`NameChar` without `:`), ASCII part.
pub(super) const NAME: u8 = 2;
/// White space (`S` of XML 1.0 §2.3).
pub(super) const SPACE: u8 = 4;
/// Needs no look at all in text: an ASCII `Char` other than `<`, `&`, `>` and white space other than the space itself.
pub(super) const PLAIN_TEXT: u8 = 8;
/// Needs no look at all in an attribute value: the same, less both quotes, but with `>`.
pub(super) const PLAIN_VALUE: u8 = 16;

const CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let mut class = 0;
        let letter = (byte as u8).is_ascii_alphabetic() || byte as u8 == b'_';
        if letter {
            class |= NAME_START;
        }
        if letter || (byte as u8).is_ascii_digit() || byte as u8 == b'-' || byte as u8 == b'.' {
            class |= NAME;
        }
        if matches!(byte as u8, b' ' | b'\t' | b'\r' | b'\n') {
            class |= SPACE;
        }
        if byte >= 0x20 && !matches!(byte as u8, b'<' | b'&' | b'>') {
            class |= PLAIN_TEXT;
        }
        if byte >= 0x20 && !matches!(byte as u8, b'<' | b'&' | b'"' | b'\'') {
            class |= PLAIN_VALUE;
        }
        table[byte] = class;
        byte += 1;
    }
    table
};

/// Whether `byte` belongs to at least one of `classes`.
#[inline(always)]
pub(super) fn is(byte: u8, classes: u8) -> bool {
    CLASSES[byte as usize] & classes != 0
}

/// How many bytes at the front of `input` belong to `classes`.
#[inline(always)]
pub(super) fn run(input: &[u8], classes: u8) -> usize {
    input.iter().position(|&byte| !is(byte, classes)).unwrap_or(input.len())
}

/// What the bytes at the front of a slice spell in UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// A character outside ASCII and the count of its bytes.
    Character(char, usize),
    /// The beginning of a character; the rest has not arrived.
    Partial,
    /// No character of UTF-8 begins like this.
    Invalid,
}

/// Decodes the character outside ASCII at the front of `input` (RFC 3629 §4: no overlong form, no surrogate, nothing
/// above U+10FFFF). An ASCII byte or a continuation byte at the front is `Invalid`, an empty slice `Partial`.
#[inline]
pub(super) fn decode(input: &[u8]) -> Decoded {
    let Some(&first) = input.first() else { return Decoded::Partial };
    let (length, low, high) = match first {
        0xC2..=0xDF => (2, 0x80, 0xBF),
        0xE0 => (3, 0xA0, 0xBF),
        0xE1..=0xEC | 0xEE..=0xEF => (3, 0x80, 0xBF),
        0xED => (3, 0x80, 0x9F),
        0xF0 => (4, 0x90, 0xBF),
        0xF1..=0xF3 => (4, 0x80, 0xBF),
        0xF4 => (4, 0x80, 0x8F),
        _ => return Decoded::Invalid,
    };
    let Some(&second) = input.get(1) else { return Decoded::Partial };
    if second < low || second > high {
        return Decoded::Invalid;
    }
    let mut code = u32::from(first) & (0x7F >> length);
    code = code << 6 | u32::from(second & 0x3F);
    for index in 2..length {
        let Some(&next) = input.get(index) else { return Decoded::Partial };
        if next & 0xC0 != 0x80 {
            return Decoded::Invalid;
        }
        code = code << 6 | u32::from(next & 0x3F);
    }
    match char::from_u32(code) {
        Some(character) => Decoded::Character(character, length),
        None => Decoded::Invalid,
    }
}

/// Whether XML allows `character` anywhere at all (`Char` of XML 1.0 §2.2).
#[inline]
pub(super) fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether `character`, from outside ASCII, may begin a name (`NameStartChar` of XML 1.0, fifth edition, §2.3).
pub(super) fn is_name_start(character: char) -> bool {
    matches!(character,
        '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

/// Whether `character`, from outside ASCII, may stand in a name (`NameChar` of XML 1.0, fifth edition, §2.3).
pub(super) fn is_name(character: char) -> bool {
    is_name_start(character) || matches!(character, '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_exactly_what_the_standard_library_decodes() {
        for first in 0x80..=0xFFu8 {
            for second in 0..=0xFFu8 {
                for tail in [[0x80, 0x80], [0xBF, 0xBF], [0xBE, 0x80], [0x41, 0x80], [0x80, 0x41], [0xC0, 0x80]] {
                    let bytes = [first, second, tail[0], tail[1]];
                    let expected = (2..=4).find_map(|length| std::str::from_utf8(&bytes[..length]).ok());
                    match (decode(&bytes), expected.and_then(|text| text.chars().next())) {
                        (Decoded::Character(found, length), Some(character)) => {
                            assert_eq!((found, length), (character, character.len_utf8()));
                        }
                        (Decoded::Invalid, None) => {}
                        other => panic!("{bytes:x?}: {other:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn every_cut_of_a_character_is_partial() {
        for character in ['\u{80}', 'ß', '\u{800}', '漢', '\u{FFFD}', '\u{10000}', '🜁', '\u{10FFFF}'] {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut]), Decoded::Partial);
            }
        }
    }

    #[test]
    fn noncharacters_of_the_basic_plane_are_no_xml() {
        assert!(!is_xml('\u{FFFE}') && !is_xml('\u{FFFF}') && !is_xml('\0') && !is_xml('\u{B}') && !is_xml('\u{1F}'));
        assert!(is_xml('\u{FFFD}') && is_xml('\u{1FFFE}') && is_xml('\u{7F}') && is_xml('\u{85}') && is_xml('\t'));
    }
}
