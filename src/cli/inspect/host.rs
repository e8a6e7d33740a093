//! The host: whether it has room for what is asked of it, and whether there are backups.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rondel_shards::available_cores;
use rondel_storage::backup::{BackupError, Backups};

use super::Findings;
use crate::admin;
use crate::cli::ServeOptions;
use crate::server::descriptors;

pub(super) fn inspect(options: &ServeOptions, findings: &mut Findings) {
    let shards = options.shards.unwrap_or_else(|| available_cores().len().max(1));
    let [files, locked] = descriptors::warnings(options.max_sessions, shards);
    files.into_iter().for_each(|text| findings.add(text, "--max-sessions"));
    locked.into_iter().for_each(|text| findings.add(text, "--shards"));
    disk(options, findings);
    if !options.dev {
        backups(options, findings);
    }
}

fn disk(options: &ServeOptions, findings: &mut Findings) {
    let Some(there) = existing(&options.data_dir) else { return };
    let Ok(found) = rustix::fs::statvfs(&there) else { return };
    let free = found.f_bavail as f64 / found.f_blocks.max(1) as f64;
    if free < options.watching.thresholds().disk_free {
        let percent = free * 100.0;
        findings.add(format!("The disk of {} is nearly full: {percent:.1} % is free.", there.display()), "--data-dir");
    }
    let is_ours = rustix::fs::access(&there, rustix::fs::Access::WRITE_OK).is_ok();
    if !is_ours {
        findings.add(format!("{}: this user may not write there.", there.display()), "--data-dir");
    }
}

fn backups(options: &ServeOptions, findings: &mut Findings) {
    let Some(schedule) = options.backups.schedule() else {
        return findings.add("No backups are made: with the disk everything would be lost.", "--backup-dir");
    };
    let device = |path: &Path| existing(path).and_then(|path| path.metadata().ok()).map(|found| found.dev());
    let (own, others) = (device(&options.data_dir), device(&schedule.directory));
    if own.is_some() && own == others {
        findings.add(
            format!("{} is on the disk that it is to protect from.", schedule.directory.display()),
            "--backup-dir",
        );
    }
    // There has been time for one if there is anything to back up.
    let has_data = options.store().join("CURRENT").exists();
    match Backups::open(&schedule.directory, false) {
        Ok(backups) => {
            let age = backups.list().last().map(|newest| age(newest.made_s));
            match age {
                Some(age) if !schedule.every.is_zero() && age > schedule.every * 2 => {
                    let days = age.as_secs() / 86_400;
                    findings.add(format!("The newest backup is {days} days old."), "--backup-every");
                }
                None if has_data => findings.add("There is no backup yet.", "--backup-dir"),
                _ => {}
            }
        }
        Err(BackupError::Missing(_)) if has_data => findings.add("There is no backup yet.", "--backup-dir"),
        Err(BackupError::Missing(_) | BackupError::InUse { .. }) => {}
        Err(error) => findings.add(error.to_string(), "--backup-dir"),
    }
}

fn age(made_s: u64) -> Duration {
    admin::now().saturating_sub(Duration::from_secs(made_s))
}

/// A path, or what there is of it already.
fn existing(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|path| path.exists()).map(Path::to_owned)
}
