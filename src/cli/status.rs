//! `rondel status`: what a running server has counted.

use clap::Args;

use crate::admin::{Counted, Remote, Request, Status, ask};
use crate::cli::{Target, print};

/// The flags of `rondel status`.
#[derive(Args, Debug)]
pub struct StatusFlags {
    /// Prints one JSON object.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Output")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Does what was asked. An error is one line.
pub fn run(flags: &StatusFlags) -> Result<(), String> {
    let server = Remote::connect(&flags.target.admin_socket()).map_err(|error| error.to_string())?;
    let status: Status = ask(&server, Request::Status).map_err(|failure| failure.text)?;
    let text = match flags.json {
        true => serde_json::to_string(&status).map_err(|error| error.to_string())? + "\n",
        false => table(&status),
    };
    print(&text).map_err(|error| error.to_string())
}

/// One line per counter, its sum first, then what each shard has; and what follows from them.
fn table(status: &Status) -> String {
    let mut text =
        format!("rondel {}, process {}, serving {}\n\n", status.version, status.pid, status.domains.join(", "));
    let mut names: Vec<&str> = Vec::new();
    for counted in &status.counters {
        if !names.contains(&counted.name.as_str()) {
            names.push(&counted.name);
        }
    }
    for name in names {
        let of_name: Vec<&Counted> = status.counters.iter().filter(|counted| counted.name == name).collect();
        let shards = of_name.iter().filter(|counted| counted.shard.is_some()).map(|counted| counted.value.to_string());
        let shards: Vec<String> = shards.collect();
        let shards = if shards.len() > 1 { format!("  ({})", shards.join(", ")) } else { String::new() };
        text.push_str(&format!("{name:<26} {:>14}{shards}\n", sum(status, name)));
    }
    text.push('\n');
    for (name, part, whole) in [
        ("wake-ups per stanza", "woken", "stanzas"),
        ("sends per stanza", "sends", "stanzas"),
        ("syncs per stanza", "syncs", "stanzas"),
        ("syncs per write", "syncs", "writes"),
    ] {
        let (part, whole) = (sum(status, part), sum(status, whole));
        if whole > 0 {
            text.push_str(&format!("{name:<26} {:>14.4}\n", part as f64 / whole as f64));
        }
    }
    text
}

fn sum(status: &Status, name: &str) -> u64 {
    status.counters.iter().filter(|counted| counted.name == name).map(|counted| counted.value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_the_shards() {
        let counted = |name: &str, shard, value| Counted { name: name.into(), shard, value };
        let status = Status {
            version: "1.2.3".into(),
            pid: 7,
            domains: vec!["a.example".into(), "b.example".into()],
            scram_iterations: None,
            counters: vec![
                counted("stanzas", Some(0), 30),
                counted("woken", Some(0), 3),
                counted("stanzas", Some(1), 10),
                counted("woken", Some(1), 1),
                counted("syncs", None, 2),
                counted("writes", None, 0),
            ],
            backups: None,
        };
        let table = table(&status);
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0].join(" "), "rondel 1.2.3, process 7, serving a.example, b.example");
        assert_eq!(lines[2], ["stanzas", "40", "(30,", "10)"]);
        assert_eq!(lines[4], ["syncs", "2"]);
        assert!(table.contains("wake-ups per stanza"), "{table}");
        assert!(lines.contains(&vec!["wake-ups", "per", "stanza", "0.1000"]), "{table}");
        assert!(!table.contains("syncs per write"), "nothing was written");
    }
}
