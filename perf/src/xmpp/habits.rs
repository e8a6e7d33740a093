//! What a session does first, once it is bound: what clients do, as far as it is wanted.

use super::element::{self, ns};
use super::management;

/// What it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// Stream management that permits to resume (XEP-0198).
    pub management: bool,
    /// Fetches the roster (RFC 6121 §2.1.3), and hears of what is new in it from then on.
    pub roster: bool,
    /// Wants copies of what its account's other sessions send and get (XEP-0280).
    pub carbons: bool,
    /// Is available (RFC 6121 §4.2).
    pub presence: bool,
    /// Says that nobody looks (XEP-0352).
    pub inactive: bool,
}

/// The requests' ids, as they are recognised.
const MARK: &str = "habit-";

impl Habits {
    /// What is to be sent.
    pub fn opening(&self) -> String {
        let roster = format!("<iq type='get' id='{MARK}roster'><query xmlns='{}'/></iq>", ns::ROSTER);
        let carbons = format!("<iq type='set' id='{MARK}carbons'><enable xmlns='{}'/></iq>", ns::CARBONS);
        let inactive = format!("<inactive xmlns='{}'/>", ns::CLIENT_STATE);
        let all = [
            (self.management, management::ENABLE),
            (self.roster, roster.as_str()),
            (self.carbons, carbons.as_str()),
            (self.presence, "<presence/>"),
            (self.inactive, inactive.as_str()),
        ];
        all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, stanza)| stanza).collect()
    }

    /// How many stanzas there are in it, as stream management counts.
    pub fn stanzas(&self) -> u32 {
        u32::from(self.roster) + u32::from(self.carbons) + u32::from(self.presence)
    }
}

/// Which request of [`Habits::opening`] the server has refused, and why, if that is what the stanza says.
pub fn refused(stanza: &[u8]) -> Option<String> {
    if !stanza.starts_with(b"<iq") || !element::is_error(stanza) {
        return None;
    }
    let what = element::attribute(stanza, "id")?.strip_prefix(MARK.as_bytes())?;
    Some(format!("the server refuses {}: {}", String::from_utf8_lossy(what), element::error_condition(stanza)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_sent_and_stream_management_counts_all_of_it() {
        assert_eq!(Habits::default().opening(), "");
        assert_eq!(Habits { presence: true, ..Habits::default() }.opening(), "<presence/>");
        let all = Habits { management: true, roster: true, carbons: true, presence: true, inactive: true }.opening();
        assert!(all.starts_with("<enable "), "{all}");
        assert!(all.ends_with("<presence/><inactive xmlns='urn:xmpp:csi:0'/>"), "{all}");
        let iqs = all.matches("<iq ").count() as u32;
        let habits = Habits { roster: true, carbons: true, presence: true, ..Habits::default() };
        assert_eq!(habits.stanzas(), iqs + 1);
    }

    #[test]
    fn a_refusal_names_the_request() {
        let error = b"<iq type='error' id='habit-carbons' from='a@b'><error type='cancel'><service-unavailable \
            xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
        assert_eq!(refused(error).unwrap(), "the server refuses carbons: service-unavailable");
        assert_eq!(refused(b"<iq type='result' id='habit-carbons'/>"), None);
        assert_eq!(refused(b"<iq type='error' id='other'/>"), None);
    }
}
