//! `cargo xtask bench`: how fast the loader boots, in instructions, and the host tool packs, against the tools everybody has.

mod instructions;
mod packing;

use anyhow::Result;

use crate::budget::{self, Row};
use crate::emulate::hosttool;
use crate::linux;
use crate::workspace::Workspace;

pub(crate) use packing::Extent;

/// Measures and puts the results beside their budgets.
pub(crate) fn bench(workspace: &Workspace, extent: Extent) -> Result<Vec<Row>> {
    let budgets = budget::read(workspace, "bench")?;
    let mut measures = instructions::measures(workspace)?;
    measures.extend(packing::measures(workspace, extent)?);
    budget::compare(&budgets, measures)
}

/// Measures what boots of Debian's kernel cost, which takes minutes, and puts the results beside their budgets.
pub(crate) fn bench_linux(workspace: &Workspace) -> Result<Vec<Row>> {
    let budgets = budget::read(workspace, "bench-linux")?;
    budget::compare(&budgets, linux::measures(workspace, &hosttool(workspace)?)?)
}
