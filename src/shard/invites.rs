//! Invitations: those that strangers show (XEP-0445), those that accounts make by commands (XEP-0401), and those with
//! which somebody becomes a contact (XEP-0379).

use rondel_shards::Io;
use rondel_storage::invites::{self, Invite, StoredInvite};
use rondel_storage::{Outcome, Owner, PageRequest, ReadRequest, WriteRequest, names};

use super::applicant::Applicant;
use super::message::Message;
use super::roster::written;
use super::stream::Phase;
use super::task::{Asker, Step, Task};
use super::{Shard, now_s};
use crate::account::Address;
use crate::account::subscription::SubscriptionType;
use crate::home::home;
use crate::jid::Jid;
use crate::limited_event;
use crate::registration::{Declined, Mode, Submission, UserInvites, invite_uri, is_token, token};
use crate::service::Answer;
use crate::service::commands::{Done, Running};
use crate::service::user_commands::{Rights, invitation};
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// Invitations of a whole server that may be open at once.
const OPEN_MAX: usize = 10_000;

/// Two accounts become contacts, each being subscribed to the other, at the home of the first.
pub struct Befriend {
    /// The bare JID of the account at home there.
    pub account: String,
    /// The bare JID of the other.
    pub contact: String,
}

impl Shard {
    /// A stranger shows the token of an invitation (XEP-0445 §3).
    pub(super) fn show_invitation(&mut self, io: &mut Io<Shard>, applicant: Applicant, preauth: &Element) {
        let token = preauth.attribute("token").unwrap_or_default().to_owned();
        if !is_token(&token) {
            return self.decline(io, applicant, None, unknown());
        }
        let domain = applicant.domain.clone();
        self.with_valid_invitation(io, &domain, &token.clone(), move |shard, io, stored| match stored {
            Ok(Some(stored)) if stored.is_for_strangers() => {
                shard.note_invitation(&applicant, &token);
                shard.answer_applicant(io, &applicant, Answer::Result(None));
            }
            Ok(_) => shard.decline(io, applicant, None, unknown()),
            Err(declined) => shard.decline(io, applicant, None, declined),
        });
    }

    /// Looks for an invitation, and goes on with it.
    fn with_invitation(
        &mut self,
        io: &mut Io<Shard>,
        domain: &str,
        token: &str,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, Result<Option<StoredInvite>, Declined>) + 'static,
    ) {
        let (domain, token) = (domain.to_owned(), token.to_owned());
        let request = invites::get(&domain, &token);
        let step = Step::read(request, move |shard, io, _: &Task, outcome| {
            then(shard, io, found(&domain, &token, outcome));
            Step::Done
        });
        self.run(io, step);
    }

    /// The same, if it holds just now.
    pub(super) fn with_valid_invitation(
        &mut self,
        io: &mut Io<Shard>,
        domain: &str,
        token: &str,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, Result<Option<StoredInvite>, Declined>) + 'static,
    ) {
        self.with_invitation(io, domain, token, |shard, io, stored| {
            then(shard, io, stored.map(|stored| stored.filter(|stored| stored.is_valid(now_s()))));
        });
    }

    fn note_invitation(&mut self, applicant: &Applicant, token: &str) {
        let Some(mut stream) = self.take(applicant.connection) else { return };
        if let Phase::Login(negotiation) = &mut stream.phase {
            negotiation.on_invitation(token);
        }
        self.put(stream);
    }

    /// Somebody registers who has shown an invitation. It held then, which is enough (XEP-0445 §3), unless it has been
    /// used up since.
    pub(super) fn register_invited(
        &mut self,
        io: &mut Io<Shard>,
        applicant: Applicant,
        submission: Submission,
        token: String,
    ) {
        let domain = applicant.domain.clone();
        self.with_invitation(io, &domain, &token, move |shard, io, stored| match stored {
            Ok(Some(stored)) if stored.invite.uses_left > 0 => {
                shard.come_invited(io, applicant, &submission, stored);
            }
            Ok(_) => shard.decline(io, applicant, None, used_up()),
            Err(declined) => shard.decline(io, applicant, None, declined),
        });
    }

    /// Somebody registers with an invitation, or sets a password anew.
    pub(super) fn come_invited(
        &mut self,
        io: &mut Io<Shard>,
        applicant: Applicant,
        submission: &Submission,
        stored: StoredInvite,
    ) {
        match stored.resets() {
            Some(owner) => self.reset_password(io, applicant, submission, stored, owner),
            None => self.consider(io, applicant, submission, Some(stored)),
        }
    }

    /// Whoever has come by an invitation becomes a contact of the inviter, if that is what it was for.
    pub(super) fn befriend_inviter(&mut self, io: &mut Io<Shard>, owner: &Owner, invite: &Invite) {
        if let (true, Some(inviter)) = (invite.befriends, &invite.inviter) {
            self.befriend(io, &owner.to_string(), inviter);
        }
    }

    fn befriend(&mut self, io: &mut Io<Shard>, one: &str, other: &str) {
        for (account, contact) in [(one, other), (other, one)] {
            let order = Befriend { account: account.to_owned(), contact: contact.to_owned() };
            io.send(home(account, io.shards()), Message::Befriend(Box::new(order)), size_of::<Befriend>());
        }
    }

    /// The same for an account at home here, once it is in memory: it grants what the contact asks for, before or
    /// after that has asked, and asks itself. In whatever order that happens on both sides, both are subscribed in the
    /// end.
    pub(super) fn befriend_here(&mut self, io: &mut Io<Shard>, order: Box<Befriend>) {
        if self.accounts.account(&order.account).is_none() {
            return self.load_to_befriend(io, order);
        }
        self.befriend_loaded(io, &order);
    }

    pub(super) fn befriend_loaded(&mut self, io: &mut Io<Shard>, order: &Befriend) {
        let Ok(contact) = Jid::parse(&order.contact) else { return };
        for kind in [SubscriptionType::Subscribed, SubscriptionType::Subscribe] {
            self.subscribe_on_behalf(io, &order.account, &contact, kind);
        }
    }

    /// Somebody asks for a subscription with a token (XEP-0379 §3.3): if the account has made it for that, the two are
    /// contacts at once. Otherwise it is a request like any other.
    pub(super) fn subscription_with_token(&mut self, io: &mut Io<Shard>, account: &str, contact: &str, token: &str) {
        let Ok(owner) = Owner::parse(account) else { return };
        if !is_token(token) {
            return;
        }
        let (domain, token) = (owner.domain().to_owned(), token.to_owned());
        let (account, contact) = (account.to_owned(), contact.to_owned());
        let request = invites::get(&domain, &token);
        let step = Step::read(request, move |_, _, _: &Task, outcome| {
            let stored = match found(&domain, &token, outcome) {
                Ok(Some(stored)) if stored.is_valid(now_s()) && stored.invite.befriends => stored,
                _ => return Step::Done,
            };
            if stored.invite.inviter.as_deref() != Some(&*account) {
                return Step::Done;
            }
            Step::write(stored.consume(WriteRequest::new(owner)), move |shard, io, _: &Task, outcome| {
                if matches!(outcome, Outcome::Written) {
                    shard.befriend(io, &account, &contact);
                }
                Step::Done
            })
        });
        self.run(io, step);
    }

    /// Takes back the invitations that an account has made, or that are for it, which is gone.
    pub(super) fn forget_invitations_of(&mut self, io: &mut Io<Shard>, account: String) {
        let step = Step::read(ReadRequest::Page(invites::list(OPEN_MAX)), move |shard, io, _: &Task, outcome| {
            let Outcome::Page(page) = outcome else { return Step::Done };
            let is_of = |stored: &StoredInvite| {
                stored.invite.inviter.as_deref() == Some(&*account)
                    || stored.resets().is_some_and(|owner| owner.to_string() == account)
            };
            for stored in invites::decode_page(page).into_iter().flatten().filter(is_of) {
                shard.run(
                    io,
                    Step::write(stored.revoke(), |_, _, _: &Task, outcome| {
                        // A failure is logged where it is told; they end by themselves.
                        let _ = written(outcome);
                        Step::Done
                    }),
                );
            }
            Step::Done
        });
        self.run(io, step);
    }

    /// Which commands a session may run on its domain.
    pub(super) fn rights(&self, asker: &Address, has_account: bool) -> Rights {
        let policy = self.settings.registration();
        // Nobody makes an account with it where nobody can.
        let invites = match policy.invites.users {
            UserInvites::Accounts if policy.mode == Mode::Closed => UserInvites::Contacts,
            invites => invites,
        };
        let is_administrator = self.settings.is_administrator(asker.bare());
        let invites_strangers = is_administrator && policy.mode != Mode::Closed;
        let exports = self.settings.site.is_some();
        Rights { has_account, invites, invites_strangers, exports, is_administrator }
    }

    /// A command makes an invitation.
    pub(super) fn invite(
        &mut self,
        asker: &Asker,
        running: Running,
        registers: bool,
        befriends: bool,
        username: Option<String>,
    ) -> Step {
        let (inviter, domain) = (asker.address.bare().to_owned(), asker.address.domain().to_owned());
        let made_s = now_s();
        let expires_s = made_s + self.settings.registration().invites.lifetime_s;
        let inviter = Some(inviter);
        let invite = Invite { inviter, registers, befriends, username, made_s, expires_s, uses_left: 1, resets: false };
        self.make_invite(domain.clone(), invite.clone(), move |shard, _, _, made| match made {
            Err(refusal) => Step::refuse(refusal),
            Ok(token) => {
                let page = shard.settings.site.as_ref().map(|site| site.invitation_url(&domain, &token));
                let form = invitation(&invite_uri(&domain, &invite, &token), page.as_deref(), expires_s);
                let done = Done { form: Some(form), ..Done::default() };
                Step::Answer(Answer::Result(Some(running.finish_with(done))))
            }
        })
    }

    /// Makes an invitation to a domain, unless too many of its inviter, or altogether, are open; then goes on with its
    /// token.
    pub(super) fn make_invite(
        &mut self,
        domain: String,
        invite: Invite,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, &Task, Result<String, Refusal>) -> Step + 'static,
    ) -> Step {
        let open_max = self.settings.registration().invites.open_max;
        let request: PageRequest = invites::list(OPEN_MAX);
        Step::read(rondel_storage::ReadRequest::Page(request), move |shard, io, task, outcome| {
            let page = match outcome {
                Outcome::Page(page) => page,
                _ => return then(shard, io, task, Err(Refusal::internal_server_error())),
            };
            let too_many = Refusal::new("wait", "resource-constraint").with_text("Too many invitations are open.");
            if !page.complete {
                return then(shard, io, task, Err(too_many));
            }
            let now_s = now_s();
            let all = invites::decode_page(page).into_iter().flatten();
            let own = all.filter(|stored| stored.is_valid(now_s) && stored.invite.inviter == invite.inviter);
            if own.count() >= open_max {
                return then(shard, io, task, Err(too_many));
            }
            let token = token();
            let mut request = invites::create(&domain, &token, &invite);
            let named = invite.username.as_deref().and_then(|name| Owner::new(name, &domain).ok());
            if let Some(named) = named {
                request = names::reserve(request, &named, invite.expires_s);
            }
            Step::write(request, move |shard, io, task: &Task, outcome| {
                let made = written(outcome).map(|()| token);
                then(shard, io, task, made)
            })
        })
    }
}

/// The invitation that was read.
fn found(domain: &str, token: &str, outcome: Outcome) -> Result<Option<StoredInvite>, Declined> {
    invites::decode(domain, token, outcome).map_err(|error| {
        limited_event!(WARN, "storage", "an invitation cannot be read: {error}");
        Declined::new("failed", Refusal::new("wait", "internal-server-error"))
    })
}

/// Nobody else registers with an invitation.
pub(super) fn used_up() -> Declined {
    let refusal = Refusal::item_not_found().with_text("The invitation has been used.");
    Declined::new("used-invitation", refusal)
}

pub(super) fn unknown() -> Declined {
    let refusal = Refusal::item_not_found().with_text("The invitation is unknown, or holds no more.");
    Declined::new("unknown-invitation", refusal)
}

/// The token in a request for a subscription, and the request without it: it is nobody's business but the server's.
pub(super) fn token_in(stanza: &[u8]) -> Option<(String, Vec<u8>)> {
    let namespace = ns::PREAUTH.as_bytes();
    if !stanza.windows(namespace.len()).any(|window| window == namespace) {
        return None;
    }
    let element = Element::parse(stanza).ok()?;
    let token = element.child("preauth", ns::PREAUTH)?.attribute("token").unwrap_or_default().to_owned();
    let mut stripped = Vec::new();
    element.without_children("preauth", ns::PREAUTH).write_to(&mut stripped, ns::CLIENT);
    Some((token, stripped))
}
