//! `rondel trace`: what a running server decides for the stanzas of an account, live.

use clap::Args;

use crate::admin::{Backend, By, Done, Remote, Request};
use crate::cli::{Target, print};
use crate::datetime;
use crate::jid::Jid;
use crate::shard::Traced;

/// The flags of `rondel trace`.
#[derive(Args, Debug)]
pub struct TraceFlags {
    /// The account, such as juliet@example.org. Who writes to whom is shown, not what.
    #[arg(long, env = "RONDEL_ACCOUNT", value_name = "ADDRESS", value_parser = account, help_heading = "Account")]
    pub account: String,
    /// Prints JSON, one object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The address of an account, in normal form.
fn account(text: &str) -> Result<String, String> {
    let jid = Jid::parse(text).ok().filter(|jid| jid.local().is_some() && !jid.is_full());
    jid.map(|jid| jid.to_string()).ok_or_else(|| "the address of an account, such as juliet@example.org".into())
}

/// Prints what is decided until it is interrupted. An error is one line.
pub fn run(flags: &TraceFlags) -> Result<(), String> {
    let account = &flags.account;
    let begins = format!("looking at {account}; interrupt to end\n");
    let shown = |done: Done| match done {
        Done::Traced(traced) if flags.json => serde_json::to_string(&traced).ok().map(|line| line + "\n"),
        Done::Traced(traced) => Some(line(&traced)),
        _ => None,
    };
    look_on(&flags.target, Request::Trace { jid: account.clone() }, (!flags.json).then_some(&begins), shown)
}

/// Prints what is told in answer to a request until it is interrupted: first that it has begun, if `begins` says so,
/// then what `shown` makes of each answer.
pub(super) fn look_on(
    target: &Target,
    request: Request,
    begins: Option<&str>,
    shown: impl Fn(Done) -> Option<String>,
) -> Result<(), String> {
    let server = Remote::connect(&target.admin_socket()).map_err(|error| error.to_string())?;
    let mut failed = None;
    let mut begins = begins;
    let mut tell = |done: Done| {
        let begun = begins.take().filter(|_| done == Done::Nothing).map(str::to_owned);
        // An empty text shows whether anybody still reads.
        failed = print(&begun.or_else(|| shown(done)).unwrap_or_default()).err();
        failed.is_none()
    };
    server.ask(&By::here(), request, &mut tell).map_err(|failure| failure.text)?;
    failed.map_or(Ok(()), |error| Err(error.to_string()))
}

fn line(traced: &Traced) -> String {
    let lost = match traced.lost {
        0 => String::new(),
        lost => format!("{lost} decisions came too fast to be shown\n"),
    };
    let to = if traced.to.is_empty() { String::new() } else { format!(" to {}", traced.to) };
    let Traced { stanza, from, decision, .. } = traced;
    format!("{lost}{} {stanza} from {from}{to}: {decision}\n", datetime::utc_us(traced.at_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_a_line() {
        let traced = Traced {
            at_us: 1_700_000_000_123_456,
            stanza: "message chat".into(),
            from: "romeo@example.org/orchard".into(),
            to: "juliet@example.org".into(),
            decision: "nobody is there: waits (message)".into(),
            lost: 2,
        };
        assert_eq!(
            line(&traced),
            "2 decisions came too fast to be shown\n2023-11-14T22:13:20.123456Z message chat from \
             romeo@example.org/orchard to juliet@example.org: nobody is there: waits (message)\n"
        );
        let presence = Traced { to: String::new(), lost: 0, ..traced };
        assert!(line(&presence).contains("orchard: nobody"));
    }
}
