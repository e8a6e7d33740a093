//! What goes wrong slowly: the disk fills, a certificate expires, limits are hit again and again. Administrators hear
//! of it when it begins, every day that it lasts, and when it is over.

use std::path::Path;
use std::time::{Duration, Instant};

use rondel_shards::Remote;

use super::backups::Schedule;
use crate::admin::{self, BackupFacts};
use crate::shard::{Message, Settings, ToRegistrar};

/// How often administrators hear of what lasts.
const AGAIN: Duration = Duration::from_secs(86_400);

/// Over which time what limits refuse is counted.
const COUNTED: Duration = Duration::from_secs(600);

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

/// What is watched.
pub struct Watch {
    thresholds: Thresholds,
    disk: Alarm,
    certificate: Alarm,
    limits: Alarm,
    backups: Alarm,
    /// What limits had refused, and when.
    refused: (u64, Instant),
}

impl Watch {
    pub fn new(thresholds: Thresholds) -> Watch {
        let [disk, certificate, limits, backups] = Default::default();
        Watch { thresholds, disk, certificate, limits, backups, refused: (0, Instant::now()) }
    }

    /// Looks whether anything is wrong, and tells administrators through the shard that counts.
    pub fn look(
        &mut self,
        data: &Path,
        settings: &Settings,
        backups: Option<(&Schedule, BackupFacts)>,
        registrar: &Remote<Message>,
    ) {
        let now = Instant::now();
        let news = [
            self.look_at_disk(data, now),
            self.look_at_certificates(settings, now),
            self.look_at_limits(settings.refused.iter().map(|refused| refused.get()).sum(), now),
            backups.and_then(|(schedule, facts)| self.look_at_backups(schedule, &facts, now)),
        ];
        for words in news.into_iter().flatten() {
            tracing::warn!(target: "server", "{words}");
            registrar.send(Message::Registrar(Box::new(ToRegistrar::Alert(words))));
        }
    }

    fn look_at_disk(&mut self, data: &Path, now: Instant) -> Option<String> {
        let found = rustix::fs::statvfs(data).ok()?;
        let free = found.f_bavail as f64 / found.f_blocks.max(1) as f64;
        let is_wrong = free < self.thresholds.disk_free;
        let percent = free * 100.0;
        Some(match self.disk.look(is_wrong, now)? {
            News::Wrong => format!("The disk of {} is nearly full: {percent:.1} % is free.", data.display()),
            News::Right => format!("The disk of {} has room again: {percent:.1} % is free.", data.display()),
        })
    }

    fn look_at_certificates(&mut self, settings: &Settings, now: Instant) -> Option<String> {
        let (path, left_s) = settings.tls.as_ref()?.certificates.expires_first()?;
        let is_wrong = left_s < self.thresholds.certificate.as_secs() as i64;
        let days = left_s.div_euclid(86_400);
        Some(match self.certificate.look(is_wrong, now)? {
            News::Wrong if left_s < 0 => {
                format!("The certificate {} has expired: clients cannot connect.", path.display())
            }
            News::Wrong => {
                format!("The certificate {} expires in {days} days; a new one is read on SIGHUP.", path.display())
            }
            News::Right => "All certificates hold for a while again.".into(),
        })
    }

    fn look_at_backups(&mut self, schedule: &Schedule, facts: &BackupFacts, now: Instant) -> Option<String> {
        let age = facts.made_s.map(|made_s| admin::now().saturating_sub(Duration::from_secs(made_s)));
        let is_late = age.is_some_and(|age| !schedule.every.is_zero() && age > schedule.every * 2);
        let news = self.backups.look(facts.failed.is_some() || is_late, now)?;
        let hours = age.map(|age| age.as_secs() / 3600);
        let newest = hours.map_or("There is none yet.".into(), |hours| format!("The newest is {hours} hours old."));
        Some(match (news, &facts.failed) {
            (News::Wrong, Some(reason)) => format!("No backup could be made: {reason}. {newest}"),
            (News::Wrong, None) => format!("Backups are not made in time. {newest}"),
            (News::Right, _) => "Backups are made again.".into(),
        })
    }

    /// So much has been refused since the server has started.
    fn look_at_limits(&mut self, refused: u64, now: Instant) -> Option<String> {
        let (before, since) = self.refused;
        if now.duration_since(since) < COUNTED {
            return None;
        }
        self.refused = (refused, now);
        let number = refused - before;
        let is_wrong = self.thresholds.refusals > 0 && number > self.thresholds.refusals;
        Some(match self.limits.look(is_wrong, now)? {
            News::Wrong => {
                format!("Limits have refused {number} connections and stanzas in ten minutes; the log says of whom.")
            }
            News::Right => "Limits are not hit often any more.".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_hit_often_are_told_of() {
        let thresholds = Thresholds { disk_free: 0.0, certificate: Duration::ZERO, refusals: 10 };
        let mut watch = Watch::new(thresholds);
        let start = watch.refused.1;
        let mut look = |refused, minutes: u64| watch.look_at_limits(refused, start + Duration::from_secs(minutes * 60));
        assert_eq!([look(100, 9), look(10, 10)], [None, None]);
        let words = look(21, 20).unwrap();
        assert!(words.contains("11 connections and stanzas"), "{words}");
        assert!(look(21, 30).unwrap().contains("not hit often any more"));
    }

    #[test]
    fn backups_that_fail_or_are_late_are_told_of() {
        let mut watch = Watch::new(Thresholds { disk_free: 0.0, certificate: Duration::ZERO, refusals: 10 });
        let schedule = Schedule { directory: "/b".into(), every: Duration::from_secs(86_400), keep: 7 };
        let mut look = |age_h: u64, failed: Option<&str>| {
            let made_s = Some(admin::now().as_secs() - age_h * 3600);
            let facts = BackupFacts { made_s, failed: failed.map(str::to_owned), ..BackupFacts::default() };
            watch.look_at_backups(&schedule, &facts, Instant::now())
        };
        assert_eq!(look(30, None), None);
        assert!(look(49, None).unwrap().ends_with("The newest is 49 hours old."));
        assert!(look(1, None).unwrap().contains("made again"));
        let words = look(25, Some("/b: the disk is full")).unwrap();
        assert_eq!(words, "No backup could be made: /b: the disk is full. The newest is 25 hours old.");
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
