//! What scripts define by name: zones, rates, lists, patterns and searches.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use rondel_shards::Rate;

use super::budget::Budget;
use super::entries::Entries;
use super::escape::unescape;
use super::filter::{Digest, Filter};
use super::lines::Line;
use super::mistake::Mistake;
use super::path::Path;
use super::pattern::{Pattern, Token};

/// Keys of a rate that are remembered, where its definition does not say.
const ENTRIES: usize = 1_000;

/// Keys of a rate that may be remembered at most.
const ENTRIES_MAX: usize = 1_000_000;

/// Entries of a list in memory, where its definition does not say.
pub const MEMORY_ENTRIES: usize = 100_000;

/// Seconds between two looks at a list on the web, where its definition does not say.
const TTL_S: i64 = 3_600;

/// What a definition defines.
#[derive(Clone, Debug, PartialEq)]
pub enum Definition {
    /// `%ZONE`: domains and addresses.
    Zone(Zone),
    /// `%RATE`.
    Rate(RateSpec),
    /// `%LIST`.
    List(ListSpec),
    /// `%PATTERN`.
    Pattern(Pattern),
    /// `%SEARCH`.
    Search(Path),
}

/// Domains, bare JIDs and full JIDs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Zone(pub BTreeSet<Box<str>>);

/// How much of something may happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateSpec {
    /// Events in a second, and at once.
    pub rate: Rate,
    /// Most keys that are told apart.
    pub entries: usize,
    /// Whether the oldest key is forgotten where there is no room for a new one, rather than the new one refused.
    pub overflows: bool,
}

/// A list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListSpec {
    /// Where its entries come from.
    pub backend: Backend,
    /// What is made of a text before it is looked for, added or removed.
    pub filters: Vec<Filter>,
}

/// Where the entries of a list come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Backend {
    /// From rules alone. The entry added longest ago goes when there are this many.
    Memory {
        /// Most entries.
        limit: usize,
    },
    /// From the lines of a file.
    File {
        /// Its path.
        path: String,
        /// Whether it does not matter that it is absent.
        may_be_missing: bool,
    },
    /// From a page on the web.
    Web(Box<WebList>),
    /// From a node of a publish-subscribe service (XEP-0060): the ids of its items.
    Pubsub {
        /// The service: a JID.
        service: String,
        /// The node.
        node: String,
    },
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backend::Memory { .. } => f.write_str("memory"),
            Backend::File { path, .. } => f.write_str(path),
            Backend::Web(web) => f.write_str(&web.url),
            Backend::Pubsub { service, node } => write!(f, "{service}/{node}"),
        }
    }
}

/// A list on the web.
#[derive(Clone, Debug, PartialEq)]
pub struct WebList {
    /// Its address.
    pub url: String,
    /// Seconds between two looks at it; none: never again after the first.
    pub ttl_s: Option<u64>,
    /// What an entry is in it.
    pub pattern: Pattern,
    /// What is made of a text before it is looked for.
    pub hash: Option<Digest>,
    /// Whether its certificate has to be right.
    pub verifies: bool,
}

impl ListSpec {
    /// Whether texts are looked for as they are.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.filters.is_empty() && !matches!(&self.backend, Backend::Web(web) if web.hash.is_some())
    }

    /// The entries in what a source has: the lines of a file, or what the pattern of a list on the web yields.
    pub fn entries_of(&self, source: &[u8]) -> Entries {
        let is_hexadecimal = self.filters.iter().any(|filter| matches!(filter, Filter::Digest(_)));
        let mut entries = Entries::default();
        match &self.backend {
            Backend::File { .. } => {
                let lines = source.strip_suffix(b"\n").unwrap_or(source).split(|byte| *byte == b'\n');
                for line in lines.filter(|_| !source.is_empty()) {
                    entries.insert(&in_case(line, is_hexadecimal));
                }
            }
            Backend::Web(web) => {
                for found in web.pattern.matches(source, &mut Budget::of(u32::MAX)) {
                    if let Token::Text(start, end) = found.token {
                        let is_hexadecimal = is_hexadecimal || web.hash.is_some();
                        entries.insert(&in_case(source.get(start..end).unwrap_or_default(), is_hexadecimal));
                    }
                }
            }
            Backend::Memory { .. } | Backend::Pubsub { .. } => {}
        }
        entries.shrink();
        entries
    }
}

/// Digests are compared in lower case, however they are written.
fn in_case(entry: &[u8], is_hexadecimal: bool) -> Cow<'_, [u8]> {
    if is_hexadecimal { Cow::Owned(entry.to_ascii_lowercase()) } else { Cow::Borrowed(entry) }
}

impl Definition {
    /// Reads `TYPE name: value`. Answers the name too, and adds to `odd` what does no harm.
    pub(super) fn parse(line: &Line, odd: &mut Vec<String>) -> Result<(String, Definition), Mistake> {
        let text = line.text.strip_prefix('%').unwrap_or(&line.text).trim_start();
        let kind = text.split(' ').next().unwrap_or_default();
        if !["ZONE", "RATE", "LIST", "PATTERN", "SEARCH"].contains(&kind) {
            return Err(line.mistake(text, "ZONE, RATE, LIST, PATTERN or SEARCH is expected behind the %"));
        }
        let rest = text[kind.len()..].trim_start_matches(' ');
        let (name, value) =
            rest.split_once(':').ok_or_else(|| line.mistake(rest, "a name and a colon are expected"))?;
        let name = name.trim_end();
        if !is_name(name) {
            let message = format!("{name:?} is no name: a letter is expected, and letters, digits and underscores");
            return Err(line.mistake(rest, message));
        }
        let raw = value.strip_prefix(' ').unwrap_or(value);
        if raw.starts_with('<') && value.starts_with('<') {
            return Err(line.mistake(raw, "values cannot be read from files"));
        }
        if raw.is_empty() {
            return Err(line.mistake(value, "a value is expected"));
        }
        let value = unescape(raw);
        let definition = match kind {
            "ZONE" => Definition::Zone(zone(&value)),
            "RATE" => Definition::Rate(line.read(raw, rate(&value, odd))?),
            "LIST" => Definition::List(line.read(raw, list(&value, odd))?),
            "PATTERN" => Definition::Pattern(line.read(raw, Pattern::parse_repeated(value.as_bytes()))?),
            _ => Definition::Search(line.read(raw, Path::parse(&value))?),
        };
        Ok((name.to_owned(), definition))
    }
}

/// Whether text may name something.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn zone(value: &str) -> Zone {
    let members = value.split([',', ' ', '\t']).filter(|member| !member.is_empty());
    Zone(members.map(Into::into).collect())
}

fn rate(value: &str, odd: &mut Vec<String>) -> Result<RateSpec, String> {
    let (mut burst_s, mut entries, mut overflows) = (1.0, ENTRIES, false);
    let mut rest = value;
    while let Some((_, behind)) = rest.split_once('(') {
        let (option, behind) = behind.split_once(')').ok_or("a ) is expected")?;
        rest = behind;
        match option.trim().split_once(char::is_whitespace).map(|(name, value)| (name, value.trim())) {
            Some(("burst", seconds)) => burst_s = positive(seconds).ok_or("seconds are expected behind burst")?,
            Some(("entries", number)) => {
                let number = number.parse().ok().filter(|number| (1..=ENTRIES_MAX).contains(number));
                entries = number.ok_or_else(|| format!("a number up to {ENTRIES_MAX} is expected behind entries"))?;
            }
            Some(("allow", "overflow")) => overflows = true,
            _ => odd.push(format!("({option}) is no option of a rate, and does nothing")),
        }
    }
    let number = |text: &str| {
        let start = text.find(|first: char| first.is_ascii_digit() || first == '.')?;
        let text = &text[start..];
        positive(&text[..text.find(|other: char| !other.is_ascii_digit() && other != '.').unwrap_or(text.len())])
    };
    let outside = value.split('(').next().unwrap_or_default();
    let per_second = number(outside).or_else(|| number(value)).ok_or("events per second are expected")?;
    let rate = Rate { per_second, burst: per_second * burst_s };
    if rate.burst < 1.0 {
        odd.push("the rate times its burst is less than one event: the limit is always exceeded".into());
    }
    Ok(RateSpec { rate, entries, overflows })
}

fn positive(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

fn list(value: &str, odd: &mut Vec<String>) -> Result<ListSpec, String> {
    let (backend, rest) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
    let rest = rest.trim();
    let options = match rest {
        "" => "",
        rest => {
            let inner = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
            inner.ok_or("options in brackets are expected behind the kind of the list")?
        }
    };
    let options: Vec<(&str, &str)> = options
        .split(',')
        .filter(|option| !option.trim().is_empty())
        .map(|option| {
            let (name, value) = option.split_once(':').ok_or("an option is a name, a colon and a value")?;
            Ok((name.trim(), value.trim()))
        })
        .collect::<Result<_, &str>>()?;
    let option = |name: &str| options.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
    let kind = &backend[..backend.find(|other: char| !other.is_ascii_alphabetic()).unwrap_or(backend.len())];
    let (backend, known): (Backend, &[&str]) = match (kind, backend[kind.len()..].strip_prefix(':')) {
        ("memory", _) => {
            let limit = option("limit").map(|limit| limit.parse().ok().filter(|limit| *limit > 0).ok_or(limit));
            let limit = limit.transpose().map_err(|limit| format!("{limit:?} is no number of entries"))?;
            (Backend::Memory { limit: limit.unwrap_or(MEMORY_ENTRIES) }, &["limit"])
        }
        ("file", Some(path)) if !path.is_empty() => {
            let may_be_missing = option("missing") == Some("ignore");
            (Backend::File { path: path.to_owned(), may_be_missing }, &["missing"])
        }
        ("http" | "https", Some(_)) => (web(backend, &option)?, &["ttl", "pattern", "hash", "checkcert"]),
        ("pubsubitemid", Some(address)) => {
            let (service, node) = address.split_once('/').unwrap_or((address, ""));
            if service.is_empty() || node.is_empty() {
                odd.push("a service and a node are expected behind pubsubitemid: the list stays empty".into());
            }
            (Backend::Pubsub { service: service.to_owned(), node: node.to_owned() }, &[])
        }
        _ => return Err(format!("{backend:?} is no list: memory, file:, http:, https: or pubsubitemid: is expected")),
    };
    let is_known = |name: &str| name == "filter" || known.contains(&name);
    odd.extend(
        options
            .iter()
            .filter(|(name, _)| !is_known(name))
            .map(|(name, _)| format!("{name:?} is no option of this list, and does nothing")),
    );
    let names = option("filter").unwrap_or_default();
    let names =
        names.split(|other: char| !other.is_ascii_alphanumeric() && other != '_').filter(|name| !name.is_empty());
    let filter = |name: &str| {
        let expected = "upper, lower, md5, sha1, sha256, prep, bare or log is expected";
        Filter::parse(name).ok_or_else(|| format!("there is no filter {name:?}: {expected}"))
    };
    let filters = names.map(filter).collect::<Result<_, _>>()?;
    Ok(ListSpec { backend, filters })
}

fn web<'a>(url: &str, option: &impl Fn(&str) -> Option<&'a str>) -> Result<Backend, String> {
    let ttl_s = match option("ttl") {
        Some(ttl) => ttl.parse().map_err(|_| format!("{ttl:?} are no seconds"))?,
        None => TTL_S,
    };
    let pattern = option("pattern").unwrap_or("([^\r\n]+)\r?\n?");
    let pattern = Pattern::parse_repeated(pattern.as_bytes()).map_err(|error| error.to_string())?;
    let hash = match option("hash") {
        Some(name) => Some(Digest::parse(name).ok_or_else(|| format!("there is no digest {name:?}"))?),
        None => None,
    };
    let verifies = option("checkcert") != Some("never");
    let ttl_s = u64::try_from(ttl_s).ok().filter(|ttl_s| *ttl_s > 0);
    Ok(Backend::Web(Box::new(WebList { url: url.to_owned(), ttl_s, pattern, hash, verifies })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::lines::lines;

    fn parse(text: &str) -> Result<(String, Definition), String> {
        Definition::parse(&lines(text)[0], &mut Vec::new()).map_err(|mistake| mistake.message)
    }

    fn oddities(text: &str) -> usize {
        let mut odd = Vec::new();
        Definition::parse(&lines(text)[0], &mut odd).unwrap();
        odd.len()
    }

    #[test]
    fn zones_are_addresses() {
        let (name, zone) = parse("%ZONE z1: a.example, b@c.example d/x,,e").unwrap();
        let members = ["a.example", "b@c.example", "d/x", "e"].map(Into::into);
        assert_eq!((&*name, zone), ("z1", Definition::Zone(Zone(members.into()))));
    }

    #[test]
    fn rates_have_options_in_any_order() {
        let rate = |text: &str| match parse(text).unwrap().1 {
            Definition::Rate(spec) => (spec.rate.per_second, spec.rate.burst, spec.entries, spec.overflows),
            other => panic!("{other:?}"),
        };
        assert_eq!(rate("%RATE r: 1"), (1.0, 1.0, 1_000, false));
        assert_eq!(rate("%RATE r: 0.5 (allow overflow) (burst 10) (entries 7)"), (0.5, 5.0, 7, true));
        assert_eq!(rate("%RATE a_b:50(burst 4)"), (50.0, 200.0, 1_000, false));
        assert_eq!(rate("% RATE  r : 2"), (2.0, 2.0, 1_000, false));
        assert!(parse("%RATE r: many").is_err() && parse("%RATE r: 1 (burst x)").is_err());
        assert!(parse("%RATE r: 1 (entries 0)").is_err() && parse("%RATE r: 1 (burst 2").is_err());
        assert_eq!([oddities("%RATE r: 0.1"), oddities("%RATE r: 1 (bursts 2)"), oddities("%RATE r: 1")], [1, 1, 0]);
    }

    #[test]
    fn lists_have_a_kind_and_options() {
        let list = |text: &str| match parse(text) {
            Ok((_, Definition::List(spec))) => spec,
            other => panic!("{other:?}"),
        };
        assert_eq!(list("%LIST l: memory").backend, Backend::Memory { limit: MEMORY_ENTRIES });
        let spec = list("%LIST l: memory (limit: 2, filter: bare lower)");
        assert_eq!((spec.backend, spec.filters), (Backend::Memory { limit: 2 }, vec![Filter::Bare, Filter::Lower]));
        let path = "/etc/x (y).txt".split(' ').next().unwrap().to_owned();
        assert_eq!(list("%LIST l: file:/etc/x").backend, Backend::File { path: path.clone(), may_be_missing: false });
        assert_eq!(
            list("%LIST l: file:/etc/x (missing: ignore)").backend,
            Backend::File { path, may_be_missing: true }
        );
        let Backend::Web(web) = list("%LIST l: https://x/y?a=b:c (ttl: 0, hash: sha1, checkcert: never)").backend
        else {
            panic!("a list on the web")
        };
        assert_eq!((&*web.url, web.ttl_s, web.verifies), ("https://x/y?a=b:c", None, false));
        assert_eq!(web.hash, Digest::parse("sha1"));
        let service = "rtbl.example".to_owned();
        let pubsub = Backend::Pubsub { service, node: "a/b".into() };
        assert_eq!(list("%LIST l: pubsubitemid:rtbl.example/a/b").backend, pubsub);
        for wrong in [
            "%LIST l: foo:bar",
            "%LIST l: https://x (hash: nope)",
            "%LIST l: memory (filter: nope)",
            "%LIST l: memory (limit)",
            "%LIST l: memory limit: 1",
            "%LIST l: memory (limit: many)",
            "%LIST l: https://x (pattern: [)",
            "%LIST l: file:",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(oddities("%LIST l: https://x (checkcerts: never)"), 1);
        assert_eq!(oddities("%LIST l: pubsubitemid:x"), 1);
    }

    #[test]
    fn escapes_work_in_values() {
        let (_, definition) = parse("%PATTERN lines: [^\\n]+").unwrap();
        assert_eq!(definition, Definition::Pattern(Pattern::parse(b"[^\n]+").unwrap()));
        let (_, definition) = parse("%SEARCH b:body#").unwrap();
        assert_eq!(definition, Definition::Search(Path::parse("body#").unwrap()));
    }

    #[test]
    fn what_is_no_definition() {
        for wrong in
            ["%ZONE x", "%ZONE 1x: y", "%FOO x: y", "%ZONE: y", "%zone x: y", "%PATTERN x: [", "%LIST x:<y", "%ZONE x:"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
