//! One run without a control connection: nothing of the board is seen but its console, and starting costs the least that it can.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::emulator::{Emulator, Seen, watch};
use super::machine::{Launch, board_command, watch_console};

const SIGKILL: i32 = 9;

/// What a run without a control connection showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Console lines in their order.
    pub(crate) lines: Vec<String>,
    pub(crate) end: End,
}

/// How such a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The awaited line came; the power was cut then.
    AtLine,
    /// The plugin cut the power.
    Cut,
    /// The limit of time.
    TimedOut,
}

/// Switches the board on and cuts its power when `is_last` says so of a console line, or after `time`. Launches with a `fill` are not for this.
///
/// # Errors
/// The emulator does not start, or ends by itself.
pub(crate) fn run_until(launch: &Launch, time: Duration, is_last: impl Fn(&str) -> bool) -> Result<Shown> {
    let mut command = board_command(launch);
    let errors = File::create(launch.folder.join("qemu.err")).with_context(|| format!("can not write into {}", launch.folder.display()))?;
    let mut emulator = Emulator::start(command.stderr(errors))?;
    let (sender, observed) = channel();
    watch_console(emulator.console()?, sender);
    let mut lines = Vec::new();
    let end = match watch(&observed, time, &mut lines, |line| is_last(line).then_some(())) {
        Seen::Gone => ending(&mut emulator, launch)?,
        Seen::Line(()) => End::AtLine,
        Seen::TimedOut => End::TimedOut,
    };
    emulator.end()?;
    Ok(Shown { lines, end })
}

/// A power cut is a SIGKILL; any other end is the emulator's own, and no run of a board.
fn ending(emulator: &mut Emulator, launch: &Launch) -> Result<End> {
    let status = emulator.wait()?;
    if status.signal() == Some(SIGKILL) {
        return Ok(End::Cut);
    }
    let words = std::fs::read_to_string(launch.folder.join("qemu.err")).unwrap_or_default();
    bail!("qemu ended by itself ({status}): {}", words.trim())
}
