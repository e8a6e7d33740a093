//! Accounts of a store, written to and read from files.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rondel_storage::{Owner, Store, meta};
use serde::{Deserialize, Serialize};

use super::backend::{Failure, FailureKind};
use super::desk::account;
use super::request::Done;
use super::users::now;
use crate::account::archive_ids::ArchiveIds;
use crate::random;
use crate::transfer::ejabberd::{self, Ejabberd};
use crate::transfer::export::{Export, ExportError, Exported, Wanted};
use crate::transfer::import::{Import, Imported};
use crate::transfer::pie::Pie;
use crate::transfer::pieces::Unknown;
use crate::transfer::prosody::Prosody;
use crate::transfer::{Found, Told};

/// Bytes of text that are told at once at most.
const TOLD_BYTES: usize = 64 << 10;

/// How often whoever waits sees that it goes on.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What an import has come to.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ImportFacts {
    /// Accounts that are there now.
    pub accounts: u64,
    /// Messages in their archives.
    pub messages: u64,
    /// Accounts that were there before and are as they were: how many, and the first of them.
    pub existing: (u64, Vec<String>),
    /// Accounts nobody can log into, because nothing came that proves their password.
    pub without_password: (u64, Vec<String>),
    /// Names that are none.
    pub invalid: (u64, Vec<String>),
    /// What was there and is not known here, each with how often.
    pub unknown: Vec<(String, u64)>,
    /// Rooms, which are left out: how many, and the first of them.
    pub rooms: (u64, Vec<String>),
    /// What could not be read, and is missing.
    pub missing: Vec<String>,
}

/// Exports and imports.
#[derive(Clone)]
pub struct Transfer {
    store: Arc<Store>,
}

impl Transfer {
    /// Of this store.
    pub fn new(store: Arc<Store>) -> Transfer {
        Transfer { store }
    }

    /// Tells accounts as XEP-0227: all, those of a domain, or one.
    pub fn export(
        &self,
        jid: Option<&str>,
        domain: Option<&str>,
        tell: &mut dyn FnMut(Done) -> bool,
    ) -> Result<Exported, Failure> {
        let secret = meta::archive_secret(&self.store, random::bytes);
        let secret = secret.map_err(|error| Failure::new(FailureKind::Failed, error.to_string()))?;
        let wanted = match (jid, domain) {
            (Some(jid), _) => {
                let owner = Owner::parse(account(jid)?.bare());
                Wanted::Account(owner.map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))?)
            }
            (None, Some(domain)) => Wanted::Domain(domain.to_owned()),
            (None, None) => Wanted::All,
        };
        let exported = Export::new(&self.store, ArchiveIds::new(secret), Teller(tell)).run(&wanted);
        let exported = exported.map_err(|error| match error {
            ExportError::Write(_) => Failure::new(FailureKind::Unavailable, "nobody listens"),
            other => Failure::new(FailureKind::Failed, other.to_string()),
        })?;
        match (jid, exported.accounts) {
            (Some(jid), 0) => Err(Failure::new(FailureKind::NotFound, format!("there is no account {jid}"))),
            _ => Ok(exported),
        }
    }

    /// Puts the accounts of a file (XEP-0227, or a dump of ejabberd), or of the data directory of a Prosody, into the
    /// store; or one of them, which has brought it.
    pub fn import(
        &self,
        path: &Path,
        jid: Option<&str>,
        rounds: u32,
        tell: &mut dyn FnMut(Done) -> bool,
    ) -> Result<ImportFacts, Failure> {
        let failed = |text: String| Failure::new(FailureKind::Failed, text);
        let only = jid.map(|jid| account(jid).map(|jid| jid.to_string())).transpose()?;
        let now_us = now().as_micros() as u64;
        let mut import = Import::new(&self.store, only, rounds, now_us);
        let mut told = Instant::now();
        let mut take = |piece| {
            if told.elapsed() > TOLD_EVERY {
                told = Instant::now();
                // It goes on whether or not anybody listens: half of it would help nobody.
                tell(Done::Nothing);
            }
            import.take(piece)
        };
        let found = |found| (Unknown::default(), found);
        let read = if path.is_dir() {
            Prosody::new(&mut take).read(path).map(found).map_err(|error| error.to_string())
        } else if ejabberd::is_dump(path) {
            Ejabberd::new(&mut take, now_us).read(path).map(found).map_err(|error| error.to_string())
        } else {
            let read = Pie::new(&mut take).read(path);
            read.map(|unknown| (unknown, Found::default())).map_err(|error| error.to_string())
        };
        // What has come before a mistake is there.
        let imported = import.finish().map_err(failed)?;
        let (unknown, found) = read.map_err(|error| {
            let there = imported.accounts;
            failed(format!("{error} ({there} accounts are there; the others come with the next try)"))
        })?;
        let Found { rooms, unknown: kinds, unreadable: missing } = found;
        let unknown = unknown.all().map(|(name, times)| (name.to_owned(), times)).chain(kinds).collect();
        let Imported { accounts, messages, existing, without_password, invalid } = imported;
        let [existing, without_password, invalid, rooms] =
            [existing, without_password, invalid, rooms].map(|Told { number, first }| (number, first));
        Ok(ImportFacts { accounts, messages, existing, without_password, invalid, unknown, rooms, missing })
    }
}

/// Whatever is written is told.
struct Teller<'t>(&'t mut dyn FnMut(Done) -> bool);

impl Write for Teller<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let end = text.floor_char_boundary(TOLD_BYTES);
        match (self.0)(Done::Text(text[..end].into())) {
            true => Ok(end),
            false => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
