//! What an operator can ask of the running server: the accounts in its store, and its sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel::{RecvTimeoutError, Sender};
use rondel_shards::{Metrics, Remote};
use rondel_storage::Store;

use crate::admin::{
    Applicants, Backend, Counted, Failure, FailureKind, Invites, ListLog, ListUsers, Log, LogPage, MadeInvite,
    NewInvite, OpenInvite, PendingPage, Status, UserDetails, UserPage, Users,
};
use crate::home::home;
use crate::jid::Jid;
use crate::logging::LevelControl;
use crate::registration::Mode;
use crate::sasl::ScramKeys;
use crate::shard::{Announcement, EndSessions, Message, NotRemoved, RemoveAccount, Settings, Traced, Watch};
use crate::stream::StreamError;

/// How long a shard may take to end an account's sessions.
const PATIENCE: Duration = Duration::from_secs(10);

/// Decisions that may wait to be told.
const TRACED_MAX: usize = 10_000;

/// Accounts that are told something at once, and how often so many are.
const TOLD_AT_ONCE: usize = 200;
const TELLS_EVERY: Duration = Duration::from_millis(100);

/// How often it is seen to whether anybody still listens.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// The running server, for its admin socket.
pub struct Running {
    watches: AtomicU64,
    users: Users,
    applicants: Applicants,
    invites: Invites,
    log: Log,
    remotes: Vec<Remote<Message>>,
    settings: Arc<Settings>,
    levels: LevelControl,
    metrics: Vec<Arc<Metrics>>,
    store: Arc<Store>,
}

impl Running {
    pub fn new(
        store: Arc<Store>,
        remotes: Vec<Remote<Message>>,
        settings: Arc<Settings>,
        levels: LevelControl,
        metrics: Vec<Arc<Metrics>>,
    ) -> Running {
        Running {
            watches: AtomicU64::new(0),
            users: Users::new(Arc::clone(&store)),
            applicants: Applicants::new(Arc::clone(&store)),
            invites: Invites::new(Arc::clone(&store)),
            log: Log::new(Arc::clone(&store)),
            remotes,
            settings,
            levels,
            metrics,
            store,
        }
    }

    fn counters(&self) -> Vec<Counted> {
        let mut counters = Vec::new();
        for (shard, (metrics, stanzas)) in self.metrics.iter().zip(&self.settings.stanzas).enumerate() {
            let mut count = |name: &str, value| {
                counters.push(Counted { name: name.replace('_', "-"), shard: Some(shard), value });
            };
            count("stanzas", stanzas.get());
            metrics.snapshot().fields().into_iter().for_each(|(name, value)| count(name, value));
        }
        let storage = self.store.metrics();
        let shared = [
            ("writes", storage.writes),
            ("writes-refused", storage.refused),
            ("writes-failed", storage.failed),
            ("write-batches", storage.batches),
            ("syncs", storage.syncs),
            ("sync-microseconds", storage.sync_micros),
            ("sync-microseconds-at-most", storage.sync_micros_max),
            ("reads-inline", storage.reads_inline),
            ("reads-queued", storage.reads_queued),
        ];
        counters.extend(shared.map(|(name, value)| Counted { name: name.into(), shard: None, value }));
        counters
    }

    fn domains(&self) -> &[String] {
        &self.settings.negotiation.domains
    }

    fn require_served(&self, domain: &str) -> Result<(), Failure> {
        if self.settings.serves(domain) {
            return Ok(());
        }
        let text = format!("{domain} is not served here; served are {}", self.domains().join(", "));
        Err(Failure::new(FailureKind::NotServed, text))
    }

    /// From now on logins that began before look at their account again.
    fn account_changed(&self) {
        self.settings.account_changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends an account's sessions at its home, and waits until that is done.
    fn end_sessions(&self, jid: &Jid<'_>, error: StreamError) {
        let account = jid.bare().to_owned();
        let Some(remote) = self.remotes.get(home(&account, self.remotes.len())) else { return };
        let (answer, ended) = crossbeam::channel::bounded(1);
        remote.send(Message::EndSessions(Box::new(EndSessions { account, error, answer })));
        if ended.recv_timeout(PATIENCE).is_err() {
            tracing::warn!(target: "admin", "a shard did not end an account's sessions in time");
        }
    }
}

impl Backend for Running {
    fn status(&self) -> Result<Status, Failure> {
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            domains: self.domains().to_vec(),
            scram_iterations: Some(self.settings.negotiation.iterations),
            counters: self.counters(),
        })
    }

    fn add_user(&self, jid: &Jid<'_>, keys: Vec<ScramKeys>) -> Result<(), Failure> {
        self.require_served(jid.domain())?;
        self.users.add(jid, keys)
    }

    fn set_keys(&self, jid: &Jid<'_>, keys: Vec<ScramKeys>) -> Result<(), Failure> {
        self.users.set_keys(jid, keys)?;
        self.account_changed();
        Ok(())
    }

    fn remove_user(&self, jid: &Jid<'_>, made_s: Option<u64>) -> Result<(), Failure> {
        let account = jid.bare().to_owned();
        let busy = || Failure::new(FailureKind::Busy, "the server has too much to do; try again");
        let remote = self.remotes.get(home(&account, self.remotes.len())).ok_or_else(busy)?;
        let (answer, removed) = crossbeam::channel::bounded(1);
        remote.send(Message::RemoveAccount(Box::new(RemoveAccount { account, made_s, answer })));
        match removed.recv_timeout(PATIENCE) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(NotRemoved::Absent)) => Err(Failure::not_found(jid)),
            Ok(Err(NotRemoved::Failed)) => {
                Err(Failure::new(FailureKind::Failed, "the storage has failed; the log says more"))
            }
            Err(_) => Err(busy()),
        }
    }

    fn list_pending(&self, after: Option<&str>) -> Result<PendingPage, Failure> {
        self.applicants.pending(after)
    }

    fn approve(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.applicants.approve(jid)?;
        if let Some(remote) = self.remotes.get(home(jid.bare(), self.remotes.len())) {
            remote.send(Message::Welcome(jid.bare().into()));
        }
        Ok(())
    }

    fn reject(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.remove_user(jid, Some(self.applicants.made_s(jid)?))
    }

    fn create_invite(&self, new: &NewInvite) -> Result<MadeInvite, Failure> {
        let domain = match &new.domain {
            Some(domain) => domain,
            None => {
                self.domains().first().ok_or_else(|| Failure::new(FailureKind::NotServed, "no domain is served"))?
            }
        };
        self.require_served(domain)?;
        if self.settings.registration().mode == Mode::Closed {
            let text = "nobody registers here, invited or not: --registration invite";
            return Err(Failure::new(FailureKind::Unavailable, text));
        }
        self.invites.create(domain, new)
    }

    fn list_invites(&self) -> Result<Vec<OpenInvite>, Failure> {
        self.invites.list()
    }

    fn revoke_invite(&self, id: &str) -> Result<(), Failure> {
        self.invites.revoke(id)
    }

    fn list_log(&self, list: &ListLog) -> Result<LogPage, Failure> {
        self.log.list(list)
    }

    fn disable_user(&self, jid: &Jid<'_>, reason: &str) -> Result<(), Failure> {
        self.users.disable(jid, reason)?;
        self.account_changed();
        self.end_sessions(jid, StreamError::not_authorized("this account was disabled"));
        Ok(())
    }

    fn enable_user(&self, jid: &Jid<'_>) -> Result<(), Failure> {
        self.users.enable(jid)
    }

    fn list_users(&self, list: &ListUsers) -> Result<UserPage, Failure> {
        self.users.list(list)
    }

    fn show_user(&self, jid: &Jid<'_>) -> Result<UserDetails, Failure> {
        self.users.show(jid)
    }

    fn announce(&self, words: &str, domain: Option<&str>, everybody: bool) -> Result<(), Failure> {
        let (words, domain) = (Arc::<str>::from(words), domain.map(str::to_owned));
        if !everybody {
            for remote in &self.remotes {
                let announcement = Announcement { words: Arc::clone(&words), domain: domain.clone(), left: None };
                remote.send(Message::Announce(Box::new(announcement)));
            }
            return Ok(());
        }
        let mut list = ListUsers { after: None, domain, limit: TOLD_AT_ONCE };
        loop {
            let page = self.users.list(&list)?;
            for user in &page.users {
                if let Some(remote) = self.remotes.get(home(&user.jid, self.remotes.len())) {
                    remote.send(Message::Tell(Box::new((user.jid.clone(), Arc::clone(&words)))));
                }
            }
            match page.users.last() {
                Some(last) if page.more => list.after = Some(last.jid.clone()),
                _ => return Ok(()),
            }
            // Each of them is loaded if it is not there, and what it is told is written: others want that, too.
            std::thread::sleep(TELLS_EVERY);
        }
    }

    fn trace(&self, jid: &Jid<'_>, tell: &mut dyn FnMut(Option<Traced>) -> bool) -> Result<(), Failure> {
        let (sender, lines) = crossbeam::channel::bounded(TRACED_MAX);
        let (number, account) = (self.watches.fetch_add(1, Ordering::Relaxed), jid.bare().to_owned());
        let watch = |to: Option<Sender<Traced>>| {
            for remote in &self.remotes {
                let watch = Watch { number, account: account.clone(), to: to.clone() };
                remote.send(Message::Watch(Box::new(watch)));
            }
        };
        watch(Some(sender));
        // The first answer says that it has begun.
        let mut goes_on = tell(None);
        while goes_on {
            goes_on = match lines.recv_timeout(ASKED_EVERY) {
                Ok(traced) => tell(Some(traced)),
                Err(RecvTimeoutError::Timeout) => tell(None),
                // The shards have ended.
                Err(RecvTimeoutError::Disconnected) => false,
            };
        }
        watch(None);
        Ok(())
    }

    fn log_levels(&self) -> Result<String, Failure> {
        Ok(self.levels.levels().to_string())
    }

    fn change_log_levels(&self, changes: &str) -> Result<String, Failure> {
        self.levels
            .change(changes)
            .map(|levels| levels.to_string())
            .map_err(|text| Failure::new(FailureKind::Invalid, text))
    }
}
