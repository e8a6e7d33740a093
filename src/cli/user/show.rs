//! Accounts as an operator sees them.

use std::io::Write;

use time::OffsetDateTime;
use time::macros::format_description;

use super::{ListUsers, text};
use crate::admin::{self, Backend, PAGE_USERS_MAX, UserDetails};
use crate::jid::Jid;

/// `rondel user list`: page after page, so that a million accounts need no memory.
pub(super) fn list(backend: &dyn Backend, flags: &ListUsers) -> Result<(), String> {
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut left = flags.limit.unwrap_or(usize::MAX);
    let mut list = admin::ListUsers {
        after: flags.after.as_ref().map(ToString::to_string),
        domain: flags.domain.clone(),
        limit: 0,
    };
    while left > 0 {
        list.limit = left.min(PAGE_USERS_MAX);
        let page = backend.list_users(&list).map_err(text)?;
        for user in &page.users {
            let line = match (flags.json, user.disabled) {
                (true, _) => serde_json::to_string(user).map_err(|error| error.to_string())?,
                (false, true) => format!("{} (disabled)", user.jid),
                (false, false) => user.jid.clone(),
            };
            writeln!(output, "{line}").map_err(|error| error.to_string())?;
        }
        left = left.saturating_sub(page.users.len());
        match page.users.last() {
            Some(last) if page.more => list.after = Some(last.jid.clone()),
            _ => break,
        }
    }
    output.flush().map_err(|error| error.to_string())
}

/// `rondel user show`.
pub(super) fn show(backend: &dyn Backend, jid: &Jid<'_>, json: bool) -> Result<(), String> {
    let user = backend.show_user(jid).map_err(text)?;
    let output = match json {
        true => serde_json::to_string(&user).map_err(|error| error.to_string())? + "\n",
        false => describe(&user),
    };
    crate::cli::print(&output).map_err(|error| error.to_string())
}

fn describe(user: &UserDetails) -> String {
    let from = user.source_address.as_ref().map_or(String::new(), |address| format!(" from {address}"));
    let disabled = match &user.disabled {
        None => "no".into(),
        Some((since_s, reason)) if reason.is_empty() => format!("since {}", time(*since_s)),
        Some((since_s, reason)) => format!("since {}: {reason}", time(*since_s)),
    };
    let keys: Vec<_> = user.keys.iter().map(|(name, iterations)| format!("{name} ({iterations} rounds)")).collect();
    format!(
        "account   {}\ncreated   {}, {}{from}\ndisabled  {disabled}\nkeys      {}\n",
        user.jid,
        time(user.created_s),
        user.source,
        keys.join(", "),
    )
}

fn time(seconds: u64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let time = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(format).ok()).unwrap_or_else(|| seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_described_in_four_lines() {
        let mut user = UserDetails {
            jid: "juliet@example.org".into(),
            created_s: 1_795_521_600,
            source: "cli".into(),
            source_address: None,
            disabled: None,
            keys: vec![("SCRAM-SHA-1".into(), 10_000), ("SCRAM-SHA-256".into(), 10_000)],
        };
        let expected = "account   juliet@example.org\n\
                        created   2026-11-24 12:00:00 UTC, cli\n\
                        disabled  no\n\
                        keys      SCRAM-SHA-1 (10000 rounds), SCRAM-SHA-256 (10000 rounds)\n";
        assert_eq!(describe(&user), expected);
        user.source_address = Some("192.0.2.1".into());
        user.disabled = Some((1_795_521_661, "spam".into()));
        assert!(describe(&user).contains("UTC, cli from 192.0.2.1\ndisabled  since 2026-11-24 12:01:01 UTC: spam\n"));
    }
}
