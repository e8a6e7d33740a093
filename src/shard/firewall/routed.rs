//! What has come to the home of its addressee, and what the server sends in the name of a session, on its way through
//! rules.

use std::borrow::Cow;
use std::sync::Arc;

use rondel_shards::Io;

use super::kind_of;
use super::passage::{Beginning, Ended, Whose};
use crate::account::{Address, Bearer, StanzaKind, Traits};
use crate::firewall::{Hook, Stanza};
use crate::home::home;
use crate::jid::Jid;
use crate::shard::Shard;
use crate::shard::deliver::{self, traits_of};
use crate::shard::message::{Routed, Sender};
use crate::shard::task::{Step, Task};
use crate::stream::Refusal;
use crate::xml::{attributes, namespaces as ns};

/// What is to be done with a stanza.
enum Next {
    /// It goes on, with these bytes if there are any.
    Passes(Option<Vec<u8>>),
    Refused,
    Gone,
}

impl Next {
    fn of(hook: Hook, ended: Ended<'_>) -> Next {
        match ended {
            Ended::Default(_) if hook == Hook::Deliver => Next::Refused,
            Ended::Passes(stanza) | Ended::Default(stanza) => Next::Passes(stanza.changed().map(<[u8]>::to_vec)),
            Ended::Consumed => Next::Gone,
        }
    }
}

impl Shard {
    /// A stanza for an account that is in memory passes the rules that there are for it, and is delivered.
    pub(in crate::shard) fn filter_arrival(&mut self, io: &mut Io<Shard>, routed: Routed) {
        // Whoever is blocked is not heard, whatever rules say.
        let is_blocked = self.accounts.account(routed.bare()).is_some_and(|account| {
            let from = Jid::parse(routed.from().as_str());
            from.is_ok_and(|from| deliver::is_blocked(account, routed.bare(), &from))
        });
        if is_blocked {
            return self.deliver_routed(io, routed.passed());
        }
        if !self.tasks.is_busy(routed.bare()) || self.tasks.is_full(routed.bare()) {
            return self.judge_arrival(io, routed);
        }
        // What it follows from may be on its way to the disk: that somebody is no stranger any more.
        let account = routed.bare().to_owned();
        self.queue(io, &account, Task::default(), move |shard, io, _| {
            shard.judge_arrival(io, routed);
            Step::Done
        });
    }

    fn judge_arrival(&mut self, io: &mut Io<Shard>, routed: Routed) {
        if let Some(routed) = self.behind_others(io, routed) {
            self.filter_routed(io, Hook::Deliver, routed);
        }
    }

    /// A presence stanza that the server sends in the name of a session goes to a contact.
    pub(in crate::shard) fn send_filtered(
        &mut self,
        io: &mut Io<Shard>,
        kind: StanzaKind,
        from: &Address,
        to: &Jid<'_>,
        stanza: &[u8],
    ) {
        if !self.settings.serves(to.domain()) {
            return;
        }
        let sender = Sender::session(from);
        let write = |out: &mut Vec<u8>| out.extend_from_slice(stanza);
        let mut routed = Routed::new(kind, Traits::NONE, sender, to, stanza.len(), write);
        routed.bearer = self.bearer_of(io, sender);
        match self.is_filtered(Hook::Preroute, routed.kind) {
            true => self.filter_routed(io, Hook::Preroute, routed),
            false => self.dispatch(io, routed),
        }
    }

    fn filter_routed(&mut self, io: &mut Io<Shard>, hook: Hook, routed: Routed) {
        let bearer = routed.bearer.clone().or_else(|| self.bearer_of(io, routed.from()));
        let [kind] = attributes(routed.stanza(), ["type"]);
        let (from, to) = (routed.from(), Some(routed.to()).filter(|to| *to != routed.from().bare()));
        let stanza = Stanza::new(
            kind_of(routed.kind),
            routed.stanza(),
            ns::CLIENT,
            Some(from.as_str()),
            to,
            kind.map(Cow::Owned),
        );
        let beginning = Beginning { hook, stanza, bearer, generation: routed.generation };
        match self.begin_passage(io, beginning).map(|ended| Next::of(hook, ended)) {
            Ok(next) => self.go_on_routed(io, hook, routed, next),
            Err(halted) => {
                if hook == Hook::Deliver {
                    self.lanes.close(routed.bare());
                }
                self.await_answer(io, halted, Whose::Routed(routed));
            }
        }
    }

    /// Rules had to wait and have had their say about a stanza.
    pub(super) fn routed_goes_on(&mut self, io: &mut Io<Shard>, hook: Hook, routed: Routed, ended: Ended<'_>) {
        let account = routed.bare().to_owned();
        self.go_on_routed(io, hook, routed, Next::of(hook, ended));
        if hook == Hook::Deliver {
            self.open_lane(io, &account);
        }
    }

    fn go_on_routed(&mut self, io: &mut Io<Shard>, hook: Hook, routed: Routed, next: Next) {
        let routed = match next {
            Next::Passes(None) => routed,
            Next::Passes(Some(bytes)) => match replaced(&routed, &bytes) {
                Some(changed) => changed,
                None => return,
            },
            Next::Refused => return self.bounce(io, &routed, &Refusal::service_unavailable()),
            Next::Gone => {
                let (kind, from) = (routed.kind, routed.from().as_str());
                return self.trace(kind, from, routed.to(), |_| "kept by the firewall's rules".into());
            }
        };
        match hook {
            // It may have left memory meanwhile.
            Hook::Deliver => self.arrive(io, routed.passed()),
            Hook::Preroute | Hook::DeliverRemote => self.dispatch(io, routed),
        }
    }

    /// The session that has sent something, if it is one of this shard.
    fn bearer_of(&mut self, io: &Io<Shard>, from: Sender<'_>) -> Option<Arc<Bearer>> {
        if home(from.bare(), io.shards()) != io.shard() {
            return None;
        }
        let mut sessions = self.accounts.sessions(from.bare());
        let key = sessions.find(|(_, session)| session.address.as_str() == from.as_str()).map(|(key, _)| key);
        drop(sessions);
        let key = key?;
        self.bearer(io, key)
    }

    /// The same, for a stanza that leaves for another shard, if rules look at it there.
    pub(in crate::shard) fn bearer_to_send(
        &mut self,
        io: &Io<Shard>,
        kind: StanzaKind,
        from: Sender<'_>,
    ) -> Option<Arc<Bearer>> {
        if self.is_filtered(Hook::Deliver, kind) { self.bearer_of(io, from) } else { None }
    }
}

/// The same stanza with these bytes.
fn replaced(routed: &Routed, bytes: &[u8]) -> Option<Routed> {
    let to = Jid::parse(routed.to()).ok()?;
    let traits = match routed.kind {
        StanzaKind::Message(_) => traits_of(routed.kind, bytes),
        _ => routed.traits,
    };
    let write = |out: &mut Vec<u8>| out.extend_from_slice(bytes);
    let mut changed = Routed::new(routed.kind, traits, routed.from(), &to, bytes.len(), write);
    (changed.bearer, changed.generation) = (routed.bearer.clone(), routed.generation);
    Some(changed)
}
