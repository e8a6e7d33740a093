//! What scripts say, read: chains of rules, each of conditions and actions. Names of what is defined elsewhere are
//! numbers already.

use std::net::IpAddr;

use ipnet::IpNet;

use super::address::AddressPattern;
use super::clock::{Days, Times};
use super::path::Path;
use super::pattern::Pattern;
use super::template::Template;

/// Numbers of what has a name, each kind in an order of its own.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
            pub struct $name(pub u32);

            impl $name {
                /// As the place in a table.
                #[inline]
                pub fn index(self) -> usize {
                    self.0 as usize
                }
            }
        )*
    };
}

numbers! {
    /// A zone.
    ZoneId,
    /// A rate.
    RateId,
    /// A list.
    ListId,
    /// A pattern.
    PatternId,
    /// A search.
    SearchId,
    /// A mark.
    MarkId,
    /// A name of chains.
    ChainName,
}

/// The zone of all domains that are served here.
pub const LOCAL: ZoneId = ZoneId(0);

/// A rule: if all conditions hold, all actions are taken until one ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The line that it begins in.
    pub line: u32,
    /// What has to hold.
    pub conditions: Vec<Condition>,
    /// What is done.
    pub actions: Vec<Step>,
}

/// An action in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// As it was written.
    pub source: Box<str>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Whether it holds when the test fails.
    pub is_negated: bool,
    /// What is tested.
    pub test: Test,
    /// As it was written.
    pub source: Box<str>,
}

/// What a condition tests.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The name of the element is one of these.
    Kind(Box<[Box<str>]>),
    /// The type is one of these.
    Type(Box<[Box<str>]>),
    /// The addressee fits.
    To(AddressPattern),
    /// The sender fits.
    From(AddressPattern),
    /// The addressee is this.
    ToExactly(Template),
    /// The sender is this.
    FromExactly(Template),
    /// There is no addressee.
    ToSelf,
    /// The addressee is a session that is connected here.
    ToFullJid,
    /// The sender has a resource.
    FromFullJid,
    /// The addressee is in the zone, and the sender not.
    Entering(ZoneId),
    /// The sender is in the zone, and the addressee not.
    Leaving(ZoneId),
    /// A child has this namespace.
    Payload(Box<str>),
    /// A path leads somewhere; and what is there compares.
    Inspect(Path, Option<Comparison>),
    /// The addressee has the sender in the roster.
    InRoster,
    /// The same, in this group.
    InRosterGroup(Box<str>),
    /// The addressee is subscribed to the sender.
    Subscribed,
    /// The sender has asked for a subscription that is not answered.
    PendingSubscriptionFromSender,
    /// The addressee has sent directed presence to the sender.
    SentDirectedPresenceToSender,
    /// The sender is in this group of people.
    FromGroup(Box<str>),
    /// The addressee is.
    ToGroup(Box<str>),
    /// There is none of these groups that both are in.
    CrossingGroups(Box<[Box<str>]>),
    /// Whoever has sent it has this permission.
    May(Permission),
    /// The sender has this role.
    FromRole(Role),
    /// The addressee has.
    ToRole(Role),
    /// The sender administers the server.
    FromAdmin,
    /// The addressee does.
    ToAdmin,
    /// The sender administers this domain, or the server (`*`).
    FromAdminOf(Template),
    /// The addressee does.
    ToAdminOf(Template),
    /// Today is one of these days.
    Day(Days),
    /// It is one of these times.
    Time(Times),
    /// More has happened than may, this included.
    Limit(Limit),
    /// The session bears a mark; for less than so many milliseconds.
    OriginMarked(MarkId, Option<u64>),
    /// The account of the session does.
    UserMarked(MarkId, Option<u64>),
    /// A text is in a list.
    CheckList(ListId, Template),
    /// What a pattern yields in the searched text is in a list.
    Scan(SearchId, PatternId, ListId),
    /// So often a pattern is in the searched text.
    Count(PatternId, SearchId, Operator, u64),
    /// The session comes from this address.
    FromIp(IpAddr),
    /// The same, from this network.
    FromSubnet(IpNet),
    /// The same, from this country.
    FromCountry(Place),
}

impl Test {
    /// What is searched for it.
    pub fn search(&self) -> Option<SearchId> {
        match self {
            Test::Scan(search, ..) | Test::Count(_, search, ..) => Some(*search),
            _ => None,
        }
    }
}

/// One use of a rate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limit {
    /// The rate.
    pub rate: RateId,
    /// By what events are told apart.
    pub on: Option<Template>,
    /// Which bucket, or table of buckets; given when the chain is put together.
    pub bucket: u32,
}

/// What something in a stanza is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// It is this text.
    Is(Template),
    /// It has this text in it.
    Has(Template),
    /// It fits this pattern.
    Fits(Pattern),
    /// It fits the pattern that this text is.
    FitsDynamic(Template),
}

/// How numbers compare.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operator {
    /// `>`
    More,
    /// `<`
    Less,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `==`
    Exactly,
}

impl Operator {
    /// Whether it is true of these two.
    #[inline]
    pub fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Operator::More => left > right,
            Operator::Less => left < right,
            Operator::AtLeast => left >= right,
            Operator::AtMost => left <= right,
            Operator::Exactly => left == right,
        }
    }
}

/// What somebody is here.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Somebody without an account (`prosody:guest`).
    Guest,
    /// Who has registered lately, or is held to the limits of those (`prosody:registered`).
    Registered,
    /// Who has an account (`prosody:member`).
    Member,
    /// An administrator (`prosody:admin`, `prosody:operator`).
    Admin,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permission {
    /// Write to other servers (`xmpp:federate`).
    Federate,
}

/// Where an address is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// In some country that is known.
    Known,
    /// In this one, by its code of two letters; `--`: in none that is known.
    Country(Box<str>),
    /// In this one, by its code of three letters.
    Country3(Box<str>),
    /// On this continent, by its code of two letters.
    Continent(Box<str>),
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Ends the script's say; the stanza goes on.
    Pass,
    /// Ends the stanza, without a word.
    Drop,
    /// Has the stanza treated as nobody would treat it.
    Default,
    /// Leaves the chain.
    Return,
    /// Ends the stanza with an error.
    Bounce(Bounce),
    /// Sends the stanza to somebody else instead.
    Redirect(Box<str>),
    /// Sends it to somebody else too.
    Copy(Box<str>),
    /// Answers with these words.
    Reply(Box<str>),
    /// Sends somebody a message with the stanza in it.
    Forward(Box<str>),
    /// The same, with a report.
    Report(Report),
    /// Takes children out: of this name (any if none) and this namespace (the stanza's own if none).
    Strip(Option<Box<str>>, Option<Box<str>>),
    /// Adds a child, as XML.
    Inject(Box<str>),
    /// Writes a line to the log.
    Log(Level, Template),
    /// Marks the session.
    MarkOrigin(MarkId),
    /// Takes the mark off.
    UnmarkOrigin(MarkId),
    /// Marks the account.
    MarkUser(MarkId),
    /// Takes the mark off.
    UnmarkUser(MarkId),
    /// Adds a text to a list.
    AddTo(ListId, Template),
    /// Runs other chains, and ends as they do.
    JumpChain(ChainName),
    /// Runs other chains, however they end.
    CallChain(ChainName),
    /// Ends the sender's subscription to the addressee.
    UnsubscribeSender,
    /// Names this run for those who trace.
    TagTrace(Box<str>),
}

/// An error that answers a stanza.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bounce {
    /// Its type (RFC 6120 §8.3.2).
    pub kind: &'static str,
    /// Its condition (RFC 6120 §8.3.3).
    pub condition: &'static str,
    /// What is said of it.
    pub text: Option<Box<str>>,
}

/// A report of a stanza (XEP-0377).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Who gets it.
    pub to: Box<str>,
    /// Why: a URI.
    pub reason: Box<str>,
    /// What is said of it.
    pub text: Option<Box<str>>,
}

/// How a line is logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Only when somebody looks.
    Debug,
    /// As usual.
    Info,
    /// Somebody should look.
    Warn,
    /// Somebody has to.
    Error,
}
