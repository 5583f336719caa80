//! Starts the loader on a disk, and judges by the console and the hand-off what it started.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::{Booted, HANDOFF_SIZE, Handoff};
use twinslot_bootloader::journal::Phase;
use twinslot_bootloader::slot;
use twinslot_config::layout::Purpose;

use super::scene::Expected;
use crate::linux::disk::Slot;
use crate::linux::machine::{HALTS, Run, command};
use crate::linux::probe::RUNS;
use crate::linux::supply::Supply;
use crate::linux::table::ORDINARY;
use crate::qemu::{Control, Emulator, Observed, Seen, watch, watch_console, with_path_then};

/// What a boot is bounded by. It takes a fraction of a second.
const LIMIT: Duration = Duration::from_secs(120);

/// What a hand-off begins with. Source: `docs/format.md`.
const MAGIC: &[u8] = b"TWHANDOF";

/// What becomes of what the loader writes to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    /// The disk is the same afterwards.
    Dropped,
}

/// What a boot showed.
pub(super) struct Shown {
    pub(super) lines: Vec<String>,
    /// What the loader left for the image that it started.
    pub(super) handoff: Option<Handoff>,
}

/// Switches the machine on, until an image says that it runs or the loader halts.
pub(super) fn boot(supply: &Supply, disk: &Path, folder: &Path, fate: Fate) -> Result<Shown> {
    let (socket, dump) = (folder.join("control"), folder.join("dump"));
    let run = Run { board: supply.board(), loader: supply.loader(), disk: Some(disk), hardware: ORDINARY, folder, limit: LIMIT, cut_at: None };
    let mut command = command(&run)?;
    if fate == Fate::Dropped {
        command.arg("-snapshot");
    }
    for old in [&socket, &dump] {
        let _ = std::fs::remove_file(old);
    }
    command.args(["-no-reboot", "-no-shutdown"]).arg("-qmp").arg(with_path_then("unix:", &socket, ",server=on,wait=off"));
    let mut emulator = Emulator::start(&mut command)?;
    let console = emulator.console()?;
    let (sender, observed) = channel();
    let seen = Control::connect(&socket, LIMIT, sender.clone()).and_then(|mut control| {
        watch_console(console, sender);
        let (lines, runs) = start_of_image(&observed);
        Ok((lines, if runs { Some(memory(supply, &mut control, &dump)?) } else { None }))
    });
    let status = emulator.end()?;
    let (lines, memory) =
        seen.with_context(|| format!("qemu: {status}, {}", std::fs::read_to_string(folder.join("qemu.err")).unwrap_or_default().trim()))?;
    Ok(Shown { lines, handoff: memory.as_deref().and_then(handoff_in) })
}

/// The memory of the device tree that the image got.
fn memory(supply: &Supply, control: &mut Control, dump: &Path) -> Result<Vec<u8>> {
    let tree = supply.layout().ram_for(Purpose::DeviceTree).next().context("the layout has no RAM for the device tree")?;
    control.command("pmemsave", json!({ "val": tree.base, "size": tree.size, "filename": dump.to_str() }))?;
    std::fs::read(dump).context("qemu wrote no memory dump")
}

fn handoff_in(memory: &[u8]) -> Option<Handoff> {
    let at = memory.windows(MAGIC.len()).position(|window| window == MAGIC)?;
    Handoff::decode(memory.get(at..)?.first_chunk::<HANDOFF_SIZE>()?).ok()
}

/// What the console shows, and whether an image runs at the end.
fn start_of_image(observed: &Receiver<Observed>) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    let decision = |line: &str| if line.starts_with(RUNS) { Some(true) } else { line.starts_with(HALTS).then_some(false) };
    let runs = match watch(observed, LIMIT, &mut lines, decision) {
        Seen::Line(runs) => runs,
        Seen::Gone => false,
        Seen::TimedOut => {
            lines.push(format!("(nothing more for {} s)", LIMIT.as_secs()));
            false
        }
    };
    (lines, runs)
}

/// Lines that no cut in these scenes explains: what is on trial was read back before it was armed, and nothing was given up.
const UNWANTED: [&str; 5] = [
    "twinslot: examined slot=a refused",
    "twinslot: examined slot=b refused",
    "twinslot: examined slot=a read-error",
    "twinslot: examined slot=b read-error",
    "twinslot: revert",
];

impl Shown {
    /// What is wrong with it.
    pub(super) fn complaint(&self, expected: &Expected<'_>) -> Option<String> {
        let wrong = self.wrong(expected)?;
        Some(format!("{wrong}\n{}", self.lines.join("\n")))
    }

    fn wrong(&self, expected: &Expected<'_>) -> Option<String> {
        let says = expected.image.says();
        if let Some(line) = self.lines.iter().find(|line| UNWANTED.iter().any(|unwanted| line.starts_with(unwanted))) {
            return Some(format!("unwanted: {line}"));
        }
        let boots = format!("twinslot: boot slot={} why={}", expected.slot.name(), expected.why.name());
        if !self.lines.contains(&boots) {
            return Some(format!("{boots:?} must come and does not"));
        }
        if self.lines.last() != Some(&says) {
            return Some(format!("{says:?} must be the last line"));
        }
        let Some(handoff) = &self.handoff else { return Some("the image got no hand-off".to_owned()) };
        let phase = if expected.why == Why::Trial { Phase::Trial } else { Phase::Confirmed };
        let (booted, wanted) = ((handoff.booted, handoff.why, handoff.phase), (Booted::Slot(as_slot(expected.slot)), expected.why, phase));
        if booted != wanted {
            return Some(format!("the hand-off says {booted:?} and must say {wanted:?}"));
        }
        (handoff.digest != expected.image.digest()).then(|| format!("the hand-off has another digest than image {}", expected.image.version))
    }
}

const fn as_slot(slot: Slot) -> slot::Slot {
    match slot {
        Slot::A => slot::Slot::A,
        Slot::B => slot::Slot::B,
    }
}

/// What the host tool says about the next boot of a disk, when that is something else than expected.
pub(super) fn explained(supply: &Supply, disk: &Path, expected: &Expected<'_>) -> Result<Option<String>> {
    let explanation: Value = serde_json::from_slice(&supply.explain(disk)?).context("hosttool explain gave no JSON")?;
    let steps = explanation.pointer("/next_boot/steps").and_then(Value::as_array).context("hosttool explain names no steps")?;
    let words: Vec<&str> = steps.iter().filter_map(|step| step.get("step")?.as_str()).collect();
    ensure!(!words.is_empty(), "hosttool explain names no steps");
    let last = words.last().copied().unwrap_or_default();
    let how = match expected.why {
        Why::Trial => "it is on trial",
        _ => "it is preferred and confirmed",
    };
    let fits = last.contains(&format!("boot slot {}: {how}", expected.slot.name()));
    let rejects = words.iter().any(|step| step.contains("is rejected"));
    Ok((!fits || rejects).then(|| format!("hosttool explain: {}", words.join("; "))))
}
