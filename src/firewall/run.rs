//! One stanza's way through the chains of a hook: a machine that stops where something has to be waited for, and goes
//! on from there.

use std::fmt;
use std::task::Poll;

use smallvec::SmallVec;

use super::blocks::Needs;
use super::budget::Budget;
use super::program::{Chain, Rules, Tested, place_of};
use super::stanza::Stanza;
use super::syntax::{Action, ChainName, Step};
use super::template::Origin;
use super::test::{Searched, Tester};
use super::world::{Effect, Trace, World};
use super::{Hook, list_key};

/// What becomes of a stanza.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It goes on.
    Pass,
    /// It goes on as one that nobody handles.
    Default,
    /// It is gone: dropped, answered, or on its way to somebody else.
    Consumed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Pass => "passes",
            Outcome::Default => "goes on as one that nobody handles",
            Outcome::Consumed => "is gone",
        })
    }
}

/// How a chain ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    /// At its end.
    None,
    /// The script has had its say.
    Pass,
    /// What the chain is for is done by nobody.
    Default,
    /// The stanza is gone.
    Consumed,
}

/// What is next in a chain.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// A test of the rule that is visited.
    Test(usize),
    /// An action of the rule, all conditions of which hold.
    Action(usize),
}

/// A run of one chain.
#[derive(Clone, Debug)]
struct Frame {
    chain: u32,
    /// Where others of the same name are, that come after it: the name, and how many have had their turn.
    siblings: Option<(ChainName, u32)>,
    /// Whether whoever runs it ends as it does.
    is_heeded: bool,
    /// Which of the rules to look at.
    visit: usize,
    stage: Stage,
    memo: Memo,
    searched: Searched,
}

/// Answers that are remembered, a bit for each. Few chains have more than fit into one word.
#[derive(Clone, Debug, Default)]
struct Memo {
    known: u64,
    values: u64,
    rest: Vec<Option<bool>>,
}

impl Memo {
    #[inline]
    fn get(&self, place: u32) -> Option<bool> {
        match 1u64.checked_shl(place) {
            Some(bit) => (self.known & bit != 0).then_some(self.values & bit != 0),
            None => self.rest.get(place as usize - 64).copied().flatten(),
        }
    }

    #[inline]
    fn set(&mut self, place: u32, value: bool) {
        match 1u64.checked_shl(place) {
            Some(bit) => {
                self.known |= bit;
                self.values |= if value { bit } else { 0 };
            }
            None => {
                let place = place as usize - 64;
                self.rest.resize(self.rest.len().max(place + 1), None);
                self.rest[place] = Some(value);
            }
        }
    }
}

/// One stanza's way through the chains of a hook.
#[derive(Debug)]
pub struct Run {
    hook: Hook,
    /// How many chains of the hook have had their turn.
    begun: usize,
    frames: SmallVec<[Frame; 2]>,
    budget: Budget,
    is_told: bool,
}

impl Run {
    /// At the beginning.
    pub fn new(hook: Hook) -> Run {
        Run { hook, begun: 0, frames: SmallVec::new(), budget: Budget::default(), is_told: false }
    }

    /// Goes on until it is known what becomes of the stanza, or until something has to be waited for. To be called
    /// again then, with the same rules and the same stanza.
    pub fn go(
        &mut self,
        rules: &Rules,
        stanza: &mut Stanza<'_>,
        origin: &Origin<'_>,
        world: &mut impl World,
    ) -> Poll<Outcome> {
        if self.begun == 0 {
            self.budget = Budget::for_stanza(stanza.bytes().len());
        }
        let outcome = loop {
            let Some(frame) = self.frames.last_mut() else {
                let Some(chain) = rules.hooks[self.hook as usize].get(self.begun) else { break Outcome::Pass };
                self.begun += 1;
                self.begin(rules, *chain, None, true, world);
                continue;
            };
            if let Stage::Test(_) = frame.stage {
                let mut searched = std::mem::take(&mut frame.searched);
                let tester = Tester::new(rules, stanza, origin, world, &mut self.budget, &mut searched);
                let found = find_rule(frame, rules, tester);
                frame.searched = searched;
                if self.budget.is_spent() && !std::mem::replace(&mut self.is_told, true) {
                    world.overspent(stanza);
                }
                match found {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(true) => {}
                    Poll::Ready(false) => {
                        if let Some(outcome) = self.end(rules, Ending::None, world) {
                            break outcome;
                        }
                    }
                }
                continue;
            }
            if let Some(outcome) = self.take_action(rules, stanza, origin, world) {
                break outcome;
            }
        };
        Poll::Ready(outcome)
    }

    /// Takes the next action of the rule that holds, or goes on to the next rule. What becomes of the stanza, if it is
    /// known then.
    fn take_action(
        &mut self,
        rules: &Rules,
        stanza: &mut Stanza<'_>,
        origin: &Origin<'_>,
        world: &mut impl World,
    ) -> Option<Outcome> {
        let frame = self.frames.last_mut()?;
        let chain = &rules.chains[frame.chain as usize];
        let visit = chain.visits[place_of(stanza.kind())].get(frame.visit)?;
        let rule = &chain.rules[visit.rule as usize];
        let at = if let Stage::Action(at) = frame.stage { at } else { 0 };
        let Some(step) = rule.actions.get(at) else {
            frame.visit += 1;
            frame.stage = Stage::Test(0);
            return None;
        };
        frame.stage = Stage::Action(at + 1);
        if at == 0 {
            world.hit(rule.number);
        }
        if world.is_followed() {
            world.follow(Trace::Action(&step.source));
        }
        let ending = self.act(rules, step, stanza, origin, world)?;
        self.end(rules, ending, world)
    }

    fn begin(
        &mut self,
        rules: &Rules,
        chain: u32,
        siblings: Option<(ChainName, u32)>,
        is_heeded: bool,
        world: &mut impl World,
    ) {
        self.frames.push(Frame {
            chain,
            siblings,
            is_heeded,
            visit: 0,
            stage: Stage::Test(0),
            memo: Memo::default(),
            searched: Searched::default(),
        });
        self.tell_chain(rules, world);
    }

    /// Tells those who follow which chain is run now.
    fn tell_chain(&self, rules: &Rules, world: &mut impl World) {
        if world.is_followed()
            && let Some(frame) = self.frames.last()
        {
            let Chain { script, name, .. } = &rules.chains[frame.chain as usize];
            world.follow(Trace::Chain(&rules.scripts[*script].name, name));
        }
    }

    /// The innermost chain ends. What becomes of the stanza, if it is known then.
    fn end(&mut self, rules: &Rules, ending: Ending, world: &mut impl World) -> Option<Outcome> {
        let mut ending = ending;
        while let Some(frame) = self.frames.pop() {
            match (frame.siblings, ending) {
                // It hangs on the hook itself.
                (None, Ending::None | Ending::Pass) => return None,
                (None, Ending::Default) => return Some(Outcome::Default),
                (None, Ending::Consumed) => return Some(Outcome::Consumed),
                (Some((name, turns)), Ending::None) => {
                    if let Some(next) = rules.named[name.index()].get(turns as usize) {
                        self.begin(rules, *next, Some((name, turns + 1)), frame.is_heeded, world);
                    } else {
                        self.tell_chain(rules, world);
                    }
                    return None;
                }
                _ if !frame.is_heeded => {
                    self.tell_chain(rules, world);
                    return None;
                }
                (Some(_), Ending::Default) => ending = Ending::Pass,
                (Some(_), Ending::Pass | Ending::Consumed) => {}
            }
        }
        None
    }

    /// The stanza is about to change: whatever rules so far are to search has been found, and stays what it is.
    fn before_change(&mut self, rules: &Rules, stanza: &Stanza<'_>) {
        for frame in &mut self.frames {
            let chain = &rules.chains[frame.chain as usize];
            let visits = chain.visits[place_of(stanza.kind())].iter().take(frame.visit + 1);
            let tested =
                visits.flat_map(|visit| chain.tested.iter().skip(visit.first as usize).take(visit.all as usize));
            for search in tested.filter_map(|tested| chain.tests[tested.test as usize].search()) {
                frame.searched.look(rules, search, stanza);
            }
            frame.searched.keep(stanza);
        }
    }

    /// Takes an action. How the chain ends, if it does.
    fn act(
        &mut self,
        rules: &Rules,
        step: &Step,
        stanza: &mut Stanza<'_>,
        origin: &Origin<'_>,
        world: &mut impl World,
    ) -> Option<Ending> {
        match &step.action {
            Action::Pass => return Some(Ending::Pass),
            Action::Drop => return Some(Ending::Consumed),
            Action::Default => return Some(Ending::Default),
            Action::Return => return Some(Ending::None),
            Action::Bounce(bounce) => {
                if !stanza.is_final() {
                    world.effect(stanza, Effect::Bounce(bounce));
                }
                return Some(Ending::Consumed);
            }
            Action::Redirect(to) => {
                world.effect(stanza, Effect::Redirect(to));
                return Some(Ending::Consumed);
            }
            Action::Copy(to) => world.effect(stanza, Effect::Copy(to)),
            Action::Reply(text) => world.effect(stanza, Effect::Reply(text)),
            Action::Forward(to) => world.effect(stanza, Effect::Forward(to)),
            Action::Report(report) => world.effect(stanza, Effect::Report(report)),
            Action::Strip(name, namespace) => {
                self.before_change(rules, stanza);
                stanza.strip(name.as_deref(), namespace.as_deref());
            }
            Action::Inject(element) => {
                self.before_change(rules, stanza);
                stanza.inject(element.as_bytes());
            }
            Action::Log(level, template) => {
                world.effect(stanza, Effect::Log(*level, &template.expand(stanza, origin)));
            }
            Action::MarkOrigin(mark) => world.effect(stanza, Effect::MarkOrigin(*mark, true)),
            Action::UnmarkOrigin(mark) => world.effect(stanza, Effect::MarkOrigin(*mark, false)),
            Action::MarkUser(mark) => world.effect(stanza, Effect::MarkUser(*mark, true)),
            Action::UnmarkUser(mark) => world.effect(stanza, Effect::MarkUser(*mark, false)),
            Action::AddTo(list, template) => {
                let (_, spec) = &rules.lists[list.index()];
                let text = list_key(spec, template.expand(stanza, origin), false);
                world.effect(stanza, Effect::AddTo(*list, &text));
            }
            Action::JumpChain(name) | Action::CallChain(name) => {
                if let Some(first) = rules.named[name.index()].first() {
                    let is_heeded = matches!(step.action, Action::JumpChain(_));
                    self.begin(rules, *first, Some((*name, 1)), is_heeded, world);
                }
            }
            Action::UnsubscribeSender => world.effect(stanza, Effect::UnsubscribeSender),
            Action::TagTrace(tag) => {
                if world.is_followed() {
                    world.follow(Trace::Tag(tag));
                }
            }
        }
        None
    }
}

/// Looks for the next rule of a chain all conditions of which hold. Whether there is one; it is the one that is visited
/// then. Most of what a stanza costs here is spent in this.
fn find_rule<W: World>(frame: &mut Frame, rules: &Rules, mut tester: Tester<'_, '_, '_, W>) -> Poll<bool> {
    let chain = &rules.chains[frame.chain as usize];
    tester.buckets = if frame.siblings.is_some() { chain.jumped_buckets } else { chain.buckets };
    let is_followed = tester.world.is_followed();
    let visits = &chain.visits[place_of(tester.stanza.kind())];
    let mut at = if let Stage::Test(at) = frame.stage { at } else { 0 };
    let blocks = &chain.blocks[place_of(tester.stanza.kind())];
    while let Some(visit) = visits.get(frame.visit) {
        if visit.block != 0
            && at == 0
            && !is_followed
            && let Some(block) = blocks.get(visit.block as usize - 1)
        {
            let has_none = match &block.needs {
                Needs::Test(tested) => match answer(frame, chain, *tested, &mut tester) {
                    Poll::Ready(answer) => answer == tested.is_negated,
                    Poll::Pending => {
                        frame.stage = Stage::Test(0);
                        return Poll::Pending;
                    }
                },
                needs => tester.has_none(needs),
            };
            if has_none {
                frame.visit += block.rules as usize;
                continue;
            }
        }
        let early = visit.early as usize;
        let tested = chain.tested.get(visit.first as usize..).and_then(|rest| rest.get(..visit.all as usize));
        let tested = tested.unwrap_or_default();
        let holds = loop {
            if at == early {
                if !visit.is_candidate {
                    break false;
                }
                if is_followed {
                    tester.follow_rule(&chain.rules[visit.rule as usize]);
                }
            }
            let Some(next) = tested.get(at) else { break true };
            let Poll::Ready(answer) = answer(frame, chain, *next, &mut tester) else {
                frame.stage = Stage::Test(at);
                return Poll::Pending;
            };
            if at >= early {
                let holds = answer != next.is_negated;
                if is_followed {
                    let [_, sources] = &chain.rules[visit.rule as usize].sources;
                    tester.world.follow(Trace::Condition(&sources[at - early], holds));
                }
                if !holds {
                    break false;
                }
            }
            at += 1;
        };
        at = 0;
        if holds {
            frame.stage = Stage::Action(0);
            return Poll::Ready(true);
        }
        frame.visit += 1;
    }
    Poll::Ready(false)
}

/// The answer of a test: remembered, or found out now.
#[inline]
fn answer<W: World>(
    frame: &mut Frame,
    chain: &Chain,
    tested: Tested,
    tester: &mut Tester<'_, '_, '_, W>,
) -> Poll<bool> {
    if let Some(answer) = tested.memo.and_then(|memo| frame.memo.get(memo)) {
        return Poll::Ready(answer);
    }
    let answer = tester.test(&chain.tests[tested.test as usize]);
    if let (Poll::Ready(answer), Some(memo)) = (answer, tested.memo) {
        frame.memo.set(memo, answer);
    }
    answer
}
