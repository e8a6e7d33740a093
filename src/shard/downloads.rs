//! All that is stored of an account, for whom it is about (XEP-0227): a command gives a link, a thread writes it, and
//! what is written goes out over the browser's connection piece after piece. No more of it is in memory than two pieces
//! and what waits for the browser.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};
use hyper::body::Bytes;
use rondel_shards::{ConnectionId, Io, Remote};
use rondel_storage::{Owner, Store, accounts};
use zeroize::Zeroizing;

use super::login::{cheapest, credentials_in, existing};
use super::message::Message;
use super::stream::Stream;
use super::task::{Asker, Step};
use super::verify::NoKeys;
use super::{Shard, TIMER_DOWNLOADS, now_s};
use crate::admin::{Done, Transfer};
use crate::http::{Broken, Feed, LIFETIME_S, Links, site};
use crate::service::Answer;
use crate::service::commands::{self, Note, Running};
use crate::service::user_commands::export_link;
use crate::stream::Refusal;
use crate::{limited_event, logging, session_event};

/// Accounts that are written at once.
const AT_ONCE_MAX: usize = 2;

/// Bytes that wait for a browser beyond which it gets no more, and when it is looked at again.
const WAITING_BYTES_MAX: usize = 256 << 10;
const LOOKED_AT_EVERY: Duration = Duration::from_millis(50);

/// For how long a browser may take so many.
const PATIENCE: Duration = Duration::from_secs(60);

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
    under_way: Arc<AtomicUsize>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// One of those that are under way at once.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
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

    fn place(&self) -> Option<Place> {
        let one_more = |under_way| (under_way < AT_ONCE_MAX).then_some(under_way + 1);
        let is_free = self.under_way.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok();
        is_free.then(|| Place(Arc::clone(&self.under_way)))
    }

    /// Begins to write the account whose link this is. Each piece is told to the shard.
    fn begin(
        &self,
        token: &str,
        connection: ConnectionId,
        remote: Remote<Message>,
    ) -> Result<(String, Receiver<Piece>), Nothing> {
        let place = self.place().ok_or(Nothing::Busy)?;
        let store = self.store.get().and_then(Weak::upgrade).ok_or(Nothing::Failed)?;
        let account = self.links().take(token, now_s()).ok_or(Nothing::Unknown)?;
        let (pieces, written) = bounded(1);
        let jid = account.clone();
        let write = move || {
            write(store, &jid, &pieces, || remote.send(Message::Downloaded(connection)));
            drop(place);
        };
        let thread = std::thread::Builder::new().name("download".into()).spawn(write);
        let mut threads = self.threads();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread.map_err(|_| Nothing::Failed)?);
        Ok((account, written))
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
            let keys = existing(&owner, outcome).map(|stored| cheapest(credentials_in(&stored).keys));
            let keys = match keys {
                Ok(Some(keys)) => keys,
                Ok(None) => return Step::refuse(Refusal::internal_server_error()),
                Err(refusal) => return Step::refuse(refusal),
            };
            Step::prove(password, keys, move |shard, io, _, proof| {
                let account = owner.to_string();
                let about =
                    logging::About { shard: io.shard(), connection, address: Some(peer), account: Some(&account) };
                let done = match proof {
                    Ok(()) => {
                        session_event!(INFO, "login", about, "an account may be fetched by its user");
                        shard.export_offered(&owner)
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

    fn export_offered(&self, owner: &Owner) -> commands::Done {
        let Some(site) = &self.settings.site else { return failed("There are no web pages here.") };
        let now_s = now_s();
        match self.settings.downloads.links().offer(&owner.to_string(), now_s) {
            Some(token) => {
                let form = export_link(&site.export_url(owner.domain(), &token), now_s + LIFETIME_S);
                commands::Done { form: Some(form), ..commands::Done::default() }
            }
            None => failed("You have had enough of these lately. Try again in an hour."),
        }
    }

    /// A browser follows a link.
    pub(super) fn visitor_fetches(&mut self, io: &mut Io<Shard>, connection: ConnectionId, domain: &str, token: &str) {
        let begun = self.settings.downloads.begin(token, connection, io.remote(io.shard()));
        let (account, written) = match begun {
            Ok(begun) => begun,
            Err(Nothing::Unknown) => return self.answer_visitor(io, connection, site::unknown_link(domain)),
            Err(Nothing::Busy) => return self.answer_visitor(io, connection, site::busy(domain)),
            Err(Nothing::Failed) => return self.answer_visitor(io, connection, site::failed(domain)),
        };
        let feed = Feed::default();
        self.visitor_downloads(connection, Download { written, feed: feed.clone() });
        self.answer_visitor(io, connection, site::export(&account, feed));
    }

    /// Goes on with what a browser fetches, as far as it takes it.
    pub(super) fn go_on_with_download(&mut self, io: &mut Io<Shard>, connection: ConnectionId) {
        while io.waiting(connection) < WAITING_BYTES_MAX {
            let Some(download) = self.download_of(connection) else { return };
            match download.written.try_recv() {
                Ok(Piece::Text(text)) => download.feed.push(Bytes::from(String::from(text))),
                Ok(Piece::End(how)) => download.feed.end(how),
                Err(TryRecvError::Disconnected) => download.feed.end(Err(Broken)),
                // It is told when there is more.
                Err(TryRecvError::Empty) => return,
            }
            io.set_deadline(connection, Some(PATIENCE));
            self.advance_visitor(io, connection);
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
