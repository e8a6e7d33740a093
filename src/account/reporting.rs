//! Reports of spam and abuse that come with a block (XEP-0377).
//!
//! A report never decides whether somebody is blocked (§6): one that makes no sense is no report. What becomes of it is
//! up to whoever reads it; it may be forwarded only where its sender has agreed to that (§5).

use crate::xml::{Element, namespaces as ns};

/// What clients of the years before 2021 send, with the reason as an element.
const NAMESPACE_BEFORE: &str = "urn:xmpp:reporting:0";

/// What bounds a report. What is beyond is cut off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReportLimits {
    /// Bytes of what a person has written, and of a reason that is not known.
    pub text_bytes_max: usize,
    /// Messages that are named.
    pub messages_max: usize,
}

/// Why somebody is reported.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Messages that nobody wanted.
    Spam,
    /// Any other abuse.
    Abuse,
    /// A reason that is defined elsewhere.
    Other(String),
}

/// A report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Why.
    pub reason: Reason,
    /// What the person who reports has written.
    pub text: Option<String>,
    /// Messages that are reported: who has given them their id, and the id (XEP-0359). Both are as they were sent.
    pub messages: Vec<(String, String)>,
    /// Whether it may be forwarded to the server of who is reported (§5, `report-origin`).
    pub may_go_to_origin: bool,
    /// Whether it may be forwarded to others who process reports (§5, `third-party`).
    pub may_go_to_third_party: bool,
}

impl Report {
    /// The report in an item of a block command; `None` if there is none, or one without a reason.
    pub fn parse(item: &Element, limits: &ReportLimits) -> Option<Report> {
        let report = item.children().find(|child| child.name == "report" && is_report(child))?;
        let has = |name: &str| report.child(name, &report.namespace).is_some();
        let reason = match report.attribute("reason") {
            Some("urn:xmpp:reporting:spam") => Reason::Spam,
            Some("urn:xmpp:reporting:abuse") => Reason::Abuse,
            Some(reason) if !reason.is_empty() => Reason::Other(cut(reason, limits.text_bytes_max)),
            _ if report.namespace == ns::REPORTING => return None,
            _ if has("spam") => Reason::Spam,
            // A reason was not asked for; that of the most general kind stands for none.
            _ => Reason::Abuse,
        };
        let text = report.child("text", &report.namespace).map(Element::text);
        let text = text.map(|text| cut(text.trim(), limits.text_bytes_max)).filter(|text| !text.is_empty());
        let messages = report.children().filter_map(|child| {
            let is_id = child.name == "stanza-id" && child.namespace == ns::STANZA_IDS;
            let short = |name: &str| child.attribute(name).filter(|value| value.len() <= limits.text_bytes_max);
            is_id.then(|| Some((short("by")?.to_owned(), short("id")?.to_owned()))).flatten()
        });
        Some(Report {
            reason,
            text,
            messages: messages.take(limits.messages_max).collect(),
            may_go_to_origin: has("report-origin"),
            may_go_to_third_party: has("third-party"),
        })
    }
}

fn is_report(element: &Element) -> bool {
    [ns::REPORTING, NAMESPACE_BEFORE].contains(&element.namespace.as_str())
}

/// As much of a text as fits into some bytes.
fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ReportLimits = ReportLimits { text_bytes_max: 48, messages_max: 2 };

    fn parse(report: &str) -> Option<Report> {
        let item = format!("<item xmlns='urn:xmpp:blocking' jid='romeo@example.net'>{report}</item>");
        Report::parse(&Element::parse(item.as_bytes()).unwrap(), &LIMITS)
    }

    fn plain(reason: Reason) -> Report {
        let (may_go_to_origin, may_go_to_third_party) = (false, false);
        Report { reason, text: None, messages: Vec::new(), may_go_to_origin, may_go_to_third_party }
    }

    #[test]
    fn the_reports_of_the_specification() {
        let spam = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'";
        // Example 2.
        assert_eq!(parse(&format!("{spam}/>")), Some(plain(Reason::Spam)));
        // Examples 3 and 4.
        let text = "<text xml:lang='en'>\n    Never came trouble to my house like this.\n  </text>";
        let with_text =
            Report { text: Some("Never came trouble to my house like this.".into()), ..plain(Reason::Spam) };
        assert_eq!(parse(&format!("{spam}>{text}</report>")), Some(with_text.clone()));
        let agreed = Report { may_go_to_origin: true, may_go_to_third_party: true, ..with_text.clone() };
        assert_eq!(parse(&format!("{spam}>{text}<report-origin/><third-party/></report>")), Some(agreed));
        // Example 5.
        let abuse = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:abuse'/>";
        assert_eq!(parse(abuse), Some(plain(Reason::Abuse)));
        // Example 6.
        let id = |id: &str| format!("<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@example.net' id='{id}'/>");
        let messages = ["28482-98726-73623", "38383-38018-18385"].map(|id| ("romeo@example.net".into(), id.into()));
        let named = Report { messages: messages.to_vec(), ..with_text };
        let ids = id("28482-98726-73623") + &id("38383-38018-18385") + &id("one too many");
        assert_eq!(parse(&format!("{spam}>{ids}{text}</report>")), Some(named));
    }

    #[test]
    fn the_reports_of_older_clients() {
        let parse = |children: &str| parse(&format!("<report xmlns='urn:xmpp:reporting:0'>{children}</report>"));
        assert_eq!(parse("<spam/>"), Some(plain(Reason::Spam)));
        assert_eq!(parse("<abuse/>"), Some(plain(Reason::Abuse)));
        assert_eq!(parse(""), Some(plain(Reason::Abuse)));
        let with_text = Report { text: Some("No".into()), ..plain(Reason::Spam) };
        assert_eq!(parse("<text xml:lang='en'>No</text><spam/>"), Some(with_text));
    }

    #[test]
    fn what_is_no_report_is_none() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("<report xmlns='urn:xmpp:reporting:1'/>"), None);
        assert_eq!(parse("<report xmlns='urn:xmpp:reporting:1' reason=''/>"), None);
        assert_eq!(parse("<report xmlns='urn:xmpp:reporting:7' reason='urn:xmpp:reporting:spam'/>"), None);
    }

    #[test]
    fn limits_cut() {
        let long = "é".repeat(40);
        let found =
            parse(&format!("<report xmlns='urn:xmpp:reporting:1' reason='{long}'><text>{long}</text></report>"));
        let kept = "é".repeat(24);
        assert_eq!(found, Some(Report { text: Some(kept.clone()), ..plain(Reason::Other(kept)) }));
    }
}
