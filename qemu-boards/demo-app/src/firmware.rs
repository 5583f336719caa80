//! What the application does, from start to idle.

mod report;
mod update;
mod variant;

use core::fmt::Write as _;

use mps2::board::{Board, Claim, Devices};
use mps2::flash::Flash;
use mps2::marker::Mark;
use mps2::memory;
use twinslot_bootloader::anchor::{AnchorError, TrustAnchor};
use twinslot_bootloader::crypto::Builtin;
use twinslot_bootloader::handoff::{Booted, HANDOFF_SIZE, Handoff, HandoffError};
use twinslot_bootloader::image::Identity;
use twinslot_bootloader::install::{Host, InstallError, Session};
use twinslot_bootloader::journal::Phase;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::NoCounter;

use update::Updated;
use variant::{Behaviour, Variant};

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
// SAFETY: build.rs linked this program by this board's layout, into the slot or the RAM for images; there is no other `Board`.
static BOARD: Board = unsafe { Board::new(DEVICES, mps2::layout!(built)) };

/// A session of the writer, on this board.
type Writer<'a, 'f> = Session<'a, Flash<'f>, Builtin, NoCounter>;

/// Why the application can do nothing.
#[derive(Debug)]
enum Failure {
    /// The loader left no hand-off.
    Handoff(HandoffError),
    /// The compiled-in keys make no anchor.
    Anchor(AnchorError),
    /// The writer refused, or storage failed.
    Install(InstallError),
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let variant = Variant::read();
    let mut console = BOARD.console();
    let _ = writeln!(console, "app: start variant={} version={}", variant.behaviour.name(), variant.version);
    match run(claim(), variant) {
        Ok(()) => {}
        Err(Failure::Install(error)) => report::refused(console, &error),
        Err(Failure::Handoff(error)) => report::failed(console, &error),
        Err(Failure::Anchor(error)) => report::failed(console, &error),
    }
    let _ = writeln!(console, "app: idle");
    loop {
        cortex_m::asm::wfi();
    }
}

#[expect(unsafe_code, reason = "the one place that claims the flash")]
fn claim() -> Claim {
    // SAFETY: only `main` asks, and the start-up code calls it once.
    unsafe { Claim::new() }
}

/// Everything that ends in idling; a reset does not come back.
fn run(claim: Claim, variant: Variant) -> Result<(), Failure> {
    let handoff = read_handoff()?;
    report::handoff(BOARD.console(), &handoff);
    if is_trial(&handoff) {
        misbehave(variant.behaviour);
    }
    let (nor, staging) = BOARD.claim_for_application(claim, running_slot(&handoff));
    let mut flash = Flash::new(nor, BOARD.layout());
    let mut crypto = Builtin;
    let mut counter = NoCounter;
    let anchor = TrustAnchor::new(&built::ANCHOR_KEYS, built::THRESHOLD, built::FLOOR, &mut crypto).map_err(Failure::Anchor)?;
    let host = host(&anchor);
    let mut writer = Session::open(&mut flash, &mut crypto, &mut counter, host, &handoff).map_err(Failure::Install)?;
    if is_trial(&handoff) {
        writer.confirm().map_err(Failure::Install)?;
        let _ = writeln!(BOARD.console(), "app: confirmed");
    }
    retire_watchdog();
    match update::from_staging(&mut writer, &host, staging, variant.version, BOARD.console()).map_err(Failure::Install)? {
        Updated::Nothing => Ok(()),
        Updated::Armed => reset(Mark::Software),
    }
}

fn read_handoff() -> Result<Handoff, Failure> {
    let mut bytes = [0; HANDOFF_SIZE];
    memory::load(BOARD.handoff(), &mut bytes);
    Handoff::decode(&bytes).map_err(Failure::Handoff)
}

fn is_trial(handoff: &Handoff) -> bool {
    running_slot(handoff).is_some() && handoff.phase == Phase::Trial
}

const fn running_slot(handoff: &Handoff) -> Option<Slot> {
    match handoff.booted {
        Booted::Slot(slot) => Some(slot),
        Booted::Golden | Booted::Nothing => None,
    }
}

const fn host<'a>(anchor: &'a TrustAnchor) -> Host<'a> {
    Host { identity: Identity { product: built::PRODUCT, hardware: built::HARDWARE }, anchor, policy: built::POLICY, layout: built::LAYOUT_DIGEST }
}

/// What a variant does instead of confirming. Comes back for the healthy one only. None of them feeds the watchdog.
fn misbehave(behaviour: Behaviour) {
    let mut console = BOARD.console();
    match behaviour {
        Behaviour::Healthy => {}
        Behaviour::Hangs => {
            let _ = writeln!(console, "app: hanging");
            loop {
                cortex_m::asm::nop();
            }
        }
        Behaviour::Crashes => {
            let _ = writeln!(console, "app: crashing");
            cortex_m::asm::udf();
        }
        Behaviour::Silent => {
            let _ = writeln!(console, "app: not confirming");
            reset(Mark::Software);
        }
    }
}

/// A confirmed image has no deadline. The mark changes first: a reset in between is nobody's fault.
fn retire_watchdog() {
    BOARD.marker().leave(Mark::Running);
    BOARD.watchdog().stop();
}

fn reset(mark: Mark) -> ! {
    BOARD.marker().leave(mark);
    cortex_m::peripheral::SCB::sys_reset()
}

/// A crash says so before the loader asks.
#[cortex_m_rt::exception(trampoline = false)]
#[expect(unsafe_code, reason = "the signature of a hard fault handler")]
unsafe fn HardFault() -> ! {
    reset(Mark::Fault)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    reset(Mark::Fault)
}
