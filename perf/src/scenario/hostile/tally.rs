//! What hostile clients did, and what the server did about it.

use std::collections::BTreeMap;

use super::kind::Kind;
use crate::report::{Report, number};

/// How a connection ended that the client had not done with.
pub const WITHOUT_A_WORD: &str = "closed without a word";

/// Counts of one kind.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Connections that stood.
    pub connections: u64,
    /// Bytes handed to them, before encryption.
    pub bytes: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Connections that the server ended, by what it said: a stream error's condition, why a login failed, or
    /// [`WITHOUT_A_WORD`].
    pub refusals: BTreeMap<String, u64>,
}

/// Counts by kind.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    kinds: BTreeMap<Kind, Counts>,
    /// Why a login failed, of the first that did.
    no_login: Option<String>,
}

impl Tally {
    /// The counts of a kind.
    pub fn of(&mut self, kind: Kind) -> &mut Counts {
        self.kinds.entry(kind).or_default()
    }

    /// A login has failed; the first reason is kept.
    pub fn login_failed(&mut self, why: String) {
        self.no_login.get_or_insert(why);
    }

    /// Adds those of others.
    pub fn add(&mut self, other: Self) {
        self.no_login = self.no_login.take().or(other.no_login);
        for (kind, counts) in other.kinds {
            let own = self.of(kind);
            own.connections += counts.connections;
            own.bytes += counts.bytes;
            own.logins += counts.logins;
            for (why, times) in counts.refusals {
                *own.refusals.entry(why).or_default() += times;
            }
        }
    }

    /// Writes all that is known into a report, sums first.
    pub fn write(&self, report: &mut Report) {
        let sum = |value: fn(&Counts) -> u64| self.kinds.values().map(value).sum::<u64>() as f64;
        report.figure("connections", "connections", "", sum(|counts| counts.connections));
        report.figure("sent_mib", "sent", "MiB", mib(sum(|counts| counts.bytes)));
        report.figure("refusals", "refusals", "", sum(Counts::refused));
        report.figure("logins", "logins", "", sum(|counts| counts.logins));
        for (kind, counts) in &self.kinds {
            let (title, name) = (kind.name(), kind.name().replace('-', "_"));
            let connections = counts.connections as f64;
            report.figure(&format!("{name}_connections"), &format!("{title}: connections"), "", connections);
            report.figure(&format!("{name}_sent_mib"), &format!("{title}: sent"), "MiB", mib(counts.bytes as f64));
            report.figure(&format!("{name}_refusals"), &format!("{title}: refusals"), "", counts.refused() as f64);
        }
        for (kind, counts) in self.kinds.iter().filter(|(_, counts)| !counts.refusals.is_empty()) {
            let list: Vec<_> =
                counts.refusals.iter().map(|(why, times)| format!("{why} {}", number(*times as f64))).collect();
            report.note(format!("{}: {}", kind.name(), list.join(", ")));
        }
        if let Some(why) = &self.no_login {
            report.note(format!("Not all logins succeeded; the first: {why}."));
        }
    }
}

impl Counts {
    /// One more connection was ended by the server.
    pub fn refuse(&mut self, why: &str) {
        *self.refusals.entry(why.to_owned()).or_default() += 1;
    }

    fn refused(&self) -> u64 {
        self.refusals.values().sum()
    }
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_threads_are_summed_and_told_by_kind() {
        let mut all = Tally::default();
        for _ in 0..2 {
            let mut part = Tally::default();
            let counts = part.of(Kind::Nesting);
            counts.connections = 3;
            counts.bytes = 1 << 20;
            counts.refuse("policy-violation");
            counts.refuse(WITHOUT_A_WORD);
            part.of(Kind::Noise).connections = 1;
            all.add(part);
        }
        let mut report = Report::new("hostile", String::new(), Vec::new());
        all.write(&mut report);
        for (name, value) in [("connections", 8.0), ("sent_mib", 2.0), ("refusals", 4.0), ("nesting_connections", 6.0)]
        {
            assert_eq!(report.value(name), Some(value), "{name}");
        }
        assert_eq!(report.notes, ["nesting: closed without a word 2, policy-violation 2"]);
    }
}
