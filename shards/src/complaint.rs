//! Log lines about trouble that strangers can cause: one at once, then one a minute that stands for the others.

/// Between two lines.
const INTERVAL_MS: u64 = 60_000;

/// One kind of trouble of one shard.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    next_ms: u64,
    withheld: u64,
}

impl Complaint {
    /// It has happened: for how many times a line stands that is to be written now.
    pub fn stands_for(&mut self, now_ms: u64) -> Option<u64> {
        self.withheld += 1;
        if now_ms < self.next_ms {
            return None;
        }
        self.next_ms = now_ms + INTERVAL_MS;
        Some(std::mem::take(&mut self.withheld))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_for_those_that_were_withheld() {
        let mut complaint = Complaint::default();
        let said: Vec<_> = [0, 1, 59_999, 60_000, 60_001, 200_000].map(|now_ms| complaint.stands_for(now_ms)).into();
        assert_eq!(said, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
