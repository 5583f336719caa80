//! The sources whose mutants are counted, and the names of all tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::test_module;
use crate::workspace::Workspace;

/// Where the verifier's sources are.
const FOLDER: &str = "bootloader/src";

/// Where the tests are that are not beside the code.
const TESTS: &str = "tests/tests";

/// The sources and the tests.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) files: BTreeMap<String, Source>,
    /// The name of every test.
    pub(super) tests: BTreeSet<String>,
}

/// One source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) hash: String,
}

impl Sources {
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let mut sources = Self::default();
        for (path, text) in texts(workspace, FOLDER)? {
            sources.tests.extend(tests(&text));
            sources.files.insert(path.clone(), Source { hash: hash(&text), path });
        }
        for (_, text) in texts(workspace, TESTS)? {
            sources.tests.extend(tests(&text));
        }
        Ok(sources)
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    pub(super) fn file(&self, path: &str) -> Option<&Source> {
        self.files.get(path)
    }
}

/// Every Rust file below a folder of the checkout: its path in the checkout, and its text.
fn texts(workspace: &Workspace, folder: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(workspace.path(folder)).with_context(|| format!("can not list {folder}"))?;
    for entry in entries {
        let entry = entry?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            found.extend(texts(workspace, &path)?);
        } else if Path::new(&path).extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(entry.path()).with_context(|| format!("can not read {path}"))?;
            found.push((path, text));
        }
    }
    Ok(found)
}

/// SHA-256 over the lines of code: comments, blank lines and the tests at the end make no mutants.
pub(super) fn hash(text: &str) -> String {
    let mut hash = Sha256::new();
    let code = text.lines().take(test_module::first_line(text).map_or(usize::MAX, |line| line - 1));
    for line in code.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names of the functions that are marked as tests.
fn tests(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_marked = false;
    for line in text.lines().map(str::trim) {
        match line.strip_prefix("fn ") {
            Some(rest) if is_marked => names.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()),
            _ => {}
        }
        is_marked = line == "#[test]" || (is_marked && line.starts_with("#["));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_tests_do_not_change_a_hash_and_code_does() {
        let code = "//! head\nfn f() -> u8 {\n    // why\n    1\n}\n\n#[cfg(test)]\nmod tests {}\n";
        assert_eq!(hash(code), hash("fn f() -> u8 {\n1\n}\n"));
        assert_ne!(hash(code), hash("fn f() -> u8 {\n2\n}\n"));
        assert_ne!(hash(code), hash("fn f() -> u8 {\n}\n"));
    }

    #[test]
    fn only_marked_functions_are_tests() {
        let text = "    #[test]\n    fn a_rule_holds() {\n#[test]\n#[should_panic]\nfn falls() {\nfn helper<T>(x: T) {\n#[test]\n// fn no\n";
        assert_eq!(super::tests(text), ["a_rule_holds", "falls"]);
    }
}
