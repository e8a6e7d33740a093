//! Result set management (XEP-0059) for items: the list runs from the newest item to the oldest.

use super::error::PubsubError;
use super::markup;
use crate::xml::{Element, namespaces as ns};

/// Which page of a list is wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PageQuery {
    /// Entries at most; zero asks for the count alone (XEP-0059 §2.7).
    pub max: Option<usize>,
    /// Where the page is.
    pub at: PageAt,
}

/// Where a page is in its list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum PageAt {
    /// At the start.
    #[default]
    Start,
    /// Behind an entry.
    After(String),
    /// Before an entry.
    Before(String),
    /// At the end.
    End,
}

impl PageQuery {
    /// Reads the page that a request asks for in its child `<set/>`, if it does.
    pub fn read(request: &Element) -> Result<Option<PageQuery>, PubsubError> {
        let Some(set) = request.child("set", ns::RESULT_SETS) else { return Ok(None) };
        let text = |name| set.child(name, ns::RESULT_SETS).map(Element::text);
        let max = text("max").map(|max| max.trim().parse().map_err(|_| PubsubError::BAD_REQUEST)).transpose()?;
        let at = match (text("after"), text("before"), text("index").as_deref().map(str::trim)) {
            (Some(after), None, None) => PageAt::After(after),
            (None, Some(before), None) if before.is_empty() => PageAt::End,
            (None, Some(before), None) => PageAt::Before(before),
            (None, None, None | Some("0")) => PageAt::Start,
            (None, None, Some(_)) => return Err(PubsubError::NO_INDEX),
            _ => return Err(PubsubError::BAD_REQUEST),
        };
        Ok(Some(PageQuery { max, at }))
    }
}

/// Appends `<set/>`: the ids of the first and the last entry of the page, where the first one stands in the list if
/// that is known, and the count of all entries.
pub fn write(out: &mut Vec<u8>, ends: Option<(&str, &str)>, index: Option<usize>, count: u32) {
    markup::open(out, "set", &[("xmlns", ns::RESULT_SETS)]);
    if let Some((first, last)) = ends {
        let index = index.map(|index| index.to_string());
        let attributes: Vec<_> = index.iter().map(|index| ("index", index.as_str())).collect();
        markup::text(out, "first", &attributes, first);
        markup::text(out, "last", &[], last);
    }
    markup::text(out, "count", &[], &count.to_string());
    markup::close(out, "set");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_as_xep_0059_has_them() {
        let rows = [
            ("<max>10</max>", Ok((Some(10), PageAt::Start))),
            ("<max>10</max><after>a</after>", Ok((Some(10), PageAt::After("a".into())))),
            ("<max>10</max><before>a</before>", Ok((Some(10), PageAt::Before("a".into())))),
            ("<max>10</max><before/>", Ok((Some(10), PageAt::End))),
            ("<max>0</max>", Ok((Some(0), PageAt::Start))),
            ("<index>0</index>", Ok((None, PageAt::Start))),
            ("<index>371</index><max>10</max>", Err(PubsubError::NO_INDEX)),
            ("<max>-1</max>", Err(PubsubError::BAD_REQUEST)),
            ("<after>a</after><before>b</before>", Err(PubsubError::BAD_REQUEST)),
        ];
        for (query, expected) in rows {
            let text = format!("<pubsub><set xmlns='http://jabber.org/protocol/rsm'>{query}</set></pubsub>");
            let read = PageQuery::read(&Element::parse(text.as_bytes()).unwrap());
            assert_eq!(read, expected.map(|(max, at)| Some(PageQuery { max, at })), "{query}");
        }
        assert_eq!(PageQuery::read(&Element::new("pubsub", ns::PUBSUB)), Ok(None));
    }
}
