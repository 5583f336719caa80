//! The boards that boot Linux: real kernels of Debian, a userspace in an initramfs made here, and what must come of each situation.
//!
//! Guarantees: every run is bounded by a multiple of a boot measured first; the emulator is killed when a run ends; nothing is installed.

mod agent;
mod board;
mod debian;
mod disk;
mod forge;
mod hashes;
mod initramfs;
mod loader;
mod machine;
mod measure;
mod modules;
mod power_loss;
mod probe;
mod refusals;
mod root;
mod size;
mod supply;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::emulate::Request;
use crate::scenario::{Outcome, Row};
use crate::workspace::Workspace;
pub(crate) use board::{Board, OPENSBI};
use machine::{End, Run, Shown};
pub(crate) use measure::measures;
pub(crate) use power_loss::{PowerLossArguments, power_loss};
pub(crate) use refusals::{RefusalsArguments, refusals};
pub(crate) use size::sizes;
use supply::Supply;
use table::{Scenario, scenarios};

/// How long a scenario may take, in calibration boots. The longest ones have four boots and three watchdog deadlines.
const BOOTS_OF_TIME: u32 = 20;

/// Time for everything that a calibration boot does not show: this machine being busy with something else for a while.
const GRACE: Duration = Duration::from_secs(60);

/// What the calibration boot itself is bounded by. It takes some seconds.
const UNHURRIED: Duration = Duration::from_secs(600);

/// Fetches what the scenarios need of Debian, for all boards.
///
/// # Errors
/// The archive can not be reached, or no longer has the pinned packages.
pub(crate) fn fetch(workspace: &Workspace) -> Result<()> {
    Board::ALL.into_iter().try_for_each(|board| debian::Packages::gather(workspace, board).map(drop))
}

/// Runs the scenarios that are asked for on one board.
pub(crate) fn run(workspace: &Workspace, board: Board, request: &Request, hosttool: &Path) -> Result<Vec<Row>> {
    let chosen = choose(board, request.scenario.as_deref())?;
    let folder = match &request.keep {
        Some(folder) => std::path::absolute(folder)?.join(board.name()),
        None => workspace.products("runs")?.join(board.name()),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("can not make the folder {}", folder.display()))?;
    let mut rows = Vec::new();
    let mut done = |row: Row| {
        println!("{}", row.describe());
        rows.push(row);
    };
    let is_wanted = |own| request.scenario.as_deref().is_none_or(|name| name == own);
    if is_wanted(hashes::VECTORS) {
        done(hashes::row(workspace, board, &folder));
    }
    let supply = Supply::gather(workspace, board, hosttool, &folder)?;
    if is_wanted(hashes::SOFTWARE) {
        done(hashes::software_row(&supply));
    }
    if chosen.is_empty() {
        return Ok(rows);
    }
    let limit = calibrate(&supply)?;
    for scenario in chosen {
        let row = row(&supply, &scenario, limit);
        if request.keep.is_none() && !row.has_failed() {
            let _ = std::fs::remove_file(supply.disk_path(scenario.name));
        }
        done(row);
    }
    Ok(rows)
}

fn choose(board: Board, name: Option<&str>) -> Result<Vec<Scenario>> {
    let mut all = scenarios();
    if let Some(name) = name {
        let names: Vec<&str> = all.iter().map(|scenario| scenario.name).chain([hashes::VECTORS, hashes::SOFTWARE]).collect();
        if !names.contains(&name) {
            bail!("there is no scenario {name} on {}; the scenarios are {}", board.name(), names.join(", "));
        }
        all.retain(|scenario| scenario.name == name);
    }
    Ok(all)
}

/// The limit of time for every scenario, from one boot of the first one.
fn calibrate(supply: &Supply) -> Result<Duration> {
    let first = scenarios().into_iter().next().context("there are no scenarios")?;
    let disk = supply.disk(&first)?;
    let shown = power_on(supply, &first, disk.as_deref(), (UNHURRIED, first.end))?;
    if let Some(complaint) = first.complaint(supply.board(), &shown) {
        bail!("the calibration boot on {} fails:\n{complaint}", supply.board().name());
    }
    Ok(shown.wall * BOOTS_OF_TIME + GRACE)
}

/// Runs a scenario, where the board has what it is about. What goes wrong in preparing it fails it too.
fn row(supply: &Supply, scenario: &Scenario, limit: Duration) -> Row {
    let board = supply.board();
    let lacks = board.lacks_watchdog().filter(|_| scenario.needs_watchdog());
    row_of(board, scenario.name, lacks, || complaint(supply, scenario, limit))
}

/// The row of what is judged by a complaint, unless the board lacks what it is about.
fn row_of(board: Board, scenario: &'static str, lacks: Option<&str>, complaint: impl FnOnce() -> Result<Option<String>>) -> Row {
    let started = Instant::now();
    let (outcome, detail) = match lacks {
        Some(reason) => (Outcome::NotApplicable, reason.to_owned()),
        None => match complaint() {
            Ok(None) => (Outcome::Pass, String::new()),
            Ok(Some(complaint)) => (Outcome::Fail, complaint),
            Err(error) => (Outcome::Fail, format!("{error:#}")),
        },
    };
    Row { board: board.name(), scenario, outcome, detail, seconds: started.elapsed().as_secs_f64() }
}

/// Switches the machine on as often as the scenario says; gives the first complaint.
fn complaint(supply: &Supply, scenario: &Scenario, limit: Duration) -> Result<Option<String>> {
    let disk = supply.disk(scenario)?;
    let shown = power_on(supply, scenario, disk.as_deref(), (limit, scenario.end))?;
    if let Some(complaint) = scenario.complaint(supply.board(), &shown) {
        return Ok(Some(complaint));
    }
    for (number, next) in scenario.then.iter().enumerate() {
        supply.between(next.before, disk.as_deref().context("without a disk there is nothing to go on with")?)?;
        let shown = power_on(supply, scenario, disk.as_deref(), (limit, next.end))?;
        if let Some(complaint) = next.complaint(supply.board(), &shown) {
            return Ok(Some(format!("power-on {}: {complaint}", number + 2)));
        }
    }
    Ok(None)
}

fn power_on(supply: &Supply, scenario: &Scenario, disk: Option<&Path>, (limit, end): (Duration, End)) -> Result<Shown> {
    let cut_at = if let End::Cut(beginning) = end { Some(beginning) } else { None };
    machine::run(&Run { board: supply.board(), loader: supply.loader(), disk, hardware: scenario.hardware, folder: supply.folder(), limit, cut_at })
}
