//! Data forms (XEP-0004), with the field that says what a form is for (XEP-0068) and lists that are open to other
//! values (XEP-0122 §3.2). One type for all of them: the form that is asked with, the form that is submitted, and the
//! data that are shown, be it in a result or as an extension of service discovery (XEP-0128).
//!
//! What lives here: reading and writing forms, and holding a submission against the form that was asked with. What may
//! not: what any field means.
//!
//! No feature is advertised for it: support is implied by the protocols that have forms in them (XEP-0004 §6).

mod check;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use check::Unknown;

use std::collections::HashSet;

use crate::jid::Jid;
use crate::xml::namespaces as ns;

/// The field that says what a form is for (XEP-0068 §3.1).
pub const FORM_TYPE: &str = "FORM_TYPE";

/// What a form is in the exchange (XEP-0004 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FormKind {
    /// Asks.
    Form,
    /// Answers.
    Submit,
    /// Declines to answer.
    Cancel,
    /// Shows data.
    Result,
}

/// The type of a field (XEP-0004 §3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// One of two.
    Boolean,
    /// Words between the fields, nothing to fill in.
    Fixed,
    /// Not shown, and returned as it is.
    Hidden,
    /// Several addresses.
    JidMulti,
    /// An address.
    JidSingle,
    /// Several of a list.
    ListMulti,
    /// One of a list.
    ListSingle,
    /// Several lines of text.
    TextMulti,
    /// One line of text that nobody should see.
    TextPrivate,
    /// One line of text.
    TextSingle,
}

/// What may be chosen in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice {
    /// For people.
    pub label: Option<String>,
    /// What is submitted.
    pub value: String,
}

/// A field of a form.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Field {
    /// Its name. Empty for words only ([`FieldKind::Fixed`]).
    pub var: String,
    /// Its type, where it is said. Without one, it is text of one line in a form that asks.
    pub kind: Option<FieldKind>,
    /// For people.
    pub label: Option<String>,
    /// Whether a submission must have a value for it.
    pub is_required: bool,
    /// What is filled in.
    pub values: Vec<String>,
    /// What may be chosen, for the types that are lists.
    pub choices: Vec<Choice>,
    /// Whether other values than the choices may be submitted (XEP-0122 §3.2.2).
    pub is_open: bool,
    /// What is looked at to fill it in.
    pub media: Option<Media>,
}

/// A picture that belongs to a field (XEP-0221).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Media {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Its MIME type.
    pub kind: &'static str,
    /// Where it is.
    pub uri: String,
}

/// A data form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Form {
    /// What it is in the exchange.
    pub kind: FormKind,
    /// For people.
    pub title: Option<String>,
    /// For people.
    pub instructions: Option<String>,
    /// Its fields, in order.
    pub fields: Vec<Field>,
    /// The columns of a table (XEP-0004 §3.4). A form with columns shows its rows, and neither title nor fields, which
    /// may not stand beside them.
    pub columns: Vec<Field>,
    /// The rows of the table: a value for each column.
    pub rows: Vec<Vec<String>>,
}

/// What bounds a form that somebody sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FormLimits {
    /// Fields at most.
    pub fields_max: usize,
    /// Values and choices at most, those of all fields together.
    pub values_max: usize,
    /// Bytes of all names, labels and values together.
    pub bytes_max: usize,
}

/// Why a form is not taken. Which stanza error that is says the protocol that the form belongs to; where none is said,
/// it is `<not-acceptable/>` (XEP-0004 §4).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FormError {
    /// It is no form, or of a type that is unknown or not expected here.
    #[error("this is not the expected data form")]
    NotAForm,
    /// It is more than [`FormLimits`] allow.
    #[error("the form is too large")]
    TooLarge,
    /// It is meant for something else ([`FORM_TYPE`]).
    #[error("the form is of another FORM_TYPE")]
    OtherType,
    /// A field has no name.
    #[error("a field has no name")]
    Nameless,
    /// Two fields have this name.
    #[error("the field {0} is there twice")]
    Duplicate(String),
    /// This field was not asked for.
    #[error("the field {0} is unknown")]
    Unknown(String),
    /// This field must be filled in.
    #[error("the field {0} is missing")]
    Missing(String),
    /// This field takes one value.
    #[error("the field {0} has more than one value")]
    TooManyValues(String),
    /// This field has a value that its type does not have.
    #[error("the field {0} has a value that it cannot have")]
    Invalid(String),
}

impl FieldKind {
    const NAMES: [(FieldKind, &'static str); 10] = [
        (FieldKind::Boolean, "boolean"),
        (FieldKind::Fixed, "fixed"),
        (FieldKind::Hidden, "hidden"),
        (FieldKind::JidMulti, "jid-multi"),
        (FieldKind::JidSingle, "jid-single"),
        (FieldKind::ListMulti, "list-multi"),
        (FieldKind::ListSingle, "list-single"),
        (FieldKind::TextMulti, "text-multi"),
        (FieldKind::TextPrivate, "text-private"),
        (FieldKind::TextSingle, "text-single"),
    ];

    /// Whether a field of this type may have several values (XEP-0004 §3.2).
    pub fn is_multi(self) -> bool {
        matches!(self, FieldKind::Hidden | FieldKind::JidMulti | FieldKind::ListMulti | FieldKind::TextMulti)
    }

    fn name(self) -> &'static str {
        FieldKind::NAMES.iter().find(|(kind, _)| *kind == self).map_or("text-single", |(_, name)| name)
    }

    fn parse(name: &str) -> Option<FieldKind> {
        FieldKind::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

impl Field {
    /// An empty field.
    pub fn new(kind: FieldKind, var: &str) -> Field {
        Field { var: var.into(), kind: Some(kind), ..Field::default() }
    }

    /// Data to be shown, of a type that the reader knows.
    pub fn shown(var: &str, value: &str) -> Field {
        Field { var: var.into(), values: vec![value.into()], ..Field::default() }
    }

    /// Words between the fields.
    pub fn words(text: &str) -> Field {
        Field::new(FieldKind::Fixed, "").with_value(text)
    }

    /// With words for people.
    pub fn with_label(mut self, label: &str) -> Field {
        self.label = Some(label.into());
        self
    }

    /// With one more value.
    pub fn with_value(mut self, value: &str) -> Field {
        self.values.push(value.into());
        self
    }

    /// With one more choice.
    pub fn with_choice(mut self, label: &str, value: &str) -> Field {
        self.choices.push(Choice { label: Some(label.into()), value: value.into() });
        self
    }

    /// To be filled in.
    pub fn required(mut self) -> Field {
        self.is_required = true;
        self
    }

    /// A list to which other values than its choices may be submitted.
    pub fn open(mut self) -> Field {
        self.is_open = true;
        self
    }
}

impl Form {
    /// An empty form.
    pub fn new(kind: FormKind) -> Form {
        let (fields, columns, rows) = (Vec::new(), Vec::new(), Vec::new());
        Form { kind, title: None, instructions: None, fields, columns, rows }
    }

    /// With the field that says what it is for, which comes first.
    pub fn with_type(self, form_type: &str) -> Form {
        self.with_field(Field::new(FieldKind::Hidden, FORM_TYPE).with_value(form_type))
    }

    /// With a title and instructions for people.
    pub fn with_words(mut self, title: &str, instructions: &str) -> Form {
        self.title = Some(title.into());
        self.instructions = Some(instructions.into());
        self
    }

    /// With one more field.
    pub fn with_field(mut self, field: Field) -> Form {
        self.fields.push(field);
        self
    }

    /// With one more column of a table.
    pub fn with_column(mut self, kind: FieldKind, var: &str, label: &str) -> Form {
        self.columns.push(Field::new(kind, var).with_label(label));
        self
    }

    /// With one more row: a value for each column.
    pub fn with_row(mut self, row: Vec<String>) -> Form {
        self.rows.push(row);
        self
    }

    /// What it is for: said by a hidden field in a form that asks or shows (XEP-0068 §4.3), by a field of any type or
    /// none in one that is submitted (§5).
    pub fn form_type(&self) -> Option<&str> {
        let field = self.field(FORM_TYPE)?;
        let counts = field.kind == Some(FieldKind::Hidden) || self.kind == FormKind::Submit;
        field.values.first().filter(|_| counts).map(String::as_str)
    }

    /// The field of this name.
    pub fn field(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.var == var)
    }

    /// The values of a field; none if it is not there.
    pub fn values(&self, var: &str) -> &[String] {
        self.field(var).map_or(&[], |field| &field.values)
    }

    /// The value of a field of one value. An empty one counts as none (XEP-0004 §3.6).
    pub fn value(&self, var: &str) -> Option<&str> {
        self.values(var).first().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The lines of a field of several, put together.
    pub fn text(&self, var: &str) -> Option<String> {
        self.field(var).map(|field| field.values.join("\n"))
    }

    /// The value of a field that is true or false.
    pub fn boolean(&self, var: &str) -> Option<bool> {
        self.value(var).and_then(boolean)
    }

    /// The addresses in a field, each once and in normal form. What is none is left out; [`Form::check`] refuses it.
    pub fn jids(&self, var: &str) -> Vec<Jid<'_>> {
        let mut known = HashSet::new();
        let jids = self.values(var).iter().filter_map(|value| Jid::parse(value).ok());
        jids.filter(|jid| known.insert(jid.as_str().to_owned())).collect()
    }
}

/// The namespace of forms.
const NAMESPACE: &str = ns::DATA_FORMS;

/// The namespace of pictures (XEP-0221).
const MEDIA: &str = ns::MEDIA_ELEMENT;

/// The namespace of rules for values (XEP-0122).
const VALIDATION: &str = "http://jabber.org/protocol/xdata-validate";

/// Both spellings of XML Schema.
pub(crate) fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}
