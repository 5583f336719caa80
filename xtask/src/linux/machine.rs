//! One run of the machine: from power-on until it switches itself off, the loader halts, or time is up.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::board::Board;
use crate::qemu::{self, Debugged, Emulator, Observed, Seen, watch_console, with_path_then};

/// How a loader says that it goes no further.
pub(super) const HALTS: &str = "twinslot: halt: ";

/// What the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hardware {
    /// MiB of memory.
    pub(crate) memory: u32,
    /// A sector that can not be read.
    pub(crate) bad_sector: Option<u64>,
    /// What else is attached.
    pub(crate) company: Company,
}

/// Other disks beside the one with the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    /// There is none.
    Alone,
    /// There is one in front of it and one behind it; the one with the slots has the serial number `twinslot`.
    Named,
    /// The same, and no disk has a serial number.
    Nameless,
}

/// What to run.
pub(super) struct Run<'a> {
    pub(super) board: Board,
    pub(super) loader: &'a Path,
    pub(super) disk: Option<&'a Path>,
    pub(super) hardware: Hardware,
    pub(super) folder: &'a Path,
    pub(super) limit: Duration,
    /// The power is cut when a line begins so.
    pub(super) cut_at: Option<&'static str>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The machine switched itself off.
    Off,
    /// The loader halted.
    Halt,
    /// The power was cut when a line began so.
    Cut(&'static str),
    /// The limit of time.
    TimedOut,
}

/// What a run showed.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) lines: Vec<String>,
    pub(super) end: End,
    pub(super) wall: Duration,
}

/// Switches the machine on.
///
/// # Errors
/// The emulator does not start.
pub(super) fn run(run: &Run<'_>) -> Result<Shown> {
    let mut emulator = Emulator::start(&mut command(run)?)?;
    let (sender, observed) = channel();
    watch_console(emulator.console()?, sender);
    Ok(watch(run, &observed))
}

/// The same with bytes in memory before the first instruction, put there through the debugger's interface.
pub(super) fn run_with_memory(run: &Run<'_>, address: u64, bytes: &[u8]) -> Result<Shown> {
    let mut debugged = Debugged::spawn(command(run)?, run.folder)?;
    debugged.set_memory(u32::try_from(address)?, bytes)?;
    let (sender, observed) = channel();
    watch_console(debugged.console()?, sender);
    debugged.let_go()?;
    Ok(watch(run, &observed))
}

fn watch(run: &Run<'_>, observed: &Receiver<Observed>) -> Shown {
    let (started, mut lines) = (Instant::now(), Vec::new());
    let end_at = |line: &str| {
        let cut = run.cut_at.filter(|beginning| line.starts_with(beginning)).map(End::Cut);
        cut.or_else(|| line.starts_with(HALTS).then_some(End::Halt))
    };
    let end = match qemu::watch(observed, run.limit, &mut lines, end_at) {
        Seen::Line(end) => end,
        Seen::Gone => End::Off,
        Seen::TimedOut => End::TimedOut,
    };
    Shown { lines, end, wall: started.elapsed() }
}

/// A command that writes the device tree of the ordinary machine.
pub(super) fn dump_tree(board: Board, loader: &Path, to: &Path) -> Command {
    let mut command = Command::new(board.emulator());
    board.describe(&mut command, loader);
    command.args(["-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none", "-machine"]).arg(with_path_then("dumpdtb=", to, ""));
    command
}

/// The emulator's command, its console piped.
pub(super) fn command(run: &Run<'_>) -> Result<Command> {
    let errors = File::create(run.folder.join("qemu.err")).with_context(|| format!("can not write into {}", run.folder.display()))?;
    let mut command = Command::new(run.board.emulator());
    run.board.describe(&mut command, run.loader);
    command.args(["-accel", "tcg", "-icount", run.board.clock(), "-m", &run.hardware.memory.to_string()]);
    command.args(["-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio"]);
    let company = if run.hardware.company == Company::Alone { &[][..] } else { &["before", "behind"] };
    for name in company {
        command.args(["-blockdev", &format!("driver=null-co,read-zeroes=on,size=1048576,node-name={name}")]);
    }
    // The machine gives its transports from the last one on, and the loader looks from the first one on.
    let mut devices: Vec<String> = company.iter().map(|name| format!("virtio-blk-device,drive={name}")).collect();
    if let Some(disk) = run.disk {
        command.arg("-drive").arg(drive(run, disk)?);
        let serial = if run.hardware.company == Company::Named { ",serial=twinslot" } else { "" };
        devices.insert(devices.len() / 2, format!("virtio-blk-device,drive=disk{serial}"));
    }
    command.args(devices.iter().flat_map(|device| ["-device", device]));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
    Ok(command)
}

fn drive(run: &Run<'_>, disk: &Path) -> Result<OsString> {
    let options = "if=none,id=disk,format=raw,file=";
    let Some(sector) = run.hardware.bad_sector else { return Ok(with_path_then(options, disk, "")) };
    let rules = rules(run.folder, sector)?;
    let options = "if=none,id=disk,driver=raw,file.driver=blkdebug,file.config=";
    let mut argument = with_path_then(options, &rules, ",file.image.driver=file,file.image.filename=");
    argument.push(with_path_then("", disk, ""));
    Ok(argument)
}

/// Every read that begins at this sector fails.
fn rules(folder: &Path, sector: u64) -> Result<PathBuf> {
    let path = folder.join("blkdebug.conf");
    let text = format!("[inject-error]\nevent = \"none\"\niotype = \"read\"\nerrno = \"5\"\nsector = \"{sector}\"\nonce = \"off\"\n");
    std::fs::write(&path, text).with_context(|| format!("can not write {}", path.display()))?;
    Ok(path)
}
