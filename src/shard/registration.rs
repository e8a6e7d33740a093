//! Registration (XEP-0077): of strangers, before they log in, and what an account may change about its own. What is
//! asked and who may is decided in [`crate::registration`]; here it is carried out.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rondel_shards::Io;
use rondel_storage::accounts::{self, Account, Disabled};
use rondel_storage::applicants;
use rondel_storage::invites::StoredInvite;
use rondel_storage::names as stored_names;
use rondel_storage::registrations::{Registration, Source};
use rondel_storage::{Outcome, Owner, marks};

use super::applicant::{Applicant, Way};
use super::dnsbl::{LISTED_MARK, Listed};
use super::invites::used_up;
use super::login::existing;
use super::registrar::ToRegistrar;
use super::roster::written;
use super::stream::Stream;
use super::task::{Asker, Step, Task};
use super::verify::{NewPassword, NoKeys};
use super::{Shard, now_s};
use crate::credentials::to_store;
use crate::jid;
use crate::names;
use crate::registration::{
    Answers, Challenge, Declined, Mode, NameFault, NotSpent, Offer, Proof, Request, Submission, registered,
    wrong_letters,
};
use crate::sasl::{PASSWORD_BYTES_MAX, prepare_password};
use crate::service::{Action, Answer};
use crate::stream::{Refusal, StreamError};
use crate::xml::{Element, namespaces as ns};
use crate::{limited_event, logging, session_event};

/// From the form to what is filled in: people choose names, and passwords.
const PATIENCE: Duration = Duration::from_secs(600);

/// Why somebody cannot log in whom nobody has let in yet.
const WAITS: &str = "waits to be let in";

/// What somebody wants to have.
struct Wanted {
    applicant: Applicant,
    owner: Owner,
    /// What was filled in beside name and password.
    said: Vec<(String, String)>,
    /// The invitation that it is made with.
    invite: Option<StoredInvite>,
    /// Whether an administrator has to say yes first.
    waits: bool,
    /// Whether the throttle waits to hear what has become of it.
    is_counted: bool,
    /// What block lists say of the address that it is made from.
    listed: Listed,
}

impl Wanted {
    /// The way in which the account is made.
    fn source(&self) -> Source {
        match (&self.invite, &self.applicant.way) {
            (Some(_), _) => Source::Invite,
            (None, Way::Stream { .. }) => Source::Ibr,
            (None, Way::Page(_)) => Source::Web,
        }
    }
}

impl Shard {
    /// A question about registration before login, or a wish.
    pub(super) fn register(&mut self, io: &mut Io<Shard>, applicant: Applicant, iq: &Element) {
        let request = match self.registration_request_of(&applicant, iq) {
            Ok(request) => request,
            Err(declined) => return self.decline(io, applicant, None, declined),
        };
        if let Some(preauth) = iq.child("preauth", ns::PREAUTH) {
            return self.show_invitation(io, applicant, preauth);
        }
        let submission = match request {
            Request::Get => {
                io.set_deadline(applicant.connection, Some(PATIENCE));
                return self.offer(io, applicant);
            }
            Request::Remove => {
                let refusal = Refusal::new("auth", "registration-required");
                return self.answer_applicant(io, &applicant, Answer::Refused(refusal));
            }
            Request::Set(submission) => submission,
        };
        match applicant.token.clone() {
            Some(token) => self.register_invited(io, applicant, submission, token),
            None => self.register_uninvited(io, applicant, &submission),
        }
    }

    /// Shows what is to be filled in, with a picture if one has to be read.
    fn offer(&mut self, io: &mut Io<Shard>, applicant: Applicant) {
        let policy = self.settings.registration();
        if !policy.questionnaire.is_picture_asked(applicant.token.is_some()) {
            return self.offer_with(io, &applicant, None);
        }
        self.with_challenge(io, applicant.peer.ip(), move |shard, io, challenge| match challenge {
            Some(challenge) => shard.offer_with(io, &applicant, Some(&challenge)),
            None => {
                shard.answer_applicant(io, &applicant, Answer::Refused(Refusal::new("wait", "resource-constraint")))
            }
        });
    }

    fn offer_with(&mut self, io: &mut Io<Shard>, applicant: &Applicant, challenge: Option<&Challenge>) {
        let page = self.settings.site.as_ref().map(|site| site.registration_url(&applicant.domain));
        let (page, is_invited, id) = (page.as_deref(), applicant.token.is_some(), applicant.id());
        let offer = Offer { page, is_invited, challenge, id };
        let offer = self.settings.registration().questionnaire.offer(offer);
        self.answer_applicant(io, applicant, Answer::Result(Some(offer)));
    }

    /// Makes a challenge for somebody at this address, and goes on with it. None if they have had many, or too many
    /// wait for one.
    pub(super) fn with_challenge(
        &mut self,
        io: &mut Io<Shard>,
        address: IpAddr,
        then: impl FnOnce(&mut Shard, &mut Io<Shard>, Option<Challenge>) + 'static,
    ) {
        if !self.may_have_picture(io, address) {
            return then(self, io, None);
        }
        let step = Step::draw(move |shard, io, _: &Task, drawn| {
            let challenges = &shard.settings.challenges;
            let challenge = drawn.map(|(answer, picture)| challenges.new_challenge(&answer, picture, now_s()));
            then(shard, io, challenge);
            Step::Done
        });
        self.run(io, step);
    }

    /// Somebody wants to register who has no invitation.
    pub(super) fn register_uninvited(&mut self, io: &mut Io<Shard>, applicant: Applicant, submission: &Submission) {
        if self.settings.registration().mode == Mode::Invite {
            let refusal = Refusal::not_acceptable().with_text("Registration is by invitation only.");
            return self.decline(io, applicant, None, Declined::new("uninvited", refusal));
        }
        self.consider(io, applicant, submission, None);
    }

    /// Somebody wants to register who may, as far as that is known; with an invitation or without.
    pub(super) fn consider(
        &mut self,
        io: &mut Io<Shard>,
        applicant: Applicant,
        submission: &Submission,
        invite: Option<StoredInvite>,
    ) {
        let policy = self.settings.registration();
        let owner = match name_in(submission) {
            Ok(name) => Owner::new(&name, &applicant.domain),
            Err(declined) => return self.decline(io, applicant, None, declined),
        };
        let Ok(owner) = owner else {
            return self.decline(io, applicant, None, Declined::new("bad-name", Refusal::not_acceptable()));
        };
        let promised = invite.as_ref().and_then(|stored| stored.invite.username.as_deref());
        let name = match promised {
            Some(promised) if promised == owner.local() => Ok(()),
            Some(_) => Err(other_name()),
            // Nobody administers the server by taking a name that the flags have and nobody else.
            None if self.settings.is_administrator(&owner.to_string()) => Err(NameFault::Reserved.into()),
            None => policy.names.check(owner.local()).map_err(Declined::from),
        };
        let checked = name.and_then(|()| {
            let new = password_in(submission, Refusal::not_acceptable)?;
            Ok((new, policy.questionnaire.check(submission, invite.is_some())?))
        });
        let (new, Answers { said, proof }) = match checked {
            Ok(checked) => checked,
            Err(declined) => return self.decline(io, applicant, Some(owner), declined),
        };
        let password = self.new_password(&owner, None, new);
        let address = applicant.peer.ip();
        let is_counted = invite.is_none() && !policy.trusted.contain(address);
        let waits = invite.is_none() && policy.mode == Mode::Approve;
        let wanted = Wanted { applicant, owner, said, invite, waits, is_counted, listed: Listed::Nowhere };
        let step = match proof {
            Some(proof) => self.prove(io, wanted, password, proof),
            None => admit(wanted, password),
        };
        self.run(io, step);
    }

    /// Uses a challenge, and goes on if its letters were read.
    fn prove(&mut self, io: &mut Io<Shard>, wanted: Wanted, password: NewPassword, proof: Proof) -> Step {
        let Some(challenge) = self.settings.challenges.returned(&proof.challenge, now_s()) else {
            self.decline(io, wanted.applicant, Some(wanted.owner), NotSpent::Void.into());
            return Step::Done;
        };
        Step::spend(challenge, move |shard, io, _: &Task, outcome| {
            let declined = match outcome {
                Err(not) => not.into(),
                Ok(()) if shard.settings.challenges.is_answer(&challenge, &proof.answer) => {
                    return admit(wanted, password);
                }
                Ok(()) => wrong_letters(),
            };
            shard.decline(io, wanted.applicant, Some(wanted.owner), declined);
            Step::Done
        })
    }

    /// Whether somebody may ask at all.
    pub(super) fn may_apply(&self, applicant: &Applicant) -> Result<(), Declined> {
        self.settings.registration().admits(applicant.peer.ip())?;
        if self.settings.negotiation.anonymous.as_deref() == Some(&*applicant.domain) {
            return Err(Declined::new("closed", Refusal::service_unavailable()));
        }
        Ok(())
    }

    /// What is asked, if the one who asks may.
    fn registration_request_of(&self, applicant: &Applicant, iq: &Element) -> Result<Request, Declined> {
        self.may_apply(applicant)?;
        let bad = |refusal| Declined::new("bad-request", refusal);
        let sets = match iq.attribute("type") {
            Some("get") => false,
            Some("set") => true,
            _ => return Err(bad(Refusal::bad_request())),
        };
        if iq.child("preauth", ns::PREAUTH).is_some() && sets {
            return Ok(Request::Get);
        }
        let query = iq.child("query", ns::REGISTER).ok_or_else(|| bad(Refusal::bad_request()))?;
        Request::read(sets, query).map_err(bad)
    }

    fn not_registered(&mut self, io: &mut Io<Shard>, wanted: Wanted, declined: Declined) {
        self.ended(io, &wanted, None);
        self.decline(io, wanted.applicant, Some(wanted.owner), declined);
    }

    /// Tells the throttle what has become of somebody it has let pass.
    fn ended(&mut self, io: &mut Io<Shard>, wanted: &Wanted, made_us: Option<u64>) {
        if wanted.is_counted {
            let order = ToRegistrar::Ended { address: wanted.applicant.peer.ip(), made_us };
            self.tell_registrar(io, order);
        }
    }

    /// Those who watch registrations hear of one.
    fn tell_of(&mut self, io: &mut Io<Shard>, wanted: &Wanted) {
        let policy = self.settings.registration();
        if !policy.notices.watchers.is_empty() {
            let ip = wanted.applicant.peer.ip().to_canonical().to_string();
            let source = wanted.source().name();
            let mut words =
                policy.notices.registered(wanted.owner.local(), wanted.owner.domain(), &ip, source, &wanted.said);
            if wanted.waits {
                words.push_str(" and waits to be let in");
            }
            for (name, value) in &wanted.said {
                words.push_str(&format!("\n{name}: {value}"));
            }
            self.tell_registrar(io, ToRegistrar::Tell(words));
        }
    }

    /// A request of a session about its own account (§3.2, §3.3), addressed to the account or to the server.
    pub(super) fn registration_request(
        &mut self,
        io: &mut Io<Shard>,
        stream: &mut Stream,
        asker: Asker,
        action: Action,
        query: &Element,
    ) {
        let request = match (self.owner_of(asker.address.bare()), Request::read(action == Action::Set, query)) {
            (None, _) => Err(Refusal::service_unavailable()),
            (Some(_), Err(refusal)) => Err(refusal),
            (Some(owner), Ok(request)) => Ok((owner, request)),
        };
        let (owner, request) = match request {
            Ok(request) => request,
            Err(refusal) => return self.run_request(io, stream, asker, Step::refuse(refusal)),
        };
        match request {
            Request::Get => {
                let answer = Answer::Result(Some(registered(owner.local())));
                self.run_request(io, stream, asker, Step::Answer(answer));
            }
            Request::Set(submission) => {
                let (number, peer) = (stream.number, stream.peer);
                let step = self.change_password(owner, &submission, number, peer);
                self.run_request(io, stream, asker, step.unwrap_or_else(Step::refuse));
            }
            Request::Remove => {
                let (number, peer) = (stream.number, stream.peer);
                self.queue_request(io, stream, asker, move |shard, _, _| shard.remove_own_account(owner, number, peer));
            }
        }
    }

    fn change_password(
        &mut self,
        owner: Owner,
        submission: &Submission,
        number: u64,
        peer: SocketAddr,
    ) -> Result<Step, Refusal> {
        if name_in(submission).map_err(|_| Refusal::bad_request())? != owner.local() {
            return Err(Refusal::bad_request());
        }
        let new = password_in(submission, Refusal::bad_request).map_err(|declined| declined.refusal)?;
        Ok(Step::derive(self.new_password(&owner, None, new), move |_, _, _, keys| {
            let keys = match keys {
                Ok(keys) => keys,
                Err(error) => return Step::refuse(refused(error).refusal),
            };
            Step::read(accounts::get(&owner), move |_, _, _, outcome| {
                let stored = match existing(&owner, outcome) {
                    Ok(stored) => stored,
                    Err(refusal) => return Step::refuse(refusal),
                };
                let request = stored.set_keys(keys.into_iter().map(to_store).collect());
                Step::write(request, move |shard, io, task: &Task, outcome| {
                    if matches!(outcome, Outcome::Refused(_)) {
                        return Step::refuse(Refusal::new("wait", "conflict"));
                    }
                    if let Err(refusal) = written(outcome) {
                        return Step::refuse(refusal);
                    }
                    shard.settings.account_changes.fetch_add(1, Ordering::SeqCst);
                    let account = owner.to_string();
                    let about = logging::About {
                        shard: io.shard(),
                        connection: number,
                        address: Some(peer),
                        account: Some(&account),
                    };
                    session_event!(INFO, "login", about, "a password was changed by its user");
                    let own = task.asker.as_ref().map(|asker| asker.address.resource().to_owned());
                    let why = || StreamError::reset("the password was changed");
                    shard.close_sessions(&account, |session| Some(session) != own.as_deref(), why);
                    Step::Answer(Answer::Result(None))
                })
            })
        }))
    }
}

/// Waits for the throttle, and for block lists, where they are asked; then goes on.
fn admit(wanted: Wanted, password: NewPassword) -> Step {
    let address = wanted.applicant.peer.ip();
    if !wanted.is_counted {
        return look_for_name(wanted, password);
    }
    Step::admit(address, move |shard, io, _: &Task, outcome| match outcome {
        Ok(()) => shard.look_for_listing(address, move |shard, io, listed| {
            if listed == Listed::Refused {
                let refusal = Refusal::forbidden().with_text("This address is on a block list.");
                shard.not_registered(io, wanted, Declined::new("listed-address", refusal));
                return Step::Done;
            }
            look_for_name(Wanted { listed, ..wanted }, password)
        }),
        Err(fault) => {
            shard.decline(io, wanted.applicant, Some(wanted.owner), fault.into());
            Step::Done
        }
    })
}

/// Sees whether the name can be had, as far as others than its owner have had it or look like it.
fn look_for_name(wanted: Wanted, password: NewPassword) -> Step {
    let request = stored_names::get(&wanted.owner, &names::skeleton(wanted.owner.local()));
    Step::read(request, move |shard, io, _: &Task, outcome| {
        let policy = shard.settings.registration();
        let outcome = match stored_names::decode(&wanted.owner, outcome) {
            Ok(known) => {
                let invite = wanted.invite.as_ref().map(|stored| &stored.invite);
                let is_invited = invite.is_some_and(|invite| invite.username.as_deref() == Some(wanted.owner.local()));
                policy.gives(&known, is_invited, now_s())
            }
            Err(error) => {
                limited_event!(WARN, "storage", "names cannot be read: {error}");
                Err(Declined::new("failed", Refusal::new("wait", "internal-server-error")))
            }
        };
        match outcome {
            Ok(()) => make_keys(wanted, password),
            Err(declined) => {
                shard.not_registered(io, wanted, declined);
                Step::Done
            }
        }
    })
}

/// Makes the keys of a password, and the account if that is possible.
fn make_keys(wanted: Wanted, password: NewPassword) -> Step {
    Step::derive(password, move |shard, io, _, keys| {
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => {
                shard.not_registered(io, wanted, refused(error));
                return Step::Done;
            }
        };
        let made_us = shard.noted_us(io);
        let keys = keys.into_iter().map(to_store).collect();
        let since = made_us / 1_000_000;
        let disabled = wanted.waits.then(|| Disabled { since, reason: WAITS.into(), until: None });
        let limited_until_s = (wanted.listed == Listed::ToBeLimited).then_some(u64::MAX);
        let account = Account { disabled, limited_until_s, ..Account::new(keys, since) };
        let address = Some(wanted.applicant.peer.ip().to_canonical());
        let registration = Registration { address, source: wanted.source(), client: None };
        let mut request = names::create(&wanted.owner, &account, &registration, made_us);
        if wanted.listed != Listed::Nowhere {
            request = marks::of_new(request, LISTED_MARK, made_us / 1_000);
        }
        if wanted.waits || !wanted.said.is_empty() {
            let (fields, waits) = (wanted.said.clone(), wanted.waits);
            request = applicants::put(request, &applicants::Applicant { at_micros: made_us, address, fields, waits });
        }
        if let Some(invite) = &wanted.invite {
            request = stored_names::release(invite.consume(request), &wanted.owner);
        }
        Step::write(request, move |shard, io, _: &Task, outcome| {
            match outcome {
                // The first condition is that there is no such account, the next that the invitation still holds.
                Outcome::Refused(index) if index > 0 => shard.not_registered(io, wanted, used_up()),
                Outcome::Refused(_) => {
                    let taken = Refusal::new("cancel", "conflict").with_text("This name is taken.");
                    shard.not_registered(io, wanted, Declined::new("taken", taken));
                }
                outcome => match written(outcome) {
                    Err(_) => {
                        let refusal = Refusal::new("wait", "internal-server-error");
                        shard.not_registered(io, wanted, Declined::new("failed", refusal));
                    }
                    Ok(()) => {
                        let account = wanted.owner.to_string();
                        let about = logging::About { account: Some(&account), ..wanted.applicant.about(io) };
                        session_event!(INFO, "registration", about, "an account was made");
                        shard.ended(io, &wanted, Some(made_us));
                        shard.tell_of(io, &wanted);
                        if !wanted.waits {
                            shard.welcome(io, &wanted.owner);
                        }
                        if let Some(stored) = &wanted.invite {
                            shard.befriend_inviter(io, &wanted.owner, &stored.invite);
                        }
                        shard.accept_applicant(io, &wanted.applicant, wanted.waits);
                    }
                },
            }
            Step::Done
        })
    })
}

/// The invitation is for somebody else.
pub(super) fn other_name() -> Declined {
    let refusal = Refusal::not_acceptable().with_text("The invitation is for another name.");
    Declined::new("other-name", refusal)
}

pub(super) fn refused(error: NoKeys) -> Declined {
    match error {
        NoKeys::Fault(fault) => fault.into(),
        NoKeys::Wrong => Declined::new("wrong-password", Refusal::new("modify", "not-authorized")),
        NoKeys::Busy => Declined::new("busy", Refusal::new("wait", "resource-constraint")),
    }
}

/// The name that was filled in, in normal form.
pub(super) fn name_in(submission: &Submission) -> Result<String, Declined> {
    let name = submission.value("username").ok_or_else(|| missing("username", Refusal::not_acceptable()))?;
    let refusal = || Refusal::not_acceptable().with_text("This is no possible user name.");
    jid::localpart(name).map(std::borrow::Cow::into_owned).map_err(|_| Declined::new("bad-name", refusal()))
}

/// The password that was filled in.
pub(super) fn password_in(
    submission: &Submission,
    refusal: fn() -> Refusal,
) -> Result<zeroize::Zeroizing<String>, Declined> {
    let bad = |text| Declined::new("bad-password", refusal().with_text(text));
    let password = submission.value("password").ok_or_else(|| missing("password", refusal()))?;
    // Nothing becomes so much shorter by being prepared, which takes time.
    if password.len() > 4 * PASSWORD_BYTES_MAX {
        return Err(bad("The password is too long."));
    }
    match prepare_password(password).map(zeroize::Zeroizing::new) {
        Some(prepared) if prepared.len() <= PASSWORD_BYTES_MAX => Ok(zeroize::Zeroizing::new(password.to_owned())),
        Some(_) => Err(bad("The password is too long.")),
        None => Err(bad("The password has characters that a password cannot have.")),
    }
}

fn missing(field: &str, refusal: Refusal) -> Declined {
    Declined::new("missing-field", refusal.with_text(&format!("The field {field} is missing.")))
}
