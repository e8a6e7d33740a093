//! Ping (XEP-0199).

use super::{Answer, Context};
use crate::xml::{Element, namespaces};

pub(super) const NAMESPACE: &str = namespaces::PING;

pub(super) fn answer(_query: &Element, _context: &Context<'_>) -> Answer {
    Answer::Result(None)
}
