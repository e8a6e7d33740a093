//! What goes wrong: the disk fills, fails or is slow, a certificate expires, limits are hit again and again.
//! Administrators hear of it when it begins, every day that it lasts, and when it is over.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rondel_shards::Remote;
use rondel_storage::Store;

use super::backups::Schedule;
use super::repeating::Repeating;
use crate::admin::{self, Alert, BackupFacts};
use crate::shard::{Message, Settings, ToRegistrar};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// How often administrators hear of what lasts.
const AGAIN: Duration = Duration::from_secs(86_400);

/// Over which time what limits refuse is counted.
const COUNTED: Duration = Duration::from_secs(600);

/// From which duration on a write is slow; and the first bucket of those that are, of writes by their durations.
const SLOW: Duration = Duration::from_micros(1 << SLOW_LOG2_MICROS);
const SLOW_LOG2_MICROS: usize = 21;

/// How long writes have to be fast before the disk is.
const SLOW_LASTS: Duration = Duration::from_secs(60);

/// When administrators hear of something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Of what the disk has, less than this part is free.
    pub disk_free: f64,
    /// A certificate holds for less than this.
    pub certificate: Duration,
    /// Limits refuse more than this in ten minutes; zero: however often.
    pub refusals: u64,
}

/// Something that may be wrong.
#[derive(Debug, Default)]
struct Alarm {
    /// When administrators have heard of it last, while it lasts.
    told: Option<Instant>,
}

/// What administrators hear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum News {
    /// It is wrong.
    Wrong,
    /// It is right again.
    Right,
}

impl Alarm {
    fn look(&mut self, is_wrong: bool, now: Instant) -> Option<News> {
        match (is_wrong, self.told) {
            (true, Some(told)) if now.duration_since(told) < AGAIN => None,
            (true, _) => {
                self.told = Some(now);
                Some(News::Wrong)
            }
            (false, Some(_)) => {
                self.told = None;
                Some(News::Right)
            }
            (false, None) => None,
        }
    }
}

/// What is wrong just now, for whoever asks.
#[derive(Debug, Default)]
pub struct Alerts(Mutex<Vec<Alert>>);

impl Alerts {
    /// All of it.
    pub fn all(&self) -> Vec<Alert> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, about: &str, news: News, words: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|alert| alert.about == about);
        match (news, known) {
            (News::Wrong, Some(known)) => words.clone_into(&mut all[known].words),
            (News::Wrong, None) => {
                let (about, words) = (about.to_owned(), words.to_owned());
                all.push(Alert { about, since_s: admin::now().as_secs(), words });
            }
            (News::Right, Some(known)) => drop(all.remove(known)),
            (News::Right, None) => {}
        }
    }
}

/// What is looked at.
pub struct Watched {
    /// The data directory.
    pub data: PathBuf,
    /// Where certificates are, and what limits have refused.
    pub settings: Arc<Settings>,
    /// When backups are made, and what has become of them.
    pub backups: Option<(Schedule, Arc<Mutex<BackupFacts>>)>,
    /// The store.
    pub store: Arc<Store>,
    /// The shard that tells administrators.
    pub registrar: Remote<Message>,
}

/// What was seen so far, and of what administrators have heard.
pub struct Watch {
    thresholds: Thresholds,
    alerts: Arc<Alerts>,
    disk: Alarm,
    certificate: Alarm,
    limits: Alarm,
    backups: Alarm,
    storage: Alarm,
    fault: Alarm,
    slow_storage: Alarm,
    /// What limits had refused, and when.
    refused: (u64, Instant),
    /// How many writes were slow, and when the last of them was seen.
    slow: (u64, Option<Instant>),
    /// When it has begun to watch.
    began: Instant,
}

/// News, and what is said.
type Heard = Option<(News, String)>;

impl Watch {
    pub fn new(thresholds: Thresholds, alerts: Arc<Alerts>) -> Watch {
        let [disk, certificate, limits, backups, storage, fault, slow_storage] = Default::default();
        let refused = (0, Instant::now());
        Watch {
            thresholds,
            alerts,
            disk,
            certificate,
            limits,
            backups,
            storage,
            fault,
            slow_storage,
            refused,
            slow: (0, None),
            began: Instant::now(),
        }
    }

    /// Looks at once, and then again and again. Its thread waits for no disk, so that it notices one that does not
    /// answer.
    pub fn start(mut self, watched: Watched) -> std::io::Result<Repeating> {
        Repeating::start("watch", None, EVERY, move |_| self.look(&watched))
    }

    /// Looks whether anything is wrong, and tells administrators through the shard that counts.
    fn look(&mut self, watched: &Watched) {
        let Watched { data, settings, backups, store, registrar } = watched;
        let now = Instant::now();
        let refused = settings.counts.iter().map(|counts| counts.refused_by_limits.get()).sum();
        let news = [
            ("storage", self.look_at_storage(store.trouble().as_ref(), now)),
            ("fault", self.look_at_fault(store.poisoned().as_ref(), now)),
            ("slow-storage", self.look_at_slowness(&store.metrics(), now)),
            ("disk", self.look_at_disk(data, now)),
            ("certificate", self.look_at_certificates(settings, now)),
            ("limits", self.look_at_limits(refused, now)),
            (
                "backups",
                backups.as_ref().and_then(|(schedule, facts)| {
                    let facts = facts.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    self.look_at_backups(schedule, &facts, now)
                }),
            ),
        ];
        for (about, heard) in news {
            let Some((news, words)) = heard else { continue };
            self.alerts.note(about, news, &words);
            match news {
                News::Wrong => tracing::warn!(target: "server", "{words}"),
                News::Right => tracing::info!(target: "server", "{words}"),
            }
            registrar.send(Message::Registrar(Box::new(ToRegistrar::Alert(words))));
        }
    }

    /// Whether what is to be kept can be written.
    fn look_at_storage(&mut self, trouble: Option<&rondel_storage::Failure>, now: Instant) -> Heard {
        let news = self.storage.look(trouble.is_some(), now)?;
        let words = match trouble {
            Some(failure) => format!(
                "The storage cannot write: {failure}. What has to be stored is refused, who is online can chat on. It \
                 goes on by itself when the disk takes writes again."
            ),
            None => "The storage writes again.".into(),
        };
        Some((news, words))
    }

    /// Whether a thread of the storage has survived a fault of its own.
    fn look_at_fault(&mut self, fault: Option<&rondel_storage::Failure>, now: Instant) -> Heard {
        let news = self.fault.look(fault.is_some(), now)?;
        let words = fault.map(|fault| format!("The storage has a fault: {fault}. Please report it with the log."));
        Some((news, words.unwrap_or_default()))
    }

    /// Whether writing takes so long that people notice.
    fn look_at_slowness(&mut self, metrics: &rondel_storage::Metrics, now: Instant) -> Heard {
        let slow = metrics.sync_micros_log2[SLOW_LOG2_MICROS..].iter().sum();
        let (before, seen) = self.slow;
        let is_now = Duration::from_micros(metrics.sync_micros_now) >= SLOW;
        let seen = if slow > before || is_now { Some(now) } else { seen };
        self.slow = (slow, seen);
        let is_wrong = seen.is_some_and(|seen| now.duration_since(seen) < SLOW_LASTS);
        Some(match self.slow_storage.look(is_wrong, now)? {
            News::Wrong => {
                let words = format!(
                    "The disk of the storage is slow: a write takes more than {} seconds. Acknowledgements wait for \
                     it; who is online can chat on.",
                    SLOW.as_secs()
                );
                (News::Wrong, words)
            }
            News::Right => (News::Right, "The disk of the storage is fast again.".into()),
        })
    }

    fn look_at_disk(&mut self, data: &Path, now: Instant) -> Heard {
        let found = rustix::fs::statvfs(data).ok()?;
        let free = found.f_bavail as f64 / found.f_blocks.max(1) as f64;
        let is_wrong = free < self.thresholds.disk_free;
        let percent = free * 100.0;
        let news = self.disk.look(is_wrong, now)?;
        let words = match news {
            News::Wrong => format!("The disk of {} is nearly full: {percent:.1} % is free.", data.display()),
            News::Right => format!("The disk of {} has room again: {percent:.1} % is free.", data.display()),
        };
        Some((news, words))
    }

    fn look_at_certificates(&mut self, settings: &Settings, now: Instant) -> Heard {
        let (path, left_s) = settings.tls.as_ref()?.certificates.expires_first()?;
        let is_wrong = left_s < self.thresholds.certificate.as_secs() as i64;
        let days = left_s.div_euclid(86_400);
        let news = self.certificate.look(is_wrong, now)?;
        let words = match news {
            News::Wrong if left_s < 0 => {
                format!("The certificate {} has expired: clients cannot connect.", path.display())
            }
            News::Wrong => {
                format!("The certificate {} expires in {days} days; a new one is read on SIGHUP.", path.display())
            }
            News::Right => "All certificates hold for a while again.".into(),
        };
        Some((news, words))
    }

    fn look_at_backups(&mut self, schedule: &Schedule, facts: &BackupFacts, now: Instant) -> Heard {
        let age = facts.made_s.map(|made_s| admin::now().saturating_sub(Duration::from_secs(made_s)));
        // The first one has to be there in time, too.
        let since = age.unwrap_or_else(|| now.duration_since(self.began));
        let is_late = !schedule.every.is_zero() && since > schedule.every * 2;
        let news = self.backups.look(facts.failed.is_some() || is_late, now)?;
        let hours = age.map(|age| age.as_secs() / 3600);
        let newest = hours.map_or("There is none yet.".into(), |hours| format!("The newest is {hours} hours old."));
        let words = match (news, &facts.failed) {
            (News::Wrong, Some(reason)) => format!("No backup could be made: {reason}. {newest}"),
            (News::Wrong, None) => format!("Backups are not made in time. {newest}"),
            (News::Right, _) => "Backups are made again.".into(),
        };
        Some((news, words))
    }

    /// So much has been refused since the server has started.
    fn look_at_limits(&mut self, refused: u64, now: Instant) -> Heard {
        let (before, since) = self.refused;
        if now.duration_since(since) < COUNTED {
            return None;
        }
        self.refused = (refused, now);
        let number = refused - before;
        let is_wrong = self.thresholds.refusals > 0 && number > self.thresholds.refusals;
        let news = self.limits.look(is_wrong, now)?;
        let words = match news {
            News::Wrong => {
                format!("Limits have refused {number} connections and stanzas in ten minutes; the log says of whom.")
            }
            News::Right => "Limits are not hit often any more.".into(),
        };
        Some((news, words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(refusals: u64) -> Watch {
        Watch::new(Thresholds { disk_free: 0.0, certificate: Duration::ZERO, refusals }, Arc::default())
    }

    fn words(heard: Heard) -> String {
        heard.unwrap().1
    }

    #[test]
    fn limits_that_are_hit_often_are_told_of() {
        let mut watch = watch(10);
        let start = watch.refused.1;
        let mut look = |refused, minutes: u64| watch.look_at_limits(refused, start + Duration::from_secs(minutes * 60));
        assert_eq!([look(100, 9), look(10, 10)], [None, None]);
        let told = words(look(21, 20));
        assert!(told.contains("11 connections and stanzas"), "{told}");
        assert!(words(look(21, 30)).contains("not hit often any more"));
    }

    #[test]
    fn backups_that_fail_or_are_late_are_told_of() {
        let mut watch = watch(10);
        let schedule = Schedule { directory: "/b".into(), every: Duration::from_secs(86_400), keep: 7 };
        let mut look = |age_h: u64, failed: Option<&str>| {
            let made_s = Some(admin::now().as_secs() - age_h * 3600);
            let facts = BackupFacts { made_s, failed: failed.map(str::to_owned), ..BackupFacts::default() };
            watch.look_at_backups(&schedule, &facts, Instant::now())
        };
        assert_eq!(look(30, None), None);
        assert!(words(look(49, None)).ends_with("The newest is 49 hours old."));
        assert!(words(look(1, None)).contains("made again"));
        let told = words(look(25, Some("/b: the disk is full")));
        assert_eq!(told, "No backup could be made: /b: the disk is full. The newest is 25 hours old.");
    }

    #[test]
    fn a_disk_that_is_slow_is_told_of_once_and_when_it_has_been_fast_for_a_while() {
        let (mut watch, start) = (watch(0), Instant::now());
        let mut look = |slow: u64, now_s: u64, at_s: u64| {
            let mut metrics = rondel_storage::Metrics::default();
            (metrics.sync_micros_log2[22], metrics.sync_micros_log2[10]) = (slow, 1000);
            metrics.sync_micros_now = now_s * 1_000_000;
            watch.look_at_slowness(&metrics, start + Duration::from_secs(at_s)).map(|(news, _)| news)
        };
        assert_eq!(look(0, 1, 0), None);
        assert_eq!(look(0, 3, 5), Some(News::Wrong), "one that is under way");
        assert_eq!([look(1, 0, 10), look(2, 0, 15), look(2, 0, 70)], [None, None, None]);
        assert_eq!(look(2, 0, 76), Some(News::Right));
        assert_eq!(look(3, 0, 80), Some(News::Wrong));
    }

    #[test]
    fn what_is_wrong_is_there_to_be_asked_for_until_it_is_right() {
        let mut watch = watch(0);
        let full = rondel_storage::Failure::new(rondel_storage::FailureKind::DiskFull, "no space left");
        let mut look = |failure: Option<&rondel_storage::Failure>| {
            if let Some((news, words)) = watch.look_at_storage(failure, Instant::now()) {
                watch.alerts.note("storage", news, &words);
            }
            watch.alerts.all()
        };
        assert_eq!(look(None), []);
        let alerts = look(Some(&full));
        assert!(alerts.len() == 1 && alerts[0].words.contains("no space left"), "{alerts:?}");
        assert_eq!(look(Some(&full)), alerts);
        assert_eq!(look(None), []);
    }

    #[test]
    fn what_is_wrong_is_told_once_a_day_and_when_it_is_over() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        let mut look = |is_wrong, hours: u64| alarm.look(is_wrong, start + Duration::from_secs(hours * 3600));
        assert_eq!(look(false, 0), None);
        assert_eq!(look(true, 1), Some(News::Wrong));
        assert_eq!(look(true, 2), None);
        assert_eq!(look(true, 25), Some(News::Wrong));
        assert_eq!(look(false, 26), Some(News::Right));
        assert_eq!(look(false, 27), None);
        assert_eq!(look(true, 28), Some(News::Wrong));
    }
}
