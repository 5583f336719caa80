//! What this board is, and where it starts.

use mps2::board::{Board, Claim, Devices};
use mps2::loader::{self, Build};
use twinslot_bootloader::boot::WatchdogUse;
use twinslot_bootloader::image::Identity;

mod built {
    include!(concat!(env!("OUT_DIR"), "/board.rs"));
}

/// The board.
#[expect(unsafe_code, reason = "the one place that vouches for this board's addresses")]
// SAFETY: this program runs on AN386 only, build.rs linked it by the layout used here, and there is no other `Board`.
static BOARD: Board = unsafe { Board::new(Devices::AN386, mps2::layout!(built)) };

/// What it is built with.
const BUILD: Build<'static> = Build {
    identity: Identity { product: built::PRODUCT, hardware: built::HARDWARE },
    keys: &built::ANCHOR_KEYS,
    threshold: built::THRESHOLD,
    floor: built::FLOOR,
    keys_are_published: built::IS_TEST_KEYS,
    policy: built::POLICY,
    watchdog: WatchdogUse::EveryBoot,
};

#[cortex_m_rt::entry]
fn main() -> ! {
    loader::run(&BOARD, claim(), &BUILD)
}

#[expect(unsafe_code, reason = "the one place that claims the flash")]
fn claim() -> Claim {
    // SAFETY: only `main` asks, and the start-up code calls it once.
    unsafe { Claim::new() }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loader::stop(&BOARD)
}
