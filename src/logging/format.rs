//! The human form of a log line. What a peer sent may stand in it, so that control characters are written out: a line
//! stays one line, and a terminal obeys nobody but its owner.

use std::fmt::{self, Debug, Write};

use tracing::field::Field;
use tracing_subscriber::field::{MakeExt, MakeVisitor, RecordFields, VisitFmt, VisitOutput};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// Fields as `text key=value key=value`.
#[derive(Clone, Copy, Debug)]
pub(super) struct HumanFields;

impl<'w> FormatFields<'w> for HumanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let make = debug_fn(write_field).delimited(" ");
        let mut visitor = make.make_visitor(writer);
        fields.record(&mut visitor);
        VisitFmt::writer(&mut visitor);
        visitor.finish()
    }
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    match field.name() {
        "message" => write!(Escaping(writer), "{value:?}"),
        name => {
            write!(writer, "{name}=")?;
            write!(Escaping(writer), "{value:?}")
        }
    }
}

struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut clean = 0;
        for (at, character) in text.char_indices().filter(|(_, character)| character.is_control()) {
            self.0.write_str(&text[clean..at])?;
            write!(self.0, "{}", character.escape_default())?;
            clean = at + character.len_utf8();
        }
        self.0.write_str(&text[clean..])
    }
}

#[cfg(test)]
mod tests {
    use crate::logging::output::tests::lines_of;
    use crate::logging::{Format, Levels};

    #[test]
    fn a_line_stays_one_line_whatever_a_peer_sent() {
        let evil = "x\n2026-01-01T00:00:00Z ERROR server: all is lost\u{1b}[2J\u{9b}";
        let lines = lines_of(Format::Human, Levels::default(), || {
            tracing::info!(target: "session", text = evil, shown = %evil, "said {evil}");
        });
        assert_eq!(lines.lines().count(), 1);
        assert!(!lines.trim_end().contains(char::is_control), "{lines}");
        let json = lines_of(Format::Json, Levels::default(), || {
            tracing::info!(target: "session", text = evil, shown = %evil, "said {evil}");
        });
        assert_eq!(json.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["shown"], evil);
        assert_eq!(value["target"], "session");
        assert_eq!(value["level"], "INFO");
    }
}
