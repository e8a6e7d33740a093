//! How a backup comes to be: the files of a snapshot, next to those of earlier backups, and a listing of them.
//!
//! Tables never change, so that those which an earlier backup has are not copied again. They are told apart by what
//! they end with, which says where and when RocksDB has made them, and which no two have in common.

use super::copy::{Copied, Pace, copy};
use super::listing::{self, Listed, Listing};
use super::snapshot::Snapshot;
use super::{Backup, BackupError, Backups, engine};
use crate::directory::sync;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

/// Where tables are, which backups have in common (the engine's name for files that are named after their content).
const SHARED: &str = "shared_checksum";
/// Where the other files of each backup are.
const PRIVATE: &str = "private";

/// How many bytes at the end of a table it is told apart by. Its properties are there, with an id of their own.
const END: u64 = 16 << 10;

impl Backups {
    /// Adds one of a snapshot.
    pub(super) fn add(
        &mut self,
        snapshot: &Snapshot<'_>,
        bytes_per_second: Option<u64>,
    ) -> Result<Backup, BackupError> {
        self.clean()?;
        let made = self.copy_all(snapshot, &mut Pace::new(bytes_per_second));
        // It looks at what there is when it is opened.
        self.engine = engine(self.directory.path())?;
        if made.is_err() {
            // Whether or not that succeeds: the next one tries again.
            self.clean().ok();
        }
        let id = made.map_err(|error| BackupError::io(self.path(), &error))?;
        let backup = self.list().into_iter().find(|backup| backup.id == id);
        backup.ok_or_else(|| BackupError::Io { path: self.path().into(), text: "the backup is not there".to_owned() })
    }

    /// Keeps all backups, and removes what one that was interrupted has left behind.
    fn clean(&mut self) -> Result<(), BackupError> {
        let cleaned = self.engine.purge_old_backups(u32::MAX as usize);
        cleaned.map_err(|error| BackupError::rocksdb(self.directory.path(), error))
    }

    fn copy_all(&self, snapshot: &Snapshot<'_>, pace: &mut Pace) -> io::Result<u32> {
        let mut shared = HashMap::new();
        for backup in self.list() {
            let Listing(files) = Listing::read(self.path(), backup.id)?;
            shared.extend(files.into_iter().map(|file| (file.path, file.crc32c)));
        }
        let id = listing::all(self.path())?.last().map_or(1, |last| last + 1);
        let private = format!("{PRIVATE}/{id}");
        fs::create_dir(self.path().join(&private))?;
        let mut files = Vec::new();
        for entry in fs::read_dir(snapshot.path())? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().ok_or(io::ErrorKind::InvalidData)?;
            let path = match name.strip_suffix(".sst") {
                Some(number) => format!("{SHARED}/{}", shared_name(number, &entry.path())?),
                None => format!("{private}/{name}"),
            };
            let crc32c = match shared.get(&path) {
                Some(known) => *known,
                None => {
                    let Copied { crc32c, .. } = copy(&entry.path(), &self.path().join(&path), pace)?;
                    crc32c
                }
            };
            files.push(Listed { path, crc32c });
        }
        for folder in [SHARED, &private, PRIVATE] {
            sync(&self.path().join(folder))?;
        }
        sync(self.path())?;
        let made_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Listing(files).write(self.path(), id, made_s)?;
        Ok(id)
    }
}

/// What a table is called among those of all backups. The engine restores it by what stands before the first `_`.
fn shared_name(number: &str, table: &Path) -> io::Result<String> {
    let mut file = File::open(table)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut end = Vec::new();
    file.take(END).read_to_end(&mut end)?;
    let digest = Sha256::digest(&end);
    let id: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{number}_{id}_{length}.sst"))
}
