//! One run without a control connection: nothing of the board is seen but its console, and starting costs the least that it can.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::machine::{Launch, board_command, watch_console};
use super::observe::{Ended, Observed};

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
    let mut child = command.stderr(errors).spawn().context("can not start qemu-system-arm; run `cargo xtask setup`")?;
    let (sender, observed) = channel();
    let console = child.stdout.take().context("qemu has no console")?;
    watch_console(console, sender);
    let mut lines = Vec::new();
    let ended = watch(&observed, time, &mut lines, is_last);
    let end = match ended {
        Ended::Gone => ending(&mut child, launch)?,
        Ended::AtRest => End::AtLine,
        Ended::TimedOut | Ended::TooManyBoots => End::TimedOut,
    };
    let _ = child.kill();
    child.wait().context("can not tell whether qemu has ended")?;
    Ok(Shown { lines, end })
}

fn watch(observed: &Receiver<Observed>, time: Duration, lines: &mut Vec<String>, is_last: impl Fn(&str) -> bool) -> Ended {
    let started = Instant::now();
    loop {
        match observed.recv_timeout(time.saturating_sub(started.elapsed())) {
            Ok(Observed::Line(line)) => {
                let ends = is_last(&line);
                lines.push(line);
                if ends {
                    return Ended::AtRest;
                }
            }
            Ok(Observed::Reset(_)) => {}
            Ok(Observed::Gone) | Err(RecvTimeoutError::Disconnected) => return Ended::Gone,
            Err(RecvTimeoutError::Timeout) => return Ended::TimedOut,
        }
    }
}

/// A power cut is a SIGKILL; any other end is the emulator's own, and no run of a board.
fn ending(child: &mut Child, launch: &Launch) -> Result<End> {
    let status = child.wait().context("can not tell how qemu ended")?;
    if status.signal() == Some(SIGKILL) {
        return Ok(End::Cut);
    }
    let words = std::fs::read_to_string(launch.folder.join("qemu.err")).unwrap_or_default();
    bail!("qemu ended by itself ({status}): {}", words.trim())
}
