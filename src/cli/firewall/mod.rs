//! `rondel firewall`: scripts looked at and tried before a server has them, and what a running server does with them.

mod live;
mod scripts;

use clap::{Args, Subcommand};

use super::access::Access;
use super::{Target, print};
use crate::admin::{MarkedAccount, Request, ask};
use crate::datetime;
use live::{ChangeList, ShowLists, ShowStats, TraceRules};
use scripts::{CheckScripts, TryScript};

/// The subcommands of `rondel firewall`.
#[derive(Subcommand, Debug)]
pub enum FirewallAction {
    /// Reads scripts as the server would, and says what is wrong or odd
    Check(CheckScripts),
    /// Tries a script on stanzas, and says which rules were tried and what becomes of each stanza
    Test(Box<TryScript>),
    /// Shows how often each rule of a running server has held
    Stats(ShowStats),
    /// Shows the lists of a running server, or what is in one
    List(ShowLists),
    /// Adds a text to a list of a running server, until it ends
    Add(ChangeList),
    /// Takes a text out of a list of a running server, until it ends
    Remove(ChangeList),
    /// Marks an account, for rules that ask for USER MARKED
    Mark(MarkAccount),
    /// Takes a mark off an account
    Unmark(MarkAccount),
    /// Shows the accounts that bear a mark, the one that has borne it longest first
    Marked(ShowMarked),
    /// Shows live what the rules of a running server do with stanzas
    Trace(TraceRules),
}

/// The flags of `rondel firewall mark` and `unmark`.
#[derive(Args, Debug)]
pub struct MarkAccount {
    /// The account, such as juliet@example.org.
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
    /// The name of the mark.
    #[arg(value_name = "MARK")]
    pub mark: String,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel firewall marked`.
#[derive(Args, Debug)]
pub struct ShowMarked {
    /// The name of the mark.
    #[arg(value_name = "MARK")]
    pub mark: String,
    /// Only accounts of this domain.
    #[arg(long, env = "RONDEL_ON_DOMAIN", value_name = "DOMAIN", help_heading = "List")]
    pub on_domain: Option<String>,
    /// Prints one JSON object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "List")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Does what was asked. An error is one line.
pub fn run(action: FirewallAction) -> Result<(), String> {
    match action {
        FirewallAction::Check(flags) => scripts::check(&flags),
        FirewallAction::Test(flags) => scripts::test(&flags),
        FirewallAction::Stats(flags) => live::stats(&flags),
        FirewallAction::List(flags) => live::list(&flags),
        FirewallAction::Add(flags) => live::change(flags, true),
        FirewallAction::Remove(flags) => live::change(flags, false),
        FirewallAction::Mark(flags) => mark(flags, true),
        FirewallAction::Unmark(flags) => mark(flags, false),
        FirewallAction::Marked(flags) => marked(flags),
        FirewallAction::Trace(flags) => live::trace(&flags),
    }
}

fn mark(flags: MarkAccount, is_set: bool) -> Result<(), String> {
    let MarkAccount { account: jid, mark, target } = flags;
    let done = if is_set { format!("marked {jid}: {mark}\n") } else { format!("{jid} is no longer marked {mark}\n") };
    let request = if is_set { Request::Mark { jid, mark } } else { Request::Unmark { jid, mark } };
    ask::<()>(&*Access::open(&target, false)?.backend()?, request).map_err(|failure| failure.text)?;
    print(&done).map_err(|error| error.to_string())
}

fn marked(flags: ShowMarked) -> Result<(), String> {
    let ShowMarked { mark, on_domain: domain, json, target } = flags;
    let request = Request::ListMarked { mark, domain };
    let all: Vec<MarkedAccount> =
        ask(&*Access::open(&target, false)?.backend()?, request).map_err(|failure| failure.text)?;
    let mut text = String::new();
    for account in &all {
        match json {
            true => text.push_str(&(serde_json::to_string(account).map_err(|error| error.to_string())? + "\n")),
            false => text.push_str(&format!("{} since {}\n", account.jid, datetime::utc_s(account.at_s))),
        }
    }
    print(&text).map_err(|error| error.to_string())
}
