//! Stanzas to one session: past its client state (XEP-0352), into what it has not acknowledged (XEP-0198), and into the
//! outbox of its connection. Whatever a session is sent goes this way.

use rondel_shards::{Io, Refused};

use super::roster::now_micros;
use super::{End, Shard};
use crate::account::csi::{Urgency, urgency};
use crate::account::{Direction, SessionKey, StanzaKind, Traits, fate};
use crate::stream::StreamError;
use crate::stream::management::{Fate, Memo, Stored};

/// A stanza that a session is sent, as far as it is not in its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct What {
    /// Its kind and type; of a copy that of the message in it.
    pub kind: StanzaKind,
    /// What is in it, if it is a message; of a copy what is in the message in it.
    pub traits: Traits,
    /// Which copy it is, if it is one (XEP-0280).
    pub copy: Option<Direction>,
    /// Where it is on disk.
    pub stored: Stored,
    /// By which number the account knows the message; see [`Memo::at_us`].
    pub at_us: Option<u64>,
}

impl From<StanzaKind> for What {
    fn from(kind: StanzaKind) -> What {
        What { kind, traits: Traits::NONE, copy: None, stored: Stored::Nowhere, at_us: None }
    }
}

impl What {
    fn memo(&self) -> Memo {
        let fate = if self.copy.is_some() { Fate::Forget } else { fate(self.kind) };
        Memo { fate, stored: self.stored, at_us: self.at_us.unwrap_or_else(now_micros) }
    }
}

impl Shard {
    /// Gives a session a stanza, whatever its presence. Whether it has it now, or will have it: one that does not take
    /// what it is sent ends.
    pub(super) fn give(
        &mut self,
        io: &mut Io<Shard>,
        key: SessionKey,
        what: impl Into<What>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let what = what.into();
        let Some(session) = self.accounts.session_mut(key) else { return false };
        if session.held.is_none() && session.managed.is_none() {
            return match session.connection.map(|connection| io.outbox(connection)) {
                Some(Ok(out)) => {
                    write(out);
                    true
                }
                Some(Err(Refused::Full)) => {
                    self.doomed.push((key, End::Behind));
                    false
                }
                Some(Err(Refused::Gone)) | None => false,
            };
        }
        if let (Some(held), Some(_)) = (&mut session.held, session.connection) {
            let replaces = match urgency(what.kind, what.traits, what.copy) {
                Urgency::Drop(_) => return true,
                Urgency::Hold(_) => Some(false),
                Urgency::Replace(_) => Some(true),
                Urgency::Now(_) => None,
            };
            if let Some(replaces) = replaces {
                let mut stanza = Vec::new();
                write(&mut stanza);
                return held.hold(&self.settings.held, &stanza, replaces, what.memo()).is_ok()
                    || (self.let_out(io, key)
                        && self.put_out(io, key, || what.memo(), |out| out.extend_from_slice(&stanza)));
            }
            if !held.is_empty() && !self.let_out(io, key) {
                return false;
            }
        }
        self.put_out(io, key, || what.memo(), write)
    }

    /// Lets out what waits for an inactive client. Whether there was room for it.
    pub(super) fn let_out(&mut self, io: &mut Io<Shard>, key: SessionKey) -> bool {
        let Some(held) = self.accounts.session_mut(key).and_then(|session| session.held.as_mut()) else { return true };
        let mut held = std::mem::take(&mut **held);
        let mut has_room = true;
        held.flush(|stanza, memo| {
            has_room = has_room && self.put_out(io, key, || memo, |out| out.extend_from_slice(stanza));
        });
        has_room
    }

    fn put_out(
        &mut self,
        io: &mut Io<Shard>,
        key: SessionKey,
        memo: impl FnOnce() -> Memo,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let Some(session) = self.accounts.session_mut(key) else { return false };
        let Some(managed) = &mut session.managed else {
            let Some(out) = self.outbox(io, key) else { return false };
            write(out);
            return true;
        };
        let stanza = match managed.outbound.push(&self.settings.management.outbound, memo(), write) {
            Ok(stanza) => stanza,
            Err(_) => {
                self.doomed.push((key, End::Error(behind())));
                return false;
            }
        };
        if let Some(connection) = session.connection {
            match io.outbox(connection) {
                Ok(out) => out.extend_from_slice(stanza),
                // It has it in what is not acknowledged.
                Err(Refused::Full) => self.doomed.push((key, End::Behind)),
                Err(Refused::Gone) => {}
            }
            self.touch(key);
        }
        true
    }

    /// The outbox of a session's connection, for what is no stanza. One that does not read what it is sent ends.
    pub(super) fn outbox<'io>(&mut self, io: &'io mut Io<Shard>, key: SessionKey) -> Option<&'io mut Vec<u8>> {
        match io.outbox(self.accounts.session(key)?.connection?) {
            Ok(out) => Some(out),
            Err(Refused::Full) => {
                self.doomed.push((key, End::Behind));
                None
            }
            Err(Refused::Gone) => None,
        }
    }
}

/// What a client is told that does not read, or acknowledge, what it is sent.
pub(super) fn behind() -> StreamError {
    StreamError::resource_constraint("too much waits to be read")
}
