//! A stanza as scripts see it: its addresses and its type as the server has them, the rest as its bytes, into which
//! nothing looks before a rule asks. What rules change of it is written anew.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use smallvec::SmallVec;

use super::path::{self, Found, Path};
use crate::xml::{Kind, Part, StartTag, append_child, escape, write_addresses, write_with_default};

/// A stanza on its way.
#[derive(Clone, Debug)]
pub struct Stanza<'a> {
    kind: Kind,
    to: Option<Cow<'a, str>>,
    from: Option<Cow<'a, str>>,
    kind_attribute: Option<Cow<'a, str>>,
    bytes: Cow<'a, [u8]>,
    content: &'static str,
    /// What is known of its start tag, once somebody has asked.
    tag: OnceCell<StartTag>,
    /// Where its children stand, once somebody has asked.
    children: OnceCell<SmallVec<[Range<u32>; 8]>>,
    is_changed: bool,
    /// Its bytes before the first change since it was settled last, and whether there had been changes before.
    before: Option<(Cow<'a, [u8]>, bool)>,
}

impl<'a> Stanza<'a> {
    /// The stanza of these bytes, of a stream whose default namespace is `content`. Its addresses are in normal form;
    /// what stands in the bytes instead does not matter.
    pub fn new(
        kind: Kind,
        bytes: &'a [u8],
        content: &'static str,
        from: Option<&'a str>,
        to: Option<&'a str>,
        kind_attribute: Option<Cow<'a, str>>,
    ) -> Stanza<'a> {
        Stanza {
            kind,
            to: to.map(Cow::Borrowed),
            from: from.map(Cow::Borrowed),
            kind_attribute,
            bytes: Cow::Borrowed(bytes),
            content,
            tag: OnceCell::new(),
            children: OnceCell::new(),
            is_changed: false,
            before: None,
        }
    }

    /// The same, owning all of it: to be kept while something is waited for.
    pub fn into_owned(self) -> Stanza<'static> {
        let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Stanza {
            kind: self.kind,
            to: own(self.to),
            from: own(self.from),
            kind_attribute: own(self.kind_attribute),
            bytes: Cow::Owned(self.bytes.into_owned()),
            content: self.content,
            tag: self.tag,
            children: self.children,
            is_changed: self.is_changed,
            before: self.before.map(|(bytes, is_changed)| (Cow::Owned(bytes.into_owned()), is_changed)),
        }
    }

    /// What was changed stays so, whatever comes.
    pub fn settle(&mut self) {
        self.before = None;
    }

    /// Makes it what it was when it was settled last.
    pub fn restore(&mut self) {
        if let Some((bytes, is_changed)) = self.before.take() {
            (self.bytes, self.is_changed) = (bytes, is_changed);
            (self.tag, self.children) = (OnceCell::new(), OnceCell::new());
        }
    }

    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.before.as_ref().map_or(0, |(bytes, _)| bytes.len())
    }

    /// What kind it is.
    #[inline]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name of its element.
    #[inline]
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Message => "message",
            Kind::Presence => "presence",
            Kind::Iq => "iq",
            Kind::Other => "",
        }
    }

    /// Whom it is for.
    #[inline]
    pub fn to(&self) -> Option<&str> {
        self.to.as_deref()
    }

    /// Who has sent it.
    #[inline]
    pub fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    /// Its type as it stands there.
    #[inline]
    pub fn kind_attribute(&self) -> Option<&str> {
        self.kind_attribute.as_deref()
    }

    /// Its type, with that of one that names none (RFC 6120 §8.1.4).
    #[inline]
    pub fn effective_type(&self) -> Option<&str> {
        let usual = match self.kind {
            Kind::Message => Some("normal"),
            Kind::Presence => Some("available"),
            Kind::Iq | Kind::Other => None,
        };
        self.kind_attribute().or(usual)
    }

    /// Whether it is an answer that none is given to: an error, or the result of an IQ.
    pub fn is_final(&self) -> bool {
        matches!((self.kind, self.kind_attribute()), (_, Some("error")) | (Kind::Iq, Some("result")))
    }

    /// Its bytes: as they came, or changed.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes, if rules have changed them.
    pub fn changed(&self) -> Option<&[u8]> {
        self.is_changed.then_some(&*self.bytes)
    }

    fn part(&self) -> Part<'_, '_> {
        Part::tagged(&self.bytes, *self.tag.get_or_init(|| StartTag::of(&self.bytes)), self.content)
    }

    fn children(&self) -> impl Iterator<Item = &[u8]> {
        let places = self.children.get_or_init(|| {
            let base = self.bytes.as_ptr() as usize;
            let place = |child: &[u8]| {
                let start = child.as_ptr() as usize - base;
                start as u32..(start + child.len()) as u32
            };
            self.part().children().map(place).collect()
        });
        places.iter().map(|place| self.bytes.get(place.start as usize..place.end as usize).unwrap_or_default())
    }

    /// Whether one of its children has this namespace.
    pub fn has_payload(&self, namespace: &str) -> bool {
        let part = self.part();
        self.children().any(|child| path::foreign(&part.child(child), None, self.content).as_deref() == Some(namespace))
    }

    /// What a path leads to.
    pub fn find(&self, path: &Path) -> Option<Found<'_>> {
        match path.own_attribute() {
            Some(name) => self.attribute(name).map(Found::Text),
            None => path.find(&self.part(), self.children()),
        }
    }

    /// An attribute of the stanza itself.
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "to" => self.to().map(Cow::Borrowed),
            "from" => self.from().map(Cow::Borrowed),
            "type" => self.kind_attribute().map(Cow::Borrowed),
            "xmlns" => None,
            name => path::attribute(&self.part(), name),
        }
    }

    /// Appends the stanza with its true addresses, or with another addressee.
    pub fn write(&self, out: &mut Vec<u8>, to: Option<&str>) {
        let escaped = |text: Option<&str>| text.map(escape::attribute_value);
        let (from, to) = (escaped(self.from()), escaped(to.or(self.to())));
        write_addresses(out, &self.bytes, from.as_deref(), to.as_deref());
    }

    /// Its start tag, with its true addresses.
    pub fn top_tag(&self) -> String {
        let mut out = Vec::new();
        let tag = self.part().start_tag();
        self.write(&mut out, None);
        // What the addresses have made longer stands in front of what follows the tag.
        let behind = self.bytes.len() - tag.len();
        out.truncate(out.len() - behind);
        let mut tag = String::from_utf8_lossy(&out).into_owned();
        if tag.ends_with("/>") {
            tag.replace_range(tag.len() - 2.., ">");
        }
        tag
    }

    /// Takes all children of this name and namespace out; any name, or the stanza's own namespace, where there is
    /// none.
    pub fn strip(&mut self, name: Option<&str>, namespace: Option<&str>) {
        let part = self.part();
        let is_it = |child: &[u8]| {
            let child = part.child(child);
            name.is_none_or(|name| child.name() == name.as_bytes())
                && path::foreign(&child, None, self.content).as_deref() == namespace
        };
        let kept: Vec<bool> = self.children().map(|child| !is_it(child)).collect();
        if kept.iter().all(|is_kept| *is_kept) {
            return;
        }
        let places = self.children.get().cloned().unwrap_or_default();
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut copied = 0;
        for place in places.iter().zip(kept).filter(|(_, is_kept)| !is_kept).map(|(place, _)| place) {
            out.extend_from_slice(self.bytes.get(copied..place.start as usize).unwrap_or_default());
            copied = place.end as usize;
        }
        out.extend_from_slice(self.bytes.get(copied..).unwrap_or_default());
        self.take(out);
    }

    /// Adds an element behind the others.
    pub fn inject(&mut self, element: &[u8]) {
        let declared = self.part().attribute("xmlns");
        let is_usual = declared.is_none_or(|declared| declared.is(self.content));
        let mut out = self.bytes.to_vec();
        append_child(&mut out, 0, |out| match is_usual {
            true => out.extend_from_slice(element),
            false => write_with_default(out, element, self.content),
        });
        self.take(out);
    }

    fn take(&mut self, bytes: Vec<u8>) {
        let before = std::mem::replace(&mut self.bytes, Cow::Owned(bytes));
        self.before.get_or_insert((before, self.is_changed));
        (self.tag, self.children) = (OnceCell::new(), OnceCell::new());
        self.is_changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::namespaces::CLIENT;

    fn stanza(text: &str) -> Stanza<'_> {
        Stanza::new(Kind::Message, text.as_bytes(), CLIENT, Some("a@r/x"), Some("u@l"), None)
    }

    fn text(stanza: &Stanza<'_>) -> String {
        String::from_utf8(stanza.bytes().to_vec()).unwrap()
    }

    #[test]
    fn its_own_attributes_are_those_the_server_has() {
        let stanza = stanza("<message from='forged@x' to='U@L' id='1' xml:lang='de'><body>hi</body></message>");
        let value = |name: &str| stanza.attribute(name).map(Cow::into_owned);
        assert_eq!(value("from").as_deref(), Some("a@r/x"));
        assert_eq!(value("to").as_deref(), Some("u@l"));
        assert_eq!((value("id").as_deref(), value("xml:lang").as_deref()), (Some("1"), Some("de")));
        assert_eq!((value("type"), stanza.effective_type()), (None, Some("normal")));
        assert_eq!(stanza.top_tag(), "<message from='a@r/x' to='u@l' id='1' xml:lang='de'>");
        assert!(stanza.changed().is_none());
    }

    #[test]
    fn children_are_taken_out_and_added() {
        let mut all = stanza("<message>1<body/><subject/><x xmlns='a'/>2<y xmlns='a'/></message>");
        assert!(all.has_payload("a") && !all.has_payload(CLIENT));
        all.strip(Some("body"), None);
        all.strip(None, Some("a"));
        assert_eq!(text(&all), "<message>1<subject/>2</message>");
        all.inject(b"<x xmlns='q'/>");
        assert_eq!(all.changed(), Some(&b"<message>1<subject/>2<x xmlns='q'/></message>"[..]));
        assert!(all.has_payload("q") && !all.has_payload("a"));
        all.strip(None, None);
        assert_eq!(text(&all), "<message>12<x xmlns='q'/></message>");
        let mut prefixed = stanza("<c:message xmlns:c='jabber:client' xmlns='urn:x'/>");
        prefixed.inject(b"<body>hi</body>");
        let body = "<body xmlns='jabber:client'>hi</body>";
        assert_eq!(text(&prefixed), format!("<c:message xmlns:c='jabber:client' xmlns='urn:x'>{body}</c:message>"));
    }

    #[test]
    fn it_is_what_it_was_once_more() {
        let mut twice = stanza("<message><body/><x xmlns='a'/></message>");
        twice.strip(Some("body"), None);
        twice.settle();
        twice.inject(b"<y xmlns='b'/>");
        twice.strip(None, Some("a"));
        let mut twice = twice.into_owned();
        assert_eq!((text(&twice), twice.size()), ("<message><y xmlns='b'/></message>".into(), 34 + 32));
        twice.restore();
        assert_eq!(twice.changed(), Some(&b"<message><x xmlns='a'/></message>"[..]));
        assert!(twice.has_payload("a") && !twice.has_payload("b"));
        let mut once = stanza("<message><body/></message>");
        once.strip(Some("body"), None);
        once.restore();
        assert_eq!((text(&once), once.changed()), ("<message><body/></message>".into(), None));
    }

    #[test]
    fn it_is_written_to_somebody_else() {
        let mut out = Vec::new();
        stanza("<message to='U@l' type='chat'/>").write(&mut out, Some("o'neil@x"));
        assert_eq!(String::from_utf8(out).unwrap(), "<message from='a@r/x' to='o&#39;neil@x' type='chat'/>");
    }
}
