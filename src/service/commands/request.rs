//! Reading a request to a command (XEP-0050 §4.1).

use crate::forms::{Form, FormError, FormKind, FormLimits};
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// What shall be done with a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// It begins, or what its form says to be the usual thing.
    Execute,
    /// It is given up.
    Cancel,
    /// Back to the form before.
    Previous,
    /// On to the next form.
    Next,
    /// To the end.
    Complete,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The command's node.
    pub node: String,
    /// What shall be done.
    pub action: Action,
    /// The session that goes on; `None` begins one.
    pub session_id: Option<String>,
    /// What was filled in.
    pub form: Option<Form>,
}

impl Request {
    /// Reads the payload of an IQ of type `set`, `<command/>`.
    pub fn parse(command: &Element, limits: &FormLimits) -> Result<Request, Refusal> {
        let node = command.attribute("node").ok_or_else(Refusal::bad_request)?.to_owned();
        let action = match command.attribute("action") {
            None | Some("execute") => Action::Execute,
            Some("cancel") => Action::Cancel,
            Some("prev") => Action::Previous,
            Some("next") => Action::Next,
            Some("complete") => Action::Complete,
            Some(_) => return Err(refusal("malformed-action")),
        };
        let session_id = match command.attribute("sessionid") {
            Some("") => return Err(refusal("bad-sessionid")),
            id => id.map(str::to_owned),
        };
        let form = command.children().find(|child| Form::is_form(child)).map(|form| read(form, limits));
        let form = form.transpose().map_err(bad_payload)?;
        Ok(Request { node, action, session_id, form })
    }
}

/// A form that is submitted; `cancel` counts as that, too (§3.5.1).
fn read(form: &Element, limits: &FormLimits) -> Result<Form, FormError> {
    let form = Form::parse(form, limits)?;
    match form.kind {
        FormKind::Submit | FormKind::Cancel => Ok(Form { kind: FormKind::Submit, ..form }),
        FormKind::Form | FormKind::Result => Err(FormError::NotAForm),
    }
}

/// `<bad-request/>` with a condition of XEP-0050 §4.4.
pub(super) fn refusal(condition: &str) -> Refusal {
    Refusal::bad_request().with_application(Element::new(condition, ns::COMMANDS))
}

pub(super) fn bad_payload(error: FormError) -> Refusal {
    refusal("bad-payload").with_text(&error.to_string())
}
