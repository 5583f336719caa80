//! The build step of the boards and of the applications that run on them. Runs on the host, from `build.rs`.
//!
//! Whatever a firmware is linked with comes from the board's `layout.toml`. Built for a host, a firmware is an empty stub and needs none of it.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use twinslot_config::Layout;
use twinslot_config::build::Board;
use twinslot_config::layout::Purpose;

/// Bytes of the loader's RAM for its statics. The stack has all that lies below.
const LOADER_STATICS: u64 = 0x200;

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
         RAM : ORIGIN = {statics:#x}, LENGTH = {LOADER_STATICS:#x}\n}}\n_stack_start = ORIGIN(STACK) + LENGTH(STACK);\n_stack_end = ORIGIN(STACK);\n",
        layout.loader.span.size, ram.base,
    ))
}
