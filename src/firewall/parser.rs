//! Reading a script: lines become definitions, chains and rules.

use super::action::{self, ActionReader};
use super::condition::ConditionReader;
use super::definition::Definition;
use super::lines::{Line, lines};
use super::mistake::{Mistake, Warning};
use super::names::Names;
use super::syntax::{Rule, Step, Test};
use super::{HOOKS, Sources};

/// A script, read.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// What it defines, in its order.
    pub definitions: Vec<(String, Definition)>,
    /// Its chains, each once: its name and its rules.
    pub chains: Vec<(Box<str>, Vec<Rule>)>,
    /// Whether its runs may be followed.
    pub is_traced: bool,
}

/// Reads a script, which is the one of this number and name.
pub(super) fn parse(
    (number, name): (usize, &str),
    text: &str,
    names: &mut Names,
    sources: Sources,
    warnings: &mut Vec<Warning>,
) -> Result<Script, Mistake> {
    let mut reader =
        Reader { script: Script::default(), chain: 0, open: None, names, sources, number, odd: Vec::new() };
    reader.script.chains.push(("deliver".into(), Vec::new()));
    let lines = lines(text);
    for line in &lines {
        reader.line(line)?;
        let oddities = reader.odd.drain(..);
        let warning = |message| Warning { script: name.to_owned(), line: line.number(), message };
        warnings.extend(oddities.map(warning));
    }
    if let Some(rule) = &reader.open
        && rule.actions.is_empty()
        && let Some(last) = lines.last()
    {
        return Err(last.mistake(&last.text[last.text.len()..], NO_ACTION));
    }
    reader.finish();
    Ok(reader.script)
}

const NO_ACTION: &str = "an action is expected, such as DROP. or BOUNCE=policy-violation";

struct Reader<'a> {
    script: Script,
    /// The chain to which rules go.
    chain: usize,
    open: Option<Rule>,
    names: &'a mut Names,
    sources: Sources,
    number: usize,
    odd: Vec<String>,
}

impl Reader<'_> {
    fn line(&mut self, line: &Line) -> Result<(), Mistake> {
        let text = &*line.text;
        if text.starts_with(['#', ';']) {
            return Ok(());
        }
        if text.is_empty() {
            if self.open.as_ref().is_some_and(|rule| rule.actions.is_empty()) {
                return Err(line.mistake(text, NO_ACTION));
            }
            self.finish();
            return Ok(());
        }
        let is_heading = text.starts_with("::") || text.starts_with("@@") || text.starts_with('%');
        if is_heading && self.open.is_some() {
            return Err(line.mistake(text, "a blank line is expected before this one, to end the rule"));
        }
        if let Some(name) = text.strip_prefix("::") {
            return self.heading(line, name.trim_start());
        }
        if let Some(metadata) = text.strip_prefix("@@") {
            return self.metadata(line, metadata);
        }
        if text.starts_with('%') {
            let definition = Definition::parse(line, &mut self.odd)?;
            self.script.definitions.push(definition);
            return Ok(());
        }
        let rule =
            self.open.get_or_insert_with(|| Rule { line: line.number(), conditions: Vec::new(), actions: Vec::new() });
        if action::name_len(text).is_some() {
            let action = ActionReader { line, names: self.names, script: self.number }.read()?;
            rule.actions.push(Step { action, source: text.into() });
            return Ok(());
        }
        if !rule.actions.is_empty() {
            return Err(line.mistake(text, "a blank line is expected before this one, to end the rule"));
        }
        let reader = ConditionReader { line, names: self.names, script: self.number, sources: self.sources };
        let condition = reader.read()?;
        if let Test::Kind(kinds) = &condition.test {
            let unknown = kinds.iter().filter(|kind| !["message", "presence", "iq"].contains(&&***kind));
            self.odd.extend(unknown.map(|kind| format!("no stanza is a {kind:?}")));
        }
        rule.conditions.push(condition);
        Ok(())
    }

    fn heading(&mut self, line: &Line, name: &str) -> Result<(), Mistake> {
        let is_chain = HOOKS.contains(&name) || name.strip_prefix("user/").is_some_and(|rest| !rest.is_empty());
        if !is_chain {
            let message = "there is no such chain: preroute, deliver, deliver_remote or user/… is expected";
            return Err(line.mistake(name, message));
        }
        let known = self.script.chains.iter().position(|(known, _)| **known == *name);
        self.chain = known.unwrap_or_else(|| {
            self.script.chains.push((name.into(), Vec::new()));
            self.script.chains.len() - 1
        });
        Ok(())
    }

    fn metadata(&mut self, line: &Line, metadata: &str) -> Result<(), Mistake> {
        let (key, value) = metadata
            .split_once('=')
            .ok_or_else(|| line.mistake(metadata, "a key, a = and a value are expected: @@ trace = on"))?;
        match key.trim() {
            "trace" => {
                self.script.is_traced = ["on", "true"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes));
            }
            other => self.odd.push(format!("{other:?} means nothing here")),
        }
        Ok(())
    }

    /// The open rule is complete.
    fn finish(&mut self) {
        if let Some(rule) = self.open.take()
            && let Some((_, rules)) = self.script.chains.get_mut(self.chain)
        {
            rules.push(rule);
        }
    }
}
