//! The loader's main, the same for every board.
//!
//! Guarantee: whatever is wrong - disk, device tree, images - ends in a line on the console that names it.

mod ports;

use core::sync::atomic::AtomicU32;

use twinslot_bootloader::LOADER_VERSION;
use twinslot_bootloader::anchor::TrustAnchor;
use twinslot_bootloader::boot::{Config, Outcome, Ports, WatchdogUse, boot};
use twinslot_bootloader::crypto::{Crypto, PublicKey};
use twinslot_bootloader::decide::Fallback;
use twinslot_bootloader::handoff::Handoff;
use twinslot_bootloader::image::Identity;
use twinslot_bootloader::image::manifest::Kind;
use twinslot_bootloader::journal::Policy;
use twinslot_bootloader::load::{Bootable, Memory as _, Span};
use twinslot_bootloader::reason::{Reason, ResetCause};

use crate::boot_tree::BootTree;
use crate::console::Line;
use crate::device_tree::{MachineTree, TreeError};
use crate::disk::{Disk, DiskError, WatchedDisk};
use crate::handoff::{booted_name, command_line};
use crate::layout::Layout;
use crate::machine::{Machine, Watchdog};
use crate::memory::{ImageMemory, MemoryPlan, Vouched};
use crate::power;
use crate::storage::Regions;

/// Seconds from a trial's start to its confirm, and from a halt that may be over by itself to the next start.
const DEADLINE_SECONDS: u32 = 60;

/// What a board is built with.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// The board's name.
    pub board: &'a str,
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
    /// The board's map.
    pub layout: Layout,
}

/// What a board has.
#[derive(Debug)]
pub struct Hardware<'m, M, W, D, C> {
    /// Processor and console.
    pub machine: &'m M,
    /// The watchdog.
    pub watchdog: W,
    /// The disk, or why there is none.
    pub disk: Result<D, DiskError>,
    /// The verification port.
    pub crypto: C,
    /// How it hashes, for the log.
    pub hash: &'static str,
    /// The device tree that the machine was started with.
    pub machine_tree: &'static [u8],
    /// Where the tree for Linux is made.
    pub tree_room: &'static mut [u8],
    /// Where the mark is kept that tells a reset from a power cut.
    pub mark: &'static [AtomicU32],
    /// The board's word for its memory.
    pub memory: Vouched,
}

/// Why the loader stops.
enum Stop {
    Disk(DiskError),
    Tree(TreeError),
    Memory,
    Anchor,
    Undecided,
}

/// Runs the loader: decide, verify, hand off, start the kernel.
pub fn run<M: Machine, W: Watchdog, D: Disk, C: Crypto>(hardware: Hardware<'_, M, W, D, C>, build: &Build<'_>) -> ! {
    let machine = hardware.machine;
    let stop = start(hardware, build);
    let words = match stop {
        Stop::Disk(error) => error.text(),
        Stop::Tree(error) => error.text(),
        Stop::Memory => "there are more ranges of memory than the loader keeps; name fewer in the layout",
        Stop::Anchor => "the compiled-in trust anchor is not valid; build the loader with a vetted trust file",
        Stop::Undecided => machine.stop(),
    };
    drop(Line::new(machine).text("halt: ").text(words));
    machine.stop()
}

/// Comes back only with what keeps a kernel from being started.
fn start<M: Machine, W: Watchdog, D: Disk, C: Crypto>(hardware: Hardware<'_, M, W, D, C>, build: &Build<'_>) -> Stop {
    let Hardware { machine, mut watchdog, disk, mut crypto, hash, machine_tree, tree_room, mark, memory } = hardware;
    let reset_cause = power::reset_cause(mark, watchdog.says());
    power::mark(mark);
    greet(machine, build, reset_cause, hash);
    let (tree, plan) = match plan(machine_tree, &build.layout) {
        Ok(planned) => planned,
        Err(stop) => return stop,
    };
    let disk = match disk {
        Ok(disk) => WatchedDisk::new(disk),
        Err(error) => {
            start_over(machine, &mut watchdog);
            return Stop::Disk(error);
        }
    };
    if disk.ends_before(build.layout.end().into()) {
        drop(Line::new(machine).text(DiskError::TooSmall.text()));
    }
    let vetted = TrustAnchor::new(build.keys, build.threshold, build.floor, &mut crypto);
    let Ok(anchor) = &vetted else { return Stop::Anchor };
    let config = config(build, anchor, reset_cause);
    let mut handoff = Handoff::new(anchor, build.layout.digest, reset_cause);
    let mut memory = ImageMemory::new(machine, plan, memory);
    let mut reporter = ports::Reporter::new(machine, &mut watchdog, &disk);
    let mut storage = Regions::new(&disk, &build.layout);
    let mut ports = Ports { storage: &mut storage, memory: &mut memory, crypto: &mut crypto, machine: &mut reporter };
    let outcome = boot(&mut ports, &config, &mut handoff);
    reporter.tell_failure();
    match outcome {
        Outcome::Boot(image) => {
            let tree = hand_over(&image, &handoff, tree, &mut memory, build, tree_room);
            let rested = disk.rest();
            match (tree, rested) {
                (Ok(tree), Ok(())) => jump(machine, &image, &handoff, tree),
                (Err(error), _) => Stop::Tree(error),
                (_, Err(error)) => Stop::Disk(error),
            }
        }
        Outcome::Recover | Outcome::Halt(_) => {
            let reason = handoff.halt_reason;
            drop(Line::new(machine).text("halt: code=").number(reason.code().into()).text(" ").text(reason.text()));
            if reason == Reason::ReadError {
                start_over(machine, &mut watchdog);
            }
            Stop::Undecided
        }
    }
}

/// Has the machine reset after a while, where something can: what could not be read may be read then.
fn start_over<M: Machine>(machine: &M, watchdog: &mut impl Watchdog) {
    if watchdog.start_over(DEADLINE_SECONDS).is_ok() {
        drop(Line::new(machine).text("the machine starts over in ").number(DEADLINE_SECONDS.into()).text(" s"));
    }
}

fn greet<M: Machine>(machine: &M, build: &Build<'_>, reset_cause: ResetCause, hash: &str) {
    // Whatever ran before may have left a line unfinished.
    machine.send("\r\n");
    let line = Line::new(machine).text("loader ").number(LOADER_VERSION.into()).text(" on ").text(build.board);
    drop(line.text(", reset=").text(reset_cause.name()));
    if build.keys_are_published {
        drop(Line::new(machine).text("TEST KEYS"));
    }
    drop(Line::new(machine).text("sha-256 by ").text(hash));
}

/// Reads the machine's tree and plans its memory.
fn plan(machine_tree: &'static [u8], layout: &Layout) -> Result<(MachineTree<'static>, MemoryPlan), Stop> {
    let tree = MachineTree::read(machine_tree).map_err(Stop::Tree)?;
    let memory = tree.memory().map_err(Stop::Tree)?;
    let reserved = tree.reserved().map_err(Stop::Tree)?;
    let own = Span { start: machine_tree.as_ptr().addr() as u64, len: tree.bytes().len() as u64 };
    let plan = MemoryPlan::new(layout, &memory, &reserved, own).map_err(|_| Stop::Memory)?;
    Ok((tree, plan))
}

const fn config<'a>(build: &Build<'a>, anchor: &'a TrustAnchor, reset_cause: ResetCause) -> Config<'a> {
    Config {
        identity: build.identity,
        anchor,
        policy: build.policy,
        layout: build.layout.digest,
        watchdog: build.watchdog,
        golden: if build.layout.golden.size == 0 { Fallback::Absent } else { Fallback::Untried },
        recovery: Fallback::Absent,
        counter_floor: 0,
        reset_cause,
    }
}

/// Makes the tree for Linux, and gives its address.
fn hand_over<M: Machine>(
    image: &Bootable,
    handoff: &Handoff,
    machine_tree: MachineTree<'_>,
    memory: &mut ImageMemory<'_, M>,
    build: &Build<'_>,
    room: &'static mut [u8],
) -> Result<u64, TreeError> {
    let address = room.as_ptr().addr() as u64;
    let (start, len) = build.layout.marker;
    let line = {
        let signed = image.part(Kind::CommandLine).and_then(|part| memory.ram(part.address, part.len).map(|bytes| &*bytes));
        command_line(signed.unwrap_or_default(), handoff.booted).ok_or(TreeError::TooLarge)?
    };
    let signed = image.part(Kind::DeviceTree).and_then(|part| memory.ram(part.address, part.len).map(|bytes| &*bytes));
    let initrd = image.part(Kind::Initrd).map(|part| Span { start: part.address, len: part.len });
    let tree = BootTree { signed, machine: machine_tree, mark: Span { start, len }, line: &line, initrd, handoff };
    tree.make(room)?;
    Ok(address)
}

/// Starts the kernel. The address is computed from what the verification has shown, and a wrong one unless everything was.
fn jump<M: Machine>(machine: &M, image: &Bootable, handoff: &Handoff, tree: u64) -> Stop {
    let image = core::hint::black_box(image);
    let Some(kernel) = image.part(Kind::Kernel).filter(|_| image.missing() == 0) else { return Stop::Undecided };
    let entry = kernel.entry.wrapping_add(u64::from(image.missing()));
    drop(Line::new(machine).text("boot slot=").text(booted_name(handoff.booted)).text(" why=").text(handoff.why.name()));
    machine.start_kernel(entry, tree)
}
