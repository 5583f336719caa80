//! Dependencies between our own packages are exactly the arrows that `docs/ARCHITECTURE.md` draws.
//!
//! The document has one block fenced as `arrows`; each line is `package -> package`, "uses".

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::cargo::cargo;
use crate::process;
use crate::workspace::Workspace;

const DOCUMENT: &str = "docs/ARCHITECTURE.md";

type Arrow = (String, String);

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let Ok(document) = std::fs::read_to_string(workspace.path(DOCUMENT)) else {
        return Ok(vec![format!("{DOCUMENT}: is missing; it draws the dependencies between the packages")]);
    };
    let built = dependencies(workspace)?;
    Ok(match parse(&document) {
        Ok(drawn) => compare(&drawn, &built),
        Err(finding) => vec![finding],
    })
}

fn compare(drawn: &BTreeSet<Arrow>, built: &BTreeSet<Arrow>) -> Vec<String> {
    let undrawn = built.difference(drawn).map(|(from, to)| format!("{from} depends on {to}, an arrow that {DOCUMENT} does not draw"));
    let unbuilt = drawn.difference(built).map(|(from, to)| format!("{DOCUMENT} draws {from} -> {to}, but {from} does not depend on {to}"));
    undrawn.chain(unbuilt).collect()
}

/// The arrows of the document's fenced block.
fn parse(document: &str) -> Result<BTreeSet<Arrow>, String> {
    let after = document.lines().skip_while(|line| line.trim() != "```arrows").skip(1);
    let block: Vec<&str> = after.take_while(|line| line.trim() != "```").filter(|line| !line.trim().is_empty()).collect();
    if block.is_empty() {
        return Err(format!("{DOCUMENT}: has no block fenced as ```arrows with a line `package -> package` for each dependency"));
    }
    block.into_iter().map(parse_arrow).collect()
}

fn parse_arrow(line: &str) -> Result<Arrow, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [from, "->", to] => Ok(((*from).to_owned(), (*to).to_owned())),
        _ => Err(format!("{DOCUMENT}: the line {line:?} in the block of arrows is not `package -> package`")),
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Present for packages of this workspace.
    path: Option<String>,
}

fn dependencies(workspace: &Workspace) -> Result<BTreeSet<Arrow>> {
    let output = process::output_of(cargo(workspace).args(["metadata", "--no-deps", "--format-version", "1", "--offline"]))?;
    let metadata: Metadata = serde_json::from_slice(&output).context("cargo metadata has another shape than expected")?;
    let arrows = metadata.packages.into_iter().flat_map(|package| {
        let inside = package.dependencies.into_iter().filter(|dependency| dependency.path.is_some());
        inside.map(move |dependency| (package.name.clone(), dependency.name))
    });
    Ok(arrows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(pairs: &[(&str, &str)]) -> BTreeSet<Arrow> {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn the_block_is_read_and_the_text_around_it_is_not() {
        let document = "a -> b\n```arrows\nhosttool -> twinslot-bootloader\n\n  agent ->  core \n```\nx -> y\n";
        assert_eq!(parse(document), Ok(arrows(&[("hosttool", "twinslot-bootloader"), ("agent", "core")])));
    }

    #[test]
    fn a_line_that_is_no_arrow_is_named() {
        assert_eq!(parse("```arrows\na <- b\n```").map_err(|finding| finding.contains("a <- b")), Err(true));
    }

    #[test]
    fn a_document_without_the_block_is_refused() {
        assert!(parse("# Architecture\n```\na -> b\n```\n").is_err());
    }

    #[test]
    fn arrows_must_be_drawn_and_built() {
        let findings = compare(&arrows(&[("a", "b"), ("a", "c")]), &arrows(&[("a", "b"), ("b", "a")]));
        assert_eq!(findings.len(), 2);
        assert!(findings.iter().any(|finding| finding.starts_with("b depends on a")));
        assert!(findings.iter().any(|finding| finding.contains("draws a -> c")));
    }
}
