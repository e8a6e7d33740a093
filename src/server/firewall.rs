//! What an operator can ask of the rules that a running server has.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam::channel::Sender;

use super::backend::{PATIENCE, Running, TRACED_MAX, tell_on};
use crate::admin::{Done, Failure, FailureKind, FirewallFacts, ListFacts, RuleFacts};
use crate::firewall::{self, Backend};
use crate::shard::{AskListEntries, FollowRules, FollowedRun, ListChange, Message, WantedRuns};

impl Running {
    fn rules(&self) -> Result<Arc<firewall::Running>, Failure> {
        let none = || Failure::new(FailureKind::Unavailable, "there are no rules: --firewall");
        self.settings.firewall.load_full().ok_or_else(none)
    }

    /// What rules have done since they were read last.
    pub(super) fn firewall_facts(&self) -> Result<FirewallFacts, Failure> {
        let running = self.rules()?;
        let rules = running.hits().into_iter().map(|rule| RuleFacts {
            script: rule.script.to_owned(),
            chain: rule.chain.to_owned(),
            line: rule.line,
            hits: rule.hits,
        });
        let lists = running.rules.lists.iter().enumerate().map(|(number, (name, spec))| {
            let entries = match &spec.backend {
                // What rules and administrators have added is on the shards.
                Backend::Memory { .. } => self.list_entries(name).map(|entries| entries.len()).unwrap_or_default(),
                _ => running.source(number).len(),
            };
            ListFacts { name: name.to_string(), source: spec.backend.to_string(), entries: entries as u64 }
        });
        let (overspent, refused) = running.troubles();
        Ok(FirewallFacts { rules: rules.collect(), lists: lists.collect(), overspent, refused })
    }

    /// What is in a list.
    pub(super) fn list_entries(&self, name: &str) -> Result<Vec<String>, Failure> {
        self.list(name)?;
        let (answer, answers) = crossbeam::channel::bounded(1);
        // All shards have the same, but for what is on its way.
        if let Some(remote) = self.remotes.first() {
            remote.send(Message::ListEntries(Box::new(AskListEntries { name: name.into(), answer })));
        }
        let entries = answers.recv_timeout(PATIENCE).map_err(|_| Failure::busy())?;
        let mut entries = entries.ok_or_else(|| missing(name))?;
        entries.sort_unstable();
        Ok(entries)
    }

    /// Adds a text to a list, or takes it out. Filters are applied as rules do.
    pub(super) fn change_list(&self, name: &str, text: &str, is_added: bool) -> Result<(), Failure> {
        let running = self.rules()?;
        let number = self.list(name)?;
        let (_, spec) = &running.rules.lists[number];
        if matches!(spec.backend, Backend::Web(_)) {
            let text = format!("{name} is what {} has: change it there", spec.backend);
            return Err(Failure::new(FailureKind::Invalid, text));
        }
        let key: Box<str> = firewall::list_key(spec, text.into(), false).into();
        if !is_added && !self.list_entries(name)?.iter().any(|entry| **entry == *key) {
            return Err(Failure::new(FailureKind::NotFound, format!("{key} is not in {name}")));
        }
        for remote in &self.remotes {
            let change = if is_added { ListChange::Add(key.clone()) } else { ListChange::Remove(key.clone()) };
            remote.send(Message::ChangeList(Box::new((name.into(), change))));
        }
        Ok(())
    }

    fn list(&self, name: &str) -> Result<usize, Failure> {
        self.rules()?.rules.list(name).ok_or_else(|| missing(name))
    }

    /// Tells what rules do until nobody listens.
    pub(super) fn follow_rules(&self, wanted: &WantedRuns, tell: &mut dyn FnMut(Done) -> bool) -> Result<(), Failure> {
        self.rules()?;
        let (sender, runs) = crossbeam::channel::bounded(TRACED_MAX);
        let number = self.watches.fetch_add(1, Ordering::Relaxed);
        let follow = |to: Option<Sender<FollowedRun>>| {
            for remote in &self.remotes {
                let follow = FollowRules { number, wanted: wanted.clone(), to: to.clone() };
                remote.send(Message::FollowRules(Box::new(follow)));
            }
        };
        follow(Some(sender));
        tell_on(&runs, Done::Followed, tell);
        follow(None);
        Ok(())
    }
}

fn missing(name: &str) -> Failure {
    Failure::new(FailureKind::NotFound, format!("no rule has a list that is called {name}"))
}
