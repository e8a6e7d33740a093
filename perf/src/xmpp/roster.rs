//! Rosters and subscriptions as a client speaks of them (RFC 6121 §2 and §3).

use super::element::{child, escape, ns, with_element};

/// Puts a contact into the roster.
pub fn set(id: &str, contact: &str) -> String {
    let contact = escape(contact);
    format!("<iq type='set' id='{id}'><query xmlns='{}'><item jid='{contact}'/></query></iq>", ns::ROSTER)
}

/// Asks for the roster.
pub fn get(id: &str) -> String {
    format!("<iq type='get' id='{id}'><query xmlns='{}'/></iq>", ns::ROSTER)
}

/// Permits a contact to see the presence of the account, now or when it asks (§3.4), and asks to see its own. Once both
/// sides have said so, in whatever order, they see each other.
pub fn befriend(contact: &str) -> String {
    let contact = escape(contact);
    format!("<presence type='subscribed' to='{contact}'/><presence type='subscribe' to='{contact}'/>")
}

/// How many contacts there are in the answer to [`get`], and with how many of them the subscription is mutual.
///
/// # Errors
/// The answer is no roster.
pub fn count(stanza: &[u8]) -> Result<(usize, usize), String> {
    with_element(stanza, |iq| {
        let query = child(iq, ns::ROSTER, "query").ok_or("the server sent no roster")?;
        let items = || query.children().filter(|node| node.tag_name().name() == "item");
        Ok((items().count(), items().filter(|item| item.attribute("subscription") == Some("both")).count()))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_counted() {
        let roster = b"<iq type='result' id='1'><query xmlns='jabber:iq:roster'><item jid='a@b' subscription='both'/>\
            <item jid='c@b' subscription='to'/></query></iq>";
        assert_eq!(count(roster), Ok((2, 1)));
        assert!(count(b"<iq type='result' id='1'/>").is_err());
    }

    #[test]
    fn addresses_are_escaped() {
        assert!(set("1", "d'a@b").contains("jid='d&apos;a@b'"));
        assert!(befriend("d'a@b").contains("to='d&apos;a@b'/><presence type='subscribe'"));
    }
}
