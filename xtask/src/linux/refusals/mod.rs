//! `cargo xtask refusals`: the Linux loader on damaged headers, parts, journals, device trees and disks, by the hundred and without Linux.
//!
//! Each case changes a host whose slots both hold a good image. The loader must say what it does: start a slot whose image is as it was signed, or
//! halt with a name. A silent end, an exception or a panic fails the case, and so does the start of a slot that must be refused. Everything follows
//! from the seed and the number of the case.

mod case;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::board::Board;
use super::disk::Slot;
use super::machine::{End, HALTS, Run, Shown, run, run_with_memory};
use super::supply::Supply;
use crate::emulate::hosttool;
use crate::scenario::SEED;
use crate::workspace::Workspace;
use case::{Case, Host, Kind};

/// Cases of a short run and of a full one.
const SHORT: u64 = 60;
const FULL: u64 = 1200;

/// Machines that run side by side.
const LANES: u64 = 2;

/// What one case is bounded by: it takes a tenth of a second, and a disk that does not answer is given 30 s of the guest's time.
const LIMIT: Duration = Duration::from_secs(120);

/// The words of the command line.
#[derive(Debug, Args)]
pub(crate) struct RefusalsArguments {
    /// The board
    #[arg(long, value_name = "NAME", value_parser = board, default_value = Board::Aarch64.name())]
    board: Board,
    /// More than a thousand cases instead of some dozens
    #[arg(long)]
    full: bool,
    /// Other cases than those of every run
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
    /// One case only, with all that the console showed
    #[arg(long, value_name = "N")]
    case: Option<u64>,
}

impl RefusalsArguments {
    /// What CI runs.
    pub(crate) const SHORT: [Self; 2] = [Self::short(Board::Aarch64), Self::short(Board::Riscv64)];

    const fn short(board: Board) -> Self {
        Self { board, full: false, seed: SEED, case: None }
    }
}

/// Runs the cases and returns the table of what came of them; a case that ends in anything unnamed is an error.
pub(crate) fn refusals(workspace: &Workspace, arguments: &RefusalsArguments) -> Result<String> {
    let board = arguments.board;
    let folder = workspace.products(&format!("refusals-{}", board.name()))?;
    let supply = Supply::gather(workspace, board, &hosttool(workspace)?, &folder)?;
    let host = Host::new(&supply)?;
    if let Some(number) = arguments.case {
        let ended = play(&host, &folder, Case { seed: arguments.seed, number })?;
        return Ok(format!("case {number}, {}: {}\n{}", ended.kind.name(), ended.verdict.unwrap_or_else(|words| words), ended.lines.join("\n")));
    }
    let count = if arguments.full { FULL } else { SHORT };
    let all = play_all(&host, &folder, (arguments.seed, count))?;
    judge(board, &all, arguments.seed)
}

/// The board of a name.
fn board(name: &str) -> Result<Board, String> {
    let names = Board::ALL.map(Board::name).join(", ");
    Board::named(name).ok_or_else(|| format!("the boards that boot Linux are {names}"))
}

/// What came of one case.
struct Ended {
    case: Case,
    kind: Kind,
    /// What the loader did, or what is wrong with that.
    verdict: Result<String, String>,
    lines: Vec<String>,
}

fn play_all(host: &Host, folder: &Path, (seed, count): (u64, u64)) -> Result<Vec<Ended>> {
    let next = AtomicU64::new(0);
    let lane = &|number: u64| -> Result<Vec<Ended>> {
        let folder = folder.join(format!("lane-{number}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("can not make the folder {}", folder.display()))?;
        let mut all = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(all);
            }
            all.push(play(host, &folder, Case { seed, number }).with_context(|| format!("case {number}"))?);
        }
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(move || lane(number))).collect();
        let mut all = Vec::new();
        for lane in lanes {
            all.extend(lane.join().map_err(|_| anyhow::anyhow!("the thread of a machine died"))??);
        }
        Ok(all)
    })
}

fn play(host: &Host, folder: &Path, case: Case) -> Result<Ended> {
    let disk = folder.join("disk.img");
    let change = case.apply(host, &disk)?;
    let run_of = Run {
        board: host.board,
        loader: &host.loader,
        disk: change.has_disk.then_some(disk.as_path()),
        hardware: change.hardware,
        folder,
        limit: LIMIT,
        cut_at: Some(STARTS),
    };
    let shown = match &change.memory {
        None => run(&run_of)?,
        Some((address, bytes)) => run_with_memory(&run_of, *address, bytes)?,
    };
    Ok(Ended { case, kind: change.kind, verdict: verdict(&shown, change.kind, &change.refused), lines: shown.lines })
}

/// How the loader says that it starts an image. What that does then is not looked at.
const STARTS: &str = "twinslot: boot slot=";

/// What must never be the reason of a halt.
const UNNAMED: [&str; 2] = ["exception in the loader", "the loader panicked"];

/// How a halt begins that is a decision: no slot holds an image that can be started.
const DECIDED: &str = "code=";

/// What the loader did, or what is wrong with that. Nothing that is signed halts it once it has decided for an image.
fn verdict(shown: &Shown, kind: Kind, refused: &[Slot]) -> Result<String, String> {
    let last = shown.lines.last().map_or("", String::as_str);
    match shown.end {
        End::Halt => match last.strip_prefix(HALTS) {
            Some(reason) if UNNAMED.iter().any(|unnamed| reason.starts_with(unnamed)) => Err(format!("the loader ended with: {reason}")),
            Some(reason) if kind == Kind::SignedTree && !reason.starts_with(DECIDED) => Err(format!("it had decided, and halts: {reason}")),
            Some(reason) => Ok(format!("halts: {}", reason.split(' ').take_while(|word| !word.ends_with(';')).collect::<Vec<_>>().join(" "))),
            None => Err(format!("it halted with {last:?}")),
        },
        End::Cut(_) => {
            let slot = last.strip_prefix(STARTS).and_then(|rest| rest.get(..1)).unwrap_or("?");
            let is_refused = refused.iter().any(|refused| refused.name() == slot);
            if is_refused { Err(format!("it starts slot {slot}, which is not what was signed")) } else { Ok(format!("starts slot {slot}")) }
        }
        End::Off => Err("the machine switched itself off without a word".to_owned()),
        End::TimedOut => Err(format!("nothing more for {} s after {last:?}", LIMIT.as_secs())),
    }
}

/// The table of all cases by kind and outcome, or the failures as an error.
fn judge(board: Board, all: &[Ended], seed: u64) -> Result<String> {
    let mut table: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut failures = Vec::new();
    for ended in all {
        match &ended.verdict {
            Ok(words) => *table.entry((ended.kind.name(), words)).or_default() += 1,
            Err(words) => {
                failures.push(format!("--board {} --seed {seed} --case {}, {}: {words}", board.name(), ended.case.number, ended.kind.name()));
            }
        }
    }
    let rows: Vec<String> = table.iter().map(|((kind, words), count)| format!("{count:>5}  {kind:<24}{words}")).collect();
    let closing = format!(
        "{}\n{}: {} cases, {} ended with a name, {} did not",
        rows.join("\n"),
        board.name(),
        all.len(),
        all.len() - failures.len(),
        failures.len()
    );
    if failures.is_empty() {
        return Ok(closing);
    }
    bail!("{closing}\n{}", failures.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(end: End, last: &str) -> Shown {
        Shown { lines: vec![last.to_owned()], end, wall: Duration::ZERO }
    }

    #[test]
    fn only_a_named_halt_and_a_slot_as_it_was_signed_are_ends() {
        let halts_for = |kind, words: &str| verdict(&shown(End::Halt, &format!("{HALTS}{words}")), kind, &[]);
        let halts = |words| halts_for(Kind::Tree, words);
        assert!(halts("code=1 no image").is_ok());
        assert!(halts("exception in the loader: syndrome 0x0").is_err());
        assert!(halts("the loader panicked").is_err());
        assert!(halts("the device tree is damaged").is_ok(), "the machine's");
        assert!(halts_for(Kind::SignedTree, "the device tree is damaged").is_err());
        assert!(halts_for(Kind::SignedTree, "code=55 the device tree is not one").is_ok());
        let starts = |slot| verdict(&shown(End::Cut(STARTS), &format!("{STARTS}{slot} why=confirmed")), Kind::Header, &[Slot::A]);
        assert!(starts("b").is_ok());
        assert!(starts("a").is_err());
        assert!(verdict(&shown(End::Off, ""), Kind::Header, &[]).is_err());
        assert!(verdict(&shown(End::TimedOut, "twinslot: TEST KEYS"), Kind::Header, &[]).is_err());
    }
}
