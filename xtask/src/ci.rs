//! `cargo xtask ci`: everything that must hold before a change lands, one step after the other, whatever the earlier ones gave.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::bench::{Extent, bench};
use crate::board::Board;
use crate::cargo::cargo;
use crate::coverage::{CoverageArguments, coverage};
use crate::cuts::{Request, cuts};
use crate::emulate::{self, emulate};
use crate::explore::{ExploreArguments, explore};
use crate::fuzz::{self, FuzzArguments};
use crate::mutants::{MutantsArguments, Verdict};
use crate::workspace::Workspace;
use crate::{budget, demo, glitch, linux, mutants, process, setup, size, test, tidy};

/// One step: its name, and what it does.
type Step = (&'static str, fn(&Workspace) -> Result<Ended>);

/// How a step ended that did not fail.
enum Ended {
    /// It ran; its closing words.
    Passed(String),
    /// It could not run here, and why. Said plainly, counted as neither.
    NotRun(String),
}

const STEPS: [Step; 23] = [
    ("setup", |workspace| setup::setup(workspace).map(Ended::Passed)),
    ("format", format),
    ("lint on the host", lint_host),
    ("lint firmware", lint_firmware),
    ("tidy", |workspace| tidy::tidy(workspace).map(Ended::Passed)),
    ("packages", |workspace| test::packages(workspace).map(Ended::Passed)),
    ("coverage", |workspace| coverage(workspace, &CoverageArguments::SHORT).map(Ended::Passed)),
    ("mutants", mutants),
    ("second readers", second_readers),
    ("fuzz", |workspace| fuzz::fuzz(workspace, &FuzzArguments::SHORT).map(Ended::Passed)),
    ("fuzz broken parsers", |workspace| fuzz::fuzz(workspace, &FuzzArguments::broken()).map(Ended::Passed)),
    ("explore", |workspace| explore(workspace, &ExploreArguments::default()).map(Ended::Passed)),
    ("scenarios", |workspace| emulate(workspace, &emulate::Request::default()).map(Ended::Passed)),
    ("cuts", |workspace| cuts(workspace, &Request::SHORT).map(Ended::Passed)),
    ("refusals", refusals),
    ("Linux scenarios", linux_scenarios),
    ("power loss", |workspace| with_debian(workspace, || linux::power_loss(workspace, &linux::PowerLossArguments::SHORT))),
    ("glitch", |workspace| glitch::glitch(workspace, &glitch::Request::CI).map(Ended::Passed)),
    ("demo", |workspace| demo::demo(workspace).map(Ended::Passed)),
    ("size", |workspace| budget::report("size", &size::size(workspace)?, None).map(Ended::Passed)),
    ("bench", |workspace| budget::report("bench", &bench(workspace, Extent::Short)?, None).map(Ended::Passed)),
    ("host tool with probe", probe),
    ("dependencies", deny),
];

/// What became of one step.
struct Row {
    name: &'static str,
    result: Result<Ended>,
    seconds: f64,
}

/// Runs every step and returns the table, with the count as its last line; an error when one failed.
pub(crate) fn ci(workspace: &Workspace) -> Result<String> {
    let rows: Vec<Row> = STEPS.iter().map(|step| run(workspace, *step)).collect();
    let table: Vec<String> = rows.iter().map(describe).collect();
    let failed = rows.iter().filter(|row| row.result.is_err()).count();
    let passed = rows.iter().filter(|row| matches!(row.result, Ok(Ended::Passed(_)))).count();
    let closing = format!("\n{}\n{passed} passed, {failed} failed", table.join("\n"));
    if failed > 0 {
        println!("{closing}");
        bail!("{failed} of {} steps failed", rows.len());
    }
    Ok(closing)
}

fn run(workspace: &Workspace, (name, step): Step) -> Row {
    println!("ci: {name}");
    let started = Instant::now();
    let result = step(workspace);
    match &result {
        Ok(Ended::Passed(words)) => println!("{words}"),
        Ok(Ended::NotRun(why)) => println!("NOT RUN: {why}"),
        Err(error) => println!("FAILED: {error:#}"),
    }
    Row { name, result, seconds: started.elapsed().as_secs_f64() }
}

fn describe(row: &Row) -> String {
    let (word, detail) = match &row.result {
        Ok(Ended::Passed(_)) => ("pass", String::new()),
        Ok(Ended::NotRun(why)) => ("NOT RUN", format!("  {why}")),
        Err(error) => ("FAIL", format!("  {}", error.to_string().lines().next().unwrap_or_default())),
    };
    format!("{word:<8}{:<22}{:>7.1} s{detail}", row.name, row.seconds)
}

fn format(workspace: &Workspace) -> Result<Ended> {
    process::run(cargo(workspace).args(["fmt", "--all", "--check"]))?;
    Ok(Ended::Passed("format: ok".to_owned()))
}

fn lint_host(workspace: &Workspace) -> Result<Ended> {
    process::run(cargo(workspace).args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(Ended::Passed("lint on the host: ok".to_owned()))
}

/// Everything that runs on each board, as it is built for it.
fn lint_firmware(workspace: &Workspace) -> Result<Ended> {
    for board in Board::ALL {
        let mut command = cargo(workspace);
        command.args(["clippy", "--quiet", "--profile", "firmware", "--target", board.target()]);
        command.args(["--package", board.name(), "--package", "demo-app", "--package", "signature-vectors"]);
        process::run(command.args(["--", "-D", "warnings"]).env("TWINSLOT_BOARD", board.name()))?;
    }
    for board in linux::Board::ALL {
        let mut command = cargo(workspace);
        command.args(["clippy", "--quiet", "--profile", "firmware", "--target", board.target(), "--package", board.name()]);
        process::run(command.args(["--", "-D", "warnings"]))?;
    }
    Ok(Ended::Passed("lint firmware: ok".to_owned()))
}

/// 100,000 signatures and as many inputs of every format, where an ordinary run of the same tests has some thousand.
fn second_readers(workspace: &Workspace) -> Result<Ended> {
    let mut command = cargo(workspace);
    command.args(["test", "--quiet", "--package", "twinslot-tests", "--test", "ed25519", "--test", "oracle"]);
    process::run(command.env("TWINSLOT_FULL", "1"))?;
    Ok(Ended::Passed("second readers: ok".to_owned()))
}

/// The table is checked; making its rows takes hours.
fn mutants(workspace: &Workspace) -> Result<Ended> {
    Ok(match mutants::mutants(workspace, &MutantsArguments::CHECK)? {
        Verdict::Whole(words) => Ended::Passed(words),
        Verdict::InPart(words) => Ended::NotRun(words),
    })
}

/// Damage around the loaders that boot Linux, without Linux.
fn refusals(workspace: &Workspace) -> Result<Ended> {
    let closings = linux::RefusalsArguments::SHORT.iter().map(|arguments| linux::refusals(workspace, arguments)).collect::<Result<Vec<_>>>()?;
    Ok(Ended::Passed(closings.join("\n")))
}

/// Every scenario of the boards that boot Linux.
fn linux_scenarios(workspace: &Workspace) -> Result<Ended> {
    with_debian(workspace, || {
        let on = |board: linux::Board| emulate(workspace, &emulate::Request { board: Some(board.name().to_owned()), ..emulate::Request::default() });
        let closings = linux::Board::ALL.into_iter().map(on).collect::<Result<Vec<_>>>()?;
        Ok(closings.join("\n"))
    })
}

/// Debian's kernels are fetched from its archive, which may be out of reach, and does not keep a version for ever.
fn with_debian(workspace: &Workspace, step: impl FnOnce() -> Result<String>) -> Result<Ended> {
    match linux::fetch(workspace) {
        Ok(()) => step().map(Ended::Passed),
        Err(error) => Ok(Ended::NotRun(format!("{error:#}"))),
    }
}

/// The shipped host tool has programming through a debug probe built in.
fn probe(workspace: &Workspace) -> Result<Ended> {
    process::run(cargo(workspace).args(["test", "--quiet", "--package", "hosttool", "--features", "probe"]))?;
    Ok(Ended::Passed("host tool with probe: ok".to_owned()))
}

/// Licences, sources and bans are checked from the lock file; advisories would need the network.
fn deny(workspace: &Workspace) -> Result<Ended> {
    if !process::is_installed("cargo-deny") {
        return Ok(Ended::NotRun("cargo-deny is not installed (`cargo install --locked cargo-deny` takes minutes)".to_owned()));
    }
    let mut command = Command::new("cargo-deny");
    process::run(command.current_dir(workspace.root()).args(["--all-features", "check", "licenses", "bans", "sources"]))?;
    Ok(Ended::Passed("dependencies: ok".to_owned()))
}
