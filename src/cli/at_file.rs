//! `@file` among the arguments: a file with one flag per line, as if its lines stood on the command line.
//!
//! A line is `--flag value`, `--flag=value` or `--flag`; blank lines and lines that begin with `#` do not count; a
//! value with blanks stands in single or double quotes. A file cannot name another file.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;

/// More is no list of flags.
const FILE_SIZE_MAX: u64 = 1 << 20;

/// Arguments with every `@file` replaced by what it says.
#[derive(Debug, Default)]
pub struct Arguments {
    /// The arguments, the program's name first.
    pub all: Vec<OsString>,
    /// Where each argument stands: `None` on the command line, otherwise `file:line`.
    places: Vec<Option<String>>,
}

impl Arguments {
    /// Replaces every `@file`. An error is one line that names the file, and the line in it.
    pub fn expand(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, String> {
        let mut expanded = Arguments::default();
        let mut literal = false;
        for (index, argument) in arguments.into_iter().enumerate() {
            literal |= argument == "--";
            match argument.to_str().and_then(|text| text.strip_prefix('@')) {
                Some(file) if index > 0 && !literal => expanded.read(Path::new(file))?,
                _ => expanded.push(argument, None),
            }
        }
        Ok(expanded)
    }

    /// Where a flag stands with a value: `file:line` if in a file, `None` if on the command line, and an error if it
    /// stands nowhere, i.e. comes from the environment.
    pub fn place(&self, flag: &str, value: Option<&str>) -> Result<Option<&str>, ()> {
        let mut found = Err(());
        for (index, argument) in self.all.iter().enumerate() {
            let Some(argument) = argument.to_str() else { continue };
            let (name, inline) = argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)));
            if name != flag {
                continue;
            }
            let place = self.places[index].as_deref();
            let given = inline.or_else(|| self.all.get(index + 1)?.to_str());
            // Of a list in one argument, the value at fault is one part.
            if value.is_none() || given == value || given.is_some_and(|list| list.split(',').any(|p| Some(p) == value))
            {
                return Ok(place);
            }
            found = Ok(place);
        }
        found
    }

    fn push(&mut self, argument: impl Into<OsString>, place: Option<String>) {
        self.all.push(argument.into());
        self.places.push(place);
    }

    fn read(&mut self, path: &Path) -> Result<(), String> {
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_SIZE_MAX + 1).read_to_string(&mut text))
            .map_err(|error| format!("@{}: {error}", path.display()))?;
        if text.len() as u64 > FILE_SIZE_MAX {
            return Err(format!("@{}: larger than 1 MiB, which no list of flags is", path.display()));
        }
        for (index, line) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), index + 1);
            for word in words(line).map_err(|wrong| format!("{place}: {wrong}"))? {
                self.push(word, Some(place.clone()));
            }
        }
        Ok(())
    }
}

/// The arguments that a line stands for: none, a flag, or a flag and its value.
fn words(line: &str) -> Result<Vec<String>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Vec::new());
    }
    if line.starts_with('@') {
        return Err(format!("{line:?} names another file, which a file cannot do"));
    }
    if !line.starts_with("--") || line == "--" {
        return Err(format!("{line:?} is no flag; write --flag value"));
    }
    let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
    let (flag, rest) = line.split_at(end);
    let value = rest.strip_prefix('=').unwrap_or(rest).trim();
    match value {
        "" if rest.is_empty() => Ok(vec![flag.into()]),
        "" => Err(format!("{flag} has no value")),
        // With the sign of equality, even a value that begins with a hyphen is one.
        value => Ok(vec![format!("{flag}={}", unquote(flag, value)?)]),
    }
}

fn unquote<'v>(flag: &str, value: &'v str) -> Result<&'v str, String> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return match rest.find(quote) {
                Some(end) if end + 1 == rest.len() => Ok(&rest[..end]),
                Some(_) => Err(format!("{flag}: something stands behind the closing quote")),
                None => Err(format!("{flag}: the closing quote is missing")),
            };
        }
    }
    if value.contains(char::is_whitespace) {
        return Err(format!("{flag}: {value:?} has blanks; put it in quotes if it is one value"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(content: &str) -> (tempfile::TempDir, Result<Arguments, String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flags");
        std::fs::write(&file, content).unwrap();
        let arguments = ["rondel", "serve", "--dev", &format!("@{}", file.display()), "--shards", "2"];
        let expanded = Arguments::expand(arguments.map(OsString::from));
        (folder, expanded)
    }

    #[test]
    fn lines_become_arguments_where_the_file_stood() {
        let (folder, arguments) = expand(
            "# a comment\n\n --domain example.org \n--data-dir=\"/srv/my data\"\r\n--log-level='a b'\n--x=-1\n--y\n",
        );
        let arguments = arguments.unwrap();
        let expected = [
            "rondel",
            "serve",
            "--dev",
            "--domain=example.org",
            "--data-dir=/srv/my data",
            "--log-level=a b",
            "--x=-1",
            "--y",
            "--shards",
            "2",
        ];
        assert_eq!(arguments.all, expected);
        let file = folder.path().join("flags");
        assert_eq!(arguments.place("--domain", Some("example.org")), Ok(Some(&*format!("{}:3", file.display()))));
        assert_eq!(arguments.place("--shards", Some("2")), Ok(None));
        assert_eq!(arguments.place("--spin", None), Err(()));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (content, wrong) in [
            ("\n@other", ":2: \"@other\" names another file, which a file cannot do"),
            ("serve", ":1: \"serve\" is no flag; write --flag value"),
            ("--domain=", ":1: --domain has no value"),
            ("--domain a b", ":1: --domain: \"a b\" has blanks; put it in quotes if it is one value"),
            ("--domain \"a", ":1: --domain: the closing quote is missing"),
            ("--domain 'a' b", ":1: --domain: something stands behind the closing quote"),
        ] {
            let (folder, arguments) = expand(content);
            let file = folder.path().join("flags");
            assert_eq!(arguments.unwrap_err(), format!("{}{wrong}", file.display()));
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_after_two_hyphens_nothing_is_a_file() {
        let wrong = Arguments::expand(["rondel", "@/nowhere/flags"].map(OsString::from)).unwrap_err();
        assert_eq!(wrong, "@/nowhere/flags: No such file or directory (os error 2)");
        let arguments = ["@zero", "--", "@file"].map(OsString::from);
        assert_eq!(Arguments::expand(arguments.clone()).unwrap().all, arguments);
    }
}
