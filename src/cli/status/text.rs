//! A [`Status`] for people.

use crate::admin::{Counted, Status};
use crate::datetime;

/// Families that take less than this part of the storage are not shown one by one.
const SMALL_PART: u64 = 50;

/// All of it; with `all`, each counter too.
pub fn text(status: &Status, now_s: u64, all: bool) -> String {
    let mut out = Lines(String::new());
    let up = age(now_s.saturating_sub(status.started_s));
    out.0.push_str(&format!(
        "rondel {} (storage schema {}, {}), process {}, up {up}, serving {}\n",
        status.version,
        status.schema,
        status.system,
        status.pid,
        status.domains.join(", ")
    ));
    for alert in &status.alerts {
        out.0.push_str(&format!("! since {}: {}\n", datetime::utc_s(alert.since_s), alert.words));
    }
    out.0.push('\n');
    out.line("accounts", &parts(status, "accounts", |value| value.to_string()));
    let waiting = match sum(status, "waiting-sessions") {
        0 => String::new(),
        number => format!(", {number} of them wait for their clients"),
    };
    out.line("sessions", &format!("{}{waiting}", by_shard(status, "sessions")));
    let most = sum(status, "connections-max");
    out.line("connections", &format!("{} of {most}", by_shard(status, "connections")));
    rates(&mut out, status);
    out.line("queues", &queues(status));
    let resident = size(sum(status, "resident-bytes"));
    out.line("memory", &format!("{resident}: {}", largest(status, "memory-bytes", 0)));
    storage(&mut out, status);
    backups(&mut out, status, now_s);
    for life in &status.certificates {
        let left = life.expires_s - now_s as i64;
        let holds = match left {
            ..0 => "has expired".to_owned(),
            left => format!("holds for {}", age(left as u64)),
        };
        out.line("certificate", &format!("{} {holds}", life.path));
    }
    if all {
        out.0.push('\n');
        counters(&mut out.0, status);
    }
    out.0
}

/// Lines with a name in front.
struct Lines(String);

impl Lines {
    fn line(&mut self, name: &str, text: &str) {
        self.0.push_str(&format!("{name:<12} {text}\n"));
    }
}

/// How much comes in a second, as it was within the last minute.
fn rates(out: &mut Lines, status: &Status) {
    let lately = &status.lately;
    if lately.within_ms < 1000 {
        return out.line("rates", "it has just started");
    }
    let of = |name: &str| lately.counted.iter().find(|counted| counted.name == name).map_or(0, |counted| counted.value);
    let per_second = |name: &str| of(name) as f64 * 1000.0 / lately.within_ms as f64;
    let number = |name: &str| format!("{:.1}", per_second(name));
    let text = format!(
        "in a second {} stanzas, {} archived, {} logins ({} failed), {} read, {} sent, {} writes, {} syncs",
        number("stanzas"),
        number("archived"),
        number("logins"),
        number("failed-logins"),
        size(per_second("bytes-read") as u64),
        size(per_second("bytes-sent") as u64),
        number("writes"),
        number("syncs"),
    );
    out.line("rates", &text);
}

/// What waits.
fn queues(status: &Status) -> String {
    let of = |name: &str| sum(status, name);
    format!(
        "{} writes ({}), {} reads, {} stanzas; to clients {} unsent, {} not acknowledged; between shards {}",
        of("write-queue"),
        size(of("write-queue-bytes")),
        of("read-queue"),
        of("waiting-stanzas"),
        size(of("unsent-bytes")),
        size(of("unacknowledged-bytes")),
        size(of("mesh-bytes")),
    )
}

fn storage(out: &mut Lines, status: &Status) {
    let bytes = sum(status, "family-bytes");
    let (free, whole) = (sum(status, "disk-free-bytes"), sum(status, "disk-bytes").max(1));
    let families = largest(status, "family-bytes", bytes / SMALL_PART);
    let families = if families.is_empty() { String::new() } else { format!(": {families}") };
    out.line("storage", &format!("{} in {} files{families}", size(bytes), sum(status, "family-files")));
    let percent = free as f64 * 100.0 / whole as f64;
    let writes = match sum(status, "syncs") {
        0 => "nothing was written".to_owned(),
        syncs => {
            let mean = sum(status, "sync-microseconds") as f64 / syncs as f64 / 1000.0;
            let longest = sum(status, "sync-microseconds-at-most") as f64 / 1000.0;
            format!("a synced write takes {mean:.1} ms, {longest:.0} ms at most")
        }
    };
    out.line("disk", &format!("{} ({percent:.1} %) free; {writes}", size(free)));
}

fn backups(out: &mut Lines, status: &Status, now_s: u64) {
    let Some(facts) = &status.backups else { return };
    let newest = match facts.made_s {
        Some(made_s) => format!("made {} ago, {} in all", age(now_s.saturating_sub(made_s)), facts.kept),
        None => "none yet (--backup-dir)".to_owned(),
    };
    let running = if facts.is_running { "; one is being made" } else { "" };
    let failed = facts.failed.as_ref().map(|reason| format!("; the last try has failed: {reason}"));
    out.line("backup", &format!("{newest}{running}{}", failed.unwrap_or_default()));
}

/// The sum of what is told apart, and its parts where there are several.
fn parts(status: &Status, name: &str, write: impl Fn(u64) -> String) -> String {
    let of_name: Vec<&Counted> = named(status, name).collect();
    let whole = write(of_name.iter().map(|counted| counted.value).sum());
    if of_name.len() < 2 {
        return whole;
    }
    let parts = of_name.iter().map(|one| format!("{} {}", one.of.as_deref().unwrap_or_default(), write(one.value)));
    format!("{whole}: {}", parts.collect::<Vec<_>>().join(", "))
}

/// The parts of bytes that are larger than this, the largest first.
fn largest(status: &Status, name: &str, least: u64) -> String {
    let mut all: Vec<&Counted> = named(status, name).filter(|counted| counted.value > least).collect();
    all.sort_by_key(|counted| std::cmp::Reverse(counted.value));
    let parts = all.iter().map(|one| format!("{} {}", one.of.as_deref().unwrap_or_default(), size(one.value)));
    parts.collect::<Vec<_>>().join(", ")
}

/// A sum, and what each shard has of it where there are several.
fn by_shard(status: &Status, name: &str) -> String {
    let shards: Vec<String> = named(status, name).map(|counted| counted.value.to_string()).collect();
    let shards = if shards.len() > 1 { format!(" ({} by shard)", shards.join(", ")) } else { String::new() };
    format!("{}{shards}", sum(status, name))
}

/// One line per counter, its sum first, then what each shard has; and what follows from them.
fn counters(text: &mut String, status: &Status) {
    let mut names: Vec<&str> = Vec::new();
    for counted in status.counters.iter().filter(|counted| counted.of.is_none()) {
        if !names.contains(&counted.name.as_str()) {
            names.push(&counted.name);
        }
    }
    for name in names {
        let shards: Vec<String> = named(status, name)
            .filter(|counted| counted.shard.is_some())
            .map(|counted| counted.value.to_string())
            .collect();
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
}

fn named<'s>(status: &'s Status, name: &str) -> impl Iterator<Item = &'s Counted> {
    status.counters.iter().filter(move |counted| counted.name == name)
}

fn sum(status: &Status, name: &str) -> u64 {
    named(status, name).map(|counted| counted.value).sum()
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Seconds for people: the two largest units.
fn age(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(length, _)| seconds >= *length).unwrap_or(units.len() - 1);
    let (length, name) = units[first];
    let mut text = format!("{} {name}", seconds / length);
    if let Some((next, name)) = units.get(first + 1).filter(|_| first < 2) {
        text.push_str(&format!(" {} {name}", seconds % length / next));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{Alert, BackupFacts, CertificateLife, Lately};

    const NOW_S: u64 = 1_790_000_000;

    fn counted(name: &str, shard: Option<usize>, value: u64) -> Counted {
        Counted { shard, ..Counted::shared(name, value) }
    }

    fn status() -> Status {
        Status {
            version: "1.2.3".into(),
            schema: 7,
            system: "Linux 6.1".into(),
            pid: 7,
            started_s: NOW_S - 90_061,
            domains: vec!["a.example".into(), "b.example".into()],
            counters: vec![
                counted("stanzas", Some(0), 30),
                counted("woken", Some(0), 3),
                counted("stanzas", Some(1), 10),
                counted("woken", Some(1), 1),
                counted("sessions", Some(0), 2),
                counted("sessions", Some(1), 3),
                Counted::of("accounts", "a.example", 10),
                Counted::of("accounts", "b.example", 1),
                Counted::of("memory-bytes", "block-cache", 1 << 20),
                Counted::of("memory-bytes", "other", 3 << 20),
                Counted::shared("resident-bytes", 4 << 20),
                Counted::of("family-bytes", "accounts", 2048),
                Counted::of("family-bytes", "vcards", 10),
                Counted::shared("syncs", 2),
                Counted::shared("sync-microseconds", 3000),
                Counted::shared("writes", 0),
            ],
            ..Status::default()
        }
    }

    #[test]
    fn what_matters_is_said_in_lines() {
        let status = Status {
            alerts: vec![Alert { about: "disk".into(), since_s: NOW_S - 60, words: "The disk is nearly full.".into() }],
            lately: Lately { within_ms: 60_000, counted: vec![counted("stanzas", None, 120)] },
            certificates: vec![CertificateLife { path: "/c.pem".into(), expires_s: NOW_S as i64 + 86_400 * 3 }],
            backups: Some(BackupFacts { made_s: Some(NOW_S - 7_260), kept: 4, ..BackupFacts::default() }),
            ..status()
        };
        let text = text(&status, NOW_S, false);
        for line in [
            "rondel 1.2.3 (storage schema 7, Linux 6.1), process 7, up 1 d 1 h, serving a.example, b.example",
            "! since 2026-09-21T14:12:20Z: The disk is nearly full.",
            "accounts     11: a.example 10, b.example 1",
            "sessions     5 (2, 3 by shard)",
            "memory       4.0 MiB: other 3.0 MiB, block-cache 1.0 MiB",
            "backup       made 2 h 1 min ago, 4 in all",
            "certificate  /c.pem holds for 3 d 0 h",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
        }
        assert!(text.contains("in a second 2.0 stanzas") && text.contains("a synced write takes 1.5 ms"), "{text}");
        assert!(text.contains("files: accounts 2.0 KiB\n"), "small families are not shown:\n{text}");
        assert!(!text.contains("wake-ups"), "{text}");
    }

    #[test]
    fn counters_are_summed_over_the_shards() {
        let text = text(&status(), NOW_S, true);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(lines.contains(&vec!["stanzas", "40", "(30,", "10)"]), "{text}");
        assert!(lines.contains(&vec!["syncs", "2"]), "{text}");
        assert!(lines.contains(&vec!["wake-ups", "per", "stanza", "0.1000"]), "{text}");
        assert!(!text.contains("syncs per write"), "nothing was written");
    }

    #[test]
    fn ages_and_sizes_are_short() {
        assert_eq!(
            [0, 59, 60, 3_599, 3_600, 90_000].map(age),
            ["0 s", "59 s", "1 min", "59 min", "1 h 0 min", "1 d 1 h"]
        );
        assert_eq!([0, 1023, 1536, 5 << 30].map(size), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
    }
}
