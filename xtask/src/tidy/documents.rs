//! The documents that must exist, and the tie between `docs/format.md` and the source that it describes.
//!
//! `docs/format.md` has two lines: `source-files: PATH PATH ...` and `source-hash: HEX`. The hash is SHA-256 over, for each file in that
//! order, its path, a newline and its bytes. Whoever changes one of the files reads the document again and renews the line.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::workspace::Workspace;

const FORMAT: &str = "docs/format.md";
const CHANGELOG: &str = "CHANGELOG.md";

pub(super) fn check(workspace: &Workspace, paths: &[String]) -> Vec<String> {
    let mut findings = missing_readmes(paths);
    findings.extend(missing(workspace, CHANGELOG, "it is what users read first (Keep a Changelog)"));
    match std::fs::read_to_string(workspace.path(FORMAT)) {
        Ok(document) => findings.extend(format_finding(workspace, &document)),
        Err(error) => findings.push(format!("{FORMAT}: can not be read: {error}; it has the byte tables of the format")),
    }
    findings
}

/// Top folders, hidden ones apart, that have no README.md.
fn missing_readmes(paths: &[String]) -> Vec<String> {
    let folders: BTreeSet<&str> = paths.iter().filter_map(|path| path.split_once('/')).map(|(folder, _)| folder).collect();
    let visible = folders.into_iter().filter(|folder| !folder.starts_with('.'));
    let without = visible.filter(|folder| !paths.contains(&format!("{folder}/README.md")));
    without.map(|folder| format!("{folder}/README.md: is missing; 5 to 15 lines: what may live here, what may not")).collect()
}

fn missing(workspace: &Workspace, path: &str, why: &str) -> Option<String> {
    (!workspace.path(path).is_file()).then(|| format!("{path}: is missing; {why}"))
}

fn format_finding(workspace: &Workspace, document: &str) -> Option<String> {
    let Some(sources) = line_value(document, "source-files:") else {
        return Some(format!("{FORMAT}: has no line `source-files: PATH PATH ...`"));
    };
    let Some(written) = line_value(document, "source-hash:") else {
        return Some(format!("{FORMAT}: has no line `source-hash: HEX`"));
    };
    match hash(workspace, &sources) {
        Ok(actual) if actual == written.trim_matches('`') => None,
        Ok(actual) => Some(format!("{FORMAT}: the source has changed; read the document against it, then write `source-hash: {actual}`")),
        Err(finding) => Some(finding),
    }
}

/// What stands behind `key` on the line that begins with it, as a list item or not.
fn line_value(document: &str, key: &str) -> Option<String> {
    let plain = |line: &str| line.trim().trim_start_matches(['*', '-', '>', '`', ' ']).trim_end_matches('`').to_owned();
    document.lines().map(plain).find_map(|line| line.strip_prefix(key).map(|value| value.trim().to_owned()))
}

fn hash(workspace: &Workspace, sources: &str) -> Result<String, String> {
    let mut hash = Sha256::new();
    for path in sources.split([' ', ',']).map(|path| path.trim_matches('`')).filter(|path| !path.is_empty()) {
        let bytes =
            std::fs::read(workspace.path(path)).map_err(|error| format!("{FORMAT}: names the source file {path}, which can not be read: {error}"))?;
        hash.update(path.as_bytes());
        hash.update(b"\n");
        hash.update(&bytes);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(list: &[&str]) -> Vec<String> {
        list.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn every_visible_top_folder_needs_a_readme() {
        let findings = missing_readmes(&paths(&["a/README.md", "a/src/lib.rs", "b/src/lib.rs", ".ci/run", "Cargo.toml"]));
        assert_eq!(findings.len(), 1);
        assert!(findings.iter().all(|finding| finding.starts_with("b/README.md")));
    }

    #[test]
    fn the_lines_of_the_tie_are_read_plain_or_as_code() {
        assert_eq!(line_value("# x\nsource-hash: ab12\n", "source-hash:").as_deref(), Some("ab12"));
        assert_eq!(line_value("* `source-files: a.rs b.rs`\n", "source-files:").as_deref(), Some("a.rs b.rs"));
        assert_eq!(line_value("none", "source-hash:"), None);
    }
}
