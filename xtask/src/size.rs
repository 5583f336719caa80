//! `cargo xtask size`: how much code, constants and RAM the loaders take, as they ship.
//!
//! Stack depth is measured, not estimated: before the first instruction the loader's stack is painted with a pattern, and once it has decided, the
//! lowest byte that no longer has the pattern tells how deep it was. The deepest of several boots counts.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use twinslot_config::Layout;
use twinslot_config::layout::Purpose;

use crate::board::Board;
use crate::budget::{self, Measure, Row};
use crate::elf::Firmware;
use crate::emulate::hosttool;
use crate::firmware::Logging;
use crate::linux;
use crate::plugin::{self, Plan};
use crate::qemu::{Launch, Limits, Machine, PluginRun};
use crate::scenario::{AnchorFile, Calibration, Fixture, Situation, situations};
use crate::workspace::Workspace;

/// What the stack is painted with.
pub(crate) const PAINT: u8 = 0xc5;

/// Measures both loaders and puts the results beside their budgets.
pub(crate) fn size(workspace: &Workspace) -> Result<Vec<Row>> {
    let budgets = budget::read(workspace, "size")?;
    let (hosttool, plugin) = (hosttool(workspace)?, plugin::library(workspace)?);
    let mut measures = Vec::new();
    for board in Board::ALL {
        let folder = workspace.products("size")?.join(board.name());
        let fixture = Fixture::new(workspace, board, &hosttool, &folder, Logging::Off)?;
        measures.extend(Subject { fixture, plugin: &plugin }.measures()?);
    }
    measures.extend(linux::sizes(workspace, &hosttool)?);
    budget::compare(&budgets, measures)
}

struct Subject<'a> {
    fixture: Fixture,
    plugin: &'a Path,
}

impl Subject<'_> {
    fn measures(mut self) -> Result<Vec<Measure>> {
        let loader = self.fixture.loader(AnchorFile::Default)?;
        let elf = Firmware::read(&loader)?;
        let sizes = elf.sizes()?;
        let code = sizes.code + sizes.read_only_data + sizes.data;
        let code_detail = format!("{} code + {} constants + {} start values", sizes.code, sizes.read_only_data, sizes.data);
        let (stack, deepest) = self.deepest_stack(&loader, elf.initial_stack_pointer()?)?;
        let fixed = shared_ram(self.fixture.layout());
        let statics = sizes.data + sizes.zeroed;
        let ram_detail = format!("{statics} static + {stack} stack in {deepest}; beside it {fixed} shared with images: hand-off and marker");
        let board = Some(self.fixture.board().name());
        let measure = |name: &str, value: u64, detail| Measure { name: name.to_owned(), board, value: value as f64, unit: "bytes", detail };
        Ok(vec![measure("loader-code", code, code_detail), measure("loader-ram", statics + stack, ram_detail)])
    }

    fn deepest_stack(&mut self, loader: &Path, top: u64) -> Result<(u64, &'static str)> {
        let calibration = Calibration::measure(&mut self.fixture)?;
        let mut deepest = (0, "no boot");
        for Situation { name, flash, changes } in situations(self.fixture.board()) {
            let path = self.fixture.folder().join(format!("{name}.img"));
            self.fixture.prepare(&flash, &changes, &path)?;
            let depth = self.stack_depth(loader, &path, top, calibration.limits()).with_context(|| format!("the boot {name}"))?;
            deepest = deepest.max((depth, name));
        }
        Ok(deepest)
    }

    fn stack_depth(&self, loader: &Path, flash: &Path, top: u64, limits: Limits) -> Result<u64> {
        let folder = tempfile::tempdir_in(self.fixture.folder())?;
        let base = self.fixture.layout().ram_for(Purpose::Loader).next().context("the layout has no RAM for the loader")?.base;
        let painted = folder.path().join("paint");
        std::fs::write(&painted, vec![PAINT; usize::try_from(top - base)?])?;
        let plan = folder.path().join("plan");
        let report = Plan { jumps: image_ranges(self.fixture.layout())?, ..Plan::default() }.write(&plan)?;
        let launch = Launch {
            board: self.fixture.board(),
            loader,
            flash,
            folder: folder.path(),
            plugin: Some(PluginRun { file: self.plugin, plan: &plan }),
            fill: Some((&painted, base)),
        };
        let mut machine = Machine::start(&launch)?;
        machine.watch_loader(limits, &report)?;
        let dump = folder.path().join("dump");
        machine.command("memsave", json!({ "val": base, "size": top - base, "filename": dump.to_str(), "cpu-index": 0 }))?;
        depth(&std::fs::read(&dump).context("qemu wrote no memory dump")?)
    }
}

/// The memory that the loader shares with what it boots.
fn shared_ram(layout: &Layout) -> u64 {
    [Purpose::Handoff, Purpose::Marker].into_iter().flat_map(|purpose| layout.ram_for(purpose)).map(|ram| ram.size).sum()
}

/// Where images run: in place in the flash, or in the RAM for images.
fn image_ranges(layout: &Layout) -> Result<Vec<Range<u64>>> {
    let ram = layout.ram_for(Purpose::Image).map(|ram| ram.base..ram.base + ram.size);
    Ok(ram.chain([flash_range(layout)?]).collect())
}

/// Where the flash lies.
pub(crate) fn flash_range(layout: &Layout) -> Result<Range<u64>> {
    let base = layout.flash.base.context("the layout's flash has no address")?;
    Ok(base..base + layout.flash_extent())
}

/// Bytes from the first one that lost its paint to the top.
pub(crate) fn depth(stack: &[u8]) -> Result<u64> {
    let untouched = stack.iter().position(|byte| *byte != PAINT).context("nothing was ever pushed: the paint is not where the stack is")?;
    ensure!(untouched > 0, "the stack was used to its last byte");
    Ok((stack.len() - untouched) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_depth_is_counted_from_the_lowest_byte_that_lost_its_paint() {
        assert_eq!(depth(&[PAINT, PAINT, 0, PAINT, 1]).ok(), Some(3));
        assert!(depth(&[PAINT; 4]).is_err());
        assert!(depth(&[0; 4]).is_err());
    }
}
