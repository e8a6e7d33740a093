//! What rules change that tests look at: a test that is used twice in a chain may be put off until somebody needs its
//! answer only if the answer is the same then.

use super::syntax::{Action, ListId, Rule, Test};

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
