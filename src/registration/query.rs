//! What clients ask with `jabber:iq:register` (XEP-0077 §3), and what they are shown.
//!
//! Fields stand in a data form and, where they are enough, beside it as elements of their own: many clients know only
//! these, and some look at nothing else where they see them.

use std::fmt;

use zeroize::Zeroizing;

use crate::forms::{Field, Form, FormLimits};
use crate::stream::Refusal;
use crate::xml::{Element, namespaces as ns};

/// What bounds what is filled in.
const FORM_LIMITS: FormLimits = FormLimits { fields_max: 32, values_max: 64, bytes_max: 8 << 10 };

/// What a client asks.
#[derive(Debug)]
pub enum Request {
    /// What is needed to register, or whether it is registered.
    Get,
    /// To register, or to change the password.
    Set(Submission),
    /// To have the account removed.
    Remove,
}

/// What was filled in.
#[derive(Default)]
pub struct Submission {
    values: Vec<(String, Zeroizing<String>)>,
}

impl fmt::Debug for Submission {
    // Passwords stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.iter().map(|(name, _)| name)).finish()
    }
}

impl Request {
    /// Reads `<query/>` of an IQ that asks, or sets. What is no such query is no good request.
    pub fn read(sets: bool, query: &Element) -> Result<Request, Refusal> {
        if (query.name.as_str(), query.namespace.as_str()) != ("query", ns::REGISTER) {
            return Err(Refusal::bad_request());
        }
        if !sets {
            return Ok(Request::Get);
        }
        if query.child("remove", ns::REGISTER).is_some() {
            // §3.2: nothing else stands beside it.
            return match query.children().count() {
                1 => Ok(Request::Remove),
                _ => Err(Refusal::bad_request()),
            };
        }
        let form = query.children().find(|child| Form::is_form(child));
        let values = match form {
            Some(form) => {
                let form = Form::parse_submission(form, &FORM_LIMITS).map_err(|_| Refusal::bad_request())?;
                if form.form_type().is_some_and(|form_type| form_type != ns::REGISTER) {
                    return Err(Refusal::bad_request());
                }
                let value = |field: Field| (field.var, Zeroizing::new(field.values.join("\n")));
                form.fields.into_iter().map(value).collect()
            }
            None => {
                let fields = query.children().filter(|child| child.namespace == ns::REGISTER);
                fields.map(|field| (field.name.clone(), Zeroizing::new(field.text()))).collect()
            }
        };
        Ok(Request::Set(Submission { values }))
    }
}

impl Submission {
    /// Names and what was filled in under them.
    pub fn of(values: impl Iterator<Item = (String, String)>) -> Submission {
        Submission { values: values.map(|(name, value)| (name, Zeroizing::new(value))).collect() }
    }

    /// What was filled in under this name, if it is anything.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// What somebody is shown who has an account of this name (§3.1.1): not the password, which nobody knows.
pub fn registered(username: &str) -> Element {
    let element = |name: &str| Element::new(name, ns::REGISTER);
    element("query")
        .with_child(element("registered"))
        .with_child(element("username").with_text(username))
        .with_child(element("password"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(sets: bool, content: &str) -> Result<Request, Refusal> {
        let query = format!("<query xmlns='jabber:iq:register'>{content}</query>");
        Request::read(sets, &Element::parse(query.as_bytes()).unwrap())
    }

    fn set(content: &str) -> Submission {
        match read(true, content) {
            Ok(Request::Set(submission)) => submission,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fields_come_as_elements_or_in_a_form() {
        let form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:register</value>\
                    </field><field var='username'><value>juliet</value></field><field var='password'><value>R0m30\
                    </value></field><field var='email'/></x>";
        for submission in [set("<username>juliet</username><password>R0m30</password><email/>"), set(form)] {
            let value = |name| submission.value(name);
            assert_eq!(
                [value("username"), value("password"), value("email"), value("nick")],
                [Some("juliet"), Some("R0m30"), None, None]
            );
        }
    }

    #[test]
    fn removal_stands_alone() {
        assert!(matches!(read(true, "<remove/>"), Ok(Request::Remove)));
        assert_eq!(read(true, "<remove/><username>juliet</username>").unwrap_err().condition, "bad-request");
        assert!(matches!(read(false, "<remove/>"), Ok(Request::Get)));
    }

    #[test]
    fn other_forms_are_no_registration() {
        let form = |kind: &str, form_type: &str| {
            let field = format!("<field var='FORM_TYPE'><value>{form_type}</value></field>");
            read(true, &format!("<x xmlns='jabber:x:data' type='{kind}'>{field}</x>"))
        };
        assert!(form("submit", "jabber:iq:register").is_ok());
        for (kind, form_type) in [("submit", "urn:xmpp:captcha"), ("cancel", "jabber:iq:register"), ("form", "x")] {
            assert_eq!(form(kind, form_type).unwrap_err().condition, "bad-request");
        }
    }

    proptest! {
        #[test]
        fn passwords_are_not_shown(password in "[a-z]{12}") {
            let submission = set(&format!("<username>juliet</username><password>{password}</password>"));
            prop_assert_eq!(submission.value("password"), Some(password.as_str()));
            let shown = format!("{submission:?}");
            prop_assert!(shown.contains("password") && !shown.contains(&password));
        }
    }
}
