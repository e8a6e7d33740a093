//! How a backup comes to be: the files of a snapshot, next to those of earlier backups, and a listing of them.
//!
//! Tables never change, so that those which an earlier backup has are not copied again. They are told apart by what
//! they end with, which says where and when RocksDB has made them, and which no two have in common.

use super::copy::{Copied, Copying, Pace, copy};
use super::listing::{self, Listed, Listing};
use super::snapshot::Snapshot;
use super::{Backup, BackupError, Backups, engine};
use crate::directory::sync;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where tables are, which backups have in common (the engine's name for files that are named after their content).
const SHARED: &str = "shared_checksum";
/// Where the other files of each backup are.
const PRIVATE: &str = "private";

/// How many bytes at the end of a table it is told apart by. Its properties are there, with an id of their own.
const END: u64 = 16 << 10;

impl Backups {
    /// Adds one of a snapshot.
    pub(super) fn add(&mut self, snapshot: &Snapshot<'_>, copying: &Copying) -> Result<Backup, BackupError> {
        self.clean()?;
        let mut copied = Vec::new();
        let made = self.copy_all(snapshot, &mut Pace::new(copying.clone()), &mut copied);
        if made.is_err() {
            // Whether or not that succeeds: the next one tries again.
            copied.iter().for_each(|path| drop(fs::remove_file(path)));
        }
        // It looks at what there is when it is opened.
        self.engine = engine(self.directory.path())?;
        let id = made.map_err(|error| BackupError::io(self.path(), &error))?;
        let backup = self.list().into_iter().find(|backup| backup.id == id);
        backup.ok_or_else(|| BackupError::Io { path: self.path().into(), text: "the backup is not there".to_owned() })
    }

    /// Keeps all backups, and removes what one that was interrupted has left behind. What is left of a damaged one is
    /// nobody's, too, for the engine; but somebody may still want to save it.
    fn clean(&mut self) -> Result<(), BackupError> {
        if !self.damaged()?.is_empty() {
            return Ok(());
        }
        let cleaned = self.engine.purge_old_backups(u32::MAX as usize);
        cleaned.map_err(|error| BackupError::rocksdb(self.directory.path(), error))
    }

    /// Each file that is there afterwards and was not before is told, whatever comes of it.
    fn copy_all(&self, snapshot: &Snapshot<'_>, pace: &mut Pace, made: &mut Vec<PathBuf>) -> io::Result<u32> {
        let mut shared = HashMap::new();
        for backup in self.list() {
            let Listing(files) = Listing::read(self.path(), backup.id)?;
            shared.extend(files.into_iter().map(|file| (file.path, file.crc32c)));
        }
        let id = listing::all(self.path())?.last().map_or(1, |last| last + 1);
        let private = format!("{PRIVATE}/{id}");
        // Of a backup that was interrupted: there is no listing of it.
        match fs::remove_dir_all(self.path().join(&private)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(self.path().join(&private))?,
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(snapshot.path())? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().ok_or(io::ErrorKind::InvalidData)?;
            let length = entry.metadata()?.len();
            let path = match name.strip_suffix(".sst") {
                Some(number) => format!("{SHARED}/{}", shared_name(number, &entry.path())?),
                None => format!("{private}/{name}"),
            };
            let target = self.path().join(&path);
            // One that was cut short since then would be missed when it is needed.
            let is_whole = || fs::metadata(&target).is_ok_and(|there| there.len() == length);
            let crc32c = match shared.get(&path) {
                Some(known) if is_whole() => *known,
                known => {
                    let part = target.with_extension("part");
                    made.push(part.clone());
                    let Copied { crc32c, .. } = copy(&entry.path(), &part, pace)?;
                    fs::rename(&part, &target)?;
                    if known.is_none() {
                        made.push(target);
                    }
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
