//! Where log lines go: through a bounded queue to a thread that writes them to standard error.

use std::io::BufWriter;

use clap::ValueEnum;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::logging::about::show_addresses;
use crate::logging::format::HumanFields;
use crate::logging::{LevelControl, Levels, report_withheld};

/// Lines that wait to be written at most. What does not fit is left out and counted.
const QUEUE_LINES: usize = 16_384;

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people: time, level, subsystem, text, fields.
    #[default]
    Human,
    /// For programs: one JSON object per line.
    Json,
}

/// How to log.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which lines.
    pub levels: Levels,
    /// Their form.
    pub format: Format,
    /// Whether they name the addresses of clients.
    pub addresses: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { levels: Levels::default(), format: Format::default(), addresses: true }
    }
}

/// Keeps the writing thread alive. Dropped at the end of the process, it waits until all lines are written.
#[must_use]
pub struct Guard {
    lost: ErrorCounter,
    _worker: WorkerGuard,
}

impl Guard {
    /// Lines left out because standard error took them too slowly.
    pub fn lost_lines(&self) -> usize {
        self.lost.dropped_lines()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        report_withheld();
        let lost = self.lost_lines();
        if lost > 0 {
            tracing::warn!(target: "server", lost, "log lines were left out; standard error was slow");
        }
    }
}

/// Starts logging for the whole process; once only. Panics become log lines, too.
pub fn init(options: &Options) -> Result<(LevelControl, Guard), String> {
    show_addresses(options.addresses);
    let (writer, worker) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUE_LINES)
        .thread_name("log")
        .finish(BufWriter::with_capacity(64 << 10, std::io::stderr()));
    let guard = Guard { lost: writer.error_counter(), _worker: worker };
    let (filter, control) = LevelControl::new(options.levels.clone());
    let subscriber = subscriber(options.format, filter, writer);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())?;
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no text");
        tracing::error!(target: "server", location, text, "internal error (panic)");
    }));
    Ok((control, guard))
}

fn subscriber<W>(
    format: Format,
    filter: reload::Layer<Targets, Registry>,
    writer: W,
) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_ansi(false).with_writer(writer);
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        Format::Human => Box::new(lines.fmt_fields(HumanFields)),
        Format::Json => Box::new(lines.json().flatten_event(true).with_current_span(false).with_span_list(false)),
    };
    Registry::default().with(filter).with(lines)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Collected(Arc<Mutex<Vec<u8>>>);

    impl Write for Collected {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What `action` logs on this thread.
    pub(crate) fn lines_of(format: Format, levels: Levels, action: impl FnOnce()) -> String {
        controlled(format, levels, |_| action())
    }

    fn controlled(format: Format, levels: Levels, action: impl FnOnce(&LevelControl)) -> String {
        let collected = Collected::default();
        let (filter, control) = LevelControl::new(levels);
        let writer = collected.clone();
        let subscriber = subscriber(format, filter, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || action(&control));
        let bytes = collected.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn levels_hold_per_subsystem_and_change_at_run_time() {
        let lines = controlled(Format::Human, "warn,session=debug".parse().unwrap(), |control| {
            let speak = |text| {
                tracing::debug!(target: "session", "{text} session debug");
                tracing::info!(target: "storage", "{text} storage info");
                tracing::warn!(target: "storage", "{text} storage warn");
            };
            speak("before");
            assert_eq!(control.change("info,session=").unwrap().to_string(), "info");
            speak("after");
            assert!(control.change("loud").is_err());
            assert_eq!(control.levels().to_string(), "info");
        });
        let seen: Vec<_> = lines.lines().filter_map(|line| Some(line.split_once(": ")?.1)).collect();
        let expected = ["before session debug", "before storage warn", "after storage info", "after storage warn"];
        assert_eq!(seen, expected);
    }
}
