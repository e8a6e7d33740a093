//! Result set management (XEP-0059): which page of a result is asked for, and which one is given.
//!
//! The ids of the items are texts of the protocol that has the result; what they mean is up to it.

use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// Advertised by whoever answers a request with pages (XEP-0059 §4).
pub const FEATURES: &[&str] = &[ns::RESULT_SETS];

/// Where a page is in the result.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Place {
    /// At the beginning (§2.1).
    #[default]
    First,
    /// Behind the item of this id (§2.2).
    After(String),
    /// Before the item of this id: the page ends there (§2.3).
    Before(String),
    /// At the end (§2.5).
    Last,
}

/// A page that is asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PageRequest {
    /// Items wanted at most; zero asks for their count only (§2.7).
    pub max: Option<u32>,
    /// Where it is.
    pub place: Place,
}

/// A page that is given: what the requester needs to ask for the next one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PageGiven<'a> {
    /// The ids of its first and its last item; `None` for an empty page, which has neither (§2.2).
    pub ends: Option<(&'a str, &'a str)>,
    /// The position of its first item in the whole result, if that is known.
    pub index: Option<u64>,
    /// Items in the whole result, if that is known.
    pub count: Option<u64>,
}

impl PageRequest {
    /// What is asked for in the `<set/>` within a request; `None` if there is none, and whoever asks may not know of
    /// pages.
    ///
    /// Refused is a page by its index (§2.6), but for the first one: to find it the whole result would have to be
    /// counted. Refused as well is to ask for what lies before one item and behind another, as nothing says which end
    /// of it comes first.
    pub fn parse(request: &Element) -> Result<Option<PageRequest>, Refusal> {
        let Some(set) = request.child("set", ns::RESULT_SETS) else { return Ok(None) };
        let child = |name: &str| set.child(name, ns::RESULT_SETS).map(Element::text);
        match child("index") {
            Some(index) if index.trim() != "0" => return Err(Refusal::feature_not_implemented()),
            // That is the beginning, wherever the others are.
            Some(_) if child("after").or(child("before")).is_some() => return Err(Refusal::bad_request()),
            _ => {}
        }
        let place = match (child("after"), child("before")) {
            (Some(_), Some(_)) => return Err(Refusal::bad_request()),
            (None, Some(id)) if id.is_empty() => Place::Last,
            (None, Some(id)) => Place::Before(id),
            // Behind nothing is before everything (§2.2).
            (Some(id), None) if id.is_empty() => Place::First,
            (Some(id), None) => Place::After(id),
            (None, None) => Place::First,
        };
        let max = child("max").map(|max| max.trim().parse().map_err(|_| Refusal::bad_request())).transpose()?;
        Ok(Some(PageRequest { max, place }))
    }
}

impl PageGiven<'_> {
    /// The `<set/>` within the result.
    pub fn to_element(&self) -> Element {
        let set = Element::new("set", ns::RESULT_SETS);
        let text = |name: &str, text: &str| Element::new(name, ns::RESULT_SETS).with_text(text);
        let set = match (self.ends, self.index) {
            (None, _) => set,
            (Some((first, last)), None) => set.with_child(text("first", first)).with_child(text("last", last)),
            (Some((first, last)), Some(index)) => {
                let first = text("first", first).with_attribute("index", &index.to_string());
                set.with_child(first).with_child(text("last", last))
            }
        };
        match self.count {
            Some(count) => set.with_child(text("count", &count.to_string())),
            None => set,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(children: &str) -> Result<Option<PageRequest>, Refusal> {
        let set = format!("<set xmlns='http://jabber.org/protocol/rsm'>{children}</set>");
        let query = format!("<query xmlns='jabber:iq:search'><nick>Pete</nick>{set}</query>");
        PageRequest::parse(&Element::parse(query.as_bytes()).unwrap())
    }

    fn page(max: Option<u32>, place: Place) -> Result<Option<PageRequest>, Refusal> {
        Ok(Some(PageRequest { max, place }))
    }

    fn written(given: PageGiven<'_>) -> String {
        let mut out = Vec::new();
        given.to_element().write_to(&mut out, ns::CLIENT);
        String::from_utf8(out).unwrap()
    }

    /// The requests of XEP-0059 §2, in their order.
    #[test]
    fn pages_are_asked_for() {
        assert_eq!(parse("<max>10</max>"), page(Some(10), Place::First));
        let id = "peterpan@neverland.lit".to_owned();
        assert_eq!(parse(&format!("<max>10</max><after>{id}</after>")), page(Some(10), Place::After(id.clone())));
        assert_eq!(parse(&format!("<max>10</max><before>{id}</before>")), page(Some(10), Place::Before(id)));
        assert_eq!(parse("<max>10</max><before/>"), page(Some(10), Place::Last));
        assert_eq!(parse("<max>0</max>"), page(Some(0), Place::First));
        assert_eq!(parse(""), page(None, Place::First));
        assert_eq!(parse("<max> 7\n</max><after/>"), page(Some(7), Place::First));
        assert_eq!(parse("<max>10</max><index>0</index>"), page(Some(10), Place::First));
        let query = Element::parse(b"<query xmlns='jabber:iq:search'><set xmlns='a:b'/></query>").unwrap();
        assert_eq!(PageRequest::parse(&query), Ok(None));
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        assert_eq!(parse("<max>10</max><index>371</index>"), Err(Refusal::feature_not_implemented()));
        assert_eq!(parse("<after>a</after><before>b</before>"), Err(Refusal::bad_request()));
        assert_eq!(parse("<after>a</after><before/>"), Err(Refusal::bad_request()));
        assert_eq!(parse("<index>0</index><before/>"), Err(Refusal::bad_request()));
        for max in ["", "-1", "ten", "1.5", "4294967296"] {
            assert_eq!(parse(&format!("<max>{max}</max>")), Err(Refusal::bad_request()), "{max}");
        }
    }

    /// The answers of XEP-0059 §2.2.
    #[test]
    fn pages_are_given() {
        let ends = Some(("stpeter@jabber.org", "peterpan@neverland.lit"));
        assert_eq!(
            written(PageGiven { ends, index: Some(0), count: Some(800) }),
            "<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>stpeter@jabber.org</first>\
             <last>peterpan@neverland.lit</last><count>800</count></set>"
        );
        assert_eq!(
            written(PageGiven { ends, index: None, count: None }),
            "<set xmlns='http://jabber.org/protocol/rsm'><first>stpeter@jabber.org</first>\
             <last>peterpan@neverland.lit</last></set>"
        );
        assert_eq!(
            written(PageGiven { ends: None, index: Some(3), count: Some(790) }),
            "<set xmlns='http://jabber.org/protocol/rsm'><count>790</count></set>"
        );
        assert_eq!(written(PageGiven::default()), "<set xmlns='http://jabber.org/protocol/rsm'/>");
    }
}
