//! Reading all of a store, block by block, whatever has become of the disk under it: what can be read is told, what
//! cannot is named and stepped over.

use crate::backup::RESTORING;
use crate::directory::{Directory, STORE};
use crate::engine::{Engine, column};
use crate::open::OpenError;
use crate::reply::{Failure, one_line};
use crate::tuning::Tuning;
use crate::{Family, Options, Store};
use rocksdb::{DB, DBRawIterator, ReadOptions, WriteBatch, WriteOptions};
use std::path::{Path, PathBuf};

/// Keys are at most so long, as far as stepping over what cannot be read is concerned: two parts of an owner and more.
const KEY_BYTES_MAX: usize = 4096;

/// Bytes that are written to the new store at once.
const WRITTEN_BYTES: usize = 4 << 20;

/// What cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// The column family.
    pub family: &'static str,
    /// The file within the store's directory, if it is known.
    pub file: Option<String>,
    /// What RocksDB says.
    pub text: String,
}

/// What reading all of a store has come to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Survey {
    /// Values that were read.
    pub entries: u64,
    /// Bytes in their keys and themselves.
    pub bytes: u64,
    /// What cannot be read.
    pub damages: Vec<Damage>,
}

/// Reads all of a store that nobody uses, and compares each block with its checksum.
///
/// # Errors
/// It cannot be opened at all.
pub fn survey(path: &Path) -> Result<Survey, OpenError> {
    let directory = Directory::claim(path, false, STORE)?;
    if path.join(RESTORING).exists() {
        return Err(OpenError::Unfinished(path.into()));
    }
    if !directory.holds_database() {
        return Err(OpenError::Missing(path.into()));
    }
    survey_files(path).map_err(|error| OpenError::rocksdb(path, error))
}

fn survey_files(path: &Path) -> Result<Survey, rocksdb::Error> {
    let db = open(path)?;
    let mut survey = Survey::default();
    for family in Family::ALL {
        each(&db, *family, &mut survey, |_, _| Ok(())).ok();
    }
    Ok(survey)
}

impl Store {
    /// Reads all of this store, as it is now, and compares each block with its checksum. What is read and written
    /// meanwhile goes its usual way.
    pub fn survey(&self) -> Result<Survey, Failure> {
        let snapshot = self.shared.engine.snapshot()?;
        Ok(survey_files(snapshot.path())?)
    }
}

/// Copies what can be read of a store that nobody uses into a new one, in an empty or new directory. The old one stays
/// as it is.
///
/// # Errors
/// Nothing can be read, or the new one cannot be written.
pub fn salvage(from: &Path, to: &Path) -> Result<Survey, OpenError> {
    let _directory = Directory::claim(from, false, STORE)?;
    let target = Directory::claim(to, true, STORE)?;
    if target.holds_database() {
        return Err(OpenError::NotRondel(to.into()));
    }
    let failed = |failure: Failure| OpenError::Io { path: to.into(), text: failure.to_string() };
    let old = match open(from) {
        Ok(db) => db,
        // What says which files there are is damaged, or does not fit them.
        Err(_) => open(&repaired(from, to)?).map_err(|error| OpenError::rocksdb(from, error))?,
    };
    // What is not logged is not for logs that are used again.
    let options = Options { log_files_recycled: 0, ..Options::new(to) };
    let engine = Engine::open(&options).map_err(|error| OpenError::rocksdb(to, error))?;
    let mut survey = Survey::default();
    for family in Family::ALL {
        let mut batch = WriteBatch::default();
        let copied = each(&old, *family, &mut survey, |key, value| {
            engine.with(|db| {
                batch.put_cf(column(db, *family)?, key, value);
                if batch.size_in_bytes() < WRITTEN_BYTES {
                    return Ok(());
                }
                write(db, std::mem::take(&mut batch))
            })
        });
        let finish = |db: &DB| {
            write(db, batch)?;
            Ok(db.flush_cf(column(db, *family)?)?)
        };
        copied.and_then(|()| engine.with(finish)).map_err(failed)?;
    }
    drop(old);
    engine.close().map_err(failed)?;
    std::fs::remove_dir_all(to.join(REPAIRED)).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(OpenError::io(to, &error)),
    })?;
    Ok(survey)
}

/// Where files are put together anew of which nothing says what they are.
const REPAIRED: &str = "REPAIR.rondel";

/// Links all files of a store, and has RocksDB find out what they are.
fn repaired(from: &Path, to: &Path) -> Result<PathBuf, OpenError> {
    let path = to.join(REPAIRED);
    let io = |error: std::io::Error| OpenError::io(&path, &error);
    std::fs::create_dir(&path).map_err(io)?;
    for entry in std::fs::read_dir(from).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let is_lock = name == STORE || name == "LOCK";
        if entry.file_type().map_err(io)?.is_file() && !is_lock {
            let there = path.join(&name);
            // Logs are written to again: they are copied. So is everything on another disk.
            let is_table = entry.path().extension().is_some_and(|extension| extension == "sst");
            if !is_table || std::fs::hard_link(entry.path(), &there).is_err() {
                std::fs::copy(entry.path(), there).map_err(io)?;
            }
        }
    }
    let tuning = Tuning::new(&Options::new(&path));
    DB::repair(&tuning.database(), &path).map_err(|error| OpenError::rocksdb(from, error))?;
    Ok(path)
}

fn write(db: &DB, batch: WriteBatch) -> Result<(), Failure> {
    let mut options = WriteOptions::default();
    // All of a family is written to files when it is done.
    options.disable_wal(true);
    Ok(db.write_opt(batch, &options)?)
}

fn open(path: &Path) -> Result<DB, rocksdb::Error> {
    let tuning = Tuning::new(&Options { block_cache_bytes: 1 << 20, ..Options::new(path) });
    let mut options = tuning.database();
    options.create_if_missing(false);
    // Otherwise nothing could be read where something cannot.
    options.set_paranoid_checks(false);
    DB::open_cf_descriptors_read_only(&options, path, tuning.families_at_rest(), false)
}

/// Hands each value of a family that can be read to `take`, and notes what cannot.
fn each(
    db: &DB,
    family: Family,
    survey: &mut Survey,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // One that has met damage is not to be relied on any more.
    let iterator_at = |key: &[u8]| -> Result<DBRawIterator<'_>, Failure> {
        let mut options = ReadOptions::default();
        options.set_verify_checksums(true);
        options.fill_cache(false);
        let mut iterator = db.raw_iterator_cf_opt(column(db, family)?, options);
        iterator.seek(key);
        Ok(iterator)
    };
    let mut iterator = iterator_at(b"")?;
    let mut last: Vec<u8> = Vec::new();
    loop {
        while let Some((key, value)) = iterator.item() {
            survey.entries += 1;
            survey.bytes += (key.len() + value.len()) as u64;
            take(key, value)?;
            last.clear();
            last.extend_from_slice(key);
            iterator.next();
        }
        let Err(error) = iterator.status() else { return Ok(()) };
        survey.damages.push(Damage::of(family, &error.into_string()));
        let can_read = |key: &[u8]| iterator_at(key).is_ok_and(|iterator| iterator.status().is_ok());
        let Some(next) = behind_damage(can_read, &last) else { return Ok(()) };
        iterator = iterator_at(&next)?;
    }
}

/// The first key behind what cannot be read, which is somewhere behind `last`: found by halving what lies between.
fn behind_damage(can_read: impl Fn(&[u8]) -> bool, last: &[u8]) -> Option<Vec<u8>> {
    let digits = (last.len() + 16).min(KEY_BYTES_MAX);
    let (mut low, mut high) = (last.to_vec(), vec![u8::MAX; digits]);
    low.resize(digits, 0);
    if !can_read(&high) {
        return None;
    }
    while let Some(middle) = between(&low, &high) {
        if can_read(&middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// The middle of two numbers of as many digits, of 256 each; none if one follows the other.
fn between(low: &[u8], high: &[u8]) -> Option<Vec<u8>> {
    let mut sum = vec![0u16; low.len() + 1];
    let mut carry = 0;
    for at in (0..low.len()).rev() {
        let digit = u16::from(low[at]) + u16::from(high[at]) + carry;
        sum[at + 1] = digit & 0xff;
        carry = digit >> 8;
    }
    sum[0] = carry;
    let mut rest = 0;
    let halves: Vec<u8> = sum
        .iter()
        .map(|digit| {
            let whole = rest << 8 | digit;
            rest = whole & 1;
            (whole >> 1) as u8
        })
        .collect();
    let middle = halves.get(1..)?.to_vec();
    (middle != low).then_some(middle)
}

impl Damage {
    fn of(family: Family, text: &str) -> Damage {
        let text = one_line(text);
        // RocksDB tells the file in words only.
        let names = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.');
        let file = names.into_iter().find(|name| name.ends_with(".sst")).map(str::to_owned);
        Damage { family: family.name(), file, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;
    use crate::{Outcome, Owner, WriteRequest};
    use std::fs;
    use std::os::unix::fs::FileExt;

    fn value(store: &Store, number: u32) -> Option<Vec<u8>> {
        store.get(Family::Accounts, Family::Accounts.key(&owner(number), b"")).unwrap_or_default()
    }

    fn owner(number: u32) -> Owner {
        Owner::new(&format!("user{number:05}"), "example.org").unwrap()
    }

    /// A store with accounts in one large file, whose path is answered.
    fn filled(path: &Path) -> PathBuf {
        let store = Store::open(&Options::new(path)).unwrap();
        let mut bulk = store.bulk();
        for number in 0..5000 {
            bulk.write(WriteRequest::new(owner(number)).put(Family::Accounts, b"", noise(number, 300))).unwrap();
            bulk.write(WriteRequest::new(owner(number)).put(Family::Vcards, b"card", vec![1])).unwrap();
        }
        bulk.finish().unwrap();
        store.compact(Family::Accounts).unwrap();
        store.close().unwrap();
        let tables = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let tables = tables.filter(|path| path.extension().is_some_and(|extension| extension == "sst"));
        tables.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
    }

    fn spoil(table: &Path) {
        let file = fs::OpenOptions::new().write(true).open(table).unwrap();
        let middle = file.metadata().unwrap().len() / 2;
        file.write_at(b"spoilt", middle).unwrap();
    }

    #[test]
    fn a_damaged_block_is_named_and_everything_else_is_saved() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        let table = filled(&old);
        let whole = survey(&old).unwrap();
        assert!(whole.damages.is_empty() && whole.entries >= 10_000, "{whole:?}");
        spoil(&table);
        let found = survey(&old).unwrap();
        let [damage] = &found.damages[..] else { panic!("{found:?}") };
        assert_eq!(damage.family, "accounts");
        assert_eq!(damage.file.as_deref(), table.file_name().unwrap().to_str());
        let saved = salvage(&old, &new).unwrap();
        assert_eq!(saved, found);
        let store = Store::open(&Options::new(&new)).unwrap();
        let lost = (0..5000).filter(|number| value(&store, *number) != Some(noise(*number, 300))).count();
        // A block has some four thousand bytes.
        assert!((1..40).contains(&lost), "{lost}");
        assert_eq!(whole.entries - saved.entries, lost as u64);
    }

    #[test]
    fn what_is_missing_altogether_does_not_keep_the_rest_from_being_saved() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        let table = filled(&old);
        fs::remove_file(&table).unwrap();
        let error = Store::open(&Options::new(&old)).err().unwrap();
        assert!(error.to_string().contains(table.file_name().unwrap().to_str().unwrap()), "{error}");
        salvage(&old, &new).unwrap();
        let store = Store::open(&Options::new(&new)).unwrap();
        let cards = (0..5000).filter(|number| {
            let key = Family::Vcards.key(&owner(*number), b"card");
            store.get(Family::Vcards, key).unwrap() == Some(vec![1])
        });
        assert_eq!(cards.count(), 5000);
        assert!(!new.join(REPAIRED).exists());
    }

    #[test]
    fn a_store_that_runs_is_surveyed_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let table = filled(&path);
        let store = Store::open(&Options::new(&path)).unwrap();
        assert!(store.survey().unwrap().damages.is_empty());
        assert!(matches!(survey(&path), Err(OpenError::InUse { .. })));
        spoil(&table);
        assert_eq!(store.survey().unwrap().damages.len(), 1);
        assert_eq!(
            store.write_blocking(WriteRequest::new(owner(1)).put(Family::Vcards, b"card", vec![2])),
            Outcome::Written
        );
    }

    #[test]
    fn the_middle_is_between() {
        assert_eq!(between(&[0, 0], &[1, 0]), Some(vec![0, 0x80]));
        assert_eq!(between(&[0xff, 0], &[0xff, 0xff]), Some(vec![0xff, 0x7f]));
        assert_eq!(between(&[7, 7], &[7, 8]), None);
        assert_eq!(between(&[0xfe, 0xff], &[0xff, 0]), None);
    }
}
