//! `cargo xtask glitch`: no single fault makes the loader start an image that it must refuse.
//!
//! The loader's own ELF runs in an interpreter (`xtask/interpreter`), on hosts whose only image it must refuse. A fault leaves an instruction out, or
//! two that stand side by side. A fault is a bypass when an instruction of the image is fetched, in this boot or in the next one without a fault.
//!
//! The interpreter is held against QEMU in the same command, and the campaign against builds without a second line, in which it must find bypasses.

mod campaign;
mod code;
mod hosts;
mod oracle;
mod patch;
mod replay;
mod report;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use thumb_interpreter::{End, Stop};

use crate::emulate::hosttool;
use crate::scenario::AnchorFile;
use crate::variant::Variant;
use crate::workspace::Workspace;

pub(crate) use campaign::Extent;
use campaign::{Attack, Kind, Results, Trial};
use code::Owner;
use hosts::{Case, Flaw, Standing, Supply};
use oracle::Compared;
use replay::Replay;
use report::Summary;

/// A build that lacks a second line, of `tests/variants/`, and where it must show bypasses.
struct Weakened {
    variant: &'static str,
    flaw: Flaw,
    attacks: &'static [(Standing, &'static [Kind])],
}

const WEAKENED: [Weakened; 3] = [
    Weakened {
        variant: "unhardened",
        flaw: Flaw::FlippedPayload,
        attacks: &[(Standing::Confirmed, &[Kind::First, Kind::Pair]), (Standing::Trial, &[Kind::First, Kind::Every])],
    },
    Weakened { variant: "memory-is-run", flaw: Flaw::FilledHeader, attacks: &[(Standing::Trial, &[Kind::First])] },
    Weakened { variant: "manifest-read-once", flaw: Flaw::BelowFloor, attacks: &[(Standing::Confirmed, &[Kind::Later])] },
];

/// Faults that are tried in QEMU as well, a host: of those at first executions, where a breakpoint finds the moment.
const FAULTS_IN_BOTH: usize = 4;

/// The trust anchors of the loaders that are attacked.
const ANCHORS: [AnchorFile; 2] = [AnchorFile::Default, AnchorFile::RaisedFloor];

/// More instructions than any boot of a small image takes without a fault.
const LONGEST_BOOT: u64 = 50_000_000;

/// What to do.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) extent: Extent,
    /// A file for the figures, as JSON.
    pub(crate) json: Option<PathBuf>,
    /// One fault only, as a finding names it.
    pub(crate) replay: Option<String>,
    /// One host only.
    pub(crate) host: Option<String>,
}

impl Request {
    /// What CI runs.
    pub(crate) const CI: Self = Self { extent: Extent::Short, json: None, replay: None, host: None };
}

/// Runs what is asked for and returns the closing words; a bypass is an error.
pub(crate) fn glitch(workspace: &Workspace, request: &Request) -> Result<String> {
    let started = Instant::now();
    let hosttool = hosttool(workspace)?;
    let mut supply = Supply::new(workspace, &hosttool, &workspace.products("glitch")?)?;
    if let Some(replay) = &request.replay {
        return Replay::parse(replay)?.run(&mut supply);
    }
    let cases = match &request.host {
        Some(name) => vec![Case::named(name)?],
        None => Case::all().into_iter().filter(|case| request.extent == Extent::Full || case.is_in_short()).collect(),
    };
    let of_weakened = WEAKENED.iter().map(|build| weakened_bypasses(workspace, &hosttool, build)).sum::<Result<u64>>()?;
    let mut compared = check_good_images(&mut supply)?;
    let (hosts, mut results) = (cases.len(), Vec::new());
    for case in cases {
        results.push(attack(&mut supply, case, request.extent, &mut compared)?);
    }
    compared.check(hosts)?;
    let summary = Summary::of(&results, compared, of_weakened, started.elapsed());
    if let Some(path) = &request.json {
        write_json(path, &summary)?;
    }
    summary.judge()
}

/// Loaders that refuse everything would give no bypass: each must start a good image, confirmed and on trial. One such start runs in QEMU as well.
fn check_good_images(supply: &mut Supply) -> Result<Compared> {
    for (standing, anchor) in Standing::BOTH.into_iter().flat_map(|standing| ANCHORS.map(|anchor| (standing, anchor))) {
        let host = supply.good_host(standing, anchor)?;
        let mut machine = host.machine();
        let stop = machine.run(LONGEST_BOOT, None);
        let name = standing.name();
        ensure!(stop == Stop::End(End::Started), "a good {name} image does not start with {anchor:?}: {stop:?}, console {:?}", machine.console());
    }
    oracle::compare_run(&supply.good_host(Standing::Confirmed, AnchorFile::Default)?).context("a good image")
}

/// Everything on one host: the run in QEMU as well, the faults, and some of the faults in QEMU as well.
fn attack(supply: &mut Supply, case: Case, extent: Extent, compared: &mut Compared) -> Result<Results> {
    let started = Instant::now();
    let host = supply.host(case)?;
    compared.add(oracle::compare_run(&host).with_context(|| case.to_string())?);
    let attack = Attack::prepare(case, &host, extent)?;
    let trials = attack.trials();
    ensure!(!trials.is_empty(), "{case}: there is no fault to try");
    let at_first: Vec<&Trial> = trials.iter().filter(|trial| matches!(trial.kind, Kind::First | Kind::Pair | Kind::Every)).collect();
    for share in at_first.chunks((at_first.len() / FAULTS_IN_BOTH).max(1)) {
        compared.add(oracle::compare_one(&attack, share)?);
    }
    let results = attack.run(&trials);
    println!("{}  {:.1} s", report::table(&results), started.elapsed().as_secs_f64());
    Ok(results)
}

/// The campaign against a build that lacks a second line, which must show bypasses by each kind of fault that is named.
fn weakened_bypasses(workspace: &Workspace, hosttool: &Path, build: &Weakened) -> Result<u64> {
    let variant = Variant::make(workspace, build.variant)?;
    let products = workspace.products(&format!("glitch-{}", build.variant))?;
    let mut supply = Supply::new(&variant.workspace, hosttool, &products)?;
    let mut bypasses = 0;
    for (standing, kinds) in build.attacks {
        let case = Case { flaw: build.flaw, standing: *standing };
        let host = supply.host(case)?;
        let attack = Attack::prepare(case, &host, Extent::Short)?;
        for kind in *kinds {
            let is_of_kind = |trial: &Trial| trial.owner == Owner::Ours && trial.kind == *kind;
            let trials: Vec<Trial> = attack.trials().into_iter().filter(is_of_kind).collect();
            let found = report::bypasses(&[attack.run(&trials)], |_, _, _| true);
            ensure!(found > 0, "{case}: no fault {kind:?} is a bypass in the build {} ({}): the campaign is broken", build.variant, variant.about);
            bypasses += found;
        }
    }
    println!("build {} ({}): {bypasses} bypasses, as there must be", build.variant, variant.about);
    Ok(bypasses)
}

fn write_json(path: &Path, summary: &Summary) -> Result<()> {
    let text = serde_json::to_string(summary)?;
    std::fs::write(path, format!("{text}\n")).with_context(|| format!("can not write {}", path.display()))
}
