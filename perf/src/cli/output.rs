//! Where a report goes.

use std::fs;
use std::io::{Write, stdout};
use std::path::Path;

use anyhow::Context;

use super::flags::OutputFlags;
use crate::report::{Report, html};

/// Prints the report and writes the files that were asked for.
pub fn deliver(report: &Report, flags: &OutputFlags) -> anyhow::Result<()> {
    if let Some(file) = &flags.html {
        write(file, &html::page(std::slice::from_ref(report)))?;
    }
    match &flags.json {
        Some(file) if file.as_os_str() == "-" => return print(&report.json()?),
        Some(file) => write(file, &report.json()?)?,
        None => {}
    }
    print(&report.text())
}

/// Writes a file.
pub fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("{}: cannot be written", file.display()))
}

/// Prints to standard output.
pub fn print(text: &str) -> anyhow::Result<()> {
    stdout().lock().write_all(text.as_bytes()).context("standard output")
}
