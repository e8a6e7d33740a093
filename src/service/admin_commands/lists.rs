//! Commands that count and list accounts (XEP-0133 §4.12 to §4.22).

use super::super::commands::{Command, Context, Step};
use super::{Errand, Shown, administer, ask, asking};
use crate::admin::{Request, Which};
use crate::forms::{Field, FieldKind, Form};

pub const COMMANDS: &[Command] = &[
    Command {
        node: "http://jabber.org/protocol/admin#get-registered-users-num",
        name: "Count users",
        step: registered,
    },
    Command {
        node: "http://jabber.org/protocol/admin#get-disabled-users-num",
        name: "Count disabled users",
        step: disabled,
    },
    Command { node: "http://jabber.org/protocol/admin#get-online-users-num", name: "Count users online", step: online },
    Command { node: "http://jabber.org/protocol/admin#get-active-users-num", name: "Count active users", step: active },
    Command { node: "http://jabber.org/protocol/admin#get-idle-users-num", name: "Count idle users", step: idle },
    Command {
        node: "http://jabber.org/protocol/admin#get-registered-users-list",
        name: "List users",
        step: list_registered,
    },
    Command {
        node: "http://jabber.org/protocol/admin#get-disabled-users-list",
        name: "List disabled users",
        step: list_disabled,
    },
    Command {
        node: "http://jabber.org/protocol/admin#get-online-users-list",
        name: "List users online",
        step: list_online,
    },
    Command { node: "http://jabber.org/protocol/admin#get-active-users", name: "List active users", step: list_active },
    Command { node: "http://jabber.org/protocol/admin#get-idle-users", name: "List idle users", step: list_idle },
];

/// Accounts that are shown, unless the client says how many, and at most.
const SHOWN_MAX: usize = 1000;

fn registered(_: &Context<'_>, _: &[Form]) -> Step {
    count(Which::Registered, "registeredusersnum")
}

fn disabled(_: &Context<'_>, _: &[Form]) -> Step {
    count(Which::Disabled, "disabledusersnum")
}

fn online(_: &Context<'_>, _: &[Form]) -> Step {
    count(Which::Online, "onlineusersnum")
}

fn active(_: &Context<'_>, _: &[Form]) -> Step {
    count(Which::Active, "activeusersnum")
}

fn idle(_: &Context<'_>, _: &[Form]) -> Step {
    count(Which::Idle, "idleusersnum")
}

fn list_registered(_: &Context<'_>, submitted: &[Form]) -> Step {
    list(submitted, Which::Registered, "registereduserjids")
}

fn list_disabled(_: &Context<'_>, submitted: &[Form]) -> Step {
    list(submitted, Which::Disabled, "disableduserjids")
}

fn list_online(_: &Context<'_>, submitted: &[Form]) -> Step {
    list(submitted, Which::Online, "onlineuserjids")
}

fn list_active(_: &Context<'_>, submitted: &[Form]) -> Step {
    list(submitted, Which::Active, "activeuserjids")
}

fn list_idle(_: &Context<'_>, submitted: &[Form]) -> Step {
    // The example of §4.22 has the same name as that of §4.21.
    list(submitted, Which::Idle, "activeuserjids")
}

fn count(which: Which, var: &'static str) -> Step {
    administer(Errand::One(Request::Census { which, names_max: 0 }), Shown::Number { var })
}

fn list(submitted: &[Form], which: Which, var: &'static str) -> Step {
    let form = || {
        let field = Field::new(FieldKind::ListSingle, "max_items").with_label("Maximum number of items to show");
        let choices = ["25", "50", "75", "100", "150", "200", "none"];
        let field = choices.iter().fold(field, |field, choice| field.with_choice(choice, choice));
        asking("Listing users", "How many are shown.").with_field(field.with_value("100"))
    };
    ask(submitted, form, |form| {
        let names_max = match form.value("max_items") {
            None | Some("none") => SHOWN_MAX,
            Some(number) => number.parse().map_err(|_| "How many has to be a number.")?,
        };
        let request = Request::Census { which, names_max: names_max.min(SHOWN_MAX) };
        Ok((Errand::One(request), Shown::Accounts { var }))
    })
}
