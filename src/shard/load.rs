//! Loading the state of accounts: when a session binds, and when a stanza comes for an account of which nobody is
//! online. What waits for it is kept in order.

use std::collections::VecDeque;

use hashbrown::HashMap;
use rondel_shards::{ConnectionId, Io};
use rondel_storage::roster::Roster;
use rondel_storage::{
    LoadError, Outcome, Owner, Page, PageRequest, ReadRequest, accounts, blocks, marks, preferences, roster, vcards,
};

use super::firewall::{AskedByRules, SetMark};
use super::invites::Befriend;
use super::message::Routed;
use super::removal::RemoveAccount;
use super::task::{Step, Task};
use super::ticket::{Behalf, Ticket};
use super::{End, Shard, now_s};
use crate::account::contacts::Contacts;
use crate::account::restraint::Restraint;
use crate::account::{Account, Standing};
use crate::jid::Jid;
use crate::limited_event;
use crate::stream::{BindRequests, Refusal, StreamError};

/// Stanzas that wait for accounts to be loaded, on one shard. Further ones are refused.
const WAITING_MAX: usize = 10_000;

/// Bytes of them.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Contacts that are read at once; a roster that has more is read in several steps.
const CONTACTS_AT_ONCE: usize = 1000;

/// How often accounts leave memory at most, in milliseconds.
const LEAVING_EVERY_MS: u64 = 1000;

/// What waits for an account.
enum Waiter {
    /// A login that binds a resource.
    Bind { connection: ConnectionId, jid: Jid<'static>, agent: Option<String>, requests: BindRequests },
    /// A stanza to be delivered, and the ticket of whoever has sent it.
    Stanza(Routed, Option<Ticket>),
    /// Somebody who becomes a contact.
    Befriend(Box<Befriend>),
    /// Rules, which want to know something of it.
    Asked(Box<AskedByRules>),
    /// An operator, who has marked it.
    Mark(Box<SetMark>),
    /// An operator, who wants it to be gone.
    Removal(Box<RemoveAccount>),
}

/// The accounts that are being loaded.
#[derive(Default)]
pub(super) struct Loading {
    waiting: HashMap<Box<str>, VecDeque<Waiter>>,
    stanzas: usize,
    bytes: usize,
}

impl Loading {
    /// Stanzas that wait.
    pub(super) fn len(&self) -> usize {
        self.stanzas
    }
}

/// What has been read of an account.
struct Read {
    account: Account,
    roster: Roster,
}

impl Shard {
    /// Has a login wait until its account is there, which is being loaded.
    pub(super) fn wait_to_bind(
        &mut self,
        io: &mut Io<Shard>,
        connection: ConnectionId,
        jid: Jid<'static>,
        agent: Option<String>,
        requests: BindRequests,
    ) {
        let Some(waiting) = self.loading.waiting.get_mut(jid.bare()) else { return };
        io.pause(connection);
        waiting.push_back(Waiter::Bind { connection, jid, agent, requests });
    }

    /// Has a stanza wait until its addressee's account is there. It comes back if too many wait.
    pub(super) fn load_to_deliver(&mut self, io: &mut Io<Shard>, routed: Routed) -> Result<(), Routed> {
        let loading = &mut self.loading;
        if loading.stanzas >= WAITING_MAX || loading.bytes + routed.bytes() > WAITING_BYTES_MAX {
            return Err(routed);
        }
        loading.stanzas += 1;
        loading.bytes += routed.bytes();
        let ticket = self.ticket(io);
        let account = routed.bare().to_owned();
        let is_new = !self.is_loading(&account);
        self.loading.waiting.entry_ref(&*account).or_default().push_back(Waiter::Stanza(routed, ticket));
        if is_new {
            self.begin_to_load(io, &account);
        }
        Ok(())
    }

    /// Has the removal of an account wait until it is there.
    pub(super) fn load_to_remove(&mut self, io: &mut Io<Shard>, order: Box<RemoveAccount>) {
        let account = order.account.clone();
        self.load_for(io, &account, Waiter::Removal(order));
    }

    /// Has a new contact wait until the account is there.
    pub(super) fn load_to_befriend(&mut self, io: &mut Io<Shard>, order: Box<Befriend>) {
        let account = order.account.clone();
        self.load_for(io, &account, Waiter::Befriend(order));
    }

    /// Has a mark wait until the account is there.
    pub(super) fn load_to_mark(&mut self, io: &mut Io<Shard>, order: Box<SetMark>) {
        let account = order.account.clone();
        self.load_for(io, &account, Waiter::Mark(order));
    }

    /// Has a question of rules wait until the account is there.
    pub(super) fn load_for_rules(&mut self, io: &mut Io<Shard>, asked: Box<AskedByRules>) {
        let account = asked.account().to_owned();
        self.load_for(io, &account, Waiter::Asked(asked));
    }

    fn load_for(&mut self, io: &mut Io<Shard>, account: &str, waiter: Waiter) {
        let is_new = !self.is_loading(account);
        self.loading.waiting.entry_ref(account).or_default().push_back(waiter);
        if is_new {
            self.begin_to_load(io, account);
        }
    }

    /// Whether an account is being loaded just now.
    pub(super) fn is_loading(&self, bare_jid: &str) -> bool {
        self.loading.waiting.contains_key(bare_jid)
    }

    /// Loads an account, unless it is being loaded. It may be there at once.
    pub(super) fn load(&mut self, io: &mut Io<Shard>, bare_jid: &str) {
        if !self.is_loading(bare_jid) {
            self.loading.waiting.insert(bare_jid.into(), VecDeque::new());
            self.begin_to_load(io, bare_jid);
        }
    }

    fn begin_to_load(&mut self, io: &mut Io<Shard>, bare_jid: &str) {
        let Ok(owner) = Owner::parse(bare_jid) else {
            return self.loaded(io, bare_jid, Some(Account::new(Standing::Absent)));
        };
        let contacts = roster::list(&owner, CONTACTS_AT_ONCE);
        let request = ReadRequest::Several(vec![
            accounts::get(&owner),
            ReadRequest::Page(contacts.clone()),
            ReadRequest::Page(blocks::list(&owner)),
            preferences::get(&owner),
            vcards::get_photo(&owner),
            ReadRequest::Page(marks::list(&owner)),
        ]);
        let bare_jid = bare_jid.to_owned();
        self.run(
            io,
            Step::read(request, move |shard, io, _: &Task, outcome| match shard.first(&owner, outcome) {
                Ok((read, page)) => shard.next_contacts(io, bare_jid, read, contacts, page),
                Err(error) => shard.not_loaded(io, &bare_jid, &error),
            }),
        );
    }

    /// Takes a page of the roster, and goes on to the next one.
    fn next_contacts(
        &mut self,
        io: &mut Io<Shard>,
        bare_jid: String,
        mut read: Read,
        request: PageRequest,
        page: Page,
    ) -> Step {
        let next = request.next(&page);
        for error in read.roster.add(page) {
            limited_event!(WARN, "storage", "a contact cannot be read: {error}");
        }
        let Some(request) = next else {
            read.account.contacts = Contacts::of(&read.roster);
            self.loaded(io, &bare_jid, Some(read.account));
            return Step::Done;
        };
        Step::read(ReadRequest::Page(request.clone()), move |shard, io, _: &Task, outcome| match outcome {
            Outcome::Page(page) => shard.next_contacts(io, bare_jid, read, request, page),
            other => shard.not_loaded(io, &bare_jid, &LoadError::unexpected(other)),
        })
    }

    fn not_loaded(&mut self, io: &mut Io<Shard>, bare_jid: &str, error: &LoadError) -> Step {
        limited_event!(WARN, "storage", "an account cannot be read: {error}");
        self.loaded(io, bare_jid, None);
        Step::Done
    }

    /// An account is there, or cannot be read.
    fn loaded(&mut self, io: &mut Io<Shard>, bare_jid: &str, account: Option<Account>) {
        let waiting = self.loading.waiting.remove(bare_jid).unwrap_or_default();
        let standing = account.as_ref().map(|account| account.standing);
        if let Some(account) = account {
            self.accounts.insert(bare_jid, account, io.now_ms());
        }
        for waiter in waiting {
            match waiter {
                Waiter::Bind { connection, jid, agent, requests } => {
                    let Some(mut stream) = self.take(connection) else { continue };
                    match standing {
                        Some(Standing::Registered | Standing::Anonymous) => {
                            let actions = self.bind(&mut stream, &jid, agent, &requests);
                            self.act(io, stream, actions);
                        }
                        Some(Standing::Absent) => {
                            let error = StreamError::not_authorized("this account has been removed");
                            self.end(io, stream, End::Error(error));
                        }
                        None => {
                            let error = StreamError::internal_server_error("the account cannot be read just now");
                            self.end(io, stream, End::Error(error));
                        }
                    }
                }
                Waiter::Befriend(order) => {
                    if standing == Some(Standing::Registered) {
                        self.befriend_loaded(io, &order);
                    }
                }
                Waiter::Removal(order) => self.remove_loaded(io, order),
                Waiter::Mark(order) => self.set_mark(io, order),
                Waiter::Asked(asked) => self.asked_of_account(io, *asked),
                Waiter::Stanza(routed, ticket) => {
                    self.loading.stanzas -= 1;
                    self.loading.bytes -= routed.bytes();
                    match standing {
                        Some(_) => {
                            self.on_behalf(Behalf::of(ticket), |shard| shard.deliver_routed(io, routed));
                        }
                        None => self.bounce(io, &routed, &Refusal::internal_server_error()),
                    }
                }
            }
        }
        // It may be registered the next moment.
        if standing == Some(Standing::Absent) {
            self.accounts.forget(bare_jid);
        }
        self.let_accounts_go(io);
    }

    /// Lets accounts leave memory that nobody needs any more, and sees to it that this happens again.
    pub(super) fn let_accounts_go(&mut self, io: &mut Io<Shard>) {
        let (tasks, loading, lanes) = (&self.tasks, &self.loading, &self.lanes);
        let is_needed = |bare_jid: &str| {
            tasks.is_busy(bare_jid) || loading.waiting.contains_key(bare_jid) || lanes.concern(bare_jid)
        };
        let next_ms = self.accounts.let_go(io.now_ms(), is_needed);
        if let (Some(next_ms), false) = (next_ms, self.is_leaving_scheduled) {
            // Those who came within a second go together: an idle shard is not woken for each.
            let after_ms = (next_ms.saturating_sub(io.now_ms()) + 1).max(LEAVING_EVERY_MS);
            io.schedule(std::time::Duration::from_millis(after_ms), super::TIMER_ACCOUNTS);
            self.is_leaving_scheduled = true;
        }
    }

    /// What the first read has brought: all but the contacts, and the first of those.
    fn first(&self, owner: &Owner, outcome: Outcome) -> Result<(Read, Page), LoadError> {
        let outcomes = match outcome {
            Outcome::Several(outcomes) => outcomes,
            other => return Err(LoadError::unexpected(other)),
        };
        let Ok([account, contacts, blocked, chosen, photo, marked]) = <[Outcome; 6]>::try_from(outcomes) else {
            return Err(LoadError::unexpected(Outcome::Several(Vec::new())));
        };
        let stored = accounts::decode(owner, account)?;
        let exists = stored.is_some();
        let mut account = Account::new(if exists { Standing::Registered } else { Standing::Absent });
        if let Some(stored) = &stored {
            let limits = self.settings.registration().new_accounts;
            account.restraint = Restraint::of(stored.account(), &limits, now_s());
        }
        account.owner = exists.then(|| owner.clone());
        let page = match (contacts, blocked, marked) {
            (Outcome::Page(contacts), Outcome::Page(blocked), Outcome::Page(marked)) => {
                account.block(&blocked);
                account.mark(&marked);
                contacts
            }
            (Outcome::Page(_), Outcome::Page(_), other) | (Outcome::Page(_), other, _) | (other, ..) => {
                return Err(LoadError::unexpected(other));
            }
        };
        account.choose(&preferences::decode(owner, chosen)?);
        account.photo = vcards::decode_photo(owner, photo)?.map(|photo| photo.sha1);
        Ok((Read { account, roster: Roster::default() }, page))
    }
}
