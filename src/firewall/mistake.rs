//! What is wrong with a script, for whoever has written it.

use std::fmt;

/// What is wrong in a script, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: u32,
    /// The column in it, in characters, counted from 1.
    pub column: u32,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// The same in one of several scripts.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{script}: {mistake}")]
pub struct ScriptError {
    /// The name of the script: the path of its file.
    pub script: String,
    /// What is wrong.
    pub mistake: Mistake,
}

/// What is allowed in a script and hardly meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// The name of the script.
    pub script: String,
    /// In which line; 0: it is not about one.
    pub line: u32,
    /// What is odd.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.script, self.message),
            line => write!(f, "{}: line {line}: {}", self.script, self.message),
        }
    }
}
