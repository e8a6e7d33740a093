//! What a running server does with its rules.

use clap::{Args, ValueEnum};

use crate::admin::{Done, FirewallFacts, Remote, Request, ask};
use crate::cli::trace::look_on;
use crate::cli::{Target, print};
use crate::datetime;
use crate::shard::{FollowedRun, ShownStanza, WantedRuns};

/// The flags of `rondel firewall stats`.
#[derive(Args, Debug)]
pub struct ShowStats {
    /// Prints one JSON object.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel firewall list`.
#[derive(Args, Debug)]
pub struct ShowLists {
    /// The list; without it all are named.
    #[arg(value_name = "LIST")]
    pub list: Option<String>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel firewall add` and `remove`.
#[derive(Args, Debug)]
pub struct ChangeList {
    /// The list, by the name that scripts give it.
    #[arg(value_name = "LIST")]
    pub list: String,
    /// What, such as an address or a domain.
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel firewall trace`.
#[derive(Args, Debug)]
pub struct TraceRules {
    /// Only runs that a rule has called so (TAG TRACE=...); untagged: those that none has called anything.
    #[arg(long, env = "RONDEL_TAG", value_name = "TAG", help_heading = "Runs")]
    pub tag: Option<String>,
    /// Of all scripts, rather than only of those in which @@ trace = on stands.
    #[arg(long, env = "RONDEL_ALL_SCRIPTS", help_heading = "Runs")]
    pub all_scripts: bool,
    /// How much of a stanza is shown: its start tag, or also what people write to each other.
    #[arg(long, env = "RONDEL_STANZAS", value_name = "HOW", value_enum, default_value_t = Shown::Header)]
    #[arg(help_heading = "Runs")]
    pub stanzas: Shown,
    /// Prints JSON, one object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// How much of a stanza is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Shown {
    /// All of it.
    Full,
    /// Its start tag.
    Header,
    /// Nothing.
    None,
}

fn server(target: &Target) -> Result<Remote, String> {
    Remote::connect(&target.admin_socket()).map_err(|error| error.to_string())
}

/// Shows how often each rule has held.
pub(super) fn stats(flags: &ShowStats) -> Result<(), String> {
    let facts: FirewallFacts = ask(&server(&flags.target)?, Request::ShowFirewall).map_err(|failure| failure.text)?;
    let text = match flags.json {
        true => serde_json::to_string(&facts).map_err(|error| error.to_string())? + "\n",
        false => described(&facts),
    };
    print(&text).map_err(|error| error.to_string())
}

fn described(facts: &FirewallFacts) -> String {
    let mut text = String::new();
    let mut script = "";
    for rule in &facts.rules {
        if rule.script != script {
            script = &rule.script;
            text.push_str(&format!("{script}\n"));
        }
        text.push_str(&format!("{:>12}  line {} ::{}\n", rule.hits, rule.line, rule.chain));
    }
    if facts.overspent > 0 {
        text.push_str(&format!("{:>12}  stanzas in which a pattern was too dear to look for\n", facts.overspent));
    }
    if facts.refused > 0 {
        text.push_str(&format!("{:>12}  events for which a %RATE had no room: (entries ...)\n", facts.refused));
    }
    text
}

/// Shows the lists, or what is in one.
pub(super) fn list(flags: &ShowLists) -> Result<(), String> {
    let server = server(&flags.target)?;
    let text = match &flags.list {
        Some(list) => {
            let request = Request::ShowList { list: list.clone() };
            let entries: Vec<String> = ask(&server, request).map_err(|failure| failure.text)?;
            entries.iter().map(|entry| format!("{entry}\n")).collect::<String>()
        }
        None => {
            let facts: FirewallFacts = ask(&server, Request::ShowFirewall).map_err(|failure| failure.text)?;
            let line = |list: &crate::admin::ListFacts| {
                format!("{}  {} entries from {}\n", list.name, list.entries, list.source)
            };
            facts.lists.iter().map(line).collect()
        }
    };
    print(&text).map_err(|error| error.to_string())
}

/// Changes a list.
pub(super) fn change(flags: ChangeList, is_added: bool) -> Result<(), String> {
    let ChangeList { list, text, target } = flags;
    let done = if is_added { format!("added {text} to {list}\n") } else { format!("took {text} out of {list}\n") };
    let request = match is_added {
        true => Request::AddToList { list, text },
        false => Request::RemoveFromList { list, text },
    };
    ask::<()>(&server(&target)?, request).map_err(|failure| failure.text)?;
    print(&done).map_err(|error| error.to_string())
}

/// Shows what rules do until it is interrupted.
pub(super) fn trace(flags: &TraceRules) -> Result<(), String> {
    let stanza = match flags.stanzas {
        Shown::Full => ShownStanza::Full,
        Shown::Header => ShownStanza::Header,
        Shown::None => ShownStanza::None,
    };
    let wanted = WantedRuns { tag: flags.tag.clone(), of_all: flags.all_scripts, stanza };
    let told = |done: Done| match done {
        Done::Followed(run) if flags.json => serde_json::to_string(&run).ok().map(|line| line + "\n"),
        Done::Followed(run) => Some(shown(&run)),
        _ => None,
    };
    let begins = (!flags.json).then_some("looking at the rules; interrupt to end\n");
    look_on(&flags.target, Request::FollowFirewall(wanted), begins, told)
}

fn shown(run: &FollowedRun) -> String {
    let lost = match run.lost {
        0 => String::new(),
        lost => format!("{lost} runs came too fast to be shown\n"),
    };
    let steps: String = run.steps.iter().map(|step| format!("  {step}\n")).collect();
    format!("{lost}{} {} {}\n{steps}  {}\n", datetime::utc_us(run.at_us), run.chain, run.stanza, run.outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::RuleFacts;

    #[test]
    fn rules_are_shown_script_by_script() {
        let rule = |script: &str, line, hits| RuleFacts { script: script.into(), chain: "deliver".into(), line, hits };
        let rules = vec![rule("a.pfw", 3, 7), rule("a.pfw", 9, 0), rule("b.pfw", 1, 12)];
        let facts = FirewallFacts { rules, overspent: 2, ..FirewallFacts::default() };
        let expected = [
            "a.pfw",
            "           7  line 3 ::deliver",
            "           0  line 9 ::deliver",
            "b.pfw",
            "          12  line 1 ::deliver",
            "           2  stanzas in which a pattern was too dear to look for",
        ];
        assert_eq!(described(&facts).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_run_is_shown_with_what_was_tried() {
        let steps = vec!["a.pfw ::deliver".into(), "  line 3".into()];
        let run = FollowedRun {
            at_us: 0,
            chain: "deliver".into(),
            stanza: "<message>".into(),
            steps,
            outcome: "is gone".into(),
            lost: 1,
        };
        assert_eq!(
            shown(&run),
            "1 runs came too fast to be shown\n1970-01-01T00:00:00Z deliver <message>\n  a.pfw ::deliver\n    \
             line 3\n  is gone\n"
        );
    }
}
