//! `rondel registration pending`, `approve`, `reject`: those who wait to be let in.

use std::io::Write;

use super::flags::{PendingFlags, Waiting};
use super::text;
use crate::admin::{Pending, PendingPage, Request, ask};
use crate::cli::access::Access;
use crate::cli::print;
use crate::datetime;

pub(super) fn list(flags: &PendingFlags) -> Result<(), String> {
    let backend = Access::open(&flags.target, false)?.backend()?;
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut after = None;
    loop {
        let page: PendingPage = ask(&*backend, Request::ListPending { after }).map_err(text)?;
        for pending in &page.applicants {
            let shown = match flags.json {
                true => serde_json::to_string(pending).map_err(|error| error.to_string())?,
                false => shown(pending),
            };
            writeln!(output, "{shown}").map_err(|error| error.to_string())?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return output.flush().map_err(|error| error.to_string()),
        }
    }
}

/// One line, and one for each line of what was said. What strangers have written cannot move the cursor.
fn shown(pending: &Pending) -> String {
    let at = datetime::utc_s(pending.at_us / 1_000_000);
    let address = pending.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    let mut shown = format!("{at} {address} {}", pending.jid);
    for (name, value) in &pending.said {
        for line in value.lines() {
            let line: String = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
            shown.push_str(&format!("\n    {name}: {line}"));
        }
    }
    shown
}

/// Decides about some, each on its own: the last failure is what is told in the end.
pub(super) fn decide(waiting: &Waiting, done: &str, decide: impl Fn(String) -> Request) -> Result<(), String> {
    let backend = Access::open(&waiting.target, false)?.backend()?;
    let mut outcome = Ok(());
    for jid in &waiting.jids {
        match ask::<()>(&*backend, decide(jid.to_string())) {
            Ok(()) => print(&format!("{done} {jid}\n")).map_err(|error| error.to_string())?,
            Err(failure) => {
                if let Err(before) = std::mem::replace(&mut outcome, Err(failure.text)) {
                    eprintln!("rondel: {before}");
                }
            }
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_shown_line_by_line_and_cannot_move_the_cursor() {
        let pending = Pending {
            jid: "juliet@example.org".into(),
            at_us: 1_700_000_000_000_000,
            address: Some([192, 0, 2, 1].into()),
            said: vec![("reason".into(), "to talk\nto \u{1b}[2JRomeo".into())],
        };
        assert_eq!(
            shown(&pending),
            "2023-11-14T22:13:20Z 192.0.2.1 juliet@example.org\n    reason: to talk\n    reason: to  [2JRomeo"
        );
    }
}
