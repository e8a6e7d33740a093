//! Bytes in hexadecimal digits.

/// The bytes that digits, two for each, stand for.
pub fn decode(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: &u8| char::from(*digit).to_digit(16);
    let (pairs, []) = digits.as_bytes().as_chunks() else { return None };
    pairs.iter().map(|[high, low]| Some((value(high)? << 4 | value(low)?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_bytes() {
        assert_eq!(decode("00fF7a").as_deref(), Some(&[0, 0xff, 0x7a][..]));
        assert_eq!(decode("").as_deref(), Some(&[][..]));
        for text in ["0", "0g", "+1", "0x00", "é"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
