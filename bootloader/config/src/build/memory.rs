//! Linker memory maps in the form that cortex-m-rt and riscv-rt read.

use crate::layout::{Layout, Purpose};

use super::BuildError;

/// Where the linker may put something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryRegion {
    /// The first address.
    pub origin: u64,
    /// How many bytes.
    pub length: u64,
}

/// A memory map with code and constants in `flash`, data and stack in `ram`. For an image, `flash` is where its part lies or is copied to.
#[must_use]
pub fn memory_x(flash: MemoryRegion, ram: MemoryRegion) -> String {
    format!(
        "MEMORY\n{{\n  FLASH : ORIGIN = {:#x}, LENGTH = {:#x}\n  RAM : ORIGIN = {:#x}, LENGTH = {:#x}\n}}\n",
        flash.origin, flash.length, ram.origin, ram.length
    )
}

pub(super) fn loader_memory_x(layout: &Layout) -> Result<String, BuildError> {
    let origin = layout.loader_address().ok_or(BuildError::LoaderAddress)?;
    let ram = layout.ram_for(Purpose::Loader).next().ok_or(BuildError::LoaderRam)?;
    let flash = MemoryRegion { origin, length: layout.loader.span.size };
    Ok(memory_x(flash, MemoryRegion { origin: ram.base, length: ram.size }))
}
