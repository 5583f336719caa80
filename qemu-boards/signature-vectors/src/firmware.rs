//! What the program does, from start to its last line.

mod vectors;

use core::fmt::Write as _;

use mps2::board::{Board, Devices};
use mps2::devices::Uart;
use twinslot_bootloader::crypto::{Compact, Crypto as _, Sha256 as _};

use vectors::{DIGESTS, Group, Hashed, SIGNATURES, Vector};

mod built {
    include!(concat!(env!("OUT_DIR"), "/board.rs"));
}

/// What the build script was told, as addresses.
const DEVICES: Devices = match Devices::of(built::BOARD) {
    Some(devices) => devices,
    None => panic!("TWINSLOT_BOARD names no board of this crate"),
};

/// The board.
#[expect(unsafe_code, reason = "the one place that vouches for this board's addresses")]
// SAFETY: build.rs linked this program by this board's layout, into the loader's code and the RAM for images, and nothing else runs; the flash is not
// claimed, so no view of that RAM is made; there is no other `Board`.
static BOARD: Board = unsafe { Board::new(DEVICES, mps2::layout!(built)) };

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut console = BOARD.console();
    for group in &SIGNATURES {
        report(console, group, agrees);
    }
    for group in &DIGESTS {
        report(console, group, has_digest);
    }
    let _ = writeln!(console, "vectors: done");
    rest()
}

/// One line when all vectors of a group are judged right, else one for each that is not.
fn report<V>(mut console: Uart, group: &Group<V>, is_right: fn(&V) -> bool) {
    let mut wrong = 0;
    for (index, _) in group.vectors.iter().enumerate().filter(|(_, vector)| !is_right(vector)) {
        wrong += 1;
        let _ = writeln!(console, "vectors: {} {index} DISAGREES", group.name);
    }
    if wrong == 0 {
        let _ = writeln!(console, "vectors: {} {} agree", group.name, group.vectors.len());
    }
}

fn agrees(vector: &Vector) -> bool {
    Compact.verify_ed25519(&vector.key, vector.message, &vector.signature) == vector.is_valid
}

fn has_digest(hashed: &Hashed) -> bool {
    let mut hash = Compact.sha256();
    for _ in 0..hashed.times {
        hash.update(hashed.piece);
    }
    hash.finish() == hashed.digest
}

fn rest() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

/// A program that fails prints no last line; the line here says why there is none.
fn fail() -> ! {
    let _ = writeln!(BOARD.console(), "vectors: the program failed");
    rest()
}

#[cortex_m_rt::exception(trampoline = false)]
#[expect(unsafe_code, reason = "the signature of a hard fault handler")]
unsafe fn HardFault() -> ! {
    fail()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    fail()
}
