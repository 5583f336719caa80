//! The build step of the boards and of the applications that run on them. Runs on the host, from `build.rs`.
//!
//! Whatever a firmware is linked with comes from the board's `layout.toml`. Built for a host, a firmware is an empty stub and needs none of it.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use twinslot_config::Layout;
use twinslot_config::build::{Board, MemoryRegion, memory_x};
use twinslot_config::layout::{Purpose, Span};

/// Bytes of the loader's RAM for its statics. The stack has all that lies below.
const LOADER_STATICS: u64 = 0x200;

/// Where an image's part begins in its slot: what `hosttool pack --align` rounds up to unless told otherwise.
const PART_OFFSET: u64 = 4096;

/// Bytes at the start of the RAM for images that code which is copied may take. Data and stack have the rest.
const COPIED_CODE: u64 = 0x8_0000;

/// Bytes of the memory that both boards hold code in: SSRAM1. A layout gives a loader the beginning of it. Source: Arm DAI 0386 and DAI 0505, memory maps.
const CODE_MEMORY: u64 = 0x40_0000;

/// Linker arguments of a loader: memory map, start-up code, defmt's symbols, and the constants of `board.rs`.
///
/// # Errors
/// The layout or the trust file can not be used, or a file can not be written.
pub fn loader(layout: impl AsRef<Path>, default_trust: impl AsRef<Path>) -> Result<(), Box<dyn Error>> {
    if is_for_a_host() {
        return Ok(());
    }
    let board = Board::read(layout, default_trust)?;
    print!("{}", board.write_to_out_dir()?);
    link(&loader_memory_x(&board.layout)?)
}

/// Where an application runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In slot A, where it is stored.
    SlotA,
    /// In slot B, where it is stored.
    SlotB,
    /// At the start of the RAM for images: the loader copies it there.
    Ram,
}

impl Place {
    /// The place of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "a" => Some(Self::SlotA),
            "b" => Some(Self::SlotB),
            "ram" => Some(Self::Ram),
            _ => None,
        }
    }
}

/// Linker arguments of an application that runs at `place`, and the constants of `board.rs`.
///
/// # Errors
/// The layout or the trust file can not be used, or a file can not be written.
pub fn application(layout: impl AsRef<Path>, default_trust: impl AsRef<Path>, place: Place) -> Result<(), Box<dyn Error>> {
    let board = Board::read(layout, default_trust)?;
    print!("{}", board.write_to_out_dir()?);
    link(&application_memory_x(&board.layout, place)?)
}

/// Linker arguments of a program that runs in the loader's place, and the constants of `board.rs`. It has all of the code memory, and the RAM for images.
///
/// # Errors
/// The layout or the trust file can not be used, or a file can not be written.
pub fn in_place_of_the_loader(layout: impl AsRef<Path>, default_trust: impl AsRef<Path>) -> Result<(), Box<dyn Error>> {
    let board = Board::read(layout, default_trust)?;
    print!("{}", board.write_to_out_dir()?);
    link(&in_place_of_the_loader_memory_x(&board.layout)?)
}

/// Writes the memory map and links with it. cortex-m-rt wants `device.x` too; the boards use no interrupts, so it is empty.
///
/// # Errors
/// A file can not be written.
pub fn link(memory_x: &str) -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: call this from a build script")?);
    std::fs::write(folder.join("memory.x"), memory_x)?;
    std::fs::write(folder.join("device.x"), "")?;
    println!("cargo::rustc-link-search={}", folder.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    link_logs();
    Ok(())
}

/// Whether this build is the empty stub for a host.
#[must_use]
pub fn is_for_a_host() -> bool {
    env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os != "none")
}

/// defmt's linker script keeps the logger alive; without logs nothing shall.
fn link_logs() {
    println!("cargo::rerun-if-env-changed=DEFMT_LOG");
    if env::var("DEFMT_LOG").is_ok_and(|level| level == "off") {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
}

/// The loader's memory map. The stack lies at the bottom of its RAM: when it overflows, it runs into addresses without memory and faults instead of
/// overwriting something.
fn loader_memory_x(layout: &Layout) -> Result<String, Box<dyn Error>> {
    let code = layout.loader_address().ok_or("layout: the loader's code has no address")?;
    let ram = layout.ram_for(Purpose::Loader).next().ok_or("layout: the loader has no RAM")?;
    let stack_size = ram.size.checked_sub(LOADER_STATICS).ok_or("layout: the loader's RAM is too small")?;
    let statics = ram.base.saturating_add(stack_size);
    Ok(format!(
        "MEMORY\n{{\n  FLASH : ORIGIN = {code:#x}, LENGTH = {:#x}\n  STACK : ORIGIN = {:#x}, LENGTH = {stack_size:#x}\n  \
         RAM : ORIGIN = {statics:#x}, LENGTH = {LOADER_STATICS:#x}\n}}\n_stack_start = ORIGIN(STACK) + LENGTH(STACK);\n_stack_end = ORIGIN(STACK);\n\
         ASSERT(__edata == __sdata, \"a loader has no data with start values: its start-up code copies none\");\n",
        layout.loader.span.size, ram.base,
    ))
}

/// The memory map of a program in the loader's place.
fn in_place_of_the_loader_memory_x(layout: &Layout) -> Result<String, Box<dyn Error>> {
    let origin = layout.loader_address().ok_or("layout: the loader's code has no address")?;
    let ram = layout.ram_for(Purpose::Image).next().ok_or("layout: there is no RAM for images")?;
    Ok(memory_x(MemoryRegion { origin, length: CODE_MEMORY }, MemoryRegion { origin: ram.base, length: ram.size }))
}

/// An application's memory map. What distinguishes one application from another stands in a section of its own, for tools to fill in.
fn application_memory_x(layout: &Layout, place: Place) -> Result<String, Box<dyn Error>> {
    let flash = layout.flash.base.ok_or("layout: the flash has no address")?;
    let image = layout.ram_for(Purpose::Image).next().ok_or("layout: there is no RAM for images")?;
    let in_slot = |slot: Span| MemoryRegion {
        origin: flash.saturating_add(slot.offset).saturating_add(PART_OFFSET),
        length: slot.size.saturating_sub(PART_OFFSET),
    };
    let code = match place {
        Place::SlotA => in_slot(layout.slot_a),
        Place::SlotB => in_slot(layout.slot_b),
        Place::Ram => MemoryRegion { origin: image.base, length: COPIED_CODE },
    };
    let length = image.size.checked_sub(COPIED_CODE).ok_or("layout: the RAM for images is too small")?;
    let ram = MemoryRegion { origin: image.base.saturating_add(COPIED_CODE), length };
    let variant = "SECTIONS\n{\n  .twinslot.variant : ALIGN(4) { KEEP(*(.twinslot.variant)) } > FLASH\n}\nINSERT AFTER .rodata;\n";
    Ok(format!("{}{variant}", memory_x(code, ram)))
}

#[cfg(test)]
mod tests;
