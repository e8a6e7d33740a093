//! What a server counts and has, by name: one catalogue from which `rondel status`, OpenMetrics and the documentation
//! are made.
//!
//! What may not live here: where figures come from, and how they are asked for.

mod catalogue;
mod openmetrics;
#[cfg(test)]
mod tests;

pub use catalogue::{ALERTS, CATALOGUE, Kind, Metric, Unit};
pub use openmetrics::{CONTENT_TYPE, encode};
