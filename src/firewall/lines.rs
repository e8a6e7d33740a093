//! A script as the lines that it means: stripped, continued ones joined, each part with the place where it stands.

use super::mistake::Mistake;

/// One line, of one or more in the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// Without white space at both ends and without the backslashes that continue it.
    pub text: String,
    /// Where each part of the text begins, and where that stands in the file: line and column, counted from 1.
    parts: Vec<(usize, u32, u32)>,
}

impl Line {
    /// The mistake that something in the line is, given as a part of its text.
    pub fn mistake(&self, part: &str, message: impl Into<String>) -> Mistake {
        let offset = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        let offset = offset.filter(|offset| *offset <= self.text.len()).unwrap_or(0);
        let at = self.parts.iter().rev().find(|(start, ..)| *start <= offset).copied().unwrap_or((0, 1, 1));
        let (start, line, column) = at;
        let before = self.text.get(start..offset).unwrap_or_default();
        Mistake { line, column: column + before.chars().count() as u32, message: message.into() }
    }

    /// What was read from a part of the text, or why it could not be.
    pub fn read<T, E: std::fmt::Display>(&self, part: &str, read: Result<T, E>) -> Result<T, Mistake> {
        read.map_err(|error| self.mistake(part, error.to_string()))
    }

    /// In which line of the file it begins.
    pub fn number(&self) -> u32 {
        self.parts.first().map_or(1, |(_, line, _)| *line)
    }
}

/// The lines of a script. One that is to be continued at the end of the file is none.
pub(super) fn lines(script: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    for (number, physical) in (1u32..).zip(split(script)) {
        let stripped = physical.trim_matches(is_space);
        let indent = physical.len() - physical.trim_start_matches(is_space).len();
        let column = physical.get(..indent).map_or(0, |indent| indent.chars().count() as u32) + 1;
        let mut line = open.take().unwrap_or(Line { text: String::new(), parts: Vec::new() });
        line.parts.push((line.text.len(), number, column));
        match stripped.strip_suffix('\\') {
            Some(stripped) => {
                line.text.push_str(stripped);
                open = Some(line);
            }
            None => {
                line.text.push_str(stripped);
                lines.push(line);
            }
        }
    }
    lines
}

/// The lines of a file; what follows the last end of line is one only if there is something.
fn split(script: &str) -> impl Iterator<Item = &str> {
    script.strip_suffix('\n').unwrap_or(script).split('\n')
}

/// White space as C and Lua have it.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        lines(script).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_stripped_and_joined() {
        assert_eq!(texts("  a \r\n\tb\\\n   c\n"), ["a", "bc"]);
        assert_eq!(texts("a \\\n b \\\n c"), ["a b c"], "blanks before the backslash stay");
        assert_eq!(texts("a\n\nb"), ["a", "", "b"]);
        assert_eq!(texts("a\nb\\"), ["a"], "nothing continues it");
        assert_eq!(texts("# c \\\nKIND: iq"), ["# c KIND: iq"]);
    }

    #[test]
    fn a_mistake_knows_its_place_in_the_file() {
        let all = lines("ok\n  ab\\\n    cdé f\n");
        let line = &all[1];
        let place = |from: usize| {
            let mistake = line.mistake(&line.text[from..], "");
            (mistake.line, mistake.column)
        };
        assert_eq!(line.text, "abcdé f");
        assert_eq!([place(0), place(1), place(2), place(3), place(7)], [(2, 3), (2, 4), (3, 5), (3, 6), (3, 9)]);
        assert_eq!(line.number(), 2);
        let elsewhere = String::from("x");
        assert_eq!(line.mistake(&elsewhere, "").line, 2);
    }
}
