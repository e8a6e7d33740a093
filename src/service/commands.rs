//! Ad-hoc commands (XEP-0050): what clients can run without knowing it, by filling in forms.
//!
//! A command is a row in a table and a function from what has been submitted so far to the next [`Step`]; it keeps no
//! state. What lives here: the exchange around it. What may not: carrying out what a command comes to, which is handed
//! over as an [`Effect`].

mod exchange;
mod request;
#[cfg(test)]
mod tests;

pub use exchange::{Call, CommandLimits, Exchanges, Outcome, Running};
pub use request::{Action, Request};

use zeroize::Zeroizing;

use super::admin_commands::{Errand, Facts, Shown};
use super::user_commands::Rights;
use crate::forms::Form;
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// The node whose items are the commands (§2.2).
pub const NODE: &str = ns::COMMANDS;

/// The identity of [`NODE`] in service discovery: category and type.
pub const IDENTITY: (&str, &str) = ("automation", "command-list");

/// A command.
#[derive(Clone, Copy)]
pub struct Command {
    /// Its node, unique among those of its address.
    pub node: &'static str,
    /// For people.
    pub name: &'static str,
    /// What comes next, the submissions so far being these, each of which fits the form that it answers.
    pub step: fn(&Context<'_>, &[Form]) -> Step,
}

/// What a command may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The resource that runs the command, if it is one of the account's own.
    pub resource: Option<&'a str>,
    /// The connected sessions of the account.
    pub sessions: &'a [SessionInfo<'a>],
    /// Bytes of a password at most.
    pub password_bytes_max: usize,
    /// What the account may do.
    pub rights: Rights,
    /// What the forms of administrators are filled in with.
    pub facts: &'a Facts,
}

/// A connected session, as its owner is told of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionInfo<'a> {
    /// Its resource.
    pub resource: &'a str,
    /// From where it is connected, if it is just now.
    pub address: Option<&'a str>,
    /// Since when, in seconds since 1970.
    pub since_s: u64,
}

/// What comes next in a command.
#[derive(Debug)]
pub enum Step {
    /// This is asked.
    Ask {
        /// The form to be filled in.
        form: Form,
        /// Whether the command ends with the answer. Otherwise another form comes.
        is_last: bool,
    },
    /// What was submitted last cannot be taken, and why. It may be submitted anew.
    Again(&'static str),
    /// It has ended with this.
    Done(Done),
    /// It ends with this, once it has been carried out.
    Do(Effect),
}

/// What a command ends with.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Data to show.
    pub form: Option<Form>,
    /// What stands in the form beside its fields.
    pub within: Option<Element>,
    /// What happened, or why it did not.
    pub note: Option<Note>,
}

/// Words at the end of a command (§4.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// It has been done.
    Info(String),
    /// It has failed.
    Error(String),
}

/// What a command wants to have done.
#[derive(Clone, Eq, PartialEq)]
pub enum Effect {
    /// The account gets another password, if the current one is right. A wrong one counts like a failed login.
    SetPassword {
        /// The password that must be right, as it was typed.
        current: Zeroizing<String>,
        /// The new one, as it was typed; it can be prepared (RFC 8265 §4.2) and is not too long.
        new: Zeroizing<String>,
        /// Whether all sessions end but the one that has asked.
        close_others: bool,
    },
    /// The account gets a link to all that is stored of it, if the password is right.
    Export {
        /// The password, as it was typed.
        password: Zeroizing<String>,
    },
    /// An invitation is made.
    Invite {
        /// Whether an account can be made with it.
        registers: bool,
        /// Whether whoever uses it becomes a contact of the account.
        befriends: bool,
        /// The name of the account that is made with it, in normal form, if that is fixed.
        username: Option<String>,
    },
    /// The session of this resource ends.
    CloseSession {
        /// The resource.
        resource: String,
    },
    /// What an administrator wants, and what is shown of it.
    Administer(Box<(Errand, Shown)>),
    /// All sessions of the account end but the one of this resource.
    CloseOtherSessions {
        /// The resource that stays; none does if it is not one of the account's.
        except: Option<String>,
    },
}

impl std::fmt::Debug for Effect {
    // Passwords stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Effect::SetPassword { .. } => f.write_str("SetPassword"),
            Effect::Export { .. } => f.write_str("Export"),
            Effect::Administer(what) => write!(f, "Administer({what:?})"),
            Effect::Invite { username, .. } => write!(f, "Invite({username:?})"),
            Effect::CloseSession { resource } => write!(f, "CloseSession({resource:?})"),
            Effect::CloseOtherSessions { except } => write!(f, "CloseOtherSessions(except {except:?})"),
        }
    }
}

/// The items of [`NODE`] (§2.2): the commands of an address that the asker may run.
pub fn items(jid: &str, commands: &[Command], may_run: impl Fn(&Command) -> bool) -> Element {
    let query = Element::new("query", ns::DISCO_ITEMS).with_attribute("node", NODE);
    commands.iter().filter(|command| may_run(command)).fold(query, |query, command| {
        let item = Element::new("item", ns::DISCO_ITEMS).with_attribute("jid", jid);
        query.with_child(item.with_attribute("node", command.node).with_attribute("name", command.name))
    })
}

/// What service discovery says of [`NODE`] or of the node of a command (§2.2). `None` if the node is neither.
pub fn info(node: &str, commands: &[Command], may_run: impl Fn(&Command) -> bool) -> Option<Result<Element, Refusal>> {
    let identity = |kind: &str, name: &str| {
        let identity = Element::new("identity", ns::DISCO_INFO).with_attribute("category", IDENTITY.0);
        identity.with_attribute("type", kind).with_attribute("name", name)
    };
    let feature = |name: &str| Element::new("feature", ns::DISCO_INFO).with_attribute("var", name);
    let query = Element::new("query", ns::DISCO_INFO).with_attribute("node", node);
    if node == NODE {
        return Some(Ok(query.with_child(identity(IDENTITY.1, "Commands")).with_child(feature(ns::COMMANDS))));
    }
    let command = commands.iter().find(|command| command.node == node)?;
    if !may_run(command) {
        return Some(Err(Refusal::forbidden()));
    }
    let query = query.with_child(identity("command-node", command.name));
    Some(Ok(query.with_child(feature(ns::COMMANDS)).with_child(feature(ns::DATA_FORMS))))
}
