//! The prefixes that a stream header declares for everything inside the stream.

use super::namespaces;

/// The content of a stream: who talks over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A client and its server: `jabber:client`.
    Client,
    /// Two servers: `jabber:server`.
    Server,
}

impl Content {
    /// The default namespace that the stream header must declare (RFC 6120 §4.8.2).
    pub fn namespace(self) -> &'static str {
        match self {
            Content::Client => namespaces::CLIENT,
            Content::Server => namespaces::SERVER,
        }
    }
}

/// Declarations of a stream header that are not the usual ones. The usual one, which nearly every stream has, is the
/// prefix `stream` alone and is written as `None` where an `Option<&Scope>` is asked for.
#[derive(Debug)]
pub(super) struct Scope {
    /// The qualified name of the stream element, for its end tag.
    pub(super) stream: Box<str>,
    /// Prefixes and their namespaces; never more than a `u64` has bits.
    pub(super) declarations: Vec<(Box<str>, Box<str>)>,
}

const USUAL_PREFIX: &str = "stream";
const USUAL_NAME: &str = "stream:stream";

/// Whether a header with these declarations needs no [`Scope`].
pub(super) fn is_usual(stream: &str, declarations: &[(Box<str>, Box<str>)]) -> bool {
    stream == USUAL_NAME && declarations.iter().all(|(prefix, _)| &**prefix == USUAL_PREFIX)
}

/// The number of the declaration of `prefix`.
pub(super) fn find(scope: Option<&Scope>, prefix: &[u8]) -> Option<u8> {
    match scope {
        None => (prefix == USUAL_PREFIX.as_bytes()).then_some(0),
        Some(scope) => {
            let index = scope.declarations.iter().position(|(declared, _)| declared.as_bytes() == prefix)?;
            u8::try_from(index).ok()
        }
    }
}

/// The prefix and the namespace of a declaration that [`find`] numbered.
pub(super) fn declaration(scope: Option<&Scope>, number: u8) -> (&str, &str) {
    match scope {
        None => (USUAL_PREFIX, namespaces::STREAMS),
        Some(scope) => match scope.declarations.get(number as usize) {
            Some((prefix, namespace)) => (prefix, namespace),
            None => ("", ""),
        },
    }
}

/// The qualified name in the stream's end tag.
pub(super) fn stream_name(scope: Option<&Scope>) -> &str {
    scope.map_or(USUAL_NAME, |scope| &scope.stream)
}

/// All declarations that hold inside the stream, the default namespace aside.
pub(super) fn declarations(scope: Option<&Scope>) -> Vec<(&str, &str)> {
    match scope {
        None => vec![(USUAL_PREFIX, namespaces::STREAMS)],
        Some(scope) => scope.declarations.iter().map(|(prefix, namespace)| (&**prefix, &**namespace)).collect(),
    }
}
