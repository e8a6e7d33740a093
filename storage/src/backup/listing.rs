//! What a backup consists of: the file `meta/ID` in the directory of backups, as RocksDB's backup engine writes it.
//!
//! It has a time, a sequence number, perhaps lines that begin with `metadata`, the number of files, and for each of
//! them a line: its path, `crc32` and a CRC-32C in decimal digits. The engine itself compares sizes only, unless it
//! restores.

use crate::directory::sync;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const FOLDER: &str = "meta";

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// The files of a backup.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Listing(pub Vec<Listed>);

/// A file of a backup.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Listed {
    /// Within the directory of backups.
    pub path: String,
    pub crc32c: u32,
}

/// The numbers of all backups that have a listing, in their order.
pub(super) fn all(directory: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(directory.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    for entry in entries {
        // Others are on their way, or are not ours.
        all.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    all.sort_unstable();
    Ok(all)
}

impl Listing {
    /// That of a backup.
    pub fn read(directory: &Path, id: u32) -> io::Result<Listing> {
        let path = directory.join(FOLDER).join(id.to_string());
        let text = fs::read_to_string(&path)?;
        Listing::parse(&text).ok_or_else(|| {
            let text = format!("{FOLDER}/{id} cannot be understood");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }

    fn parse(text: &str) -> Option<Listing> {
        let mut lines = text.lines();
        let _made: u64 = lines.next()?.parse().ok()?;
        let _sequence: u64 = lines.next()?.parse().ok()?;
        let number = lines.find(|line| !line.starts_with("metadata "))?;
        let number: usize = number.parse().ok()?;
        let files: Option<Vec<Listed>> = lines.take(number).map(Listed::parse).collect();
        files.filter(|files| files.len() == number).map(Listing)
    }

    /// Makes it that of a backup, which there is from then on.
    pub fn write(&self, directory: &Path, id: u32, made_s: u64) -> io::Result<()> {
        let folder = directory.join(FOLDER);
        let part = folder.join(format!(".{id}.tmp"));
        let mut file = File::create(&part)?;
        file.write_all(self.text(made_s).as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, folder.join(id.to_string()))?;
        sync(&folder)
    }

    /// The sequence number is there for those who read it, of whom there are none.
    fn text(&self, made_s: u64) -> String {
        let files = self.0.iter().map(|Listed { path, crc32c }| format!("{path} crc32 {crc32c}\n"));
        format!("{made_s}\n0\n{}\n{}", self.0.len(), files.collect::<String>())
    }

    /// Each file.
    pub fn files(&self) -> &[Listed] {
        &self.0
    }
}

impl Listed {
    fn parse(line: &str) -> Option<Listed> {
        let mut fields = line.split(' ');
        let path = fields.next()?.to_owned();
        // Nothing leads out of the directory.
        let is_inside = Path::new(&path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let crc32c = (fields.next()? == "crc32").then(|| fields.next()?.parse().ok())??;
        is_inside.then_some(Listed { path, crc32c })
    }

    /// Reads all of the file. Answers how many bytes it has, or what is wrong with it.
    pub fn verify(&self, directory: &Path) -> Result<u64, String> {
        let path: PathBuf = directory.join(&self.path);
        let fail = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => format!("{} is missing", self.path),
            _ => format!("{}: {error}", self.path),
        };
        let mut file = File::open(path).map_err(fail)?;
        let mut piece = vec![0; PIECE];
        let (mut bytes, mut found) = (0, 0);
        loop {
            let read = file.read(&mut piece).map_err(fail)?;
            if read == 0 {
                break;
            }
            found = crc32c::crc32c_append(found, piece.get(..read).unwrap_or_default());
            bytes += read as u64;
        }
        if found == self.crc32c { Ok(bytes) } else { Err(format!("{} is not what was written", self.path)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read() {
        let text =
            "1700000000\n12\nmetadata 00ff\n2\nprivate/1/CURRENT crc32 12\nshared_checksum/a.sst crc32 4294967295\n";
        let listing = Listing::parse(text).unwrap();
        let [current, table] = listing.files() else { panic!("{listing:?}") };
        assert_eq!((&*current.path, current.crc32c), ("private/1/CURRENT", 12));
        assert_eq!((&*table.path, table.crc32c), ("shared_checksum/a.sst", u32::MAX));
        assert_eq!(Listing::parse(&listing.text(1)), Some(listing));
    }

    #[test]
    fn what_is_no_listing_is_none() {
        for text in [
            "",
            "1\n",
            "1\n2\n",
            "1\n2\n1\n",
            "1\n2\n1\na crc32\n",
            "1\n2\n1\na md5 1\n",
            "1\n2\n1\n../a crc32 1\n",
            "1\n2\n1\n/a crc32 1\n",
            "x\n2\n0\n",
        ] {
            assert_eq!(Listing::parse(text), None, "{text:?}");
        }
        assert_eq!(Listing::parse("1\n2\n0\n"), Some(Listing(Vec::new())));
    }
}
