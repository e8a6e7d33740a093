//! Paths into a stanza (`INSPECT`, `%SEARCH`, `$<…>`): which child of which child, and what of it.

use std::borrow::Cow;

use crate::xml::Part;

/// A path.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Path {
    /// The children to go down through, each the first one that fits.
    steps: Box<[Step]>,
    end: End,
}

/// One child to go down to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Step {
    /// `None`: the parent's.
    namespace: Option<Box<str>>,
    /// `None`: any.
    name: Option<Box<str>>,
}

/// What of the element at the end of a path is meant.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum End {
    Element,
    Text,
    Attribute(Box<str>),
}

/// Why text is no path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PathError {
    /// There is nothing.
    #[error("a path is expected, such as body# or {{namespace}}name@attribute")]
    Empty,
    /// A `{` without its `}`, or with nothing in between.
    #[error("a namespace and a }} are expected behind the {{ of a path")]
    Namespace,
    /// An `@` with nothing behind it.
    #[error("the name of an attribute is expected behind the @")]
    Attribute,
}

/// What a path leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found<'a> {
    /// Text, or the value of an attribute.
    Text(Cow<'a, str>),
    /// An element as XML, or text that stands there as what it means.
    Bytes(&'a [u8]),
}

impl<'a> Found<'a> {
    /// As text.
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Found::Text(text) => text,
            Found::Bytes(bytes) => String::from_utf8_lossy(bytes),
        }
    }

    /// As bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Found::Text(text) => text.as_bytes(),
            Found::Bytes(bytes) => bytes,
        }
    }
}

impl Path {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let mut steps = Vec::new();
        let mut rest = text;
        if rest.is_empty() {
            return Err(PathError::Empty);
        }
        loop {
            if let Some(name) = rest.strip_prefix('@') {
                let name = (!name.is_empty()).then(|| name.into()).ok_or(PathError::Attribute)?;
                return Ok(Path { steps: steps.into(), end: End::Attribute(name) });
            }
            let mut namespace = None;
            if let Some(behind) = rest.strip_prefix('{') {
                let (name, behind) = behind.split_once('}').ok_or(PathError::Namespace)?;
                if name.is_empty() {
                    return Err(PathError::Namespace);
                }
                namespace = Some(name.into());
                rest = behind;
            }
            let end = rest.find(['@', '/', '#']).unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            steps.push(Step { namespace, name: (!name.is_empty()).then(|| name.into()) });
            rest = match behind {
                "" | "/" => return Ok(Path { steps: steps.into(), end: End::Element }),
                "#" => return Ok(Path { steps: steps.into(), end: End::Text }),
                behind => behind.strip_prefix(['/', '#']).unwrap_or(behind),
            };
        }
    }

    /// Whether it leads to an attribute or a text, which can be compared.
    pub fn is_value(&self) -> bool {
        self.end != End::Element
    }

    /// The attribute of the stanza itself that it leads to, if it does.
    pub fn own_attribute(&self) -> Option<&str> {
        match (&*self.steps, &self.end) {
            ([], End::Attribute(name)) => Some(name),
            _ => None,
        }
    }

    /// What is there. For what lies below the stanza itself; its children, if they are known already, are given.
    pub fn find<'a>(&self, stanza: &Part<'_, 'a>, children: impl Iterator<Item = &'a [u8]>) -> Option<Found<'a>> {
        let (step, rest) = self.steps.split_first()?;
        self.descend(stanza, None, children, step, rest)
    }

    fn descend<'a>(
        &self,
        parent: &Part<'_, 'a>,
        own: Option<&str>,
        mut children: impl Iterator<Item = &'a [u8]>,
        step: &Step,
        rest: &[Step],
    ) -> Option<Found<'a>> {
        let content = parent.content();
        let fits = |child: &Part<'_, 'a>| {
            let is_named = step.name.as_deref().is_none_or(|name| child.name() == name.as_bytes());
            is_named && foreign(child, own, content).as_deref() == step.namespace.as_deref().or(own)
        };
        // Only the first one counts: there is no way back.
        let child = children.find_map(|bytes| Some(parent.child(bytes)).filter(fits))?;
        let namespace = || foreign(&child, own, content);
        match (rest.split_first(), &self.end) {
            (Some((step, rest)), _) => self.descend(&child, namespace().as_deref(), child.children(), step, rest),
            (None, End::Element) => Some(Found::Bytes(child.bytes())),
            (None, End::Text) => child.plain_text().map(Found::Bytes).or_else(|| child.text().map(Found::Text)),
            (None, End::Attribute(name)) => match &**name {
                "xmlns" => namespace().map(Found::Text),
                name => attribute(&child, name).map(Found::Text),
            },
        }
    }
}

/// The namespace of an element as scripts see it: none for what is in the stream's own and within nothing foreign.
pub(super) fn foreign<'a>(child: &Part<'_, 'a>, own: Option<&str>, content: &str) -> Option<Cow<'a, str>> {
    let namespace = child.namespace();
    (own.is_some() || namespace != content).then_some(namespace)
}

/// An attribute, by its name as it stands there or as `{namespace}name`.
pub(super) fn attribute<'a>(part: &Part<'_, 'a>, name: &str) -> Option<Cow<'a, str>> {
    let value = match name.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((namespace, name)) => part.attribute_in(namespace, name),
        None => part.attribute(name),
    };
    value.map(|value| value.decoded())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::namespaces::CLIENT;

    fn find(path: &str, stanza: &str) -> Option<String> {
        let part = Part::stanza(stanza.as_bytes(), CLIENT);
        let found = Path::parse(path).unwrap().find(&part, part.children())?;
        Some(String::from_utf8(found.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn paths_lead_down_to_the_first_child_that_fits() {
        let nested = "<message><x xmlns='a'><y xmlns='b' k='v'><z>t</z></y></x><body>hi</body></message>";
        let rows = [
            ("body#", Some("hi")),
            ("body", Some("<body>hi</body>")),
            ("body/", Some("<body>hi</body>")),
            ("#", Some("hi")),
            ("{a}x/{b}y/z#", Some("t")),
            ("{a}x/y", None),
            ("{a}x/{b}y@k", Some("v")),
            ("{a}", Some("<x xmlns='a'><y xmlns='b' k='v'><z>t</z></y></x>")),
            ("{a}x@xmlns", Some("a")),
            ("{jabber:client}body", None),
            ("x", None),
            ("{a}x#", None),
            ("nosuch@k", None),
        ];
        for (path, expected) in rows {
            assert_eq!(find(path, nested).as_deref(), expected, "{path}");
        }
        let two = "<message><a k='1'/><a k='2'/><a><b/></a></message>";
        assert_eq!(find("a@k", two).as_deref(), Some("1"));
        assert_eq!(find("a/b", two), None, "there is no way back");
        let carbon = "<message><f xmlns='f'><message xmlns='jabber:client'><body>b</body></message></f></message>";
        assert_eq!(find("{f}f/{jabber:client}message/body#", carbon).as_deref(), Some("b"));
        assert_eq!(find("{f}f/message", carbon), None);
        assert_eq!(find("a@xml:lang", "<message><a xml:lang='en'/></message>").as_deref(), Some("en"));
        let prefixed = "<message xmlns:p='urn:p'><p:a p:k='v'/></message>";
        assert_eq!(find("{urn:p}a@{urn:p}k", prefixed).as_deref(), Some("v"));
    }

    #[test]
    fn what_is_no_path_is_found_when_it_is_read() {
        for (text, error) in [
            ("", PathError::Empty),
            ("{", PathError::Namespace),
            ("{}a", PathError::Namespace),
            ("a/{b", PathError::Namespace),
            ("a@", PathError::Attribute),
        ] {
            assert_eq!(Path::parse(text), Err(error), "{text}");
        }
        assert_eq!(Path::parse("@to").unwrap().own_attribute(), Some("to"));
        assert!(Path::parse("a#").unwrap().is_value() && !Path::parse("a").unwrap().is_value());
    }
}
