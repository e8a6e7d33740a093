//! The pages. They have no scripts, so that they work in every browser, and say what is wrong in words.

use maud::{DOCTYPE, Markup, html};

use super::site::{Filled, Invited};
use crate::registration::{Asked, CHALLENGE, Challenge, LETTERS, Mode, Policy, Questionnaire};

/// How all pages look.
pub const STYLE: &str = include_str!("style.css");

/// Clients for those who have none: which, for what, and where.
const CLIENTS: [(&str, &str, &str); 4] = [
    ("Conversations", "Android", "https://conversations.im/"),
    ("Monal", "iPhone, iPad and Mac", "https://monal-im.org/"),
    ("Gajim", "Windows, Mac and Linux", "https://gajim.org/"),
    ("Dino", "Linux", "https://dino.im/"),
];

/// Where there are more.
const ALL_CLIENTS: &str = "https://xmpp.org/software/";

/// What a form shows beside what is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// What is wrong with what was sent.
    pub wrong: Option<&'a str>,
    /// The seal of the form.
    pub seal: &'a str,
    /// The challenge whose picture has to be read.
    pub challenge: Option<&'a Challenge>,
    /// How those who run the server are reached.
    pub help: Option<&'a str>,
}

fn page(domain: &str, title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " – " (domain) }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header { p { (domain) } }
                main {
                    h1 { (title) }
                    (content)
                }
            }
        }
    }
}

/// A few words and nothing to do.
pub fn notice(domain: &str, title: &str, words: &str) -> Markup {
    page(domain, title, html! { p { (words) } })
}

/// The page that the site begins with.
pub fn front(domain: &str, mode: Mode) -> Markup {
    let content = html! {
        p { "This is a server for chat by XMPP. Who has an account here writes to everybody who has one anywhere." }
        @match mode {
            Mode::Open | Mode::Approve => { p { a class="deed" href="/register" { "Make an account" } } }
            Mode::Invite => { p { "Accounts are made by invitation: ask somebody who has one." } }
            Mode::Closed => { p { "Accounts are made by those who run the server." } }
        }
        (clients())
    };
    page(domain, &format!("Chat at {domain}"), content)
}

fn clients() -> Markup {
    html! {
        h2 { "Clients" }
        ul {
            @for (name, systems, address) in CLIENTS {
                li { a href=(address) { (name) } " for " (systems) }
            }
        }
        p { "There are " a href=(ALL_CLIENTS) { "many more" } "." }
    }
}

/// What whoever is invited sees (XEP-0401 §6).
pub fn invitation(domain: &str, invited: &Invited) -> Markup {
    if let (true, Some(username)) = (invited.resets, &invited.username) {
        let content = html! {
            p { "By this page you choose a new password for the account " b { (username) "@" (domain) } "." }
            p { a class="deed" href=(form_of(invited)) { "Choose a new password" } }
        };
        return page(domain, "A new password", content);
    }
    let title = match &invited.inviter {
        Some(inviter) => format!("{inviter} invites you to chat"),
        None => format!("You are invited to {domain}"),
    };
    let content = html! {
        p {
            @match (&invited.username, invited.registers) {
                (Some(username), _) => {
                    "With this invitation you make the account " b { (username) "@" (domain) } "."
                }
                (None, true) => { "With this invitation you make an account at " (domain) "." }
                (None, false) => { "With this invitation the two of you become contacts." }
            }
        }
        p { a class="deed" href=(invited.uri) { "Open the invitation in your client" } }
        h2 { "If nothing opens" }
        ol {
            li { "Install a client, such as one of those below." }
            li { "Come back to this page on that device, and open the invitation." }
        }
        p { "Some clients ask for its address instead: " code { (invited.uri) } }
        @if invited.registers {
            p {
                "Or " a href=(form_of(invited)) { "make the account here" }
                ", and log in with any client."
            }
        }
        (clients())
    };
    page(domain, &title, content)
}

/// Where the form of an invitation is.
fn form_of(invited: &Invited) -> String {
    format!("/register?t={}", invited.token)
}

/// The form to register with, or to choose a new password, empty or as it was sent.
pub fn registration(filled: &Filled, policy: &Policy, shown: Shown<'_>) -> Markup {
    let resets = filled.invited.as_ref().is_some_and(|invited| invited.resets);
    let nothing = Questionnaire::default();
    let questionnaire = if resets { &nothing } else { &policy.questionnaire };
    let fixed = filled.invited.as_ref().and_then(|invited| invited.username.as_deref());
    let value = |name: &str| filled.submission.value(name).unwrap_or_default();
    let title = match (resets, shown.wrong.is_some()) {
        (_, true) => "This did not work",
        (true, false) => "Choose a new password",
        (false, false) => "Make an account",
    };
    let deed = if resets { "Set the password" } else { "Make the account" };
    let content = html! {
        @if let Some(wrong) = shown.wrong {
            p class="wrong" role="alert" { (wrong) }
        }
        @if !questionnaire.instructions.is_empty() {
            p { (questionnaire.instructions) }
        }
        @if let Some(inviter) = filled.invited.as_ref().and_then(|invited| invited.inviter.as_deref()) {
            p { (inviter) " has invited you." }
        }
        @if filled.invited.is_none() && policy.mode == Mode::Approve {
            p { "Whoever runs this server has to let you in before you can log in." }
        }
        form method="post" action="/register" {
            input type="hidden" name="seal" value=(shown.seal);
            @if let Some(token) = &filled.token {
                input type="hidden" name="t" value=(token);
            }
            label for="username" { "User name" }
            @match fixed {
                Some(name) => {
                    input type="text" id="username" name="username" value=(name) readonly
                        aria-describedby="username-hint";
                }
                None => {
                    input type="text" id="username" name="username" value=(value("username")) required
                        maxlength="100" autocomplete="username" autocapitalize="none" spellcheck="false"
                        aria-describedby="username-hint";
                }
            }
            p class="hint" id="username-hint" { "Others reach you by it: name@" (filled.domain) }
            label for="password" { "Password" }
            input type="password" id="password" name="password" required autocomplete="new-password"
                aria-describedby="password-hint";
            p class="hint" id="password-hint" {
                "At least " (policy.passwords.chars_min) " characters. Nobody can find it out for you if you forget it."
            }
            label for="password2" { "The same password again" }
            input type="password" id="password2" name="password2" required autocomplete="new-password";
            @for asked in &questionnaire.fields {
                (field(asked, value(&asked.name)))
            }
            @let question = questionnaire.question.as_ref().filter(|_| filled.invited.is_none());
            @if let Some(challenge) = shown.challenge {
                (picture(challenge, question.is_some(), shown.help))
            }
            @if let Some(question) = question {
                label for="qa" { (question.text) }
                input type="text" id="qa" name="qa" value=(value("qa")) required[shown.challenge.is_none()]
                    maxlength="200" autocomplete="off";
            }
            @if let Some(terms) = &questionnaire.terms {
                label class="choice" for="terms" {
                    input type="checkbox" id="terms" name="terms" value="1" required checked[value("terms") == "1"];
                    span { "I accept the " a href=(terms) { "terms of service" } "." }
                }
            }
            button type="submit" { (deed) }
        }
    };
    page(&filled.domain, title, content)
}

/// A field that is asked for beside name and password.
fn field(asked: &Asked, value: &str) -> Markup {
    let label = if asked.is_required { asked.label.clone() } else { format!("{} (optional)", asked.label) };
    let kind = if asked.name == "email" { "email" } else { "text" };
    html! {
        label for=(asked.name) { (label) }
        @if asked.name == "reason" {
            textarea id="reason" name="reason" rows="4" maxlength="2000" required[asked.is_required] { (value) }
        } @else {
            input type=(kind) id=(asked.name) name=(asked.name) value=(value) maxlength="2000"
                required[asked.is_required] autocomplete=[purpose(&asked.name)];
        }
    }
}

/// A picture of letters, and where they are filled in.
fn picture(challenge: &Challenge, has_question: bool, help: Option<&str>) -> Markup {
    html! {
        label for=(LETTERS) { "The letters of this picture" }
        img class="picture" src=(challenge.picture.to_url()) alt="Letters that only people are to read";
        input type="hidden" name=(CHALLENGE) value=(challenge.name);
        input type="text" id=(LETTERS) name=(LETTERS) required[!has_question] maxlength="20" autocomplete="off"
            autocapitalize="none" spellcheck="false" aria-describedby="picture-hint";
        p class="hint" id="picture-hint" {
            "Upper or lower case is the same. Reload the page for another picture. "
            @match (has_question, help) {
                (true, _) => { "If you cannot see it, leave this empty and answer the question below." }
                (false, Some(help)) => { "If you cannot see it, " a href=(help) { "ask us for an account" } "." }
                (false, None) => {}
            }
        }
    }
}

/// What browsers may fill a field in with (WCAG 1.3.5).
fn purpose(name: &str) -> Option<&'static str> {
    Some(match name {
        "nick" => "nickname",
        "name" => "name",
        "first" => "given-name",
        "last" => "family-name",
        "email" => "email",
        "address" => "street-address",
        "city" => "address-level2",
        "state" => "address-level1",
        "zip" => "postal-code",
        "phone" => "tel",
        "url" => "url",
        "date" => "bday",
        _ => return None,
    })
}

/// What has come of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Welcome {
    /// There is an account.
    Registered,
    /// There is one, and an administrator has to say yes first.
    Waits,
    /// The account has another password.
    Reset,
}

/// What is seen by whoever has registered, or has set a password anew.
pub fn welcome(domain: &str, username: &str, welcome: Welcome) -> Markup {
    let (title, words) = match welcome {
        Welcome::Registered => ("Welcome", "Log in with your client, by this name and your password."),
        Welcome::Waits => (
            "Your account waits",
            "Whoever runs this server has been told. Once they have let you in, log in with your client, by this name \
             and your password.",
        ),
        Welcome::Reset => ("Your password was changed", "Log in with your client, by this name and the new password."),
    };
    let content = html! {
        p { "Your account is " b { (username) "@" (domain) } "." }
        p { (words) }
        (clients())
    };
    page(domain, title, content)
}
