//! What this board is, and where it starts.
//!
//! The target is `aarch64-unknown-none`: it has floating point, without which the SHA-256 instructions can not be used, and only aligned accesses,
//! which is all that there is while the MMU is off. `start` switches floating point on before the first Rust code.

mod console;
mod crypto;
mod exception;
mod machine;
mod memory;
mod sha256;
mod start;
#[cfg(feature = "hash-vectors")]
mod vectors;
mod watchdog;

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
    watchdog: WatchdogUse::Trials,
    layout: linux_shell::layout!(built),
};

/// Called by the start-up code, once.
fn main() -> ! {
    #[cfg(feature = "hash-vectors")]
    vectors::print();
    run(memory::hardware(&BUILD.layout), &BUILD)
}

/// Words and place of a panic would bring tens of KB of formatting code and file names into the loader (4.5 KB for the place alone).
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    drop(Line::new(&Virt).text("halt: the loader panicked"));
    Virt.stop()
}
