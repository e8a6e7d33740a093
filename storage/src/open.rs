//! Opening a store, and what to tell the operator when that fails.

use crate::backup::{RESTORING, before, snapshot};
use crate::directory::{Directory, STORE};
use crate::engine::Engine;
use crate::reply::one_line;
use crate::schema::{self, MIGRATIONS, Migration, SCHEMA_VERSION};
use crate::{Failure, FailureKind, Family, Options};
use rocksdb::DB;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Why a store could not be opened. Each is one line that says what to do.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process (or this one, a second time) has the store open.
    #[error("{path}: in use by {}; stop it first, or give another directory", user(*.pid), path = .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, if its id could be read.
        pid: Option<u32>,
    },
    /// There is no store, and [`Options::create_if_missing`] is off.
    #[error("{}: there is no Rondel data here; start the server once, or give the right directory", .0.display())]
    Missing(PathBuf),
    /// The path holds something else.
    #[error("{}: holds something else than Rondel's data; give an empty or new directory", .0.display())]
    NotRondel(PathBuf),
    /// The operating system does not let this user in.
    #[error("{}: permission denied; run as the user who owns it, or change its owner", .0.display())]
    Permission(PathBuf),
    /// The data were written by a newer version.
    #[error(
        "{path}: has data of schema {found}, this version knows up to {known}; install the version that wrote it",
        path = .path.display()
    )]
    NewerSchema {
        /// The directory.
        path: PathBuf,
        /// The schema version found.
        found: u32,
        /// The latest schema version known here.
        known: u32,
    },
    /// A backup was being restored there, and that did not end.
    #[error("{}: a backup was restored into it and that did not end; restore it once more", .0.display())]
    Unfinished(PathBuf),
    /// A migration from an older schema failed. It can be tried again: no step is left half done.
    #[error("{path}: cannot migrate from schema {from}: {text}", path = .path.display())]
    Migration {
        /// The directory.
        path: PathBuf,
        /// The schema version that could not be left.
        from: u32,
        /// What went wrong.
        text: String,
    },
    /// The data are damaged.
    #[error(
        "{path}: damaged ({text}); restore a backup, or save the rest with rondel storage salvage",
        path = .path.display()
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What RocksDB says.
        text: String,
    },
    /// The processor is older than what RocksDB is compiled for (`.cargo/config.toml`).
    #[error("the processor has no {0}; build Rondel on this machine with CXXFLAGS_x86_64_unknown_linux_gnu= set")]
    Processor(&'static str),
    /// Anything else that the disk or the operating system reports.
    #[error("{path}: cannot be opened: {text}", path = .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        text: String,
    },
}

fn user(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl OpenError {
    pub(crate) fn io(path: &Path, error: &io::Error) -> OpenError {
        match error.kind() {
            io::ErrorKind::PermissionDenied => OpenError::Permission(path.into()),
            _ => OpenError::Io { path: path.into(), text: one_line(&error.to_string()) },
        }
    }

    fn failure(path: &Path, failure: &Failure) -> OpenError {
        let (path, text) = (path.into(), failure.text.to_string());
        match failure.kind {
            FailureKind::Corrupt => OpenError::Damaged { path, text },
            _ => OpenError::Io { path, text },
        }
    }

    pub(crate) fn rocksdb(path: &Path, error: rocksdb::Error) -> OpenError {
        let (kind, text) = (error.kind(), one_line(&error.into_string()));
        match kind {
            rocksdb::ErrorKind::Corruption => OpenError::Damaged { path: path.into(), text },
            // RocksDB keeps the errno only as text.
            _ if text.contains("Permission denied") => OpenError::Permission(path.into()),
            _ => OpenError::Io { path: path.into(), text },
        }
    }
}

/// What an open store consists of.
pub(crate) struct Opened {
    // Before the directory, so that the database is closed before the lock is given up.
    pub(crate) engine: Engine,
    pub(crate) directory: Directory,
}

pub(crate) fn open(options: &Options) -> Result<Opened, OpenError> {
    open_as(options, SCHEMA_VERSION, MIGRATIONS)
}

/// [`open`] as the version of Rondel that knows the schema `known`.
pub(crate) fn open_as(options: &Options, known: u32, migrations: &[Migration]) -> Result<Opened, OpenError> {
    let path = &options.path;
    if let Some(missing) = missing_instructions() {
        return Err(OpenError::Processor(missing));
    }
    let directory = Directory::claim(path, options.create_if_missing, STORE)?;
    if path.join(RESTORING).exists() {
        return Err(OpenError::Unfinished(path.into()));
    }
    snapshot::remove_remains(path).map_err(|failure| OpenError::failure(path, &failure))?;
    before::forget_old(path, SystemTime::now()).map_err(|error| OpenError::io(path, &error))?;
    if directory.holds_database() {
        refuse_unknown_families(path, known)?;
    }
    let engine = Engine::open(options).map_err(|error| OpenError::rocksdb(path, error))?;
    schema::settle(&engine, path, known, migrations)?;
    engine.load_archives().map_err(|failure| OpenError::failure(path, &failure))?;
    Ok(Opened { engine, directory })
}

/// What RocksDB is compiled to use, for its checksums, and this processor cannot do. All of them can since 2010 or so.
#[cfg(target_arch = "x86_64")]
fn missing_instructions() -> Option<&'static str> {
    let has = [std::is_x86_feature_detected!("sse4.2"), std::is_x86_feature_detected!("pclmulqdq")];
    ["SSE 4.2", "PCLMULQDQ"].into_iter().zip(has).find(|(_, has)| !has).map(|(name, _)| name)
}

#[cfg(not(target_arch = "x86_64"))]
fn missing_instructions() -> Option<&'static str> {
    None
}

/// RocksDB opens a database only with all its families. One that the catalogue does not know means a newer schema, or
/// somebody else's database; a look without writing tells which.
fn refuse_unknown_families(path: &Path, known: u32) -> Result<(), OpenError> {
    let plain = rocksdb::Options::default();
    let names = DB::list_cf(&plain, path).map_err(|error| OpenError::rocksdb(path, error))?;
    let is_known = |name: &String| name == "default" || Family::ALL.iter().any(|family| family.name() == name);
    if names.iter().all(is_known) {
        return Ok(());
    }
    if names.iter().any(|name| name == Family::Meta.name()) {
        let opened = DB::open_cf_for_read_only(&plain, path, ["default", Family::Meta.name()], false);
        let db = opened.map_err(|error| OpenError::rocksdb(path, error))?;
        if let Some(found) = schema::version(&db).map_err(|text| OpenError::Damaged { path: path.into(), text })?
            && found > known
        {
            return Err(OpenError::NewerSchema { path: path.into(), found, known });
        }
    }
    Err(OpenError::NotRondel(path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_damage() {
        let error = |kind| OpenError::failure(Path::new("/"), &Failure::new(kind, "so"));
        assert!(matches!(error(FailureKind::Corrupt), OpenError::Damaged { .. }));
        assert!(
            [FailureKind::DiskFull, FailureKind::Io]
                .into_iter()
                .all(|kind| matches!(error(kind), OpenError::Io { .. }))
        );
    }
}
