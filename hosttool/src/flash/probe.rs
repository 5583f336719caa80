//! Programming through a debug probe, with probe-rs.
//!
//! Tested on probe-rs's fake probe (attaching and selection) and on its flash loader (addresses and bytes). It has not met hardware.

use std::ops::Range;

use anyhow::{Context as _, Result, bail};
use probe_rs::{
    MemoryInterface as _, Permissions, Session, Target,
    config::Registry,
    flashing::{self, DownloadOptions, FlashLoader, FlashProgress},
    probe::{DebugProbeInfo, DebugProbeSelector, Probe, list::Lister},
};

use super::{FlashPlan, FlashTarget};

/// A chip behind a debug probe.
#[derive(Debug)]
pub struct ProbeTarget {
    session: Session,
}

impl ProbeTarget {
    /// Attaches to a chip through the one probe that there is, or through the one that `selector` names.
    ///
    /// # Errors
    /// There is no such probe, there are several, or the chip does not answer.
    pub fn attach(lister: &Lister, selector: Option<&str>, chip: &Target) -> Result<Self> {
        let probe = select(lister, selector)?;
        let name = probe.get_name();
        let session = probe.attach(chip.clone(), Permissions::default());
        let session = session.with_context(|| format!("chip {:?} does not answer behind {name}: check wiring, power and --chip", chip.name))?;
        Ok(Self { session })
    }
}

impl FlashTarget for ProbeTarget {
    fn erase(&mut self, range: Range<u64>) -> Result<()> {
        let (start, end) = (range.start, range.end);
        flashing::erase(&mut self.session, &mut FlashProgress::empty(), start, end, false)
            .with_context(|| format!("{start:#x}..{end:#x} can not be erased"))
    }

    fn program(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        let mut loader = self.session.target().flash_loader();
        loader.add_data(address, bytes).with_context(|| outside(address, self.session.target()))?;
        let mut options = DownloadOptions::default();
        options.skip_erase = true;
        loader.commit(&mut self.session, options).with_context(|| format!("{} bytes at {address:#x} can not be programmed", bytes.len()))
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<()> {
        let mut core = self.session.core(0).context("the first core does not answer")?;
        core.read(address, bytes).with_context(|| format!("{} bytes at {address:#x} can not be read back", bytes.len()))
    }
}

/// A chip that probe-rs knows.
///
/// # Errors
/// It knows no such chip.
pub fn known_chip(name: &str) -> Result<Target> {
    let chip = Registry::from_builtin_families().get_target_by_name(name);
    chip.with_context(|| format!("chip {name:?} is not known: give --chip as `probe-rs chip list` names it"))
}

/// Stages a plan in probe-rs's flash loader, which knows where the chip has memory. Touches no hardware.
///
/// # Errors
/// The chip has no memory where the plan wants to program: the wrong chip, or another board's layout.
pub fn stage(plan: &FlashPlan, chip: &Target) -> Result<FlashLoader> {
    let mut loader = chip.flash_loader();
    for piece in &plan.pieces {
        loader.add_data(piece.address, &piece.bytes).with_context(|| outside(piece.address, chip))?;
    }
    Ok(loader)
}

fn outside(address: u64, chip: &Target) -> String {
    format!("chip {:?} has no memory for what goes to {address:#x}: --chip and --layout are of different boards", chip.name)
}

fn select(lister: &Lister, selector: Option<&str>) -> Result<Probe> {
    let selector = selector
        .map(|text| text.parse::<DebugProbeSelector>().with_context(|| format!("--probe {text:?}: expected VID:PID or VID:PID:SERIAL")))
        .transpose()?;
    let probes = lister.list(selector.as_ref());
    match (probes.as_slice(), &selector) {
        ([], None) => bail!("no debug probe found: plug one in, and check that you may use it (udev rules)"),
        ([], Some(selector)) => bail!("no debug probe {selector}: the ones there are: {}", names(&lister.list_all())),
        ([probe], _) => lister.open(probe).with_context(|| format!("{probe}: can not be opened")),
        (several, _) => bail!("{} debug probes found: choose one with --probe VID:PID:SERIAL: {}", several.len(), names(several)),
    }
}

fn names(probes: &[DebugProbeInfo]) -> String {
    let names: Vec<String> = probes.iter().map(ToString::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { names.join("; ") }
}
