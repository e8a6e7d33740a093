//! The firewall: scripts in the language of Prosody's `mod_firewall` say what may pass, and what becomes of the rest.
//!
//! What lives here: reading scripts ([`Rules::load`]), putting them together, and running them on one stanza ([`Run`]),
//! as plain values in and out; lists and counts as the values that they are. What may not: sockets, clocks, storage,
//! who asks whom for what. A run asks a [`World`] for what it needs, and stops where that has to be waited for.

mod action;
mod address;
mod beginning;
mod blocks;
mod budget;
mod clock;
mod condition;
mod definition;
mod entries;
mod escape;
mod filter;
mod groups;
mod lines;
mod lists;
mod loaded;
mod mistake;
mod names;
mod parser;
mod path;
mod pattern;
mod pattern_syntax;
mod places;
mod polling;
mod program;
mod run;
mod running;
mod shared_bucket;
mod sieve;
mod stanza;
mod syntax;
mod tables;
mod template;
mod test;
#[cfg(test)]
mod tests;
mod touches;
mod transcript;
mod trial;
mod world;

use std::borrow::Cow;

pub use budget::Budget;
pub use clock::WallClock;
pub use definition::{Backend, ListSpec, MEMORY_ENTRIES, RateSpec, WebList};
pub use entries::{Entries, hash_of};
pub use groups::Groups;
pub use lists::{List, Lists};
pub use loaded::{Beside, Loaded};
pub use mistake::{Mistake, ScriptError, Warning};
pub use pattern::{Pattern, PatternError};
pub use places::Places;
pub use polling::{Looked, Polling};
pub use program::{Bucket, Rules};
pub use run::{Outcome, Run};
pub use running::{RuleHits, Running};
pub use sieve::Sieve;
pub use stanza::Stanza;
pub use syntax::{Action, Bounce, Level, ListId, MarkId, Report, Role};
pub use tables::Tables;
pub use template::Origin;
pub use transcript::Transcript;
pub use trial::{NoStanza, Surroundings, Trial, Tried};
pub use world::{Acquaintance, Effect, Key, Location, Side, Trace, World};

/// The names of the chains that hang on hooks, in the order of [`Hook`].
pub const HOOKS: [&str; 3] = ["preroute", "deliver", "deliver_remote"];

/// Where chains hang on a stanza's way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hook {
    /// Before it is known where a client's stanza goes.
    Preroute,
    /// Where it has come to an address of this server.
    Deliver,
    /// Before it leaves for another server.
    DeliverRemote,
}

/// What of the things that scripts may ask for is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources {
    /// Groups of people.
    pub groups: bool,
    /// Where addresses are.
    pub countries: bool,
}

/// What a list looks for, or adds, of a text: its filters have been applied; and what makes a digest of it, if it is
/// looked for.
pub fn list_key<'a>(spec: &ListSpec, text: Cow<'a, str>, is_looked_for: bool) -> Cow<'a, str> {
    let text = spec.filters.iter().fold(text, |text, filter| filter.apply(text));
    match &spec.backend {
        Backend::Web(web) if is_looked_for => match web.hash {
            Some(digest) => Cow::Owned(digest.of(text.as_bytes())),
            None => text,
        },
        _ => text,
    }
}
