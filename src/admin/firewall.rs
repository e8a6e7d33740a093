//! What an operator is told of the rules that stanzas pass.

use serde::{Deserialize, Serialize};

/// What rules have done since they were read last.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct FirewallFacts {
    /// The rules, script by script, in the order in which they stand.
    pub rules: Vec<RuleFacts>,
    /// The lists.
    pub lists: Vec<ListFacts>,
    /// Stanzas in which a pattern was too dear to be looked for to the end.
    pub overspent: u64,
    /// Events that were over a limit because there was no room for one more key.
    pub refused: u64,
}

/// What a rule has done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RuleFacts {
    /// The script.
    pub script: String,
    /// The chain.
    pub chain: String,
    /// The line in which the rule begins.
    pub line: u32,
    /// How often all its conditions have held.
    pub hits: u64,
}

/// What a list has.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListFacts {
    /// Its name.
    pub name: String,
    /// Where its entries come from: `memory`, or the address of a file or of something elsewhere.
    pub source: String,
    /// How many come from there just now.
    pub entries: u64,
}
