//! `rondel export` and `rondel import`: accounts on their way from one server to another (XEP-0227).

use std::fs::OpenOptions;
use std::io::{BufWriter, Write, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::access::Access;
use super::{Target, values};
use crate::admin::{By, Done, ImportFacts, Request, ask};
use crate::transfer::export::Exported;

/// The flags of `rondel export`.
#[derive(Args, Debug)]
pub struct ExportFlags {
    /// The file that is written, which must not be there yet; - for standard output. What is in it lets others log in
    /// and read what people have written: keep it to yourself.
    #[arg(value_name = "FILE", value_parser = values::path)]
    pub file: PathBuf,
    /// Only this account, such as juliet@example.org.
    #[arg(long, env = "RONDEL_ACCOUNT", value_name = "ACCOUNT", help_heading = "Export", conflicts_with = "on_domain")]
    pub account: Option<String>,
    /// Only accounts of this domain.
    #[arg(long, env = "RONDEL_ON_DOMAIN", value_name = "DOMAIN", help_heading = "Export")]
    pub on_domain: Option<String>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `rondel import`.
#[derive(Args, Debug)]
pub struct ImportFlags {
    /// A file as rondel export and other servers write it (XEP-0227), what ejabberdctl dump writes, or the data
    /// directory of a Prosody that keeps its data in files. A running server reads it itself: its user has to be able
    /// to.
    #[arg(value_name = "FILE|DIRECTORY", value_parser = values::path)]
    pub file: PathBuf,
    /// Only this account of it, such as juliet@example.org, whose owner has brought the file: it begins as a new
    /// account does, whatever the file says of its age and of what was decided about it.
    #[arg(long, env = "RONDEL_ACCOUNT", value_name = "ACCOUNT", help_heading = "Import")]
    pub account: Option<String>,
    /// Prints one JSON object.
    #[arg(long, env = "RONDEL_JSON", help_heading = "Import")]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Writes accounts to a file. An error is one line.
pub fn export(flags: &ExportFlags) -> Result<(), String> {
    let is_standard = flags.file == Path::new("-");
    let fail = |error: std::io::Error| format!("{}: {error}", flags.file.display());
    let backend = Access::open(&flags.target, false)?.backend()?;
    let out: Box<dyn Write> = match is_standard {
        true => Box::new(stdout().lock()),
        false => Box::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(&flags.file).map_err(fail)?),
    };
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let mut failed = None;
    let mut tell = |done| match done {
        Done::Text(text) => {
            failed = out.write_all(text.as_bytes()).err();
            failed.is_none()
        }
        _ => true,
    };
    let request = Request::Export { jid: flags.account.clone(), domain: flags.on_domain.clone() };
    let asked = backend.ask(&By::here(), request, &mut tell);
    let finished = failed.map_or(Ok(()), Err).and_then(|()| out.flush());
    let outcome = match (finished, asked) {
        (Err(error), _) => Err(fail(error)),
        (Ok(()), Err(failure)) => Err(failure.text),
        (Ok(()), Ok(Done::Exported(facts))) => Ok(facts),
        (Ok(()), Ok(_)) => Err("the answer belongs to another question".into()),
    };
    if outcome.is_err() && !is_standard {
        // Half of it could be taken for all of it.
        let _ = std::fs::remove_file(&flags.file);
    }
    let Exported { accounts, messages, missing } = outcome?;
    missing.iter().for_each(|missing| eprintln!("missing: {missing}"));
    eprintln!("exported {accounts} accounts with {messages} archived messages");
    match missing.len() {
        0 => Ok(()),
        number => Err(format!("{number} things could not be read and are missing")),
    }
}

/// Adds the accounts of a file. An error is one line.
pub fn import(flags: &ImportFlags) -> Result<(), String> {
    let path = std::path::absolute(&flags.file).map_err(|error| format!("{}: {error}", flags.file.display()))?;
    let backend = Access::open(&flags.target, true)?.backend()?;
    let request = Request::Import { path: path.display().to_string(), jid: flags.account.clone() };
    let facts: ImportFacts = ask(&*backend, request).map_err(|failure| failure.text)?;
    let text = match flags.json {
        true => serde_json::to_string(&facts).map_err(|error| error.to_string())? + "\n",
        false => told(&facts),
    };
    super::print(&text).map_err(|error| error.to_string())?;
    match facts.missing.len() {
        0 => Ok(()),
        number => Err(format!("{number} things could not be read and are missing")),
    }
}

fn told(facts: &ImportFacts) -> String {
    let mut text = format!("imported {} accounts with {} archived messages\n", facts.accounts, facts.messages);
    for (what, (number, first)) in [
        ("were there already and are as they were", &facts.existing),
        ("came without a password: nobody can log in until it is set", &facts.without_password),
        ("have names that are none", &facts.invalid),
        ("are rooms and left out, because there are no rooms here yet", &facts.rooms),
    ] {
        if *number > 0 {
            let more = if *number > first.len() as u64 { ", …" } else { "" };
            text.push_str(&format!("{number} {what}: {}{more}\n", first.join(", ")));
        }
    }
    for missing in &facts.missing {
        text.push_str(&format!("cannot be read, and is missing: {missing}\n"));
    }
    for (name, times) in &facts.unknown {
        text.push_str(&format!("left out, because it is not known here: {name}, {times} times\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_of_it_is_told() {
        let facts = ImportFacts {
            accounts: 2,
            messages: 7,
            existing: (30, vec!["a@x".into(), "b@x".into()]),
            unknown: vec![("<y xmlns='z'>".into(), 3)],
            rooms: (1, vec!["r@rooms.x".into()]),
            ..ImportFacts::default()
        };
        let expected = "imported 2 accounts with 7 archived messages\n\
                        30 were there already and are as they were: a@x, b@x, …\n\
                        1 are rooms and left out, because there are no rooms here yet: r@rooms.x\n\
                        left out, because it is not known here: <y xmlns='z'>, 3 times\n";
        assert_eq!(told(&facts), expected);
    }
}
