//! Commands about the whole server (XEP-0133 §4.10, §4.11, §4.23 to §4.31).

use super::super::commands::{Command, Context, Step};
use super::{Shown, administer, ask, asking, just};
use crate::admin::Request;
use crate::forms::{Field, FieldKind, Form};
use crate::jid::Jid;

pub const COMMANDS: &[Command] = &[
    Command { node: "http://jabber.org/protocol/admin#edit-blacklist", name: "Edit the blacklist", step: blacklist },
    Command { node: "http://jabber.org/protocol/admin#edit-whitelist", name: "Edit the whitelist", step: whitelist },
    Command { node: "http://jabber.org/protocol/admin#announce", name: "Tell everybody online", step: announce },
    Command { node: "http://jabber.org/protocol/admin#set-motd", name: "Set a message of the day", step: set_motd },
    Command {
        node: "http://jabber.org/protocol/admin#edit-motd",
        name: "Edit the message of the day",
        step: edit_motd,
    },
    Command { node: "http://jabber.org/protocol/admin#delete-motd", name: "No message of the day", step: delete_motd },
    Command {
        node: "http://jabber.org/protocol/admin#set-welcome",
        name: "Set the welcome message",
        step: set_welcome,
    },
    Command {
        node: "http://jabber.org/protocol/admin#delete-welcome",
        name: "No welcome message",
        step: delete_welcome,
    },
    Command { node: "http://jabber.org/protocol/admin#edit-admin", name: "Edit the administrators", step: edit_admin },
    Command { node: "http://jabber.org/protocol/admin#restart", name: "Restart the server", step: restart },
    Command { node: "http://jabber.org/protocol/admin#shutdown", name: "Shut down the server", step: shut_down },
];

fn blacklist(context: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        let field = Field::new(FieldKind::JidMulti, "blacklistjids").with_label("The blacklist");
        asking("Editing the blacklist", "Accounts and domains with which nobody here exchanges anything.")
            .with_field(filled(field, &context.facts.blacklist))
    };
    ask(submitted, form, |form| just(Request::SetBlacklist { jids: addresses(form, "blacklistjids") }))
}

fn whitelist(context: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        let field = Field::new(FieldKind::JidMulti, "whitelistjids").with_label("The whitelist");
        let words = "Accounts and domains with which alone people here exchange anything, beside the server's own \
                     domains. Empty: with all.";
        asking("Editing the whitelist", words).with_field(filled(field, &context.facts.whitelist))
    };
    ask(submitted, form, |form| just(Request::SetWhitelist { jids: addresses(form, "whitelistjids") }))
}

fn announce(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        asking("Telling everybody who is online", "It is said at once.")
            .with_field(Field::new(FieldKind::TextMulti, "announcement").with_label("Announcement").required())
    };
    ask(submitted, form, |form| {
        let words = text(form, "announcement").ok_or("Something has to be said.")?;
        just(Request::Announce { words, domain: None, everybody: false })
    })
}

fn set_motd(context: &Context<'_>, submitted: &[Form]) -> Step {
    motd(context, submitted, "Setting a message of the day")
}

fn edit_motd(context: &Context<'_>, submitted: &[Form]) -> Step {
    motd(context, submitted, "Editing the message of the day")
}

fn motd(context: &Context<'_>, submitted: &[Form], title: &str) -> Step {
    let form = || {
        let field = Field::new(FieldKind::TextMulti, "motd").with_label("Message of the day").required();
        let lines: Vec<String> = context.facts.motd.lines().map(str::to_owned).collect();
        asking(title, "Whoever comes online is told, and whoever is online now.").with_field(filled(field, &lines))
    };
    ask(submitted, form, |form| {
        let words = text(form, "motd").ok_or("Something has to be said.")?;
        just(Request::SetMessageOfTheDay { words })
    })
}

fn delete_motd(_: &Context<'_>, _: &[Form]) -> Step {
    let request = Request::SetMessageOfTheDay { words: String::new() };
    administer(super::Errand::One(request), Shown::Done)
}

fn set_welcome(context: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        let field = Field::new(FieldKind::TextMulti, "welcome").with_label("Welcome message").required();
        let lines: Vec<String> = context.facts.welcome.lines().map(str::to_owned).collect();
        let words = "New accounts are told. $username and $host stand for what they say.";
        asking("Setting the welcome message", words).with_field(filled(field, &lines))
    };
    ask(submitted, form, |form| {
        just(Request::SetWelcome { words: text(form, "welcome").ok_or("Something has to be said.")? })
    })
}

fn delete_welcome(_: &Context<'_>, _: &[Form]) -> Step {
    administer(super::Errand::One(Request::SetWelcome { words: String::new() }), Shown::Done)
}

fn edit_admin(context: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        let field = Field::new(FieldKind::JidMulti, "adminjids").with_label("The admin list");
        let words = "Those of the server's flags (--admin) stay administrators whatever is said here.";
        asking("Editing the administrators", words).with_field(filled(field, &context.facts.administrators))
    };
    ask(submitted, form, |form| just(Request::SetAdministrators { jids: addresses(form, "adminjids") }))
}

fn restart(_: &Context<'_>, submitted: &[Form]) -> Step {
    end(submitted, "Restarting the server", "Time delay before restarting", true)
}

fn shut_down(_: &Context<'_>, submitted: &[Form]) -> Step {
    end(submitted, "Shutting down the server", "Time delay before shutting down", false)
}

fn end(submitted: &[Form], title: &str, label: &str, restarts: bool) -> Step {
    let form = || {
        let delay = Field::new(FieldKind::ListSingle, "delay").with_label(label).required().open();
        let choices = [30, 60, 90, 120, 180, 240, 300].map(|seconds: u32| seconds.to_string());
        let delay = choices.iter().fold(delay, |delay, value| delay.with_choice(&format!("{value} seconds"), value));
        asking(title, "Whoever is online is told first, if something is said.")
            .with_field(delay)
            .with_field(Field::new(FieldKind::TextMulti, "announcement").with_label("Announcement"))
    };
    ask(submitted, form, |form| {
        let delay = form.value("delay").and_then(|delay| delay.parse().ok());
        let delay_s =
            delay.filter(|delay_s| *delay_s <= 3600).ok_or("The delay has to be a number of seconds, 3600 at most.")?;
        just(Request::ShutDown { delay_s, words: text(form, "announcement").unwrap_or_default(), restarts })
    })
}

fn filled(field: Field, values: &[String]) -> Field {
    values.iter().fold(field, |field, value| field.with_value(value))
}

fn text(form: &Form, var: &str) -> Option<String> {
    form.text(var).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn addresses(form: &Form, var: &str) -> Vec<String> {
    form.jids(var).iter().map(|jid| Jid::bare(jid).to_owned()).collect()
}
