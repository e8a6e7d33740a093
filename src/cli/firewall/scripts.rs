//! Scripts before a server has them: whether they are right, and what they do.

use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use crate::cli::print;
use crate::firewall::{
    Acquaintance, Beside, Hook, Loaded, Outcome, Role, Running, Surroundings, Trial, Tried, WallClock,
};
use crate::jid::Jid;
use crate::xml::{Part, namespaces::CLIENT};

/// The flags of `rondel firewall check`.
#[derive(Args, Debug)]
pub struct CheckScripts {
    /// The scripts, in the order in which the server has them; or those that come with it, such as
    /// module:scripts/spam-blocking.pfw.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    /// Who belongs together, for rules that ask for groups.
    #[arg(long, env = "RONDEL_GROUPS", value_name = "FILE", help_heading = "Surroundings")]
    pub groups: Option<PathBuf>,
    /// Where addresses are, for rules that ask for countries: a database in MaxMind's format.
    #[arg(long, env = "RONDEL_GEOIP", value_name = "FILE", help_heading = "Surroundings")]
    pub geoip: Option<PathBuf>,
}

/// The flags of `rondel firewall test`.
#[derive(Args, Debug)]
pub struct TryScript {
    /// The script, or one that comes with the server, such as module:scripts/spam-blocking.pfw.
    #[arg(value_name = "FILE")]
    pub file: String,
    /// The stanza; without it all that stand on standard input, one after the other.
    #[arg(value_name = "STANZA")]
    pub stanza: Option<String>,
    /// More scripts that are run behind it; repeat it for several.
    #[arg(long, env = "RONDEL_WITH", value_name = "FILE", value_delimiter = ',', help_heading = "Scripts")]
    pub with: Vec<String>,
    /// Where the stanza is on its way.
    #[arg(long, env = "RONDEL_CHAIN", value_name = "CHAIN", value_enum, default_value_t = ChainName::Deliver)]
    #[arg(help_heading = "Stanza")]
    pub chain: ChainName,
    /// Who has sent it, instead of what stands in it.
    #[arg(long, env = "RONDEL_FROM", value_name = "JID", value_parser = jid, help_heading = "Stanza")]
    pub from: Option<String>,
    /// Whom it is for, instead of what stands in it.
    #[arg(long, env = "RONDEL_TO", value_name = "JID", value_parser = jid, help_heading = "Stanza")]
    pub to: Option<String>,
    /// From where the sender is connected.
    #[arg(long, env = "RONDEL_ADDRESS", value_name = "ADDRESS", help_heading = "Surroundings")]
    pub address: Option<IpAddr>,
    /// A domain that the server serves; repeat it for several. Without it: that of the addressee, or of the sender
    /// where the stanza leaves or names nobody.
    #[arg(long, env = "RONDEL_DOMAIN", value_name = "DOMAIN", value_delimiter = ',', help_heading = "Surroundings")]
    pub domain: Vec<String>,
    /// The addressee has the sender in its roster, and is subscribed to it.
    #[arg(long, env = "RONDEL_IS_CONTACT", help_heading = "Surroundings")]
    pub is_contact: bool,
    /// A group in which the addressee has the sender in its roster; repeat it for several.
    #[arg(long, env = "RONDEL_ROSTER_GROUP", value_name = "GROUP", value_delimiter = ',')]
    #[arg(help_heading = "Surroundings")]
    pub roster_group: Vec<String>,
    /// The session to which a full address leads is connected.
    #[arg(long, env = "RONDEL_CONNECTED", help_heading = "Surroundings")]
    pub connected: bool,
    /// Whoever has this account is an administrator; repeat it for several.
    #[arg(long, env = "RONDEL_ADMIN", value_name = "JID", value_delimiter = ',', help_heading = "Surroundings")]
    pub admin: Vec<String>,
    /// Whoever has this account has registered lately, or is held to the limits of those; repeat it for several.
    #[arg(long, env = "RONDEL_NEWCOMER", value_name = "JID", value_delimiter = ',', help_heading = "Surroundings")]
    pub newcomer: Vec<String>,
    /// A mark that the sender's session bears; repeat it for several.
    #[arg(long, env = "RONDEL_MARK", value_name = "MARK", value_delimiter = ',', help_heading = "Surroundings")]
    pub mark: Vec<String>,
    /// A mark that the sender's account bears; repeat it for several.
    #[arg(long, env = "RONDEL_USER_MARK", value_name = "MARK", value_delimiter = ',', help_heading = "Surroundings")]
    pub user_mark: Vec<String>,
    /// Who belongs together, for rules that ask for groups.
    #[arg(long, env = "RONDEL_GROUPS", value_name = "FILE", help_heading = "Surroundings")]
    pub groups: Option<PathBuf>,
    /// Where addresses are, for rules that ask for countries: a database in MaxMind's format.
    #[arg(long, env = "RONDEL_GEOIP", value_name = "FILE", help_heading = "Surroundings")]
    pub geoip: Option<PathBuf>,
}

/// Where a stanza is on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ChainName {
    /// A client has sent it.
    Preroute,
    /// It has come to its addressee.
    Deliver,
    /// It leaves for another server.
    DeliverRemote,
}

impl From<ChainName> for Hook {
    fn from(name: ChainName) -> Hook {
        match name {
            ChainName::Preroute => Hook::Preroute,
            ChainName::Deliver => Hook::Deliver,
            ChainName::DeliverRemote => Hook::DeliverRemote,
        }
    }
}

/// An address in its normal form.
fn jid(text: &str) -> Result<String, String> {
    Jid::parse(text).map(|jid| jid.to_string()).map_err(|_| "an address, such as juliet@example.org".into())
}

fn beside<'p>(groups: &'p Option<PathBuf>, geoip: &'p Option<PathBuf>) -> Beside<'p> {
    Beside { groups: groups.as_deref(), places: geoip.as_deref() }
}

/// Reads scripts and says what is odd. An error is one line.
pub(super) fn check(flags: &CheckScripts) -> Result<(), String> {
    let (loaded, warnings) = Loaded::read(&flags.files, beside(&flags.groups, &flags.geoip))?;
    let mut text: String = warnings.iter().map(|warning| format!("{warning}\n")).collect();
    let rules = &loaded.rules;
    let entries: usize = loaded.sources.iter().map(|entries| entries.len()).sum();
    text.push_str(&format!(
        "{} rules in {} chains of {} scripts; {} lists, {entries} entries read\n",
        rules.rules,
        rules.chains.len(),
        rules.scripts.len(),
        rules.lists.len(),
    ));
    print(&text).map_err(|error| error.to_string())
}

/// Tries a script on stanzas. An error is one line.
pub(super) fn test(flags: &TryScript) -> Result<(), String> {
    let files: Vec<String> = [&flags.file].into_iter().chain(&flags.with).cloned().collect();
    let (loaded, warnings) = Loaded::read(&files, beside(&flags.groups, &flags.geoip))?;
    warnings.iter().for_each(|warning| eprintln!("rondel: {warning}"));
    let stanzas = match &flags.stanza {
        Some(stanza) => vec![stanza.clone()],
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
            split(&text)
        }
    };
    if stanzas.is_empty() {
        return Err("there is no stanza on standard input".into());
    }
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let running = Running::new(loaded, 1, None);
    let mut trial = Trial::new(running, surroundings(flags, &stanzas), WallClock::now(), now_ms);
    let mut counts = [0; 2];
    for stanza in &stanzas {
        let tried = trial.try_stanza(flags.chain.into(), stanza, flags.from.as_deref(), flags.to.as_deref());
        let tried = tried.map_err(|error| format!("{error} where this stands: {stanza}"))?;
        counts[usize::from(tried.outcome != Outcome::Pass)] += 1;
        print(&described(&tried)).map_err(|error| error.to_string())?;
    }
    if stanzas.len() > 1 {
        let [passed, kept] = counts;
        print(&format!("{} stanzas: {passed} pass, {kept} do not\n", stanzas.len()))
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The stanzas that stand one after the other in a text, perhaps as the content of one more element.
fn split(text: &str) -> Vec<String> {
    let trimmed = text.trim_start();
    let is_stanza = ["<message", "<presence", "<iq"].iter().any(|name| trimmed.starts_with(name));
    let whole = if is_stanza || trimmed.is_empty() { format!("<stream>{text}</stream>") } else { text.to_owned() };
    let part = Part::stanza(whole.as_bytes(), CLIENT);
    part.children().map(|child| String::from_utf8_lossy(child).into_owned()).collect()
}

fn surroundings(flags: &TryScript, stanzas: &[String]) -> Surroundings {
    let own_domain = || {
        let first = stanzas.first().map(String::as_bytes).unwrap_or_default();
        let [from, to] = crate::xml::attributes(first, ["from", "to"]);
        let (from, to) = (flags.from.clone().or(from), flags.to.clone().or(to));
        let own = match Hook::from(flags.chain) {
            Hook::Deliver => to.or(from),
            Hook::Preroute | Hook::DeliverRemote => from.or(to),
        };
        Jid::parse(&own?).ok().map(|jid| jid.domain().to_owned())
    };
    let domains = if flags.domain.is_empty() { own_domain().into_iter().collect() } else { flags.domain.clone() };
    let newcomers = flags.newcomer.iter().map(|jid| (jid.clone(), Role::Registered));
    Surroundings {
        domains,
        acquaintance: Acquaintance {
            in_roster: flags.is_contact || !flags.roster_group.is_empty(),
            is_subscribed: flags.is_contact,
            is_connected: flags.connected,
            ..Acquaintance::default()
        },
        roster_groups: flags.roster_group.clone(),
        roles: newcomers.chain(flags.admin.iter().map(|jid| (jid.clone(), Role::Admin))).collect(),
        address: flags.address,
        marks: flags.mark.clone(),
        account_marks: flags.user_mark.clone(),
    }
}

fn described(tried: &Tried) -> String {
    let mut text: String = tried.steps.iter().map(|step| format!("{step}\n")).collect();
    tried.effects.iter().for_each(|effect| text.push_str(&format!("=> {effect}\n")));
    if let Some(changed) = &tried.changed {
        text.push_str(&format!("=> it is now {changed}\n"));
    }
    text.push_str(&format!("=> it {}\n", tried.outcome));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_stand_one_after_the_other_or_in_a_stream() {
        let expected = ["<message to='a'><body>hi</body></message>", "<presence/>"];
        assert_eq!(split(&format!("\n{}\n{}\n", expected[0], expected[1])), expected);
        assert_eq!(split(&format!("<x>{} {}</x>", expected[0], expected[1])), expected);
        assert!(split(" \n").is_empty());
    }
}
