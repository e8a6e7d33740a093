//! `rondel storage`: whether what is stored can be read, and what can be saved of it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use rondel_storage::{Options, Store, Survey, salvage};

use super::access::Access;
use super::{Target, print, store_in, values};
use crate::admin::{Request, SurveyFacts, ask};

/// The subcommands of `rondel storage`.
#[derive(Subcommand, Debug)]
pub enum StorageAction {
    /// Reads all that is stored, of a running server too, compares it with its checksums, and names what is damaged
    Verify(VerifyStorage),
    /// Makes a data directory of what can still be read of a damaged one, which stays as it is
    Salvage(SalvageStorage),
}

/// The flags of `rondel storage verify`.
#[derive(Args, Debug)]
pub struct VerifyStorage {
    /// Prints one JSON object.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Storage")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel storage salvage`.
#[derive(Args, Debug)]
pub struct SalvageStorage {
    /// The data directory that is made, in which nothing may be stored yet.
    #[arg(value_name = "NEW", value_parser = values::path)]
    pub to: PathBuf,
    /// The damaged data directory, which no server uses.
    #[arg(long, env = "RONDEL_DATA_DIR", value_name = "DIRECTORY", value_parser = values::path)]
    #[arg(default_value = "/var/lib/rondel", help_heading = "Server")]
    pub data_dir: PathBuf,
}

/// Does what was asked. An error is one line.
pub fn run(action: &StorageAction) -> Result<(), String> {
    match action {
        StorageAction::Verify(flags) => verify(flags),
        StorageAction::Salvage(flags) => save(flags),
    }
}

fn verify(flags: &VerifyStorage) -> Result<(), String> {
    let facts = match Access::running(&flags.target)? {
        Some(running) => ask(&running, Request::VerifyStorage).map_err(|failure| failure.text)?,
        // A store that is damaged may be one that cannot be opened.
        None => {
            let survey = rondel_storage::survey(&store_in(&flags.target.data_dir));
            SurveyFacts::of(survey.map_err(|error| error.to_string())?)
        }
    };
    let text = match flags.json {
        true => serde_json::to_string(&facts).map_err(|error| error.to_string())? + "\n",
        false => told(&facts),
    };
    print(&text).map_err(|error| error.to_string())?;
    match facts.damages.len() {
        0 => Ok(()),
        1 => Err("one place is damaged; restore a backup, or save the rest with rondel storage salvage".into()),
        number => {
            Err(format!("{number} places are damaged; restore a backup, or save the rest with rondel storage salvage"))
        }
    }
}

fn told(facts: &SurveyFacts) -> String {
    let mut text = format!("read {} values, {} bytes\n", facts.entries, facts.bytes);
    for damage in &facts.damages {
        let file = damage.file.as_deref().unwrap_or("a file");
        text.push_str(&format!("damaged: {file} ({}): {}\n", damage.family, damage.text));
    }
    text
}

fn save(flags: &SalvageStorage) -> Result<(), String> {
    let (from, to) = (store_in(&flags.data_dir), store_in(&flags.to));
    let survey: Survey = salvage(&from, &to).map_err(|error| error.to_string())?;
    opens(&to)?;
    let facts = SurveyFacts::of(survey);
    let done = format!("saved in {}; what was in damaged places is missing\n", flags.to.display());
    print(&(told(&facts) + &done)).map_err(|error| error.to_string())
}

/// Opens a store that was made just now, as a server will, and closes it.
pub(super) fn opens(store: &Path) -> Result<(), String> {
    let mut options = Options::new(store);
    options.create_if_missing = false;
    let opened = Store::open(&options).map_err(|error| error.to_string())?;
    opened.close().map_err(|failure| failure.to_string())
}
