//! The committed table of mutants.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::workspace::Workspace;

/// Where it is.
pub(super) const PATH: &str = "tests/mutants/table.toml";

const HEAD: &str = "\
# What became of each mutant of the verifier (cargo xtask mutants). Made by the tool; only the reasons of survivors are written by hand.
# A row holds for the source with this hash. `killed` names the test that failed first, or says that the mutant ran until it was stopped.

";

/// The rows of every file that was run.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    #[serde(rename = "file", default)]
    pub(super) files: Vec<Entry>,
}

/// The rows of one file. A mutant's key is its line, its column and what was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The source file.
    pub(super) path: String,
    /// Its hash without comments and tests.
    pub(super) hash: String,
    /// The commit that was checked out.
    pub(super) commit: String,
    /// What made the mutants.
    pub(super) tool: String,
    /// Those that do not compile.
    #[serde(default)]
    pub(super) unviable: Vec<String>,
    /// The test that noticed each.
    #[serde(default)]
    pub(super) killed: BTreeMap<String, String>,
    /// Those that no test noticed, and why that is right.
    #[serde(default)]
    pub(super) survivors: BTreeMap<String, String>,
}

impl Table {
    /// The committed one; an empty one when there is none.
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let path = workspace.path(PATH);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("can not read {PATH}"))?;
        toml::from_str(&text).with_context(|| format!("{PATH} is not a table of mutants"))
    }

    pub(super) fn write(&self, workspace: &Workspace) -> Result<()> {
        let text = format!("{HEAD}{}", toml::to_string_pretty(self).context("the table has a key that TOML does not take")?);
        std::fs::write(workspace.path(PATH), text).with_context(|| format!("can not write {PATH}"))
    }

    /// Puts an entry in the place of the older one for the same file. A survivor keeps its reason when it was changed in the same way.
    pub(super) fn replace(&mut self, mut entry: Entry) {
        if let Some(at) = self.files.iter().position(|older| older.path == entry.path) {
            entry.keep_reasons(&self.files.remove(at));
        }
        self.files.push(entry);
        self.files.sort_by(|one, other| one.path.cmp(&other.path));
    }

    pub(super) fn entry(&self, path: &str) -> Option<&Entry> {
        self.files.iter().find(|entry| entry.path == path)
    }
}

impl Entry {
    fn keep_reasons(&mut self, older: &Self) {
        for (mutant, reason) in self.survivors.iter_mut().filter(|(_, reason)| reason.is_empty()) {
            let same = older.survivors.get(mutant).or_else(|| older.only_survivor_like(change(mutant)));
            *reason = same.cloned().unwrap_or_default();
        }
    }

    /// The reason of the one survivor with this change; `None` when there are several.
    fn only_survivor_like(&self, wanted: &str) -> Option<&String> {
        let mut alike = self.survivors.iter().filter(|(mutant, _)| change(mutant) == wanted);
        let (_, reason) = alike.next()?;
        alike.next().is_none().then_some(reason)
    }
}

/// A mutant without the line and column that it stands at.
fn change(mutant: &str) -> &str {
    mutant.splitn(3, ':').nth(2).unwrap_or(mutant)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::mutants) fn entry(path: &str, survivors: &[(&str, &str)]) -> Entry {
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Entry {
            path: path.to_owned(),
            hash: String::new(),
            commit: "0123abc".to_owned(),
            tool: "cargo-mutants 1.2.3".to_owned(),
            unviable: vec!["1:1: replace f -> X with Default::default()".to_owned()],
            killed: owned(&[("2:5: replace < with <= in f", "twinslot-tests::rules a_rule")]),
            survivors: owned(survivors),
        }
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let table = Table { files: vec![entry("a.rs", &[("3:1: replace x with \"y\"", "it is a name")]), entry("b.rs", &[])] };
        let text = toml::to_string_pretty(&table).expect("a table");
        assert_eq!(toml::from_str::<Table>(&text).expect("the same"), table);
    }

    #[test]
    fn a_survivor_keeps_its_reason_when_lines_move_and_loses_it_when_it_is_not_the_same() {
        let mut table = Table { files: vec![entry("a.rs", &[("3:1: one", "reason one"), ("4:1: two", "x"), ("5:1: two", "y")])] };
        table.replace(entry("a.rs", &[("9:1: one", ""), ("5:1: two", ""), ("7:1: two", ""), ("8:1: three", "")]));
        let survivors = &table.files[0].survivors;
        assert_eq!(survivors["9:1: one"], "reason one");
        assert_eq!(survivors["5:1: two"], "y");
        assert_eq!((survivors["7:1: two"].as_str(), survivors["8:1: three"].as_str()), ("", ""), "which one it was can not be told");
    }
}
