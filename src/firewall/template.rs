//! Expressions: text into which values of the stanza are put (`$<@from|bare>`), and the few pieces of Lua that need no
//! Lua (`$(stanza:top_tag())`).

use std::borrow::Cow;
use std::net::IpAddr;

use super::address::Parts;
use super::escape::unescape;
use super::path::{Found, Path, PathError};
use super::stanza::Stanza;
use super::world::Side;

/// What stands where a value is missing.
pub const UNDEFINED: &str = "<undefined>";

/// Who has brought a stanza: a client's session, or the server itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Origin<'a> {
    /// The full JID of a client's session; none of anything else.
    pub client: Option<&'a str>,
    /// From where it is connected.
    pub address: Option<IpAddr>,
    /// The domain that another server speaks for.
    pub from_host: Option<&'a str>,
    /// The domain that it speaks to.
    pub to_host: Option<&'a str>,
}

impl<'a> Origin<'a> {
    fn client_parts(&self) -> Option<Parts<'a>> {
        self.client.and_then(Parts::of)
    }

    /// The bare JID of the client's account.
    pub fn account(&self) -> Option<&'a str> {
        self.client_parts().map(|parts| parts.bare)
    }

    fn kind(&self) -> &'static str {
        match (self.client, self.from_host) {
            (Some(_), _) => "c2s",
            (None, Some(_)) => "s2sin",
            (None, None) => "local",
        }
    }
}

/// Text with expressions in it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Template {
    segments: Box<[Segment]>,
    /// What it is, if it is nothing but a part of an address.
    part: Option<AddressPart>,
    /// As it was written.
    source: Box<str>,
}

/// An address, or a part of one: what most expressions are.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AddressPart {
    /// Whose.
    pub side: Side,
    /// Which part; all of it if none.
    pub function: Option<Function>,
}

impl AddressPart {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// Its place in a table of all.
    #[inline]
    pub fn place(self) -> usize {
        let function = match self.function {
            None => 0,
            Some(Function::Bare) => 1,
            Some(Function::Node) => 2,
            Some(Function::Host) => 3,
            Some(Function::Resource) => 4,
        };
        function + if self.side == Side::Sender { 0 } else { 5 }
    }

    /// What it is of an address.
    #[inline]
    pub fn of<'a>(self, jid: Option<&'a str>, parts: Option<&Parts<'a>>) -> &'a str {
        let part = match self.function {
            None => jid,
            Some(function) => parts.and_then(|parts| function.part(parts)),
        };
        part.unwrap_or(UNDEFINED)
    }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Segment {
    Text(Box<str>),
    Value { path: Path, functions: Box<[Function]>, default: Option<Box<str>> },
    Lua(Lua),
}

/// What is made of an address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Function {
    Bare,
    Node,
    Host,
    Resource,
}

/// An expression of Lua that can do without it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Lua {
    Stanza,
    TopTag,
    Name,
    Attribute(Box<str>),
    Find(Path),
    Session(Field),
}

/// What is asked of a session.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Field {
    Type,
    Host,
    Address,
    Username,
    Resource,
    FullJid,
    FromHost,
    ToHost,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TemplateError {
    /// Behind a `|`.
    #[error("there is no function {0:?}: bare, node, host or resource is expected")]
    Function(String),
    /// The path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Lua.
    #[error("code expressions need Lua, which is not there; use $<…>, such as $<@from|bare> or $<body#>")]
    Lua,
}

impl Template {
    /// Reads text with expressions.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let mut segments = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            literal.push_str(&rest[..dollar]);
            let behind = &rest[dollar + 1..];
            let (segment, behind) = match (balanced(behind, '(', ')'), balanced(behind, '<', '>')) {
                (Some((code, behind)), _) => (Segment::Lua(Lua::parse(code).ok_or(TemplateError::Lua)?), behind),
                (_, Some((expression, behind))) => (Segment::parse(expression)?, behind),
                _ => {
                    literal.push('$');
                    rest = behind;
                    continue;
                }
            };
            if !literal.is_empty() {
                segments.push(Segment::Text(std::mem::take(&mut literal).into()));
            }
            segments.push(segment);
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() || segments.is_empty() {
            segments.push(Segment::Text(literal.into()));
        }
        let part = if let [segment] = &*segments { segment.address_part() } else { None };
        Ok(Template { segments: segments.into(), part, source: text.into() })
    }

    /// Text in which nothing is an expression.
    pub fn literal(text: &str) -> Template {
        Template { segments: [Segment::Text(text.into())].into(), part: None, source: text.into() }
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it is, if it is nothing but a part of an address.
    #[inline]
    pub(super) fn address_part(&self) -> Option<AddressPart> {
        self.part
    }

    /// Whether there is something of the session in it.
    pub fn names_session(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Lua(Lua::Session(_))))
    }

    /// The text, if it is always the same.
    pub fn constant(&self) -> Option<&str> {
        match &*self.segments {
            [Segment::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text for a stanza. Borrows where it is one value.
    pub fn expand<'s>(&'s self, stanza: &'s Stanza<'_>, origin: &Origin<'s>) -> Cow<'s, str> {
        if let [segment] = &*self.segments {
            return segment.value(stanza, origin);
        }
        let values = self.segments.iter().map(|segment| segment.value(stanza, origin));
        Cow::Owned(values.collect())
    }
}

/// What stands between an opening character at the front and the one that closes it, and what follows.
fn balanced(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let inner = text.strip_prefix(open)?;
    let mut depth = 1usize;
    for (place, character) in inner.char_indices() {
        if character == open {
            depth += 1;
        } else if character == close {
            depth -= 1;
            if depth == 0 {
                return Some((&inner[..place], &inner[place + close.len_utf8()..]));
            }
        }
    }
    None
}

impl Segment {
    fn parse(expression: &str) -> Result<Segment, TemplateError> {
        let (expression, default) = match expression.strip_suffix('"').and_then(|rest| rest.split_once("||\"")) {
            Some((expression, default)) => (expression, Some(unescape(default).into())),
            None => (expression, None),
        };
        let mut parts = expression.split('|');
        let path = Path::parse(parts.next().unwrap_or_default())?;
        let functions = parts.map(Function::parse).collect::<Result<_, _>>()?;
        Ok(Segment::Value { path, functions, default })
    }

    fn address_part(&self) -> Option<AddressPart> {
        let Segment::Value { path, functions, default: None } = self else { return None };
        let side = match path.own_attribute()? {
            "from" => Side::Sender,
            "to" => Side::Addressee,
            _ => return None,
        };
        match **functions {
            [] => Some(AddressPart { side, function: None }),
            [function] => Some(AddressPart { side, function: Some(function) }),
            _ => None,
        }
    }

    fn value<'s>(&'s self, stanza: &'s Stanza<'_>, origin: &Origin<'s>) -> Cow<'s, str> {
        match self {
            Segment::Text(text) => Cow::Borrowed(text),
            Segment::Value { path, functions, default } => {
                let value = found(path, stanza, origin);
                let value = functions.iter().try_fold(value, |value, function| value.map(|value| function.of(value)));
                let default = || Cow::Borrowed(default.as_deref().unwrap_or(UNDEFINED));
                value.flatten().unwrap_or_else(default)
            }
            Segment::Lua(lua) => lua.value(stanza, origin).unwrap_or(Cow::Borrowed("nil")),
        }
    }
}

/// What a path leads to, as text. Without an addressee a client writes to its own account.
fn found<'s>(path: &'s Path, stanza: &'s Stanza<'_>, origin: &Origin<'s>) -> Option<Cow<'s, str>> {
    if path.own_attribute() == Some("to") && stanza.to().is_none() {
        return origin.account().map(Cow::Borrowed);
    }
    stanza.find(path).map(Found::into_text)
}

impl Function {
    fn parse(name: &str) -> Result<Function, TemplateError> {
        Ok(match name {
            "bare" => Function::Bare,
            "node" => Function::Node,
            "host" => Function::Host,
            "resource" => Function::Resource,
            other => return Err(TemplateError::Function(other.to_owned())),
        })
    }

    fn of(self, jid: Cow<'_, str>) -> Option<Cow<'_, str>> {
        match jid {
            Cow::Borrowed(jid) => self.part(&Parts::of(jid)?).map(Cow::Borrowed),
            Cow::Owned(jid) => self.part(&Parts::of(&jid)?).map(|part| Cow::Owned(part.to_owned())),
        }
    }

    #[inline]
    fn part<'a>(self, parts: &Parts<'a>) -> Option<&'a str> {
        match self {
            Function::Bare => Some(parts.bare),
            Function::Node => parts.node,
            Function::Host => Some(parts.host),
            Function::Resource => parts.resource,
        }
    }
}

impl Lua {
    fn parse(code: &str) -> Option<Lua> {
        let code = code.trim();
        if let Some(field) = code.strip_prefix("session.") {
            return Field::parse(field).map(Lua::Session);
        }
        let behind = code.strip_prefix("stanza")?;
        let quoted = |text: &str| -> Option<String> {
            let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let inner = text.get(1..)?.strip_suffix(quote)?;
            (!inner.contains(['"', '\'', '\\'])).then(|| inner.to_owned())
        };
        let argument = |call: &str| quoted(behind.strip_prefix(call)?.strip_suffix(')')?.trim());
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if let Some(name) = behind.strip_prefix(".attr.").filter(|name| is_name(name)) {
            return Some(Lua::Attribute(name.into()));
        }
        if let Some(name) = behind.strip_prefix(".attr[").and_then(|rest| rest.strip_suffix(']')) {
            return quoted(name.trim()).map(|name| Lua::Attribute(name.into()));
        }
        if let Some(name) = argument(":get_child_text(") {
            return Path::parse(&format!("{name}#")).ok().map(Lua::Find);
        }
        if let Some(path) = argument(":find(") {
            return Path::parse(&path).ok().map(Lua::Find);
        }
        match behind {
            "" => Some(Lua::Stanza),
            ".name" => Some(Lua::Name),
            ":top_tag()" => Some(Lua::TopTag),
            _ => None,
        }
    }

    fn value<'s>(&'s self, stanza: &'s Stanza<'_>, origin: &Origin<'s>) -> Option<Cow<'s, str>> {
        match self {
            Lua::Stanza => {
                let mut out = Vec::new();
                stanza.write(&mut out, None);
                Some(Cow::Owned(String::from_utf8_lossy(&out).into_owned()))
            }
            Lua::TopTag => Some(Cow::Owned(stanza.top_tag())),
            Lua::Name => Some(Cow::Borrowed(stanza.name())),
            Lua::Attribute(name) => stanza.attribute(name),
            Lua::Find(path) => stanza.find(path).map(Found::into_text),
            Lua::Session(field) => field.value(origin),
        }
    }
}

impl Field {
    fn parse(name: &str) -> Option<Field> {
        Some(match name {
            "type" => Field::Type,
            "host" => Field::Host,
            "ip" => Field::Address,
            "username" => Field::Username,
            "resource" => Field::Resource,
            "full_jid" => Field::FullJid,
            "from_host" => Field::FromHost,
            "to_host" => Field::ToHost,
            _ => return None,
        })
    }

    fn value<'s>(self, origin: &Origin<'s>) -> Option<Cow<'s, str>> {
        let parts = origin.client_parts();
        let text = match self {
            Field::Type => Some(origin.kind()),
            Field::Address => return origin.address.map(|address| Cow::Owned(address.to_canonical().to_string())),
            Field::Host => parts.map(|parts| parts.host).or(origin.to_host),
            Field::Username => parts.and_then(|parts| parts.node),
            Field::Resource => parts.and_then(|parts| parts.resource),
            Field::FullJid => origin.client,
            Field::FromHost => origin.from_host,
            Field::ToHost => origin.to_host,
        };
        text.map(Cow::Borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Kind, namespaces::CLIENT};

    const M: &str = "<message><body>hi</body><x xmlns='a'><y xmlns='b' k='v'/></x></message>";

    fn expand_from(template: &str, to: Option<&str>, origin: &Origin<'_>) -> String {
        let stanza = Stanza::new(Kind::Message, M.as_bytes(), CLIENT, Some("a@r.example/x"), to, None);
        Template::parse(template).unwrap().expand(&stanza, origin).into_owned()
    }

    fn expand(template: &str) -> String {
        expand_from(template, Some("u@local.example"), &Origin::default())
    }

    #[test]
    fn expressions_are_values_of_the_stanza() {
        let rows = [
            (
                "$<@type> $<@to> $<body#> $<no#> $<@from|bare|host> $$x $<@from|resource>",
                "<undefined> u@local.example hi <undefined> r.example $$x x",
            ),
            ("$<@type||\"normal\">", "normal"),
            ("$<@from||\"normal\">", "a@r.example/x"),
            ("$<no#|bare||\"a\\tb\">", "a\tb"),
            ("$<{a}x/{b}y>", "<y xmlns='b' k='v'/>"),
            ("$<{a}x/{b}y@k|node>", "<undefined>"),
            ("$<@to|node>$<@to|resource>", "u<undefined>"),
            ("$<@from", "$<@from"),
            ("a$", "a$"),
            ("", ""),
        ];
        for (template, expected) in rows {
            assert_eq!(expand(template), expected, "{template}");
        }
        let unknown = TemplateError::Function("nope".into());
        assert_eq!(Template::parse("$<@from|nope>"), Err(unknown));
        assert!(matches!(Template::parse("$<>"), Err(TemplateError::Path(_))));
        assert_eq!(Template::parse("a b").unwrap().constant(), Some("a b"));
        assert_eq!(Template::parse("a $<@to>").unwrap().constant(), None);
    }

    #[test]
    fn without_an_addressee_a_client_writes_to_itself() {
        let client = Origin { client: Some("u@local.example/r"), ..Origin::default() };
        assert_eq!(expand_from("to $<@to>", None, &client), "to u@local.example");
        assert_eq!(expand_from("$<@to|host>", None, &client), "local.example");
        assert_eq!(expand_from("$<@to>", None, &Origin::default()), UNDEFINED);
    }

    #[test]
    fn some_lua_needs_no_lua() {
        let address = "::ffff:192.0.2.1".parse().ok();
        let client = Origin { client: Some("u@l/r"), address, ..Origin::default() };
        let rows = [
            ("$(stanza:top_tag())", "<message from='a@r.example/x' to='u@l'>"),
            ("$( stanza.name )", "message"),
            ("$(stanza.attr.to)/$(stanza.attr[\"from\"])", "u@l/a@r.example/x"),
            ("$(stanza.attr['id'])", "nil"),
            ("$(stanza:get_child_text(\"body\"))", "hi"),
            ("$(stanza:find(\"{a}x/{b}y@k\"))", "v"),
            ("$(session.type) $(session.host) $(session.ip)", "c2s l 192.0.2.1"),
            ("$(session.username) $(session.resource) $(session.full_jid)", "u r u@l/r"),
            ("$(session.from_host)$(session.to_host)", "nilnil"),
        ];
        for (template, expected) in rows {
            assert_eq!(expand_from(template, Some("u@l"), &client), expected, "{template}");
        }
        let whole = format!("<message from='a@r.example/x' to='u@l'>{}", &M["<message>".len()..]);
        assert_eq!(expand_from("$(stanza)", Some("u@l"), &client), whole);
        for code in ["os.time()", "stanza:find(x)", "stanza.attr", "session.secret", "stanza:find('a\"b')", ""] {
            assert_eq!(Template::parse(&format!("$({code})")), Err(TemplateError::Lua), "{code}");
        }
    }
}
