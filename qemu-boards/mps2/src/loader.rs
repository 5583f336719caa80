//! The loader's main, the same for every board.

mod ports;

use twinslot_bootloader::anchor::TrustAnchor;
use twinslot_bootloader::boot::{Config, Outcome, Ports, WatchdogUse, boot};
use twinslot_bootloader::crypto::{Compact, PublicKey};
use twinslot_bootloader::decide::Fallback;
use twinslot_bootloader::handoff::{Booted, HANDOFF_SIZE, Handoff};
use twinslot_bootloader::image::Identity;
use twinslot_bootloader::journal::Policy;
use twinslot_bootloader::load::Bootable;
use twinslot_bootloader::reason::Reason;

use crate::board::{Board, Claim};
use crate::devices::Uart;
use crate::jump::jump;
use crate::marker::Mark;
use crate::{log, memory};

/// What a board is built with.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// The board, as manifests name it.
    pub identity: Identity<'a>,
    /// The owner's keys.
    pub keys: &'a [PublicKey],
    /// How many of them must sign.
    pub threshold: u8,
    /// The compiled-in security floor.
    pub floor: u32,
    /// Whether anybody can sign, because the private keys are published.
    pub keys_are_published: bool,
    /// How trials are bounded.
    pub policy: Policy,
    /// When the watchdog is armed.
    pub watchdog: WatchdogUse,
}

/// Runs the loader: decide, verify, hand off, jump. Comes back only into [`stop`].
pub fn run(board: &Board, claim: Claim, build: &Build<'_>) -> ! {
    protect(board);
    let reset_cause = board.marker().reset_cause();
    board.marker().leave(Mark::Running);
    let console = board.console();
    log::start(board);
    if build.keys_are_published {
        console.send(b"twinslot: TEST KEYS\n");
    }
    let mut crypto = Compact;
    let vetted = TrustAnchor::new(build.keys, build.threshold, build.floor, &mut crypto);
    let Ok(anchor) = &vetted else { halt(board, console, Reason::None) };
    let config = Config {
        identity: build.identity,
        anchor,
        policy: build.policy,
        layout: board.layout().digest,
        watchdog: build.watchdog,
        golden: golden(board),
        recovery: Fallback::Absent,
        counter_floor: 0,
        reset_cause,
    };
    let mut handoff = Handoff::new(anchor, config.layout, reset_cause);
    let outcome = decide_and_verify(board, claim, &config, &mut crypto, &mut handoff);
    publish(board, &handoff);
    match &outcome {
        Outcome::Boot(image) => start(board, console, image, &handoff),
        Outcome::Recover => halt(board, console, handoff.halt_reason),
        Outcome::Halt(reason) => halt(board, console, *reason),
    }
}

/// Nothing runs but the loader's code, which nothing writes. A fault that leaves out a return could make a word of the stack an address, and the stack
/// holds bytes of headers and records that nobody has verified.
fn protect(board: &Board) {
    board.protection().switch_on();
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// Stops for good, with the watchdog off: another reset would end here again.
pub fn stop(board: &Board) -> ! {
    board.watchdog().stop();
    loop {
        cortex_m::asm::wfi();
    }
}

const fn golden(board: &Board) -> Fallback {
    if board.layout().golden.size == 0 { Fallback::Absent } else { Fallback::Untried }
}

fn decide_and_verify(board: &Board, claim: Claim, config: &Config<'_>, crypto: &mut Compact, handoff: &mut Handoff) -> Outcome {
    let (flash, images) = board.claim_for_loader(claim);
    let mut ports = Ports {
        storage: &mut ports::Flash::new(flash, board.layout()),
        memory: &mut ports::Memory::new(images, board.layout()),
        crypto,
        machine: &mut ports::Machine::new(board),
    };
    boot(&mut ports, config, handoff)
}

/// Leaves the hand-off where whatever boots, or whoever looks, finds it. Not inlined, so that its buffer does not lie below all of the boot.
#[inline(never)]
fn publish(board: &Board, handoff: &Handoff) {
    let mut bytes = [0; HANDOFF_SIZE];
    handoff.encode(&mut bytes);
    memory::store(board.handoff(), &bytes);
}

fn start(board: &Board, console: Uart, image: &Bootable, handoff: &Handoff) -> ! {
    console.send(b"twinslot: boot slot=");
    console.send(name(handoff.booted).as_bytes());
    console.send(b" why=");
    console.send(handoff.why.name().as_bytes());
    console.send(b"\n");
    jump(image);
    stop(board)
}

const fn name(booted: Booted) -> &'static str {
    match booted {
        Booted::Slot(slot) => slot.name(),
        Booted::Golden => "golden",
        Booted::Nothing => "nothing",
    }
}

fn halt(board: &Board, console: Uart, reason: Reason) -> ! {
    defmt::error!("halt: {}", reason);
    console.send(b"twinslot: halt code=");
    console.send_decimal(reason.code());
    console.send(b"\n");
    if reason == Reason::ReadError {
        start_over(board);
    }
    stop(board)
}

/// Has the watchdog reset the machine after its deadline: what could not be read may be read then. Nothing is written meanwhile.
fn start_over(board: &Board) -> ! {
    board.marker().leave(Mark::Software);
    let _ = board.watchdog().arm();
    loop {
        cortex_m::asm::wfi();
    }
}
