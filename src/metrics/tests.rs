//! The catalogue and its text.

use super::catalogue::{ALERTS, CATALOGUE, Kind, Unit};
use super::openmetrics::encode;
use crate::admin::{Counted, Status};

fn status() -> Status {
    let counters = vec![
        Counted { shard: Some(0), ..Counted::shared("stanzas", 3) },
        Counted { shard: Some(1), ..Counted::shared("stanzas", 4) },
        Counted::shared("sync-microseconds", 1_500_000),
        Counted::of("accounts", "a \"b\"", 5),
        Counted::shared("resident-bytes", 4096),
        Counted::shared("nobody-knows", 1),
    ];
    let mut syncs_by_duration = vec![0; 24];
    (syncs_by_duration[0], syncs_by_duration[20], syncs_by_duration[23]) = (2, 1, 1);
    Status { version: "1.2.3".into(), schema: 7, counters, syncs_by_duration, ..Status::default() }
}

#[test]
fn a_status_becomes_openmetrics() {
    let text = encode(status());
    for line in [
        "# HELP rondel_stanzas Stanzas that clients have sent.",
        "# TYPE rondel_stanzas counter",
        "rondel_stanzas_total{shard=\"0\"} 3",
        "rondel_stanzas_total{shard=\"1\"} 4",
        "# UNIT rondel_storage_sync_seconds seconds",
        "rondel_storage_sync_seconds_total 1.5",
        "rondel_accounts{domain=\"a \\\"b\\\"\"} 5",
        "rondel_resident_memory_bytes 4096",
        "# TYPE rondel_storage_sync_duration_seconds histogram",
        "rondel_storage_sync_duration_seconds_bucket{le=\"0.000002\"} 2",
        "rondel_storage_sync_duration_seconds_bucket{le=\"2.097152\"} 3",
        "rondel_storage_sync_duration_seconds_bucket{le=\"+Inf\"} 4",
        "rondel_storage_sync_duration_seconds_count 4",
        "rondel_build_info{version=\"1.2.3\",schema=\"7\",system=\"\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
    assert!(text.ends_with("# EOF\n") && !text.contains("nobody"), "{text}");
}

/// docs/metrics.md, as it has to be.
fn page() -> String {
    let mut page = String::from(
        "# Figures\n\nWhat `rondel status --all` and `rondel status --json` show, and what is at `GET /metrics` \
         with `rondel serve --metrics 127.0.0.1:9100`, in the\nOpenMetrics format. [grafana.json](grafana.json) is a \
         dashboard of it. Counters begin at the start of the server.\n\nBeside these there are \
         `rondel_storage_sync_duration_seconds`, a histogram of synced writes, and `rondel_build_info`.\n\n\
         | status | OpenMetrics | labels | what it is |\n|---|---|---|---|\n",
    );
    for metric in CATALOGUE {
        let shard = if metric.is_by_shard { Some("shard") } else { None };
        let labels: Vec<&str> = shard.into_iter().chain(metric.label).collect();
        let (name, labels) = (metric.full_name(), labels.join(", "));
        page.push_str(&format!("| `{}` | `{name}` | {labels} | {} |\n", metric.counted, metric.help));
    }
    page.push_str(&format!("\nAlerts are about: {}.\n", ALERTS.map(|about| format!("`{about}`")).join(", ")));
    page
}

/// `RONDEL_WRITE_DOCS=1 cargo test` (`make docs`) writes the page instead.
#[test]
fn the_page_in_docs_says_what_there_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("RONDEL_WRITE_DOCS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written == page(), "docs/metrics.md is not what the program says; make docs writes it");
}

#[test]
fn names_are_like_those_of_others() {
    let mut names: Vec<String> = CATALOGUE.iter().map(|metric| metric.full_name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CATALOGUE.len(), "no two are the same");
    for metric in CATALOGUE {
        let is_plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(metric.name.chars().all(is_plain) && metric.counted.replace('-', "_").chars().all(is_plain));
        assert!(metric.help.ends_with(['.', ')']), "{}", metric.help);
        assert!(
            !metric.name.ends_with("_total") && !metric.name.ends_with("seconds") && !metric.name.ends_with("bytes")
        );
        assert!(
            metric.unit != Unit::Timestamp
                || metric.kind == Kind::Gauge && metric.name.ends_with("timestamp")
                || metric.name == "start_timestamp"
        );
    }
    assert!(ALERTS.contains(&"slow-storage"));
}
