//! `rondel ban`: addresses that are not let in.

use clap::{Args, Subcommand};

use super::access::Access;
use super::user::Lasting;
use super::{Target, print};
use crate::admin::{BannedNetwork, Request, ask};
use crate::datetime;
use crate::registration::Network;

/// The subcommands of `rondel ban`.
#[derive(Subcommand, Debug)]
pub enum BanAction {
    /// Does not let in who comes from an address or a network, and ends the sessions from there
    Add(AddBan),
    /// Lets an address or a network in again
    Remove(RemoveBan),
    /// Shows what is banned, until when, why, and who has done it
    List(ListBans),
}

/// The flags of `rondel ban add`.
#[derive(Args, Debug)]
pub struct AddBan {
    /// An address, or a network such as 192.0.2.0/24 or 2001:db8::/48.
    #[arg(value_name = "NETWORK")]
    pub network: Network,
    /// Why, for other operators.
    #[arg(long, env = "RONDEL_REASON", value_name = "TEXT", default_value = "", hide_default_value = true)]
    #[arg(help_heading = "Ban")]
    pub reason: String,
    /// For how long.
    #[command(flatten)]
    pub lasting: Lasting,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel ban remove`.
#[derive(Args, Debug)]
pub struct RemoveBan {
    /// What was banned, as `rondel ban list` shows it.
    #[arg(value_name = "NETWORK")]
    pub network: Network,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel ban list`.
#[derive(Args, Debug)]
pub struct ListBans {
    /// Prints one JSON object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "List")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Does what was asked. An error is one line.
pub fn run(action: BanAction) -> Result<(), String> {
    let (target, request, done) = match action {
        BanAction::Add(AddBan { network, reason, lasting, target }) => {
            let done = format!("banned {network}\n");
            (target, Request::BanAddress { network: network.to_string(), for_s: lasting.seconds(), reason }, done)
        }
        BanAction::Remove(RemoveBan { network, target }) => {
            let done = format!("let in {network}\n");
            (target, Request::UnbanAddress { network: network.to_string() }, done)
        }
        BanAction::List(flags) => return list(&flags),
    };
    ask::<()>(&*Access::open(&target, false)?.backend()?, request).map_err(|failure| failure.text)?;
    print(&done).map_err(|error| error.to_string())
}

fn list(flags: &ListBans) -> Result<(), String> {
    let backend = Access::open(&flags.target, false)?.backend()?;
    let bans: Vec<BannedNetwork> = ask(&*backend, Request::ListBans).map_err(|failure| failure.text)?;
    for ban in &bans {
        let line = match flags.json {
            true => serde_json::to_string(ban).map_err(|error| error.to_string())?,
            false => line(ban),
        };
        print(&format!("{line}\n")).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn line(ban: &BannedNetwork) -> String {
    let until = ban.until_s.map_or("for good".into(), |until_s| format!("until {}", datetime::utc_s(until_s)));
    let why = if ban.reason.is_empty() { String::new() } else { format!(": {}", ban.reason) };
    format!("{} {until}, by {}{why}", ban.network, ban.by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_is_a_line() {
        let ban = BannedNetwork {
            network: "192.0.2.0/24".into(),
            since_s: 0,
            until_s: Some(1_700_000_000),
            reason: "bots".into(),
            by: "admin@example.org".into(),
        };
        assert_eq!(line(&ban), "192.0.2.0/24 until 2023-11-14T22:13:20Z, by admin@example.org: bots");
        let ban = BannedNetwork { until_s: None, reason: String::new(), ..ban };
        assert_eq!(line(&ban), "192.0.2.0/24 for good, by admin@example.org");
    }
}
