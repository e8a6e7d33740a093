//! The cases that describe the language, by their numbers in its description.

use super::*;

const M: &str = "<message from='a@r.example/x' to='u@local.example'><body>hi</body></message>";
const CHAT: &str = "<message type='chat' from='a@r.example/x' to='u@local.example'><body>hi</body></message>";
const P: &str = "<presence from='a@r.example/x' to='u@local.example'/>";
const NESTED: &str = "<message from='a@r.example/x' to='u@local.example'><x xmlns='a'><y xmlns='b' k='v'><z>t</z></y>\
                      </x></message>";

/// A message from somebody.
fn from(jid: &str) -> String {
    M.replace("a@r.example/x", jid)
}

/// A message to somebody.
fn to(jid: &str) -> String {
    M.replace("u@local.example", jid)
}

/// A message with this in it.
fn with(content: &str) -> String {
    M.replace("<body>hi</body>", content)
}

fn script(text: &str) -> String {
    text.replace(" ⏎⏎ ", "\n\n").replace(" ⏎ ", "\n")
}

/// Runs a script on stanzas, one after the other, and holds the outcome against what is expected.
#[track_caller]
fn case(text: &str, stanzas: &[(&str, &str)]) {
    for is_slow in [false, true] {
        let mut made = Made::of(&[&script(text)], &[]).unwrap();
        made.is_slow = is_slow;
        for (stanza, expected) in stanzas {
            assert_eq!(made.deliver(stanza), *expected, "{text}\n{stanza}");
        }
    }
}

/// A script that is refused, for this.
#[track_caller]
fn refused(text: &str, why: &str) {
    match Made::of(&[&script(text)], &[]) {
        Ok(_) => panic!("this is no script: {text}"),
        Err(error) => assert!(error.contains(why), "{text}: {error}"),
    }
}

#[test]
fn lines_and_names_1_to_19() {
    case("KIND: message ⏎ DROP.", &[(M, "consumed")]);
    case("KIND: message|iq ⏎ LOG=k", &[(M, "log k"), (P, "pass")]);
    refused("kind: iq ⏎ DROP.", "upper case");
    case("drop.", &[(M, "consumed")]);
    refused("DROP .", "DROP_");
    refused("KIND? ⏎ DROP.", "a value is expected");
    case(
        "KIND NOT: iq ⏎ LOG=1 ⏎⏎ NOT KIND: iq ⏎ LOG=2 ⏎⏎ NOT  KIND: iq ⏎ LOG=3 ⏎⏎ NOT_KIND: iq ⏎ LOG=4",
        &[(M, "log 1; log 2; log 3; log 4")],
    );
    case("IN NOT ROSTER? ⏎ LOG=s", &[(M, "log s")]);
    case("KIND: mess\\ ⏎    age ⏎ LOG=co\\ ⏎ nt", &[(M, "log cont")]);
    case("# c \\ ⏎ KIND: iq ⏎ LOG=x", &[(M, "log x")]);
    case("; c ⏎ KIND: message ⏎ # inside ⏎ LOG=x", &[(M, "log x")]);
    refused("KIND: message ⏎⏎ DROP.", "line 2, column 1: an action is expected");
    refused("KIND: message", "an action is expected");
    refused("LOG=x ⏎ KIND: iq ⏎ LOG=y", "line 2, column 1: a blank line is expected");
    refused("KIND: message ⏎ ::deliver ⏎ DROP.", "a blank line is expected");
    refused("::nosuch ⏎ DROP.", "line 1, column 3: there is no such chain");
    for definition in ["%ZONE x", "%ZONE 1x: y", "%FOO x: y", "%ZONE: y"] {
        refused(definition, "expected");
    }
    for action in ["LOG.", "LOG=", "REDIRECT."] {
        refused(action, "a value is expected");
    }
    let client = Origin { client: Some("u@local.example/r"), ..Origin::default() };
    let mut made = Made::of(&["TO SELF\nLOG=s"], &[]).unwrap();
    assert_eq!(made.hook(Hook::Deliver, "<message><body>hi</body></message>", &client), "log s");
}

#[test]
fn types_and_addresses_20_to_39() {
    case("TYPE: normal ⏎ LOG=n", &[(M, "log n"), (CHAT, "pass"), ("<iq/>", "pass")]);
    case("TYPE: available ⏎ LOG=a", &[("<presence/>", "log a")]);
    case("TYPE: chat, groupchat ⏎ LOG=1", &[(&CHAT.replace("chat", "groupchat"), "log 1")]);
    case("TO: local.example ⏎ LOG=1", &[(M, "pass"), (&to("local.example/x"), "log 1")]);
    case("TO: <*>@local.example ⏎ LOG=1", &[(M, "log 1"), (&to("local.example"), "pass")]);
    case("TO: u@local.example ⏎ LOG=1", &[(M, "log 1"), (&to("u@local.example/zz"), "log 1")]);
    case("TO: U@local.example ⏎ LOG=1", &[(M, "pass")]);
    case("TO: u@local.example/r ⏎ LOG=1", &[(M, "pass")]);
    case("TO: <*>@<*>/<*> ⏎ LOG=2", &[(M, "pass")]);
    case("FROM: <?>@<*.example> ⏎ LOG=1 ⏎⏎ FROM: <a?>@r.example ⏎ LOG=2", &[(M, "log 1")]);
    case("FROM: <<%a>>@<<.*%.example>> ⏎ LOG=1", &[(M, "log 1")]);
    refused("FROM: <<[>>@r.example ⏎ DROP.", "line 1, column 7: the pattern has a [");
    case("FROM: a@r.example/x ⏎ LOG=1 ⏎⏎ FROM EXACTLY: a@r.example ⏎ LOG=2", &[(M, "log 1")]);
    case("FROM_EXACTLY: $<@from> ⏎ LOG=1", &[(M, "log 1")]);
    case("FROM FULL JID? ⏎ LOG=1", &[(M, "log 1"), (&from("a@r.example"), "pass")]);
    let full = (to("u@local.example/r"), to("u@local.example/gone"));
    case("TO FULL JID? ⏎ LOG=1", &[(&full.0, "log 1"), (&full.1, "pass"), (M, "pass")]);
    case("%ZONE z: r.example ⏎⏎ LEAVING: z ⏎ LOG=l ⏎⏎ ENTERING: z ⏎ LOG=e", &[(M, "log l")]);
    for (member, expected) in [("a@r.example", "log l"), ("a@r.example/x", "log l"), ("example", "pass")] {
        case(&format!("%ZONE z: {member} ⏎⏎ LEAVING: z ⏎ LOG=l"), &[(M, expected)]);
    }
    case("%ZONE z: r.example, u@local.example ⏎⏎ ENTERING: z ⏎ LOG=e", &[(M, "pass")]);
    let anonymous = M.replace("from='a@r.example/x' ", "");
    case("ENTERING: $local ⏎ LOG=e", &[(M, "log e"), (&anonymous, "log e")]);
    case("ENTERING: nosuch ⏎ DROP.", &[(M, "pass")]);
    let (_, warnings) = Rules::load(&[("s", "ENTERING: nosuch\nDROP.")], Sources::default()).unwrap();
    assert_eq!(warnings[0].to_string(), "s: line 1: there is no %ZONE nosuch");
}

#[test]
fn looking_into_a_stanza_40_to_51() {
    case("PAYLOAD: q ⏎ LOG=p", &[(&with("<x xmlns='q'/>"), "log p")]);
    case("PAYLOAD: jabber:client ⏎ LOG=p", &[(M, "pass")]);
    case("INSPECT: body ⏎ LOG=1 ⏎⏎ INSPECT: body# ⏎ LOG=2", &[(M, "log 1; log 2"), (&with("<body/>"), "log 1; log 2")]);
    case("INSPECT: body#=hi ⏎ LOG=1 ⏎⏎ INSPECT: body#= hi ⏎ LOG=2", &[(M, "log 1")]);
    for how in ["body#/=h", "body#~=^h.$", "body#$=$<body#>", "body#$~=^$<body#>$", "body#/$=$<body#>", "body#$=hi"] {
        case(&format!("INSPECT: {how} ⏎ LOG=1"), &[(M, "log 1")]);
    }
    case("INSPECT: nosuch#= ⏎ LOG=1", &[(M, "pass")]);
    case("INSPECT: nosuch#/= ⏎ LOG=1", &[(M, "log 1")]);
    case("INSPECT: nosuch#~=^$ ⏎ LOG=1", &[(M, "log 1")]);
    case("INSPECT: body#= ⏎ LOG=1", &[(&with("<body/>"), "log 1")]);
    case("INSPECT: body# ⏎ LOG=1", &[(&with("<body>a<b/></body>"), "pass")]);
    case("INSPECT: a@k=2 ⏎ LOG=1", &[(&with("<a k='1'/><a k='2'/>"), "pass")]);
    for (path, expected) in
        [("{a}x/{b}y/z#=t", "log 1"), ("{a}x/y", "pass"), ("{a}x/{b}y@k=v", "log 1"), ("{a}", "log 1")]
    {
        case(&format!("INSPECT: {path} ⏎ LOG=1"), &[(NESTED, expected)]);
    }
    case("INSPECT: {jabber:client}body ⏎ LOG=1", &[(M, "pass")]);
    for wrong in ["body=hi", "body#~/=hi", "body#!=hi", "{urn:x?a=b}y", ""] {
        refused(&format!("INSPECT: {wrong} ⏎ DROP."), "expected");
    }
    case("INSPECT: body#=a:b ⏎ LOG=1", &[(&with("<body>a:b</body>"), "log 1")]);
}

#[test]
fn expressions_and_logs_52_to_59() {
    case(
        "KIND: message ⏎ LOG=$<@type> $<@to> $<body#> $<no#> $<@from|bare|host> $$x $<@from|resource>",
        &[(M, "log <undefined> u@local.example hi <undefined> r.example $$x x")],
    );
    case("KIND: message ⏎ LOG=$<@type||\"normal\">", &[(M, "log normal")]);
    case("KIND: message ⏎ LOG=$<{a}x/{b}y>", &[(NESTED, "log <y xmlns='b' k='v'><z>t</z></y>")]);
    refused("LOG=$<@from|nope>", "there is no function");
    case("KIND: message ⏎ LOG=[warn] say \"hi\" \\n 100%", &[(M, "log Warn say \"hi\" \\n 100%")]);
    let client = Origin { client: Some("u@local.example/r"), ..Origin::default() };
    let mut made = Made::of(&["KIND: message\nLOG=to $<@to>"], &[]).unwrap();
    assert_eq!(made.hook(Hook::Deliver, "<message/>", &client), "log to u@local.example");
    refused("DROP.  trailing words", "nothing is expected behind the dot");
    case("PASS. ⏎ LOG=never ⏎⏎ LOG=never", &[(M, "pass")]);
}

#[test]
fn what_becomes_of_a_stanza_60_to_72() {
    case("DEFAULT.", &[(M, "default"), ("<iq type='get'/>", "default")]);
    let error = M.replace("<message", "<message type='error'");
    case(
        "BOUNCE.",
        &[(M, "cancel/service-unavailable; consumed"), (&error, "consumed"), ("<iq type='result'/>", "consumed")],
    );
    case("BOUNCE=policy-violation:wait (hey (you))", &[(M, "wait/policy-violation (hey (you)); consumed")]);
    case("BOUNCE=not-allowed", &[("<presence type='subscribe' from='a@b' to='c@d'/>", "cancel/not-allowed; consumed")]);
    let copied = "copy <message from='a@r.example/x' to='z@local.example'><body>hi</body></message>";
    case("REDIRECT=z@local.example ⏎ LOG=never", &[(M, &format!("{copied}; consumed"))]);
    case("COPY=z@local.example ⏎ LOG=on", &[(M, &format!("{copied}; log on"))]);
    case("REPLY=hello $<@from>", &[(CHAT, "reply hello $<@from>")]);
    case("FORWARD=x@y ⏎ LOG=on", &[(M, "forward x@y; log on")]);
    case("REPORT TO=r@x spam Caught it", &[(M, "report r@x urn:xmpp:reporting:spam Caught it")]);
    case("REPORT TO=r@x", &[(M, "report r@x urn:xmpp:reporting:abuse")]);
    case("REPORT TO=r@x urn:foo", &[(M, "report r@x urn:foo")]);
    let head = "<message from='a@r.example/x' to='u@local.example'>";
    case(
        "STRIP=body ⏎ STRIP=* a",
        &[(&with("<body/><subject/><x xmlns='a'/><y xmlns='a'/>"), &format!("{head}<subject/></message>"))],
    );
    case("STRIP=*", &[(&with("<body/><subject/><x xmlns='a'/>"), &format!("{head}<x xmlns='a'/></message>"))]);
    case(
        "INJECT=<x xmlns='q' k=\"v\"><c/></x>",
        &[(M, &format!("{head}<body>hi</body><x xmlns='q' k=\"v\"><c/></x></message>"))],
    );
    refused("INJECT=<a/><b/>", "one well-formed element is expected");
}

#[test]
fn what_is_remembered_and_chains_73_to_78() {
    let head = "<message from='a@r.example/x' to='u@local.example'>";
    case(
        "INSPECT: body ⏎ STRIP=body ⏎⏎ INSPECT: body ⏎ LOG=1 ⏎⏎ INSPECT: body# ⏎ LOG=2",
        &[(M, &format!("log 1; {head}</message>"))],
    );
    case("JUMP CHAIN=user/a ⏎ LOG=1 ⏎⏎ ::user/a ⏎ LOG=in ⏎ RETURN. ⏎⏎ LOG=never", &[(M, "log in; log 1")]);
    let nested = |end: &str| {
        format!(
            "JUMP CHAIN=user/a ⏎ LOG=never ⏎⏎ LOG=never ⏎⏎ ::user/a ⏎ JUMP CHAIN=user/b ⏎ LOG=never ⏎⏎ \
             ::user/b ⏎ {end}."
        )
    };
    for (end, expected) in [("PASS", "pass"), ("DROP", "consumed"), ("DEFAULT", "pass")] {
        case(&nested(end), &[(M, expected)]);
    }
    case("JUMP CHAIN=user/none ⏎ LOG=1", &[(M, "log 1")]);
    let (_, warnings) = Rules::load(&[("s", "JUMP CHAIN=user/none\nLOG=1")], Sources::default()).unwrap();
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["s: line 1: no script has a chain user/none: nothing happens here"]);
    refused("JUMP CHAIN= user/a ⏎ LOG=1 ⏎⏎ ::user/a ⏎ DROP.", "the name of a chain is expected");
    let scripts = ["PASS.", "LOG=2\n\nJUMP CHAIN=user/e", "::user/e\nLOG=3", "::user/e\nLOG=4\n\nLOG=5"];
    assert_eq!(Made::of(&scripts, &[]).unwrap().deliver(M), "log 2; log 3; log 4; log 5");
    let ends = ["JUMP CHAIN=user/e\nLOG=never", "::user/e\nPASS.", "::user/e\nLOG=never", "LOG=other"];
    assert_eq!(Made::of(&ends, &[]).unwrap().deliver(M), "log other");
    case("EVENT=firewall/chains/user/a ⏎ LOG=1 ⏎⏎ ::user/a ⏎ DROP.", &[(M, "log 1")]);
    case("JUMP EVENT=firewall/chains/user/a ⏎ LOG=1 ⏎⏎ ::user/a ⏎ DROP.", &[(M, "consumed")]);
    case("::preroute ⏎ JUMP CHAIN=deliver ⏎⏎ ::deliver ⏎ LOG=d", &[(M, "log d")]);
}

#[test]
fn limits_79_to_86() {
    case("%RATE r: 1 (burst 2) ⏎⏎ KIND: message ⏎ LIMIT: r ⏎ LOG=over", &[(M, "pass"), (M, "pass"), (M, "log over")]);
    case("%RATE s: 0.1 ⏎⏎ LIMIT: s ⏎ LOG=over", &[(M, "log over"), (M, "log over")]);
    let four = [(M, "pass"), (M, "pass"), (M, "pass"), (M, "pass"), (P, "pass")];
    case("%RATE r: 1 (burst 2) ⏎⏎ KIND: presence ⏎ LIMIT: r ⏎ LOG=a", &four);
    case(
        "%RATE r: 1 (burst 2) ⏎⏎ KIND: presence ⏎ LIMIT: r ⏎ LOG=a ⏎⏎ LIMIT: r ⏎ LOG=over",
        &[(M, "pass"), (M, "pass"), (M, "log over")],
    );
    case(
        "%RATE r: 1 ⏎⏎ LIMIT: r ⏎ LOG=d ⏎⏎ JUMP CHAIN=user/x ⏎⏎ ::user/x ⏎ LIMIT: r ⏎ LOG=x",
        &[(M, "pass"), (M, "log d; log x")],
    );
    let by_sender = |expected: &[(&str, &'static str)]| -> Vec<(String, &'static str)> {
        expected.iter().map(|(name, expected)| (from(&format!("{name}@r.example")), *expected)).collect()
    };
    let keyed = "KIND: message ⏎ LIMIT: s on $<@from|bare> ⏎ LOG=over";
    let full = by_sender(&[("p", "pass"), ("q", "pass"), ("q", "log over"), ("t", "log over")]);
    let full: Vec<(&str, &str)> = full.iter().map(|(stanza, expected)| (&**stanza, *expected)).collect();
    case(&format!("%RATE s: 1 (entries 2) ⏎⏎ {keyed}"), &full);
    let over =
        by_sender(&[("p", "pass"), ("q", "pass"), ("q", "log over"), ("t", "pass"), ("v", "pass"), ("q", "pass")]);
    let over: Vec<(&str, &str)> = over.iter().map(|(stanza, expected)| (&**stanza, *expected)).collect();
    case(&format!("%RATE s: 1 (entries 2) (allow overflow) ⏎⏎ {keyed}"), &over);
    case("%RATE k: 1 ⏎⏎ KIND: message ⏎ LIMIT: k on $<@nope> ⏎ LOG=over", &[(M, "pass"), (M, "log over")]);
    case("%RATE a_b: 1 ⏎⏎ NOT LIMIT: a_b ⏎ LOG=under", &[(M, "log under"), (M, "pass")]);
    // A chain that hangs on a hook and is run by another one counts apart.
    let both = "%RATE r: 1 ⏎⏎ ::preroute ⏎ JUMP CHAIN=deliver ⏎⏎ ::deliver ⏎ LIMIT: r ⏎ LOG=over";
    let mut made = Made::of(&[&script(both)], &[]).unwrap();
    let outcomes: Vec<String> = [Hook::Preroute, Hook::Deliver, Hook::Preroute, Hook::Deliver]
        .into_iter()
        .map(|hook| made.hook(hook, M, &Origin::default()))
        .collect();
    assert_eq!(outcomes, ["pass", "pass", "log over", "log over"]);
}

#[test]
fn lists_searches_and_patterns_87_to_100() {
    refused("LIMIT: nosuch ⏎ DROP.", "there is no %RATE nosuch");
    refused("CHECK LIST: nosuch contains a ⏎ DROP.", "there is no %LIST nosuch");
    refused("COUNT: p in s > 1 ⏎ DROP.", "there is no %PATTERN p");
    let remembered = "%LIST l: memory (limit: 2) ⏎⏎ KIND: message ⏎ ADD TO=l $<@from|bare> ⏎⏎ \
                      CHECK LIST: l contains p@x ⏎ LOG=in";
    case(
        remembered,
        &[(&from("p@x"), "log in"), (&from("q@x"), "log in"), (&from("q@x"), "log in"), (&from("t@x"), "pass")],
    );
    let file = "one\nTwo \r\n\nlast";
    for (text, expected) in [("one", "log in"), ("Two", "pass"), ("last", "log in")] {
        let script = format!("%LIST l: file:F\n\nCHECK LIST: l contains {text}\nLOG=in");
        assert_eq!(Made::of(&[&script], &[("F", file)]).unwrap().deliver(M), expected, "{text}");
    }
    let web = "%LIST l: https://x.example/l\n\nCHECK LIST: l contains last\nLOG=in";
    assert_eq!(Made::of(&[web], &[("https://x.example/l", "one\r\ntwo\nlast")]).unwrap().deliver(M), "log in");
    let hashed = "%LIST l: https://x.example/l (hash: sha1)\n\nCHECK LIST: l contains abc\nLOG=in";
    for digest in ["a9993e364706816aba3e25717850c26c9cd0d89d", "A9993E364706816ABA3E25717850C26C9CD0D89D"] {
        assert_eq!(Made::of(&[hashed], &[("https://x.example/l", digest)]).unwrap().deliver(M), "log in");
    }
    case(
        "%LIST l: memory (filter: bare lower) ⏎⏎ KIND: message ⏎ ADD TO=l A@R.example/zz ⏎⏎ CHECK LIST: l contains \
         $<@from> ⏎ LOG=in",
        &[(M, "log in")],
    );
    refused("%LIST l: foo:bar", "is no list");
    refused("%LIST l: https://x (hash: nope)", "there is no digest");
    refused("%LIST l: memory (filter: nope)", "there is no filter");
    let scan = "%SEARCH b: body# ⏎ %PATTERN w: %a+ ⏎ %LIST l: memory ⏎⏎ KIND: message ⏎ ADD TO=l bad ⏎⏎ \
                SCAN: b for w in l ⏎ LOG=s";
    case(scan, &[(&with("<body>a bad word</body>"), "log s"), (&with("<body>badword</body>"), "pass")]);
    let lines = "%SEARCH b: body# ⏎ %PATTERN lines: [^\\n]+ ⏎⏎ COUNT: lines in b >= 2 ⏎ LOG=1";
    case(lines, &[(&with("<body>one\ntwo</body>"), "log 1"), (M, "pass")]);
    let count = |how: &str| format!("%SEARCH b: body# ⏎ %PATTERN w: %a+ ⏎⏎ COUNT: w in b {how} ⏎ LOG=1");
    case(&count("== 0"), &[(&with(""), "log 1"), (M, "pass")]);
    case(&count("= 1"), &[(M, "log 1")]);
    refused(&count("< 1.5"), "expected");
    refused(&count("!= 2"), "expected");
    case("%SEARCH e: {a}x ⏎ %PATTERN p: xmlns ⏎⏎ COUNT: p in e >= 1 ⏎ LOG=1", &[(&with("<x xmlns='a'/>"), "log 1")]);
    refused("%PATTERN x: [", "the pattern has a [");
}

#[test]
fn marks_101_to_105() {
    case("ORIGIN MARKED: m ⏎ LOG=1 ⏎⏎ MARK ORIGIN=m", &[(M, "pass"), (M, "log 1")]);
    case("MARK ORIGIN=m ⏎⏎ ORIGIN MARKED: m (60s) ⏎ LOG=1", &[(M, "log 1")]);
    case("ORIGIN MARKED: m ⏎ LOG=1 ⏎⏎ MARK ORIGIN=m ⏎⏎ ORIGIN MARKED: m ⏎ LOG=2", &[(M, "pass"), (M, "log 1; log 2")]);
    for wrong in ["MARK ORIGIN=a b", "MARK USER=a-b", "ORIGIN MARKED: a b ⏎ DROP.", "USER MARKED: a (5) ⏎ DROP."] {
        refused(wrong, "a mark is expected");
    }
    case("MARK USER=m ⏎⏎ USER MARKED: m ⏎ LOG=1 ⏎⏎ UNMARK USER=m", &[(M, "log 1"), (M, "log 1")]);
    let mut made =
        Made::of(&["ORIGIN MARKED: m (60s)\nLOG=young\n\nNOT ORIGIN MARKED: m\nMARK ORIGIN=m"], &[]).unwrap();
    assert_eq!(made.deliver(M), "pass");
    assert_eq!(made.deliver(M), "log young");
    made.now_ms += 60_000;
    assert_eq!(made.deliver(M), "pass");
}

#[test]
fn people_106_to_114() {
    let friend = from("friend@r.example/x");
    case(
        "IN ROSTER? ⏎ LOG=1 ⏎⏎ IN ROSTER: no ⏎ LOG=2 ⏎⏎ IN ROSTER GROUP: G ⏎ LOG=3",
        &[(&friend, "log 1; log 3"), (M, "log 2")],
    );
    case(
        "SUBSCRIBED? ⏎ LOG=1",
        &[
            (&friend, "log 1"),
            (&from("idol@r.example"), "log 1"),
            (&from("fan@r.example"), "pass"),
            (M, "pass"),
            (&from("u@local.example/r"), "log 1"),
        ],
    );
    case("PENDING SUBSCRIPTION FROM SENDER? ⏎ LOG=1", &[(&from("asker@r.example"), "log 1"), (M, "pass")]);
    case("SENT DIRECTED PRESENCE TO SENDER? ⏎ LOG=1", &[(&from("room@r.example/a"), "log 1"), (M, "pass")]);
    let mut made = Made::of(&["DAY: Sat-Mon\nLOG=1"], &[]).unwrap();
    assert_eq!(made.deliver(M), "log 1");
    made.clock.weekday = 3;
    assert_eq!(made.deliver(M), "pass");
    let mut made = Made::of(&["TIME: 10pm-6am\nLOG=1\n\nTIME: 9:30-9:45\nLOG=2"], &[]).unwrap();
    for (minute, expected) in [(23 * 60, "log 1"), (6 * 60, "pass"), (9 * 60 + 30, "log 2"), (9 * 60 + 45, "pass")] {
        made.clock.minute = minute;
        assert_eq!(made.deliver(M), expected);
    }
    refused("TIME: 9-17 ⏎ DROP.", "times are expected");
    refused("TIME: 9am-5pm, Sunday ⏎ DROP.", "times are expected");
    refused("DAY: 1 ⏎ DROP.", "days and ranges");
    let mut made = Made::of(&["CROSSING GROUPS: Sales, Dev\nLOG=x\n\nFROM GROUP: Dev\nLOG=d"], &[]).unwrap();
    let (one, other) = ("a@r.example", "u@local.example");
    for (members, expected) in [
        ([(one, "Dev"), (other, "Dev")], "log d"),
        ([(one, "Dev"), (other, "Sales")], "log x; log d"),
        ([(one, "Sales"), (other, "Sales")], "pass"),
    ] {
        made.groups = members.map(|(bare, group)| (bare.to_owned(), group.to_owned())).into();
        assert_eq!(made.deliver(M), expected);
    }
    let mut made = Made::of(&["::deliver_remote\nMAY NOT: xmpp:federate\nBOUNCE=not-allowed"], &[]).unwrap();
    let client = Origin { client: Some("u@local.example/r"), ..Origin::default() };
    made.roles.insert("u@local.example".into(), Role::Guest);
    let outgoing = "<message from='u@local.example/r' to='a@r.example'/>";
    assert_eq!(made.hook(Hook::DeliverRemote, outgoing, &client), "cancel/not-allowed; consumed");
    made.roles.insert("u@local.example".into(), Role::Member);
    assert_eq!(made.hook(Hook::DeliverRemote, outgoing, &client), "pass");
    refused("LOG=$(os.time())", "code expressions need Lua");
    case("LOG=$(stanza:top_tag())", &[(M, "log <message from='a@r.example/x' to='u@local.example'>")]);
}

#[test]
fn roles_and_places() {
    let script = "FROM ADMIN?\nLOG=admin\n\nTO ROLE: prosody:member\nLOG=member\n\n\
                  FROM ADMIN OF: $<@to|host>\nLOG=of\n\n\
                  FROM ADMIN OF: *\nLOG=all\n\nTO ADMIN OF: r.example\nLOG=never";
    let mut made = Made::of(&[script], &[]).unwrap();
    assert_eq!(made.deliver(M), "pass");
    made.roles.insert("a@r.example".into(), Role::Admin);
    made.roles.insert("u@local.example".into(), Role::Member);
    assert_eq!(made.deliver(M), "log admin; log member; log of; log all");
    let script = "FROM IP: 192.0.2.1\nLOG=ip\n\nFROM SUBNET: 192.0.2.0/24\nLOG=net\n\nFROM COUNTRY: se\nLOG=se\n\n\
                  FROM COUNTRY: continent=EU\nLOG=eu\n\nFROM COUNTRY: SWE\nLOG=swe\n\nFROM COUNTRY?\nLOG=known\n\n\
                  FROM COUNTRY: --\nLOG=unknown";
    let mut made = Made::of(&[script], &[]).unwrap();
    let from = |address: &str| Origin { address: address.parse().ok(), ..Origin::default() };
    assert_eq!(made.hook(Hook::Deliver, M, &from("::ffff:192.0.2.1")), "log ip; log net; log unknown");
    made.location = Location { country: Some("SE".into()), country3: Some("SWE".into()), continent: Some("EU".into()) };
    assert_eq!(made.hook(Hook::Deliver, M, &from("192.0.2.9")), "log net; log se; log eu; log swe; log known");
    assert_eq!(made.deliver(M), "log unknown");
    refused("FROM COUNTRY: Sweden ⏎ DROP.", "a country is expected");
    refused("FROM ROLE: king ⏎ DROP.", "a role is expected");
    refused("MAY: mod:do ⏎ DROP.", "there is no such permission");
}

#[test]
fn many_patterns_in_one_text_are_each_found_or_not() {
    let patterns = "%SEARCH b: body# ⏎ %PATTERN one: buy%s+now ⏎ %PATTERN two: (sell)%a* ⏎ %PATTERN three: bu+t ⏎ \
                    %PATTERN four: [xy]z ⏎ %LIST l: memory ⏎⏎ KIND: message ⏎ ADD TO=l sell";
    let counts =
        ["one", "two", "three", "four"].map(|name| format!(" ⏎⏎ COUNT: {name} in b > 0 ⏎ LOG={name}")).concat();
    let script = format!("{patterns}{counts} ⏎⏎ SCAN: b for two in l ⏎ LOG=scan");
    let body = |text: &str| with(&format!("<body>{text}</body>"));
    case(
        &script,
        &[
            (&body("nothing at all"), "pass"),
            (&body("buy  now"), "log one"),
            (&body("he sells, buuut xz"), "log two; log three; log four; log scan"),
            (&body("yz"), "log four"),
            (&body("buy it bu"), "pass"),
            (&with(""), "pass"),
        ],
    );
    // What a search has found is its chain's: another one looks anew.
    let anew = "%SEARCH b: body# ⏎ %PATTERN hi: hi ⏎⏎ COUNT: hi in b > 0 ⏎ LOG=1 ⏎ STRIP=body ⏎ JUMP CHAIN=user/a ⏎⏎ \
                NOT KIND: iq ⏎ COUNT: hi in b > 0 ⏎ LOG=4 ⏎⏎ ::user/a ⏎ COUNT: hi in b > 0 ⏎ LOG=2 ⏎⏎ \
                COUNT: hi in b == 0 ⏎ LOG=3";
    let head = "<message from='a@r.example/x' to='u@local.example'>";
    case(anew, &[(M, &format!("log 1; log 3; log 4; {head}</message>"))]);
}

#[test]
fn what_is_easily_read_otherwise() {
    // A list is asked for all tokens of a text.
    let scan = "%SEARCH b: body# ⏎ %PATTERN w: %a+ ⏎ %LIST l: memory ⏎⏎ KIND: message ⏎ ADD TO=l bad ⏎⏎ \
                SCAN: b for w in l ⏎ LOG=s";
    case(scan, &[(&with(&format!("<body>{}bad</body>", "x ".repeat(1_000))), "log s")]);
    case("%RATE r: .5 (burst 2) ⏎⏎ LIMIT: r ⏎ LOG=over", &[(M, "pass"), (M, "log over")]);
    case("LOG=[$<@from|bare>] spam", &[(M, "log [a@r.example] spam")]);
    case("LOG=[10:00] x", &[(M, "log [10:00] x")]);
    refused("LOG=[loud] x", "debug, info, warn or error");
    case("IN ROSTER: Yes ⏎ LOG=1 ⏎⏎ IN ROSTER: NO ⏎ LOG=2", &[(&from("friend@r.example/x"), "log 1"), (M, "log 2")]);
    // What is to be searched is found before a rule that needs it, whatever it says first, and stays.
    let stripped = "%SEARCH b: body# ⏎ %PATTERN w: %a+ ⏎ %PATTERN v: h%a+ ⏎⏎ TYPE: chat ⏎ COUNT: w in b > 0 ⏎ \
                    LOG=never ⏎⏎ STRIP=body ⏎⏎ COUNT: v in b > 0 ⏎ LOG=seen";
    let without = "<message from='a@r.example/x' to='u@local.example'></message>";
    case(stripped, &[(M, &format!("log seen; {without}"))]);
    refused("KIND : message ⏎ DROP.", "there is no condition");
    refused("TO SELF ? ⏎ DROP.", "there is no condition");
}
