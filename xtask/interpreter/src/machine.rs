//! The machine: registers, memory, and the loop that runs it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::Arc;

use crate::Trap;
use crate::decode::{decode, is_wide};
use crate::memory::{Contents, Memory, Words};
use crate::op::{Kind, LR, Op, PC, SINK, SP, ZERO};
use crate::protection::Access;

/// The processor's registers, without those that nothing here uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processor {
    /// r0..r15, then the two that are none. A power of two, so that no index is out of bounds.
    pub(crate) r: [u32; 32],
    pub(crate) pc: u32,
    pub(crate) negative: bool,
    pub(crate) zero: bool,
    pub(crate) carry: bool,
    pub(crate) overflow: bool,
    /// Q: something did not fit since a program cleared it.
    pub(crate) saturated: bool,
    pub(crate) ge: u8,
    /// ITSTATE.
    pub(crate) it: u8,
    pub(crate) exclusive: bool,
}

impl Processor {
    const fn after_reset(stack: u32, start: u32) -> Self {
        let mut r = [0; 32];
        r[SP as usize] = stack & !3;
        r[LR as usize] = u32::MAX;
        Self { r, pc: start & !1, negative: false, zero: true, carry: false, overflow: false, saturated: false, ge: 0, it: 0, exclusive: false }
    }

    /// Whether the program can tell no difference.
    fn is_same(&self, other: &Self) -> bool {
        let rest = |own: &Self| (own.pc, own.flags(), own.saturated, own.ge, own.it, own.exclusive);
        self.r[..PC as usize] == other.r[..PC as usize] && rest(self) == rest(other)
    }

    /// Of what [`Self::is_same`] looks at.
    fn hash(&self, hasher: &mut DefaultHasher) {
        self.r[..PC as usize].hash(hasher);
        (self.pc, self.flags(), self.saturated, self.ge, self.it, self.exclusive).hash(hasher);
    }

    /// Negative, zero, carry, overflow, in the bits 3 to 0.
    pub(crate) fn flags(&self) -> u32 {
        u32::from(self.negative) << 3 | u32::from(self.zero) << 2 | u32::from(self.carry) << 1 | u32::from(self.overflow)
    }
}

/// How a run ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// An instruction was fetched from memory that holds images.
    Started,
    /// Asleep or in a loop of one instruction, as a loader that has halted is; the instruction's address.
    Resting(u32),
    /// A fault was taken: the handler of the loader never comes back.
    Faulted(Trap),
    /// The loader asked for a reset.
    Reset,
    /// It ran for longer than any loader does.
    Endless,
    /// It met an instruction that this interpreter does not know.
    Unknown,
}

/// Why [`Machine::run`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// As many instructions as were asked for.
    Limit,
    /// The next instruction is the one that was watched for.
    Watched,
    /// The next instruction is a landmark; only where landmarks are asked for.
    Landmark,
    /// The run is over.
    End(End),
}

/// A state that a machine can go back to.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) processor: Processor,
    pub(crate) memory: Memory,
    pub(crate) count: u64,
}

/// A board that runs a loader.
#[derive(Debug, Clone)]
pub struct Machine {
    pub(crate) processor: Processor,
    pub(crate) memory: Memory,
    /// Instructions so far, skipped ones included.
    pub(crate) count: u64,
    pub(crate) next: u32,
    /// The loader's code, decoded, an entry for each halfword.
    table: Arc<[Op]>,
    /// The same with the landmarks in it.
    landmarks: Arc<[Op]>,
    images: [Range<u32>; 2],
}

impl Machine {
    /// A board with `code` from address 0 on and `flash` in its flash, right after its reset. Images run in `images`.
    #[must_use]
    pub fn new(code: &[u8], flash: &[u8], images: [Range<u32>; 2]) -> Self {
        let mut code = code.to_vec();
        code.resize(code.len().next_multiple_of(4), 0);
        let table: Arc<[Op]> = (0..code.len() / 2).map(|index| decoded(&code, index * 2)).collect();
        let memory = Memory::new(Arc::new(Contents { code, flash: flash.to_vec() }));
        let word = |address| memory.word(address).unwrap_or(0);
        let processor = Processor::after_reset(word(0), word(4));
        Self { processor, memory, count: 0, next: 0, landmarks: Arc::clone(&table), table, images }
    }

    /// The address of the next instruction.
    #[must_use]
    pub const fn pc(&self) -> u32 {
        self.processor.pc
    }

    /// r0 to r14, the address of the next instruction, and the flags in the upper four bits of a word.
    #[must_use]
    pub fn registers(&self) -> [u32; 17] {
        let mut registers = [0; 17];
        registers[..15].copy_from_slice(&self.processor.r[..15]);
        registers[15] = self.processor.pc;
        registers[16] = self.processor.flags() << 28;
        registers
    }

    /// Instructions so far.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The number of the instruction that started the timer, which stands still all the same.
    #[must_use]
    pub fn timer_started(&self) -> Option<u64> {
        self.memory.devices.timer_started.and_then(|count| count.checked_sub(1))
    }

    /// What was sent to the console.
    #[must_use]
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.memory.devices.console).into_owned()
    }

    /// All bytes of the flash.
    #[must_use]
    pub fn flash(&self) -> Vec<u8> {
        self.memory.flash()
    }

    /// What was written to the flash: equal for equal flashes that the same addresses were written of.
    #[must_use]
    pub fn changed_flash(&self) -> Vec<u8> {
        self.memory.changed_flash()
    }

    /// Bytes of any memory; zero where there is none.
    #[must_use]
    pub fn bytes(&self, range: Range<u32>) -> Vec<u8> {
        range.map(|address| self.memory.byte(address).unwrap_or(0) as u8).collect()
    }

    /// The state as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { processor: self.processor, memory: self.memory.clone(), count: self.count }
    }

    /// The power goes and comes back: only the flash is what it was.
    pub fn power_cycle(&mut self) {
        self.memory.lose_power();
        let word = |address| self.memory.word(address).unwrap_or(0);
        self.processor = Processor::after_reset(word(0), word(4));
        self.count = 0;
    }

    /// Makes the instructions at these addresses the landmarks.
    pub(crate) fn set_landmarks(&mut self, addresses: impl Iterator<Item = u32>) {
        let mut table = self.table.to_vec();
        for address in addresses {
            if let Some(op) = table.get_mut(address as usize / 2) {
                op.kind = Kind::Landmark;
            }
        }
        self.landmarks = table.into();
    }

    /// 64 bits that tell this state from others of this machine, as far as the program can.
    pub(crate) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.processor.hash(&mut hasher);
        self.memory.hash(self.processor.r[SP as usize], &mut hasher);
        hasher.finish()
    }

    /// Goes back to a state of this machine.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.processor = snapshot.processor;
        self.memory.restore(&snapshot.memory);
        self.count = snapshot.count;
    }

    /// Whether nothing but the number of instructions tells this state from another one.
    pub(crate) fn is_at(&self, snapshot: &Snapshot) -> bool {
        self.difference(snapshot).is_some_and(|words| words.is_empty())
    }

    /// The words of RAM that tell this state from another one; `None` when more than that does.
    pub(crate) fn difference(&self, snapshot: &Snapshot) -> Option<Words> {
        let is_same = self.processor.is_same(&snapshot.processor);
        is_same.then(|| self.memory.difference(&snapshot.memory, self.processor.r[SP as usize])).flatten()
    }

    /// Becomes another state but for some words of RAM, which stay as they are.
    pub(crate) fn leap(&mut self, snapshot: &Snapshot, kept: &Words) {
        let ram = self.memory.ram().to_vec();
        self.restore(snapshot);
        self.memory.take(kept, &ram);
    }

    /// Adds the words of RAM that the next instruction reads or writes.
    pub(crate) fn touch(&self, words: &mut Words) {
        if let Ok(op) = self.fetch()
            && let Some((address, size)) = self.access(&op)
        {
            words.touch(address, size);
        }
    }

    /// Runs until `count` instructions have run or the next one is at `watched`. Does nothing when that holds already.
    pub fn run(&mut self, count: u64, watched: Option<u32>) -> Stop {
        let table = Arc::clone(&self.table);
        self.run_in(&table, count, watched)
    }

    /// The same, but no further than to the next landmark.
    pub(crate) fn run_to_landmark(&mut self, count: u64, watched: Option<u32>) -> Stop {
        let table = Arc::clone(&self.landmarks);
        self.run_in(&table, count, watched)
    }

    fn run_in(&mut self, table: &[Op], count: u64, watched: Option<u32>) -> Stop {
        let watched = watched.unwrap_or(u32::MAX);
        while self.count < count {
            if self.processor.pc == watched {
                return Stop::Watched;
            }
            let stepped = match table.get(self.processor.pc as usize / 2) {
                Some(op) if op.kind == Kind::Landmark => return Stop::Landmark,
                Some(op) if self.memory.is_plain() => self.step(op),
                _ => self.step_from_memory(),
            };
            if let Err(trap) = stepped {
                return Stop::End(self.end(trap));
            }
        }
        Stop::Limit
    }

    /// Runs one instruction.
    pub fn run_one(&mut self) -> Stop {
        self.run(self.count + 1, None)
    }

    pub(crate) fn end(&self, trap: Trap) -> End {
        match trap {
            Trap::Memory if self.is_image(self.processor.pc) => End::Started,
            Trap::Sleep | Trap::Idle => End::Resting(self.processor.pc),
            Trap::Reset => End::Reset,
            // A fault is handled by the loader's own code, which never comes back, unless something was written over it.
            trap if trap == Trap::Unknown || self.memory.code_is_written => End::Unknown,
            trap => End::Faulted(trap),
        }
    }

    fn is_image(&self, address: u32) -> bool {
        self.images.iter().any(|images| images.contains(&address))
    }

    #[inline(always)]
    fn step(&mut self, op: &Op) -> Result<(), Trap> {
        self.count += 1;
        self.processor.r[PC as usize] = self.processor.pc.wrapping_add(4);
        self.next = self.processor.pc.wrapping_add(op.size.into());
        let in_it = self.processor.it != 0;
        if in_it {
            let condition = self.processor.it >> 4;
            self.advance_it();
            if !self.passes(condition) {
                self.processor.pc = self.next;
                return Ok(());
            }
        }
        self.execute(op, in_it)?;
        self.processor.pc = self.next;
        Ok(())
    }

    fn fetch(&self) -> Result<Op, Trap> {
        match self.table.get(self.processor.pc as usize / 2) {
            Some(op) if self.memory.is_plain() => Ok(*op),
            _ => self.fetch_from_memory(),
        }
    }

    /// Elsewhere than in the loader's code, or after a write to it. What is always left out stays so, whatever was written.
    #[inline(never)]
    fn fetch_from_memory(&self) -> Result<Op, Trap> {
        let address = self.processor.pc;
        if let Some(op) = self.table.get(address as usize / 2).filter(|op| op.kind == Kind::Skipped) {
            return Ok(*op);
        }
        if !self.memory.devices.protection.allows(address, Access::Fetch) {
            return Err(Trap::Forbidden);
        }
        // Images are never run: that they start is all there is to know.
        if self.is_image(address) || address >= FIRST_DEVICE {
            return Err(Trap::Memory);
        }
        let first = self.fetched(address)?;
        let second = if is_wide(first) { self.fetched(address.wrapping_add(2))? } else { 0 };
        Ok(decode(address, first, second))
    }

    fn fetched(&self, address: u32) -> Result<u16, Trap> {
        if !self.memory.devices.protection.allows(address, Access::Fetch) {
            return Err(Trap::Forbidden);
        }
        self.memory.half(address).map(|half| half as u16)
    }

    #[inline(never)]
    fn step_from_memory(&mut self) -> Result<(), Trap> {
        let op = self.fetch_from_memory()?;
        self.processor.r[PC as usize] = self.processor.pc.wrapping_add(4);
        if self.memory.devices.protection.is_strict() && !self.is_allowed(&op) {
            return Err(Trap::Forbidden);
        }
        self.step(&op)
    }

    /// Whether the memory protection unit lets an instruction's loads and stores through. Its first and its last byte stand for all of them, and a
    /// condition that does not hold for none.
    fn is_allowed(&self, op: &Op) -> bool {
        if self.processor.it != 0 && !self.passes(self.processor.it >> 4) {
            return true;
        }
        let access = if op.kind.stores() { Access::Store } else { Access::Load };
        self.access(op).is_none_or(|(address, size)| {
            let last = address.wrapping_add(size.max(1) - 1);
            [address, last].into_iter().all(|address| self.memory.devices.protection.allows(address, access))
        })
    }

    fn advance_it(&mut self) {
        let it = self.processor.it;
        self.processor.it = if it & 0b111 == 0 { 0 } else { it & 0b1110_0000 | it << 1 & 0b1_1111 };
    }

    #[inline(always)]
    pub(crate) fn passes(&self, condition: u8) -> bool {
        let Processor { negative, zero, carry, overflow, .. } = self.processor;
        let holds = match condition >> 1 {
            0 => zero,
            1 => carry,
            2 => negative,
            3 => overflow,
            4 => carry && !zero,
            5 => negative == overflow,
            6 => negative == overflow && !zero,
            _ => return true,
        };
        holds == (condition & 1 == 0)
    }

    /// The next instruction does not happen: the program goes on behind it.
    pub(crate) fn skip_one(&mut self) -> Result<(), Trap> {
        let op = self.fetch()?;
        self.count += 1;
        self.advance_it();
        self.processor.pc = self.processor.pc.wrapping_add(op.size.into());
        Ok(())
    }

    /// The instruction at `address` never happens, until [`Machine::unskip`].
    pub(crate) fn skip_always(&mut self, address: u32) -> Option<Skipped> {
        let index = address as usize / 2;
        let op = Arc::make_mut(&mut self.table).get_mut(index)?;
        let original = *op;
        *op = Op::new(Kind::Skipped, original.size);
        Some(Skipped { index, original })
    }

    pub(crate) fn unskip(&mut self, skipped: Skipped) {
        if let Some(op) = Arc::make_mut(&mut self.table).get_mut(skipped.index) {
            *op = skipped.original;
        }
    }
}

/// Nothing is fetched from here on: devices, and the system's own addresses.
const FIRST_DEVICE: u32 = 0x4000_0000;

/// An instruction that is left out for a while.
#[derive(Debug)]
pub(crate) struct Skipped {
    index: usize,
    original: Op,
}

fn decoded(code: &[u8], at: usize) -> Op {
    let half = |at: usize| code.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_le_bytes(*bytes));
    decode(at as u32, half(at), half(at + 2))
}

/// The register that a number names; the mask costs nothing and rules out what can not be.
#[inline(always)]
pub(crate) const fn index(register: u8) -> usize {
    (register & 31) as usize
}

const _: () = assert!(ZERO < 32 && SINK < 32);
