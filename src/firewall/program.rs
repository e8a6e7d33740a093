//! Scripts, put together: what runs. Names have become numbers, tests that a chain has more than once are one, and each
//! chain knows which of its rules can be about a message, a presence or an IQ.

use std::hash::Hasher;

use hashbrown::HashMap;
use siphasher::sip::SipHasher13;

use super::beginning::Beginnings;
use super::blocks::{self, Block};
use super::definition::{Definition, ListSpec, RateSpec, Zone};
use super::mistake::{Mistake, ScriptError, Warning};
use super::names::{Names, Table, Use};
use super::parser::{self, Script};
use super::path::Path;
use super::pattern::Pattern;
use super::syntax::{Action, ChainName, Condition, LOCAL, MarkId, Rule, SearchId, Step, Test};
use super::touches::{Changes, asks_of_session, is_lasting};
use super::{HOOKS, Hook, Sources};
use crate::jid::{bare_of, domain_of};
use crate::xml::Kind;

/// From so many patterns on that are looked for in one text, it is seen first whether any of them can begin.
const PATTERNS_TOGETHER: usize = 3;

/// How deep chains may run each other.
pub const DEPTH_MAX: usize = 32;

/// All scripts, ready to be run. Shared by all shards.
#[derive(Debug, Default)]
pub struct Rules {
    /// The scripts, in order.
    pub scripts: Vec<ScriptFacts>,
    /// Chains of all scripts.
    pub chains: Vec<Chain>,
    /// By hook: the chains that hang there, in the order of the scripts.
    pub hooks: [Box<[u32]>; 3],
    /// By the number of a name: the chains of that name, in the order of the scripts.
    pub named: Vec<Box<[u32]>>,
    /// Zones by number.
    pub zones: Vec<Zone>,
    /// Lists by number, with their names.
    pub lists: Vec<(Box<str>, ListSpec)>,
    /// Patterns by number.
    pub patterns: Vec<Pattern>,
    /// Searches by number.
    pub searches: Vec<Search>,
    /// The names of marks by number.
    pub marks: Vec<Box<str>>,
    /// What is counted, by number.
    pub buckets: Vec<Bucket>,
    /// How many rules there are.
    pub rules: usize,
    /// Whether a rule has to do with the session that a stanza is from.
    pub asks_of_session: bool,
    /// Whether a chain of the hook can be about a kind of stanza.
    concerns: [[bool; 4]; 3],
}

/// What is searched for patterns.
#[derive(Debug)]
pub struct Search {
    /// Where it is.
    pub path: Path,
    /// Finds out at one go whether any of many patterns that are looked for there can begin: mostly none can.
    pub beginnings: Option<Beginnings>,
}

/// What is known of a script.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScriptFacts {
    /// Its name: the path of its file.
    pub name: Box<str>,
    /// Whether it asks for its runs to be followed.
    pub is_traced: bool,
}

/// A chain of one script.
#[derive(Debug)]
pub struct Chain {
    /// The number of the script.
    pub script: usize,
    /// Its name.
    pub name: Box<str>,
    /// Its rules.
    pub rules: Box<[Compiled]>,
    /// Its tests, each once.
    pub tests: Box<[Test]>,
    /// By kind of stanza: the rules to look at.
    pub visits: [Box<[Visit]>; 4],
    /// By kind of stanza: the blocks among them.
    pub blocks: [Box<[Block]>; 4],
    /// What is tested for them, rule by rule.
    pub tested: Box<[Tested]>,
    /// How many tests are remembered in one run.
    pub memos: usize,
    /// The number of its first bucket.
    pub buckets: u32,
    /// The same where it is run by another chain and hangs on a hook too.
    pub jumped_buckets: u32,
}

/// A look at a rule. All that is needed to see that its conditions do not hold is in here, because mostly they do not.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// The rule, by its number in the chain.
    pub rule: u32,
    /// Where that begins which is tested for it.
    pub first: u32,
    /// How many tests are made before the rule, whether it comes to it or not.
    pub early: u16,
    /// How many there are altogether.
    pub all: u16,
    /// Whether the rule can be about this kind of stanza.
    pub is_candidate: bool,
    /// The block that begins with it, counted from 1; 0: none does.
    pub block: u32,
}

/// A rule, put together.
#[derive(Debug)]
pub struct Compiled {
    /// Its number among all rules.
    pub number: usize,
    /// The line that it begins in.
    pub line: u32,
    /// The conditions as they were written: those that hold for every stanza the rule is visited for, and those that
    /// are tested, in their order.
    pub sources: [Box<[Box<str>]>; 2],
    /// What is done.
    pub actions: Box<[Step]>,
}

/// A condition, put together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tested {
    /// The test, by its number in the chain.
    pub test: u32,
    /// Where the answer is remembered, if it is.
    pub memo: Option<u32>,
    /// Whether it holds when the test fails.
    pub is_negated: bool,
}

/// Something that is counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// The same for as long as its definition and its place are.
    pub id: u64,
    /// How much may happen.
    pub spec: RateSpec,
}

/// The place of a kind of stanza in tables.
#[inline]
pub(super) fn place_of(kind: Kind) -> usize {
    match kind {
        Kind::Message => 0,
        Kind::Presence => 1,
        Kind::Iq => 2,
        Kind::Other => 3,
    }
}

const KIND_NAMES: [&str; 3] = ["message", "presence", "iq"];

impl Rules {
    /// Reads scripts, each with its name, and puts them together. Nothing of them holds if there is a mistake in one.
    pub fn load(scripts: &[(&str, &str)], sources: Sources) -> Result<(Rules, Vec<Warning>), ScriptError> {
        let (mut names, mut warnings, mut read) = (Names::default(), Vec::new(), Vec::new());
        for (number, (name, text)) in scripts.iter().enumerate() {
            let script = parser::parse((number, name), text, &mut names, sources, &mut warnings);
            read.push(script.map_err(|mistake| ScriptError { script: (*name).to_owned(), mistake })?);
        }
        let error = |place: &Use| ScriptError {
            script: scripts.get(place.script).map(|(name, _)| (*name).to_owned()).unwrap_or_default(),
            mistake: place.mistake.clone(),
        };
        let mut loader = Loader::new(names);
        let definitions = read.iter_mut().flat_map(|script| std::mem::take(&mut script.definitions));
        definitions.for_each(|(name, definition)| loader.define(&name, definition));
        loader.missing().map_err(|place| error(&place))?;
        let odd = |place: &Use| {
            let ScriptError { script, mistake } = error(place);
            Warning { script, line: mistake.line, message: mistake.message }
        };
        warnings.extend(loader.odd(&read).iter().map(odd));
        let facts = read
            .iter()
            .zip(scripts)
            .map(|(script, (name, _))| ScriptFacts { name: (*name).into(), is_traced: script.is_traced });
        let facts: Vec<ScriptFacts> = facts.collect();
        let rules = loader.finish(read, facts);
        rules.check_jumps().map_err(|(script, mistake)| ScriptError {
            script: scripts.get(script).map(|(name, _)| (*name).to_owned()).unwrap_or_default(),
            mistake,
        })?;
        Ok((rules, warnings))
    }

    /// Whether a chain of the hook can be about such stanzas.
    #[inline]
    pub fn concerns(&self, hook: Hook, kind: Kind) -> bool {
        self.concerns[hook as usize][place_of(kind)]
    }

    /// The number of a list.
    pub fn list(&self, name: &str) -> Option<usize> {
        self.lists.iter().position(|(known, _)| **known == *name)
    }

    /// The name of a mark.
    pub fn mark_name(&self, mark: MarkId) -> Option<&str> {
        self.marks.get(mark.0 as usize).map(|name| &**name)
    }

    /// The number of a mark.
    pub fn mark(&self, name: &str) -> Option<MarkId> {
        self.marks.iter().position(|known| **known == *name).map(|number| MarkId(number as u32))
    }

    /// Rules that send something to a domain that is not served, while there is no way to other servers.
    pub fn sending_elsewhere(&self, serves: impl Fn(&str) -> bool) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for chain in &self.chains {
            for rule in &chain.rules {
                for to in rule.actions.iter().filter_map(|step| recipient(&step.action)) {
                    let domain = domain_of(bare_of(to));
                    if !serves(domain) {
                        let message = format!("nothing can be sent to {to}: {domain} is no domain of this server");
                        warnings.push(Warning {
                            script: self.scripts[chain.script].name.to_string(),
                            line: rule.line,
                            message,
                        });
                    }
                }
            }
        }
        warnings
    }

    /// Chains that run each other in a circle, or too deep.
    fn check_jumps(&self) -> Result<(), (usize, Mistake)> {
        let mut depths: Vec<Option<usize>> = vec![None; self.chains.len()];
        let mut path = Vec::new();
        (0..self.chains.len()).try_for_each(|chain| self.depth(chain, &mut depths, &mut path).map(|_| ()))
    }

    fn depth(
        &self,
        chain: usize,
        depths: &mut Vec<Option<usize>>,
        path: &mut Vec<usize>,
    ) -> Result<usize, (usize, Mistake)> {
        if let Some(depth) = depths[chain] {
            return Ok(depth);
        }
        let mut deepest = 0;
        path.push(chain);
        for rule in &self.chains[chain].rules {
            for name in rule.actions.iter().filter_map(|step| jump(&step.action)) {
                let mistake = |message: String| {
                    let mistake = Mistake { line: rule.line, column: 1, message };
                    (self.chains[chain].script, mistake)
                };
                for target in self.named[name.index()].iter().map(|target| *target as usize) {
                    if path.contains(&target) {
                        let message = format!("this chain is run by {} already: a circle", self.chains[target].name);
                        return Err(mistake(message));
                    }
                    deepest = deepest.max(self.depth(target, depths, path)?);
                    if deepest >= DEPTH_MAX {
                        return Err(mistake(format!("chains run each other more than {DEPTH_MAX} deep")));
                    }
                }
            }
        }
        path.pop();
        depths[chain] = Some(deepest + 1);
        Ok(deepest + 1)
    }
}

/// Whom an action sends something to.
fn recipient(action: &Action) -> Option<&str> {
    match action {
        Action::Redirect(to) | Action::Copy(to) | Action::Forward(to) => Some(to),
        Action::Report(report) => Some(&report.to),
        _ => None,
    }
}

/// The chains that an action runs.
pub(super) fn jump(action: &Action) -> Option<ChainName> {
    match action {
        Action::JumpChain(name) | Action::CallChain(name) => Some(*name),
        _ => None,
    }
}

/// What is known while scripts are put together.
struct Loader {
    names: Names,
    zones: HashMap<u32, Zone>,
    rates: HashMap<u32, RateSpec>,
    lists: HashMap<u32, ListSpec>,
    patterns: HashMap<u32, Pattern>,
    searches: HashMap<u32, Path>,
}

impl Loader {
    fn new(names: Names) -> Loader {
        Loader {
            names,
            zones: HashMap::new(),
            rates: HashMap::new(),
            lists: HashMap::new(),
            patterns: HashMap::new(),
            searches: HashMap::new(),
        }
    }

    /// A later definition takes the place of an earlier one.
    fn define(&mut self, name: &str, definition: Definition) {
        let names = &mut self.names;
        match definition {
            Definition::Zone(zone) => drop(self.zones.insert(names.zones.id(name), zone)),
            Definition::Rate(rate) => drop(self.rates.insert(names.rates.id(name), rate)),
            Definition::List(list) => drop(self.lists.insert(names.lists.id(name), list)),
            Definition::Pattern(pattern) => drop(self.patterns.insert(names.patterns.id(name), pattern)),
            Definition::Search(path) => drop(self.searches.insert(names.searches.id(name), path)),
        }
    }

    /// What is used and not defined.
    fn missing(&self) -> Result<(), Use> {
        let names = &self.names;
        check(&names.rates, &self.rates)?;
        check(&names.lists, &self.lists)?;
        check(&names.patterns, &self.patterns)?;
        check(&names.searches, &self.searches)
    }

    /// What is used, not defined, and may be so.
    fn odd(&self, scripts: &[Script]) -> Vec<Use> {
        let zones = (0u32..).zip(&self.names.zones.names);
        let zones = zones.filter(|(id, _)| *id != LOCAL.0 && !self.zones.contains_key(id)).map(|(_, name)| name);
        let is_there = |name: &str| {
            scripts.iter().flat_map(|script| &script.chains).any(|(chain, rules)| **chain == *name && !rules.is_empty())
        };
        // Scripts have chains that are there to be added to.
        let chains = self.names.chains.names.iter();
        let chains = chains.filter(|(name, _)| !is_there(name) && !name.ends_with("_custom"));
        zones.chain(chains).filter_map(|(_, place)| place.clone()).collect()
    }

    fn finish(mut self, scripts: Vec<Script>, facts: Vec<ScriptFacts>) -> Rules {
        let all = || scripts.iter().flat_map(|script| &script.chains).flat_map(|(_, rules)| rules);
        let changes = Changes::of(all());
        let asks_of_session = all().any(asks_of_session);
        let mut rules = Rules { scripts: facts, asks_of_session, ..Rules::default() };
        let mut hooks: [Vec<u32>; 3] = Default::default();
        let mut named: Vec<Vec<u32>> = vec![Vec::new(); self.names.chains.names.len()];
        for (number, script) in scripts.into_iter().enumerate() {
            for (name, chain_rules) in script.chains {
                if chain_rules.is_empty() {
                    continue;
                }
                let place = rules.chains.len() as u32;
                let hook = HOOKS.iter().position(|hook| **hook == *name);
                let jumped = self.names.chains.get(&name);
                if let Some(hook) = hook {
                    hooks[hook].push(place);
                }
                if let Some(jumped) = jumped {
                    named[jumped as usize].push(place);
                }
                let is_both = hook.is_some() && jumped.is_some();
                let chain = self.chain(&mut rules, number, name, chain_rules, &changes, is_both);
                if let Some(hook) = hook {
                    let concerns = rules.concerns[hook].iter_mut().zip(&chain.visits);
                    concerns.for_each(|(concerns, visits)| *concerns |= !visits.is_empty());
                }
                rules.chains.push(chain);
            }
        }
        rules.hooks = hooks.map(Into::into);
        rules.named = named.into_iter().map(Into::into).collect();
        let names = &self.names;
        rules.zones =
            (0..names.zones.names.len() as u32).map(|id| self.zones.remove(&id).unwrap_or_default()).collect();
        rules.lists = by_number(&names.lists.names, &mut self.lists);
        rules.patterns = by_number(&names.patterns.names, &mut self.patterns).into_iter().map(|(_, it)| it).collect();
        let paths = by_number(&names.searches.names, &mut self.searches);
        rules.searches = (0u32..)
            .zip(paths)
            .map(|(number, (_, path))| Search { path, beginnings: beginnings(SearchId(number), &rules) })
            .collect();
        rules.marks = names.marks.names.iter().map(|(name, _)| name.clone()).collect();
        let mut chains = std::mem::take(&mut rules.chains);
        for Chain { visits, blocks, tested, tests, .. } in &mut chains {
            for (visits, blocks) in visits.iter_mut().zip(blocks) {
                *blocks = blocks::blocks(visits, tested, tests, &rules).into();
            }
        }
        rules.chains = chains;
        rules
    }

    fn chain(
        &self,
        rules: &mut Rules,
        script: usize,
        name: Box<str>,
        chain_rules: Vec<Rule>,
        changes: &Changes,
        is_both: bool,
    ) -> Chain {
        let mut tests: Vec<(Test, usize)> = Vec::new();
        let mut local = Buckets { first: rules.buckets.len() as u32, known: Vec::new() };
        let mut numbered = Vec::new();
        for mut rule in chain_rules {
            let numbers: Vec<u32> = rule
                .conditions
                .iter_mut()
                .map(|condition| {
                    local.assign(&mut condition.test);
                    number_of(&mut tests, condition)
                })
                .collect();
            numbered.push((rule, numbers));
        }
        let repeated = tests.iter().enumerate().filter(|(_, (_, uses))| *uses > 1).map(|(number, _)| number as u32);
        let memos: HashMap<u32, u32> = repeated.zip(0u32..).collect();
        let is_early = |test: u32| memos.contains_key(&test) && !is_lasting(&tests[test as usize].0, changes);
        let mut seen = vec![false; tests.len()];
        let mut visits: [Vec<Visit>; 4] = Default::default();
        let (mut compiled, mut all_tested) = (Vec::new(), Vec::new());
        for (place, (rule, numbers)) in (0u32..).zip(numbered) {
            let tested = |test: u32, is_negated| Tested { test, memo: memos.get(&test).copied(), is_negated };
            let first = all_tested.len();
            for test in &numbers {
                if !std::mem::replace(&mut seen[*test as usize], true) && is_early(*test) {
                    all_tested.push(tested(*test, false));
                }
            }
            let early = all_tested.len() - first;
            let conditions = rule.conditions.iter().zip(&numbers);
            let conditions: Vec<Tested> =
                conditions.map(|(condition, test)| tested(*test, condition.is_negated)).collect();
            let Kinds { kinds, decided } = kinds(&rule.conditions, &conditions);
            let is_decided = |index: &usize| decided.contains(index);
            all_tested.extend(
                conditions.iter().enumerate().filter(|(index, _)| !is_decided(index)).map(|(_, tested)| *tested),
            );
            let all = all_tested.len() - first;
            for (is_candidate, visits) in kinds.into_iter().zip(&mut visits) {
                if is_candidate || early > 0 {
                    let (first, early, all) = (first as u32, early as u16, all as u16);
                    visits.push(Visit { rule: place, first, early, all, is_candidate, block: 0 });
                }
            }
            let sources = rule.conditions.into_iter().map(|condition| condition.source).enumerate();
            let (decided, tested): (Vec<_>, Vec<_>) = sources.partition(|(index, _)| is_decided(index));
            let texts = |sources: Vec<(usize, Box<str>)>| sources.into_iter().map(|(_, source)| source).collect();
            compiled.push(Compiled {
                number: rules.rules + place as usize,
                line: rule.line,
                sources: [texts(decided), texts(tested)],
                actions: rule.actions.into(),
            });
        }
        rules.rules += compiled.len();
        let mut bucket_sets = vec![false];
        bucket_sets.extend(is_both.then_some(true));
        for is_jumped in bucket_sets {
            for (rate, is_keyed) in &local.known {
                let (rate_name, _) = &self.names.rates.names[*rate as usize];
                let Some(spec) = self.rates.get(rate).copied() else { continue };
                let place = [&*rules.scripts[script].name, &*name, &**rate_name];
                rules.buckets.push(Bucket { id: identity(place, spec, *is_keyed, is_jumped), spec });
            }
        }
        let jumped_buckets = local.first + if is_both { local.known.len() as u32 } else { 0 };
        Chain {
            script,
            name,
            rules: compiled.into(),
            tests: tests.into_iter().map(|(test, _)| test).collect(),
            visits: visits.map(Into::into),
            blocks: Default::default(),
            tested: all_tested.into(),
            memos: memos.len(),
            buckets: local.first,
            jumped_buckets,
        }
    }
}

/// Whether all that is used is defined.
fn check<T>(table: &Table, defined: &HashMap<u32, T>) -> Result<(), Use> {
    let mut used = (0u32..).zip(&table.names).filter_map(|(id, (_, place))| Some((id, place.as_ref()?)));
    used.find(|(id, _)| !defined.contains_key(id)).map_or(Ok(()), |(_, place)| Err(place.clone()))
}

fn by_number<T>(names: &[(Box<str>, Option<Use>)], defined: &mut HashMap<u32, T>) -> Vec<(Box<str>, T)> {
    // What is not defined is not used, or it would not have come this far: and numbers are given at definitions too.
    (0u32..).zip(names).filter_map(|(id, (name, _))| Some((name.clone(), defined.remove(&id)?))).collect()
}

/// The buckets of a chain: one for each rate that is used without a key, one table for each that is used with one.
struct Buckets {
    first: u32,
    known: Vec<(u32, bool)>,
}

impl Buckets {
    fn assign(&mut self, test: &mut Test) {
        let Test::Limit(limit) = test else { return };
        let wanted = (limit.rate.0, limit.on.is_some());
        let place = self.known.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            self.known.push(wanted);
            self.known.len() - 1
        });
        limit.bucket = place as u32;
    }
}

/// The number of a test in its chain, counted as used once more.
fn number_of(tests: &mut Vec<(Test, usize)>, condition: &Condition) -> u32 {
    let known = tests.iter().position(|(test, _)| *test == condition.test);
    let place = known.unwrap_or_else(|| {
        tests.push((condition.test.clone(), 0));
        tests.len() - 1
    });
    tests[place].1 += 1;
    place as u32
}

/// What the kind of a stanza decides about a rule.
struct Kinds {
    /// By kind: whether the rule can come to its actions, or to something that counts.
    kinds: [bool; 4],
    /// The conditions, by place, that hold for all those.
    decided: Vec<usize>,
}

fn kinds(conditions: &[Condition], tested: &[Tested]) -> Kinds {
    let (mut kinds, mut decided) = ([true; 4], Vec::new());
    for (index, (condition, tested)) in conditions.iter().zip(tested).enumerate() {
        match &condition.test {
            Test::Kind(names) => {
                for (kind, may) in KIND_NAMES.iter().zip(&mut kinds) {
                    *may &= names.iter().any(|name| **name == **kind) != condition.is_negated;
                }
                decided.push(index);
            }
            // It counts whatever comes after it says, unless it has counted before the rule.
            Test::Limit(_) if tested.memo.is_none() => break,
            _ => {}
        }
    }
    // What is no stanza is no rule's business.
    kinds[3] = false;
    Kinds { kinds, decided }
}

/// What finds the beginnings of the patterns that are looked for in a search, if there are enough of them.
fn beginnings(search: SearchId, rules: &Rules) -> Option<Beginnings> {
    let tests = rules.chains.iter().flat_map(|chain| &chain.tests);
    let patterns = tests.filter_map(|test| match test {
        Test::Scan(found, pattern, _) | Test::Count(pattern, found, ..) if *found == search => Some(*pattern),
        _ => None,
    });
    let prefixes: Vec<&[u8]> = patterns.filter_map(|pattern| rules.patterns.get(pattern.index())?.prefix()).collect();
    if prefixes.len() < PATTERNS_TOGETHER { None } else { Beginnings::of(prefixes) }
}

/// What a bucket is known by: the same as long as nothing of this changes.
fn identity(place: [&str; 3], spec: RateSpec, is_keyed: bool, is_jumped: bool) -> u64 {
    let mut hasher = SipHasher13::new();
    for part in place {
        hasher.write(part.as_bytes());
        hasher.write_u8(0);
    }
    hasher.write_u64(spec.rate.per_second.to_bits());
    hasher.write_u64(spec.rate.burst.to_bits());
    hasher.write_usize(spec.entries);
    hasher.write(&[spec.overflows.into(), is_keyed.into(), is_jumped.into()]);
    hasher.finish()
}
