//! Reading forms that somebody has sent.

use std::collections::HashSet;

use super::{Choice, Field, FieldKind, Form, FormError, FormKind, FormLimits, NAMESPACE, VALIDATION};
use crate::xml::Element;

impl Form {
    /// Whether an element is a form.
    pub fn is_form(element: &Element) -> bool {
        (element.name.as_str(), element.namespace.as_str()) == ("x", NAMESPACE)
    }

    /// Reads a form of any type. Words between fields and tables are left out: nobody sends them here to be read.
    pub fn parse(element: &Element, limits: &FormLimits) -> Result<Form, FormError> {
        let kind = match element.attribute("type") {
            _ if !Form::is_form(element) => return Err(FormError::NotAForm),
            Some("form") => FormKind::Form,
            Some("submit") => FormKind::Submit,
            Some("cancel") => FormKind::Cancel,
            Some("result") => FormKind::Result,
            _ => return Err(FormError::NotAForm),
        };
        let mut room = Room { values: limits.values_max, bytes: limits.bytes_max };
        let mut form = Form::new(kind);
        let mut names = HashSet::new();
        for child in element.children().filter(|child| child.namespace == NAMESPACE) {
            match child.name.as_str() {
                "title" => form.title = Some(room.text(child.text())?),
                "instructions" => {
                    let line = room.text(child.text())?;
                    form.instructions = Some(match form.instructions.take() {
                        Some(before) => before + "\n" + &line,
                        None => line,
                    });
                }
                "field" => {
                    let Some(field) = read_field(child, &mut room)? else { continue };
                    if form.fields.len() == limits.fields_max {
                        return Err(FormError::TooLarge);
                    }
                    if !names.insert(child.attribute("var")) {
                        return Err(FormError::Duplicate(field.var));
                    }
                    form.fields.push(field);
                }
                _ => {}
            }
        }
        Ok(form)
    }

    /// Reads a form that is submitted.
    pub fn parse_submission(element: &Element, limits: &FormLimits) -> Result<Form, FormError> {
        let form = Form::parse(element, limits)?;
        if form.kind == FormKind::Submit { Ok(form) } else { Err(FormError::NotAForm) }
    }
}

/// A field; `None` for words only.
fn read_field(element: &Element, room: &mut Room) -> Result<Option<Field>, FormError> {
    // XEP-0004 §3.3: a type that is not understood counts as none.
    let kind = element.attribute("type").and_then(FieldKind::parse);
    let var = match element.attribute("var") {
        _ if kind == Some(FieldKind::Fixed) => return Ok(None),
        None | Some("") => return Err(FormError::Nameless),
        Some(var) => room.text(var.into())?,
    };
    let label = element.attribute("label").map(|label| room.text(label.into())).transpose()?;
    let mut field = Field { var, kind, label, ..Field::default() };
    for child in element.children() {
        match (child.name.as_str(), child.namespace.as_str()) {
            ("required", NAMESPACE) => field.is_required = true,
            ("value", NAMESPACE) => field.values.push(room.value(child.text())?),
            ("option", NAMESPACE) => {
                let value = child.child("value", NAMESPACE).map(Element::text).unwrap_or_default();
                let label = child.attribute("label").map(|label| room.text(label.into())).transpose()?;
                field.choices.push(Choice { label, value: room.value(value)? });
            }
            ("validate", VALIDATION) => field.is_open = child.child("open", VALIDATION).is_some(),
            _ => {}
        }
    }
    Ok(Some(field))
}

/// What the limits leave.
struct Room {
    values: usize,
    bytes: usize,
}

impl Room {
    fn text(&mut self, text: String) -> Result<String, FormError> {
        self.bytes = self.bytes.checked_sub(text.len()).ok_or(FormError::TooLarge)?;
        Ok(text)
    }

    fn value(&mut self, value: String) -> Result<String, FormError> {
        self.values = self.values.checked_sub(1).ok_or(FormError::TooLarge)?;
        self.text(value)
    }
}
