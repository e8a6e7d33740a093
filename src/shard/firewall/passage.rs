//! A stanza on its way through rules: it may have to wait for answers, and goes on from there.

use std::sync::Arc;
use std::task::Poll;

use rondel_shards::{ConnectionId, Io};

use super::Firewall;
use super::deeds::Deed;
use super::ground::Ground;
use super::questions::{Answer, AskedByRules, Question};
use crate::account::{Bearer, StanzaKind};
use crate::firewall::{Hook, Origin, Outcome, Run, Running, Stanza};
use crate::limited_event;
use crate::shard::Shard;
use crate::shard::message::Routed;
use crate::shard::ticket::{Behalf, Ticket};

/// Stanzas that wait for answers, on one shard. With further ones rules have to do with what is known.
const WAITING_MAX: usize = 20_000;

/// A stanza that waits for an answer.
pub(super) struct Passage {
    halted: Box<Halted>,
    whose: Whose,
}

/// One stanza's way through the chains of a hook, halted where an answer is needed.
pub(super) struct Halted {
    hook: Hook,
    run: Run,
    stanza: Stanza<'static>,
    /// As it was before rules looked at it: where the rules have changed meanwhile, they begin again.
    before: Stanza<'static>,
    rules: Arc<Running>,
    bearer: Option<Arc<Bearer>>,
    answers: Vec<(Question, Answer)>,
    /// What it waits for.
    asked: Question,
    deeds: Vec<Deed>,
    generation: u8,
    ticket: Option<Ticket>,
}

/// Who goes on with a stanza once rules have had their say.
pub(super) enum Whose {
    /// A session, which sends nothing else meanwhile.
    Session { connection: ConnectionId, kind: StanzaKind },
    /// Whom it is for: it has come there, or is on its way.
    Routed(Routed),
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
        let before = stanza.clone();
        let mut run = Run::new(hook);
        let (mut answers, mut deeds) = (Vec::new(), Vec::new());
        let ended = self.go(io, &mut firewall, &mut run, &mut stanza, bearer.as_ref(), &mut answers, &mut deeds);
        let mut ended = ended;
        while let Err(question) = &ended
            && self.passages.waiting.len() >= WAITING_MAX
        {
            limited_event!(WARN, "firewall", "too much waits for rules: they have to do with what is known");
            answers.push((question.clone(), Answer::Nothing));
            ended = self.go(io, &mut firewall, &mut run, &mut stanza, bearer.as_ref(), &mut answers, &mut deeds);
        }
        let rules = Arc::clone(&firewall.running);
        self.firewall = Some(firewall);
        match ended {
            Ok(outcome) => Ok(self.conclude(io, outcome, stanza, deeds, generation)),
            Err(asked) => {
                let (stanza, before) = (stanza.into_owned(), before.into_owned());
                let ticket = self.ticket(io);
                Err(Box::new(Halted {
                    hook,
                    run,
                    stanza,
                    before,
                    rules,
                    bearer,
                    answers,
                    asked,
                    deeds,
                    generation,
                    ticket,
                }))
            }
        }
    }

    /// Has a stanza wait for the answer to what rules have asked. It may be there at once.
    pub(super) fn await_answer(&mut self, io: &mut Io<Shard>, halted: Box<Halted>, whose: Whose) {
        self.wait(io, Passage { halted, whose });
    }

    /// Has a passage wait for the answer to a question. It may be there at once.
    fn wait(&mut self, io: &mut Io<Shard>, passage: Passage) {
        self.passages.last += 1;
        let number = self.passages.last;
        let question = passage.halted.asked.clone();
        self.passages.waiting.insert(number, passage);
        self.ask_for_rules(io, AskedByRules { question, back: Some((io.shard(), number)) });
    }

    /// Rules have their answer.
    pub(in crate::shard) fn rules_answered(&mut self, io: &mut Io<Shard>, number: u64, answer: Answer) {
        let Some(mut passage) = self.passages.waiting.remove(&number) else { return };
        let asked = passage.halted.asked.clone();
        passage.halted.answers.push((asked, answer));
        self.resume_passage(io, passage);
    }

    /// Goes on with a passage.
    fn resume_passage(&mut self, io: &mut Io<Shard>, mut passage: Passage) {
        let outcome = match self.firewall.take() {
            Some(mut firewall) => {
                let halted = &mut *passage.halted;
                if !Arc::ptr_eq(&halted.rules, &firewall.running) {
                    halted.begin_again(&firewall.running);
                }
                let Halted { run, stanza, bearer, answers, deeds, .. } = halted;
                let ended = self.go(io, &mut firewall, run, stanza, bearer.as_ref(), answers, deeds);
                self.firewall = Some(firewall);
                ended
            }
            None => Ok(Outcome::Pass),
        };
        match outcome {
            Err(question) => {
                passage.halted.asked = question;
                self.wait(io, passage);
            }
            Ok(outcome) => {
                let Passage { halted, whose } = passage;
                let Halted { hook, stanza, deeds, generation, ticket, .. } = *halted;
                self.on_behalf(Behalf::of(ticket), |shard| {
                    let ended = shard.conclude(io, outcome, stanza, deeds, generation);
                    match whose {
                        Whose::Session { connection, kind } => {
                            shard.session_goes_on(io, connection, hook, kind, ended);
                        }
                        Whose::Routed(routed) => shard.routed_goes_on(io, hook, routed, ended),
                    }
                });
            }
        }
    }

    /// There are other rules: what waits goes on with them, since the answers to what was asked may be of no use.
    pub(super) fn resume_passages(&mut self, io: &mut Io<Shard>) {
        let mut waiting: Vec<(u64, Passage)> = self.passages.waiting.drain().collect();
        waiting.sort_by_key(|(number, _)| *number);
        waiting.into_iter().for_each(|(_, passage)| self.resume_passage(io, passage));
    }

    /// The connection of a session ends whose stanza rules are at: they go on as if nothing were known, because nobody
    /// can wait any more.
    pub(in crate::shard) fn end_passage(&mut self, io: &mut Io<Shard>, connection: ConnectionId) {
        let is_its =
            |passage: &Passage| matches!(passage.whose, Whose::Session { connection: of, .. } if of == connection);
        while let Some(number) =
            self.passages.waiting.iter().find(|(_, passage)| is_its(passage)).map(|(number, _)| *number)
        {
            self.rules_answered(io, number, Answer::Nothing);
        }
    }

    /// Runs rules until they end or ask.
    #[allow(clippy::too_many_arguments)]
    fn go(
        &mut self,
        io: &Io<Shard>,
        firewall: &mut Firewall,
        run: &mut Run,
        stanza: &mut Stanza<'_>,
        bearer: Option<&Arc<Bearer>>,
        answers: &mut Vec<(Question, Answer)>,
        deeds: &mut Vec<Deed>,
    ) -> Result<Outcome, Question> {
        let running = Arc::clone(&firewall.running);
        let origin = Origin {
            client: bearer.map(|bearer| bearer.address.as_str()),
            address: bearer.map(|bearer| bearer.ip),
            ..Origin::default()
        };
        let mut ground = Ground { shard: self, io, firewall, bearer, answers, asked: None, deeds };
        match run.go(&running.rules, stanza, &origin, &mut ground) {
            Poll::Ready(outcome) => Ok(outcome),
            // Nothing but a question keeps them.
            Poll::Pending => ground.asked.take().map_or(Ok(Outcome::Pass), Err),
        }
    }

    fn conclude<'a>(
        &mut self,
        io: &mut Io<Shard>,
        outcome: Outcome,
        stanza: Stanza<'a>,
        mut deeds: Vec<Deed>,
        generation: u8,
    ) -> Ended<'a> {
        let mut outcome = outcome;
        if !deeds.is_empty() {
            let count = deeds.len();
            deeds.retain(|deed| generation == 0 || !deed.is_copy_to(stanza.to()));
            if deeds.len() < count && outcome == Outcome::Consumed {
                // It has come because of such a rule, which would send it here for ever.
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
    fn begin_again(&mut self, rules: &Arc<Running>) {
        self.rules = Arc::clone(rules);
        self.run = Run::new(self.hook);
        self.stanza = self.before.clone();
        self.answers.clear();
        self.deeds.clear();
    }
}
