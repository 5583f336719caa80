//! `cargo xtask mutants`: whether the tests notice when the verifier is changed.
//!
//! cargo-mutants changes the sources in one place after the other; the table `tests/mutants/table.toml` has what became of each change. Making rows
//! takes minutes a file and the tool; checking them takes neither. A row holds for the source that it was made from, and no other.

mod check;
mod outcomes;
mod record;
mod source;
mod table;
mod tool;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Serialize;

use crate::workspace::Workspace;
use check::Findings;
use outcomes::Fate;
use record::Record;
use source::{Source, Sources};
use table::Table;
use tool::Tool;

/// The words of the command line.
#[derive(Debug, Args)]
pub(crate) struct MutantsArguments {
    /// Test the mutants of these files and write their rows
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["stale", "full"])]
    run: Vec<String>,
    /// Test the mutants of every file whose rows are stale or missing
    #[arg(long, conflicts_with = "full")]
    stale: bool,
    /// Test the mutants of every file anew
    #[arg(long)]
    full: bool,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl MutantsArguments {
    /// What CI runs: the check of the table.
    pub(crate) const CHECK: Self = Self { run: Vec::new(), stale: false, full: false, json: None };
}

/// What the table says, when nothing in it is wrong.
pub(crate) enum Verdict {
    /// Of every file.
    Whole(String),
    /// Of some files only.
    InPart(String),
}

impl Verdict {
    /// The verdict in words.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Whole(words) => words,
            Self::InPart(words) => format!("mutants: NOT RUN: {words}"),
        }
    }
}

/// The figures of the whole table.
#[derive(Debug, Serialize)]
struct Figures {
    files: usize,
    killed: usize,
    survive_with_reason: usize,
    unviable: usize,
    files_not_run: Vec<String>,
}

/// Tests what is asked for, then checks the table. An error when a row is stale, a killing test is gone or a survivor has no reason.
pub(crate) fn mutants(workspace: &Workspace, arguments: &MutantsArguments) -> Result<Verdict> {
    let sources = Sources::read(workspace)?;
    let mut table = Table::read(workspace)?;
    let asked_for = asked_for(arguments, &sources, &table)?;
    if !asked_for.is_empty() {
        run(workspace, &sources, &mut table, &asked_for, arguments)?;
    }
    judge(arguments, &sources, &table)
}

fn asked_for(arguments: &MutantsArguments, sources: &Sources, table: &Table) -> Result<Vec<Source>> {
    let paths = if arguments.full {
        sources.paths()
    } else if arguments.stale {
        sources.paths().into_iter().filter(|path| !check::is_current(sources, table, path)).collect()
    } else {
        arguments.run.clone()
    };
    paths.iter().map(|path| sources.file(path).cloned().with_context(|| format!("{path} is no source file of the verifier"))).collect()
}

/// Makes the rows of these files.
fn run(workspace: &Workspace, sources: &Sources, table: &mut Table, asked_for: &[Source], arguments: &MutantsArguments) -> Result<()> {
    let tool = Tool::installed(workspace)?;
    let mut records = asked_for.iter().map(|source| Record::open(workspace, source)).collect::<Result<Vec<_>>>()?;
    for record in &mut records {
        record.fates.retain(|_, fate| !arguments.full && !matches!(fate, Fate::Killed(test) if !check::exists(sources, test)));
    }
    tool.test(workspace, &mut records)?;
    for record in &records {
        table.replace(record.entry(workspace, &tool.version)?);
        println!("{}", record.words());
    }
    table.write(workspace)
}

fn judge(arguments: &MutantsArguments, sources: &Sources, table: &Table) -> Result<Verdict> {
    let Findings { wrong, not_run } = check::check(sources, table);
    let figures = figures(table, not_run);
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&figures)?).with_context(|| format!("can not write {}", path.display()))?;
    }
    if !wrong.is_empty() {
        bail!("{} findings in {}:\n  {}", wrong.len(), table::PATH, wrong.join("\n  "));
    }
    let words = format!(
        "{} files, {} mutants killed by a test, {} survive with a written reason, {} do not compile",
        figures.files, figures.killed, figures.survive_with_reason, figures.unviable
    );
    if figures.files_not_run.is_empty() {
        return Ok(Verdict::Whole(format!("mutants: ok ({words})")));
    }
    Ok(Verdict::InPart(format!("of {} no mutant was tested; the rest holds ({words})", figures.files_not_run.join(", "))))
}

fn figures(table: &Table, files_not_run: Vec<String>) -> Figures {
    let sum = |count: fn(&table::Entry) -> usize| table.files.iter().map(count).sum();
    Figures {
        files: table.files.len(),
        killed: sum(|entry| entry.killed.len()),
        survive_with_reason: sum(|entry| entry.survivors.values().filter(|reason| !reason.is_empty()).count()),
        unviable: sum(|entry| entry.unviable.len()),
        files_not_run,
    }
}
