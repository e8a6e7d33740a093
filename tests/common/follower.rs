//! A client that says in its capabilities what it wants to be notified of, and answers the server's question about
//! them.

use std::ops::{Deref, DerefMut};

use base64::Engine;
use sha1::{Digest, Sha1};

use super::{Raw, Server};

pub struct Follower {
    raw: Raw,
    pub user: String,
}

impl Deref for Follower {
    type Target = Raw;

    fn deref(&self) -> &Raw {
        &self.raw
    }
}

impl DerefMut for Follower {
    fn deref_mut(&mut self) -> &mut Raw {
        &mut self.raw
    }
}

/// Capabilities of a client of this name: the verification string, and the content of the answer.
fn capabilities(name: &str, wants: &[&str]) -> (String, String) {
    let mut features: Vec<_> = wants.iter().map(|node| format!("{node}+notify")).collect();
    features.sort();
    let text: String = features.iter().map(|feature| format!("{feature}<")).collect();
    let hash = Sha1::digest(format!("client/pc//{name}<{text}"));
    let features: String = features.iter().map(|feature| format!("<feature var='{feature}'/>")).collect();
    let identity = format!("<identity category='client' type='pc' name='{name}'/>");
    (base64::engine::general_purpose::STANDARD.encode(hash), identity + &features)
}

impl Follower {
    /// Logged in, interested in the roster, available, and known to want these nodes.
    pub fn online(server: &Server, user: &str, resource: &str, wants: &[&str]) -> Follower {
        let mut raw = Raw::login(server, user, resource);
        raw.say("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
        raw.hear("id='roster'");
        // Nobody else has this name: it has to be asked.
        let (ver, answer) = capabilities(&format!("{user} {resource}"), wants);
        raw.say(&Follower::presence(user, resource, wants));
        let id = raw.hear_between("<iq type='get' id='", "'");
        let query = raw.hear("</iq>");
        assert!(query.contains(&format!("from='{user}@localhost'")), "{query}");
        assert!(query.contains(&format!("node='http://client.example#{ver}'")), "{query}");
        raw.say(&format!(
            "<iq type='result' id='{id}' to='{user}@localhost'><query xmlns='http://jabber.org/protocol/disco#info' \
             node='http://client.example#{ver}'>{answer}</query></iq>"
        ));
        let mut follower = Follower { raw, user: user.to_owned() };
        if wants.is_empty() {
            follower.round_trip();
        }
        follower
    }

    /// The presence in which it says so.
    pub fn presence(user: &str, resource: &str, wants: &[&str]) -> String {
        let (ver, _) = capabilities(&format!("{user} {resource}"), wants);
        let attributes = format!("hash='sha-1' node='http://client.example' ver='{ver}'");
        format!("<presence><c xmlns='http://jabber.org/protocol/caps' {attributes}/></presence>")
    }

    pub fn set(&mut self, to: Option<&str>, payload: &str) -> String {
        self.ask("set", to, payload)
    }

    pub fn get(&mut self, to: Option<&str>, payload: &str) -> String {
        self.ask("get", to, payload)
    }

    /// The next message about a node.
    pub fn event(&mut self, node: &str) -> String {
        loop {
            let message = format!("<message{}", self.raw.hear_between("<message", "</message>"));
            if message.contains(&format!("node='{node}'")) {
                return message;
            }
        }
    }
}

/// One sees the other's presence from now on.
pub fn subscribe(asking: &mut Follower, granting: &mut Follower) {
    asking.say(&format!("<presence type='subscribe' to='{}@localhost'/>", granting.user));
    granting.hear("type='subscribe'");
    granting.say(&format!("<presence type='subscribed' to='{}@localhost'/>", asking.user));
    asking.hear("type='subscribed'");
    asking.hear(&format!("from='{}@localhost/", granting.user));
}
