//! `rondel backup`: backups of everything that is stored, and the flags of `rondel serve` for those that are made every
//! so often.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use rondel_storage::backup::{Backup, Backups};
use serde::Serialize;

use super::access::Access;
use super::{Target, print, store_in, values};
use crate::admin::{MadeBackup, Request, ask};
use crate::datetime;
use crate::server::backups::Schedule;

const HOUR: Duration = Duration::from_secs(3_600);

/// Backups that a server makes by itself.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Backups")]
pub struct BackupFlags {
    /// The directory that backups go to, best on another disk than --data-dir; made if it is not there. Without it the
    /// server makes none.
    #[arg(long, env = "RONDEL_BACKUP_DIR", value_name = "DIRECTORY", value_parser = values::path)]
    pub backup_dir: Option<PathBuf>,

    /// How often a backup is made. What has not changed is not copied again. 0: only on rondel backup create.
    #[arg(long, env = "RONDEL_BACKUP_EVERY", value_name = "DURATION", default_value = "1d")]
    #[arg(value_parser = values::duration(Duration::ZERO, HOUR * 24 * 365))]
    pub backup_every: Duration,

    /// How many backups are kept; older ones are removed when a new one is made.
    #[arg(long, env = "RONDEL_BACKUP_KEEP", value_name = "NUMBER", default_value = "7")]
    #[arg(value_parser = values::number(1, 10_000))]
    pub backup_keep: usize,
}

impl BackupFlags {
    /// When backups are made, if they are.
    pub fn schedule(&self) -> Option<Schedule> {
        let directory = absolute(self.backup_dir.as_deref()?);
        Some(Schedule { directory, every: self.backup_every, keep: self.backup_keep })
    }
}

/// The subcommands of `rondel backup`.
#[derive(Subcommand, Debug)]
pub enum BackupAction {
    /// Makes a backup, of a running server or of a data directory not in use
    Create(CreateBackup),
    /// Shows what backups there are, the oldest first
    List(ListBackups),
    /// Reads all of a backup and compares it with the checksums that were taken when it was made
    Verify(VerifyBackup),
    /// Makes a data directory of a backup
    Restore(RestoreBackup),
    /// Removes all but the newest backups
    Prune(PruneBackups),
}

/// Where backups are.
#[derive(Args, Debug)]
pub struct Place {
    /// The directory of backups.
    #[arg(long, env = "RONDEL_BACKUP_DIR", value_name = "DIRECTORY", value_parser = values::path)]
    #[arg(help_heading = "Backups")]
    pub backup_dir: PathBuf,
}

/// The flags of `rondel backup create`.
#[derive(Args, Debug)]
pub struct CreateBackup {
    /// The directory of backups. Without it: the one that the running server was told.
    #[arg(long, env = "RONDEL_BACKUP_DIR", value_name = "DIRECTORY", value_parser = values::path)]
    #[arg(help_heading = "Backups")]
    pub backup_dir: Option<PathBuf>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel backup list`.
#[derive(Args, Debug)]
pub struct ListBackups {
    /// Prints one JSON object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Backups")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// The flags of `rondel backup verify`.
#[derive(Args, Debug)]
pub struct VerifyBackup {
    /// The number of a backup. Without it: all of them.
    #[arg(value_name = "BACKUP")]
    pub backup: Option<u32>,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// The flags of `rondel backup restore`.
#[derive(Args, Debug)]
pub struct RestoreBackup {
    /// The number of a backup. Without it: the newest one.
    #[arg(value_name = "BACKUP")]
    pub backup: Option<u32>,
    /// Where from.
    #[command(flatten)]
    pub place: Place,
    /// The data directory, in which nothing may be stored yet; made if it is not there.
    #[arg(long, env = "RONDEL_DATA_DIR", value_name = "DIRECTORY", value_parser = values::path)]
    #[arg(default_value = "/var/lib/rondel", help_heading = "Server")]
    pub data_dir: PathBuf,
}

/// The flags of `rondel backup prune`.
#[derive(Args, Debug)]
pub struct PruneBackups {
    /// How many backups are kept.
    #[arg(long, env = "RONDEL_BACKUP_KEEP", value_name = "NUMBER", help_heading = "Backups")]
    #[arg(value_parser = values::number(1, 10_000))]
    pub backup_keep: usize,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// Does what was asked. An error is one line.
pub fn run(action: &BackupAction) -> Result<(), String> {
    match action {
        BackupAction::Create(flags) => create(flags),
        BackupAction::List(flags) => list(flags),
        BackupAction::Verify(flags) => verify(flags),
        BackupAction::Restore(flags) => restore(flags),
        BackupAction::Prune(flags) => prune(flags),
    }
}

fn create(flags: &CreateBackup) -> Result<(), String> {
    let directory = flags.backup_dir.as_deref().map(|directory| absolute(directory).display().to_string());
    let backend = Access::open(&flags.target, false)?.backend()?;
    let made: MadeBackup = ask(&*backend, Request::CreateBackup { directory }).map_err(|failure| failure.text)?;
    let MadeBackup { directory, backup, bytes, kept, .. } = made;
    show(&format!("backup {backup} in {directory}: {}; {kept} there now\n", size(bytes)))
}

fn list(flags: &ListBackups) -> Result<(), String> {
    #[derive(Serialize)]
    struct Listed {
        backup: u32,
        made: Option<String>,
        bytes: Option<u64>,
        damaged: bool,
    }
    let backups = open(&flags.place)?;
    let whole = backups.list().into_iter().map(|Backup { id, made_s, bytes, .. }| {
        let (made, bytes) = (Some(datetime::utc_s(made_s)), Some(bytes));
        Listed { backup: id, made, bytes, damaged: false }
    });
    let damaged = backups.damaged().map_err(|error| error.to_string())?.into_iter();
    let mut all: Vec<Listed> =
        whole.chain(damaged.map(|backup| Listed { backup, made: None, bytes: None, damaged: true })).collect();
    all.sort_by_key(|listed| listed.backup);
    for listed in &all {
        let line = match (flags.json, &listed.made, listed.bytes) {
            (true, ..) => serde_json::to_string(listed).map_err(|error| error.to_string())?,
            (false, Some(made), Some(bytes)) => format!("{:>6}  {made}  {:>12}", listed.backup, size(bytes)),
            _ => format!("{:>6}  damaged: something of it is missing", listed.backup),
        };
        show(&format!("{line}\n"))?;
    }
    Ok(())
}

fn verify(flags: &VerifyBackup) -> Result<(), String> {
    let backups = open(&flags.place)?;
    let wanted = match flags.backup {
        Some(id) => vec![id],
        None => {
            let mut all: Vec<u32> = backups.list().iter().map(|backup| backup.id).collect();
            all.extend(backups.damaged().map_err(|error| error.to_string())?);
            all
        }
    };
    let mut damaged = 0;
    for id in &wanted {
        match backups.verify(*id) {
            Ok(verified) => {
                show(&format!("backup {id}: {} files, {}, as they were made\n", verified.files, size(verified.bytes)))?;
            }
            Err(error) if wanted.len() > 1 => {
                damaged += 1;
                show(&format!("{error}\n"))?;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    match (wanted.len(), damaged) {
        (0, _) => Err(format!("{}: there is no backup", backups.path().display())),
        (_, 0) => Ok(()),
        (all, damaged) => Err(format!("{damaged} of {all} backups are damaged")),
    }
}

fn restore(flags: &RestoreBackup) -> Result<(), String> {
    let mut backups = open(&flags.place)?;
    let newest = || backups.list().last().map(|backup| backup.id);
    let id = flags.backup.or_else(newest).ok_or_else(|| format!("{}: there is no backup", backups.path().display()))?;
    let to = store_in(&flags.data_dir);
    let backup = backups.restore(id, &to).map_err(|error| error.to_string())?;
    super::storage::opens(&to)?;
    let (made, directory) = (datetime::utc_s(backup.made_s), flags.data_dir.display());
    show(&format!("{directory} is as it was at {made} (backup {id}, {})\n", size(backup.bytes)))
}

fn prune(flags: &PruneBackups) -> Result<(), String> {
    let mut backups = open(&flags.place)?;
    let gone = backups.prune(flags.backup_keep).map_err(|error| error.to_string())?;
    for backup in gone {
        show(&format!("removed backup {} of {}\n", backup.id, datetime::utc_s(backup.made_s)))?;
    }
    Ok(())
}

fn open(place: &Place) -> Result<Backups, String> {
    Backups::open(&place.backup_dir, false).map_err(|error| error.to_string())
}

fn show(text: &str) -> Result<(), String> {
    print(text).map_err(|error| error.to_string())
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// The same, seen from wherever a server runs.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
