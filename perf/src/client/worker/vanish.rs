//! Sessions that vanish, as those of phones in a tunnel do, and that come back: the server hears nothing, neither that
//! they go nor what of its own has not arrived, until each resumes its session from a new connection (XEP-0198 §5).

use std::sync::atomic::Ordering::Relaxed;

use super::super::link::{Link, Stage};
use super::super::outbox::Slot;
use super::super::transport::Transport;
use super::{Load, Worker};
use crate::xmpp::management::{Former, Management};

/// What is left of a session that has vanished.
pub struct Gone {
    /// Its place, which it takes again.
    pub slot: Slot,
    /// Its number among all of the run.
    pub ordinal: u64,
    /// What resumes it.
    pub former: Former,
    /// The server may still believe in this connection.
    transport: Transport,
}

impl<L: Load> Worker<L> {
    /// Makes the sessions vanish that the load says, together with what has arrived and was not read yet.
    pub(super) fn vanish(&mut self) {
        self.load.vanishing(&mut self.outbox);
        for slot in 0..self.links.len() {
            let bound = matches!(self.links[slot], Some(Link { stage: Stage::Bound, .. }));
            if !bound || !self.load.vanishes(slot) {
                continue;
            }
            let Some(link) = self.links[slot].take() else { continue };
            self.live -= 1;
            if let Err(error) = self.lose(slot, link) {
                self.board.fail(format!("session {slot} cannot vanish: {error}"));
                return;
            }
        }
        self.board.gone.fetch_add(self.gone.len() as u64, Relaxed);
    }

    fn lose(&mut self, slot: Slot, link: Link) -> Result<(), String> {
        let Link { mut transport, ordinal, management, .. } = link;
        transport.vanish().map_err(|error| error.to_string())?;
        self.poll.registry().deregister(transport.stream()).map_err(|error| error.to_string())?;
        let former = management.as_ref().and_then(Management::former);
        let former = former.ok_or("the server does not permit to resume it")?;
        self.outbox.clear(slot);
        self.gone.push_back(Box::new(Gone { slot, ordinal, former, transport }));
        Ok(())
    }

    /// The server has resumed a session, having handled so many of the client's stanzas.
    pub(super) fn resume(&mut self, slot: Slot, acknowledged: u32) -> Result<(), String> {
        let now_ns = self.now_ns();
        let Some(link) = self.links[slot].as_mut() else { return Ok(()) };
        let gone = link.gone.take().ok_or("the server resumed a session that nobody asked for")?;
        let Gone { former, transport, .. } = *gone;
        // Only now: the segments that it does not answer any more must go nowhere, rather than to a closed port.
        transport.abandon();
        link.management = Some(Management::resumed(former, acknowledged));
        link.stage = Stage::Bound;
        let took_ns = now_ns - link.began_ns;
        self.pace.settled();
        self.board.resumed.fetch_add(1, Relaxed);
        self.load.resumed(slot, took_ns, &mut self.outbox);
        Ok(())
    }
}
