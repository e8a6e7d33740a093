//! What somebody who registers is asked beside name and password: fields to be filled in, a question that people can
//! answer and programs cannot, terms to be accepted.

use super::Declined;
use super::challenge::{Challenge, Proof};
use super::query::Submission;
use crate::forms::{Field, FieldKind, Form, FormKind};
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// The words above the fields unless others are given.
pub const INSTRUCTIONS: &str = "Choose a user name and a password.";

/// Names that mean something else in the form.
const TAKEN: [&str; 9] = ["username", "password", "password2", "seal", "t", ANSWER, LETTERS, CHALLENGE, TERMS];

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

/// The fields of the letters of a picture, and of the name of the challenge (XEP-0158 §4).
pub const LETTERS: &str = "ocr";
/// See [`LETTERS`].
pub const CHALLENGE: &str = "challenge";

/// The field by which terms are accepted.
const TERMS: &str = "terms";

/// A field to be filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    /// One of [`FIELDS`], or one of the operator's own.
    pub name: String,
    /// For people.
    pub label: String,
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
    /// Whether the letters of a picture have to be read, or the question to be answered if there is one: who does not
    /// see pictures needs another way.
    pub picture: bool,
    /// Where the terms are that have to be accepted.
    pub terms: Option<String>,
}

/// To whom the questionnaire is shown, and what belongs to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offer<'a> {
    /// The web page on which one can register as well.
    pub page: Option<&'a str>,
    /// Whether whoever asks is invited.
    pub is_invited: bool,
    /// The challenge with the picture that is to be read.
    pub challenge: Option<&'a Challenge>,
    /// The id of the question.
    pub id: &'a str,
}

/// What was filled in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answers {
    /// Beside name and password.
    pub said: Vec<(String, String)>,
    /// What has to be right before there is an account.
    pub proof: Option<Proof>,
}

impl Questionnaire {
    /// What is to be filled in to register (XEP-0077 §3.1): a form, and beside it elements for clients that know no
    /// forms. Some clients look at nothing else where they see those, so that there are none where they are not enough.
    /// People whose clients know no forms are then shown where the web page is, if there is one.
    pub fn offer(&self, offer: Offer<'_>) -> Element {
        let words = if self.instructions.is_empty() { INSTRUCTIONS } else { &self.instructions };
        let form = Form::new(FormKind::Form)
            .with_type(ns::REGISTER)
            .with_words("Registration", words)
            .with_field(Field::new(FieldKind::TextSingle, "username").with_label("User name").required())
            .with_field(Field::new(FieldKind::TextPrivate, "password").with_label("Password").required());
        let form = self.fields.iter().fold(form, |form, asked| form.with_field(asked.field()));
        let question = self.question.as_ref().filter(|_| !offer.is_invited);
        let challenge = offer.challenge.filter(|_| self.is_picture_asked(offer.is_invited));
        // One answer of two is enough.
        let needed = |field: Field| if question.is_some() && challenge.is_some() { field } else { field.required() };
        let form = match challenge {
            Some(challenge) => {
                let hidden = |name: &str, value: &str| Field::new(FieldKind::Hidden, name).with_value(value);
                let field = Field::new(FieldKind::TextSingle, LETTERS).with_label("Enter the letters you see");
                form.with_field(hidden(CHALLENGE, &challenge.name))
                    .with_field(hidden("sid", offer.id))
                    .with_field(hidden("answers", "1"))
                    .with_field(needed(Field { media: Some(challenge.picture.media()), ..field }))
            }
            None => form,
        };
        let form = match question {
            Some(question) => {
                form.with_field(needed(Field::new(FieldKind::TextSingle, ANSWER).with_label(&question.text)))
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
        let demands_more = question.is_some()
            || challenge.is_some()
            || self.terms.is_some()
            || self.fields.iter().any(|asked| asked.is_required);
        let query = match demands_more {
            true => offer.page.into_iter().fold(query, |query, page| {
                let url = Element::new("url", ns::OUT_OF_BAND).with_text(page);
                query.with_child(Element::new("x", ns::OUT_OF_BAND).with_child(url))
            }),
            false => {
                let known = self.fields.iter().filter(|asked| asked.is_standard()).map(|asked| asked.name.as_str());
                let names = ["username", "password"].into_iter().chain(known);
                names.fold(query, |query, name| query.with_child(element(name)))
            }
        };
        let query = query.with_child(form.to_element());
        match challenge {
            Some(challenge) => query.with_child(challenge.picture.to_element()),
            None => query,
        }
    }

    /// Whether somebody has to be shown a picture.
    pub fn is_picture_asked(&self, is_invited: bool) -> bool {
        self.picture && !is_invited
    }

    /// What was filled in beside name and password, if it is all that is asked for. Whoever is invited need not answer
    /// the question, nor read letters.
    pub fn check(&self, submission: &Submission, is_invited: bool) -> Result<Answers, Declined> {
        let mut filled = Vec::new();
        for asked in &self.fields {
            let wrong = |text: String| Refusal::not_acceptable().with_text(&text);
            match submission.value(&asked.name).map(str::trim).filter(|value| !value.is_empty()) {
                Some(value) if value.len() > VALUE_BYTES_MAX => {
                    return Err(Declined::new("bad-field", wrong(format!("The field {} is too long.", asked.name))));
                }
                Some(value) if asked.name == "email" && !is_email(value) => {
                    return Err(Declined::new("bad-field", wrong("This is no e-mail address.".into())));
                }
                Some(value) => filled.push((asked.name.clone(), value.to_owned())),
                None if asked.is_required => {
                    return Err(Declined::new("missing-field", wrong(format!("The field {} is missing.", asked.name))));
                }
                None => {}
            }
        }
        let is_picture_asked = self.is_picture_asked(is_invited);
        let answer = submission.value(ANSWER).filter(|answer| !answer.trim().is_empty());
        if let Some(question) = self.question.as_ref().filter(|_| !is_invited)
            && (answer.is_some() || !is_picture_asked)
            && !question.is_answered_by(answer.unwrap_or_default())
        {
            let refusal = Refusal::new("cancel", "not-acceptable").with_text("The answer to the question is wrong.");
            return Err(Declined::new("wrong-answer", refusal));
        }
        if self.terms.is_some() && !matches!(submission.value(TERMS), Some("1" | "true")) {
            let refusal = Refusal::not_acceptable().with_text("The terms of service have to be accepted.");
            return Err(Declined::new("terms-refused", refusal));
        }
        let proof = match is_picture_asked && (answer.is_none() || self.question.is_none()) {
            true => Some(Proof {
                challenge: submission.value(CHALLENGE).unwrap_or_default().to_owned(),
                answer: submission.value(LETTERS).unwrap_or_default().to_owned(),
            }),
            false => None,
        };
        Ok(Answers { said: filled, proof })
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
    /// Reads the name of a field, with a `+` behind it if nobody registers without: one of [`FIELDS`], or another one
    /// with its label behind a `=`, such as `colour+=Your favourite colour`.
    pub fn parse(text: &str) -> Option<Asked> {
        let (name, label) = text.split_once('=').map_or((text, None), |(name, label)| (name, Some(label.trim())));
        let (name, is_required) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
        let known = FIELDS.iter().find(|(known, _)| *known == name).map(|(_, label)| *label);
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let is_free = is_name && !TAKEN.contains(&name);
        let label = label.filter(|label| !label.is_empty() && is_free).or(known)?;
        Some(Asked { name: name.to_owned(), label: label.to_owned(), is_required })
    }

    /// Whether clients that know no forms know it (XEP-0077 §14.1).
    fn is_standard(&self) -> bool {
        self.name != REASON && FIELDS.iter().any(|(known, _)| *known == self.name)
    }

    fn field(&self) -> Field {
        let kind = if self.name == REASON { FieldKind::TextMulti } else { FieldKind::TextSingle };
        let field = Field::new(kind, &self.name).with_label(&self.label);
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
    use super::super::picture::Picture;
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

    fn written(element: &Element) -> String {
        let mut out = Vec::new();
        element.write_to(&mut out, ns::CLIENT);
        String::from_utf8(out).unwrap()
    }

    fn names(offer: &Element) -> Vec<&str> {
        offer.children().map(|child| child.name.as_str()).collect()
    }

    #[test]
    fn clients_without_forms_see_fields_where_these_are_enough() {
        let asked = |text| Asked::parse(text).unwrap();
        let mut questionnaire = Questionnaire::default();
        assert_eq!(names(&questionnaire.offer(Offer::default())), ["instructions", "username", "password", "x"]);
        let limits = FormLimits { fields_max: 10, values_max: 10, bytes_max: 1000 };
        let offer = questionnaire.offer(Offer::default());
        let form = Form::parse(offer.child("x", ns::DATA_FORMS).unwrap(), &limits).unwrap();
        assert_eq!(form.form_type(), Some(ns::REGISTER));
        assert!(["username", "password"].iter().all(|name| form.field(name).unwrap().is_required));
        questionnaire.fields = vec![asked("email"), asked("reason")];
        assert_eq!(
            names(&questionnaire.offer(Offer::default())),
            ["instructions", "username", "password", "email", "x"]
        );
        questionnaire.fields = vec![asked("email+")];
        assert_eq!(names(&questionnaire.offer(Offer::default())), ["instructions", "x"]);
        let terms = Questionnaire { terms: Some("https://x.org/terms".into()), ..Questionnaire::default() };
        assert_eq!(names(&terms.offer(Offer::default())), ["instructions", "x"]);
        let page = Some("https://x.org/register");
        assert_eq!(names(&terms.offer(Offer { page, ..Offer::default() })), ["instructions", "x", "x"]);
        let web = terms
            .offer(Offer { page, ..Offer::default() })
            .child("x", ns::OUT_OF_BAND)
            .and_then(|x| Some(x.child("url", ns::OUT_OF_BAND)?.text()));
        assert_eq!(web.as_deref(), page);
        assert_eq!(
            names(&Questionnaire::default().offer(Offer { page, ..Offer::default() })),
            ["instructions", "username", "password", "x"]
        );
        for wrong in ["colour", "email++", "=x", "password=x", "a b=x", "colour="] {
            assert_eq!(Asked::parse(wrong), None, "{wrong}");
        }
        questionnaire.fields = vec![asked("colour=Your favourite colour"), asked("nick=Call sign")];
        assert_eq!(
            names(&questionnaire.offer(Offer::default())),
            ["instructions", "username", "password", "nick", "x"]
        );
        let offer = written(&questionnaire.offer(Offer::default()));
        assert!(offer.contains("<field var='colour' type='text-single' label='Your favourite colour'/>"), "{offer}");
        assert!(offer.contains("label='Call sign'"), "{offer}");
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
        let said = questionnaire.check(&submission(&good), false).unwrap().said;
        assert_eq!(said, [("email".to_owned(), "j@x.org".to_owned())]);
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

    #[test]
    fn letters_are_read_or_the_question_is_answered_by_whoever_is_not_invited() {
        let question = Question { text: "Who loves Juliet?".into(), answers: vec!["Romeo".into()] };
        let mut questionnaire = Questionnaire { picture: true, ..Questionnaire::default() };
        let challenge = Challenge { name: "F3A6".into(), picture: Picture { bytes: b"jpeg".to_vec() } };
        let offer = Offer { challenge: Some(&challenge), id: "reg1", ..Offer::default() };
        let shown = questionnaire.offer(offer);
        assert_eq!(names(&shown), ["instructions", "x", "data"]);
        let form = written(shown.child("x", ns::DATA_FORMS).unwrap());
        for part in [
            "<field var='challenge' type='hidden'><value>F3A6</value></field>",
            "<field var='sid' type='hidden'><value>reg1</value></field>",
            "<field var='ocr' type='text-single' label='Enter the letters you see'>\
             <media xmlns='urn:xmpp:media-element' width='195' height='83'><uri type='image/jpeg'>cid:sha1+",
            "</media><required/></field>",
        ] {
            assert!(form.contains(part), "{part}: {form}");
        }
        let invited = questionnaire.offer(Offer { is_invited: true, ..offer });
        assert_eq!(names(&invited), ["instructions", "username", "password", "x"]);
        let proof = |questionnaire: &Questionnaire, fields: &[(&str, &str)]| {
            questionnaire.check(&submission(fields), false).map(|answers| answers.proof).map_err(|not| not.reason)
        };
        let read = Some(Proof { challenge: "F3A6".into(), answer: "abc".into() });
        let letters = [("challenge", "F3A6"), ("ocr", "abc"), ("qa", "Romeo")];
        assert_eq!(proof(&questionnaire, &letters), Ok(read.clone()), "where no question is asked, none is answered");
        assert_eq!(proof(&questionnaire, &[]), Ok(Some(Proof { challenge: "".into(), answer: "".into() })));
        assert_eq!(questionnaire.check(&submission(&[]), true), Ok(Answers::default()));
        questionnaire.question = Some(question);
        assert_eq!(proof(&questionnaire, &letters[..2]), Ok(read));
        assert_eq!(proof(&questionnaire, &letters), Ok(None));
        assert_eq!(proof(&questionnaire, &[("qa", "Paris"), letters[0], letters[1]]), Err("wrong-answer"));
        let shown = questionnaire.offer(offer);
        let form = written(shown.child("x", ns::DATA_FORMS).unwrap());
        assert!(form.contains("<field var='answers' type='hidden'><value>1</value></field>"), "{form}");
        assert!(form.contains("<field var='qa'") && !form.contains("</media><required/>"), "{form}");
    }
}
