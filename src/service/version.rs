//! Software version (XEP-0092). The operating system is nobody's business.

use super::{Answer, Context};
use crate::xml::{Element, namespaces};

pub(super) const NAMESPACE: &str = namespaces::VERSION;

pub(super) fn answer(_query: &Element, _context: &Context<'_>) -> Answer {
    let field = |name: &str, text: &str| Element::new(name, NAMESPACE).with_text(text);
    let result = Element::new("query", NAMESPACE)
        .with_child(field("name", "Rondel"))
        .with_child(field("version", env!("CARGO_PKG_VERSION")));
    Answer::Result(Some(result))
}
