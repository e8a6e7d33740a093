//! How the command line reaches accounts: through the running server, or the data directory itself where none runs.

use std::path::PathBuf;

use crate::admin::{Backend, ConnectError, Offline, Remote};
use crate::cli::Target;

/// The way that was found.
pub(super) enum Access {
    /// A server runs and answers here.
    Running(PathBuf),
    /// None does; the data directory is open.
    Offline(Offline),
}

impl Access {
    /// Asks at the admin socket, and opens the data directory if nobody answers; makes it if need be and `create`.
    pub fn open(target: &Target, create: bool) -> Result<Access, String> {
        match Access::running(target)? {
            Some(_) => Ok(Access::Running(target.admin_socket())),
            None => Offline::open(&super::store_in(&target.data_dir), create).map(Access::Offline),
        }
    }

    /// The running server, if there is one.
    pub fn running(target: &Target) -> Result<Option<Remote>, String> {
        match Remote::connect(&target.admin_socket()) {
            Ok(remote) => Ok(Some(remote)),
            Err(ConnectError::Nobody(_)) => Ok(None),
            Err(refused) => Err(refused.to_string()),
        }
    }

    /// Whom to ask; with a running server, over a connection of its own.
    pub fn backend(&self) -> Result<Box<dyn Backend>, String> {
        match self {
            Access::Running(socket) => match Remote::connect(socket) {
                Ok(remote) => Ok(Box::new(remote)),
                Err(error) => Err(error.to_string()),
            },
            Access::Offline(offline) => Ok(Box::new(offline.clone())),
        }
    }
}
