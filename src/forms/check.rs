//! Holding a submission against the form that was asked with.

use super::{FORM_TYPE, Field, FieldKind, Form, FormError, boolean};
use crate::jid::Jid;

/// What becomes of a field that was not asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unknown {
    /// It counts for nothing, as XEP-0004 §3.1 has it.
    Ignore,
    /// The form is refused, as some protocols have it (XEP-0313 §4.1.5).
    Refuse,
}

impl Form {
    /// Whether a submission answers this form, with which it was asked: no field twice over, every required one filled
    /// in, every value of its field's type. A submission need not say what it is for, but if it does, it must be this.
    pub fn check(&self, submission: &Form, unknown: Unknown) -> Result<(), FormError> {
        if let (Some(asked), Some(submitted)) = (self.form_type(), submission.form_type())
            && asked != submitted
        {
            return Err(FormError::OtherType);
        }
        for submitted in submission.fields.iter().filter(|field| field.var != FORM_TYPE) {
            match (self.field(&submitted.var), unknown) {
                (Some(asked), _) => check_field(asked, submitted)?,
                (None, Unknown::Ignore) => {}
                (None, Unknown::Refuse) => return Err(FormError::Unknown(submitted.var.clone())),
            }
        }
        let is_there = |field: &&Field| submission.values(&field.var).iter().any(|value| !value.is_empty());
        match self.fields.iter().find(|field| field.is_required && !is_there(field)) {
            Some(missing) => Err(FormError::Missing(missing.var.clone())),
            None => Ok(()),
        }
    }
}

fn check_field(asked: &Field, submitted: &Field) -> Result<(), FormError> {
    let kind = asked.kind.unwrap_or(FieldKind::TextSingle);
    if submitted.values.len() > 1 && !kind.is_multi() {
        return Err(FormError::TooManyValues(asked.var.clone()));
    }
    let is_valid = |value: &String| match kind {
        // An empty value is how some say that there is none (XEP-0004 §3.6).
        _ if value.is_empty() => true,
        FieldKind::Boolean => boolean(value).is_some(),
        FieldKind::JidSingle | FieldKind::JidMulti => Jid::parse(value).is_ok(),
        FieldKind::ListSingle | FieldKind::ListMulti => {
            asked.is_open || asked.choices.iter().any(|choice| choice.value == *value)
        }
        _ => true,
    };
    if submitted.values.iter().all(is_valid) { Ok(()) } else { Err(FormError::Invalid(asked.var.clone())) }
}
