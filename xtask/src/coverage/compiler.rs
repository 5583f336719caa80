//! A compiler that instruments, and the LLVM tools that came with it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use super::program::Profile;
use crate::workspace::Workspace;
use crate::{cargo, process};

/// The component of rustup that has the LLVM tools.
const COMPONENT: &str = "llvm-tools";

/// One compiler.
#[derive(Debug)]
pub(super) struct Compiler {
    /// Names the folder that it builds into.
    pub(super) name: &'static str,
    pub(super) rustc: PathBuf,
    /// The machine that it builds for: this one.
    pub(super) host: String,
    pub(super) flags: &'static str,
    tools: PathBuf,
}

impl Compiler {
    /// The pinned one, which counts regions.
    pub(super) fn pinned(workspace: &Workspace) -> Result<Self> {
        Self::with(workspace, "coverage", None, "-Cinstrument-coverage")
    }

    /// The nightly one, which counts branches as well.
    pub(super) fn nightly(workspace: &Workspace) -> Result<Self> {
        Self::with(workspace, "coverage-branches", Some("nightly"), "-Cinstrument-coverage -Zcoverage-options=branch")
    }

    fn with(workspace: &Workspace, name: &'static str, toolchain: Option<&str>, flags: &'static str) -> Result<Self> {
        let found = cargo::Compiler::find(workspace, toolchain)?;
        let tools = found.tools();
        if !tools.join("llvm-cov").is_file() {
            install(workspace, toolchain)?;
        }
        ensure!(tools.join("llvm-cov").is_file(), "the compiler has no llvm-cov: `rustup component add {COMPONENT}`");
        Ok(Self { name, rustc: found.rustc(), host: found.host, flags, tools })
    }

    /// What a run reached, as llvm-cov exports it.
    pub(super) fn export(&self, profile: &Profile) -> Result<Vec<u8>> {
        let merged = profile.counts.with_extension("profdata");
        let mut merge = Command::new(self.tools.join("llvm-profdata"));
        process::output_of(merge.arg("merge").arg("--sparse").arg(&profile.counts).arg("-o").arg(&merged))?;
        let mut export = Command::new(self.tools.join("llvm-cov"));
        export.args(["export", "--skip-expansions", "--instr-profile"]).arg(&merged).arg(&profile.program);
        process::output_of(&mut export)
    }
}

fn install(workspace: &Workspace, toolchain: Option<&str>) -> Result<()> {
    let mut command = Command::new("rustup");
    command.current_dir(workspace.root()).args(["component", "add", COMPONENT]);
    if let Some(toolchain) = toolchain {
        command.args(["--toolchain", toolchain]);
    }
    process::output_of(&mut command).map(|_| ())
}

/// The folder that a compiler builds into.
pub(super) fn folder(workspace: &Workspace, compiler: &Compiler) -> PathBuf {
    workspace.target().join(compiler.name)
}
