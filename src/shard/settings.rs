//! What the shards of a server have in common.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam::utils::CachePadded;
use rondel_shards::rustls::ServerConfig;
use rondel_shards::rustls::sign::CertifiedKey;
use rondel_storage::meta::{StoredList, StoredWords};

use super::administration::Administration;
use super::archive::ArchiveSettings;
use super::counts::Counts;
use super::downloads::Downloads;
use super::offline::OfflineLimits;
use super::strangers::Lists;
use crate::account::blocking::BlockingLimits;
use crate::account::csi::HeldLimits;
use crate::account::private::PrivateLimits;
use crate::account::roster::RosterLimits;
use crate::account::vcard::VcardLimits;
use crate::account::{Conflict, ManagementLimits};
use crate::admin::{Desk, Failure};
use crate::certificates::CertificateStore;
use crate::dns::Dns;
use crate::firewall::Running;
use crate::http::Site;
use crate::jid::{Jid, domain_of};
use crate::limits::{AddressLimits, Banned, Traffic};
use crate::pubsub::PubsubLimits;
use crate::registration::{Challenges, Mode, Notices, Policy};
use crate::service::admin_commands::Facts;
use crate::stream::{Config, StreamError};
use crate::xml::{Element, Limits};

/// How connections of a listener begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListenerKind {
    /// In the clear; STARTTLS follows.
    Starttls,
    /// With TLS.
    DirectTls,
    /// With TLS; HTTP follows.
    Https,
}

/// TLS for both kinds of listeners.
pub struct Tls {
    /// After STARTTLS.
    pub starttls: Arc<ServerConfig>,
    /// From the first byte.
    pub direct: Arc<ServerConfig>,
    /// For web pages.
    pub https: Arc<ServerConfig>,
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
    /// How much may be sent over one connection, until it is said anew.
    pub traffic: ArcSwap<Traffic>,
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
    /// The web pages, if there are any.
    pub site: Option<Site>,
    /// What those who register have to read.
    pub challenges: Challenges,
    /// Who may register, until it is said anew.
    pub registration: ArcSwap<Policy>,
    /// Who asks the domain name system, if anything is to be asked.
    pub dns: Option<Dns>,
    /// Who was made an administrator beside those of the flags, until it is said anew: bare JIDs.
    pub appointed: ArcSwap<Vec<Jid<'static>>>,
    /// With whom anything is exchanged, and what is said in the server's name, as administrators have it.
    pub decisions: ArcSwap<Decisions>,
    /// Whether there is anybody with whom nothing is exchanged: asked for every stanza.
    pub has_lists: AtomicBool,
    /// Where what administrators want from their clients goes.
    pub administration: Administration,
    /// What users fetch of what is stored of them.
    pub downloads: Downloads,
    /// Whether the server starts again when it has ended.
    pub restarts: AtomicBool,
    /// The rules that stanzas pass, until they are read anew.
    pub firewall: ArcSwapOption<Running>,
    /// Block lists of others, and who is on them.
    pub lists: ArcSwap<Lists>,
    /// Whether strangers may write to nobody who does not know them.
    pub refuses_strangers: bool,
    /// Whether it matters who is a stranger: asked for every stanza.
    pub minds_strangers: AtomicBool,
    /// Which addresses are not let in, until it is said anew.
    pub bans: ArcSwap<Banned>,
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
    /// What is counted, by shard.
    pub counts: Vec<CachePadded<Counts>>,
    /// Where clients are sent at shutdown.
    pub see_other_host: Option<String>,
}

/// What administrators have decided, beside who is banned.
#[derive(Debug, Default)]
pub struct Decisions {
    blacklist: HashSet<String>,
    whitelist: HashSet<String>,
    motd: Option<String>,
    welcome: Option<String>,
}

impl Decisions {
    /// Whether anything may be exchanged with this address, by an account of this server.
    pub fn allow(&self, jid: &Jid<'_>, is_served: bool) -> bool {
        let is_in = |list: &HashSet<String>| list.contains(jid.bare()) || list.contains(jid.domain());
        !is_in(&self.blacklist) && (is_served || self.whitelist.is_empty() || is_in(&self.whitelist))
    }
}

impl Settings {
    /// Has these rules hold for those who register from now on.
    pub fn take_policy(&self, policy: Policy) {
        self.negotiation.registration.store(policy.mode != Mode::Closed, Ordering::Relaxed);
        self.registration.store(Arc::new(policy));
    }

    /// Whether whoever has this bare JID administers the server.
    pub fn is_administrator(&self, bare: &str) -> bool {
        let is_it = |jid: &Jid<'_>| jid.as_str() == bare;
        self.registration.load().administrators.iter().any(is_it) || self.appointed.load().iter().any(is_it)
    }

    /// An account is gone: whoever has its name later is no administrator because of it.
    pub fn dismiss(&self, bare: &str) {
        let is_it = |jid: &Jid<'_>| jid.as_str() == bare;
        if self.appointed.load().iter().any(is_it) {
            self.appointed.rcu(|appointed| appointed.iter().filter(|jid| !is_it(jid)).cloned().collect::<Vec<_>>());
        }
    }

    /// Who administers the server, each once.
    pub fn administrators(&self) -> Vec<Jid<'static>> {
        let mut all = self.registration.load().administrators.clone();
        let appointed = self.appointed.load();
        all.extend(appointed.iter().filter(|jid| !self.registration.load().administrators.contains(jid)).cloned());
        all
    }

    /// Takes over who administers the server and who is banned, as it is stored.
    pub fn take_decisions(&self, desk: &Desk) -> Result<(), Failure> {
        self.bans.store(Arc::new(desk.bans.banned()?));
        self.appointed.store(Arc::new(desk.sanctions.administrators()?));
        let decisions = Decisions {
            blacklist: desk.people.list(StoredList::Blacklist)?.into_iter().collect(),
            whitelist: desk.people.list(StoredList::Whitelist)?.into_iter().collect(),
            motd: desk.people.words(StoredWords::MessageOfTheDay)?,
            welcome: desk.people.words(StoredWords::Welcome)?,
        };
        let has_lists = !decisions.blacklist.is_empty() || !decisions.whitelist.is_empty();
        self.decisions.store(Arc::new(decisions));
        self.has_lists.store(has_lists, Ordering::SeqCst);
        Ok(())
    }

    /// What everybody is told who comes online; empty: nothing.
    pub fn message_of_the_day(&self) -> String {
        let decided = self.decisions.load().motd.clone();
        decided.unwrap_or_else(|| self.registration.load().notices.motd.clone())
    }

    /// What a new account is told, if anything.
    pub fn welcome(&self, username: &str, host: &str) -> Option<String> {
        let notices = &self.registration.load().notices;
        match &self.decisions.load().welcome {
            Some(words) => Notices { welcome: words.clone(), ..Notices::default() }.welcome(username, host),
            None => notices.welcome(username, host),
        }
    }

    /// What the forms of administrators are filled in with.
    pub fn facts(&self) -> Facts {
        let decisions = self.decisions.load();
        let sorted = |set: &HashSet<String>| {
            let mut all: Vec<String> = set.iter().cloned().collect();
            all.sort_unstable();
            all
        };
        Facts {
            administrators: self.administrators().iter().map(Jid::to_string).collect(),
            motd: self.message_of_the_day(),
            welcome: decisions.welcome.clone().unwrap_or_else(|| self.registration.load().notices.welcome.clone()),
            blacklist: sorted(&decisions.blacklist),
            whitelist: sorted(&decisions.whitelist),
        }
    }

    /// Whether somebody at this address asks for web pages on behalf of others.
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.site.as_ref().is_some_and(|site| site.proxies.contain(address))
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
        self.negotiation.anonymous.as_deref() == Some(domain_of(bare))
    }

    /// Whether a domain is served here.
    pub fn serves(&self, domain: &str) -> bool {
        self.negotiation.domains.iter().any(|served| served == domain)
    }
}
