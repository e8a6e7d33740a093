//! Commands about single accounts (XEP-0133 §4.1 to §4.9).

use zeroize::Zeroizing;

use super::super::commands::{Command, Context, Step};
use super::{Errand, Secret, Shown, account_field, account_in, accounts_field, ask, asking, each};
use crate::admin::Request;
use crate::forms::{Field, FieldKind, Form};
use crate::sasl::{PASSWORD_BYTES_MAX, prepare_password};

pub const COMMANDS: &[Command] = &[
    Command { node: "http://jabber.org/protocol/admin#add-user", name: "Add a user", step: add_user },
    Command { node: "http://jabber.org/protocol/admin#delete-user", name: "Delete users", step: delete_user },
    Command { node: "http://jabber.org/protocol/admin#disable-user", name: "Disable users", step: disable_user },
    Command { node: "http://jabber.org/protocol/admin#reenable-user", name: "Re-enable users", step: reenable_user },
    Command { node: "http://jabber.org/protocol/admin#end-user-session", name: "End sessions", step: end_sessions },
    Command {
        node: "http://jabber.org/protocol/admin#change-user-password",
        name: "Change a password",
        step: password,
    },
    Command { node: "http://jabber.org/protocol/admin#get-user-roster", name: "Get a roster", step: roster },
    Command { node: "http://jabber.org/protocol/admin#get-user-lastlogin", name: "Get a last login", step: last_login },
    Command { node: "http://jabber.org/protocol/admin#user-stats", name: "Get statistics of a user", step: statistics },
];

fn add_user(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        asking("Adding a user", "Fill out this form to add a user.")
            .with_field(account_field("The Jabber ID for the account to be added"))
            .with_field(Field::new(FieldKind::TextPrivate, "password").with_label("The password").required())
            .with_field(Field::new(FieldKind::TextPrivate, "password-verify").with_label("Retype password").required())
    };
    ask(submitted, form, |form| {
        let jid = account_in(form, "accountjid")?;
        let password = password_in(form)?;
        match form.value("password-verify") == Some(password.0.as_str()) {
            true => Ok((Errand::AddUser { jid, password }, Shown::Done)),
            false => Err("The passwords are not the same."),
        }
    })
}

fn delete_user(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = asking("Deleting users", "They and all that belongs to them are removed.");
    each(submitted, form, "The Jabber ID(s) to delete", |jid| Request::RemoveUser { jid, made_s: None })
}

fn disable_user(_: &Context<'_>, submitted: &[Form]) -> Step {
    let request = |jid| Request::DisableUser { jid, reason: String::new(), for_s: None };
    let form = asking("Disabling users", "They cannot log in until they are enabled again.");
    each(submitted, form, "The Jabber ID(s) to disable", request)
}

fn reenable_user(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = asking("Re-enabling users", "They can log in again.");
    each(submitted, form, "The Jabber ID(s) to re-enable", |jid| Request::EnableUser { jid })
}

fn end_sessions(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        let field = accounts_field("The Jabber ID(s) for which to end sessions");
        asking("Ending sessions", "All sessions of an account, or the one of a full address.").with_field(field)
    };
    ask(submitted, form, |form| {
        let jids = form.jids("accountjids");
        match jids.is_empty() || jids.iter().any(|jid| jid.local().is_none()) {
            true => Err("These have to be addresses of accounts or of their sessions."),
            false => {
                let end = jids.iter().map(|jid| Request::EndSessions { jid: jid.to_string() });
                Ok((Errand::Each(end.collect()), Shown::Done))
            }
        }
    })
}

fn password(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        asking("Changing a password", "Their clients will need the new one from then on.")
            .with_field(account_field("The Jabber ID for this account"))
            .with_field(Field::new(FieldKind::TextPrivate, "password").with_label("The password").required())
    };
    ask(submitted, form, |form| {
        let errand = Errand::SetPassword { jid: account_in(form, "accountjid")?, password: password_in(form)? };
        Ok((errand, Shown::Done))
    })
}

fn roster(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        asking("Getting a roster", "The contacts of an account.")
            .with_field(accounts_field("The Jabber ID for which to retrieve the roster"))
    };
    ask(submitted, form, |form| {
        let jid = account_in(form, "accountjids")?;
        Ok((Errand::One(Request::ShowRoster { jid: jid.clone() }), Shown::Roster { jid }))
    })
}

fn last_login(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        asking("Getting a last login", "When somebody was here last.")
            .with_field(accounts_field("The Jabber ID for which to retrieve the last login time"))
    };
    ask(submitted, form, |form| {
        let jid = account_in(form, "accountjids")?;
        Ok((Errand::One(Request::ShowActivity { jid: jid.clone() }), Shown::LastLogin { jid }))
    })
}

fn statistics(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        asking("Getting statistics of a user", "Where somebody is just now, and how many contacts there are.")
            .with_field(account_field("The Jabber ID for statistics"))
    };
    ask(submitted, form, |form| {
        let jid = account_in(form, "accountjid")?;
        Ok((Errand::One(Request::ShowActivity { jid }), Shown::Statistics))
    })
}

fn password_in(form: &Form) -> Result<Secret, &'static str> {
    let password = Secret(Zeroizing::new(form.value("password").unwrap_or_default().to_owned()));
    match prepare_password(&password.0).map(Zeroizing::new) {
        None => Err("The password has characters that a password cannot have."),
        Some(prepared) if prepared.is_empty() => Err("A password is missing."),
        Some(prepared) if prepared.len() > PASSWORD_BYTES_MAX => Err("The password is too long."),
        Some(_) => Ok(password),
    }
}
