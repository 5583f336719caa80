//! Runs other programs; a failure names the command, how it ended and the end of what it said.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// Lines of a failed program's output that an error message repeats.
const LINES_OF_OUTPUT: usize = 30;

/// Runs `command` with its output on the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("can not start {}", words(command)))?;
    if !status.success() {
        bail!("{} ended with {}", words(command), ending(status));
    }
    Ok(())
}

/// Runs `command` silently and returns what it wrote to its standard output.
pub(crate) fn output_of(command: &mut Command) -> Result<Vec<u8>> {
    let output = finish(command)?;
    if !output.status.success() {
        bail!("{} ended with {}:\n{}", words(command), ending(output.status), last_lines(&output));
    }
    Ok(output.stdout)
}

/// Runs `command` silently and returns its whole output whatever its exit status.
pub(crate) fn finish(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("can not start {}", words(command)))
}

/// The command as one would type it.
pub(crate) fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy);
    format!("`{}`", words.collect::<Vec<_>>().join(" "))
}

/// Whether a program of this name is installed.
pub(crate) fn is_installed(program: &str) -> bool {
    installed(program).is_some()
}

/// A program of this name in a folder of PATH, or where Debian keeps those that only root usually needs.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| is_file(file))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}

fn ending(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit status {code}"))
}

fn last_lines(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LINES_OF_OUTPUT)..).unwrap_or_default().join("\n")
}
