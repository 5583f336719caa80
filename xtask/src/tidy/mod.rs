//! `cargo xtask tidy`: the rules of the house that a machine can check.
//!
//! Every finding names the file, what is wrong and what to do; all of them are reported, not only the first.

mod arrows;
mod documents;
mod names;
mod sources;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// One tracked text file.
struct TextFile {
    /// Its path inside the checkout, with `/`.
    path: String,
    text: String,
}

/// Checks everything and returns what was checked in words, or all findings as one error.
pub(crate) fn tidy(workspace: &Workspace) -> Result<String> {
    let paths = tracked_files(workspace)?;
    let files = read_texts(workspace, &paths);
    let mut findings = arrows::check(workspace)?;
    findings.extend(sources::check(workspace, &files));
    findings.extend(names::check(&files));
    findings.extend(documents::check(workspace, &paths));
    if !findings.is_empty() {
        bail!("{} findings:\n  {}", findings.len(), findings.join("\n  "));
    }
    Ok(format!("tidy: ok ({} files)", files.len()))
}

/// The files that git tracks or would track.
fn tracked_files(workspace: &Workspace) -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command.current_dir(workspace.root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = String::from_utf8(process::output_of(&mut command)?).context("git lists a file name that is not UTF-8")?;
    let mut paths: Vec<String> = listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    paths.retain(|path| workspace.path(path).is_file());
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn read_texts(workspace: &Workspace, paths: &[String]) -> Vec<TextFile> {
    let read = |path: &String| std::fs::read_to_string(workspace.path(path)).ok().map(|text| TextFile { path: path.clone(), text });
    paths.iter().filter_map(read).collect()
}

/// The last part of a path, without its folders.
fn file_name(path: &str) -> String {
    PathBuf::from(path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
