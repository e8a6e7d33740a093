//! Entity capabilities (XEP-0115): what a client's presence says about it in a hash, the query that finds out what the
//! hash stands for, and the nodes that the client wants to be notified of (`node+notify`, XEP-0060 §9.2).
//!
//! What a hash stands for is remembered for everybody who advertises it, once it has been verified. Somebody who
//! answers something that does not match, or that could stand for more than one thing, speaks for himself alone.

mod advertised;
mod cache;
mod queries;
mod verification;

pub use advertised::{Advertised, Due};
pub use cache::{Answered, CapsCache, CapsLimits, Lookup};
pub use queries::Queries;
pub use verification::{IllFormed, Verification};

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::xml::{Element, namespaces as ns};

/// Bytes of the attributes of `<c/>` at most; those of clients have some dozen.
const ATTRIBUTE_BYTES_MAX: usize = 512;

/// What a presence says about the client's capabilities (XEP-0115 §4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caps {
    /// The software, as an address on the web.
    pub node: Box<str>,
    /// The name of the hash function.
    pub hash: Box<str>,
    /// The verification string.
    pub ver: Box<str>,
}

impl Caps {
    /// Reads `<c/>`. `None` if it is not complete: without a hash function it is of the legacy format, whose strings
    /// nobody can verify.
    pub fn read(c: &Element) -> Option<Caps> {
        let attribute =
            |name| c.attribute(name).filter(|value| !value.is_empty() && value.len() <= ATTRIBUTE_BYTES_MAX);
        let is_caps = c.name == "c" && c.namespace == ns::CAPABILITIES;
        let (node, hash, ver) = (attribute("node")?, attribute("hash")?, attribute("ver")?);
        is_caps.then(|| Caps { node: node.into(), hash: hash.into(), ver: ver.into() })
    }

    /// Tells one hash from another.
    fn fingerprint(&self) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(0, 0);
        hasher.write(self.hash.as_bytes());
        hasher.write(&[0]);
        hasher.write(self.ver.as_bytes());
        hasher.finish()
    }

    /// The node to ask about (XEP-0115 §6.2).
    pub fn query_node(&self) -> String {
        format!("{}#{}", self.node, self.ver)
    }
}

/// The nodes that a client wants to be notified of: a sorted set in one piece, because every resource of every account
/// has one and few are distinct.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Interests(Box<str>);

/// What separates names: the one character that XML cannot hold.
const SEPARATOR: char = '\0';

impl Interests {
    /// The set of these names, of which the first ones in order are kept up to a count and a size.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>, count_max: usize, bytes_max: usize) -> Interests {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let mut all = String::new();
        for name in names.into_iter().take(count_max) {
            if all.len() + name.len() + 1 > bytes_max {
                break;
            }
            all.push_str(name);
            all.push(SEPARATOR);
        }
        Interests(all.into_boxed_str())
    }

    /// Whether the client wants to hear of a node.
    pub fn wants(&self, node: &str) -> bool {
        self.names().any(|name| name == node)
    }

    /// Those that are not among others.
    pub fn without(&self, others: &Interests) -> Interests {
        let new = self.names().filter(|name| !others.wants(name));
        Interests::new(new, usize::MAX, usize::MAX)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split_terminator(SEPARATOR)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests;
