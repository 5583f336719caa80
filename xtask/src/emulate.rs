//! `cargo xtask qemu`: runs the scenarios on the emulated boards.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::board::Board;
use crate::budget::write_rows;
use crate::cargo::{build, cargo};
use crate::firmware::Logging;
use crate::linux;
use crate::plugin;
use crate::scenario::{self, Calibration, Fixture, Row, Scenario, scenarios, vectors};
use crate::workspace::Workspace;

/// What to run, and where to leave what came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// Every board when absent.
    pub(crate) board: Option<String>,
    /// Every scenario when absent.
    pub(crate) scenario: Option<String>,
    /// A file for the rows, as JSON.
    pub(crate) json: Option<PathBuf>,
    /// A folder that keeps images, flash files and logs.
    pub(crate) keep: Option<PathBuf>,
}

/// Runs what is asked for and returns the closing line; a scenario that fails is an error.
pub(crate) fn emulate(workspace: &Workspace, request: &Request) -> Result<String> {
    if let Some(board) = request.board.as_deref().and_then(linux::Board::named) {
        let rows = linux::run(workspace, board, request, &hosttool(workspace)?)?;
        return finish(request, &rows);
    }
    let boards = request.board.as_deref().map_or_else(|| Ok(Board::ALL.to_vec()), |name| Board::named(name).map(|board| vec![board]))?;
    let chosen = choose(request.scenario.as_deref())?;
    let tools = Tools { hosttool: hosttool(workspace)?, plugin: plugin::library(workspace)? };
    let rows = run_boards(workspace, &tools, request, &boards, &chosen)?;
    finish(request, &rows)
}

/// Leaves the rows where that is asked for, and judges them.
fn finish(request: &Request, rows: &[Row]) -> Result<String> {
    if let Some(path) = &request.json {
        write_rows(path, rows)?;
    }
    let summary = scenario::summary(rows);
    if rows.iter().any(Row::has_failed) {
        bail!("{summary}");
    }
    Ok(summary)
}

/// The host tool without its probe feature: what scenarios need, quick to build.
pub(crate) fn hosttool(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = cargo(workspace);
    command.args(["build", "--quiet"]);
    build(command, "hosttool", "")
}

struct Tools {
    hosttool: PathBuf,
    plugin: PathBuf,
}

/// What makes one row on each board.
enum Chosen {
    /// The loader and what it boots, step by step.
    Loader(Box<Scenario>),
    /// The program of the vectors.
    SignatureVectors,
}

impl Chosen {
    const fn name(&self) -> &'static str {
        match self {
            Self::Loader(scenario) => scenario.name,
            Self::SignatureVectors => vectors::NAME,
        }
    }

    fn run(&self, fixture: &mut Fixture, tools: &Tools, calibration: Calibration) -> Row {
        match self {
            Self::Loader(scenario) => scenario::run(fixture, &tools.plugin, scenario, calibration),
            Self::SignatureVectors => vectors::run(fixture, calibration),
        }
    }
}

fn choose(name: Option<&str>) -> Result<Vec<Chosen>> {
    let mut all: Vec<Chosen> = scenarios().into_iter().map(|scenario| Chosen::Loader(Box::new(scenario))).chain([Chosen::SignatureVectors]).collect();
    if let Some(name) = name {
        let names: Vec<&str> = all.iter().map(Chosen::name).collect();
        if !names.contains(&name) {
            bail!("there is no scenario {name}; the scenarios are {}", names.join(", "));
        }
        all.retain(|chosen| chosen.name() == name);
    }
    Ok(all)
}

/// The boards run side by side, each its scenarios one after the other.
fn run_boards(workspace: &Workspace, tools: &Tools, request: &Request, boards: &[Board], chosen: &[Chosen]) -> Result<Vec<Row>> {
    std::thread::scope(|scope| {
        let start = |board: &Board| {
            let board = *board;
            scope.spawn(move || run_board(workspace, tools, request, board, chosen))
        };
        let threads: Vec<_> = boards.iter().map(start).collect();
        let mut rows = Vec::new();
        for thread in threads {
            rows.extend(thread.join().map_err(|_| anyhow::anyhow!("the thread of a board died"))??);
        }
        Ok(rows)
    })
}

fn run_board(workspace: &Workspace, tools: &Tools, request: &Request, board: Board, chosen: &[Chosen]) -> Result<Vec<Row>> {
    let folder = match &request.keep {
        Some(folder) => std::path::absolute(folder)?.join(board.name()),
        None => workspace.products("runs")?.join(board.name()),
    };
    let mut fixture = Fixture::new(workspace, board, &tools.hosttool, &folder, Logging::Off)?;
    let calibration = Calibration::measure(&mut fixture)?;
    let mut rows = Vec::new();
    for one in chosen {
        let row = one.run(&mut fixture, tools, calibration);
        println!("{}", row.describe());
        if request.keep.is_none() && !row.has_failed() {
            let _ = std::fs::remove_file(folder.join(format!("{}.img", one.name())));
        }
        rows.push(row);
    }
    Ok(rows)
}
