//! The schema version in `meta`, and the way from older ones to this one.
//!
//! What counts as a new version: a family's keys or meaning change, or a family is added or dropped. A new version of
//! a value does not, because values carry versions of their own.

use crate::backup::before;
use crate::engine::{Engine, column};
use crate::open::OpenError;
use crate::reply::Failure;
use crate::{FailureKind, Family};
use rocksdb::{DB, IteratorMode, WriteOptions};
use std::path::Path;

/// The schema that this version of Rondel writes.
pub const SCHEMA_VERSION: u32 = 7;

/// The way from each older schema to the next one, in order.
pub(crate) static MIGRATIONS: &[Migration] = &[
    // Families were added (archives, offline messages, preferences); opening the database has created them.
    Migration { from: 1, run: |_| Ok(()) },
    // Families were added (chunks of archives and their log). An archive's messages of before are chunks of one each.
    Migration { from: 2, run: |_| Ok(()) },
    // Families were added (refused registrations, applicants, names, invitations).
    Migration { from: 3, run: |_| Ok(()) },
    // Families were added (bans, reports, departures, what administrators have done).
    Migration { from: 4, run: |_| Ok(()) },
    // A family was added (who is on block lists of others).
    Migration { from: 5, run: |_| Ok(()) },
    // A family was added (marks).
    Migration { from: 6, run: |_| Ok(()) },
];

/// The key in `meta` under which the version is kept, as four bytes, big endian.
const VERSION_KEY: &[u8] = b"schema";

/// One step from a schema version to the next.
pub(crate) struct Migration {
    /// The version it starts from; it leads to the next one.
    pub(crate) from: u32,
    /// Changes the data. May be interrupted at any point and is then run again from its beginning, so it must come to
    /// the same result over data that it has changed already.
    pub(crate) run: fn(&DB) -> Result<(), Failure>,
}

/// Brings a freshly opened database to the schema `known`, or says why it cannot be used.
pub(crate) fn settle(engine: &Engine, path: &Path, known: u32, migrations: &[Migration]) -> Result<(), OpenError> {
    let with = |use_it: &dyn Fn(&DB) -> Result<(), Failure>| engine.with(use_it);
    let mut found = None;
    let read = engine.with(|db| version(db).map_err(|text| Failure::new(FailureKind::Corrupt, text)));
    match read {
        Ok(Some(version)) => found = Some(version),
        Ok(None) => {}
        Err(failure) => return Err(OpenError::Damaged { path: path.into(), text: failure.text.to_string() }),
    }
    let Some(mut version) = found else {
        // No version: made just now, or by somebody else, or by us and killed before the version was written.
        let empty = engine.with(is_empty).map_err(|failure| io(path, &failure))?;
        if !empty {
            return Err(OpenError::NotRondel(path.into()));
        }
        return with(&|db| set_version(db, known)).map_err(|failure| io(path, &failure));
    };
    if version > known {
        return Err(OpenError::NewerSchema { path: path.into(), found: version, known });
    }
    if version < known {
        let kept = before::keep(engine, version).map_err(|failure| io(path, &failure))?;
        tracing::info!(target: "storage", "data as they are before they are migrated: {}", kept.display());
    }
    while version < known {
        let failed = |text: String| OpenError::Migration { path: path.into(), from: version, text };
        let step = migrations.iter().find(|step| step.from == version);
        let step = step.ok_or_else(|| failed("this version of Rondel no longer knows the way".to_owned()))?;
        tracing::info!(target: "storage", from = version, to = version + 1, "storage migrates its data");
        let migrated = with(&|db| {
            (step.run)(db)?;
            set_version(db, version + 1)
        });
        migrated.map_err(|failure| failed(failure.to_string()))?;
        version += 1;
    }
    Ok(())
}

/// The version that the database says it has; a text if it cannot be read.
pub(crate) fn version(db: &DB) -> Result<Option<u32>, String> {
    let meta = column(db, Family::Meta).map_err(|failure| failure.to_string())?;
    let Some(bytes) = db.get_pinned_cf(meta, VERSION_KEY).map_err(rocksdb::Error::into_string)? else {
        return Ok(None);
    };
    let bytes: [u8; 4] = bytes[..].try_into().map_err(|_| "the schema version is not four bytes".to_owned())?;
    Ok(Some(u32::from_be_bytes(bytes)))
}

fn set_version(db: &DB, version: u32) -> Result<(), Failure> {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    Ok(db.put_cf_opt(column(db, Family::Meta)?, VERSION_KEY, version.to_be_bytes(), &options)?)
}

fn is_empty(db: &DB) -> Result<bool, Failure> {
    let mut families = Family::ALL.iter().map(|family| family.name()).chain(["default"]);
    Ok(families.all(|name| {
        let handle = db.cf_handle(name);
        handle.is_some_and(|handle| db.iterator_cf(handle, IteratorMode::Start).next().is_none())
    }))
}

fn io(path: &Path, failure: &Failure) -> OpenError {
    OpenError::Io { path: path.into(), text: failure.text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::open::{Opened, open_as};
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    fn try_open(path: &Path, known: u32, migrations: &[Migration]) -> Result<Opened, OpenError> {
        open_as(&Options::new(path), known, migrations)
    }

    fn put(opened: &Opened, key: &[u8], value: &[u8]) {
        opened.engine.with(|db| Ok(db.put_cf(column(db, Family::Meta)?, key, value)?)).unwrap();
    }

    fn stored(opened: &Opened, key: &[u8]) -> Option<Vec<u8>> {
        opened.engine.with(|db| Ok(db.get_cf(column(db, Family::Meta)?, key)?)).unwrap()
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(try_open(dir.path(), 7, &[]).unwrap());
        let refused = try_open(dir.path(), 6, &[]).err().unwrap();
        assert!(matches!(refused, OpenError::NewerSchema { found: 7, known: 6, .. }), "{refused}");
        assert!(try_open(dir.path(), 7, &[]).is_ok());
    }

    #[test]
    fn an_older_schema_is_migrated_step_by_step() {
        fn append(db: &DB, letter: &[u8]) -> Result<(), Failure> {
            let meta = column(db, Family::Meta)?;
            let old = db.get_cf(meta, b"trail")?.unwrap_or_default();
            Ok(db.put_cf(meta, b"trail", [&old[..], letter].concat())?)
        }
        let migrations = [
            Migration { from: 2, run: |db| append(db, b"b") },
            Migration { from: 1, run: |db| append(db, b"a") },
            Migration { from: 0, run: |db| append(db, b"never") },
        ];
        let dir = tempfile::tempdir().unwrap();
        drop(try_open(dir.path(), 1, &[]).unwrap());
        let opened = try_open(dir.path(), 3, &migrations).unwrap();
        assert_eq!(stored(&opened, b"trail").as_deref(), Some(&b"ab"[..]));
        drop(opened);
        // It is done once.
        let opened = try_open(dir.path(), 3, &migrations).unwrap();
        assert_eq!(stored(&opened, b"trail").as_deref(), Some(&b"ab"[..]));
    }

    #[test]
    fn what_there_was_before_is_kept_for_a_while() {
        let overwrites = [Migration { from: 1, run: |db| Ok(db.put_cf(column(db, Family::Meta)?, b"x", b"new")?) }];
        let dir = tempfile::tempdir().unwrap();
        let opened = try_open(dir.path(), 1, &[]).unwrap();
        put(&opened, b"x", b"old");
        drop(opened);
        drop(try_open(dir.path(), 2, &overwrites).unwrap());
        let kept = dir.path().join("BEFORE-SCHEMA.rondel-1");
        // Whoever goes back has it somewhere else.
        let copy = tempfile::tempdir().unwrap();
        std::fs::write(copy.path().join("LOCK.rondel"), "").unwrap();
        for file in std::fs::read_dir(&kept).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        assert_eq!(stored(&try_open(copy.path(), 1, &[]).unwrap(), b"x").as_deref(), Some(&b"old"[..]));
        let opened = try_open(dir.path(), 2, &[]).unwrap();
        assert_eq!(stored(&opened, b"x").as_deref(), Some(&b"new"[..]));
        let now = std::time::SystemTime::now();
        let days = |days: u64| now + std::time::Duration::from_secs(days * 86_400);
        before::forget_old(dir.path(), days(13)).unwrap();
        assert!(kept.exists());
        before::forget_old(dir.path(), days(15)).unwrap();
        assert!(!kept.exists());
    }

    #[test]
    fn a_failed_step_is_run_again_and_the_steps_before_it_are_not() {
        static FIRST: AtomicU32 = AtomicU32::new(0);
        static SECOND: AtomicU32 = AtomicU32::new(0);
        fn first(_: &DB) -> Result<(), Failure> {
            FIRST.fetch_add(1, Relaxed);
            Ok(())
        }
        fn second(_: &DB) -> Result<(), Failure> {
            match SECOND.fetch_add(1, Relaxed) {
                0 => Err(Failure::new(FailureKind::Io, "out of luck")),
                _ => Ok(()),
            }
        }
        let migrations = [Migration { from: 1, run: first }, Migration { from: 2, run: second }];
        let dir = tempfile::tempdir().unwrap();
        drop(try_open(dir.path(), 1, &[]).unwrap());
        let failed = try_open(dir.path(), 3, &migrations).err().unwrap();
        assert!(matches!(failed, OpenError::Migration { from: 2, .. }), "{failed}");
        assert!(failed.to_string().contains("out of luck"), "{failed}");
        assert!(try_open(dir.path(), 3, &migrations).is_ok());
        assert_eq!((FIRST.load(Relaxed), SECOND.load(Relaxed)), (1, 2));
    }

    #[test]
    fn a_schema_without_a_way_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(try_open(dir.path(), 1, &[]).unwrap());
        let refused = try_open(dir.path(), 2, &[]).err().unwrap();
        assert!(matches!(refused, OpenError::Migration { from: 1, .. }), "{refused}");
    }

    #[test]
    fn data_without_a_version_are_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let opened = try_open(dir.path(), 1, &[]).unwrap();
        put(&opened, b"something", b"else");
        opened.engine.with(|db| Ok(db.delete_cf(column(db, Family::Meta)?, VERSION_KEY)?)).unwrap();
        drop(opened);
        assert_eq!(try_open(dir.path(), 1, &[]).err(), Some(OpenError::NotRondel(dir.path().into())));
    }

    #[test]
    fn a_creation_that_was_interrupted_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let opened = try_open(dir.path(), 1, &[]).unwrap();
        opened.engine.with(|db| Ok(db.delete_cf(column(db, Family::Meta)?, VERSION_KEY)?)).unwrap();
        drop(opened);
        let opened = try_open(dir.path(), 1, &[]).unwrap();
        assert_eq!(opened.engine.with(|db| Ok(version(db))).unwrap(), Ok(Some(1)));
    }

    #[test]
    fn a_damaged_version_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let opened = try_open(dir.path(), 1, &[]).unwrap();
        put(&opened, VERSION_KEY, b"one");
        drop(opened);
        assert!(matches!(try_open(dir.path(), 1, &[]).err(), Some(OpenError::Damaged { .. })));
    }
}
