//! Rules on the way of stanzas, on the real server: what they keep, change and send; that nothing overtakes where they
//! have to ask another shard; marks, lists and counts; and what becomes of them when they are read anew.

mod common;
#[path = "common/rules.rs"]
mod rules;

use common::people::befriend;
use common::{Raw, Server};
use rules::{Script, at_home};

fn message(to: &str, id: &str, body: &str) -> String {
    format!("<message to='{to}@localhost' type='chat' id='{id}'><body>{body}</body></message>")
}

/// The condition that an error names, of those that the rules here lead to.
fn refusal(answer: &str) -> &str {
    ["policy-violation", "service-unavailable", "not-allowed", "resource-constraint"]
        .into_iter()
        .find(|condition| answer.contains(&format!("<{condition} ")))
        .unwrap_or("none")
}

#[test]
fn messages_are_kept_changed_and_answered() {
    let script = Script::new(
        "KIND: message\nINSPECT: body#=drop\nDROP.\n\n\
         KIND: message\nINSPECT: body#=bounce\nBOUNCE=policy-violation (not so)\n\n\
         KIND: message\nINSPECT: body#=default\nDEFAULT.\n\n\
         KIND: message\nINSPECT: body#/=secret\nSTRIP=body\nINJECT=<body>***</body>\n\n\
         KIND: message\nINSPECT: body#=who\nREPLY=it is me\nDROP.\n\n\
         ::preroute\n\
         KIND: message\nINSPECT: body#=early\nBOUNCE=not-allowed\n",
    );
    let server = script.server(&["--shards", "2"]);
    for shards in [(0, 0), (0, 1), (1, 0)] {
        let name = |who: &str, shard| at_home(&format!("{who}{}{}-", shards.0, shards.1), shard);
        let (romeo, juliet) = (name("romeo", shards.0), name("juliet", shards.1));
        for name in [&romeo, &juliet] {
            server.add_user(name);
        }
        let mut from = Raw::online(&server, &romeo, "orchard");
        let mut to = Raw::online(&server, &juliet, "balcony");
        from.say(&message(&juliet, "d1", "drop"));
        for (body, condition) in
            [("bounce", "policy-violation"), ("default", "service-unavailable"), ("early", "not-allowed")]
        {
            from.say(&message(&juliet, body, body));
            let answer = from.hear("</message>");
            assert_eq!(refusal(&answer), condition, "{shards:?} {answer}");
            assert!(answer.contains(&format!("id='{body}'")) && answer.contains(&format!("from='{juliet}@localhost'")));
        }
        from.say(&message(&juliet, "w1", "who"));
        let answer = from.hear("</message>");
        assert!(answer.contains("<body>it is me</body>") && answer.contains("id='w1'"), "{answer}");
        from.say(&message(&juliet, "s1", "a secret").replace("<message ", "<message from='forged@localhost/x' "));
        let came = to.hear("</message>");
        assert!(came.contains(&format!("from='{romeo}@localhost/orchard'")) && !came.contains("forged"), "{came}");
        assert!(came.contains("<body>***</body>") && !came.contains("secret") && !came.contains("drop"), "{came}");
    }
}

#[test]
fn others_get_copies_and_reports() {
    let script = Script::new(
        "KIND: message\nINSPECT: body#/=copy\nCOPY=watcher@localhost\n\n\
         KIND: message\nINSPECT: body#/=redirect\nREDIRECT=watcher@localhost\n\n\
         KIND: message\nINSPECT: body#/=forward\nFORWARD=watcher@localhost\nDROP.\n\n\
         KIND: message\nINSPECT: body#/=report\nREPORT TO=watcher@localhost spam Caught it\nDROP.\n",
    );
    let server = script.server(&["--shards", "2"]);
    ["romeo", "juliet", "watcher"].iter().for_each(|user| server.add_user(user));
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut watcher = Raw::online(&server, "watcher", "tower");
    romeo.say(&message("juliet", "1", "copy this"));
    assert!(juliet.hear("</message>").contains("copy this"));
    let copy = watcher.hear("</message>");
    assert!(copy.contains("to='watcher@localhost'") && copy.contains("from='romeo@localhost/orchard'"), "{copy}");
    romeo.say(&message("juliet", "2", "redirect this"));
    assert!(watcher.hear("</message>").contains("redirect this"));
    romeo.say(&message("juliet", "3", "forward this"));
    let forwarded = watcher.hear("</forwarded></message>");
    assert!(forwarded.contains("from='localhost'") && forwarded.contains("urn:xmpp:forward:0"), "{forwarded}");
    assert!(forwarded.contains("xmlns='jabber:client'") && forwarded.contains("from='romeo@localhost/orchard'"));
    romeo.say(&message("juliet", "4", "report this"));
    let report = watcher.hear("</report></message>");
    assert!(report.contains("reason='urn:xmpp:reporting:spam'><text>Caught it</text>"), "{report}");
    // What was kept from her has not come by the time of the next one.
    romeo.say(&message("juliet", "5", "the end"));
    let came = juliet.hear("</message>");
    assert!(came.contains("the end") && !came.contains("this"), "{came}");
}

#[test]
fn strangers_are_told_from_contacts_and_nothing_overtakes() {
    // Asked where the sender is at home, so that the addressee's home has to be asked.
    let script = Script::new(
        "::preroute\nKIND: message\nNOT SUBSCRIBED?\nBOUNCE=not-allowed\n\n\
         ::deliver\nKIND: message\nIN ROSTER GROUP: Friends\nINJECT=<friend xmlns='x'/>\n\n\
         KIND: message\nFROM ROLE: prosody:admin\nINJECT=<admin xmlns='x'/>\n",
    );
    let (romeo, juliet, nurse) = (at_home("romeo", 0), at_home("juliet", 1), at_home("nurse", 0));
    let server = script.server(&["--shards", "2", "--admin", &format!("{nurse}@localhost")]);
    for name in [&romeo, &juliet, &nurse] {
        server.add_user(name);
    }
    let mut one = Raw::online(&server, &romeo, "orchard");
    let mut other = Raw::online(&server, &juliet, "balcony");
    one.say(&message(&juliet, "1", "hello"));
    assert_eq!(refusal(&one.hear("</message>")), "not-allowed");
    befriend((&mut one, &romeo), (&mut other, &juliet));
    let item = format!("<item jid='{romeo}@localhost'><group>Friends</group></item>");
    other.say(&format!("<iq type='set' id='g'><query xmlns='jabber:iq:roster'>{item}</query></iq>"));
    other.hear("id='g'");
    // Each message waits twice: where she is at home for whether she knows him, and there for the groups of her roster.
    for number in 0..50 {
        one.say(&message(&juliet, &format!("m{number}"), "in order"));
    }
    for number in 0..50 {
        let came = other.hear("</message>");
        assert!(came.contains(&format!("id='m{number}'")) && came.contains("<friend xmlns='x'/>"), "{came}");
    }
    // She is not there any more: her roster is read.
    other.say("<presence type='unavailable'/></stream:stream>");
    other.hear("</stream:stream>");
    one.say(&message(&juliet, "2", "are you there?"));
    one.round_trip();
    let mut other = Raw::online(&server, &juliet, "balcony");
    assert!(other.hear("</message>").contains("are you there?"));
    let mut nurse_there = Raw::online(&server, &nurse, "kitchen");
    befriend((&mut nurse_there, &nurse), (&mut other, &juliet));
    nurse_there.say(&message(&juliet, "3", "from an administrator"));
    let came = other.hear("</message>");
    assert!(came.contains("<admin xmlns='x'/>") && !came.contains("<friend "), "{came}");
}

#[test]
fn a_session_that_goes_while_rules_ask_loses_nothing() {
    let script = Script::new("::preroute\nKIND: message\nSUBSCRIBED?\nDROP.\n");
    let (romeo, juliet) = (at_home("romeo", 0), at_home("juliet", 1));
    let server = script.server(&["--shards", "2"]);
    for name in [&romeo, &juliet] {
        server.add_user(name);
    }
    for number in 0..20 {
        let mut one = Raw::online(&server, &romeo, "orchard");
        let last = message(&juliet, &format!("m{number}"), "last words");
        if number % 2 == 0 {
            one.say(&(last + "</stream:stream>"));
            one.hear_rest();
        } else {
            // It may be gone before it was read.
            one.say(&last);
        }
    }
    let mut other = Raw::online(&server, &juliet, "balcony");
    (0..20).step_by(2).for_each(|number| drop(other.hear(&format!("id='m{number}'"))));
}

#[test]
fn marks_are_seen_on_all_shards_and_those_of_accounts_stay() {
    let script = Script::new(
        "::preroute\nKIND: message\nINSPECT: body#=mark me\nMARK ORIGIN=noisy\nMARK USER=known\n\n\
         KIND: message\nINSPECT: body#=unmark me\nUNMARK ORIGIN=noisy\nUNMARK USER=known\n\n\
         ::deliver\nKIND: message\nORIGIN MARKED: noisy\nINJECT=<noisy xmlns='x'/>\n\n\
         KIND: message\nUSER MARKED: known\nINJECT=<known xmlns='x'/>\n",
    );
    let (romeo, juliet) = (at_home("romeo", 0), at_home("juliet", 1));
    let server = script.server(&["--shards", "2"]);
    for name in [&romeo, &juliet] {
        server.add_user(name);
    }
    let mut to = Raw::online(&server, &juliet, "balcony");
    let seen = |from: &mut Raw, to: &mut Raw, body: &str| {
        from.say(&message(&juliet, "1", body));
        let came = to.hear("</message>");
        (came.contains("<noisy xmlns='x'/>"), came.contains("<known xmlns='x'/>"))
    };
    let mut from = Raw::online(&server, &romeo, "orchard");
    assert_eq!(seen(&mut from, &mut to, "hello"), (false, false));
    assert_eq!(seen(&mut from, &mut to, "mark me"), (true, true));
    let mut another = Raw::online(&server, &romeo, "street");
    assert_eq!(seen(&mut another, &mut to, "hello"), (false, true), "another session of the same account");
    assert_eq!(seen(&mut another, &mut to, "unmark me"), (false, false));
    assert_eq!(seen(&mut from, &mut to, "hello"), (true, false));
    assert_eq!(seen(&mut from, &mut to, "mark me"), (true, true));
    drop((from, to, another));
    let path = script.path();
    let (_, directory) = server.terminate();
    let server = Server::start_in(directory, &["--shards", "2", "--firewall", path.to_str().unwrap()]);
    let (mut from, mut to) = (Raw::online(&server, &romeo, "orchard"), Raw::online(&server, &juliet, "balcony"));
    from.say(&message(&juliet, "1", "after a while"));
    let came = to.hear("after a while");
    let came = came + &to.hear("</message>");
    assert!(!came.contains("<noisy ") && came.contains("<known "), "{came}");
}

#[test]
fn a_key_is_counted_once_wherever_its_events_happen() {
    let script = Script::new(
        "%RATE few: 0.001 (burst 10000)\n\n\
         KIND: message\nLIMIT: few on $<@from|bare>\nBOUNCE=policy-violation\n\n\
         ::user/x\nDROP.\n",
    );
    let server = script.server(&["--shards", "2"]);
    let romeo = at_home("romeo", 0);
    let others = [at_home("juliet", 0), at_home("nurse", 1)];
    for name in [&romeo, &others[0], &others[1]] {
        server.add_user(name);
    }
    let mut from = Raw::online(&server, &romeo, "orchard");
    let mut there = others.each_ref().map(|name| Raw::online(&server, name, "home"));
    // Ten may pass, whoever they are for.
    for number in 0..10 {
        from.say(&message(&others[number % 2], &format!("m{number}"), "hello"));
        assert!(there[number % 2].hear("</message>").contains(&format!("id='m{number}'")));
    }
    for other in &others {
        from.say(&message(other, "over", "hello"));
        assert_eq!(refusal(&from.hear("</message>")), "policy-violation");
    }
}

#[test]
fn presence_passes_rules_for_each_contact() {
    let script = Script::new(
        "::preroute\nKIND: presence\nTYPE: available\nTO: <juliet*>@localhost\nINJECT=<early xmlns='x'/>\n\n\
         ::deliver\nKIND: presence\nTYPE: available\nTO: <juliet*>@localhost\nNOT FROM: <juliet*>@localhost\n\
         INJECT=<late xmlns='x'/>\n\n\
         KIND: presence\nTO: <nurse*>@localhost\nNOT FROM: <nurse*>@localhost\nTYPE: available\nDROP.\n",
    );
    let (romeo, juliet, nurse) = (at_home("romeo", 0), at_home("juliet", 1), at_home("nurse", 1));
    let server = script.server(&["--shards", "2"]);
    for name in [&romeo, &juliet, &nurse] {
        server.add_user(name);
    }
    let mut one = Raw::online(&server, &romeo, "orchard");
    let mut other = Raw::online(&server, &juliet, "balcony");
    befriend((&mut one, &romeo), (&mut other, &juliet));
    let mut third = Raw::online(&server, &nurse, "kitchen");
    one.say("<presence><status>look</status></presence>");
    let came = other.hear("look");
    let came = came + &other.hear("</presence>");
    assert!(came.contains("<early xmlns='x'/>") && came.contains("<late xmlns='x'/>"), "{came}");
    // Whoever comes later hears of those who are there, through the same rules.
    let mut later = Raw::login(&server, &juliet, "garden");
    later.say("<presence/>");
    let came = later.hear("look");
    let came = came + &later.hear("</presence>");
    assert!(came.contains("<late xmlns='x'/>"), "{came}");
    // Directed presence is kept from the nurse; what follows it is not.
    one.say(&format!("<presence to='{nurse}@localhost'><status>psst</status></presence>"));
    one.say(&message(&nurse, "1", "after it"));
    let came = third.hear("after it");
    assert!(!came.contains("psst"), "{came}");
}

#[test]
fn questions_to_the_server_pass_rules() {
    let script = Script::new(
        "KIND: iq\nTO: localhost\nPAYLOAD: jabber:iq:version\nBOUNCE=not-allowed\n\n\
         KIND: iq\nTO: localhost\nPAYLOAD: urn:xmpp:time\nDEFAULT.\n\n\
         KIND: iq\nTO SELF?\nPAYLOAD: vcard-temp\nTYPE: get\nBOUNCE=not-allowed\n",
    );
    let server = script.server(&[]);
    server.add_user("romeo");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    for (to, payload, condition) in [
        (" to='localhost'", "<query xmlns='jabber:iq:version'/>", "not-allowed"),
        (" to='localhost'", "<time xmlns='urn:xmpp:time'/>", "service-unavailable"),
        ("", "<vCard xmlns='vcard-temp'/>", "not-allowed"),
        (" to='localhost'", "<ping xmlns='urn:xmpp:ping'/>", "none"),
    ] {
        romeo.say(&format!("<iq type='get' id='q'{to}>{payload}</iq>"));
        let answer = romeo.hear("id='q'");
        let answer = if condition == "none" { answer } else { answer + &romeo.hear("</iq>") };
        assert_eq!(refusal(&answer), condition, "{payload}: {answer}");
    }
}

#[test]
fn rules_are_read_anew_as_a_whole_or_not_at_all() {
    let script = Script::new("%LIST met: memory\n\nKIND: message\nADD TO=met $<@from|bare>\nINJECT=<one xmlns='x'/>\n");
    let mut server = script.server(&["--shards", "2"]);
    ["romeo", "juliet"].iter().for_each(|user| server.add_user(user));
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut sent = 0;
    let mut say = |romeo: &mut Raw, juliet: &mut Raw| {
        sent += 1;
        romeo.say(&message("juliet", &format!("m{sent}"), "hello"));
        juliet.hear("</message>")
    };
    assert!(say(&mut romeo, &mut juliet).contains("<one xmlns='x'/>"));
    script.write("KIND: message\nDORP.\n");
    server.signal("-HUP");
    let complaint = server.wait_for_log(|line| line.contains("keeping the rules"));
    assert!(complaint.contains("rules.pfw: line 2, column 1"), "{complaint}");
    assert!(say(&mut romeo, &mut juliet).contains("<one xmlns='x'/>"));
    // A list in memory stays where its definition is the same.
    let list = "%LIST met: memory\n\n";
    script.write(&format!("{list}KIND: message\nCHECK LIST: met contains $<@from|bare>\nINJECT=<two xmlns='x'/>\n"));
    server.signal("-HUP");
    server.wait_for_log(|line| line.contains("read again, limits, and the firewall"));
    // Shards take them up one after the other.
    while !say(&mut romeo, &mut juliet).contains("<two xmlns='x'/>") {}
    assert!(!say(&mut romeo, &mut juliet).contains("<one "));
    script.write("# nothing\n");
    server.signal("-HUP");
    server.wait_for_log(|line| line.contains("read again, limits, and the firewall"));
    while say(&mut romeo, &mut juliet).contains(" xmlns='x'/>") {}
}

#[test]
fn scripts_that_come_with_the_server_keep_spam_from_strangers() {
    let server = Server::start(&["--firewall", "module:scripts/spam-blocking.pfw", "--shards", "2"]);
    ["romeo", "juliet"].iter().for_each(|user| server.add_user(user));
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let typed = |kind: &str| {
        format!("<message to='juliet@localhost' type='{kind}' id='{kind}'><body>buy this</body></message>")
    };
    romeo.say(&typed("normal"));
    assert_eq!(refusal(&romeo.hear("</message>")), "policy-violation");
    romeo.say(&typed("chat"));
    let came = juliet.hear("</message>");
    assert!(came.contains("id='chat'"), "{came}");
    befriend((&mut romeo, "romeo"), (&mut juliet, "juliet"));
    romeo.say(&typed("normal"));
    assert!(juliet.hear("</message>").contains("id='normal'"));
}

#[test]
fn a_wrong_script_is_said_at_the_start() {
    let script = Script::new("KIND: message\nBOUNCE=nonsense\n");
    let path = script.path();
    let output = common::rondel()
        .args(["serve", "--domain", "localhost", "--insecure-plaintext", "--firewall", path.to_str().unwrap()])
        .args(["--data-dir", script.directory.path().join("data").to_str().unwrap(), "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("rules.pfw: line 2, column 8"), "{said}");
}

#[test]
fn subscriptions_end_and_words_are_logged() {
    let script = Script::new(
        "::preroute\nKIND: message\nINSPECT: body#=goodbye\nLOG=[warn] $<@from|bare> takes leave of $<@to>\n\
         UNSUBSCRIBE SENDER.\n",
    );
    let (romeo, juliet) = (at_home("romeo", 0), at_home("juliet", 1));
    let mut server = script.server(&["--shards", "2"]);
    for name in [&romeo, &juliet] {
        server.add_user(name);
    }
    let mut one = Raw::online(&server, &romeo, "orchard");
    let mut other = Raw::online(&server, &juliet, "balcony");
    befriend((&mut one, &romeo), (&mut other, &juliet));
    // Who has asked for the roster sees what ends.
    one.say("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
    one.hear("id='roster'");
    one.say(&message(&juliet, "1", "goodbye"));
    other.hear("goodbye");
    one.hear("type='unsubscribed'");
    let line = server.wait_for_log(|line| line.contains("takes leave of"));
    let words = format!("{romeo}@localhost takes leave of {juliet}@localhost");
    assert!(line.contains("\"level\":\"WARN\"") && line.contains("\"target\":\"firewall\""), "{line}");
    assert!(line.contains(&words), "{line}");
}

#[test]
fn presence_that_waits_for_rules_is_not_overtaken() {
    let script = Script::new("::preroute\nKIND: presence\nTYPE: available\nNOT SUBSCRIBED?\nDROP.\n");
    let (romeo, juliet) = (at_home("romeo", 0), at_home("juliet", 1));
    let server = script.server(&["--shards", "2"]);
    for name in [&romeo, &juliet] {
        server.add_user(name);
    }
    let mut one = Raw::online(&server, &romeo, "orchard");
    let mut other = Raw::online(&server, &juliet, "balcony");
    befriend((&mut one, &romeo), (&mut other, &juliet));
    // Whether she is subscribed has to be asked for the first, and not for the second.
    for number in 0..20 {
        one.say(&format!("<presence><status>here {number}</status></presence><presence type='unavailable'/>"));
        let came = other.hear("type='unavailable'");
        assert!(came.contains(&format!("here {number}<")), "{came}");
        // Nor has anything to be asked for a message.
        let after = message(&juliet, "1", &format!("after {number}"));
        one.say(&format!("<presence><status>there {number}</status></presence>{after}"));
        let came = other.hear("</message>");
        assert!(came.contains(&format!("there {number}<")), "{came}");
        assert!(came.contains(&format!("after {number}<")), "{came}");
    }
}

#[test]
fn what_is_sent_on_is_its_senders_and_what_is_said_of_it_the_servers() {
    let script = Script::new(
        "::preroute\nKIND: message\nINSPECT: body#=tell\nFORWARD=watcher@localhost\n\n\
         KIND: message\nINSPECT: body#=copy\nMARK ORIGIN=copied\n\n\
         ::deliver\nKIND: message\nTO: <juliet*>@localhost\nINSPECT: body#=copy\nCOPY=watcher@localhost\n\n\
         TO: watcher@localhost\nORIGIN MARKED: copied\nINJECT=<marked xmlns='x'/>\n\n\
         KIND: message\nINSPECT: body#=mine\nDEFAULT.\n",
    );
    let server = script.server(&["--shards", "2"]);
    server.add_user("watcher");
    let mut watcher = Raw::online(&server, "watcher", "tower");
    for shard in 0..2 {
        let (romeo, juliet) = (at_home("romeo", shard), at_home("juliet", 1 - shard));
        [&romeo, &juliet].iter().for_each(|name| server.add_user(name));
        let mut one = Raw::online(&server, &romeo, "orchard");
        one.say("<message to='x@far.example' type='chat'><body>tell</body></message>");
        assert_eq!(one.hear("</message>").matches("<remote-server-not-found").count(), 1);
        let told = watcher.hear("</forwarded></message>");
        assert!(told.contains("<message from='localhost'"), "{told}");
        one.say(&message(&juliet, "1", "copy"));
        let copy = watcher.hear("</message>");
        assert!(copy.contains("<marked xmlns='x'/>"), "{copy}");
        // What is for the own account is handled by it.
        one.say(&message(&romeo, "2", "mine"));
        let own = one.hear("</message>");
        assert!(own.contains("<body>mine</body>") && !own.contains("<error"), "{own}");
    }
}

#[test]
fn who_has_no_account_here_is_not_marked() {
    let script = Script::new("::deliver\nKIND: message\nMARK USER=m\n\nUSER MARKED: m\nDROP.\n");
    let mut server = script.server(&[]);
    server.add_user("romeo");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    server.rondel_says(&["announce", "--everybody", "Supper is ready."]);
    romeo.hear("Supper is ready.");
    server.wait_for_log(|line| line.contains("WARN") && line.contains("localhost has no account here to be marked m"));
}

#[test]
fn what_is_sent_to_the_own_account_is_looked_at_once() {
    let script = Script::new(
        "%RATE one: 0.001 (burst 1000)\n\nTO SELF?\nINSPECT: status#=mine\nLIMIT: one\nBOUNCE=not-allowed\n",
    );
    let server = script.server(&[]);
    server.add_user("romeo");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    // One may pass, and is counted once.
    for expected in ["<status>mine</status>", "<not-allowed "] {
        romeo.say("<presence to='romeo@localhost'><status>mine</status></presence>");
        let came = romeo.hear("</presence>");
        assert!(came.contains(expected), "{expected}: {came}");
    }
}
