//! Every construct of the language is read, and so is its place in the file.

use super::*;

/// A script that is read without a word.
#[track_caller]
fn accepted(script: &str) {
    match Rules::load(&[("s", script)], Sources { groups: true, countries: true }) {
        Ok((_, warnings)) => assert!(warnings.is_empty(), "{script}: {}", warnings[0]),
        Err(error) => panic!("{script}: {error}"),
    }
}

fn error(script: &str) -> String {
    Rules::load(&[("s", script)], Sources::default()).unwrap_err().to_string()
}

const DEFINITIONS: &str = "%ZONE z: a.example\n%RATE r: 1\n%LIST l: memory\n%PATTERN p: %a\n%SEARCH s: body#\n\n";

#[test]
fn every_condition() {
    for condition in [
        "KIND: message",
        "TYPE: chat | normal",
        "TO: <*>@x/<<a.*>>",
        "FROM: x",
        "TO EXACTLY: a@b",
        "FROM EXACTLY: $<@to|bare>",
        "TO SELF?",
        "TO SELF",
        "TO SELF:",
        "TO FULL JID?",
        "FROM FULL JID?",
        "ENTERING: z",
        "LEAVING: $local",
        "PAYLOAD: urn:x",
        "INSPECT: {urn:x}a/b@c~=^%d+$",
        "IN ROSTER?",
        "IN ROSTER: yes",
        "IN ROSTER GROUP: Friends and family",
        "SUBSCRIBED?",
        "PENDING SUBSCRIPTION FROM SENDER?",
        "SENT DIRECTED PRESENCE TO SENDER?",
        "FROM GROUP: g",
        "TO GROUP: g",
        "CROSSING GROUPS: one, two",
        "MAY: xmpp:federate",
        "FROM ROLE: prosody:guest",
        "TO ROLE: prosody:operator",
        "FROM ADMIN?",
        "TO ADMIN?",
        "FROM ADMIN OF: *",
        "TO ADMIN OF: $<@to|host>",
        "DAY: Mon-Fri, Sunday",
        "TIME: 9am-5:30pm, 23:00-01:00",
        "LIMIT: r",
        "LIMIT: r on $<@from|bare>",
        "ORIGIN MARKED: m",
        "ORIGIN MARKED: m (60s)",
        "USER MARKED: m",
        "CHECK LIST: l contains $<@from|host>",
        "SCAN: s for p in l",
        "COUNT: p in s > 1",
        "FROM IP: 2001:db8::1",
        "FROM SUBNET: 2001:db8::/32",
        "FROM COUNTRY: SE",
        "FROM COUNTRY: code3=SWE",
        "FROM COUNTRY?",
    ] {
        accepted(&format!("{DEFINITIONS}{condition}\nDROP.\n"));
        let negated = condition.replacen([':', '?'], " NOT:", 1);
        if condition.contains(':') {
            accepted(&format!("{DEFINITIONS}{negated}\nDROP.\n"));
        }
        accepted(&format!("{DEFINITIONS}NOT {condition}\nDROP.\n"));
        assert!(error(&format!("{DEFINITIONS}NOT NOT {condition}\nDROP.\n")).contains("there is no condition"));
    }
}

#[test]
fn every_action() {
    for action in [
        "PASS.",
        "DROP.",
        "DEFAULT.",
        "RETURN.",
        "BOUNCE.",
        "BOUNCE=gone",
        "BOUNCE=gone (moved (far) away)",
        "bounce=payment-required:cancel (pay)",
        "REDIRECT=a@b",
        "COPY=a@b/c",
        "REPLY=no",
        "FORWARD=a@b",
        "REPORT TO=a@b",
        "REPORT TO=a@b spam really",
        "STRIP=body",
        "STRIP=* urn:x",
        "INJECT=<x xmlns='urn:x'>a &amp; b</x>",
        "LOG=all of $<@from>",
        "LOG=[debug] $(stanza:top_tag())",
        "MARK ORIGIN=m",
        "UNMARK ORIGIN=m",
        "MARK_USER=m",
        "UNMARK USER=m",
        "ADD TO=l $<@from|bare>",
        "JUMP CHAIN=user/x_custom",
        "JUMP_CHAIN=user/x_custom",
        "EVENT=firewall/chains/user/x_custom",
        "JUMP EVENT=firewall/chains/user/x_custom",
        "UNSUBSCRIBE SENDER.",
        "TAG TRACE=t",
    ] {
        accepted(&format!("{DEFINITIONS}{action}\n"));
        accepted(&format!("{DEFINITIONS}KIND: message\n{action}\nPASS.\n"));
    }
}

#[test]
fn headings_definitions_and_metadata() {
    accepted("@@ trace = On\n::preroute\n\nDROP.\n\n::  user/a b\nDROP.\n\n::deliver_remote\nDROP.\n\n::deliver");
    accepted("%ZONE a: b\n%ZONE c: d\nENTERING: a\nLEAVING: c\nDROP.");
    accepted("%RATE r: 1\n%RATE r: 2 (burst 3)\nLIMIT: r\nDROP.");
    let (rules, _) = Rules::load(&[("s", "@@ trace=true\nDROP.")], Sources::default()).unwrap();
    assert!(rules.scripts[0].is_traced);
    let (rules, warnings) = Rules::load(&[("s", "@@ odd = 1\nKIND: mesage\nDROP.")], Sources::default()).unwrap();
    assert!(!rules.scripts[0].is_traced);
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["s: line 1: \"odd\" means nothing here", "s: line 2: no stanza is a \"mesage\""]);
}

#[test]
fn what_is_sent_to_domains_of_others_is_found() {
    let script = "KIND: iq\nREDIRECT=a@here\n\nKIND: iq\nCOPY=b@there/x\nFORWARD=c@here\n\n\
                  KIND: iq\nREPORT TO=there spam\n";
    let (rules, _) = Rules::load(&[("s", script)], Sources::default()).unwrap();
    let warnings = rules.sending_elsewhere(|domain| domain == "here");
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let expected = |line, to| format!("s: line {line}: nothing can be sent to {to}: there is no domain of this server");
    assert_eq!(warnings, [expected(4, "b@there/x"), expected(8, "there")]);
}

#[test]
fn blanks_between_the_words_of_a_report_do_not_count() {
    for (value, reason, text) in [
        ("a@b  spam", "urn:xmpp:reporting:spam", None),
        ("a@b spam  two words", "urn:xmpp:reporting:spam", Some("two words")),
        ("a@b", "urn:xmpp:reporting:abuse", None),
    ] {
        let script = format!("KIND: message\nREPORT TO={value}");
        let (rules, _) = Rules::load(&[("s", &script)], Sources::default()).unwrap();
        let Action::Report(report) = &rules.chains[0].rules[0].actions[0].action else { panic!("{value}") };
        assert_eq!((&*report.reason, report.text.as_deref()), (reason, text), "{value}");
    }
}

#[test]
fn mistakes_say_where_they_are_and_what_is_expected() {
    for (script, expected) in [
        ("\n\n  KIND\n", "s: line 3, column 3: a value is expected"),
        ("KIND: iq\n  TIEM: 1\nDROP.", "s: line 2, column 3: there is no condition \"TIEM\""),
        ("KIND: iq\\\n  |presence\nBOUNCE=nope", "s: line 3, column 8: \"nope\" is no condition of an error"),
        ("BOUNCE=gone:soon", "s: line 1, column 8: \"soon\" is no type of an error"),
        ("DROP=now", "s: line 1, column 6: DROP takes no value"),
        ("REPORT=a@b", "there is no action REPORT: REPORT TO= is expected"),
        ("MAY=xmpp:federate", "MAY is a condition"),
        ("RULEDEP=x", "there is no action RULEDEP"),
        ("EVENT=message/bare", "there are no such events here"),
        ("REDIRECT=@", "an address is expected"),
        ("LOG=[loud] x", "debug, info, warn or error is expected"),
        ("ADD TO=x y", "there is no %LIST x"),
        ("FROM GROUP: g\nDROP.", "--groups"),
        ("FROM COUNTRY: SE\nDROP.", "--geoip"),
        ("\u{feff}DROP.", "there is no condition"),
        ("LIMIT: a b\nDROP.", "the name of a rate is expected"),
        ("JUMP CHAIN=deliver", "line 1, column 1: this chain is run by deliver already: a circle"),
        (
            "JUMP CHAIN=user/a\n\n::user/a\nJUMP CHAIN=user/b\n\n::user/b\nJUMP CHAIN=user/a",
            "line 7, column 1: this chain",
        ),
    ] {
        let found = error(script);
        assert!(found.contains(expected), "{script}: {found}");
    }
    let deep: String = (0..40).map(|number| format!("::user/{number}\nJUMP CHAIN=user/{}\n\n", number + 1)).collect();
    assert!(error(&format!("{deep}::user/40\nDROP.")).contains("more than 32 deep"));
    let second = Rules::load(&[("one", "DROP."), ("two", "DROP.\n\nNOPE?\nDROP.")], Sources::default());
    assert_eq!(second.unwrap_err().to_string(), "two: line 3, column 1: there is no condition \"NOPE\"");
}

#[test]
fn what_is_not_needed_costs_nothing() {
    let script = "%RATE r: 1\n::preroute\nKIND: presence\nTYPE: subscribe\nDROP.\n\n::deliver\nNOT KIND: iq\nDROP.\n\n\
                  ::deliver_remote\nLIMIT: r\nKIND: message\nDROP.";
    let (rules, _) = Rules::load(&[("s", script)], Sources::default()).unwrap();
    let concerns = |hook| [Kind::Message, Kind::Presence, Kind::Iq].map(|kind| rules.concerns(hook, kind));
    assert_eq!(concerns(Hook::Preroute), [false, true, false]);
    assert_eq!(concerns(Hook::Deliver), [true, true, false]);
    assert_eq!(concerns(Hook::DeliverRemote), [true, true, true], "it counts");
    assert!(!Rules::default().concerns(Hook::Deliver, Kind::Message));
}

#[test]
fn those_who_follow_see_each_step() {
    let mut made = Made::of(&["KIND: message\nTYPE: chat\nDROP.\n\nKIND: message\nTAG TRACE=t\nPASS."], &[]).unwrap();
    made.steps = Some(Vec::new());
    made.deliver("<message to='u@local.example'/>");
    assert_eq!(
        made.steps.unwrap(),
        [
            "Chain(\"script 1\", \"deliver\")",
            "Rule(1)",
            "Condition(\"KIND: message\", true)",
            "Condition(\"TYPE: chat\", false)",
            "Rule(5)",
            "Condition(\"KIND: message\", true)",
            "Action(\"TAG TRACE=t\")",
            "Tag(\"t\")",
            "Action(\"PASS.\")",
        ]
    );
}
