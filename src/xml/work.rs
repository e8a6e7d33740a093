//! What the scanner knows about the element it is reading: where it stands, and the index that becomes the frame.
//!
//! All places are offsets from the first byte of the element (its `<`), so they hold while the buffer moves.

/// A part of the input, from `start` up to but without `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// The span between two places; both are below the limit on stanza bytes, which fits.
    #[inline(always)]
    pub(super) fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    /// The bytes it stands for; empty for a span that is not of `input`.
    #[inline(always)]
    pub(super) fn of(self, input: &[u8]) -> &[u8] {
        input.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A qualified name: `local` is where its part after the colon starts, or its start if it has no colon.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Name {
    pub(super) span: Span,
    pub(super) local: u32,
}

impl Name {
    #[inline(always)]
    pub(super) fn has_prefix(self) -> bool {
        self.local != self.span.start
    }

    /// The part before the colon; empty if there is none.
    #[inline(always)]
    pub(super) fn prefix(self, input: &[u8]) -> &[u8] {
        Span { start: self.span.start, end: self.local.saturating_sub(1) }.of(input)
    }

    #[inline(always)]
    pub(super) fn local(self, input: &[u8]) -> &[u8] {
        Span { start: self.local, end: self.span.end }.of(input)
    }
}

/// Where the name of a namespace is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NamespaceAt {
    /// No namespace (`xmlns=''`).
    None,
    /// The content namespace of the stream.
    #[default]
    Content,
    /// The namespace of the prefix `xml`.
    Xml,
    /// In the input, as it is.
    Input(Span),
    /// In [`Work::decoded`], because the input holds it with references.
    Decoded(Span),
    /// In the stream header's declaration of this number.
    Header(u8),
}

/// A prefix declared on an open element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    pub(super) prefix: Span,
    pub(super) namespace: NamespaceAt,
}

/// An attribute of the start tag; the value is what stands between the quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    pub(super) name: Name,
    pub(super) value: Span,
    pub(super) needs_decoding: bool,
}

/// An element whose end has not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) name: Span,
    /// How many bindings there were outside of it.
    pub(super) bindings: u32,
}

/// A direct child of the stanza.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChildAt {
    pub(super) name: Name,
    pub(super) namespace: NamespaceAt,
    pub(super) bytes: Span,
}

/// What the scanner is about to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// What follows a `<`.
    #[default]
    Less,
    /// The rest of `<!…` that tells a CDATA section from what is forbidden.
    Markup,
    ElementName,
    /// White space, an attribute or the end, within a start tag.
    InTag,
    /// The `>` after the `/` of an empty-element tag.
    Slash,
    AttributeName,
    Equals,
    Quote,
    Value,
    /// A reference, after its `&`.
    Reference,
    Text,
    CData,
    EndName,
    EndSpace,
}

/// The scanner's memory between two calls and, when the element is complete, the index of its frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    pub(super) state: State,
    /// The quote that ends the value being read.
    pub(super) quote: u8,
    /// Whether the reference being read stands in a value, not in text.
    pub(super) in_value: bool,
    /// Whether the value being read differs from what it means.
    pub(super) needs_decoding: bool,
    /// Whether the top element is an empty-element tag.
    pub(super) is_empty: bool,
    /// The next byte to look at. Everything before it has been checked and is not looked at again.
    pub(super) at: usize,
    /// Where the name or value being read starts.
    pub(super) token: usize,
    /// Where the local part of the name being read starts; `token` if no colon has come.
    pub(super) local: usize,
    /// Where the reference being read starts, after its `&`.
    pub(super) reference: usize,
    /// The `<` of the start tag being read.
    pub(super) tag: usize,
    pub(super) element: Name,
    pub(super) attribute: Name,
    /// How many bindings there were before the start tag being read.
    pub(super) outer_bindings: u32,
    /// One bit per kind of attribute name in the start tag being read.
    pub(super) seen: u64,
    /// How many attributes of the start tag have a prefix that must be resolved.
    pub(super) prefixed: u32,
    /// Elements below the top one so far.
    pub(super) elements: u32,

    pub(super) top: Name,
    pub(super) top_namespace: NamespaceAt,
    /// How many of `attributes` belong to the top element.
    pub(super) top_attributes: usize,
    /// What stands between the top element's tags.
    pub(super) content: Span,
    /// One bit per declaration of the stream header that the element relies on.
    pub(super) header_prefixes: u64,

    pub(super) open: Vec<Open>,
    /// The top element's attributes, then those of the start tag being read.
    pub(super) attributes: Vec<Attribute>,
    pub(super) bindings: Vec<Binding>,
    pub(super) children: Vec<ChildAt>,
    pub(super) decoded: Vec<u8>,
}

impl Work {
    /// Ready for a new element whose `<` is the first byte of the input; keeps the lists' memory.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.open.clear();
        self.attributes.clear();
        self.bindings.clear();
        self.children.clear();
        self.decoded.clear();
        self.state = State::Less;
        self.at = 1;
        self.elements = 0;
        self.top_attributes = 0;
        self.header_prefixes = 0;
    }

    /// Gives back the memory that an unusually large element has made the lists take.
    pub(super) fn shrink(&mut self) {
        const ENTRIES_KEPT: usize = 256;
        self.attributes.shrink_to(ENTRIES_KEPT);
        self.bindings.shrink_to(ENTRIES_KEPT);
        self.children.shrink_to(ENTRIES_KEPT);
        self.decoded.shrink_to(ENTRIES_KEPT);
    }

    /// Takes over what a frame needs, into the memory that is already here.
    pub(super) fn take_index(&mut self, other: &Work) {
        self.begin();
        self.at = other.at;
        self.is_empty = other.is_empty;
        self.top = other.top;
        self.top_namespace = other.top_namespace;
        self.top_attributes = other.top_attributes;
        self.content = other.content;
        self.header_prefixes = other.header_prefixes;
        self.attributes.extend_from_slice(other.attributes.get(..other.top_attributes).unwrap_or_default());
        self.bindings.extend_from_slice(&other.bindings);
        self.children.extend_from_slice(&other.children);
        self.decoded.extend_from_slice(&other.decoded);
    }
}
