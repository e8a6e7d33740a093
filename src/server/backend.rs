//! What an operator can ask of the running server: the accounts in its store, and its sessions.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use rondel_shards::{Metrics, Remote};
use rondel_storage::{Store, WriteRequest, departures};

use super::backups::Backups;
use super::observer::{Observed, Observer};
use super::watch::Alerts;
use crate::admin::{
    self, ActOnReport, Backend, By, CensusOutcome, Desk, Done, Failure, FailureKind, ListUsers, MadeInvite, NewInvite,
    ReportAction, Request, SessionFacts, Usage, Which, account,
};
use crate::home::home;
use crate::jid::Jid;
use crate::logging::LevelControl;
use crate::registration::Mode;
use crate::shard::{
    Announcement, AskUsage, Asked, Census, EndSessions, Message, NotRemoved, Reconsider, RemoveAccount, Sessions,
    SetMark, Settings, Traced, Watch,
};
use crate::stream::StreamError;

/// How long a shard may take to end an account's sessions.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long the end waits at least.
const FAREWELL: Duration = Duration::from_millis(500);

/// Accounts whose owners have left that go at once.
const DEPARTED_AT_ONCE: usize = 100;

/// Decisions that may wait to be told.
pub(super) const TRACED_MAX: usize = 10_000;

/// Accounts that are told something at once, and how often so many are.
const TOLD_AT_ONCE: usize = 200;
const TELLS_EVERY: Duration = Duration::from_millis(100);

/// How often it is seen to whether anybody still listens.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// The running server, for its admin socket.
pub struct Running {
    pub(super) watches: AtomicU64,
    desk: Desk,
    pub(super) remotes: Vec<Remote<Message>>,
    pub(super) settings: Arc<Settings>,
    levels: LevelControl,
    pub(super) metrics: Vec<Arc<Metrics>>,
    pub(super) store: Arc<Store>,
    pub(super) data_dir: PathBuf,
    /// Whoever makes backups.
    pub(super) backups: Backups,
    pub(super) alerts: Arc<Alerts>,
    pub(super) observer: Observer,
    /// When it has started, in seconds since 1970.
    pub(super) started_s: u64,
}

/// What the running server has, beside what is made of it.
pub struct Parts {
    /// Its store, in this directory.
    pub store: Arc<Store>,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Its shards.
    pub remotes: Vec<Remote<Message>>,
    /// What they have in common.
    pub settings: Arc<Settings>,
    /// What is logged.
    pub levels: LevelControl,
    /// What the runtime counts.
    pub metrics: Vec<Arc<Metrics>>,
    /// Whoever makes backups.
    pub backups: Backups,
    /// What is wrong.
    pub alerts: Arc<Alerts>,
}

impl Running {
    /// An error is one of a thread that cannot be started.
    pub fn new(parts: Parts) -> std::io::Result<Running> {
        let Parts { store, data_dir, remotes, settings, levels, metrics, backups, alerts } = parts;
        let observed =
            Observed { metrics: metrics.clone(), settings: Arc::clone(&settings), store: Arc::clone(&store) };
        Ok(Running {
            watches: AtomicU64::new(0),
            desk: Desk::new(Arc::clone(&store)),
            remotes,
            settings,
            levels,
            metrics,
            store,
            data_dir,
            backups,
            alerts,
            observer: Observer::start(observed)?,
            started_s: admin::now().as_secs(),
        })
    }

    pub(super) fn domains(&self) -> &[String] {
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

    /// Tells something to the shard on which an account is at home, and waits for its answer. `None`: it has not come.
    fn ask_home<T>(&self, bare_jid: &str, message: impl FnOnce(Sender<T>) -> Message) -> Option<T> {
        let (answer, answers) = crossbeam::channel::bounded(1);
        self.to_home(bare_jid, message(answer));
        let outcome = answers.recv_timeout(PATIENCE).ok();
        if outcome.is_none() {
            tracing::warn!(target: "admin", "a shard does not answer in time");
        }
        outcome
    }
}

impl Running {
    fn carry_out(&self, by: &By, request: Request, tell: &mut dyn FnMut(Done) -> bool) -> Result<Done, Failure> {
        match request {
            Request::Status => return Ok(Done::Status(Box::new(self.status()))),
            Request::RemoveUser { jid, made_s } => self.remove_user(&account(&jid)?, made_s)?,
            Request::Reject { jid } => {
                let jid = account(&jid)?;
                self.remove_user(&jid, Some(self.desk.applicants.made_s(&jid)?))?;
            }
            Request::CreateInvite(new) => {
                let domain = self.domain_for(&new)?;
                let new = NewInvite { domain: Some(domain.clone()), ..new };
                let done = self.desk.carry_out(by, Request::CreateInvite(new))?;
                let (Done::Invite(made), Some(site)) = (&done, &self.settings.site) else { return Ok(done) };
                let page = Some(site.invitation_url(&domain, &made.token));
                return Ok(Done::Invite(MadeInvite { page, ..made.clone() }));
            }
            Request::EndSessions { jid } => self.end_for_administrator(&jid)?,
            Request::ShowLimits { of } => return self.usage(&of).map(Done::Usage),
            Request::Census { which: which @ (Which::Online | Which::Active | Which::Idle), names_max } => {
                return Ok(Done::Census(self.census(which, names_max)));
            }
            Request::ShowActivity { jid } => {
                let jid = account(&jid)?;
                let mut activity = self.desk.people.activity(&jid)?;
                activity.sessions = self.sessions(jid.as_str());
                return Ok(Done::Activity(activity));
            }
            Request::ShutDown { delay_s, words, restarts } => self.shut_down(delay_s, &words, restarts)?,
            Request::ActOnReport(act) => self.act_on_report(by, &act)?,
            Request::Tell { jid, words } => {
                let jid = account(&jid)?;
                self.desk.users.show(&jid)?;
                self.tell(jid.bare(), &words);
            }
            Request::Announce { words, domain, everybody } => self.announce(&words, domain, everybody)?,
            Request::Trace { jid } => self.trace(&account(&jid)?, tell),
            Request::ShowFirewall => return self.firewall_facts().map(Done::Firewall),
            Request::ShowList { list } => return self.list_entries(&list).map(Done::Entries),
            Request::AddToList { list, text } => self.change_list(&list, &text, true)?,
            Request::RemoveFromList { list, text } => self.change_list(&list, &text, false)?,
            Request::FollowFirewall(wanted) => self.follow_rules(&wanted, tell)?,
            Request::CreateBackup { directory } => {
                let answers = self.backups.order(directory.as_deref())?;
                return wait_for(&answers, tell).map(Done::Backup);
            }
            Request::VerifyStorage => return wait_for(&self.backups.survey()?, tell).map(Done::Survey),
            Request::Export { jid, domain } => {
                return self.desk.transfer.export(jid.as_deref(), domain.as_deref(), tell).map(Done::Exported);
            }
            Request::Import { path, jid } => {
                let rounds = self.settings.negotiation.iterations;
                return self.desk.transfer.import(Path::new(&path), jid.as_deref(), rounds, tell).map(Done::Imported);
            }
            Request::LogLevels => return Ok(Done::Levels(self.levels.levels().to_string())),
            Request::ChangeLogLevels { changes } => {
                let invalid = |text| Failure::new(FailureKind::Invalid, text);
                return self.levels.change(&changes).map(|levels| Done::Levels(levels.to_string())).map_err(invalid);
            }
            request => {
                if let Request::AddUser { jid, .. } = &request {
                    self.require_served(account(jid)?.domain())?;
                }
                let done = self.desk.carry_out(by, request.clone())?;
                self.take_over(&request)?;
                return Ok(done);
            }
        }
        Ok(Done::Nothing)
    }

    /// Something has been changed in the store: what is in memory of it follows, before whoever has asked is answered.
    fn take_over(&self, request: &Request) -> Result<(), Failure> {
        match request {
            Request::SetKeys { .. } => self.account_changed(),
            Request::Approve { jid } => {
                let jid = account(jid)?;
                self.to_home(jid.as_str(), Message::Welcome(jid.as_str().into()));
            }
            Request::DisableUser { jid, .. } => {
                self.account_changed();
                let (jid, error) = (account(jid)?, StreamError::not_authorized("this account was disabled"));
                let order = |answer| EndSessions { account: jid.to_string(), error, answer };
                self.ask_home(jid.as_str(), |answer| Message::EndSessions(Box::new(order(answer))));
            }
            Request::Mute { jid, .. }
            | Request::Unmute { jid }
            | Request::Limit { jid, .. }
            | Request::Unlimit { jid } => {
                let jid = account(jid)?;
                let order = |answer| Reconsider { account: jid.to_string(), answer };
                self.ask_home(jid.as_str(), |answer| Message::Reconsider(Box::new(order(answer))));
            }
            Request::Mark { jid, mark } => self.take_mark(jid, mark, Some(admin::now().as_millis() as u64))?,
            Request::Unmark { jid, mark } => self.take_mark(jid, mark, None)?,
            Request::BanAddress { .. } | Request::UnbanAddress { .. } => {
                self.settings.take_decisions(&self.desk)?;
                self.remotes.iter().for_each(|remote| remote.send(Message::EndBanned));
            }
            Request::SetMessageOfTheDay { words } => {
                self.settings.take_decisions(&self.desk)?;
                if !words.is_empty() {
                    self.announce(words, None, false)?;
                }
            }
            Request::SetRole { .. }
            | Request::SetBlacklist { .. }
            | Request::SetWhitelist { .. }
            | Request::SetWelcome { .. }
            | Request::SetAdministrators { .. } => self.settings.take_decisions(&self.desk)?,
            _ => {}
        }
        Ok(())
    }

    fn take_mark(&self, jid: &str, mark: &str, at_ms: Option<u64>) -> Result<(), Failure> {
        let jid = account(jid)?;
        let order = |answer| SetMark { account: jid.to_string(), name: mark.to_owned(), at_ms, answer };
        self.ask_home(jid.as_str(), |answer| Message::Mark(Box::new(order(answer))));
        Ok(())
    }

    /// To which domain an invitation is.
    fn domain_for(&self, new: &NewInvite) -> Result<String, Failure> {
        let none = || Failure::new(FailureKind::NotServed, "no domain is served");
        let domain = new.domain.as_ref().or(self.domains().first()).ok_or_else(none)?;
        self.require_served(domain)?;
        if self.settings.registration().mode == Mode::Closed && !new.resets {
            let text = "nobody registers here, invited or not: --registration invite";
            return Err(Failure::new(FailureKind::Unavailable, text));
        }
        Ok(domain.clone())
    }

    fn remove_user(&self, jid: &Jid<'_>, made_s: Option<u64>) -> Result<(), Failure> {
        let account = jid.bare().to_owned();
        let order = |answer| Message::RemoveAccount(Box::new(RemoveAccount { account, made_s, answer }));
        match self.ask_home(jid.bare(), order) {
            Some(Ok(())) => Ok(()),
            Some(Err(NotRemoved::Absent)) => Err(Failure::not_found(jid)),
            Some(Err(NotRemoved::Failed)) => {
                Err(Failure::new(FailureKind::Failed, "the storage has failed; the log says more"))
            }
            None => Err(Failure::busy()),
        }
    }

    /// Removes the accounts whose owners have left and whose time has come.
    pub fn remove_departed(&self) {
        let due = match self.store.page(departures::due(admin::now().as_secs(), DEPARTED_AT_ONCE)) {
            Ok(page) => departures::decode_page(&page),
            Err(failure) => return tracing::warn!(target: "storage", "those who have left are not known: {failure}"),
        };
        for (at_s, owner) in due {
            let jid = owner.to_string();
            let goes = |jid: &Jid<'_>| match self.desk.users.show(jid) {
                // It may have been brought back, or have left again later.
                Ok(user) if user.leaves_at_s != Some(at_s) => Ok(()),
                Ok(user) => self.remove_user(jid, Some(user.created_s)),
                Err(failure) if failure.kind == FailureKind::NotFound => Ok(()),
                Err(failure) => Err(failure),
            };
            let outcome = account(&jid).and_then(|jid| goes(&jid));
            match outcome {
                Ok(()) => {
                    let forgotten = self.store.write_blocking(departures::forget(WriteRequest::new(owner), at_s));
                    tracing::info!(target: "registration", account = jid, ?forgotten, "an account has gone");
                }
                Err(failure) => tracing::warn!(target: "registration", account = jid, "it does not go: {failure}"),
            }
        }
    }

    fn act_on_report(&self, by: &By, act: &ActOnReport) -> Result<(), Failure> {
        let stored = self.desk.reports.open(&act.report)?;
        let (jid, for_s) = (stored.report.reported.clone(), act.for_s);
        let said = |words: &Option<String>| words.as_deref().map(str::trim).unwrap_or_default().to_owned();
        let (words, answer) = (said(&act.words), said(&act.answer));
        let reason = || format!("reported for {}", stored.report.reason);
        let request = match act.action {
            ReportAction::Dismiss => None,
            ReportAction::Warn if words.is_empty() => {
                return Err(Failure::new(FailureKind::Invalid, "a warning says something: --words"));
            }
            ReportAction::Warn => None,
            ReportAction::Mute => Some(Request::Mute { jid: jid.clone(), for_s }),
            ReportAction::Limit => Some(Request::Limit { jid: jid.clone(), for_s }),
            ReportAction::Ban => Some(Request::DisableUser { jid: jid.clone(), reason: reason(), for_s }),
            ReportAction::Remove => Some(Request::RemoveUser { jid: jid.clone(), made_s: None }),
        };
        // Before it loses the sessions that could hear it.
        if !words.is_empty() {
            self.desk.users.show(&account(&jid)?)?;
            self.tell(&jid, &words);
        }
        let mut nobody = |_| true;
        request.map(|request| self.carry_out(by, request, &mut nobody)).transpose()?;
        self.desk.reports.close(by, &stored, act.action)?;
        if !answer.is_empty() {
            self.tell(&stored.report.reporter, &answer);
        }
        Ok(())
    }

    fn end_for_administrator(&self, jid: &str) -> Result<(), Failure> {
        let missing = || Failure::new(FailureKind::NotFound, format!("{jid} has no session"));
        let parsed = Jid::parse(jid).ok().filter(|jid| jid.local().is_some());
        let parsed = parsed.ok_or_else(|| Failure::new(FailureKind::Invalid, format!("{jid:?} is no account")))?;
        let error = StreamError::reset("an administrator has ended this session");
        let is_full = parsed.is_full();
        let order = |answer| {
            let order = Box::new(EndSessions { account: parsed.to_string(), error, answer });
            if is_full { Message::EndSession(order) } else { Message::EndSessions(order) }
        };
        match self.ask_home(parsed.bare(), order) {
            Some(0) => Err(missing()),
            Some(_) => Ok(()),
            None => Err(Failure::busy()),
        }
    }

    fn census(&self, which: Which, names_max: usize) -> CensusOutcome {
        let (answer, answers) = crossbeam::channel::bounded(self.remotes.len());
        for remote in &self.remotes {
            remote.send(Message::Census(Box::new(Census { which, names_max, answer: answer.clone() })));
        }
        drop(answer);
        let mut outcome = CensusOutcome::default();
        while let Ok((number, names)) = answers.recv_timeout(PATIENCE) {
            outcome.number += number;
            outcome.names.extend(names);
        }
        outcome.names.sort_unstable();
        outcome.names.truncate(names_max);
        outcome
    }

    fn sessions(&self, bare_jid: &str) -> Vec<SessionFacts> {
        let account = bare_jid.to_owned();
        let asked = |answer| Message::Sessions(Box::new(Sessions { account, answer }));
        self.ask_home(bare_jid, asked).unwrap_or_default()
    }

    /// What an account or an address has used.
    fn usage(&self, of: &str) -> Result<Usage, Failure> {
        let address: Option<IpAddr> = of.parse().ok();
        let asked = match address {
            Some(address) => Asked::Address(address),
            None => Asked::Account(account(of)?.to_string()),
        };
        let (answer, answers) = crossbeam::channel::bounded(self.remotes.len());
        for remote in &self.remotes {
            remote.send(Message::Usage(Box::new(AskUsage { asked: asked.clone(), answer: answer.clone() })));
        }
        drop(answer);
        let mut usage = Usage::default();
        while let Ok((sessions, address)) = answers.recv_timeout(PATIENCE) {
            usage.sessions.extend(sessions);
            usage.address.extend(address);
        }
        usage.banned_until_s =
            address.and_then(|address| self.settings.bans.load().until(address, admin::now().as_secs()));
        if address.is_none() && usage.sessions.is_empty() {
            self.desk.users.show(&account(of)?)?;
        }
        usage.sessions.sort_unstable_by(|one, other| one.jid.cmp(&other.jid));
        Ok(usage)
    }

    /// Ends the server after a while, as a signal does.
    fn shut_down(&self, delay_s: u64, words: &str, restarts: bool) -> Result<(), Failure> {
        if !words.is_empty() {
            self.announce(words, None, false)?;
        }
        self.settings.restarts.store(restarts, Ordering::SeqCst);
        let end = move || {
            // Whoever has asked hears that it will be done.
            std::thread::sleep(Duration::from_secs(delay_s).max(FAREWELL));
            let own = rustix::process::getpid();
            if let Err(error) = rustix::process::kill_process(own, rustix::process::Signal::TERM) {
                tracing::error!(target: "server", %error, "the server cannot be ended");
            }
        };
        let spawned = std::thread::Builder::new().name("end".into()).spawn(end);
        spawned.map(|_| ()).map_err(|error| Failure::new(FailureKind::Failed, error.to_string()))
    }

    /// Sends something to the shard on which an account is at home.
    fn to_home(&self, bare_jid: &str, message: Message) {
        if let Some(remote) = self.remotes.get(home(bare_jid, self.remotes.len())) {
            remote.send(message);
        }
    }

    /// Says something to an account, now or when it comes.
    fn tell(&self, bare_jid: &str, words: &str) {
        self.to_home(bare_jid, Message::Tell(Box::new((bare_jid.to_owned(), Arc::from(words)))));
    }

    fn announce(&self, words: &str, domain: Option<String>, everybody: bool) -> Result<(), Failure> {
        let words = Arc::<str>::from(words);
        if !everybody {
            for remote in &self.remotes {
                let announcement = Announcement { words: Arc::clone(&words), domain: domain.clone(), left: None };
                remote.send(Message::Announce(Box::new(announcement)));
            }
            return Ok(());
        }
        let mut list = ListUsers { after: None, domain, limit: TOLD_AT_ONCE };
        loop {
            let page = self.desk.users.list(&list)?;
            page.users.iter().for_each(|user| self.tell(&user.jid, &words));
            match page.users.last() {
                Some(last) if page.more => list.after = Some(last.jid.clone()),
                _ => return Ok(()),
            }
            // Each of them is loaded if it is not there, and what it is told is written: others want that, too.
            std::thread::sleep(TELLS_EVERY);
        }
    }

    fn trace(&self, jid: &Jid<'_>, tell: &mut dyn FnMut(Done) -> bool) {
        let (sender, lines) = crossbeam::channel::bounded(TRACED_MAX);
        let (number, account) = (self.watches.fetch_add(1, Ordering::Relaxed), jid.bare().to_owned());
        let watch = |to: Option<Sender<Traced>>| {
            for remote in &self.remotes {
                let watch = Watch { number, account: account.clone(), to: to.clone() };
                remote.send(Message::Watch(Box::new(watch)));
            }
        };
        watch(Some(sender));
        tell_on(&lines, Done::Traced, tell);
        watch(None);
    }
}

/// Waits for what takes long, and shows that it goes on. It does whether or not anybody listens.
fn wait_for<T>(answers: &Receiver<Result<T, Failure>>, tell: &mut dyn FnMut(Done) -> bool) -> Result<T, Failure> {
    loop {
        match answers.recv_timeout(ASKED_EVERY) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) => drop(tell(Done::Nothing)),
            Err(RecvTimeoutError::Disconnected) => return Err(Failure::busy()),
        }
    }
}

/// Tells what comes until nobody listens, or the shards have ended.
pub(super) fn tell_on<T>(lines: &Receiver<T>, done: fn(T) -> Done, tell: &mut dyn FnMut(Done) -> bool) {
    // The first answer says that it has begun.
    let mut goes_on = tell(Done::Nothing);
    while goes_on {
        goes_on = match lines.recv_timeout(ASKED_EVERY) {
            Ok(line) => tell(done(line)),
            Err(RecvTimeoutError::Timeout) => tell(Done::Nothing),
            Err(RecvTimeoutError::Disconnected) => false,
        };
    }
}

impl Backend for Running {
    fn ask(&self, by: &By, request: Request, tell: &mut dyn FnMut(Done) -> bool) -> Result<Done, Failure> {
        self.desk.audited(by, request, |request| self.carry_out(by, request, tell))
    }
}
