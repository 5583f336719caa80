//! What a boot costs: instructions of the loader and of everything up to userspace, and bytes read from the disk.
//!
//! The counting plugin tells how many instructions had run when the first one of the kernel ran, and the first one of a program. Under `-icount`
//! only the waits for the emulator's disk differ from run to run. The bytes are those that the emulator's disk has delivered.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use twinslot_config::layout::Purpose;

use super::board::Board;
use super::hashes::IN_SOFTWARE;
use super::loader::without_instructions;
use super::machine::{Run, command};
use super::supply::Supply;
use super::table::scenarios;
use crate::budget::Measure;
use crate::plugin::{self, Plan, Report};
use crate::qemu::{Control, Emulator, Observed, watch_console, with_path_then};
use crate::workspace::Workspace;

/// What a counted boot to userspace is bounded by. It takes ten seconds on an idle machine.
const UNHURRIED: Duration = Duration::from_secs(1200);

/// The counts of one boot.
struct Counted {
    /// Instructions from reset to the kernel's first.
    loader: u64,
    /// The same to the first one of a program.
    userspace: u64,
    /// Bytes that the disk delivered.
    read: u64,
}

/// Measures a boot of Debian's kernel on each board.
pub(crate) fn measures(workspace: &Workspace, hosttool: &Path) -> Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for board in Board::ALL {
        measures.extend(measures_on(workspace, board, hosttool)?);
    }
    Ok(measures)
}

/// Never an average: a loader that hashes in software is measured by itself.
fn measures_on(workspace: &Workspace, board: Board, hosttool: &Path) -> Result<Vec<Measure>> {
    let folder = workspace.products("bench")?.join(board.name());
    let supply = Supply::gather(workspace, board, hosttool, &folder)?;
    let scenario = scenarios().into_iter().next().context("there are no scenarios")?;
    let disk = supply.disk(&scenario)?.context("the first scenario has a disk")?;
    let run = Run { board, loader: supply.loader(), disk: Some(&disk), hardware: scenario.hardware, folder: &folder, limit: UNHURRIED, cut_at: None };
    let counting = Counting { plugin: plugin::library(workspace)?, run, marks: marks(&supply) };
    let counted = counting.count()?;
    let shares = match board {
        Board::Aarch64 => {
            let software = counting.count_without_instructions()?;
            vec![("linux-loader-share", counted.loader), ("linux-loader-share-software", software)]
        }
        Board::Riscv64 => vec![("linux-loader-share-riscv64", counted.loader)],
    };
    let measure = |name: &str, value, unit, detail| Measure { name: name.to_owned(), board: Some(board.name()), value, unit, detail };
    let kernel = counted.userspace - counted.loader;
    let share = |(name, loader): (&str, u64)| {
        let value = 100.0 * loader as f64 / (loader + kernel) as f64;
        measure(name, value, "% of instructions", format!("{loader} of {} from reset to userspace", loader + kernel))
    };
    let expected = supply.bytes_to_read(&disk)?;
    let ratio = counted.read as f64 / expected as f64;
    let read = measure("linux-read-ratio", ratio, "of parts, header and journal", format!("{} of {expected} bytes", counted.read));
    Ok(shares.into_iter().map(share).chain([read]).collect())
}

/// Where the kernel begins, and where programs lie: below all code of the machine's, or above all physical memory and below the kernel's half.
fn marks(supply: &Supply) -> Vec<(&'static str, Range<u64>)> {
    let lowest_program = match supply.board() {
        Board::Aarch64 => 0x40_0000,
        Board::Riscv64 => 0x1_0000,
    };
    let image = supply.layout().ram_for(Purpose::Image).map(|ram| ("kernel", ram.base..ram.base + ram.size));
    image.chain([("userspace", lowest_program..0x800_0000), ("userspace", 0x10_0000_0000..0x1_0000_0000_0000)]).collect()
}

struct Counting<'a> {
    plugin: PathBuf,
    run: Run<'a>,
    marks: Vec<(&'static str, Range<u64>)>,
}

impl Counting<'_> {
    /// A boot to userspace.
    fn count(&self) -> Result<Counted> {
        let (mut command, report) = self.command(&self.run, &self.marks)?;
        let socket = self.run.folder.join("control");
        let _ = std::fs::remove_file(&socket);
        command.arg("-qmp").arg(with_path_then("unix:", &socket, ",server=on,wait=off"));
        let mut emulator = Emulator::start(&mut command)?;
        let (sender, _observed) = channel();
        watch_console(emulator.console()?, sender.clone());
        let mut control = Control::connect(&socket, UNHURRIED, sender)?;
        let report = self.wait_for(&report)?;
        let read = delivered(&control.command("query-blockstats", json!({}))?)?;
        Ok(Counted { loader: report.count("kernel")?, userspace: report.count("userspace")?, read })
    }

    /// Instructions of the loader on a processor without SHA-256 instructions.
    fn count_without_instructions(&self) -> Result<u64> {
        let kernel: Vec<_> = self.marks.iter().filter(|(name, _)| *name == "kernel").cloned().collect();
        let loader = self.run.folder.join("software.bin");
        std::fs::write(&loader, without_instructions(&std::fs::read(self.run.loader)?)?)?;
        let (mut command, report) = self.command(&Run { loader: &loader, ..self.run }, &kernel)?;
        let mut emulator = Emulator::start(&mut command)?;
        let (sender, observed) = channel();
        watch_console(emulator.console()?, sender);
        let report = self.wait_for(&report)?;
        let says_so = observed.try_iter().any(|seen| matches!(seen, Observed::Line(line) if line == IN_SOFTWARE));
        ensure!(says_so, "the loader hashes by instructions that it was told are not there");
        report.count("kernel")
    }

    fn command(&self, run: &Run<'_>, marks: &[(&'static str, Range<u64>)]) -> Result<(Command, PathBuf)> {
        let plan = self.run.folder.join("plan");
        let report = Plan { marks: marks.to_vec(), ..Plan::default() }.write(&plan)?;
        let _ = std::fs::remove_file(&report);
        let mut command = command(run)?;
        let mut argument = with_path_then("file=", &self.plugin, "");
        argument.push(with_path_then(",plan=", &plan, ""));
        command.arg("-plugin").arg(argument);
        Ok((command, report))
    }

    /// The report appears whole.
    fn wait_for(&self, report: &Path) -> Result<Report> {
        let started = Instant::now();
        while !report.is_file() {
            ensure!(started.elapsed() < self.run.limit, "no userspace within {} s", self.run.limit.as_secs());
            std::thread::sleep(Duration::from_millis(10));
        }
        Report::read(report)
    }
}

/// Bytes that all disks together have delivered.
fn delivered(statistics: &Value) -> Result<u64> {
    let disks = statistics.as_array().context("qemu has no statistics of its disks")?;
    let bytes = disks.iter().map(|disk| disk.pointer("/stats/rd_bytes").and_then(Value::as_u64)).collect::<Option<Vec<u64>>>();
    bytes.map(|bytes| bytes.iter().sum()).context("qemu does not say how much its disks have delivered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_disks_delivered_is_added_up() {
        let statistics = json!([{ "stats": { "rd_bytes": 512 } }, { "stats": { "rd_bytes": 1024 } }]);
        assert_eq!(delivered(&statistics).ok(), Some(1536));
        assert!(delivered(&json!([{}])).is_err());
    }
}
