//! A data directory that no server uses.

use std::path::Path;
use std::sync::Arc;

use rondel_storage::{Options, Store};

use super::backend::{Backend, By, Failure};
use super::desk::Desk;
use super::request::{Done, Request};
use super::status::Status;

/// Rounds of hashing for passwords that come as they are, where no server says otherwise: what it does by default.
const ROUNDS: u32 = 10_000;

/// An open store with nobody behind it: what concerns sessions or logging cannot be asked.
#[derive(Clone)]
pub struct Offline {
    desk: Desk,
}

impl Offline {
    /// Opens the store in this folder; made if it is not there and `create`. An error is one line.
    pub fn open(store: &Path, create: bool) -> Result<Offline, String> {
        let mut options = Options::new(store);
        options.create_if_missing = create;
        let store = Store::open(&options).map_err(|error| error.to_string())?;
        Ok(Offline { desk: Desk::new(Arc::new(store)) })
    }

    fn carry_out(&self, by: &By, request: Request, tell: &mut dyn FnMut(Done) -> bool) -> Result<Done, Failure> {
        match request {
            Request::Export { jid, domain } => {
                self.desk.transfer.export(jid.as_deref(), domain.as_deref(), tell).map(Done::Exported)
            }
            Request::Import { path, jid } => {
                self.desk.transfer.import(Path::new(&path), jid.as_deref(), ROUNDS, tell).map(Done::Imported)
            }
            Request::Status => Ok(Done::Status(Box::new(Status {
                version: env!("CARGO_PKG_VERSION").into(),
                pid: std::process::id(),
                ..Status::default()
            }))),
            request => self.desk.carry_out(by, request),
        }
    }
}

impl Backend for Offline {
    fn ask(&self, by: &By, request: Request, tell: &mut dyn FnMut(Done) -> bool) -> Result<Done, Failure> {
        self.desk.audited(by, request, |request| self.carry_out(by, request, tell))
    }
}
