//! `cargo xtask coverage`: which regions of the verifier its tests reach.
//!
//! The tests are built with the compiler's own instrumentation and run. A region counts as reached when any instantiation of generic code, in any of
//! the test programs, reached it. In the files of [`WHOLE`] every region must be; of the others the figures are told.

mod branches;
mod compiler;
mod program;
mod regions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde::Serialize;

use crate::workspace::Workspace;
use compiler::Compiler;
use regions::{Coverage, Place};

/// Where the verifier's sources are.
const SOURCES: &str = "bootloader/src";

/// Files and folders whose every region must be reached.
const WHOLE: [&str; 7] = ["decide.rs", "journal/", "install/", "image/", "codec.rs", "slot.rs", "storage.rs"];

/// The words of the command line.
#[derive(Debug, Args)]
pub(crate) struct CoverageArguments {
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Count branches as well, which takes the nightly compiler
    #[arg(long)]
    branches: bool,
}

impl CoverageArguments {
    /// What CI runs.
    pub(crate) const SHORT: Self = Self { json: None, branches: false };
}

/// What was found in one file.
#[derive(Debug, Serialize)]
struct Row {
    file: String,
    regions: usize,
    missed: usize,
    /// Whether every region must be reached.
    whole: Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Whole {
    Required,
    Told,
}

/// A region that no test reaches.
#[derive(Debug, Serialize)]
struct Missed {
    file: String,
    line: usize,
    column: usize,
    text: String,
}

/// Everything that `--json` has.
#[derive(Debug, Serialize)]
struct Report {
    files: Vec<Row>,
    missed: Vec<Missed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branches: Option<Vec<branches::Row>>,
    seconds: f64,
}

/// Measures and returns the table; an error when a region that must be reached is not.
pub(crate) fn coverage(workspace: &Workspace, arguments: &CoverageArguments) -> Result<String> {
    let started = Instant::now();
    let covered = measure(workspace, &Compiler::pinned(workspace)?)?;
    let sources = Sources::read(workspace, &covered)?;
    let (files, missed) = (rows(&covered), sources.missed(&covered));
    let (branches, words) = branches(workspace, arguments)?;
    let report = Report { files, missed, branches, seconds: started.elapsed().as_secs_f64() };
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| format!("can not write {}", path.display()))?;
    }
    let told = judge(&report)?;
    Ok(if words.is_empty() { told } else { format!("{words}\n{told}") })
}

/// Builds and runs the tests with this compiler, and adds up what they reached.
fn measure(workspace: &Workspace, compiler: &Compiler) -> Result<Coverage> {
    let mut covered = Coverage::default();
    for program in program::build(workspace, compiler)? {
        let exported = compiler.export(&program.run(workspace, compiler)?)?;
        covered.add(&exported, &workspace.path(SOURCES)).with_context(|| format!("the coverage of {}", program.name()))?;
    }
    Ok(covered)
}

/// Branches where they are asked for and the nightly compiler is there; otherwise the words why not.
fn branches(workspace: &Workspace, arguments: &CoverageArguments) -> Result<(Option<Vec<branches::Row>>, String)> {
    if !arguments.branches {
        return Ok((None, String::new()));
    }
    match Compiler::nightly(workspace) {
        Ok(compiler) => {
            let rows = branches::rows(&measure(workspace, &compiler)?);
            let words = branches::table(&rows);
            Ok((Some(rows), words))
        }
        Err(error) => Ok((None, format!("branches: NOT RUN: {error:#}"))),
    }
}

fn rows(covered: &Coverage) -> Vec<Row> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for (place, count) in &covered.regions {
        let row = rows.entry(&place.file).or_insert_with(|| Row { file: place.file.clone(), regions: 0, missed: 0, whole: whole(&place.file) });
        row.regions += 1;
        row.missed += usize::from(*count == 0);
    }
    rows.into_values().collect()
}

fn whole(file: &str) -> Whole {
    let required = WHOLE.iter().any(|name| file == *name || (name.ends_with('/') && file.starts_with(name)));
    if required { Whole::Required } else { Whole::Told }
}

/// The lines of the files that were measured.
struct Sources(BTreeMap<String, Vec<String>>);

impl Sources {
    fn read(workspace: &Workspace, covered: &Coverage) -> Result<Self> {
        let files = covered.regions.keys().map(|place| place.file.clone());
        let read = files.map(|file| Ok((file.clone(), lines(&workspace.path(SOURCES).join(&file))?)));
        read.collect::<Result<_>>().map(Self)
    }

    fn missed(&self, covered: &Coverage) -> Vec<Missed> {
        let places = covered.regions.iter().filter(|(_, count)| **count == 0).map(|(place, _)| place);
        places.map(|place| Missed { file: place.file.clone(), line: place.line, column: place.column, text: self.text(place) }).collect()
    }

    /// The region and the line that it stands on.
    fn text(&self, place: &Place) -> String {
        let line = self.0.get(&place.file).and_then(|lines| lines.get(place.line - 1)).map_or("", String::as_str);
        let end = if place.end_line == place.line { place.end_column - 1 } else { line.len() };
        let region = line.get(place.column - 1..end).unwrap_or(line);
        format!("`{}` in `{}`", region.trim(), line.trim())
    }
}

fn lines(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can not read {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The table for people, or the same as an error when a file that must be whole is not.
fn judge(report: &Report) -> Result<String> {
    for name in WHOLE {
        ensure!(report.files.iter().any(|row| row.file.starts_with(name)), "nothing was measured of {SOURCES}/{name}");
    }
    let table = report.files.iter().map(describe).collect::<Vec<_>>().join("\n");
    let missed = report.missed.iter().map(|missed| format!("  {SOURCES}/{}:{}:{}: {}", missed.file, missed.line, missed.column, missed.text));
    let missed: Vec<String> = missed.collect();
    let lacking = report.files.iter().filter(|row| row.whole == Whole::Required && row.missed > 0).count();
    let listed = if missed.is_empty() { String::new() } else { format!("\nnot reached:\n{}", missed.join("\n")) };
    if lacking > 0 {
        bail!("{lacking} files have regions that no test reaches\n{table}{listed}");
    }
    let required: usize = report.files.iter().filter(|row| row.whole == Whole::Required).map(|row| row.regions).sum();
    Ok(format!("{table}{listed}\ncoverage: ok (all {required} regions of {}; {:.0} s)", WHOLE.join(" "), report.seconds))
}

fn describe(row: &Row) -> String {
    let mark = match (row.whole, row.missed) {
        (Whole::Required, 0) => "whole",
        (Whole::Required, _) => "LACKS",
        (Whole::Told, _) => "told ",
    };
    format!("{mark} {:<24} {:>4} regions, {:>3} missed", row.file, row.regions, row.missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(files: &[(&str, usize)]) -> Report {
        let files = files.iter().map(|(file, missed)| Row { file: (*file).to_owned(), regions: 4, missed: *missed, whole: whole(file) });
        let missed = Missed { file: "boot.rs".to_owned(), line: 7, column: 9, text: "`?` in `x?;`".to_owned() };
        Report { files: files.collect(), missed: vec![missed], branches: None, seconds: 1.0 }
    }

    const ALL: [(&str, usize); 8] = [
        ("boot.rs", 3),
        ("codec.rs", 0),
        ("decide.rs", 0),
        ("image/header.rs", 0),
        ("install/mod.rs", 0),
        ("journal/log.rs", 0),
        ("slot.rs", 0),
        ("storage.rs", 0),
    ];

    #[test]
    fn a_region_that_is_missed_fails_the_check_where_all_are_required_and_only_there() {
        let told = judge(&report(&ALL)).expect("boot.rs is told only");
        assert!(told.contains("bootloader/src/boot.rs:7:9: `?` in `x?;`"), "{told}");
        for index in 1..ALL.len() {
            let mut files = ALL;
            files[index].1 = 1;
            let error = judge(&report(&files)).expect_err("a required file has a region that is missed").to_string();
            assert!(error.contains(&format!("LACKS {}", files[index].0)), "{error}");
        }
    }

    #[test]
    fn a_required_file_that_was_not_measured_fails_the_check() {
        for (absent, _) in ALL.iter().skip(1) {
            let files: Vec<_> = ALL.into_iter().filter(|(file, _)| file != absent).collect();
            assert!(judge(&report(&files)).is_err(), "{absent}");
        }
    }

    #[test]
    fn a_folder_is_required_with_everything_in_it_and_a_file_by_its_whole_name() {
        assert_eq!(["journal/log.rs", "image/header.rs", "decide.rs"].map(whole), [Whole::Required; 3]);
        assert_eq!(["boot.rs", "undecide.rs", "decide.rs.bak", "load.rs"].map(whole), [Whole::Told; 4]);
    }
}
