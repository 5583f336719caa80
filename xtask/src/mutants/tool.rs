//! Runs cargo-mutants over source files, in three passes: first the tests nearest to each file, which notice most mutants, then those that take a
//! moment only, both in a profile that builds quickly; at last all tests on the rest, in one that runs quickly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::outcomes::{self, Fate};
use super::record::Record;
use super::source::Source;
use crate::cargo::cargo;
use crate::process;
use crate::workspace::Workspace;

/// The tests that are nearest to a file or folder, where there are such.
const NEAR: [(&str, &[&str]); 4] = [
    ("bootloader/src/journal/state.rs", &["--lib", "--test=install", "--test=journal"]),
    ("bootloader/src/journal/", &["--test=journal"]),
    ("bootloader/src/install/", &["--test=install"]),
    ("bootloader/src/image/", &["--test=rejections"]),
];

/// Tests of everything that take a moment.
const SHORT: [&str; 4] = ["--lib", "--test=install", "--test=rejections", "--test=regressions"];

/// All tests that can notice a mutant within seconds.
const ALL: [&str; 7] = ["--lib", "--test=journal", "--test=install", "--test=rules", "--test=rejections", "--test=formats", "--test=regressions"];

/// The profile that builds quickly, and the one that runs quickly.
const PROFILES: [&str; 2] = ["mutant", "quick"];

/// The sources that an interrupted run was about, beside what it left.
const STAMP: &str = "sources.json";

#[derive(Deserialize)]
struct Listed {
    name: String,
}

/// cargo-mutants, and where it leaves what it finds.
#[derive(Debug)]
pub(super) struct Tool {
    /// Its name and version.
    pub(super) version: String,
    folder: PathBuf,
}

impl Tool {
    /// The installed one.
    pub(super) fn installed(workspace: &Workspace) -> Result<Self> {
        let ask = |tool: &str| process::output_of(cargo(workspace).args([tool, "--version"]));
        ask("nextest").context("cargo-nextest is needed: `cargo install --locked cargo-nextest`")?;
        let output = ask("mutants").context("cargo-mutants is needed: `cargo install --locked cargo-mutants`")?;
        let version = String::from_utf8_lossy(&output).trim().to_owned();
        Ok(Self { version, folder: workspace.products("mutants")?.join("run") })
    }

    /// Finds the fate of every mutant of these files. What is known of a killed one is believed, survivors are shown to all tests again: tests get
    /// better.
    pub(super) fn test(&self, workspace: &Workspace, records: &mut [Record]) -> Result<()> {
        self.harvest(workspace, records)?;
        let names = list(workspace, records)?;
        for record in records.iter_mut() {
            record.fates.retain(|name, _| names.contains(name));
        }
        let [builds_quickly, runs_quickly] = PROFILES;
        for (_, tests) in NEAR {
            let unknown = names.iter().filter(|name| nearest(name) == Some(tests) && fate(records, name).is_none());
            self.pass(workspace, records, (builds_quickly, tests), &unknown.collect::<Vec<_>>())?;
            self.harvest(workspace, records)?;
        }
        for tests in [(builds_quickly, &SHORT[..]), (runs_quickly, &ALL)] {
            let left = names.iter().filter(|name| fate(records, name).is_none_or(|fate| *fate == Fate::Survived));
            self.pass(workspace, records, tests, &left.collect::<Vec<_>>())?;
            self.harvest(workspace, records)?;
        }
        let without = names.iter().find(|name| fate(records, name).is_none());
        ensure!(without.is_none(), "cargo-mutants said nothing of {}", without.map_or("", String::as_str));
        Ok(())
    }

    /// Tests these mutants, built in this profile, with these tests. That some survive is no failure here.
    fn pass(&self, workspace: &Workspace, records: &[Record], (profile, tests): (&str, &[&str]), names: &[&String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let hashes: BTreeMap<&str, &str> = records.iter().map(|record| (record.source.path.as_str(), record.source.hash.as_str())).collect();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("can not make {}", self.folder.display()))?;
        std::fs::write(self.folder.join(STAMP), serde_json::to_string(&hashes)?).context("can not say what the run is about")?;
        let mut command = cargo(workspace);
        command.args(["mutants", "--colors=never", "--profile", profile, "--output"]).arg(&self.folder);
        command.args(records.iter().map(|record| format!("--file={}", record.source.path)));
        command.args(tests.iter().map(|test| format!("--cargo-arg={test}")));
        command.args(names.iter().map(|name| format!("--re=^{}$", escaped(name))));
        command.env("CARGO_TARGET_DIR", workspace.target().join("mutants"));
        let output = process::finish(&mut command)?;
        // Source: cargo-mutants, `src/exit_code.rs`: 0 = all noticed, 2 = some survive, 3 = some ran until they were stopped.
        let done = matches!(output.status.code(), Some(0 | 2 | 3));
        ensure!(done, "{} failed:\n{}", process::words(&command), String::from_utf8_lossy(&output.stdout));
        Ok(())
    }

    /// Keeps what the last run left, whatever it was about, and gives these records their share.
    fn harvest(&self, workspace: &Workspace, records: &mut [Record]) -> Result<()> {
        let stamp = std::fs::read_to_string(self.folder.join(STAMP)).unwrap_or_default();
        let hashes: BTreeMap<String, String> = serde_json::from_str(&stamp).unwrap_or_default();
        let left = self.folder.join("mutants.out");
        let outcomes = outcomes::read(&left)?;
        for (path, hash) in hashes {
            let mut record = Record::open(workspace, &Source { path, hash })?;
            let its_own: Vec<_> = outcomes.iter().filter(|(name, _)| record.has(name)).cloned().collect();
            if let Some(asked_for) = records.iter_mut().find(|asked_for| asked_for.source == record.source) {
                asked_for.fates.extend(its_own.iter().cloned());
            }
            record.fates.extend(its_own);
            record.save()?;
        }
        remove(&left)
    }
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("can not remove {}", folder.display()))?;
    }
    Ok(())
}

fn fate<'a>(records: &'a [Record], name: &str) -> Option<&'a Fate> {
    records.iter().find_map(|record| record.fates.get(name))
}

/// The tests nearest to a mutant, whose name begins with its file.
fn nearest(name: &str) -> Option<&'static [&'static str]> {
    NEAR.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, tests)| *tests)
}

fn list(workspace: &Workspace, records: &[Record]) -> Result<Vec<String>> {
    let mut command = cargo(workspace);
    command.args(["mutants", "--list", "--json"]).args(records.iter().map(|record| format!("--file={}", record.source.path)));
    let listed: Vec<Listed> =
        serde_json::from_slice(&process::output_of(&mut command)?).context("cargo-mutants lists something else than mutants")?;
    Ok(listed.into_iter().map(|mutant| mutant.name).collect())
}

/// A name as a regular expression that matches it alone. Angle brackets would become the ends of words.
fn escaped(name: &str) -> String {
    let is_special = |c: char| c.is_ascii_punctuation() && !matches!(c, '<' | '>');
    name.chars().flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_literally() {
        assert_eq!(escaped("a/b.rs:1: replace + with * in f<T>"), r"a\/b\.rs\:1\: replace \+ with \* in f<T>");
    }

    #[test]
    fn a_mutant_is_shown_to_the_tests_nearest_to_its_file_first() {
        let first = |name: &str| nearest(&format!("bootloader/src/{name}:1:2: x")).map(|tests| tests[0]);
        assert_eq!(["journal/log.rs", "journal/state.rs"].map(first), [Some("--test=journal"), Some("--lib")]);
        assert_eq!(["image/header.rs", "boot.rs"].map(first), [Some("--test=rejections"), None]);
    }
}
