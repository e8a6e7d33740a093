pub mod certificates;
pub mod cli;
pub mod logging;
