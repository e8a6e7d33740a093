//! What clients want to be notified of, by what their presence advertises (XEP-0115): looked up, or asked of the
//! client, verified, and remembered for all who advertise the same.

use std::sync::Arc;
use std::time::Duration;

use rondel_shards::Io;

use super::super::stream::Stream;
use super::super::{Shard, TIMER_CAPABILITIES};
use crate::account::caps::{Caps, CapsCache, CapsLimits, Due, Lookup, Queries};
use crate::account::{Address, Interests, IqType, SessionKey, StanzaKind};
use crate::jid::Jid;
use crate::random;
use crate::xml::{Element, Frame, escape, namespaces as ns};

/// Clients of one shard that are being asked at once.
const ASKED_MAX: usize = 4096;

/// How long a client has to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a shard knows of clients' capabilities.
pub(in crate::shard) struct Capabilities {
    cache: CapsCache,
    queries: Queries<SessionKey>,
    is_timer_set: bool,
}

impl Default for Capabilities {
    fn default() -> Capabilities {
        Capabilities {
            cache: CapsCache::new(CapsLimits::default()),
            queries: Queries::new(ASKED_MAX, PATIENCE.as_millis() as u64),
            is_timer_set: false,
        }
    }
}

impl Shard {
    /// An available presence of a session, which was not available before if `is_new`.
    pub(in crate::shard) fn advertises(
        &mut self,
        io: &mut Io<Shard>,
        key: SessionKey,
        frame: &Frame<'_>,
        is_new: bool,
    ) {
        let caps = read(frame);
        let Some(session) = self.accounts.session_mut(key) else { return };
        match (session.advertised.on_presence(caps.as_ref(), is_new), caps) {
            (Due::Nothing, _) | (Due::Lookup, None) => {}
            (Due::Items(interests), _) => self.send_newest(io, key, &interests),
            (Due::Lookup, Some(caps)) => self.look_up_caps(io, key, caps),
        }
    }

    fn look_up_caps(&mut self, io: &mut Io<Shard>, key: SessionKey, caps: Caps) {
        let Some(session) = self.accounts.session(key) else { return };
        match self.pep.capabilities.cache.lookup(&caps, session.address.as_str()) {
            Lookup::Known(interests) => self.wants(io, key, &caps, &interests),
            Lookup::Ask => self.ask_client(io, key, caps),
            Lookup::Waiting => {}
        }
    }

    /// Asks a client what it advertises, if that is possible.
    fn ask_client(&mut self, io: &mut Io<Shard>, key: SessionKey, caps: Caps) {
        let Some(address) = self.accounts.session(key).map(|session| Arc::clone(&session.address)) else { return };
        match self.pep.capabilities.queries.has_room(key) {
            true => {
                if let Some(before) = self.send_query(io, key, &address, caps) {
                    self.unanswered(io, before, address.as_str());
                }
            }
            false => self.unanswered(io, caps, address.as_str()),
        }
    }

    /// Asks a client what the hash that it advertises stands for (XEP-0115 §6.2). Returns what it was asked about
    /// before and has not answered.
    fn send_query(&mut self, io: &mut Io<Shard>, key: SessionKey, address: &Address, caps: Caps) -> Option<Caps> {
        let id = format!("caps-{}", random::name());
        let mut query = format!("<iq type='get' id='{id}' from='").into_bytes();
        escape::attribute(&mut query, address.bare());
        query.extend_from_slice(b"' to='");
        query.extend_from_slice(address.escaped().as_bytes());
        query.extend_from_slice(b"'>");
        let node = caps.query_node();
        Element::new("query", ns::DISCO_INFO).with_attribute("node", &node).write_to(&mut query, ns::CLIENT);
        query.extend_from_slice(b"</iq>");
        let before = self.pep.capabilities.queries.ask(key, &id, caps.clone(), io.now_ms());
        self.set_caps_timer(io);
        self.give(io, key, StanzaKind::Iq(IqType::Get), |out| out.extend_from_slice(&query));
        before.filter(|before| *before != caps)
    }

    /// Who was asked has not answered: somebody else who advertises the same is asked.
    fn unanswered(&mut self, io: &mut Io<Shard>, caps: Caps, address: &str) {
        if let Some(next) = self.pep.capabilities.cache.failed(&caps, address) {
            self.ask_waiting(io, caps, next);
        }
    }

    /// Asks a resource that has waited for the answer of another one; if it has gone, one that has waited, too.
    fn ask_waiting(&mut self, io: &mut Io<Shard>, caps: Caps, address: Box<str>) {
        let mut next = Some((caps, address));
        while let Some((caps, waiting)) = next.take() {
            let session = self.session_of(&waiting).and_then(|key| Some((key, self.accounts.session(key)?)));
            let asked = session
                .filter(|(key, session)| session.advertised.is(&caps) && self.pep.capabilities.queries.has_room(*key));
            let unanswered = match asked.map(|(key, session)| (key, Arc::clone(&session.address))) {
                Some((key, address)) => self.send_query(io, key, &address, caps),
                None => Some(caps),
            };
            next = unanswered.and_then(|caps| {
                let after = self.pep.capabilities.cache.failed(&caps, &waiting)?;
                Some((caps, after))
            });
        }
    }

    /// An answer of a session to the server. It may be one to the question above.
    pub(in crate::shard) fn client_answers(&mut self, io: &mut Io<Shard>, stream: &Stream, frame: &Frame<'_>) {
        let (Some(session), Some(id)) = (stream.session(), frame.id()) else { return };
        let (key, address) = (session.key, Arc::clone(&session.address));
        let Some(caps) = self.pep.capabilities.queries.answered(key, &id.decoded()) else { return };
        let is_result = frame.kind_attr().is_some_and(|kind| kind.is("result"));
        let answer = if is_result { frame.to_element().ok() } else { None };
        let Some(query) = answer.as_ref().and_then(|answer| answer.child("query", ns::DISCO_INFO)) else {
            return self.unanswered(io, caps, address.as_str());
        };
        let answered = self.pep.capabilities.cache.answered(&caps, address.as_str(), query);
        self.wants(io, key, &caps, &answered.interests);
        for waiting in &answered.waiting {
            if let Some(key) = self.session_of(waiting) {
                self.wants(io, key, &caps, &answered.interests);
            }
        }
        if let Some(next) = answered.ask {
            self.ask_waiting(io, caps, next);
        }
    }

    /// It is known what a session wants to hear of, if it still advertises that.
    fn wants(&mut self, io: &mut Io<Shard>, key: SessionKey, caps: &Caps, interests: &Arc<Interests>) {
        let Some(session) = self.accounts.session_mut(key).filter(|session| session.advertised.is(caps)) else {
            return;
        };
        let new = session.advertised.learn(Arc::clone(interests));
        self.send_newest(io, key, &new);
    }

    fn session_of(&self, address: &str) -> Option<SessionKey> {
        let jid = Jid::parse(address).ok()?;
        let mut sessions = self.accounts.sessions(jid.bare());
        sessions.find(|(_, session)| session.address.as_str() == address).map(|(key, _)| key)
    }

    /// A session has ended.
    pub(in crate::shard) fn stops_advertising(&mut self, io: &mut Io<Shard>, key: SessionKey, address: &str) {
        if let Some(caps) = self.pep.capabilities.queries.gone(key) {
            self.unanswered(io, caps, address);
        }
    }

    fn set_caps_timer(&mut self, io: &mut Io<Shard>) {
        let capabilities = &mut self.pep.capabilities;
        if !capabilities.queries.is_empty() && !std::mem::replace(&mut capabilities.is_timer_set, true) {
            io.schedule(PATIENCE, TIMER_CAPABILITIES);
        }
    }

    /// Some time has passed: who has not answered by now is not waited for.
    pub(in crate::shard) fn give_up_on_clients(&mut self, io: &mut Io<Shard>) {
        self.pep.capabilities.is_timer_set = false;
        // A session whose connection is gone answers when its client has come back.
        let is_away = |key| self.accounts.session(key).is_some_and(|session| session.connection.is_none());
        for (key, caps) in self.pep.capabilities.queries.expired(io.now_ms(), is_away) {
            if let Some(address) = self.accounts.session(key).map(|session| Arc::clone(&session.address)) {
                self.unanswered(io, caps, address.as_str());
            }
        }
        self.set_caps_timer(io);
    }
}

/// What a presence says about the client's capabilities.
fn read(frame: &Frame<'_>) -> Option<Caps> {
    frame.children().find(|child| child.name() == "c" && child.namespace() == ns::CAPABILITIES)?;
    let presence = frame.to_element().ok()?;
    Caps::read(presence.child("c", ns::CAPABILITIES)?)
}
