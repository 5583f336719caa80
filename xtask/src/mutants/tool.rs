//! Runs cargo-mutants over one source file, in two passes: first the tests nearest to the file, which notice most mutants, then all tests on the rest.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::outcomes::Fate;
use super::record::Record;
use super::source::Source;
use crate::cargo::cargo;
use crate::process;
use crate::workspace::Workspace;

/// The tests that are nearest to a file or folder; what is not named here begins with the last row.
const NEAR: [(&str, &[&str]); 5] = [
    ("bootloader/src/journal/", &["--lib", "--test=journal"]),
    ("bootloader/src/install/", &["--test=install"]),
    ("bootloader/src/image/", &["--test=rejections", "--test=formats"]),
    ("bootloader/src/crypto/", &["--lib", "--test=rejections"]),
    ("", &["--lib", "--test=rules"]),
];

/// All tests that can notice a mutant within seconds.
const ALL: [&str; 7] = ["--lib", "--test=journal", "--test=install", "--test=rules", "--test=rejections", "--test=formats", "--test=regressions"];

#[derive(Deserialize)]
struct Listed {
    name: String,
}

/// Tests every mutant of a file that has no fate yet. With `resumed`, what an interrupted run left of this very source counts.
pub(super) fn test(workspace: &Workspace, source: &Source, resumed: bool) -> Result<Record> {
    let tool = version(workspace)?;
    let slug = source.path.replace(['/', '.'], "-");
    let folder = workspace.products("mutants")?.join(format!("{slug}-{}", &source.hash[..12]));
    if !resumed && folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("can not remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("can not make {}", folder.display()))?;
    let mut record = Record::resume(&folder, &tool)?;
    let names = list(workspace, source)?;
    record.fates.retain(|name, _| names.contains(name));
    let (_, near) = NEAR.iter().find(|(prefix, _)| source.path.starts_with(prefix)).context("the last row takes every file")?;
    let unknown: Vec<&String> = names.iter().filter(|name| !record.fates.contains_key(*name)).collect();
    pass(workspace, source, &folder, near, &unknown)?;
    record.harvest()?;
    let left: Vec<&String> = names.iter().filter(|name| record.fates.get(*name).is_none_or(|fate| *fate == Fate::Survived)).collect();
    pass(workspace, source, &folder, &ALL, &left)?;
    record.harvest()?;
    let without = names.iter().find(|name| !record.fates.contains_key(*name));
    ensure!(without.is_none(), "cargo-mutants said nothing of {}", without.map_or("", String::as_str));
    Ok(record)
}

fn version(workspace: &Workspace) -> Result<String> {
    let ask = |tool: &str| process::output_of(cargo(workspace).args([tool, "--version"]));
    ask("nextest").context("cargo-nextest is needed: `cargo install --locked cargo-nextest`")?;
    let output = ask("mutants").context("cargo-mutants is needed: `cargo install --locked cargo-mutants`")?;
    Ok(String::from_utf8_lossy(&output).trim().to_owned())
}

fn list(workspace: &Workspace, source: &Source) -> Result<Vec<String>> {
    let output = process::output_of(cargo(workspace).args(["mutants", "--list", "--json", "--file", &source.path]))?;
    let listed: Vec<Listed> = serde_json::from_slice(&output).context("cargo-mutants lists something else than mutants")?;
    Ok(listed.into_iter().map(|mutant| mutant.name).collect())
}

/// Tests these mutants with these tests. That some survive is no failure here.
fn pass(workspace: &Workspace, source: &Source, folder: &Path, tests: &[&str], names: &[&String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut command = cargo(workspace);
    command.args(["mutants", "--file", &source.path, "--colors=never", "--output"]).arg(folder);
    command.args(tests.iter().map(|test| format!("--cargo-arg={test}")));
    command.args(names.iter().map(|name| format!("--re=^{}$", escaped(name))));
    command.env("CARGO_TARGET_DIR", workspace.target().join("mutants"));
    let output = process::finish(&mut command)?;
    // Source: cargo-mutants, `src/exit_code.rs`: 0 = all noticed, 2 = some survive, 3 = some ran until they were stopped.
    let done = matches!(output.status.code(), Some(0 | 2 | 3));
    ensure!(done, "{} failed:\n{}", process::words(&command), String::from_utf8_lossy(&output.stdout));
    Ok(())
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
    fn every_file_has_tests_that_are_near() {
        let near = |path: &str| NEAR.iter().find(|(prefix, _)| path.starts_with(prefix)).map(|(_, tests)| tests[0]);
        assert_eq!(near("bootloader/src/journal/log.rs"), Some("--lib"));
        assert_eq!(near("bootloader/src/install/mod.rs"), Some("--test=install"));
        assert_eq!(near("bootloader/src/boot.rs"), Some("--lib"));
    }
}
