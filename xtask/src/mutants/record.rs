//! What is known so far of the mutants of one source file. It outlives an interrupted run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::outcomes::Fate;
use super::source::Source;
use super::table::Entry;
use crate::process;
use crate::workspace::Workspace;

/// The fate of each mutant of a source file as it is now, by the mutant's name.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) source: Source,
    pub(super) fates: BTreeMap<String, Fate>,
    file: PathBuf,
}

impl Record {
    /// What earlier runs left for this very source.
    pub(super) fn open(workspace: &Workspace, source: &Source) -> Result<Self> {
        let name = format!("{}-{}.json", source.path.replace(['/', '.'], "-"), source.hash.get(..12).unwrap_or_default());
        let file = workspace.products("mutants")?.join(name);
        let fates = match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("{} is no record", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| format!("can not read {}", file.display())),
        };
        Ok(Self { source: source.clone(), fates, file })
    }

    pub(super) fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.fates)?;
        std::fs::write(&self.file, text).with_context(|| format!("can not write {}", self.file.display()))
    }

    /// Whether a mutant of this name is one of this file.
    pub(super) fn has(&self, mutant: &str) -> bool {
        mutant.strip_prefix(&self.source.path).is_some_and(|rest| rest.starts_with(':'))
    }

    /// The rows for the table.
    pub(super) fn entry(&self, workspace: &Workspace, tool: &str) -> Result<Entry> {
        let key = |name: &String| name.strip_prefix(&self.source.path).unwrap_or(name).trim_start_matches(':').to_owned();
        let named = |wanted: fn(&Fate) -> Option<&str>| {
            let rows = self.fates.iter().filter_map(|(name, fate)| Some((key(name), wanted(fate)?.to_owned())));
            rows.collect::<BTreeMap<String, String>>()
        };
        Ok(Entry {
            path: self.source.path.clone(),
            hash: self.source.hash.clone(),
            commit: commit(workspace)?,
            tool: tool.to_owned(),
            unviable: named(|fate| (*fate == Fate::Unviable).then_some("")).into_keys().collect(),
            killed: named(|fate| if let Fate::Killed(test) = fate { Some(test) } else { None }),
            survivors: named(|fate| (*fate == Fate::Survived).then_some("")),
        })
    }

    pub(super) fn words(&self) -> String {
        let count = |wanted: fn(&Fate) -> bool| self.fates.values().filter(|fate| wanted(fate)).count();
        format!("{}: {} survive of {}", self.source.path, count(|fate| *fate == Fate::Survived), count(|fate| *fate != Fate::Unviable))
    }
}

fn commit(workspace: &Workspace) -> Result<String> {
    let mut command = Command::new("git");
    let output = process::output_of(command.current_dir(workspace.root()).args(["rev-parse", "--short=12", "HEAD"]))?;
    Ok(String::from_utf8_lossy(&output).trim().to_owned())
}
