//! `rondel limits`: what sessions and addresses have used of what they may.

use clap::{Args, Subcommand};

use super::{Target, print};
use crate::admin::{Remote, Request, SessionUsage, Usage, ask};
use crate::datetime;

/// The subcommands of `rondel limits`.
#[derive(Subcommand, Debug)]
pub enum LimitsAction {
    /// Shows what the sessions of an account, or an address, have used, and when they were last held back
    Show(ShowLimits),
}

/// The flags of `rondel limits show`.
#[derive(Args, Debug)]
pub struct ShowLimits {
    /// An account, or an IP address.
    #[arg(value_name = "ACCOUNT|ADDRESS")]
    pub of: String,
    /// Prints one JSON object.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Does what was asked. An error is one line.
pub fn run(action: &LimitsAction) -> Result<(), String> {
    let LimitsAction::Show(flags) = action;
    let server = Remote::connect(&flags.target.admin_socket()).map_err(|error| error.to_string())?;
    let usage: Usage = ask(&server, Request::ShowLimits { of: flags.of.clone() }).map_err(|failure| failure.text)?;
    let text = match flags.json {
        true => serde_json::to_string(&usage).map_err(|error| error.to_string())? + "\n",
        false => described(&flags.of, &usage),
    };
    print(&text).map_err(|error| error.to_string())
}

fn described(of: &str, usage: &Usage) -> String {
    let mut text = String::new();
    match usage.banned_until_s {
        Some(Some(until_s)) => text.push_str(&format!("{of} is banned until {}\n", datetime::utc_s(until_s))),
        Some(None) => text.push_str(&format!("{of} is banned for good\n")),
        None => {}
    }
    for used in &usage.address {
        text.push_str(&format!(
            "{of}: {} connections; may make {:.0} more at once, and fail to log in {:.0} times\n",
            used.connections, used.connections_left, used.failures_left
        ));
    }
    usage.sessions.iter().for_each(|session| text.push_str(&line(session)));
    if text.is_empty() {
        text = format!("{of} has no session, and nothing is known of it\n");
    }
    text
}

fn line(session: &SessionUsage) -> String {
    let SessionUsage { jid, address, age_s, read_bytes, .. } = session;
    let ago = |what: &str, seconds: Option<u64>| match seconds {
        Some(seconds) => format!("; held back for its {what} {seconds} s ago"),
        None => String::new(),
    };
    let held = match (session.is_exempt, session.is_held, session.held_bytes_s.or(session.held_stanzas_s)) {
        (true, ..) => "; has no limits".into(),
        (_, false, None) => "; never held back".into(),
        _ => format!("{}{}", ago("bytes", session.held_bytes_s), ago("stanzas", session.held_stanzas_s)),
    };
    let now = if session.is_held { "; held back now" } else { "" };
    format!("{jid} from {address}: {read_bytes} bytes in {age_s} s{held}{now}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::AddressUsage;

    #[test]
    fn a_session_is_a_line() {
        let session = SessionUsage {
            jid: "a@x/r".into(),
            address: "192.0.2.1".into(),
            age_s: 60,
            read_bytes: 1234,
            ..SessionUsage::default()
        };
        assert_eq!(line(&session), "a@x/r from 192.0.2.1: 1234 bytes in 60 s; never held back\n");
        let held = SessionUsage { is_held: true, held_bytes_s: Some(0), held_stanzas_s: Some(7), ..session.clone() };
        let expected = "; held back for its bytes 0 s ago; held back for its stanzas 7 s ago; held back now\n";
        assert!(line(&held).ends_with(expected), "{}", line(&held));
        assert!(line(&SessionUsage { is_exempt: true, ..session }).ends_with("; has no limits\n"));
    }

    #[test]
    fn an_address_has_connections_and_perhaps_a_ban() {
        let used = AddressUsage { connections: 3, connections_left: 99.6, failures_left: 20.0 };
        let usage = Usage { address: vec![used], banned_until_s: Some(None), ..Usage::default() };
        assert_eq!(
            described("192.0.2.1", &usage),
            "192.0.2.1 is banned for good\n192.0.2.1: 3 connections; may make 100 more at once, and fail to log in 20 \
             times\n"
        );
        assert_eq!(described("a@x", &Usage::default()), "a@x has no session, and nothing is known of it\n");
    }
}
