//! All that is stored of an account, for whom it is about (XEP-0227): a command gives a link, a thread writes it, and
//! what is written goes out over the browser's connection piece after piece. No more of it is in memory than two pieces
//! and what waits for the browser.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};
use hyper::body::Bytes;
use rondel_shards::{ConnectionId, Io, Remote};
use rondel_storage::accounts::{self, StoredAccount};
use rondel_storage::{Owner, Store};
use zeroize::Zeroizing;

use super::login::{cheapest, credentials_in, existing, fingerprint};
use super::message::Message;
use super::stream::Stream;
use super::task::{Asker, Step, Task};
use super::verify::NoKeys;
use super::{Shard, TIMER_DOWNLOADS, now_s};
use crate::admin::{Done, FailureKind, Transfer};
use crate::http::{Broken, Feed, LIFETIME_S, Links, site};
use crate::service::Answer;
use crate::service::commands::{self, Note, Running};
use crate::service::user_commands::export_link;
use crate::stream::Refusal;
use crate::{limited_event, logging, session_event};

/// Accounts that are written at once, each for one browser.
const AT_ONCE_MAX: usize = 4;

/// Bytes that wait for a browser beyond which it gets no more, and when it is looked at again.
const WAITING_BYTES_MAX: usize = 256 << 10;
const LOOKED_AT_EVERY: Duration = Duration::from_millis(50);

/// For how long a browser may take so many; and how fast it has to be once it has had as long, in bytes per second:
/// others wait.
const PATIENCE: Duration = Duration::from_secs(60);
const BYTES_PER_SECOND_MIN: u64 = 16 << 10;

/// What a thread has written.
enum Piece {
    Text(Box<str>),
    End(Result<(), Broken>),
}

/// Links, and what is fetched by them.
#[derive(Default)]
pub struct Downloads {
    store: OnceLock<Weak<Store>>,
    links: Mutex<Links>,
    under_way: Arc<Mutex<Vec<String>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// One of those that are under way at once, of this account.
struct Place(Arc<Mutex<Vec<String>>>, String);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|account| *account != self.1);
    }
}

/// Why nothing is to be had.
enum Nothing {
    /// The link holds no more, or never has.
    Unknown,
    /// Others fetch just now.
    Busy,
    /// The server has failed.
    Failed,
}

impl Downloads {
    /// From now on accounts of this store can be fetched.
    pub fn start(&self, store: &Arc<Store>) {
        let _ = self.store.set(Arc::downgrade(store));
    }

    /// Waits for the threads, which end when no shard takes anything any more.
    pub fn end(&self) {
        for thread in self.threads().drain(..) {
            // What goes wrong in one has been told by its panic.
            let _ = thread.join();
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, account: &str) -> Option<Place> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.len() >= AT_ONCE_MAX || under_way.iter().any(|other| other == account) {
            return None;
        }
        under_way.push(account.to_owned());
        Some(Place(Arc::clone(&self.under_way), account.to_owned()))
    }

    /// Begins to write an account by its link, given what entitles to one now. Each piece is told to the shard.
    fn begin(
        &self,
        (token, account, basis): (&str, &str, u64),
        connection: ConnectionId,
        remote: Remote<Message>,
    ) -> Result<Receiver<Piece>, Nothing> {
        let place = self.place(account).ok_or(Nothing::Busy)?;
        let store = self.store.get().and_then(Weak::upgrade).ok_or(Nothing::Failed)?;
        if !self.links().take(token, basis, now_s()) {
            return Err(Nothing::Unknown);
        }
        let (pieces, written) = bounded(1);
        let jid = account.to_owned();
        let write = move || {
            write(store, &jid, &pieces, || remote.send(Message::Downloaded(connection)));
            drop(place);
        };
        let thread = std::thread::Builder::new().name("download".into()).spawn(write);
        let mut threads = self.threads();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread.map_err(|_| Nothing::Failed)?);
        Ok(written)
    }
}

/// Writes an account. It ends when nobody takes the pieces any more.
fn write(store: Arc<Store>, jid: &str, pieces: &Sender<Piece>, tell: impl Fn()) {
    let send = |piece| {
        let is_taken = pieces.send(piece).is_ok();
        tell();
        is_taken
    };
    let exported = Transfer::new(store).export(Some(jid), None, &mut |done| match done {
        Done::Text(text) => send(Piece::Text(text)),
        _ => true,
    });
    match exported {
        Ok(exported) => {
            for missing in exported.missing {
                limited_event!(WARN, "storage", "in what somebody has fetched is missing: {missing}");
            }
            send(Piece::End(Ok(())));
        }
        // Nobody listens any more.
        Err(failure) if failure.kind == FailureKind::Unavailable => {}
        Err(failure) => {
            limited_event!(WARN, "storage", "an account is not written to its end: {}", failure.text);
            send(Piece::End(Err(Broken)));
        }
    }
}

/// What a browser fetches.
pub(super) struct Download {
    written: Receiver<Piece>,
    feed: Feed,
    /// When it has begun, in milliseconds of its shard's clock.
    began_ms: u64,
    /// Bytes of it so far.
    bytes: u64,
}

impl Download {
    /// How long whoever fetches it may take for what comes next.
    fn patience(&self, now_ms: u64) -> Duration {
        let allowed = PATIENCE + Duration::from_secs(self.bytes / BYTES_PER_SECOND_MIN);
        let left = allowed.saturating_sub(Duration::from_millis(now_ms.saturating_sub(self.began_ms)));
        left.clamp(Duration::from_millis(1), PATIENCE)
    }
}

/// What entitles to a link: the account as it is now, with its password, and not disabled.
fn basis(stored: &StoredAccount) -> u64 {
    fingerprint(Some(&credentials_in(stored))) ^ stored.account().created
}

impl Shard {
    /// A command wants a link to all that is stored of its account: whoever knows the password gets one, because what
    /// proves the password is in it.
    pub(super) fn export_account(
        &mut self,
        io: &Io<Shard>,
        stream: &Stream,
        asker: &Asker,
        password: Zeroizing<String>,
        running: Running,
    ) -> Result<Step, Refusal> {
        let owner = self.owner_of(asker.address.bare()).ok_or_else(Refusal::forbidden)?;
        self.may_try_password(io, stream)?;
        let (peer, connection) = (stream.peer, stream.number);
        Ok(Step::read(accounts::get(&owner), move |_, _, _, outcome| {
            let stored = match existing(&owner, outcome) {
                Ok(stored) => stored,
                Err(refusal) => return Step::refuse(refusal),
            };
            let basis = basis(&stored);
            let Some(keys) = cheapest(credentials_in(&stored).keys) else {
                return Step::refuse(Refusal::internal_server_error());
            };
            Step::prove(password, keys, move |shard, io, _, proof| {
                let account = owner.to_string();
                let about =
                    logging::About { shard: io.shard(), connection, address: Some(peer), account: Some(&account) };
                let done = match proof {
                    Ok(()) => {
                        session_event!(INFO, "login", about, "an account may be fetched by its user");
                        shard.export_offered(&owner, basis)
                    }
                    Err(NoKeys::Busy) => return Step::refuse(Refusal::new("wait", "resource-constraint")),
                    Err(_) => {
                        limited_event!(INFO, "login", about; "a wrong password in a request for all of an account");
                        failed("The password is not right.")
                    }
                };
                Step::Answer(Answer::Result(Some(running.finish_with(done))))
            })
        }))
    }

    fn export_offered(&self, owner: &Owner, basis: u64) -> commands::Done {
        let Some(site) = &self.settings.site else { return failed("There are no web pages here.") };
        let now_s = now_s();
        match self.settings.downloads.links().offer(&owner.to_string(), basis, now_s) {
            Some(token) => {
                let form = export_link(&site.export_url(owner.domain(), &token), now_s + LIFETIME_S);
                commands::Done { form: Some(form), ..commands::Done::default() }
            }
            None => failed("You have had enough of these lately. Try again in an hour."),
        }
    }

    /// A browser follows a link. It holds if the account is as it was when the link was given: who has another
    /// password, or is gone, has another fingerprint.
    pub(super) fn visitor_fetches(&mut self, io: &mut Io<Shard>, connection: ConnectionId, domain: &str, token: &str) {
        let account = self.settings.downloads.links().account(token, now_s()).map(str::to_owned);
        let owner = account.as_deref().and_then(|account| Owner::parse(account).ok());
        let (Some(account), Some(owner)) = (account, owner) else {
            return self.answer_visitor(io, connection, site::unknown_link(domain));
        };
        let (domain, token) = (domain.to_owned(), token.to_owned());
        self.run(
            io,
            Step::read(accounts::get(&owner), move |shard, io, _: &Task, outcome| {
                let found = match existing(&owner, outcome) {
                    Ok(stored) => shard.download(io, connection, (&token, &account, basis(&stored))),
                    Err(_) => Err(Nothing::Unknown),
                };
                let response = match found {
                    Ok(feed) => site::export(&account, feed),
                    Err(Nothing::Unknown) => site::unknown_link(&domain),
                    Err(Nothing::Busy) => site::busy(&domain),
                    Err(Nothing::Failed) => site::failed(&domain),
                };
                shard.answer_visitor(io, connection, response);
                Step::Done
            }),
        );
    }

    fn download(&mut self, io: &Io<Shard>, connection: ConnectionId, link: (&str, &str, u64)) -> Result<Feed, Nothing> {
        let written = self.settings.downloads.begin(link, connection, io.remote(io.shard()))?;
        let about =
            logging::About { shard: io.shard(), connection: 0, address: io.peer(connection), account: Some(link.1) };
        session_event!(INFO, "login", about, "an account is fetched");
        let feed = Feed::default();
        let download = Download { written, feed: feed.clone(), began_ms: io.now_ms(), bytes: 0 };
        self.visitor_downloads(connection, download);
        Ok(feed)
    }

    /// Goes on with what a browser fetches, as far as it takes it.
    pub(super) fn go_on_with_download(&mut self, io: &mut Io<Shard>, connection: ConnectionId) {
        while io.waiting(connection) < WAITING_BYTES_MAX && !io.must_yield(connection) {
            let now_ms = io.now_ms();
            let Some(download) = self.download_of(connection) else { return };
            let piece = match download.written.try_recv() {
                Ok(piece) => piece,
                Err(TryRecvError::Disconnected) => Piece::End(Err(Broken)),
                // It is told when there is more.
                Err(TryRecvError::Empty) => return,
            };
            let is_last = matches!(piece, Piece::End(_));
            match piece {
                Piece::Text(text) => {
                    download.bytes += text.len() as u64;
                    download.feed.push(Bytes::from(String::from(text)));
                }
                Piece::End(how) => download.feed.end(how),
            }
            let patience = download.patience(now_ms);
            io.set_deadline(connection, Some(patience));
            self.advance_visitor(io, connection);
            if is_last {
                return;
            }
        }
        if self.download_of(connection).is_some() && !std::mem::replace(&mut self.visitors.is_download_timed, true) {
            io.schedule(LOOKED_AT_EVERY, TIMER_DOWNLOADS);
        }
    }

    /// Goes on with all of them.
    pub(super) fn go_on_with_downloads(&mut self, io: &mut Io<Shard>) {
        self.visitors.is_download_timed = false;
        self.downloading().into_iter().for_each(|connection| self.go_on_with_download(io, connection));
    }
}

fn failed(words: &str) -> commands::Done {
    commands::Done { note: Some(Note::Error(words.into())), ..commands::Done::default() }
}
