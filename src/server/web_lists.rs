//! Lists of the firewall that are kept somewhere on the web: fetched on a thread of their own, and the last good copy
//! kept on disk, so that a server that starts while the web is away has it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use rondel_shards::Remote;
use sha2::{Digest, Sha256};
use ureq::tls::{RootCerts, TlsConfig};

use crate::firewall::{Backend, Loaded, Looked, Polling, Running, WebList};
use crate::random;
use crate::shard::{ListChange, Message};

/// Bytes of a list at most.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// For how long a list is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Seconds at random that are added to each wait, at most: not all servers look at the same moment.
const SPREAD_S: u64 = 60;

/// Copies of lists on disk.
#[derive(Clone, Debug)]
pub struct Copies {
    directory: PathBuf,
}

/// Who fetches lists.
pub struct WebLists {
    orders: Sender<Option<Arc<Running>>>,
}

/// A list that is kept up with.
struct Followed {
    number: usize,
    name: Box<str>,
    list: WebList,
    polling: Polling,
    due: Option<Instant>,
    /// Whether the rules before had it, too.
    is_known: bool,
}

impl Copies {
    /// In this data directory.
    pub fn in_data(data_dir: &Path) -> Copies {
        Copies { directory: data_dir.join("lists") }
    }

    /// Fills in what is on disk of lists on the web.
    pub fn fill(&self, loaded: &mut Loaded) {
        for ((_, spec), source) in loaded.rules.lists.iter().zip(&mut loaded.sources) {
            if let Backend::Web(list) = &spec.backend
                && let Ok(bytes) = std::fs::read(self.path(&list.url, "list"))
            {
                *source = Arc::new(spec.entries_of(&bytes));
            }
        }
    }

    fn etag(&self, url: &str) -> Option<String> {
        std::fs::read(self.path(url, "list")).ok()?;
        std::fs::read_to_string(self.path(url, "etag")).ok().filter(|etag| !etag.is_empty())
    }

    fn keep(&self, url: &str, bytes: &[u8], etag: Option<&str>) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        // The name of a copy is never beside another copy.
        match std::fs::remove_file(self.path(url, "etag")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for (kind, bytes) in [("list", bytes), ("etag", etag.unwrap_or_default().as_bytes())] {
            let new = self.path(url, "new");
            std::fs::write(&new, bytes)?;
            std::fs::rename(&new, self.path(url, kind))?;
        }
        Ok(())
    }

    fn path(&self, url: &str, kind: &str) -> PathBuf {
        let digest = Sha256::digest(url.as_bytes());
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(format!("{name}.{kind}"))
    }
}

impl WebLists {
    /// Begins to fetch what rules need, as soon as it is told of some.
    pub fn start(copies: Copies, remotes: Vec<Remote<Message>>) -> std::io::Result<WebLists> {
        let (orders, taken) = crossbeam::channel::unbounded();
        let follow = move || follow(&copies, &remotes, &taken);
        std::thread::Builder::new().name("lists".into()).spawn(follow)?;
        Ok(WebLists { orders })
    }

    /// These rules run from now on.
    pub fn take(&self, running: Option<Arc<Running>>) {
        // It ends with the server.
        let _ = self.orders.send(running);
    }
}

/// Fetches lists until nobody wants any more.
fn follow(copies: &Copies, remotes: &[Remote<Message>], taken: &Receiver<Option<Arc<Running>>>) {
    let mut running: Option<Arc<Running>> = None;
    let mut followed: Vec<Followed> = Vec::new();
    loop {
        let due = followed.iter().filter_map(|list| list.due).min();
        let order = match due {
            Some(due) => taken.recv_deadline(due),
            None => taken.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match order {
            Ok(order) => {
                followed = order.as_ref().map(|running| lists(running, copies, followed)).unwrap_or_default();
                if let (Some(before), Some(now)) = (&running, &order) {
                    carry_over(before, now, &followed, remotes);
                }
                running = order;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let Some(running) = &running else { continue };
        let now = Instant::now();
        for list in followed.iter_mut().filter(|list| list.due.is_some_and(|due| due <= now)) {
            look(list, running, copies, remotes);
            // Others may be wanted by now.
            if !taken.is_empty() {
                break;
            }
        }
    }
}

/// The lists of rules, with what is known of them.
fn lists(running: &Running, copies: &Copies, mut before: Vec<Followed>) -> Vec<Followed> {
    let lists = running.rules.lists.iter().enumerate();
    let web = lists.filter_map(|(number, (name, spec))| match &spec.backend {
        Backend::Web(list) => Some((number, name.clone(), (**list).clone())),
        _ => None,
    });
    web.map(|(number, name, list)| {
        let known = before.iter().position(|known| known.name == name && known.list == list);
        match known.map(|known| before.swap_remove(known)) {
            Some(known) => Followed { number, is_known: true, ..known },
            None => {
                let polling = Polling::new(list.ttl_s, copies.etag(&list.url));
                Followed { number, name, list, polling, due: Some(Instant::now()), is_known: false }
            }
        }
    })
    .collect()
}

/// What was fetched for rules that had been replaced already holds for those that run.
fn carry_over(before: &Running, now: &Running, followed: &[Followed], remotes: &[Remote<Message>]) {
    for list in followed.iter().filter(|list| list.is_known) {
        let Some(number) = before.rules.list(&list.name) else { continue };
        let source = before.source(number);
        if !Arc::ptr_eq(&source, &now.source(list.number)) {
            now.set_source(list.number, source);
            tell(&list.name, remotes);
        }
    }
}

fn tell(list: &str, remotes: &[Remote<Message>]) {
    for remote in remotes {
        remote.send(Message::ChangeList(Box::new((list.into(), ListChange::Source))));
    }
}

/// Looks at a list.
fn look(followed: &mut Followed, running: &Running, copies: &Copies, remotes: &[Remote<Message>]) {
    let url = &followed.list.url;
    let fetched = fetch(&followed.list, followed.polling.etag());
    let looked = match &fetched {
        Ok((looked, _)) => looked.clone(),
        Err(error) => {
            tracing::warn!(target: "firewall", list = &*followed.name, url, "this list is not to be had: {error}");
            Looked::Failed
        }
    };
    if let Ok((Looked::Copy { etag }, bytes)) = &fetched {
        let spec = &running.rules.lists[followed.number].1;
        let entries = Arc::new(spec.entries_of(bytes));
        let count = entries.len();
        running.set_source(followed.number, entries);
        tell(&followed.name, remotes);
        tracing::info!(target: "firewall", list = &*followed.name, entries = count, "a list was read");
        if let Err(error) = copies.keep(url, bytes, etag.as_deref()) {
            tracing::warn!(target: "firewall", list = &*followed.name, "its copy cannot be kept: {error}");
        }
    }
    let wait = followed.polling.looked(&looked);
    let spread = Duration::from_millis(u64::from_le_bytes(random::bytes()) % (SPREAD_S * 1_000));
    followed.due = wait.map(|wait| Instant::now() + wait + spread);
}

/// Asks for a list. What is neither a copy nor that there is none newer is no error: it has a meaning of its own.
fn fetch(list: &WebList, etag: Option<&str>) -> Result<(Looked, Vec<u8>), ureq::Error> {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::PlatformVerifier)
        .disable_verification(!list.verifies);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .user_agent(concat!("rondel/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls.build())
        .build()
        .into();
    let mut request = agent.get(&list.url);
    if let Some(etag) = etag {
        request = request.header("If-None-Match", etag);
    }
    let mut response = request.call()?;
    let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
    let looked = Looked::of(response.status().as_u16(), etag);
    let bytes = match &looked {
        Looked::Copy { .. } => response.body_mut().with_config().limit(LIST_BYTES_MAX).read_to_vec()?,
        Looked::Failed => {
            let (url, status) = (&*list.url, response.status());
            tracing::warn!(target: "firewall", url, %status, "this list is not to be had");
            Vec::new()
        }
        _ => Vec::new(),
    };
    Ok((looked, bytes))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::firewall::Rules;

    #[test]
    fn what_was_read_of_a_list_stays_while_it_is_not_to_be_had_92() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/list", listener.local_addr().unwrap());
        let statuses = [200, 500, 500, 304, 500];
        let web = std::thread::spawn(move || {
            statuses.map(|status| {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
                while !request.ends_with(b"\r\n\r\n") {
                    let read = stream.read(&mut buffer).unwrap();
                    request.extend_from_slice(&buffer[..read]);
                }
                let body = if status == 200 { "one\ntwo" } else { "" };
                let length = if status == 304 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
                let head = format!("HTTP/1.1 {status} So\r\nETag: \"v1\"\r\n{length}Connection: close\r\n\r\n");
                stream.write_all((head + body).as_bytes()).unwrap();
                String::from_utf8(request).unwrap().to_lowercase().contains("if-none-match: \"v1\"")
            })
        });
        let directory = tempfile::tempdir().unwrap();
        let copies = Copies::in_data(directory.path());
        let script = format!("%LIST l: {url} (ttl: 3600)\n\nCHECK LIST: l contains $<@from>\nDROP.\n");
        let (rules, _) = Rules::load(&[("s", &script)], Default::default()).unwrap();
        let running = Running::new(Loaded { rules, sources: vec![Arc::default()], ..Loaded::default() }, 1, None);
        let mut list = lists(&running, &copies, Vec::new()).remove(0);
        for wait_s in [3_600, 60, 120, 3_600, 300] {
            look(&mut list, &running, &copies, &[]);
            assert_eq!(running.source(0).len(), 2);
            let due_s = list.due.unwrap().duration_since(Instant::now()).as_secs();
            assert!((wait_s - 1..=wait_s + SPREAD_S).contains(&due_s), "{wait_s}: {due_s}");
        }
        assert_eq!(web.join().unwrap(), [false, true, true, true, true]);
    }
}
