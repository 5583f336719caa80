//! `cargo xtask cuts`: cuts the power after every single store of commits and of a header's write, on the emulated boards.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::board::Board;
use crate::budget::write_rows;
use crate::emulate::hosttool;
use crate::firmware::{self, Logging};
use crate::plugin;
use crate::scenario::store_cuts::{self, Case, Extent, Row, Scene, Stage, play, replay, scenes};
use crate::scenario::{AnchorFile, Calibration, Fixture};
use crate::variant::Variant;
use crate::workspace::Workspace;

/// Loaders that are broken on purpose, and the scene that must notice. They are described in `tests/variants/`.
const BROKEN: [(&str, &str); 5] = [
    ("newest-log-erased-first", "intent-in-full-logs"),
    ("trial-without-intent", "intent"),
    ("torn-record-believed", "intent"),
    ("power-cut-costs-an-attempt", "intent"),
    ("journal-not-repaired", "confirm"),
];

/// The words of the command line.
#[derive(Debug, Args)]
pub(crate) struct CutsArguments {
    /// One scene only, a long one too
    #[arg(conflicts_with = "replay")]
    scene: Option<String>,
    /// Both boards, all stores of an install, second cuts, every cut by killing the emulator, and loaders that are broken on purpose
    #[arg(long, conflicts_with = "replay")]
    full: bool,
    /// Write what came of each scene to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Play one cut of a scene again, after its N-th store, and show everything; with a third word, cut again after that store of coming back
    #[arg(long, num_args = 2..=3, value_names = ["SCENE", "N"], conflicts_with = "json")]
    replay: Option<Vec<String>>,
}

impl CutsArguments {
    /// What they ask for.
    pub(crate) fn request(self) -> Result<Request> {
        let volume = match (self.replay, self.full) {
            (Some(words), _) => Volume::Replay(case(&words)?),
            (None, true) => Volume::Full,
            (None, false) => Volume::Short,
        };
        Ok(Request { volume, scene: self.scene, json: self.json })
    }
}

fn case(words: &[String]) -> Result<Case> {
    let number = |word: &String| word.parse().with_context(|| format!("{word} is no number of a store"));
    match words {
        [scene, after, rest @ ..] => Ok(Case { scene: scene.clone(), after: number(after)?, second: rest.first().map(number).transpose()? }),
        _ => bail!("--replay takes the name of a scene and the number of a store"),
    }
}

/// How much to run, and where to leave what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) volume: Volume,
    /// Every scene of that volume when absent.
    pub(crate) scene: Option<String>,
    /// A file for the rows, as JSON.
    pub(crate) json: Option<PathBuf>,
}

impl Request {
    /// What fits into a build check.
    pub(crate) const SHORT: Self = Self { volume: Volume::Short, scene: None, json: None };
}

/// How much is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Volume {
    /// The first board, what fits into a build check.
    Short,
    /// All boards, second cuts, all stores of an install, and loaders that are broken on purpose.
    Full,
    /// One cut again, on the first board.
    Replay(Case),
}

/// Runs what is asked for and returns the closing line; a cut that the board does not come back from as it must is an error.
pub(crate) fn cuts(workspace: &Workspace, request: &Request) -> Result<String> {
    let tools = Tools { hosttool: hosttool(workspace)?, plugin: plugin::library(workspace)? };
    let rows = match &request.volume {
        Volume::Replay(case) => return with_board(workspace, &tools, Board::An386, |stage, scenes| replay(stage, scenes, case)),
        Volume::Short => {
            with_board(workspace, &tools, Board::An386, |stage, scenes| play_all(stage, &chosen(scenes, request, Extent::SHORT)?, Extent::SHORT))?
        }
        Volume::Full => full(workspace, &tools, request)?,
    };
    if let Some(path) = &request.json {
        write_rows(path, &rows)?;
    }
    let summary = store_cuts::summary(&rows);
    if rows.iter().any(Row::has_failed) {
        bail!("{summary}");
    }
    Ok(summary)
}

struct Tools {
    hosttool: PathBuf,
    plugin: PathBuf,
}

fn full(workspace: &Workspace, tools: &Tools, request: &Request) -> Result<Vec<Row>> {
    let mut rows = with_board(workspace, tools, Board::An386, |stage, scenes| broken(workspace, stage, scenes, request))?;
    for board in Board::ALL {
        rows.extend(with_board(workspace, tools, board, |stage, scenes| play_all(stage, &chosen(scenes, request, Extent::FULL)?, Extent::FULL))?);
    }
    Ok(rows)
}

fn with_board<T>(workspace: &Workspace, tools: &Tools, board: Board, work: impl FnOnce(&Stage, &[Scene]) -> Result<T>) -> Result<T> {
    let folder = workspace.products("cuts")?.join(board.name());
    let mut fixture = Fixture::new(workspace, board, &tools.hosttool, &folder, Logging::Off)?;
    let time = Calibration::measure(&mut fixture)?.limits().time;
    let loader = fixture.loader(AnchorFile::Default)?;
    let scenes = scenes(&mut fixture)?;
    work(&Stage { fixture: &fixture, loader: &loader, plugin: &tools.plugin, time }, &scenes)
}

/// The scenes that are asked for.
fn chosen<'a>(scenes: &'a [Scene], request: &Request, extent: Extent) -> Result<Vec<&'a Scene>> {
    let Some(name) = &request.scene else {
        return Ok(scenes.iter().filter(|scene| extent == Extent::FULL || !scene.is_long).collect());
    };
    let names: Vec<&str> = scenes.iter().map(|scene| scene.name).collect();
    ensure!(names.contains(&name.as_str()), "there is no scene {name}; the scenes are {}", names.join(", "));
    Ok(scenes.iter().filter(|scene| scene.name == name).collect())
}

fn play_all(stage: &Stage, scenes: &[&Scene], extent: Extent) -> Result<Vec<Row>> {
    scenes.iter().map(|scene| told(play(stage, scene, extent)?)).collect()
}

/// A check counts only if it can fail: each of the broken loaders must be caught by its scene, when that is asked for.
fn broken(workspace: &Workspace, stage: &Stage, scenes: &[Scene], request: &Request) -> Result<Vec<Row>> {
    let asked_for = chosen(scenes, request, Extent::FULL)?;
    let mut rows = Vec::new();
    for (name, scene) in BROKEN {
        ensure!(scenes.iter().any(|one| one.name == scene), "scene {scene} must notice variant {name}, and there is no such scene");
        let Some(scene) = asked_for.iter().find(|one| one.name == scene) else { continue };
        let variant = Variant::make(workspace, name)?;
        let loader = firmware::loader(&variant.workspace, stage.fixture.board(), AnchorFile::Default.file(), Logging::Off)?;
        let row = play(&Stage { loader: &loader, ..*stage }, scene, Extent::SHORT)?;
        rows.push(told(Row { variant: Some(name.to_owned()), ..row })?);
    }
    Ok(rows)
}

fn told(row: Row) -> Result<Row> {
    println!("{}", row.describe());
    Ok(row)
}
