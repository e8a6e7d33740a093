//! Administration by clients: service administration (XEP-0133), command by command, and what there is beside it.

mod common;

use common::commands::{COMMANDS, fill, run};
use common::people::is_right;
use common::strangers::{OPEN, register, stranger};
use common::{Raw, Server, rondel};

const ADMIN: &[&str] = &["--admin", "admin@localhost"];

fn server(flags: &[&str]) -> (Server, Raw) {
    let server = Server::start(&[ADMIN, flags].concat());
    ["admin", "juliet", "romeo"].iter().for_each(|name| server.add_user(name));
    let admin = Raw::online(&server, "admin", "desk");
    (server, admin)
}

fn node(name: &str) -> String {
    format!("http://jabber.org/protocol/admin#{name}")
}

/// Fills in the form of a command of XEP-0133, and hears that it has been done.
#[track_caller]
fn does(admin: &mut Raw, name: &str, fields: &[(&str, &str)]) -> String {
    let answer = fill(admin, &node(name), fields);
    assert!(answer.contains("status='completed'") && !answer.contains("type='error'"), "{name}: {answer}");
    answer
}

/// Runs a command that asks nothing.
#[track_caller]
fn tells(admin: &mut Raw, name: &str) -> String {
    let answer = run(admin, &node(name), "", &[]);
    assert!(answer.contains("status='completed'"), "{name}: {answer}");
    answer
}

fn value(answer: &str, var: &str) -> String {
    let field = answer.split(&format!("var='{var}'")).nth(1).unwrap_or_else(|| panic!("no {var} in {answer}"));
    let value = field.split("<value>").nth(1).unwrap_or_else(|| panic!("no value of {var} in {answer}"));
    value.split("</value>").next().unwrap().to_owned()
}

#[test]
fn only_administrators_see_and_run_it() {
    let (server, mut admin) = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let items = format!("<query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/>");
    let shown = admin.ask("get", Some("localhost"), &items);
    let names = [
        "add-user",
        "delete-user",
        "disable-user",
        "reenable-user",
        "end-user-session",
        "change-user-password",
        "get-user-roster",
        "get-user-lastlogin",
        "user-stats",
        "edit-blacklist",
        "edit-whitelist",
        "get-registered-users-num",
        "get-disabled-users-num",
        "get-online-users-num",
        "get-active-users-num",
        "get-idle-users-num",
        "get-registered-users-list",
        "get-disabled-users-list",
        "get-online-users-list",
        "get-active-users",
        "get-idle-users",
        "announce",
        "set-motd",
        "edit-motd",
        "delete-motd",
        "set-welcome",
        "delete-welcome",
        "edit-admin",
        "restart",
        "shutdown",
    ];
    for name in names {
        assert!(shown.contains(&format!("node='{}'", node(name))), "{name}: {shown}");
        let refused = run(&mut juliet, &node(name), "", &[]);
        assert!(refused.contains("<forbidden"), "{name}: {refused}");
    }
    let shown = juliet.ask("get", Some("localhost"), &items);
    assert!(!shown.contains("protocol/admin#") && !shown.contains("rondel:"), "{shown}");
    assert!(!shown.contains(&node("get-user-password")));
}

#[test]
fn users_are_added_changed_and_removed() {
    let (server, mut admin) = server(&[]);
    let new = [("accountjid", "tybalt@localhost"), ("password", "r4pier"), ("password-verify", "r4pier")];
    does(&mut admin, "add-user", &new);
    assert!(is_right(&server, "tybalt", "r4pier"));
    let again = fill(&mut admin, &node("add-user"), &new);
    assert!(again.contains("<note type='error'>tybalt@localhost exists already"), "{again}");
    let other = [("accountjid", "paris@localhost"), ("password", "a"), ("password-verify", "b")];
    assert!(fill(&mut admin, &node("add-user"), &other).contains("The passwords are not the same."));
    does(&mut admin, "change-user-password", &[("accountjid", "tybalt@localhost"), ("password", "sw0rd")]);
    assert!(is_right(&server, "tybalt", "sw0rd") && !is_right(&server, "tybalt", "r4pier"));
    let mut tybalt = Raw::connect(server.address);
    tybalt.say(common::HEADER);
    does(&mut admin, "disable-user", &[("accountjids", "tybalt@localhost")]);
    assert!(!is_right(&server, "tybalt", "sw0rd"));
    assert_eq!(value(&tells(&mut admin, "get-disabled-users-num"), "disabledusersnum"), "1");
    let listed = does(&mut admin, "get-disabled-users-list", &[("max_items", "25")]);
    assert_eq!(value(&listed, "disableduserjids"), "tybalt@localhost");
    does(&mut admin, "reenable-user", &[("accountjids", "tybalt@localhost")]);
    assert!(is_right(&server, "tybalt", "sw0rd"));
    does(&mut admin, "delete-user", &[("accountjids", "tybalt@localhost")]);
    assert!(!is_right(&server, "tybalt", "sw0rd"));
    let missing = fill(&mut admin, &node("delete-user"), &[("accountjids", "nobody@localhost")]);
    assert!(missing.contains("<note type='error'>there is no account nobody@localhost"), "{missing}");
    let nonsense = fill(&mut admin, &node("delete-user"), &[("accountjids", "localhost")]);
    assert!(nonsense.contains("<bad-payload"), "{nonsense}");
}

#[test]
fn people_are_counted_listed_and_looked_at() {
    let (server, mut admin) = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    assert_eq!(value(&tells(&mut admin, "get-registered-users-num"), "registeredusersnum"), "3");
    assert_eq!(value(&tells(&mut admin, "get-online-users-num"), "onlineusersnum"), "2");
    juliet.say("<inactive xmlns='urn:xmpp:csi:0'/>");
    juliet.round_trip();
    assert_eq!(value(&tells(&mut admin, "get-active-users-num"), "activeusersnum"), "1");
    assert_eq!(value(&tells(&mut admin, "get-idle-users-num"), "idleusersnum"), "1");
    let all = does(&mut admin, "get-registered-users-list", &[("max_items", "25")]);
    for name in ["admin", "juliet", "romeo"] {
        assert!(all.contains(&format!("<value>{name}@localhost</value>")), "{all}");
    }
    let online = does(&mut admin, "get-online-users-list", &[("max_items", "none")]);
    assert!(online.contains("admin@localhost") && online.contains("juliet@localhost") && !online.contains("romeo"));
    assert_eq!(value(&does(&mut admin, "get-idle-users", &[]), "activeuserjids"), "juliet@localhost");
    assert_eq!(value(&does(&mut admin, "get-active-users", &[]), "activeuserjids"), "admin@localhost");

    juliet.say("<active xmlns='urn:xmpp:csi:0'/>");
    juliet.ask(
        "set",
        None,
        "<query xmlns='jabber:iq:roster'><item jid='romeo@localhost' name='R'><group>Friends</group></item></query>",
    );
    let roster = does(&mut admin, "get-user-roster", &[("accountjids", "juliet@localhost")]);
    assert!(roster.contains("<query xmlns='jabber:iq:roster'><item jid='romeo@localhost' name='R'"), "{roster}");
    assert!(roster.contains("<group>Friends</group>") && roster.contains("subscription='none'"), "{roster}");
    let never = does(&mut admin, "get-user-lastlogin", &[("accountjids", "romeo@localhost")]);
    assert_eq!(value(&never, "lastlogin"), "never");
    let now = does(&mut admin, "get-user-lastlogin", &[("accountjids", "juliet@localhost")]);
    assert!(value(&now, "lastlogin").starts_with("20"), "{now}");
    let statistics = does(&mut admin, "user-stats", &[("accountjid", "juliet@localhost")]);
    assert_eq!(value(&statistics, "ipaddresses"), "127.0.0.1");
    assert_eq!((value(&statistics, "rostersize"), value(&statistics, "onlineresources")), ("1".into(), "1".into()));
}

#[test]
fn sessions_are_ended() {
    let (server, mut admin) = server(&[]);
    let mut one = Raw::online(&server, "juliet", "one");
    let mut two = Raw::online(&server, "juliet", "two");
    does(&mut admin, "end-user-session", &[("accountjids", "juliet@localhost/one")]);
    assert!(one.hear_rest().contains("<reset"));
    assert!(two.round_trip().contains("type='result'"));
    does(&mut admin, "end-user-session", &[("accountjids", "juliet@localhost")]);
    assert!(two.hear_rest().contains("<reset"));
    let none = fill(&mut admin, &node("end-user-session"), &[("accountjids", "juliet@localhost")]);
    assert!(none.contains("juliet@localhost has no session"), "{none}");
}

#[test]
fn words_are_said_now_and_to_those_who_come() {
    let (server, mut admin) = server(&[OPEN, &["--message-of-the-day", "Be kind."]].concat());
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    juliet.hear("<body>Be kind.</body>");
    does(&mut admin, "announce", &[("announcement", "Supper is ready.")]);
    juliet.hear("<body>Supper is ready.</body>");
    let asked = run(&mut admin, &node("edit-motd"), "", &[]);
    assert_eq!(value(&asked, "motd"), "Be kind.");
    does(&mut admin, "set-motd", &[("motd", "Be quiet.")]);
    juliet.hear("<body>Be quiet.</body>");
    let server = server.kill_and_restart(&[ADMIN, OPEN, &["--message-of-the-day", "Be kind."]].concat());
    let mut admin = Raw::online(&server, "admin", "desk");
    admin.hear("<body>Be quiet.</body>");
    assert_eq!(value(&run(&mut admin, &node("edit-motd"), "", &[]), "motd"), "Be quiet.");
    tells(&mut admin, "delete-motd");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    assert!(!romeo.round_trip().contains("Be quiet."));
    does(&mut admin, "set-welcome", &[("welcome", "Come in, $username.")]);
    assert!(register(&mut stranger(&server), "tybalt", "secret").contains("type='result'"));
    Raw::online(&server, "tybalt", "square").hear("<body>Come in, tybalt.</body>");
    tells(&mut admin, "delete-welcome");
    assert!(register(&mut stranger(&server), "paris", "secret").contains("type='result'"));
    assert!(!Raw::online(&server, "paris", "square").round_trip().contains("<body>"));
}

#[test]
fn lists_say_with_whom_anything_is_exchanged() {
    let (server, mut admin) = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    let reaches = |from: &mut Raw, to: &str| {
        from.say(&format!("<message type='chat' to='{to}' id='m'><body>hello</body></message>"));
        !from.round_trip().contains("<not-allowed")
    };
    assert!(reaches(&mut juliet, "romeo@localhost"));
    does(&mut admin, "edit-blacklist", &[("blacklistjids", "romeo@localhost")]);
    assert!(!reaches(&mut juliet, "romeo@localhost") && !reaches(&mut romeo, "juliet@localhost"));
    assert!(reaches(&mut juliet, "admin@localhost"));
    assert_eq!(value(&run(&mut admin, &node("edit-blacklist"), "", &[]), "blacklistjids"), "romeo@localhost");
    does(&mut admin, "edit-blacklist", &[]);
    assert!(reaches(&mut juliet, "romeo@localhost"));
    does(&mut admin, "edit-whitelist", &[("whitelistjids", "example.org")]);
    assert!(reaches(&mut juliet, "romeo@localhost"), "who is here is no stranger");
    assert!(!reaches(&mut juliet, "somebody@example.net"), "who is not on the list is one");
}

#[test]
fn administrators_are_appointed() {
    let (server, mut admin) = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    assert!(run(&mut juliet, &node("get-online-users-num"), "", &[]).contains("<forbidden"));
    assert_eq!(value(&run(&mut admin, &node("edit-admin"), "", &[]), "adminjids"), "admin@localhost");
    does(&mut admin, "edit-admin", &[("adminjids", "juliet@localhost")]);
    tells(&mut juliet, "get-online-users-num");
    tells(&mut admin, "get-online-users-num");
    let server = server.kill_and_restart(ADMIN);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    tells(&mut juliet, "get-online-users-num");
    let output =
        rondel().args(["user", "role", "juliet@localhost", "member", "--data-dir"]).arg(server.data()).output();
    assert!(output.unwrap().status.success());
    assert!(run(&mut juliet, &node("get-online-users-num"), "", &[]).contains("<forbidden"));
}

#[test]
fn nobody_becomes_an_administrator_by_taking_a_name() {
    let flags = ["--tombstone-expiry", "1s", "--registration-interval", "0"];
    let server = Server::start(&[&["--admin", "prince@localhost"], OPEN, &flags].concat());
    let refused = register(&mut stranger(&server), "prince", "secret");
    assert!(refused.contains("<not-acceptable"), "a name of the flags is nobody's to take: {refused}");
    server.add_user("juliet");
    let role = |role: &str| {
        let mut command = rondel();
        command.args(["user", "role", "juliet@localhost", role, "--data-dir"]).arg(server.data());
        assert!(command.output().unwrap().status.success());
    };
    role("admin");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    tells(&mut juliet, "get-online-users-num");
    juliet.ask("set", None, "<query xmlns='jabber:iq:register'><remove/></query>");
    juliet.hear_rest();
    let until = std::time::Instant::now() + common::PATIENCE;
    while !register(&mut stranger(&server), "juliet", "secret").contains("type='result'") {
        assert!(std::time::Instant::now() < until, "the name is never had again");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let mut other = Raw::online(&server, "juliet", "balcony");
    assert!(run(&mut other, &node("get-online-users-num"), "", &[]).contains("<forbidden"));
    let server = server.kill_and_restart(&[&["--admin", "prince@localhost"], OPEN, &flags].concat());
    let mut other = Raw::online(&server, "juliet", "balcony");
    assert!(run(&mut other, &node("get-online-users-num"), "", &[]).contains("<forbidden"));
}

#[test]
fn registrations_reports_and_bans_are_seen_to_from_a_client() {
    let (server, mut admin) =
        server(&[OPEN, &["--registration", "approve", "--registration-field", "reason"]].concat());
    let form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register</value></field>\
                <field var='username'><value>tybalt</value></field><field var='password'><value>secret</value></field>\
                <field var='reason'><value>to fence</value></field></x>";
    let answer = stranger(&server).ask("set", None, &common::strangers::query(form));
    assert!(answer.contains("type='result'"), "{answer}");
    let pending = run(&mut admin, "rondel:registrations-pending", "", &[]);
    assert!(pending.contains("tybalt@localhost") && pending.contains("reason: to fence"), "{pending}");
    let log = fill(&mut admin, "rondel:registrations", &[("since", "86400"), ("network", "127.0.0.1")]);
    assert!(log.contains("<value>tybalt@localhost</value>") && log.contains("<value>ibr</value>"), "{log}");
    let stats = fill(&mut admin, "rondel:registrations-stats", &[("since", "86400")]);
    assert!(stats.contains("<value>made by ibr</value>") && stats.contains("<value>127.0.0.0/24</value>"), "{stats}");
    let done = fill(&mut admin, "rondel:registrations-approve", &[("accountjids", "tybalt@localhost")]);
    assert!(done.contains("It has been done."), "{done}");
    assert!(is_right(&server, "tybalt", "secret"));

    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let report = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/>";
    juliet.ask(
        "set",
        None,
        &format!("<block xmlns='urn:xmpp:blocking'><item jid='tybalt@localhost'>{report}</item></block>"),
    );
    admin.hear("juliet@localhost reports tybalt@localhost");
    let listed = run(&mut admin, "rondel:reports", "", &[]);
    let id = value(&listed[listed.find("<item>").unwrap()..], "report");
    let shown = fill(&mut admin, "rondel:report", &[("report", &id)]);
    assert_eq!(value(&shown, "reported"), "tybalt@localhost");
    let done = fill(&mut admin, "rondel:report-act", &[("report", &id), ("action", "mute"), ("duration", "3600")]);
    assert!(done.contains("It has been done."), "{done}");
    for (node, duration) in
        [("unmute", None), ("mute", Some("60")), ("unmute", None), ("limit", Some("0")), ("unlimit", None)]
    {
        let account = if duration.is_some() { "accountjid" } else { "accountjids" };
        let fields: Vec<_> =
            [(account, "tybalt@localhost")].into_iter().chain(duration.map(|time| ("duration", time))).collect();
        let done = fill(&mut admin, &format!("rondel:{node}"), &fields);
        assert!(done.contains("It has been done."), "{node}: {done}");
    }
    let refused = fill(&mut admin, "rondel:registrations-refused", &[("since", "3600")]);
    assert!(refused.contains("status='completed'"), "{refused}");
    let missing = fill(&mut admin, "rondel:registrations-reject", &[("accountjids", "juliet@localhost")]);
    assert!(missing.contains("<note type='error'>"), "juliet does not wait: {missing}");
    let done = fill(&mut admin, "rondel:ban", &[("network", "127.9.0.0/16"), ("duration", "3600"), ("reason", "bots")]);
    assert!(done.contains("It has been done."), "{done}");
    let bans = run(&mut admin, "rondel:bans", "", &[]);
    assert!(bans.contains("<value>127.9.0.0/16</value>") && bans.contains("<value>admin@localhost</value>"), "{bans}");
    fill(&mut admin, "rondel:unban", &[("network", "127.9.0.0/16")]);
    let refused = fill(&mut admin, "rondel:unban", &[("network", "127.9.0.0/16")]);
    assert!(refused.contains("<note type='error'>127.9.0.0/16 is not banned"), "{refused}");
    let audit = rondel().args(["audit", "--data-dir"]).arg(server.data()).output().unwrap();
    let audit = String::from_utf8(audit.stdout).unwrap();
    for what in ["approve", "act-on-report", "ban-address", "unban-address", "add-user"] {
        assert!(audit.contains(&format!(" {what} by ")), "{what}: {audit}");
    }
    assert!(audit.contains(" approve by admin@localhost jid=\"tybalt@localhost\""), "{audit}");
    assert!(!audit.contains("stored_key"), "{audit}");
}

#[test]
fn the_server_is_shut_down_and_restarted() {
    let (mut server, mut admin) = server(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    does(&mut admin, "restart", &[("delay", "0"), ("announcement", "Back in a moment.")]);
    juliet.hear("<body>Back in a moment.</body>");
    assert!(juliet.hear_rest().contains("<system-shutdown"));
    server.logged.clear();
    let listening = server.wait_for_log(|line| line.contains("\"listening\"") && line.contains("\"starttls\""));
    server.address = common::address_in(&listening);
    let mut admin = Raw::online(&server, "admin", "desk");
    does(&mut admin, "shutdown", &[("delay", "0")]);
    assert!(admin.hear_rest().contains("<system-shutdown"));
    assert!(server.child.wait().unwrap().success());
}
