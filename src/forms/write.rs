//! Writing forms.

use super::{Choice, Field, FieldKind, Form, FormKind, MEDIA, Media, NAMESPACE, VALIDATION};
use crate::xml::Element;

impl Form {
    /// The form as it is sent.
    pub fn to_element(&self) -> Element {
        let kind = match self.kind {
            FormKind::Form => "form",
            FormKind::Submit => "submit",
            FormKind::Cancel => "cancel",
            FormKind::Result => "result",
        };
        let form = Element::new("x", NAMESPACE).with_attribute("type", kind);
        if !self.columns.is_empty() {
            return self.rows.iter().fold(form.with_child(self.header()), |form, row| form.with_child(self.row(row)));
        }
        let form = match &self.title {
            Some(title) => form.with_child(text("title", title)),
            None => form,
        };
        let form = match &self.instructions {
            // XEP-0004 §3: no newlines within, but several elements.
            Some(lines) => lines.lines().fold(form, |form, line| form.with_child(text("instructions", line))),
            None => form,
        };
        self.fields.iter().fold(form, |form, field| form.with_child(field.to_element()))
    }

    fn header(&self) -> Element {
        let reported = Element::new("reported", NAMESPACE);
        self.columns.iter().fold(reported, |reported, column| reported.with_child(column.to_element()))
    }

    fn row(&self, values: &[String]) -> Element {
        let item = Element::new("item", NAMESPACE);
        // Each column has a field in each row (XEP-0004 §3.4).
        let values = values.iter().map(String::as_str).chain(std::iter::repeat(""));
        self.columns.iter().zip(values).fold(item, |item, (column, value)| {
            let field = Element::new("field", NAMESPACE).with_attribute("var", &column.var);
            item.with_child(field.with_child(text("value", value)))
        })
    }
}

impl Field {
    fn to_element(&self) -> Element {
        let field = Element::new("field", NAMESPACE);
        let attributes = [
            ("var", Some(self.var.as_str())),
            ("type", self.kind.map(FieldKind::name)),
            ("label", self.label.as_deref()),
        ];
        let field = attributes.into_iter().fold(field, |field, (name, value)| match value {
            None | Some("") => field,
            Some(value) => field.with_attribute(name, value),
        });
        let field = match &self.media {
            Some(media) => field.with_child(media.to_element()),
            None => field,
        };
        let field = if self.is_open { field.with_child(open()) } else { field };
        let field = if self.is_required { field.with_child(Element::new("required", NAMESPACE)) } else { field };
        let field = self.values.iter().fold(field, |field, value| field.with_child(text("value", value)));
        self.choices.iter().fold(field, |field, choice| field.with_child(choice.to_element()))
    }
}

impl Media {
    fn to_element(&self) -> Element {
        let uri = Element::new("uri", MEDIA).with_attribute("type", self.kind).with_text(&self.uri);
        Element::new("media", MEDIA)
            .with_attribute("width", &self.width.to_string())
            .with_attribute("height", &self.height.to_string())
            .with_child(uri)
    }
}

impl Choice {
    fn to_element(&self) -> Element {
        let option = Element::new("option", NAMESPACE);
        let option = match &self.label {
            Some(label) => option.with_attribute("label", label),
            None => option,
        };
        option.with_child(text("value", &self.value))
    }
}

/// What says that a list takes other values, too (XEP-0122 §3.2.2).
fn open() -> Element {
    Element::new("validate", VALIDATION)
        .with_attribute("datatype", "xs:string")
        .with_child(Element::new("open", VALIDATION))
}

fn text(name: &str, text: &str) -> Element {
    let element = Element::new(name, NAMESPACE);
    if text.is_empty() { element } else { element.with_text(text) }
}
