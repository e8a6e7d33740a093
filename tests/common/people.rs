//! What tests have people do again and again: ask, become contacts, log in with a password that may be wrong.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::scram::Scram;
use super::{HEADER, Raw, Server};

impl<S: Read + Write> Raw<S> {
    /// Asks, and hears the whole answer. What came before it is left out.
    pub fn ask(&mut self, kind: &str, to: Option<&str>, payload: &str) -> String {
        let to = to.map(|to| format!(" to='{to}'")).unwrap_or_default();
        self.say(&format!("<iq type='{kind}' id='asked'{to}>{payload}</iq>"));
        self.hear_answer("asked")
    }

    /// The whole answer to the question of this id. What came before it is left out.
    pub fn hear_answer(&mut self, id: &str) -> String {
        let before = self.hear(&format!("id='{id}'"));
        let start = before.rfind("<iq ").unwrap_or_else(|| panic!("no answer in {before}"));
        let mut answer = before[start..].to_owned();
        answer.push_str(&self.hear(">"));
        if !answer.ends_with("/>") {
            answer.push_str(&self.hear("</iq>"));
        }
        answer
    }

    /// The whole of the next stanza of this name.
    pub fn hear_stanza(&mut self, name: &str) -> String {
        self.hear(&format!("<{name} "));
        let mut stanza = format!("<{name} {}", self.hear(">"));
        if !stanza.ends_with("/>") {
            stanza.push_str(&self.hear(&format!("</{name}>")));
        }
        stanza
    }

    /// Logs in as nobody in particular, on this domain, and becomes available. Returns the full JID.
    pub fn log_in_anonymously(&mut self, domain: &str) -> String {
        let header = super::header(domain);
        self.say(&header);
        self.hear("</stream:features>");
        self.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'>=</auth>");
        self.hear("<success");
        self.hear(">");
        self.say(&header);
        self.hear("</stream:features>");
        self.say("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        let jid = self.hear_between("<jid>", "</jid>");
        self.say("<presence/>");
        self.hear(&format!("from='{jid}'"));
        self.round_trip();
        jid
    }
}

/// A session with stream management (XEP-0198) that can be resumed, available, and its name. It has sent one stanza.
pub fn resumable(server: &Server, user: &str, resource: &str) -> (Raw, String) {
    let mut raw = Raw::login(server, user, resource);
    raw.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    let enabled = raw.hear_between("<enabled ", "/>");
    assert!(enabled.contains(" resume='true'") && enabled.contains(" max='"), "{enabled}");
    let id = enabled.split("id='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    raw.say("<presence/>");
    raw.hear(&format!("from='{user}@localhost/{resource}'"));
    (raw, id)
}

/// Logs in again to go on with a session; what is answered.
pub fn resume(server: &Server, user: &str, id: &str, h: u32) -> (Raw, String) {
    let mut raw = Raw::connect(server.address);
    raw.authenticate(HEADER, user);
    raw.say(HEADER);
    raw.hear("</stream:features>");
    raw.say(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{h}'/>"));
    let mut heard = raw.hear(">");
    if heard.contains("<failed") {
        heard.push_str(&raw.hear("</failed>"));
    }
    (raw, heard)
}

/// Makes two users of `localhost`, both online, subscribed to each other's presence.
pub fn befriend(one: (&mut Raw, &str), other: (&mut Raw, &str)) {
    let ((raw, name), (their_raw, their_name)) = (one, other);
    subscribe((raw, name), (their_raw, their_name));
    subscribe((their_raw, their_name), (raw, name));
    raw.round_trip();
    their_raw.round_trip();
}

/// The first asks for the presence of the second, who grants it.
pub fn subscribe(asking: (&mut Raw, &str), granting: (&mut Raw, &str)) {
    let ((asking, who), (granting, whom)) = (asking, granting);
    asking.say(&format!("<presence type='subscribe' to='{whom}@localhost'/>"));
    granting.hear("type='subscribe'");
    granting.say(&format!("<presence type='subscribed' to='{who}@localhost'/>"));
    // The granting side's presence is the last thing that comes of it.
    asking.hear(&format!("from='{whom}@localhost/"));
    asking.hear(">");
}

/// Whether a user of `localhost` logs in with this password.
pub fn is_right(server: &Server, user: &str, password: &str) -> bool {
    let outcome = try_to_log_in(server, user, password);
    let is_refusal = ["<not-authorized", "<account-disabled"].iter().any(|name| outcome.contains(name));
    assert!(is_refusal || outcome.starts_with("<success"), "{outcome}");
    outcome.starts_with("<success")
}

/// What the server answers in the end.
pub fn try_to_log_in(server: &Server, user: &str, password: &str) -> String {
    let mut raw: Raw<TcpStream> = Raw::connect(server.address);
    raw.say(HEADER);
    raw.hear("</stream:features>");
    let mut scram = Scram::new(user, None);
    raw.say(&format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{}</auth>",
        scram.first()
    ));
    let challenge = raw.hear_between("xmpp-sasl'>", "</challenge>");
    let response = scram.last(&challenge, password);
    raw.say(&format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{response}</response>"));
    let mut outcome = raw.hear(">");
    if outcome.starts_with("<failure") {
        outcome.push_str(&raw.hear("</failure>"));
    }
    outcome
}
