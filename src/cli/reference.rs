//! The reference page of all flags (`docs/flags.md`), written from the same table as `--help`.

use std::fmt::Write;

use clap::{Arg, ArgAction, Command, CommandFactory};

const BEGINNING: &str = "\
# Flags

Rondel has no configuration file of a format of its own: everything is a flag. This page is written from the program's
own table (`make docs`); `rondel help` and `rondel serve --help` say the same.

- Every flag can also be the environment variable named beside it; lists are separated by commas
  there.
- Flags can stand in a file, one per line, as `--flag value`, given as `@file` among the arguments. Blank lines and
  lines that begin with `#` do not count; a value with blanks stands in quotes.
- Where a flag is given more than once the last one counts, and the command line counts more than the environment. A
  flag that may be repeated adds to its list.
- Sizes are written as `256KiB` or `10kB`, durations as `250ms`, `30s`, `5m`, `1h`, rates as `10/min:20`: ten a minute,
  twenty at once.
- Exit codes: 0 done, 1 failed, 2 wrong flags.
";

/// The page in Markdown.
pub fn page() -> String {
    let mut page = BEGINNING.to_owned();
    let mut command = super::Command::command();
    command.build();
    describe_all(&mut page, &command);
    page
}

/// A command's flags, then its subcommands'.
fn describe_all(page: &mut String, command: &Command) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let name = format!("rondel {}", sub.get_bin_name().unwrap_or(sub.get_name()).trim_start_matches("rondel "));
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        add(page, format_args!("\n## {name}\n\n{about}.\n"));
        // What it takes beside those of the server.
        let others = command.get_subcommands().find(|other| other.get_name() == "serve" && sub.get_name() == "check");
        describe(page, sub, others);
        describe_all(page, sub);
    }
}

fn describe(page: &mut String, command: &Command, except: Option<&Command>) {
    let is_elsewhere = |argument: &Arg| {
        except.is_some_and(|other| other.get_arguments().any(|known| known.get_id() == argument.get_id()))
    };
    let arguments: Vec<_> =
        command.get_arguments().filter(|argument| !is_own(argument) && !is_elsewhere(argument)).collect();
    let mut headings: Vec<_> = arguments.iter().map(|argument| argument.get_help_heading()).collect();
    headings.sort_by_key(|heading| arguments.iter().position(|argument| argument.get_help_heading() == *heading));
    headings.dedup();
    for heading in headings {
        if let Some(heading) = heading {
            add(page, format_args!("\n### {heading}\n"));
        }
        add(page, format_args!("\n| flag | variable | default | |\n|---|---|---|---|\n"));
        for argument in arguments.iter().filter(|argument| argument.get_help_heading() == heading) {
            add(page, format_args!("{}\n", row(argument)));
        }
    }
}

fn row(argument: &Arg) -> String {
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let placeholder = argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    let flag = match argument.get_long() {
        Some(long) if takes_value => format!("--{long} {placeholder}"),
        Some(long) => format!("--{long}"),
        None => placeholder.to_owned(),
    };
    let variable = argument.get_env().and_then(|variable| variable.to_str()).map(code).unwrap_or_default();
    let defaults: Vec<_> = argument.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    let default = if takes_value && !argument.is_hide_default_value_set() && !defaults.is_empty() {
        code(&defaults.join(","))
    } else {
        String::new()
    };
    let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let values: Vec<_> = argument.get_possible_values();
    let values: Vec<_> = values.iter().filter(|_| takes_value).map(|value| code(value.get_name())).collect();
    let help = match values.is_empty() {
        true => sentence(&help),
        false => format!("{} One of {}.", sentence(&help), values.join(", ")),
    };
    format!("| {} | {variable} | {default} | {help} |", code(&flag.replace('|', "\\|")))
}

/// Flags that every command has by itself.
fn is_own(argument: &Arg) -> bool {
    matches!(argument.get_id().as_str(), "help" | "version") || argument.is_hide_set()
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    if text.ends_with(['.', '?']) { text } else { format!("{text}.") }
}

fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = page.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RONDEL_WRITE_DOCS=1 cargo test` (`make docs`) writes the page instead.
    #[test]
    fn the_page_in_docs_says_what_the_program_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/flags.md");
        if std::env::var_os("RONDEL_WRITE_DOCS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(written == page(), "docs/flags.md is not what the program says; make docs writes it");
    }

    #[test]
    fn every_flag_has_a_variable_of_its_name_and_a_heading() {
        let command = super::super::Command::command();
        let mut commands = vec![&command];
        let mut flags = 0;
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands());
            for argument in command.get_arguments().filter(|argument| !is_own(argument)) {
                let name = argument.get_id();
                assert!(argument.get_help().is_some(), "{name} has no help");
                let Some(long) = argument.get_long() else { continue };
                let variable = format!("RONDEL_{}", long.replace('-', "_").to_uppercase());
                assert_eq!(argument.get_env().unwrap_or_else(|| panic!("{name}")), &*variable);
                assert!(argument.get_help_heading().is_some(), "{name} has no heading");
                flags += 1;
            }
        }
        assert!(flags > 40, "{flags}");
    }
}
