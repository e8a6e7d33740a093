//! Commands as in the examples of XEP-0050.

use super::super::user_commands::Rights;
use super::*;
use crate::forms::{Field, FieldKind, FormKind, FormLimits};
use crate::service::admin_commands::Facts;

const FORM: FormLimits = FormLimits { fields_max: 8, values_max: 8, bytes_max: 200 };
const LIMITS: CommandLimits = CommandLimits { sessions_max: 2, session_lifetime_s: 60, form: FORM };
const REQUESTER: &str = "requester@domain/home";

/// The commands of the examples: one that only shows, one of two stages.
const EXAMPLES: &[Command] = &[
    Command { node: "list", name: "List Service Configurations", step: list },
    Command { node: "config", name: "Configure Service", step: config },
    Command { node: "stop", name: "Stop Service", step: |_, _| Step::Do(Effect::CloseOtherSessions { except: None }) },
];

fn list(_: &Context<'_>, _: &[Form]) -> Step {
    let form = Form::new(FormKind::Result)
        .with_column(FieldKind::TextSingle, "service", "Service")
        .with_row(vec!["httpd".into()]);
    Step::Done(Done { form: Some(form), ..Done::default() })
}

fn config(_: &Context<'_>, submitted: &[Form]) -> Step {
    let form = |title: &str| Form::new(FormKind::Form).with_words(title, "Please select.");
    match submitted {
        [] => {
            let services = Field::new(FieldKind::ListSingle, "service").required();
            let services = services.with_choice("httpd", "httpd").with_choice("jabberd", "jabberd");
            Step::Ask { form: form("Service").with_field(services), is_last: false }
        }
        [service] => {
            let title = service.value("service").unwrap_or_default();
            Step::Ask { form: form(title).with_field(Field::new(FieldKind::TextSingle, "state")), is_last: true }
        }
        [_, state, ..] if state.value("state") == Some("up") => Step::Again("It is up already."),
        [service, ..] => {
            let text = format!("Service '{}' has been configured.", service.value("service").unwrap_or_default());
            Step::Done(Done { note: Some(Note::Info(text)), ..Done::default() })
        }
    }
}

/// A requester and a responder.
#[derive(Default)]
struct Stage {
    exchanges: Exchanges,
    now_s: u64,
}

impl Stage {
    /// What comes of a `<command/>` with these attributes and children, by this requester.
    fn by(&mut self, requester: &str, attributes: &str, children: &str) -> Result<Outcome, Refusal> {
        let xml = format!("<command xmlns='http://jabber.org/protocol/commands' {attributes}>{children}</command>");
        let request = Request::parse(&Element::parse(xml.as_bytes()).unwrap(), &FORM)?;
        let (rights, facts) = (Rights::default(), &Facts::default());
        let context = Context { resource: None, sessions: &[], password_bytes_max: 0, rights, facts };
        let may_run = |command: &Command| command.node != "stop" || requester.starts_with("admin@");
        let (now_s, limits) = (self.now_s, &LIMITS);
        let call = Call { requester, commands: EXAMPLES, may_run: &may_run, context, now_s, limits };
        self.exchanges.take(request, &call)
    }

    /// The answer to it, and the session's id.
    fn answer(&mut self, attributes: &str, children: &str) -> (String, String) {
        match self.by(REQUESTER, attributes, children) {
            Ok(Outcome::Answer(answer)) => {
                let id = answer.attribute("sessionid").unwrap().to_owned();
                let mut out = Vec::new();
                answer.write_to(&mut out, ns::CLIENT);
                (String::from_utf8(out).unwrap().replace(&id, "ID"), id)
            }
            other => panic!("{attributes}: {other:?}"),
        }
    }

    fn refused(&mut self, attributes: &str, children: &str) -> (&'static str, String) {
        let refusal = self.by(REQUESTER, attributes, children).unwrap_err();
        (refusal.condition, refusal.application.map(|condition| condition.name.clone()).unwrap_or_default())
    }
}

fn submit(var: &str, value: &str) -> String {
    format!("<x xmlns='jabber:x:data' type='submit'><field var='{var}'><value>{value}</value></field></x>")
}

fn command(node: &str, status: &str) -> String {
    let attributes = format!("node='{node}' sessionid='ID' status='{status}' xml:lang='en'");
    format!("<command xmlns='http://jabber.org/protocol/commands' {attributes}")
}

fn bad(condition: &str) -> (&'static str, String) {
    ("bad-request", condition.to_owned())
}

const FIRST: &str =
    "<actions execute='next'><next/></actions><x xmlns='jabber:x:data' type='form'><title>Service</title>";

#[test]
fn commands_are_listed() {
    // Example 4.
    let may_run = |command: &Command| command.node != "config";
    let mut out = Vec::new();
    items("responder@domain", EXAMPLES, may_run).write_to(&mut out, ns::CLIENT);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'>\
         <item jid='responder@domain' node='list' name='List Service Configurations'/>\
         <item jid='responder@domain' node='stop' name='Stop Service'/></query>"
    );
    // Example 6.
    let written = |node: &str| {
        let mut out = Vec::new();
        info(node, EXAMPLES, |command| command.node != "stop").unwrap().unwrap().write_to(&mut out, ns::CLIENT);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        written("config"),
        "<query xmlns='http://jabber.org/protocol/disco#info' node='config'>\
         <identity category='automation' type='command-node' name='Configure Service'/>\
         <feature var='http://jabber.org/protocol/commands'/><feature var='jabber:x:data'/></query>"
    );
    assert!(written(NODE).contains("category='automation' type='command-list'"));
    assert_eq!(info("stop", EXAMPLES, |_| false), Some(Err(Refusal::forbidden())));
    assert_eq!(info("princely_musings", EXAMPLES, |_| true), None);
}

#[test]
fn a_command_that_asks_nothing() {
    // Examples 9 and 10.
    let mut stage = Stage::default();
    let (answer, _) = stage.answer("node='list' action='execute'", "");
    let table = "<reported><field var='service' type='text-single' label='Service'/></reported>\
                 <item><field var='service'><value>httpd</value></field></item>";
    let expected = command("list", "completed") + "><x xmlns='jabber:x:data' type='result'>" + table + "</x></command>";
    assert_eq!(answer, expected);
    assert!(stage.exchanges.is_empty());
}

#[test]
fn a_command_of_two_stages() {
    // Examples 11 to 16.
    let mut stage = Stage::default();
    let (answer, id) = stage.answer("node='config'", "");
    assert!(answer.starts_with(&(command("config", "executing") + ">" + FIRST)), "{answer}");
    let session = format!("node='config' sessionid='{id}'");
    let (answer, second) = stage.answer(&session, &submit("service", "httpd"));
    let actions = "><actions execute='complete'><prev/><complete/></actions>\
                   <x xmlns='jabber:x:data' type='form'><title>httpd</title>";
    assert!(answer.starts_with(&(command("config", "executing") + actions)), "{answer}");
    assert_eq!(second, id);
    let (answer, _) = stage.answer(&session, &submit("state", "on"));
    let note = "><note type='info'>Service 'httpd' has been configured.</note></command>";
    assert_eq!(answer, command("config", "completed") + note);
    // The session has ended.
    assert_eq!(stage.refused(&session, ""), ("not-allowed", "session-expired".into()));
    assert!(stage.exchanges.is_empty());
}

#[test]
fn back_and_on() {
    // Examples 17 and 18.
    let mut stage = Stage::default();
    let (_, id) = stage.answer("node='config'", "");
    let action = |action: &str| format!("node='config' sessionid='{id}' action='{action}'");
    assert_eq!(stage.refused(&action("prev"), ""), bad("bad-action"));
    assert_eq!(stage.refused(&action("complete"), &submit("service", "httpd")), bad("bad-action"));
    stage.answer(&action("next"), &submit("service", "httpd"));
    assert_eq!(stage.refused(&action("next"), &submit("state", "on")), bad("bad-action"));
    let (answer, _) = stage.answer(&action("prev"), "");
    assert!(answer.contains(FIRST), "{answer}");
    stage.answer(&action("execute"), &submit("service", "jabberd"));
    let (answer, _) = stage.answer(&action("complete"), &submit("state", "on"));
    assert!(answer.contains("Service 'jabberd' has been configured."), "{answer}");
}

#[test]
fn a_command_is_given_up() {
    // Examples 19 and 20.
    let mut stage = Stage::default();
    let (_, id) = stage.answer("node='config'", "");
    let (answer, _) = stage.answer(&format!("node='config' sessionid='{id}' action='cancel'"), "");
    assert_eq!(answer, command("config", "canceled") + "/>");
    assert!(stage.exchanges.is_empty());
}

/// The errors of §4.4 that a request can bring about.
#[test]
fn what_cannot_be_taken_is_refused() {
    let mut stage = Stage::default();
    assert_eq!(stage.refused("node='config' action='dance'", ""), bad("malformed-action"));
    assert_eq!(stage.refused("node='config' action='next'", ""), bad("bad-action"));
    assert_eq!(stage.refused("node='config' action='cancel'", ""), bad("bad-action"));
    assert_eq!(stage.refused("node='config' sessionid=''", ""), bad("bad-sessionid"));
    assert_eq!(stage.refused("node='config' sessionid='config:20020923T213616Z-700'", ""), bad("bad-sessionid"));
    assert_eq!(stage.refused("node='dance'", ""), ("item-not-found", String::new()));
    assert_eq!(stage.refused("node='stop'", ""), ("forbidden", String::new()));
    assert_eq!(stage.refused("action='execute'", ""), ("bad-request", String::new()));
    let (_, id) = stage.answer("node='config'", "");
    let session = format!("node='config' sessionid='{id}'");
    assert_eq!(stage.refused(&session, ""), bad("bad-payload"));
    assert_eq!(stage.refused(&session, &submit("service", "sshd")), bad("bad-payload"));
    assert_eq!(stage.refused(&session, &submit("service", &"x".repeat(200))), bad("bad-payload"));
    assert_eq!(stage.refused(&session, "<x xmlns='jabber:x:data' type='form'/>"), bad("bad-payload"));
    // Of another command, by another requester.
    let other = format!("node='list' sessionid='{id}'");
    assert_eq!(stage.refused(&other, ""), ("not-allowed", "session-expired".into()));
    let stranger = stage.by("requester@domain/work", &session, &submit("service", "httpd")).unwrap_err();
    assert_eq!(stranger.condition, "not-allowed");
    // All of that has changed nothing; a form of type `cancel` counts as submitted.
    stage.answer(&session, &submit("service", "httpd").replace("submit", "cancel"));
}

#[test]
fn what_is_no_good_may_be_submitted_anew() {
    let mut stage = Stage::default();
    let (_, id) = stage.answer("node='config'", "");
    let session = format!("node='config' sessionid='{id}'");
    stage.answer(&session, &submit("service", "httpd"));
    assert_eq!(stage.refused(&session, &submit("state", "up")), bad("bad-payload"));
    let (answer, _) = stage.answer(&session, &submit("state", "down"));
    assert!(answer.contains("status='completed'"), "{answer}");
}

#[test]
fn an_effect_is_carried_out_first() {
    let mut stage = Stage::default();
    let Ok(Outcome::Run(running)) = stage.by("admin@domain/home", "node='stop'", "") else { panic!("an effect") };
    assert_eq!(running.effect, Effect::CloseOtherSessions { except: None });
    let answer = running.finish(Note::Error("It would not stop.".into()));
    assert_eq!((answer.attribute("status"), answer.attribute("node")), (Some("completed"), Some("stop")));
    // §3.6.
    let note = answer.child("note", ns::COMMANDS).unwrap();
    assert_eq!((note.attribute("type"), note.text().as_str()), (Some("error"), "It would not stop."));
}

#[test]
fn sessions_end_by_themselves() {
    let mut stage = Stage::default();
    let (_, first) = stage.answer("node='config'", "");
    let session = |id: &str| format!("node='config' sessionid='{id}'");
    stage.now_s = 59;
    let (_, second) = stage.answer("node='config'", "");
    stage.now_s = 60;
    assert_eq!(stage.refused(&session(&first), "").0, "not-allowed");
    assert_eq!(stage.refused(&session(&second), ""), bad("bad-payload"));
    stage.exchanges.expire(118);
    assert!(!stage.exchanges.is_empty());
    stage.exchanges.expire(119);
    assert!(stage.exchanges.is_empty());
}

#[test]
fn the_oldest_session_makes_room() {
    let mut stage = Stage::default();
    let [first, second, third] = [(); 3].map(|()| stage.answer("node='config'", "").1);
    let session = |id: &str| format!("node='config' sessionid='{id}'");
    assert_eq!(stage.refused(&session(&first), "").0, "not-allowed");
    for id in [second, third] {
        assert_eq!(stage.refused(&session(&id), ""), bad("bad-payload"));
    }
}
