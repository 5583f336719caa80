//! The build step of the boards. Runs on the host, from `build.rs`.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use twinslot_config::Layout;
use twinslot_config::build::Board;
use twinslot_config::layout::Purpose;

/// Linker arguments of a loader, its memory map, and the constants of `board.rs`.
///
/// # Errors
/// The layout or the trust file can not be used, or a file can not be written.
pub fn loader(layout: impl AsRef<Path>, default_trust: impl AsRef<Path>) -> Result<(), Box<dyn Error>> {
    if is_for_a_host() {
        return Ok(());
    }
    let board = Board::read(layout, default_trust)?;
    print!("{}", board.write_to_out_dir()?);
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: call this from a build script")?);
    let script = folder.join("loader.ld");
    std::fs::write(&script, linker_script(&board.layout)?)?;
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bins=--no-dynamic-linker");
    Ok(())
}

/// Whether this build is the empty stub for a host.
fn is_for_a_host() -> bool {
    env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os != "none")
}

/// The stack lies at the bottom of the loader's RAM, its statics above: what overflows reaches no static.
fn linker_script(layout: &Layout) -> Result<String, Box<dyn Error>> {
    let origin = layout.loader_address().ok_or("layout: the loader's code has no address")?;
    let size = layout.loader.span.size;
    let ram = layout.ram_for(Purpose::Loader).next().ok_or("layout: the loader has no RAM")?;
    Ok(format!(
        "ENTRY(_start)\n\
         MEMORY\n{{\n  CODE : ORIGIN = {origin:#x}, LENGTH = {size:#x}\n  RAM : ORIGIN = {:#x}, LENGTH = {:#x}\n}}\n\
         SECTIONS\n{{\n\
         \x20 .text : {{ KEEP(*(.text.start)) *(.text .text.*) }} > CODE\n\
         \x20 .rodata : ALIGN(16) {{ *(.rodata .rodata.*) }} > CODE\n\
         \x20 .stack (NOLOAD) : {{ _stack_bottom = .; . += {STACK:#x}; _stack_top = .; }} > RAM\n\
         \x20 .data : ALIGN(16) {{ _data_start = .; *(.data .data.* .sdata .sdata.*) . = ALIGN(16); _data_end = .; }} > RAM AT> CODE\n\
         \x20 _data_load = LOADADDR(.data);\n\
         \x20 .bss (NOLOAD) : ALIGN(4096) {{ _bss_start = .; *(.bss .bss.* .sbss .sbss.* COMMON) . = ALIGN(16); _bss_end = .; }} > RAM\n\
         \x20 /DISCARD/ : {{ *(.eh_frame .eh_frame_hdr .comment .note .note.* .ARM.attributes .riscv.attributes) }}\n}}\n",
        ram.base, ram.size,
    ))
}

/// Bytes of the stack.
const STACK: u64 = 0x2_0000;
