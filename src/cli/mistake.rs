//! Mistakes on the command line, each told in one line: the flag, the value, and what would be right.

use std::error::Error as _;
use std::process::ExitCode;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::at_file::Arguments;
use crate::cli::{EXIT_FAILED, EXIT_USAGE};

/// Why there is nothing to run.
#[derive(Debug, Eq, PartialEq)]
pub enum Mistake {
    /// Help or the version was asked for: what to print.
    Asked(String),
    /// The flags are wrong: one line.
    Usage(String),
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Mistake::Asked(text) | Mistake::Usage(text)) = self;
        f.write_str(text)
    }
}

impl Mistake {
    /// Prints it, and says how the process ends.
    pub fn report(self) -> ExitCode {
        match self {
            Mistake::Asked(text) => super::print(&text).map_or(ExitCode::from(EXIT_FAILED), |()| ExitCode::SUCCESS),
            Mistake::Usage(line) => {
                eprintln!("rondel: {line}");
                ExitCode::from(EXIT_USAGE)
            }
        }
    }
}

/// Puts an error of the parser into one line. `command` is what was parsed with.
pub(super) fn explain(error: &clap::Error, arguments: &Arguments, command: &Command) -> Mistake {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Mistake::Asked(error.render().to_string())
        }
        kind => Mistake::Usage(line(kind, &Context { error, arguments, command })),
    }
}

fn line(kind: ErrorKind, context: &Context<'_>) -> String {
    let flag = context.flag();
    let value = context.text(ContextKind::InvalidValue).unwrap_or_default();
    match kind {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation if value.is_empty() => {
            format!("{}{flag} needs a value{}", context.place(&flag, None), context.right_ones())
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let right = match context.error.source() {
                Some(source) => format!("; right would be {source}"),
                None => context.right_ones(),
            };
            format!("{}{flag}: {value:?} is wrong{right}", context.place(&flag, Some(&value)))
        }
        ErrorKind::UnknownArgument => {
            let place = context.place(&flag, None);
            let thing = if flag.starts_with('-') { "there is no flag" } else { "nothing is expected where it says" };
            format!("{place}{thing} {flag}{}", context.suggestion(ContextKind::SuggestedArg))
        }
        ErrorKind::InvalidSubcommand => {
            let name = context.text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let suggestion = context.suggestion(ContextKind::SuggestedSubcommand);
            format!("there is no subcommand {name:?}{suggestion}; rondel help lists them")
        }
        ErrorKind::MissingRequiredArgument => format!("{flag} is missing"),
        ErrorKind::ArgumentConflict => {
            let other = context.text(ContextKind::PriorArg).unwrap_or_default();
            match other.is_empty() || other == flag {
                true => format!("{flag} is given twice"),
                false => format!("{flag} and {} exclude each other", bare(&other)),
            }
        }
        ErrorKind::TooManyValues => format!("{flag} takes no value {value:?}"),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".into(),
        _ => {
            let text = context.error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            first.strip_prefix("error: ").unwrap_or(first).to_owned()
        }
    }
}

struct Context<'a> {
    error: &'a clap::Error,
    arguments: &'a Arguments,
    command: &'a Command,
}

impl Context<'_> {
    fn text(&self, kind: ContextKind) -> Option<String> {
        match self.error.get(kind)? {
            ContextValue::String(text) => Some(text.clone()),
            ContextValue::Strings(texts) => Some(texts.join(", ")),
            _ => None,
        }
    }

    /// The flag at fault, without its placeholder.
    fn flag(&self) -> String {
        let text = self.text(ContextKind::InvalidArg).unwrap_or_default();
        if text.starts_with('-') { bare(&text).to_owned() } else { text }
    }

    fn suggestion(&self, kind: ContextKind) -> String {
        let suggested = match self.error.get(kind) {
            Some(ContextValue::String(text)) => Some(text),
            // The likeliest is the last.
            Some(ContextValue::Strings(texts)) => texts.last(),
            _ => None,
        };
        suggested.map_or(String::new(), |suggested| format!("; did you mean {suggested}?"))
    }

    fn right_ones(&self) -> String {
        let valid = self.text(ContextKind::ValidValue).filter(|valid| !valid.is_empty());
        valid.map_or(String::new(), |valid| format!("; right would be {valid}"))
    }

    /// Where a flag was given, if not on the command line.
    fn place(&self, flag: &str, value: Option<&str>) -> String {
        match self.arguments.place(flag, value) {
            Ok(Some(place)) => format!("{place}: "),
            Ok(None) => String::new(),
            Err(()) => match self.variable(flag) {
                Some(variable) => format!("{variable}: "),
                None => String::new(),
            },
        }
    }

    /// The environment variable that a flag was read from.
    fn variable(&self, flag: &str) -> Option<String> {
        let name = flag.strip_prefix("--")?;
        let mut commands = vec![self.command];
        while let Some(command) = commands.pop() {
            let found = command.get_arguments().find(|argument| argument.get_long() == Some(name));
            let variable = found.and_then(|argument| argument.get_env()).and_then(|variable| variable.to_str());
            if let Some(variable) = variable.filter(|variable| std::env::var_os(variable).is_some()) {
                return Some(variable.to_owned());
            }
            commands.extend(command.get_subcommands());
        }
        None
    }
}

/// A flag without the placeholder of its value.
fn bare(flag: &str) -> &str {
    flag.split([' ', '=']).next().unwrap_or(flag)
}
