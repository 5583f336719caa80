//! What is wrong with the table.

use super::source::Sources;
use super::table::{Entry, PATH, Table};

/// What a mutant is said to be killed by that never ended by itself.
pub(super) const ENDLESS: &str = "ran until it was stopped";

/// The files that must have rows, by the beginning of their paths.
const MUST_HAVE_ROWS: [&str; 4] = ["bootloader/src/decide", "bootloader/src/image/", "bootloader/src/install/", "bootloader/src/journal/"];

/// What the check found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Each is a failure.
    pub(super) wrong: Vec<String>,
    /// Files without rows.
    pub(super) not_run: Vec<String>,
}

pub(super) fn check(sources: &Sources, table: &Table) -> Findings {
    let mut findings = Findings::default();
    for path in sources.paths() {
        match table.entry(&path) {
            None if must_have_rows(&path) => findings.wrong.push(format!("{path}: its mutants were not tested: `cargo xtask mutants --run {path}`")),
            None => findings.not_run.push(path),
            Some(entry) => findings.wrong.extend(wrong_with(sources, entry)),
        }
    }
    let gone = table.files.iter().filter(|entry| sources.file(&entry.path).is_none());
    findings.wrong.extend(gone.map(|entry| format!("{}: is no source file any more: take its rows out", entry.path)));
    findings
}

/// Decision, journal, install and image: what an update's safety rests on.
fn must_have_rows(path: &str) -> bool {
    MUST_HAVE_ROWS.iter().any(|place| path.starts_with(place))
}

/// Whether a file has rows, for its present source and for tests that still exist.
pub(super) fn is_current(sources: &Sources, table: &Table, path: &str) -> bool {
    table.entry(path).is_some_and(|entry| !is_stale(sources, entry) && lost_killers(sources, entry).is_empty())
}

/// Whether a test of this name is still there.
pub(super) fn exists(sources: &Sources, test: &str) -> bool {
    test == ENDLESS || sources.tests.contains(test.rsplit([' ', ':']).next().unwrap_or_default())
}

fn is_stale(sources: &Sources, entry: &Entry) -> bool {
    sources.file(&entry.path).is_none_or(|source| source.hash != entry.hash)
}

fn wrong_with(sources: &Sources, entry: &Entry) -> Vec<String> {
    let path = &entry.path;
    if is_stale(sources, entry) {
        return vec![format!("{path}: has changed since its mutants were tested: `cargo xtask mutants --run {path}`")];
    }
    let lost = lost_killers(sources, entry);
    let lost = lost.into_iter().map(|(mutant, test)| format!("{path}:{mutant}: the test that noticed it is gone: {test}; run its file again"));
    let unexplained = entry.survivors.iter().filter(|(_, reason)| reason.trim().is_empty());
    let unexplained = unexplained.map(|(mutant, _)| format!("{path}:{mutant}: no test notices it: write one, or the reason into {PATH}"));
    lost.chain(unexplained).collect()
}

fn lost_killers<'a>(sources: &Sources, entry: &'a Entry) -> Vec<(&'a str, &'a str)> {
    entry.killed.iter().filter(|(_, test)| !exists(sources, test)).map(|(mutant, test)| (mutant.as_str(), test.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::source::Source;
    use crate::mutants::table::tests::entry;

    fn sources(files: &[(&str, &str)]) -> Sources {
        let source = |(path, hash): &(&str, &str)| ((*path).to_owned(), Source { path: (*path).to_owned(), hash: (*hash).to_owned() });
        Sources { files: files.iter().map(source).collect(), tests: ["a_rule".to_owned()].into() }
    }

    #[test]
    fn a_row_of_another_source_is_stale_and_one_of_this_source_holds() {
        let table = Table { files: vec![entry("a.rs", &[("3:1: x", "a reason")])] };
        assert_eq!(check(&sources(&[("a.rs", "")]), &table), Findings::default());
        assert!(check(&sources(&[("a.rs", "other")]), &table).wrong[0].contains("has changed"));
        assert!(check(&sources(&[]), &table).wrong[0].contains("no source file any more"));
    }

    #[test]
    fn a_survivor_without_a_reason_is_a_failure() {
        let table = Table { files: vec![entry("a.rs", &[("3:1: x", " ")])] };
        assert!(check(&sources(&[("a.rs", "")]), &table).wrong[0].starts_with("a.rs:3:1: x: no test notices it"));
    }

    #[test]
    fn a_test_that_is_gone_kills_nothing() {
        let mut gone = sources(&[("a.rs", "")]);
        gone.tests.clear();
        let table = Table { files: vec![entry("a.rs", &[])] };
        assert!(check(&gone, &table).wrong[0].contains("is gone: twinslot-tests::rules a_rule"));
        assert!(!is_current(&gone, &table, "a.rs"));
    }

    #[test]
    fn a_file_without_rows_is_named_and_is_no_failure() {
        let findings = check(&sources(&[("a.rs", "")]), &Table::default());
        assert_eq!(findings, Findings { wrong: Vec::new(), not_run: vec!["a.rs".to_owned()] });
    }

    #[test]
    fn decision_journal_install_and_image_must_have_rows() {
        for path in ["decide.rs", "image/header.rs", "install/mod.rs", "journal/log.rs"] {
            let findings = check(&sources(&[(&format!("bootloader/src/{path}"), "")]), &Table::default());
            assert!(findings.wrong.len() == 1 && findings.wrong[0].contains("were not tested"), "{findings:?}");
        }
    }
}
