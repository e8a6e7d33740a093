//! The exchange around commands: sessions, stages and their forms.

use super::request::{Action, Request, bad_payload, refusal};
use super::{Command, Context, Done, Effect, Note, Step};
use crate::forms::{Form, FormKind, FormLimits, Unknown};
use crate::random;
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// Characters of a session's id.
const ID_CHARACTERS: usize = 16;

/// What bounds the commands of one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CommandLimits {
    /// Sessions that wait for an answer at once. One more ends the oldest.
    pub sessions_max: usize,
    /// Seconds after which a session ends that nobody has answered.
    pub session_lifetime_s: u64,
    /// What bounds a form that is submitted.
    pub form: FormLimits,
}

/// A session: a command that waits for an answer.
struct Session {
    id: String,
    requester: Box<str>,
    node: &'static str,
    /// What was submitted in the stages before.
    submitted: Vec<Form>,
    expires_s: u64,
}

/// The sessions of one address (an account, a server). Nothing is allocated while there are none; with none it need not
/// be kept at all.
#[derive(Default)]
pub struct Exchanges {
    sessions: Vec<Session>,
}

/// Who asks, and where.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The full address of who asks: a session is between it and the commands' address only (§3.3).
    pub requester: &'a str,
    /// The commands there are.
    pub commands: &'a [Command],
    /// Whether the requester may run one of them.
    pub may_run: &'a dyn Fn(&Command) -> bool,
    /// What they may depend on.
    pub context: Context<'a>,
    /// The time in seconds, since whenever.
    pub now_s: u64,
    /// What bounds them.
    pub limits: &'a CommandLimits,
}

/// What comes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The request is answered with this payload.
    Answer(Element),
    /// The effect has to be carried out first.
    Run(Running),
}

/// A command that ends once its effect has been carried out.
#[derive(Debug)]
pub struct Running {
    /// What has to be done.
    pub effect: Effect,
    node: &'static str,
    session_id: String,
}

impl Running {
    /// The payload of the answer (§3.6).
    pub fn finish(&self, note: Note) -> Element {
        self.finish_with(Done { note: Some(note), ..Done::default() })
    }

    /// The same with data.
    pub fn finish_with(&self, done: Done) -> Element {
        completed(self.node, &self.session_id, done)
    }
}

impl Exchanges {
    /// Whether nobody is asked for anything.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Ends the sessions that have waited for too long, the time being `now_s` in seconds. May be called at any time;
    /// no session is taken for alive that has ended.
    pub fn expire(&mut self, now_s: u64) {
        self.sessions.retain(|session| session.expires_s > now_s);
    }

    /// Takes a request to a command.
    pub fn take(&mut self, request: Request, call: &Call<'_>) -> Result<Outcome, Refusal> {
        let command = call.commands.iter().find(|command| command.node == request.node);
        let command = command.ok_or_else(Refusal::item_not_found)?;
        if !(call.may_run)(command) {
            return Err(Refusal::new("cancel", "forbidden"));
        }
        self.expire(call.now_s);
        match &request.session_id {
            Some(id) => {
                let is_it = |session: &Session| {
                    session.id == *id && *session.requester == *call.requester && session.node == command.node
                };
                let at = self.sessions.iter().position(is_it).ok_or_else(|| unknown(id))?;
                self.go_on(at, request, command, call)
            }
            None if request.action == Action::Execute => {
                let (id, requester) = (random::name(), call.requester.into());
                let session = Session { id, requester, node: command.node, submitted: Vec::new(), expires_s: 0 };
                self.advance(session, command, call)
            }
            None => Err(refusal("bad-action")),
        }
    }

    fn go_on(&mut self, at: usize, request: Request, command: &Command, call: &Call<'_>) -> Result<Outcome, Refusal> {
        if request.action == Action::Cancel {
            let session = self.sessions.remove(at);
            return Ok(Outcome::Answer(answer(session.node, &session.id, "canceled")));
        }
        let submitted = &self.sessions[at].submitted;
        let (form, is_last) = match (command.step)(&call.context, submitted) {
            Step::Ask { form, is_last } => (form, is_last),
            // What was asked cannot be asked any more: things have changed meanwhile.
            Step::Done(done) => {
                let session = self.sessions.remove(at);
                return Ok(Outcome::Answer(completed(session.node, &session.id, done)));
            }
            // Nobody has agreed to anything yet.
            Step::Do(_) | Step::Again(_) => return Err(unknown(&self.sessions.remove(at).id)),
        };
        match (request.action, is_last) {
            (Action::Previous, _) if !submitted.is_empty() => {
                let mut session = self.sessions.remove(at);
                session.submitted.pop();
                self.advance(session, command, call)
            }
            (Action::Execute | Action::Complete, true) | (Action::Execute | Action::Next, false) => {
                // A form without a field to fill in needs no answer.
                let mut submission = request.form.unwrap_or_else(|| Form::new(FormKind::Submit));
                // What is refused leaves the session as it was.
                form.check(&submission, Unknown::Ignore).map_err(bad_payload)?;
                // Only what was asked for is kept.
                submission.fields.retain(|field| form.field(&field.var).is_some());
                let mut session = self.sessions.remove(at);
                session.submitted.push(submission);
                self.advance(session, command, call)
            }
            _ => Err(refusal("bad-action")),
        }
    }

    /// Asks what comes next, or ends.
    fn advance(&mut self, mut session: Session, command: &Command, call: &Call<'_>) -> Result<Outcome, Refusal> {
        match (command.step)(&call.context, &session.submitted) {
            Step::Ask { form, is_last } => {
                let actions = actions(is_last, !session.submitted.is_empty());
                let answer = answer(session.node, &session.id, "executing");
                self.keep(session, call);
                Ok(Outcome::Answer(answer.with_child(actions).with_child(form.to_element())))
            }
            Step::Again(why) => {
                session.submitted.pop();
                self.keep(session, call);
                Err(refusal("bad-payload").with_text(why))
            }
            Step::Done(done) => Ok(Outcome::Answer(completed(session.node, &session.id, done))),
            Step::Do(effect) => Ok(Outcome::Run(Running { effect, node: session.node, session_id: session.id })),
        }
    }

    fn keep(&mut self, mut session: Session, call: &Call<'_>) {
        session.expires_s = call.now_s.saturating_add(call.limits.session_lifetime_s);
        // Those that wait for longest come first, as one that goes on is put to the end.
        let surplus = (self.sessions.len() + 1).saturating_sub(call.limits.sessions_max.max(1));
        self.sessions.drain(..surplus);
        self.sessions.push(session);
    }
}

/// Why a session is not taken (§4.4). None is remembered that has ended: what looks like one of ours was.
fn unknown(id: &str) -> Refusal {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if id.len() == ID_CHARACTERS && id.bytes().all(is_known) {
        Refusal::not_allowed().with_application(Element::new("session-expired", ns::COMMANDS))
    } else {
        refusal("bad-sessionid")
    }
}

fn answer(node: &str, session_id: &str, status: &str) -> Element {
    Element::new("command", ns::COMMANDS)
        .with_attribute("node", node)
        .with_attribute("sessionid", session_id)
        .with_attribute("status", status)
        .with_language("en")
}

fn completed(node: &str, session_id: &str, done: Done) -> Element {
    let answer = answer(node, session_id, "completed");
    let note = |kind: &str, text: &str| Element::new("note", ns::COMMANDS).with_attribute("type", kind).with_text(text);
    let answer = match done.note {
        Some(Note::Info(text)) => answer.with_child(note("info", &text)),
        Some(Note::Error(text)) => answer.with_child(note("error", &text)),
        None => answer,
    };
    match done.form {
        Some(form) => answer.with_child(done.within.into_iter().fold(form.to_element(), Element::with_child)),
        None => answer,
    }
}

/// What may be done at a stage (§3.4): its usual action, and to go back if there is anything before it.
fn actions(is_last: bool, has_before: bool) -> Element {
    let usual = if is_last { "complete" } else { "next" };
    let action = |name: &str| Element::new(name, ns::COMMANDS);
    let actions = action("actions").with_attribute("execute", usual);
    let actions = if has_before { actions.with_child(action("prev")) } else { actions };
    actions.with_child(action(usual))
}
