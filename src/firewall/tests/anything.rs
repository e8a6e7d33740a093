//! Rules at random: what runs does what the simple interpreter does, and no text whatever breaks the reader.

use proptest::prelude::*;

use super::naive::{Naive, Words};
use super::*;

const DEFINITIONS: &str = "%RATE r: 2\n%RATE q: 1 (burst 3)\n%LIST l: memory (limit: 2)\n%LIST k: memory\n\n";

fn condition() -> impl Strategy<Value = String> {
    let test = prop::sample::select(vec![
        "KIND: message",
        "KIND: message|iq",
        "KIND: presence",
        "TYPE: normal, available",
        "TYPE: chat",
        "FROM EXACTLY: a@r.example/x",
        "PAYLOAD: n",
        "INSPECT: a",
        "INSPECT: a#=x",
        "INSPECT: {n}a#",
        "INSPECT: #/=y",
        "INSPECT: b#=",
        "ORIGIN MARKED: m",
        "CHECK LIST: l contains $<@from|bare>",
        "CHECK LIST: k contains $<@from|bare>",
        "LIMIT: r",
        "LIMIT: q on $<@from|bare>",
        "LIMIT: r on $<@from|bare>",
        "IN ROSTER?",
    ]);
    (test, any::<bool>()).prop_map(|(test, is_negated)| format!("{}{test}\n", if is_negated { "NOT " } else { "" }))
}

fn action() -> impl Strategy<Value = String> {
    let action = prop::sample::select(vec![
        "LOG=1",
        "LOG=2",
        "LOG=3",
        "LOG=4",
        "LOG=5",
        "PASS.",
        "DROP.",
        "DEFAULT.",
        "RETURN.",
        "STRIP=a",
        "STRIP=* n",
        "INJECT=<a xmlns='n'>y</a>",
        "MARK ORIGIN=m",
        "UNMARK ORIGIN=m",
        "ADD TO=l $<@from|bare>",
        "ADD TO=k $<@from|bare>",
        "JUMP CHAIN=user/a",
        "JUMP CHAIN=user/b",
        "EVENT=firewall/chains/user/b",
    ]);
    action.prop_map(|action| format!("{action}\n"))
}

fn rules(may_jump: bool, jumps_to: &'static str) -> impl Strategy<Value = String> {
    let rule = (prop::collection::vec(condition(), 0..4), prop::collection::vec(action(), 1..4));
    let rules = prop::collection::vec(rule, 0..7);
    rules.prop_map(move |rules| {
        let rule = |(conditions, actions): (Vec<String>, Vec<String>)| {
            let kept = actions.into_iter().filter(|action| {
                !action.contains("user/") || (may_jump && (jumps_to.is_empty() || action.contains(jumps_to)))
            });
            let actions: String = kept.collect();
            let actions = if actions.is_empty() { "LOG=6\n".into() } else { actions };
            format!("{}{actions}\n", conditions.concat())
        };
        rules.into_iter().map(rule).collect()
    })
}

/// A script of three chains: `deliver` runs both others, `user/a` runs `user/b`.
fn script() -> impl Strategy<Value = String> {
    (rules(true, ""), rules(true, "user/b"), rules(false, ""))
        .prop_map(|(deliver, a, b)| format!("{DEFINITIONS}::deliver\n{deliver}\n::user/a\n{a}\n::user/b\n{b}"))
}

fn stanza() -> impl Strategy<Value = Words> {
    let child = (
        prop::sample::select(vec!["a", "b"]),
        prop::sample::select(vec![None, Some("n")]),
        prop::sample::select(vec!["", "x", "y"]),
    );
    (
        prop::sample::select(vec!["message", "presence", "iq"]),
        prop::sample::select(vec![None, Some("chat"), Some("get")]),
        prop::sample::select(vec!["a@r.example/x", "friend@r.example/y", "b@r.example"]),
        prop::collection::vec(child, 0..4),
    )
        .prop_map(|(name, kind, from, children)| Words { name, kind, from, children })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_runs_does_what_the_language_says(
        scripts in prop::collection::vec(script(), 1..3),
        stanzas in prop::collection::vec(stanza(), 1..8),
        is_slow: bool,
    ) {
        let scripts: Vec<&str> = scripts.iter().map(|script| &**script).collect();
        let mut naive = Naive::of(&scripts);
        let mut made = Made::of(&scripts, &[]).unwrap();
        made.is_slow = is_slow;
        for stanza in &stanzas {
            let (expected, found) = (naive.deliver(stanza), made.deliver(&stanza.xml()));
            prop_assert_eq!(found, expected, "{}", stanza.xml());
        }
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,80}", lines in prop::collection::vec("[ -~]{0,30}", 0..8)) {
        let _ = Rules::load(&[("s", &text), ("t", &lines.join("\n"))], Sources::default());
    }

    #[test]
    fn nearly_scripts_do_not_break_it(
        lines in prop::collection::vec((condition(), action(), "[ -~]{0,2}", 0usize..12), 0..6),
    ) {
        let mangle = |text: &str, at: usize, more: &str| {
            let at = at.min(text.len());
            format!("{}{more}{}", &text[..at], &text[at..])
        };
        let text: String = lines
            .iter()
            .map(|(condition, action, more, at)| {
                format!("{}{}\n", mangle(condition, *at, more), mangle(action, *at, more))
            })
            .collect();
        let _ = Rules::load(&[("s", &format!("{DEFINITIONS}{text}"))], Sources::default());
    }
}
