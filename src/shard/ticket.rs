//! Tickets: that a stanza of a session with stream management has led to something that is not on disk yet (XEP-0198,
//! durable acknowledgement). Whoever has to wait for the storage on a stanza's behalf holds its ticket; when the last
//! holder is through, it goes back to the session, whose acknowledgements cover the stanza from then on.
//!
//! Holding is dropping's opposite: a ticket goes back when it is dropped, whichever way that comes about.

use std::cell::RefCell;
use std::rc::Rc;

use rondel_shards::Io;

use super::Shard;
use super::message::Message;
use crate::account::SessionKey;

/// A stanza, by the session that has sent it: it travels between shards, and has to be made a [`Ticket`] of where it
/// arrives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TicketId {
    session: SessionKey,
    sequence: u32,
    shard: u16,
}

/// Tickets that go back to a shard: sessions, and the numbers of their stanzas.
pub type Settled = Vec<(SessionKey, u32)>;

/// A ticket that is out. Clones are the same ticket.
#[derive(Clone)]
pub(super) struct Ticket(Rc<Out>);

struct Out {
    id: TicketId,
    returned: Returned,
}

type Returned = Rc<RefCell<Vec<TicketId>>>;

impl Drop for Out {
    fn drop(&mut self) {
        self.returned.borrow_mut().push(self.id);
    }
}

/// On whose behalf the shard does what it does just now.
#[derive(Default)]
pub(super) enum Behalf {
    /// Nobody's who would have to know.
    #[default]
    Nobody,
    /// On a stanza's of a session here, for which nothing had to wait so far.
    Stanza(SessionKey, u32),
    /// On a stanza's that has a ticket out.
    Ticket(Ticket),
}

impl Behalf {
    /// The same again.
    pub fn of(ticket: Option<Ticket>) -> Behalf {
        ticket.map_or(Behalf::Nobody, Behalf::Ticket)
    }
}

/// A shard's view of tickets.
#[derive(Default)]
pub(super) struct Tickets {
    behalf: Behalf,
    returned: Returned,
}

impl Tickets {
    /// Whether tickets have come back that are to be sent on.
    pub fn have_returned(&self) -> bool {
        !self.returned.borrow().is_empty()
    }
}

impl Shard {
    /// Does something on somebody's behalf.
    pub(super) fn on_behalf<R>(&mut self, behalf: Behalf, run: impl FnOnce(&mut Shard) -> R) -> R {
        let before = std::mem::replace(&mut self.tickets.behalf, behalf);
        let result = run(self);
        self.tickets.behalf = before;
        result
    }

    /// From now on until [`Shard::on_behalf`] or the next call nothing else is on anybody's behalf: for the edges.
    pub(super) fn begin_behalf(&mut self, behalf: Behalf) {
        self.tickets.behalf = behalf;
    }

    /// A ticket of the stanza on whose behalf this happens, to be held until what it has led to is on disk. None if
    /// nobody waits for it.
    pub(super) fn ticket(&mut self, io: &Io<Shard>) -> Option<Ticket> {
        let (session, sequence) = match &self.tickets.behalf {
            Behalf::Nobody => return None,
            Behalf::Ticket(ticket) => return Some(ticket.clone()),
            Behalf::Stanza(session, sequence) => (*session, *sequence),
        };
        self.hold(session, sequence)?;
        let id = TicketId { session, sequence, shard: io.shard() as u16 };
        let ticket = self.adopt(id);
        self.tickets.behalf = Behalf::Ticket(ticket.clone());
        Some(ticket)
    }

    /// One that another shard is to hold. A ticket of another shard cannot be divided: what follows from a stanza at
    /// two removes is not waited for.
    pub(super) fn ticket_to_send(&mut self, io: &Io<Shard>) -> Option<TicketId> {
        let shard = io.shard() as u16;
        let (session, sequence) = match &self.tickets.behalf {
            Behalf::Nobody => return None,
            Behalf::Ticket(ticket) if ticket.0.id.shard != shard => return None,
            Behalf::Ticket(ticket) => (ticket.0.id.session, ticket.0.id.sequence),
            Behalf::Stanza(session, sequence) => (*session, *sequence),
        };
        self.hold(session, sequence)?;
        Some(TicketId { session, sequence, shard })
    }

    /// Makes a ticket of one that has come from wherever.
    pub(super) fn adopt(&self, id: TicketId) -> Ticket {
        Ticket(Rc::new(Out { id, returned: Rc::clone(&self.tickets.returned) }))
    }

    fn hold(&mut self, session: SessionKey, sequence: u32) -> Option<()> {
        let limits = &self.settings.management.inbound;
        let managed = self.accounts.session_mut(session)?.managed.as_mut()?;
        if !managed.inbound.hold(sequence, limits) {
            managed.is_held_back = true;
        }
        Some(())
    }

    /// Sends tickets that have come back to their sessions' shards.
    pub(super) fn return_tickets(&mut self, io: &mut Io<Shard>) {
        while self.tickets.have_returned() {
            let returned = std::mem::take(&mut *self.tickets.returned.borrow_mut());
            let mut shares: Vec<Settled> = Vec::new();
            for TicketId { session, sequence, shard } in returned {
                if usize::from(shard) == io.shard() {
                    self.released(io, session, sequence);
                    continue;
                }
                shares.resize_with(io.shards(), Settled::new);
                if let Some(share) = shares.get_mut(usize::from(shard)) {
                    share.push((session, sequence));
                }
            }
            for (shard, share) in shares.into_iter().enumerate().filter(|(_, share)| !share.is_empty()) {
                let bytes = size_of_val(&share[..]);
                io.send(shard, Message::Settled(Box::new(share)), bytes);
            }
        }
    }
}
