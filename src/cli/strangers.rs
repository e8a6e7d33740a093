//! Flags of `rondel serve`: strangers, and what others know of them.

use clap::{Args, ValueEnum};

use crate::rtbl::ListAddress;

/// What strangers may: those whom an account neither has among its contacts nor has written to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum StrangersMay {
    /// Write, and ask to become a contact.
    Write,
    /// Only ask.
    Ask,
}

/// Strangers.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Strangers")]
pub struct Strangers {
    /// A real-time block list: the service and the node in which others publish, as hashes, who sends spam, such as
    /// blocklist.example or blocklist.example/muc_bans_sha256; repeat it for several. Who is on one, or whose domain
    /// is, cannot write to those who do not know them, nor ask to become their contact. What is known of a list is kept
    /// on disk. As long as there are no connections to other servers, only an account of this one can publish it.
    #[arg(long, env = "RONDEL_RTBL", value_name = "SERVICE[/NODE]", value_parser = list, value_delimiter = ',')]
    pub rtbl: Vec<ListAddress>,

    /// What people may who are no contacts of whom they write to, and whom that account has not written to: write, or
    /// only ask to become a contact.
    #[arg(long, env = "RONDEL_STRANGERS", value_name = "MAY", value_enum, default_value = "write")]
    pub strangers: StrangersMay,
}

impl Strangers {
    /// What does not fit to the domains that are served.
    pub fn check(&self, domains: &[String]) -> Result<(), String> {
        for (at, list) in self.rtbl.iter().enumerate() {
            if self.rtbl[..at].contains(list) {
                return Err(format!("--rtbl: {} is given twice", list.name()));
            }
            if list.service.local().is_none() && domains.iter().any(|domain| domain == list.service.domain()) {
                let domain = list.service.domain();
                return Err(format!("--rtbl: {domain} publishes nothing itself; name the account that does"));
            }
        }
        Ok(())
    }
}

fn list(text: &str) -> Result<ListAddress, String> {
    ListAddress::parse(text).ok_or_else(|| "a service, perhaps with a node, such as blocklist.example/node".into())
}

#[cfg(test)]
mod tests {
    use crate::cli::tests::{serve, usage};

    #[test]
    fn a_list_is_a_service_and_perhaps_a_node() {
        let options = serve("--dev --rtbl lists.example --rtbl watch@localhost/spam");
        let names: Vec<String> = options.strangers.rtbl.iter().map(|list| list.name()).collect();
        assert_eq!(names, ["lists.example/muc_bans_sha256", "watch@localhost/spam"]);
        for (flags, wrong) in [
            ("--rtbl a@@b", "--rtbl"),
            ("--rtbl a.org --rtbl a.org/muc_bans_sha256", "a.org/muc_bans_sha256 is given twice"),
            ("--rtbl localhost", "localhost publishes nothing itself"),
            ("--strangers never", "--strangers"),
        ] {
            let line = usage(&format!("serve --dev {flags}"));
            assert!(line.contains(wrong) && line.lines().count() == 1, "{flags}: {line}");
        }
    }
}
