//! `hosttool flash`: programs a board through a debug probe.

use std::fmt;

use serde::Serialize;
use twinslot_config::Layout;

use crate::{
    assemble::Sources,
    flash::{Erase, FlashPlan, Piece},
    report::{Failure, Outcome},
};

/// Arguments of `hosttool flash`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// The chip, as probe-rs names it. Without it, the layout's chip.
    #[arg(long, value_name = "C")]
    chip: Option<String>,
    /// The debug probe, when there are several: VID:PID or VID:PID:SERIAL.
    #[arg(long, value_name = "SEL")]
    probe: Option<String>,
    /// Say what would be erased and programmed, and touch nothing.
    #[arg(long)]
    dry_run: bool,
}

/// A flash that was programmed, or would be.
#[derive(Debug, Serialize)]
pub struct Flashed {
    chip: String,
    board: String,
    dry_run: bool,
    #[serde(flatten)]
    plan: FlashPlan,
}

/// Programs a board.
///
/// # Errors
/// A file can not be used or is refused, the probe or the chip is not there, or the flash does not hold what was programmed.
pub fn run(arguments: &Arguments) -> Outcome {
    let (plan, layout) = FlashPlan::prepare(&arguments.sources)?;
    let chip = arguments.chip.clone().unwrap_or_else(|| layout.chip.clone());
    if !arguments.dry_run {
        program(arguments, &plan, &chip, &layout)?;
    }
    super::done(Flashed { chip, board: layout.board, dry_run: arguments.dry_run, plan })
}

#[cfg(feature = "probe")]
fn program(arguments: &Arguments, plan: &FlashPlan, chip: &str, _layout: &Layout) -> Result<(), Failure> {
    use crate::flash::{carry_out, probe};
    let chip = probe::known_chip(chip)?;
    probe::stage(plan, &chip)?;
    let mut target = probe::ProbeTarget::attach(&probe_rs::probe::list::Lister::new(), arguments.probe.as_deref(), &chip)?;
    let bar = bar(plan.total_bytes());
    let carried_out = carry_out(plan, &mut target, |progress| {
        bar.set_message(format!("{:?} {}", progress.activity, progress.region));
        bar.inc(progress.bytes);
    });
    bar.finish_and_clear();
    carried_out
}

/// A bar on standard error when that is a terminal, else nothing.
#[cfg(feature = "probe")]
fn bar(total: u64) -> indicatif::ProgressBar {
    let style = indicatif::ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg}");
    let bar = indicatif::ProgressBar::new(total);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(not(feature = "probe"))]
fn program(_arguments: &Arguments, _plan: &FlashPlan, _chip: &str, layout: &Layout) -> Result<(), Failure> {
    Err(Failure::Trouble(anyhow::anyhow!(
        "{}: this build of hosttool has no debug probe support: build it with `--features probe`, or use --dry-run",
        layout.board
    )))
}

impl fmt::Display for Flashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (erase, program) = if self.dry_run { ("would erase", "would program") } else { ("erased", "programmed and verified") };
        writeln!(f, "{} on {}", self.board, self.chip)?;
        for Erase { region, range } in &self.plan.erases {
            writeln!(f, "  {erase} {region} {:#x}..{:#x}", range.start, range.end)?;
        }
        for Piece { region, address, bytes } in &self.plan.pieces {
            writeln!(f, "  {program} {region} {} bytes at {address:#x}", bytes.len())?;
        }
        Ok(())
    }
}
