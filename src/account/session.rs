//! What is kept of one established session at its account's home.

use std::sync::Arc;

use rondel_shards::ConnectionId;

use super::caps::Advertised;
use super::csi::Held;
use super::delivery::ResourceState;
use super::managed::Managed;
use super::marks::Bearer;
use crate::jid::Jid;
use crate::stream::management::Memo;
use crate::xml::escape;

slotmap::new_key_type! {
    /// Names a session on its shard; never used twice.
    pub struct SessionKey;
}

/// An established session. Small, because an idle session is little else.
#[derive(Debug)]
pub struct Session {
    /// Whose it is.
    pub address: Arc<Address>,
    /// Where its client is; nowhere while the session waits for it to come back (XEP-0198 §5).
    pub connection: Option<ConnectionId>,
    /// Since when there is a session, in seconds since 1970.
    pub since_s: u64,
    /// The client's installation, if it has said which (XEP-0386 §4.4).
    pub agent: Option<Box<str>>,
    /// Present once it is available: its last presence as it was sent to others, and the priority in it.
    pub presence: Option<Presence>,
    /// Whom it has sent directed presence to and not taken it back (RFC 6121 §4.6).
    pub directed: Vec<Box<str>>,
    /// Whether it has asked for the roster, and gets its changes (RFC 6121 §2.2).
    pub interested: bool,
    /// Whether it has asked for the blocklist, and gets its changes (XEP-0191 §3.2).
    pub wants_blocklist: bool,
    /// Since when it gets copies of the account's messages (XEP-0280), if it does: microseconds since 1970.
    pub carbons_since_us: Option<u64>,
    /// What waits while its client is inactive (XEP-0352); absent while it is active.
    pub held: Option<Box<Held<Memo>>>,
    /// Its stream management (XEP-0198), if that is on.
    pub managed: Option<Box<Managed>>,
    /// What its presence advertises (XEP-0115).
    pub advertised: Advertised,
    /// What rules see of it, once they have looked.
    pub bearer: Option<Arc<Bearer>>,
}

/// The presence of an available resource.
#[derive(Clone, Debug)]
pub struct Presence {
    /// The priority (RFC 6121 §4.7.2.3).
    pub priority: i8,
    /// Since when the resource takes messages to the account: microseconds since 1970.
    pub since_us: u64,
    /// The stanza with its `from`, shared by all who get it.
    pub stanza: Arc<[u8]>,
}

impl Session {
    /// Its resourcepart.
    pub fn resource(&self) -> &str {
        self.address.resource()
    }

    /// Whether it has got a message that came to the account at `at_us`, addressed to the account or not, and that a
    /// resource of priority `priority` has got.
    pub fn has_got(&self, at_us: u64, is_to_account: bool, priority: i8) -> bool {
        let takes = |presence: &Presence| presence.since_us < at_us && presence.priority == priority && priority >= 0;
        self.carbons_since_us.is_some_and(|since_us| since_us < at_us)
            || (is_to_account && self.presence.as_ref().is_some_and(takes))
    }

    /// What delivery needs to know.
    pub fn state(&self) -> ResourceState {
        ResourceState {
            available: self.presence.is_some(),
            priority: self.presence.as_ref().map_or(0, |presence| presence.priority),
        }
    }
}

/// A session's full JID, as text and as it stands in an attribute.
#[derive(Debug)]
pub struct Address {
    text: Box<str>,
    bare_end: u16,
    /// The same escaped, where that differs.
    escaped: Option<Box<str>>,
}

impl Address {
    /// The address of this full JID.
    pub fn new(jid: &Jid<'_>) -> Address {
        let escaped = escape::attribute_value(jid.as_str());
        let escaped = (escaped != jid.as_str()).then(|| escaped.into_boxed_str());
        Address { text: jid.as_str().into(), bare_end: jid.bare().len() as u16, escaped }
    }

    /// The full JID.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The account's bare JID.
    pub fn bare(&self) -> &str {
        &self.text[..self.bare_end as usize]
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        self.bare().split_once('@').map_or("", |(_, domain)| domain)
    }

    /// The resourcepart.
    pub fn resource(&self) -> &str {
        self.text.get(self.bare_end as usize + 1..).unwrap_or_default()
    }

    /// The full JID, ready to stand in an attribute.
    pub fn escaped(&self) -> &str {
        self.escaped.as_deref().unwrap_or(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_parts_and_an_escaped_form() {
        let address = Address::new(&Jid::parse("juliet@example.org/o'clock & <more>").unwrap());
        assert_eq!(address.bare(), "juliet@example.org");
        assert_eq!((address.domain(), address.resource()), ("example.org", "o'clock & <more>"));
        assert!(!address.escaped().contains(['\'', '<']) && address.escaped().contains("&amp;"));
        let plain = Address::new(&Jid::parse("juliet@example.org/balcony").unwrap());
        assert_eq!(plain.escaped(), plain.as_str());
    }
}
