//! What this board is, and where it starts.
//!
//! The target is `riscv64gc-unknown-none-elf`, in supervisor mode: OpenSBI has started before, and stays below as the machine's firmware. It writes to
//! the console and resets the machine. There is no watchdog: Debian's kernels for RISC-V have no driver for any that QEMU gives this machine.

mod exception;
mod machine;
mod memory;
mod power;
mod sbi;
mod start;

use linux_shell::console::Line;
use linux_shell::loader::{Build, run};
use linux_shell::machine::Machine as _;
use twinslot_bootloader::boot::WatchdogUse;
use twinslot_bootloader::image::Identity;

use machine::Virt;

mod built {
    include!(concat!(env!("OUT_DIR"), "/board.rs"));
}

/// What it is built with.
static BUILD: Build<'static> = Build {
    board: built::BOARD,
    identity: Identity { product: built::PRODUCT, hardware: built::HARDWARE },
    keys: &built::ANCHOR_KEYS,
    threshold: built::THRESHOLD,
    floor: built::FLOOR,
    keys_are_published: built::IS_TEST_KEYS,
    policy: built::POLICY,
    watchdog: WatchdogUse::TrialsMayHang,
    layout: linux_shell::layout!(built),
};

/// Called by the start-up code, once, with what OpenSBI gave it.
fn main(hart: usize, device_tree: usize) -> ! {
    let machine = Virt::on(hart);
    run(memory::hardware(&machine, device_tree, &BUILD.layout), &BUILD)
}

/// Words and place of a panic would bring tens of KB of formatting code and file names into the loader.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    let machine = Virt::for_last_words();
    drop(Line::new(&machine).text("halt: the loader panicked"));
    machine.stop()
}
