//! Scripts that are loaded, with what the files of their lists have: what a server runs, and what is checked before it
//! does.

use std::path::Path;
use std::sync::Arc;

use super::definition::Backend;
use super::entries::Entries;
use super::groups::Groups;
use super::mistake::Warning;
use super::places::Places;
use super::program::Rules;
use super::{ListSpec, Sources};

/// Rules, and what the sources of their lists have that can be read at once.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The rules.
    pub rules: Rules,
    /// By the number of a list: what its source has.
    pub sources: Vec<Arc<Entries>>,
    /// Who belongs together.
    pub groups: Groups,
    /// Where addresses are.
    pub places: Option<Places>,
}

/// What scripts may ask for beside stanzas, as files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'p> {
    /// Who belongs together.
    pub groups: Option<&'p Path>,
    /// Where addresses are.
    pub places: Option<&'p Path>,
}

/// Scripts that come with the server, by the names that Prosody's have.
const SHIPPED: &[(&str, &str)] = &[
    ("spam-blocking.pfw", include_str!("../../docs/firewall/spam-blocking.pfw")),
    ("spam-blocklists.pfw", include_str!("../../docs/firewall/spam-blocklists.pfw")),
    ("spam-strip-xhtml.pfw", include_str!("../../docs/firewall/spam-strip-xhtml.pfw")),
    ("jabberspam-simple-blocklist.pfw", include_str!("../../docs/firewall/jabberspam-simple-blocklist.pfw")),
    ("subscription-floods.pfw", include_str!("../../docs/firewall/subscription-floods.pfw")),
    ("known-bad-servers.pfw", include_str!("../../docs/firewall/known-bad-servers.pfw")),
    ("new-accounts.pfw", include_str!("../../docs/firewall/new-accounts.pfw")),
];

/// What the name of a script begins with that comes with the server.
const MODULE: &str = "module:scripts/";

impl Loaded {
    /// Reads scripts, from files or of those that come with the server, the files of their lists, and what is beside
    /// them. An error is one line that says what to change.
    pub fn read(names: &[String], beside: Beside<'_>) -> Result<(Loaded, Vec<Warning>), String> {
        let texts = names.iter().map(|name| script(name)).collect::<Result<Vec<String>, String>>()?;
        let scripts: Vec<(&str, &str)> =
            names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
        let sources = Sources { groups: beside.groups.is_some(), countries: beside.places.is_some() };
        let (rules, mut warnings) = Rules::load(&scripts, sources).map_err(|error| error.to_string())?;
        let mut lists = Vec::new();
        for (name, spec) in &rules.lists {
            lists.push(Arc::new(entries(name, spec, &mut warnings)?));
        }
        let groups = match beside.groups {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                Groups::parse(&text).map_err(|mistake| format!("{}: {mistake}", path.display()))?
            }
            None => Groups::default(),
        };
        let places = beside.places.map(Places::open).transpose()?;
        Ok((Loaded { rules, sources: lists, groups, places }, warnings))
    }
}

fn script(name: &str) -> Result<String, String> {
    if let Some(shipped) = name.strip_prefix(MODULE) {
        let found = SHIPPED.iter().find(|(known, _)| *known == shipped).map(|(_, text)| (*text).to_owned());
        let known = || SHIPPED.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
        return found.ok_or_else(|| format!("{name}: no such script comes with the server; there are {}", known()));
    }
    let bytes = std::fs::read(name).map_err(|error| format!("{name}: {error}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{name}: this is not UTF-8"))
}

fn entries(name: &str, spec: &ListSpec, warnings: &mut Vec<Warning>) -> Result<Entries, String> {
    let Backend::File { path, may_be_missing } = &spec.backend else { return Ok(Entries::default()) };
    match std::fs::read(Path::new(path)) {
        Ok(bytes) => Ok(spec.entries_of(&bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if !may_be_missing {
                let message = format!("%LIST {name}: {path} is not there: the list is empty");
                warnings.push(Warning { script: path.clone(), line: 0, message });
            }
            Ok(Entries::default())
        }
        Err(error) => Err(format!("%LIST {name}: {path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_scripts_that_come_with_the_server_load_together() {
        let names: Vec<String> = SHIPPED.iter().map(|(name, _)| format!("{MODULE}{name}")).collect();
        let (loaded, _) = Loaded::read(&names, Beside::default()).unwrap();
        assert_eq!(loaded.rules.scripts.len(), SHIPPED.len());
        assert_eq!(loaded.sources.len(), loaded.rules.lists.len());
        let unknown = Loaded::read(&[format!("{MODULE}x.pfw")], Beside::default()).unwrap_err();
        assert!(unknown.contains("spam-blocking.pfw"), "{unknown}");
    }

    #[test]
    fn files_are_read_and_what_is_missing_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("list"), "bad.example\nworse.example\n").unwrap();
        let list = |name: &str, options: &str| format!("%LIST {name}: file:{}{options}\n", path(name));
        let text = [
            list("list", ""),
            list("gone", ""),
            list("perhaps", " (missing: ignore)"),
            "CHECK LIST: list contains $<@from>\nCHECK LIST: gone contains $<@from>\n".to_owned(),
            "CHECK LIST: perhaps contains $<@from>\nDROP.\n".to_owned(),
        ];
        std::fs::write(path("script"), text.concat()).unwrap();
        let (loaded, warnings) = Loaded::read(&[path("script")], Beside::default()).unwrap();
        assert_eq!(loaded.sources.iter().map(|entries| entries.len()).collect::<Vec<_>>(), [2, 0, 0]);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].message.contains("gone"), "{warnings:?}");
        let missing = Loaded::read(&[path("nothing")], Beside::default()).unwrap_err();
        assert!(missing.contains("nothing"), "{missing}");
    }
}
