//! Reading conditions.

use super::Sources;
use super::address::AddressPattern;
use super::clock::{Days, Times};
use super::definition::is_name;
use super::lines::Line;
use super::mistake::Mistake;
use super::names::{LOCAL_NAME, Names, Use};
use super::path::Path;
use super::pattern::Pattern;
use super::syntax::{Comparison, Condition, Limit, MarkId, Operator, Permission, Place, Role, Test, ZoneId};
use super::template::Template;

/// What a condition is read with.
pub(super) struct ConditionReader<'a> {
    pub line: &'a Line,
    pub names: &'a mut Names,
    pub script: usize,
    pub sources: Sources,
}

impl ConditionReader<'_> {
    /// Reads the line.
    pub fn read(mut self) -> Result<Condition, Mistake> {
        let line = self.line;
        let text = &*line.text;
        let name_end = text.find([':', '=', '.', '?']).unwrap_or(text.len());
        let written = &text[..name_end];
        let (name, is_negated) = without_not(written);
        let name = name.replace(' ', "_");
        let value = text.split_once(':').map(|(_, value)| value);
        let value = value.map(|value| value.strip_prefix(char::is_whitespace).unwrap_or(value));
        let value = value.filter(|value| !value.is_empty());
        let (test, turns) = self.test(&name, value)?;
        Ok(Condition { is_negated: is_negated != turns, test, source: text.into() })
    }

    /// The test of a name and a value; and whether the value turns it round.
    fn test(&mut self, name: &str, value: Option<&str>) -> Result<(Test, bool), Mistake> {
        let line = self.line;
        let simple = match name {
            "TO_SELF" => Some(Test::ToSelf),
            "TO_FULL_JID" => Some(Test::ToFullJid),
            "FROM_FULL_JID" => Some(Test::FromFullJid),
            "SUBSCRIBED" => Some(Test::Subscribed),
            "PENDING_SUBSCRIPTION_FROM_SENDER" => Some(Test::PendingSubscriptionFromSender),
            "SENT_DIRECTED_PRESENCE_TO_SENDER" => Some(Test::SentDirectedPresenceToSender),
            "FROM_ADMIN" => Some(Test::FromAdmin),
            "TO_ADMIN" => Some(Test::ToAdmin),
            _ => None,
        };
        if let Some(test) = simple {
            return Ok((test, false));
        }
        match (name, value) {
            ("IN_ROSTER", value) => return Ok((Test::InRoster, value.is_some_and(|value| !is_yes(value)))),
            ("FROM_COUNTRY", value) => {
                if !self.sources.countries {
                    let message = "FROM COUNTRY needs to know where addresses are: see --geoip";
                    return Err(line.mistake(&line.text, message));
                }
                let place = value.map_or(Some(Place::Known), place);
                let message = "a country is expected: SE, SWE, code=SE, code3=SWE, continent=EU or --";
                let place = place.ok_or_else(|| line.mistake(value.unwrap_or_default(), message))?;
                return Ok((Test::FromCountry(place), false));
            }
            _ => {}
        }
        if !is_known(name) {
            return Err(line.mistake(&line.text, unknown(name)));
        }
        let value = value.ok_or_else(|| line.mistake(&line.text, "a value is expected behind the name and a colon"))?;
        self.test_with(name, value).map(|test| (test, false))
    }

    fn test_with(&mut self, name: &str, value: &str) -> Result<Test, Mistake> {
        let line = self.line;
        let wrong = |message: &str| line.mistake(value, message);
        Ok(match name {
            "KIND" => Test::Kind(words(value)),
            "TYPE" => Test::Type(words(value)),
            "TO" => Test::To(self.address(value)?),
            "FROM" => Test::From(self.address(value)?),
            "TO_EXACTLY" => Test::ToExactly(self.template(value)?),
            "FROM_EXACTLY" => Test::FromExactly(self.template(value)?),
            "ENTERING" => Test::Entering(self.zone(value)?),
            "LEAVING" => Test::Leaving(self.zone(value)?),
            "PAYLOAD" => Test::Payload(value.into()),
            "INSPECT" => self.inspect(value)?,
            "IN_ROSTER_GROUP" => Test::InRosterGroup(value.into()),
            "FROM_GROUP" => Test::FromGroup(self.group(value)?),
            "TO_GROUP" => Test::ToGroup(self.group(value)?),
            "CROSSING_GROUPS" => {
                self.group(value)?;
                let groups = value.split(',').map(str::trim).filter(|name| name.chars().count() > 1);
                let groups: Box<[Box<str>]> = groups.map(Into::into).collect();
                if groups.is_empty() {
                    return Err(wrong("names of groups are expected, parted by commas, of two letters at least"));
                }
                Test::CrossingGroups(groups)
            }
            "MAY" => match value {
                "xmpp:federate" => Test::May(Permission::Federate),
                _ => return Err(wrong("there is no such permission here: xmpp:federate is expected")),
            },
            "FROM_ROLE" => Test::FromRole(role(value).ok_or_else(|| wrong(ROLES))?),
            "TO_ROLE" => Test::ToRole(role(value).ok_or_else(|| wrong(ROLES))?),
            "FROM_ADMIN_OF" => Test::FromAdminOf(self.template(value)?),
            "TO_ADMIN_OF" => Test::ToAdminOf(self.template(value)?),
            "DAY" => {
                let message = "days and ranges of days are expected, such as Mon-Fri, Sunday";
                Test::Day(Days::parse(value).ok_or_else(|| wrong(message))?)
            }
            "TIME" => {
                let message = "times are expected, such as 14:00-15:30, 9am-5:30pm; days belong into DAY";
                Test::Time(Times::parse(value).ok_or_else(|| wrong(message))?)
            }
            "LIMIT" => {
                let (rate, on) = match value.split_once(" on ") {
                    Some((rate, on)) => (rate.trim(), Some(self.template(on.trim())?)),
                    None => (value, None),
                };
                if !is_name(rate) {
                    return Err(wrong("the name of a rate is expected, and perhaps: on $<…>"));
                }
                let used = self.used(value, "RATE", rate);
                Test::Limit(Limit { rate: self.names.rate(rate, used), on, bucket: 0 })
            }
            "ORIGIN_MARKED" => self.mark(value).map(|(mark, age)| Test::OriginMarked(mark, age))?,
            "USER_MARKED" => self.mark(value).map(|(mark, age)| Test::UserMarked(mark, age))?,
            "CHECK_LIST" => {
                let message = "a list and what it contains are expected: banned contains $<@from|bare>";
                let (before, template) = value.split_once(" contains ").ok_or_else(|| wrong(message))?;
                let list = before.split_whitespace().next_back().ok_or_else(|| wrong(message))?;
                let template = self.template(template)?;
                let used = self.used(value, "LIST", list);
                Test::CheckList(self.names.list(list, used), template)
            }
            "SCAN" => {
                let words: Vec<&str> = value.split_whitespace().collect();
                let [search, "for", pattern, "in", list] = *words else {
                    return Err(wrong("a search, a pattern and a list are expected: text for link in badhosts"));
                };
                let (search_used, pattern_used, list_used) = (
                    self.used(value, "SEARCH", search),
                    self.used(value, "PATTERN", pattern),
                    self.used(value, "LIST", list),
                );
                Test::Scan(
                    self.names.search(search, search_used),
                    self.names.pattern(pattern, pattern_used),
                    self.names.list(list, list_used),
                )
            }
            "COUNT" => self.count(value)?,
            "FROM_IP" => Test::FromIp(value.parse().map_err(|_| wrong("an address is expected"))?),
            "FROM_SUBNET" => {
                Test::FromSubnet(value.parse().map_err(|_| wrong("a network is expected, such as 192.0.2.0/24"))?)
            }
            _ => return Err(line.mistake(&line.text, unknown(name))),
        })
    }

    /// How it is told that there is nothing of a name.
    fn used(&self, part: &str, kind: &'static str, name: &str) -> impl FnOnce() -> Use + use<> {
        let mistake = self.line.mistake(part, format!("there is no %{kind} {name}"));
        let script = self.script;
        move || Use { script, mistake }
    }

    fn address(&self, value: &str) -> Result<AddressPattern, Mistake> {
        self.line.read(value, AddressPattern::parse(value))
    }

    fn template(&self, value: &str) -> Result<Template, Mistake> {
        self.line.read(value, Template::parse(value))
    }

    fn zone(&mut self, value: &str) -> Result<ZoneId, Mistake> {
        if value != LOCAL_NAME && !is_name(value) {
            return Err(self.line.mistake(value, "the name of one zone is expected, or $local"));
        }
        let used = self.used(value, "ZONE", value);
        Ok(self.names.zone(value, used))
    }

    fn group(&self, value: &str) -> Result<Box<str>, Mistake> {
        match self.sources.groups {
            true => Ok(value.into()),
            false => Err(self.line.mistake(value, "this needs groups of people: see --groups")),
        }
    }

    fn mark(&mut self, value: &str) -> Result<(MarkId, Option<u64>), Mistake> {
        let (name, age) = value.split_once(" (").map_or((value, None), |(name, age)| (name, Some(age)));
        let wrong = || self.line.mistake(value, "a mark is expected, and perhaps for how long: spam (600s)");
        let age_ms = match age {
            Some(age) => {
                let seconds = age.strip_suffix("s)").and_then(|seconds| seconds.parse::<u64>().ok());
                Some(seconds.ok_or_else(wrong)?.saturating_mul(1000))
            }
            None => None,
        };
        if !is_name(name) {
            return Err(wrong());
        }
        Ok((self.names.mark(name), age_ms))
    }

    fn inspect(&self, value: &str) -> Result<Test, Mistake> {
        let wrong = |message: &str| self.line.mistake(value, message);
        let path = |text: &str| self.line.read(value, Path::parse(text));
        let Some((left, right)) = value.split_once('=') else { return Ok(Test::Inspect(path(value)?, None)) };
        let place = left.trim_end_matches(['~', '/', '$']);
        let is_dynamic = left[place.len()..].contains('$');
        let how = left[place.len()..].replacen('$', "", 1);
        let path = path(place)?;
        if !path.is_value() {
            return Err(wrong("text or an attribute is expected in front of the comparison: body# or x@attribute"));
        }
        let template = || match is_dynamic {
            true => self.template(right),
            false => Ok(Template::literal(right)),
        };
        let comparison = match (&*how, is_dynamic) {
            ("", _) => Comparison::Is(template()?),
            ("/", _) => Comparison::Has(template()?),
            ("~", true) => Comparison::FitsDynamic(template()?),
            ("~", false) => Comparison::Fits(self.line.read(value, Pattern::parse(right.as_bytes()))?),
            _ => return Err(wrong("one of =, /=, ~=, $=, $/= and $~= is expected")),
        };
        Ok(Test::Inspect(path, Some(comparison)))
    }

    fn count(&mut self, value: &str) -> Result<Test, Mistake> {
        let wrong = || self.line.mistake(value, "a pattern, a search and a number are expected: link in text >= 3");
        let operator_at = value.find(['<', '>', '=']).ok_or_else(wrong)?;
        let (left, right) = value.split_at(operator_at);
        let number = right.trim_start_matches(['<', '>', '=']);
        let operator = match &right[..right.len() - number.len()] {
            ">" => Operator::More,
            "<" => Operator::Less,
            ">=" => Operator::AtLeast,
            "<=" => Operator::AtMost,
            "==" | "=" => Operator::Exactly,
            _ => return Err(wrong()),
        };
        let number = number.trim().parse().map_err(|_| wrong())?;
        let words: Vec<&str> = left.split_whitespace().collect();
        let [pattern, "in", search] = *words else { return Err(wrong()) };
        let (pattern_used, search_used) = (self.used(value, "PATTERN", pattern), self.used(value, "SEARCH", search));
        let (pattern, search) = (self.names.pattern(pattern, pattern_used), self.names.search(search, search_used));
        Ok(Test::Count(pattern, search, operator, number))
    }
}

const ROLES: &str = "a role is expected: prosody:guest, prosody:registered, prosody:member, prosody:admin or \
                     prosody:operator";

/// Names of conditions that take a value.
const WITH_VALUE: &[&str] = &[
    "KIND",
    "TYPE",
    "TO",
    "FROM",
    "TO_EXACTLY",
    "FROM_EXACTLY",
    "ENTERING",
    "LEAVING",
    "PAYLOAD",
    "INSPECT",
    "IN_ROSTER_GROUP",
    "FROM_GROUP",
    "TO_GROUP",
    "CROSSING_GROUPS",
    "MAY",
    "FROM_ROLE",
    "TO_ROLE",
    "FROM_ADMIN_OF",
    "TO_ADMIN_OF",
    "DAY",
    "TIME",
    "LIMIT",
    "ORIGIN_MARKED",
    "USER_MARKED",
    "CHECK_LIST",
    "SCAN",
    "COUNT",
    "FROM_IP",
    "FROM_SUBNET",
];

fn is_known(name: &str) -> bool {
    WITH_VALUE.contains(&name)
}

/// What is said of a name that no condition has.
fn unknown(name: &str) -> String {
    let written = name.replace('_', " ");
    match is_known(&name.to_ascii_uppercase()) {
        true if !is_known(name) => format!("there is no condition {written:?}: conditions are written in upper case"),
        _ => format!("there is no condition {written:?}"),
    }
}

/// A name without the word NOT, and whether it was there.
fn without_not(name: &str) -> (String, bool) {
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    let found = name.match_indices("NOT").find(|(place, _)| {
        let before = place.checked_sub(1).and_then(|before| bytes.get(before));
        !is_word(before) && !is_word(bytes.get(place + 3))
    });
    let Some((place, _)) = found else { return (name.trim_start().to_owned(), false) };
    let behind = name[place + 3..].chars();
    let rest = format!("{}{}", &name[..place], { behind }.skip(1).collect::<String>());
    (rest.trim().to_owned(), true)
}

fn is_yes(value: &str) -> bool {
    ["yes", "true"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

fn words(value: &str) -> Box<[Box<str>]> {
    let words = value.split(|character: char| matches!(character, ',' | '|') || character.is_whitespace());
    words.filter(|word| !word.is_empty()).map(Into::into).collect()
}

fn role(name: &str) -> Option<Role> {
    Some(match name {
        "prosody:guest" => Role::Guest,
        "prosody:registered" => Role::Registered,
        "prosody:member" => Role::Member,
        "prosody:admin" | "prosody:operator" => Role::Admin,
        _ => return None,
    })
}

fn place(value: &str) -> Option<Place> {
    let code = |code: &str, length: usize| -> Option<Box<str>> {
        let is_code = code.len() == length && (code.bytes().all(|byte| byte.is_ascii_alphabetic()) || code == "--");
        is_code.then(|| code.to_ascii_uppercase().into())
    };
    match value.split_once('=') {
        Some(("code", value)) => code(value, 2).map(Place::Country),
        Some(("code3", value)) => code(value, 3).map(Place::Country3),
        Some(("continent", value)) => code(value, 2).map(Place::Continent),
        Some(_) => None,
        None => code(value, 2).map(Place::Country).or_else(|| code(value, 3).map(Place::Country3)),
    }
}
