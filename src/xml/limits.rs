//! How much XML one stanza may be.

/// Deepest nesting that any [`Limits`] can allow, so that what walks a tree may recurse.
pub const DEPTH_MAX: usize = 256;

/// Namespace declarations that may be in force in one place, those of the stream header aside: bounds the work of
/// resolving a prefix. The stream header may declare as many prefixes as a `u64` has bits.
pub(super) const DECLARATIONS_MAX: usize = 128;
pub(super) const HEADER_DECLARATIONS_MAX: usize = 64;

/// Bytes of their prefixes and namespaces: they are written into every stanza that relies on them.
pub(super) const HEADER_DECLARATIONS_BYTES_MAX: usize = 1024;

/// Bounds on one stanza (or other element that is a direct child of the stream), and on the stream header.
///
/// Passing one of them is [`XmlError::PolicyViolation`](super::XmlError::PolicyViolation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a stanza from its first `<` to its last `>`; at most `u32::MAX` is used of it. What a stream holds in
    /// memory for a stanza that has not fully arrived is bounded by this.
    pub stanza_bytes: usize,
    /// Nested elements, the stanza itself being the first; at most [`DEPTH_MAX`] is used of it.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Elements within one stanza, at any depth, the stanza itself not counted.
    pub children: usize,
}

/// The same in the size that every stream carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) stanza_bytes: u32,
    pub(super) depth: u32,
    pub(super) attributes: u32,
    pub(super) children: u32,
}

impl From<Limits> for Bounds {
    fn from(limits: Limits) -> Bounds {
        let clamp = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Bounds {
            stanza_bytes: clamp(limits.stanza_bytes),
            depth: clamp(limits.depth.min(DEPTH_MAX)),
            attributes: clamp(limits.attributes),
            children: clamp(limits.children),
        }
    }
}
