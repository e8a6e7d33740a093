//! What operators who come from Prosody rely on, option by option and error by error, each named as there. What Rondel
//! calls it is the table in docs/registration.md. More of each is in the tests of its subject.

mod common;

use common::people::{is_right, try_to_log_in};
use common::strangers::{OPEN, open, query, refused, register, stranger, stranger_from};
use common::{HEADER, PATIENCE, Raw, Server, rondel};

/// An administrator who watches.
const ADMIN: &[&str] = &["--admin", "admin@localhost"];

fn watched(more: &[&str]) -> (Server, Raw) {
    let server = open(&[ADMIN, more].concat());
    server.add_user("admin");
    let admin = Raw::online(&server, "admin", "desk");
    (server, admin)
}

fn made(answer: &str) -> bool {
    answer.contains("type='result'")
}

/// Registers from this address.
fn from(server: &Server, address: &str, name: &str) -> String {
    register(&mut stranger_from(server, address), name, "secret")
}

/// Logs in and asks with this content of a query, as the account's owner.
fn own(server: &Server, content: &str) -> String {
    Raw::login(server, "juliet", "balcony").ask("set", None, &query(content))
}

fn with_juliet(flags: &[&str]) -> Server {
    let server = open(flags);
    server.add_user("juliet");
    server
}

// §1: what is offered, and the errors.

#[test]
fn allow_registration() {
    let closed = Server::start(&[]);
    let mut raw = Raw::connect(closed.address);
    raw.say(HEADER);
    assert!(!raw.hear("</stream:features>").contains("iq-register"), "it is closed by default");
    let server = open(&[]);
    let mut raw = Raw::connect(server.address);
    raw.say(HEADER);
    assert!(raw.hear("</stream:features>").contains("<register xmlns='http://jabber.org/features/iq-register'/>"));
}

#[test]
fn encryption_required() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &[&["--dev"], OPEN].concat());
    let answer = stranger(&server).ask("get", None, &query(""));
    refused(&answer, "modify", "policy-violation");
}

#[test]
fn registration_disabled() {
    let server = Server::start(&[]);
    refused(&stranger(&server).ask("get", None, &query("")), "cancel", "service-unavailable");
}

#[test]
fn get_shows_instructions_fields_and_a_form() {
    let server = open(&["--registration-instructions", "Choose well."]);
    let offer = stranger(&server).ask("get", None, &query(""));
    for part in ["<instructions>Choose well.</instructions>", "<username/>", "<password/>", "jabber:x:data"] {
        assert!(offer.contains(part), "{part}: {offer}");
    }
    assert!(offer.contains("<value>jabber:iq:register</value>"), "{offer}");
}

#[test]
fn additional_registration_fields() {
    let fields = "nick,name,first,last,email,address,city,state,zip,phone,url,date".split(',');
    let flags: Vec<&str> = fields.clone().flat_map(|field| ["--registration-field", field]).collect();
    let server = open(&flags);
    let offer = stranger(&server).ask("get", None, &query(""));
    for field in fields {
        assert!(offer.contains(&format!("<{field}/>")), "{field} as an element: {offer}");
        assert!(offer.contains(&format!("var='{field}'")), "{field} in the form: {offer}");
    }
}

#[test]
fn additional_registration_fields_of_ones_own() {
    let server = open(&["--registration-field", "colour+=Your favourite colour"]);
    let form = stranger(&server).ask("get", None, &query(""));
    assert!(
        form.contains("<field var='colour' type='text-single' label='Your favourite colour'><required/>"),
        "{form}"
    );
    assert!(!form.contains("<username/>"), "clients that know no forms do not know it: {form}");
    refused(&register(&mut stranger(&server), "juliet", "secret"), "modify", "not-acceptable");
    let field = |(var, value): (&str, &str)| format!("<field var='{var}'><value>{value}</value></field>");
    let fields =
        [("FORM_TYPE", "jabber:iq:register"), ("username", "juliet"), ("password", "secret"), ("colour", "red")];
    let form = format!("<x xmlns='jabber:x:data' type='submit'>{}</x>", fields.map(field).concat());
    assert!(made(&stranger(&server).ask("set", None, &query(&form))));
}

#[test]
fn missing_required_field() {
    let server = open(&["--registration-field", "email+"]);
    let answer = register(&mut stranger(&server), "juliet", "secret");
    refused(&answer, "modify", "not-acceptable");
    assert!(answer.contains("email"), "the text names it: {answer}");
}

#[test]
fn bad_user_name() {
    let server = open(&[]);
    for name in ["", "a b", "a@b"] {
        refused(&register(&mut stranger(&server), name, "secret"), "modify", "not-acceptable");
    }
}

#[test]
fn name_taken() {
    let server = with_juliet(&[]);
    refused(&register(&mut stranger(&server), "juliet", "secret"), "cancel", "conflict");
}

#[test]
fn storing_fails() {
    // With its signal ignored, a file that would grow beyond the limit cannot be written.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_rondel")]);
    let flags = [&["--dev", "--insecure-plaintext"], OPEN].concat();
    let server = Server::start_by(command, tempfile::tempdir().unwrap(), &flags);
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.child.id()).unwrap());
    let nothing = rustix::process::Rlimit { current: Some(1), maximum: Some(1) };
    rustix::process::prlimit(pid, rustix::process::Resource::Fsize, nothing).unwrap();
    refused(&register(&mut stranger(&server), "juliet", "secret"), "wait", "internal-server-error");
    let server = server.kill_and_restart(OPEN);
    assert!(!common::user(&server.data(), &["show", "juliet@localhost"], "").status.success());
    assert!(made(&register(&mut stranger(&server), "juliet", "secret")));
}

#[test]
fn remove_before_login() {
    let server = open(&[]);
    refused(&stranger(&server).ask("set", None, &query("<remove/>")), "auth", "registration-required");
}

#[test]
fn logged_in_get() {
    let server = with_juliet(&[]);
    let answer = Raw::login(&server, "juliet", "balcony").ask("get", None, &query(""));
    assert!(answer.contains("<registered/><username>juliet</username><password/>"), "{answer}");
}

#[test]
fn logged_in_set_changes_the_password() {
    let server = with_juliet(&[]);
    let mut other = Raw::online(&server, "juliet", "chamber");
    assert!(made(&own(&server, "<username>juliet</username><password>n3w</password>")));
    assert!(is_right(&server, "juliet", "n3w") && !is_right(&server, "juliet", "secret"));
    assert!(other.hear_rest().contains("<reset"), "other sessions end");
}

#[test]
fn logged_in_set_of_another_name() {
    let server = with_juliet(&[]);
    refused(&own(&server, "<username>romeo</username><password>n3w</password>"), "modify", "bad-request");
    refused(&own(&server, "<username>juliet</username>"), "modify", "bad-request");
}

#[test]
fn logged_in_remove() {
    let server = with_juliet(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    assert!(made(&juliet.ask("set", None, &query("<remove/>"))), "the answer comes first");
    assert!(juliet.hear_rest().contains("<not-authorized"));
    assert!(!is_right(&server, "juliet", "secret"));
}

#[test]
fn registration_delete_grace_period() {
    let server = with_juliet(&["--removal-grace", "1d"]);
    assert!(made(&own(&server, "<remove/>")));
    assert!(try_to_log_in(&server, "juliet", "secret").contains("Account deleted"));
    assert!(common::user(&server.data(), &["enable", "juliet@localhost"], "").status.success());
    assert!(is_right(&server, "juliet", "secret"));
}

#[test]
fn registration_compat() {
    let server = with_juliet(&[]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    for to in [None, Some("localhost"), Some("juliet@localhost")] {
        assert!(juliet.ask("get", to, &query("")).contains("<registered/>"), "{to:?}");
    }
}

// §1: limits.

#[test]
fn min_seconds_between_registrations() {
    let server = open(&["--registration-interval", "1h", "--registrations-per-day", "0"]);
    assert!(made(&from(&server, "127.0.0.9", "a")));
    let answer = from(&server, "127.0.0.9", "b");
    refused(&answer, "wait", "policy-violation");
    assert!(made(&from(&server, "127.0.0.8", "c")), "another address");
}

#[test]
fn registration_throttle_max_and_period() {
    let server = open(&["--registration-interval", "0", "--registrations-per-day", "2"]);
    assert!(made(&from(&server, "127.0.0.9", "a")) && made(&from(&server, "127.0.0.9", "b")));
    refused(&from(&server, "127.0.0.9", "c"), "wait", "policy-violation");
}

#[test]
fn registration_throttle_of_the_whole_server() {
    let server = open(&["--registration-rate", "1/h:2", "--registration-interval", "0", "--shards", "2"]);
    assert!(made(&from(&server, "127.0.0.7", "a")) && made(&from(&server, "127.0.0.8", "b")));
    refused(&from(&server, "127.0.0.9", "c"), "wait", "policy-violation");
    assert!(server.rondel_says(&["registration", "log"]).contains("c@localhost refused: too-many-altogether"));
}

#[test]
fn registration_throttle_cache_size() {
    let limits = ["--registration-interval", "1h", "--registrations-per-day", "1", "--registration-rate", "1000/s"];
    let server = open(&limits);
    for number in 0..150 {
        assert!(made(&from(&server, &format!("127.1.0.{}", number + 1), &format!("bot{number}"))));
    }
    refused(&from(&server, "127.1.0.1", "again"), "wait", "policy-violation");
}

#[test]
fn registration_allowlist() {
    let limits = ["--registration-interval", "1h", "--registration-allowlist", "127.0.0.8/31"];
    let server = open(&limits);
    for name in ["a", "b", "c", "d", "e"] {
        assert!(made(&from(&server, "127.0.0.9", name)), "nobody there is throttled");
    }
}

#[test]
fn allowlist_registration_only() {
    let server = open(&["--registration-allowlist", "127.0.0.9", "--registration-allowlist-only", "on"]);
    assert!(made(&from(&server, "127.0.0.9", "a")));
    refused(&from(&server, "127.0.0.8", "b"), "auth", "forbidden");
}

#[test]
fn registration_blocklist() {
    let server = open(&["--registration-blocklist", "127.0.0.8/31"]);
    refused(&from(&server, "127.0.0.9", "a"), "auth", "forbidden");
    assert!(made(&from(&server, "127.0.0.7", "b")));
}

// §1: gates of the community.

#[test]
fn block_registrations_users() {
    let server = Server::start(&["--registration", "open", "--login-tries", "60", "--password-strength", "0"]);
    let mut raw = stranger(&server);
    for name in
        "abuse admin administrator hostmaster info news noc operator owner postmaster register registration root \
                 security service signup support sysadmin sysop system test trouble webmaster www xmpp"
            .split_whitespace()
    {
        refused(&register(&mut raw, name, "long enough"), "modify", "not-acceptable");
    }
    assert!(
        common::user(&server.data(), &["add", "support@localhost", "--password-stdin"], "secret\n").status.success()
    );
}

#[test]
fn block_registrations_matching() {
    let server = open(&["--refused-names", r"^bot\d+$"]);
    refused(&register(&mut stranger(&server), "bot17", "secret"), "modify", "not-acceptable");
    assert!(made(&register(&mut stranger(&server), "bottom", "secret")));
}

#[test]
fn block_registrations_require() {
    let server = open(&["--required-names", r"[a-z]+\.[a-z]+"]);
    refused(&register(&mut stranger(&server), "juliet", "secret"), "modify", "not-acceptable");
    assert!(made(&register(&mut stranger(&server), "juliet.capulet", "secret")));
}

#[test]
fn mod_mimicking() {
    let server = with_juliet(&[]);
    refused(&register(&mut stranger(&server), "ju1iet", "secret"), "cancel", "conflict");
}

#[test]
fn user_tombstone_expiry() {
    let server = with_juliet(&["--tombstone-expiry", "1s"]);
    assert!(made(&own(&server, "<remove/>")));
    refused(&register(&mut stranger(&server), "juliet", "secret"), "cancel", "conflict");
    let until = std::time::Instant::now() + PATIENCE;
    while !made(&register(&mut stranger(&server), "juliet", "secret")) {
        assert!(std::time::Instant::now() < until, "it is never had again");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

#[test]
fn registration_invite_only() {
    let server = Server::start(&[OPEN, &["--registration", "invite"]].concat());
    let mut raw = stranger(&server);
    refused(&register(&mut raw, "juliet", "secret"), "modify", "not-acceptable");
    let output = rondel().args(["invite", "create", "--data-dir"]).arg(server.data()).output().unwrap();
    let uri = String::from_utf8(output.stdout).unwrap();
    let token = uri.split("preauth=").nth(1).unwrap().split([';', '\n', ' ']).next().unwrap();
    assert!(made(&raw.ask("set", None, &format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>"))));
    assert!(made(&register(&mut raw, "juliet", "secret")));
}

#[test]
fn allow_user_invites_and_allow_contact_invites() {
    let invite = "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite'/>";
    for (may, expected) in [("nothing", None), ("contacts", Some(false)), ("accounts", Some(true))] {
        let server = with_juliet(&["--user-invites", may]);
        let answer = Raw::login(&server, "juliet", "balcony").ask("set", Some("localhost"), invite);
        assert_eq!(made(&answer).then(|| answer.contains(";ibr=y")), expected, "{may}: {answer}");
    }
}

#[test]
fn invites_page_register_web_and_register_oob_url() {
    let mut server = with_juliet(&["--https", "127.0.0.1:0", "--registration-terms", "https://example.org/terms"]);
    let made = server.rondel_says(&["invite", "create"]);
    let (_, token) = made.split_once("/invite/").unwrap();
    let token = token.split_whitespace().next().unwrap().to_owned();
    let form = stranger(&server).ask("get", None, &query(""));
    let mut browser = common::browser::Browser::of(&mut server, "127.0.0.1");
    let url = format!("<url>https://localhost:{}/register</url>", browser.site().port());
    assert!(form.contains(&url), "{form}");
    assert_eq!([browser.get("/register").status, browser.get(&format!("/invite/{token}")).status], [200, 200]);
}

#[test]
fn captcha_options() {
    let server = open(&["--registration-captcha", "on"]);
    let form = stranger(&server).ask("get", None, &query(""));
    assert!(form.contains("<field var='ocr'") && form.contains("<data xmlns='urn:xmpp:bob'"), "{form}");
    refused(&register(&mut stranger(&server), "juliet", "secret"), "cancel", "service-unavailable");
}

#[test]
fn register_ibr_default_role() {
    let server = open(&["--new-account-limits", "1h", "--new-account-strangers", "1"]);
    ["juliet", "nurse"].iter().for_each(|name| server.add_user(name));
    assert!(made(&from(&server, "127.0.0.9", "stranger")));
    let mut stranger = Raw::online(&server, "stranger", "client");
    for (to, is_refused) in [("juliet", false), ("nurse", true)] {
        stranger.say(&format!("<message to='{to}@localhost' id='{to}' type='chat'><body>hello</body></message>"));
        assert_eq!(stranger.round_trip().contains("<policy-violation"), is_refused, "{to}");
    }
}

#[test]
fn mod_block_strangers() {
    let server = with_juliet(&["--strangers", "ask"]);
    server.add_user("romeo");
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    romeo.say("<message to='juliet@localhost' id='m' type='chat'><body>hello</body></message>");
    let answer = romeo.hear("</message>");
    refused(&answer, "cancel", "service-unavailable");
}

#[test]
fn muc_rtbl_jid_and_muc_rtbl_node() {
    let mut server = open(&["--rtbl", "blocklist.example", "--rtbl", "lists@localhost/spam"]);
    server.wait_for_log(|line| line.contains("blocklist.example/muc_bans_sha256"));
    // Nobody publishes it yet.
    server.wait_for_log(|line| line.contains("lists@localhost/spam") && line.contains("cannot be followed"));
}

#[test]
fn invite_expiry() {
    let server = Server::start(&[OPEN, &["--registration", "invite"]].concat());
    let mut raw = stranger(&server);
    let unknown = "<preauth xmlns='urn:xmpp:pars:0' token='nonsense'/>";
    refused(&raw.ask("set", None, unknown), "cancel", "item-not-found");
    let mut create = rondel();
    create.args(["invite", "create", "--lifetime", "1m", "--data-dir"]).arg(server.data());
    assert!(create.output().unwrap().status.success());
    let output = rondel().args(["invite", "list", "--data-dir"]).arg(server.data()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("20"), "until when it holds: {output:?}");
    let short = server.rondel_says(&["invite", "create", "--lifetime", "1s"]);
    let token = short.split("preauth=").nth(1).unwrap().lines().next().unwrap();
    let shown = format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>");
    let until = std::time::Instant::now() + PATIENCE;
    while server.rondel_says(&["invite", "list"]).lines().count() > 1 {
        assert!(std::time::Instant::now() < until, "it holds for ever");
    }
    refused(&stranger(&server).ask("set", None, &shown), "cancel", "item-not-found");
}

#[test]
fn mod_throttle_unsolicited() {
    let server = open(&["--new-account-strangers", "1", "--registration-interval", "0"]);
    for name in ["bot", "a", "b"] {
        assert!(made(&register(&mut stranger(&server), name, "secret")));
    }
    let mut bot = Raw::online(&server, "bot", "net");
    let mut say = |to: &str| {
        bot.say(&format!("<message type='chat' to='{to}@localhost' id='m'><body>buy</body></message>"));
        bot.round_trip().contains("<policy-violation")
    };
    assert!(!say("a") && say("b"));
}

// §2: watching and welcoming.

#[test]
fn registration_watchers() {
    let (server, mut admin) = watched(&["--registration-watcher", "nurse@localhost"]);
    server.add_user("nurse");
    let mut nurse = Raw::online(&server, "nurse", "chamber");
    assert!(made(&register(&mut stranger(&server), "juliet", "secret")));
    nurse.hear("<body>User juliet just registered on localhost from 127.0.0.1</body>");
    assert!(!admin.round_trip().contains("juliet"), "who is named instead");
}

#[test]
fn registration_watchers_are_the_administrators_by_default() {
    let (server, mut admin) = watched(&[]);
    assert!(made(&register(&mut stranger(&server), "juliet", "secret")));
    admin.hear("<body>User juliet just registered on localhost from 127.0.0.1</body>");
}

#[test]
fn registration_from() {
    let (server, mut admin) = watched(&["--registration-from", "registrar@localhost"]);
    assert!(made(&register(&mut stranger(&server), "juliet", "secret")));
    let message = admin.hear_stanza("message");
    assert!(message.contains("from='registrar@localhost'"), "{message}");
}

#[test]
fn registration_notification() {
    let (server, mut admin) = watched(&["--registration-notification", "$username@$host by $source, $ip"]);
    assert!(made(&register(&mut stranger(&server), "juliet", "secret")));
    admin.hear("<body>juliet@localhost by ibr, 127.0.0.1</body>");
}

#[test]
fn registration_notification_type() {
    for kind in ["chat", "normal", "headline"] {
        let (server, mut admin) = watched(&["--registration-notification-type", kind]);
        assert!(made(&register(&mut stranger(&server), "juliet", "secret")));
        let message = admin.hear_stanza("message");
        assert!(message.contains(&format!("type='{kind}'")), "{message}");
    }
}

#[test]
fn welcome_message() {
    let server = open(&[]);
    assert!(made(&register(&mut stranger(&server), "juliet", "secret")));
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    juliet.hear("<body>Hello juliet, welcome to the localhost IM server!</body>");
}

#[test]
fn motd() {
    let server = with_juliet(&["--message-of-the-day", "Be kind."]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let message = juliet.hear_stanza("message");
    assert!(message.contains("type='headline'") && message.contains("Be kind."), "{message}");
}

#[test]
fn motd_once_for_each_text() {
    let flags = ["--message-of-the-day-once", "on", "--message-of-the-day"];
    let words = |words| [&flags[..], &[words]].concat();
    let server = with_juliet(&words("It rains."));
    let told = |server: &Server| Raw::online(server, "juliet", "balcony").round_trip();
    assert!(told(&server).contains("<body>It rains.</body>"));
    assert!(!told(&server).contains("<body>"));
    let server = server.kill_and_restart(&words("It rains."));
    assert!(!told(&server).contains("<body>"), "it is remembered");
    let server = server.kill_and_restart(&words("The sun shines."));
    assert!(told(&server).contains("<body>The sun shines.</body>"));
}

#[test]
fn spam_reports_are_told_to_administrators() {
    let (server, mut admin) = watched(&[]);
    server.add_user("juliet");
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    block(&mut juliet, "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/>");
    admin.hear("juliet@localhost reports bot@localhost for spam");
}

// §3: contact addresses.

#[test]
fn contact_info() {
    let kinds = ["abuse", "admin", "feedback", "sales", "security", "status", "support"];
    let flags: Vec<String> = kinds.iter().map(|kind| format!("--contact={kind}=mailto:{kind}@example.org")).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let info = disco(&with_juliet(&flags));
    assert!(info.contains("<value>http://jabber.org/network/serverinfo</value>"), "{info}");
    for kind in kinds {
        let field = format!("var='{kind}-addresses' type='list-multi'><value>mailto:{kind}@example.org</value>");
        let other = format!("type='list-multi' var='{kind}-addresses'><value>mailto:{kind}@example.org</value>");
        let plain = format!("var='{kind}-addresses'><value>mailto:{kind}@example.org</value>");
        assert!(info.contains(&field) || info.contains(&other) || info.contains(&plain), "{kind}: {info}");
    }
}

#[test]
fn contact_info_names_the_administrators_by_default() {
    let info = disco(&with_juliet(ADMIN));
    assert!(info.contains("var='admin-addresses'") && info.contains("<value>xmpp:admin@localhost</value>"), "{info}");
}

fn disco(server: &Server) -> String {
    let mut juliet = Raw::login(server, "juliet", "balcony");
    juliet.ask("get", Some("localhost"), "<query xmlns='http://jabber.org/protocol/disco#info'/>")
}

// §7: reports.

fn block(raw: &mut Raw, report: &str) {
    let item = format!("<item jid='bot@localhost'>{report}</item>");
    assert!(made(&raw.ask("set", None, &format!("<block xmlns='urn:xmpp:blocking'>{item}</block>"))));
}

fn reports(server: &Server) -> String {
    let output = rondel().args(["report", "list", "--data-dir"]).arg(server.data()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn mod_spam_reporting() {
    let server = with_juliet(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    let text = "<text>again and again</text>";
    block(
        &mut juliet,
        &format!("<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:abuse'>{text}</report>"),
    );
    let listed = reports(&server);
    assert!(listed.contains("bot@localhost reported for abuse by juliet@localhost: again and again"), "{listed}");
}

#[test]
fn mod_spam_reporting_of_version_0() {
    let server = with_juliet(&[]);
    let mut juliet = Raw::online(&server, "juliet", "balcony");
    block(&mut juliet, "<report xmlns='urn:xmpp:reporting:0'><spam/></report>");
    assert!(reports(&server).contains("bot@localhost reported for spam"));
}

#[test]
fn features_of_reporting() {
    let info = disco(&with_juliet(&[]));
    for feature in ["0", "1", "reason:spam:0", "reason:abuse:0"] {
        assert!(info.contains(&format!("<feature var='urn:xmpp:reporting:{feature}'/>")), "{feature}: {info}");
    }
}
