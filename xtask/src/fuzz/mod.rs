//! `cargo xtask fuzz`: every fuzz target for a share of a minute, from the committed corpora. A finding is a failure that says how to replay it.
//!
//! What finds nothing must be able to find something: first a planted fault has to be found, which takes guidance by coverage. And the targets can
//! be turned on sources with one fault planted in each parser, where every one of them has to find something (`--variant lenient-parsers`).

mod program;
mod target;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::variant::Variant;
use crate::workspace::Workspace;
use program::Programs;
use target::Run;

/// How many targets run side by side.
const WORKERS: usize = 2;

/// The target whose property does not hold.
const PLANTED: &str = "planted";

/// The target that is about no parser: what its rules notice has variants of its own (`cargo xtask explore`).
const STATEFUL: &str = "life";

/// The sources with one fault planted in each parser.
const BROKEN: &str = "lenient-parsers";

/// Longest search for the planted fault; it takes about a second.
const PLANTED_SECONDS: u64 = 60;

/// Arguments of `cargo xtask fuzz`.
#[derive(Debug, Args)]
pub(crate) struct FuzzArguments {
    /// One target only: the name of a file in fuzz/fuzz_targets
    target: Option<String>,
    /// How long all targets together run, on two processors
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Run the target once on this input
    #[arg(long, value_name = "FILE", requires = "target")]
    replay: Option<PathBuf>,
    /// Fuzz these deliberately broken sources (tests/variants/NAME.toml): every target of a parser must find something
    #[arg(long, value_name = "NAME", conflicts_with = "replay")]
    variant: Option<String>,
}

impl FuzzArguments {
    /// What CI runs.
    pub(crate) const SHORT: Self = Self { target: None, seconds: 60, replay: None, variant: None };

    /// What CI runs to see that every target can find something.
    pub(crate) fn broken() -> Self {
        Self { variant: Some(BROKEN.to_owned()), ..Self::SHORT }
    }
}

/// Builds the targets and runs them.
pub(crate) fn fuzz(workspace: &Workspace, arguments: &FuzzArguments) -> Result<String> {
    match (&arguments.replay, &arguments.variant) {
        (Some(input), _) => replay(workspace, arguments.target.as_deref().unwrap_or_default(), input),
        (_, Some(name)) => fuzz_variant(workspace, arguments, name),
        _ => fuzz_sources(workspace, arguments),
    }
}

fn replay(workspace: &Workspace, target: &str, input: &Path) -> Result<String> {
    let programs = Programs::build(workspace, &[target.to_owned()])?;
    programs.replay(target, input)?;
    Ok(format!("{target} holds on {}", input.display()))
}

fn fuzz_sources(workspace: &Workspace, arguments: &FuzzArguments) -> Result<String> {
    let targets = chosen(workspace, arguments)?;
    let started = Instant::now();
    let programs = Programs::build(workspace, &targets)?;
    let built = started.elapsed();
    let planted = programs.run(PLANTED, Duration::from_secs(PLANTED_SECONDS))?;
    ensure!(
        planted.is_finding(),
        "the fuzzer did not find the planted fault in {PLANTED_SECONDS} s: it is not guided by coverage, so that its silence means nothing"
    );
    let runs = run_all(&programs, &targets, arguments.seconds)?;
    let table: Vec<String> = runs.iter().map(Run::describe).collect();
    let findings: Vec<String> = runs.iter().filter_map(Run::finding).collect();
    if !findings.is_empty() {
        bail!("{}\n{} of {} fuzz targets found something", findings.join("\n"), findings.len(), runs.len());
    }
    let found_planted = format!("the planted fault was found after {} runs", planted.stats.runs);
    Ok(format!("{}\nfuzz: ok ({} targets, built in {:.0} s; {found_planted})", table.join("\n"), runs.len(), built.as_secs_f32()))
}

fn fuzz_variant(workspace: &Workspace, arguments: &FuzzArguments, name: &str) -> Result<String> {
    let variant = Variant::make(workspace, name)?;
    let mut targets = chosen(workspace, arguments)?;
    targets.retain(|target| arguments.target.is_some() || target != STATEFUL);
    let programs = Programs::build(&variant.workspace, &targets)?;
    let runs = run_all(&programs, &targets, arguments.seconds)?;
    let blind: Vec<&str> = runs.iter().filter(|run| !run.is_finding()).map(|run| run.target.as_str()).collect();
    ensure!(blind.is_empty(), "nothing was found in the broken sources by: {} ({})", blind.join(", "), variant.about);
    let table: Vec<String> = runs.iter().map(Run::describe).collect();
    Ok(format!("{}\nfuzz: each of {} targets found its fault in {name}", table.join("\n"), runs.len()))
}

/// The targets asked for: all but the planted one, or the one named.
fn chosen(workspace: &Workspace, arguments: &FuzzArguments) -> Result<Vec<String>> {
    let all = all_targets(workspace)?;
    match &arguments.target {
        None => Ok(all),
        Some(name) if all.contains(name) => Ok(vec![name.clone()]),
        Some(name) => bail!("there is no fuzz target {name:?}; there are: {}", all.join(", ")),
    }
}

fn all_targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.path("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("can not read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").filter(|name| *name != PLANTED).map(ToOwned::to_owned));
    }
    names.sort();
    ensure!(!names.is_empty(), "{} holds no fuzz target", folder.display());
    Ok(names)
}

/// Runs the targets, two at a time, each for its share of the time.
fn run_all(programs: &Programs, targets: &[String], seconds: u64) -> Result<Vec<Run>> {
    let share = Duration::from_millis(seconds.saturating_mul(1000 * WORKERS.min(targets.len()) as u64) / targets.len() as u64);
    let waiting = Mutex::new(targets.iter());
    let next = || waiting.lock().ok()?.next();
    let work = || std::iter::from_fn(next).map(|target| programs.run(target, share)).collect::<Vec<_>>();
    let done = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect::<Result<Vec<Run>>>()
    });
    let mut runs = done?;
    ensure!(runs.len() == targets.len(), "only {} of {} fuzz targets ran", runs.len(), targets.len());
    runs.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(runs)
}
