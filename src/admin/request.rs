//! What an operator can ask, and what comes of it. To add something: a variant here, and an arm in [`Desk`] if the
//! store alone is concerned, or in the running server otherwise.
//!
//! [`Desk`]: super::Desk

use serde::{Deserialize, Serialize};

use super::applicants::PendingPage;
use super::audit::{AuditPage, ListAudit};
use super::backend::{ListUsers, UserDetails, UserPage};
use super::backups::{MadeBackup, SurveyFacts};
use super::bans::BannedNetwork;
use super::count::{CountLog, LogCount};
use super::firewall::FirewallFacts;
use super::invites::{MadeInvite, NewInvite, OpenInvite};
use super::keys::{self, WrittenKeys};
use super::log::{ListLog, LogPage};
use super::marks::MarkedAccount;
use super::people::{Activity, CensusOutcome, RosterEntry, Which};
use super::reports::{ActOnReport, ReportDetails, ReportPage};
use super::sanctions::NamedRole;
use super::status::Status;
use super::transfer::ImportFacts;
use super::usage::Usage;
use crate::jid::Jid;
use crate::sasl::ScramKeys;
use crate::shard::{FollowedRun, Traced, WantedRuns};
use crate::transfer::export::Exported;

/// What is asked. Addresses are bare JIDs of accounts. Nothing may be called `id` or `do`, which is how requests are
/// numbered and told apart where they are written as JSON.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// Who answers, and what has been counted.
    Status,
    /// Adds an account. Answered once it is safe on disk.
    AddUser {
        /// Its address.
        jid: String,
        /// What proves its password.
        keys: Vec<WrittenKeys>,
    },
    /// Replaces the keys of an account: from then on only the new password logs in. Sessions go on.
    SetKeys {
        /// Whose.
        jid: String,
        /// What proves its password.
        keys: Vec<WrittenKeys>,
    },
    /// Removes an account with all that belongs to it, and ends its sessions.
    RemoveUser {
        /// Which.
        jid: String,
        /// Only if it was made then, in seconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made_s: Option<u64>,
    },
    /// Bars an account from logging in, and ends its sessions.
    DisableUser {
        /// Which.
        jid: String,
        /// Why, for operators.
        reason: String,
        /// For how many seconds; until it is enabled without.
        for_s: Option<u64>,
    },
    /// Lets a disabled account log in again, or one that was about to go stay.
    EnableUser {
        /// Which.
        jid: String,
    },
    /// Gives an account another role.
    SetRole {
        /// Which.
        jid: String,
        /// What it is from now on.
        role: NamedRole,
    },
    /// Has nothing that an account sends reach others.
    Mute {
        /// Which.
        jid: String,
        /// For how many seconds; for good without.
        for_s: Option<u64>,
    },
    /// Lets an account speak again.
    Unmute {
        /// Which.
        jid: String,
    },
    /// Holds an account to the limits of new ones.
    Limit {
        /// Which.
        jid: String,
        /// For how many seconds; for good without.
        for_s: Option<u64>,
    },
    /// Does not hold an account to the limits of new ones, however young it is.
    Unlimit {
        /// Which.
        jid: String,
    },
    /// A page of the list of accounts.
    ListUsers(ListUsers),
    /// What is stored about an account.
    ShowUser {
        /// Which.
        jid: String,
    },
    /// A page of those who have registered and wait to be let in.
    ListPending {
        /// Only those behind this address.
        after: Option<String>,
    },
    /// Lets somebody in who waits.
    Approve {
        /// Who.
        jid: String,
    },
    /// Removes the account of somebody who waits.
    Reject {
        /// Who.
        jid: String,
    },
    /// Makes an invitation. Answered once it is safe on disk.
    CreateInvite(NewInvite),
    /// The invitations that are open.
    ListInvites,
    /// Takes an invitation back.
    RevokeInvite {
        /// Which, as [`OpenInvite::id`] calls it.
        invite: String,
    },
    /// A page of the log of registrations.
    ListLog(ListLog),
    /// Counts the entries of the log of registrations.
    CountLog(CountLog),
    /// Does not let in who comes from a network, and ends the sessions from there.
    BanAddress {
        /// An address, or a network such as 192.0.2.0/24.
        network: String,
        /// For how many seconds; for good without.
        for_s: Option<u64>,
        /// Why, for operators.
        reason: String,
    },
    /// Lets a network in again.
    UnbanAddress {
        /// Which.
        network: String,
    },
    /// The networks that are banned.
    ListBans,
    /// A page of the reports of abuse.
    ListReports {
        /// Those too that somebody has seen to.
        all: bool,
        /// Only those behind this one.
        after: Option<String>,
    },
    /// A report with all that helps to judge it.
    ShowReport {
        /// Which, as [`ReportSummary::report`](super::ReportSummary::report) calls it.
        report: String,
    },
    /// Does something about a report.
    ActOnReport(ActOnReport),
    /// A page of what administrators have done.
    ListAudit(ListAudit),
    /// Says something to an account, now or when it comes.
    Tell {
        /// Which.
        jid: String,
        /// What.
        words: String,
    },
    /// Says something to many.
    Announce {
        /// What.
        words: String,
        /// Only to those of this domain.
        domain: Option<String>,
        /// To all accounts, now or when they come, rather than to those who are online.
        everybody: bool,
    },
    /// Ends the sessions of an account, or one of them.
    EndSessions {
        /// Which account, or whose full address.
        jid: String,
    },
    /// Counts accounts, and names some of them.
    Census {
        /// Which.
        which: Which,
        /// How many of them are named.
        names_max: usize,
    },
    /// What an account or an address has used of what it may.
    ShowLimits {
        /// A bare JID or an address.
        of: String,
    },
    /// The contacts of an account.
    ShowRoster {
        /// Whose.
        jid: String,
    },
    /// Where somebody is just now, and since when not.
    ShowActivity {
        /// Who.
        jid: String,
    },
    /// With whom nobody here exchanges anything from now on.
    SetBlacklist {
        /// Accounts and domains.
        jids: Vec<String>,
    },
    /// With whom alone people here exchange anything from now on, beside those here.
    SetWhitelist {
        /// Accounts and domains; none: with everybody.
        jids: Vec<String>,
    },
    /// What everybody is told who comes online from now on, and who is online now.
    SetMessageOfTheDay {
        /// What; empty: nothing.
        words: String,
    },
    /// What new accounts are told from now on.
    SetWelcome {
        /// What; empty: nothing.
        words: String,
    },
    /// Who administers the server beside those of its flags.
    SetAdministrators {
        /// They.
        jids: Vec<String>,
    },
    /// Ends the server.
    ShutDown {
        /// In so many seconds.
        delay_s: u64,
        /// What everybody is told who is online, before; empty: nothing.
        words: String,
        /// Whether it starts again at once.
        restarts: bool,
    },
    /// What rules have done, and what is in their lists.
    ShowFirewall,
    /// What is in a list of the rules.
    ShowList {
        /// Its name.
        list: String,
    },
    /// Adds a text to a list of the rules, until the server ends.
    AddToList {
        /// Its name.
        list: String,
        /// What.
        text: String,
    },
    /// Takes a text out of a list of the rules, until the server ends.
    RemoveFromList {
        /// Its name.
        list: String,
        /// What.
        text: String,
    },
    /// Marks an account for rules.
    Mark {
        /// Which.
        jid: String,
        /// The name of the mark.
        mark: String,
    },
    /// Takes a mark off an account.
    Unmark {
        /// Which.
        jid: String,
        /// The name of the mark.
        mark: String,
    },
    /// The accounts that bear a mark, the one that has borne it longest first.
    ListMarked {
        /// The name of the mark.
        mark: String,
        /// Only those of this domain.
        domain: Option<String>,
    },
    /// Tells what rules do from now on, until nobody listens; [`Done::Nothing`] in between shows whether somebody does.
    FollowFirewall(WantedRuns),
    /// Makes a backup. Answered when it is made; [`Done::Nothing`] in between shows that it goes on.
    CreateBackup {
        /// Where to, as an absolute path; to where the server makes its own without.
        directory: Option<String>,
    },
    /// Reads all that is stored. Answered when that is done; [`Done::Nothing`] in between shows that it goes on.
    VerifyStorage,
    /// Tells all that is stored of accounts as XEP-0227, in pieces of text.
    Export {
        /// Only of this one.
        jid: Option<String>,
        /// Only of those of this domain.
        domain: Option<String>,
    },
    /// Adds the accounts of a file (XEP-0227) to those there are; [`Done::Nothing`] in between shows that it goes on.
    Import {
        /// Where it is, as an absolute path.
        path: String,
        /// Only this account of it, which has brought the file itself: what it says of its standing does not count.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        jid: Option<String>,
    },
    /// The levels of log lines, as `info,session=debug`.
    LogLevels,
    /// Changes levels of log lines, as [`crate::logging::Levels::changed`] reads them; answered with those from now on.
    ChangeLogLevels {
        /// How.
        changes: String,
    },
    /// Tells what is decided for the stanzas of an account from now on, until nobody listens; [`Done::Nothing`] in
    /// between shows whether somebody does.
    Trace {
        /// Whose.
        jid: String,
    },
}

macro_rules! done {
    ($($(#[$doc:meta])* $variant:ident($value:ty),)*) => {
        /// What comes of a request that was carried out.
        #[derive(Debug, Deserialize, PartialEq, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Done {
            /// There is nothing to say.
            Nothing,
            $($(#[$doc])* $variant($value),)*
        }

        $(impl Expected for $value {
            fn of(done: Done) -> Option<$value> {
                match done {
                    Done::$variant(value) => Some(value),
                    _ => None,
                }
            }
        })*
    };
}

done! {
    /// Who answers.
    Status(Box<Status>),
    /// Accounts.
    Users(UserPage),
    /// An account.
    User(UserDetails),
    /// Of the log of registrations.
    Log(LogPage),
    /// The log in numbers.
    LogCount(LogCount),
    /// Who waits.
    Pending(PendingPage),
    /// The invitation that was made.
    Invite(MadeInvite),
    /// Invitations.
    Invites(Vec<OpenInvite>),
    /// How many there are, and some of them.
    Census(CensusOutcome),
    /// What was used.
    Usage(Usage),
    /// Contacts.
    Roster(Vec<RosterEntry>),
    /// Where somebody is.
    Activity(Activity),
    /// The networks that are banned.
    Bans(Vec<BannedNetwork>),
    /// Reports.
    Reports(ReportPage),
    /// A report.
    Report(Box<ReportDetails>),
    /// What was done.
    Audit(AuditPage),
    /// The levels of log lines.
    Levels(String),
    /// A decision.
    Traced(Traced),
    /// What rules have done, and what is in their lists.
    Firewall(FirewallFacts),
    /// What is in a list.
    Entries(Vec<String>),
    /// The accounts that bear a mark.
    Marked(Vec<MarkedAccount>),
    /// What rules have done with a stanza.
    Followed(FollowedRun),
    /// The backup that was made.
    Backup(MadeBackup),
    /// What reading all that is stored has come to.
    Survey(SurveyFacts),
    /// A piece of a text.
    Text(Box<str>),
    /// What was exported.
    Exported(Exported),
    /// What was imported.
    Imported(ImportFacts),
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answers {
    /// By one answer, soon.
    AtOnce,
    /// By one answer, with [`Done::Nothing`] now and then before it.
    AfterSomeTime,
    /// By one answer, with pieces of text before it.
    AfterPieces,
    /// By one answer after the other.
    UntilNobodyListens,
}

/// What somebody expects to come of a request.
pub trait Expected: Sized {
    /// It, if that has come.
    fn of(done: Done) -> Option<Self>;
}

impl Expected for () {
    fn of(done: Done) -> Option<()> {
        (done == Done::Nothing).then_some(())
    }
}

impl Request {
    /// To add an account.
    pub fn add_user(jid: &Jid<'_>, new: &[ScramKeys]) -> Request {
        Request::AddUser { jid: jid.to_string(), keys: keys::write(new) }
    }

    /// To replace the keys of an account.
    pub fn set_keys(jid: &Jid<'_>, new: &[ScramKeys]) -> Request {
        Request::SetKeys { jid: jid.to_string(), keys: keys::write(new) }
    }

    /// How it is answered.
    pub(super) fn answers(&self) -> Answers {
        match self {
            Request::Trace { .. } | Request::FollowFirewall(_) => Answers::UntilNobodyListens,
            Request::CreateBackup { .. } | Request::VerifyStorage | Request::Import { .. } => Answers::AfterSomeTime,
            Request::Export { .. } => Answers::AfterPieces,
            _ => Answers::AtOnce,
        }
    }

    /// Whether somebody may want to know later that it was asked: what changes something does, and what shows what
    /// people do.
    pub(super) fn is_to_be_noted(&self) -> bool {
        !matches!(
            self,
            Request::Status
                | Request::ListUsers(_)
                | Request::ShowUser { .. }
                | Request::ListPending { .. }
                | Request::ListInvites
                | Request::ListLog(_)
                | Request::CountLog(_)
                | Request::ListBans
                | Request::ListReports { .. }
                | Request::ListAudit(_)
                | Request::Census { .. }
                | Request::ShowLimits { .. }
                | Request::ShowActivity { .. }
                | Request::ShowFirewall
                | Request::ShowList { .. }
                | Request::ListMarked { .. }
                | Request::LogLevels
                | Request::VerifyStorage
        )
    }

    /// Its name and what else it says, as it is written; what nobody should see is left out.
    pub(super) fn described(&self) -> (String, Vec<(String, String)>) {
        let mut written = match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(written)) => written,
            _ => serde_json::Map::new(),
        };
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = written.remove("do").as_ref().map(text).unwrap_or_default();
        written.remove("keys");
        let said = written.iter().filter(|(_, value)| !value.is_null());
        (name, said.map(|(key, value)| (key.clone(), text(value))).collect())
    }
}
