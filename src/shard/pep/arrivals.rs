//! The newest items for resources that come online (XEP-0163 §4.3.4): of the nodes that a resource wants, of its own
//! account and of the contacts whose presence it sees. The contacts' homes are asked, with one message each; they read
//! what has been published, also of those who are offline, a few accounts at a time.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use rondel_shards::Io;
use rondel_storage::roster::{self, Item, StoredItem};
use rondel_storage::{LoadError, Outcome as Stored, Owner, ReadRequest, blocks};

use super::super::message::Message;
use super::super::packed::Packed;
use super::super::roster::now_micros;
use super::super::task::{Step, Task};
use super::super::{Shard, deliver};
use crate::account::blocking::Blocklist;
use crate::account::subscription::{Grant, State};
use crate::account::{Address, Interests, SessionKey};
use crate::home::home;
use crate::jid::Jid;
use crate::pubsub::{OneContact, Progress, Request, Requester, Service, ServiceKind, Transaction};
use crate::{limited_event, random};

/// Bytes of questions that wait on one shard. Those who come then do without the newest items.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// Accounts that are being read at once on one shard.
const READING_MAX: usize = 16;

/// Accounts that are looked at before others have their turn.
const AT_ONCE: usize = 64;

/// A resource asks for the newest items of contacts that are at home on one shard.
pub struct Question {
    /// The resource.
    to: Arc<Address>,
    /// What it wants.
    interests: Arc<Interests>,
    accounts: Packed,
}

/// The questions that wait on a shard.
#[derive(Default)]
pub(in crate::shard) struct Arrivals {
    /// Each with the place of the account that is next.
    waiting: VecDeque<(Question, usize)>,
    bytes: usize,
    /// Held by whoever reads an account.
    reading: Rc<()>,
    /// Whether this shard has sent itself a message to go on.
    goes_on: bool,
}

/// One account that is being read for a resource.
struct Look {
    owner: Owner,
    account: String,
    to: Arc<Address>,
    interests: Arc<Interests>,
    /// What the account's roster has about the resource's account.
    item: Option<Item>,
    _reading: Rc<()>,
}

impl Question {
    fn bytes(&self) -> usize {
        size_of::<Question>() + self.accounts.bytes()
    }
}

impl Arrivals {
    fn add(&mut self, question: Question) {
        if self.bytes + question.bytes() > WAITING_BYTES_MAX {
            limited_event!(WARN, "session", "too many come online: some do not get what their contacts have published");
            return;
        }
        self.bytes += question.bytes();
        self.waiting.push_back((question, 0));
    }

    /// The next account, and for whom it is to be read.
    fn next(&mut self) -> Option<(String, Arc<Address>, Arc<Interests>)> {
        if Rc::strong_count(&self.reading) > READING_MAX {
            return None;
        }
        loop {
            let (question, at) = self.waiting.front_mut()?;
            if let Some((_, account, next)) = question.accounts.get(*at) {
                *at = next;
                return Some((account.to_owned(), Arc::clone(&question.to), Arc::clone(&question.interests)));
            }
            let bytes = question.bytes();
            self.bytes -= bytes;
            self.waiting.pop_front();
        }
    }
}

impl Shard {
    /// A resource has come online, or wants to hear of more than before: it gets the newest items.
    pub(in crate::shard) fn send_newest(&mut self, io: &mut Io<Shard>, key: SessionKey, interests: &Arc<Interests>) {
        let Some(session) = self.accounts.session(key).filter(|session| session.presence.is_some()) else { return };
        let (to, own) = (Arc::clone(&session.address), session.address.bare());
        if interests.is_empty() || self.settings.is_anonymous(own) {
            return;
        }
        let Some(account) = self.accounts.account(own) else { return };
        let mut shares = vec![Packed::default(); io.shards()];
        shares[io.shard()].push(0, own);
        for contact in account.contacts.subscriptions() {
            if self.is_reached(own, account, contact) {
                shares[home(contact, io.shards())].push(0, contact);
            }
        }
        self.ask(io, &to, interests, shares);
    }

    /// The same of one contact, whose presence the account sees from now on.
    pub(in crate::shard) fn send_newest_of(&mut self, io: &mut Io<Shard>, account: &str, contact: &str) {
        let wanted = self.accounts.sessions(account).filter(|(_, session)| session.presence.is_some());
        let wanted: Vec<_> = wanted
            .filter_map(|(_, session)| Some((Arc::clone(&session.address), session.advertised.interests()?)))
            .collect();
        for (to, interests) in wanted {
            let mut shares = vec![Packed::default(); io.shards()];
            shares[home(contact, io.shards())].push(0, contact);
            self.ask(io, &to, &interests, shares);
        }
    }

    fn ask(&mut self, io: &mut Io<Shard>, to: &Arc<Address>, interests: &Arc<Interests>, shares: Vec<Packed>) {
        for (shard, accounts) in shares.into_iter().enumerate().filter(|(_, accounts)| !accounts.is_empty()) {
            let question = Question { to: Arc::clone(to), interests: Arc::clone(interests), accounts };
            if shard == io.shard() {
                self.question_arrived(io, question);
            } else {
                let bytes = question.bytes();
                io.send(shard, Message::Question(Box::new(question)), bytes);
            }
        }
    }

    /// Somebody asks for what accounts at home here have published.
    pub(in crate::shard) fn question_arrived(&mut self, io: &mut Io<Shard>, question: Question) {
        self.pep.arrivals.add(question);
        self.read_further(io);
    }

    /// This shard has told itself to go on.
    pub(in crate::shard) fn read_arrivals(&mut self, io: &mut Io<Shard>) {
        self.pep.arrivals.goes_on = false;
        if io.is_shutting_down() {
            // Nobody is there any more to get it.
            self.pep.arrivals.waiting.clear();
            self.pep.arrivals.bytes = 0;
            return;
        }
        for _ in 0..AT_ONCE {
            let Some((account, to, interests)) = self.pep.arrivals.next() else { return };
            if let Some(owner) = self.owner_of(&account) {
                let _reading = Rc::clone(&self.pep.arrivals.reading);
                self.look(io, Look { owner, account, to, interests, item: None, _reading });
            }
        }
        self.read_further(io);
    }

    /// Goes on in a later turn, if there is something to do.
    fn read_further(&mut self, io: &mut Io<Shard>) {
        let arrivals = &mut self.pep.arrivals;
        if !arrivals.waiting.is_empty() && !std::mem::replace(&mut arrivals.goes_on, true) {
            io.send(io.shard(), Message::ReadArrivals, 0);
        }
    }

    /// Finds out first whether the resource may have anything of the account.
    fn look(&mut self, io: &mut Io<Shard>, mut look: Look) {
        let other = look.to.bare();
        if look.account == other {
            return self.run_from(io, Task::default(), move |shard, io, _| shard.newest(io, look));
        }
        let Ok(jid) = Jid::parse(other).map(Jid::into_owned) else { return };
        let mut reads = vec![roster::get(&look.owner, other)];
        match self.accounts.account(&look.account) {
            Some(account) => {
                let is_contact = account.contacts.state(other).from == Grant::Granted;
                if !is_contact || deliver::is_blocked(account, &look.account, &jid) {
                    return;
                }
            }
            None => reads.push(ReadRequest::Page(blocks::list(&look.owner))),
        }
        let step = Step::read(ReadRequest::Several(reads), move |shard, io, _: &Task, stored| {
            look.item = match contact(&look, &jid, stored) {
                Ok(item) => item,
                Err(error) => {
                    limited_event!(WARN, "storage", "a contact cannot be read: {error}");
                    None
                }
            };
            if look.item.is_some() {
                return shard.newest(io, look);
            }
            drop(look);
            shard.read_further(io);
            Step::Done
        });
        self.run(io, step);
    }

    fn newest(&mut self, io: &mut Io<Shard>, look: Look) -> Step {
        let Ok(jid) = Jid::parse(look.to.as_str()).map(Jid::into_owned) else { return Step::Done };
        let requester = Requester { jid, is_available: true, may_create: false };
        let service = Service {
            owner: look.owner.clone(),
            jid: look.account.as_str().into(),
            kind: ServiceKind::Account,
            notifies_legacy_bookmarks: false,
            stored: None,
        };
        let request = Request::Presence { interests: Arc::clone(&look.interests) };
        let (limits, fresh) = (self.settings.pubsub, random::name());
        let transaction = Transaction::new(service, limits, requester, request, &fresh, now_micros());
        self.read_newest(io, transaction, look)
    }

    /// Goes on with reading the newest items, and sends them.
    fn read_newest(&mut self, io: &mut Io<Shard>, mut transaction: Transaction, look: Look) -> Step {
        let roster = OneContact { jid: look.to.bare(), item: look.item.as_ref() };
        match transaction.advance(&roster) {
            Progress::Need(request) => Step::read(request, move |shard, io, _: &Task, stored| {
                if let Err(error) = transaction.read(stored) {
                    limited_event!(WARN, "storage", "what is published cannot be read: {error}");
                    drop(look);
                    shard.read_further(io);
                    return Step::Done;
                }
                shard.read_newest(io, transaction, look)
            }),
            Progress::Done(outcome) => {
                self.send_items(io, &look.account, outcome.notifications);
                drop(look);
                self.read_further(io);
                Step::Done
            }
        }
    }
}

/// What the account's roster has about a contact that sees its presence and is not blocked.
fn contact(look: &Look, jid: &Jid<'_>, stored: Stored) -> Result<Option<Item>, LoadError> {
    let mut stored = match stored {
        Stored::Several(stored) => stored.into_iter(),
        other => return Err(LoadError::unexpected(other)),
    };
    let first = stored.next().unwrap_or(Stored::Several(Vec::new()));
    let item = roster::decode(&look.owner, jid.bare(), first)?;
    if let Some(blocked) = stored.next() {
        let page = match blocked {
            Stored::Page(page) => page,
            other => return Err(LoadError::unexpected(other)),
        };
        let blocked: Blocklist = blocks::decode_page(&page).into_iter().flatten().map(|(address, _)| address).collect();
        if Jid::parse(&look.account).is_ok_and(|own| blocked.blocks(&own, jid)) {
            return Ok(None);
        }
    }
    let is_contact = |item: &&StoredItem| State::of(item.item()).from == Grant::Granted;
    Ok(item.as_ref().filter(is_contact).map(|stored| stored.item().clone()))
}
