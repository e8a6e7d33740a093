//! Commands that XEP-0133 does not have: registrations, reports and bans.

use super::super::commands::{Command, Context, Step};
use super::{Errand, Shown, account_in, administer, ask, each, just, lasting_field, seconds_in};
use crate::admin::{ActOnReport, CountLog, ListLog, Part, ReportAction, Request};
use crate::forms::{Field, FieldKind, Form, FormKind};
use crate::registration::Network;

pub const COMMANDS: &[Command] = &[
    Command { node: "rondel:registrations", name: "Registrations: who has made an account", step: made },
    Command { node: "rondel:registrations-refused", name: "Registrations: who was refused and why", step: refused },
    Command { node: "rondel:registrations-stats", name: "Registrations: how many, and from where", step: stats },
    Command { node: "rondel:registrations-pending", name: "Registrations: who waits to be let in", step: pending },
    Command { node: "rondel:registrations-approve", name: "Registrations: let somebody in", step: approve },
    Command { node: "rondel:registrations-reject", name: "Registrations: do not let somebody in", step: reject },
    Command { node: "rondel:reports", name: "Reports: what nobody has seen to", step: reports },
    Command { node: "rondel:report", name: "Reports: show one", step: report },
    Command { node: "rondel:report-act", name: "Reports: do something about one", step: act },
    Command { node: "rondel:mute", name: "Mute an account", step: mute },
    Command { node: "rondel:unmute", name: "Let an account write again", step: unmute },
    Command { node: "rondel:limit", name: "Hold an account to the limits of new ones", step: limit },
    Command { node: "rondel:unlimit", name: "Do not hold an account to the limits of new ones", step: unlimit },
    Command { node: "rondel:bans", name: "Bans: which addresses are not let in", step: bans },
    Command { node: "rondel:ban", name: "Bans: do not let in an address", step: ban },
    Command { node: "rondel:unban", name: "Bans: let in an address again", step: unban },
];

/// Networks that are shown.
const NETWORKS_MAX: usize = 20;

/// Entries of the log that are shown.
const ENTRIES_MAX: usize = 200;

fn made(_: &Context<'_>, submitted: &[Form]) -> Step {
    log(submitted, Part::Made)
}

fn refused(_: &Context<'_>, submitted: &[Form]) -> Step {
    log(submitted, Part::Refused)
}

fn log(submitted: &[Form], part: Part) -> Step {
    let form = || {
        Form::new(FormKind::Form)
            .with_words("Registrations", "The first that there are; rondel registration log shows all.")
            .with_field(since_field())
            .with_field(Field::new(FieldKind::TextSingle, "network").with_label("Only from this address or network"))
    };
    ask(submitted, form, |form| {
        let since_s = seconds_in(form, "since")?.unwrap_or(86_400);
        let network = form.value("network").map(parsed).transpose()?;
        let list = ListLog { part, network, limit: ENTRIES_MAX, ..ListLog::default() };
        Ok((Errand::One(Request::ListLog(list.since_ago(since_s))), Shown::Log))
    })
}

fn stats(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        Form::new(FormKind::Form)
            .with_words("Registrations", "How many accounts were made and how many attempts refused.")
            .with_field(since_field())
    };
    ask(submitted, form, |form| {
        let since_s = seconds_in(form, "since")?.unwrap_or(86_400);
        let list = ListLog::default().since_ago(since_s);
        let wanted = CountLog { list, v4_bits: 24, v6_bits: 48, networks_max: NETWORKS_MAX };
        Ok((Errand::One(Request::CountLog(wanted)), Shown::LogCount))
    })
}

fn since_field() -> Field {
    let since = Field::new(FieldKind::ListSingle, "since").with_label("Since when").with_value("86400");
    let choices = [("an hour ago", "3600"), ("a day ago", "86400"), ("a week ago", "604800")];
    choices.iter().fold(since, |field, (label, value)| field.with_choice(label, value))
}

fn pending(_: &Context<'_>, _: &[Form]) -> Step {
    administer(Errand::One(Request::ListPending { after: None }), Shown::Pending)
}

fn approve(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = Form::new(FormKind::Form).with_words("Letting somebody in", "Who it is.");
    each(submitted, form, "Accounts", |jid| Request::Approve { jid })
}

fn reject(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = Form::new(FormKind::Form).with_words("Not letting somebody in", "Who it is.");
    each(submitted, form, "Accounts", |jid| Request::Reject { jid })
}

fn unmute(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = Form::new(FormKind::Form).with_words("Letting an account write again", "Who it is.");
    each(submitted, form, "Accounts", |jid| Request::Unmute { jid })
}

fn unlimit(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = Form::new(FormKind::Form).with_words("Not holding an account to the limits of new ones", "Who it is.");
    each(submitted, form, "Accounts", |jid| Request::Unlimit { jid })
}

fn mute(_: &Context<'_>, submitted: &[Form]) -> Step {
    for_a_time(submitted, "Muting an account", |jid, for_s| Request::Mute { jid, for_s })
}

fn limit(_: &Context<'_>, submitted: &[Form]) -> Step {
    for_a_time(submitted, "Holding an account to the limits of new ones", |jid, for_s| Request::Limit { jid, for_s })
}

fn reports(_: &Context<'_>, _: &[Form]) -> Step {
    administer(Errand::One(Request::ListReports { all: false, after: None }), Shown::Reports)
}

fn report(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form =
        || Form::new(FormKind::Form).with_words("A report", "As the list of them calls it.").with_field(id_field());
    ask(submitted, form, |form| Ok((Errand::One(Request::ShowReport { report: id_in(form)? }), Shown::Report)))
}

fn act(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        let action = Field::new(FieldKind::ListSingle, "action").with_label("What is done").required();
        let action = ACTIONS.iter().fold(action, |field, (action, label)| field.with_choice(label, action.name()));
        Form::new(FormKind::Form)
            .with_words("Doing something about a report", "It is closed with it.")
            .with_field(id_field())
            .with_field(action)
            .with_field(lasting_field())
            .with_field(Field::new(FieldKind::TextSingle, "words").with_label("What the account is told"))
            .with_field(Field::new(FieldKind::TextSingle, "answer").with_label("What is told to who has reported it"))
    };
    ask(submitted, form, |form| {
        let named = form.value("action").and_then(|name| ACTIONS.iter().find(|(action, _)| action.name() == name));
        let (action, _) = named.ok_or("This cannot be done.")?;
        let text = |var| form.value(var).map(str::to_owned);
        just(Request::ActOnReport(ActOnReport {
            report: id_in(form)?,
            action: *action,
            for_s: seconds_in(form, "duration")?,
            words: text("words"),
            answer: text("answer"),
        }))
    })
}

const ACTIONS: [(ReportAction, &str); 6] = [
    (ReportAction::Dismiss, "nothing"),
    (ReportAction::Warn, "the account is told something"),
    (ReportAction::Mute, "nobody hears what the account writes"),
    (ReportAction::Limit, "the account is held to the limits of new ones"),
    (ReportAction::Ban, "the account cannot log in"),
    (ReportAction::Remove, "the account is removed"),
];

fn bans(_: &Context<'_>, _: &[Form]) -> Step {
    administer(Errand::One(Request::ListBans), Shown::Bans)
}

fn ban(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = || {
        Form::new(FormKind::Form)
            .with_words("Not letting in an address", "The sessions from there end.")
            .with_field(network_field())
            .with_field(lasting_field())
            .with_field(Field::new(FieldKind::TextSingle, "reason").with_label("Why, for other administrators"))
    };
    ask(submitted, form, |form| {
        let network = form.value("network").ok_or("A network is missing.").and_then(parsed)?;
        let reason = form.value("reason").unwrap_or_default().to_owned();
        just(Request::BanAddress { network, for_s: seconds_in(form, "duration")?, reason })
    })
}

fn unban(_: &Context<'_>, submitted: &[Form]) -> Step {
    let words = ("Letting in an address again", "As the list of bans calls it.");
    let form = || Form::new(FormKind::Form).with_words(words.0, words.1).with_field(network_field());
    ask(submitted, form, |form| {
        just(Request::UnbanAddress { network: form.value("network").ok_or("A network is missing.").and_then(parsed)? })
    })
}

fn for_a_time(submitted: &[Form], title: &str, request: impl Fn(String, Option<u64>) -> Request) -> Step {
    let form = || {
        let account = Field::new(FieldKind::JidSingle, "accountjid").with_label("Account").required();
        Form::new(FormKind::Form).with_words(title, "Who it is.").with_field(account).with_field(lasting_field())
    };
    ask(submitted, form, |form| just(request(account_in(form, "accountjid")?, seconds_in(form, "duration")?)))
}

fn id_field() -> Field {
    Field::new(FieldKind::TextSingle, "report").with_label("Report").required()
}

fn id_in(form: &Form) -> Result<String, &'static str> {
    form.value("report").map(str::to_owned).ok_or("A report is missing.")
}

fn network_field() -> Field {
    Field::new(FieldKind::TextSingle, "network").with_label("Address or network").required()
}

fn parsed(network: &str) -> Result<String, &'static str> {
    let network = network.parse::<Network>().map(|network| network.to_string());
    network.map_err(|_| "This is neither an address nor a network such as 192.0.2.0/24 or 2001:db8::/32.")
}
