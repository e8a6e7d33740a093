//! Groups of people, as Prosody's `groups_file` has them: a heading in brackets, and below it an address in each line,
//! perhaps with a name behind `=`.

use hashbrown::{HashMap, HashSet};

use crate::jid::Jid;

/// Who belongs to which group.
#[derive(Debug, Default)]
pub struct Groups(HashMap<Box<str>, HashSet<Box<str>>>);

impl Groups {
    /// Reads a file of groups. An error says what is wrong in which line.
    pub fn parse(text: &str) -> Result<Groups, String> {
        let mut groups: HashMap<Box<str>, HashSet<Box<str>>> = HashMap::new();
        let mut group: Option<&str> = None;
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(heading) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                // A plus says that everybody's roster shows it.
                let heading = heading.strip_prefix('+').unwrap_or(heading);
                group = Some(heading);
                groups.entry_ref(heading).or_default();
                continue;
            }
            let address = line.split_once('=').map_or(line, |(address, _)| address).trim();
            let wrong = |what: &str| format!("line {}: {what}", number + 1);
            let group = group.ok_or_else(|| wrong("a [group] is expected before the first address"))?;
            let jid = Jid::parse(address).map_err(|_| wrong("an address such as juliet@example.org is expected"))?;
            groups.entry_ref(group).or_default().insert(jid.bare().into());
        }
        Ok(Groups(groups))
    }

    /// Whether a bare JID is in a group.
    pub fn has(&self, bare: &str, group: &str) -> bool {
        self.0.get(group).is_some_and(|members| members.contains(bare))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_groups_is_read() {
        let groups =
            Groups::parse("# people\n[+Sales]\nJuliet@example.org = Juliet\n\n[Dev]\nromeo@example.org\n").unwrap();
        assert!(groups.has("juliet@example.org", "Sales") && groups.has("romeo@example.org", "Dev"));
        assert!(!groups.has("romeo@example.org", "Sales") && !groups.has("romeo@example.org", "None"));
        assert_eq!(Groups::parse("a@b").unwrap_err(), "line 1: a [group] is expected before the first address");
        assert!(Groups::parse("[x]\n@").unwrap_err().starts_with("line 2"));
    }
}
