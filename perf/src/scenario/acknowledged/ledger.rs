//! What was sent and what the server has acknowledged of it, kept in a file; and what was found of it.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::PRESENT;

/// What was sent. Messages have numbers from 0.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// When the first was sent, in microseconds since 1970: messages with earlier stamps are of another run.
    pub began_us: u64,
    /// Accounts that are not there.
    pub absent: u64,
    /// Messages.
    pub sent: u64,
    /// How many of them, from the first on, the server has acknowledged.
    pub acknowledged: u64,
    /// Those of them that came back as errors: the sender knows.
    pub refused: Vec<u64>,
}

impl Ledger {
    /// Reads what [`Ledger::write`] wrote.
    ///
    /// # Errors
    /// The file cannot be read, or is none.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}: not a ledger of this tool", path.display()))
    }

    /// Writes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        fs::write(path, serde_json::to_string(self)?).with_context(|| format!("{}: cannot be written", path.display()))
    }

    /// Whether a message that carries this moment is of this run.
    pub fn is_own(&self, sent_us: u64) -> bool {
        sent_us >= self.began_us
    }

    /// Whether the server is to have this message.
    fn owes(&self, number: u64) -> bool {
        number < self.acknowledged && !self.refused.contains(&number)
    }

    /// The account that gets this message.
    pub fn recipient(&self, number: u64) -> u64 {
        if number.is_multiple_of(2) { PRESENT } else { PRESENT + 1 + number / 2 % self.absent.max(1) }
    }

    /// The messages to one account, or all.
    pub fn numbers(&self, account: Option<u64>) -> Vec<u64> {
        let is_to = |number: &u64| account.is_none_or(|account| self.recipient(*number) == account);
        (0..self.sent).filter(is_to).collect()
    }
}

/// How often each message was found in one place.
#[derive(Clone, Debug)]
pub struct Found {
    counts: Vec<u32>,
}

/// What is wrong in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Messages that were acknowledged and are not there.
    pub lost: Vec<u64>,
    /// Messages that are there more than once, acknowledged or not.
    pub twice: Vec<u64>,
    /// Messages that are there, each counted once.
    pub present: u64,
}

impl Found {
    /// Nothing of what the ledger knows.
    pub fn new(ledger: &Ledger) -> Self {
        Self { counts: vec![0; ledger.sent as usize] }
    }

    /// A message was found.
    pub fn add(&mut self, number: u64) {
        if let Some(count) = self.counts.get_mut(number as usize) {
            *count += 1;
        }
    }

    /// Compares with what should be there: `numbers`, those that were acknowledged if they are `required`.
    pub fn judge(&self, ledger: &Ledger, numbers: &[u64], required: bool) -> Verdict {
        let mut verdict = Verdict::default();
        for &number in numbers {
            match self.counts.get(number as usize).copied().unwrap_or(0) {
                0 if required && ledger.owes(number) => verdict.lost.push(number),
                0 => {}
                1 => verdict.present += 1,
                _ => {
                    verdict.present += 1;
                    verdict.twice.push(number);
                }
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_is_owed_once_unless_it_came_back() {
        let ledger = Ledger { began_us: 0, absent: 2, sent: 8, acknowledged: 6, refused: vec![2] };
        let mut found = Found::new(&ledger);
        for number in [0, 1, 1, 3, 7, 7, 99] {
            found.add(number);
        }
        let verdict = found.judge(&ledger, &ledger.numbers(None), true);
        assert_eq!(verdict, Verdict { lost: vec![4, 5], twice: vec![1, 7], present: 4 });
        let even = found.judge(&ledger, &ledger.numbers(Some(PRESENT)), true);
        assert_eq!(even, Verdict { lost: vec![4], twice: vec![], present: 1 });
        assert_eq!([1, 3, 5, 7].map(|number| ledger.recipient(number)), [2, 3, 2, 3]);
        assert_eq!(ledger.numbers(Some(3)), [3, 7]);
        assert!(found.judge(&ledger, &ledger.numbers(Some(PRESENT)), false).lost.is_empty());
    }

    #[test]
    fn a_ledger_survives_its_file() {
        let ledger = Ledger { began_us: 7, absent: 1, sent: 3, acknowledged: 2, refused: vec![1] };
        let file = tempfile::NamedTempFile::new().unwrap();
        ledger.write(file.path()).unwrap();
        assert_eq!(Ledger::read(file.path()).unwrap(), ledger);
        assert!(ledger.is_own(7) && !ledger.is_own(6));
        fs::write(file.path(), "[]").unwrap();
        assert!(Ledger::read(file.path()).is_err());
    }
}
