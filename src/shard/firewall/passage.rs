//! A stanza on its way through rules: it may have to wait for answers, and goes on from there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use rondel_shards::{ConnectionId, Io};

use super::Firewall;
use super::deeds::{Deed, Outgoing};
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
    rules: Option<Arc<Running>>,
    /// What it waits for.
    asked: Question,
    ticket: Option<Ticket>,
}

/// A run, and what has been gathered in it.
pub(super) struct Course {
    beginning: Beginning,
    run: Run,
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
    /// Why; none: it has ended already, and only what it has sent goes on.
    pub end: Option<End>,
}

/// A run as it begins.
pub(super) struct Beginning {
    pub hook: Hook,
    pub bearer: Option<Arc<Bearer>>,
    /// How many rules, one after the other, have led to the stanza.
    pub generation: u8,
}

impl Shard {
    /// Runs the rules of a hook on a stanza. Where they have to wait, what is needed to go on is handed back, for
    /// [`Shard::await_answer`].
    pub(super) fn begin_passage(
        &mut self,
        io: &mut Io<Shard>,
        beginning: Beginning,
        stanza: &mut Stanza<'_>,
    ) -> Result<Outcome, Box<Halted>> {
        let Some(mut firewall) = self.firewall.take() else { return Ok(Outcome::Pass) };
        let mut course = Course {
            run: Run::new(beginning.hook),
            beginning,
            answers: Vec::new(),
            deeds: Vec::new(),
            transcript: self.followers_of_rules.transcript(),
        };
        stanza.settle();
        let ended = self.go(io, &mut firewall, &mut course, stanza);
        let rules = ended.is_err().then(|| Arc::clone(&firewall.running));
        self.firewall = Some(firewall);
        match ended {
            Ok(outcome) => Ok(self.conclude(io, outcome, stanza, &mut course)),
            Err(_) if self.passages.is_full(stanza.bytes().len()) => {
                limited_event!(WARN, "firewall", "too much waits for rules: further stanzas are refused");
                course.deeds.extend(Outgoing::bounce(stanza, &FULL).map(Deed::Answer));
                Ok(self.conclude(io, Outcome::Consumed, stanza, &mut course))
            }
            Err(asked) => {
                let ticket = self.ticket(io);
                Err(Box::new(Halted { course, stanza: stanza.clone().into_owned(), rules, asked, ticket }))
            }
        }
    }

    /// Has a stanza wait for the answer to what rules have asked.
    pub(super) fn await_answer(&mut self, io: &mut Io<Shard>, halted: Box<Halted>, whose: Whose) {
        self.passages.last += 1;
        let number = self.passages.last;
        let question = halted.asked.clone();
        let passage = Passage { halted, whose };
        self.passages.bytes += passage.bytes();
        self.passages.waiting.insert(number, passage);
        self.ask_for_rules(io, AskedByRules { question, back: Some((io.shard(), number)) });
    }

    /// Rules have their answer.
    pub(in crate::shard) fn rules_answered(&mut self, io: &mut Io<Shard>, number: u64, answer: Answer) {
        let Some(mut passage) = self.passages.waiting.remove(&number) else { return };
        self.passages.bytes -= passage.bytes();
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
                    // Those before may not have asked for it.
                    if halted.course.beginning.bearer.is_none() {
                        halted.course.beginning.bearer = self.bearer_again(io, &passage.whose);
                    }
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
                let Halted { mut course, stanza, ticket, .. } = *passage.halted;
                let hook = course.beginning.hook;
                self.on_behalf(Behalf::of(ticket), |shard| {
                    let outcome = shard.conclude(io, outcome, &stanza, &mut course);
                    match passage.whose {
                        Whose::Session(sent) => shard.session_goes_on(io, hook, sent, outcome, stanza),
                        Whose::Ending(ending) => shard.ending_goes_on(io, hook, *ending, outcome, stanza),
                        Whose::Routed(routed) => shard.routed_goes_on(io, hook, routed, outcome, &stanza),
                    }
                });
            }
        }
    }

    /// The session that a stanza is from which waits, if it is one of this shard.
    fn bearer_again(&mut self, io: &Io<Shard>, whose: &Whose) -> Option<Arc<Bearer>> {
        match whose {
            Whose::Session(sent) => self.accounts.of_connection(sent.connection).and_then(|key| self.bearer(io, key)),
            Whose::Ending(ending) => ending.stream.session().and_then(|session| self.bearer(io, session.key)),
            Whose::Routed(routed) => self.bearer_of(io, routed.from()),
        }
    }

    /// There are other rules: what waits goes on with them, since the answers to what was asked may be of no use.
    pub(super) fn resume_passages(&mut self, io: &mut Io<Shard>) {
        let mut waiting: Vec<(u64, Passage)> = self.passages.waiting.drain().collect();
        self.passages.bytes = 0;
        waiting.sort_by_key(|(number, _)| *number);
        waiting.into_iter().for_each(|(_, passage)| self.resume_passage(io, passage));
    }

    /// Has a stream that waits for rules end when they have had their say, or keeps what is needed of one that has
    /// ended. It comes back if it does not wait for them.
    pub(super) fn end_with_passage(
        &mut self,
        stream: Box<Stream>,
        end: Option<End>,
    ) -> Option<(Box<Stream>, Option<End>)> {
        let connection = stream.connection;
        let is_its =
            |passage: &&mut Passage| matches!(passage.whose, Whose::Session(sent) if sent.connection == connection);
        let Some(passage) = self.passages.waiting.values_mut().find(is_its) else { return Some((stream, end)) };
        if let Whose::Session(sent) = passage.whose {
            passage.whose = Whose::Ending(Box::new(Ending { sent, stream, end }));
        }
        None
    }

    /// Whether the stream of a connection ends when rules have had their say.
    pub(in crate::shard) fn is_ending(&self, connection: ConnectionId) -> bool {
        let mut waiting = self.passages.waiting.values();
        waiting.any(|passage| matches!(&passage.whose, Whose::Ending(ending) if ending.stream.connection == connection))
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
        let Course { run, beginning, answers, deeds, transcript } = course;
        let bearer = beginning.bearer.as_ref();
        let origin = Origin {
            client: bearer.map(|bearer| bearer.address.as_str()),
            address: bearer.map(|bearer| bearer.ip),
            ..Origin::default()
        };
        let (hook, asked) = (beginning.hook, None);
        let mut ground = Ground {
            shard: self,
            io,
            running,
            lists,
            tables,
            hook,
            bearer,
            answers,
            asked,
            deeds,
            transcript,
            up_ms: None,
        };
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

    /// Does what rules want done. What becomes of the stanza.
    fn conclude(&mut self, io: &mut Io<Shard>, outcome: Outcome, stanza: &Stanza<'_>, course: &mut Course) -> Outcome {
        let Beginning { hook, generation, ref bearer } = course.beginning;
        if let Some(transcript) = course.transcript.take() {
            self.followers_of_rules.tell(hook, stanza, outcome, &transcript);
        }
        let mut deeds = std::mem::take(&mut course.deeds);
        if deeds.is_empty() {
            return outcome;
        }
        let mut outcome = outcome;
        if generation > 0 {
            // What rules have sent leads to nothing more that is sent, and is not lost for that.
            if deeds.iter().any(|deed| matches!(deed, Deed::Redirect(_))) {
                outcome = Outcome::Pass;
            }
            deeds.retain(|deed| !matches!(deed, Deed::Send(_) | Deed::Redirect(_)));
        }
        self.do_deeds(io, deeds, bearer.as_ref(), generation);
        outcome
    }
}

impl Passage {
    /// What it takes, roughly.
    fn bytes(&self) -> usize {
        let more = if let Whose::Routed(routed) = &self.whose { routed.bytes() } else { 0 };
        self.halted.bytes() + more
    }
}

impl Halted {
    /// What it takes, roughly.
    fn bytes(&self) -> usize {
        let deeds = self.course.deeds.iter().map(Deed::bytes).sum::<usize>();
        size_of::<Halted>() + self.stanza.size() + deeds
    }

    fn begin_again(&mut self, rules: &Arc<Running>) {
        self.rules = Some(Arc::clone(rules));
        self.course.run = Run::new(self.course.beginning.hook);
        self.course.answers.clear();
        if let Some(transcript) = &mut self.course.transcript {
            **transcript = Transcript::default();
        }
        self.let_pass();
    }

    /// Nothing comes of what rules have made of it, but for what has happened already and others have to hear of.
    fn let_pass(&mut self) {
        self.stanza.restore();
        self.course.deeds.retain(|deed| matches!(deed, Deed::Add(..) | Deed::MarkUser { .. }));
    }
}
