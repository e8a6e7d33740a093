//! What can be carried out on a store alone, whether a server runs or not; and the note of everything that changes
//! something.

use std::sync::Arc;

use rondel_storage::Store;
use rondel_storage::audit::Deed;
use rondel_storage::meta::{StoredList, StoredWords};

use super::applicants::Applicants;
use super::audit::Audit;
use super::backend::{By, Failure, FailureKind};
use super::backups::Backups;
use super::bans::Bans;
use super::invites::Invites;
use super::keys;
use super::log::Log;
use super::marks::Marks;
use super::people::People;
use super::reports::Reports;
use super::request::{Answers, Done, Request};
use super::sanctions::Sanctions;
use super::transfer::Transfer;
use super::users::Users;
use crate::jid::Jid;

/// A store, and all that works on it.
#[derive(Clone)]
pub struct Desk {
    /// Accounts.
    pub users: Users,
    /// What was decided about them.
    pub sanctions: Sanctions,
    /// Who waits to be let in.
    pub applicants: Applicants,
    /// Invitations.
    pub invites: Invites,
    /// The log of registrations.
    pub log: Log,
    /// Addresses that are not let in.
    pub bans: Bans,
    /// Marks of accounts.
    pub marks: Marks,
    /// Copies of all of it.
    pub backups: Backups,
    /// Exports and imports.
    pub transfer: Transfer,
    /// Reports of abuse.
    pub reports: Reports,
    /// Who is here, and what they are told.
    pub people: People,
    /// What was done.
    pub audit: Audit,
}

impl Desk {
    /// All of this store.
    pub fn new(store: Arc<Store>) -> Desk {
        Desk {
            users: Users::new(Arc::clone(&store)),
            sanctions: Sanctions::new(Arc::clone(&store)),
            applicants: Applicants::new(Arc::clone(&store)),
            invites: Invites::new(Arc::clone(&store)),
            log: Log::new(Arc::clone(&store)),
            bans: Bans::new(Arc::clone(&store)),
            marks: Marks::new(Arc::clone(&store)),
            backups: Backups::new(Arc::clone(&store)),
            transfer: Transfer::new(Arc::clone(&store)),
            reports: Reports::new(Arc::clone(&store)),
            people: People::new(Arc::clone(&store)),
            audit: Audit::new(store),
        }
    }

    /// Carries out what concerns the store alone; what else there is needs a server.
    pub fn carry_out(&self, by: &By, request: Request) -> Result<Done, Failure> {
        match request {
            Request::AddUser { jid, keys } => self.users.add(&account(&jid)?, keys::read(&keys)?)?,
            Request::SetKeys { jid, keys } => self.users.set_keys(&account(&jid)?, keys::read(&keys)?)?,
            Request::RemoveUser { jid, made_s } => {
                let jid = account(&jid)?;
                let contacts = self.people.contacts_of(&jid)?;
                self.users.remove(&jid, made_s)?;
                self.people.leave(&jid, &contacts)?;
                self.invites.forget_of(jid.as_str())?;
            }
            Request::DisableUser { jid, reason, for_s } => self.users.disable(&account(&jid)?, &reason, for_s)?,
            Request::EnableUser { jid } => self.users.enable(&account(&jid)?)?,
            Request::SetRole { jid, role } => self.sanctions.set_role(&account(&jid)?, role)?,
            Request::Mute { jid, for_s } => self.sanctions.mute(&account(&jid)?, for_s)?,
            Request::Unmute { jid } => self.sanctions.unmute(&account(&jid)?)?,
            Request::Limit { jid, for_s } => self.sanctions.limit(&account(&jid)?, for_s)?,
            Request::Unlimit { jid } => self.sanctions.unlimit(&account(&jid)?)?,
            Request::ListUsers(list) => return self.users.list(&list).map(Done::Users),
            Request::ShowUser { jid } => return self.users.show(&account(&jid)?).map(Done::User),
            Request::ListPending { after } => return self.applicants.pending(after.as_deref()).map(Done::Pending),
            Request::Approve { jid } => self.applicants.approve(&account(&jid)?)?,
            Request::Reject { jid } => {
                let jid = account(&jid)?;
                self.users.remove(&jid, Some(self.applicants.made_s(&jid)?))?;
            }
            Request::CreateInvite(new) => {
                if let (true, Some(name), Some(domain)) = (new.resets, &new.username, &new.domain) {
                    // There is such an account.
                    self.users.show(&account(&format!("{name}@{domain}"))?)?;
                }
                return self.invites.create(&new).map(Done::Invite);
            }
            Request::ListInvites => return self.invites.list().map(Done::Invites),
            Request::RevokeInvite { invite } => self.invites.revoke(&invite)?,
            Request::ListLog(list) => return self.log.list(&list).map(Done::Log),
            Request::CountLog(wanted) => return self.log.count(&wanted).map(Done::LogCount),
            Request::BanAddress { network, for_s, reason } => self.bans.add(by, &network, for_s, &reason)?,
            Request::UnbanAddress { network } => self.bans.remove(&network)?,
            Request::ListBans => return self.bans.list().map(Done::Bans),
            Request::ListReports { all, after } => return self.reports.list(all, after.as_deref()).map(Done::Reports),
            Request::ShowReport { report } => {
                return self.show_report(&report).map(|details| Done::Report(Box::new(details)));
            }
            Request::ListAudit(list) => return self.audit.list(&list).map(Done::Audit),
            Request::Census { which, names_max } => return self.people.census(which, names_max).map(Done::Census),
            Request::ShowRoster { jid } => return self.people.roster(&account(&jid)?).map(Done::Roster),
            Request::ShowActivity { jid } => return self.people.activity(&account(&jid)?).map(Done::Activity),
            Request::SetBlacklist { jids } => self.people.set_list(StoredList::Blacklist, &jids)?,
            Request::SetWhitelist { jids } => self.people.set_list(StoredList::Whitelist, &jids)?,
            Request::SetMessageOfTheDay { words } => self.people.set_words(StoredWords::MessageOfTheDay, &words)?,
            Request::SetWelcome { words } => self.people.set_words(StoredWords::Welcome, &words)?,
            Request::SetAdministrators { jids } => self.sanctions.set_administrators(&jids)?,
            Request::Mark { jid, mark } => self.marks.set(&account(&jid)?, &mark)?,
            Request::Unmark { jid, mark } => self.marks.clear(&account(&jid)?, &mark)?,
            Request::ListMarked { mark, domain } => {
                return self.marks.marked(&mark, domain.as_deref()).map(Done::Marked);
            }
            Request::CreateBackup { directory } => {
                return self.backups.create(directory.as_deref()).map(Done::Backup);
            }
            Request::VerifyStorage => return self.backups.survey().map(Done::Survey),
            Request::Export { .. } | Request::Import { .. } => {
                return Err(Failure::new(FailureKind::Unavailable, "whoever asks cannot be told"));
            }
            Request::Status
            | Request::ShowLimits { .. }
            | Request::ActOnReport(_)
            | Request::Tell { .. }
            | Request::EndSessions { .. }
            | Request::ShutDown { .. }
            | Request::Announce { .. }
            | Request::ShowFirewall
            | Request::ShowList { .. }
            | Request::AddToList { .. }
            | Request::RemoveFromList { .. }
            | Request::FollowFirewall(_)
            | Request::LogLevels
            | Request::ChangeLogLevels { .. }
            | Request::Trace { .. } => return Err(Failure::new(FailureKind::Unavailable, "no server runs")),
        }
        Ok(Done::Nothing)
    }

    /// Has a request carried out, and notes it if it may change something.
    pub fn audited(
        &self,
        by: &By,
        request: Request,
        carry_out: impl FnOnce(Request) -> Result<Done, Failure>,
    ) -> Result<Done, Failure> {
        if !request.is_to_be_noted() {
            return carry_out(request);
        }
        let (what, said) = request.described();
        let note = |failed: Option<String>| {
            let failed_text = failed.as_deref().unwrap_or_default();
            tracing::info!(target: "admin", %by, what, failed = failed_text, "asked");
            let deed = Deed { by: by.to_string(), what: what.clone(), said: said.clone(), failed };
            self.audit.note(&deed);
        };
        // It ends when whoever looks on has seen enough.
        if request.answers() == Answers::UntilNobodyListens {
            note(None);
            return carry_out(request);
        }
        let outcome = carry_out(request);
        note(outcome.as_ref().err().map(|failure| failure.text.clone()));
        outcome
    }
}

/// The address of an account.
pub(crate) fn account(jid: &str) -> Result<Jid<'_>, Failure> {
    let account = Jid::parse(jid).ok().filter(|jid| jid.local().is_some() && !jid.is_full());
    account.ok_or_else(|| Failure::new(FailureKind::Invalid, format!("{jid:?} is not the address of an account")))
}
