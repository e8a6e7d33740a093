//! Where the sessions of a run connect to, from where, and as whom.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::xmpp::habits::Habits;
use crate::xmpp::negotiation::{Account, Plan};
use crate::xmpp::scram::SaltedPasswords;

/// How a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsMode {
    /// Not at all.
    None,
    /// RFC 6120 §5.
    Starttls,
    /// XEP-0368.
    Direct,
}

/// What is spoken on the connections.
#[derive(Clone, Debug)]
pub enum Speech {
    /// XMPP, after this dialogue.
    Xmpp(Arc<Plan>),
    /// Chunks of this many bytes, after the number of the pair in four bytes: what the relay copies.
    Raw(usize),
}

/// The localparts of the accounts.
#[derive(Clone)]
pub enum Users {
    /// A prefix with a number from zero up.
    Numbered {
        /// The prefix.
        prefix: String,
        /// How many there are, at least one.
        count: u64,
    },
    /// Each has a name of its own; at least one.
    Named(Vec<String>),
}

impl Users {
    fn name(&self, ordinal: u64) -> String {
        match self {
            Users::Numbered { prefix, count } => format!("{prefix}{}", ordinal % count),
            Users::Named(names) => names[(ordinal % names.len() as u64) as usize].clone(),
        }
    }
}

/// Everything that a worker must know to open a session.
#[derive(Clone)]
pub struct Target {
    /// The server.
    pub server: SocketAddr,
    /// The domain that the accounts belong to.
    pub domain: String,
    /// The addresses to connect from, in turn; empty to let the kernel choose.
    pub sources: Vec<IpAddr>,
    /// How connections are secured.
    pub tls: TlsMode,
    /// The configuration and the name to verify, unless `tls` is none.
    pub tls_client: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// XMPP or not.
    pub speech: Speech,
    /// The accounts; sessions beyond them use the same ones again.
    pub users: Users,
    /// The password of all accounts.
    pub password: String,
    /// What was computed of the passwords.
    pub salted: SaltedPasswords,
    /// What every session does first.
    pub habits: Habits,
    /// Begins every resource, so that runs do not collide.
    pub run: String,
}

impl Target {
    /// The account and resource of the session with this number.
    pub fn account(&self, ordinal: u64) -> Account {
        Account {
            user: self.users.name(ordinal),
            password: self.password.clone(),
            resource: format!("{}-{ordinal}", self.run),
            former: None,
        }
    }

    /// The bare address of the session with this number.
    pub fn address(&self, ordinal: u64) -> String {
        format!("{}@{}", self.users.name(ordinal), self.domain)
    }

    /// The same with the first account alone: all sessions are of it.
    pub fn alone(&self) -> Self {
        Self { users: Users::Named(vec![self.users.name(0)]), ..self.clone() }
    }

    /// The address to connect from.
    pub fn source(&self, ordinal: u64) -> Option<IpAddr> {
        (!self.sources.is_empty()).then(|| self.sources[(ordinal % self.sources.len() as u64) as usize])
    }
}

#[cfg(test)]
impl Target {
    /// Of a server that nobody connects to.
    pub fn example() -> Self {
        use crate::xmpp::scram::Mechanism;

        let domain = "localhost".to_owned();
        let plan = Plan { domain: domain.clone(), starttls: false, mechanism: Mechanism::Plain, sasl2: false };
        Self {
            server: SocketAddr::from(([127, 0, 0, 1], 1)),
            domain,
            sources: Vec::new(),
            tls: TlsMode::None,
            tls_client: None,
            speech: Speech::Xmpp(Arc::new(plan)),
            users: Users::Numbered { prefix: "load".to_owned(), count: 1_000 },
            password: "secret".to_owned(),
            salted: SaltedPasswords::default(),
            habits: Habits::default(),
            run: "perf".to_owned(),
        }
    }
}

/// What SCRAM needs once per login: random, printable, without commas.
///
/// # Errors
/// The system has no random numbers.
pub fn nonce() -> Result<String, String> {
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(nonce.iter().map(|byte| format!("{byte:02x}")).collect())
}
