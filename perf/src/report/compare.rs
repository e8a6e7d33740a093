//! Several reports side by side, each figure with its ratio to the first report's.

use super::{Report, number, table};

/// One figure of all reports.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// The figure's name for people, with its unit.
    pub title: String,
    /// Its value in each report that has it.
    pub values: Vec<Option<f64>>,
}

/// All figures in the order in which they appear first.
pub fn rows(reports: &[Report]) -> Vec<Row> {
    let mut names: Vec<(&str, String)> = Vec::new();
    for figure in reports.iter().flat_map(|report| &report.figures) {
        if !names.iter().any(|(name, _)| *name == figure.name) {
            let unit = if figure.unit.is_empty() { String::new() } else { format!(" ({})", figure.unit) };
            names.push((&figure.name, format!("{}{unit}", figure.title)));
        }
    }
    let values = |name: &str| reports.iter().map(|report| report.value(name)).collect();
    names.into_iter().map(|(name, title)| Row { title, values: values(name) }).collect()
}

/// A report's heading.
pub fn heading(report: &Report, index: usize) -> String {
    match report.label.as_str() {
        "" => format!("{} {}", report.scenario, index + 1),
        label => label.to_owned(),
    }
}

/// A value beside the first report's.
pub fn cell(values: &[Option<f64>], index: usize) -> String {
    match (values[index], values[0]) {
        (None, _) => "-".to_owned(),
        (Some(value), Some(first)) if index > 0 && first != 0.0 => {
            format!("{} ({}x)", number(value), number(value / first))
        }
        (Some(value), _) => number(value),
    }
}

/// As text for a terminal.
pub fn text(reports: &[Report]) -> String {
    let mut lines = vec![vec![String::new()]];
    lines[0].extend(reports.iter().enumerate().map(|(index, report)| heading(report, index)));
    for row in rows(reports) {
        let cells = (0..reports.len()).map(|index| cell(&row.values, index));
        lines.push([row.title.clone()].into_iter().chain(cells).collect());
    }
    let mut text = table(&lines);
    let scenarios: Vec<_> = reports.iter().map(|report| report.scenario.as_str()).collect();
    if scenarios.windows(2).any(|pair| pair[0] != pair[1]) {
        text.push_str("\nThese are reports of different scenarios.\n");
    }
    let mut differing: Vec<_> = settings_that_differ(reports);
    differing.dedup();
    if !differing.is_empty() {
        text.push_str(&format!("\nMeasured with different flags: {}.\n", differing.join(", ")));
    }
    for (index, report) in reports.iter().enumerate() {
        for note in &report.notes {
            text.push_str(&format!("\n{}: {note}\n", heading(report, index)));
        }
    }
    text
}

/// The flags, addresses aside, that are not the same everywhere.
fn settings_that_differ(reports: &[Report]) -> Vec<String> {
    let names = reports.iter().flat_map(|report| report.settings.iter().map(|(name, _)| name.clone()));
    let mut names: Vec<_> = names.filter(|name| !matches!(name.as_str(), "server" | "server-pid")).collect();
    names.sort();
    names.dedup();
    names.retain(|name| {
        let value =
            |report: &Report| report.settings.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
        reports.windows(2).any(|pair| value(&pair[0]) != value(&pair[1]))
    });
    names
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn figures_stand_beside_each_other_with_their_ratio() {
        let (one, mut two) = (example("rondel", 10.0), example("other", 150.0));
        two.figure("only_here_us", "only here", "us", 1.0);
        let text = text(&[one, two]);
        assert!(text.contains("server: CPU per message (us)      10      150 (15x)"), "{text}");
        assert!(text.contains("only here (us)                     -              1"), "{text}");
        assert!(!text.contains("different"), "{text}");
    }

    #[test]
    fn what_should_not_be_compared_is_told() {
        let (one, mut two) = (example("", 10.0), example("", 20.0));
        two.scenario = "login".to_owned();
        two.settings[0].1 = "16".to_owned();
        let text = text(&[one, two]);
        assert!(text.contains("different scenarios") && text.contains("different flags: window."), "{text}");
        assert!(text.contains("chat 1") && text.contains("login 2"), "{text}");
    }
}
