//! What happens in a run, written down for whoever follows it: each chain, each rule that was tried, what of its
//! conditions has held, and what was done.

use super::program::Rules;
use super::world::Trace;

/// Lines at most. What is beyond is left out.
const LINES_MAX: usize = 1_000;

/// A run, line by line.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// Whether the chain that is run now is in a script that asks to be followed.
    asks: bool,
    tags: Vec<Box<str>>,
    /// Each with whether it is about such a script.
    lines: Vec<(bool, String)>,
}

impl Transcript {
    /// Something has happened.
    pub fn note(&mut self, rules: &Rules, step: Trace<'_>) {
        if let Trace::Chain(script, _) = step {
            self.asks = rules.scripts.iter().any(|known| *known.name == *script && known.is_traced);
        }
        if let Trace::Tag(tag) = step {
            self.tags.push(tag.into());
        }
        if self.lines.len() >= LINES_MAX {
            return;
        }
        let line = match step {
            Trace::Chain(script, name) => format!("{script} ::{name}"),
            Trace::Rule(line) => format!("  line {line}"),
            Trace::Condition(source, true) => format!("    ✔ {source}"),
            Trace::Condition(source, false) => format!("    ✖ {source}"),
            Trace::Action(source) => format!("    {source}"),
            Trace::Tag(tag) => format!("    tagged {tag}"),
        };
        self.lines.push((self.asks, line));
    }

    /// Whether the run bears this tag; `untagged`: none.
    pub fn has_tag(&self, tag: &str) -> bool {
        match tag {
            "untagged" => self.tags.is_empty(),
            tag => self.tags.iter().any(|known| **known == *tag),
        }
    }

    /// Its lines: of all scripts, or only of those that ask for it (`@@ trace = on`).
    pub fn lines(&self, of_all: bool) -> Vec<String> {
        self.lines.iter().filter(|(asks, _)| of_all || *asks).map(|(_, line)| line.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_ask_are_followed_and_tags_are_kept() {
        let scripts = [("a", "@@ trace = on\n\nKIND: message\nTAG TRACE=x\nDROP.\n"), ("b", "KIND: iq\nDROP.\n")];
        let (rules, _) = Rules::load(&scripts, Default::default()).unwrap();
        let mut transcript = Transcript::default();
        for step in [
            Trace::Chain("a", "deliver"),
            Trace::Rule(3),
            Trace::Condition("KIND: message", true),
            Trace::Tag("x"),
            Trace::Action("DROP."),
            Trace::Chain("b", "deliver"),
            Trace::Condition("KIND: iq", false),
        ] {
            transcript.note(&rules, step);
        }
        let expected = ["a ::deliver", "  line 3", "    ✔ KIND: message", "    tagged x", "    DROP."];
        assert_eq!(transcript.lines(false), expected);
        assert!(transcript.has_tag("x") && !transcript.has_tag("y") && !transcript.has_tag("untagged"));
        assert_eq!(transcript.lines(true)[5..], ["b ::deliver", "    ✖ KIND: iq"]);
    }
}
