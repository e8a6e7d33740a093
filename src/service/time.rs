//! Entity time (XEP-0202): the server's clock, in UTC.

use super::{Answer, Context};
use crate::datetime;
use crate::xml::{Element, namespaces};

pub(super) const NAMESPACE: &str = namespaces::TIME;

pub(super) fn answer(_query: &Element, context: &Context<'_>) -> Answer {
    let result = Element::new("time", NAMESPACE)
        .with_child(Element::new("tzo", NAMESPACE).with_text("+00:00"))
        .with_child(Element::new("utc", NAMESPACE).with_text(&datetime::utc_s(context.now_s)));
    Answer::Result(Some(result))
}
