//! Reading actions.

use super::definition::is_name;
use super::lines::Line;
use super::mistake::Mistake;
use super::names::{Names, Use};
use super::syntax::{Action, Bounce, ChainName, Level, MarkId, Report};
use super::template::Template;
use crate::jid::Jid;
use crate::xml::{Content, Scratch};

/// What an action is read with.
pub(super) struct ActionReader<'a> {
    pub line: &'a Line,
    pub names: &'a mut Names,
    pub script: usize,
}

/// The length of the name that an action begins with, if the line is one: letters, digits, underscores and blanks, and
/// then a `.` or a `=`.
pub(super) fn name_len(text: &str) -> Option<usize> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' ');
    let end = text.bytes().position(|byte| !is_part(byte))?;
    (end > 0 && matches!(text.as_bytes().get(end), Some(b'.' | b'='))).then_some(end)
}

impl ActionReader<'_> {
    /// Reads the line.
    pub fn read(mut self) -> Result<Action, Mistake> {
        let line = self.line;
        let text = &*line.text;
        let end = name_len(text).unwrap_or(text.len());
        let name = text[..end].to_ascii_uppercase().replace(' ', "_");
        let (value, behind) = match text[end..].strip_prefix('=') {
            Some(value) => (Some(value).filter(|value| !value.is_empty()), ""),
            None => (None, text.get(end + 1..).unwrap_or_default()),
        };
        if !behind.is_empty() {
            return Err(line.mistake(behind, "nothing is expected behind the dot; a value stands behind a ="));
        }
        let without_value = match &*name {
            "PASS" => Some(Action::Pass),
            "DROP" => Some(Action::Drop),
            "DEFAULT" => Some(Action::Default),
            "RETURN" => Some(Action::Return),
            "UNSUBSCRIBE_SENDER" => Some(Action::UnsubscribeSender),
            "BOUNCE" if value.is_none() => Some(Action::Bounce(Bounce::usual())),
            _ => None,
        };
        match (without_value, value) {
            (Some(action), None) => return Ok(action),
            (Some(_), Some(value)) => {
                return Err(line.mistake(value, format!("{name} takes no value: {name}. is expected")));
            }
            _ => {}
        }
        if !NAMES.contains(&&*name) {
            return Err(line.mistake(text, unknown(&name)));
        }
        let value = value.ok_or_else(|| line.mistake(text, format!("a value is expected: {name}=…")))?;
        self.with_value(&name, value)
    }

    fn with_value(&mut self, name: &str, value: &str) -> Result<Action, Mistake> {
        let line = self.line;
        let wrong = |message: &str| line.mistake(value, message);
        Ok(match name {
            "BOUNCE" => Action::Bounce(line.read(value, Bounce::parse(value))?),
            "REDIRECT" => Action::Redirect(self.jid(value)?),
            "COPY" => Action::Copy(self.jid(value)?),
            "FORWARD" => Action::Forward(self.jid(value)?),
            "REPLY" => Action::Reply(value.into()),
            "REPORT_TO" => {
                let (to, rest) = value.split_once(' ').unwrap_or((value, ""));
                let (reason, text) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
                let to = self.jid(to)?;
                let reason = match if reason.is_empty() { "abuse" } else { reason } {
                    reason @ ("spam" | "abuse") => format!("urn:xmpp:reporting:{reason}"),
                    other => other.to_owned(),
                };
                let text = Some(text.trim_start()).filter(|text| !text.is_empty());
                Action::Report(Report { to, reason: reason.into(), text: text.map(Into::into) })
            }
            "STRIP" => {
                let (name, namespace) = value.split_once(' ').map_or((value, None), |(name, rest)| (name, Some(rest)));
                Action::Strip((name != "*").then(|| name.into()), namespace.map(Into::into))
            }
            "INJECT" => {
                let element = value.trim();
                let mut scratch = Scratch::default();
                let is_element = scratch.finished(element.as_bytes(), Content::Client).is_some();
                if !is_element {
                    return Err(wrong("one well-formed element is expected: <x xmlns='urn:example'/>"));
                }
                Action::Inject(element.into())
            }
            "LOG" => {
                let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
                let bracketed = value.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let (level, text) = match bracketed.filter(|(level, _)| is_name(level)) {
                    Some((level, text)) => {
                        let level = Level::parse(level)
                            .ok_or_else(|| wrong("debug, info, warn or error is expected between the brackets"))?;
                        (level, text.strip_prefix(' ').unwrap_or(text))
                    }
                    None => (Level::Info, value),
                };
                Action::Log(level, self.template(text)?)
            }
            "MARK_ORIGIN" => Action::MarkOrigin(self.mark(value)?),
            "UNMARK_ORIGIN" => Action::UnmarkOrigin(self.mark(value)?),
            "MARK_USER" => Action::MarkUser(self.mark(value)?),
            "UNMARK_USER" => Action::UnmarkUser(self.mark(value)?),
            "ADD_TO" => {
                let message = "a list and what to add to it are expected: ADD TO=seen $<@from|bare>";
                let (list, template) = value.split_once(' ').ok_or_else(|| wrong(message))?;
                let mistake = line.mistake(value, format!("there is no %LIST {list}"));
                let script = self.script;
                let template = self.template(template)?;
                Action::AddTo(self.names.list(list, || Use { script, mistake }), template)
            }
            "JUMP_CHAIN" => Action::JumpChain(self.chain(value, value)?),
            "JUMP_EVENT" | "EVENT" => match (value.strip_prefix("firewall/chains/"), name) {
                (Some(chain), "EVENT") => Action::CallChain(self.chain(value, chain)?),
                (Some(chain), _) => Action::JumpChain(self.chain(value, chain)?),
                (None, _) => return Err(wrong("there are no such events here; JUMP CHAIN=user/… runs another chain")),
            },
            "TAG_TRACE" => Action::TagTrace(value.into()),
            _ => return Err(line.mistake(&line.text, unknown(name))),
        })
    }

    fn template(&self, value: &str) -> Result<Template, Mistake> {
        self.line.read(value, Template::parse(value))
    }

    fn jid(&self, value: &str) -> Result<Box<str>, Mistake> {
        match Jid::parse(value) {
            Ok(jid) => Ok(jid.as_str().into()),
            Err(error) => Err(self.line.mistake(value, format!("an address is expected, and {error}"))),
        }
    }

    fn mark(&mut self, value: &str) -> Result<MarkId, Mistake> {
        match is_name(value) {
            true => Ok(self.names.mark(value)),
            false => Err(self.line.mistake(value, "a mark is expected: letters, digits and underscores")),
        }
    }

    fn chain(&mut self, value: &str, name: &str) -> Result<ChainName, Mistake> {
        if !name.starts_with("user/") && !super::HOOKS.contains(&name) {
            let message = "the name of a chain is expected: user/…, preroute, deliver or deliver_remote";
            return Err(self.line.mistake(value, message));
        }
        let mistake = self.line.mistake(value, format!("no script has a chain {name}: nothing happens here"));
        let script = self.script;
        Ok(self.names.chain(name, || Use { script, mistake }))
    }
}

/// Names of actions that take a value.
const NAMES: &[&str] = &[
    "BOUNCE",
    "REDIRECT",
    "COPY",
    "REPLY",
    "FORWARD",
    "REPORT_TO",
    "STRIP",
    "INJECT",
    "LOG",
    "MARK_ORIGIN",
    "UNMARK_ORIGIN",
    "MARK_USER",
    "UNMARK_USER",
    "ADD_TO",
    "JUMP_CHAIN",
    "EVENT",
    "JUMP_EVENT",
    "TAG_TRACE",
];

/// What is said of a name that no action has.
fn unknown(name: &str) -> String {
    let hint = match name {
        "REPORT" => ": REPORT TO= is expected",
        "MAY" => ": MAY is a condition, MAY: is expected",
        "RULEDEP" => ": this is of the generated code alone",
        _ => "",
    };
    format!("there is no action {name}{hint}")
}

/// Conditions of errors, with the type that each has where a rule names none.
const CONDITIONS: &[(&str, &str)] = &[
    ("bad-request", "modify"),
    ("conflict", "cancel"),
    ("feature-not-implemented", "cancel"),
    ("forbidden", "auth"),
    ("gone", "cancel"),
    ("internal-server-error", "cancel"),
    ("item-not-found", "cancel"),
    ("jid-malformed", "modify"),
    ("not-acceptable", "modify"),
    ("not-allowed", "cancel"),
    ("not-authorized", "auth"),
    ("payment-required", "auth"),
    ("policy-violation", "modify"),
    ("recipient-unavailable", "wait"),
    ("redirect", "modify"),
    ("registration-required", "auth"),
    ("remote-server-not-found", "cancel"),
    ("remote-server-timeout", "wait"),
    ("resource-constraint", "wait"),
    ("service-unavailable", "cancel"),
    ("subscription-required", "auth"),
    ("undefined-condition", "cancel"),
    ("unexpected-request", "wait"),
];

impl Bounce {
    /// The error of a rule that names none.
    pub fn usual() -> Bounce {
        Bounce { kind: "cancel", condition: "service-unavailable", text: None }
    }

    /// Reads `condition:type (text)`.
    fn parse(value: &str) -> Result<Bounce, String> {
        let (error, text) = match value.split_once(" (") {
            Some((error, text)) => {
                let end = text.rfind(')').ok_or("a ) is expected at the end of the text")?;
                (error, Some(text[..end].into()))
            }
            None => (value, None),
        };
        let (name, kind) = error.split_once(':').map_or((error, None), |(name, kind)| (name, Some(kind)));
        let name = name.trim();
        let (condition, usual) = CONDITIONS.iter().find(|(known, _)| *known == name).ok_or_else(|| {
            format!("{name:?} is no condition of an error (RFC 6120 section 8.3.3), such as policy-violation")
        })?;
        let kinds = ["auth", "cancel", "continue", "modify", "wait"];
        let kind = match kind.map(str::trim) {
            Some(kind) => kinds.iter().find(|known| **known == kind).ok_or_else(|| {
                format!("{kind:?} is no type of an error: auth, cancel, continue, modify or wait is expected")
            })?,
            None => usual,
        };
        Ok(Bounce { kind, condition, text })
    }
}

impl Level {
    fn parse(name: &str) -> Option<Level> {
        Some(match name {
            "debug" => Level::Debug,
            "info" => Level::Info,
            "warn" => Level::Warn,
            "error" => Level::Error,
            _ => return None,
        })
    }
}
