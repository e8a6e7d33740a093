pub mod cli;
pub mod logging;
