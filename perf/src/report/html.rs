//! Reports as a page that needs nothing but itself.

use super::Report;
use super::compare::{cell, heading, rows};
use super::plot::{Line, plot};
use crate::measure::latency::Point;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2330; --back: #fbfbf9; --line: #d7d9dd; --soft: #5d6675; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7ec; --back: #15181d; --line: #343a44; --soft: #98a1b0; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: right;
  font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.soft, .legend { color: var(--soft); } .note { border-left: 3px solid #c77d1e; padding-left: .8rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--line); } .line { fill: none; stroke-width: 2; }
.legend span { margin-right: 1.2rem; } .legend i { display: inline-block; width: .8rem; height: .8rem;
  border-radius: 2px; margin-right: .35rem; vertical-align: -1px; }
.line.c0 { stroke: #2f7ed8; } .line.c1 { stroke: #d9822b; } .line.c2 { stroke: #3d9a50; }
.line.c3 { stroke: #b04fb3; } .line.c4 { stroke: #c0392b; } .line.c5 { stroke: #16808a; }
i.c0, .dot.c0 { background: #2f7ed8; fill: #2f7ed8; } i.c1, .dot.c1 { background: #d9822b; fill: #d9822b; }
i.c2, .dot.c2 { background: #3d9a50; fill: #3d9a50; } i.c3, .dot.c3 { background: #b04fb3; fill: #b04fb3; }
i.c4, .dot.c4 { background: #c0392b; fill: #c0392b; } i.c5, .dot.c5 { background: #16808a; fill: #16808a; }
";

/// What is read out of a point.
type Value = fn(&Point) -> f64;

/// Text made safe for the page.
pub fn escape(text: &str) -> String {
    crate::xmpp::element::escape(text)
}

/// The page of one report, or of several side by side.
pub fn page(reports: &[Report]) -> String {
    let title = match reports {
        [one] => format!("{} {}", one.scenario, one.label),
        _ => reports.iter().enumerate().map(|(index, one)| heading(one, index)).collect::<Vec<_>>().join(", "),
    };
    let title = escape(title.trim());
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'/><title>{title}</title>\
         <meta name='viewport' content='width=device-width, initial-scale=1'/><style>{STYLE}</style></head><body>\
         <h1>{title}</h1>"
    );
    for (index, report) in reports.iter().enumerate() {
        page.push_str(&format!(
            "<p class='soft'>{}: {}, {}, {}</p>",
            escape(&heading(report, index)),
            escape(&report.tool),
            escape(&report.host),
            escape(&report.at)
        ));
    }
    page.push_str(&figures(reports));
    for (index, report) in reports.iter().enumerate() {
        for note in &report.notes {
            page.push_str(&format!("<p class='note'>{}: {}</p>", escape(&heading(report, index)), escape(note)));
        }
    }
    if reports.iter().any(|report| report.timeline.iter().any(|point| point.per_s > 0.0)) {
        page.push_str("<h2>Throughput</h2>");
        page.push_str(&plot(&lines(reports, |point| point.per_s, ""), "1/s", false));
        page.push_str("<h2>Latency</h2>");
        page.push_str(&plot(&latencies(reports), "us", true));
    }
    page.push_str("<h2>How it was measured</h2><table><tbody>");
    for (index, report) in reports.iter().enumerate() {
        let settings: Vec<_> = report.settings.iter().map(|(name, value)| format!("--{name} {value}")).collect();
        page.push_str(&format!(
            "<tr><td>{}</td><td style='text-align:left'><code>rondel-perf {} {}</code></td></tr>",
            escape(&heading(report, index)),
            escape(&report.scenario),
            escape(&settings.join(" "))
        ));
    }
    page + "</tbody></table></body></html>\n"
}

fn figures(reports: &[Report]) -> String {
    let mut table = "<table><thead><tr><th></th>".to_owned();
    for (index, report) in reports.iter().enumerate() {
        table.push_str(&format!("<th>{}</th>", escape(&heading(report, index))));
    }
    table.push_str("</tr></thead><tbody>");
    for row in rows(reports) {
        let cells: String = (0..reports.len()).map(|index| format!("<td>{}</td>", cell(&row.values, index))).collect();
        table.push_str(&format!("<tr><td>{}</td>{cells}</tr>", escape(&row.title)));
    }
    table + "</tbody></table>"
}

fn lines(reports: &[Report], value: Value, what: &str) -> Vec<Line> {
    let points = |report: &Report| report.timeline.iter().map(|point| (point.at_s, value(point))).collect();
    let name = |index, report| format!("{} {what}", heading(report, index)).trim_end().to_owned();
    reports.iter().enumerate().map(|(index, one)| Line { name: name(index, one), points: points(one) }).collect()
}

/// Of one report all percentiles, of several the 99th, lest the plot be a tangle.
fn latencies(reports: &[Report]) -> Vec<Line> {
    if reports.len() > 1 {
        return lines(reports, |point| point.latency.p99_us, "p99");
    }
    let percentiles: [(Value, &str); 4] = [
        (|point| point.latency.p50_us, "p50"),
        (|point| point.latency.p99_us, "p99"),
        (|point| point.latency.p999_us, "p99.9"),
        (|point| point.latency.max_us, "maximum"),
    ];
    percentiles.into_iter().flat_map(|(value, name)| lines(reports, value, name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    /// Well-formed, and nothing in it is fetched from anywhere.
    #[test]
    fn a_page_stands_by_itself() {
        for reports in [vec![example("a & b", 10.0)], vec![example("one", 10.0), example("two", 20.0)]] {
            let page = page(&reports);
            let document = page.trim_start_matches("<!DOCTYPE html>\n");
            assert!(roxmltree::Document::parse(document).is_ok(), "{:?}", roxmltree::Document::parse(document).err());
            assert!(!page.contains("http") && !page.contains("src=") && !page.contains("url("), "{page}");
            assert_eq!(page.matches("<svg").count(), 2);
        }
    }
}
