//! Personal eventing (XEP-0163): what accounts publish, and who hears of it. What requests mean, and who may follow
//! what, is decided in [`crate::pubsub`]; here it is read, written and sent.
//!
//! | file | subject |
//! |---|---|
//! | `requests` | the IQs of XEP-0060, for the account's own clients and for others |
//! | `disco` | what an account is, and which nodes it has (XEP-0030) |
//! | `transaction` | carrying one request out |
//! | `notify` | events on their way to those who follow a node |
//! | `caps` | what clients want to be notified of (XEP-0115) |
//! | `arrivals` | the newest items for resources that come online |
//! | `avatars` | photos in vCards and avatars in nodes, kept alike (XEP-0398) |
//! | `bookmarks` | bookmarks in private data (XEP-0048) |

mod arrivals;
mod avatars;
mod bookmarks;
mod caps;
mod disco;
mod notify;
mod requests;
mod transaction;

pub use arrivals::Question;
pub use notify::Event;

pub(super) use bookmarks::concerns_bookmarks;
pub(super) use disco::is_disco;
pub(super) use requests::is_pubsub;

use arrivals::Arrivals;
use caps::Capabilities;

/// What a shard keeps for it.
#[derive(Default)]
pub(super) struct Pep {
    capabilities: Capabilities,
    arrivals: Arrivals,
}
