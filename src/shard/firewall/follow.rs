//! Telling an operator, live, what rules do with stanzas (`rondel firewall trace`). Where nobody looks, a run costs one
//! look at an empty list.

use crossbeam::channel::{Sender, TrySendError};
use serde::{Deserialize, Serialize};

use crate::firewall::{HOOKS, Hook, Outcome, Stanza, Transcript};
use crate::shard::roster::now_micros;

/// What rules have done with one stanza.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FollowedRun {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// The chain that hangs on its way.
    pub chain: String,
    /// The stanza, or its start tag, as it is afterwards; empty if it is not to be seen.
    pub stanza: String,
    /// What was tried and done, line by line.
    pub steps: Vec<String>,
    /// What becomes of it.
    pub outcome: String,
    /// Runs before this one that could not be told, because they came too fast.
    pub lost: u64,
}

/// Bytes of a stanza that are told at most.
const SHOWN_BYTES_MAX: usize = 4_096;

/// How much of a stanza is told.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShownStanza {
    /// All of it, with what people write to each other.
    Full,
    /// Its start tag: who, to whom, of which type.
    Header,
    /// Nothing.
    None,
}

/// Which runs are told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct WantedRuns {
    /// Only those that bear this tag; `untagged`: none.
    pub tag: Option<String>,
    /// Those of all scripts, rather than only of those that ask for it (`@@ trace = on`).
    pub of_all: bool,
    /// How much of a stanza is told.
    pub stanza: ShownStanza,
}

/// Somebody who looks.
pub struct FollowRules {
    /// The number by which it is known.
    pub number: u64,
    /// Which runs.
    pub wanted: WantedRuns,
    /// Where they go; nowhere if nobody looks any more.
    pub to: Option<Sender<FollowedRun>>,
}

/// Those who look at one shard.
#[derive(Default)]
pub(in crate::shard) struct Followers {
    all: Vec<(FollowRules, u64)>,
}

impl Followers {
    /// Lets somebody look from now on, or no longer.
    pub fn change(&mut self, follow: FollowRules) {
        self.all.retain(|(other, _)| other.number != follow.number);
        if follow.to.is_some() {
            self.all.push((follow, 0));
        }
    }

    /// What a run is written down in, if somebody looks.
    pub(super) fn transcript(&self) -> Option<Box<Transcript>> {
        if self.all.is_empty() {
            return None;
        }
        Some(Box::default())
    }

    /// Tells those who look of a run.
    pub(super) fn tell(&mut self, hook: Hook, stanza: &Stanza<'_>, outcome: Outcome, transcript: &Transcript) {
        self.all.retain_mut(|(FollowRules { wanted, to, .. }, lost)| {
            let Some(sender) = to.as_ref() else { return false };
            let lines = transcript.lines(wanted.of_all);
            if lines.is_empty() {
                return true;
            }
            if wanted.tag.as_deref().is_some_and(|tag| !transcript.has_tag(tag)) {
                return true;
            }
            let told = FollowedRun {
                at_us: now_micros(),
                chain: HOOKS[hook as usize].to_owned(),
                stanza: match wanted.stanza {
                    ShownStanza::Full => {
                        let mut bytes = Vec::new();
                        stanza.write(&mut bytes, None);
                        bytes.truncate(SHOWN_BYTES_MAX);
                        String::from_utf8_lossy(&bytes).into_owned()
                    }
                    ShownStanza::Header => stanza.top_tag(),
                    ShownStanza::None => String::new(),
                },
                steps: lines,
                outcome: outcome.to_string(),
                lost: *lost,
            };
            match sender.try_send(told) {
                Ok(()) => *lost = 0,
                Err(TrySendError::Full(_)) => *lost += 1,
                Err(TrySendError::Disconnected(_)) => return false,
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::{Rules, Trace};
    use crate::xml::{Kind, namespaces::CLIENT};

    #[test]
    fn those_who_look_see_the_runs_that_they_want() {
        let (rules, _) = Rules::load(&[("a", "TAG TRACE=x\nDROP.\n")], Default::default()).unwrap();
        let mut followers = Followers::default();
        assert!(followers.transcript().is_none());
        let mut follow = |number, tag: Option<&str>, stanza| {
            let (sender, runs) = crossbeam::channel::bounded(1);
            let wanted = WantedRuns { tag: tag.map(str::to_owned), of_all: true, stanza };
            followers.change(FollowRules { number, wanted, to: Some(sender) });
            runs
        };
        let tagged = follow(1, Some("x"), ShownStanza::Header);
        let untagged = follow(2, Some("untagged"), ShownStanza::Full);
        let gone = follow(3, None, ShownStanza::None);
        drop(gone);
        let bytes = b"<message type='chat'><body>hi</body></message>";
        let stanza = Stanza::new(Kind::Message, bytes, CLIENT, Some("a@b/c"), Some("d@e"), None);
        for _ in 0..2 {
            let mut transcript = followers.transcript().unwrap();
            transcript.note(&rules, Trace::Chain("a", "deliver"));
            transcript.note(&rules, Trace::Tag("x"));
            followers.tell(Hook::Deliver, &stanza, Outcome::Consumed, &transcript);
        }
        let run = tagged.try_recv().unwrap();
        assert_eq!((&*run.chain, &*run.outcome, run.lost), ("deliver", "is gone", 0));
        assert_eq!(run.stanza, "<message from='a@b/c' to='d@e' type='chat'>");
        assert_eq!(run.steps.len(), 2);
        assert!(untagged.try_recv().is_err());
        assert_eq!(followers.all.len(), 2, "who is gone is forgotten");
        assert_eq!(followers.all[0].1, 1, "one was lost");
        let wanted = WantedRuns { tag: None, of_all: true, stanza: ShownStanza::None };
        followers.change(FollowRules { number: 1, wanted, to: None });
        assert_eq!(followers.all.len(), 1);
    }
}
