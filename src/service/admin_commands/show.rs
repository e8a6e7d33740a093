//! What administrators are shown of what has come of a command.

use super::super::commands::{Done, Note};
use super::FORM_TYPE;
use crate::admin::{self, Activity, Failure, RosterEntry};
use crate::datetime;
use crate::forms::{Field, FieldKind, Form, FormKind};
use crate::xml::{Element, namespaces as ns};

/// What is shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Shown {
    /// That it is done.
    Done,
    /// A number, in a field of this name.
    Number {
        /// The field.
        var: &'static str,
    },
    /// Accounts, in a field of this name.
    Accounts {
        /// The field.
        var: &'static str,
    },
    /// A roster.
    Roster {
        /// Whose.
        jid: String,
    },
    /// When somebody was here last.
    LastLogin {
        /// Who.
        jid: String,
    },
    /// Where somebody is.
    Statistics,
    /// Entries of the log of registrations.
    Log,
    /// The log of registrations in numbers.
    LogCount,
    /// Who waits to be let in.
    Pending,
    /// Reports.
    Reports,
    /// A report.
    Report,
    /// Networks that are banned.
    Bans,
}

impl Shown {
    /// What is shown of outcomes, of which there are several if several things were asked.
    pub fn of(&self, outcomes: Vec<Result<admin::Done, Failure>>) -> Done {
        let failed: Vec<String> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(text).collect();
        if !failed.is_empty() {
            return Done { note: Some(Note::Error(failed.join("\n"))), ..Done::default() };
        }
        let mut done = outcomes.into_iter().flatten();
        match (self, done.next()) {
            (Shown::Number { var }, Some(admin::Done::Census(census))) => number(var, census.number),
            (Shown::Accounts { var }, Some(admin::Done::Census(census))) => accounts(var, &census.names),
            (Shown::Roster { jid }, Some(admin::Done::Roster(entries))) => roster(jid, &entries),
            (Shown::LastLogin { jid }, Some(admin::Done::Activity(activity))) => last_login(jid, &activity),
            (Shown::Statistics, Some(admin::Done::Activity(activity))) => statistics(&activity),
            (Shown::Log, Some(admin::Done::Log(page))) => log(&page),
            (Shown::LogCount, Some(admin::Done::LogCount(count))) => log_count(&count),
            (Shown::Pending, Some(admin::Done::Pending(page))) => pending(&page),
            (Shown::Reports, Some(admin::Done::Reports(page))) => reports(&page),
            (Shown::Report, Some(admin::Done::Report(details))) => report(&details),
            (Shown::Bans, Some(admin::Done::Bans(bans))) => self::bans(&bans),
            _ => Done { note: Some(Note::Info("It has been done.".into())), ..Done::default() },
        }
    }
}

fn text(failure: &Failure) -> String {
    failure.text.clone()
}

fn result() -> Form {
    Form::new(FormKind::Result).with_type(FORM_TYPE)
}

fn table() -> Form {
    Form::new(FormKind::Result)
}

fn form(form: Form) -> Done {
    Done { form: Some(form), ..Done::default() }
}

fn number(var: &str, number: usize) -> Done {
    form(result().with_field(Field::new(FieldKind::TextSingle, var).with_value(&number.to_string())))
}

fn accounts(var: &str, names: &[String]) -> Done {
    let field = Field::new(FieldKind::JidMulti, var);
    form(result().with_field(names.iter().fold(field, |field, name| field.with_value(name))))
}

/// The roster stands in the form as clients know it (XEP-0133 §4.7).
fn roster(jid: &str, entries: &[RosterEntry]) -> Done {
    let items = entries.iter().map(|entry| {
        let item = Element::new("item", ns::ROSTER).with_attribute("jid", &entry.jid);
        let item = if entry.name.is_empty() { item } else { item.with_attribute("name", &entry.name) };
        let item = item.with_attribute("subscription", &entry.subscription);
        let group = |group: &String| Element::new("group", ns::ROSTER).with_text(group);
        entry.groups.iter().map(group).fold(item, Element::with_child)
    });
    let query = items.fold(Element::new("query", ns::ROSTER), Element::with_child);
    let form = result().with_field(Field::new(FieldKind::JidMulti, "accountjids").with_value(jid));
    Done { form: Some(form), within: Some(query), note: None }
}

fn last_login(jid: &str, activity: &Activity) -> Done {
    let since = activity.sessions.iter().map(|session| session.since_s).max();
    let time = since.or(activity.left_s).map_or("never".into(), datetime::utc_s);
    let account = Field::new(FieldKind::JidMulti, "accountjids").with_value(jid);
    form(result().with_field(account).with_field(Field::new(FieldKind::TextSingle, "lastlogin").with_value(&time)))
}

fn statistics(activity: &Activity) -> Done {
    let addresses = activity.sessions.iter().filter_map(|session| session.address.as_deref());
    let addresses = addresses.fold(Field::new(FieldKind::ListMulti, "ipaddresses"), Field::with_value);
    let single = |var: &str, number: usize| Field::new(FieldKind::TextSingle, var).with_value(&number.to_string());
    let form = result().with_field(addresses).with_field(single("rostersize", activity.contacts));
    Done { form: Some(form.with_field(single("onlineresources", activity.sessions.len()))), ..Done::default() }
}

fn log(page: &admin::LogPage) -> Done {
    let table = table()
        .with_column(FieldKind::TextSingle, "time", "Time")
        .with_column(FieldKind::TextSingle, "jid", "Account")
        .with_column(FieldKind::TextSingle, "address", "Address")
        .with_column(FieldKind::TextSingle, "what", "What");
    let rows = page.entries.iter().map(|entry| {
        let what = match (&entry.source, &entry.reason) {
            (_, Some(reason)) => format!("refused: {reason}"),
            (Some(source), None) => format!("{source}{}", if entry.made_s.is_some() { "" } else { ", gone" }),
            (None, None) => String::new(),
        };
        let address = entry.address.map(|address| address.to_string()).unwrap_or_default();
        vec![datetime::utc_us(entry.place.at_us), entry.place.jid.clone(), address, what]
    });
    form(rows.fold(table, Form::with_row))
}

fn log_count(count: &admin::LogCount) -> Done {
    let table = table()
        .with_column(FieldKind::TextSingle, "what", "What")
        .with_column(FieldKind::TextSingle, "made", "Made")
        .with_column(FieldKind::TextSingle, "refused", "Refused");
    let row = |what: &str, made: u64, refused: u64| vec![what.to_owned(), made.to_string(), refused.to_string()];
    let all = std::iter::once(row("all", count.made, count.refused));
    let ways = count.ways.iter().map(|(way, number)| match way.starts_with("refused") {
        true => row(way, 0, *number),
        false => row(way, *number, 0),
    });
    let networks = count.networks.iter().map(|(network, made, refused)| row(network, *made, *refused));
    form(all.chain(ways).chain(networks).fold(table, Form::with_row))
}

fn pending(page: &admin::PendingPage) -> Done {
    let table = table()
        .with_column(FieldKind::TextSingle, "time", "Time")
        .with_column(FieldKind::JidSingle, "jid", "Account")
        .with_column(FieldKind::TextSingle, "address", "Address")
        .with_column(FieldKind::TextSingle, "said", "What was said");
    let rows = page.applicants.iter().map(|applicant| {
        let said: Vec<String> = applicant.said.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let address = applicant.address.map(|address| address.to_string()).unwrap_or_default();
        vec![datetime::utc_us(applicant.at_us), applicant.jid.clone(), address, said.join(", ")]
    });
    form(rows.fold(table, Form::with_row))
}

fn reports(page: &admin::ReportPage) -> Done {
    let table = table()
        .with_column(FieldKind::TextSingle, "report", "Report")
        .with_column(FieldKind::TextSingle, "time", "Time")
        .with_column(FieldKind::JidSingle, "reported", "Reported")
        .with_column(FieldKind::JidSingle, "reporter", "By")
        .with_column(FieldKind::TextSingle, "reason", "For")
        .with_column(FieldKind::TextSingle, "text", "Words");
    let rows = page.reports.iter().map(|report| {
        vec![
            report.report.clone(),
            datetime::utc_us(report.at_us),
            report.reported.clone(),
            report.reporter.clone(),
            report.reason.clone(),
            report.text.clone().unwrap_or_default(),
        ]
    });
    form(rows.fold(table, Form::with_row))
}

fn report(details: &admin::ReportDetails) -> Done {
    let summary = &details.summary;
    let single = |var: &str, label: &str, value: &str| {
        Field::new(FieldKind::TextSingle, var).with_label(label).with_value(value)
    };
    let multi = |var: &str, label: &str, values: Vec<String>| {
        let field = Field::new(FieldKind::TextMulti, var).with_label(label);
        values.iter().fold(field, |field, value| field.with_value(value))
    };
    let account = details.account.as_ref().map_or("not here".into(), |user| {
        let from = user.source_address.as_ref().map_or(String::new(), |address| format!(" from {address}"));
        format!("made {} {}{from}", datetime::utc_s(user.created_s), user.source)
    });
    let messages = details.messages.iter().map(|(at_us, xml)| format!("{} {xml}", datetime::utc_us(*at_us)));
    let neighbours = details.neighbours.iter().map(|entry| entry.place.jid.clone());
    form(
        table()
            .with_field(single("report", "Report", &summary.report))
            .with_field(single("time", "Time", &datetime::utc_us(summary.at_us)))
            .with_field(single("reported", "Reported", &summary.reported))
            .with_field(single("times", "How often in all", &details.times.to_string()))
            .with_field(single("reporter", "By", &summary.reporter))
            .with_field(single("reason", "For", &summary.reason))
            .with_field(single("text", "Words", summary.text.as_deref().unwrap_or_default()))
            .with_field(single("account", "Account", &account))
            .with_field(multi("messages", "Messages", messages.collect()))
            .with_field(multi("neighbours", "From the same address", neighbours.collect())),
    )
}

fn bans(bans: &[admin::BannedNetwork]) -> Done {
    let table = table()
        .with_column(FieldKind::TextSingle, "network", "Network")
        .with_column(FieldKind::TextSingle, "until", "Until")
        .with_column(FieldKind::TextSingle, "by", "By")
        .with_column(FieldKind::TextSingle, "reason", "Why");
    let rows = bans.iter().map(|ban| {
        let until = ban.until_s.map_or("for good".into(), datetime::utc_s);
        vec![ban.network.clone(), until, ban.by.clone(), ban.reason.clone()]
    });
    form(rows.fold(table, Form::with_row))
}
