//! Instructions of a confirmed boot, from reset to the first instruction of the image, counted one by one.
//!
//! What belongs to the signature and to the hash is told by the addresses of their functions, inlined or not, and by the calls that these make:
//! copying memory for a signature is part of it.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::board::Board;
use crate::budget::Measure;
use crate::elf::Firmware;
use crate::emulate::hosttool;
use crate::firmware::Logging;
use crate::plugin::{self, Plan, Report};
use crate::qemu::{Launch, Limits, Machine, PluginRun};
use crate::scenario::{AnchorFile, CONFIRMED_BOOT, Calibration, Fixture};
use crate::size::flash_range;
use crate::workspace::Workspace;

/// Parts of the mangled names of everything that a signature takes, and of the hash inside it.
const SIGNATURE: [&str; 4] = ["ed25519", "salty", "fe25519", "sha512"];

/// The same for the hash over header and image.
const HASH: [&str; 1] = ["sha256"];

pub(super) fn measures(workspace: &Workspace) -> Result<Vec<Measure>> {
    let (hosttool, plugin) = (hosttool(workspace)?, plugin::library(workspace)?);
    let mut measures = Vec::new();
    for board in Board::ALL {
        let folder = workspace.products("bench")?.join(board.name());
        let mut fixture = Fixture::new(workspace, board, &hosttool, &folder, Logging::Off)?;
        measures.extend(count(&mut fixture, &plugin).with_context(|| format!("board {}", board.name()))?);
    }
    Ok(measures)
}

fn count(fixture: &mut Fixture, plugin: &Path) -> Result<Vec<Measure>> {
    let calibration = Calibration::measure(fixture)?;
    let loader = fixture.loader(AnchorFile::Default)?;
    let flash = fixture.folder().join("confirmed.img");
    fixture.prepare(&CONFIRMED_BOOT.flash, &CONFIRMED_BOOT.changes, &flash)?;
    let report = run(fixture, plugin, &loader, &flash, calibration.limits())?;
    let (total, signature, hash) = (report.count("instructions")?, report.count("signature")?, report.count("hash")?);
    let outside = total - signature - hash;
    let board = Some(fixture.board().name());
    let measure = |name: &str, value: u64, unit, detail| Measure { name: name.to_owned(), board, value: value as f64, unit, detail };
    let split = format!("{signature} in the signature, {hash} in the hash, {outside} outside");
    Ok(vec![
        measure("boot-instructions", total, "instructions", split),
        measure("boot-instructions-outside-crypto", outside, "instructions", "journal, header, manifest, console, jump".to_owned()),
        measure("confirmed-boot-flash-writes", report.count("stores")?, "stores", "counted by the emulator, flash range".to_owned()),
    ])
}

fn run(fixture: &Fixture, plugin: &Path, loader: &Path, flash: &Path, limits: Limits) -> Result<Report> {
    let folder = tempfile::tempdir_in(fixture.folder())?;
    let path = folder.path().join("plan");
    let report = plan(fixture, loader)?.write(&path)?;
    let plugin = Some(PluginRun { file: plugin, plan: &path });
    let launch = Launch { board: fixture.board(), loader, flash, folder: folder.path(), plugin, fill: None };
    Machine::start(&launch)?.watch_loader(limits, &report)?;
    Report::read(&report)
}

fn plan(fixture: &Fixture, loader: &Path) -> Result<Plan> {
    let elf = Firmware::read(loader)?;
    let flash = flash_range(fixture.layout())?;
    let mut plan = Plan { jumps: vec![flash.clone()], stores: Some(flash), ..Plan::default() };
    for (name, words) in [("signature", &SIGNATURE[..]), ("hash", &HASH[..])] {
        for range in elf.functions(words)? {
            plan.calls.extend(elf.calls(&range)?.into_iter().map(|(from, back)| (name, from, back)));
            plan.buckets.push((name, range));
        }
    }
    Ok(plan)
}
