//! What rules look at beside the stanza, and what they change of it: a test that is used twice in a chain may be put
//! off until somebody needs its answer only if the answer is the same then.

use super::syntax::{Action, Comparison, ListId, Rule, Test};

/// What the rules of all scripts can change.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    edits: bool,
    origin_marks: bool,
    user_marks: bool,
    rosters: bool,
    lists: Vec<ListId>,
}

impl Changes {
    pub fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Changes {
        let mut changes = Changes::default();
        for step in rules.flat_map(|rule| &rule.actions) {
            match &step.action {
                Action::Strip(..) | Action::Inject(_) => changes.edits = true,
                Action::MarkOrigin(_) | Action::UnmarkOrigin(_) => changes.origin_marks = true,
                Action::MarkUser(_) | Action::UnmarkUser(_) => changes.user_marks = true,
                Action::UnsubscribeSender => changes.rosters = true,
                Action::AddTo(list, _) => changes.lists.push(*list),
                _ => {}
            }
        }
        changes
    }
}

/// Whether the answer of a test is the same during a run, and asking changes nothing.
pub(super) fn is_lasting(test: &Test, changes: &Changes) -> bool {
    match test {
        // To ask is to count.
        Test::Limit(_) => false,
        Test::Payload(_) | Test::Inspect(..) | Test::Count(..) => !changes.edits,
        Test::ToExactly(template) | Test::FromExactly(template) => template.constant().is_some() || !changes.edits,
        Test::CheckList(list, _) | Test::Scan(_, _, list) => !changes.edits && !changes.lists.contains(list),
        Test::OriginMarked(..) => !changes.origin_marks,
        Test::UserMarked(..) => !changes.user_marks,
        Test::InRoster | Test::InRosterGroup(_) | Test::Subscribed | Test::PendingSubscriptionFromSender => {
            !changes.rosters
        }
        _ => true,
    }
}

/// Whether a rule has to do with the session that a stanza is from: otherwise the stanza can go without it to where
/// rules look at it.
pub(super) fn asks_of_session(rule: &Rule) -> bool {
    let tests = rule.conditions.iter().any(|condition| match &condition.test {
        Test::FromIp(_) | Test::FromSubnet(_) | Test::FromCountry(_) => true,
        Test::OriginMarked(..) | Test::UserMarked(..) => true,
        Test::ToExactly(template) | Test::FromExactly(template) => template.names_session(),
        Test::FromAdminOf(template) | Test::ToAdminOf(template) => template.names_session(),
        Test::CheckList(_, template) => template.names_session(),
        Test::Limit(limit) => limit.on.as_ref().is_some_and(|template| template.names_session()),
        Test::Inspect(_, Some(Comparison::Is(text) | Comparison::Has(text) | Comparison::FitsDynamic(text))) => {
            text.names_session()
        }
        _ => false,
    });
    let actions = rule.actions.iter().any(|step| match &step.action {
        Action::MarkOrigin(_) | Action::UnmarkOrigin(_) | Action::MarkUser(_) | Action::UnmarkUser(_) => true,
        Action::Log(_, template) | Action::AddTo(_, template) => template.names_session(),
        _ => false,
    });
    tests || actions
}

#[cfg(test)]
mod tests {
    use crate::firewall::Rules;

    #[test]
    fn what_has_to_do_with_the_session_is_told_apart() {
        let asks = |text: &str| {
            let definitions = "%LIST l: memory\n%RATE r: 1\n\n";
            Rules::load(&[("s", &format!("{definitions}{text}\n"))], Default::default()).unwrap().0.asks_of_session
        };
        for rule in [
            "FROM SUBNET: 10.0.0.0/8\nDROP.",
            "FROM IP: 10.0.0.1\nDROP.",
            "ORIGIN MARKED: m\nDROP.",
            "USER MARKED: m\nDROP.",
            "KIND: iq\nMARK USER=m",
            "KIND: iq\nUNMARK ORIGIN=m",
            "KIND: iq\nLOG=from $(session.ip)",
            "CHECK LIST: l contains $(session.ip)\nDROP.",
            "LIMIT: r on $(session.full_jid)\nDROP.",
            "INSPECT: body#$=$(session.username)\nDROP.",
            "KIND: iq\nADD TO=l $(session.ip)",
        ] {
            assert!(asks(rule), "{rule}");
        }
        for rule in [
            "TO SELF?\nDROP.",
            "FROM: <*>@bad.example\nBOUNCE.",
            "CHECK LIST: l contains $<@from|host>\nDROP.",
            "LIMIT: r on $<@from|bare>\nLOG=$(stanza:top_tag())",
            "FROM ADMIN?\nADD TO=l $<@to>",
        ] {
            assert!(!asks(rule), "{rule}");
        }
    }
}
