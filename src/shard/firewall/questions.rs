//! What rules want to know and only another shard knows, or nobody before it has been read: asked at the home of what
//! it is about, and answered from there.

use rondel_shards::Io;
use rondel_storage::{Outcome, roster};

use super::{Firewall, count};
use crate::account::subscription::{Grant, SubscriptionType};
use crate::account::{Account, Standing};
use crate::firewall::{Acquaintance, Role};
use crate::home::home;
use crate::jid::{Jid, bare_of};
use crate::limited_event;
use crate::shard::message::Message;
use crate::shard::task::{Step, Task};
use crate::shard::{Shard, now_s};

/// Something that rules want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// What an account has to do with somebody: the addressee, and the sender.
    Acquaintance { to: String, from: String },
    /// In which groups of its roster an account has somebody: both bare JIDs.
    Groups { account: String, contact: String },
    /// The role of an account: its bare JID.
    Role(String),
    /// Whether something has happened too often: the id of what is counted, the key as text, and its hash.
    Count { id: u64, key: String, hash: u64 },
    /// Nothing: the subscription of the second to the first is to end.
    Unsubscribe { account: String, contact: String },
}

/// What was to be known.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Answer {
    /// Nothing is known.
    #[default]
    Nothing,
    /// What an account has to do with somebody.
    Acquaintance(Acquaintance),
    /// Groups of a roster.
    Groups(Vec<String>),
    /// The role of an account; none if there is no such account.
    Role(Option<Role>),
    /// Whether there were too many.
    IsOver(bool),
}

/// A question on its way, and who has asked.
#[derive(Debug)]
pub struct AskedByRules {
    pub(super) question: Question,
    /// Where it is waited for, and the number of what waits; nowhere if nobody does.
    pub(super) back: Option<(usize, u64)>,
}

impl Question {
    /// What it is about: it is asked at the home of that.
    fn subject(&self) -> &str {
        match self {
            Question::Acquaintance { to, .. } => bare_of(to),
            Question::Groups { account, .. } | Question::Unsubscribe { account, .. } => account,
            Question::Role(account) => account,
            Question::Count { key, .. } => key,
        }
    }

    fn bytes(&self) -> usize {
        let more = match self {
            Question::Acquaintance { from, .. } => from.len(),
            Question::Groups { contact, .. } | Question::Unsubscribe { contact, .. } => contact.len(),
            Question::Role(_) | Question::Count { .. } => 0,
        };
        size_of::<AskedByRules>() + self.subject().len() + more
    }
}

impl AskedByRules {
    /// The account that has to be in memory first.
    pub(in crate::shard) fn account(&self) -> &str {
        self.question.subject()
    }
}

impl Shard {
    /// Asks, at the home of what it is about.
    pub(super) fn ask_for_rules(&mut self, io: &mut Io<Shard>, asked: AskedByRules) {
        let home = home(asked.question.subject(), io.shards());
        if home == io.shard() {
            return self.asked_by_rules(io, Box::new(asked));
        }
        let bytes = asked.question.bytes();
        io.send(home, Message::AskedByRules(Box::new(asked)), bytes);
    }

    /// Rules want to know something about what is at home here.
    pub(in crate::shard) fn asked_by_rules(&mut self, io: &mut Io<Shard>, asked: Box<AskedByRules>) {
        match self.known_at_once(io, &asked.question) {
            Some(answer) => self.answer_rules(io, asked.back, answer),
            None if self.accounts.account(asked.account()).is_some() => self.asked_of_account(io, *asked),
            None => self.load_for_rules(io, asked),
        }
    }

    /// The account that it is about is in memory, or cannot be read.
    pub(in crate::shard) fn asked_of_account(&mut self, io: &mut Io<Shard>, asked: AskedByRules) {
        let AskedByRules { question, back } = asked;
        if let Some(answer) = self.known_at_once(io, &question) {
            return self.answer_rules(io, back, answer);
        }
        match question {
            Question::Groups { account, contact } => self.read_groups(io, &account, &contact, back),
            Question::Unsubscribe { account, contact } => {
                if let Ok(contact) = Jid::parse(&contact) {
                    self.subscribe_on_behalf(io, &account, &contact, SubscriptionType::Unsubscribed);
                }
            }
            Question::Acquaintance { .. } | Question::Role(_) | Question::Count { .. } => {
                self.answer_rules(io, back, Answer::Nothing);
            }
        }
    }

    /// The answer to a question, if nothing has to be read for it.
    pub(super) fn known_at_once(&mut self, io: &Io<Shard>, question: &Question) -> Option<Answer> {
        match question {
            Question::Acquaintance { to, from } => self.acquaintance_of(to, from).map(Answer::Acquaintance),
            Question::Role(account) => self.role_of(account).map(Answer::Role),
            Question::Count { id, hash, .. } => {
                let now_ms = io.now_ms();
                let Firewall { running, tables, .. } = self.firewall.as_deref_mut()?;
                Some(Answer::IsOver(count(running, tables, io.shard(), *id, *hash, now_ms)))
            }
            Question::Groups { .. } | Question::Unsubscribe { .. } => None,
        }
    }

    /// What an account that is in memory here has to do with somebody.
    pub(super) fn acquaintance_of(&self, to: &str, from: &str) -> Option<Acquaintance> {
        let (bare, resource) = to.split_once('/').map_or((to, None), |(bare, resource)| (bare, Some(resource)));
        let sender = bare_of(from);
        let account = self.accounts.account(bare)?;
        let state = account.contacts.state(sender);
        let addressed = |name: &str| resource.is_none_or(|resource| resource == name);
        let has_directed = |to: &str| to == from || to == sender;
        let mut sessions = self.accounts.sessions(bare);
        let mut others = sessions.clone();
        Some(Acquaintance {
            in_roster: state.listed,
            is_subscribed: state.to == Grant::Granted,
            is_pending: state.from == Grant::Requested,
            has_directed: others.any(|(_, session)| {
                addressed(session.resource()) && session.directed.iter().any(|directed| has_directed(directed))
            }),
            is_connected: resource.is_some() && sessions.any(|(_, session)| addressed(session.resource())),
        })
    }

    /// The role of an account, if nothing has to be read to tell.
    pub(super) fn role_of(&self, bare: &str) -> Option<Option<Role>> {
        if self.settings.is_administrator(bare) {
            return Some(Some(Role::Admin));
        }
        if self.settings.is_anonymous(bare) {
            return Some(Some(Role::Guest));
        }
        self.accounts.account(bare).map(role)
    }

    fn read_groups(&mut self, io: &mut Io<Shard>, account: &str, contact: &str, back: Option<(usize, u64)>) {
        let Some(owner) = self.owner_of(account) else {
            return self.answer_rules(io, back, Answer::Groups(Vec::new()));
        };
        let read = roster::get(&owner, contact);
        let contact = contact.to_owned();
        let then = move |shard: &mut Shard, io: &mut Io<Shard>, _: &Task, outcome: Outcome| {
            let entry = roster::decode(&owner, &contact, outcome).unwrap_or_else(|error| {
                limited_event!(WARN, "storage", "a contact cannot be read: {error}");
                None
            });
            let groups = entry.map(|entry| entry.item().groups.clone()).unwrap_or_default();
            shard.answer_rules(io, back, Answer::Groups(groups));
            Step::Done
        };
        self.run(io, Step::read(read, then));
    }

    /// Answers whoever has asked.
    fn answer_rules(&mut self, io: &mut Io<Shard>, back: Option<(usize, u64)>, answer: Answer) {
        // Even on this shard later: whoever asks may have its stanza in hand.
        if let Some((shard, number)) = back {
            io.send(shard, Message::RulesAnswered(Box::new((number, answer))), size_of::<Answer>());
        }
    }
}

fn role(account: &Account) -> Option<Role> {
    match account.standing {
        Standing::Absent => None,
        Standing::Anonymous => Some(Role::Guest),
        Standing::Registered => {
            let is_limited = account.restraint.as_ref().is_some_and(|restraint| restraint.is_limited(now_s()));
            Some(if is_limited { Role::Registered } else { Role::Member })
        }
    }
}
