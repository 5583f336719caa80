//! How much a loader for Linux takes: bytes of its flash, and of its RAM.
//!
//! The stack is painted before the first instruction, and looked at once the loader has halted or its image has switched the machine off. The deepest
//! of all situations without Linux counts. Where the emulator ends with the machine nothing is left to look at, and the RAM is not measured.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use object::{Object as _, ObjectSymbol as _};
use serde_json::json;

use super::board::Board;
use super::machine::{HALTS, Run, command};
use super::probe::RUNS;
use super::supply::Supply;
use super::table::{Scenario, scenarios};
use crate::budget::Measure;
use crate::firmware;
use crate::qemu::{Control, Emulator, Observed, Seen, watch, watch_console, with_path_then};
use crate::size::{PAINT, depth};
use crate::workspace::Workspace;

/// What a run without Linux is bounded by. It takes a fraction of a second.
const UNHURRIED: Duration = Duration::from_secs(120);

/// Measures the loaders of all boards.
pub(crate) fn sizes(workspace: &Workspace, hosttool: &Path) -> Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for board in Board::ALL {
        let elf = std::fs::read(firmware::linux_loader(workspace, board)?)?;
        let places = Places::read(&elf)?;
        let measure =
            |name: &str, value: u64, detail| Measure { name: name.to_owned(), board: Some(board.name()), value: value as f64, unit: "bytes", detail };
        let code = super::loader::flat(&elf, places.code_start)?.len() as u64;
        measures.push(measure("linux-loader-code", code, "code, constants and start values, as the flash holds them".to_owned()));
        if !board.stays_after_power_off() {
            continue;
        }
        let folder = workspace.products("size")?.join(board.name());
        let (stack, deepest) = deepest(&Supply::gather(workspace, board, hosttool, &folder)?, &places)?;
        let detail = format!("{} static + {stack} stack in {deepest}", places.statics);
        measures.push(measure("linux-loader-ram", places.statics + stack, detail));
    }
    Ok(measures)
}

/// Where the linker has put things.
struct Places {
    code_start: u64,
    stack_bottom: u64,
    stack_top: u64,
    /// Bytes of all variables.
    statics: u64,
}

impl Places {
    fn read(elf: &[u8]) -> Result<Self> {
        let file = object::File::parse(elf).context("the loader is no ELF file")?;
        let symbol =
            |name: &str| file.symbol_by_name(name).map(|symbol| symbol.address()).with_context(|| format!("the loader has no symbol {name}"));
        let statics = symbol("_data_end")? - symbol("_data_start")? + symbol("_bss_end")? - symbol("_bss_start")?;
        Ok(Self { code_start: symbol("_start")?, stack_bottom: symbol("_stack_bottom")?, stack_top: symbol("_stack_top")?, statics })
    }
}

fn deepest(supply: &Supply, places: &Places) -> Result<(u64, &'static str)> {
    let mut deepest = (0, "no boot");
    for scenario in scenarios().iter().filter(|scenario| scenario.needs_probe()) {
        let depth = stack_depth(supply, scenario, places).with_context(|| format!("the stack in {}", scenario.name))?;
        deepest = deepest.max((depth, scenario.name));
    }
    Ok(deepest)
}

fn stack_depth(supply: &Supply, scenario: &Scenario, places: &Places) -> Result<u64> {
    let disk = supply.disk(scenario)?;
    let folder = tempfile::tempdir_in(supply.folder())?;
    let (paint, dump, socket) = (folder.path().join("paint"), folder.path().join("dump"), folder.path().join("control"));
    let size = places.stack_top - places.stack_bottom;
    std::fs::write(&paint, vec![PAINT; usize::try_from(size)?])?;
    let run = Run {
        board: supply.board(),
        loader: supply.loader(),
        disk: disk.as_deref(),
        hardware: scenario.hardware,
        folder: folder.path(),
        limit: UNHURRIED,
        cut_at: None,
    };
    let mut command = command(&run)?;
    command.arg("-device").arg(with_path_then("loader,file=", &paint, &format!(",addr={:#x},force-raw=on", places.stack_bottom)));
    // A reset would paint the stack anew: the machine stops instead.
    command.args(["-no-reboot", "-no-shutdown"]).arg("-qmp").arg(with_path_then("unix:", &socket, ",server=on,wait=off"));
    let mut emulator = Emulator::start(&mut command)?;
    let console = emulator.console()?;
    let (sender, observed) = channel();
    let dumped = Control::connect(&socket, UNHURRIED, sender.clone()).and_then(|mut control| {
        watch_console(console, sender);
        wait_for_end(&observed)?;
        control.command("pmemsave", json!({ "val": places.stack_bottom, "size": size, "filename": dump.to_str() })).map(|_| ())
    });
    let status = emulator.end()?;
    dumped.with_context(|| format!("qemu: {status}, {}", std::fs::read_to_string(folder.path().join("qemu.err")).unwrap_or_default().trim()))?;
    depth(&std::fs::read(&dump).context("qemu wrote no memory dump")?)
}

/// The loader has halted, or the image that it started has said that it runs.
fn wait_for_end(observed: &Receiver<Observed>) -> Result<()> {
    match watch(observed, UNHURRIED, &mut Vec::new(), |line| (line.starts_with(HALTS) || line == RUNS).then_some(())) {
        Seen::Line(()) => Ok(()),
        Seen::Gone => bail!("qemu ended by itself"),
        Seen::TimedOut => bail!("the loader did not decide within {} s", UNHURRIED.as_secs()),
    }
}
