//! The interpreter against QEMU: the same loader, the same flash, the same faults.
//!
//! Without a fault, on every host: as many instructions, equal registers at addresses all over the run, equal RAM and flash at the end, the same
//! console. With faults that a seed chooses: the same end, registers, console and flash. Any difference is an error.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use thumb_interpreter::{End, Fault, Machine, Reference};

use super::FAULTS_IN_BOTH;
use super::campaign::{Attack, Trial};
use super::hosts::{BOARD, Host, Loader};
use crate::qemu::Debugged;
use crate::qemu::Launch;

/// Addresses at which registers are compared, spread over a run.
const SAMPLES: usize = 48;

/// RAM that is compared at the end of a run without fault: the loader's own, and the hand-off.
const RAM: std::ops::Range<u32> = 0x2000_0000..0x2000_4400;

/// Exceptions that lead to a handler of the loader: NMI to SysTick.
const VECTORS: std::ops::Range<usize> = 2..16;

/// The vector of the exception that every fault becomes: the loader enables no other one.
const HARD_FAULT: u32 = 3 * 4;

/// What was compared.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Compared {
    pub(super) states: u64,
    pub(super) faults: u64,
}

impl Compared {
    pub(super) const fn add(&mut self, other: Self) {
        self.states += other.states;
        self.faults += other.faults;
    }

    /// # Errors
    /// Less was compared than there must be of so many hosts with a bad image, and one with a good image.
    pub(super) fn check(self, hosts: usize) -> Result<()> {
        let (states, faults) = ((hosts as u64 + 1) * SAMPLES as u64, (hosts * FAULTS_IN_BOTH) as u64);
        ensure!(
            self.states >= states && self.faults >= faults,
            "{} states and {} faults were compared with the emulator, there must be {states} and {faults} or more",
            self.states,
            self.faults
        );
        Ok(())
    }
}

/// Compares a run without fault.
pub(super) fn compare_run(host: &Host) -> Result<Compared> {
    let mut machine = host.machine();
    let reference = Reference::record(&mut machine, super::LONGEST_BOOT);
    let folder = tempfile::tempdir_in(&host.folder)?;
    let mut debugged = start(host, &reference, folder.path())?;
    let chosen = samples(&reference);
    for number in &chosen {
        debugged.set_breakpoint(reference.address(*number).into(), 2)?;
    }
    for number in &chosen {
        reference.go_to(&mut machine, *number);
        debugged.go_on()?;
        compare_registers(&machine, &debugged.registers()?).with_context(|| format!("after {number} instructions"))?;
        debugged.clear_breakpoint(reference.address(*number).into(), 2)?;
    }
    machine.run(super::LONGEST_BOOT, None);
    set_ends(&mut debugged, host, [machine.pc()])?;
    debugged.go_on()?;
    let (ours, theirs) = (machine.bytes(RAM), debugged.memory(RAM.start, RAM.end - RAM.start)?);
    let differences = differences(&ours, &theirs);
    ensure!(differences.is_empty(), "at the end RAM differs (address, interpreter, emulator):\n{}", differences.join("\n"));
    compare_end(&host.loader, &machine, reference.end(), debugged, folder.path())?;
    Ok(Compared { states: chosen.len() as u64, faults: 0 })
}

/// The words that differ, for people.
fn differences(ours: &[u8], theirs: &[u8]) -> Vec<String> {
    let word = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
    let pairs = RAM.step_by(4).zip(ours.as_chunks::<4>().0.iter().zip(theirs.as_chunks::<4>().0));
    let different = pairs.filter(|(_, (ours, theirs))| ours != theirs);
    different.map(|(address, (ours, theirs))| format!("  {address:#010x} {:08x} {:08x}", word(ours), word(theirs))).collect()
}

/// First executions of addresses all over a run, but not its very first instruction: the emulator starts there.
fn samples(reference: &Reference) -> Vec<u64> {
    let mut numbers: Vec<u64> = reference.visits().iter().map(|visit| visit.first).filter(|number| *number > 0).collect();
    numbers.sort_unstable();
    let step = (numbers.len() / SAMPLES).max(1);
    numbers.into_iter().step_by(step).collect()
}

/// Compares the first one of these faults that can be compared.
pub(super) fn compare_one(attack: &Attack, trials: &[&Trial]) -> Result<Compared> {
    for trial in trials {
        let compared = compare_fault(attack, trial)?;
        if compared.faults > 0 {
            return Ok(compared);
        }
    }
    Ok(Compared::default())
}

/// Compares one fault, unless it goes on without an end: there is nowhere to set a breakpoint then.
fn compare_fault(attack: &Attack, trial: &Trial) -> Result<Compared> {
    let host = attack.host();
    let mut machine = attack.machine();
    let end = attack.reference().run_whole(&mut machine, trial.fault, attack.limit());
    if matches!(end, End::Endless | End::Unknown | End::Reset) {
        return Ok(Compared::default());
    }
    let folder = tempfile::tempdir_in(&host.folder)?;
    let mut debugged = start(host, attack.reference(), folder.path())?;
    inject(&mut debugged, &host.loader, trial)?;
    let End::Resting(rest) = attack.reference().end() else { bail!("{}: without a fault the loader does not rest", attack.case()) };
    // A fault is taken by an instruction that is no end.
    let own = (!matches!(end, End::Faulted(_))).then(|| machine.pc());
    // One that the emulator does not take may let it rest as without.
    set_ends(&mut debugged, host, own.into_iter().chain([rest]))?;
    if let Err(error) = debugged.go_on() {
        let words = std::fs::read_to_string(folder.path().join("qemu.err")).unwrap_or_default();
        ensure!(
            matches!(end, End::Faulted(_)) && is_locked_up(&words, hard_fault_entry(&machine)),
            error.context(format!("{} {:?} ends with {end:?}", attack.case(), trial.fault))
        );
        return Ok(Compared { states: 0, faults: 1 });
    }
    compare_end(&host.loader, &machine, end, debugged, folder.path()).with_context(|| format!("{} {:?}", attack.case(), trial.fault))?;
    Ok(Compared { states: 0, faults: 1 })
}

/// Whether the emulator has ended with these words because the handler of a fault faults itself, at its first instruction. That comes of a loader
/// that has written over its vectors.
fn is_locked_up(words: &str, entry: u32) -> bool {
    let registers = words.split_once("Lockup: ").and_then(|(_, registers)| registers.split_once("R15="));
    registers.and_then(|(_, pc)| u32::from_str_radix(pc.get(..8)?, 16).ok()) == Some(entry)
}

/// Where the vectors lead that the memory holds now.
fn hard_fault_entry(machine: &Machine) -> u32 {
    word_at(&machine.bytes(0..HARD_FAULT + 4), HARD_FAULT as usize) & !1
}

fn compare_registers(machine: &Machine, theirs: &[u32; 17]) -> Result<()> {
    let ours = machine.registers();
    ensure!(ours == *theirs, "the registers differ:\n  interpreter {ours:08x?}\n  emulator    {theirs:08x?}");
    Ok(())
}

/// The board, stopped at its reset. Its timer never starts, as the interpreter's stands still: what it shows goes into the hand-off and nowhere else.
fn start(host: &Host, reference: &Reference, folder: &Path) -> Result<Debugged> {
    let flash = folder.join("flash.img");
    std::fs::write(&flash, &host.flash).with_context(|| format!("can not write {}", flash.display()))?;
    let mut debugged = Debugged::start(&Launch { board: BOARD, loader: &host.loader.path, flash: &flash, folder, plugin: None, fill: None })?;
    let start_of_timer = reference.address(reference.timer_started().context("the loader starts no timer")?);
    debugged.set_memory(start_of_timer, no_operation(size_at(&host.loader, start_of_timer)))?;
    Ok(debugged)
}

/// Leaves out what the fault leaves out, and stops behind it.
fn inject(debugged: &mut Debugged, loader: &Loader, trial: &Trial) -> Result<()> {
    let left_out = match trial.fault {
        Fault::Every(address) => return debugged.set_memory(address, no_operation(size_at(loader, address))),
        Fault::One(_) => 1,
        Fault::Pair(_) => 2,
    };
    debugged.set_breakpoint(trial.address.into(), 2)?;
    if trial.address != first_address(loader) {
        debugged.go_on()?;
    }
    debugged.clear_breakpoint(trial.address.into(), 2)?;
    let (mut pc, mut xpsr) = (trial.address, debugged.xpsr()?);
    for _ in 0..left_out {
        pc += size_at(loader, pc);
        xpsr = advanced(xpsr);
    }
    debugged.set_place(pc, xpsr)
}

fn first_address(loader: &Loader) -> u32 {
    word_at(&loader.code, 4) & !1
}

fn size_at(loader: &Loader, address: u32) -> u32 {
    if word_at(&loader.code, address as usize) as u16 >= 0xe800 { 4 } else { 2 }
}

fn word_at(code: &[u8], at: usize) -> u32 {
    code.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// NOP in both sizes. Source: Armv7-M Architecture Reference Manual, A7.7.88.
const fn no_operation(size: u32) -> &'static [u8] {
    if size == 4 { &[0xaf, 0xf3, 0x00, 0x80] } else { &[0x00, 0xbf] }
}

/// XPSR behind one more instruction of an IT block. Source: Armv7-M Architecture Reference Manual, B1.4.2.
const fn advanced(xpsr: u32) -> u32 {
    let it = xpsr >> 25 & 0b11 | (xpsr >> 10 & 0b11_1111) << 2;
    let next = if it & 0b111 == 0 { 0 } else { it & 0b1110_0000 | it << 1 & 0b1_1111 };
    xpsr & !0x0600_fc00 | (next & 0b11) << 25 | (next >> 2) << 10
}

/// Breakpoints wherever the run may end: at these places, in the image, in a handler.
fn set_ends(debugged: &mut Debugged, host: &Host, places: impl IntoIterator<Item = u32>) -> Result<()> {
    let ends: BTreeSet<u32> = exception_entries(&host.loader).into_iter().chain([host.image_entry]).chain(places).collect();
    ends.into_iter().try_for_each(|address| debugged.set_breakpoint(address.into(), 2))
}

fn exception_entries(loader: &Loader) -> Vec<u32> {
    let entries = VECTORS.map(|vector| word_at(&loader.code, vector * 4) & !1);
    entries.filter(|address| *address != 0).collect()
}

/// The board has stopped where it ends: everything must be the same.
fn compare_end(loader: &Loader, machine: &Machine, end: End, mut debugged: Debugged, folder: &Path) -> Result<()> {
    let registers = debugged.registers()?;
    let (ours, theirs) = (machine.console(), debugged.end()?);
    ensure!(ours == theirs, "the consoles differ:\n  interpreter {ours:?}\n  emulator    {theirs:?}");
    if matches!(end, End::Faulted(_)) {
        let pc = registers[15];
        ensure!(exception_entries(loader).contains(&pc), "the interpreter ends with {end:?}, the emulator at {pc:#x}");
    } else {
        compare_registers(machine, &registers).with_context(|| format!("at the end, which is {end:?}"))?;
    }
    let flash = std::fs::read(folder.join("flash.img")).context("can not read the flash that the emulator leaves")?;
    ensure!(flash == machine.flash(), "the flashes differ");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What QEMU 7.2 said when a loader had written over its vectors, up to the last of the registers.
    const LOCKED_UP: &str = "qemu-system-arm: warning: nic lan9118.0 has no peer
qemu: fatal: Lockup: can't escalate 3 to HardFault (current priority -1)

R00=00000000 R01=ffc00000 R02=0000019b R03=00080cd8
R04=00000000 R05=20002c48 R06=00000000 R07=00000000
R08=20003414 R09=200034c8 R10=00000000 R11=00000000
R12=00010400 R13=20002c08 R14=fffffff9 R15=00000088
";

    #[test]
    fn a_lockup_elsewhere_than_where_the_fault_leads_is_a_difference() {
        assert!(is_locked_up(LOCKED_UP, 0x88));
        assert!(!is_locked_up(LOCKED_UP, 0x13e));
        assert!(!is_locked_up(&LOCKED_UP.replace("Lockup", "Trying to execute code outside RAM"), 0x88));
        assert!(!is_locked_up("", 0));
    }

    #[test]
    fn a_comparison_that_has_shrunk_fails() {
        let measured = Compared { states: 588, faults: 48 };
        assert!(measured.check(11).is_ok());
        assert!(Compared { states: 575, ..measured }.check(11).is_err());
        assert!(Compared { faults: 43, ..measured }.check(11).is_err());
        assert!(Compared::default().check(1).is_err());
    }
}
