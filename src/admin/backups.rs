//! Backups of the store, made by whoever has it open.

use std::path::Path;
use std::sync::Arc;

use rondel_storage::backup::{Backup, BackupError, Backups as Directory, Copying};
use rondel_storage::{Damage, Store, Survey};
use serde::{Deserialize, Serialize};

use super::backend::{Failure, FailureKind};

/// A backup that was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MadeBackup {
    /// The directory of backups.
    pub directory: String,
    /// Its number there.
    pub backup: u32,
    /// When it was made, in seconds since 1970.
    pub made_s: u64,
    /// Bytes that restoring it writes.
    pub bytes: u64,
    /// How many backups are there now.
    pub kept: usize,
}

/// What reading all of a store has come to.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SurveyFacts {
    /// Values that were read.
    pub entries: u64,
    /// Bytes in their keys and themselves.
    pub bytes: u64,
    /// What cannot be read.
    pub damages: Vec<DamageFacts>,
}

/// A place that cannot be read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DamageFacts {
    /// The column family.
    pub family: String,
    /// The file within the store's directory, if it is known.
    pub file: Option<String>,
    /// What RocksDB says.
    pub text: String,
}

impl SurveyFacts {
    /// The same as it is told.
    pub fn of(survey: Survey) -> SurveyFacts {
        let damages = survey.damages.into_iter().map(|Damage { family, file, text }| {
            let family = family.to_owned();
            DamageFacts { family, file, text }
        });
        SurveyFacts { entries: survey.entries, bytes: survey.bytes, damages: damages.collect() }
    }
}

/// Makes backups of a store that no server uses.
#[derive(Clone)]
pub struct Backups {
    store: Arc<Store>,
}

impl Backups {
    /// Of this store.
    pub fn new(store: Arc<Store>) -> Backups {
        Backups { store }
    }

    /// Reads all of the store.
    pub fn survey(&self) -> Result<SurveyFacts, Failure> {
        survey(&self.store)
    }

    /// Makes one.
    pub fn create(&self, directory: Option<&str>) -> Result<MadeBackup, Failure> {
        let missing = || Failure::new(FailureKind::Invalid, "where to? --backup-dir DIRECTORY");
        make(&self.store, Path::new(directory.ok_or_else(missing)?), &Copying::default(), None)
            .map_err(|error| failed(&error))
    }
}

/// Makes a backup, and removes all but the newest if it is said how many are kept.
pub(crate) fn make(
    store: &Store,
    directory: &Path,
    copying: &Copying,
    keep: Option<usize>,
) -> Result<MadeBackup, BackupError> {
    let mut backups = Directory::open(directory, true)?;
    let Backup { id, made_s, bytes, .. } = store.back_up(&mut backups, copying)?;
    if let Some(keep) = keep {
        backups.prune(keep)?;
    }
    let kept = backups.list().len();
    Ok(MadeBackup { directory: directory.display().to_string(), backup: id, made_s, bytes, kept })
}

/// Reads all of a store.
pub(crate) fn survey(store: &Store) -> Result<SurveyFacts, Failure> {
    let survey = store.survey();
    survey.map(SurveyFacts::of).map_err(|failure| Failure::new(FailureKind::Failed, failure.to_string()))
}

/// What whoever has asked is told.
pub(crate) fn failed(error: &BackupError) -> Failure {
    let kind = match error {
        BackupError::InUse { .. } => FailureKind::Busy,
        BackupError::NotBackups(_) => FailureKind::Invalid,
        _ => FailureKind::Failed,
    };
    Failure::new(kind, error.to_string())
}
