//! Flags of `rondel serve`: who may make an account without an operator who makes it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::{names, values};
use crate::jid;
use crate::registration::{
    Asked, BlockList, BlockListAction, FIELDS, InviteRules, Mode, NameRules, Network, Networks, PasswordRules, Policy,
    Prefixes, Question, Questionnaire, RESERVED_NAMES, ThrottleLimits, UserInvites,
};
use crate::service::server_info;

/// Memory of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Addresses whose registrations of a day are remembered.
const ADDRESSES_MAX: usize = 200_000;

/// Who may register.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Registering {
    /// Nobody.
    Closed,
    /// Whoever is invited.
    Invite,
    /// Everybody, once an administrator has let them in.
    Approve,
    /// Everybody.
    Open,
}

/// To what accounts may invite.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Inviting {
    /// To nothing.
    Nothing,
    /// To become contacts.
    Contacts,
    /// To make an account, and become contacts.
    Accounts,
}

/// A network, or a file with a list of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NetworkSource {
    /// A network.
    Network(Network),
    /// A file with one network a line.
    File(PathBuf),
}

/// In-band registration (XEP-0077).
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Registration")]
pub struct RegistrationFlags {
    /// Who may make an account from a client (XEP-0077): closed is nobody, invite whoever is invited (rondel invite),
    /// open everybody who passes the limits below, approve the same, but nobody can log in before an administrator says
    /// yes (rondel registration pending). Changing the password and removing the account are always possible.
    #[arg(long, env = "RONDEL_REGISTRATION", value_name = "WHO", value_enum, default_value = "closed")]
    pub registration: Registering,

    /// How long an address waits after a try to register before the next. 0: not at all.
    #[arg(long, env = "RONDEL_REGISTRATION_INTERVAL", value_name = "DURATION", default_value = "10m")]
    #[arg(value_parser = values::duration(Duration::ZERO, Duration::from_secs(30 * 86_400)))]
    pub registration_interval: Duration,

    /// Accounts that one address makes within 24 hours, counted over restarts. 0: no limit.
    #[arg(long, env = "RONDEL_REGISTRATIONS_PER_DAY", value_name = "NUMBER", default_value = "3")]
    #[arg(value_parser = values::number(0, 1_000_000))]
    pub registrations_per_day: usize,

    /// Tries to register on the whole server, from all addresses together.
    #[arg(long, env = "RONDEL_REGISTRATION_RATE", value_name = "RATE", default_value = "10/min:60")]
    #[arg(value_parser = values::rate)]
    pub registration_rate: values::Rate,

    /// How long an account stays that its owner has removed: nobody can log in, and an operator can bring it back
    /// (rondel user enable). Then it is removed with all that belongs to it. 0: at once.
    #[arg(long, env = "RONDEL_REMOVAL_GRACE", value_name = "DURATION", default_value = "0")]
    #[arg(value_parser = values::duration(Duration::ZERO, Duration::from_secs(3650 * 86_400)))]
    pub removal_grace: Duration,

    /// How long it is kept who has registered, and who was refused and why: rondel registration log shows it.
    #[arg(long, env = "RONDEL_REGISTRATION_LOG_RETENTION", value_name = "DURATION", default_value = "365d")]
    #[arg(value_parser = values::duration(Duration::from_secs(86_400), Duration::from_secs(86_400 * 36_500)))]
    pub registration_log_retention: Duration,

    /// Bits of an IPv4 address that say whose it is: addresses that have them in common count as one.
    #[arg(long, env = "RONDEL_REGISTRATION_PREFIX_IPV4", value_name = "BITS", default_value = "32")]
    #[arg(value_parser = values::number(8, 32))]
    pub registration_prefix_ipv4: usize,

    /// The same of an IPv6 address. Who has one has at least a /64, and many a /56 or a /48.
    #[arg(long, env = "RONDEL_REGISTRATION_PREFIX_IPV6", value_name = "BITS", default_value = "64")]
    #[arg(value_parser = values::number(16, 128))]
    pub registration_prefix_ipv6: usize,

    /// Addresses and networks (CIDR), or a file with one of them a line, from which nobody registers; repeat it for
    /// several. Files are read again on SIGHUP.
    #[arg(long, env = "RONDEL_REGISTRATION_BLOCKLIST", value_name = "NETWORK|FILE", value_parser = network_source)]
    #[arg(value_delimiter = ',')]
    pub registration_blocklist: Vec<NetworkSource>,

    /// Addresses and networks, or a file of them, for which the limits of time and number do not hold; repeat it for
    /// several.
    #[arg(long, env = "RONDEL_REGISTRATION_ALLOWLIST", value_name = "NETWORK|FILE", value_parser = network_source)]
    #[arg(value_delimiter = ',', default_value = "127.0.0.1,::1")]
    pub registration_allowlist: Vec<NetworkSource>,

    /// Whether only those of --registration-allowlist may register.
    #[arg(long, env = "RONDEL_REGISTRATION_ALLOWLIST_ONLY", value_name = "on|off", default_value = "off")]
    #[arg(value_parser = values::switch, action = clap::ArgAction::Set)]
    pub registration_allowlist_only: bool,

    /// A list of addresses in the domain name system (DNSBL) that is asked from where somebody registers, such as
    /// dnsbl.example.org, and what follows if it has the address: =refuse (which is so without a word), =limit (the
    /// account is held to the limits of new ones), =warn (administrators get a message); repeat it for several. A list
    /// that does not answer refuses nobody.
    #[arg(long, env = "RONDEL_REGISTRATION_DNSBL", value_name = "ZONE[=ACTION]", value_parser = block_list)]
    #[arg(value_delimiter = ',')]
    pub registration_dnsbl: Vec<BlockList>,

    /// To what accounts may invite others, from their clients (XEP-0401): nothing, contacts (who have an account
    /// somewhere), or accounts (they may make one here). Whoever is invited becomes a contact.
    #[arg(long, env = "RONDEL_USER_INVITES", value_name = "WHAT", value_enum, default_value = "contacts")]
    pub user_invites: Inviting,

    /// Invitations of one account that may be open at once.
    #[arg(long, env = "RONDEL_INVITES_PER_ACCOUNT", value_name = "NUMBER", default_value = "10")]
    #[arg(value_parser = values::number(1, 1_000))]
    pub invites_per_account: usize,

    /// For how long an invitation holds that an account makes.
    #[arg(long, env = "RONDEL_INVITE_LIFETIME", value_name = "DURATION", default_value = "7d")]
    #[arg(value_parser = values::duration(Duration::from_secs(60), Duration::from_secs(365 * 86_400)))]
    pub invite_lifetime: Duration,

    /// Names that nobody registers, nor any that look like them; repeat it for several. Without it: abuse, admin,
    /// postmaster, root, support and others that are a service's own. Operators can add them all the same.
    #[arg(long, env = "RONDEL_RESERVED_NAME", value_name = "NAME", value_parser = name, value_delimiter = ',')]
    pub reserved_name: Vec<String>,

    /// How long the name of an account that was removed is kept back from strangers: others' contact lists still trust
    /// it. 0: for ever.
    #[arg(long, env = "RONDEL_TOMBSTONE_EXPIRY", value_name = "DURATION", default_value = "0")]
    #[arg(value_parser = values::duration(Duration::ZERO, Duration::from_secs(36_500 * 86_400)))]
    pub tombstone_expiry: Duration,

    /// Whether names are refused that are taken for that of another account, such as b0b for bob.
    #[arg(long, env = "RONDEL_REFUSE_LOOKALIKES", value_name = "on|off", default_value = "on")]
    #[arg(value_parser = values::switch, action = clap::ArgAction::Set)]
    pub refuse_lookalikes: bool,

    /// A regular expression that no name may match, in any part of it; repeat it for several.
    #[arg(long, env = "RONDEL_REFUSED_NAMES", value_name = "PATTERN", value_parser = pattern)]
    pub refused_names: Vec<String>,

    /// A regular expression that every name has to match as a whole.
    #[arg(long, env = "RONDEL_REQUIRED_NAMES", value_name = "PATTERN", value_parser = pattern)]
    pub required_names: Option<String>,

    /// What is asked beside name and password; repeat it for several. One of nick, name, first, last, email, address,
    /// city, state, zip, phone, url, date, reason, or a field of your own with its label, such as
    /// colour=Your favourite colour; with a + behind the name if nobody registers without. With --registration approve
    /// and without this flag: reason.
    #[arg(long, env = "RONDEL_REGISTRATION_FIELD", value_name = "FIELD", value_parser = asked, value_delimiter = ',')]
    pub registration_field: Vec<Asked>,

    /// The words above what is asked. Without it: that a user name and a password are to be chosen.
    #[arg(long, env = "RONDEL_REGISTRATION_INSTRUCTIONS", value_name = "TEXT", default_value = "")]
    #[arg(hide_default_value = true)]
    pub registration_instructions: String,

    /// A question that people who belong here can answer, and programs cannot.
    #[arg(long, env = "RONDEL_REGISTRATION_QUESTION", value_name = "TEXT")]
    pub registration_question: Option<String>,

    /// The answer to it, in upper or lower case; repeat it if there are several.
    #[arg(long, env = "RONDEL_REGISTRATION_ANSWER", value_name = "TEXT")]
    pub registration_answer: Vec<String>,

    /// Whether those who register have to read letters from a picture (CAPTCHA, XEP-0158). With --registration-question
    /// beside it, either is enough: who sees no pictures needs a way, too. Programs read many such pictures: let it be
    /// no gate that stands alone.
    #[arg(long, env = "RONDEL_REGISTRATION_CAPTCHA", value_name = "on|off", default_value = "off")]
    #[arg(value_parser = values::switch, action = clap::ArgAction::Set)]
    pub registration_captcha: bool,

    /// The web address of terms of service that have to be accepted.
    #[arg(long, env = "RONDEL_REGISTRATION_TERMS", value_name = "URL", value_parser = server_info::web_address)]
    pub registration_terms: Option<String>,

    /// The fewest characters of a name.
    #[arg(long, env = "RONDEL_NAME_LENGTH", value_name = "NUMBER", default_value = "3")]
    #[arg(value_parser = values::number(1, 100))]
    pub name_length: usize,

    /// The fewest characters of a password that people choose for themselves.
    #[arg(long, env = "RONDEL_PASSWORD_LENGTH", value_name = "NUMBER", default_value = "8")]
    #[arg(value_parser = values::number(1, 100))]
    pub password_length: usize,

    /// The least strength of a password that people choose for themselves, from 0 (any) to 4: with 2 it takes more than
    /// a million guesses by somebody who knows how people choose passwords, with 3 a hundred million.
    #[arg(long, env = "RONDEL_PASSWORD_STRENGTH", value_name = "NUMBER", default_value = "2")]
    #[arg(value_parser = values::number(0, 4))]
    pub password_strength: usize,
}

impl RegistrationFlags {
    /// What the flags say, and the files that they name. An error says what to change.
    pub fn policy(&self) -> Result<Policy, String> {
        let per_second = self.registration_rate.per_second;
        let reserved = match self.reserved_name.is_empty() {
            true => RESERVED_NAMES.map(str::to_owned).to_vec(),
            false => self.reserved_name.clone(),
        };
        let refused = RegexSetBuilder::new(&self.refused_names).size_limit(PATTERN_BYTES_MAX).build();
        let refused: RegexSet = refused.map_err(|error| format!("--refused-names: {error}"))?;
        let required = self.required_names.as_deref().map(compiled).transpose();
        let required = required.map_err(|error| format!("--required-names: {error}"))?;
        Ok(Policy {
            mode: match self.registration {
                Registering::Closed => Mode::Closed,
                Registering::Invite => Mode::Invite,
                Registering::Approve => Mode::Approve,
                Registering::Open => Mode::Open,
            },
            questionnaire: self.questionnaire()?,
            names: NameRules::new(reserved, refused, required, self.name_length),
            tombstones_s: (!self.tombstone_expiry.is_zero()).then_some(self.tombstone_expiry.as_secs()),
            lookalikes: self.refuse_lookalikes,
            removal_grace_s: self.removal_grace.as_secs(),
            passwords: PasswordRules {
                chars_min: self.password_length,
                strength_min: u8::try_from(self.password_strength).unwrap_or(u8::MAX),
            },
            refused: networks("--registration-blocklist", &self.registration_blocklist)?,
            trusted: networks("--registration-allowlist", &self.registration_allowlist)?,
            trusted_only: self.registration_allowlist_only,
            block_lists: self.registration_dnsbl.clone(),
            throttle: ThrottleLimits {
                prefixes: Prefixes {
                    v4_bits: u8::try_from(self.registration_prefix_ipv4).unwrap_or(32),
                    v6_bits: u8::try_from(self.registration_prefix_ipv6).unwrap_or(128),
                },
                interval_us: self.registration_interval.as_micros() as u64,
                per_day: self.registrations_per_day,
                server_interval_us: (1e6 / per_second) as u64,
                server_burst: self.registration_rate.burst as u64,
                addresses_max: ADDRESSES_MAX,
            },
            invites: InviteRules {
                users: match self.user_invites {
                    Inviting::Nothing => UserInvites::Nothing,
                    Inviting::Contacts => UserInvites::Contacts,
                    Inviting::Accounts => UserInvites::Accounts,
                },
                open_max: self.invites_per_account,
                lifetime_s: self.invite_lifetime.as_secs(),
            },
            ..Policy::default()
        })
    }
}

/// A list, and what follows for those that are on it.
fn block_list(text: &str) -> Result<BlockList, String> {
    let right = || "a zone, and perhaps =refuse, =limit or =warn, such as dnsbl.example.org=warn".to_owned();
    let (zone, action) = text.split_once('=').unwrap_or((text, "refuse"));
    let action = match action {
        "refuse" => BlockListAction::Refuse,
        "limit" => BlockListAction::Limit,
        "warn" => BlockListAction::Warn,
        _ => return Err(right()),
    };
    let zone = names::domain(zone.trim_end_matches('.')).map_err(|_| right())?;
    Ok(BlockList { zone, action })
}

impl RegistrationFlags {
    fn questionnaire(&self) -> Result<Questionnaire, String> {
        let mut fields = self.registration_field.clone();
        if fields.is_empty() && self.registration == Registering::Approve {
            fields.extend(Asked::parse("reason"));
        }
        let question = match (&self.registration_question, self.registration_answer.is_empty()) {
            (None, true) => None,
            (Some(text), false) => Some(Question { text: text.clone(), answers: self.registration_answer.clone() }),
            (Some(_), true) => {
                return Err("--registration-question: nothing answers it; give --registration-answer".into());
            }
            (None, false) => return Err("--registration-answer: there is no --registration-question".into()),
        };
        let (instructions, terms) = (self.registration_instructions.clone(), self.registration_terms.clone());
        Ok(Questionnaire { instructions, fields, question, picture: self.registration_captcha, terms })
    }
}

fn asked(text: &str) -> Result<Asked, String> {
    Asked::parse(text).ok_or_else(|| {
        let names = FIELDS.map(|(name, _)| name).join(", ");
        format!("a field out of {names}, or another one with its label (colour=Your favourite colour)")
    })
}

pub(super) fn networks(flag: &str, sources: &[NetworkSource]) -> Result<Networks, String> {
    sources.iter().try_fold(Networks::default(), |all, source| {
        Ok(all.join(match source {
            NetworkSource::Network(network) => [*network].into_iter().collect(),
            NetworkSource::File(path) => listed(path).map_err(|error| format!("{flag}: {error}"))?,
        }))
    })
}

/// The networks in a file.
fn listed(path: &Path) -> Result<Networks, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    Networks::parse(&text).map_err(|(line, error)| format!("{shown}:{line}: {error}"))
}

pub(super) fn network_source(text: &str) -> Result<NetworkSource, String> {
    match text.parse::<Network>() {
        Ok(network) => Ok(NetworkSource::Network(network)),
        // Nobody names a list like this, but many mistype an address.
        Err(_) if text.starts_with(|letter: char| letter.is_ascii_digit()) || text.contains(':') || text.is_empty() => {
            Err("an address, a network such as 192.0.2.0/24, or a file with one of them a line".into())
        }
        Err(_) => Ok(NetworkSource::File(text.into())),
    }
}

fn name(text: &str) -> Result<String, String> {
    jid::localpart(text).map(std::borrow::Cow::into_owned).map_err(|_| "a user name, such as admin".into())
}

fn pattern(text: &str) -> Result<String, String> {
    compiled(text).map(|_| text.to_owned()).map_err(|error| {
        let error = error.to_string();
        format!("a regular expression, such as ^bot ({})", error.lines().last().unwrap_or_default().trim())
    })
}

fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_given_or_lies_in_a_file() {
        assert_eq!(network_source("192.0.2.0/24"), Ok(NetworkSource::Network("192.0.2.0/24".parse().unwrap())));
        assert_eq!(network_source("/etc/list"), Ok(NetworkSource::File("/etc/list".into())));
        for wrong in ["192.0.2.0/33", "2001:db8::/129", "192.0.2", ""] {
            assert!(network_source(wrong).is_err(), "{wrong}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        std::fs::write(&path, "192.0.2.1\nnonsense\n").unwrap();
        let source = [NetworkSource::File(path.clone())];
        let error = networks("--registration-blocklist", &source).unwrap_err();
        assert!(error.starts_with("--registration-blocklist: ") && error.contains("list:2: \"nonsense\""), "{error}");
        std::fs::write(&path, "192.0.2.1 # a comment\n").unwrap();
        assert!(networks("--registration-blocklist", &source).unwrap().contain([192, 0, 2, 1].into()));
    }

    #[test]
    fn patterns_are_checked_at_once() {
        assert_eq!(pattern("^bot"), Ok("^bot".into()));
        assert!(pattern("(").unwrap_err().contains("a regular expression"));
    }
}
