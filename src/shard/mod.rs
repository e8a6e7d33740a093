//! Rondel on one shard: the runtime's callbacks, put together from the state machines beside. Every stream that is
//! here, every account whose home is here.
//!
//! This is an edge: it turns bytes into frames, frames into decisions, decisions into bytes in outboxes. What may not
//! live here: the decisions themselves.

mod accept;
mod activity;
mod administration;
mod answers;
mod applicant;
mod archive;
mod archiving;
mod broadcast;
mod census;
mod commands;
mod counts;
mod deliver;
mod dnsbl;
mod downloads;
mod end;
mod firewall;
mod give;
mod input;
mod invites;
mod kept;
mod load;
mod login;
mod management;
mod message;
mod notices;
mod offline;
mod packed;
mod pep;
mod presence;
mod registrar;
mod registration;
mod removal;
mod reports;
mod reset;
mod restraint;
mod resumption;
mod roster;
mod rtbl;
mod send;
mod settings;
mod stock;
mod strangers;
mod stream;
mod task;
mod ticket;
mod tokens;
mod trace;
mod traffic;
mod usage;
mod verify;
mod visitors;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rondel_shards::{Accepted, Application, Closed, ConnectionId, Io, Origin, TlsFacts, TokenBucket, Verdict};
use rondel_storage::archive::Appends;
use rondel_storage::{Client, Owner, WriteRequest};
use slab::Slab;

use crate::account::archive_size::SizeCheck;
use crate::account::restraint::Sent;
use crate::account::{Accounts, SessionKey, Standing};
use crate::limits::{Addresses, Remembered, StanzaLimits, StrangerLimits, ToStrangers};
use crate::registration::{Lookout, Spent, Throttle};
use crate::rtbl::Follower;
use crate::sasl::Bindings;
use crate::stream::StreamError;
use crate::stream::management::Total;
use crate::xml::Scratch;
use crate::{limited_event, logging, session_event};

pub use administration::Administration;
pub use archive::ArchiveSettings;
use archiving::Receipt;
pub use census::{Census, Sessions};
use commands::Commands;
pub use counts::{Counts, CountsSnapshot};
pub use downloads::Downloads;
pub(crate) use end::End;
pub use firewall::{AskListEntries, FollowRules, FollowedRun, ListChange, SetMark, ShownStanza, WantedRuns};
use firewall::{Firewall, Lanes, Passages, RuleFollowers};
use hashbrown::HashMap;
use load::Loading;
pub use message::{EndSessions, Message, Reconsider, Routed};
pub use notices::Announcement;
pub use offline::OfflineLimits;
use offline::Uncounted;
use pep::Pep;
pub use registrar::{REGISTRAR, ToRegistrar};
pub use removal::{NotRemoved, RemoveAccount};
use resumption::Waiting;
pub use settings::{Kept, ListenerKind, Settings, Tls};
pub use stock::{Stock, TakeStock};
pub use strangers::Lists;
use stream::{Phase, Stream};
pub use task::Aside;
use task::Tasks;
use ticket::Tickets;
use trace::Watches;
pub use trace::{Traced, Watch};
pub use usage::{AskUsage, Asked};
pub use verify::Verifier;
use visitors::Visitors;

/// The timer that lets accounts leave memory.
const TIMER_ACCOUNTS: u64 = 0;

/// The timer that gives clients up which have not said what they are capable of.
const TIMER_CAPABILITIES: u64 = 1;

/// The token of the timer after which those who watch registrations hear of more.
const TIMER_WATCH: u64 = 2;

/// The timer that looks after the block lists that are followed.
const TIMER_LISTS: u64 = 3;

/// The timer that looks after what browsers fetch.
const TIMER_DOWNLOADS: u64 = 4;

/// The timer that sees to whether the storage has caught up. All others are those of sessions.
const TIMER_STORAGE: u64 = u64::MAX;

/// One shard of the server.
pub struct Shard {
    settings: Arc<Settings>,
    scratch: Scratch,
    /// By the index of the connection.
    streams: Vec<Option<Box<Stream>>>,
    accounts: Accounts,
    addresses: Addresses,
    storage: Client,
    tasks: Tasks,
    loading: Loading,
    pep: Pep,
    /// Whether accounts that nobody needs are looked for at some time.
    is_leaving_scheduled: bool,
    verifier: Verifier,
    archive_check: SizeCheck,
    commands: Commands,
    /// On the first shard: how often accounts are made.
    throttle: Throttle,
    /// On the same: which challenges were used.
    spent: Spent,
    /// Sessions to end once the present callback is through.
    doomed: Vec<(SessionKey, End)>,
    tickets: Tickets,
    watches: Watches,
    visitors: Visitors,
    /// On one shard: the block lists of others.
    followers: Vec<Follower>,
    waiting: Waiting,
    /// What sessions were sent and have not acknowledged.
    unacknowledged: Total,
    /// Sessions to be looked at when the turn ends.
    touched: Vec<SessionKey>,
    /// What is written when the turn ends.
    gathered: Vec<(u64, WriteRequest)>,
    /// What is archived when the turn ends.
    appends: Appends,
    /// Messages that wait, by account, until it is known how much waits already.
    uncounted: HashMap<Box<str>, Vec<Uncounted>>,
    /// Whether nobody is read from before the storage has caught up.
    is_storage_awaited: bool,
    /// What waits for what was gathered.
    receipts: Slab<Receipt>,
    /// What those who watch registrations have not heard of yet.
    lookout: Lookout,
    /// What administrators have to know; of the shard that counts.
    alerts: Lookout,
    /// How many more refused registrations are noted.
    noting: Option<TokenBucket>,
    /// The time of the last entry of the log of registrations that was made here, in microseconds since 1970.
    last_noted_us: u64,
    /// How many reports accounts may send.
    reporting: Remembered<Box<str>, TokenBucket>,
    /// What accounts have sent that are held to limits.
    sent: Remembered<Box<str>, Sent>,
    /// How many stanzas sessions may send.
    stanza_limits: StanzaLimits,
    /// What accounts may send to strangers, and have sent.
    stranger_limits: StrangerLimits,
    to_strangers: Remembered<Box<str>, ToStrangers>,
    /// The rules that stanzas pass, if there are any.
    firewall: Option<Box<Firewall>>,
    /// What waits for the answers to what rules have asked.
    passages: Passages,
    /// What waits behind that.
    lanes: Lanes,
    /// Those who look on while rules run.
    followers_of_rules: RuleFollowers,
    /// The last number that was given to what has come to an account.
    last_number: u64,
    /// Streams that were opened here so far.
    opened: u64,
}

impl Shard {
    /// An empty shard.
    pub fn new(io: &Io<Shard>, settings: Arc<Settings>, storage: Client, verifier: Verifier) -> Shard {
        let addresses = Addresses::new(settings.address_limits.divided_by(io.shards()));
        let mut throttle = Throttle::new(settings.registration().throttle);
        if io.shard() == REGISTRAR {
            settings.registered.iter().for_each(|(address, at_us)| throttle.remember(*address, *at_us));
        }
        Shard {
            throttle,
            spent: Spent::default(),
            lookout: Lookout::default(),
            alerts: Lookout::default(),
            noting: None,
            reporting: Remembered::default(),
            sent: Remembered::default(),
            last_noted_us: io.shard() as u64,
            last_number: settings.numbers_after_us,
            stanza_limits: settings.traffic.load().stanzas,
            stranger_limits: settings.traffic.load().strangers,
            to_strangers: Remembered::default(),
            firewall: Firewall::of(&settings),
            passages: Passages::default(),
            lanes: Lanes::default(),
            followers_of_rules: RuleFollowers::default(),
            settings,
            scratch: Scratch::default(),
            streams: Vec::new(),
            accounts: Accounts::default(),
            addresses,
            storage,
            tasks: Tasks::default(),
            loading: Loading::default(),
            pep: Pep::default(),
            is_leaving_scheduled: false,
            verifier,
            archive_check: SizeCheck::default(),
            commands: Commands::default(),
            doomed: Vec::new(),
            tickets: Tickets::default(),
            watches: Watches::default(),
            visitors: Visitors::default(),
            followers: Vec::new(),
            waiting: Waiting::default(),
            unacknowledged: Total::default(),
            touched: Vec::new(),
            gathered: Vec::new(),
            appends: Appends::default(),
            uncounted: HashMap::new(),
            is_storage_awaited: false,
            receipts: Slab::new(),
            opened: 0,
        }
    }

    /// What this shard counts.
    fn counts(&self, io: &Io<Shard>) -> &Counts {
        &self.settings.counts[io.shard()]
    }

    fn put(&mut self, stream: Box<Stream>) {
        let index = stream.connection.index();
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, || None);
        }
        self.streams[index] = Some(stream);
    }

    /// Takes a stream out, to work on it while the rest of the shard is at hand.
    fn take(&mut self, connection: ConnectionId) -> Option<Box<Stream>> {
        let slot = self.streams.get_mut(connection.index())?;
        if slot.as_ref()?.connection == connection { slot.take() } else { None }
    }

    /// Ends all sessions of an account, which may be gone itself. Returns how many there were.
    fn end_account(&mut self, io: &mut Io<Shard>, bare_jid: &str, is_removed: bool, error: &StreamError) -> usize {
        if let (true, Some(account)) = (is_removed, self.accounts.account_mut(bare_jid)) {
            // What its sessions leave behind goes nowhere.
            (account.standing, account.owner) = (Standing::Absent, None);
        }
        let sessions = self.accounts.sessions(bare_jid);
        let ended = sessions.len();
        self.doomed.extend(sessions.map(|(key, _)| (key, End::Error(error.clone()))));
        self.after(io);
        if is_removed {
            self.accounts.forget(bare_jid);
        }
        ended
    }

    /// Ends what the present callback has doomed; each end may doom others.
    fn end_doomed(&mut self, io: &mut Io<Shard>) {
        while let Some((key, end)) = self.doomed.pop() {
            let Some(connection) = self.accounts.session(key).map(|session| session.connection) else { continue };
            match connection {
                Some(connection) => {
                    if let Some(stream) = self.take(connection) {
                        self.end(io, stream, end);
                    }
                }
                None => self.give_up(io, key, &end.reason()),
            }
        }
    }

    /// Ends what the present callback has doomed, and sees to what has to be done when the turn ends.
    fn after(&mut self, io: &mut Io<Shard>) {
        self.end_doomed(io);
        if self.is_turn_end_wanted() {
            io.want_turn_end();
        }
    }

    /// Ends a stream: says why, closes the connection, and lets everybody know whom it concerns.
    fn end(&mut self, io: &mut Io<Shard>, stream: Box<Stream>, end: End) {
        let connection = stream.connection;
        let Some((stream, end)) = self.end_behind_rules(io, stream, end) else { return };
        if let (Some(error), Some(out)) = (end.error(), io.last_words(connection)) {
            error.write_to(out);
        }
        io.close(connection);
        self.addresses.disconnected(stream.peer.ip());
        let session = stream.session().map(|session| session.key);
        // A session that goes on elsewhere has nothing to do with it any more.
        let is_of = |key: &SessionKey| {
            self.accounts.session(*key).is_some_and(|session| session.connection == Some(connection))
        };
        let session = session.filter(is_of);
        let waits = end.is_of_connection() && session.is_some_and(|key| self.hibernate(io, key));
        let about = self.about(io, &stream);
        match &stream.phase {
            Phase::Bound(_) if waits => {
                session_event!(INFO, "session", about, reason = end.reason(), "session waits for its client");
            }
            Phase::Bound(_) if session.is_none() => {
                session_event!(DEBUG, "session", about, reason = end.reason(), "connection of a session ends");
            }
            // Whoever needs no account can begin and end as many as it likes.
            Phase::Bound(session) if self.settings.is_anonymous(session.address.bare()) => {
                limited_event!(INFO, "session", about; reason = end.reason(), "session ends");
            }
            Phase::Bound(_) => session_event!(INFO, "session", about, reason = end.reason(), "session ends"),
            Phase::Login(_) => {
                session_event!(DEBUG, "stream", about, reason = end.reason(), "stream ends before login")
            }
        }
        if let Some(key) = session.filter(|_| !waits) {
            self.leave(io, key);
        }
        self.ended_before_rules(stream);
    }

    /// A panic has taken a stream with it: what is known of it elsewhere must not stay.
    fn lost(&mut self, io: &mut Io<Shard>, connection: ConnectionId) {
        let address = io.peer(connection);
        if let Some(peer) = address {
            self.addresses.disconnected(peer.ip());
        }
        let Some(key) = self.accounts.of_connection(connection) else { return };
        let account = self.accounts.session(key).map(|session| session.address.bare());
        let about = logging::About { shard: io.shard(), connection: 0, address, account };
        session_event!(ERROR, "session", about, reason = "internal error", "session ends");
        self.leave(io, key);
    }

    fn about<'a>(&self, io: &Io<Shard>, stream: &'a Stream) -> logging::About<'a> {
        logging::About {
            shard: io.shard(),
            connection: stream.number,
            address: Some(stream.peer),
            account: stream.session().map(|session| session.address.bare()),
        }
    }
}

/// The time in seconds since 1970.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

impl Application for Shard {
    type Message = Message;
    type Baggage = Box<Stream>;

    fn accepted(&mut self, io: &mut Io<Self>, connection: ConnectionId, accepted: &Accepted) -> Verdict {
        self.accept(io, connection, accepted)
    }

    fn arrived(&mut self, io: &mut Io<Self>, connection: ConnectionId, from: usize, mut stream: Box<Stream>) {
        let admitted = if from == io.shard() { Ok(()) } else { self.addresses.moved_in(stream.peer.ip(), io.now_ms()) };
        stream.connection = connection;
        if let Err(refusal) = admitted {
            limited_event!(WARN, "limits", self.about(io, &stream); "ending a session: {refusal}");
            self.end(io, stream, End::Error(StreamError::resource_constraint("too many connections")));
            return;
        }
        if io.is_shutting_down() {
            let end = End::Error(self.settings.farewell());
            self.end(io, stream, end);
            return;
        }
        self.come_home(io, stream);
        self.after(io);
    }

    fn received(&mut self, io: &mut Io<Self>, connection: ConnectionId, bytes: &[u8]) -> usize {
        let used = self.input(io, connection, bytes);
        self.after(io);
        used
    }

    fn secured(&mut self, io: &mut Io<Self>, connection: ConnectionId, facts: TlsFacts) {
        let end_point = facts.certificate.as_ref().and_then(|shown| self.settings.end_point(shown));
        let bindings = Bindings { exporter: facts.exporter, server_end_point: end_point };
        if let Some(mut stream) = self.take(connection)
            && let Phase::Login(negotiation) = &mut stream.phase
        {
            let actions = negotiation.on_tls(bindings);
            self.act(io, stream, actions);
        }
        self.after(io);
    }

    fn closed(&mut self, io: &mut Io<Self>, connection: ConnectionId, why: Closed) {
        match self.take(connection) {
            Some(stream) => self.end(io, stream, End::Gone(why)),
            None if self.visitor_goes(connection) || self.is_ending(connection) => {}
            None => self.lost(io, connection),
        }
        self.after(io);
    }

    fn concerns(&self, message: &Message) -> Option<ConnectionId> {
        match message {
            Message::Stored(reply) => self.connection_of(reply.token),
            Message::Verified { token, .. } => Some(ConnectionId::from_bits(*token)),
            Message::Aside { token, .. } => self.connection_of_aside(*token),
            Message::Downloaded(connection) => Some(*connection),
            _ => None,
        }
    }

    fn message(&mut self, io: &mut Io<Self>, _from: Origin, message: Message) {
        match message {
            Message::Stanza(routed) => self.arrive(io, routed),
            Message::Broadcast(broadcast) => self.broadcast_arrived(io, &broadcast),
            Message::Presences(answer) => self.presences_arrived(io, &answer),
            Message::Watch(watch) => self.watches.change(*watch),
            Message::FollowRules(follow) => self.followers_of_rules.change(*follow),
            Message::Settled(settled) => {
                settled.iter().for_each(|(key, sequence)| self.released(io, *key, *sequence));
            }
            Message::Event(event) => self.event_arrived(io, &event),
            Message::Question(question) => self.question_arrived(io, *question),
            Message::ReadArrivals => self.read_arrivals(io),
            Message::Stored(reply) => self.stored(io, reply),
            Message::Verified { token, outcome } => self.verified(io, token, outcome),
            Message::Aside { token, aside } => self.done_aside(io, token, aside),
            Message::Downloaded(connection) => self.go_on_with_download(io, connection),
            Message::Registrar(order) => self.register_at(io, *order),
            Message::EndSessions(order) => {
                let EndSessions { account, error, answer } = *order;
                let ended = self.end_account(io, &account, false, &error);
                // Whoever asked may have stopped waiting.
                let _ = answer.send(ended);
            }
            Message::Census(census) => self.count_accounts(&census),
            Message::Sessions(asked) => self.tell_sessions(io, &asked),
            Message::Usage(asked) => self.tell_usage(io, &asked),
            Message::TakeStock(asked) => self.take_stock(io, &asked),
            Message::EndSession(order) => {
                let EndSessions { account, error, answer } = *order;
                let _ = answer.send(self.end_session(io, &account, &error));
            }
            Message::Reconsider(order) => self.reconsider(io, *order),
            Message::EndBanned => self.end_banned(io),
            Message::FollowLists => self.follow_lists(io),
            Message::TakeTraffic => self.take_traffic(io),
            Message::TakeFirewall => self.take_firewall(io),
            Message::AskedByRules(asked) => self.asked_by_rules(io, asked),
            Message::RulesAnswered(answered) => {
                let (number, answer) = *answered;
                self.rules_answered(io, number, answer);
            }
            Message::ChangeList(order) => self.change_list(&order.0, &order.1),
            Message::ListEntries(asked) => self.tell_list_entries(&asked),
            Message::Mark(order) => self.set_mark(io, order),
            Message::Welcome(account) => {
                if let Ok(owner) = Owner::parse(&account) {
                    self.welcome(io, &owner);
                }
            }
            Message::Announce(announcement) => self.announce(io, announcement),
            Message::Tell(order) => self.tell_account(io, &order.0, &order.1),
            Message::Befriend(order) => self.befriend_here(io, order),
            Message::RemoveAccount(order) => self.remove_for_operator(io, order),
        }
        self.after(io);
    }

    fn deadline(&mut self, io: &mut Io<Self>, connection: ConnectionId) {
        self.look_after(io, connection);
        self.after(io);
    }

    fn timer(&mut self, io: &mut Io<Self>, token: u64) {
        match token {
            TIMER_ACCOUNTS => {
                self.is_leaving_scheduled = false;
                self.let_accounts_go(io);
            }
            TIMER_WATCH => self.watch_due(io),
            TIMER_LISTS => self.look_after_lists(io),
            TIMER_CAPABILITIES => self.give_up_on_clients(io),
            TIMER_DOWNLOADS => self.go_on_with_downloads(io),
            TIMER_STORAGE => {
                self.is_storage_awaited = false;
                io.hold_reads(false);
                self.read_deferred(io);
                self.wait_for_storage(io);
            }
            _ => self.waited(io, token),
        }
        self.after(io);
    }

    fn turn_ends(&mut self, io: &mut Io<Self>) {
        self.turn_ended(io);
    }

    fn is_done(&self) -> bool {
        self.passages.is_empty()
            && self.tasks.are_done()
            && self.receipts.is_empty()
            && self.gathered.is_empty()
            && self.appends.is_empty()
    }

    fn shutting_down(&mut self, io: &mut Io<Self>) {
        let farewell = self.settings.farewell();
        let connections: Vec<_> = self.streams.iter().flatten().map(|stream| stream.connection).collect();
        for connection in connections {
            let Some(mut stream) = self.take(connection) else { continue };
            let actions = match &mut stream.phase {
                // A negotiation may not have answered the header yet.
                Phase::Login(negotiation) => negotiation.fail(farewell.clone()),
                Phase::Bound(_) => {
                    self.end(io, stream, End::Error(farewell.clone()));
                    continue;
                }
            };
            self.act(io, stream, actions);
        }
        self.visitors_go(io);
        let waiting = self.accounts.all_sessions().filter(|(_, session)| session.connection.is_none());
        let waiting: Vec<SessionKey> = waiting.map(|(key, _)| key).collect();
        for key in waiting {
            self.give_up(io, key, "the server ends");
        }
        self.after(io);
    }

    fn ended(self, _io: &mut Io<Self>) {}
}
