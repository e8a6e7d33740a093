//! The commands of those who administer the server: XEP-0133, and what Rondel has beside it (the log of registrations,
//! reports, bans of addresses). Each asks with a form, and comes to an [`Errand`], which is carried out as if it had
//! come through the admin socket.
//!
//! What is not offered: the password of an account, which is not stored (XEP-0133 has retracted the command).

mod accounts;
mod lists;
mod own;
mod server;
mod show;
#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

use super::commands::{Command, Effect, Step};
use crate::admin::Request;
use crate::forms::{Field, FieldKind, Form, FormKind};
use crate::jid::Jid;

pub use show::Shown;

/// What every form of XEP-0133 is for.
const FORM_TYPE: &str = "http://jabber.org/protocol/admin";

/// What administrators want to have done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Errand {
    /// One thing.
    One(Request),
    /// Several things, one after the other, of which each may fail.
    Each(Vec<Request>),
    /// An account is made with this password, in the clear.
    AddUser {
        /// Its address.
        jid: String,
        /// The password. It can be prepared.
        password: Secret,
    },
    /// An account gets another password.
    SetPassword {
        /// Whose.
        jid: String,
        /// The password. It can be prepared.
        password: Secret,
    },
}

/// What nobody should see.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(pub Zeroizing<String>);

impl std::fmt::Debug for Secret {
    // Passwords stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What the forms are filled in with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Who administers the server.
    pub administrators: Vec<String>,
    /// What everybody is told who comes online.
    pub motd: String,
    /// What new accounts are told.
    pub welcome: String,
    /// With whom nobody here exchanges anything: bare JIDs and domains.
    pub blacklist: Vec<String>,
    /// With whom alone, if there is anybody.
    pub whitelist: Vec<String>,
}

/// Whether a node is one of these commands.
pub fn is_one(node: &str) -> bool {
    COMMANDS.iter().any(|table| table.iter().any(|command| command.node == node))
}

/// The commands, in parts.
pub const COMMANDS: &[&[Command]] = &[accounts::COMMANDS, lists::COMMANDS, server::COMMANDS, own::COMMANDS];

/// A form of XEP-0133 that asks.
fn asking(title: &str, instructions: &str) -> Form {
    Form::new(FormKind::Form).with_type(FORM_TYPE).with_words(title, instructions)
}

/// Asks with a form, and makes an errand of what is submitted, or says why not.
fn ask(
    submitted: &[Form],
    form: impl FnOnce() -> Form,
    errand: impl FnOnce(&Form) -> Result<(Errand, Shown), &'static str>,
) -> Step {
    match submitted.first() {
        None => Step::Ask { form: form(), is_last: true },
        Some(form) => match errand(form) {
            Ok((errand, shown)) => administer(errand, shown),
            Err(why) => Step::Again(why),
        },
    }
}

fn administer(errand: Errand, shown: Shown) -> Step {
    Step::Do(Effect::Administer(Box::new((errand, shown))))
}

/// One thing, of which nothing is shown but that it is done.
fn just(request: Request) -> Result<(Errand, Shown), &'static str> {
    Ok((Errand::One(request), Shown::Done))
}

/// The addresses of accounts in a field.
fn accounts_in(form: &Form, var: &str) -> Result<Vec<String>, &'static str> {
    let jids = form.jids(var);
    let are_accounts = jids.iter().all(|jid| jid.local().is_some() && !jid.is_full());
    match jids.is_empty() || !are_accounts {
        true => Err("These have to be addresses of accounts, such as juliet@example.org."),
        false => Ok(jids.iter().map(Jid::to_string).collect()),
    }
}

/// The address of an account in a field.
fn account_in(form: &Form, var: &str) -> Result<String, &'static str> {
    accounts_in(form, var).and_then(|mut accounts| accounts.pop().ok_or("An address is missing."))
}

fn account_field(label: &str) -> Field {
    Field::new(FieldKind::JidSingle, "accountjid").with_label(label).required()
}

fn accounts_field(label: &str) -> Field {
    Field::new(FieldKind::JidMulti, "accountjids").with_label(label).required()
}

/// Asks for accounts, at the end of a form, and wants the same for each.
fn each(submitted: &[Form], form: Form, label: &str, request: impl Fn(String) -> Request) -> Step {
    ask(
        submitted,
        || form.with_field(accounts_field(label)),
        |form| {
            let requests = accounts_in(form, "accountjids")?.into_iter().map(request).collect();
            Ok((Errand::Each(requests), Shown::Done))
        },
    )
}

/// The number of seconds in a field; `None` if it is empty or says that it is for good.
fn seconds_in(form: &Form, var: &str) -> Result<Option<u64>, &'static str> {
    match form.value(var) {
        None | Some("0") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| "The time has to be a number of seconds."),
    }
}

/// For how long something holds.
fn lasting_field() -> Field {
    let choices = [("one hour", "3600"), ("one day", "86400"), ("one week", "604800"), ("30 days", "2592000")];
    let field = Field::new(FieldKind::ListSingle, "duration").with_label("For how long").open();
    let field = field.with_choice("for good", "0").with_value("0");
    choices.iter().fold(field, |field, (label, value)| field.with_choice(label, value))
}
