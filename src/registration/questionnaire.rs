//! What somebody who registers is asked beside name and password: fields to be filled in, a question that people can
//! answer and programs cannot, terms to be accepted.

use super::Declined;
use super::query::Submission;
use crate::forms::{Field, FieldKind, Form, FormKind};
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// The words above the fields unless others are given.
pub const INSTRUCTIONS: &str = "Choose a user name and a password.";

/// Bytes of what is filled into one field at most.
const VALUE_BYTES_MAX: usize = 2000;

/// The fields that can be asked for: those of XEP-0077 §14.1, and why somebody wants an account.
pub const FIELDS: [(&str, &str); 13] = [
    ("nick", "Nickname"),
    ("name", "Full name"),
    ("first", "Given name"),
    ("last", "Family name"),
    ("email", "E-mail address"),
    ("address", "Street and number"),
    ("city", "City"),
    ("state", "State or region"),
    ("zip", "Postal code"),
    ("phone", "Telephone number"),
    ("url", "Web page"),
    ("date", "Date of birth"),
    ("reason", "Why you want an account here"),
];

/// The one of them that is no field of XEP-0077.
const REASON: &str = "reason";

/// The field of the answer to the question (XEP-0158 §4.1).
const ANSWER: &str = "qa";

/// The field by which terms are accepted.
const TERMS: &str = "terms";

/// A field to be filled in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asked {
    /// One of [`FIELDS`].
    pub name: &'static str,
    /// For people.
    pub label: &'static str,
    /// Whether nobody registers without.
    pub is_required: bool,
}

/// A question, and what answers it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// The question.
    pub text: String,
    /// The answers that are right, whether in upper or in lower case.
    pub answers: Vec<String>,
}

/// What is asked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Questionnaire {
    /// The words above it; empty: [`INSTRUCTIONS`].
    pub instructions: String,
    /// Fields to be filled in.
    pub fields: Vec<Asked>,
    /// A question to be answered.
    pub question: Option<Question>,
    /// Where the terms are that have to be accepted.
    pub terms: Option<String>,
}

impl Questionnaire {
    /// What is to be filled in to register (XEP-0077 §3.1): a form, and beside it elements for clients that know no
    /// forms. Some clients look at nothing else where they see those, so that there are none where they are not enough.
    /// People whose clients know no forms are then shown where the web page is, if there is one.
    pub fn offer(&self, page: Option<&str>) -> Element {
        let words = if self.instructions.is_empty() { INSTRUCTIONS } else { &self.instructions };
        let form = Form::new(FormKind::Form)
            .with_type(ns::REGISTER)
            .with_words("Registration", words)
            .with_field(Field::new(FieldKind::TextSingle, "username").with_label("User name").required())
            .with_field(Field::new(FieldKind::TextPrivate, "password").with_label("Password").required());
        let form = self.fields.iter().fold(form, |form, asked| form.with_field(asked.field()));
        let form = match &self.question {
            Some(question) => {
                form.with_field(Field::new(FieldKind::TextSingle, ANSWER).with_label(&question.text).required())
            }
            None => form,
        };
        let form = match &self.terms {
            Some(terms) => {
                let label = format!("I accept the terms of service: {terms}");
                form.with_field(Field::new(FieldKind::Boolean, TERMS).with_label(&label).required())
            }
            None => form,
        };
        let element = |name: &str| Element::new(name, ns::REGISTER);
        let query = element("query").with_child(element("instructions").with_text(words));
        let demands_more =
            self.question.is_some() || self.terms.is_some() || self.fields.iter().any(|asked| asked.is_required);
        let query = match demands_more {
            true => page.into_iter().fold(query, |query, page| {
                let url = Element::new("url", ns::OUT_OF_BAND).with_text(page);
                query.with_child(Element::new("x", ns::OUT_OF_BAND).with_child(url))
            }),
            false => {
                let known = self.fields.iter().map(|asked| asked.name).filter(|name| *name != REASON);
                let names = ["username", "password"].into_iter().chain(known);
                names.fold(query, |query, name| query.with_child(element(name)))
            }
        };
        query.with_child(form.to_element())
    }

    /// What was filled in beside name and password, if it is all that is asked for. Whoever is invited need not answer
    /// the question.
    pub fn check(&self, submission: &Submission, is_invited: bool) -> Result<Vec<(String, String)>, Declined> {
        let mut filled = Vec::new();
        for asked in &self.fields {
            let wrong = |text: String| Refusal::not_acceptable().with_text(&text);
            match submission.value(asked.name).map(str::trim).filter(|value| !value.is_empty()) {
                Some(value) if value.len() > VALUE_BYTES_MAX => {
                    return Err(Declined::new("bad-field", wrong(format!("The field {} is too long.", asked.name))));
                }
                Some(value) if asked.name == "email" && !is_email(value) => {
                    return Err(Declined::new("bad-field", wrong("This is no e-mail address.".into())));
                }
                Some(value) => filled.push((asked.name.to_owned(), value.to_owned())),
                None if asked.is_required => {
                    return Err(Declined::new("missing-field", wrong(format!("The field {} is missing.", asked.name))));
                }
                None => {}
            }
        }
        if let Some(question) = self.question.as_ref().filter(|_| !is_invited) {
            let answer = submission.value(ANSWER).unwrap_or_default();
            if !question.is_answered_by(answer) {
                let refusal =
                    Refusal::new("cancel", "not-acceptable").with_text("The answer to the question is wrong.");
                return Err(Declined::new("wrong-answer", refusal));
            }
        }
        if self.terms.is_some() && !matches!(submission.value(TERMS), Some("1" | "true")) {
            let refusal = Refusal::not_acceptable().with_text("The terms of service have to be accepted.");
            return Err(Declined::new("terms-refused", refusal));
        }
        Ok(filled)
    }
}

impl Question {
    fn is_answered_by(&self, answer: &str) -> bool {
        let plain = |text: &str| text.trim().to_lowercase();
        let answer = plain(answer);
        self.answers.iter().any(|right| plain(right) == answer)
    }
}

impl Asked {
    /// Reads the name of a field, with a `+` behind it if nobody registers without.
    pub fn parse(text: &str) -> Option<Asked> {
        let (name, is_required) = text.strip_suffix('+').map_or((text, false), |name| (name, true));
        let (name, label) = FIELDS.iter().find(|(known, _)| *known == name)?;
        Some(Asked { name, label, is_required })
    }

    fn field(&self) -> Field {
        let kind = if self.name == REASON { FieldKind::TextMulti } else { FieldKind::TextSingle };
        let field = Field::new(kind, self.name).with_label(self.label);
        if self.is_required { field.required() } else { field }
    }
}

/// Whether something may be an address of e-mail. More than that is known once a message has come through.
fn is_email(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    let is_part =
        |part: &str| !part.is_empty() && !part.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    parts.is_some_and(|(local, domain)| is_part(local) && is_part(domain))
}

#[cfg(test)]
mod tests {
    use super::super::query::Request;
    use super::*;
    use crate::forms::FormLimits;

    fn submission(fields: &[(&str, &str)]) -> Submission {
        let field = |(name, value): &(&str, &str)| format!("<field var='{name}'><value>{value}</value></field>");
        let fields: String = fields.iter().map(field).collect();
        let query =
            format!("<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>{fields}</x></query>");
        match Request::read(true, &Element::parse(query.as_bytes()).unwrap()) {
            Ok(Request::Set(submission)) => submission,
            other => panic!("{other:?}"),
        }
    }

    fn names(offer: &Element) -> Vec<&str> {
        offer.children().map(|child| child.name.as_str()).collect()
    }

    #[test]
    fn clients_without_forms_see_fields_where_these_are_enough() {
        let asked = |text| Asked::parse(text).unwrap();
        let mut questionnaire = Questionnaire::default();
        assert_eq!(names(&questionnaire.offer(None)), ["instructions", "username", "password", "x"]);
        let limits = FormLimits { fields_max: 10, values_max: 10, bytes_max: 1000 };
        let offer = questionnaire.offer(None);
        let form = Form::parse(offer.child("x", ns::DATA_FORMS).unwrap(), &limits).unwrap();
        assert_eq!(form.form_type(), Some(ns::REGISTER));
        assert!(["username", "password"].iter().all(|name| form.field(name).unwrap().is_required));
        questionnaire.fields = vec![asked("email"), asked("reason")];
        assert_eq!(names(&questionnaire.offer(None)), ["instructions", "username", "password", "email", "x"]);
        questionnaire.fields = vec![asked("email+")];
        assert_eq!(names(&questionnaire.offer(None)), ["instructions", "x"]);
        let terms = Questionnaire { terms: Some("https://x.org/terms".into()), ..Questionnaire::default() };
        assert_eq!(names(&terms.offer(None)), ["instructions", "x"]);
        let page = Some("https://x.org/register");
        assert_eq!(names(&terms.offer(page)), ["instructions", "x", "x"]);
        let web =
            terms.offer(page).child("x", ns::OUT_OF_BAND).and_then(|x| Some(x.child("url", ns::OUT_OF_BAND)?.text()));
        assert_eq!(web.as_deref(), page);
        assert_eq!(names(&Questionnaire::default().offer(page)), ["instructions", "username", "password", "x"]);
        assert_eq!((Asked::parse("colour"), Asked::parse("email++")), (None, None));
    }

    #[test]
    fn what_is_asked_for_has_to_be_there() {
        let questionnaire = Questionnaire {
            fields: ["email+", "nick"].map(|text| Asked::parse(text).unwrap()).to_vec(),
            question: Some(Question { text: "Who loves Juliet?".into(), answers: vec!["Romeo".into()] }),
            terms: Some("https://x.org/terms".into()),
            ..Questionnaire::default()
        };
        let good = [("email", "j@x.org"), ("nick", ""), ("qa", " ROMEO "), ("terms", "true"), ("other", "x")];
        assert_eq!(questionnaire.check(&submission(&good), false), Ok(vec![("email".into(), "j@x.org".into())]));
        let with = |at: usize, value| {
            let mut fields = good;
            fields[at].1 = value;
            questionnaire.check(&submission(&fields), false).unwrap_err().reason
        };
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        assert_eq!([with(0, ""), with(0, "nobody"), with(0, "a b@x")], ["missing-field", "bad-field", "bad-field"]);
        assert_eq!([with(1, &long), with(2, "Paris"), with(2, "")], ["bad-field", "wrong-answer", "wrong-answer"]);
        let unasked = [("email", "j@x.org"), ("terms", "1")];
        assert!(questionnaire.check(&submission(&unasked), true).is_ok());
        assert_eq!([with(3, "false"), with(3, "")], ["terms-refused", "terms-refused"]);
    }
}
