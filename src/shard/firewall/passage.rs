//! A stanza on its way through rules: it may have to wait for answers, and goes on from there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use rondel_shards::Io;

use super::Firewall;
use super::deeds::Deed;
use super::ground::Ground;
use super::questions::{Answer, AskedByRules, Question};
use super::sessions::Sent;
use crate::account::Bearer;
use crate::firewall::{Bounce, Hook, Origin, Outcome, Run, Running, Stanza, Transcript};
use crate::limited_event;
use crate::shard::message::Routed;
use crate::shard::stream::Stream;
use crate::shard::ticket::{Behalf, Ticket};
use crate::shard::{End, Shard};

/// What the sender of a stanza is told if too much waits already.
const FULL: Bounce = Bounce { kind: "wait", condition: "resource-constraint", text: None };

/// A stanza that waits for an answer.
pub(super) struct Passage {
    halted: Box<Halted>,
    whose: Whose,
}

/// One stanza's way through the chains of a hook, halted where an answer is needed.
pub(super) struct Halted {
    course: Course,
    stanza: Stanza<'static>,
    /// As it was before rules changed it: where there are other rules meanwhile, they begin again.
    before: Option<Stanza<'static>>,
    rules: Option<Arc<Running>>,
    /// What it waits for.
    asked: Question,
    ticket: Option<Ticket>,
}

/// A run, and what has been gathered in it.
pub(super) struct Course {
    hook: Hook,
    run: Run,
    bearer: Option<Arc<Bearer>>,
    /// How many rules, one after the other, have led to the stanza.
    generation: u8,
    /// What was asked of others, and is known.
    pub(super) answers: Vec<(Question, Answer)>,
    /// What is to be done.
    pub(super) deeds: Vec<Deed>,
    /// Written down for those who follow.
    pub(super) transcript: Option<Box<Transcript>>,
}

/// Who goes on with a stanza once rules have had their say.
pub(super) enum Whose {
    /// A session, which sends nothing else meanwhile.
    Session(Sent),
    /// The same, and its stream ends then.
    Ending(Box<Ending>),
    /// Whom it is for: it has come there, or is on its way.
    Routed(Routed),
}

/// A stream that ends once rules have had their say about what it has sent last.
pub(super) struct Ending {
    pub sent: Sent,
    pub stream: Box<Stream>,
    pub end: End,
}

/// What has become of a stanza.
pub(super) enum Ended<'a> {
    /// It goes on, as it is now.
    Passes(Stanza<'a>),
    /// Nobody handles it beyond what is done for all.
    Default(Stanza<'a>),
    /// It is gone.
    Consumed,
}

/// A run as it begins.
pub(super) struct Beginning<'a> {
    pub hook: Hook,
    pub stanza: Stanza<'a>,
    pub bearer: Option<Arc<Bearer>>,
    pub generation: u8,
}

impl Shard {
    /// Runs the rules of a hook on a stanza. Where they have to wait, what is needed to go on is handed back, for
    /// [`Shard::await_answer`].
    pub(super) fn begin_passage<'a>(
        &mut self,
        io: &mut Io<Shard>,
        beginning: Beginning<'a>,
    ) -> Result<Ended<'a>, Box<Halted>> {
        let Beginning { hook, mut stanza, bearer, generation } = beginning;
        let Some(mut firewall) = self.firewall.take() else { return Ok(Ended::Passes(stanza)) };
        let mut course = Course {
            hook,
            run: Run::new(hook),
            bearer,
            generation,
            answers: Vec::new(),
            deeds: Vec::new(),
            transcript: self.followers_of_rules.transcript(),
        };
        let before = stanza.clone();
        let ended = self.go(io, &mut firewall, &mut course, &mut stanza);
        let rules = ended.is_err().then(|| Arc::clone(&firewall.running));
        self.firewall = Some(firewall);
        match ended {
            Ok(outcome) => Ok(self.conclude(io, outcome, stanza, course)),
            Err(_) if self.passages.is_full(stanza.bytes().len()) => {
                limited_event!(WARN, "firewall", "too much waits for rules: further stanzas are refused");
                course.deeds.extend(Deed::bounce(&stanza, &FULL));
                Ok(self.conclude(io, Outcome::Consumed, stanza, course))
            }
            Err(asked) => {
                let before = stanza.changed().is_some().then(|| before.into_owned());
                let ticket = self.ticket(io);
                Err(Box::new(Halted { course, stanza: stanza.into_owned(), before, rules, asked, ticket }))
            }
        }
    }

    /// Has a stanza wait for the answer to what rules have asked.
    pub(super) fn await_answer(&mut self, io: &mut Io<Shard>, halted: Box<Halted>, whose: Whose) {
        self.passages.last += 1;
        let number = self.passages.last;
        let question = halted.asked.clone();
        self.passages.bytes += halted.bytes();
        self.passages.waiting.insert(number, Passage { halted, whose });
        self.ask_for_rules(io, AskedByRules { question, back: Some((io.shard(), number)) });
    }

    /// Rules have their answer.
    pub(in crate::shard) fn rules_answered(&mut self, io: &mut Io<Shard>, number: u64, answer: Answer) {
        let Some(mut passage) = self.passages.waiting.remove(&number) else { return };
        self.passages.bytes -= passage.halted.bytes();
        let asked = passage.halted.asked.clone();
        passage.halted.course.answers.push((asked, answer));
        self.resume_passage(io, passage);
    }

    fn resume_passage(&mut self, io: &mut Io<Shard>, mut passage: Passage) {
        let outcome = match self.firewall.take() {
            Some(mut firewall) => {
                let halted = &mut *passage.halted;
                if !halted.rules.as_ref().is_some_and(|rules| Arc::ptr_eq(rules, &firewall.running)) {
                    halted.begin_again(&firewall.running);
                }
                let ended = self.go(io, &mut firewall, &mut halted.course, &mut halted.stanza);
                self.firewall = Some(firewall);
                ended
            }
            None => {
                passage.halted.let_pass();
                Ok(Outcome::Pass)
            }
        };
        match outcome {
            Err(question) => {
                passage.halted.asked = question;
                self.await_answer(io, passage.halted, passage.whose);
            }
            Ok(outcome) => {
                let Halted { course, stanza, ticket, .. } = *passage.halted;
                let hook = course.hook;
                self.on_behalf(Behalf::of(ticket), |shard| {
                    let ended = shard.conclude(io, outcome, stanza, course);
                    match passage.whose {
                        Whose::Session(sent) => shard.session_goes_on(io, hook, sent, ended),
                        Whose::Ending(ending) => shard.ending_goes_on(io, hook, *ending, ended),
                        Whose::Routed(routed) => shard.routed_goes_on(io, hook, routed, ended),
                    }
                });
            }
        }
    }

    /// There are other rules: what waits goes on with them, since the answers to what was asked may be of no use.
    pub(super) fn resume_passages(&mut self, io: &mut Io<Shard>) {
        let mut waiting: Vec<(u64, Passage)> = self.passages.waiting.drain().collect();
        self.passages.bytes = 0;
        waiting.sort_by_key(|(number, _)| *number);
        waiting.into_iter().for_each(|(_, passage)| self.resume_passage(io, passage));
    }

    /// Has a stream that waits for rules end when they have had their say. It comes back if it does not wait for them.
    pub(super) fn end_with_passage(&mut self, stream: Box<Stream>, end: End) -> Option<(Box<Stream>, End)> {
        let connection = stream.connection;
        let is_its =
            |passage: &&mut Passage| matches!(passage.whose, Whose::Session(sent) if sent.connection == connection);
        let Some(passage) = self.passages.waiting.values_mut().find(is_its) else { return Some((stream, end)) };
        if let Whose::Session(sent) = passage.whose {
            passage.whose = Whose::Ending(Box::new(Ending { sent, stream, end }));
        }
        None
    }

    /// Runs rules until they end or ask.
    fn go(
        &mut self,
        io: &Io<Shard>,
        firewall: &mut Firewall,
        course: &mut Course,
        stanza: &mut Stanza<'_>,
    ) -> Result<Outcome, Question> {
        let Firewall { running, lists, tables } = firewall;
        let Course { run, bearer, answers, deeds, transcript, .. } = course;
        let bearer = bearer.as_ref();
        let origin = Origin {
            client: bearer.map(|bearer| bearer.address.as_str()),
            address: bearer.map(|bearer| bearer.ip),
            ..Origin::default()
        };
        let mut ground =
            Ground { shard: self, io, running, lists, tables, bearer, answers, asked: None, deeds, transcript };
        // Rules must not be lost with a stanza, nor what waits behind it.
        match catch_unwind(AssertUnwindSafe(|| run.go(&running.rules, stanza, &origin, &mut ground))) {
            Ok(Poll::Ready(outcome)) => Ok(outcome),
            // Nothing but a question keeps them.
            Ok(Poll::Pending) => ground.asked.take().map_or(Ok(Outcome::Pass), Err),
            Err(_) => {
                limited_event!(ERROR, "firewall", "rules have failed on a stanza; please report this with the log");
                Ok(Outcome::Default)
            }
        }
    }

    fn conclude<'a>(&mut self, io: &mut Io<Shard>, outcome: Outcome, stanza: Stanza<'a>, course: Course) -> Ended<'a> {
        let Course { hook, generation, mut deeds, transcript, .. } = course;
        let mut outcome = outcome;
        if let Some(transcript) = transcript {
            self.followers_of_rules.tell(hook, &stanza, outcome, &transcript);
        }
        if !deeds.is_empty() {
            let count = deeds.len();
            // What rules have sent leads to nothing more that is sent.
            deeds.retain(|deed| generation == 0 || !matches!(deed, Deed::Send(_)));
            if deeds.len() < count && outcome == Outcome::Consumed {
                outcome = Outcome::Pass;
            }
            self.do_deeds(io, deeds, generation);
        }
        match outcome {
            Outcome::Pass => Ended::Passes(stanza),
            Outcome::Default => Ended::Default(stanza),
            Outcome::Consumed => Ended::Consumed,
        }
    }
}

impl Halted {
    /// What it takes, roughly.
    fn bytes(&self) -> usize {
        let before = self.before.as_ref().map_or(0, |before| before.bytes().len());
        size_of::<Halted>() + self.stanza.bytes().len() + before
    }

    fn begin_again(&mut self, rules: &Arc<Running>) {
        self.rules = Some(Arc::clone(rules));
        self.course.run = Run::new(self.course.hook);
        self.course.answers.clear();
        if let Some(transcript) = &mut self.course.transcript {
            **transcript = Transcript::default();
        }
        self.let_pass();
    }

    /// Nothing comes of what rules have made of it, but for what has happened already and others have to hear of.
    fn let_pass(&mut self) {
        if let Some(before) = self.before.take() {
            self.stanza = before;
        }
        self.course.deeds.retain(|deed| matches!(deed, Deed::Add(..) | Deed::MarkUser { .. }));
    }
}
