//! The composition root: from options to a running server, and to its end. Puts certificates, storage, shards, the
//! admin socket and signals together. What may not live here: anything that happens while a client is served.

mod backend;
pub mod backups;
mod clock;
pub mod descriptors;
mod firewall;
mod lists;
mod observer;
mod repeating;
mod scrapes;
mod secret;
mod signals;
mod status;
pub mod watch;
mod web_lists;

use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use rondel_shards::rustls::ServerConfig;
use rondel_shards::{Io, Listener, Rate, Remote, Runtime, available_cores};
use rondel_storage::registrations;
use rondel_storage::{LoadError, Outcome, Replies, Reply, Store, accounts, attempts, meta};

use crate::account::Conflict;
use crate::account::archive_ids::ArchiveIds;
use crate::admin;
use crate::cli::{self, Action, ResourceConflict, SaslMechanism, ServeOptions, StrangersMay, values};
use crate::credentials;
use crate::dns::Dns;
use crate::firewall::{Loaded, Running, Warning};
use crate::home::home;
use crate::limits::AddressLimits;
use crate::logging;
use crate::names;
use crate::random;
use crate::registration::{Challenges, DAY_US, Mode};
use crate::sasl::{Hash, UnknownUsers};
use crate::shard::{Administration, Downloads, ListenerKind, Message, REGISTRAR, Settings, Shard, Tls, Verifier};
use crate::stream::{Config, SessionFeatures, TlsPolicy};
use crate::xml::Limits;

/// Addresses that a session can have sent directed presence to at once.
const DIRECTED_PRESENCE_MAX: usize = 200;

/// Clients of one account that can have tokens to log in with at once. A person has a few devices, and may install
/// clients anew for as long as a token lives; what expires first makes room.
const TOKEN_CLIENTS_MAX: usize = 50;

/// Entries of the log of registrations that are read at once.
const REGISTRATIONS_PAGE: usize = 1000;

/// How often old registrations are forgotten.
const FORGETS_EVERY: Duration = Duration::from_secs(3600);

/// For how long reports are kept, in seconds: half a year.
const REPORTS_KEPT_S: u64 = 183 * 86_400;

/// Users of a domain from whom is learnt what unknown ones have to look like.
const SAMPLE: usize = 1000;

/// Threads that verify passwords: two are enough for a hundred logins with PLAIN in a second.
const PASSWORD_THREADS: usize = 2;

/// How a server has ended that was told to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Nobody wants it to go on.
    ForGood,
    /// It is to start again.
    ToRestart,
}

/// Runs a server until it is told to end. An error is one line for the operator.
pub fn run(options: &ServeOptions) -> Result<Ended, String> {
    let (levels, _writing) = logging::init(&options.logging())?;
    // A huge page stays whole as long as one byte of it is in use: with many small sessions that come and go, that made
    // up most of the server's memory.
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(target: "server", "huge pages cannot be switched off: {error}");
    }
    rondel_shards::return_large_pieces();
    let signals =
        signals::Signals::listen(clock::INTERVAL).map_err(|error| format!("cannot listen to signals: {error}"))?;
    make_data_directory(&options.data_dir)?;
    let certificates = options.certificates().map_err(|error| error.to_string())?;
    let certificates = certificates.map(|(store, warnings)| {
        warnings.iter().for_each(|warning| tracing::warn!(target: "server", "{warning}"));
        Arc::new(store)
    });
    let store = Store::open(&storage_options(options)).map_err(|error| error.to_string())?;
    let store = Arc::new(store);
    names::index(&store).map_err(unusable)?;
    let rounds = options.scram_iterations as u32;
    let (mut clock, not_before_us) = clock::Clock::start(&store).map_err(unusable)?;
    let secret = meta::archive_secret(&store, random::bytes).map_err(unusable)?;
    let archive = options.archive.settings(ArchiveIds::new(secret), options.outbox_limit, &options.sessions);
    let own_secret = secret::load(&store, &options.data_dir).map_err(unusable)?;
    let unknown = UnknownUsers::new(own_secret, rounds).like(sample(&store, &options.domain));

    let shards = options.shards.unwrap_or_else(|| available_cores().len().max(1));
    let connections_max = descriptors::prepare(options.max_sessions, shards);
    let verifier = Verifier::start(PASSWORD_THREADS, unknown.clone())
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    let tls = certificates.as_ref().map(|store| Tls {
        starttls: prepared(&store.starttls()),
        direct: prepared(&store.direct_tls()),
        https: prepared(&store.https()),
        certificates: Arc::clone(store),
    });
    let (listeners, kinds) = listeners(options, tls.is_some());
    let mut settings = settings(options, unknown, tls, kinds, connections_max, shards);
    settings.archive = archive;
    settings.numbers_after_us = not_before_us;
    settings.registered = registered_lately(&store, not_before_us)?;
    let info = options.contact.server_info(&options.archive, options.sasl_mechanisms.contains(&SaslMechanism::Plain));
    settings.server_info = info.forms();
    settings.site =
        options.web.site(&options.domain, options.anonymous.as_deref())?.map(|site| site.with_help(info.help()));
    settings.take_policy(options.registration()?);
    settings.traffic.store(Arc::new(options.traffic.limits()?));
    let copies = web_lists::Copies::in_data(&options.data_dir);
    take_rules(&settings, options.rules.load(&options.domain)?, &copies, shards);
    settings.dns = match Dns::start(options.dns_server) {
        Ok(dns) => Some(dns),
        Err(error) if settings.registration().block_lists.is_empty() => {
            tracing::debug!(target: "server", "{error}");
            None
        }
        Err(error) => return Err(error),
    };
    settings.take_decisions(&admin::Desk::new(Arc::clone(&store))).map_err(|failure| failure.text)?;
    settings.take_lists(lists::load(&store, &options.strangers.rtbl)?);
    for list in options.strangers.rtbl.iter().filter(|list| !settings.serves(list.service.domain())) {
        let list = list.name();
        tracing::warn!(target: "server", list, "other servers cannot be reached: what is known of this list holds");
    }
    if settings.registration().mode != Mode::Closed && !info.has_contact("abuse") {
        tracing::warn!(
            target: "server",
            "strangers may register, and nobody can be told of abuse: --contact abuse=mailto:abuse@example.org"
        );
    }
    let settings = Arc::new(settings);

    let scrapes = options.watching.metrics.map(scrapes::Scrapes::listen).transpose()?;
    let admin_socket = admin::bind(&options.admin_socket()).map_err(|error| error.to_string())?;
    let runtime = {
        let (settings, store) = (Arc::clone(&settings), Arc::clone(&store));
        let runtime_options = rondel_shards::Options {
            shards,
            listeners,
            mesh_capacity: options.mesh_capacity,
            spin: options.spin,
            gather: options.gather,
            outbox_limit: options.outbox_limit,
            stall_timeout: options.slow_reader_timeout,
            handshakes_per_turn: options.handshakes_per_shard,
            ..rondel_shards::Options::default()
        };
        Runtime::start(runtime_options, move |io: &mut Io<Shard>| {
            let replies = Arc::new(ToShard(io.remote(io.shard())));
            Shard::new(io, Arc::clone(&settings), store.client(replies), verifier.clone())
        })
        .map_err(|error| error.to_string())?
    };
    let remotes: Vec<_> = (0..shards).map(|shard| runtime.remote(shard)).collect();
    let web_lists = web_lists::WebLists::start(copies.clone(), remotes.clone())
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    web_lists.take(settings.firewall.load_full());
    let backups = backups::Backups::start(Arc::clone(&store), options.backups.schedule())
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    let (metrics, served) = (runtime.metrics_handles(), Arc::clone(&settings));
    let alerts = Arc::<watch::Alerts>::default();
    let parts = backend::Parts {
        store: Arc::clone(&store),
        data_dir: options.data_dir.clone(),
        remotes,
        settings: served,
        levels,
        metrics,
        backups,
        alerts: Arc::clone(&alerts),
    };
    let backend = backend::Running::new(parts).map_err(|error| format!("cannot start a thread: {error}"))?;
    let backend = Arc::new(backend);
    let scrapes = scrapes.map(|listener| scrapes::Scrapes::start(listener, Arc::downgrade(&backend)));
    let scrapes = scrapes.transpose().map_err(|error| format!("cannot start a thread: {error}"))?;
    let admin = admin::serve(admin_socket, Arc::<backend::Running>::clone(&backend), admin::CLIENTS_MAX)
        .map_err(|error| format!("cannot start the admin socket: {error}"))?;
    let administrators: Weak<backend::Running> = Arc::downgrade(&backend);
    let started = settings.administration.start(administrators, rounds);
    started.map_err(|error| format!("cannot start a thread: {error}"))?;
    settings.downloads.start(&store);
    backend.remove_departed();
    let followed = options.domain.first().map_or(0, |domain| home(domain, shards));
    runtime.remote(followed).send(Message::FollowLists);
    announce(&runtime, &settings, shards);
    if let Some(scrapes) = &scrapes {
        tracing::info!(target: "server", address = %scrapes.address(), kind = "metrics", "listening");
        if !scrapes.address().ip().is_loopback() {
            tracing::warn!(target: "server", "figures of the server can be read from other hosts (--metrics)");
        }
    }

    let registrar = runtime.remote(REGISTRAR);
    let watch = watch::Watch::new(options.watching.thresholds(), alerts);
    let facts = backend.backups.facts_handle();
    let watched = watch::Watched {
        data: options.data_dir.clone(),
        settings: Arc::clone(&settings),
        backups: options.backups.schedule().map(|schedule| (schedule, facts)),
        store: Arc::clone(&store),
        registrar,
    };
    let watcher = watch.start(watched).map_err(|error| format!("cannot start a thread: {error}"))?;
    let mut forgotten: Option<Instant> = None;
    let died = loop {
        match signals.wait(&runtime.ended()) {
            signals::Event::End => break false,
            signals::Event::Reload => {
                reload(settings.tls.as_ref());
                reload_flags(&settings, &runtime, &copies);
                web_lists.take(settings.firewall.load_full());
            }
            signals::Event::ShardDied => break true,
            signals::Event::Tick => {
                logging::report_withheld();
                clock.note(&store);
                backend.remove_departed();
                if forgotten.is_none_or(|at| at.elapsed() > FORGETS_EVERY) {
                    forget_registrations(&store, options.registration.registration_log_retention);
                    forget_old(&admin::Desk::new(Arc::clone(&store)));
                    forgotten = Some(Instant::now());
                }
            }
        }
    };
    if died {
        tracing::error!(target: "server", "a shard has died; the server ends");
    } else {
        tracing::info!(target: "server", "ending: saying goodbye to clients");
    }
    backend.backups.give_up();
    drop((watcher, scrapes, admin, backend));
    runtime.shut_down(if died { std::time::Duration::ZERO } else { options.shutdown_grace });
    let orderly = runtime.join();
    // No id is issued any more.
    clock.note(&store);
    settings.downloads.end();
    // Shards, the admin socket and downloads had the only other handles.
    let closed = Arc::into_inner(store).map_or(Ok(()), Store::close);
    closed.map_err(|error| format!("the store did not close in order: {error}"))?;
    if died || !orderly {
        return Err("a shard has died; please report this with the log".into());
    }
    tracing::info!(target: "server", "ended");
    Ok(if settings.restarts.load(Ordering::SeqCst) { Ended::ToRestart } else { Ended::ForGood })
}

fn make_data_directory(path: &Path) -> Result<(), String> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| format!("cannot make the data directory {}: {error} (--data-dir)", path.display()))
}

fn storage_options(options: &ServeOptions) -> rondel_storage::Options {
    let mut storage = rondel_storage::Options::new(cli::store_in(&options.data_dir));
    storage.block_cache_bytes = options.storage_cache;
    storage.reader_threads = options.storage_readers;
    options.archive.keep(&mut storage);
    storage
}

/// What is said when something in the store cannot be read that no server can do without.
fn unusable(error: LoadError) -> String {
    format!("the store cannot be used: {error}")
}

/// The rounds of the keys of some users of each domain. What cannot be read is not in it.
fn sample(store: &Store, domains: &[String]) -> Vec<(Hash, u32)> {
    let pages = domains.iter().filter_map(|domain| store.page(accounts::list(Some(domain), SAMPLE)).ok());
    let accounts = pages.flat_map(accounts::decode_page).filter_map(Result::ok);
    let rounds = |stored: accounts::StoredAccount| -> Vec<_> {
        stored.account().keys.iter().map(|keys| (credentials::hash(keys.hash), keys.iterations)).collect()
    };
    accounts.flat_map(rounds).collect()
}

/// A configuration as the runtime needs it.
fn prepared(config: &Arc<ServerConfig>) -> Arc<ServerConfig> {
    let mut config = ServerConfig::clone(config);
    Io::<Shard>::prepare_tls(&mut config);
    Arc::new(config)
}

fn listeners(options: &ServeOptions, has_tls: bool) -> (Vec<Listener>, Vec<ListenerKind>) {
    let starttls = options.listen.iter().map(|&address| (Listener { address }, ListenerKind::Starttls));
    let direct = options.listen_direct_tls.iter().filter(|_| has_tls);
    let direct = direct.map(|&address| (Listener { address }, ListenerKind::DirectTls));
    let https = options.web.https.iter().map(|&address| (Listener { address }, ListenerKind::Https));
    starttls.chain(direct).chain(https).unzip()
}

fn settings(
    options: &ServeOptions,
    unknown: UnknownUsers,
    tls: Option<Tls>,
    listeners: Vec<ListenerKind>,
    connections_max: usize,
    shards: usize,
) -> Settings {
    let hash = |mechanism: &SaslMechanism| match mechanism {
        SaslMechanism::ScramSha1 => Some(Hash::Sha1),
        SaslMechanism::ScramSha256 => Some(Hash::Sha256),
        SaslMechanism::ScramSha512 => Some(Hash::Sha512),
        SaslMechanism::Plain => None,
    };
    let limits = |stanza_bytes| Limits {
        stanza_bytes,
        depth: options.max_xml_depth,
        attributes: options.max_xml_attributes,
        children: options.max_xml_children,
    };
    let rate = |rate: values::Rate| Rate { per_second: rate.per_second, burst: rate.burst };
    let negotiation = Config {
        domains: options.domain.clone(),
        tls: if options.insecure_plaintext { TlsPolicy::PlaintextAllowed } else { TlsPolicy::Required },
        tls_available: tls.is_some(),
        hashes: options.sasl_mechanisms.iter().filter_map(hash).collect(),
        plain: options.sasl_mechanisms.contains(&SaslMechanism::Plain),
        anonymous: options.anonymous.clone(),
        tries: options.login_tries,
        max_bytes_before_login: options.max_stanza_size_before_login,
        max_bytes: options.max_stanza_size,
        idle_seconds: options.idle_timeout.as_secs(),
        unknown,
        iterations: options.scram_iterations as u32,
        features: SessionFeatures { stream_management: true, carbons: true, client_state: true },
        token_lifetime_s: options.fast_token_lifetime.as_secs(),
        registration: AtomicBool::new(false),
    };
    Settings {
        started: std::time::Instant::now(),
        negotiation: Arc::new(negotiation),
        listeners,
        tls,
        limits_before_login: limits(options.max_stanza_size_before_login),
        limits: limits(options.max_stanza_size),
        address_limits: AddressLimits {
            connections_max: u32::try_from(options.max_connections_per_address).unwrap_or(u32::MAX),
            connections: rate(options.connection_rate),
            failures: rate(options.login_rate),
            tries: options.login_tries as f64,
            arrivals_max: u32::try_from(options.max_connections_per_address).unwrap_or(u32::MAX),
        },
        traffic: ArcSwap::default(),
        firewall: ArcSwapOption::empty(),
        connections_max,
        sessions_max_per_account: options.max_sessions_per_account,
        token_clients_max: TOKEN_CLIENTS_MAX,
        roster: options.keeping.roster(),
        site: None,
        challenges: Challenges::default(),
        registration: ArcSwap::default(),
        dns: None,
        appointed: ArcSwap::default(),
        decisions: ArcSwap::default(),
        has_lists: AtomicBool::new(false),
        administration: Administration::default(),
        downloads: Downloads::default(),
        restarts: AtomicBool::new(false),
        lists: ArcSwap::default(),
        refuses_strangers: options.strangers.strangers == StrangersMay::Ask,
        minds_strangers: AtomicBool::new(false),
        bans: ArcSwap::default(),
        registered: Vec::new(),
        server_info: Vec::new(),
        kept: options.keeping.kept(),
        offline: options.keeping.offline(),
        archive: None,
        numbers_after_us: 0,
        management: options.sessions.management(shards),
        held: options.sessions.held(),
        pubsub: options.publishing.limits(options.outbox_limit),
        conflict: match options.resource_conflict {
            ResourceConflict::Replace => Conflict::Replace,
            ResourceConflict::Refuse => Conflict::Refuse,
            ResourceConflict::Rename => Conflict::Rename,
        },
        login_timeout: options.login_timeout,
        idle_timeout: options.idle_timeout,
        directed_presence_max: DIRECTED_PRESENCE_MAX,
        account_changes: AtomicU64::new(0),
        counts: (0..shards).map(|_| Default::default()).collect(),
        see_other_host: options.see_other_host.clone(),
    }
}

fn announce(runtime: &Runtime<Shard>, settings: &Settings, shards: usize) {
    let domains = settings.negotiation.domains.join(",");
    let all = || runtime.addresses().iter().zip(&settings.listeners);
    let first_https = all().find(|(_, kind)| **kind == ListenerKind::Https);
    if let (Some((address, _)), Some(site)) = (first_https, &settings.site) {
        site.set_port(address.port());
    }
    for (address, kind) in all() {
        let kind = match kind {
            ListenerKind::Starttls => "starttls",
            ListenerKind::DirectTls => "direct-tls",
            ListenerKind::Https => "https",
        };
        tracing::info!(target: "server", %address, kind, "listening");
    }
    if settings.negotiation.tls == TlsPolicy::PlaintextAllowed {
        tracing::warn!(target: "server", "logins without TLS are allowed: everything can be read on the way");
    }
    tracing::info!(target: "server", domains, shards, "serving");
}

fn reload(tls: Option<&Tls>) {
    let Some(tls) = tls else { return };
    match tls.certificates.reload() {
        Ok(warnings) => {
            warnings.iter().for_each(|warning| tracing::warn!(target: "server", "{warning}"));
            tracing::info!(target: "server", "certificates read again");
        }
        Err(error) => tracing::error!(target: "server", "keeping the certificates that were there: {error}"),
    }
}

/// Takes the flags that may change as they are now: those in `@file`s, and the lists of addresses, may be others.
fn reload_flags(settings: &Settings, runtime: &Runtime<Shard>, copies: &web_lists::Copies) {
    let options = cli::parse(std::env::args_os()).map_err(|mistake| mistake.to_string());
    let options = options.and_then(|command| match command.action {
        Action::Serve(options) => Ok(options),
        _ => Err("this is no server".into()),
    });
    let read = options.and_then(|options| {
        Ok((options.registration()?, options.traffic.limits()?, options.rules.load(&options.domain)?))
    });
    match read {
        Ok((policy, traffic, rules)) => {
            settings.take_policy(policy);
            settings.traffic.store(Arc::new(traffic));
            let shards = settings.counts.len();
            take_rules(settings, rules, copies, shards);
            for shard in (0..shards).map(|shard| runtime.remote(shard)) {
                shard.send(Message::TakeTraffic);
                shard.send(Message::TakeFirewall);
            }
            tracing::info!(target: "server", "rules of registration read again, limits, and the firewall");
        }
        Err(error) => {
            tracing::error!(
                target: "server",
                "keeping the rules of registration that were there, limits, and the firewall: {error}"
            );
        }
    }
}

/// Has these rules be the ones that stanzas pass.
fn take_rules(settings: &Settings, loaded: Option<(Loaded, Vec<Warning>)>, copies: &web_lists::Copies, shards: usize) {
    let running = loaded.map(|(mut loaded, warnings)| {
        copies.fill(&mut loaded);
        warnings.iter().for_each(|warning| tracing::warn!(target: "firewall", "{warning}"));
        Arc::new(Running::new(loaded, shards, settings.firewall.load().as_deref()))
    });
    settings.firewall.store(running);
}

/// Forgets who has registered, or was refused, longer ago than is to be kept.
fn forget_registrations(store: &Store, retention: Duration) {
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(retention);
    let before_us = before.as_micros() as u64;
    for request in [registrations::forget_before(before_us), attempts::forget_before(before_us)] {
        if let Outcome::Failed(failure) = store.write_blocking(request) {
            tracing::warn!(target: "storage", "old registrations cannot be forgotten: {failure}");
        }
    }
}

/// Forgets invitations, bans and reports that are of no use any more.
fn forget_old(desk: &admin::Desk) {
    for (what, forgotten) in [
        ("invitations", desk.invites.forget_old()),
        ("bans", desk.bans.forget_old()),
        ("reports", desk.reports.forget_old(REPORTS_KEPT_S)),
    ] {
        if let Err(failure) = forgotten {
            tracing::warn!(target: "storage", "old {what} cannot be forgotten: {failure}");
        }
    }
}

/// Who has registered within the last day before this time, in microseconds since 1970.
fn registered_lately(store: &Store, now_us: u64) -> Result<Vec<(IpAddr, u64)>, String> {
    let mut all = Vec::new();
    let mut request = Some(registrations::list(now_us.saturating_sub(DAY_US), false, REGISTRATIONS_PAGE));
    while let Some(current) = request {
        let page = store.page(current.clone()).map_err(|failure| format!("the store cannot be used: {failure}"))?;
        let entries = registrations::decode_page(&page).into_iter().flatten();
        let by_strangers = entries.filter(|entry| entry.registration.source.is_of_stranger());
        all.extend(by_strangers.filter_map(|entry| Some((entry.registration.address?, entry.at_micros))));
        request = current.next(&page);
    }
    Ok(all)
}

/// Brings the storage's answers to a shard.
struct ToShard(Remote<Message>);

impl Replies for ToShard {
    fn deliver(&self, replies: Vec<Reply>) {
        self.0.send_all(replies.into_iter().map(Message::Stored));
    }
}
