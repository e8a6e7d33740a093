//! Publish-subscribe (XEP-0060): personal eventing on accounts (XEP-0163), and services on domains.
//!
//! A service is a plain value. A [`Transaction`] carries out one [`Request`]: it says what it needs to read, is told,
//! and ends with an [`Outcome`], that is what is to be written, what is answered and who is notified. Sockets, the
//! clock, the disk and randomness are the caller's.
//!
//! | file | subject |
//! |---|---|
//! | `request` | what is asked: the IQs of XEP-0060, and what the server asks itself |
//! | `engine` | carrying it out |
//! | `access`, `affiliation` | who may do what |
//! | `node`, `form` | configuration: defaults, limits, data forms |
//! | `notify` | messages about events, and for whom they are |
//! | `roster` | what depends on the owner's roster |
//! | `bookmarks` | the two forms of bookmarks (XEP-0048, XEP-0402) |
//! | `features` | what service discovery tells |
//!
//! On top of it work, without more, avatars (XEP-0084), displayed state (XEP-0490), notification settings (XEP-0492),
//! persistent public and private data (XEP-0222, XEP-0223), and whatever else clients publish.

mod access;
pub mod affiliation;
pub mod bookmarks;
mod engine;
mod error;
mod features;
mod form;
mod limits;
mod markup;
mod node;
mod notify;
mod request;
mod roster;

pub use access::Standing;
pub use engine::{Outcome, Progress, Published, Reply, Requester, Roster, Service, Transaction};
pub use error::{PubsubError, Specific};
pub use features::{ACCOUNT_FEATURES, ACCOUNT_IDENTITY, DOMAIN_FEATURES, DOMAIN_IDENTITY};
pub use form::{Submission, config_result};
pub use limits::PubsubLimits;
pub use node::default_config;
pub use notify::{Audience, Contacts, NodeAudience, Notification, Reach};
pub use request::{NewItem, Request};
pub use roster::{Groups, OneContact, RosterView};

/// What kind of service it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ServiceKind {
    /// An account's own (XEP-0163): the account owns all nodes, its contacts follow them by their presence.
    Account,
    /// One on a domain: nodes have owners, and those follow them who have subscribed.
    Domain,
}

#[cfg(test)]
mod tests;
