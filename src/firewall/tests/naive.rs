//! The language as simply as it can be said: scripts as they are read, run rule by rule on a stanza that is a few
//! words.
//! Nothing of it is shared with what runs in the server, but for the reading.

use std::collections::{BTreeMap, BTreeSet};

use crate::firewall::Sources;
use crate::firewall::definition::{Backend, Definition, RateSpec};
use crate::firewall::names::Names;
use crate::firewall::parser::{self, Script};
use crate::firewall::syntax::*;

/// A stanza with children that have nothing but text in them.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    pub name: &'static str,
    pub kind: Option<&'static str>,
    pub from: &'static str,
    /// Name, namespace (none for the stanza's own) and text of each child.
    pub children: Vec<(&'static str, Option<&'static str>, &'static str)>,
}

impl Words {
    pub fn xml(&self) -> String {
        let kind = self.kind.map(|kind| format!(" type='{kind}'")).unwrap_or_default();
        let children: String = self.children.iter().map(|child| child_xml(child)).collect();
        format!("<{0}{kind} from='{1}' to='u@local.example'>{children}</{0}>", self.name, self.from)
    }

    fn bare(&self) -> &'static str {
        self.from.split('/').next().unwrap()
    }
}

pub fn child_xml((name, namespace, text): &(&str, Option<&str>, &str)) -> String {
    let namespace = namespace.map(|namespace| format!(" xmlns='{namespace}'")).unwrap_or_default();
    format!("<{name}{namespace}>{text}</{name}>")
}

/// What a chain ends with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    None,
    False,
    True,
}

pub struct Naive {
    scripts: Vec<Script>,
    names: Names,
    marks: BTreeSet<u32>,
    lists: BTreeMap<u32, Vec<String>>,
    taken: BTreeMap<(usize, String, u32, bool, Option<String>), f64>,
    pub heard: Vec<String>,
    is_changed: bool,
}

impl Naive {
    pub fn of(scripts: &[&str]) -> Naive {
        let mut names = Names::default();
        let read = |(number, text): (usize, &&str)| {
            parser::parse((number, "s"), text, &mut names, Sources::default(), &mut Vec::new()).unwrap()
        };
        let scripts = scripts.iter().enumerate().map(read).collect();
        Naive {
            scripts,
            names,
            marks: BTreeSet::new(),
            lists: BTreeMap::new(),
            taken: BTreeMap::new(),
            heard: Vec::new(),
            is_changed: false,
        }
    }

    fn defined<'n>(&'n self, table: &crate::firewall::names::Table, id: u32) -> &'n Definition {
        let (name, _) = &table.names[id as usize];
        let kind = |definition: &Definition| match definition {
            Definition::Rate(_) => std::ptr::eq(table, &self.names.rates),
            Definition::List(_) => std::ptr::eq(table, &self.names.lists),
            _ => false,
        };
        let mut all = self.scripts.iter().flat_map(|script| &script.definitions);
        all.rfind(|(found, definition)| **found == **name && kind(definition)).map(|(_, it)| it).unwrap()
    }

    /// What becomes of a stanza that is delivered.
    pub fn deliver(&mut self, stanza: &Words) -> String {
        self.heard.clear();
        self.is_changed = false;
        let mut now = stanza.clone();
        let mut end = "pass";
        for script in 0..self.scripts.len() {
            match self.chain(script, "deliver", false, &mut now) {
                (End::None, _) | (End::False, false) => {}
                (End::False, true) => {
                    end = "default";
                    break;
                }
                (End::True, _) => {
                    end = "consumed";
                    break;
                }
            }
        }
        if self.is_changed {
            self.heard.push(now.xml());
        }
        if end != "pass" || self.heard.is_empty() {
            self.heard.push(end.into());
        }
        self.heard.join("; ")
    }

    /// Runs a chain of a script. How it ends, and whether that is because of DEFAULT at the hook itself.
    fn chain(&mut self, script: usize, name: &str, is_jumped: bool, stanza: &mut Words) -> (End, bool) {
        let rules: Vec<Rule> = self.scripts[script]
            .chains
            .iter()
            .filter(|(found, _)| **found == *name)
            .flat_map(|(_, rules)| rules.clone())
            .collect();
        let all: Vec<&Test> = rules.iter().flat_map(|rule| &rule.conditions).map(|condition| &condition.test).collect();
        let is_repeated = |test: &Test| all.iter().filter(|other| ***other == *test).count() > 1;
        let mut memo: Vec<(Test, bool)> = Vec::new();
        let place = (script, name, is_jumped);
        for rule in &rules {
            for condition in &rule.conditions {
                let is_known = memo.iter().any(|(test, _)| *test == condition.test);
                if is_repeated(&condition.test) && !is_known {
                    let holds = self.holds(&condition.test, place, stanza);
                    memo.push((condition.test.clone(), holds));
                }
            }
            let is_true = rule.conditions.iter().all(|condition| {
                let known = memo.iter().find(|(test, _)| *test == condition.test).map(|(_, holds)| *holds);
                let holds = known.unwrap_or_else(|| self.holds(&condition.test, place, stanza));
                holds != condition.is_negated
            });
            if !is_true {
                continue;
            }
            for step in &rule.actions {
                match &step.action {
                    Action::Pass => return (if is_jumped { End::False } else { End::None }, false),
                    Action::Default => return (End::False, !is_jumped),
                    Action::Drop => return (End::True, false),
                    Action::Return => return (End::None, false),
                    Action::Log(_, text) => self.heard.push(format!("log {}", text.constant().unwrap())),
                    Action::Strip(name, namespace) => {
                        let before = stanza.children.len();
                        stanza.children.retain(|(found, within, _)| {
                            name.as_deref().is_some_and(|name| name != *found) || *within != namespace.as_deref()
                        });
                        self.is_changed |= stanza.children.len() < before;
                    }
                    Action::Inject(_) => {
                        stanza.children.push(("a", Some("n"), "y"));
                        self.is_changed = true;
                    }
                    Action::MarkOrigin(mark) => drop(self.marks.insert(mark.0)),
                    Action::UnmarkOrigin(mark) => drop(self.marks.remove(&mark.0)),
                    Action::AddTo(list, _) => {
                        let Definition::List(spec) = self.defined(&self.names.lists, list.0) else { unreachable!() };
                        let Backend::Memory { limit } = spec.backend else { unreachable!() };
                        let entries = self.lists.entry(list.0).or_default();
                        entries.retain(|entry| entry != stanza.bare());
                        entries.push(stanza.bare().into());
                        if entries.len() > limit {
                            entries.remove(0);
                        }
                    }
                    Action::JumpChain(name) | Action::CallChain(name) => {
                        let name = self.names.chains.names[name.index()].0.clone();
                        let mut end = End::None;
                        for script in 0..self.scripts.len() {
                            end = self.chain(script, &name, true, stanza).0;
                            if end != End::None {
                                break;
                            }
                        }
                        match (end, &step.action) {
                            (End::None, _) | (_, Action::CallChain(_)) => {}
                            (End::False, _) => return (if is_jumped { End::False } else { End::None }, false),
                            (End::True, _) => return (End::True, false),
                        }
                    }
                    other => unreachable!("{other:?}"),
                }
            }
        }
        (End::None, false)
    }

    fn holds(&mut self, test: &Test, (script, chain, is_jumped): (usize, &str, bool), stanza: &Words) -> bool {
        match test {
            Test::Kind(names) => names.iter().any(|name| **name == *stanza.name),
            Test::Type(names) => {
                let usual = match stanza.name {
                    "message" => Some("normal"),
                    "presence" => Some("available"),
                    _ => None,
                };
                stanza.kind.or(usual).is_some_and(|kind| names.iter().any(|name| **name == *kind))
            }
            Test::FromExactly(text) => text.constant() == Some(stanza.from),
            Test::Payload(namespace) => stanza.children.iter().any(|(_, within, _)| *within == Some(&**namespace)),
            Test::Inspect(path, comparison) => {
                let written = format!("{path:?}");
                let is_any = written.contains("name: None");
                let name = ["a", "b"].into_iter().find(|name| written.contains(&format!("name: Some({name:?})")));
                let namespace = written.contains("namespace: Some(\"n\")").then_some("n");
                let mut children = stanza.children.iter();
                let found =
                    children.find(|(found, within, _)| (is_any || name == Some(*found)) && *within == namespace);
                let text = found.map(|(_, _, text)| *text);
                match comparison {
                    None => text.is_some(),
                    Some(Comparison::Is(expected)) => text == expected.constant(),
                    Some(Comparison::Has(expected)) => text.unwrap_or_default().contains(expected.constant().unwrap()),
                    Some(other) => unreachable!("{other:?}"),
                }
            }
            Test::OriginMarked(mark, None) => self.marks.contains(&mark.0),
            Test::CheckList(list, _) => {
                self.lists.get(&list.0).is_some_and(|entries| entries.iter().any(|entry| entry == stanza.bare()))
            }
            Test::Limit(limit) => {
                let Definition::Rate(RateSpec { rate, .. }) = *self.defined(&self.names.rates, limit.rate.0) else {
                    unreachable!()
                };
                let key = limit.on.is_some().then(|| stanza.bare().to_owned());
                let place = (script, chain.to_owned(), limit.rate.0, is_jumped && chain == "deliver", key);
                let taken = self.taken.entry(place).or_insert(0.0);
                let is_over = *taken + 1.0 > rate.burst;
                if !is_over {
                    *taken += 1.0;
                }
                is_over
            }
            Test::InRoster => ["friend@r.example", "idol@r.example"].contains(&stanza.bare()),
            other => unreachable!("{other:?}"),
        }
    }
}
