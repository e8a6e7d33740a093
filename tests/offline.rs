//! Messages to somebody who is not there (XEP-0160): they wait, through restarts, and come with the time at which they
//! were sent.

mod common;

use common::{Raw, Server};

fn server(flags: &[&str]) -> Server {
    let server = Server::start(flags);
    server.add_user("romeo");
    server.add_user("juliet");
    server
}

fn send(raw: &mut Raw, number: usize) {
    raw.say(&format!("<message to='juliet@localhost' type='chat' id='m{number}'><body>{number}</body></message>"));
}

#[test]
fn messages_wait_in_order_and_say_since_when() {
    let server = server(&["--shards", "2"]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    (0..20).for_each(|number| send(&mut romeo, number));
    assert!(!romeo.round_trip().contains("error"));
    // Whoever wants none yet gets none.
    let mut unwilling = Raw::login(&server, "juliet", "tomb");
    unwilling.say("<presence><priority>-1</priority></presence>");
    assert!(!unwilling.round_trip().contains("<message"));
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    juliet.say("<presence/>");
    for number in 0..20 {
        let heard = juliet.hear("</message>");
        assert!(heard.contains(&format!("<body>{number}</body>")), "{heard}");
        assert!(heard.contains("from='romeo@localhost/orchard'"), "{heard}");
        assert!(heard.contains("<delay xmlns='urn:xmpp:delay' from='localhost' stamp='20"), "{heard}");
    }
    // Once, and never again.
    drop((juliet, unwilling));
    let mut juliet = Raw::online(&server, "juliet", "garden");
    assert!(!juliet.round_trip().contains("<message"));
    send(&mut romeo, 99);
    let heard = juliet.hear("</message>");
    assert!(heard.contains("<body>99</body>") && !heard.contains("<delay"), "{heard}");
}

#[test]
fn what_waits_survives_the_server_being_killed() {
    let server = server(&[]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    send(&mut romeo, 1);
    // What is asked in the same lane comes after it is on disk.
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    juliet.say("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    juliet.hear("id='r'");
    let server = server.kill_and_restart(&["--shards", "1"]);
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    juliet.say("<presence/>");
    assert!(juliet.hear("</message>").contains("<body>1</body>"));
}

#[test]
fn not_everything_waits_and_not_for_ever_so_much() {
    let server = server(&["--offline-messages", "3"]);
    let mut romeo = Raw::online(&server, "romeo", "orchard");
    for (kind, body, answered) in [
        ("type='headline'", "<body>news</body>", false),
        ("type='chat'", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", false),
        ("type='chat'", "<body>secret</body><no-store xmlns='urn:xmpp:hints'/>", true),
        ("type='groupchat'", "<body>all</body>", true),
    ] {
        romeo.say(&format!("<message to='juliet@localhost' {kind} id='n'>{body}</message>"));
        let heard = romeo.round_trip();
        let heard = if answered && !heard.contains("<message") { heard + &romeo.hear("</message>") } else { heard };
        assert_eq!(heard.contains("<service-unavailable"), answered, "{kind} {body}: {heard}");
    }
    // What is in the archive is not lost, but these are not to be there.
    for number in 0..4 {
        romeo.say(&format!(
            "<message to='juliet@localhost' type='chat' id='m{number}'><body>{number}</body>\
             <no-permanent-store xmlns='urn:xmpp:hints'/></message>"
        ));
    }
    let heard = romeo.hear("</message>");
    assert!(heard.contains("id='m3'") && heard.contains("<service-unavailable"), "{heard}");
    romeo.say("<message to='nobody@localhost' id='x'><body>hello</body></message>");
    assert!(romeo.hear("</message>").contains("<service-unavailable"));
    let mut juliet = Raw::login(&server, "juliet", "balcony");
    juliet.say("<presence/>");
    for number in 0..3 {
        assert!(juliet.hear("</message>").contains(&format!("<body>{number}</body>")));
    }
    assert!(!juliet.round_trip().contains("<message"));
}
