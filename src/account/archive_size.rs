//! When to look at the size of an archive.
//!
//! No account is counted: most of them are in memory for a moment only, while a message comes for them. Instead the
//! messages of a shard are, and every so many bytes the archive is looked at into which the present one goes. The more
//! is written into an archive the more often it is its turn, and none can grow far without that.

use crate::random;

/// Bytes between two looks, on the average. A look costs as much as reading a few messages.
const BETWEEN: usize = 1 << 20;

/// The looks of one shard.
#[derive(Debug)]
pub struct SizeCheck {
    left: usize,
}

impl Default for SizeCheck {
    fn default() -> SizeCheck {
        SizeCheck { left: pause() }
    }
}

impl SizeCheck {
    /// A message of so many bytes goes into an archive. Whether that one is to be looked at.
    #[inline]
    pub fn is_due(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                false
            }
            None => {
                self.left = pause();
                true
            }
        }
    }
}

/// Not foreseen by anybody, so that nobody can see to it that it is always another's turn.
fn pause() -> usize {
    u32::from_be_bytes(random::bytes()) as usize % (2 * BETWEEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_as_seldom_as_they_should_be_and_go_where_the_bytes_go() {
        let mut check = SizeCheck::default();
        let (mut large, mut small) = (0, 0);
        for _ in 0..200_000 {
            large += usize::from(check.is_due(9_000));
            small += usize::from(check.is_due(1_000));
        }
        // Some 1,900 looks; what is so far off comes once in ages.
        let looks = 200_000 * 10_000 / BETWEEN;
        assert!((looks / 2..looks * 2).contains(&(large + small)), "{large} + {small}");
        assert!(large > 4 * small && small > 20, "{large} {small}");
    }
}
