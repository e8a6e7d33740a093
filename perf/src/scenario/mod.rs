//! What the tool can do to a server: log in, hold idle sessions, let sessions chat, be hostile, and what clients do
//! beyond that: rosters, presence, archives, sessions that are resumed, messages that were acknowledged.
//!
//! Each scenario is a [`Load`](crate::client::worker::Load) for the workers and a director that measures around it
//! and fills a [`Report`](crate::report::Report). [`hostile`] alone has connections of its own, as what ends a run
//! elsewhere is what it is about, and [`acknowledged`] has dialogues in place of load. How bytes travel is in
//! `client/`, how figures look in `report/`.

pub mod acknowledged;
pub mod chat;
mod conversation;
pub mod hostile;
pub mod idle;
pub mod login;
pub mod pages;
pub mod presence;
pub mod resume;
pub mod roster;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use crate::client::fleet::Rate;
use crate::client::target::Target;
use crate::measure::process::Processes;
use crate::xmpp::habits::Habits;

/// What all scenarios are told.
#[derive(Clone)]
pub struct Common {
    /// Where to connect, and as whom.
    pub target: Arc<Target>,
    /// How fast, and by how many threads.
    pub rate: Rate,
    /// The server's processes, if they are to be measured.
    pub server: Option<Processes>,
    /// How long to wait for a login before giving up.
    pub patience: Duration,
}

impl Common {
    /// The same with habits of the sessions.
    pub fn with(self, habits: Habits) -> Self {
        Self { target: Arc::new(Target { habits, ..Target::clone(&self.target) }), ..self }
    }
}
