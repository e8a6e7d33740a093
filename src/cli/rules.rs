//! Flags of `rondel serve`: the rules that stanzas pass.

use std::path::PathBuf;

use clap::Args;

use crate::firewall::{Beside, Loaded, Warning};

/// The firewall.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Firewall")]
pub struct RuleFlags {
    /// A script in the language of Prosody's mod_firewall that stanzas have to pass, or one of those that come with the
    /// server, such as module:scripts/spam-blocking.pfw. Repeat it for several: they are run in this order. SIGHUP
    /// reads them anew, and if one is wrong those that run stay.
    #[arg(long, env = "RONDEL_FIREWALL", value_name = "FILE", value_delimiter = ',')]
    pub firewall: Vec<String>,

    /// Who belongs together, for rules that ask for groups: below each [name] addresses, one in a line.
    #[arg(long, env = "RONDEL_GROUPS", value_name = "FILE")]
    pub groups: Option<PathBuf>,

    /// Where addresses are, for rules that ask for countries: a database in MaxMind's format, such as
    /// GeoLite2-Country.mmdb.
    #[arg(long, env = "RONDEL_GEOIP", value_name = "FILE")]
    pub geoip: Option<PathBuf>,
}

impl RuleFlags {
    /// The rules, if there are any, and what is odd about them where these domains are served. An error is one line
    /// that says what to change.
    pub fn load(&self, domains: &[String]) -> Result<Option<(Loaded, Vec<Warning>)>, String> {
        if self.firewall.is_empty() {
            return Ok(None);
        }
        let beside = Beside { groups: self.groups.as_deref(), places: self.geoip.as_deref() };
        let (loaded, mut warnings) =
            Loaded::read(&self.firewall, beside).map_err(|error| format!("--firewall: {error}"))?;
        warnings.extend(loaded.rules.sending_elsewhere(|domain| domains.iter().any(|served| served == domain)));
        Ok(Some((loaded, warnings)))
    }
}
