//! The commands of administrators, without a shard.

use std::collections::HashSet;

use super::super::commands::{Context, Effect, Step};
use super::super::user_commands::{self, Rights};
use super::*;
use crate::admin::{Activity, CensusOutcome, Done, Failure, FailureKind, SessionFacts};
use crate::service::commands::Note;

fn facts() -> Facts {
    Facts { motd: "one\ntwo".into(), administrators: vec!["admin@x".into()], ..Facts::default() }
}

fn step(node: &str, facts: &Facts, submitted: &[Form]) -> Step {
    let command = user_commands::all().iter().find(|command| command.node == node).unwrap();
    let rights = Rights { has_account: true, is_administrator: true, ..Rights::default() };
    let context = Context { resource: None, sessions: &[], password_bytes_max: 10, rights, facts };
    (command.step)(&context, submitted)
}

fn filled(fields: &[(&str, &[&str])]) -> Form {
    fields.iter().fold(Form::new(FormKind::Submit), |form, (var, values)| {
        let field = Field { var: (*var).into(), ..Field::default() };
        form.with_field(values.iter().fold(field, |field, value| field.with_value(value)))
    })
}

fn errand(node: &str, fields: &[(&str, &[&str])]) -> Errand {
    match step(node, &facts(), &[filled(fields)]) {
        Step::Do(Effect::Administer(what)) => what.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_command_asks_or_does_and_only_administrators_may() {
    let nodes: HashSet<_> = COMMANDS.iter().flat_map(|table| table.iter()).map(|command| command.node).collect();
    assert_eq!(nodes.len(), COMMANDS.iter().map(|table| table.len()).sum::<usize>());
    let of_xep_0133 = nodes.iter().filter(|node| node.starts_with("http://jabber.org/protocol/admin#")).count();
    assert_eq!(of_xep_0133, 30, "all but the one that was retracted");
    for node in nodes {
        match step(node, &facts(), &[]) {
            Step::Ask { form, is_last: true } => assert!(form.title.is_some(), "{node}"),
            Step::Do(Effect::Administer(_)) => {}
            other => panic!("{node}: {other:?}"),
        }
        assert!(is_one(node));
        let rights = Rights { has_account: true, ..Rights::default() };
        assert!(!rights.may_run(node) && Rights { is_administrator: true, ..rights }.may_run(node), "{node}");
    }
}

#[test]
fn forms_are_filled_in_with_what_there_is() {
    let Step::Ask { form, .. } = step("http://jabber.org/protocol/admin#edit-motd", &facts(), &[]) else { panic!() };
    assert_eq!(form.values("motd"), ["one", "two"]);
    assert_eq!(form.form_type(), Some(FORM_TYPE));
    let Step::Ask { form, .. } = step("http://jabber.org/protocol/admin#edit-admin", &facts(), &[]) else { panic!() };
    assert_eq!(form.values("adminjids"), ["admin@x"]);
}

#[test]
fn submissions_come_to_what_was_meant() {
    let node = |name: &str| format!("http://jabber.org/protocol/admin#{name}");
    let remove = |jid: &str| Request::RemoveUser { jid: jid.into(), made_s: None };
    let both = errand(&node("delete-user"), &[("accountjids", &["A@x", "b@x", "a@x"])]);
    assert_eq!(both, Errand::Each(vec![remove("a@x"), remove("b@x")]));
    let end = Request::ShutDown { delay_s: 30, words: "Bye.\nSoon back.".into(), restarts: true };
    let fields: &[(&str, &[&str])] = &[("delay", &["30"]), ("announcement", &["Bye.", "Soon back."])];
    assert_eq!(errand(&node("restart"), fields), Errand::One(end));
    let ban = errand("rondel:ban", &[("network", &["192.0.2.9/24"]), ("duration", &["0"])]);
    let network = "192.0.2.0/24".into();
    assert_eq!(ban, Errand::One(Request::BanAddress { network, for_s: None, reason: String::new() }));
    let password = Secret(Zeroizing::new("secret".into()));
    let added = errand(
        &node("add-user"),
        &[("accountjid", &["c@x"]), ("password", &["secret"]), ("password-verify", &["secret"])],
    );
    assert_eq!(added, Errand::AddUser { jid: "c@x".into(), password });
    assert!(!format!("{added:?}").contains("secret"));
}

#[test]
fn what_cannot_be_is_asked_anew() {
    let again =
        |node: &str, fields: &[(&str, &[&str])]| matches!(step(node, &facts(), &[filled(fields)]), Step::Again(_));
    let node = |name: &str| format!("http://jabber.org/protocol/admin#{name}");
    assert!(again(&node("delete-user"), &[("accountjids", &["x"])]), "a domain is no account");
    assert!(again(&node("delete-user"), &[("accountjids", &["a@x/b"])]), "nor is a session");
    assert!(again(&node("restart"), &[("delay", &["soon"])]));
    assert!(again(&node("shutdown"), &[("delay", &["86400"])]));
    assert!(again(&node("announce"), &[("announcement", &["", ""])]));
    assert!(again("rondel:ban", &[("network", &["nowhere"])]));
    assert!(again("rondel:report-act", &[("report", &["1"]), ("action", &["hang"])]));
    assert!(again(&node("add-user"), &[("accountjid", &["c@x"]), ("password", &["a"]), ("password-verify", &["b"])]));
}

#[test]
fn what_has_come_of_it_is_shown() {
    let census = CensusOutcome { number: 7, names: vec!["a@x".into()] };
    let shown = Shown::Number { var: "onlineusersnum" }.of(vec![Ok(Done::Census(census.clone()))]);
    assert_eq!(shown.form.unwrap().value("onlineusersnum"), Some("7"));
    let shown = Shown::Accounts { var: "onlineuserjids" }.of(vec![Ok(Done::Census(census))]);
    assert_eq!(shown.form.unwrap().values("onlineuserjids"), ["a@x"]);
    let session = |address: Option<&str>, since_s| SessionFacts {
        jid: "a@x/y".into(),
        address: address.map(Into::into),
        since_s,
        is_active: true,
    };
    let sessions = vec![session(Some("192.0.2.1"), 0), session(None, 86_400)];
    let activity = Activity { sessions, left_s: None, contacts: 3 };
    let shown = Shown::Statistics.of(vec![Ok(Done::Activity(activity.clone()))]).form.unwrap();
    assert_eq!((shown.values("ipaddresses"), shown.value("onlineresources")), (&["192.0.2.1".into()][..], Some("2")));
    let shown = Shown::LastLogin { jid: "a@x".into() }.of(vec![Ok(Done::Activity(activity))]).form.unwrap();
    assert_eq!(shown.value("lastlogin"), Some("1970-01-02T00:00:00Z"));
    let failure = Failure::new(FailureKind::NotFound, "there is no account b@x");
    let shown = Shown::Done.of(vec![Ok(Done::Nothing), Err(failure)]);
    assert_eq!(shown.note, Some(Note::Error("there is no account b@x".into())));
    assert!(matches!(Shown::Done.of(vec![Ok(Done::Nothing)]).note, Some(Note::Info(_))));
}
