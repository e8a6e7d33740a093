//! Flags of `rondel serve`: strangers, and what others know of them.

use clap::Args;

use crate::rtbl::ListAddress;

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
        let line = usage("serve --dev --rtbl a@@b");
        assert!(line.contains("--rtbl") && line.lines().count() == 1, "{line}");
    }
}
