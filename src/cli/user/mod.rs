//! `rondel user`: accounts from the command line, of a running server or of a data directory that none uses.
//!
//! One file per kind of work; all of them speak to an [`admin::Backend`](crate::admin::Backend) and do not know which.

mod bulk;
mod flags;
mod password;
mod show;

use std::io::stdin;

use crate::admin::{Backend, Failure, NamedRole, Request, Status, UserDetails, ask};
use crate::cli::access::Access;
use crate::cli::print;
use crate::jid::Jid;
use crate::sasl::new_keys;

pub use flags::{
    AddUser, DisableUser, ForATime, Lasting, ListUsers, OneUser, Password, RoleName, SetPassword, SetRole, ShowUser,
    TellUser, UserAction,
};

/// Does what was asked. An error is one line.
pub fn run(action: UserAction) -> Result<(), String> {
    match action {
        UserAction::Add(AddUser { stdin: true, password, target, .. }) => {
            bulk::add_many(&Access::open(&target, true)?, stdin().lock(), password.scram_iterations as u32)
        }
        UserAction::Add(AddUser { jid, password, target, .. }) => {
            let jid = jid.ok_or("which account?")?;
            // An operator may add accounts before the first start.
            let backend = Access::open(&target, true)?.backend()?;
            set_password(&*backend, &jid, &password, |keys| ask(&*backend, Request::add_user(&jid, &keys)), "added")
        }
        UserAction::Password(SetPassword { jid, password, target }) => {
            let backend = Access::open(&target, false)?.backend()?;
            // Nobody wants to type a password twice for an account that is not there.
            ask::<UserDetails>(&*backend, Request::ShowUser { jid: jid.to_string() }).map_err(text)?;
            set_password(
                &*backend,
                &jid,
                &password,
                |keys| ask(&*backend, Request::set_keys(&jid, &keys)),
                "changed the password of",
            )
        }
        UserAction::Remove(user) => change(&user, |jid| Request::RemoveUser { jid, made_s: None }, "removed"),
        UserAction::Disable(DisableUser { user, reason, lasting }) => {
            change(&user, |jid| Request::DisableUser { jid, reason, for_s: lasting.seconds() }, "disabled")
        }
        UserAction::Enable(user) => change(&user, |jid| Request::EnableUser { jid }, "enabled"),
        UserAction::Mute(ForATime { user, lasting }) => {
            change(&user, |jid| Request::Mute { jid, for_s: lasting.seconds() }, "muted")
        }
        UserAction::Unmute(user) => change(&user, |jid| Request::Unmute { jid }, "unmuted"),
        UserAction::Limit(ForATime { user, lasting }) => {
            change(&user, |jid| Request::Limit { jid, for_s: lasting.seconds() }, "limited")
        }
        UserAction::Unlimit(user) => change(&user, |jid| Request::Unlimit { jid }, "trusted"),
        UserAction::Role(SetRole { user, role }) => {
            let role = match role {
                RoleName::Member => NamedRole::Member,
                RoleName::Admin => NamedRole::Admin,
            };
            change(&user, |jid| Request::SetRole { jid, role }, "changed the role of")
        }
        UserAction::Tell(TellUser { user, words }) => change(&user, |jid| Request::Tell { jid, words }, "told"),
        UserAction::List(flags) => show::list(&*Access::open(&flags.target, false)?.backend()?, &flags),
        UserAction::Show(flags) => show::show(&*Access::open(&flags.target, false)?.backend()?, &flags.jid, flags.json),
    }
}

fn change(user: &OneUser, request: impl FnOnce(String) -> Request, done: &str) -> Result<(), String> {
    let jid = &user.jid;
    ask::<()>(&*Access::open(&user.target, false)?.backend()?, request(jid.to_string())).map_err(text)?;
    print(&format!("{done} {jid}\n")).map_err(|error| error.to_string())
}

fn set_password(
    backend: &dyn Backend,
    jid: &Jid<'_>,
    flags: &Password,
    store: impl FnOnce(Vec<crate::sasl::ScramKeys>) -> Result<(), Failure>,
    done: &str,
) -> Result<(), String> {
    let status: Box<Status> = ask(backend, Request::Status).map_err(text)?;
    let iterations = status.scram_iterations.unwrap_or(flags.scram_iterations as u32);
    let password = password::obtain(flags)?;
    store(new_keys(&password, iterations)).map_err(text)?;
    let mut output = format!("{done} {jid}\n");
    if flags.generate {
        output.push_str(&format!("password {}\n", *password));
    }
    print(&output).map_err(|error| error.to_string())
}

fn text(failure: Failure) -> String {
    failure.text
}
