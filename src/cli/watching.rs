//! Flags of `rondel serve`: who is told of registrations, and what new accounts are told.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Contact, names, values};
use crate::jid::Jid;
use crate::registration::{NoticeType, Notices};
use crate::server::watch::Thresholds;

/// What kind of message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Notification {
    /// Part of a conversation.
    Chat,
    /// A message on its own.
    Normal,
    /// News; they do not wait for who is away.
    Headline,
}

/// Watching and welcoming.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Watching and welcoming")]
pub struct Watching {
    /// Who gets a message when somebody registers; repeat it for several. Without it: those of --admin.
    #[arg(long, env = "RONDEL_REGISTRATION_WATCHER", value_name = "JID", value_parser = names::account)]
    #[arg(value_delimiter = ',')]
    pub registration_watcher: Vec<Jid<'static>>,

    /// Who that message is from: a domain or an account of this server. Without it: the watcher's domain.
    #[arg(long, env = "RONDEL_REGISTRATION_FROM", value_name = "JID", value_parser = address)]
    pub registration_from: Option<Jid<'static>>,

    /// What it says. $username, $host, $ip and $source stand for what they say, and $email and the like for what was
    /// filled in; source is ibr, web or invite. When many register, one message a minute tells of them together.
    #[arg(long, env = "RONDEL_REGISTRATION_NOTIFICATION", value_name = "TEXT")]
    #[arg(default_value = "User $username just registered on $host from $ip")]
    pub registration_notification: String,

    /// What kind of message it is.
    #[arg(long, env = "RONDEL_REGISTRATION_NOTIFICATION_TYPE", value_name = "TYPE", value_enum)]
    #[arg(default_value = "chat")]
    pub registration_notification_type: Notification,

    /// What somebody who has registered is told by the server. $username and $host stand for what they say. Empty:
    /// nothing.
    #[arg(long, env = "RONDEL_WELCOME_MESSAGE", value_name = "TEXT")]
    #[arg(default_value = "Hello $username, welcome to the $host IM server!")]
    pub welcome_message: String,

    /// What everybody is told by the server whenever they come online, such as what will be out of order this evening.
    /// Empty: nothing.
    #[arg(long, env = "RONDEL_MESSAGE_OF_THE_DAY", value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub message_of_the_day: String,

    /// Whether each account is told the same message of the day once, instead of whenever it comes online.
    #[arg(long, env = "RONDEL_MESSAGE_OF_THE_DAY_ONCE", value_name = "on|off", default_value = "off")]
    #[arg(value_parser = values::switch, action = clap::ArgAction::Set)]
    pub message_of_the_day_once: bool,

    /// Where to answer GET /metrics with figures of the server as OpenMetrics, for Prometheus; such as 127.0.0.1:9100.
    /// It is plain HTTP for whoever can connect, so it belongs on a loopback address.
    #[arg(long, env = "RONDEL_METRICS", value_name = "ADDRESS:PORT", value_parser = values::socket_address)]
    pub metrics: Option<SocketAddr>,

    /// Administrators get a message when less than this part of the disk of --data-dir is free, in percent.
    #[arg(long, env = "RONDEL_ALERT_DISK_FREE", value_name = "PERCENT", default_value = "10")]
    #[arg(value_parser = values::number(0, 99))]
    pub alert_disk_free: usize,

    /// Administrators get a message when a certificate holds for less than this.
    #[arg(long, env = "RONDEL_ALERT_CERTIFICATE", value_name = "DURATION", default_value = "14d")]
    #[arg(value_parser = values::duration(Duration::ZERO, Duration::from_secs(3650 * 86_400)))]
    pub alert_certificate: Duration,

    /// Administrators get a message when limits refuse more connections and stanzas than this within ten minutes. 0:
    /// never.
    #[arg(long, env = "RONDEL_ALERT_REFUSALS", value_name = "NUMBER", default_value = "1000")]
    #[arg(value_parser = values::number(0, 1 << 40))]
    pub alert_refusals: usize,
}

impl Watching {
    /// When administrators hear that something goes wrong.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            disk_free: self.alert_disk_free as f64 / 100.0,
            certificate: self.alert_certificate,
            refusals: self.alert_refusals as u64,
        }
    }

    /// What is said, and to whom.
    pub fn notices(&self, contact: &Contact) -> Notices {
        let watchers = match self.registration_watcher.is_empty() {
            true => &contact.admin,
            false => &self.registration_watcher,
        };
        Notices {
            watchers: watchers.clone(),
            from: self.registration_from.clone(),
            kind: match self.registration_notification_type {
                Notification::Chat => NoticeType::Chat,
                Notification::Normal => NoticeType::Normal,
                Notification::Headline => NoticeType::Headline,
            },
            template: self.registration_notification.clone(),
            welcome: self.welcome_message.clone(),
            motd: self.message_of_the_day.clone(),
            motd_once: self.message_of_the_day_once,
        }
    }
}

/// The bare address of an account or a domain.
fn address(text: &str) -> Result<Jid<'static>, String> {
    let jid = Jid::parse(text).ok().filter(|jid| !jid.is_full());
    jid.map(Jid::into_owned).ok_or_else(|| "a domain or the address of an account, such as juliet@example.org".into())
}

#[cfg(test)]
mod tests {
    use crate::cli::tests::{serve, usage};

    #[test]
    fn administrators_watch_unless_others_do() {
        let watchers = |flags: &str| {
            let options = serve(&format!("--dev {flags}"));
            let notices = options.watching.notices(&options.contact);
            notices.watchers.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(watchers("--admin a@localhost,b@localhost"), ["a@localhost", "b@localhost"]);
        assert_eq!(watchers("--admin a@localhost --registration-watcher c@localhost"), ["c@localhost"]);
        assert!(usage("serve --dev --registration-from a@b/c").contains("a domain or the address of an account"));
    }
}
