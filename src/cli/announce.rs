//! `rondel announce`: something is said to everybody who is online, or to all accounts.

use std::io::{Read, stdin};

use clap::Args;

use super::{Target, names};
use crate::admin::{Remote, Request, ask};

/// Bytes of an announcement at most.
const WORDS_BYTES_MAX: usize = 16 << 10;

/// The flags of `rondel announce`.
#[derive(Args, Debug)]
pub struct AnnounceFlags {
    /// What is said. Without it: what standard input says.
    #[arg(value_name = "TEXT")]
    pub words: Option<String>,
    /// Says it to all accounts, not only to those who are online: it waits for who is not.
    #[arg(long, env = "RONDEL_EVERYBODY", help_heading = "To whom")]
    pub everybody: bool,
    /// Only to those of this domain.
    #[arg(long = "of-domain", env = "RONDEL_OF_DOMAIN", value_name = "DOMAIN", value_parser = names::domain)]
    #[arg(help_heading = "To whom")]
    pub domain: Option<String>,
    /// Where.
    #[command(flatten)]
    pub target: Target,
}

/// Does what was asked. An error is one line.
pub fn run(flags: &AnnounceFlags) -> Result<(), String> {
    let words = match &flags.words {
        Some(words) => words.clone(),
        None => {
            let mut words = String::new();
            let read = stdin().take(WORDS_BYTES_MAX as u64 + 1).read_to_string(&mut words);
            read.map_err(|error| format!("standard input: {error}"))?;
            words
        }
    };
    let words = words.trim_end();
    if words.is_empty() {
        return Err("nothing is said; give the text as an argument or on standard input".into());
    }
    if words.len() > WORDS_BYTES_MAX {
        return Err(format!("the text is too long; {WORDS_BYTES_MAX} bytes at most"));
    }
    let server = Remote::connect(&flags.target.admin_socket()).map_err(|error| error.to_string())?;
    let (words, domain) = (words.to_owned(), flags.domain.clone());
    let request = Request::Announce { words, domain, everybody: flags.everybody };
    ask(&server, request).map_err(|failure| failure.text)
}
