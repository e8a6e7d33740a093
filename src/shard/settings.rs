//! What the shards of a server have in common.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam::utils::CachePadded;
use rondel_shards::Counter;
use rondel_shards::rustls::ServerConfig;
use rondel_shards::rustls::sign::CertifiedKey;

use super::archive::ArchiveSettings;
use super::offline::OfflineLimits;
use crate::account::blocking::BlockingLimits;
use crate::account::csi::HeldLimits;
use crate::account::private::PrivateLimits;
use crate::account::roster::RosterLimits;
use crate::account::vcard::VcardLimits;
use crate::account::{Conflict, ManagementLimits};
use crate::certificates::CertificateStore;
use crate::limits::AddressLimits;
use crate::pubsub::PubsubLimits;
use crate::registration::{Mode, Policy};
use crate::stream::{Config, StreamError};
use crate::xml::{Element, Limits};

/// How connections of a listener begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListenerKind {
    /// In the clear; STARTTLS follows.
    Starttls,
    /// With TLS.
    DirectTls,
}

/// TLS for both kinds of listeners.
pub struct Tls {
    /// After STARTTLS.
    pub starttls: Arc<ServerConfig>,
    /// From the first byte.
    pub direct: Arc<ServerConfig>,
    /// Where the certificates come from.
    pub certificates: Arc<CertificateStore>,
}

/// What bounds what is kept for an account, beside its roster.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Blocklists.
    pub blocking: BlockingLimits,
    /// Private data.
    pub private: PrivateLimits,
    /// vCards.
    pub vcard: VcardLimits,
}

/// What the shards of a server have in common; does not change while it runs, but for what is behind a handle.
pub struct Settings {
    /// When the server has started.
    pub started: Instant,
    /// For negotiations.
    pub negotiation: Arc<Config>,
    /// By the index of the listener.
    pub listeners: Vec<ListenerKind>,
    /// Absent without a certificate.
    pub tls: Option<Tls>,
    /// What XML may be, before and after login.
    pub limits_before_login: Limits,
    /// See `limits_before_login`.
    pub limits: Limits,
    /// For the whole server; a shard applies its share.
    pub address_limits: AddressLimits,
    /// Connections of all shards at once.
    pub connections_max: usize,
    /// Sessions of one account at once.
    pub sessions_max_per_account: usize,
    /// Clients of one account that can have tokens to log in with at once.
    pub token_clients_max: usize,
    /// What bounds what else is kept for an account.
    pub kept: Kept,
    /// What bounds messages that wait.
    pub offline: OfflineLimits,
    /// How archives are kept; absent: not at all.
    pub archive: Option<ArchiveSettings>,
    /// What no number of a message is before: microseconds since 1970.
    pub numbers_after_us: u64,
    /// What bounds stream management.
    pub management: ManagementLimits,
    /// What bounds what waits for an inactive client.
    pub held: HeldLimits,
    /// What bounds what an account publishes.
    pub pubsub: PubsubLimits,
    /// What bounds rosters.
    pub roster: RosterLimits,
    /// Who may register, until it is said anew.
    pub registration: ArcSwap<Policy>,
    /// Who has registered within the last day when the server started: from where, and when in microseconds since 1970.
    pub registered: Vec<(IpAddr, u64)>,
    /// What the server says of those who run it, as forms in its service discovery.
    pub server_info: Vec<Element>,
    /// When a resource is taken.
    pub conflict: Conflict,
    /// From the first byte to a session.
    pub login_timeout: Duration,
    /// After how long a silent client is looked after; zero for never.
    pub idle_timeout: Duration,
    /// Addresses that a session can have sent directed presence to at once.
    pub directed_presence_max: usize,
    /// Counts changes of keys, and accounts disabled or removed: a login that began before one looks again.
    pub account_changes: AtomicU64,
    /// Stanzas that clients have sent, by shard.
    pub stanzas: Vec<CachePadded<Counter>>,
    /// Where clients are sent at shutdown.
    pub see_other_host: Option<String>,
}

impl Settings {
    /// Has these rules hold for those who register from now on.
    pub fn take_policy(&self, policy: Policy) {
        self.negotiation.registration.store(policy.mode != Mode::Closed, Ordering::Relaxed);
        self.registration.store(Arc::new(policy));
    }

    /// Who may register just now.
    pub fn registration(&self) -> Arc<Policy> {
        self.registration.load_full()
    }

    /// What clients are told when the server ends.
    pub fn farewell(&self) -> StreamError {
        match &self.see_other_host {
            Some(host) => StreamError::see_other_host(host.clone()),
            None => StreamError::system_shutdown(""),
        }
    }

    /// The value of `tls-server-end-point` for a certificate.
    pub fn end_point(&self, shown: &Arc<CertifiedKey>) -> Option<Vec<u8>> {
        self.tls.as_ref()?.certificates.end_point(shown)
    }

    /// Whether whoever has this bare JID has logged in as nobody.
    pub fn is_anonymous(&self, bare: &str) -> bool {
        let domain = bare.rsplit_once('@').map_or(bare, |(_, domain)| domain);
        self.negotiation.anonymous.as_deref() == Some(domain)
    }

    /// Whether a domain is served here.
    pub fn serves(&self, domain: &str) -> bool {
        self.negotiation.domains.iter().any(|served| served == domain)
    }
}
