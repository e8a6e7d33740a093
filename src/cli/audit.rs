//! `rondel audit`: what administrators have done.

use clap::Args;

use super::access::Access;
use super::{Target, print, values};
use crate::admin::{AuditEntry, AuditPage, ListAudit, Request, ask};
use crate::datetime;

/// The flags of `rondel audit`.
#[derive(Args, Debug)]
pub struct AuditFlags {
    /// Since when: a moment (2026-11-26T18:00:00Z), a day (2026-11-26), or how long ago (2h).
    #[arg(long, env = "RONDEL_SINCE", value_name = "TIME", default_value = "30d", value_parser = values::moment)]
    #[arg(help_heading = "Which")]
    pub since: u64,
    /// Prints one JSON object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Does what was asked. An error is one line.
pub fn run(flags: &AuditFlags) -> Result<(), String> {
    let backend = Access::open(&flags.target, false)?.backend()?;
    let mut list = ListAudit { since_us: flags.since, after: None };
    loop {
        let page: AuditPage = ask(&*backend, Request::ListAudit(list.clone())).map_err(|failure| failure.text)?;
        for entry in &page.entries {
            let line = match flags.json {
                true => serde_json::to_string(entry).map_err(|error| error.to_string())?,
                false => line(entry),
            };
            print(&format!("{line}\n")).map_err(|error| error.to_string())?;
        }
        match page.next {
            Some(next) => list.after = Some(next),
            None => return Ok(()),
        }
    }
}

fn line(entry: &AuditEntry) -> String {
    let said: String = entry.said.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
    let failed = entry.failed.as_ref().map_or(String::new(), |why| format!(" failed: {why}"));
    format!("{} {} by {}{said}{failed}", datetime::utc_us(entry.at_us), entry.what, entry.by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_a_line() {
        let entry = AuditEntry {
            at_us: 1_700_000_000_000_000,
            by: "admin@example.org".into(),
            what: "remove-user".into(),
            said: vec![("jid".into(), "bot@example.org".into())],
            failed: Some("no".into()),
        };
        let expected = "2023-11-14T22:13:20Z remove-user by admin@example.org jid=\"bot@example.org\" failed: no";
        assert_eq!(line(&entry), expected);
    }
}
