//! What the sessions of a worker have to send: gathered while a batch of events is handled, written once after it.

/// The place of a session within its worker.
pub type Slot = usize;

/// The bytes to send, per session.
#[derive(Debug, Default)]
pub struct Outbox {
    sessions: Vec<Outgoing>,
    dirty: Vec<Slot>,
}

/// The bytes of one session.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// From `from` on these are still to be written.
    pub bytes: Vec<u8>,
    /// See `bytes`.
    pub from: usize,
    /// Listed for the next flush.
    dirty: bool,
    /// The stream is to be closed once everything has left.
    pub closing: bool,
}

impl Outbox {
    /// The buffer of a session, to be appended to.
    pub fn of(&mut self, slot: Slot) -> &mut Vec<u8> {
        self.touch(slot);
        &mut self.sessions[slot].bytes
    }

    /// Ends the stream of a session.
    pub fn close(&mut self, slot: Slot) {
        self.touch(slot);
        self.sessions[slot].closing = true;
        self.sessions[slot].bytes.extend_from_slice(b"</stream:stream>");
    }

    /// Lists a session for the next flush although it has nothing new.
    pub fn touch(&mut self, slot: Slot) {
        if slot >= self.sessions.len() {
            self.sessions.resize_with(slot + 1, Outgoing::default);
        }
        if !std::mem::replace(&mut self.sessions[slot].dirty, true) {
            self.dirty.push(slot);
        }
    }

    /// A session that must be flushed, taken off the list.
    pub fn next_dirty(&mut self) -> Option<Slot> {
        let slot = self.dirty.pop()?;
        self.sessions[slot].dirty = false;
        Some(slot)
    }

    /// What is to be written for a session.
    pub fn outgoing(&mut self, slot: Slot) -> Option<&mut Outgoing> {
        self.sessions.get_mut(slot)
    }

    /// Forgets what a session had to send.
    pub fn clear(&mut self, slot: Slot) {
        if let Some(session) = self.sessions.get_mut(slot) {
            *session = Outgoing { dirty: session.dirty, ..Outgoing::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_listed_once_however_often_it_writes() {
        let mut outbox = Outbox::default();
        outbox.of(3).extend_from_slice(b"a");
        outbox.of(3).extend_from_slice(b"b");
        outbox.close(3);
        assert_eq!(outbox.next_dirty(), Some(3));
        assert_eq!(outbox.next_dirty(), None);
        let outgoing = outbox.outgoing(3).unwrap();
        assert_eq!((outgoing.bytes.as_slice(), outgoing.closing), (&b"ab</stream:stream>"[..], true));
        outbox.clear(3);
        assert!(outbox.of(3).is_empty());
    }
}
