//! Builds packages with the same cargo that runs xtask.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::process;
use crate::workspace::Workspace;

/// A cargo command in the checkout, building into xtask's own target folder.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace.root()).env("CARGO_TARGET_DIR", workspace.target());
    // What `cargo run` tells xtask about itself would be taken for a change by the build scripts of others.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_")) {
        command.env_remove(name);
    }
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH");
    command
}

/// An installed compiler: the pinned one, or that of a toolchain.
#[derive(Debug)]
pub(crate) struct Compiler {
    sysroot: PathBuf,
    /// The machine that it runs on.
    pub(crate) host: String,
}

impl Compiler {
    /// Asks it where it is.
    ///
    /// # Errors
    /// It is not installed.
    pub(crate) fn find(workspace: &Workspace, toolchain: Option<&str>) -> Result<Self> {
        let ask = |words: &[&str]| -> Result<String> {
            let mut command = Command::new("rustc");
            command.args(toolchain.map(|toolchain| format!("+{toolchain}")));
            let output = process::output_of(command.current_dir(workspace.root()).args(words))?;
            String::from_utf8(output).context("rustc wrote no text")
        };
        let version = ask(&["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
        Ok(Self { sysroot: PathBuf::from(ask(&["--print", "sysroot"])?.trim()), host: host.to_owned() })
    }

    pub(crate) fn rustc(&self) -> PathBuf {
        self.sysroot.join("bin/rustc")
    }

    /// The folder of the linker and of the LLVM tools that came with it.
    pub(crate) fn tools(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host).join("bin")
    }
}

/// Runs a `cargo build` and returns the one file that ends in `suffix` among what it made (an executable has the suffix "").
pub(crate) fn build(mut command: Command, package: &str, suffix: &str) -> Result<PathBuf> {
    command.args(["--package", package, "--message-format=json-render-diagnostics"]);
    let words = process::words(&command);
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output().with_context(|| format!("can not start {words}"))?;
    if !output.status.success() {
        bail!("{words} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let messages = String::from_utf8(output.stdout).with_context(|| format!("{words} wrote no text"))?;
    artifact(&messages, package, suffix).with_context(|| format!("{words} made no file *{suffix}"))
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

fn artifact(messages: &str, package: &str, suffix: &str) -> Option<PathBuf> {
    let parsed = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let made = parsed.filter(|message| message.reason == "compiler-artifact" && belongs_to(&message.package_id, package));
    made.filter_map(|message| if suffix.is_empty() { message.executable } else { ending_in(message.filenames, suffix) }).next_back()
}

/// A package id is `path+file:///.../FOLDER#NAME@VERSION`, or `...FOLDER#VERSION` when the folder has the package's name.
fn belongs_to(package_id: &str, package: &str) -> bool {
    let (path, name) = package_id.rsplit_once('#').unwrap_or_default();
    name.split('@').next() == Some(package) || path.rsplit('/').next() == Some(package)
}

fn ending_in(files: Vec<PathBuf>, suffix: &str) -> Option<PathBuf> {
    files.into_iter().find(|file| file.to_string_lossy().ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///x/bootloader#twinslot-bootloader@0.1.0","filenames":["/t/lib.rlib"],"executable":null}
{"reason":"compiler-artifact","package_id":"path+file:///x/hosttool#0.1.0","filenames":["/t/hosttool"],"executable":"/t/hosttool"}
{"reason":"compiler-artifact","package_id":"path+file:///x/xtask/plugin#emulator-plugin@0.1.0","filenames":["/t/libemulator_plugin.so"],"executable":null}
{"reason":"build-finished","success":true}"#;

    #[test]
    fn the_executable_of_the_named_package_is_found() {
        assert_eq!(artifact(MESSAGES, "hosttool", ""), Some(PathBuf::from("/t/hosttool")));
    }

    #[test]
    fn a_shared_library_is_found_by_its_ending() {
        assert_eq!(artifact(MESSAGES, "emulator-plugin", ".so"), Some(PathBuf::from("/t/libemulator_plugin.so")));
    }

    #[test]
    fn another_package_is_not_taken_for_it() {
        assert_eq!(artifact(MESSAGES, "mps2-an386", ""), None);
    }
}
