//! `rondel report`: reports of spam and abuse, and what is done about them.

use clap::{Args, Subcommand, ValueEnum};

use super::access::Access;
use super::user::Lasting;
use super::{Target, print};
use crate::admin::{ActOnReport, ReportAction as Deed, ReportDetails, ReportPage, ReportSummary, Request, ask};
use crate::datetime;

/// The subcommands of `rondel report`.
#[derive(Subcommand, Debug)]
pub enum ReportAction {
    /// Shows the reports that nobody has seen to, oldest first
    List(ListReports),
    /// Shows a report, the messages in it, the account that is reported, and who has registered from the same address
    Show(ShowReport),
    /// Does something about a report, which is closed with it
    Act(Act),
}

/// The flags of `rondel report list`.
#[derive(Args, Debug)]
pub struct ListReports {
    /// Shows those too that somebody has seen to.
    #[arg(long, env = "RONDEL_ALL", help_heading = "List")]
    pub all: bool,
    /// Prints one JSON object per line.
    #[arg(long, env = "RONDEL_JSON", help_heading = "List")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel report show`.
#[derive(Args, Debug)]
pub struct ShowReport {
    /// Which, as `rondel report list` shows it.
    #[arg(value_name = "REPORT")]
    pub report: String,
    /// Prints a JSON object.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Show")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// What can be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum What {
    /// Nothing.
    Dismiss,
    /// The account is told something (--words).
    Warn,
    /// Nobody hears what the account writes.
    Mute,
    /// The account is held to the limits of new ones.
    #[value(alias = "quarantine")]
    Limit,
    /// The account cannot log in.
    Ban,
    /// The account is removed.
    #[value(alias = "delete")]
    Remove,
}

/// The flags of `rondel report act`.
#[derive(Args, Debug)]
pub struct Act {
    /// Which, as `rondel report list` shows it.
    #[arg(value_name = "REPORT")]
    pub report: String,
    /// What is done.
    #[arg(value_name = "ACTION")]
    pub action: What,
    /// For how long.
    #[command(flatten)]
    pub lasting: Lasting,
    /// What the account is told that was reported.
    #[arg(long, env = "RONDEL_WORDS", value_name = "TEXT", help_heading = "Words")]
    pub words: Option<String>,
    /// What is told to whoever has reported it.
    #[arg(long, env = "RONDEL_ANSWER", value_name = "TEXT", help_heading = "Words")]
    pub answer: Option<String>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Does what was asked. An error is one line.
pub fn run(action: ReportAction) -> Result<(), String> {
    match action {
        ReportAction::List(flags) => list(&flags),
        ReportAction::Show(ShowReport { report, json, target }) => {
            let backend = Access::open(&target, false)?.backend()?;
            let details: Box<ReportDetails> =
                ask(&*backend, Request::ShowReport { report }).map_err(|failure| failure.text)?;
            let text = match json {
                true => serde_json::to_string(&details).map_err(|error| error.to_string())? + "\n",
                false => describe(&details),
            };
            print(&text).map_err(|error| error.to_string())
        }
        ReportAction::Act(Act { report, action, lasting, words, answer, target }) => {
            let action = match action {
                What::Dismiss => Deed::Dismiss,
                What::Warn => Deed::Warn,
                What::Mute => Deed::Mute,
                What::Limit => Deed::Limit,
                What::Ban => Deed::Ban,
                What::Remove => Deed::Remove,
            };
            let done = format!("{} {report}\n", action.name());
            let act = ActOnReport { report, action, for_s: lasting.seconds(), words, answer };
            let backend = Access::open(&target, false)?.backend()?;
            ask::<()>(&*backend, Request::ActOnReport(act)).map_err(|failure| failure.text)?;
            print(&done).map_err(|error| error.to_string())
        }
    }
}

fn list(flags: &ListReports) -> Result<(), String> {
    let backend = Access::open(&flags.target, false)?.backend()?;
    let mut after = None;
    loop {
        let request = Request::ListReports { all: flags.all, after };
        let page: ReportPage = ask(&*backend, request).map_err(|failure| failure.text)?;
        for report in &page.reports {
            let line = match flags.json {
                true => serde_json::to_string(report).map_err(|error| error.to_string())?,
                false => line(report),
            };
            print(&format!("{line}\n")).map_err(|error| error.to_string())?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn line(report: &ReportSummary) -> String {
    let text = report.text.as_ref().map_or(String::new(), |text| format!(": {}", text.replace(['\r', '\n'], " ")));
    let closed = report.closed.as_ref().map_or(String::new(), |(action, by)| format!(" [{action}, by {by}]"));
    let ReportSummary { report, at_us, reporter, reported, reason, .. } = report;
    format!("{report} {} {reported} reported for {reason} by {reporter}{closed}{text}", datetime::utc_us(*at_us))
}

fn describe(details: &ReportDetails) -> String {
    let ReportSummary { report, at_us, reporter, reported, reason, text, closed } = &details.summary;
    let mut lines = vec![
        format!("report      {report}, {}", datetime::utc_us(*at_us)),
        format!("reported    {reported} for {reason}, {} of that account in all", count(details.times, "report")),
        format!("reporter    {reporter}"),
    ];
    lines.extend(text.iter().flat_map(|text| text.lines()).map(|line| format!("says        {line}")));
    lines.extend(closed.iter().map(|(action, by)| format!("closed      {action}, by {by}")));
    match &details.account {
        None => lines.push("account     not here".into()),
        Some(user) => {
            let from = user.source_address.as_ref().map_or(String::new(), |address| format!(" from {address}"));
            lines.push(format!("account     made {} {}{from}", datetime::utc_s(user.created_s), user.source));
        }
    }
    let agreed = [(details.may_go_to_origin, "its own server"), (details.may_go_to_third_party, "block lists")];
    let agreed: Vec<_> = agreed.into_iter().filter(|(agrees, _)| *agrees).map(|(_, whom)| whom).collect();
    if !agreed.is_empty() {
        lines.push(format!("may tell    {}", agreed.join(", ")));
    }
    lines.extend(details.messages.iter().map(|(at_us, xml)| format!("message     {} {xml}", datetime::utc_us(*at_us))));
    lines.extend(details.neighbours.iter().map(|entry| {
        let gone = if entry.made_s.is_some() { "" } else { " (gone)" };
        format!("neighbour   {} {}{gone}", datetime::utc_us(entry.place.at_us), entry.place.jid)
    }));
    lines.join("\n") + "\n"
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{LogEntry, Place};

    fn summary() -> ReportSummary {
        ReportSummary {
            report: "0123".into(),
            at_us: 1_700_000_000_000_000,
            reporter: "juliet@example.org".into(),
            reported: "bot@example.org".into(),
            reason: "spam".into(),
            text: Some("buy\nthis".into()),
            closed: None,
        }
    }

    #[test]
    fn a_report_is_a_line() {
        let expected = "0123 2023-11-14T22:13:20Z bot@example.org reported for spam by juliet@example.org: buy this";
        assert_eq!(line(&summary()), expected);
        let closed =
            ReportSummary { closed: Some(("ban".into(), "admin@example.org".into())), text: None, ..summary() };
        assert!(line(&closed).ends_with("by juliet@example.org [ban, by admin@example.org]"));
    }

    #[test]
    fn details_have_what_helps_to_judge() {
        let place = Place { at_us: 1_700_000_000_000_000, jid: "bot2@example.org".into() };
        let neighbour = LogEntry { place, address: None, source: None, reason: None, made_s: None };
        let details = ReportDetails {
            summary: summary(),
            messages: vec![(1_700_000_000_000_000, "<message/>".into())],
            may_go_to_origin: true,
            may_go_to_third_party: false,
            account: None,
            times: 2,
            neighbours: vec![neighbour],
        };
        let text = describe(&details);
        for expected in [
            "2 reports of that account",
            "says        this\n",
            "may tell    its own server\n",
            " <message/>\n",
            " (gone)\n",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
