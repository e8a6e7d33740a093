//! The flags of `rondel serve`: one typed table, from which `--help`, the page `docs/flags.md`, the names of
//! environment variables and the checks all come.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use crate::certificates::{CertificateError, CertificateFiles, CertificateStore, Warning, development_certificate};
use crate::cli::{
    Archive, BackupFlags, Contact, Keeping, Newcomers, Publishing, RegistrationFlags, RuleFlags, Sessions, Strangers,
    TrafficFlags, Watching, Web, names, values,
};
use crate::logging;
use crate::registration::Policy;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const GIB: u64 = 1 << 30;

/// What a server is told. Filled by [`crate::cli::parse`], which also checks what the flags say together, so that
/// whoever holds one holds a configuration that makes sense.
#[derive(Args, Clone, Debug)]
#[command(args_override_self = true)]
pub struct ServeOptions {
    /// A domain to serve; repeat it for several. The first is the main one.
    #[arg(long, env = "RONDEL_DOMAIN", value_name = "DOMAIN", value_parser = names::domain, value_delimiter = ',')]
    #[arg(help_heading = "Addresses and TLS")]
    pub domain: Vec<String>,

    /// Where to listen for clients that begin in the clear and secure the stream with STARTTLS (RFC 6120 §5); repeat it
    /// for several.
    #[arg(long, env = "RONDEL_LISTEN", value_name = "ADDRESS:PORT", value_parser = values::socket_address)]
    #[arg(value_delimiter = ',', help_heading = "Addresses and TLS")]
    #[arg(long_help = "Where to listen for clients that begin in the clear and secure the stream with STARTTLS \
        (RFC 6120 §5); repeat it for several. Without it: port 5222 of all addresses.")]
    pub listen: Vec<SocketAddr>,

    /// Where to listen for clients that begin with TLS (XEP-0368); repeat it for several.
    #[arg(long, env = "RONDEL_LISTEN_DIRECT_TLS", value_name = "ADDRESS:PORT", value_parser = values::socket_address)]
    #[arg(value_delimiter = ',', help_heading = "Addresses and TLS")]
    #[arg(
        long_help = "Where to listen for clients that begin with TLS (XEP-0368); repeat it for several. Without it: \
        port 5223 of all addresses."
    )]
    pub listen_direct_tls: Vec<SocketAddr>,

    /// A certificate chain in PEM, the server's own first; repeat it, in the order of the keys, for several. Clients
    /// get the one that covers the name they ask for, otherwise the first. Read again on SIGHUP.
    #[arg(long, env = "RONDEL_TLS_CERT", value_name = "FILE", value_parser = values::path)]
    #[arg(help_heading = "Addresses and TLS")]
    pub tls_cert: Vec<PathBuf>,

    /// The private key of a certificate in PEM (PKCS#8, PKCS#1 or SEC1); repeat it in the order of the certificates.
    /// Read again on SIGHUP.
    #[arg(long, env = "RONDEL_TLS_KEY", value_name = "FILE", value_parser = values::path)]
    #[arg(help_heading = "Addresses and TLS")]
    pub tls_key: Vec<PathBuf>,

    /// Serves clients without TLS where they do not ask for it. Passwords and messages can then be read on the way; for
    /// tests and measurements only.
    #[arg(long, env = "RONDEL_INSECURE_PLAINTEXT", value_parser = BoolishValueParser::new())]
    #[arg(help_heading = "Addresses and TLS")]
    pub insecure_plaintext: bool,

    /// For trying out: serves localhost unless told otherwise, on loopback addresses only, with a certificate made
    /// for the purpose and kept in the data directory.
    #[arg(long, env = "RONDEL_DEV", value_parser = BoolishValueParser::new(), help_heading = "Addresses and TLS")]
    pub dev: bool,

    /// The directory of everything that is stored; made if it is not there.
    #[arg(long, env = "RONDEL_DATA_DIR", value_name = "DIRECTORY", value_parser = values::path)]
    #[arg(default_value = "/var/lib/rondel", help_heading = "Storage")]
    pub data_dir: PathBuf,

    /// Memory for what was read from disk before. Accounts that are in it log in without touching the disk.
    #[arg(long, env = "RONDEL_STORAGE_CACHE", value_name = "SIZE", default_value = "64MiB", help_heading = "Storage")]
    #[arg(value_parser = values::size(1 << 20, 1024 * GIB))]
    pub storage_cache: usize,

    /// Threads that read what is not in memory. Each waits for the disk on its own, so an SSD is well served by a few.
    #[arg(long, env = "RONDEL_STORAGE_READERS", value_name = "NUMBER", default_value = "2", help_heading = "Storage")]
    #[arg(value_parser = values::number(1, 64))]
    pub storage_readers: usize,

    /// The mechanisms to log in with, separated by commas. The -PLUS forms come with TLS by themselves, and PLAIN is
    /// never offered without it.
    #[arg(long, env = "RONDEL_SASL_MECHANISMS", value_name = "LIST", value_enum, value_delimiter = ',')]
    #[arg(default_value = "SCRAM-SHA-512,SCRAM-SHA-256,SCRAM-SHA-1,PLAIN", help_heading = "Login")]
    pub sasl_mechanisms: Vec<SaslMechanism>,

    /// Rounds of hashing for the keys of new passwords (RFC 5802 §2.2): what somebody who steals the keys pays for
    /// every guess. Existing accounts keep theirs.
    #[arg(
        long,
        env = "RONDEL_SCRAM_ITERATIONS",
        value_name = "NUMBER",
        default_value = "10000",
        help_heading = "Login"
    )]
    #[arg(value_parser = values::number(4_096, 10_000_000))]
    pub scram_iterations: usize,

    /// How long a client may log in with the token that it got at its last login, instead of the password (FAST,
    /// XEP-0484). A client that comes at least as often gets a new one each day it is used. 0: no tokens.
    #[arg(long, env = "RONDEL_FAST_TOKEN_LIFETIME", value_name = "DURATION", default_value = "21d")]
    #[arg(value_parser = values::duration(Duration::ZERO, DAY * 365), help_heading = "Login")]
    pub fast_token_lifetime: Duration,

    /// One of the domains, on which anybody may log in as nobody in particular (ANONYMOUS, RFC 4505). Off unless given.
    #[arg(long, env = "RONDEL_ANONYMOUS", value_name = "DOMAIN", value_parser = names::domain, help_heading = "Login")]
    pub anonymous: Option<String>,

    /// From the first byte of a connection to its resource: who takes longer is disconnected, so that unfinished logins
    /// cannot pile up.
    #[arg(long, env = "RONDEL_LOGIN_TIMEOUT", value_name = "DURATION", default_value = "30s", help_heading = "Login")]
    #[arg(value_parser = values::duration(SECOND, SECOND * 600))]
    pub login_timeout: Duration,

    /// Failed tries on one connection before it is closed (RFC 6120 §6.4.5).
    #[arg(long, env = "RONDEL_LOGIN_TRIES", value_name = "NUMBER", default_value = "5", help_heading = "Login")]
    #[arg(value_parser = values::number(1, 100))]
    pub login_tries: usize,

    /// Failed tries per client address (IPv6: per /64), over all its connections; beyond it every try is refused
    /// until the rate permits the next. Each shard counts its share for itself, and lets at least --login-tries pass.
    #[arg(long, env = "RONDEL_LOGIN_RATE", value_name = "RATE", default_value = "10/min:20", help_heading = "Login")]
    #[arg(value_parser = values::rate)]
    pub login_rate: values::Rate,

    /// When a resource is asked for that is connected already (RFC 6120 §7.7.2.2): replace disconnects the old session,
    /// refuse turns the new one down, rename gives the new one another name.
    #[arg(long, env = "RONDEL_RESOURCE_CONFLICT", value_name = "POLICY", value_enum, default_value = "replace")]
    #[arg(help_heading = "Login")]
    pub resource_conflict: ResourceConflict,

    /// Client sessions at once. Without it: what the limit of open files permits.
    #[arg(long, env = "RONDEL_MAX_SESSIONS", value_name = "NUMBER", help_heading = "Limits")]
    #[arg(value_parser = values::number(1, 100_000_000))]
    pub max_sessions: Option<usize>,

    /// Sessions of one account at once; a person has a few devices, a broken client opens hundreds.
    #[arg(long, env = "RONDEL_MAX_SESSIONS_PER_ACCOUNT", value_name = "NUMBER", default_value = "20")]
    #[arg(value_parser = values::number(1, 10_000), help_heading = "Limits")]
    pub max_sessions_per_account: usize,

    /// The server of the domain name system that is asked, such as 127.0.0.1:53. Without it: those of the system.
    #[arg(long, env = "RONDEL_DNS_SERVER", value_name = "ADDRESS:PORT", value_parser = values::socket_address)]
    #[arg(help_heading = "Registration")]
    pub dns_server: Option<SocketAddr>,

    /// Backups.
    #[command(flatten)]
    pub backups: BackupFlags,

    /// Who may make an account.
    #[command(flatten)]
    pub registration: RegistrationFlags,

    /// Web pages.
    #[command(flatten)]
    pub web: Web,

    /// What new accounts are held to.
    #[command(flatten)]
    pub newcomers: Newcomers,

    /// Strangers.
    #[command(flatten)]
    pub strangers: Strangers,

    /// Who is told of registrations, and what new accounts are told.
    #[command(flatten)]
    pub watching: Watching,

    /// Who runs the server.
    #[command(flatten)]
    pub contact: Contact,

    /// How much is kept for one account.
    #[command(flatten)]
    pub keeping: Keeping,

    /// Sessions whose clients come and go.
    #[command(flatten)]
    pub sessions: Sessions,

    /// What is archived.
    #[command(flatten)]
    pub archive: Archive,

    /// How much an account may publish.
    #[command(flatten)]
    pub publishing: Publishing,

    /// Traffic.
    #[command(flatten)]
    pub traffic: TrafficFlags,
    /// See [`RuleFlags`].
    #[command(flatten)]
    pub rules: RuleFlags,

    /// Connections of one client address (IPv6: of one /64) at once. Many people may share one address.
    #[arg(long, env = "RONDEL_MAX_CONNECTIONS_PER_ADDRESS", value_name = "NUMBER", default_value = "500")]
    #[arg(value_parser = values::number(1, 100_000_000), help_heading = "Limits")]
    pub max_connections_per_address: usize,

    /// New connections per client address (IPv6: per /64); beyond it they are closed at once, before TLS costs
    /// anything.
    #[arg(
        long,
        env = "RONDEL_CONNECTION_RATE",
        value_name = "RATE",
        default_value = "5/s:200",
        help_heading = "Limits"
    )]
    #[arg(value_parser = values::rate)]
    pub connection_rate: values::Rate,

    /// The largest stanza. RFC 6120 §13.12 demands room for 10000 bytes.
    #[arg(
        long,
        env = "RONDEL_MAX_STANZA_SIZE",
        value_name = "SIZE",
        default_value = "256KiB",
        help_heading = "Limits"
    )]
    #[arg(value_parser = values::size(10_000, 16 << 20))]
    pub max_stanza_size: usize,

    /// The same before login, when nobody is known to answer for it.
    #[arg(long, env = "RONDEL_MAX_STANZA_SIZE_BEFORE_LOGIN", value_name = "SIZE", default_value = "10KiB")]
    #[arg(value_parser = values::size(10_000, 1 << 20), help_heading = "Limits")]
    pub max_stanza_size_before_login: usize,

    /// Elements within each other in one stanza.
    #[arg(long, env = "RONDEL_MAX_XML_DEPTH", value_name = "NUMBER", default_value = "64", help_heading = "Limits")]
    #[arg(value_parser = values::number(8, 256))]
    pub max_xml_depth: usize,

    /// Attributes of one element, declarations of namespaces included.
    #[arg(
        long,
        env = "RONDEL_MAX_XML_ATTRIBUTES",
        value_name = "NUMBER",
        default_value = "64",
        help_heading = "Limits"
    )]
    #[arg(value_parser = values::number(8, 1_000))]
    pub max_xml_attributes: usize,

    /// Elements in one stanza, all levels counted.
    #[arg(
        long,
        env = "RONDEL_MAX_XML_CHILDREN",
        value_name = "NUMBER",
        default_value = "4096",
        help_heading = "Limits"
    )]
    #[arg(value_parser = values::number(16, 1_000_000))]
    pub max_xml_children: usize,

    /// What waits for one client at most. A client behind it is not read from, and disconnected when more comes for it.
    #[arg(long, env = "RONDEL_OUTBOX_LIMIT", value_name = "SIZE", default_value = "1MiB", help_heading = "Limits")]
    #[arg(value_parser = values::size(64 << 10, GIB))]
    pub outbox_limit: usize,

    /// How long a client may take nothing of what waits for it before it is disconnected.
    #[arg(long, env = "RONDEL_SLOW_READER_TIMEOUT", value_name = "DURATION", default_value = "30s")]
    #[arg(value_parser = values::duration(SECOND, SECOND * 3_600), help_heading = "Limits")]
    pub slow_reader_timeout: Duration,

    /// After this long without a byte from a client it is sent a blank (RFC 6120 §4.6.1), so that a connection that
    /// is dead shows and one that is alive is not forgotten by routers on the way. 0: never.
    #[arg(long, env = "RONDEL_IDLE_TIMEOUT", value_name = "DURATION", default_value = "10m", help_heading = "Limits")]
    #[arg(value_parser = values::duration(Duration::ZERO, DAY))]
    pub idle_timeout: Duration,

    /// The level of log lines (off, error, warn, info, debug, trace), in general and for a part of the server. Can be
    /// changed at run time with rondel log.
    #[arg(long, env = "RONDEL_LOG_LEVEL", value_name = "LEVELS", default_value = "info", help_heading = "Logging")]
    #[arg(
        long_help = "The level of log lines (off, error, warn, info, debug, trace), in general and for a part of the \
        server, such as info,session=debug,storage=warn. Can be changed at run time with rondel log."
    )]
    pub log_level: logging::Levels,

    /// Log lines for people or for programs.
    #[arg(long, env = "RONDEL_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value = "human")]
    #[arg(help_heading = "Logging")]
    pub log_format: logging::Format,

    /// Whether the addresses of clients stand in log lines. They are personal data in many countries.
    #[arg(long, env = "RONDEL_LOG_ADDRESSES", value_name = "on|off", default_value = "on", help_heading = "Logging")]
    #[arg(value_parser = values::switch, action = clap::ArgAction::Set)]
    pub log_addresses: bool,

    /// Shards: threads, each with its own part of all sessions. Without it: one per available core.
    #[arg(long, env = "RONDEL_SHARDS", value_name = "NUMBER", help_heading = "Runtime")]
    #[arg(value_parser = values::number(1, 1_024))]
    pub shards: Option<usize>,

    /// Messages on their way from one shard to another at most; a sender whose way is full stops to read from its
    /// clients until there is room.
    #[arg(long, env = "RONDEL_MESH_CAPACITY", value_name = "NUMBER", default_value = "4096", help_heading = "Runtime")]
    #[arg(value_parser = values::number(16, 1_048_576))]
    pub mesh_capacity: usize,

    /// How long a shard looks for work before it sleeps. 20us to 50us make lone messages faster on cores that are
    /// Rondel's alone; on others it wastes them.
    #[arg(long, env = "RONDEL_SPIN", value_name = "DURATION", default_value = "0", help_heading = "Runtime")]
    #[arg(value_parser = values::duration(Duration::ZERO, Duration::from_millis(1)))]
    pub spin: Duration,

    /// How long a busy shard waits between two turns so that more comes together and is dealt with at less cost, as a
    /// network card does with its interrupts. An idle one never waits. 0: not at all.
    #[arg(long, env = "RONDEL_GATHER", value_name = "DURATION", default_value = "500us", help_heading = "Runtime")]
    #[arg(value_parser = values::duration(Duration::ZERO, Duration::from_millis(1)))]
    pub gather: Duration,

    /// TLS handshakes that a shard attends to before it attends to existing sessions again, so that these keep their
    /// share when everybody logs in at once.
    #[arg(
        long,
        env = "RONDEL_HANDSHAKES_PER_SHARD",
        value_name = "NUMBER",
        default_value = "8",
        help_heading = "Runtime"
    )]
    #[arg(value_parser = values::number(1, 1_024))]
    pub handshakes_per_shard: usize,

    /// The socket through which the rondel command talks to the running server. Without it: admin.sock in the data
    /// directory.
    #[arg(long, env = "RONDEL_ADMIN_SOCKET", value_name = "FILE", value_parser = values::path)]
    #[arg(help_heading = "Runtime")]
    pub admin_socket: Option<PathBuf>,

    /// On SIGTERM, how long clients have to take what waits for them before they are cut off.
    #[arg(
        long,
        env = "RONDEL_SHUTDOWN_GRACE",
        value_name = "DURATION",
        default_value = "10s",
        help_heading = "Runtime"
    )]
    #[arg(value_parser = values::duration(Duration::ZERO, SECOND * 3_600))]
    pub shutdown_grace: Duration,

    /// Where clients are sent on SIGTERM (see-other-host, RFC 6120 §4.9.3.19) instead of being told that the server
    /// ends (system-shutdown).
    #[arg(long, env = "RONDEL_SEE_OTHER_HOST", value_name = "HOST:PORT", value_parser = values::host_and_port)]
    #[arg(help_heading = "Runtime")]
    pub see_other_host: Option<String>,
}

/// A mechanism to log in with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SaslMechanism {
    /// SCRAM-SHA-512 and SCRAM-SHA-512-PLUS.
    #[value(name = "SCRAM-SHA-512")]
    ScramSha512,
    /// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 7677).
    #[value(name = "SCRAM-SHA-256")]
    ScramSha256,
    /// SCRAM-SHA-1 and SCRAM-SHA-1-PLUS (RFC 5802).
    #[value(name = "SCRAM-SHA-1")]
    ScramSha1,
    /// PLAIN (RFC 4616).
    #[value(name = "PLAIN")]
    Plain,
}

/// What happens when a resource is asked for that is connected already.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ResourceConflict {
    /// The old session ends with `<conflict/>`.
    Replace,
    /// The new session gets `<conflict/>`.
    Refuse,
    /// The new session gets another resource.
    Rename,
}

impl ServeOptions {
    /// The admin socket's path.
    pub fn admin_socket(&self) -> PathBuf {
        self.admin_socket.clone().unwrap_or_else(|| super::admin_socket_in(&self.data_dir))
    }

    /// The folder of the store.
    pub fn store(&self) -> PathBuf {
        super::store_in(&self.data_dir)
    }

    /// The certificates to show: those given, or in development one made for the purpose. `None` without TLS.
    pub fn certificates(&self) -> Result<Option<(CertificateStore, Vec<Warning>)>, CertificateError> {
        let given = self.tls_cert.iter().cloned().zip(self.tls_key.iter().cloned());
        let mut files: Vec<_> = given.map(|(chain, key)| CertificateFiles { chain, key }).collect();
        if files.is_empty() {
            if !self.dev {
                return Ok(None);
            }
            files.push(development_certificate(&self.data_dir, &self.domain)?);
        }
        CertificateStore::open(files, self.domain.clone()).map(Some)
    }

    /// Who may register, and what is said about it. Reads the files that the flags name; an error says what to change.
    pub fn registration(&self) -> Result<Policy, String> {
        let (administrators, notices) = (self.contact.admin.clone(), self.watching.notices(&self.contact));
        let new_accounts = self.newcomers.limits();
        Ok(Policy { administrators, notices, new_accounts, ..self.registration.policy()? })
    }

    /// How to log.
    pub fn logging(&self) -> logging::Options {
        logging::Options { levels: self.log_level.clone(), format: self.log_format, addresses: self.log_addresses }
    }
}
