//! What a run found, and how it is shown: a table, JSON, a page with plots, several runs side by side.
//!
//! A [`Report`] is plain data; nothing here measures.

pub mod compare;
pub mod html;
pub mod plot;
mod table;

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::measure::latency::Point;

pub use table::{number, table};

/// What a run found.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Report {
    /// The tool and its version.
    pub tool: String,
    /// The subcommand.
    pub scenario: String,
    /// What was measured, in the operator's words.
    pub label: String,
    /// When, RFC 3339.
    pub at: String,
    /// The host: cores and kernel.
    pub host: String,
    /// How it was measured, as flags.
    pub settings: Vec<(String, String)>,
    /// What was found, the most important first.
    pub figures: Vec<Figure>,
    /// How it went.
    pub timeline: Vec<Point>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// One figure.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figure {
    /// Its name for programs, with the unit last.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The unit.
    pub unit: String,
    /// The value.
    pub value: f64,
}

impl Report {
    /// A report without figures.
    pub fn new(scenario: &str, label: String, settings: Vec<(String, String)>) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            tool: concat!("rondel-perf ", env!("CARGO_PKG_VERSION")).to_owned(),
            scenario: scenario.to_owned(),
            label,
            at: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
            host: format!("{cores} cores, Linux {}", kernel.trim()),
            settings,
            figures: Vec::new(),
            timeline: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a figure.
    pub fn figure(&mut self, name: &str, title: &str, unit: &str, value: f64) {
        let (name, title, unit) = (name.to_owned(), title.to_owned(), unit.to_owned());
        self.figures.push(Figure { name, title, unit, value });
    }

    /// Adds something that a reader must know.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The value of a figure.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    /// Reads a report that was written as JSON.
    ///
    /// # Errors
    /// The file cannot be read, or is none.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}: not a report of this tool", path.display()))
    }

    /// As JSON.
    ///
    /// # Errors
    /// A figure is not a number.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// As text for a terminal.
    pub fn text(&self) -> String {
        let mut rows = vec![vec![format!("{} {}", self.scenario, self.label).trim().to_owned(), String::new()]];
        rows.extend(self.figures.iter().map(|figure| vec![figure.title.clone(), figure.shown()]));
        let mut text = table(&rows);
        for note in &self.notes {
            text.push_str(&format!("\n{note}\n"));
        }
        text
    }
}

impl Figure {
    /// The value with its unit.
    pub fn shown(&self) -> String {
        format!("{} {}", number(self.value), self.unit).trim_end().to_owned()
    }
}

/// The median, `None` of nothing. Of an even number the mean of the two in the middle.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::measure::latency::Latency;

    pub(crate) fn example(label: &str, cpu_us: f64) -> Report {
        let settings = vec![("window".to_owned(), "1".to_owned())];
        let mut report = Report::new("chat", label.to_owned(), settings);
        report.figure("server_cpu_us_per_message", "server: CPU per message", "us", cpu_us);
        report.figure("messages_per_s", "messages per second", "1/s", 1e6 / cpu_us);
        report.note("a <note>".to_owned());
        for second in 1..=5 {
            let latency = Latency { p50_us: 100.0, p99_us: 900.0 * f64::from(second), ..Latency::default() };
            report.timeline.push(Point { at_s: f64::from(second), per_s: 10_000.0, latency });
        }
        report
    }

    #[test]
    fn a_report_survives_json() {
        let report = example("x", 12.5);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), report.json().unwrap()).unwrap();
        let read = Report::read(file.path()).unwrap();
        assert_eq!(read.value("server_cpu_us_per_message"), Some(12.5));
        assert_eq!((read.figures, read.notes), (report.figures, report.notes));
        fs::write(file.path(), "{}").unwrap();
        assert!(Report::read(file.path()).unwrap_err().to_string().ends_with("not a report of this tool"));
    }

    #[test]
    fn the_text_names_figures_and_notes() {
        let text = example("x", 12.5).text();
        assert!(text.contains("server: CPU per message    12.5 us"), "{text}");
        assert!(text.ends_with("a <note>\n"), "{text}");
    }

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
    }
}
