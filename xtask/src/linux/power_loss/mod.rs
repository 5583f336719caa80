//! `cargo xtask power-loss`: power cuts after every write and flush of an install and in a confirm that the agent does under Linux, on a block device.
//!
//! Debian's kernel runs the agent on disks whose every write and flush is logged. Of each log come contents that a cut may leave the disk with
//! (`states`). On each the next boot must start the old image, or the complete new one once the deciding record is there, and nothing else: by the
//! host tool for all of them, by the loader in the emulator, without Linux, for those that a seed chooses or for all. The two must agree.

mod campaign;
mod guest;
mod judge;
mod scene;
mod states;
mod write_log;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::board::Board;
use super::supply::Supply;
use crate::budget::write_rows;
use crate::emulate::hosttool;
use crate::scenario::SEED;
use crate::variant::Variant;
use crate::workspace::Workspace;
use campaign::{Campaign, Row};
use guest::play;
use scene::{SCENES, Scene, Stage};

/// States of each scene that the loader is started on in a short run, beside the first one, the last one and the first one with the new image.
const SHORT_BOOTS: usize = 40;

/// Agents that are broken on purpose, and the words by which one of the scenes must notice them. They are described in `tests/variants/`.
const BROKEN: [(&str, &str); 2] =
    [("storage-not-flushed", "flushes with something to flush"), ("armed-before-durable", "the last record is there and the image is not whole")];

/// The words of the command line.
#[derive(Debug, Args)]
pub(crate) struct PowerLossArguments {
    /// One scene only
    scene: Option<String>,
    /// Start the loader on every state, and show that agents that are broken on purpose are noticed
    #[arg(long)]
    full: bool,
    /// Other subsets of sectors and writes, and other states to start the loader on
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
    /// Write what came of each scene to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Start the loader again on one state of the scene that the last run has played, and show everything
    #[arg(long, value_name = "STATE", requires = "scene", conflicts_with_all = ["full", "json"])]
    replay: Option<usize>,
}

impl PowerLossArguments {
    /// What fits into a build check.
    pub(crate) const SHORT: Self = Self { scene: None, full: false, seed: SEED, json: None, replay: None };
}

/// Runs what is asked for and returns the closing line; a state that a host does not come back from as it must is an error.
pub(crate) fn power_loss(workspace: &Workspace, arguments: &PowerLossArguments) -> Result<String> {
    let folder = workspace.products("power-loss")?;
    let stage = Stage::new(Supply::gather(workspace, Board::Aarch64, &hosttool(workspace)?, &folder)?)?;
    let scenes = chosen(arguments.scene.as_deref())?;
    if let (Some(state), Some(scene)) = (arguments.replay, scenes.first()) {
        return Campaign::load(&stage, scene, arguments.seed)?.replay(state);
    }
    if arguments.full {
        broken(workspace, &stage, &scenes, arguments.seed)?;
    }
    play(&stage, workspace, &scenes)?;
    let boots = if arguments.full { usize::MAX } else { SHORT_BOOTS };
    let mut rows = Vec::new();
    for scene in &scenes {
        let row = Campaign::load(&stage, scene, arguments.seed).and_then(|campaign| campaign.run(boots));
        let row = row.with_context(|| format!("scene {}", scene.name))?;
        println!("{}", row.describe());
        rows.push(row);
    }
    if let Some(path) = &arguments.json {
        write_rows(path, &rows)?;
    }
    judge(&rows, arguments.seed)
}

fn chosen(name: Option<&str>) -> Result<Vec<Scene>> {
    let Some(name) = name else { return Ok(SCENES.to_vec()) };
    let scene = SCENES.into_iter().find(|scene| scene.name == name);
    let names = SCENES.map(|scene| scene.name).join(", ");
    Ok(vec![scene.with_context(|| format!("there is no scene {name}; the scenes are {names}"))?])
}

/// A check counts only if it can fail.
fn broken(workspace: &Workspace, stage: &Stage, scenes: &[Scene], seed: u64) -> Result<()> {
    for (name, words) in BROKEN {
        let variant = Variant::make(workspace, name)?;
        play(stage, &variant.workspace, scenes).with_context(|| format!("variant {name}"))?;
        let complaints = complaints(stage, scenes, seed).with_context(|| format!("variant {name}"))?;
        let found = complaints.iter().find(|complaint| complaint.contains(words));
        let found = found.with_context(|| format!("nobody noticed that {} (variant {name}): {complaints:?}", variant.about))?;
        println!("ok   variant {name}, {}: {} complaints, like {found}", variant.about, complaints.len());
    }
    Ok(())
}

/// What is wrong with scenes that were played, without the loader's word.
fn complaints(stage: &Stage, scenes: &[Scene], seed: u64) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for scene in scenes {
        match Campaign::load(stage, scene, seed) {
            Ok(campaign) => all.extend(campaign.run(0)?.failures),
            Err(error) => all.push(format!("{error:#}")),
        }
    }
    Ok(all)
}

fn judge(rows: &[Row], seed: u64) -> Result<String> {
    let sum = |count: fn(&Row) -> usize| rows.iter().map(count).sum::<usize>();
    let failures: Vec<&String> = rows.iter().flat_map(|row| &row.failures).collect();
    let closing = format!(
        "power loss (seed {seed}): {} states of {} scenes, all judged by the host tool, {} started by the loader; {} failures",
        sum(|row| row.states),
        rows.len(),
        sum(|row| row.booted),
        failures.len()
    );
    if failures.is_empty() {
        return Ok(closing);
    }
    bail!("{closing}\n{}", failures.iter().take(20).map(|failure| failure.as_str()).collect::<Vec<_>>().join("\n"))
}
