//! Flags of `rondel serve`: who runs the server, how they are reached, and what becomes of people's data.

use std::time::Duration;

use clap::Args;

use super::{Archive, names};
use crate::jid::Jid;
use crate::service::server_info::{self, ServerInfo};

/// Who runs the server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Administrators and contact")]
pub struct Contact {
    /// An administrator: the address of an account, which is told what needs attention; repeat it for several.
    #[arg(long, env = "RONDEL_ADMIN", value_name = "JID", value_parser = names::account, value_delimiter = ',')]
    pub admin: Vec<Jid<'static>>,

    /// How somebody is reached (XEP-0157), such as abuse=mailto:abuse@example.org; whom is one of abuse, admin,
    /// feedback, sales, security, status, support. Repeat it for several. A server that strangers may register at
    /// should have abuse. Without one for admin, the addresses of --admin stand there.
    #[arg(long, env = "RONDEL_CONTACT", value_name = "WHOM=URI", value_parser = server_info::contact)]
    #[arg(value_delimiter = ',')]
    pub contact: Vec<(String, String)>,

    /// Where clients look whether the server is out of order (XEP-0455): the address of a JSON file on another host;
    /// repeat it for several.
    #[arg(long, env = "RONDEL_OUTAGE_STATUS", value_name = "URL", value_parser = server_info::web_address)]
    #[arg(value_delimiter = ',')]
    pub outage_status: Vec<String>,

    /// What becomes of people's data (XEP-0504), such as tos=https://example.org/terms or encryption_at_rest=true;
    /// repeat it for several. With one of them, clients are also told what the server knows itself: how passwords are
    /// checked, how long messages are kept, that people can delete and erase their data.
    #[arg(long, env = "RONDEL_DATA_POLICY", value_name = "FIELD=VALUE", value_parser = server_info::policy_field)]
    #[arg(value_delimiter = ',')]
    pub data_policy: Vec<(String, String)>,
}

impl Contact {
    /// What clients are told. `sees_passwords`: whether a mechanism is offered with which passwords come as they are.
    pub fn server_info(&self, archive: &Archive, sees_passwords: bool) -> ServerInfo {
        let mut contacts = self.contact.clone();
        if !contacts.iter().any(|(whom, _)| whom == "admin") {
            contacts.extend(self.admin.iter().map(|jid| ("admin".to_owned(), format!("xmpp:{jid}"))));
        }
        let mut policy = self.data_policy.clone();
        if !policy.is_empty() {
            let hours = |kept: Duration| (kept.as_secs().div_ceil(3_600)).to_string();
            let known = [
                ("auth_data", if sees_passwords { "plain" } else { "hidden" }.to_owned()),
                (
                    "data_retention",
                    match (archive.archive, archive.archive_retention) {
                        (true, Duration::ZERO) => "infinite".to_owned(),
                        (true, kept) => hours(kept),
                        // What people publish, and messages that wait, stay as long as they want it.
                        (false, _) => "infinite".to_owned(),
                    },
                ),
                ("data_deletion", "true".to_owned()),
                ("full_erasure", "true".to_owned()),
            ];
            for (name, value) in known {
                if !self.data_policy.iter().any(|(said, _)| said == name) {
                    policy.push((name.to_owned(), value));
                }
            }
        }
        ServerInfo { contacts, outages: self.outage_status.clone(), policy }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::tests::{serve, usage};

    fn info(flags: &str) -> super::ServerInfo {
        let options = serve(&format!("--dev {flags}"));
        options.contact.server_info(&options.archive, true)
    }

    #[test]
    fn administrators_are_reached_unless_told_otherwise() {
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(info("").contacts, []);
        assert_eq!(info("--admin Juliet@localhost").contacts, [pair("admin", "xmpp:juliet@localhost")]);
        let told = info("--admin juliet@localhost --contact admin=mailto:a@x.org --contact abuse=mailto:b@x.org");
        assert_eq!(told.contacts, [pair("admin", "mailto:a@x.org"), pair("abuse", "mailto:b@x.org")]);
        assert!(usage("serve --dev --contact abuse=nobody").contains("--contact"));
        assert!(usage("serve --dev --admin localhost").contains("the address of an account"));
    }

    #[test]
    fn a_policy_says_what_the_server_knows_once_anything_is_said() {
        assert_eq!(info("").policy, []);
        let policy =
            info("--data-policy tos=https://x.org/terms --archive-retention 1d --data-policy data_deletion=false");
        let value = |name: &str| policy.policy.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!([value("tos"), value("auth_data")], [Some("https://x.org/terms"), Some("plain")]);
        assert_eq!([value("data_retention"), value("data_deletion")], [Some("24"), Some("false")]);
    }
}
