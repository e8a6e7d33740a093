//! Registration (XEP-0077): who may make an account, and what is said to those who may not.
//!
//! What lives here: what clients ask with `jabber:iq:register` and what they are answered, and the gates that a request
//! to register has to pass, each a small unit with an error of its own. All of it is plain values in and out. What may
//! not: sockets, clocks, storage and threads; those are the shard's.

mod challenge;
mod invites;
mod names;
mod networks;
mod passwords;
mod picture;
mod query;
mod questionnaire;
mod throttle;
mod watch;

pub use challenge::{Challenge, Challenges, NotSpent, Proof, Returned, Spent, wrong_letters};
pub use invites::{InviteRules, UserInvites, invite_uri, is_token, token};
pub use names::{NameFault, NameRules, RESERVED_NAMES};
pub use networks::{Network, Networks, ParseNetworkError};
pub use passwords::{PasswordFault, PasswordRules};
pub use picture::Picture;
pub use query::{Request, Submission, registered};
pub use questionnaire::{Answers, Asked, CHALLENGE, FIELDS, LETTERS, Offer, Question, Questionnaire};
pub use throttle::{DAY_US, Prefixes, Throttle, ThrottleFault, ThrottleLimits};
pub use watch::{Lookout, NoticeType, Notices, Telling};

use std::net::IpAddr;

use rondel_storage::names::Known;

use crate::account::restraint::NewAccountLimits;
use crate::jid::Jid;
use crate::stream::Refusal;

/// Who may make an account without an administrator who makes it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Nobody.
    #[default]
    Closed,
    /// Whoever is invited.
    Invite,
    /// Everybody who passes the gates, once an administrator has let them in.
    Approve,
    /// Everybody who passes the gates.
    Open,
}

/// An attempt that is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Declined {
    /// Which rule refuses it, in a word for the log of registrations.
    pub reason: &'static str,
    /// What the client is told.
    pub refusal: Refusal,
}

impl Declined {
    /// Refused by this rule, in these words.
    pub fn new(reason: &'static str, refusal: Refusal) -> Declined {
        Declined { reason, refusal }
    }
}

impl From<NameFault> for Declined {
    fn from(fault: NameFault) -> Declined {
        let reason = match fault {
            NameFault::Short(_) => "short-name",
            NameFault::Reserved => "reserved-name",
            NameFault::Refused => "refused-name",
        };
        Declined::new(reason, fault.into())
    }
}

impl From<PasswordFault> for Declined {
    fn from(fault: PasswordFault) -> Declined {
        let reason = match fault {
            PasswordFault::Short => "short-password",
            PasswordFault::Weak => "weak-password",
        };
        Declined::new(reason, fault.into())
    }
}

impl From<ThrottleFault> for Declined {
    fn from(fault: ThrottleFault) -> Declined {
        let reason = match fault {
            ThrottleFault::TooSoon => "too-soon",
            ThrottleFault::TooMany => "too-many",
            ThrottleFault::Busy => "too-many-altogether",
        };
        Declined::new(reason, fault.into())
    }
}

/// A list of addresses in the domain name system, and what follows for those that are on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlockList {
    /// Its zone, such as `dnsbl.example.org`.
    pub zone: String,
    /// What follows.
    pub action: BlockListAction,
}

/// What follows for an address that is on a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BlockListAction {
    /// There is no account.
    Refuse,
    /// There is one, held to the limits of new ones until somebody trusts it.
    Limit,
    /// There is one, and administrators hear of it.
    Warn,
}

/// What a server demands of those who register.
#[derive(Debug, Default)]
pub struct Policy {
    /// Who administers the server: bare JIDs. See also [`Role::Admin`](rondel_storage::accounts::Role).
    pub administrators: Vec<Jid<'static>>,
    /// Who may.
    pub mode: Mode,
    /// Under which names.
    pub names: NameRules,
    /// For how many seconds the name of an account that is gone is kept back; `None`: for ever.
    pub tombstones_s: Option<u64>,
    /// Whether names are refused that look like those of accounts.
    pub lookalikes: bool,
    /// For how many seconds an account stays that its owner has removed.
    pub removal_grace_s: u64,
    /// With which passwords. Whoever changes a password is held to it, too.
    pub passwords: PasswordRules,
    /// Addresses from which nobody may, whatever else is said.
    pub refused: Networks,
    /// Addresses to which no limit of time and number applies.
    pub trusted: Networks,
    /// Whether only trusted addresses may.
    pub trusted_only: bool,
    /// Lists of addresses in the domain name system that are asked.
    pub block_lists: Vec<BlockList>,
    /// How often.
    pub throttle: ThrottleLimits,
    /// What is asked beside name and password.
    pub questionnaire: Questionnaire,
    /// What is said about those who have registered, and to them.
    pub notices: Notices,
    /// What invitations are like that accounts make.
    pub invites: InviteRules,
    /// What new accounts are held to.
    pub new_accounts: NewAccountLimits,
}

impl Policy {
    /// Whether a name can be had of which this is known; `is_invited`: by whoever is invited under it.
    pub fn gives(&self, known: &Known, is_invited: bool, now_s: u64) -> Result<(), Declined> {
        let is_kept = |gone_s| self.tombstones_s.is_none_or(|kept_s| now_s < gone_s + kept_s);
        let refusal = |text| Refusal::new("cancel", "conflict").with_text(text);
        if known.gone_s.is_some_and(is_kept) {
            return Err(Declined::new("kept-name", refusal("This name is taken.")));
        }
        if !is_invited && known.reserved_until_s.is_some_and(|until_s| now_s < until_s) {
            return Err(Declined::new("promised-name", refusal("This name is taken.")));
        }
        if self.lookalikes && known.has_lookalike {
            return Err(Declined::new("lookalike", refusal("This name is too much like another one.")));
        }
        Ok(())
    }

    /// Whether somebody from this address may ask at all. Blocked or not among those who may: `auth/forbidden`.
    pub fn admits(&self, address: IpAddr) -> Result<(), Declined> {
        if self.mode == Mode::Closed {
            return Err(Declined::new("closed", Refusal::service_unavailable()));
        }
        let refusal = || Refusal::forbidden().with_text("Registration is not possible from your address.");
        if self.refused.contain(address) {
            return Err(Declined::new("blocked-address", refusal()));
        }
        if self.trusted_only && !self.trusted.contain(address) {
            return Err(Declined::new("unknown-address", refusal()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(list: &[&str]) -> Networks {
        list.iter().map(|text| text.parse::<Network>().unwrap()).collect()
    }

    #[test]
    fn nobody_registers_where_registration_is_closed() {
        let declined = Policy::default().admits([192, 0, 2, 1].into()).unwrap_err();
        let refusal = declined.refusal;
        assert_eq!((declined.reason, refusal.kind, refusal.condition), ("closed", "cancel", "service-unavailable"));
    }

    #[test]
    fn names_of_the_gone_are_kept_back_for_a_time_and_those_that_look_like_others_always() {
        let gone = Known { gone_s: Some(100), ..Known::default() };
        let alike = Known { has_lookalike: true, ..Known::default() };
        let promised = Known { reserved_until_s: Some(100), ..Known::default() };
        let gives = |tombstones_s, lookalikes, known: &Known, now_s| {
            let policy = Policy { tombstones_s, lookalikes, ..Policy::default() };
            policy.gives(known, false, now_s).map_err(|declined| declined.reason)
        };
        assert_eq!(gives(None, true, &gone, 1 << 40), Err("kept-name"));
        assert_eq!([gives(Some(50), true, &gone, 149), gives(Some(50), true, &gone, 150)], [Err("kept-name"), Ok(())]);
        assert_eq!([gives(None, true, &alike, 0), gives(None, false, &alike, 0)], [Err("lookalike"), Ok(())]);
        assert_eq!(gives(None, true, &Known::default(), 0), Ok(()));
        assert_eq!(
            [gives(None, true, &promised, 99), gives(None, true, &promised, 100)],
            [Err("promised-name"), Ok(())]
        );
        assert_eq!(Policy::default().gives(&promised, true, 99), Ok(()));
    }

    #[test]
    fn addresses_are_refused_before_they_are_trusted() {
        let policy = Policy {
            mode: Mode::Open,
            refused: networks(&["192.0.2.128/25"]),
            trusted: networks(&["192.0.2.0/24"]),
            trusted_only: true,
            ..Policy::default()
        };
        let admits = |last: u8| policy.admits([192, 0, 2, last].into()).map_err(|declined| declined.reason);
        assert_eq!([admits(1), admits(200)], [Ok(()), Err("blocked-address")]);
        let declined = policy.admits([198, 51, 100, 1].into()).unwrap_err();
        assert_eq!((declined.reason, declined.refusal.kind), ("unknown-address", "auth"));
        let open = Policy { trusted_only: false, ..policy };
        assert!(open.admits([198, 51, 100, 1].into()).is_ok());
    }
}
