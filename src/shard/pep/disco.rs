//! What an account is, and which nodes it has (XEP-0030, XEP-0163 §6): for its own clients, and for contacts; to others
//! it does not show that there is such an account, but for nodes that are open to them.

use rondel_shards::Io;
use rondel_storage::Owner;

use super::super::stream::Stream;
use super::super::task::{Asker, Step};
use super::super::{Shard, now_s};
use crate::pubsub::Request;
use crate::service::user_commands::Rights;
use crate::service::{self, Action, Addressee, Answer, Context};
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// What is asked about nodes. `None`: what the account itself is, which is no matter of nodes.
fn about_nodes(action: Action, query: &Element) -> Option<Request> {
    let node = query.attribute("node").filter(|node| !node.is_empty());
    match (action, query.namespace.as_str(), node) {
        (Action::Get, ns::DISCO_ITEMS, node) => Some(Request::DiscoItems { node: node.map(str::to_owned) }),
        (Action::Get, ns::DISCO_INFO, Some(node)) => Some(Request::DiscoInfo { node: node.to_owned() }),
        _ => None,
    }
}

/// Whether this is service discovery.
pub(in crate::shard) fn is_disco(payload: &Element) -> bool {
    payload.name == "query" && [ns::DISCO_INFO, ns::DISCO_ITEMS].contains(&payload.namespace.as_str())
}

impl Shard {
    /// Service discovery of a session at its own account.
    pub(in crate::shard) fn own_disco(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: Asker,
        action: Action,
        query: &Element,
    ) {
        let is_anonymous = self.settings.is_anonymous(asker.address.bare());
        match about_nodes(action, query).filter(|_| !is_anonymous) {
            Some(request) => self.own_request(io, stream, asker, request),
            None => {
                let answer = service::answer(action, query, &self.account_context(asker.address.bare()));
                self.run_request(io, stream, asker, Step::Answer(answer));
            }
        }
    }

    /// What an answer about an account depends on.
    fn account_context<'a>(&self, account: &'a str) -> Context<'a> {
        Context {
            addressee: Addressee::OwnAccount,
            address: account,
            anonymous: self.settings.is_anonymous(account),
            archive: self.settings.archive.is_some(),
            rights: Rights::default(),
            server_info: &[],
            now_s: now_s(),
            up_s: self.settings.started.elapsed().as_secs(),
        }
    }

    /// Service discovery of somebody else at an account.
    pub(in crate::shard) fn disco_asked(
        &mut self,
        io: &mut Io<Shard>,
        owner: Owner,
        asker: Asker,
        action: Action,
        query: &Element,
    ) {
        if let Some(request) = about_nodes(action, query) {
            return self.others_request(io, owner, asker, Ok(request));
        }
        let account = owner.to_string();
        let answer = match self.has_presence(&account, asker.address.bare()) {
            true => service::answer(action, query, &self.account_context(&account)),
            false => Answer::Refused(Refusal::service_unavailable()),
        };
        self.run_for(io, asker, Step::Answer(answer));
    }
}
