//! What rules ask of the server around them, and what they have it do. The server implements it; tests do with less.

use std::net::IpAddr;
use std::task::Poll;

use super::clock::WallClock;
use super::definition::RateSpec;
use super::entries::hash_of;
use super::stanza::Stanza;
use super::syntax::{Bounce, Level, ListId, MarkId, Report, Role};

/// One of the two whom a stanza is between.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// Who has sent it.
    Sender,
    /// Whom it is for.
    Addressee,
}

/// What the addressee of a stanza has to do with its sender.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Acquaintance {
    /// The sender is in the roster, whatever the subscriptions are.
    pub in_roster: bool,
    /// The addressee is subscribed to the sender.
    pub is_subscribed: bool,
    /// The sender has asked for a subscription that is not answered.
    pub is_pending: bool,
    /// The addressee has sent directed presence to the sender.
    pub has_directed: bool,
    /// The addressed session is connected here.
    pub is_connected: bool,
}

/// Where an address is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Location {
    /// The code of the country, of two letters.
    pub country: Option<Box<str>>,
    /// The code of the country, of three letters.
    pub country3: Option<Box<str>>,
    /// The code of the continent, of two letters.
    pub continent: Option<Box<str>>,
}

/// By what events are told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key<'k> {
    /// As text: it says where it is counted.
    pub text: &'k str,
    /// Its hash ([`super::hash_of`]).
    pub hash: u64,
}

impl<'k> Key<'k> {
    /// The key that this text is.
    pub fn of(text: &'k str) -> Key<'k> {
        Key { text, hash: hash_of(text.as_bytes()) }
    }
}

/// Something that a rule does beyond its own script.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect<'e> {
    /// The origin gets an error.
    Bounce(&'e Bounce),
    /// A copy goes to this address, from the same sender.
    Copy(&'e str),
    /// The same, instead of the stanza.
    Redirect(&'e str),
    /// The origin gets an answer with these words.
    Reply(&'e str),
    /// The server sends the stanza in a message to this address.
    Forward(&'e str),
    /// The same, with a report.
    Report(&'e Report),
    /// A line for the log.
    Log(Level, &'e str),
    /// The origin is marked, or no longer.
    MarkOrigin(MarkId, bool),
    /// The account of the origin is marked, or no longer.
    MarkUser(MarkId, bool),
    /// A text is added to a list.
    AddTo(ListId, &'e str),
    /// The sender is no longer subscribed to the addressee.
    UnsubscribeSender,
}

/// What those see who follow a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trace<'t> {
    /// A chain is run: its script and its name.
    Chain(&'t str, &'t str),
    /// A rule begins, in this line.
    Rule(u32),
    /// A condition holds, or does not.
    Condition(&'t str, bool),
    /// An action is taken.
    Action(&'t str),
    /// The run is called this.
    Tag(&'t str),
}

/// The server around a run. Whatever may have to be waited for is asked again once it is known.
pub trait World {
    /// The time in milliseconds since 1970.
    fn now_ms(&self) -> u64;

    /// What the clock on the wall shows.
    fn clock(&self) -> WallClock;

    /// Whether a domain is served here.
    fn serves(&self, domain: &str) -> bool;

    /// What the addressee has to do with the sender.
    fn acquaintance(&mut self, stanza: &Stanza<'_>) -> Poll<Acquaintance>;

    /// Whether the addressee has the sender in this group of the roster.
    fn in_roster_group(&mut self, stanza: &Stanza<'_>, group: &str) -> Poll<bool>;

    /// The role of one side, if it has an account here.
    fn role(&mut self, stanza: &Stanza<'_>, side: Side) -> Poll<Option<Role>>;

    /// Whether an address is in a group of people.
    fn in_group(&self, bare: &str, group: &str) -> bool;

    /// Where an address is, if anybody knows.
    fn location(&self, address: IpAddr) -> Location;

    /// Counts one event in the bucket of this id, or in its table under this key. Whether there have been too many.
    fn is_over(&mut self, id: u64, spec: &RateSpec, key: Option<Key<'_>>) -> Poll<bool>;

    /// Since when the origin bears a mark, in milliseconds since 1970.
    fn origin_marked(&self, mark: MarkId) -> Option<u64>;

    /// The same of the account of the origin.
    fn user_marked(&mut self, mark: MarkId) -> Poll<Option<u64>>;

    /// Whether a text, of which this is the hash, is in a list. Filters have been applied.
    fn is_listed(&self, list: ListId, text: &str, hash: u64) -> bool;

    /// Whether a text of this hash may be in any list at all, as it is looked for.
    fn may_be_listed(&self, _hash: u64) -> bool {
        true
    }

    /// Does something.
    fn effect(&mut self, stanza: &Stanza<'_>, effect: Effect<'_>);

    /// A rule has held: by its number.
    fn hit(&mut self, rule: usize);

    /// Something was too dear for this stanza, and has not matched.
    fn overspent(&mut self, _stanza: &Stanza<'_>) {}

    /// Whether somebody follows the runs of a script.
    fn is_followed(&self) -> bool {
        false
    }

    /// Something has happened, for those who follow.
    fn follow(&mut self, _step: Trace<'_>) {}
}
