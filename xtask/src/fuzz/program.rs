//! The fuzz targets as programs: built on the pinned toolchain with the coverage that libFuzzer is guided by.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::PLANTED;
use super::target::{Ending, Run};
use crate::cargo::cargo;
use crate::process;
use crate::workspace::Workspace;

/// What LLVM adds to every function: counters, the table of their places, and the operands of comparisons. The same that `cargo fuzz` asks for; the
/// pass is in the compiler of every channel.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// An input that takes longer is a finding.
const SLOWEST_SECONDS: u32 = 20;

/// A target that takes more memory is a finding.
const MEMORY_MIB: u32 = 1024;

/// The built targets.
pub(super) struct Programs {
    /// The folder of the programs.
    built: PathBuf,
    corpora: PathBuf,
    /// What a run leaves.
    products: PathBuf,
}

impl Programs {
    /// Builds these targets and the planted one.
    pub(super) fn build(workspace: &Workspace, targets: &[String]) -> Result<Self> {
        let host = host()?;
        let folder = workspace.target().join("fuzz");
        let mut command = cargo(workspace);
        command.current_dir(workspace.path("fuzz")).env("CARGO_TARGET_DIR", &folder).env("RUSTFLAGS", COVERAGE);
        // Named, so that build scripts and macros, which run here, are built without coverage.
        command.args(["build", "--quiet", "--release", "--locked", "--target", &host]);
        for target in targets.iter().map(String::as_str).chain([PLANTED]) {
            command.args(["--bin", target]);
        }
        process::run(&mut command)?;
        let built = folder.join(host).join("release");
        Ok(Self { built, corpora: workspace.path("fuzz/corpus"), products: workspace.products("fuzz")? })
    }

    /// Fuzzes one target from its corpus, which stays as it is.
    pub(super) fn run(&self, target: &str, time: Duration) -> Result<Run> {
        let folder = self.products.join(target);
        let found = fresh_folder(&folder)?;
        let corpus = self.corpora.join(target);
        ensure!(corpus.is_dir(), "fuzz target {target} has no corpus: {} is not there", corpus.display());
        let mut command = self.program(target);
        command.arg(format!("-max_total_time={}", time.as_secs().max(1))).arg(format!("-artifact_prefix={}/", folder.display()));
        command.arg("-print_final_stats=1").args([found, corpus]);
        let output = process::finish(&mut command)?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        std::fs::write(folder.join("log"), &log).with_context(|| format!("can not write the log of {target}"))?;
        let input = finding(&folder)?;
        let ending = match (output.status.success(), input) {
            (true, _) => Ending::Held,
            (false, Some(input)) => Ending::Found(input),
            (false, None) => bail!("fuzz target {target} did not run: {}\n{log}", output.status),
        };
        Ok(Run::new(target, ending, &log))
    }

    /// Runs a target on one input.
    pub(super) fn replay(&self, target: &str, input: &Path) -> Result<()> {
        // A path from where the user is, not from the checkout.
        let input = std::path::absolute(input).with_context(|| format!("no path: {}", input.display()))?;
        ensure!(input.is_file(), "{} is no file", input.display());
        process::run(self.program(target).env("RUST_BACKTRACE", "1").arg(input))
    }

    fn program(&self, target: &str) -> Command {
        let mut command = Command::new(self.built.join(target));
        command.arg(format!("-timeout={SLOWEST_SECONDS}")).arg(format!("-rss_limit_mb={MEMORY_MIB}")).env("RUST_BACKTRACE", "0");
        command
    }
}

/// An empty folder for what a run finds worth keeping, in the emptied folder of its target.
fn fresh_folder(folder: &Path) -> Result<PathBuf> {
    let found = folder.join("found");
    if folder.is_dir() {
        std::fs::remove_dir_all(folder).with_context(|| format!("can not empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&found).with_context(|| format!("can not make {}", found.display()))?;
    Ok(found)
}

/// The input that libFuzzer kept as the reason for its end.
fn finding(folder: &Path) -> Result<Option<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("can not read {}", folder.display()))?;
    let is_finding = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        ["crash-", "timeout-", "oom-", "leak-"].iter().any(|kind| name.starts_with(kind))
    };
    let paths: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    Ok(paths.into_iter().find(is_finding))
}

/// The platform that the compiler runs on.
fn host() -> Result<String> {
    let output = process::output_of(Command::new("rustc").arg("-vV"))?;
    let text = String::from_utf8_lossy(&output);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(ToOwned::to_owned).with_context(|| format!("rustc -vV names no host: {text}"))
}
