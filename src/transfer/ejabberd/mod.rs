//! Reading what `ejabberdctl dump` writes: all tables that ejabberd keeps in Mnesia, its own database, as Erlang terms
//! ([`terms`]). First comes what the fields of each table are called, then one record after the other ([`records`]),
//! table by table, in no order of accounts.
//!
//! So the file is read twice: once to see what of it belongs to which account, of which 24 bytes for each record stay
//! in memory ([`index`]), and once account by account.

mod index;
mod records;
mod terms;

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use index::{Index, Place};
use terms::{Term, Terms, Unreadable};

use super::{Found, Piece};

/// What a dump begins with.
const BEGINNING: &[u8] = b"{tables,";

/// Bytes that are read at once in the second reading: what belongs to an account stands together in each table at best.
const SECOND_READ_BYTES: usize = 16 << 10;

/// Why a dump was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// Something cannot be read.
    #[error("{}:{line}: {text}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
        /// Why not.
        text: String,
    },
    /// Whoever takes the pieces has enough.
    #[error("{0}")]
    Ended(String),
}

/// Whether a file begins as a dump does.
pub fn is_dump(path: &Path) -> bool {
    let mut beginning = [0; BEGINNING.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut beginning)).is_ok() && beginning == *BEGINNING
}

/// Reads a dump.
pub struct Ejabberd<'t> {
    tell: &'t mut dyn FnMut(Piece) -> Result<(), String>,
    found: Found,
    now_us: u64,
}

impl<'t> Ejabberd<'t> {
    /// Whoever is told of each piece may end it all. The time is in microseconds since 1970.
    pub fn new(tell: &'t mut dyn FnMut(Piece) -> Result<(), String>, now_us: u64) -> Ejabberd<'t> {
        Ejabberd { tell, found: Found::default(), now_us }
    }

    /// Reads a dump.
    pub fn read(mut self, path: &Path) -> Result<Found, DumpError> {
        let fail = |Unreadable { line, text }| DumpError::File { path: path.to_owned(), line, text };
        let io = |error: std::io::Error| fail(Unreadable { line: 1, text: error.to_string() });
        let mut index = self.index(File::open(path).map_err(io)?, path).map_err(fail)?;
        let places = index.take_places(&mut self.found);
        let names = index.names();
        let mut file = BufReader::with_capacity(SECOND_READ_BYTES, File::open(path).map_err(io)?);
        for of_account in places.chunk_by(|one, other| one.account == other.account) {
            let name = names.get(of_account[0].account as usize).copied().unwrap_or_default();
            let Some((local, domain)) = name.split_once('@') else { continue };
            let begin = Piece::Begin { local: local.to_owned(), domain: domain.to_owned() };
            (self.tell)(begin).map_err(DumpError::Ended)?;
            for place in of_account {
                let term = term_at(&mut file, place.offset).map_err(fail)?;
                match records::pieces(place.kind, &index.record(&term), name, &index, self.now_us) {
                    Some(pieces) => pieces.into_iter().try_for_each(&mut *self.tell).map_err(DumpError::Ended)?,
                    None => self.unreadable(path, place, name),
                }
            }
            (self.tell)(Piece::End).map_err(DumpError::Ended)?;
        }
        Ok(self.found)
    }

    /// The first reading.
    fn index(&mut self, file: File, path: &Path) -> Result<Index, Unreadable> {
        let mut terms = Terms::new(BufReader::with_capacity(1 << 20, file), 0);
        let mut text = Vec::new();
        let mut index = Index::default();
        while let Some(offset) = terms.read(&mut text)? {
            let noted = Term::parse(&text).and_then(|term| match index.is_empty() {
                true => index.tables(&term),
                false => index.note(&term, offset, &mut self.found),
            });
            match noted {
                Ok(()) => {}
                Err(text) if index.is_empty() => return Err(Unreadable { line: terms.begun(), text }),
                Err(text) => self.found.unreadable(format!("{}:{}: {text}", path.display(), terms.begun())),
            }
        }
        Ok(index)
    }

    fn unreadable(&mut self, path: &Path, place: &Place, name: &str) {
        let (kind, offset) = (place.kind.table(), place.offset);
        self.found.unreadable(format!("{}: {kind} of {name} at byte {offset}", path.display()));
    }
}

/// The term that begins here.
fn term_at(file: &mut BufReader<File>, offset: u64) -> Result<Term, Unreadable> {
    let fail = |text: String| Unreadable { line: 1, text };
    let position = file.stream_position().map_err(|error| fail(error.to_string()))?;
    // What has been read already stays, if it is near.
    file.seek_relative(offset.wrapping_sub(position) as i64).map_err(|error| fail(error.to_string()))?;
    let mut terms = Terms::new(file, offset);
    let mut text = Vec::new();
    terms.read(&mut text)?;
    Term::parse(&text).map_err(fail)
}

#[cfg(test)]
mod tests;
