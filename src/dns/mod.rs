//! Questions to the domain name system, asked on a side thread: an answer may take seconds, which no shard has.
//!
//! What lives here: the resolver and its thread, and how block lists of addresses are asked ([`blocklist`]). What may
//! not: what follows from an answer.

pub mod blocklist;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use blocklist::{Listing, listing, question};

/// How long all answers to a question may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one server may take, before it is asked once more.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Questions that wait at most.
const QUEUE: usize = 256;

/// What is done with the answers.
pub type Answered = Box<dyn FnOnce(Vec<(String, Listing)>) + Send>;

/// Whether an address is on some lists.
struct Job {
    address: IpAddr,
    zones: Vec<String>,
    answered: Answered,
}

/// Asks on behalf of others. Its thread ends with its last clone.
#[derive(Clone)]
pub struct Dns {
    jobs: mpsc::Sender<Job>,
}

impl Dns {
    /// Starts the thread. Asks this server, or those that the system asks. An error is one line.
    pub fn start(server: Option<SocketAddr>) -> Result<Dns, String> {
        let (runtime, resolver) = asking(server)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let serve = async move {
            while let Some(Job { address, zones, answered }) = queue.recv().await {
                let resolver = resolver.clone();
                tokio::spawn(async move { answered(look_up(&resolver, address, zones).await) });
            }
        };
        let thread = std::thread::Builder::new().name("dns".into()).spawn(move || runtime.block_on(serve));
        thread.map(|_| Dns { jobs }).map_err(|error| format!("cannot start a thread: {error}"))
    }

    /// Looks whether an address is on these lists. `false` if too many wait: nobody is answered then.
    pub fn look_up(&self, address: IpAddr, zones: Vec<String>, answered: Answered) -> bool {
        self.jobs.try_send(Job { address, zones, answered }).is_ok()
    }
}

/// A service record (RFC 2782).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceRecord {
    /// The host; empty if the record says that there is no such service.
    pub target: String,
    /// The port.
    pub port: u16,
}

/// Asks on behalf of a command, which waits.
pub struct Lookup {
    runtime: Runtime,
    resolver: TokioResolver,
}

impl Lookup {
    /// Asks this server, or those that the system asks. An error is one line.
    pub fn new(server: Option<SocketAddr>) -> Result<Lookup, String> {
        let (runtime, resolver) = asking(server)?;
        Ok(Lookup { runtime, resolver })
    }

    /// The service records of a name.
    pub fn services(&self, name: &str) -> Result<Vec<ServiceRecord>, String> {
        let found = self.wait(self.resolver.srv_lookup(absolute(name)))?;
        let records = found.iter().flat_map(|found| found.answers()).filter_map(|record| match &record.data {
            RData::SRV(service) => Some(ServiceRecord {
                target: service.target.to_utf8().trim_end_matches('.').to_owned(),
                port: service.port,
            }),
            _ => None,
        });
        Ok(records.collect())
    }

    /// The addresses of a name, of both families.
    pub fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let mut addresses = Vec::new();
        let four = self.wait(self.resolver.ipv4_lookup(absolute(name)))?;
        let six = self.wait(self.resolver.ipv6_lookup(absolute(name)))?;
        for found in four.iter().chain(&six) {
            addresses.extend(found.answers().iter().filter_map(|record| match &record.data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            }));
        }
        Ok(addresses)
    }

    /// What was found, if there is anything.
    fn wait<T>(&self, answer: impl Future<Output = Result<T, NetError>>) -> Result<Option<T>, String> {
        match self.runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await }) {
            Err(_) => Err("there is no answer".into()),
            Ok(Err(error)) if error.is_nx_domain() || error.is_no_records_found() => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(found)) => Ok(Some(found)),
        }
    }
}

/// A name that is looked for as it is, whatever the system would search it in.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

/// What asks this server, or those that the system asks, on the thread that runs it.
fn asking(server: Option<SocketAddr>) -> Result<(Runtime, TokioResolver), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(|error| format!("the domain name system cannot be asked: {error}"))?;
    let resolver = runtime.block_on(async { resolver(server) });
    let resolver = resolver.map_err(|error| format!("the domain name system cannot be asked: {error}"))?;
    Ok((runtime, resolver))
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match server {
        None => TokioResolver::builder_tokio()?,
        Some(server) => {
            let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|connection| connection.port = server.port());
            let server = NameServerConfig::new(server.ip(), true, connections.to_vec());
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    (options.timeout, options.attempts, options.use_hosts_file) = (TIMEOUT, 2, ResolveHosts::Never);
    builder.build()
}

/// What each list says of an address.
async fn look_up(resolver: &TokioResolver, address: IpAddr, zones: Vec<String>) -> Vec<(String, Listing)> {
    let mut found = Vec::with_capacity(zones.len());
    let mut asked: Vec<_> = Vec::with_capacity(zones.len());
    for zone in zones {
        let (resolver, name) = (resolver.clone(), question(address, &zone));
        asked.push((zone, tokio::spawn(async move { ask(&resolver, &name).await })));
    }
    for (zone, answer) in asked {
        found.push((zone, answer.await.unwrap_or(Listing::Unknown)));
    }
    found
}

async fn ask(resolver: &TokioResolver, name: &str) -> Listing {
    match tokio::time::timeout(PATIENCE, resolver.ipv4_lookup(name)).await {
        Err(_) => Listing::Unknown,
        Ok(Err(error)) if error.is_nx_domain() || error.is_no_records_found() => Listing::No,
        Ok(Err(error)) => {
            tracing::debug!(target: "registration", name, %error, "a block list does not answer");
            Listing::Unknown
        }
        Ok(Ok(found)) => listing(found.answers().iter().filter_map(|record| match &record.data {
            RData::A(address) => Some(address.0),
            _ => None,
        })),
    }
}
