//! Backups of real stores: made, pruned, damaged, restored.

use super::*;
use crate::Options;
use crate::archive::{self, Appends, Found, Query};
use crate::testing::noise;
use crate::{Family, Outcome, Owner, WriteRequest};
use std::fs::OpenOptions;
use std::io::Write;
use tempfile::TempDir;

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn store(&self, name: &str) -> Store {
        Store::open(&Options::new(self.path(name))).unwrap()
    }

    fn backups(&self) -> Backups {
        Backups::open(&self.path("backups"), true).unwrap()
    }
}

fn owner(local: &str) -> Owner {
    Owner::new(local, "example.org").unwrap()
}

fn put(store: &Store, local: &str, value: &[u8]) {
    let request = WriteRequest::new(owner(local)).put(Family::Accounts, b"", value.to_vec());
    assert_eq!(store.write_blocking(request), Outcome::Written);
}

fn value(store: &Store, local: &str) -> Option<Vec<u8>> {
    store.get(Family::Accounts, Family::Accounts.key(&owner(local), b"")).unwrap()
}

fn append(store: &Store, ids: std::ops::Range<u64>) {
    let owner = owner("juliet");
    let mut messages = Appends::new();
    for id in ids {
        let text = format!("<message id='{id}'/>");
        messages.push(id, &owner, id, "romeo@example.net", false, |out| out.extend_from_slice(text.as_bytes()));
    }
    assert_eq!(store.write_blocking(WriteRequest::new(owner.clone()).append(messages)), Outcome::Written);
}

fn archived(store: &Store) -> Vec<u64> {
    match archive::decode(store.read_blocking(&Query::new(owner("juliet")).into())) {
        Ok(Found::Page(page)) => page.entries.iter().map(archive::Entry::id).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_backup_has_what_there_was_and_shares_what_has_not_changed() {
    let place = Place::new();
    let store = place.store("store");
    let mut backups = place.backups();
    let large = noise(1, 4_000_000);
    put(&store, "large", &large);
    put(&store, "juliet", b"1");
    append(&store, 1..60);
    let first = store.back_up(&mut backups, &Copying::default()).unwrap();
    let size = |place: &Place| -> u64 {
        let folder = fs::read_dir(place.path("backups/shared_checksum")).unwrap();
        folder.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    let after_first = size(&place);
    put(&store, "juliet", b"2");
    append(&store, 60..70);
    let second = store.back_up(&mut backups, &Copying::default()).unwrap();
    assert_eq!(backups.list(), [first, second]);
    assert!(after_first > 3_000_000 && size(&place) < after_first + 300_000, "{after_first} {}", size(&place));
    assert!(!place.path("store/SNAPSHOT.rondel").exists());
    // What comes later is in neither.
    put(&store, "juliet", b"3");
    store.close().unwrap();
    for (backup, expected, messages) in [(first, b"1", 1..60u64), (second, b"2", 1..70)] {
        assert_eq!(backups.verify(backup.id).unwrap().files, backup.files);
        let name = format!("restored-{}", backup.id);
        assert_eq!(backups.restore(backup.id, &place.path(&name)).unwrap(), backup);
        let restored = place.store(&name);
        assert_eq!(value(&restored, "juliet").as_deref(), Some(&expected[..]));
        assert_eq!(value(&restored, "large").as_deref(), Some(&large[..]));
        assert_eq!(archived(&restored), messages.collect::<Vec<_>>());
    }
}

#[test]
fn the_newest_are_kept() {
    let place = Place::new();
    let store = place.store("store");
    let mut backups = place.backups();
    let ids: Vec<u32> = (0..4).map(|_| store.back_up(&mut backups, &Copying::default()).unwrap().id).collect();
    let gone: Vec<u32> = backups.prune(2).unwrap().iter().map(|backup| backup.id).collect();
    assert_eq!(gone, ids[..2]);
    assert_eq!(backups.prune(0).unwrap().len(), 1);
    assert_eq!(backups.list().iter().map(|backup| backup.id).collect::<Vec<_>>(), ids[3..]);
    // A number is used once.
    assert!(store.back_up(&mut backups, &Copying::default()).unwrap().id > ids[3]);
}

#[test]
fn what_is_damaged_or_missing_is_named() {
    let place = Place::new();
    let store = place.store("store");
    put(&store, "juliet", &[7; 10_000]);
    let mut backups = place.backups();
    let id = store.back_up(&mut backups, &Copying::default()).unwrap().id;
    assert_eq!(backups.verify(9), Err(BackupError::Unknown { path: place.path("backups"), id: 9 }));
    let folder = place.path("backups/shared_checksum");
    let table = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let name = table.file_name().unwrap().to_str().unwrap().to_owned();
    let mut bytes = fs::read(&table).unwrap();
    let sound = bytes.clone();
    bytes[10] ^= 1;
    fs::write(&table, &bytes).unwrap();
    let damaged = backups.verify(id).unwrap_err().to_string();
    assert!(damaged.contains(&format!("{name} is not what was written")), "{damaged}");
    let refused = backups.restore(id, &place.path("restored")).unwrap_err();
    assert!(matches!(refused, BackupError::Damaged { .. }), "{refused}");
    // It is not taken for a store, and can be restored over.
    let half = Store::open(&Options::new(place.path("restored"))).err().unwrap();
    assert_eq!(half, OpenError::Unfinished(place.path("restored")));
    fs::write(&table, &sound).unwrap();
    backups.restore(id, &place.path("restored")).unwrap();
    assert_eq!(value(&place.store("restored"), "juliet").map(|value| value.len()), Some(10_000));
    fs::remove_file(&table).unwrap();
    drop(backups);
    let mut backups = place.backups();
    assert_eq!((backups.list(), backups.damaged().unwrap()), (vec![], vec![id]));
    let missing = backups.restore(id, &place.path("again")).unwrap_err().to_string();
    assert!(missing.contains(&format!("{name} is missing")), "{missing}");
}

#[test]
fn directories_are_not_taken_for_one_another() {
    let place = Place::new();
    let store = place.store("store");
    let mut backups = place.backups();
    let id = store.back_up(&mut backups, &Copying::default()).unwrap().id;
    let opened = |name: &str, create| Backups::open(&place.path(name), create).err().map(|error| error.to_string());
    assert!(opened("backups", false).unwrap().contains("in use by process"));
    assert!(opened("store", true).unwrap().contains("something else than backups"));
    assert!(opened("none", false).unwrap().contains("there are no backups here"));
    let refused = Store::open(&Options::new(place.path("backups"))).err().unwrap();
    assert_eq!(refused, OpenError::NotRondel(place.path("backups")));
    let refused = backups.restore(id, &place.path("store")).unwrap_err();
    assert!(matches!(refused, BackupError::InUse { .. }), "{refused}");
    store.close().unwrap();
    assert_eq!(backups.restore(id, &place.path("store")), Err(BackupError::NotEmpty(place.path("store"))));
    fs::create_dir(place.path("other")).unwrap();
    fs::write(place.path("other/file"), "precious").unwrap();
    assert_eq!(backups.restore(id, &place.path("other")), Err(BackupError::NotEmpty(place.path("other"))));
    assert_eq!(fs::read(place.path("other/file")).unwrap(), b"precious");
}

#[test]
fn what_a_killed_backup_leaves_behind_goes() {
    let place = Place::new();
    let store = place.store("store");
    put(&store, "juliet", b"1");
    let mut backups = place.backups();
    store.back_up(&mut backups, &Copying::default()).unwrap();
    store.close().unwrap();
    // As if it had been killed while it copied, and while it linked.
    for name in ["SNAPSHOT.rondel", "SNAPSHOT.rondel.tmp"] {
        fs::create_dir(place.path("store").join(name)).unwrap();
        fs::write(place.path("store").join(name).join("000001.sst"), "x").unwrap();
    }
    let private = place.path("backups/private/2");
    fs::create_dir_all(&private).unwrap();
    OpenOptions::new().create_new(true).write(true).open(private.join("CURRENT")).unwrap().write_all(b"x").unwrap();
    let store = place.store("store");
    assert!(!place.path("store/SNAPSHOT.rondel").exists() && !place.path("store/SNAPSHOT.rondel.tmp").exists());
    drop(backups);
    let mut backups = place.backups();
    assert_eq!(backups.list().len(), 1);
    let second = store.back_up(&mut backups, &Copying::default()).unwrap();
    assert_eq!(backups.verify(second.id).unwrap().files, second.files);
    assert_eq!(backups.list().len(), 2);
}

#[test]
fn what_a_failed_backup_leaves_behind_goes() {
    let place = Place::new();
    let store = place.store("store");
    put(&store, "juliet", b"1");
    let mut backups = place.backups();
    let first = store.back_up(&mut backups, &Copying::default()).unwrap();
    put(&store, "juliet", b"2");
    // Where its listing would be written.
    fs::create_dir_all(place.path("backups/meta/.2.tmp/in the way")).unwrap();
    assert!(matches!(store.back_up(&mut backups, &Copying::default()), Err(BackupError::Io { .. })));
    assert_eq!(backups.list(), [first]);
    // Nothing of it is left but an empty folder.
    assert_eq!(fs::read_dir(place.path("backups/private/2")).map_or(0, Iterator::count), 0);
    fs::remove_dir_all(place.path("backups/meta/.2.tmp")).unwrap();
    let second = store.back_up(&mut backups, &Copying::default()).unwrap();
    assert_eq!((second.id, backups.verify(second.id).unwrap().files), (2, second.files));
}

#[test]
fn what_is_left_of_damaged_backups_stays_and_a_table_that_was_cut_short_is_copied_again() {
    let place = Place::new();
    let store = place.store("store");
    put(&store, "juliet", &noise(1, 100_000));
    let mut backups = place.backups();
    let first = store.back_up(&mut backups, &Copying::default()).unwrap();
    let second = store.back_up(&mut backups, &Copying::default()).unwrap();
    let tables = || -> Vec<_> {
        let tables = fs::read_dir(place.path("backups/shared_checksum")).unwrap();
        tables.map(|table| table.unwrap().path()).collect()
    };
    // The first has lost what only it has, so that the engine does not know it any more.
    let manifest = fs::read_dir(place.path("backups/private/1")).unwrap().map(|file| file.unwrap().path());
    let manifest = manifest.into_iter().find(|path| path.to_str().unwrap().contains("MANIFEST")).unwrap();
    fs::remove_file(&manifest).unwrap();
    let cut = tables().remove(0);
    OpenOptions::new().write(true).open(&cut).unwrap().set_len(10).unwrap();
    drop(backups);
    let mut backups = place.backups();
    assert_eq!(backups.damaged().unwrap(), [first.id]);
    let third = store.back_up(&mut backups, &Copying::default()).unwrap();
    assert!(place.path("backups/private/1/CURRENT").exists(), "somebody may still save what there is");
    assert_eq!(backups.verify(third.id).unwrap().files, third.files);
    assert_eq!(backups.verify(second.id).unwrap().files, second.files, "what was cut short is whole again");
}
