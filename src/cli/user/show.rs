//! Accounts as an operator sees them.

use std::io::Write;

use time::OffsetDateTime;
use time::macros::format_description;

use super::{ListUsers, text};
use crate::admin::{self, Backend, PAGE_USERS_MAX, Request, UserDetails, UserPage, ask};
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
        let page: UserPage = ask(backend, Request::ListUsers(list.clone())).map_err(text)?;
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
    let user: UserDetails = ask(backend, Request::ShowUser { jid: jid.to_string() }).map_err(text)?;
    let output = match json {
        true => serde_json::to_string(&user).map_err(|error| error.to_string())? + "\n",
        false => describe(&user),
    };
    crate::cli::print(&output).map_err(|error| error.to_string())
}

fn describe(user: &UserDetails) -> String {
    let from = user.source_address.as_ref().map_or(String::new(), |address| format!(" from {address}"));
    let disabled = user.disabled.as_ref().map_or("no".into(), |disabled| {
        let until = disabled.until_s.map_or(String::new(), |until_s| format!(" until {}", time(until_s)));
        let why = if disabled.reason.is_empty() { String::new() } else { format!(": {}", disabled.reason) };
        format!("since {}{until}{why}", time(disabled.since_s))
    });
    let keys: Vec<_> = user.keys.iter().map(|(name, iterations)| format!("{name} ({iterations} rounds)")).collect();
    let mut text = format!(
        "account   {}\ncreated   {}, {}{from}\ndisabled  {disabled}\nkeys      {}\n",
        user.jid,
        time(user.created_s),
        user.source,
        keys.join(", "),
    );
    let until = |until_s: u64| if until_s == u64::MAX { "for good".into() } else { format!("until {}", time(until_s)) };
    let further = [
        user.is_admin.then(|| "role      admin".to_owned()),
        user.muted_until_s.map(|until_s| format!("muted     {}", until(until_s))),
        user.limited_until_s.map(|until_s| format!("limited   {}", until(until_s))),
        user.is_trusted.then(|| "limited   never".to_owned()),
        user.leaves_at_s.map(|at_s| format!("leaves    {}", time(at_s))),
    ];
    further.into_iter().flatten().for_each(|line| text.push_str(&format!("{line}\n")));
    text
}

fn time(seconds: u64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let time = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(format).ok()).unwrap_or_else(|| seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::DisabledUser;

    #[test]
    fn an_account_is_described_in_four_lines() {
        let mut user = UserDetails {
            jid: "juliet@example.org".into(),
            created_s: 1_795_521_600,
            source: "cli".into(),
            source_address: None,
            disabled: None,
            is_admin: false,
            muted_until_s: None,
            limited_until_s: None,
            is_trusted: false,
            leaves_at_s: None,
            keys: vec![("SCRAM-SHA-1".into(), 10_000), ("SCRAM-SHA-256".into(), 10_000)],
        };
        let expected = "account   juliet@example.org\n\
                        created   2026-11-24 12:00:00 UTC, cli\n\
                        disabled  no\n\
                        keys      SCRAM-SHA-1 (10000 rounds), SCRAM-SHA-256 (10000 rounds)\n";
        assert_eq!(describe(&user), expected);
        user.source_address = Some("192.0.2.1".into());
        user.disabled = Some(DisabledUser { since_s: 1_795_521_661, until_s: None, reason: "spam".into() });
        assert!(describe(&user).contains("UTC, cli from 192.0.2.1\ndisabled  since 2026-11-24 12:01:01 UTC: spam\n"));
    }
}
