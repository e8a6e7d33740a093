//! What patterns may cost.

/// How many steps may still be taken: one for each byte that is compared, and fewer for those that are passed over.
///
/// No pattern may take more than so much for itself, and for all patterns of a stanza there is more the longer it is:
/// what is too dear for one of them, because somebody has written a stanza for it to be so, is not the end of others.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    steps: u32,
    /// What one use of a pattern may take, and what is left of it for the one that is used.
    share_max: u32,
    share: u32,
    /// Whether this share was not enough.
    is_short: bool,
    /// Whether any was not.
    spent: bool,
}

/// Steps that one use of a pattern may take: a few hundred microseconds.
const SHARE: u32 = 100_000;

/// Steps that all patterns of one stanza may take together, and those that there are more for each of its bytes: who
/// sends much is held to a rate of bytes, and cannot have this done often.
const STEPS: u32 = 2 * SHARE;
const STEPS_OF_BYTE: u32 = 4;

impl Default for Budget {
    fn default() -> Budget {
        Budget::for_stanza(0)
    }
}

impl Budget {
    /// For a stanza of so many bytes.
    pub fn for_stanza(bytes: usize) -> Budget {
        let more = u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(STEPS_OF_BYTE);
        Budget { share_max: SHARE, ..Budget::of(STEPS.saturating_add(more)) }
    }

    /// So many steps, for one use of a pattern or for many.
    pub fn of(steps: u32) -> Budget {
        Budget { steps, share_max: steps, share: 0, is_short: false, spent: false }
    }

    /// A pattern is used, or what is like one.
    pub(super) fn begin(&mut self) {
        self.share = self.share_max.min(self.steps);
        self.is_short = false;
    }

    /// Whether the pattern that is used is too dear.
    #[inline]
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Whether something was too dear.
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    /// Takes so many steps, if they are there. Once they are not, nothing is, before the next pattern.
    #[inline]
    pub(super) fn take(&mut self, steps: usize) -> bool {
        match u32::try_from(steps).ok().and_then(|steps| self.share.checked_sub(steps)) {
            Some(left) if !self.is_short => {
                self.steps -= self.share - left;
                self.share = left;
                true
            }
            _ => {
                (self.is_short, self.spent) = (true, true);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_dear_for_one_is_not_the_end_of_others() {
        let mut budget = Budget::default();
        assert!(!budget.take(1), "nobody has begun");
        let mut budget = Budget { spent: false, ..Budget::for_stanza(10) };
        for left in [SHARE, SHARE, 10 * STEPS_OF_BYTE] {
            budget.begin();
            assert!(budget.take(left as usize) && !budget.is_short());
            assert!(!budget.take(1) && !budget.take(0) && budget.is_short() && budget.is_spent());
        }
        budget.begin();
        assert!(!budget.is_short() && !budget.take(1));
        assert!(!Budget::default().take(usize::MAX));
    }
}
