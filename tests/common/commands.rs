//! Ad-hoc commands (XEP-0050), as tests run them.

use super::Raw;

pub const COMMANDS: &str = "http://jabber.org/protocol/commands";

/// Runs a command, or goes on with it.
pub fn run(raw: &mut Raw, node: &str, attributes: &str, fields: &[(&str, &str)]) -> String {
    let fields: String =
        fields.iter().map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>")).collect();
    let form = format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>");
    let form = if attributes.is_empty() { String::new() } else { form };
    raw.ask(
        "set",
        Some("localhost"),
        &format!("<command xmlns='{COMMANDS}' node='{node}' {attributes}>{form}</command>"),
    )
}

/// Begins a command, and answers its form.
pub fn fill(raw: &mut Raw, node: &str, fields: &[(&str, &str)]) -> String {
    let asked = run(raw, node, "", &[]);
    assert!(asked.contains("status='executing'") && asked.contains("<complete/>"), "{asked}");
    run(raw, node, &format!("sessionid='{}'", session_id(&asked)), fields)
}

pub fn session_id(answer: &str) -> &str {
    answer.split("sessionid='").nth(1).unwrap().split('\'').next().unwrap()
}
