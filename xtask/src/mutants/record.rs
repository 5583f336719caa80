//! What is known so far of the mutants of one source file. It outlives an interrupted run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::outcomes::{self, Fate};
use super::source::Source;
use super::table::Entry;
use crate::process;
use crate::workspace::Workspace;

/// The fate of each mutant, by its name.
#[derive(Debug)]
pub(super) struct Record {
    folder: PathBuf,
    tool: String,
    pub(super) fates: BTreeMap<String, Fate>,
}

impl Record {
    /// What earlier runs left in `folder`, survivors apart: the tests may have become better.
    pub(super) fn resume(folder: &Path, tool: &str) -> Result<Self> {
        let mut record = Self { folder: folder.to_owned(), tool: tool.to_owned(), fates: BTreeMap::new() };
        if let Ok(text) = std::fs::read_to_string(record.file()) {
            record.fates = serde_json::from_str(&text).with_context(|| format!("{} is no record", record.file().display()))?;
        }
        record.harvest()?;
        record.fates.retain(|_, fate| *fate != Fate::Survived);
        Ok(record)
    }

    /// Takes over what the last run of the tool left, and forgets the run.
    pub(super) fn harvest(&mut self) -> Result<()> {
        let left = self.folder.join("mutants.out");
        self.fates.extend(outcomes::read(&left)?);
        std::fs::write(self.file(), serde_json::to_string_pretty(&self.fates)?).context("can not write the record")?;
        if left.exists() {
            std::fs::remove_dir_all(&left).with_context(|| format!("can not remove {}", left.display()))?;
        }
        Ok(())
    }

    fn file(&self) -> PathBuf {
        self.folder.join("fates.json")
    }

    /// The rows for the table.
    pub(super) fn entry(&self, workspace: &Workspace, source: &Source) -> Result<Entry> {
        let prefix = format!("{}:", source.path);
        let key = |name: &String| name.strip_prefix(&prefix).unwrap_or(name).to_owned();
        let named = |wanted: fn(&Fate) -> Option<&str>| {
            let rows = self.fates.iter().filter_map(|(name, fate)| Some((key(name), wanted(fate)?.to_owned())));
            rows.collect::<BTreeMap<String, String>>()
        };
        Ok(Entry {
            path: source.path.clone(),
            hash: source.hash.clone(),
            commit: commit(workspace)?,
            tool: self.tool.clone(),
            unviable: named(|fate| (*fate == Fate::Unviable).then_some("")).into_keys().collect(),
            killed: named(|fate| if let Fate::Killed(test) = fate { Some(test) } else { None }),
            survivors: named(|fate| (*fate == Fate::Survived).then_some("")),
        })
    }

    pub(super) fn words(&self) -> String {
        let count = |wanted: fn(&Fate) -> bool| self.fates.values().filter(|fate| wanted(fate)).count();
        format!("{} survive of {}", count(|fate| *fate == Fate::Survived), count(|fate| *fate != Fate::Unviable))
    }
}

fn commit(workspace: &Workspace) -> Result<String> {
    let mut command = Command::new("git");
    let output = process::output_of(command.current_dir(workspace.root()).args(["rev-parse", "--short=12", "HEAD"]))?;
    Ok(String::from_utf8_lossy(&output).trim().to_owned())
}
