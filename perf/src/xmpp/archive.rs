//! Queries of an archive and what comes back, page by page (XEP-0313, XEP-0059).

use memchr::memmem;

use super::element::{self, child, escape, ns, with_element};

/// Where a page lies in the archive, or in what the filter leaves of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page<'a> {
    /// The oldest messages.
    First,
    /// The newest messages.
    Last,
    /// Those before the message with this id.
    Before(&'a str),
    /// Those after it.
    After(&'a str),
    /// Those since this moment (XEP-0082).
    Since(&'a str),
}

/// What a page was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fin {
    /// There is nothing more in this direction.
    pub complete: bool,
    /// The ids of the first and the last message; `None` of an empty page.
    pub ends: Option<(String, String)>,
}

/// Asks for at most `max` messages.
pub fn query(id: &str, page: Page<'_>, with: Option<&str>, max: u32) -> String {
    let field = |name: &str, value: &str| format!("<field var='{name}'><value>{}</value></field>", escape(value));
    let mut fields = with.map(|with| field("with", with)).unwrap_or_default();
    let place = match page {
        Page::First => String::new(),
        Page::Last => "<before/>".to_owned(),
        Page::Before(id) => format!("<before>{}</before>", escape(id)),
        Page::After(id) => format!("<after>{}</after>", escape(id)),
        Page::Since(stamp) => {
            fields.push_str(&field("start", stamp));
            String::new()
        }
    };
    let form = if fields.is_empty() {
        String::new()
    } else {
        format!(
            "<x xmlns='{}' type='submit'><field var='FORM_TYPE' type='hidden'><value>{}</value></field>{fields}</x>",
            ns::FORM,
            ns::ARCHIVE
        )
    };
    format!(
        "<iq type='set' id='{id}'><query xmlns='{}' queryid='{id}'>{form}<set xmlns='{}'><max>{max}</max>{place}</set>\
         </query></iq>",
        ns::ARCHIVE,
        ns::RESULT_SET
    )
}

/// Whether a stanza brings a message of an archive.
pub fn is_result(stanza: &[u8]) -> bool {
    stanza.starts_with(b"<message") && memmem::find(stanza, ns::ARCHIVE.as_bytes()).is_some()
}

/// When the message that a stanza brings was archived, as it is written there.
pub fn stamp(stanza: &[u8]) -> Option<&str> {
    let delay = &stanza[memmem::find(stanza, b"<delay")?..];
    std::str::from_utf8(element::attribute(delay, "stamp")?).ok()
}

/// Reads the answer to the query with this id; `None` if the stanza is something else.
///
/// # Errors
/// The server refuses the query, or its answer cannot be read.
pub fn fin(stanza: &[u8], id: &str) -> Option<Result<Fin, String>> {
    if !stanza.starts_with(b"<iq") || element::attribute(stanza, "id") != Some(id.as_bytes()) {
        return None;
    }
    if element::is_error(stanza) {
        return Some(Err(format!("the server refuses a page: {}", element::error_condition(stanza))));
    }
    let fin = with_element(stanza, |iq| {
        let fin = child(iq, ns::ARCHIVE, "fin").ok_or("the server ended a page without <fin/>")?;
        let set = child(fin, ns::RESULT_SET, "set");
        let end = |name| set.and_then(|set| child(set, ns::RESULT_SET, name)?.text()).map(str::to_owned);
        Ok(Fin {
            complete: matches!(fin.attribute("complete"), Some("true" | "1")),
            ends: end("first").zip(end("last")),
        })
    });
    Some(fin.and_then(|fin| fin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_say_where_and_with_whom() {
        let first = query("q1", Page::First, None, 50);
        assert!(
            first.contains("queryid='q1'><set xmlns='http://jabber.org/protocol/rsm'><max>50</max></set>"),
            "{first}"
        );
        let last = query("q2", Page::Last, Some("d'a@b"), 50);
        assert!(last.contains("<field var='with'><value>d&apos;a@b</value></field></x><set"), "{last}");
        assert!(last.contains("<before/>"), "{last}");
        assert!(query("q", Page::Before("x"), None, 1).contains("<before>x</before>"));
        assert!(query("q", Page::After("x"), None, 1).contains("<after>x</after>"));
        assert!(query("q", Page::Since("2026-01-01T00:00:00Z"), None, 1).contains("<field var='start'><value>2026-"));
    }

    #[test]
    fn the_end_of_a_page_says_where_it_was() {
        let stanza = b"<iq type='result' id='q1' to='a@b/c'><fin xmlns='urn:xmpp:mam:2' complete='true'>\
            <set xmlns='http://jabber.org/protocol/rsm'><first index='0'>x</first><last>y</last></set></fin></iq>";
        let ends = Some(("x".to_owned(), "y".to_owned()));
        assert_eq!(fin(stanza, "q1"), Some(Ok(Fin { complete: true, ends })));
        assert_eq!(fin(stanza, "q2"), None);
        let empty = b"<iq type='result' id='q1'><fin xmlns='urn:xmpp:mam:2'/></iq>";
        assert_eq!(fin(empty, "q1"), Some(Ok(Fin { complete: false, ends: None })));
        let error = b"<iq type='error' id='q1'><error type='cancel'><item-not-found \
            xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
        assert!(fin(error, "q1").unwrap().unwrap_err().ends_with("item-not-found"));
        assert!(fin(b"<iq type='result' id='q1'/>", "q1").unwrap().is_err());
    }

    #[test]
    fn a_result_is_told_from_a_message() {
        let result = b"<message to='a@b'><result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'>\
            <delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/><message/></forwarded></result></message>";
        assert!(is_result(result) && !is_result(b"<message><body>hi</body></message>"));
        assert_eq!(stamp(result), Some("2026-01-01T00:00:00Z"));
        assert_eq!(stamp(b"<message/>"), None);
    }
}
