//! Passing over the plain part of text and attribute values, eight bytes at a time.
//!
//! Both functions answer how many bytes at the front need no look; the byte after them may or may not need one.

use super::classes;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// How many bytes at the front of `input` are plain in text: ASCII from the space on, neither `<`, `&` nor `>`.
#[inline(always)]
pub(super) fn plain_text(input: &[u8]) -> usize {
    // `<` and `>` differ in one bit.
    let special = |word: u64| equal(word | (LOW * 0x02), b'>') | equal(word, b'&');
    plain(input, special, classes::PLAIN_TEXT)
}

/// How many bytes at the front of `input` are plain in an attribute value that ends with `quote`: ASCII from the space
/// on, neither `<`, `&` nor `quote`. The other quote may end the answer early.
#[inline(always)]
pub(super) fn plain_value(input: &[u8], quote: u8) -> usize {
    let special = |word: u64| equal(word, quote) | equal(word, b'<') | equal(word, b'&');
    plain(input, special, classes::PLAIN_VALUE)
}

#[inline(always)]
fn plain(input: &[u8], special: impl Fn(u64) -> u64, class: u8) -> usize {
    let mut done = 0;
    let (words, _) = input.as_chunks::<8>();
    for &word in words {
        let word = u64::from_le_bytes(word);
        let found = (special(word) | below_space(word) | word) & HIGH;
        if found != 0 {
            return done + found.trailing_zeros() as usize / 8;
        }
        done += 8;
    }
    done + classes::run(input.get(done..).unwrap_or_default(), class)
}

/// The high bit of each byte that equals `byte`. Behind the first one others may have theirs set without cause, which
/// nobody looks at.
#[inline(always)]
fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (LOW * byte as u64);
    zero.wrapping_sub(LOW) & !zero
}

/// The high bit of each byte below the space, with the same reservation.
#[inline(always)]
fn below_space(word: u64) -> u64 {
    word.wrapping_sub(LOW * 0x20) & !word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_every_special_byte_at_every_place() {
        for byte in 0..=0xFFu8 {
            for place in 0..40 {
                let mut input = [b'a'; 40];
                input[place] = byte;
                let text = if classes::is(byte, classes::PLAIN_TEXT) { 40 } else { place };
                assert_eq!(plain_text(&input), text, "text: {byte:#x} at {place}");
                for quote in [b'"', b'\''] {
                    let answer = plain_value(&input, quote);
                    let other_quote = (byte == b'"' || byte == b'\'') && byte != quote;
                    if other_quote {
                        assert!(answer == place || answer == 40, "the other quote may only stop at its own place");
                    } else {
                        let value = if classes::is(byte, classes::PLAIN_VALUE) { 40 } else { place };
                        assert_eq!(answer, value, "value: {byte:#x} at {place}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_follows_a_special_byte_does_not_matter() {
        for pair in [[b'<', b'='], [b'&', b'\''], [b'>', b'?'], [0x1f, 0x20], [0x80, b'a'], [b'=', b'<'], [b'%', b'&']]
        {
            let mut input = [b'a'; 16];
            input[3..5].copy_from_slice(&pair);
            let expected = input.iter().position(|&byte| !classes::is(byte, classes::PLAIN_TEXT)).unwrap_or(16);
            assert_eq!(plain_text(&input), expected, "{pair:?}");
        }
    }
}
