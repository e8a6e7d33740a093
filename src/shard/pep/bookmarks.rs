//! Bookmarks in private data (XEP-0048, XEP-0049): they are those of XEP-0402, shown in the older form.

use std::sync::Arc;

use rondel_shards::Io;
use rondel_storage::Owner;

use super::super::Shard;
use super::super::kept::private_data;
use super::super::stream::Stream;
use super::super::task::{Asker, Step, Task};
use super::transaction::{Then, answer};
use crate::account::private;
use crate::pubsub::{Outcome, Reply, Request};
use crate::service::Answer;
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// Whether bookmarks are among what a request is about.
pub(in crate::shard) fn concerns_bookmarks(request: &private::Request) -> bool {
    match request {
        private::Request::Get(name) => is_storage(name),
        private::Request::Set(items) => items.iter().any(|(name, _)| is_storage(name)),
    }
}

fn is_storage((namespace, name): &(String, String)) -> bool {
    (namespace.as_str(), name.as_str()) == (ns::LEGACY_BOOKMARKS, "storage")
}

impl Shard {
    /// A request of a session for private data in which bookmarks are, of which `query` is the payload.
    pub(in crate::shard) fn bookmarks_request(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: Asker,
        owner: Owner,
        request: private::Request,
        query: &Element,
    ) {
        let storage = query.child("storage", ns::LEGACY_BOOKMARKS).cloned();
        let (request, then): (Request, Then) = match request {
            private::Request::Get(_) => (Request::LegacyBookmarks, Box::new(show)),
            private::Request::Set(mut items) => {
                items.retain(|(name, _)| !is_storage(name));
                let storage = storage.unwrap_or_else(|| Element::new("storage", ns::LEGACY_BOOKMARKS));
                let request = Request::SetLegacyBookmarks { storage };
                let owner = owner.clone();
                (request, Box::new(move |_, _, _, outcome| keep_others(owner, items, outcome)))
            }
        };
        self.queue_request(io, stream, asker, move |shard, io, task: &Task| {
            let Some(requester) = task.asker.as_ref().and_then(|asker| shard.requester(asker)) else {
                return Step::refuse(Refusal::internal_server_error());
            };
            let run = shard.run_of(&owner, requester, request);
            shard.transact(io, task, run, then)
        });
    }
}

fn show(_: &mut Shard, _: &mut Io<Shard>, _: &Task, outcome: &Outcome) -> Step {
    match &outcome.reply {
        Reply::Result(storage) => {
            let open = format!("<query xmlns='{}'>", private::NAMESPACE);
            Step::Answer(Answer::Payload([open.as_bytes(), storage, b"</query>"].concat()))
        }
        Reply::Error(..) => Step::Answer(answer(&outcome.reply)),
    }
}

/// The bookmarks are kept; the rest of the request is private data like any.
fn keep_others(owner: Owner, items: PrivateItems, outcome: &Outcome) -> Step {
    match &outcome.reply {
        Reply::Result(_) if items.is_empty() => Step::Answer(Answer::Result(None)),
        Reply::Result(_) => private_data(owner, Arc::new(private::Request::Set(items))),
        Reply::Error(..) => Step::Answer(answer(&outcome.reply)),
    }
}

type PrivateItems = Vec<(rondel_storage::private::Name, Option<rondel_storage::private::Item>)>;
