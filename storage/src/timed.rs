//! Ids of what stands in the order of time: when it came, and a number that tells apart what came at the same time.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU16, Ordering};

/// Bytes of the time.
const TIME_BYTES: usize = 8;

/// Bytes of an id.
const BYTES: usize = TIME_BYTES + 2;

/// An id, and the key of what has it: the time in microseconds since 1970 as eight bytes, big endian, then a number of
/// two bytes. Shown in hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TimedId([u8; BYTES]);

impl TimedId {
    /// Another one each time, for this time in microseconds since 1970.
    pub fn new(at_micros: u64) -> TimedId {
        static NUMBER: AtomicU16 = AtomicU16::new(0);
        let mut id = [0; BYTES];
        id[..TIME_BYTES].copy_from_slice(&at_micros.to_be_bytes());
        id[TIME_BYTES..].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        TimedId(id)
    }

    /// The first of those of this time.
    pub fn first(at_micros: u64) -> TimedId {
        let mut id = [0; BYTES];
        id[..TIME_BYTES].copy_from_slice(&at_micros.to_be_bytes());
        TimedId(id)
    }

    /// The id that a key is.
    pub(crate) fn of_key(key: &[u8]) -> Option<TimedId> {
        key.try_into().ok().map(TimedId)
    }

    /// The key of what has it.
    pub(crate) fn key(&self) -> &[u8] {
        &self.0
    }

    /// When, in microseconds since 1970.
    pub fn at_micros(&self) -> u64 {
        self.0[..TIME_BYTES].iter().fold(0, |micros, byte| micros << 8 | u64::from(*byte))
    }

    /// The id that comes next to it.
    pub fn next(&self) -> TimedId {
        let mut id = self.0;
        for byte in id.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        TimedId(id)
    }
}

impl fmt::Display for TimedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for TimedId {
    type Err = ();

    fn from_str(text: &str) -> Result<TimedId, ()> {
        let digits =
            text.bytes().map(|byte| char::from(byte).to_digit(16).ok_or(())).collect::<Result<Vec<_>, ()>>()?;
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8)).collect();
        if digits.len() == 2 * BYTES { TimedId::of_key(&bytes).ok_or(()) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_come_back_in_the_order_of_time(one: u64, other: u64) {
            let (one, other) = (TimedId::new(one), TimedId::new(other));
            prop_assert_eq!(one.to_string().parse(), Ok(one));
            prop_assert!(one != other);
            if one.at_micros() != other.at_micros() {
                prop_assert_eq!(one < other, one.at_micros() < other.at_micros());
            }
            prop_assert!(TimedId::first(one.at_micros()) <= one);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<TimedId>();
        }
    }

    #[test]
    fn the_next_one_is_behind_it() {
        let id = TimedId([0, 0, 0, 0, 0, 0, 0, 7, 0xff, 0xff]);
        assert_eq!(id.next(), TimedId::first(8));
        assert_eq!(id.to_string(), "0000000000000007ffff");
        assert_eq!((id.at_micros(), "123".parse::<TimedId>()), (7, Err(())));
    }
}
