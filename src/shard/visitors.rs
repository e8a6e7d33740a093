//! Visitors of the web pages: bytes to requests, requests to what is looked up or registered, answers to bytes.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use hyper::{Method, StatusCode};
use rondel_shards::{ConnectionId, Io, Rate};

use super::applicant::{Applicant, Way};
use super::downloads::Download;
use super::invites::unknown;
use super::{Shard, now_s};
use crate::http::{Exchange, Filled, Invited, Progress, Request, Response, Visit, site, visitor_behind};
use crate::limits::Buckets;
use crate::registration::Challenge;
use crate::stream::Refusal;
use crate::{limited_event, logging};

/// What a visitor may ask for, by address, of each shard: pages one after another, and forms seldom.
const VISITS: Rate = Rate { per_second: 1.0, burst: 60.0 };
const PAGE_COSTS: f64 = 1.0;
const FORM_COSTS: f64 = 6.0;
const PICTURE_COSTS: f64 = 4.0;

/// For how long a connection waits for the next request.
const IDLE: Duration = Duration::from_secs(30);

/// For how long an answer may take: others may have to be asked.
const WORKS: Duration = Duration::from_secs(60);

/// Those who are here.
pub(super) struct Visitors {
    here: HashMap<ConnectionId, Box<Visitor>>,
    /// What each address may still ask for.
    visits: Buckets,
    /// Whether what they fetch is looked at again soon.
    pub(super) is_download_timed: bool,
}

impl Default for Visitors {
    fn default() -> Visitors {
        Visitors { here: HashMap::new(), visits: Buckets::new(VISITS), is_download_timed: false }
    }
}

/// A connection of a browser.
struct Visitor {
    number: u64,
    peer: SocketAddr,
    /// Who asks by it: the peer, or whom a proxy asks for.
    asks_from: IpAddr,
    /// Whether limits of addresses hold for it.
    is_counted: bool,
    exchange: Exchange,
    /// What it has asked is being looked at.
    is_served: bool,
    /// A request has begun to come.
    reads: bool,
    /// What it fetches, if it fetches something large.
    download: Option<Download>,
}

impl Shard {
    /// A browser connects.
    pub(super) fn visitor_comes(
        &mut self,
        io: &mut Io<Shard>,
        connection: ConnectionId,
        number: u64,
        peer: SocketAddr,
        is_counted: bool,
    ) {
        let visitor = Visitor {
            number,
            peer,
            asks_from: peer.ip(),
            is_counted,
            exchange: Exchange::default(),
            is_served: false,
            reads: false,
            download: None,
        };
        self.visitors.here.insert(connection, Box::new(visitor));
        io.set_deadline(connection, Some(self.settings.login_timeout));
    }

    /// A connection has ended. Whether it was one of a browser.
    pub(super) fn visitor_goes(&mut self, connection: ConnectionId) -> bool {
        let Some(visitor) = self.visitors.here.remove(&connection) else { return false };
        if visitor.is_counted {
            self.addresses.disconnected(visitor.peer.ip());
        }
        true
    }

    /// The connection takes too long.
    pub(super) fn visitor_is_late(&mut self, io: &mut Io<Shard>, connection: ConnectionId) {
        if self.visitor_goes(connection) {
            io.close(connection);
        }
    }

    /// The server ends.
    pub(super) fn visitors_go(&mut self, io: &mut Io<Shard>) {
        let all: Vec<ConnectionId> = self.visitors.here.keys().copied().collect();
        all.into_iter().for_each(|connection| self.visitor_is_late(io, connection));
    }

    /// A connection has brought something. Returns how much of it was used up.
    pub(super) fn visitor_input(&mut self, io: &mut Io<Shard>, connection: ConnectionId, bytes: &[u8]) -> usize {
        let mut used = 0;
        while let Some(visitor) = self.visitors.here.get_mut(&connection) {
            let taken = visitor.exchange.take(&bytes[used..]);
            used += taken;
            self.advance_visitor(io, connection);
            if taken == 0 || used == bytes.len() {
                break;
            }
        }
        used
    }

    /// Goes on with a connection as far as possible.
    pub(super) fn advance_visitor(&mut self, io: &mut Io<Shard>, connection: ConnectionId) {
        while let Some(visitor) = self.visitors.here.get_mut(&connection) {
            let Ok(out) = io.outbox(connection) else { return self.visitor_is_late(io, connection) };
            match visitor.exchange.advance(out) {
                Progress::Idles => return io.set_deadline(connection, Some(IDLE)),
                Progress::Reads => {
                    // A request has to be there in time, however many pieces it comes in.
                    if !std::mem::replace(&mut visitor.reads, true) {
                        io.set_deadline(connection, Some(self.settings.login_timeout));
                    }
                    return;
                }
                Progress::Waits => return io.pause(connection),
                Progress::IsOver => return self.visitor_is_late(io, connection),
                Progress::Asks(request) => {
                    io.set_deadline(connection, Some(WORKS));
                    (visitor.is_served, visitor.reads) = (true, false);
                    let (number, peer) = (visitor.number, visitor.peer);
                    self.serve_visitor(io, connection, number, peer, &request);
                    if let Some(visitor) = self.visitors.here.get_mut(&connection) {
                        visitor.is_served = false;
                    }
                }
            }
        }
    }

    /// Answers what a visitor has asked, who may be gone.
    pub(super) fn answer_visitor(&mut self, io: &mut Io<Shard>, connection: ConnectionId, response: Response) {
        let Some(visitor) = self.visitors.here.get_mut(&connection) else { return };
        visitor.exchange.answer(response);
        if !visitor.is_served {
            self.advance_visitor(io, connection);
            io.resume(connection);
        }
    }

    /// Answers a request, or begins to.
    fn serve_visitor(
        &mut self,
        io: &mut Io<Shard>,
        connection: ConnectionId,
        number: u64,
        peer: SocketAddr,
        request: &Request,
    ) {
        let settings = Arc::clone(&self.settings);
        let Some(site) = &settings.site else { return self.visitor_is_late(io, connection) };
        let Some(address) = visitor_behind(peer.ip(), request, &site.proxies) else {
            limited_event!(WARN, "limits", %peer, "a proxy of the web pages does not say for whom it asks");
            return self.answer_visitor(io, connection, site::unknown_visitor());
        };
        let peer = SocketAddr::new(address, peer.port());
        if let Some(visitor) = self.visitors.here.get_mut(&connection) {
            visitor.asks_from = peer.ip();
        }
        if self.is_banned(peer.ip()) {
            return self.answer_visitor(io, connection, site::banned());
        }
        let costs = if request.method() == Method::POST { FORM_COSTS } else { PAGE_COSTS };
        if !self.may_visit(io, peer.ip(), costs) {
            self.counts(io).refused_by_limits.add(1);
            let about = logging::About { shard: io.shard(), connection: number, address: Some(peer), account: None };
            limited_event!(WARN, "limits", about; "a visitor of the web pages asks too often");
            return self.answer_visitor(io, connection, site::too_often());
        }
        match site.visit(request, &settings.registration(), now_s()) {
            Visit::Answered(response) => self.answer_visitor(io, connection, response),
            Visit::Wrong(filled, status, words) => {
                self.visitor_wants_form(io, connection, filled, status, Some(words));
            }
            Visit::Invitation { domain, token } => {
                let at = domain.clone();
                self.with_valid_invitation(io, &domain, &token.clone(), move |shard, io, stored| {
                    let invited = stored.map(|stored| stored.map(|stored| Invited::new(&at, &stored, &token)));
                    let page = invited.map(|invited| site::invitation(&at, invited.as_ref()));
                    shard.answer_visitor(io, connection, page.unwrap_or_else(|_| site::failed(&at)));
                });
            }
            Visit::Export { domain, token } => self.visitor_fetches(io, connection, &domain, &token),
            Visit::Form(filled) => self.visitor_wants_form(io, connection, filled, StatusCode::OK, None),
            Visit::Register(filled) => {
                self.visitor_registers(io, Applicant::on_page(connection, number, peer, filled));
            }
        }
    }

    /// A visitor fetches something large from now on.
    pub(super) fn visitor_downloads(&mut self, connection: ConnectionId, download: Download) {
        if let Some(visitor) = self.visitors.here.get_mut(&connection) {
            visitor.download = Some(download);
        }
    }

    /// What a visitor fetches.
    pub(super) fn download_of(&mut self, connection: ConnectionId) -> Option<&mut Download> {
        self.visitors.here.get_mut(&connection)?.download.as_mut()
    }

    /// Those who fetch something.
    pub(super) fn downloading(&self) -> Vec<ConnectionId> {
        let all = self.visitors.here.iter().filter(|(_, visitor)| visitor.download.is_some());
        all.map(|(connection, _)| *connection).collect()
    }

    /// Shows the form to register with, once its invitation is looked up.
    fn visitor_wants_form(
        &mut self,
        io: &mut Io<Shard>,
        connection: ConnectionId,
        mut filled: Filled,
        status: StatusCode,
        wrong: Option<&'static str>,
    ) {
        let wrong = wrong.map(str::to_owned);
        let Some(token) = filled.token.clone() else {
            return self.show_form(io, connection, filled, status, wrong);
        };
        self.with_valid_invitation(io, &filled.domain.clone(), &token.clone(), move |shard, io, stored| match stored {
            Ok(Some(stored)) if stored.is_for_strangers() => {
                filled.invited = Some(Invited::new(&filled.domain, &stored, &token));
                shard.show_form(io, connection, filled, status, wrong);
            }
            Ok(_) => shard.answer_visitor(io, connection, site::invitation(&filled.domain, None)),
            Err(_) => shard.answer_visitor(io, connection, site::failed(&filled.domain)),
        });
    }

    fn visitor_registers(&mut self, io: &mut Io<Shard>, mut applicant: Applicant) {
        let Way::Page(filled) = &applicant.way else { return };
        let submission = Rc::clone(&filled.submission);
        let Some(token) = applicant.token.clone() else {
            return match self.may_apply(&applicant) {
                Ok(()) => self.register_uninvited(io, applicant, &submission),
                Err(declined) => self.decline(io, applicant, None, declined),
            };
        };
        self.with_valid_invitation(
            io,
            &applicant.domain.clone(),
            &token.clone(),
            move |shard, io, stored| match stored {
                Ok(Some(stored)) if stored.is_for_strangers() => {
                    let invited = Invited::new(&applicant.domain, &stored, &token);
                    if let Way::Page(filled) = &mut applicant.way {
                        filled.invited = Some(invited);
                    }
                    // Who has an account may have forgotten the password where nobody else registers.
                    let may = if stored.invite.resets { Ok(()) } else { shard.may_apply(&applicant) };
                    match may {
                        Ok(()) => shard.come_invited(io, applicant, &submission, stored),
                        Err(declined) => shard.decline(io, applicant, None, declined),
                    }
                }
                Ok(_) => shard.decline(io, applicant, None, unknown()),
                Err(declined) => shard.decline(io, applicant, None, declined),
            },
        );
    }

    /// Shows the form to register with.
    fn show_form(
        &mut self,
        io: &mut Io<Shard>,
        connection: ConnectionId,
        filled: Filled,
        status: StatusCode,
        wrong: Option<String>,
    ) {
        if !self.settings.registration().questionnaire.is_picture_asked(filled.invited.is_some()) {
            return self.show_form_with(io, connection, &filled, status, wrong.as_deref(), None);
        }
        let Some(address) = self.visitors.here.get(&connection).map(|visitor| visitor.asks_from) else { return };
        self.with_challenge(io, address, move |shard, io, challenge| {
            if challenge.is_none() && wrong.is_none() {
                return shard.answer_visitor(io, connection, site::too_often());
            }
            // What was wrong is said without a picture, too.
            shard.show_form_with(io, connection, &filled, status, wrong.as_deref(), challenge.as_ref());
        });
    }

    fn show_form_with(
        &mut self,
        io: &mut Io<Shard>,
        connection: ConnectionId,
        filled: &Filled,
        status: StatusCode,
        wrong: Option<&str>,
        challenge: Option<&Challenge>,
    ) {
        let settings = Arc::clone(&self.settings);
        let Some(site) = &settings.site else { return };
        let form = site.form(status, filled, &settings.registration(), wrong, challenge, now_s());
        self.answer_visitor(io, connection, form);
    }

    /// Shows it once more to somebody who is refused.
    pub(super) fn refuse_visitor(
        &mut self,
        io: &mut Io<Shard>,
        connection: ConnectionId,
        filled: &Filled,
        refusal: &Refusal,
    ) {
        if refusal.condition == "item-not-found" {
            return self.answer_visitor(io, connection, site::invitation(&filled.domain, None));
        }
        let (status, words) = site::refusal(refusal);
        self.show_form(io, connection, filled.clone(), status, Some(words.to_owned()));
    }

    /// Whether somebody at this address may be drawn a picture, which takes some time.
    pub(super) fn may_have_picture(&mut self, io: &Io<Shard>, address: IpAddr) -> bool {
        self.may_visit(io, address, PICTURE_COSTS)
    }

    /// Whether somebody may ask for so much at this address.
    fn may_visit(&mut self, io: &Io<Shard>, address: IpAddr, costs: f64) -> bool {
        self.visitors.visits.take(address, costs, io.now_ms())
    }
}
