//! The commands that everybody has for the own account: to change the password, to see the sessions, to end them,
//! to invite, and to fetch all that is stored of it.

use std::sync::LazyLock;

use zeroize::Zeroizing;

use super::admin_commands;
use super::commands::{Command, Context, Done, Effect, Note, Step};
use crate::datetime;
use crate::forms::{Field, FieldKind, Form, FormKind};
use crate::jid;
use crate::registration::UserInvites;
use crate::sasl::prepare_password;

/// All commands on the domain of one's account, those of administrators too. [`Rights::may_run`] says which one may
/// run.
pub fn all() -> &'static [Command] {
    static ALL: LazyLock<Vec<Command>> = LazyLock::new(|| {
        let administrators = admin_commands::COMMANDS.iter().flat_map(|table| table.iter());
        COMMANDS.iter().chain(administrators).copied().collect()
    });
    &ALL
}

/// Those that everybody has who has an account.
const COMMANDS: &[Command] = &[
    Command { node: CHANGE_PASSWORD, name: "Change password", step: change_password },
    Command { node: "list-sessions", name: "List sessions", step: list_sessions },
    Command { node: "close-session", name: "Close a session", step: close_session },
    Command { node: "close-other-sessions", name: "Close all other sessions", step: close_other_sessions },
    Command { node: EXPORT, name: "Export my data", step: export },
    Command { node: INVITE, name: "Invite somebody", step: invite },
    Command { node: CREATE_ACCOUNT, name: "Invite somebody to make an account", step: create_account },
];

const EXPORT: &str = "export";

/// XEP-0401 §3.1.
const INVITE: &str = "urn:xmpp:invite#invite";

/// XEP-0401 §3.2.
const CREATE_ACCOUNT: &str = "urn:xmpp:invite#create-account";

/// What an account may do with commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rights {
    /// Whether it may do anything at all.
    pub has_account: bool,
    /// To what it may invite.
    pub invites: UserInvites,
    /// Whether it may invite others to make an account without becoming a contact.
    pub invites_strangers: bool,
    /// Whether there are web pages by which what is stored of it can be fetched.
    pub exports: bool,
    /// Whether it is an administrator's.
    pub is_administrator: bool,
}

impl Rights {
    /// Whether it may run the command of this node.
    pub fn may_run(&self, node: &str) -> bool {
        self.has_account
            && match node {
                INVITE => self.invites != UserInvites::Nothing,
                CREATE_ACCOUNT => self.invites_strangers,
                EXPORT => self.exports,
                node if admin_commands::is_one(node) => self.is_administrator,
                _ => true,
            }
    }
}

fn invite(context: &Context<'_>, _submitted: &[Form]) -> Step {
    let registers = context.rights.invites == UserInvites::Accounts;
    Step::Do(Effect::Invite { registers, befriends: true, username: None })
}

fn create_account(_context: &Context<'_>, submitted: &[Form]) -> Step {
    let Some(form) = submitted.first() else {
        let form = Form::new(FormKind::Form)
            .with_words("Invite somebody to make an account", "Without a name they choose it themselves.")
            .with_field(Field::new(FieldKind::TextSingle, "username").with_label("User name"))
            .with_field(Field::new(FieldKind::Boolean, "roster-subscription").with_label("Become contacts"));
        return Step::Ask { form, is_last: true };
    };
    let befriends = form.boolean("roster-subscription").unwrap_or(false);
    match form.value("username").map(jid::localpart).transpose() {
        Err(_) => Step::Again("This is no possible user name."),
        Ok(name) => {
            let username = name.map(std::borrow::Cow::into_owned);
            Step::Do(Effect::Invite { registers: true, befriends, username })
        }
    }
}

/// What whoever has made an invitation is shown (XEP-0401 §3.3).
pub fn invitation(uri: &str, page: Option<&str>, expires_s: u64) -> Form {
    let field = |name: &str, label: &str, value: &str| {
        Field::new(FieldKind::TextSingle, name).with_label(label).with_value(value)
    };
    let form = Form::new(FormKind::Result).with_type("urn:xmpp:invite#invitation").with_field(field(
        "uri",
        "Address to be opened",
        uri,
    ));
    let form = page.into_iter().fold(form, |form, page| form.with_field(field("landing-url", "Web page", page)));
    form.with_field(field("expire", "Until", &datetime::utc_s(expires_s)))
}

/// Asks for the password: what proves it is in the file, with which others may try to guess it.
fn export(_context: &Context<'_>, submitted: &[Form]) -> Step {
    let Some(form) = submitted.first() else {
        let words = "You get a link to a file with all that is stored of you: contacts, messages, and what proves your \
                     password. It is in a form that other servers can import (XEP-0227).";
        let form = Form::new(FormKind::Form)
            .with_words("Export my data", words)
            .with_field(Field::new(FieldKind::TextPrivate, "password").with_label("Password").required());
        return Step::Ask { form, is_last: true };
    };
    let password = Zeroizing::new(form.value("password").unwrap_or_default().to_owned());
    Step::Do(Effect::Export { password })
}

/// What whoever has asked for all that is stored of them is shown.
pub fn export_link(url: &str, expires_s: u64) -> Form {
    let field = |name: &str, label: &str, value: &str| {
        Field::new(FieldKind::TextSingle, name).with_label(label).with_value(value)
    };
    Form::new(FormKind::Result)
        .with_words("Your data", "The link works once. Keep the file to yourself.")
        .with_field(field("url", "Link", url))
        .with_field(field("expire", "Until", &datetime::utc_s(expires_s)))
}

const CHANGE_PASSWORD: &str = "change-password";

/// Asks for the current password: a session proves who began it, not who sits in front of it now, and a password is
/// what gives an account away for good. The new one is asked for once, as clients do in their own dialogues.
fn change_password(context: &Context<'_>, submitted: &[Form]) -> Step {
    let Some(form) = submitted.first() else {
        let form = Form::new(FormKind::Form)
            .with_words("Change password", "All your clients will need the new password from then on.")
            .with_field(Field::new(FieldKind::TextPrivate, "current").with_label("Current password").required())
            .with_field(Field::new(FieldKind::TextPrivate, "new").with_label("New password").required())
            .with_field(
                Field::new(FieldKind::Boolean, "close").with_label("Close all other sessions").with_value("true"),
            );
        return Step::Ask { form, is_last: true };
    };
    let password = |var: &str| Zeroizing::new(form.value(var).unwrap_or_default().to_owned());
    let (current, new) = (password("current"), password("new"));
    let close_others = form.boolean("close").unwrap_or(true);
    match prepare_password(&new).map(Zeroizing::new) {
        None => Step::Again("The new password has characters that a password cannot have."),
        Some(prepared) if prepared.len() > context.password_bytes_max => Step::Again("The new password is too long."),
        Some(_) => Step::Do(Effect::SetPassword { current, new, close_others }),
    }
}

fn list_sessions(context: &Context<'_>, _submitted: &[Form]) -> Step {
    let table = Form::new(FormKind::Result)
        .with_column(FieldKind::TextSingle, "resource", "Resource")
        .with_column(FieldKind::TextSingle, "address", "Address")
        .with_column(FieldKind::TextSingle, "since", "Since")
        .with_column(FieldKind::Boolean, "current", "This one");
    let rows = context.sessions.iter().map(|session| {
        let is_current = context.resource == Some(session.resource);
        let address = session.address.unwrap_or_default().to_owned();
        vec![session.resource.to_owned(), address, datetime::utc_s(session.since_s), is_current.to_string()]
    });
    Step::Done(Done { form: Some(rows.fold(table, Form::with_row)), ..Done::default() })
}

fn close_session(context: &Context<'_>, submitted: &[Form]) -> Step {
    if let Some(resource) = submitted.first().and_then(|form| form.value("resource")) {
        return Step::Do(Effect::CloseSession { resource: resource.to_owned() });
    }
    let others = context.sessions.iter().filter(|session| context.resource != Some(session.resource));
    let list = Field::new(FieldKind::ListSingle, "resource").with_label("Session").required();
    let list = others.fold(list, |list, session| {
        let since = datetime::utc_s(session.since_s);
        let from = session.address.map(|address| format!(", from {address}")).unwrap_or_default();
        let words = format!("{}, since {since}{from}", session.resource);
        list.with_choice(&words, session.resource)
    });
    if list.choices.is_empty() {
        return only_this_one();
    }
    let form = Form::new(FormKind::Form).with_words("Close a session", "Its client may log in again.").with_field(list);
    Step::Ask { form, is_last: true }
}

fn close_other_sessions(context: &Context<'_>, submitted: &[Form]) -> Step {
    let others = context.sessions.iter().filter(|session| context.resource != Some(session.resource)).count();
    match (others, submitted) {
        (0, _) => only_this_one(),
        (_, [_, ..]) => Step::Do(Effect::CloseOtherSessions { except: context.resource.map(str::to_owned) }),
        (others, []) => {
            let form = Form::new(FormKind::Form)
                .with_words("Close all other sessions", "Their clients may log in again.")
                .with_field(Field::words(&format!("Sessions to be closed: {others}")));
            Step::Ask { form, is_last: true }
        }
    }
}

fn only_this_one() -> Step {
    Step::Done(Done { note: Some(Note::Info("There is no other session.".into())), ..Done::default() })
}

#[cfg(test)]
mod tests {
    use super::super::admin_commands::Facts;
    use super::super::commands::SessionInfo;
    use super::*;

    const SESSIONS: &[SessionInfo<'_>] = &[
        SessionInfo { resource: "balcony", address: Some("192.0.2.1"), since_s: 0 },
        SessionInfo { resource: "chamber", address: None, since_s: 86_400 },
    ];

    fn context(sessions: &'static [SessionInfo<'static>]) -> Context<'static> {
        let rights = Rights { has_account: true, invites: UserInvites::Contacts, ..Rights::default() };
        static FACTS: LazyLock<Facts> = LazyLock::new(Facts::default);
        Context { resource: Some("balcony"), sessions, password_bytes_max: 10, rights, facts: &FACTS }
    }

    fn run(node: &str, sessions: &'static [SessionInfo<'static>], submitted: &[Form]) -> Step {
        let command = COMMANDS.iter().find(|command| command.node == node).unwrap();
        (command.step)(&context(sessions), submitted)
    }

    fn submitted(fields: &[(&str, &str)]) -> Form {
        let form = Form::new(FormKind::Submit);
        fields.iter().fold(form, |form, (var, value)| form.with_field(Field::shown(var, value)))
    }

    #[test]
    fn nodes_are_distinct() {
        let nodes: std::collections::HashSet<_> = all().iter().map(|command| command.node).collect();
        assert_eq!(nodes.len(), all().len());
    }

    #[test]
    fn a_password_is_changed_by_who_knows_it() {
        let Step::Ask { form, is_last: true } = run(CHANGE_PASSWORD, SESSIONS, &[]) else { panic!("a form") };
        let required: Vec<_> = form.fields.iter().map(|field| (field.var.as_str(), field.is_required)).collect();
        assert_eq!(required, [("current", true), ("new", true), ("close", false)]);
        let filled = |fields: &[(&str, &str)]| run(CHANGE_PASSWORD, SESSIONS, &[submitted(fields)]);
        let with = |new: &str| filled(&[("current", "r0m30"), ("new", new)]);
        let Step::Do(effect) = with("v3r0na") else { panic!("an effect") };
        let (current, new) = (Zeroizing::new("r0m30".to_owned()), Zeroizing::new("v3r0na".to_owned()));
        assert_eq!(effect, Effect::SetPassword { current, new, close_others: true });
        assert_eq!(format!("{effect:?}"), "SetPassword");
        let kept = filled(&[("current", "r0m30"), ("new", "v3r0na"), ("close", "0")]);
        assert!(matches!(kept, Step::Do(Effect::SetPassword { close_others: false, .. })));
        assert!(matches!(with("\u{7}"), Step::Again(_)));
        assert!(matches!(with("12345678901"), Step::Again(_)));
    }

    #[test]
    fn who_may_invite_does_so_and_administrators_to_more() {
        let Step::Do(effect) = run(INVITE, SESSIONS, &[]) else { panic!("an effect") };
        assert_eq!(effect, Effect::Invite { registers: false, befriends: true, username: None });
        assert!(matches!(run(CREATE_ACCOUNT, SESSIONS, &[]), Step::Ask { is_last: true, .. }));
        let filled = |fields: &[(&str, &str)]| run(CREATE_ACCOUNT, SESSIONS, &[submitted(fields)]);
        let Step::Do(effect) = filled(&[("username", "Romeo"), ("roster-subscription", "1")]) else {
            panic!("an effect")
        };
        assert_eq!(effect, Effect::Invite { registers: true, befriends: true, username: Some("romeo".into()) });
        assert!(matches!(filled(&[("username", "a@b")]), Step::Again(_)));
        let rights = Rights { has_account: true, ..Rights::default() };
        assert!(!rights.may_run(INVITE) && !rights.may_run(CREATE_ACCOUNT) && rights.may_run(CHANGE_PASSWORD));
        assert!(!Rights::default().may_run(CHANGE_PASSWORD));
    }

    #[test]
    fn an_account_is_exported_by_who_knows_its_password() {
        let Step::Ask { form, is_last: true } = run(EXPORT, SESSIONS, &[]) else { panic!("a form") };
        assert_eq!(form.fields.iter().map(|field| field.is_required).collect::<Vec<_>>(), [true]);
        let Step::Do(effect) = run(EXPORT, SESSIONS, &[submitted(&[("password", "r0m30")])]) else {
            panic!("an effect")
        };
        assert_eq!(effect, Effect::Export { password: Zeroizing::new("r0m30".to_owned()) });
        assert_eq!(format!("{effect:?}"), "Export");
        let rights = Rights { has_account: true, ..Rights::default() };
        assert!(!rights.may_run(EXPORT) && Rights { exports: true, ..rights }.may_run(EXPORT));
    }

    #[test]
    fn sessions_are_listed() {
        let Step::Done(Done { form: Some(form), note: None, .. }) = run("list-sessions", SESSIONS, &[]) else {
            panic!("a table")
        };
        let rows: Vec<_> = form.rows.iter().map(|row| row.join("|")).collect();
        assert_eq!(rows, ["balcony|192.0.2.1|1970-01-01T00:00:00Z|true", "chamber||1970-01-02T00:00:00Z|false"]);
        assert_eq!(form.columns.len(), 4);
    }

    #[test]
    fn one_session_is_closed() {
        let Step::Ask { form, is_last: true } = run("close-session", SESSIONS, &[]) else { panic!("a form") };
        let choices: Vec<_> = form.fields[0].choices.iter().map(|choice| choice.value.as_str()).collect();
        assert_eq!(choices, ["chamber"]);
        let Step::Do(effect) = run("close-session", SESSIONS, &[submitted(&[("resource", "chamber")])]) else {
            panic!("an effect")
        };
        assert_eq!(effect, Effect::CloseSession { resource: "chamber".into() });
        assert!(matches!(run("close-session", &SESSIONS[..1], &[]), Step::Done(_)));
    }

    #[test]
    fn all_other_sessions_are_closed() {
        let Step::Ask { form, is_last: true } = run("close-other-sessions", SESSIONS, &[]) else { panic!("a form") };
        assert_eq!(form.fields[0].values, ["Sessions to be closed: 1"]);
        let Step::Do(effect) = run("close-other-sessions", SESSIONS, &[submitted(&[])]) else { panic!("an effect") };
        assert_eq!(effect, Effect::CloseOtherSessions { except: Some("balcony".into()) });
        assert!(matches!(run("close-other-sessions", &SESSIONS[..1], &[]), Step::Done(_)));
    }
}
