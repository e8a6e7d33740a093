//! Levels of log lines, in general and per subsystem, and their change at run time.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, reload};

/// The parts of the server that have a level of their own: the targets of log lines.
pub const SUBSYSTEMS: [&str; 10] =
    ["server", "session", "stream", "login", "registration", "limits", "firewall", "shards", "storage", "admin"];

/// A general level and those of single subsystems, written `info,session=debug`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Levels {
    general: LevelFilter,
    subsystems: BTreeMap<&'static str, LevelFilter>,
}

impl Default for Levels {
    fn default() -> Self {
        Levels { general: LevelFilter::INFO, subsystems: BTreeMap::new() }
    }
}

impl Levels {
    /// These levels with changes on top: `debug` sets the general level, `session=trace` that of one subsystem, and
    /// `session=` takes a subsystem's own level away. An error says what would be right.
    pub fn changed(&self, changes: &str) -> Result<Levels, String> {
        let mut levels = self.clone();
        for part in changes.split(',').map(str::trim) {
            match part.split_once('=') {
                None => levels.general = level(part)?,
                Some((name, text)) => {
                    let name = subsystem(name.trim())?;
                    match text.trim() {
                        "" => levels.subsystems.remove(name),
                        text => levels.subsystems.insert(name, level(text)?),
                    };
                }
            }
        }
        Ok(levels)
    }

    fn filter(&self) -> Targets {
        let targets = self.subsystems.iter().map(|(name, level)| (*name, *level));
        Targets::new().with_targets(targets).with_default(self.general)
    }
}

fn level(text: &str) -> Result<LevelFilter, String> {
    match text.to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err("levels (off, error, warn, info, debug or trace), such as info or info,session=debug".into()),
    }
}

fn subsystem(text: &str) -> Result<&'static str, String> {
    let found = SUBSYSTEMS.iter().find(|name| **name == text);
    found.copied().ok_or_else(|| format!("levels of {}, such as info,session=debug", SUBSYSTEMS.join(", ")))
}

impl FromStr for Levels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Levels::default().changed(text)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.general)?;
        self.subsystems.iter().try_for_each(|(name, level)| write!(formatter, ",{name}={level}"))
    }
}

/// Changes levels at run time.
#[derive(Clone)]
pub struct LevelControl {
    current: Arc<Mutex<Levels>>,
    handle: reload::Handle<Targets, Registry>,
}

impl LevelControl {
    pub(super) fn new(levels: Levels) -> (reload::Layer<Targets, Registry>, LevelControl) {
        let (layer, handle) = reload::Layer::new(levels.filter());
        (layer, LevelControl { current: Arc::new(Mutex::new(levels)), handle })
    }

    /// The levels now.
    pub fn levels(&self) -> Levels {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Applies changes as [`Levels::changed`] reads them, and returns the levels from now on.
    pub fn change(&self, changes: &str) -> Result<Levels, String> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let levels = current.changed(changes)?;
        self.handle.reload(levels.filter()).map_err(|error| error.to_string())?;
        *current = levels.clone();
        Ok(levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_written_and_changed() {
        let levels: Levels = "INFO, session=debug,storage=off".parse().unwrap();
        assert_eq!(levels.to_string(), "info,session=debug,storage=off");
        assert_eq!(levels.to_string().parse::<Levels>().unwrap(), levels);
        let changed = levels.changed("session=,warn,login=trace").unwrap();
        assert_eq!(changed.to_string(), "warn,login=trace,storage=off");
        for wrong in ["", "loud", "info,", "session", "session=loud", "sesion=debug", "info,session=debug=1"] {
            let text = wrong.parse::<Levels>().unwrap_err();
            assert!(text.contains("such as") && text.starts_with("levels"), "{wrong}: {text}");
        }
    }
}
