//! Copying files in small pieces, past the cache of the operating system, and no faster than is wanted: so that nobody
//! notices who shares the cores, the disk or the cache.
//!
//! A kernel copies what is written to a cached file without letting anybody else have the core meanwhile, whatever
//! the priority of whoever writes; and what has gathered in the cache holds up all who wait for the disk.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

/// What the places of pieces in memory, and in files, are multiples of: blocks of disks are no larger.
const BLOCK: usize = 4096;

/// For how long nothing may have been copied and be made up for.
const MADE_UP: Duration = Duration::from_millis(100);

/// How files are copied.
#[derive(Clone, Debug, Default)]
pub struct Copying {
    /// How fast, at most.
    pub bytes_per_second: Option<u64>,
    /// Whether it is to be given up.
    pub is_unwanted: Arc<AtomicBool>,
}

/// How fast.
#[derive(Debug)]
pub(super) struct Pace {
    copying: Copying,
    /// When what has been copied is due to have been.
    due: Instant,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Copied {
    pub bytes: u64,
    pub crc32c: u32,
}

impl Pace {
    pub fn new(copying: Copying) -> Pace {
        Pace { copying, due: Instant::now() }
    }

    /// Waits until more may be copied. An error if nothing more is wanted.
    fn wait(&mut self, bytes: usize) -> io::Result<()> {
        if self.copying.is_unwanted.load(Ordering::SeqCst) {
            return Err(io::Error::other("it was given up, because the server ends"));
        }
        let Some(bytes_per_second) = self.copying.bytes_per_second else { return Ok(()) };
        let now = Instant::now();
        self.due = self.due.max(now.checked_sub(MADE_UP).unwrap_or(now));
        self.due += Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64);
        std::thread::sleep(self.due.saturating_duration_since(now));
        Ok(())
    }
}

/// Copies a file that does not change meanwhile. The copy is on disk then.
pub(super) fn copy(from: &Path, to: &Path, pace: &mut Pace) -> io::Result<Copied> {
    match copy_with(OFlags::DIRECT, from, to, pace) {
        // There are file systems that have no way past the cache.
        Err(error) if error.kind() == ErrorKind::InvalidInput => copy_with(OFlags::empty(), from, to, pace),
        done => done,
    }
}

fn copy_with(flags: OFlags, from: &Path, to: &Path, pace: &mut Pace) -> io::Result<Copied> {
    let flags = flags.bits().cast_signed();
    let mut source = OpenOptions::new().read(true).custom_flags(flags).open(from)?;
    let mut options = OpenOptions::new();
    let mut target = options.write(true).create(true).truncate(true).mode(0o600).custom_flags(flags).open(to)?;
    let length = source.metadata()?.len();
    let mut room = vec![0; PIECE + BLOCK];
    let start = room.as_ptr().align_offset(BLOCK);
    let piece = room.get_mut(start..start + PIECE).ok_or(ErrorKind::OutOfMemory)?;
    let mut copied = Copied { bytes: 0, crc32c: 0 };
    while copied.bytes < length {
        let read = read_whole(&mut source, piece)?;
        let (got, rest) = piece.split_at_mut(read);
        copied.crc32c = crc32c::crc32c_append(copied.crc32c, got);
        copied.bytes += read as u64;
        if read == 0 || (copied.bytes < length && !read.is_multiple_of(BLOCK)) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // The last block is a whole one, too, and shortened later.
        let whole = read.next_multiple_of(BLOCK);
        rest.iter_mut().take(whole - read).for_each(|byte| *byte = 0);
        target.write_all(piece.get(..whole).unwrap_or_default())?;
        pace.wait(read)?;
    }
    target.set_len(copied.bytes)?;
    target.sync_all()?;
    Ok(copied)
}

/// Reads until the piece is full or the file ends. What a file system gives too little of in between, past its cache,
/// has to end at a block.
fn read_whole(source: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = piece.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The end of the file was reached before.
            Err(error) if error.kind() == ErrorKind::InvalidInput && !read.is_multiple_of(BLOCK) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn files_are_copied_whatever_their_length() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        for length in [0, 1, 4095, 4096, 4097, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5] {
            let bytes = noise(1, length);
            std::fs::write(&from, &bytes).unwrap();
            for flags in [OFlags::DIRECT, OFlags::empty()] {
                let copied = copy_with(flags, &from, &to, &mut Pace::new(Copying::default())).unwrap();
                assert_eq!(copied, Copied { bytes: length as u64, crc32c: crc32c::crc32c(&bytes) });
                assert!(std::fs::read(&to).unwrap() == bytes, "{length}");
            }
        }
    }

    #[test]
    fn it_takes_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        std::fs::write(&from, noise(1, 4 * PIECE)).unwrap();
        let began = Instant::now();
        let copying = Copying { bytes_per_second: Some(10 * PIECE as u64), ..Copying::default() };
        copy(&from, &to, &mut Pace::new(copying.clone())).unwrap();
        assert!(began.elapsed() > Duration::from_millis(250), "{:?}", began.elapsed());
        copying.is_unwanted.store(true, Ordering::SeqCst);
        let error = copy(&from, &to, &mut Pace::new(copying)).unwrap_err();
        assert!(error.to_string().contains("given up"), "{error}");
    }
}
