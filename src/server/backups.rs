//! When backups are made: every so often, and whenever an administrator asks. One thread makes them, with the lowest
//! priority there is, so that copying takes nothing from those who chat.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rondel_storage::Store;
use rondel_storage::backup::{BackupError, Backups as Directory, Copying};

use crate::admin::{self, BackupFacts, Failure, FailureKind, MadeBackup, SurveyFacts};

/// How soon it is tried again when a backup has failed.
const TRIES_AGAIN: Duration = Duration::from_secs(600);

/// How long a backup that is due waits when the server has just started.
const STARTS_AFTER: Duration = Duration::from_secs(10);

/// How fast files are copied: disks do much more, and have others to serve. A terabyte takes three hours.
const BYTES_PER_SECOND: u64 = 100_000_000;

/// How nice the thread is (setpriority(2)): it gets what nobody else wants.
const NICE: i32 = 19;

/// Backups that can be asked for while one is being made.
const ASKED_MAX: usize = 16;

/// Where, how often and how many.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// The directory of backups.
    pub directory: PathBuf,
    /// How often; zero: only when somebody asks.
    pub every: Duration,
    /// How many of them are kept.
    pub keep: usize,
}

/// What the thread is asked for.
enum Order {
    /// A backup.
    Make { directory: PathBuf, answer: Sender<Result<MadeBackup, Failure>> },
    /// That all that is stored is read.
    Survey { answer: Sender<Result<SurveyFacts, Failure>> },
}

/// The thread that makes backups.
pub struct Backups {
    orders: Option<Sender<Order>>,
    schedule: Option<Schedule>,
    facts: Arc<Mutex<BackupFacts>>,
    copying: Copying,
    thread: Option<JoinHandle<()>>,
}

impl Backups {
    /// Starts it.
    pub fn start(store: Arc<Store>, schedule: Option<Schedule>) -> std::io::Result<Backups> {
        let (orders, taken) = bounded(ASKED_MAX);
        let facts = Arc::new(Mutex::new(BackupFacts::default()));
        let copying = Copying { bytes_per_second: Some(BYTES_PER_SECOND), ..Copying::default() };
        let maker = Maker { store, schedule: schedule.clone(), facts: Arc::clone(&facts), copying: copying.clone() };
        let thread = std::thread::Builder::new().name("backup".into()).spawn(move || maker.run(&taken))?;
        Ok(Backups { orders: Some(orders), schedule, facts, copying, thread: Some(thread) })
    }

    /// What there is, and what has come of the last try.
    pub fn facts(&self) -> BackupFacts {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, for whoever wants to see it again and again.
    pub fn facts_handle(&self) -> Arc<Mutex<BackupFacts>> {
        Arc::clone(&self.facts)
    }

    /// Wants a backup in a directory, or in the one that all go to. Comes back at once; the answer when it is made.
    pub fn order(&self, directory: Option<&str>) -> Result<Receiver<Result<MadeBackup, Failure>>, Failure> {
        let usual = self.schedule.as_ref().map(|schedule| schedule.directory.clone());
        let missing = || Failure::new(FailureKind::Invalid, "the server has no --backup-dir; say where to");
        let directory = directory.map(PathBuf::from).or(usual).ok_or_else(missing)?;
        if !directory.is_absolute() {
            let text = format!("{}: the server needs the whole path, from / on", directory.display());
            return Err(Failure::new(FailureKind::Invalid, text));
        }
        let (answer, answers) = bounded(1);
        let orders = self.orders.as_ref().ok_or_else(Failure::busy)?;
        orders.try_send(Order::Make { directory, answer }).map_err(|_| Failure::busy())?;
        Ok(answers)
    }

    /// The server ends: what is being copied is not wanted any more.
    pub fn give_up(&self) {
        self.copying.is_unwanted.store(true, Ordering::SeqCst);
    }

    /// Wants all that is stored to be read. Comes back at once.
    pub fn survey(&self) -> Result<Receiver<Result<SurveyFacts, Failure>>, Failure> {
        let (answer, answers) = bounded(1);
        let orders = self.orders.as_ref().ok_or_else(Failure::busy)?;
        orders.try_send(Order::Survey { answer }).map_err(|_| Failure::busy())?;
        Ok(answers)
    }
}

impl Drop for Backups {
    /// Gives up a backup that is being made: at the pace that suits others it may take hours.
    fn drop(&mut self) {
        self.give_up();
        drop(self.orders.take());
        if let Some(thread) = self.thread.take().filter(|thread| !thread.is_finished()) {
            if self.facts().is_running {
                tracing::info!(target: "backup", "the end gives up a backup that is being made");
            }
            // It cannot have panicked with anything left to do.
            let _ = thread.join();
        }
    }
}

/// Whoever makes them.
struct Maker {
    store: Arc<Store>,
    schedule: Option<Schedule>,
    facts: Arc<Mutex<BackupFacts>>,
    copying: Copying,
}

impl Maker {
    fn run(self, orders: &Receiver<Order>) {
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(target: "backup", %error, "backups are made with the usual priority");
        }
        let regular = self.schedule.as_ref().filter(|schedule| !schedule.every.is_zero());
        let mut wait = regular.map(|schedule| self.first_wait(schedule));
        loop {
            let order = match wait {
                Some(wait) => orders.recv_timeout(wait),
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(Order::Make { directory, answer }) => {
                    let of_schedule = self.schedule.as_ref().filter(|schedule| schedule.directory == directory);
                    let made = self.make(&directory, of_schedule.map(|schedule| schedule.keep));
                    // Who does not listen any more has seen that it has begun.
                    let _ = answer.send(made.map_err(|error| admin::backup_failed(&error)));
                }
                Ok(Order::Survey { answer }) => {
                    let _ = answer.send(admin::survey(&self.store));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            wait = regular.map(|schedule| {
                let due = self.due(schedule);
                if !due.is_zero() {
                    return due;
                }
                match self.make(&schedule.directory, Some(schedule.keep)) {
                    Ok(_) => self.due(schedule),
                    Err(_) => TRIES_AGAIN.min(schedule.every),
                }
            });
        }
    }

    /// Looks what there is already.
    fn first_wait(&self, schedule: &Schedule) -> Duration {
        match Directory::open(&schedule.directory, false) {
            Ok(backups) => {
                let list = backups.list();
                let mut facts = self.facts();
                facts.made_s = list.last().map(|backup| backup.made_s);
                facts.kept = list.len();
            }
            Err(BackupError::Missing(_)) => {}
            Err(error) => tracing::warn!(target: "backup", "{error}"),
        }
        self.due(schedule).max(STARTS_AFTER)
    }

    /// How long it is until the next one has to be made.
    fn due(&self, schedule: &Schedule) -> Duration {
        let made_s = self.facts().made_s.unwrap_or_default();
        let due = Duration::from_secs(made_s).saturating_add(schedule.every);
        due.saturating_sub(admin::now())
    }

    fn facts(&self) -> std::sync::MutexGuard<'_, BackupFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, directory: &Path, keep: Option<usize>) -> Result<MadeBackup, BackupError> {
        self.facts().is_running = true;
        let began = std::time::Instant::now();
        let made = admin::make_backup(&self.store, directory, &self.copying, keep);
        let mut facts = self.facts();
        facts.is_running = false;
        match &made {
            Ok(MadeBackup { directory, backup, made_s, bytes, kept }) => {
                let seconds = began.elapsed().as_secs_f64();
                tracing::info!(target: "backup", directory, backup, bytes, kept, seconds, "a backup was made");
                if keep.is_some() {
                    (facts.made_s, facts.kept, facts.failed) = (Some(*made_s), *kept, None);
                }
            }
            Err(error) => {
                tracing::error!(target: "backup", "no backup was made: {error}");
                // Where somebody else has wanted it to go is nothing to be told of every day.
                if keep.is_some() {
                    facts.failed = Some(error.to_string());
                }
            }
        }
        made
    }
}
