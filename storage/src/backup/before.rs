//! A store as it was before it was migrated: links to its files, in a directory within its own, for those who want to
//! go back to the version of Rondel that wrote it. It costs the disk what is rewritten since, and goes after a while.

use crate::engine::Engine;
use crate::reply::Failure;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The directory's name, before the number of the schema.
const PREFIX: &str = "BEFORE-SCHEMA.rondel-";

/// For how long it is kept.
const KEPT: Duration = Duration::from_secs(14 * 86_400);

/// Keeps what there is, of this schema. What was kept before a migration that has failed stays as it is.
pub(crate) fn keep(engine: &Engine, schema: u32) -> Result<PathBuf, Failure> {
    let path = engine.path().join(format!("{PREFIX}{schema}"));
    if !path.exists() {
        engine.link(&path)?;
    }
    Ok(path)
}

/// Removes what has been kept for long enough.
pub(crate) fn forget_old(store: &Path, now: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(store)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        let age = now.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if age > KEPT {
            fs::remove_dir_all(entry.path())?;
            tracing::info!(target: "storage", "{} was kept for long enough and is gone", entry.path().display());
        }
    }
    Ok(())
}
