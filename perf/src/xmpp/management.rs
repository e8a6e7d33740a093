//! Stream management as a client does it (XEP-0198): what was received is counted, requests are answered, and what is
//! known of a session when its connection breaks is what resumes it.

use super::element::{self, condition, ns, with_element};

/// Asks for stream management, and that the session may be resumed.
pub const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
/// Asks the server how much it has handled.
pub const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";

/// What it takes to resume a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// The server's name for it.
    pub id: String,
    /// Stanzas of the server that were handled.
    pub handled: u32,
}

/// Of one session, from the moment it was asked for.
#[derive(Clone, Debug, Default)]
pub struct Management {
    enabled: bool,
    id: Option<String>,
    handled: u32,
    acknowledged: u32,
}

/// What a piece of the stream was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A stanza, or something else that is not about stream management.
    NotMine,
    /// The server asks how much was handled; [`Management::answer`] says so.
    Requested,
    /// The server has said how much it has handled.
    Acknowledged,
    /// Stream management is on.
    Enabled,
}

impl Management {
    /// Of a session that the server has resumed; `acknowledged` is the `h` of its `<resumed/>`.
    pub fn resumed(former: Former, acknowledged: u32) -> Self {
        Self { enabled: true, id: Some(former.id), handled: former.handled, acknowledged }
    }

    /// Takes the next piece of the stream and counts it if it is a stanza.
    ///
    /// # Errors
    /// The server refuses stream management, or what it says about it cannot be read.
    pub fn on(&mut self, piece: &[u8]) -> Result<Taken, String> {
        if [&b"<message"[..], b"<presence", b"<iq"].iter().any(|name| piece.starts_with(name)) {
            // Counting begins with <enabled/>. It goes round after 2³² (§4).
            self.handled = self.handled.wrapping_add(u32::from(self.enabled));
            return Ok(Taken::NotMine);
        }
        if let [b'<', b'r', b' ' | b'/', ..] = piece {
            return Ok(Taken::Requested);
        }
        with_element(piece, |element| {
            if element.tag_name().namespace() != Some(ns::MANAGEMENT) {
                return Ok(Taken::NotMine);
            }
            match element.tag_name().name() {
                "r" => Ok(Taken::Requested),
                "a" => {
                    let handled = element.attribute("h").and_then(|handled| handled.parse().ok());
                    self.acknowledged = handled.ok_or("the server sent <a/> without a number")?;
                    Ok(Taken::Acknowledged)
                }
                "enabled" => {
                    let resumable = matches!(element.attribute("resume"), Some("true" | "1"));
                    self.id = element.attribute("id").filter(|_| resumable).map(str::to_owned);
                    (self.enabled, self.handled) = (true, 0);
                    Ok(Taken::Enabled)
                }
                "failed" => Err(format!("the server refuses stream management: {}", condition(element))),
                name => Err(format!("the server sent <{name}/> of stream management, which is not for clients")),
            }
        })?
    }

    /// What answers a request.
    pub fn answer(&self) -> String {
        format!("<a xmlns='{}' h='{}'/>", ns::MANAGEMENT, self.handled)
    }

    /// How many of the client's stanzas the server has handled, as far as it has said so.
    pub fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// What resumes the session; `None` if the server has not permitted that.
    pub fn former(&self) -> Option<Former> {
        let id = self.id.clone()?;
        Some(Former { id, handled: self.handled })
    }
}

impl Former {
    /// Asks for the session.
    pub fn resume(&self) -> String {
        format!("<resume xmlns='{}' previd='{}' h='{}'/>", ns::MANAGEMENT, element::escape(&self.id), self.handled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENABLED: &[u8] = b"<enabled xmlns='urn:xmpp:sm:3' id='x&amp;y' resume='true'/>";

    #[test]
    fn stanzas_count_from_enabled_on_and_nothing_else_does() {
        let mut management = Management::default();
        assert_eq!(management.on(b"<iq type='result' id='before'/>"), Ok(Taken::NotMine));
        assert_eq!(management.former(), None);
        assert_eq!(management.on(ENABLED), Ok(Taken::Enabled));
        for piece in ["<message/>", "<presence/>", "<stream:features/>", "<iq/>"] {
            assert_eq!(management.on(piece.as_bytes()), Ok(Taken::NotMine), "{piece}");
        }
        for request in ["<r xmlns='urn:xmpp:sm:3'/>", "<r xmlns='urn:xmpp:sm:3'></r>"] {
            assert_eq!(management.on(request.as_bytes()), Ok(Taken::Requested));
        }
        assert_eq!(management.answer(), "<a xmlns='urn:xmpp:sm:3' h='3'/>");
        assert_eq!(management.former(), Some(Former { id: "x&y".to_owned(), handled: 3 }));
        assert_eq!(management.former().unwrap().resume(), "<resume xmlns='urn:xmpp:sm:3' previd='x&amp;y' h='3'/>");
    }

    #[test]
    fn the_servers_count_is_kept() {
        let mut management = Management::default();
        management.on(ENABLED).unwrap();
        assert_eq!(management.on(b"<a xmlns='urn:xmpp:sm:3' h='7'/>"), Ok(Taken::Acknowledged));
        assert_eq!(management.acknowledged(), 7);
        assert!(management.on(b"<a xmlns='urn:xmpp:sm:3' h='-1'/>").is_err());
    }

    #[test]
    fn a_session_goes_on_counting_where_it_was() {
        let former = Former { id: "x".to_owned(), handled: u32::MAX };
        let mut management = Management::resumed(former, 2);
        management.on(b"<message/>").unwrap();
        assert_eq!((management.answer().as_str(), management.acknowledged()), ("<a xmlns='urn:xmpp:sm:3' h='0'/>", 2));
    }

    #[test]
    fn a_refusal_says_why() {
        let failed = b"<failed xmlns='urn:xmpp:sm:3'><unexpected-request \
            xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
        assert!(Management::default().on(failed).unwrap_err().ends_with("unexpected-request"));
        let mut management = Management::default();
        assert_eq!(management.on(b"<enabled xmlns='urn:xmpp:sm:3'/>"), Ok(Taken::Enabled));
        assert_eq!(management.former(), None, "not to be resumed");
    }
}
